"""Predicted blocks: the bound, what they save, and that rewrites move nothing."""

import numpy as np
import pytest

from arraycodec import decode, encode, inspect, verify

PREDICTING = AUTO, LORENZO, INTERPOLATION, LINEAR = "auto", "lorenzo", "interpolation", "linear"
PREDICTORS = ("none", *PREDICTING)


def field(shape, seed=0, noise=1e-3):
    """Waves along every axis, and a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * noise
    for axis, n in enumerate(shape):
        along = [1] * len(shape)
        along[axis] = n
        x = x + np.sin(np.arange(n) * rng.uniform(0.05, 0.3) + rng.uniform(0, 6)).reshape(along) * rng.uniform(0.5, 2)
    return x


SHAPES = [(1,), (2,), (1000,), (7, 1), (1, 9), (33, 45), (130, 200), (5, 6, 7), (12, 40, 33), (3, 1, 20, 17),
          (4, 5, 6, 7), (2, 3, 2, 9, 8), (600, 500), (40, 90, 91)]  # fmt: skip


@pytest.mark.parametrize("predictor", PREDICTING)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4", "c8"])
def test_bound(shape, dtype, predictor):
    x = field(shape).astype(dtype)
    for level, tol in ((1, 0.01), (2, 2.0**-7), (5, 0.3), (5, 1e-4), (9, 0.003)):
        chunk = encode(x, tol=tol, level=level, predictor=predictor)
        y = decode(chunk)
        assert y.dtype == x.dtype and verify(x, y, tol).violations == 0
        # values that are on the finer lattice by chance take a little
        assert len(chunk) <= 1.05 * len(encode(x, tol=tol, level=level, predictor="none")) + 64


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_special_values_and_memory_order(dtype):
    x = field((60, 70)).astype(dtype)
    x[10:20, 30:50] = np.nan
    x[5, 5], x[6, 6], x[-1, -1] = np.inf, -np.inf, np.nan
    x[40:50, :9] = 0
    for array in (x, np.asfortranarray(x), x[::-1, ::2]):
        chunk = encode(array, tol=0.01, predictor=AUTO)
        assert inspect(chunk).blocks[0].mode in ("predicted", "uniform")
        assert verify(np.ascontiguousarray(array), np.ascontiguousarray(decode(chunk)), 0.01).violations == 0


@pytest.mark.parametrize(("shape", "ratio"), [((4000,), 0.7), ((200, 200), 0.35), ((30, 40, 50), 0.35)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_smooth_data_is_much_smaller(shape, ratio, dtype):
    x = field(shape, noise=1e-4).astype(dtype)
    chunk = encode(x, tol=1e-2, predictor=AUTO)
    assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
    assert len(chunk) < ratio * len(encode(x, tol=1e-2, predictor="none"))


@pytest.mark.parametrize("part", [0.003, 0.05])
def test_special_values_among_smooth_ones(part):
    """Too few and too scattered for a mask elsewhere: predictions need one."""
    x = field((40, 50, 60), noise=1e-4).astype("f4")
    special = np.random.default_rng(3).random(x.shape) < part
    x[special] = np.where(np.arange(special.sum()) % 5, np.nan, np.inf)
    chunk = encode(x, tol=1e-2, predictor=AUTO)
    assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
    assert verify(x, decode(chunk), 1e-2).violations == 0
    assert len(chunk) < 0.5 * len(encode(x, tol=1e-2, predictor="none"))


@pytest.mark.parametrize("shape", [(6000,), (5, 1000), (2000, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
def test_signals(shape, dtype):
    """Oscillations are predicted along rows, from as many values before as they need."""
    rng, t = np.random.default_rng(5), np.arange(6000)
    x = sum(np.sin(t * rate + rng.uniform(0, 6)) for rate in (0.4, 0.9, 1.7, 2.3)) + rng.normal(size=6000) * 1e-3
    x = np.stack([np.roll(x, 100 * k)[: max(shape)] for k in range(np.prod(shape) // max(shape))])
    x = (x.T if shape[-1] == 3 else x).reshape(shape).astype(dtype)
    tol = 0.01 if dtype == "f2" else 0.003
    chunk = encode(x, tol=tol, predictor=AUTO)
    assert verify(x, decode(chunk), tol).violations == 0
    assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
    assert len(chunk) < (0.8 if dtype == "f2" else 0.5) * len(encode(x, tol=tol, predictor="none"))


def test_noise_stays_as_it_is():
    x = np.random.default_rng(1).normal(size=(100, 300)).astype("f4")
    assert len(encode(x, tol=1e-3, predictor=AUTO)) <= 1.02 * len(encode(x, tol=1e-3, predictor="none"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nothing_to_predict_is_left_alone(dtype):
    """Weights: parts of one array that are larger than others, sparse ones, few bits; as without a predictor."""
    rng = np.random.default_rng(7)
    scales = np.repeat(np.exp(rng.normal(size=60)), 1500)
    noise = (rng.normal(size=scales.size) * scales).astype(dtype)
    sparse = np.where(rng.random(noise.size) < 0.05, noise, 0).astype(dtype)
    for x in (noise, noise.reshape(300, 300), sparse, np.rint(noise), rng.normal(size=50).astype(dtype)):
        assert encode(x, tol=1e-3, predictor=AUTO) == encode(x, tol=1e-3, predictor="none")


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
def test_predictors_mix_in_a_store(dtype):
    """What one of them makes of values, the others keep; only what came back as it was may still be rounded."""
    x = field((30, 40, 25)).astype(dtype)
    x[3:9, 10:20] = 0
    for tol in (0.05, 1e-3):
        for before in PREDICTORS:
            y = decode(encode(x, tol=tol, predictor=before))
            for after in PREDICTORS:
                z = decode(encode(y, tol=tol, predictor=after, level=int(np.random.default_rng(1).integers(1, 10))))
                assert not ((y != z) & (y != x)).any() and verify(x, z, tol)


def test_boxes_and_threads():
    x = field((20, 200, 210)).astype("f4")
    chunk = encode(x, tol=1e-2, predictor=AUTO)
    assert len(inspect(chunk).blocks) > 1
    assert encode(x, tol=1e-2, predictor=AUTO, threads=3) == chunk
    y = decode(chunk)
    assert verify(x, y, 1e-2).violations == 0
    assert np.array_equal(decode(chunk, selection=np.s_[3:17:2, 50:180, 199]), y[3:17:2, 50:180, 199])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("shape", [(3000,), (60, 90), (10, 24, 30)])
@pytest.mark.parametrize("tol", [0.1, 1e-3])
def test_rewrites_never_drift(shape, dtype, tol):
    """Whatever is written beside a value, at whatever level: it stays within the bound of what it was first."""
    rng = np.random.default_rng(7)
    x = field(shape, seed=3, noise=0.02).astype(dtype)
    x[np.abs(x) < 0.2] = 0  # on every lattice
    first = x.copy()
    y = decode(encode(x, tol=tol, predictor=AUTO))
    for round in range(30):
        part = tuple(slice(*sorted(rng.integers(0, n + 1, 2))) for n in shape)
        new = (field(shape, seed=round)[part] * rng.choice([0.01, 1, 30])).astype(dtype)
        y[part], first[part] = new, new
        level, predictor = int(rng.integers(1, 10)), PREDICTING[rng.integers(3)]
        y = decode(encode(y, tol=tol, level=level, predictor=predictor))
        assert verify(first, y, tol).violations == 0


@pytest.mark.parametrize("level", [1, 5, 9])
def test_decoded_data_comes_back(level):
    for dtype in ("f4", "f8"):
        y = decode(encode(field((90, 120), noise=0.01).astype(dtype), tol=0.01, level=level, predictor=AUTO))
        assert np.array_equal(decode(encode(y, tol=0.01, level=level, predictor=AUTO)), y)


@pytest.mark.parametrize(("dtype", "tol"), [("f8", 1e-6), ("f8", 1e-3), ("f4", 1e-3)])
def test_decoded_data_comes_back_in_affine_blocks(dtype, tol):
    """Beside packed values that are too large for the uniform lattice, on which the others lie."""
    i, rng = np.arange(6400), np.random.default_rng(0)
    y = decode(encode((np.sin(i * 0.01) + np.cos(i * 0.003)).astype(dtype), tol=tol, predictor=INTERPOLATION))
    packed = (np.rint(rng.normal(size=20000) * 500) * (0.1 if dtype == "f8" else 0.5) + 1e7).astype(dtype)
    x = np.concatenate([packed, y, packed[:3000]])
    chunk = encode(x, tol=tol, predictor=AUTO)
    assert inspect(chunk).blocks[0].mode == "affine" or dtype == "f4"  # exact is smaller there
    decoded = decode(chunk)
    assert verify(x, decoded, tol).violations == 0
    assert np.array_equal(decoded[20000:26400], y)


def integers(dtype, shape=(60, 90), seed=0, noise=3e-3):
    """A relief, over all of the range of small types."""
    x = field(shape, seed, noise)
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if np.dtype(dtype).itemsize < 4 else (-40_000, 300_000)
    if np.dtype(dtype).kind == "u":
        low = max(low, 0)
    return (low + (x - x.min()) / (x.max() - x.min()) * (high - low)).astype(dtype)


@pytest.mark.parametrize("predictor", PREDICTING)
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", ">u2", "i4", ">i4", "u4", "i8", "u8"])
def test_integers(dtype, predictor):
    x = integers(dtype)
    for level, tol in ((1, 0), (5, 0), (5, 1), (7, 20), (9, 0)):
        chunk = encode(x, tol=tol, level=level, predictor=predictor)
        y = decode(chunk)
        assert y.dtype == x.dtype and verify(x, y, tol).violations == 0
        assert np.array_equal(decode(encode(y, tol=tol, level=level)), y)
        assert len(chunk) <= len(encode(x, tol=tol, level=level, predictor="none"))


@pytest.mark.parametrize("dtype", ["i2", "i4", "u8"])
@pytest.mark.parametrize("tol", [0, 2])
def test_integers_are_much_smaller(dtype, tol):
    x = integers(dtype, (300, 200), noise=1e-5)
    chunk = encode(x, tol=tol)
    assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
    assert verify(x, decode(chunk), tol).violations == 0
    assert len(chunk) < 0.97 * len(encode(x, tol=tol, predictor="none"))


def test_integers_far_from_zero_and_far_apart():
    x = integers("i8", (100, 120), noise=1e-5)
    for base in (2**63 - 10**6, -(2**63) + 10**6, 2**40):
        chunk = encode(x + base, tol=0)
        assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
        assert np.array_equal(decode(chunk), x + base)
    top = (2**64 - 1) - integers("u8", (100, 120), noise=1e-5)
    assert np.array_equal(decode(encode(top, tol=0)), top)
    apart = x * 10**9  # no base is near all of them
    assert "predicted" not in {block.mode for block in inspect(encode(apart, tol=0)).blocks}
    assert np.array_equal(decode(encode(apart, tol=0)), apart)


@pytest.mark.parametrize("predictor", PREDICTING)
@pytest.mark.parametrize("dtype", ["f8", "i4", "u4"])
def test_residuals_farther_than_a_list_has(dtype, predictor):
    """Predictions between values at both ends of the integers are as far off as these are apart, and farther."""
    rng = np.random.default_rng(4)
    x = np.rint(1000 * field((60, 80), noise=1e-4))
    x[-3:] = rng.choice([-1, 1], (3, 80)) * rng.integers(2**29 - 99, 2**29 - 9, (3, 80))
    x = (x - x.min() if dtype == "u4" else x).astype(dtype)
    for tol, level in ((0.5, 1), (0.5, 5), (0.5, 9), (2, 5)):
        assert verify(x, decode(encode(x, tol, level=level, predictor=predictor)), tol).violations == 0


def test_integers_with_a_fill_value():
    x = integers("i2", (200, 150), noise=1e-5)
    x[50:80, 40:] = -32768
    x[::37, ::41] = -32768
    for tol in (0, 3):
        chunk = encode(x, tol=tol, fill_value=-32768)
        y = decode(chunk)
        assert {block.mode for block in inspect(chunk).blocks} == {"predicted"}
        assert verify(x, y, tol).violations == 0 and np.array_equal(y == -32768, x == -32768)


def test_what_is_no_number_is_not_predicted():
    x = np.arange(40_000).reshape(200, 200)
    for array in (x % 7 < 3, x.astype("M8[s]"), x.astype("m8[s]")):
        assert "predicted" not in {block.mode for block in inspect(encode(array, tol=0, predictor=AUTO)).blocks}
        assert np.array_equal(decode(encode(array, tol=0, predictor=AUTO)), array)


def test_stencils():
    """From level 7 on differences along rows may have weights that fit the values."""
    steps = np.random.default_rng(2).normal(size=(6, 90, 160))
    for row in range(1, 90):
        steps[:, row] = 0.6 * steps[:, row - 1] + 0.1 * steps[:, row]
    x = np.cumsum(steps, axis=2).astype("f4")
    x[:, 30:50, 40:90] = np.nan
    sizes = {}
    for level in (5, 7, 9):
        chunk = encode(x, tol=1e-2, level=level, predictor=LORENZO)
        sizes[level] = len(chunk)
        assert verify(x, decode(chunk), 1e-2).violations == 0
    assert sizes[7] < 0.97 * sizes[5] and sizes[9] <= 1.01 * sizes[7]
