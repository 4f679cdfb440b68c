"""Every dtype and every bound, through `encode` and `decode`: the promise in rational arithmetic."""

import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from arrays import payload_nans

from arraycodec import AnsQuant, ParameterError, decode, encode, inspect, peek, verify
from arraycodec.dtypes import bfloat16, is_lossy, is_supported

FLOATS = ["f2", "f4", "f8"]
INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
DATES = ["M8[ns]", "m8[s]", "M8[5D]", "m8"]
ALL = [*FLOATS, "c8", "c16", *INTEGERS, "?", *DATES]
RNG = np.random.default_rng(4)
NORMAL = RNG.normal(size=3000)


def fractions(x):
    """The values of an array as exact numbers, complex ones as two."""
    if x.dtype.kind == "c":
        x = x.view(f"f{x.dtype.itemsize // 2}")
    return [Fraction(v) for v in x.ravel().tolist()]


def assert_promise(x, y, tol=0, rtol=0, fill=None):
    """|x - y| <= max(tol, rtol |x|) for finite values, all others and fill values bit for bit."""
    assert y.dtype == x.dtype and y.shape == x.shape
    x, y = (np.ascontiguousarray(a, a.dtype.newbyteorder("=")).ravel() for a in (x, y))
    if x.dtype.kind in "bmM":
        assert x.tobytes() == y.tobytes()
        return
    if x.dtype.kind == "c":
        x, y = (a.view(f"f{a.dtype.itemsize // 2}") for a in (x, y))
    if x.dtype.kind in "iu":
        rtol = 0
    exact = ~np.isfinite(x) | ((x == fill) if fill is not None else False)
    assert x[exact].tobytes() == y[exact].tobytes()
    tol, rtol = Fraction(tol), Fraction(rtol)
    for a, b in zip(fractions(x[~exact]), fractions(y[~exact]), strict=True):
        assert abs(a - b) <= max(tol, rtol * abs(a)), (a, b)


def sample(dtype, n=600):
    """Values of all sizes, extremes and special ones."""
    dtype = np.dtype(dtype)
    native = dtype.newbyteorder("=")
    if native.kind == "c":
        parts = sample(f"f{native.itemsize // 2}", 2 * n)
        return parts.view(native).astype(dtype)
    if native.kind in "bmM":
        size = native.itemsize
        bits = RNG.integers(0, 2, n, "u1") if size == 1 else RNG.integers(-(2**63), 2**63, n)
        return bits.view(native).astype(dtype)
    if native.kind in "iu":
        info = np.iinfo(native)
        x = np.clip(np.round(NORMAL[:n] * 30), info.min, info.max).astype(native)
        x[::9] = RNG.integers(info.min, info.max, len(x[::9]), native, endpoint=True)
        x[:4] = info.min, info.max, 0, info.max - 1
        return x.astype(dtype)
    info = np.finfo(native)
    x = NORMAL[:n].astype(native)
    x[::7] *= native.type(100)
    x[3::11] = 0
    x[::13] = -0.0
    x[:6] = info.max, info.min, info.tiny, info.smallest_subnormal, -info.smallest_subnormal, 1
    x[6::50] = np.nan
    if native.itemsize > 2:
        x[20:27] = payload_nans(native)
    x[30:200:17] = np.inf
    return x.astype(dtype)


def layouts(x):
    """The same values in every memory layout."""
    x = x.reshape(20, -1)
    wide = np.zeros((40, 2 * x.shape[1]), x.dtype)
    wide[::2, ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    raw = np.zeros(x.nbytes + 1, "u1")
    unaligned = raw[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    return {
        "C": x, "F": np.asfortranarray(x), "reversed": x[::-1, ::-1], "strided": wide[::2, ::2], "read-only": readonly,
        "unaligned": unaligned, "0-d": x[1, 2], "empty": x[:0], "5-D": x.reshape(4, 5, 2, -1, 3),
    }  # fmt: skip


BOUNDS = [{"tol": 0}, {"tol": 0.37}, {"tol": 5}, {"rtol": 0.01}, {"tol": 0.01, "rtol": 0.003}, {"tol": 1e30}]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ALL)
def test_every_dtype_bound_and_layout(dtype, order):
    for name, x in layouts(sample(np.dtype(dtype).newbyteorder(order))).items():
        for bound in BOUNDS:
            chunk = encode(x, **bound)
            y = decode(chunk)
            assert_promise(np.asarray(x), y, **bound)
            assert verify(x, y, **bound), (name, bound)
            assert decode(encode(y, **bound)).tobytes() == y.tobytes(), (name, bound)
            assert len(chunk) <= np.asarray(x).nbytes + 60


@pytest.mark.parametrize("dtype", ALL)
def test_random_bits(dtype):
    size = np.dtype(dtype).itemsize
    x = RNG.integers(0, 2 if dtype == "?" else 256, (200, size), "u1").reshape(-1).view(dtype)
    for bound in BOUNDS:
        y = decode(encode(x, **bound))
        assert_promise(x, y, **bound)
        assert decode(encode(y, **bound)).tobytes() == y.tobytes()


def test_bool_keeps_odd_bytes():
    x = RNG.integers(0, 256, 1000, "u1").view("?")
    assert decode(encode(x, 1)).tobytes() == x.tobytes()


# ---- 16-bit floats ----
def values_of(x):
    """bfloat16 as float32, which holds it exactly."""
    x = np.asarray(x)
    return (x.view("u2").astype("u4") << 16).view("f4") if x.dtype != np.float16 else x


@pytest.mark.parametrize("view", [None, "bfloat16"])
@pytest.mark.parametrize(
    "bound", [*BOUNDS, {"tol": 2**-12}, {"tol": 1e-4}, {"tol": 0.1}, {"rtol": 2**-9}, {"rtol": 0.3}], ids=str
)
def test_all_16_bit_floats(view, bound):
    patterns = np.arange(1 << 16).astype("u2")
    for bits in (patterns, RNG.permutation(patterns)):
        x = bits if view else bits.view("f2")
        y = decode(encode(x, **bound, dtype=view))
        assert y.itemsize == 2 and y.dtype == (bfloat16() if view else np.float16)
        again = decode(encode(y.view("u2") if view else y, **bound, dtype=view))
        assert again.tobytes() == y.tobytes()
        with np.errstate(invalid="ignore"):  # signalling NaN
            a, b = values_of(x).astype("f8"), values_of(y).astype("f8")
        special = ~np.isfinite(a)
        assert bits[special].tobytes() == y.view("u2")[special].tobytes()
        # doubles hold these differences and products exactly
        error = np.abs(a[~special] - b[~special])
        within = error <= bound.get("tol", 0)
        rel = Fraction(bound.get("rtol", 0))
        for i in np.flatnonzero(~within):
            assert Fraction(error[i]) <= rel * abs(Fraction(a[~special][i]))
        assert verify(x, y.view(x.dtype), **bound, dtype=view)


def test_bfloat16_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = NORMAL.astype(ml_dtypes.bfloat16)
    y = decode(encode(x, 0.01))
    assert y.dtype == x.dtype and verify(x, y, 0.01)
    assert encode(x, 0.01) == encode(x.view("u2"), 0.01, dtype="bfloat16")
    out = np.empty(x.shape, "u2")
    decode(encode(x, 0.01), out)
    assert out.tobytes() == y.tobytes()
    assert decode(encode(x, 0.01), selection=np.s_[5:9]).tobytes() == y[5:9].tobytes()


def test_uint16_is_bfloat16_only_if_said():
    bits = NORMAL.astype("f4").view("u4") >> 16
    x = bits.astype("u2")
    assert peek(encode(x, 0.01)).dtype == np.uint16
    assert peek(encode(x, 0.01, dtype="bfloat16")).dtype == bfloat16()
    big = encode(x.astype(">u2"), 0.01, dtype="bfloat16")
    assert decode(big).dtype == ">u2"
    assert np.array_equal(decode(big), decode(encode(x, 0.01, dtype="bfloat16")).view("u2"))
    with pytest.raises(TypeError, match="uint16 arrays, not float32"):
        encode(NORMAL.astype("f4"), 0.01, dtype="bfloat16")


# ---- relative bounds ----
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rtol", [0.99, 0.5, 0.1, 1e-2, 2**-13, 1e-4, 1e-6, 2**-24, 1e-12, 2**-53])
def test_relative_bounds_on_all_scales(dtype, rtol):
    info = np.finfo(dtype)
    exponents = RNG.uniform(np.log2(info.tiny), np.log2(info.max), 1500)
    with np.errstate(all="ignore"):
        x = (np.exp2(exponents) * RNG.choice([-1, 1], 1500)).astype(dtype)
        x[::100] = 0
        x[50::100] = info.smallest_subnormal * RNG.integers(1, 50, 15)
    y = decode(encode(x, rtol=rtol))
    assert_promise(x, y, rtol=rtol)
    assert np.array_equal(x[x == 0], y[x == 0]) and np.array_equal(np.sign(x), np.sign(y))
    assert decode(encode(y, rtol=rtol)).tobytes() == y.tobytes()


def test_relative_bounds_cost_little_more_than_a_logarithm():
    x = np.exp(RNG.uniform(0, np.log(2) * 64, 1 << 18))
    for dtype in ("f4", "f8"):
        for rtol in (0.1, 1e-2, 1e-3, 1e-5):
            bins = np.ceil(1 / np.log2((1 + rtol) / (1 - rtol)))  # in each of 64 octaves
            assert inspect(encode(x.astype(dtype), rtol=rtol)).bits_per_value < np.log2(64 * bins) + 0.1


def test_both_bounds_are_the_larger_one():
    """Small values take the absolute bound, large ones the relative: fewer bits than with either."""
    x = (10.0 ** RNG.uniform(-6, 6, 1 << 16)).astype("f4")
    bounds = {"tol": 1e-2, "rtol": 1e-3}, {"tol": 1e-2}, {"rtol": 1e-3}
    both, absolute, relative = (len(encode(x, **bound)) for bound in bounds)
    assert both < relative < absolute
    y = decode(encode(x, 1e-2, rtol=1e-3))
    error = np.abs(x.astype("f8") - y)
    assert error[x < 1].max() > 2e-3 and error[x > 1e3].max() > 0.1


def test_a_relative_bound_too_small_for_the_type_is_none():
    assert peek(encode(NORMAL.astype("f4"), rtol=1e-9)).rtol == 0
    assert np.array_equal(decode(encode(NORMAL.astype("f4"), rtol=1e-9)), NORMAL.astype("f4"))
    assert peek(encode(NORMAL, rtol=1e-9)).rtol == 1e-9


# ---- integers ----
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_tolerances_at_the_ends_of_the_range(dtype):
    info = np.iinfo(dtype)
    ends = [info.min, info.max, 0, *(info.min + i for i in range(40)), *(info.max - i for i in range(40))]
    x = np.array(ends * 3, dtype)
    for tol in (0, 1, 2.9, 3, 100, info.max // 2, float(info.max), 2.0**63, 1e300):
        y = decode(encode(x, tol))
        assert_promise(x, y, tol)
        assert decode(encode(y, tol)).tobytes() == y.tobytes()
    assert peek(encode(x, 2.9)).whole == 2


def test_large_integers_do_not_become_doubles():
    x = np.array([2**63 - 1, 2**62 + 1, 2**53 + 1, -(2**53) - 1] * 100)
    assert np.array_equal(decode(encode(x, 0)), x)
    y = decode(encode(x, 3))
    assert max(abs(int(a) - int(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)) <= 3


# ---- missing values ----
@pytest.mark.parametrize("dtype", [*FLOATS, "i2", "i8", "u4", "c8"])
def test_fill_values_are_kept(dtype):
    fill = 7 if np.dtype(dtype).kind == "u" else -9999
    x = np.abs(NORMAL * 100).astype(dtype).reshape(50, 60)
    x[10:30, 20:50] = x[::9, ::7] = fill
    for bound in ({"tol": 20}, {"tol": 3, "rtol": 0.1}, {"rtol": 0.1}):
        y = decode(encode(x, **bound, fill_value=fill))
        assert_promise(x, y, **bound, fill=np.array(fill).astype(dtype))
        assert verify(x, y, **bound, fill_value=fill)


def test_what_is_not_declared_is_a_value_like_any_other():
    x = NORMAL.astype("f4")
    x[5:40] = -9999.3
    y = decode(encode(x, 20))
    assert verify(x, y, 20) and not verify(x, y, 20, fill_value=-9999.3)


def test_fill_values_are_kept_beside_many_patterns():
    """More patterns than a mask can hold: the fill value comes first, the others are listed."""
    x = NORMAL.astype("f4")
    x.view("u4")[::3] = 0x7FC00000 + np.arange(1000)
    x[1::3] = -9999
    y = decode(encode(x, 50.0, fill_value=-9999))
    assert x[::3].tobytes() == y[::3].tobytes() and (y[1::3] == -9999).all()


def test_masks_are_small():
    y, x = np.mgrid[:512, :512]
    land = np.hypot(y - 200, x - 260) < 150 + 20 * np.sin(x / 9)
    field = np.where(land, np.nan, np.float32(1))
    assert inspect(encode(field, 1e-3)).bits_per_value < 0.02  # the coast, and one value
    assert len(encode(land, 0)) < 700
    assert len(encode(np.full((1000, 1000), np.nan, "f4"), 1e-3)) < 100
    assert len(encode(np.full(10**6, 3.5), 1e-3)) < 100


def test_edges_cost_little():
    """Where 2.4 % of the values are refused: 16.70 bits with their bits stored, 16.19 without."""
    x = RNG.uniform(9e4, 1.05e5, 1 << 20).astype("f4")
    info = inspect(encode(x, 0.1))
    assert sum(b.edges for b in info.blocks) > 20_000 and info.bits_per_value < 16.45
    y = decode(encode(x, 0.1))
    assert verify(x, y, 0.1) and np.array_equal(decode(encode(y, 0.1)), y)


# ---- parameters ----
@pytest.mark.parametrize(
    "parameters, error, text",
    [
        ({"tol": -1}, ParameterError, "-1"), ({"tol": np.nan}, ParameterError, "nan"),
        ({"tol": np.inf}, ParameterError, "inf"), ({"tol": "1"}, TypeError, "'1'"), ({"tol": True}, TypeError, "True"),
        ({"tol": 1j}, TypeError, "1j"), ({"rtol": -0.1}, ParameterError, "-0.1"), ({"rtol": 1}, ParameterError, "1"),
        ({"rtol": 2.5}, ParameterError, "2.5"), ({"rtol": np.nan}, ParameterError, "nan"),
        ({"rtol": "x"}, TypeError, "'x'"), ({}, ParameterError, "tolerance"),
        ({"tol": 1, "fill_value": "x"}, TypeError, "'x'"), ({"tol": 1, "fill_value": True}, TypeError, "True"),
        ({"tol": 1, "dtype": "float8"}, ParameterError, "float8"),
        ({"tol": 1, "fill_value": 1 + 2j}, ParameterError, "complex"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_parameters_are_refused_with_their_value(parameters, error, text):
    with pytest.raises(error, match=text):
        encode(NORMAL, **parameters)


def test_fill_values_that_an_integer_array_cannot_hold():
    for dtype, fill in (("u2", -9999), ("i1", 128), ("i4", 0.5)):
        with pytest.raises(ParameterError, match=str(fill)):
            encode(np.zeros(5, dtype), 1, fill_value=fill)


def test_objects_keep_their_parameters():
    objects = [
        AnsQuant(1e-3), AnsQuant(rtol=1e-2), AnsQuant(1e-3, 1e-2, fill_value=-9999, dtype="bfloat16"),
        AnsQuant(0, fill_value=1 - 2j, threads=3), AnsQuant(1, fill_value=np.float32(0.5)),
    ]  # fmt: skip
    assert len(set(objects)) == len(objects)
    for q in objects:
        config = json.loads(json.dumps(q.get_config()))
        assert config.pop("id") == "ansquant" and AnsQuant(**config) == q
        assert pickle.loads(pickle.dumps(q)) == q and eval(repr(q)) == q
        assert dict(q["configuration"]) == q.get_config() | {} if "id" not in q.get_config() else True
    assert AnsQuant(1, fill_value=np.nan) == AnsQuant(1)  # NaN is always kept
    assert AnsQuant(1e-3, fill_value=-9999).get_config() == {"id": "ansquant", "tol": 1e-3, "fill_value": -9999}


def test_what_is_supported():
    for dtype in ALL:
        assert is_supported(dtype) and is_lossy(dtype) == (np.dtype(dtype).kind not in "bmM")
    for dtype in ("g", "O", "S3", "U2", "V4", [("a", "f4")]):
        assert not is_supported(dtype)
