"""One absolute tolerance for a whole array, from what people say of errors in other words.

Each function reads the array in parts (`parts`), and whatever is promised is exact: numbers are
compared as fractions and tolerances are rounded down.  `tolerance` has the public names.
"""

from __future__ import annotations

import decimal
import math
import numbers
import operator
import sys
from fractions import Fraction
from typing import Any

import numpy as np

from .codec import encode, peek
from .errors import ParameterError
from .parts import Values

_QMAX = 1 << 30  # the largest integer that the quantizer takes
_TRIALS = 5  # tolerances whose error is measured before the worst case is taken

# Stored significand bits, and the exponent of the smallest normal number.
_FLOATS = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}


def from_range(x: Any, relative: float, *, fill_value: Any = None) -> float:
    r"""The tolerance that is a part of the range of an array.

    This is the "value-range relative" bound of other compressors (SZ's REL mode), for the whole
    array: chunks that each took their own range would each have another tolerance.

    Parameters
    ----------
    x : array_like, Zarr array, h5py dataset, dask array or xarray DataArray
        Integers, floats or complex numbers.  It is read once, a chunk at a time.
    relative : float
        The part: 1e-3 asks for errors of at most a thousandth of the range.  >= 0.
    fill_value : number, optional
        Values equal to it are missing: they do not count.

    Returns
    -------
    float
        The largest double at most ``relative * (max - min)``, in exact arithmetic, where max and min
        are over the finite values (over real and imaginary parts, if complex).  0.0 (lossless) for an
        array without finite values, or with one value only.

    Raises
    ------
    TypeError
        If the array has another dtype, or `relative` or `fill_value` is not a number.
    ParameterError
        If `relative` is negative or not finite, or `fill_value` is none of the array's integers.

    Notes
    -----
    A value that is left out as missing is still encoded, within the tolerance; see `keeping` for how
    it comes back exactly.

    Examples
    --------
    >>> from_range([10.0, 12.0, 18.0], 2**-4)
    0.5
    """
    part = _nonnegative("relative", relative)
    return _round_down(part * _range(Values(x, fill_value)))


def from_rmse(x: Any, rmse: float, *, fill_value: Any = None, worst_case: bool = False) -> float:
    r"""A tolerance under which the root mean square error of an array does not exceed a limit.

    The error of values that fall anywhere between the points of the lattice is uniform, its root mean
    square tol / sqrt(3).  So sqrt(3) times the limit is tried first, and less as long as the error,
    measured over the whole array, is too large.

    Parameters
    ----------
    x : array_like, Zarr array, h5py dataset, dask array or xarray DataArray
        Integers, floats or complex numbers.  It is read up to five times, a chunk at a time.
    rmse : float
        The limit, >= 0.
    fill_value : number, optional
        Values equal to it are missing: their errors do not count.
    worst_case : bool
        Do not measure: return the limit itself, which holds for every decoder and every array, as no
        error is larger than the tolerance.

    Returns
    -------
    float
        Between the limit (rounded down) and sqrt(3) times the limit; the largest found, not the
        largest there is.

    Raises
    ------
    TypeError
        If the array has another dtype, or `rmse` or `fill_value` is not a number.
    ParameterError
        If `rmse` is negative or not finite, or `fill_value` is none of the array's integers.

    Notes
    -----
    The promise is for these values, encoded by this package with this tolerance alone (no relative
    one) and ``predictor="none"``, however the array is cut into chunks: every value comes back as the
    nearest point of a lattice that depends on the tolerance and the dtype only, or exactly, and the error
    measured is that to the lattice.  Predicted values have errors that are much the same on average, but
    depend on their neighbours; other codecs with the same tolerance, and values written later, have
    other errors.  The mean is over the finite values, and over real and imaginary parts of complex ones.

    Examples
    --------
    >>> x = np.linspace(0, 1, 10000)
    >>> 1e-3 < from_rmse(x, 1e-3) < 1.7321e-3
    True
    >>> from_rmse(x, 1e-3, worst_case=True)
    0.001
    """
    limit = _nonnegative("rmse", rmse)
    return _below_rmse(Values(x, fill_value), limit, worst_case)


def from_psnr(x: Any, decibels: float, *, fill_value: Any = None, worst_case: bool = False) -> float:
    r"""A tolerance under which an array keeps a peak signal-to-noise ratio.

    The ratio is 20 log10((max - min) / RMSE), as compressors of scientific data define it, over the
    finite values of the whole array.

    Parameters
    ----------
    x : array_like, Zarr array, h5py dataset, dask array or xarray DataArray
        Integers, floats or complex numbers.  It is read up to six times, a chunk at a time.
    decibels : float
        The ratio, >= 0.
    fill_value : number, optional
        Values equal to it are missing: they do not count.
    worst_case : bool
        See `from_rmse`, by which the tolerance is found, and for what is promised.

    Returns
    -------
    float
        0.0 (lossless) for an array without finite values, or with one value only.

    Raises
    ------
    TypeError
        If the array has another dtype, or `decibels` or `fill_value` is not a number.
    ParameterError
        If `decibels` is negative or not finite, or `fill_value` is none of the array's integers.

    Examples
    --------
    >>> from_psnr(np.linspace(0, 1, 10000), 60) > 1e-3
    True
    """
    ratio = _nonnegative("decibels", decibels)
    values = Values(x, fill_value)
    return _below_rmse(values, _range(values) * _below_power(ratio), worst_case)


def from_keepbits(x: Any, keepbits: int, *, fill_value: Any = None) -> float:
    r"""The tolerance that is the error of rounding to so many significand bits.

    For those who come from bit rounding (the BitRound filter, xbitinfo).  It rounds each value in
    relation to itself; here all values get the error that the largest one could have.

    Parameters
    ----------
    x : array_like, Zarr array, h5py dataset, dask array or xarray DataArray
        Floats or complex numbers.  It is read once, a chunk at a time.
    keepbits : int
        Stored significand bits to keep, 1 to 10, 7, 23 or 52 for float16, bfloat16, float32, float64.
    fill_value : number, optional
        Values equal to it are missing: they do not count.

    Returns
    -------
    float
        ``2**(e - keepbits - 1)``, e being the exponent of the largest finite \|x\| (not less than that
        of the smallest normal number of the dtype).  0.0 (lossless) if all bits are kept, or there
        is no finite value but 0.

    Raises
    ------
    TypeError
        If the array has another dtype, `keepbits` is no integer, or `fill_value` no number.
    ParameterError
        If the dtype has not that many bits, or `keepbits` is below 1.

    Notes
    -----
    Small values lose more than bit rounding would take from them.  What bit rounding does is a
    relative bound of ``2.0**-(keepbits + 1)``, under which they stay as precise as large ones.

    Examples
    --------
    >>> from_keepbits(np.array([0.1, 3.0, -5.0], "f4"), 7) == 4 * 2**-8
    True
    """
    if isinstance(keepbits, (bool, np.bool_)):
        raise TypeError(f"keepbits must be an integer, not {keepbits!r}")
    try:
        bits = operator.index(keepbits)
    except TypeError:
        raise TypeError(f"keepbits must be an integer, not {keepbits!r}") from None
    values = Values(x, fill_value)
    if values.dtype.name not in _FLOATS:
        raise TypeError(f"{values.dtype} values have no significand of which to keep bits")
    most, smallest = _FLOATS[values.dtype.name]
    if not 1 <= bits <= most:
        raise ParameterError(f"keepbits must be 1 to {most} for {values.dtype} values, not {keepbits!r}")
    if bits == most:
        return 0.0
    largest = max((float(np.abs(v).max()) for v in values), default=0.0)
    if largest == 0:
        return 0.0
    return math.ldexp(1.0, max(math.frexp(largest)[1] - 1, smallest) - bits - 1)


def _nonnegative(name: str, value: Any) -> Fraction:
    """A parameter as it was given, exactly."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if isinstance(value, numbers.Rational):
        exact = Fraction(int(value.numerator), int(value.denominator))
    else:
        try:
            exact = Fraction(*value.as_integer_ratio())  # type: ignore[attr-defined]  # of floats, also NumPy's
        except (OverflowError, ValueError):  # infinite, NaN
            raise ParameterError(f"{name} must be finite and >= 0, not {value!r}") from None
    if exact < 0:
        raise ParameterError(f"{name} must be finite and >= 0, not {value!r}")
    return exact


def _round_down(exact: Fraction) -> float:
    """The largest finite double that is at most a number >= 0."""
    try:
        value = float(exact)
    except OverflowError:
        return sys.float_info.max
    return math.nextafter(value, 0) if value > exact else value


def _range(values: Values) -> Fraction:
    """max - min, exactly: the difference of two doubles may need more digits, or exceed, a double."""
    exact = int if values.dtype.kind in "iu" else float
    ends = [exact(end) for v in values for end in (v.min(), v.max())]
    return Fraction(max(ends)) - Fraction(min(ends)) if ends else Fraction(0)


def _below_power(decibels: Fraction) -> Fraction:
    """A number below 10**(-decibels / 20) by about 1e-40 of it, or 0 where no double is that small."""
    context = decimal.Context(prec=60, rounding=decimal.ROUND_DOWN, Emin=-2000, traps=[])
    exponent = context.divide(decimal.Decimal(-decibels.numerator), decimal.Decimal(20 * decibels.denominator))
    power = context.power(10, exponent)
    return Fraction(power) * (1 - Fraction(1, 10**40))  # far more than division and power are off


def _below_rmse(values: Values, limit: Fraction, worst_case: bool) -> float:
    certain = _round_down(limit)
    if worst_case or certain == 0:
        return certain
    tol = _round_down(limit * Fraction(math.sqrt(3)))
    for trial in range(_TRIALS):
        if tol <= certain:
            break
        square = Fraction(tol) ** 2 * _mean_square(values, tol)
        if square <= limit**2:
            return tol
        # What is right for these values on this lattice, and a little less each time, as the errors
        # on another lattice are other ones, and those of few values scatter.
        tol *= math.sqrt(limit**2 / square) * (1 - 4**trial / 1024)
    return certain


def _mean_square(values: Values, tol: float) -> Fraction:
    """An upper limit of the mean square error under a tolerance, in units of tol**2.

    It is that of the lattice.  Decoding what `encode` gives would say less where a block of the
    chunk at hand happens to be stored exactly (one that is constant, or does not get smaller), which
    need not be so for the chunks of whoever uses the tolerance.
    """
    total, count = Fraction(0), 0
    error = _integer_error if values.dtype.kind in "iu" else _float_error
    for v in values:
        with np.errstate(all="ignore"):  # what overflows is stored exactly
            scaled = error(v, tol) / tol
            total += Fraction(float(np.sum(scaled * scaled)))
        count += v.size
    # NumPy adds in pairs: of 2**20 terms, each rounded four times, the sum is off by less than 2**-45
    # of itself, and squares that are too small for a double by 2**-1000 each.
    return (total * (1 + Fraction(1, 2**40)) + Fraction(count, 2**1000)) / count if count else Fraction(0)


def _float_error(x: np.ndarray, tol: float) -> np.ndarray:
    """How far finite floats are from their places on the lattice; 0 for those that are stored exactly."""
    wide = np.dtype("f8" if x.dtype.itemsize == 8 else "f4")  # the lattice of narrow floats is that of float32
    step = peek(encode(np.zeros(0, wide), tol)).delta  # the core's choice for (tol, dtype)
    exact = x.astype("f8")
    if step == 0:
        return np.zeros_like(exact)
    q = np.rint(exact * (1 / step))
    error = np.abs(exact - (q * step).astype(wide).astype(x.dtype).astype("f8"))
    # Differences are rounded, but none to more than tol that is not more than tol.
    return np.where((np.abs(q) <= _QMAX) & (error <= tol), error, 0)


def _integer_error(x: np.ndarray, tol: float) -> np.ndarray:
    """How far integers are from the nearest multiple of 2T + 1, T being the tolerance in whole numbers."""
    step = np.uint64(2 * min(int(tol), 2**63 - 1) + 1)
    negative = x < 0
    size = x.astype("u8")  # two's complement: the negative of what is too large for int64 is right, too
    np.negative(size, out=size, where=negative)
    rest = size % step
    return np.minimum(rest, step - rest).astype("f8")
