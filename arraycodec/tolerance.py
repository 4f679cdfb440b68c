"""Tolerances: as people type them (``2**-17``, ``1e-3``), chosen so that marked values stay exact, and
from what is said of a whole array (`ranges`: a part of its range, a mean error, bits to keep)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from .codec import encode, peek
from .config import Config
from .errors import ParameterError
from .ranges import from_keepbits, from_psnr, from_range, from_rmse

__all__ = ["from_keepbits", "from_psnr", "from_range", "from_rmse", "keeping", "parse_tolerance"]

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?", re.ASCII)
_POWER = re.compile(r"(\d{1,9})(?:\*\*|\^)([+-]?\d{1,4})", re.ASCII)


def parse_tolerance(text: str) -> float:
    """The tolerance that a text means, correctly rounded to a double.

    Parameters
    ----------
    text : str
        A decimal number (``0.001``, ``1e-3``, ``0``) or an integer power (``2**-17``, ``2^-17``);
        nothing else is evaluated.

    Returns
    -------
    float
        Finite and >= 0.

    Raises
    ------
    ParameterError
        If the text is not such a number, or its value is negative or out of the range of a double.

    Examples
    --------
    >>> parse_tolerance("2**-17") == parse_tolerance("2^-17") == 2**-17
    True
    """
    stripped = text.strip()
    power = _POWER.fullmatch(stripped)
    if power:
        base, exponent = int(power[1]), int(power[2])
        if base == 0 and exponent < 0:
            raise ParameterError(f"not a tolerance: {text!r} (division by zero)")
        exact = Fraction(base) ** exponent
        try:
            value = float(exact)
        except OverflowError:
            value = math.inf
        nonzero = exact != 0
    elif _DECIMAL.fullmatch(stripped):
        value = float(stripped)
        nonzero = bool(re.search("[1-9]", re.split("[eE]", stripped)[0]))
    else:
        raise ParameterError(f"not a tolerance: {text!r} (write 1e-3, 2**-17, 2^-17, or 0 for lossless)")
    if value < 0:
        raise ParameterError(f"a tolerance must be >= 0, not {text!r}")
    if math.isinf(value):
        raise ParameterError(f"tolerance too large for a double: {text!r}")
    if value == 0 and nonzero:  # it would silently ask for lossless
        raise ParameterError(f"tolerance too small for a double: {text!r} (write 0 for lossless)")
    return value + 0.0


_QMAX = 1 << 30  # values farther than this many steps from zero are stored bit for bit
_TRIALS = 4096


def _lattice_type(dtype: np.dtype) -> Any:
    """What steps are numbers of, and what products are rounded to first."""
    return np.float64 if dtype.itemsize == 8 else np.float32


def _is_kept(value: float, step: float, dtype: np.dtype) -> bool:
    if step == 0 or not math.isfinite(value) or abs(value / step) > _QMAX:
        return True  # stored bit for bit
    with np.errstate(over="ignore"):
        return float(dtype.type(_lattice_type(dtype)(float(np.rint(value / step)) * step))) == value


def keeping(tol: float, values: Iterable[float], dtype: Any = "f4") -> float:
    r"""A tolerance at most `tol` under which some values come back exactly.

    Fill values such as -9999 are compared for equality by those who read them, so being within a
    tolerance is not enough.  Such a value is exact if it lies on the quantization lattice, which a
    smaller step can arrange for one value (the bound then holds a fortiori).  For a value of many
    tolerances it is smaller by about 2 tol / \|value\| of itself, which costs nothing; for a value
    below the tolerance it is much smaller.

    Parameters
    ----------
    tol : float
        Absolute tolerance, >= 0.
    values : iterable of float
        What must come back exactly, such as ``_FillValue``; NaN and infinities always do.
    dtype : dtype_like
        float16, float32 or float64: that of the array.

    Returns
    -------
    float
        `tol` itself if it keeps the values, else the largest found below it.

    Raises
    ------
    ParameterError
        If none is found (several values that no common step reaches), or `tol` is not valid.
    TypeError
        If the dtype is not one of these.

    Examples
    --------
    >>> keeping(0.25, [-9999.0])
    0.25
    >>> 0.000999 < keeping(1e-3, [-9999.0]) < 1e-3
    True
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise TypeError(f"dtype must be float16, float32 or float64, not {dtype}")
    tol = Config(tol).require_tolerances()[0]
    step = peek(encode(np.zeros(0, dtype), tol)).delta  # the core's choice for (tol, dtype)
    wanted = [float(dtype.type(v)) for v in values]
    if all(_is_kept(v, step, dtype) for v in wanted):
        return tol
    for value in sorted((abs(v) for v in wanted if math.isfinite(v) and v), reverse=True):
        first = math.ceil(value / (2 * tol))
        for k in range(first, min(first + _TRIALS, _QMAX)):
            step = float(_lattice_type(dtype)(value / k))
            if step <= 2 * tol and all(_is_kept(v, step, dtype) for v in wanted):
                return step / 2
    raise ParameterError(f"no tolerance just below {tol:g} keeps {', '.join(f'{v:g}' for v in wanted)} exactly")
