"""The picture: compression ratio against decoding and encoding speed, one marker for each codec.

The levels of this package are points of one curve, with their numbers beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..figures import check_picture
from .peers.base import BOUNDED, LOSSLESS, UNCHECKED
from .summary import Summary, is_limit

_OURS = "#d1342f"
_STYLES = {
    BOUNDED: ("#2a6fb0", "o", "promises a bound"),
    UNCHECKED: ("#5b9a68", "s", "quantized, bound not checked"),
    LOSSLESS: ("#888888", "D", "lossless"),
}


def check_plot(path: Path) -> None:
    """Raise CommandError if the picture could not be drawn; before measuring."""
    check_picture(path, "--plot", "--plot", "bench")


def _pyplot() -> Any:
    """matplotlib's pyplot, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def curves(summaries: Sequence[Summary]) -> list[list[Summary]]:
    """The rows that differ in nothing but the level, lowest first; those without a level are in none."""
    found: dict[str, list[Summary]] = {}
    for s in summaries:
        if s.level is not None:
            found.setdefault(s.curve, []).append(s)
    return [sorted(points, key=lambda s: s.level or 0) for points in found.values()]


def _names(shown: Sequence[Summary]) -> list[str]:
    """What stands beside each marker: of a curve the name at its first level, and only numbers at the others."""
    others = {id(s) for curve in curves(shown) for s in curve[1:]}
    return [str(s.level) if id(s) in others else s.codec for s in shown]


def plot(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw both panels into a file.

    Parameters
    ----------
    path : Path
        .png, .svg or .pdf.
    summaries : sequence of Summary
        Of one mode.  Codecs whose bound did not hold somewhere get an open marker.
    title : str
    """
    pyplot = _pyplot()
    figure, panels = pyplot.subplots(1, 2, figsize=(13, 6), sharey=True, constrained_layout=True)
    shown = [s for s in summaries if s.cells and not is_limit(s)]
    limit = next((s for s in summaries if is_limit(s) and s.cells), None)
    for axes, what in zip(panels, ("decode", "encode"), strict=True):
        _panel(axes, shown, limit, what)
    panels[0].set_ylabel("compression ratio (geometric mean)")
    handles = _legend(shown)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.canvas.draw()
    for axes, what in zip(panels, ("decode", "encode"), strict=True):
        _label(axes, shown, what)
    figure.savefig(path, dpi=160)
    pyplot.close(figure)


def _style(s: Summary) -> tuple[str, str, int]:
    """Colour, marker, size."""
    if s.codec.startswith("arraycodec"):
        return _OURS, "*", 240 if s.level is None else 120
    color, marker, _ = _STYLES[s.family]
    return color, marker, 48


def _panel(axes: Any, shown: Sequence[Summary], limit: Summary | None, what: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for s in shown:
        color, marker, size = _style(s)
        axes.scatter(
            getattr(s, what), s.ratio, s=size, marker=marker, linewidths=1.4, zorder=3,
            facecolors="none" if s.broken or s.lost else color, edgecolors=color,
        )  # fmt: skip
    for curve in curves(shown):
        axes.plot([getattr(s, what) for s in curve], [s.ratio for s in curve], color=_OURS, linewidth=1.2, zorder=2)
    speeds, ratios = [getattr(s, what) for s in shown], [s.ratio for s in shown]
    right = max(speeds)
    if limit is not None:
        right = max(right, getattr(limit, what))
        axes.axvline(getattr(limit, what), color="#555555", linestyle="--", linewidth=1, zorder=1)
        axes.text(
            getattr(limit, what), 0.02, " memcpy ", transform=axes.get_xaxis_transform(),
            rotation=90, ha="right", va="bottom", fontsize=8.5, color="#555555",
        )  # fmt: skip
    axes.set_xlim(min(speeds) / 2.5, right * 1.3)
    axes.set_ylim(min(ratios) / 1.15, max(ratios) * 1.15)
    axes.set_xlabel(f"{what} MB/s, one CPU (geometric mean)")
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.grid(True, which="minor", color="#eeeeee", linewidth=0.5)
    axes.set_axisbelow(True)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _label(axes: Any, shown: Sequence[Summary], what: str) -> None:
    """Names beside the markers, each at the first place where it covers nothing; ours first."""
    transform, frame = axes.transData, axes.get_window_extent()
    renderer = axes.figure.canvas.get_renderer()
    points = [transform.transform((getattr(s, what), s.ratio)) for s in shown]
    taken: list[tuple[float, float, float, float]] = [(x - 9, y - 9, x + 9, y + 9) for x, y in points]
    places = [(12, 0, "left", "center"), (-12, 0, "right", "center"), (0, 12, "center", "bottom")]
    places += [(0, -12, "center", "top"), (10, 14, "left", "bottom"), (10, -14, "left", "top")]
    places += [(-10, 14, "right", "bottom"), (-10, -14, "right", "top")]
    places += [(dx, dy, ha, "center") for dy in (28, -28, 42, -42) for dx, ha in ((12, "left"), (-12, "right"))]
    scale = axes.figure.dpi / 100
    names = _names(shown)
    order = sorted(range(len(shown)), key=lambda i: not shown[i].codec.startswith("arraycodec"))
    for i in order:
        s, best = shown[i], None
        for dx, dy, ha, va in places:
            text = axes.annotate(
                names[i], (getattr(s, what), s.ratio), xytext=(dx * 0.72 * scale, dy * 0.72 * scale),
                textcoords="offset points", ha=ha, va=va, fontsize=8.5, color=_style(s)[0], zorder=4,
                fontweight="bold" if s.codec.startswith("arraycodec") else "normal",
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            place = (box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1)
            inside = frame.x0 < place[0] and place[2] < frame.x1 and frame.y0 < place[1] and place[3] < frame.y1
            cost = sum(_overlap(place, other) for j, other in enumerate(taken) if j != i) + (0 if inside else 1e6)
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, text, place, (dx, dy))
            else:
                text.remove()
            if cost == 0:
                break
        taken.append(best[2])
        dx, dy = best[3]
        if abs(dy) > 13:  # too far to be understood without a line
            axes.annotate(
                "", (getattr(s, what), s.ratio), xytext=(dx * 0.72 * scale, dy * 0.6 * scale),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": _style(s)[0], "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4},
            )  # fmt: skip


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _legend(shown: Sequence[Summary]) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(color: str, marker: str, text: str, filled: bool, size: float = 7) -> Any:
        return Line2D(
            [], [], linestyle="none", marker=marker, markersize=size, label=text,
            markeredgecolor=color, markerfacecolor=color if filled else "none",
        )  # fmt: skip

    entries = [entry(_OURS, "*", "arraycodec", True, 13)]
    families = {s.family for s in shown}
    entries += [entry(color, marker, text, True) for family, (color, marker, text) in _STYLES.items()
                if family in families]  # fmt: skip
    if any(s.broken or s.lost for s in shown):
        entries.append(entry("#333333", "o", "open: broke its bound, or lost NaN, somewhere", False))
    return entries
