"""Measurements as text, aligned, for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Sequence

from ..stages import StageRow
from .comparison import MAIN, Cell, Group, cells, short
from .measure import CACHE, STREAM, Row
from .peers.base import LOSSLESS, UNCHECKED
from .summary import Summary, is_limit, labels

WIDTH = 120

#: Behind the names of codecs; `LEGEND` says so.
MARKS = {UNCHECKED: " ~", LOSSLESS: " ="}
LEGEND = """\
MB/s of the array, fastest and (median); err/tol: worst error in tolerances; viol.: values out of bounds,
exactly; lost: of these, NaN or infinities that changed; ~ does not check the bound, = lossless"""
SIZES_LEGEND = """\
sizes alone, everything once; bits a value; slices: of so many axes, where they are smaller; filled: values in the
place of NaN, for a codec that loses them, or is smaller so; err/tol: worst error in tolerances; viol.: values out of
bounds, exactly; lost: of these, NaN or infinities that changed; ~ does not check the bound, = lossless"""
COMPARISON_LEGEND = """\
Our size in units of each peer's: geometric mean (worst array).  first: in how many it is the smallest of ours in
that column and all peers.  A peer that breaks its bound, or loses NaN, counts with its size, and is never first."""


def aligned(lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Cells under each other, the first `left` columns to the left.

    The first line is the head; in a line with fewer cells the last one spans the rest.
    """
    columns = len(lines[0])
    widths = [max(len(line[i]) for line in lines if len(line) == columns or i < left) for i in range(columns)]
    text = []
    for line in lines:
        last = len(line) - 1 if len(line) < columns else columns
        cells = [c.ljust(w) if i < left or i == last else c.rjust(w)
                 for i, (c, w) in enumerate(zip(line, widths, strict=False))]  # fmt: skip
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def speed(value: float) -> str:
    """MB/s with about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def error(row: Row) -> str:
    """The worst error in tolerances."""
    value = row.error_in_tol
    return f"{value:.4f}" if value < 1000 else f"{value:.2g}"


def cell_table(rows: Sequence[Row]) -> str:
    """All codecs on one array at one tolerance; streaming figures beside those in the cache."""
    label = labels(rows)
    modes = [mode for mode in (CACHE, STREAM) if any(row.mode == mode for row in rows)]
    head = ["codec", "ratio", "bits", f"{modes[0]} enc", "(med.)", "dec", "(med.)"]
    if len(modes) > 1:  # its medians are in the CSV; the line is full
        head += [f"{modes[1]} enc", "dec"]
    lines = [[*head, "err/tol", "viol.", "lost"]]
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(label(row), []).append(row)
    for name, group in grouped.items():
        first = group[0]
        name += MARKS.get(first.family, "")
        failed = next((row for row in group if not row.ok), None)
        if failed is not None:
            found = f" ({failed.violations} violations)" if failed.violations else ""
            lines.append([name, failed.status + found])
            continue
        cells = [name, f"{first.ratio:.2f}", f"{first.bits_per_value:.2f}"]
        cells += [speed(first.encode_fastest), f"({speed(first.encode_median)})"]
        cells += [speed(first.decode_fastest), f"({speed(first.decode_median)})"]
        for row in group[1:]:
            cells += [speed(row.encode_fastest), speed(row.decode_fastest)]
        worst = max(group, key=lambda row: row.violations or 0)
        lines.append([*cells, error(worst), str(worst.violations), str(worst.nan_lost)])
    return aligned(lines)


def heading(row: Row) -> str:
    """Of a cell's table."""
    part = f" ({short(row.rel)} of the range)" if row.rel else ""
    return f"{row.array}: {row.values} {row.dtype} values, tol {row.tol:.4g}{part}"


def size_table(rows: Sequence[Row]) -> str:
    """All codecs on one array at one tolerance, where nothing was timed."""
    label = labels(rows)
    ours = next((row for row in rows if row.is_ours and row.ok), None)
    lines = [["codec", "ratio", "bits", "ours / it", "slices", "filled", "err/tol", "viol.", "lost"]]
    for row in rows:
        name = label(row) + MARKS.get(row.family, "")
        if not row.ok:
            lines.append([name, row.status])
            continue
        than = f"{ours.bytes / row.bytes:.3f}" if ours else ""
        helped = [f"{row.slices}-D" if row.slices else "", str(row.filled or "")]
        quality = [error(row), str(row.violations), str(row.nan_lost)]
        lines.append([name, f"{row.ratio:.2f}", f"{row.bits_per_value:.3f}", than, *helped, *quality])
    return aligned(lines)


def comparison_table(of: Sequence[Cell]) -> str:
    """Bits a value, a line for each array and tolerance; * out of bounds."""
    own = list(dict.fromkeys(name for cell in of for name in cell.ours))
    main = [name for name in MAIN if any(cell.peer(name) for cell in of)]
    tables = []
    for part in _parts(own, 92, 2):
        lines = [["array", "tol", *map(_short, part), *main, "smallest"]]
        for cell in of:
            first = cell.winner(*cell.ours)
            at = f"{short(cell.rel)} r" if cell.rel else f"{cell.tol:.3g}"
            line = [cell.array[:24], at, *(_bits(cell.ours.get(name)) for name in part)]
            line += [_bits(cell.peer(name)) for name in main]
            lines.append([*line, _short(cell.name(first))[:27] if first else ""])
        tables.append(aligned(lines, left=2))
    return "\n\n".join(tables)


def _bits(row: Row | None) -> str:
    return "" if row is None else f"{row.bits_per_value:.3f}{'' if row.held else '*'}"


def _short(own: str) -> str:
    return own.removeprefix("arraycodec ")


def _parts(own: Sequence[str], fixed: int, each: int) -> list[list[str]]:
    """As many of ours in a table as fit beside `fixed` columns, with `each` besides their names."""
    parts: list[list[str]] = [[]]
    left = WIDTH - fixed
    for name in own:
        width = max(len(_short(name)), 7) + each
        if parts[-1] and width > left:
            parts.append([])
            left = WIDTH - fixed
        parts[-1].append(name)
        left -= width
    return parts


def group_table(group: Group) -> str:
    """Ours against each peer over the arrays of one kind."""
    tables = [f"{group.kind or 'arrays'} at {group.at}, cells: {len(group.cells)}"]
    for part in _parts(group.own, max(len(line.codec) for line in group.lines) + 8, 20):
        names = part or [""]
        lines = [["codec", *(text for name in names for text in (_short(name), "(worst)", "first")), "broken"]]
        for line in group.lines:
            cells = []
            for name in names:
                found = line.against.get(name)
                cells += [f"{found.mean:.4f}", f"({found.worst:.3f})"] if found else ["", ""]
                cells.append(str(line.smallest.get(name) or ""))
            lines.append([line.codec, *cells, str(line.broken or "")])
        tables.append(aligned(lines))
    return "\n".join(tables)


def comparison(rows: Sequence[Row], groups: Sequence[Group]) -> str:
    """All of it: sizes array by array, and then group by group."""
    return "\n\n".join([comparison_table(cells(rows)), COMPARISON_LEGEND, *map(group_table, groups)])


def stage_table(rows: Sequence[StageRow]) -> str:
    """A column for each array, a line for each stage; four arrays beside each other."""
    columns = list(dict.fromkeys((row.array, row.tol, row.isa) for row in rows))
    cells = {(row.stage, (row.array, row.tol, row.isa)): row for row in rows}
    tables = []
    for i in range(0, len(columns), 4):
        part = columns[i : i + 4]
        lines = [["", *(array[:24] for array, _, _ in part)]]
        lines.append(["stage", *(f"{tol:.3g}, {isa}" for _, tol, isa in part)])
        for stage in dict.fromkeys(row.stage for row in rows):
            found = [cells.get((stage, column)) for column in part]
            lines.append([stage, *(f"{r.ns_per_value:.3f} ({r.share:4.0%})" if r else "" for r in found)])
        tables.append(aligned(lines))
    return "\n\n".join(tables)


def summary_table(summaries: Sequence[Summary]) -> str:
    """One line for each codec over all arrays; then its size by kind of array, as many kinds as fit in a line."""
    lines = [["codec", "cells", "ratio", "enc MB/s", "dec MB/s", "broken", "NaN lost", "failed"]]
    for s in summaries:
        figures = [f"{s.ratio:.2f}", speed(s.encode), speed(s.decode)] if s.cells else ["", "", ""]
        lines.append([_marked(s), str(s.cells), *figures, *(str(n or "") for n in (s.broken, s.lost, s.failed))])
    tables = [aligned(lines)]
    kinds = sorted({kind for s in summaries for kind in s.size if kind})
    while kinds:
        width, part = max(len(_marked(s)) for s in summaries), []
        while kinds and (not part or width + len(kinds[0]) + 2 <= WIDTH):
            width += max(len(kinds[0]), 4) + 2
            part.append(kinds.pop(0))
        lines = [["size, ours = 1", *part]]
        for s in summaries:
            if not is_limit(s) and s.cells:
                lines.append([_marked(s), *(f"{s.size[kind]:.2f}" if kind in s.size else "" for kind in part)])
        tables.append(aligned(lines))
    return "\n\n".join(tables)


def _marked(s: Summary) -> str:
    return s.codec + MARKS.get(s.family, "")
