"""VarintQuant in every host: the bound, the metadata, that its chunks are varints, and that all read them."""

import contextlib
import pickle
import subprocess
import sys

import numcodecs
import numpy as np
import pytest

import arraycodec
from arraycodec import AnsQuant, ParameterError, VarintQuant, hdf5, inspect, verify
from arraycodec.__main__ import main

TOL = 2.0**-17
X = np.random.default_rng(0).normal(0, 0.05, (60, 90)).astype("f4")
Q = VarintQuant(tol=TOL)


def are_varints(*chunks):
    return all(block.varints for chunk in chunks for block in inspect(chunk).blocks)


def test_the_object():
    assert repr(VarintQuant(0.5, fill_value=3, threads=2)) == "VarintQuant(tol=0.5, fill_value=3, threads=2)"
    assert VarintQuant(0.5) == VarintQuant(tol=0.5) != VarintQuant(0.25) and VarintQuant(0.5) != AnsQuant(0.5)
    assert hash(VarintQuant(0.5)) == hash(VarintQuant(tol=0.5))
    for q in (VarintQuant(0.5, 0.1, fill_value=1 + 2j), VarintQuant(0.5, dtype="bfloat16"), VarintQuant()):
        assert pickle.loads(pickle.dumps(q)) == q == numcodecs.get_codec(q.get_config())
        assert type(numcodecs.get_codec(q.get_config())) is VarintQuant
    assert Q.get_config() == {"id": "varintquant", "tol": TOL} and Q.filter_id == hdf5.FILTER_ID
    assert dict(Q) == {"name": "arraycodec.varintquant", "configuration": {"tol": TOL}}
    assert isinstance(Q, numcodecs.abc.Codec) and not isinstance(Q, AnsQuant)
    with pytest.raises(TypeError, match="VarintQuant objects are immutable"):
        Q["name"] = "x"
    with pytest.raises(TypeError, match="VarintQuant cannot be subclassed"):
        type("Mine", (VarintQuant,), {})
    for bad in ({"tol": -1}, {"tol": 1, "rtol": 1}, {"tol": 1, "dtype": "f4"}, {"tol": 1, "threads": 0}):
        with pytest.raises(ParameterError):
            VarintQuant(**bad)
    with pytest.raises(ParameterError, match="level=5 is a backend's"):
        VarintQuant(0.5, level=5)
    with pytest.raises(ParameterError, match="encoding needs a tolerance"):
        VarintQuant().encode(X)


def test_import_is_lazy():
    unwanted = ("numcodecs", "bz2", "lzma")
    code = f"import sys, arraycodec; assert not set({unwanted}) & set(sys.modules); arraycodec.VarintQuant"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_chunks_by_themselves():
    chunk = Q.encode(X)
    assert chunk == arraycodec.encode(X, TOL, coder=2) and are_varints(chunk)
    for decode in (Q.decode, AnsQuant().decode, VarintQuant().decode, arraycodec.decode):
        assert verify(X, decode(chunk), TOL)
    assert np.array_equal(VarintQuant().decode(AnsQuant(TOL).encode(X)), AnsQuant().decode(AnsQuant(TOL).encode(X)))
    part = Q.decode(chunk, selection=(slice(3, 9), 4))
    assert np.array_equal(part, Q.decode(chunk)[3:9, 4])


def chunk_files(folder):
    return [p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.name.startswith((".z", "zarr.json"))]


def test_zarr2(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    z = zarr.create_array(tmp_path / "z", shape=X.shape, chunks=(20, 30), dtype="f4", zarr_format=2, compressors=Q)
    z[...] = X
    z = zarr.open_array(tmp_path / "z", mode="r+")
    assert verify(X, z[...], TOL) and are_varints(*chunk_files(tmp_path / "z"))
    z[3:50, 7] = X[3:50, 7] + 1
    assert are_varints(*chunk_files(tmp_path / "z")) and verify(X[3:50, 7] + 1, z[3:50, 7], TOL)


@pytest.mark.parametrize("more", [{}, {"shards": (40, 60)}, {"compressors": "zstd"}])
def test_zarr3(tmp_path, more):
    zarr = pytest.importorskip("zarr", minversion="3")
    if "compressors" in more:
        more = {"compressors": zarr.codecs.ZstdCodec(level=9)}
    z = zarr.create_array(
        tmp_path / "z", shape=X.shape, chunks=(20, 30), dtype="f4", serializer=Q, **{"compressors": None, **more}
    )
    z[...] = X
    z = zarr.open_array(tmp_path / "z", mode="r+")
    assert verify(X, z[...], TOL)
    codecs = z.metadata.to_dict()["codecs"]
    if "shards" in more:
        codecs = codecs[0]["configuration"]["codecs"]
    assert codecs[0] == {"name": "arraycodec.varintquant", "configuration": {"tol": TOL}}
    if not more:
        assert are_varints(*chunk_files(tmp_path / "z"))
    z[3:50, 7] = X[3:50, 7] + 1
    assert verify(X[3:50, 7] + 1, z[3:50, 7], TOL) and verify(X[:, 8:], z[:, 8:], TOL)
    assert main(["verify", "--scan", str(tmp_path / "z"), "-q"]) == 0


def test_zarr3_metadata_are_strict():
    zarr3 = pytest.importorskip("arraycodec.zarr3")
    for configuration in ({"level": 5}, {"predictor": "none"}, {"coder": "rans"}):
        with pytest.raises((TypeError, ParameterError)):
            zarr3.VarintQuantSerializer.from_dict({"name": "arraycodec.varintquant", "configuration": configuration})


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=X, chunks=(20, 30), compression=Q)
        d = f.create_dataset("w", X.shape, "f4", chunks=(20, 30), compression=Q)
        hdf5.write(d, X)
        own = {"compression": Q.filter_id, "compression_opts": (2, 17, 16, 2)}
        g = f.create_dataset("packed", X.shape, "f4", chunks=(20, 30), **own)
        g[...] = X
    with h5py.File(path) as f:
        for name in ("x", "w", "packed"):
            d = f[name]
            assert verify(X, d[...], TOL) and verify(X, hdf5.read(d), TOL)
            about = hdf5.info(d)
            assert about["coder"] == "varint" and about["tol"] == TOL and about["predictor"] is None
            assert are_varints(*(d.id.read_direct_chunk((i, j))[1] for i in (0, 20, 40) for j in (0, 30, 60)))
    assert main(["verify", "--scan", str(path), "-q"]) == 0


def test_hdf5_refuses_other_coders(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as f:
        for item, message in (((16, 0), "the coder must be 1"), ((16, 3), "not 3"), ((16,), "item 16 takes 1 value"),
                              ((16, 1, 16, 2), "the coder is given twice")):  # fmt: skip
            own = {"compression": Q.filter_id, "compression_opts": (2, 17, *item)}
            with pytest.raises(ValueError, match=message):
                f.create_dataset("x", (4, 5), "f4", chunks=(4, 5), **own)
        f.create_dataset("x", (4, 5), "f4", chunks=(4, 5), compression=Q.filter_id, compression_opts=(2, 17, 16, 1))
        assert hdf5.info(f["x"])["coder"] is None


def test_inspect(tmp_path, capsys):
    zarr = pytest.importorskip("zarr", minversion="3")
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    group.create_array("x", shape=X.shape, chunks=X.shape, dtype="f4", serializer=Q, compressors=None)[...] = X
    assert main(["inspect", str(tmp_path / "s.zarr")]) == 0
    assert "blocks uniform (varints):1" in capsys.readouterr().out


# ---- backends ----
BACKENDS = ("bz2", "lzma", "zlib", "zstd")


def test_the_object_with_a_backend():
    xz = VarintQuant(0.5, backend="lzma", level=9)
    assert repr(xz) == "VarintQuant(tol=0.5, backend='lzma', level=9)" and (xz.backend, xz.level) == ("lzma", 9)
    for q in (xz, VarintQuant(0.5, backend="zstd"), VarintQuant(rtol=0.1, backend="bz2", level=1)):
        assert pickle.loads(pickle.dumps(q)) == q == numcodecs.get_codec(q.get_config()) == eval(repr(q))
    for name, level in (("bz2", 0), ("bz2", 10), ("lzma", 10), ("zlib", -1), ("zstd", 23)):
        with pytest.raises(ParameterError, match=f"level of {name} must be .* not {level}"):
            VarintQuant(1, backend=name, level=level)
    with pytest.raises(ParameterError, match='"bz2", "lzma", "zlib", "zstd" or None, not \'gzip\''):
        VarintQuant(1, backend="gzip")
    with pytest.raises(TypeError):
        VarintQuant(1, backend=9)
    with pytest.raises(ParameterError, match="HDF5's filter takes no backend='bz2'"):
        _ = VarintQuant(1, backend="bz2").filter_options


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "i4", "u8", "c8", "M8[s]"])
def test_backends(backend, dtype):
    x = (1000 * np.sin(np.arange(6000).reshape(3, 40, 50) / 500)).astype(dtype)
    q, plain = VarintQuant(0.5, backend=backend), VarintQuant(0.5)
    chunk = q.encode(x)
    assert len(chunk) < len(plain.encode(x)) and arraycodec.peek(chunk).codec == "backend"
    assert q.decode(chunk).tobytes() == plain.decode(plain.encode(x)).tobytes()
    assert q.decode(chunk).dtype == x.dtype
    assert np.array_equal(q.decode(chunk, selection=np.s_[1, ::7, -3]), q.decode(chunk)[1, ::7, -3])
    out = np.empty_like(x)
    assert AnsQuant().decode(chunk, out) is out and np.array_equal(out, q.decode(chunk))
    details = inspect(chunk).details
    assert details["backend"] == backend and details["chunk"] == len(plain.encode(x))
    fortran = np.asfortranarray(x)
    back = q.decode(q.encode(fortran))
    assert np.array_equal(back, q.decode(chunk)) and not back.flags.c_contiguous


def test_backends_that_do_not_pay():
    for x in (np.zeros(0, "f4"), np.float32(3), np.arange(3.0)):
        assert VarintQuant(0.5, backend="bz2").encode(x) == VarintQuant(0.5).encode(x)
    x = np.sin(np.arange(5000) / 50)
    sizes = [len(VarintQuant(1e-4, backend="zlib", level=level).encode(x)) for level in (1, 9)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_backends(backend):
    """Behind the chunk's own checksums: the compressors' ways of failing are all FormatError."""
    from random_chunks import crc32c

    x = np.sin(np.arange(5000) / 50).astype("f4")
    chunk = VarintQuant(1e-4, backend=backend).encode(x)
    start = arraycodec.peek(chunk).header_size
    rng = np.random.default_rng(1)

    def wrapped(block):
        index = start - 12
        head = chunk[:index] + len(block).to_bytes(4, "little") + crc32c(block).to_bytes(4, "little")
        return head + crc32c(head).to_bytes(4, "little") + block

    block = chunk[start:]
    assert wrapped(block) == chunk
    others = [c for c in (VarintQuant(1e-4, backend=b).encode(x)[start:] for b in BACKENDS) if c[0] != block[0]]
    cases = [block[:1], block[:5], block + b"x", bytes([9]) + block[1:], *(block[:1] + c[1:] for c in others)]
    cases += [block[:1] + b"\xff" * 9 + b"\x01" + block[3:], block[:1] + b"\x80\x00" + block[3:]]
    cases += [block[: int(n)] for n in rng.integers(1, len(block), 20)]
    for _ in range(200):
        damaged = bytearray(block)
        for at in rng.integers(0, len(block), rng.integers(1, 4)):
            damaged[at] ^= int(rng.integers(1, 256))
        cases.append(bytes(damaged))
    for case in cases:
        with contextlib.suppress(arraycodec.DecodeError):  # damage to what a compressor ignores is none
            assert np.array_equal(arraycodec.decode(wrapped(case)), arraycodec.decode(chunk))
    with pytest.raises(arraycodec.FormatError, match="disagree"):
        other = VarintQuant(1e-4, backend=backend).encode(x.reshape(50, 100))
        arraycodec.decode(wrapped(other[arraycodec.peek(other).header_size :]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_in_zarr(backend):
    zarr = pytest.importorskip("zarr", "3")
    q = VarintQuant(TOL, backend=backend)
    for zarr_format, slot in ((2, {"compressors": q}), (3, {"serializer": q, "compressors": None})):
        z = zarr.create_array(
            zarr.storage.MemoryStore(), shape=X.shape, chunks=X.shape, dtype=X.dtype, zarr_format=zarr_format, **slot
        )
        z[...] = X
        assert verify(X, zarr.open_array(z.store)[...], TOL)


def test_hdf5_says_who_reads_backends(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("x", X.shape, X.dtype, chunks=X.shape, compression=VarintQuant(TOL))
        d.id.write_direct_chunk((0,) * X.ndim, VarintQuant(TOL, backend="zlib").encode(X))
        with pytest.raises(OSError, match="backend .* only the Python package reads"):
            d[...]
        assert verify(X, hdf5.read(d), TOL)
