"""One line for each codec over all arrays: geometric means, and what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..._core import DEFAULT_LEVEL
from .measure import Row
from .peers.base import LIMIT


@dataclass(frozen=True)
class Summary:
    """A codec over all cells (an array at a tolerance) of one mode.

    Means are geometric.  A codec that failed on some cells is compared with ours on the others: its
    figure is our mean over all cells times its mean ratio to us on those that it did.

    Attributes
    ----------
    codec, family : str
    cells : int
        Cells measured.
    ratio, encode, decode : float
        Compression ratio, and fastest MB/s.
    size : dict
        By kind of array: mean of its size in units of ours.
    broken : int
        Cells in which the bound did not hold.
    lost : int
        Cells in which NaN or infinities were lost.
    failed : int
        Cells in which it crashed, hung or gave up.
    level : int or None
        Of this package, if it was given one.
    curve : str
        What `codec` is without the level: rows that differ in it only are points of one curve.
    """

    codec: str
    family: str
    cells: int
    ratio: float
    encode: float
    decode: float
    size: dict[str, float]
    broken: int
    lost: int
    failed: int
    level: int | None = None
    curve: str = ""


def labels(rows: Iterable[Row], with_levels: bool = True) -> Callable[[Row], str]:
    """How to name a row's codec, given all rows that it stands beside."""
    own = [row for row in rows if row.is_ours]
    isas, threads = {row.isa for row in own}, {row.threads for row in own}

    def label(row: Row) -> str:
        parts = [row.codec]
        if row.is_ours and len(isas) > 1:
            parts.append(row.isa)
        if row.is_ours and (len(threads) > 1 or row.threads > 1):
            parts.append(f"{row.threads} thread{'s' if row.threads > 1 else ''}")
        if row.is_ours and row.level is not None and with_levels:
            parts.append(f"level {row.level}")
        if row.is_ours and row.predictor:
            parts.append(f"predictor {row.predictor}")
        return " ".join(parts)

    return label


def mean(values: Sequence[float]) -> float:
    """The geometric mean; NaN of nothing."""
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


def summarize(rows: Sequence[Row], mode: str) -> list[Summary]:
    """The rows of one mode, codec by codec, in the order of their first appearance."""
    label, curve = labels(rows), labels(rows, with_levels=False)
    by_codec: dict[str, dict[tuple[str, float], Row]] = {}
    for row in rows:
        if row.mode == mode:
            by_codec.setdefault(label(row), {})[row.array, row.tol] = row
    own = _reference([cells for cells in by_codec.values() if next(iter(cells.values())).is_ours])
    ours = {key: row for key, row in own.items() if row.ok}
    result = []
    for codec, cells in by_codec.items():
        done = {key: row for key, row in cells.items() if row.ok}
        shared = [(row, ours[key]) for key, row in done.items() if key in ours]
        kinds = sorted({row.kind for row, _ in shared})

        def scaled(get: Callable[[Row], float], shared: list[tuple[Row, Row]] = shared) -> float:
            return mean([get(r) for r in ours.values()]) * mean([get(a) / get(b) for a, b in shared])

        judged = [row for row in cells.values() if row.violations is not None]
        first = next(iter(cells.values()))
        result.append(
            Summary(
                codec,
                first.family,
                len(done),
                scaled(lambda r: r.ratio),
                scaled(lambda r: r.encode_fastest),
                scaled(lambda r: r.decode_fastest),
                {kind: mean([b.ratio / a.ratio for a, b in shared if a.kind == kind]) for kind in kinds},
                sum(row.violations > row.nan_lost for row in judged),
                sum(row.nan_lost > 0 for row in judged),
                sum(not row.ok and not row.status.startswith(("takes", "has no")) for row in cells.values()),
                first.level,
                curve(first),
            )
        )
    return result


def _reference(own: Sequence[dict[tuple[str, float], Row]]) -> dict[tuple[str, float], Row]:
    """Which of our rows sizes are in units of: the first at the default level and predictor, or else the first."""
    firsts = [(cells, next(iter(cells.values()))) for cells in own]
    default = (cells for cells, row in firsts if row.level in (None, DEFAULT_LEVEL) and not row.predictor)
    return next(default, own[0] if own else {})


def is_limit(summary: Summary) -> bool:
    """Whether this is memcpy."""
    return summary.family == LIMIT
