"""Floats without loss: every bit comes back, and fields are smaller for being predicted."""

import numpy as np
import pytest
from arrays import bits, payload_nans
from test_fields import field

from arraycodec import decode, encode, inspect
from arraycodec.codec import decode_range

FLOATS = ["f4", "f8", ">f4", ">f8", "f2", "c8", "c16"]


def smooth(shape, dtype, seed=0):
    x = 100 * field(shape, seed, 1e-3)
    return (x + 1j * x[::-1] if np.dtype(dtype).kind == "c" else x).astype(dtype)


def check(x, **parameters):
    """The chunk of an array, which is decoded to the same bits."""
    chunk = encode(x, 0, **parameters)
    y = decode(chunk)
    assert y.dtype == x.dtype and y.shape == x.shape and np.array_equal(bits(y), bits(x))
    return chunk


def modes(chunk):
    return {block.mode for block in inspect(chunk).blocks}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("level", range(1, 10))
def test_fields(dtype, level):
    x = smooth((30, 40, 50), dtype, level)
    chunk = check(x, level=level)
    assert modes(chunk) == {"split"} or np.dtype(dtype).itemsize == 2
    assert len(chunk) < len(check(x, level=level, predictor="none"))


@pytest.mark.parametrize("shape", [(20000,), (150, 200), (20, 30, 40), (5, 16, 17, 18), (2, 3, 4, 20, 30)])
@pytest.mark.parametrize("predictor", ["auto", "lorenzo", "interpolation", "linear"])
def test_shapes_and_predictors(shape, predictor):
    x = smooth(shape, "f4", len(shape))
    check(x, predictor=predictor)
    check(np.asfortranarray(x), predictor=predictor, level=2)
    check(x, predictor=predictor, box_len=5000) if x.ndim > 1 else check(x, predictor=predictor, block_len=5000)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
def test_what_lattices_have_not(dtype):
    """Negative zeros, subnormals, NaN with payloads and infinities among the values of a field."""
    x = smooth((60, 70), dtype)
    rng = np.random.default_rng(1)
    some = rng.choice(x.size, 60, replace=False)
    tiny = np.finfo(dtype).smallest_subnormal
    x.ravel()[some] = np.resize(np.array([-0.0, 0.0, tiny, -tiny, 7 * tiny, np.inf, -np.inf], dtype), 60)
    nans = payload_nans(dtype)
    x.ravel()[some[:20]] = np.resize(nans, 20)
    for level in (1, 5, 9):
        check(x, level=level)
        check(np.asfortranarray(x), level=level)


@pytest.mark.parametrize("scale", [1e-42, 1e-38, 1e-30, 1e30, 1e36])
def test_any_scale(scale):
    """Where values are subnormal, and where they are nearly infinite."""
    x = (smooth((70, 80), "f8") * scale).astype("f4")
    check(x)
    with np.errstate(over="ignore"):
        check(np.ldexp(smooth((70, 80), "f8"), int(np.log2(scale) * 8)))


def test_scales_of_many_octaves():
    """Logarithms are smooth, values are not: images."""
    x = np.exp(8 * field((90, 100), 3, 1e-4))
    chunk = check(x)
    assert modes(chunk) == {"split"}
    check(x.astype("f4"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_packed_fields(dtype):
    """Their integers are predicted, whatever the formula they were unpacked by.

    What is a little off is adjusted, what is far off refused.
    """
    k = np.rint(3000 * field((60, 70), 2, 1e-3)).astype(dtype)
    scale, offset = np.array([0.01, 273.15], dtype)
    x = k * scale + offset
    x[7, 30:33] = np.nextafter(x[7, 30:33], np.array(1e9, dtype))
    x[9, :4] += 0.3 * scale
    chunk, others = check(x), check(k * np.array(1.7**20, dtype))
    assert modes(chunk) == {"split"} and inspect(chunk).blocks[0].raw_exceptions == 4
    assert len(chunk) < 0.6 * len(check(x, predictor="none")) and modes(others) == {"split"}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_packed_within_a_tolerance(dtype):
    """Finer than the lattice: its integers are smaller than what the tolerance permits, and lose nothing."""
    x = np.rint(3000 * field((60, 70), 2, 1e-3)).astype(dtype) * np.array(0.01, dtype) + np.array(273.15, dtype)
    x[5, 5:9] = np.nan
    exact = check(x)
    for tol in (1e-4, 4e-3):
        chunk = encode(x, tol)
        assert modes(chunk) == {"split"} and np.array_equal(bits(decode(chunk)), bits(x))
        assert len(chunk) < len(exact) + 20
    assert modes(encode(x, 0.1)) == {"predicted"}


@pytest.mark.parametrize("level", [5, 9])
def test_packed_by_other_arithmetic(level):
    """Of which the formula is not known: each is off by some units in the last place."""
    x = np.rint(3000 * field((60, 70), 2, 1e-3)) * 0.0173 + 11
    off = np.random.default_rng(1).integers(-1, 2, x.shape)
    for y in (np.cbrt(x**3), (x.view(np.int64) + off).view(np.float64)):
        chunk = check(y, level=level)
        # how far NumPy's cbrt is off depends on the machine, and with it how much is left to say
        assert modes(chunk) == {"split"} and len(chunk) < 0.15 * y.nbytes
        assert len(chunk) < 0.5 * len(check(y, predictor="none"))


def rounded(x, text):
    return np.array([float(format(v, text)) for v in x.ravel().tolist()]).reshape(x.shape)


@pytest.mark.parametrize("scale", [1e-30, 1e-17, 1e-3, 1.0, 1e6])
def test_numbers_with_so_many_digits(scale):
    """As text has them: no bit is spent on what follows from these, whatever the decimal exponent."""
    x = rounded(scale * np.cumsum(np.cumsum(np.random.default_rng(3).normal(size=5000))), ".10e")
    chunk, beyond = check(x), check(x * (1 + 1e-13 * np.random.default_rng(4).normal(size=5000)))
    assert modes(chunk) == {"split"} and len(chunk) < 0.75 * len(beyond)
    check(-x)
    x[::200] *= 1.1**0.5  # some have more
    assert len(chunk) < len(check(x)) < len(beyond)


@pytest.mark.parametrize("places", [0, 3, 9])
def test_numbers_with_so_many_places(places):
    """More than 2^30 of them, beyond integers of affine lattices."""
    x = rounded(10.0 ** (11 - places) * field((60, 70), 1, 1e-2), f".{places}f")
    chunk = check(x)
    assert modes(chunk) == {"split"} and len(chunk) < 0.75 * len(check(x + np.pi * 0.1**places))
    check(np.round(x, 1) + 1j * x)


def test_single_numbers_with_few_digits():
    """As "%g" has them."""
    x = rounded(np.exp(field((60, 70), 1, 1e-2)), ".4e").astype("f4")
    beyond = (x * (1 + 1e-6 * np.random.default_rng(5).normal(size=x.shape))).astype("f4")
    chunk = check(x)
    assert modes(chunk) == {"split"} and len(chunk) < 0.85 * len(check(beyond))


def test_decimals_and_others():
    """Zeros of both signs, NaN, tiny and huge values among decimals."""
    x = rounded(1e-5 * np.cumsum(np.random.default_rng(4).normal(size=3000)), ".9e")
    x[[5, 50, 500, 501, 502, 700]] = [-0.0, 0.0, np.nan, 1e-300, 5e-324, 1e300]
    for level in (1, 5, 9):
        check(x, level=level)
    check(np.where(np.arange(3000) % 3 == 0, 0, x))


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "c16"])
@pytest.mark.parametrize("level", [7, 9])
def test_repeated_values(dtype, level):
    """Of noise, which nothing predicts: one by one, in runs, with NaN and zeros between, and over the whole block."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=30000).astype(dtype)
    others = len(check(x, level=level))
    x[20000:23000] = x[1000:4000]
    x[25000:30000:2] = x[21000:26000:2]
    x[5000:5100] = np.tile(x[:2], 50)
    x[::97] = np.nan
    x[1::97] = 0
    chunk = check(x, level=level)
    assert inspect(chunk).copies > 3000 and len(chunk) < 0.95 * others
    check(np.stack([x, x[::-1]]), level=level, box_len=9000)
    assert inspect(check(x, level=4)).copies == 0


def test_near_repetitions():
    """Of which a glance says that they are worth their time at the default level."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=40000)
    at = 100 + np.flatnonzero(rng.random(39900) < 0.2)
    for i in at.tolist():
        x[i] = x[i - rng.integers(1, 100)]
    chunk = check(x)
    assert inspect(chunk).copies > 5000 and len(chunk) < 0.9 * len(check(x, level=4))


def test_fields_of_few_values():
    """Which stand again and again, but are smaller as they are predicted."""
    x = np.round(smooth((90, 100), "f4"), 1)
    assert modes(check(x, level=7)) == {"split"}


def first_multiple(a, m, low, high):
    """The least x for which a x modulo m is in low .. high, or None."""
    if low == 0 or not a % m:
        return None if low else 0
    a %= m
    if 2 * a > m:
        return first_multiple(m - a, m, m - high, m - low)
    if a * (x := -(-low // a)) <= high:
        return x
    y = first_multiple(-m % a, a, low % a, high % a)
    return None if y is None else -(-(low + m * y) // a)


@pytest.mark.parametrize("places", range(23, 51))
def test_decimals_are_never_in_the_middle(places):
    """Between two doubles, nor so near to it that a quotient does not tell which is nearer (ext/core/decimal.c).

    A number of L bits times 2^X is significand + 1/2 in units of 2 * 5^places, and a fraction; the quotient, of which
    75 bits are below the significand, is less than four units too small.
    """
    power = 5**places
    m, near = 2 * power, 4 * 2 * power >> 75
    for length in range(1, 54):
        for low in (0, 1):
            a = pow(2, 53 - length + low + power.bit_length(), m)
            first, last = (power - near - (a << length - 1)) % m, (power + near - (a << length - 1)) % m
            for part in [(first, last)] if first <= last else [(first, m - 1), (0, last)]:
                x = first_multiple(a, m, *part)
                assert x is None or x >= 2 ** (length - 1)


@pytest.mark.parametrize("narrow", ["f4", "f2"])
def test_values_of_narrower_types(narrow):
    """What their significands have not costs nothing."""
    x = smooth((80, 90), narrow) - smooth((80, 90), narrow, 3).mean(dtype=narrow)
    as_double, as_it_was = check(x.astype("f8")), check(x)
    assert len(as_double) < 1.02 * len(as_it_was) + 40
    assert narrow == "f2" or modes(as_double) == {"split"}


def test_zeros_are_masked():
    x = smooth((80, 90), "f4")
    x[x < 0] = 0
    chunk = check(x)
    assert inspect(chunk).masked == np.count_nonzero(x == 0)
    check(-x)


def test_small_values():
    """What the lattice has not: zeros, one of them negative, and values far below its step."""
    x = smooth((80, 90), "f4") + np.float32(1000)
    x[::40, ::40] = [[-0.0, 0.0, 1e-3], [1e-9, -1e-4, 1e-41]]
    chunk = check(x)
    assert modes(chunk) == {"split"} and inspect(chunk).blocks[0].raw_exceptions == 0


def test_short_blocks():
    x = smooth((20, 30), "f4")
    assert modes(check(x)) == {"split"}
    for n in (1, 2, 7, 63, 64, 65, 200):
        check(x.ravel()[:n])
        check(x.astype("f8").ravel()[:n], level=9, predictor="lorenzo")


def test_what_is_not_predictable():
    """Noise stays what it was: no level spends bytes on its prediction."""
    x = np.random.default_rng(5).normal(size=(200, 300)).astype("f4")
    chunk = check(x)
    assert modes(chunk) == {"exact"} and chunk == check(x, predictor="none")


def test_rewritten_in_parts():
    """Whatever is written again with others, it is the same."""
    x, rng = smooth((40, 50, 60), "f4"), np.random.default_rng(6)
    y = x.copy()
    for _ in range(5):
        part = tuple(slice(a, a + 9) for a in rng.integers(0, 30, 3))
        x[part] = y[part] = rng.normal(size=y[part].shape)
        y = decode(encode(y, 0))
    assert np.array_equal(bits(x), bits(y))


def test_ranges_of_a_chunk():
    x = smooth((30, 60, 70), "f4")
    chunk = check(x, box_len=9000)
    for first, count in ((0, 1), (5000, 70), (77777, 30000)):
        assert np.array_equal(bits(decode_range(chunk, first, count)), bits(x.ravel()[first : first + count]))
