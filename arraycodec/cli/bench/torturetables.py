"""``arraycodec bench --torture`` as two tables: codecs, and what became of arrays and of damaged chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from .tables import MARKS, WIDTH, aligned
from .torture import MutationRow, TortureRow, listed
from .torturecases import TOLERANCES

R = TypeVar("R", TortureRow, MutationRow)

ARRAYS_HEAD = (
    "codec", "cases", "refused", "broken", "(values)", "NaN lost", "(values)", "wrong", "crashes", "hangs", "bad tol",
)  # fmt: skip
MUTATIONS_HEAD = ("codec", "mutations", "clean", "same", "other", "crashes", "hangs", "memory", "exceptions")
ARRAYS_LEGEND = """\
Arrays: how many at how many tolerances, of the types that a codec takes.  refused: by an exception; broken: finite
values out of bounds, exactly; NaN lost: NaN or infinities that are others now, or appeared; wrong: not decoded,
another shape or type, or values that stand elsewhere; bad tol: tolerances -1, NaN and Inf that were accepted"""
MUTATIONS_LEGEND = """\
Damaged chunks.  clean: an exception (of ours: DecodeError only); same: all values are right; other: they are not, and
nothing was said; memory: MemoryError, within 8 GiB"""


class Line(NamedTuple):
    """Of a table: the codec, its family and its cells."""

    codec: str
    family: str
    cells: list[str]


def array_lines(rows: Sequence[TortureRow]) -> list[Line]:
    """A codec a line, under `ARRAYS_HEAD`."""
    lines = []
    for of in _by_codec(rows):
        arrays = [row for row in of if row.group != TOLERANCES]
        bad = [row for row in of if row.group == TOLERANCES]
        cells = [sum(row.cases for row in arrays), sum(row.refused for row in arrays)]
        for name in ("broken", "broken_values", "lost", "lost_values", "wrong", "crashes", "hangs"):
            cells.append(sum(getattr(row, name) for row in of))
        accepted = f"{sum(row.accepted for row in bad)} of {sum(row.cases for row in bad)}" if bad else ""
        lines.append(Line(of[0].codec, of[0].family, [*map(str, cells), accepted]))
    return lines


def mutation_lines(rows: Sequence[MutationRow]) -> list[Line]:
    """A codec a line, under `MUTATIONS_HEAD`."""
    lines = []
    for of in _by_codec(rows):
        cells = []
        for name in MUTATIONS_HEAD[1:-1]:
            cells.append(str(sum(getattr(row, name) for row in of)))
        raised: Counter[str] = Counter()
        for row in of:
            for text in filter(None, row.exceptions.split(", ")):
                name, _, count = text.rpartition(" ")
                raised[name] += int(count)
        lines.append(Line(of[0].codec, of[0].family, [*cells, listed(raised)]))
    return lines


def array_table(rows: Sequence[TortureRow]) -> str:
    """For a terminal."""
    return aligned([ARRAYS_HEAD, *([_marked(line), *line.cells] for line in array_lines(rows))])


def mutation_table(rows: Sequence[MutationRow]) -> str:
    """For a terminal; exceptions that do not fit in a line are in the CSV only."""
    lines = mutation_lines(rows)
    counts = aligned([MUTATIONS_HEAD[:-1], *([_marked(line), *line.cells[:-1]] for line in lines)]).split("\n")
    texts = [MUTATIONS_HEAD[-1], *(line.cells[-1] for line in lines)]
    width = WIDTH - 2 - max(map(len, counts))
    return "\n".join(f"{c}  {_cut(t, width)}".rstrip() for c, t in zip(counts, texts, strict=True))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 4].rpartition(",")[0] + ", ..."


def _marked(line: Line) -> str:
    return line.codec + MARKS.get(line.family, "")


def _by_codec(rows: Sequence[R]) -> list[list[R]]:
    found: dict[str, list[R]] = {}
    for row in rows:
        found.setdefault(row.codec, []).append(row)
    return list(found.values())
