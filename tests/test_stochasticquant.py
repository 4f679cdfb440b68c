"""StochasticQuant: what it promises (docs/stochastic.md), and in every host."""

import os
import pickle
import subprocess
import sys
from fractions import Fraction

import numcodecs
import numpy as np
import pytest

import arraycodec
from arraycodec import NotFiniteError, ParameterError, StochasticQuant, decode, hdf5, inspect, peek

try:
    import ml_dtypes
except ImportError:
    BFLOAT16, finfo = [], np.finfo
else:
    BFLOAT16, finfo = [ml_dtypes.bfloat16], ml_dtypes.finfo

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 70)).astype("f4")
DTYPES = ["f2", "f4", "f8", ">f4", ">f8", *BFLOAT16]


def norms_of(x, norm, bucket):
    """The norm of every value's bucket, in doubles."""
    flat = x.astype("f8").ravel()
    parts = np.split(flat, range(bucket, flat.size, bucket)) if bucket else [flat]
    of = np.linalg.norm if norm == "l2" else lambda part: np.abs(part).max()
    return np.concatenate([np.full(part.size, of(part)) for part in parts]).reshape(x.shape)


# ---- the object ----
def test_the_object():
    first = StochasticQuant(3, "max", 64, "qsgd", packing="fixed", seed=5, threads=2)
    assert repr(first).endswith("packing='fixed', seed=5, threads=2)")
    for q in (first, StochasticQuant(bucket=None), StochasticQuant(seed=2**64 - 1), StochasticQuant()):
        assert pickle.loads(pickle.dumps(q)) == q == numcodecs.get_codec(q.get_config()) == eval(repr(q))
        assert hash(q) == hash(eval(repr(q)))
    assert StochasticQuant(3) != StochasticQuant(4) and StochasticQuant(seed=0) != StochasticQuant()
    assert (q.bits, q.norm, q.bucket, q.method, q.packing) == (4, "l2", 512, "dither", "rans")
    with pytest.raises(TypeError, match="StochasticQuant cannot be subclassed"):
        type("Mine", (StochasticQuant,), {})
    with pytest.raises(TypeError, match="immutable"):
        q["name"] = "x"


@pytest.mark.parametrize(
    "bad", [{"bits": 0}, {"bits": 10}, {"norm": "l1"}, {"bucket": 0}, {"bucket": 2**32}, {"method": "round"},
            {"packing": "zip"}, {"seed": -1}, {"seed": 2**64}, {"threads": 0}],
)  # fmt: skip
def test_parameters_out_of_range(bad):
    with pytest.raises(ParameterError, match=str(next(iter(bad.values())))):
        StochasticQuant(**bad)


@pytest.mark.parametrize(
    "bad", [{"bits": 2.5}, {"bits": "4"}, {"norm": 2}, {"bucket": 1.5}, {"seed": "x"}, {"bits": True}]
)
def test_parameters_of_wrong_types(bad):
    with pytest.raises(TypeError):
        StochasticQuant(**bad)


def test_values_that_are_refused():
    cases = ([1, np.nan, np.inf], r"element \(1,\) is nan, and 1 more"), ([[1, 2], [3, -np.inf]], r"\(1, 1\) is -inf")
    for x, what in cases:
        with pytest.raises(NotFiniteError, match=what):
            StochasticQuant().encode(np.array(x, "f4"))
    with pytest.raises(NotFiniteError, match="norm of the values overflows"):
        StochasticQuant().encode(np.full(100, 1e308))
    for x in (np.arange(5), np.zeros(3, "c8"), np.zeros(3, "?"), np.zeros(3, "M8[s]")):
        with pytest.raises(TypeError, match="StochasticQuant rounds float16"):
            StochasticQuant().encode(x)
    with pytest.raises(TypeError, match="masked"):
        StochasticQuant().encode(np.ma.masked_array([1.0], [True]))


# ---- what comes back ----
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", ["l2", "max"])
@pytest.mark.parametrize("bucket", [None, 7, 512, 5000])
@pytest.mark.parametrize("bits", [1, 2, 5, 9])
def test_dither_is_bounded(dtype, norm, bucket, bits):
    """By half of norm / levels, the conversion to the type included."""
    x = X.astype(dtype)
    x[3] *= 1e-3
    x[4, ::2] = 0
    q = StochasticQuant(bits, norm, bucket, seed=1)
    chunk = q.encode(x)
    y = q.decode(chunk)
    assert y.dtype == x.dtype and y.shape == x.shape
    bound = norms_of(x, norm, bucket) / (2**bits - 1) / 2
    error = np.abs(y.astype("f8") - x.astype("f8"))
    assert (error <= bound * (1 + 1e-14)).all() and error.max() <= peek(chunk).tol
    if bits < 5 or x.dtype.itemsize > 2:
        assert (error > 0.5 * bound).mean() > 0.3  # and not by less: such steps would be too small


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", *BFLOAT16])
@pytest.mark.parametrize("bits", [1, 4, 9])
def test_dither_is_bounded_at_the_edges(dtype, bits):
    """Of the type's range, in exact arithmetic."""
    info = finfo(dtype)
    least, most = float(info.smallest_subnormal), float(info.max)
    small = RNG.integers(-700, 700, 200) * least
    cases = [small, small / 100, np.full(20, least), RNG.uniform(-1, 1, 200) * most]
    cases += [np.array([most, -most, 0, most / 3]), np.array([float(info.tiny), -least, 5 * least])]
    cases += [np.concatenate([small, [1.0]]), np.full(30, -most)]
    for case in cases:
        x = case.astype(dtype)
        y = decode(StochasticQuant(bits, "max", None, seed=3).encode(x))
        bound = Fraction(float(np.abs(x.astype("f8")).max())) / (2**bits - 1) / 2
        for a, b in zip(x.astype("f8"), y.astype("f8"), strict=True):
            assert abs(Fraction(float(a)) - Fraction(float(b))) <= bound


@pytest.mark.parametrize("dtype", ["f2", *BFLOAT16])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_dither_is_bounded_far_beyond_the_values(dtype, bits):
    """A norm that is much larger than all values: what comes back has coarser neighbours than any of them."""
    rng = np.random.default_rng(bits)
    for seed in range(60):
        x = (rng.uniform(0.5, 1) * rng.choice([-1, 1], rng.integers(20, 3000))).astype(dtype)
        y = decode(StochasticQuant(bits, bucket=None, seed=seed).encode(x))
        bound = np.linalg.norm(x.astype("f8")) / (2**bits - 1) / 2
        assert np.abs(y.astype("f8") - x.astype("f8")).max() <= bound * (1 + 1e-14)


@pytest.mark.parametrize("method", ["dither", "qsgd"])
@pytest.mark.parametrize("norm", ["l2", "max"])
@pytest.mark.parametrize("packing", ["rans", "fixed"])
@pytest.mark.parametrize("bits", [1, 3, 9])
def test_unbiased(method, norm, packing, bits):
    """The sum of squared z-scores of 64 mean errors is chi-square: 64 + 6 * sqrt(128) has a probability of 1e-6."""
    x = np.random.default_rng(5).normal(size=64).astype("f4")
    n = 1500
    codecs = (StochasticQuant(bits, norm, None, method, packing=packing, seed=i) for i in range(n))
    errors = np.array([decode(q.encode(x)) for q in codecs]).astype("f8") - x
    step = (np.linalg.norm(x) if norm == "l2" else np.abs(x).max()) / (2**bits - 1)
    random = errors.std(0) > 0.1 * step  # of the others the level is nearly exact, and rarely another one
    assert random.sum() >= 40 and (np.abs(errors[:, ~random].mean(0)) < 0.03 * step).all()
    errors = errors[:, random]
    z = errors.mean(0) / (errors.std(0) / np.sqrt(n))
    assert (z**2).sum() < 64 + 6 * np.sqrt(128)
    pairs = np.corrcoef(errors.T)[~np.eye(random.sum(), dtype=bool)]  # each has a deviation of 1 / sqrt(n)
    assert np.abs(pairs).max() < 6 / np.sqrt(n)


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
@pytest.mark.parametrize("length", [16, 512])
def test_variance_of_qsgd(bits, length):
    """At most min(n / s^2, sqrt(n) / s) ||x||^2, also of vectors that come near to that."""
    s = 2**bits - 1
    spike = np.full(length, 1e-3)
    spike[0] = 1
    for x in (RNG.normal(size=length), np.ones(length), spike, RNG.laplace(size=length) ** 3):
        codecs = (StochasticQuant(bits, bucket=None, method="qsgd", seed=i) for i in range(300))
        errors = [((decode(q.encode(x)) - x) ** 2).sum() for q in codecs]
        bound = min(length / s**2, np.sqrt(length) / s) * (x**2).sum()
        assert np.mean(errors) <= bound + 4 * np.std(errors) / np.sqrt(300)


def test_variance_of_dither():
    x = RNG.normal(size=20000).astype("f4")
    for bits in (2, 6):
        error = decode(StochasticQuant(bits, "max", None, seed=2).encode(x)).astype("f8") - x
        step = np.abs(x).max() / (2**bits - 1)
        assert 0.95 * step**2 / 12 < error.var() <= 1.02 * step**2 / 12
        assert abs(np.corrcoef(error, x)[0, 1]) < 5 / np.sqrt(x.size)
        assert np.abs(np.histogram(error / step, 10, (-0.5, 0.5))[0] / x.size - 0.1).max() < 0.015


def test_zeros_stay_zeros_and_spikes_spikes():
    x = np.zeros(1000, "f4")
    x[[5, 700]] = 3, -2
    for packing in ("rans", "fixed"):
        for bits in (1, 4, 9):
            y = decode(StochasticQuant(bits, method="qsgd", packing=packing, seed=1).encode(x))
            assert np.allclose(y[[5, 700]], [3, -2], rtol=0.01) and not np.delete(y, [5, 700]).any()
    assert not decode(StochasticQuant(seed=1).encode(np.zeros((3, 4)))).any()


# ---- seeds ----
def test_a_seed_decides():
    q = StochasticQuant(seed=7)
    assert q.encode(X) == q.encode(X) == StochasticQuant(seed=7, threads=4).encode(X)
    assert q.encode(X) != StochasticQuant(seed=8).encode(X)
    fresh = StochasticQuant()
    assert fresh.encode(X) != fresh.encode(X)
    assert inspect(q.encode(X)).details["seed"] == 7


def test_large_chunks_in_threads():
    x = RNG.normal(size=600_001).astype("f4")
    for method in ("dither", "qsgd"):
        one, four = (StochasticQuant(5, method=method, seed=1, threads=n) for n in (1, 4))
        assert one.encode(x) == four.encode(x)
        assert np.array_equal(one.decode(one.encode(x)), four.decode(one.encode(x)))


def test_other_values_have_other_noise():
    """With the same seed: chunks of an array, steps of a training."""
    a, b = X, X + np.float32(0.125)
    q = StochasticQuant(2, "max", None, seed=1)
    errors = [(q.decode(q.encode(x)) - x).ravel() for x in (a, b)]
    assert abs(np.corrcoef(*errors)[0, 1]) < 5 / np.sqrt(X.size)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512"])
def test_the_same_bytes_everywhere(isa):
    code = """if True:
        import hashlib, numpy as np
        from arraycodec import StochasticQuant, decode
        x = (np.arange(3000) * 2654435761 % 4294967296 / 2**31 - 1).astype("f4")
        digest = hashlib.sha256()
        for method in ("dither", "qsgd"):
            for packing in ("rans", "fixed"):
                chunk = StochasticQuant(4, method=method, packing=packing, seed=11).encode(x)
                digest.update(chunk + decode(chunk).tobytes())
        print(digest.hexdigest())
    """
    environment = {**os.environ, "ARRAYCODEC_ISA": isa}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if "ARRAYCODEC_ISA names no instruction set" in result.stderr:
        pytest.skip(f"this machine has no {isa}")
    assert result.stdout.strip() == EVERYWHERE, result.stderr


EVERYWHERE = "21d49748ffdfc7d3e060ea999cfdc80cd295e8bbb84facf2bf93f03c94b38bd6"


# ---- sizes ----
def entropy(q):
    _, counts = np.unique(q, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


@pytest.mark.parametrize("bits", range(1, 10))
@pytest.mark.parametrize("norm", ["l2", "max"])
def test_size_beside_entropy(bits, norm):
    """Within 2 % and 0.02 bits of the order-0 entropy of the levels and 32 bits a norm."""
    x = RNG.normal(size=100_000).astype("f4")
    chunk = StochasticQuant(bits, norm, method="qsgd", seed=1).encode(x)
    steps = norms_of(x, norm, 512) / (2**bits - 1)
    assert 8 * len(chunk) / x.size < 1.02 * (entropy(np.rint(decode(chunk) / steps)) + 32 / 512) + 0.02


@pytest.mark.parametrize("bits", [1, 4, 9])
def test_fixed_packing_is_that_of_the_notebook(bits):
    """Signs of two bits above levels, the first values in the highest bits of the words."""
    x = RNG.normal(size=1001).astype("f4")
    chunk = StochasticQuant(bits, bucket=None, method="qsgd", packing="fixed", seed=1).encode(x)
    assert len(chunk) < x.size / (64 // (2 + bits)) * 8 + 80
    sections, length = 64 // (2 + bits), -(-x.size // (64 // (2 + bits)))
    words = np.frombuffer(chunk[-8 * length :], "<u8").copy()
    step = np.frombuffer(chunk[-8 * length - 4 : -8 * length], "<f4")[0]
    signs, levels = np.empty((sections, length)), np.empty((sections, length))
    for i in range(sections)[::-1]:
        signs[i] = (words & np.uint64(3 << bits)) >> np.uint64(bits)
        levels[i] = words & np.uint64((1 << bits) - 1)
        words >>= np.uint64(2 + bits)
    assert not words.any()
    assert np.array_equal(((signs - 1) * levels).ravel()[: x.size].astype("f4") * step, decode(chunk))


# ---- shapes and hosts ----
@pytest.mark.parametrize("packing", ["rans", "fixed"])
def test_shapes_orders_and_parts(packing):
    q = StochasticQuant(6, packing=packing, seed=1)
    for x in (X, np.asfortranarray(X), X[::2, ::-3], X.reshape(5, 6, 7, 10), X.ravel()[:1], np.float32(2.5), X[:0]):
        chunk = q.encode(x)
        y = q.decode(chunk)
        assert y.shape == np.shape(x) and np.abs(y - x).max(initial=0) <= peek(chunk).tol
        out = np.empty_like(y)
        assert q.decode(chunk, out) is out and np.array_equal(out, y)
    whole = q.decode(chunk := q.encode(X))
    assert np.array_equal(q.decode(chunk, selection=np.s_[3:20:4, ::-2]), whole[3:20:4, ::-2])
    assert np.array_equal(arraycodec.decode_range(chunk, 75, 100), whole.ravel()[75:175])
    with pytest.raises(arraycodec.SizeError, match="max_output"):
        arraycodec.decode(chunk, max_output=100)
    with pytest.raises(arraycodec.SizeError, match="max_output"):
        arraycodec.decode(chunk, selection=0, max_output=1000)  # all values are decoded for it


def test_what_a_chunk_says():
    info = inspect(StochasticQuant(3, "max", 100, "qsgd", packing="fixed").encode(X))
    assert info.details == {"method": "qsgd", "norm": "max", "packing": "fixed", "bits": 3, "bucket": 100}
    assert info.header.codec == "stochastic" == info.mode and info.header.n_blocks == 1
    assert inspect(StochasticQuant(3, bucket=None).encode(X)).details["bucket"] is None


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr(zarr_format):
    zarr = pytest.importorskip("zarr", "3")
    q = StochasticQuant(5, "max", seed=7)
    slot = {"compressors": q} if zarr_format == 2 else {"serializer": q, "compressors": None}
    z = zarr.create_array(
        zarr.storage.MemoryStore(), shape=X.shape, chunks=(16, 32), dtype="f4", zarr_format=zarr_format, **slot
    )
    z[...] = X
    assert np.abs(z[...] - X).max() <= np.abs(X).max() / 31 / 2
    again = zarr.open_array(z.store)
    assert np.array_equal(again[...], z[...]) and np.array_equal(again[3:20, 5], z[...][3:20, 5])
    with pytest.raises(NotFiniteError):
        z[:16, :32] = np.nan
    if zarr_format == 3:
        with pytest.raises(ParameterError, match="write whole chunks, of shape"):
            z[0, 0] = 1
    with pytest.raises(TypeError, match="float16"):
        zarr.create_array(
            zarr.storage.MemoryStore(), shape=(4,), chunks=(4,), dtype="i4", serializer=q, compressors=None
        )


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    q = StochasticQuant(5, "max", seed=7)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("filter", data=X, chunks=(16, 32), compression=q)
        hdf5.write(f.create_dataset("direct", X.shape, "f4", chunks=(16, 32), compression=q), X)
        info = hdf5.info(f["direct"])
        assert {"id": q.codec_id, **info["parameters"]} == q.get_config()
        with pytest.raises(ValueError, match="item 17 is for float16"):
            f.create_dataset("i", data=X.astype("i4"), chunks=(16, 32), compression=q)
        drawn = [f.create_dataset(name, data=X, compression=StochasticQuant(5)) for name in "ab"]
        assert len({hdf5.info(dataset)["parameters"]["seed"] for dataset in drawn}) == 2
        with pytest.raises(NotFiniteError, match="chunk at"):
            hdf5.write(f["direct"], np.full(X.shape, np.nan, "f4"))
        with pytest.raises(ParameterError, match="would be encoded once more"):
            hdf5.write(f["direct"], X[:3], np.s_[:3])
        broken = X.copy()
        broken[3, 3] = np.nan
        f.create_dataset("nan", data=broken, chunks=(16, 32), compression=q)  # that chunk stays as it is
    with h5py.File(tmp_path / "a.h5") as f:
        values = f["filter"][...]
        assert np.abs(values - X).max() <= np.abs(X).max() / 31 / 2
        assert np.array_equal(values, f["direct"][...]) and np.array_equal(values, hdf5.read(f["direct"]))
        for offset in ((0, 0), (16, 64)):
            assert f["filter"].id.read_direct_chunk(offset) == f["direct"].id.read_direct_chunk(offset)
        assert np.array_equal(f["nan"][:16, :32], broken[:16, :32], equal_nan=True)
        assert f["nan"].id.read_direct_chunk((0, 0))[0] == 1 and f["nan"].id.read_direct_chunk((16, 0))[0] == 0


def test_hdf5_refuses_what_makes_no_sense(tmp_path):
    h5py = pytest.importorskip("h5py")
    bad = {
        (17, 4 | 2 << 8, 0, 0, 0): "method 2", (17, 0, 0, 0, 0): "0 bits", (17, 10, 0, 0, 0): "10 bits",
        (17, 4, 0, 0): "item 17 takes 4 values", (17, 4, 0, 0, 0, 14, 5): "level", (17, 4, 0, 0, 0, 2, 10): "tolerance",
        (17, 4, 0, 0, 0, 17, 4, 0, 0, 0): "method is given twice", (9, 17, 4, 0, 0, 0): "bfloat16",
    }  # fmt: skip
    with h5py.File(tmp_path / "a.h5", "w") as f:
        for values, what in bad.items():
            with pytest.raises(ValueError, match=what):
                f.create_dataset("x", (10, 10), "f4", chunks=(5, 5), compression=35117, compression_opts=values)
