"""``arraycodec tune``: size, error and speed of a sample over tolerances and codecs, and tolerances for targets."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..tuning import Point, Sample, for_psnr, for_ratio, knee, ladder
from . import interrupt
from .bench import csvfile
from .bench.machine import describe
from .bench.tables import aligned, speed
from .codecs import flag
from .console import Console
from .formats import open_source
from .model import CommandError
from .subject import Subject, Wanted, subjects

_HEAD = ("", "tol", "tol/range", "codec", "bits/value", "ratio", "max error", "RMSE", "PSNR", "enc MB/s", "dec MB/s")
_LEVELS = (1, 5, 9)
_FINE = (1, 2, 5)  # of a decade, where the knee is looked for


@dataclass(frozen=True)
class Options:
    """What ``tune`` is asked to do.

    Attributes
    ----------
    wanted : Wanted
    in_format : str or None
    tols : tuple of float
        Instead of the ladder.
    levels : tuple of int
        Of AnsQuant; empty: 1, 5 and 9.  Where it is one only, targets are met at it, too.
    varint : bool
        Whether VarintQuant is measured.
    predictor : str or None
    nbytes : int or None
        Of the sample; None: everything.
    seed : int
    target_ratio, target_psnr : float or None
    csv : Path or None
    command : tuple of str
        For the CSV.
    """

    wanted: Wanted
    in_format: str | None = None
    tols: tuple[float, ...] = ()
    levels: tuple[int, ...] = ()
    varint: bool = True
    predictor: str | None = None
    nbytes: int | None = None
    seed: int = 0
    target_ratio: float | None = None
    target_psnr: float | None = None
    csv: Path | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class TuneRow:
    """One codec at one tolerance; the columns of the CSV."""

    array: str
    dtype: str
    values: int
    sampled: int
    codec: str
    level: int | None
    tol: float
    tol_in_range: float
    bits_per_value: float
    ratio: float
    max_error: float
    rmse: float
    psnr: float
    violations: int
    encode: float  # MB/s
    decode: float
    knee: bool


@dataclass(frozen=True)
class _Kind:
    """A codec without its tolerance."""

    codec: str
    level: int | None
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.codec} {self.level}" if self.level is not None else self.codec


def tune(options: Options, console: Console) -> bool:
    """Measure, print a table for each array, and say which tolerances meet the targets.

    Returns
    -------
    bool
        Whether some tolerance meets all targets, for each array.

    Raises
    ------
    CommandError
        If a target is out of reach for some array; everything else has been printed and written then.
    """
    if options.csv is not None:
        csvfile.check_writable(options.csv, "--csv")
    rows: list[TuneRow] = []
    failures: list[str] = []
    met = True
    with open_source(options.wanted.path, options.in_format) as source:
        found = list(subjects(source, options.wanted, console))
        for number, subject in enumerate(found):
            if number:
                console.say("")
            session = _Session(subject, options, len(found) > 1, console)
            rows += session.table()
            try:
                met = session.targets() and met
            except CommandError as e:  # the other arrays and the CSV first
                failures.append(str(e))
    if options.csv is not None:
        csvfile.write(options.csv, describe(list(options.command), {}), rows)
    if failures:
        raise CommandError("; ".join(failures))
    return met


class _Session:
    """One array: its sample, and what was measured of it."""

    def __init__(self, subject: Subject, options: Options, named: bool, console: Console) -> None:
        self._subject, self._options, self._named, self._console = subject, options, named, console
        self._sample = subject.sample(options.nbytes, options.seed)
        self._points: dict[tuple[str, float], Point] = {}
        own = {} if options.predictor is None else {"predictor": options.predictor}
        levels = options.levels or _LEVELS
        self._kinds = [_Kind("ansquant", level, {"level": level, **own}) for level in levels]
        # The curve of the knee and the targets are of what users get if they say nothing.
        self._main = self._kinds[0] if len(levels) == 1 else _Kind("ansquant", 5, {"level": 5, **own})
        if options.varint:
            self._kinds.append(_Kind("varint", None, {}))

    def _measure(self, kind: _Kind, tol: float) -> Point:
        key = kind.name, tol
        if key not in self._points:
            interrupt.check()
            codec = self._subject.codec(tol, kind.codec, **kind.options)
            self._points[key] = self._sample.measure(codec, tol)
        return self._points[key]

    def table(self) -> list[TuneRow]:
        """Print what was measured; its rows."""
        say, sample = self._console.say, self._sample
        for line in self._heading():
            say(line)
        tols = sorted(set(self._options.tols or ladder(sample)), reverse=True)
        turn, straight = self._knee(tols)
        # the knee is found on a finer ladder than is shown
        tols = sorted({*tols, *(() if turn is None else (turn.tol,)), 0.0}, reverse=True)
        self._console.start(len(tols) * len(self._kinds) * sample.nbytes)
        rows, lines = [], [list(_HEAD)]
        try:
            for tol in tols:
                for number, kind in enumerate(self._kinds):
                    point = self._measure(kind, tol)
                    is_knee = turn is not None and tol == turn.tol
                    rows.append(self._row(kind, point, is_knee))
                    lines.append(self._cells(kind, point, is_knee, number == 0))
                    self._console.advance(sample.nbytes, self._subject.title)
        finally:
            self._console.stop()
        say("")
        say(aligned(lines, left=1))
        say("")
        for line in self._explained(turn, straight):
            say(line)
        return rows

    def _heading(self) -> Iterator[str]:
        info, sample = self._subject.info, self._sample
        size = f"{sample.nbytes / 2**20:.3g} MiB"
        if sample.share < 1:
            size = f"{size} of {info.nbytes / 2**20:.4g} MiB measured, {len(sample.parts)} chunks spread over it"
        dtype = self._subject.dtype or info.dtype.name
        yield f"{self._subject.title}: {dtype} {'x'.join(map(str, info.shape)) or 'scalar'}, {size}"
        counted = sum(int(sample.counting(i).sum()) for i in range(len(sample.parts)))
        total = sum(sample.counting(i).size for i in range(len(sample.parts)))
        text = f"values from {sample.low:g} to {sample.high:g}, range {sample.extent:g}"
        if counted < total:
            text += f"; {100 * (1 - counted / total):.3g} % missing or not finite"
        yield text if counted else "no finite value"

    def _knee(self, tols: Sequence[float]) -> tuple[Point | None, bool]:
        """The knee of the main codec's curve, on a fine ladder or on the tolerances that were given.

        And whether it is the first point: then the curve is straight.
        """
        tols = tols if self._options.tols else ladder(self._sample, _FINE)
        points = [self._measure(self._main, tol) for tol in tols]
        at = knee(points, self._sample.bits_per_halving)
        return (None, False) if at is None else (points[at], points[at].tol == max(tols))

    def _row(self, kind: _Kind, point: Point, is_knee: bool) -> TuneRow:
        info, sample = self._subject.info, self._sample
        return TuneRow(
            self._subject.title, self._subject.dtype or info.dtype.name, info.size, sample.values, kind.codec,
            kind.level, point.tol, _part(point.tol, sample), point.bits_per_value, point.ratio, point.max_error,
            point.rmse, point.psnr, point.violations, point.encode_speed, point.decode_speed, is_knee,
        )  # fmt: skip

    def _cells(self, kind: _Kind, point: Point, is_knee: bool, first: bool) -> list[str]:
        part = _part(point.tol, self._sample)
        return [
            "knee" if is_knee and first else "",
            (f"{point.tol:g}" if point.tol else "0") if first else "",
            (f"{part:.1e}" if point.tol and part == part else "") if first else "",
            kind.name,
            f"{point.bits_per_value:.3f}", f"{point.ratio:.2f}", f"{point.max_error:.3g}", f"{point.rmse:.3g}",
            "exact" if point.psnr == math.inf else f"{point.psnr:.1f}",
            speed(point.encode_speed), speed(point.decode_speed),
        ]  # fmt: skip

    def _explained(self, turn: Point | None, straight: bool) -> Iterator[str]:
        if turn is None:
            yield "no knee: there are fewer than four tolerances, or precision costs nothing"
            return
        most = self._sample.bits_per_halving
        if straight:
            yield "the curve is straight, as that of noise: neighbours predict nothing, at any of these tolerances"
        yield f"knee: tol {turn.tol:g}, {turn.bits_per_value:.2f} bits per value with {self._main.name}: below it every"
        yield f"halving of the tolerance costs about as much as it does with noise, {most:.2f} bits per value"
        yield self._command(turn)

    def targets(self) -> bool:
        """Say which tolerances meet the targets; whether one meets all."""
        options = self._options
        least = most = None
        if options.target_ratio is not None:
            least = self._target(for_ratio, options.target_ratio, f"ratio {options.target_ratio:g}")
        if options.target_psnr is not None:
            most = self._target(for_psnr, options.target_psnr, f"PSNR {options.target_psnr:g} dB")
        if least is None or most is None:
            return True
        if least.tol > most.tol:
            self._console.say(
                f"no tolerance meets both targets: the ratio needs {least.tol:g} or more, the PSNR {most.tol:g} or less"
            )
            return False
        span = f"from tol {least.tol:g} to {most.tol:g}" if least.tol < most.tol else f"at tol {most.tol:g}"
        self._console.say(f"both targets are met {span}")
        return True

    def _target(self, find: Any, target: float, said: str) -> Point:
        subject, main = self._subject, self._main
        try:
            point = find(self._sample, target, subject.maker(main.codec, **main.options))
        except ParameterError as e:
            raise CommandError(f"{subject.title}: {e}") from None
        psnr = "no error" if point.psnr == math.inf else f"PSNR {point.psnr:.2f} dB"
        self._console.say(
            f"{said}: tol {point.tol:g} gives ratio {point.ratio:.3f}, {point.bits_per_value:.3f} bits per value, "
            f"{psnr}"
        )
        self._console.say(self._command(point))
        return point

    def _command(self, point: Point) -> str:
        """What compresses the array so."""
        options, wanted = self._options, self._options.wanted
        tol = next(text for text in (f"{point.tol:g}", repr(point.tol)) if float(text) == point.tol)
        words = ["arraycodec", "compress", str(wanted.path), "OUT.zarr", "--tol", tol]
        if self._named or wanted.name is not None:
            words += ["--name", self._subject.info.name]
        if wanted.fill_value is not None:
            words += ["--fill-value", str(wanted.fill_value).strip("()")]
        if wanted.dtype is not None:
            words += ["--dtype", wanted.dtype]
        words += [flag("lossy_integers")] if wanted.lossy_integers else []
        if len(options.levels) == 1:
            words += ["--level", str(self._main.level)]
        if options.predictor is not None:
            words += ["--predictor", options.predictor]
        return "    " + shlex.join(words)


def _part(tol: float, sample: Sample) -> float:
    """A tolerance in units of the range; NaN where there is none."""
    return tol / sample.extent if sample.extent else math.nan
