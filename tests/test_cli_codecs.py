"""The console command with the codecs beside AnsQuant: what it writes, describes, scans and compares."""

import json

import numpy as np
import pytest

from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, hdf5, inspect
from arraycodec.__main__ import main

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

TOL = 2.0**-7
HOSTS = ("zarr2", "zarr3", "hdf5")
SUFFIX = {"zarr2": ".zarr", "zarr3": ".zarr", "hdf5": ".h5"}


def field(m=240, n=320, noise=0.01, dtype="f4"):
    """Nearly of rank one."""
    x = np.sin(np.linspace(0, 9, m))[:, None] * np.cos(np.linspace(0, 7, n))
    return (x + noise * np.random.default_rng(0).normal(size=(m, n))).astype(dtype)


X = field()
CODECS = {
    "varint": VarintQuant(TOL),
    "stochastic": StochasticQuant(4, seed=3),
    "fixed": StochasticQuant(3, "max", None, "qsgd", packing="fixed", seed=4),
    "rank": LowRankQuant(rank=3),
    "error": LowRankQuant(rel_error=0.1),
    "tol": LowRankQuant(tol=TOL),
}


def run(*args):
    return main([str(a) for a in args])


def store(path, kind, codecs, **options):
    """X under the name of each codec, in chunks that do not divide it."""
    if kind == "hdf5":
        with h5py.File(path, "w") as f:
            for name, q in codecs.items():
                hdf5.write(f.create_dataset(name, X.shape, "f4", chunks=(120, 200), compression=q, **options), X)
        return
    group = zarr.open_group(path, mode="w", zarr_format=int(kind[-1]))
    for name, q in codecs.items():
        how = {"compressors": q} if kind == "zarr2" else {"serializer": q, "compressors": None, **options}
        group.create_array(name, shape=X.shape, dtype="f4", chunks=(120, 200), **how)[...] = X


@pytest.fixture(params=HOSTS)
def stored(request, tmp_path):
    """Path of a store of a kind with all codecs that the kind takes."""
    codecs = CODECS | ({} if request.param == "hdf5" else {"backend": VarintQuant(TOL, backend="bz2", level=7)})
    path = tmp_path / f"s{SUFFIX[request.param]}"
    store(path, request.param, codecs)
    return path


def lines_of(capsys, *args, status=0):
    capsys.readouterr()
    assert run(*args) == status
    said = capsys.readouterr()
    assert not said.err, said.err
    return said.out.splitlines()


def entries_of(capsys, path):
    """Name of an array to what `inspect --json --chunks` says of it."""
    return {e["name"]: e for e in json.loads("\n".join(lines_of(capsys, "inspect", path, "--json", "--chunks")))}


def test_inspect_stores(stored, capsys):
    lines = {line.partition(":")[0]: line for line in lines_of(capsys, "inspect", stored)}
    expected = {
        "varint": ("tol 0.0078125, blocks uniform (varints):4, 0 exceptions,",),
        "stochastic": ("largest error ", "method dither, bits 4, norm l2, bucket 512, packing rans, seed 3, blocks "
                       "stochastic:4, steps ", " + levels "),
        "fixed": ("method qsgd, bits 3, norm max, bucket all, packing fixed, blocks stochastic:4, ",),
        "rank": ("largest error ", "method svd, rank 3, blocks low rank:4, rows ", " + columns "),
        "error": ("largest error ", "rank 1, rel_error 0.1, blocks low rank:4, "),
        "tol": ("tol 0.0078125, method svd, rank 1, blocks low rank:", " + residual "),
        "backend": ("tol 0.0078125, backend bz2, level 7, blocks uniform (varints):4, 0 exceptions, ",
                    " bytes of varints compressed to "),
    }  # fmt: skip
    for name, line in lines.items():
        assert all(text in line for text in expected[name]), line
    entries = entries_of(capsys, stored)
    ids = {"rank": "lowrank", "error": "lowrank", "tol": "lowrank", "fixed": "stochastic", "backend": "varint"}
    for name, entry in entries.items():
        assert entry["codec"].removeprefix("arraycodec.") == ids.get(name, name) + "quant"
        assert entry["n_chunks"] == len(entry["chunks"]) == 4
    assert entries["rank"]["parameters"]["rank"] == 3 and entries["rank"]["details"]["rank"] == [3]
    assert entries["stochastic"]["parameters"]["seed"] == 3 and entries["stochastic"]["details"]["bits"] == [4]
    largest = [chunk["largest_error"] for chunk in entries["stochastic"]["chunks"]]
    assert entries["stochastic"]["largest_error"] == max(largest) and entries["stochastic"]["tol"] == []
    parts = [chunk["details"]["rows"] for chunk in entries["rank"]["chunks"]]
    assert entries["rank"]["details"]["rows"] == sum(parts)
    assert {chunk["tol"] for chunk in entries["tol"]["chunks"]} == {TOL}


def test_inspect_chunks_before_other_codecs(tmp_path, capsys):
    """Bits are those of the bytes that are stored."""
    zeros = zarr.create_array(
        str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, serializer=VarintQuant(TOL),
        compressors=zarr.codecs.ZstdCodec(),
    )  # fmt: skip
    zeros[...] = X
    (entry,) = entries_of(capsys, tmp_path / "z.zarr").values()
    (chunk,) = entry["chunks"]
    assert chunk["mode"] == "uniform (varints)" and chunk["bytes"] < chunk["coded_bytes"] == len(
        VarintQuant(TOL).encode(X)
    )
    assert chunk["bits_per_value"] == entry["bits_per_value"] == 8 * chunk["bytes"] / X.size
    (_, line) = lines_of(capsys, "inspect", tmp_path / "z.zarr", "--chunks")
    assert ", uniform (varints) (1 blocks), " in line
    assert line.endswith(f"{chunk['bytes']} bytes ({chunk['coded_bytes']} before the codecs that follow)")


@pytest.mark.parametrize(("q", "codec", "text"), [
    (VarintQuant(TOL), "varintquant", "uniform (varints)"),
    (VarintQuant(TOL, backend="lzma"), "varintquant", "uniform (varints) (1 blocks), backend lzma, "),
    (StochasticQuant(2), "stochasticquant", "bits 2, "), (LowRankQuant(rank=2), "lowrankquant", "rank 2, "),
    (AnsQuant(TOL), "ansquant", "predicted (1 blocks), 0 exceptions, "),
])  # fmt: skip
def test_inspect_and_scan_one_chunk(tmp_path, capsys, q, codec, text):
    chunk = q.encode(X)
    (tmp_path / "c").write_bytes(chunk)
    (entry,) = entries_of(capsys, tmp_path / "c").values()
    assert entry["codec"] == codec and entry["bytes"] == entry["chunks"][0]["coded_bytes"] == len(chunk)
    assert text in lines_of(capsys, "inspect", tmp_path / "c", "--chunks")[1]
    assert "is whole" in lines_of(capsys, "verify", "--scan", tmp_path / "c")[0]
    damaged = bytearray(chunk)
    damaged[-9] ^= 1
    (tmp_path / "c").write_bytes(damaged)
    assert lines_of(capsys, "verify", "--scan", tmp_path / "c", status=1)[0].startswith("BROKEN")


def test_scan_stores(stored, capsys):
    lines = lines_of(capsys, "verify", "--scan", stored)
    arrays = len(lines) - 1
    assert lines[-1] == f"ok: {4 * arrays} chunks of {arrays} arrays are whole"
    assert all(line.endswith(": 4 chunks, 0 broken") for line in lines[:-1]), lines


@pytest.mark.parametrize("name", [*CODECS, "backend"])
@pytest.mark.parametrize("kind", HOSTS)
def test_scan_finds_damage(tmp_path, capsys, kind, name):
    if kind == "hdf5" and name == "backend":
        pytest.skip("HDF5 has none")
    path = tmp_path / f"s{SUFFIX[kind]}"
    store(path, kind, {"x": (CODECS | {"backend": VarintQuant(TOL, backend="zlib")})[name]})
    if kind == "hdf5":
        with h5py.File(path) as f:
            place = f["x"].id.get_chunk_info_by_coord((120, 200))
            file, at = path, place.byte_offset + place.size - 9
    else:
        file, at = path / ("x/1.1" if kind == "zarr2" else "x/c/1/1"), -9
    data = bytearray(file.read_bytes())
    data[at] ^= 16
    file.write_bytes(data)
    lines = lines_of(capsys, "verify", "--scan", path, status=1)
    assert len(lines) == 3 and lines[0].startswith("BROKEN x: the chunk at [120,200]") and lines[1:] == [
        "x: 4 chunks, 1 broken", "FAILED: 1 of 4 chunks are broken"
    ]  # fmt: skip


def test_scan_finds_what_a_backend_cannot_undo(tmp_path, capsys):
    """Checksums of our own are right; what they protect is not."""
    from arraycodec import _core, backends

    chunk = VarintQuant(TOL).encode(X)
    q = VarintQuant(TOL, backend="bz2")
    compressed = bytearray(backends.BACKENDS["bz2"].compress(chunk, 9))
    compressed[100] ^= 1
    zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, serializer=q,
                      compressors=None)[...] = X  # fmt: skip
    broken = _core.wrap(chunk, 1, bytes(compressed))
    assert inspect(broken).details["backend"] == "bz2"
    (tmp_path / "z.zarr/c/0/0").write_bytes(broken)
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr", status=1)
    assert "bz2 cannot decompress a chunk" in lines[0]
    (tmp_path / "c").write_bytes(broken)
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "c", status=1)
    assert "bz2 cannot decompress a chunk" in lines[0]


def test_scan_names_the_order_of_values(tmp_path, capsys):
    """Zarr v2 takes the bytes of a chunk as they come."""
    array = zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, zarr_format=2,
                              order="F", compressors=AnsQuant(TOL))  # fmt: skip
    array[...] = X
    assert len(lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr")) == 2
    (tmp_path / "z.zarr/0.0").write_bytes(AnsQuant(TOL).encode(X))
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr", status=1)
    assert "its values are not in the array's order, F" in lines[0]


def test_decompress(stored, tmp_path, capsys):
    for out in ("o.npz", "o.h5", "o.zarr"):
        assert run("decompress", stored, tmp_path / out, "-q") == 0
        assert not capsys.readouterr().err
        assert run("verify", stored, tmp_path / out, "--tol", 0, "-q") == 0
        if out != "o.npz":
            assert not any("quant" in entry["codec"] for entry in entries_of(capsys, tmp_path / out).values())


def error_of(capsys, *args):
    assert run(*args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# ---- verify without a tolerance ----
def test_verify_by_what_chunks_say(stored, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", **dict.fromkeys((*CODECS, "backend") if "zarr" in stored.suffix else CODECS, X))
    lines = lines_of(capsys, "verify", tmp_path / "x.npz", stored)
    assert lines[-1].endswith(f"within what the chunks of {stored} say")
    assert all(": 0 violations, max error " in line for line in lines[:-1])
    wrong = X.copy()
    wrong[0, 0] += 9
    np.savez(tmp_path / "y.npz", **dict.fromkeys((*CODECS, "backend") if "zarr" in stored.suffix else CODECS, wrong))
    lines = lines_of(capsys, "verify", tmp_path / "y.npz", stored, status=1)
    assert all(": 1 violations, max error " in line for line in lines[:-1])


def test_verify_needs_something_that_says_a_tolerance(tmp_path, capsys):
    np.save(tmp_path / "w.npy", X)
    assert "no chunks of" in error_of(capsys, "verify", tmp_path / "w.npy", tmp_path / "w.npy")
    zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4")[...] = X
    assert "--rtol R" in error_of(capsys, "verify", tmp_path / "w.npy", tmp_path / "z.zarr")
    assert "needs a tolerance" in error_of(
        capsys, "verify", tmp_path / "w.npy", tmp_path / "z.zarr", "--fill-value", "1"
    )


def test_verify_where_parts_are_not_stored(tmp_path, capsys):
    """They are the fill value, exactly; and other codecs before ours have other units."""
    x = X.copy()
    x[120:] = 0
    group = zarr.open_group(tmp_path / "z.zarr", mode="w", zarr_format=2)
    group.create_array("x", shape=x.shape, dtype="f4", chunks=(120, 320), compressors=AnsQuant(TOL))[:120] = x[:120]
    np.savez(tmp_path / "x.npz", x=x)
    assert lines_of(capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr")
    x[200, 3] = TOL / 2
    np.savez(tmp_path / "x.npz", x=x)
    assert ": 1 violations" in lines_of(capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr", status=1)[0]
    import numcodecs

    group.create_array("y", shape=x.shape, dtype="f4", chunks=x.shape, compressors=AnsQuant(TOL),
                       filters=[numcodecs.FixedScaleOffset(0, 10, "f4", "f4")])[...] = x  # fmt: skip
    assert "y: other codecs change what ours is given" in error_of(
        capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr"
    )
