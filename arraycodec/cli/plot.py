"""``arraycodec plot``: what a tolerance does to an array, in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..output import Output
from ..tuning import Point, Sample, curve, knee, ladder
from .console import Console
from .figures import check_picture
from .formats import open_source
from .model import CommandError
from .output import FORCE
from .ratecurve import RateCurve, own_curves, peer_curves
from .subject import Subject, Wanted, one_subject
from .view import Index, View, spectrum, view

# Colours that differ for everybody: M. Okabe and K. Ito, "Color Universal Design" (2008).
_BLACK, _ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _RED, _PINK = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
_PEER_STYLES = ((_BLUE, "o"), (_ORANGE, "s"), (_GREEN, "^"), (_PINK, "D"), (_SKY, "v"), (_BLACK, "P"))
_LEVELS = (1, 5, 9)
_DECADES = 6  # of tolerances, for the curves
_GAP = "#bdbdbd"  # where there is no value
_LOWER = 4.0  # inches
_LONGEST = 4.0  # sides of a plane; beyond, pixels are no squares
_COLUMNS = 1500  # of a line that is drawn as the range of its values
_DETAIL = 200  # values of a line that are drawn one by one
_HISTOGRAM = 61
_NAME = 90  # letters of the title


@dataclass(frozen=True)
class Options:
    """What ``plot`` is asked to do.

    Attributes
    ----------
    wanted : Wanted
    tol : float
        Above 0.
    output : Path
        .png, .pdf or .svg.
    in_format : str or None
    index : tuple of int and slice or None
        What is drawn; None: it is chosen.
    level : int or None
    predictor : str or None
    nbytes : int or None
        Of the sample; None: everything.
    seed : int
    peers : list of str or None
        As of `peer_curves`.
    dpi : int
        Pixels of an inch; the picture is 15.5 inches wide.
    force : bool
        Replace the output.
    """

    wanted: Wanted
    tol: float
    output: Path
    in_format: str | None = None
    index: Index | None = None
    level: int | None = None
    predictor: str | None = None
    nbytes: int | None = 4 << 20
    seed: int = 0
    peers: list[str] | None = None
    dpi: int = 130
    force: bool = False


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn.

    Attributes
    ----------
    subject : Subject
    options : Options
    sample : Sample
    point : Point
        Of the sample at the tolerance.
    errors : numpy.ndarray
        Of the sample, in tolerances.
    view : View
    curves : list of RateCurve
    turn : Point or None
        The knee.
    lossless : Point
    """

    subject: Subject
    options: Options
    sample: Sample
    point: Point
    errors: np.ndarray
    view: View
    curves: list[RateCurve]
    turn: Point | None
    lossless: Point

    @property
    def units(self) -> str:
        """Of the values, if the file says them."""
        units = self.subject.info.attrs.get("units")
        return units if isinstance(units, str) else ""


def plot(options: Options, console: Console) -> None:
    """Measure, and write the picture; nothing appears under its name unless all of it succeeds.

    Raises
    ------
    CommandError
        If the picture cannot be written, or there is nothing to draw.
    """
    check_picture(options.output, "-o", "plot", "plot")
    if not options.tol:
        raise CommandError("plot --tol 0: without loss there is no error to draw; give a tolerance above 0")
    out = Output(options.output, options.force, FORCE)
    with open_source(options.wanted.path, options.in_format) as source:
        subject = one_subject(source, options.wanted, console)
        picture, missing = _measured(subject, options)
    figure = draw(picture)
    with out:
        figure.savefig(out.temporary, format=options.output.suffix[1:].lower(), dpi=options.dpi)
        out.commit()
    if missing:
        console.say(f"no curve of {', '.join(missing)}; arraycodec[bench] brings peers, --no-peers leaves them out")
    console.say(f"{options.output}: {_said(picture)}")


def _measured(subject: Subject, options: Options) -> tuple[Picture, list[str]]:
    """What is drawn, and the peers that are not, with reasons."""
    how = {"level": options.level, "predictor": options.predictor}
    codec = subject.codec(options.tol, **how)
    shown = view(subject, codec, options.index)
    sample = subject.sample(options.nbytes, options.seed)
    point = sample.measure(codec, options.tol)
    errors = [sample.errors(i, codec.decode(codec.encode(part))) for i, part in enumerate(sample.parts)]
    fine = curve(sample, ladder(sample, (1, 2, 5)), subject.maker(**how))
    at = knee(fine, sample.bits_per_halving)
    turn = None if at is None else fine[at]
    tols = sorted({*ladder(sample)[:_DECADES], options.tol, *([] if turn is None else [turn.tol])}, reverse=True)
    levels = sorted({*_LEVELS, options.level or 5})
    curves = own_curves(subject, sample, tols, levels, options.predictor)
    peers, missing = peer_curves(sample, tols, options.peers)
    picture = Picture(
        subject, options, sample, point, np.concatenate(errors) / options.tol, shown, curves + peers,
        turn, sample.measure(subject.codec(0.0, **how), 0.0),
    )  # fmt: skip
    return picture, missing


def draw(picture: Picture) -> Any:
    """The figure.

    Returns
    -------
    matplotlib.figure.Figure
        Of six panels, without a display; their axes are labelled ``original``, ``decoded``, ``error``, ``histogram``,
        ``spectrum`` and ``rate``.
    """
    from matplotlib.figure import Figure

    upper = _upper_height(picture.view)
    figure = Figure(figsize=(15.5, upper + _LOWER + 1.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.09, h_pad=0.09, wspace=0.03, hspace=0.03)
    names = [["original", "decoded", "error"], ["histogram", "spectrum", "rate"]]
    panels = figure.subplot_mosaic(names, height_ratios=(upper, _LOWER))
    for name, axes in panels.items():
        axes.set_label(name)
    figure.suptitle(_title(picture), fontsize=12)
    (_planes if picture.view.is_plane else _lines)(picture, panels)
    _histogram(picture, panels["histogram"])
    _spectra(picture, panels["spectrum"])
    _rates(picture, panels["rate"])
    return figure


def _upper_height(shown: View) -> float:
    """Inches for the upper row: planes that are flat need less."""
    if not shown.is_plane or not _has_squares(shown):
        return 3.4
    rows, columns = shown.original.shape
    return min(max(3.9 * rows / columns + 0.6, 2.2), 5.2)


def _has_squares(shown: View) -> bool:
    """Whether steps along both axes are equally long in the picture."""
    rows, columns = shown.original.shape
    return max(rows / columns, columns / rows) <= _LONGEST


def _said(picture: Picture) -> str:
    """Size and error, in one line."""
    point = picture.point
    psnr = "no error" if point.psnr == math.inf else f"PSNR {point.psnr:.1f} dB"
    return (
        f"{point.bits_per_value:.3f} bits per value, ratio {point.ratio:.2f}, {psnr}, "
        f"max error {point.max_error:.4g} ({point.max_error / point.tol:.3f} tol)"
    )


def _title(picture: Picture) -> str:
    info, sample, point = picture.subject.info, picture.sample, picture.point
    shape = " × ".join(map(str, info.shape))
    name = picture.subject.title
    name = name if len(name) <= _NAME else f"…{name[-_NAME:]}"
    first = f"{_plain(name)}    {picture.subject.dtype or info.dtype.name}, {shape}"
    part = f" = {point.tol / sample.extent:.2g} of the range" if sample.extent else ""
    level = f"level {picture.options.level or 5}"
    measured = "" if sample.share == 1 else f", measured on {100 * sample.share:.2g} % of the values"
    return f"{first}\ntol {point.tol:.4g}{part}:  {_said(picture)}    (AnsQuant, {level}{measured})"


def _plain(text: str) -> str:
    """Text without matplotlib's mathematics."""
    return text.replace("$", r"\$")


# --- The upper row: what it looks like ---


def _value_label(picture: Picture) -> str:
    part = "real part" if picture.view.original.dtype.kind == "c" else ""
    units = _plain(picture.units)
    return f"{part} [{units}]" if part and units else part or units or "value"


def _error_name(picture: Picture) -> str:
    part = ", real part" if picture.view.original.dtype.kind == "c" else ""
    return f"error{part}: decoded − original"


def _planes(picture: Picture, panels: dict[str, Any]) -> None:
    shown, tol = picture.view, picture.options.tol
    low, high = _limits(shown.original.real)
    for name, values in (("original", shown.original.real), ("decoded", shown.decoded.real)):
        image = _image(panels[name], shown, values, "viridis", low, high)
        _bar(image, _value_label(picture), _inside(shown.original.real, low, high))
    where = f"  [{shown.said}]" if len(picture.subject.info.shape) > 2 or _is_cut(picture) else ""
    panels["original"].set_title(f"original{where}")
    panels["decoded"].set_title("decoded")
    image = _image(panels["error"], shown, shown.error.real, "RdBu_r", -tol, tol)
    bar = _bar(image, f"error{f' [{_plain(picture.units)}]' if picture.units else ''}", "neither")
    bar.set_ticks([-tol, -tol / 2, 0, tol / 2, tol], labels=["−tol", "", "0", "", "+tol"])
    panels["error"].set_title(f"{_error_name(picture)} (tol {tol:.4g})")


def _bar(image: Any, label: str, extend: str) -> Any:
    """A colour bar as high as the picture beside it."""
    axes = image.axes
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.045, 1)), extend=extend)
    bar.set_label(label)
    return bar


def _is_cut(picture: Picture) -> bool:
    shape = picture.subject.info.shape
    return any(isinstance(i, int) or i != slice(0, n) for i, n in zip(picture.view.index, shape, strict=True))


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of the colours, which a few values may be beyond."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5)))
    if not low < high:
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 1, high + 1)


def _inside(values: np.ndarray, low: float, high: float) -> str:
    """Which ends of a colour bar go on."""
    finite = values[np.isfinite(values)]
    below, above = bool((finite < low).any()), bool((finite > high).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")


def _image(axes: Any, shown: View, values: np.ndarray, colours: str, low: float, high: float) -> Any:
    from matplotlib import colormaps

    rows, columns = values.shape
    (top, left), gap = shown.starts, colormaps[colours].with_extremes(bad=_GAP)
    ends = (top - 0.5, top + rows - 0.5) if shown.upward else (top + rows - 0.5, top - 0.5)
    image = axes.imshow(
        values, cmap=gap, vmin=low, vmax=high, extent=(left - 0.5, left + columns - 0.5, *ends),
        origin="lower" if shown.upward else "upper", interpolation="nearest",
        aspect="equal" if _has_squares(shown) else "auto",
    )  # fmt: skip
    axes.set_xlabel(_plain(shown.labels[1]))
    axes.set_ylabel(_plain(shown.labels[0]))
    return image


def _lines(picture: Picture, panels: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    shown, tol = picture.view, picture.options.tol
    start, n = shown.starts[0], len(shown.original)
    x = np.arange(start, start + n)
    label, index = _value_label(picture), _plain(shown.labels[0])
    _band(panels["original"], x, shown.original.real, _BLUE)
    where = f"  [{shown.said}]" if _is_cut(picture) else ""
    panels["original"].set_title(f"original{where}")
    middle = slice(max(0, (n - _DETAIL) // 2), max(0, (n - _DETAIL) // 2) + _DETAIL)
    axes = panels["decoded"]
    y = shown.original.real[middle]
    axes.fill_between(x[middle], y - tol, y + tol, color=_SKY, alpha=0.35, linewidth=0, label="original ± tol")
    axes.plot(x[middle], y, color=_BLUE, linewidth=1, label="original")
    axes.plot(x[middle], shown.decoded.real[middle], ".", color=_RED, markersize=3.5, label="decoded")
    axes.legend(loc="best", fontsize=8, framealpha=0.9)
    axes.set_title("original and decoded" if n <= _DETAIL else f"original and decoded, {_DETAIL} values of the middle")
    axes = panels["error"]
    if _band(axes, x, shown.error.real, _SKY):
        _running(axes, x, shown.error.real)
    for end in (-tol, tol):
        axes.axhline(end, color=_BLACK, linewidth=1, linestyle="--")
    axes.set_ylim(-1.25 * tol, 1.25 * tol)
    axes.set_yticks([-tol, 0, tol], ["−tol", "0", "+tol"])
    axes.set_title(f"{_error_name(picture)} (tol {tol:.4g})")
    for name in ("original", "decoded", "error"):
        panels[name].set_xlabel(index)
        panels[name].margins(x=0)
        panels[name].xaxis.set_major_locator(MaxNLocator(5))
        if name != "error":
            panels[name].set_ylabel(label)


def _band(axes: Any, x: np.ndarray, y: np.ndarray, color: str) -> bool:
    """A line; of many values the range that they have within each pixel, and then True."""
    if len(y) <= _COLUMNS:
        axes.plot(x, y, color=color, linewidth=0.8)
        return False
    rows = _columns(y)
    axes.fill_between(
        x[:: rows.shape[1]], np.fmin.reduce(rows, axis=1), np.fmax.reduce(rows, axis=1), color=color, linewidth=0.6,
        label="range within a pixel",
    )  # fmt: skip
    return True


def _running(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """The root mean square within each pixel."""
    rows = _columns(y)
    count = np.isfinite(rows).sum(axis=1)
    squares = np.nansum(np.square(rows), axis=1)
    rms = np.sqrt(np.divide(squares, count, out=np.full(len(rows), np.nan), where=count > 0))
    axes.plot(x[:: rows.shape[1]], rms, color=_RED, linewidth=1, label="root mean square")
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)


def _columns(y: np.ndarray) -> np.ndarray:
    """A row of values for each pixel; the last one is filled up with NaN."""
    each = -(-len(y) // _COLUMNS)
    return np.pad(y, (0, -len(y) % each), constant_values=np.nan).reshape(-1, each)


# --- The lower row: what it is in numbers ---


def _histogram(picture: Picture, axes: Any) -> None:
    errors = picture.errors
    exact = float(np.mean(errors == 0)) if errors.size else 1.0
    edges = _edges(picture)
    counts = np.histogram(np.clip(errors, -1, 1), edges)[0] / max(1, errors.size) / np.diff(edges)
    axes.stairs(counts, edges, fill=True, color=_SKY, label="errors")
    axes.stairs(counts, edges, color=_BLUE, linewidth=0.8)
    axes.plot([-1, -1, 1, 1], [0, 0.5, 0.5, 0], color=_RED, linestyle="-", linewidth=1.4, label="uniform within ±tol")
    for end in (-1, 1):
        axes.axvline(end, color=_BLACK, linestyle="--", linewidth=1.2, label="±tol" if end == 1 else None)
    typical = float(np.sort(counts)[-3]) if len(counts) > 3 else 0.5  # a peak of exact values may be cut
    top = max(0.75, 1.35 * min(float(counts.max(initial=0.5)), 4 * max(typical, 0.5)))
    axes.set_ylim(0, top)
    axes.set_xlim(1.15 * min(edges[0], -1), 1.15 * max(edges[-1], 1))
    axes.set_xlabel("error / tol")
    axes.set_ylabel("density")
    axes.set_title(f"errors of {errors.size} values")
    notes = [f"{100 * exact:.3g} % exact", f"RMSE {picture.point.rmse / picture.point.tol:.3f} tol", "(uniform: 0.577)"]
    if counts.max(initial=0) > top:
        notes.append(f"peak: {counts.max():.3g}")
    axes.text(0.09, 0.97, "\n".join(notes), transform=axes.transAxes, va="top", fontsize=8.5)
    _legend_below(axes, 3)


def _edges(picture: Picture) -> np.ndarray:
    """Of the bins of errors, in tolerances; the errors of integers are integers, of which bins have as many."""
    if picture.sample.component.kind == "f":
        return np.linspace(-1, 1, _HISTOGRAM + 1)
    most = max(1, math.floor(picture.point.tol))
    each = -(-(2 * most + 1) // _HISTOGRAM)
    return np.append(np.arange(-most, most + 1, each), most + 1) / picture.point.tol - 0.5 / picture.point.tol


def _legend_below(axes: Any, columns: int) -> None:
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, fontsize=8, frameon=False, handlelength=1.6,
        columnspacing=1.2,
    )  # fmt: skip


def _spectra(picture: Picture, axes: Any) -> None:
    shown, tol = picture.view, picture.options.tol
    drawn = (
        (shown.original, _BLACK, "-", 2.4, "original"),
        (shown.decoded, _ORANGE, "--", 1.6, "decoded"),
        (shown.error, _BLUE, "-", 1.4, "error"),
    )
    there, powers = np.isfinite(shown.original), {}
    for values, color, style, width, name in drawn:
        frequency, power = spectrum(np.where(there, values / tol, np.nan))
        powers[name] = power
        positive = power > 0
        if positive.any():
            axes.plot(frequency[positive], power[positive], style, color=color, linewidth=width, label=name)
    white = (2 if shown.original.dtype.kind == "c" else 1) / 3
    axes.axhline(white, color=_RED, linestyle=":", linewidth=1.4, label="white, uniform in ±tol")
    axes.set_xscale("log")
    axes.set_yscale("log")
    lowest = 0.7 / max(shown.original.shape)
    axes.set_xlim(lowest, 0.6)
    _plain_ticks(axes.xaxis, 0.6 / lowest)
    found = powers["original"][powers["original"] > 0]
    if found.size:
        axes.set_ylim(min(found.min(), white) / 30, found.max() * 5)
    axes.set_xlabel("frequency [cycles per grid step]")
    axes.set_ylabel("power / tol²")
    kind = ", mean over directions" if shown.is_plane else ""
    axes.set_title(f"spectrum{kind}")
    axes.grid(True, which="major", color="#e0e0e0", linewidth=0.7)
    _legend_below(axes, 4)


def _plain_ticks(axis: Any, ratio: float) -> None:
    """Numbers without powers on a logarithmic axis, and not too many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    subs = (1, 2, 5) if ratio < 200 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _rates(picture: Picture, axes: Any) -> None:
    peers = 0
    for found in picture.curves:
        if found.level is not None:
            width = {5: 2.2}.get(found.level, 1.0)
            style = {1: ":", 5: "-", 9: "--"}.get(found.level, "-.")
            color, marker = _RED, ""
        else:
            (color, marker), width, style = _PEER_STYLES[peers % len(_PEER_STYLES)], 1.2, "-"
            peers += 1
        _rate(axes, found, color, marker, style, width)
    point, turn = picture.point, picture.turn
    if turn is not None and math.isfinite(turn.psnr):
        axes.plot(
            turn.bits_per_value, turn.psnr, "d", color=_YELLOW, markeredgecolor=_BLACK, markersize=9, zorder=6,
            linestyle="none", label=f"knee, tol {turn.tol:.4g}",
        )  # fmt: skip
    if math.isfinite(point.psnr):
        axes.plot(
            point.bits_per_value, point.psnr, "*", color=_RED, markeredgecolor=_BLACK, markersize=15, zorder=7,
            linestyle="none", label=f"tol {point.tol:.4g}",
        )  # fmt: skip
    axes.axvline(
        picture.lossless.bits_per_value, color="#777777", linestyle="--", linewidth=1,
        label=f"lossless, {picture.lossless.bits_per_value:.2f}",
    )  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel("bits per value")
    axes.set_ylabel("PSNR [dB]")
    axes.set_title("size against precision")
    axes.grid(True, color="#e0e0e0", linewidth=0.7)
    broken = any(not p.held for c in picture.curves for p in c.points)
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8, title_fontsize=8, frameon=False,
        title="open markers:\nbeyond the tolerance" if broken else None, alignment="left",
    )  # fmt: skip


def _rate(axes: Any, found: RateCurve, color: str, marker: str, style: str, width: float) -> None:
    if not found.points:
        return
    bits, psnrs = [p.bits for p in found.points], [p.psnr for p in found.points]
    axes.plot(bits, psnrs, style, color=color, linewidth=width, zorder=4 if found.level else 3)
    if not marker:
        axes.plot([], [], style, color=color, linewidth=width, label=found.name)
        return
    _markers(axes, [p for p in found.points if p.held], color, marker, color)
    _markers(axes, [p for p in found.points if not p.held], color, marker, "white")
    held = all(p.held for p in found.points)
    axes.plot(
        [], [], style, color=color, linewidth=width, marker=marker, markersize=5,
        markerfacecolor=color if held else "white", label=found.name,
    )  # fmt: skip


def _markers(axes: Any, points: Sequence[Any], color: str, marker: str, face: str) -> None:
    if points:
        axes.plot(
            [p.bits for p in points], [p.psnr for p in points], marker, color=color, markerfacecolor=face,
            markersize=5, linestyle="none", zorder=5,
        )  # fmt: skip
