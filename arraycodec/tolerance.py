"""Tolerances as people type them: ``2**-17``, ``2^-17``, ``1e-3``, ``0``."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from .errors import ParameterError

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
