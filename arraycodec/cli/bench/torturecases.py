"""What ``--torture`` tries: which arrays, of which dtypes, at which tolerances."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from .. import adversarial

FLOATS, INTEGERS, LAYOUTS, TOLERANCES = "floats", "integers", "layouts", "tolerances"
#: That no codec should take.
BAD_TOLERANCES = (-1.0, math.nan, math.inf)

#: By group: dtypes, and tolerances.  Of integers only the whole part of a tolerance counts.
_GROUPS = {
    FLOATS: (("f2", "f4", "f8"), (1e-3, 2.0**-17, 1.0)),
    INTEGERS: (("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), (1e-3, 1.0)),
    LAYOUTS: (("f4", "f8", "i4"), (1e-3,)),
}


class Target(NamedTuple):
    """An array, and its tolerances."""

    group: str
    array: str
    dtype: str
    tols: tuple[float, ...]


def arrays(group: str, dtype: str, tol: float) -> dict[str, np.ndarray]:
    """The arrays of a group, by name; those of floats have their values where it hurts at this tolerance."""
    if group == FLOATS:
        return adversarial.floats(dtype, tol=tol) if tol else adversarial.floats(dtype)
    return (adversarial.integers if group == INTEGERS else adversarial.layouts)(dtype)


def targets(kinds: Sequence[str], lossless: bool) -> Iterator[Target]:
    """Every array for a codec that takes dtypes of these kinds; without loss, at the tolerance 0 only."""
    for group, (dtypes, tols) in _GROUPS.items():
        for dtype in dtypes:
            if dtype in kinds:
                for name in _names(group, dtype):
                    yield Target(group, name, dtype, (0.0,) if lossless else tols)


@cache
def _names(group: str, dtype: str) -> tuple[str, ...]:
    return tuple(arrays(group, dtype, 1.0))
