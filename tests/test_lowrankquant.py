"""LowRankQuant: what it promises, and in every host."""

import pickle

import numcodecs
import numpy as np
import pytest

import arraycodec
from arraycodec import LowRankQuant, NotFiniteError, ParameterError, decode, encode, hdf5, inspect, peek, verify
from arraycodec.cli.phantom import shepp_logan
from arraycodec.lowrankconfig import of_cd_values

try:
    import ml_dtypes
except ImportError:
    BFLOAT16 = []
else:
    BFLOAT16 = [ml_dtypes.bfloat16]

RNG = np.random.default_rng(0)


def modes(m, n, rank=6, noise=1e-3, dtype="f4"):
    """A field of a few modes, and some noise."""
    t, x = np.linspace(0, 1, m)[:, None], np.linspace(0, 1, n)
    waves = sum(np.sin((3 + 2 * k) * t + k) * np.cos((5 + 3 * k) * x) / (1 + k) for k in range(rank))
    return (waves + noise * RNG.normal(size=(m, n))).astype(dtype)


A = modes(80, 120)
ROUGH = (RNG.normal(size=(80, 6)) @ RNG.normal(size=(6, 120)) + 1e-3 * RNG.normal(size=A.shape)).astype("f4")


def relative(a, b):
    return np.linalg.norm(a.astype("f8") - b.astype("f8")) / np.linalg.norm(b.astype("f8"))


# ---- the object ----
def test_the_object():
    for q in (
        LowRankQuant(3), LowRankQuant(bits_per_value=0.5, row_axes=2), LowRankQuant(rel_error=0.1, level=3, seed=4),
        LowRankQuant(tol=0.5), LowRankQuant(4, tol=0.5), LowRankQuant(4, method="lplr", bits=(4, 6)), LowRankQuant(),
    ):  # fmt: skip
        assert pickle.loads(pickle.dumps(q)) == q == numcodecs.get_codec(q.get_config()) == eval(repr(q))
        assert hash(q) == hash(eval(repr(q)))
        if q != LowRankQuant():
            items = hdf5.read_items(q.filter_options)
            assert of_cd_values(items.tol, *items.method[1:]) == q._config
    assert repr(LowRankQuant(3, threads=2)) == "LowRankQuant(rank=3, threads=2)"
    assert q.bits is None and q.method == "svd" and q.row_axes == 1 and q.rank is q.tol is q.level is None


@pytest.mark.parametrize(
    "bad, what", [
        ({"rank": 0}, "rank must be 1"), ({"bits_per_value": 0}, "bits_per_value must be positive"),
        ({"bits_per_value": -1}, "-1"), ({"rel_error": 1}, "below 1"), ({"rel_error": 0}, "above 0"),
        ({"rank": 2, "rel_error": 0.1}, "rank=2 and rel_error=0.1"), ({"tol": 0}, "AnsQuant"), ({"tol": -1}, "-1"),
        ({"tol": 1, "rel_error": 0.1}, "has no meaning"), ({"method": "pca"}, "pca"), ({"bits": (4, 4)}, "published"),
        ({"method": "lsvd", "bits": (4, 17)}, "17"), ({"method": "lsvd", "bits": (4,)}, "two numbers"),
        ({"row_axes": 0}, "row_axes"), ({"level": 10}, "level"),
        ({"seed": -1}, "seed"),
        ({"rel_error": 0.1, "method": "lplr"}, "needs method"), ({"rank": 1, "threads": 0}, "threads"),
    ],
)  # fmt: skip
def test_parameters_out_of_range(bad, what):
    with pytest.raises(ParameterError, match=what):
        LowRankQuant(**bad)


def test_what_is_refused():
    for x in (np.arange(12).reshape(3, 4), np.zeros((3, 4), "c8"), np.zeros((3, 4), "?")):
        with pytest.raises(TypeError, match="LowRankQuant is for float16"):
            LowRankQuant(1).encode(x)
    with pytest.raises(ParameterError, match="with the first 1 axes for rows, 1 leave none for columns"):
        LowRankQuant(1).encode(np.ones(5))
    with pytest.raises(ParameterError, match="with the first 2 axes for rows, 2 leave none for columns"):
        LowRankQuant(1, row_axes=2).encode(np.ones((5, 4)))
    with pytest.raises(ParameterError, match="encoding needs a target"):
        LowRankQuant().encode(A)
    with pytest.raises(TypeError, match="masked"):
        LowRankQuant(1).encode(np.ma.masked_array(A))
    b = A.copy()
    b[3, 4] = np.inf
    with pytest.raises(NotFiniteError, match=r"element \(3, 4\) is inf: with tol"):
        LowRankQuant(1).encode(b)
    with pytest.raises(ParameterError, match="the least is"):
        LowRankQuant(bits_per_value=0.01).encode(A)


# ---- targets ----
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", *BFLOAT16])
def test_targets(dtype):
    a = A.astype(dtype)
    floor = relative(a, A) if a.dtype.itemsize == 2 else 0
    for bits in (0.7, 2):
        chunk = LowRankQuant(bits_per_value=bits).encode(a)
        b = decode(chunk)
        assert 8 * len(chunk) <= bits * a.size and b.dtype == a.dtype and b.shape == a.shape
        assert relative(b, a) < 0.1 + floor
        # the header says how far values are from what they were
        assert peek(chunk).tol == np.abs(b.astype("f8") - a.astype("f8")).max()
    for error in (0.3, 0.02):
        chunk = LowRankQuant(rel_error=error).encode(a)
        assert 0.5 * error < relative(decode(chunk), a) <= error
    details = inspect(LowRankQuant(4).encode(a)).details
    assert details["rank"] == 4 and details["method"] == "svd"


def test_sizes_are_kept():
    """Everything stored included, whatever the method, the level, and the number of axes."""
    rough = (RNG.normal(size=(200, 5)) @ RNG.normal(size=(5, 300)) + 0.1 * RNG.normal(size=(200, 300))).astype("f4")
    for x, bits, more in (
        (rough, 8, {"level": 9}), (rough, 4, {"level": 9}), (rough[:64, :64], 3, {"method": "lplr"}),
        (rough[:20, :30], 8, {"method": "lplr"}), (rough[:100, :100], 8, {"method": "dsvd", "bits": (16, 16)}),
        (rough[:40, :50].reshape((2,) * 3 + (5,) + (1,) * 27 + (50,)), 3, {"row_axes": 4}),
    ):  # fmt: skip
        assert 8 * len(LowRankQuant(bits_per_value=bits, **more).encode(x)) <= bits * x.size, more


def test_the_phantom():
    """At most 0.040 at 2 bits a pixel and 0.095 at 1, everything stored included."""
    x = shepp_logan(1000)
    for bits, most in ((2, 0.040), (1, 0.095)):
        chunk = LowRankQuant(bits_per_value=bits).encode(x)
        assert 8 * len(chunk) <= bits * x.size and relative(decode(chunk), x) < most
    for method, error in (("lplr", 0.165), ("lsvd", 0.163), ("dsvd", 0.349)):  # as published
        chunk = LowRankQuant(bits_per_value=2, method=method, bits=(4, 8), seed=1).encode(x)
        assert relative(decode(chunk), x) == pytest.approx(error, rel=0.1)  # signs of vectors are the BLAS's
        assert 8 * len(chunk) < 0.9 * x.size  # what the published 2 bits are with entropy coding


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_isa_change_nothing(threads):
    chunk = LowRankQuant(5, threads=threads).encode(A)
    assert np.array_equal(decode(chunk, threads=threads), decode(chunk))
    values = decode(chunk)
    details = inspect(chunk).details
    assert values.shape == A.shape and details["rank"] == 5


def test_simple_matrices():
    huge = np.outer([1e300, -1e300], [1, 2.0])
    for a in (np.zeros((4, 5)), np.full((3, 7), 2.5, "f4"), np.ones((1, 9)), np.eye(6), huge):
        for q in (LowRankQuant(6), LowRankQuant(rel_error=1e-3)):
            assert np.allclose(decode(q.encode(a)), a, rtol=1e-2, atol=2e-3 * np.abs(a).max())
    for a in (A[:0], np.zeros((3, 0, 2))):
        assert decode(LowRankQuant(2).encode(a)).shape == a.shape


def test_axes():
    x = RNG.normal(size=(6, 4)) @ RNG.normal(size=(4, 5 * 7))
    x = x.reshape(2, 3, 5, 7)
    q = LowRankQuant(4, row_axes=2)
    assert relative(q.decode(q.encode(x)), x) < 1e-4 < relative(decode(LowRankQuant(1).encode(x)), x)
    f = np.asfortranarray(A)
    assert decode(LowRankQuant(3).encode(f)).flags.f_contiguous  # hosts may take it as it is in memory
    assert relative(decode(LowRankQuant(3).encode(f)), decode(LowRankQuant(3).encode(A))) < 0.05
    assert inspect(q.encode(np.asfortranarray(x))).details["row_axes"] == 2
    assert relative(q.decode(q.encode(np.asfortranarray(x))), x) < 1e-4
    assert verify(f, decode(LowRankQuant(4, tol=0.01).encode(f)), 0.01)
    part = A[::2, ::-1]
    assert np.array_equal(decode(LowRankQuant(3).encode(part)), decode(LowRankQuant(3).encode(part.copy())))


# ---- with a tolerance ----
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", *BFLOAT16])
@pytest.mark.parametrize("tol", [0.3, 0.02, 2**-9])
def test_within_a_tolerance(dtype, tol):
    a = ROUGH.astype(dtype)
    a[3, :7] = np.nan
    a[5, 5], a[6, 6], a[7, 7] = np.inf, -np.inf, -0.0
    for q in (LowRankQuant(tol=tol), LowRankQuant(6, tol=tol), LowRankQuant(3, tol=tol, method="lsvd")):
        chunk = q.encode(a)
        assert verify(a, q.decode(chunk), tol) and peek(chunk).tol == tol
        assert inspect(chunk).header.codec == "low rank" or tol < 0.01 or q.rank == 3 or a.dtype.itemsize == 2
        assert len(chunk) <= len(encode(a, tol))


def test_a_tolerance_pays():
    chunk = LowRankQuant(tol=0.01).encode(ROUGH)
    assert inspect(chunk).header.codec == "low rank" and len(chunk) < 0.6 * len(encode(ROUGH, 0.01))
    assert inspect(chunk).details["residual"] > 0 and verify(ROUGH, decode(chunk), 0.01)
    # what has no modes is stored by its values
    weights = RNG.normal(size=(60, 80)).astype("f4")
    chunk = LowRankQuant(tol=0.01).encode(weights)
    assert chunk == encode(weights, 0.01) and inspect(chunk).header.codec == "quantized"


def test_tolerances_too_small_and_too_large():
    huge = np.full((9, 7), 3e38, "f4")
    huge[0, 0] = np.nan
    for a in (A, A.astype("f2"), A * np.float32(1e30), np.full((20, 30), np.nan, "f4"), np.zeros((20, 30)), huge):
        for tol in (5e-324, 1e-30, 1e-7, 1e10, 1e36, 1e300):
            for q in (LowRankQuant(tol=tol), LowRankQuant(2, tol=tol)):
                assert verify(a, decode(q.encode(a)), tol)


# ---- parts and hosts ----
def test_parts_of_chunks():
    for q in (LowRankQuant(4), LowRankQuant(6, tol=0.01)):
        chunk = q.encode(ROUGH)
        assert inspect(chunk).header.codec == "low rank"
        whole = q.decode(chunk)
        assert np.array_equal(q.decode(chunk, selection=np.s_[3:20:4, ::-2]), whole[3:20:4, ::-2])
        assert np.array_equal(arraycodec.decode_range(chunk, 75, 100), whole.ravel()[75:175])
        out = np.empty_like(whole)
        assert q.decode(chunk, out) is out and np.array_equal(out, whole)


def test_zarr_in_fortran_order():
    zarr = pytest.importorskip("zarr", "3")
    for q in (LowRankQuant(rel_error=0.01), LowRankQuant(tol=0.01)):
        more = {"zarr_format": 2, "order": "F", "compressors": q}
        z = zarr.create_array(zarr.storage.MemoryStore(), shape=A.shape, chunks=(40, 60), dtype="f4", **more)
        z[...] = A
        assert relative(z[...], A) <= 0.01


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr(zarr_format):
    zarr = pytest.importorskip("zarr", "3")
    q = LowRankQuant(rel_error=0.01)
    slot = {"compressors": q} if zarr_format == 2 else {"serializer": q, "compressors": None}
    z = zarr.create_array(
        zarr.storage.MemoryStore(), shape=A.shape, chunks=(40, 60), dtype="f4", zarr_format=zarr_format, **slot
    )
    z[...] = A
    assert relative(z[...], A) <= 0.01
    again = zarr.open_array(z.store)
    assert np.array_equal(again[...], z[...]) and np.array_equal(again[3:50, 7], z[...][3:50, 7])
    if zarr_format == 3:
        with pytest.raises(ParameterError, match="write whole chunks, of shape"):
            z[0, :5] = 0
        with pytest.raises(ParameterError, match="leave none for columns"):
            zarr.create_array(zarr.storage.MemoryStore(), shape=(4,), chunks=(4,), dtype="f4", **slot)
    with pytest.raises(TypeError, match="float16"):
        zarr.create_array(
            zarr.storage.MemoryStore(), shape=(4, 4), chunks=(4, 4), dtype="i4", serializer=q, compressors=None
        )


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    q = LowRankQuant(rel_error=0.01, level=4, seed=9)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("a", A.shape, "f4", chunks=(40, 60), compression=q)
        hdf5.write(d, A, threads=2)
        assert {"id": q.codec_id, **hdf5.info(d)["parameters"]} == q.get_config()
        t = f.create_dataset("t", A.shape, "f4", chunks=(40, 60), compression=LowRankQuant(6, tol=0.01))
        hdf5.write(t, ROUGH)
        f.create_dataset("by HDF5", data=ROUGH, chunks=(40, 60), compression=LowRankQuant(6, tol=0.01))
        f.create_dataset("as it is", data=A, chunks=(40, 60), compression=q)
        with pytest.raises(NotFiniteError, match="chunk at"):
            hdf5.write(d, np.full(A.shape, np.nan))
        with pytest.raises(ValueError, match="with the first 1 axes for rows, the dataset's 1 leave none"):
            f.create_dataset("x", data=A.ravel(), chunks=(40,), compression=q)
        with pytest.raises(ValueError, match="item 18 is for float16"):
            f.create_dataset("i", data=A.astype("i4"), chunks=(40, 60), compression=q)
        with pytest.raises(ParameterError, match="would be encoded once more"):
            hdf5.write(d, 1.0, np.s_[3, 4])
        with pytest.raises(ParameterError, match="without the filter"):
            hdf5.write(f["as it is"], A)
        bad = (18, 255, 0, 0, 1, 0, 0), (18, 0x04040400, 0, 0, 0, 0, 0), (18, 0x08080000, 0, 0, 1 | 77 << 8, 0, 0)
        for values in bad:
            with pytest.raises(ValueError, match="item 18 with method"):
                f.create_dataset("x", A.shape, "f4", chunks=(40, 60), compression=35117, compression_opts=values)
    with h5py.File(tmp_path / "a.h5") as f:
        # read by the plugin, in C
        assert relative(f["a"][...], A) <= 0.01 and np.array_equal(f["a"][...], hdf5.read(f["a"]))
        chunks = {name: f[name].id.read_direct_chunk((40, 60)) for name in f}
        codecs = [inspect(chunks[name][1]).header.codec for name in ("a", "t", "by HDF5")]
        assert codecs == ["low rank", "low rank", "quantized"]
        assert verify(ROUGH, f["t"][...], 0.01) and verify(ROUGH, f["by HDF5"][...], 0.01)
        # an optional filter that refuses: nothing is lost, and nothing saved
        assert chunks["as it is"][0] == 1 and np.array_equal(f["as it is"][...], A)
