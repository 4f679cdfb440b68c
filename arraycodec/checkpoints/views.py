"""What the elements of a stored array are, where its NumPy dtype does not say it.

Hosts have neither bfloat16 nor floats of 8 bits, and lc0's networks have integers that stand for floats.  Such a
tensor is stored as unsigned integers, and a text beside it says what they are.
"""

from __future__ import annotations

import contextlib
import functools
import math
import struct
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
        "bfloat16", one of `BYTES`, or "linear16": q of 0 to 65535 stands for q / 65535 * (high - low) + low, in
        float32, and what is stored is q - zero.
    low, high : float
        Of "linear16": float32 numbers.
    zero : int
        Of "linear16": the q whose value is next to 0, so that values next to 0 are rounded to it together.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    zero: int = 0

    @property
    def stored(self) -> np.dtype:
        """The dtype of what is stored."""
        if self.kind == LINEAR16:
            return np.dtype("i4")
        return np.dtype("u1" if self.kind in BYTES else "u2")

    @property
    def dtype(self) -> np.dtype:
        """The dtype of what it stands for; as stored where only ml_dtypes has that, and is not installed."""
        if self.kind == BFLOAT16:
            return bfloat16()
        return np.dtype("f4") if self.kind == LINEAR16 else _byte_type(self.kind)

    @property
    def is_lossy(self) -> bool:
        """Whether a tolerance applies."""
        return self.kind not in BYTES

    def values(self, stored: np.ndarray) -> np.ndarray:
        """What stored elements stand for."""
        if self.kind != LINEAR16:
            return np.asarray(stored).view(self.dtype)
        return self._of_integers(self.integers(stored))

    def integers(self, stored: np.ndarray) -> np.ndarray:
        """Of "linear16": the integers, uint16."""
        q = np.asarray(stored).astype(np.int64) + self.zero
        return np.clip(q, 0, 65535).astype("u2")  # an error may lead beyond the ends, where there is nothing

    def _of_integers(self, q: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):  # as lc0 computes it, in single precision
            low, high = np.float32(self.low), np.float32(self.high)
            return q.astype("f4") / np.float32(65535) * (high - low) + low

    def steps(self, tol: float) -> int:
        """How far a stored integer may be off, so that what it stands for is within a tolerance, exactly."""
        fine, broken = 0, 1 << 16
        values = self._of_integers(np.arange(1 << 16))
        if not np.isfinite(values).all():
            return 0
        while broken - fine > 1:  # values never fall (or never rise) with the integers
            k = (fine + broken) // 2
            far = bool(verify(values[: len(values) - k], values[k:], tol))
            fine, broken = (k, broken) if far else (fine, k)
        return fine

    def bound(self, steps: int) -> float:
        """How far what stored integers stand for can be off, if these are off by so many."""
        values = self._of_integers(np.arange(1 << 16)).astype("f8")
        far = np.abs(values[steps:] - values[: len(values) - steps]).max(initial=0.0)
        return float(np.nextafter(far, np.inf)) if steps else 0.0

    def __str__(self) -> str:
        return self.kind if self.kind != LINEAR16 else f"{self.kind} {self.low!r} {self.high!r} {self.zero}"


def linear16(low: float, high: float) -> View:
    """The view of integers that reach from one float32 number to another."""
    zero = -low / (high - low) * 65535 if math.isfinite(high - low) and high != low else 0.0
    return View(LINEAR16, low, high, min(max(round(zero), 0), 65535))


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
    if len(words) == 4 and words[0] == LINEAR16:
        with contextlib.suppress(ValueError, OverflowError):
            low, high, zero = float(words[1]), float(words[2]), int(words[3])
            exact = all(math.isnan(v) or struct.unpack("<f", struct.pack("<f", v))[0] == v for v in (low, high))
            if exact and 0 <= zero <= 65535:
                return View(LINEAR16, low, high, zero)
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
