"""Arrays that tests share: hypothesis strategies, adversarial arrays, and exact comparison."""

from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st

from arraycodec import verify
from arraycodec.cli.adversarial import floats as torture
from arraycodec.cli.adversarial import payload_nans

__all__ = ["payload_nans", "torture"]  # beside what is defined here

DTYPES = [np.dtype("<f4"), np.dtype(">f4"), np.dtype("<f8"), np.dtype(">f8")]
NATIVE = [np.dtype("f4"), np.dtype("f8")]
#: All element types (but bfloat16) in both byte orders.
ALL_DTYPES = [
    *(np.dtype(c) for c in ("?", "i1", "u1")),
    *(np.dtype(order + c) for c in "i2 u2 i4 u4 i8 u8 f2 f4 f8 c8 c16".split() for order in "<>"),
    *(np.dtype(c) for c in ("<M8[s]", ">M8[10ms]", "<m8[ns]", ">m8[D]", "M8", "m8")),
]


def bits(a):
    """The bit patterns of an array, native byte order; of complex numbers those of the parts."""
    native = np.ascontiguousarray(a, a.dtype.newbyteorder("="))
    return native.view(f"u{a.dtype.itemsize // (2 if a.dtype.kind == 'c' else 1)}")


def numbers(dtype, shape, seed=0):
    """An array of any of ALL_DTYPES: normal numbers of some size, and those that are special for it."""
    rng = np.random.default_rng(seed)
    dtype, count = np.dtype(dtype), int(np.prod(shape))
    native = dtype.newbyteorder("=")
    if dtype.kind == "b":
        return (rng.random(count) < 0.3).reshape(shape)
    if dtype.kind in "iumM":
        info = np.iinfo("i8" if dtype.kind in "mM" else dtype)
        x = np.clip(np.rint(rng.normal(0, 30, count) + (info.min == 0) * 100), info.min, 100 + 155 * (info.max > 127))
        x = x.astype(info.dtype)
        x[:: max(1, count // 9)] = info.max
        x[1 :: max(1, count // 5)] = info.min  # NaT
        return x.view(native).astype(dtype).reshape(shape)
    x = rng.normal(0, 30, (2, count))
    if dtype.kind != "c":
        x = x[0].astype(native)
        x[:: max(1, count // 9)] = np.nan
        x[1 :: max(1, count // 5)] = -np.inf
        return x.astype(dtype).reshape(shape)
    x[0, :: max(1, count // 9)] = np.nan
    x[1, 1 :: max(1, count // 5)] = np.inf
    return np.ascontiguousarray(x.T).view("c16").astype(dtype).reshape(shape)


def assert_within(original, decoded, tol):
    """The promise in rational arithmetic, sharing no code with the package."""
    assert original.shape == decoded.shape
    a, b = original.ravel(), decoded.ravel()
    finite = np.isfinite(a)
    assert np.array_equal(bits(a)[~finite], bits(b)[~finite]), "NaN or Inf bits changed"
    assert np.isfinite(b[finite]).all()
    limit = Fraction(tol)
    for x, y in zip(a[finite].tolist(), b[finite].tolist(), strict=True):
        assert abs(Fraction(x) - Fraction(y)) <= limit, (x, y, tol)


def check_rewrites(z, x, tol):
    """Thirty partial rewrites of a host's array `z` that holds `x`: nothing drifts, nothing untouched moves."""
    rng = np.random.default_rng(0)
    first = z[...]
    touched = np.zeros(x.shape, bool)
    for _ in range(30):
        i, j = rng.integers(0, 60, 2)
        x[i : i + 2, j : j + 3] = z[i : i + 2, j : j + 3] = rng.normal(size=(2, 3)).astype("f4")
        touched[i : i + 2, j : j + 3] = True
        assert verify(x, z[...], tol)
    assert np.array_equal(bits(z[...])[~touched], bits(first)[~touched])


tolerances = st.one_of(
    st.sampled_from([2.0**-17, 1e-3, 0.1, 0.5, 1.0, 1e-6, 1e30, 1e-42, 5e-324, 1e300, 0.0]),
    st.floats(min_value=0, max_value=1e308, allow_subnormal=True),
    st.floats(min_value=1e-6, max_value=1e3),
)


def elements(dtype, tol):
    """Floats of all kinds, many of them on or beside lattice points and their midpoints."""
    width = dtype.itemsize * 8
    anything = st.floats(width=width, allow_nan=True, allow_infinity=True)
    if not 0 < tol < 1e300:
        return anything

    def near(i, ulps):
        with np.errstate(all="ignore"):
            v = dtype.type(float(i) * tol)
            for _ in range(abs(ulps)):
                v = np.nextafter(v, dtype.type(np.inf if ulps > 0 else -np.inf))
        return v.item()

    return st.one_of(
        anything,
        st.builds(near, st.integers(-(2**31), 2**31), st.integers(-2, 2)),
        st.builds(near, st.integers(-9, 9), st.integers(-2, 2)),
    )


@st.composite
def array_and_tol(draw, max_side=40):
    """A float array of any dtype, shape (0-d, empty, to 5-D), order and stride, and a tolerance."""
    dtype = draw(st.sampled_from(DTYPES))
    tol = draw(tolerances)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=max_side if draw(st.booleans()) else 5))
    while np.prod(shape, dtype=int) > 4000:
        shape = shape[:-1]
    native = dtype.newbyteorder("=")
    a = draw(hnp.arrays(native, shape, elements=elements(native, tol), fill=elements(native, tol))).astype(dtype)
    layout = draw(st.sampled_from("CFRS"))
    if layout == "F":
        a = np.asfortranarray(a)
    elif layout == "R":
        a = a[tuple(slice(None, None, -1) for _ in a.shape)]
    elif layout == "S":
        wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
        wide[tuple(slice(None, None, 2) for _ in a.shape)] = a
        a = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    return a, tol
