"""``arraycodec bench --memory``: what `arraycodec.cli.memory` finds for some sizes, as rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .. import interrupt, memory
from ..model import CommandError
from .tables import aligned

MIB = 1 << 20
SIZES = (1 * MIB, 16 * MIB, 64 * MIB, 256 * MIB)
DTYPES = ("f4", "f8")


@dataclass(frozen=True)
class PeakRow:
    """Peak memory for one array of noise; the columns of the CSV, in bytes.

    `encode` and `decode` are beyond the input and the result.
    """

    dtype: str
    tol: float
    threads: int
    size: int
    chunk: int
    encode: int
    decode: int
    level: int | None = None
    predictor: str = ""


def require_memory() -> None:
    """An error where the peak cannot be measured."""
    if not memory.available():
        raise CommandError("--memory: this system does not let a process reset its peak (/proc/self/clear_refs)")


def peak_rows(
    threads: Iterable[int], levels: Iterable[int | None] = (None,), sizes: Sequence[int] = SIZES,
    predictors: Iterable[str] = ("",),
) -> list[PeakRow]:  # fmt: skip
    """Measure, each in a process of its own."""
    tol, rows = 2.0**-9, []
    for count, level, predictor in itertools.product(threads, levels, predictors):
        for dtype in DTYPES:
            for size in sizes:
                interrupt.check()
                found = memory.peak(size, dtype, tol, threads=count, level=level, predictor=predictor or None)
                sizes_found = (found.chunk, found.encode, found.decode)
                rows.append(PeakRow(dtype, tol, count, size, *sizes_found, level, predictor))
    return rows


def peak_table(rows: Sequence[PeakRow]) -> str:
    """The rows as text, in MiB."""
    leveled, predicted = any(r.level is not None for r in rows), any(r.predictor for r in rows)
    more = [*(["level"] if leveled else []), *(["predictor"] if predicted else [])]
    lines = [["array", "threads", *more, "MiB", "chunk", "encode", "decode"]]
    for r in rows:
        sizes = (f"{n / MIB:.2f}" for n in (r.chunk, r.encode, r.decode))
        how = [*([str(r.level)] if leveled else []), *([r.predictor] if predicted else [])]
        lines.append([r.dtype, str(r.threads), *how, f"{r.size / MIB:.0f}", *sizes])
    return aligned(lines)
