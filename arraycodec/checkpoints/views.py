"""What the elements of a stored array are, where its NumPy dtype does not say it.

Hosts have neither bfloat16 nor floats of 8 bits, and lc0's networks have integers that stand for floats.  Such a
tensor is stored as unsigned integers, and a text beside it says what they are.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ..codec import verify
from ..dtypes import BFLOAT16, bfloat16
from ..errors import FormatError

LINEAR16 = "linear16"
#: Types of ml_dtypes that NumPy stores in a byte each, without loss here; that package gives them back.
BYTES = (
    "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "int4", "uint4", "int2",
    "uint2",
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """What stored elements stand for.

    Parameters
    ----------
    kind : str
        "bfloat16", one of `BYTES`, or "linear16": q stands for q / 65535 * (high - low) + low, in float32.
    low, high : float
        Of "linear16": float32 numbers.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0

    @property
    def stored(self) -> np.dtype:
        """The dtype of what is stored."""
        return np.dtype("u1" if self.kind in BYTES else "u2")

    @property
    def dtype(self) -> np.dtype:
        """The dtype of what it stands for; as stored where only ml_dtypes has that, and is not installed."""
        if self.kind == BFLOAT16:
            return bfloat16()
        return np.dtype("f4") if self.kind == LINEAR16 else _byte_type(self.kind)

    def values(self, stored: np.ndarray) -> np.ndarray:
        """What stored elements stand for."""
        if self.kind != LINEAR16:
            return np.asarray(stored).view(self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # as lc0 computes it, in single precision
            low, high = np.float32(self.low), np.float32(self.high)
            return np.asarray(stored).astype("f4") / np.float32(65535) * (high - low) + low

    def steps(self, tol: float) -> int:
        """How far a stored integer may be off, so that what it stands for is within a tolerance, exactly."""
        fine, broken = 0, 1 << 16
        every = np.arange(1 << 16, dtype="u2")
        values = self.values(every)
        if not np.isfinite(values).all():
            return 0
        while broken - fine > 1:  # values never fall (or never rise) with the integers
            k = (fine + broken) // 2
            far = bool(verify(values[: len(values) - k], values[k:], tol))
            fine, broken = (k, broken) if far else (fine, k)
        return fine

    def __str__(self) -> str:
        return self.kind if self.kind != LINEAR16 else f"{self.kind} {self.low!r} {self.high!r}"


def parse(text: object) -> View:
    """The view that a text says.

    Raises
    ------
    FormatError
        If it says none that is known here.
    """
    words = text.split() if isinstance(text, str) else []
    if len(words) == 1 and words[0] in (BFLOAT16, *BYTES):
        return View(words[0])
    if len(words) == 3 and words[0] == LINEAR16:
        try:
            low, high = float(words[1]), float(words[2])
        except ValueError:
            low = high = math.nan
            words = []
        if words and all(math.isnan(v) or float(np.float32(v)) == v for v in (low, high)):
            return View(LINEAR16, low, high)
    raise FormatError(f"unknown kind of elements: {text!r:.100}")


def of_dtype(dtype: np.dtype) -> View | None:
    """The view as which arrays of a dtype are stored; None where NumPy's own dtype is."""
    native = dtype.newbyteorder("=") if dtype.kind != "V" or dtype.name == BFLOAT16 else dtype
    return View(native.name) if native.name in (BFLOAT16, *BYTES) else None


@functools.lru_cache(maxsize=len(BYTES))
def _byte_type(name: str) -> np.dtype:
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype("u1")
    return np.dtype(getattr(ml_dtypes, name, "u1"))
