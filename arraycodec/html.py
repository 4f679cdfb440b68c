"""What notebooks show of the results of `inspect`, `peek` and `verify`: small tables.

Colours and fonts are those of the page, light or dark; nothing is loaded, and no style reaches beyond the table.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from .details import PARTS

if TYPE_CHECKING:
    from .codec import Check, ChunkInfo, Header

_PARTS = (*PARTS, "compressed")
# Seen on white and on black, and told apart by most who cannot tell red from green (after Okabe and Ito).
_COLOURS = ("#8c8c8c", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b3a400")
_TABLE = "border:0;margin:0.2em 0;border-collapse:collapse;color:inherit;font-size:inherit"
_CELL = "text-align:left;padding:0.1em 0.8em 0.1em 0;border:0;background:none;vertical-align:top"


def of_header(header: Header) -> str:
    """A table of a header."""
    return _table(f"Header of a chunk of {_kind(header)}", _about(header))


def of_info(info: ChunkInfo) -> str:
    """A table of a chunk, with a bar of where its bytes are."""
    header = info.header
    ratio = f", {header.nbytes / info.size:.4g} times smaller than its values" if header.nbytes else ""
    rows = [*_about(header), ("size", f"{info.size:,} bytes{ratio}")]
    if header.count:
        rows.append(("bits per value", f"{info.bits_per_value:.3f}"))
    if info.details is None:
        modes = Counter(block.mode + " (varints)" * block.varints for block in info.blocks)
        rows.append(("modes", ", ".join(f"{mode}: {n:,}" for mode, n in modes.items()) or "-"))
        rows += [(name, f"{n:,}") for name in ("masked", "copies", "exceptions") if (n := getattr(info, name))]
    else:
        rows += [(name, str(value)) for name, value in info.details.items() if name not in _PARTS]
    return _table(f"Chunk of {_kind(header)}", rows, _bar(_bytes(info), info.size))


def of_check(check: Check) -> str:
    """A table of a comparison."""
    rows = [
        ("violations", f"{check.violations:,}"), ("NaN and infinities lost", f"{check.lost:,}"),
        ("largest error", f"{check.max_error:g}"),
    ]  # fmt: skip
    return _table("The bound holds" if check else "The bound is broken", rows)


def _kind(header: Header) -> str:
    dtype = header.element if header.element == "bfloat16" else str(header.dtype)
    return f"{dtype} values, {' × '.join(map(str, header.shape)) or 'a scalar'}"


def _about(header: Header) -> list[tuple[str, str]]:
    tol = "largest error" if header.codec in ("stochastic", "low rank") else "tol"
    rows = [("codec", header.codec), (tol, f"{header.tol:g}")]
    if header.rtol:
        rows.append(("rtol", f"{header.rtol:g}"))
    if header.order == "F":
        rows.append(("memory order", "Fortran"))
    box = "" if header.box is None else f" of {' × '.join(map(str, header.box))}"
    return [*rows, ("blocks", f"{header.n_blocks:,}{box}")]


def _bytes(info: ChunkInfo) -> dict[str, int]:
    """What a chunk has its bytes for, what it has none for left out."""
    found = Counter(header=info.header.header_size)
    if info.details is None:
        for block in info.blocks:
            found[block.mode] += block.size
    else:
        found.update({name: info.details[name] for name in _PARTS if name in info.details})
    found["other"] = info.size - found.total()
    return {name: n for name, n in found.items() if n > 0}


def _bar(parts: dict[str, int], size: int) -> str:
    strips, legend = [], []
    for i, (name, n) in enumerate(parts.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        text = escape(f"{name}: {n:,} bytes, {n / size:.1%}")
        strips.append(f'<div title="{text}" style="flex:{n} 0 0;min-width:1px;background:{colour}"></div>')
        mark = f'<span style="display:inline-block;width:0.7em;height:0.7em;background:{colour}"></span>'
        legend.append(f'<span style="margin-right:1em;white-space:nowrap">{mark} {text}</span>')
    return (
        f'<div style="display:flex;height:0.8em;margin:0.4em 0">{"".join(strips)}</div>'
        f'<div style="font-size:85%;line-height:1.5">{"".join(legend)}</div>'
    )


def _table(title: str, rows: list[tuple[str, Any]], below: str = "") -> str:
    cells = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;opacity:0.7">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (
        f'<div style="display:inline-block;min-width:22em;max-width:45em"><div style="font-weight:bold">{escape(title)}'
        f'</div><table style="{_TABLE}">{cells}</table>{below}</div>'
    )
