"""What came of converting: box by box, added up for each array and for the whole command."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from ..codec import peek, verify
from . import interrupt
from .console import Console
from .model import UNNAMED, ArrayInfo, CommandError
from .plan import Planned
from .stored import stored_arrays


@dataclass
class Outcome:
    """What came of some of the values of an array.

    Attributes
    ----------
    nbytes : int
        Of the values.
    low, high : float
        Their range, where a lattice codes floats; otherwise they stay infinite.
    errors, norms, largest : float
        Squares of errors and of values, added up, and the largest error: only where the values have been compared.
    violations : int
        Errors beyond the tolerance, likewise.
    """

    nbytes: int = 0
    low: float = math.inf
    high: float = -math.inf
    errors: float = 0.0
    norms: float = 0.0
    largest: float = 0.0
    violations: int = 0

    def add(self, other: Outcome) -> None:
        """Those of other values."""
        for name in ("nbytes", "errors", "norms", "violations"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.largest = max(self.largest, other.largest)

    def to_json(self) -> list[float]:
        """For a journal."""
        return [getattr(self, f.name) for f in fields(self)]


def range_of(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest finite value, or part of one; infinities the wrong way round if there is none."""
    parts = (values.real, values.imag) if values.dtype.kind == "c" else (values,)
    if values.size:
        with np.errstate(invalid="ignore"):  # signalling NaNs
            low, high = float(min(part.min() for part in parts)), float(max(part.max() for part in parts))
        if math.isfinite(low) and math.isfinite(high):  # mostly, and without a copy
            return low, high
    finite = np.concatenate([part[np.isfinite(part)] for part in parts])
    return float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))


def compared(values: np.ndarray, back: np.ndarray, tol: float | None) -> Outcome:
    """Some values beside what came back of them."""
    check = verify(values, back, sys.float_info.max if tol is None else tol)
    finite = np.isfinite(values)
    x = values[finite].astype("f8")
    errors = float(np.square(back[finite].astype("f8") - x).sum())
    return Outcome(
        values.nbytes, errors=errors, norms=float(np.square(x).sum()), largest=check.max_error,
        violations=check.violations,
    )  # fmt: skip


@dataclass
class Measured:
    """An array from a codec whose error is not said before."""

    info: ArrayInfo
    tol: float | None
    outcome: Outcome
    stored: int
    said: str = ""

    @property
    def line(self) -> str:
        """For the user."""
        o = self.outcome
        relative = f"{math.sqrt(o.errors / o.norms):.4g}" if o.norms else "-"
        return (
            f"{self.info.label}: relative error {relative} (Frobenius), largest error {o.largest:.6g}{self.said}, "
            f"{8 * self.stored / self.info.size:.3f} bits per value"
        )


@dataclass
class Totals:
    """What the summary line adds up."""

    arrays: int = 0
    coded: int = 0
    lossless: int = 0
    whole: int = 0  # by a codec that is the same for all arrays
    nbytes: int = 0
    coded_values: int = 0
    coded_bytes: int = 0
    measured: list[Measured] = field(default_factory=list)

    def add_finished(self, info: ArrayInfo) -> None:
        """An array that was complete when it was made."""
        self.arrays += info.tensors
        self.nbytes += info.nbytes

    def add(self, planned: Planned, outcome: Outcome, stored: int, console: Console) -> None:
        """An array that is complete."""
        info, codec = planned.info, planned.codec
        self.add_finished(info)
        if codec is None:
            return
        if planned.on_lattice and 0 < outcome.high - outcome.low <= (codec.tol or 0):
            console.warn(
                f"{info.label} lies within [{outcome.low:g}, {outcome.high:g}]: tol={codec.tol:g} leaves little of it"
            )
        self.coded += info.tensors
        self.lossless += info.tensors * (not planned.lossy)
        self.whole += info.tensors * planned.whole
        self.coded_values += info.size
        self.coded_bytes += stored
        if planned.whole and info.size:
            self.measured.append(Measured(info, planned.tol, outcome, stored))

    def compare_with_headers(self, path: Path) -> None:
        """No error may be larger than the chunks say that one can be."""
        by_name = {m.info.name: m for m in self.measured}
        for array in stored_arrays(path) if self.measured else ():
            m = by_name.get(array.name, by_name.get("") if array.name == UNNAMED else None)
            if m is None:
                continue
            bound, products, n_chunks = 0.0, 0, 0
            for chunk in array.chunks(True):
                interrupt.check()
                n_chunks += 1
                if chunk.data is not None:
                    header = peek(chunk.data)
                    bound = max(bound, header.tol)
                    products += header.codec == "low rank"
            if m.outcome.violations or m.outcome.largest > bound * (1 + 2.0**-50):
                raise CommandError(
                    f"{m.info.label}: an error of {m.outcome.largest:g} is beyond {bound:g}, which its chunks say"
                )
            m.said = f" of {bound:.6g} possible"
            if products or m.tol is not None:
                m.said = f" (tol {m.tol:g})" if m.tol is not None else ""
                m.said += f", {products} of {n_chunks} chunks as products"
