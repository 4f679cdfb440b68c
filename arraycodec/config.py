"""The parameters of a codec: each one's meaning, range and default, stated once.

The fronts (`ansquant`, `zarr3`, `hdf5`) only translate between this and their host's form: the
keyword arguments of a call, the JSON of Zarr metadata, the `cd_values` of an HDF5 filter.
"""

from __future__ import annotations

import math
import numbers
import operator
import struct
from dataclasses import dataclass
from typing import Any

from .errors import ParameterError

CD_TOLERANCE = 1  # cd_values (1, low word, high word): the tolerance as an IEEE double


@dataclass(frozen=True)
class Config:
    """Parameters of AnsQuant.

    Parameters
    ----------
    tol : float or None
        Absolute tolerance: every finite value comes back within it.  0 is lossless.  None: decode
        only (a chunk says everything the decoder needs).
    """

    tol: float | None = None

    def __post_init__(self) -> None:
        tol = self.tol
        if tol is None:
            return
        if isinstance(tol, bool) or not isinstance(tol, numbers.Real):
            raise TypeError(f"tol must be a number, not {tol!r}")
        try:
            value = float(tol)
        except OverflowError:
            raise ParameterError(f"tol must fit a double, not {tol!r}") from None
        if not math.isfinite(value) or value < 0:
            raise ParameterError(f"tol must be finite and >= 0, not {tol!r}")
        if value > tol:  # a fraction or long double between two doubles: the promise is for `tol`
            value = math.nextafter(value, 0)
        object.__setattr__(self, "tol", value + 0.0)  # -0.0 becomes 0.0

    def require_tol(self) -> float:
        """The tolerance, or a ParameterError where encoding needs one."""
        if self.tol is None:
            raise ParameterError("encoding needs a tolerance: AnsQuant(tol=...), tol=0 for lossless")
        return self.tol

    def to_json(self) -> dict[str, float]:
        """Keyword arguments that make an equal object, JSON-ready; defaults are left out."""
        return {} if self.tol is None else {"tol": self.tol}

    def to_cd_values(self) -> tuple[int, ...]:
        """The parameters as HDF5 filter values (`ext/hdf5/h5z_arraycodec.c` documents all forms)."""
        return (CD_TOLERANCE, *struct.unpack("<II", struct.pack("<d", self.require_tol())))


def check_threads(threads: Any) -> int:
    """A number of threads, checked; it belongs to a call, never to what is stored."""
    if isinstance(threads, bool):
        raise TypeError(f"threads must be an integer, not {threads!r}")
    try:
        number = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer, not {threads!r}") from None
    if number < 1:
        raise ParameterError(f"threads must be at least 1, not {threads!r}")
    return number
