"""Bits per value against PSNR, on a sample: of this package's levels, and of the peers of ``arraycodec bench``."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..codec import verify
from ..tuning import Sample, error_of, psnr, root_mean_square
from . import interrupt
from .bench.measure import Contender, Contenders
from .bench.protocol import ChildFailed
from .bench.sizes import fill_forward
from .subject import Subject

#: Peers that are worth a curve: those with a bound, and the pipeline that people build.
PEERS = ("sz3", "sperr", "zfp", "lerc", "pcodec")
_TIMEOUT = 60.0  # seconds for one chunk


@dataclass(frozen=True)
class RatePoint:
    """A codec at one tolerance."""

    tol: float
    bits: float
    psnr: float
    held: bool


@dataclass(frozen=True)
class RateCurve:
    """A codec over tolerances.

    Attributes
    ----------
    name : str
    points : tuple of RatePoint
        Without those that have no error: a PSNR is a number here.
    level : int or None
        Of this package's codec.
    """

    name: str
    points: tuple[RatePoint, ...]
    level: int | None = None


def own_curves(
    subject: Subject, sample: Sample, tols: Sequence[float], levels: Sequence[int], predictor: str | None
) -> list[RateCurve]:
    """AnsQuant, as ``compress`` would use it."""
    curves = []
    for level in levels:
        points = []
        for tol in tols:
            interrupt.check()
            point = sample.measure(subject.codec(tol, level=level, predictor=predictor), tol)
            points.append(RatePoint(tol, point.bits_per_value, point.psnr, not point.violations))
        curves.append(RateCurve(f"arraycodec, level {level}", _finite(points), level))
    return curves


def peer_curves(
    sample: Sample, tols: Sequence[float], peers: Sequence[str] | None
) -> tuple[list[RateCurve], list[str]]:
    """The same of other codecs, each in a process of its own.

    They get every chunk of the sample as real numbers (real parts, then imaginary parts) in which what is missing is
    filled forward: where that was costs them nothing.

    Parameters
    ----------
    sample : Sample
    tols : sequence of float
    peers : sequence of str or None
        Names or adapters as of ``bench``, which must be there; None: those of `PEERS` that are.

    Returns
    -------
    curves : list of RateCurve
        Of those that gave at least two points.
    missing : list of str
        The others, with reasons.
    """
    if peers is not None and not peers:
        return [], []
    names = list(PEERS if peers is None else peers)
    with (
        tempfile.TemporaryDirectory(prefix="arraycodec-plot-") as scratch,
        Contenders(names, [None], [1], [], limit=False, optional=peers is None) as contenders,
    ):
        inputs = [_input(sample, i, Path(scratch, f"{i}.npy")) for i in range(len(sample.parts))]
        curves, missing = [], list(contenders.missing)
        for contender in contenders:
            points, reason = [], ""
            for tol in tols:
                try:
                    points.append(_point(contender, sample, inputs, tol, Path(scratch, "decoded.npy")))
                except ChildFailed as e:
                    reason = str(e)
            found = _finite(points)
            if len(found) > 1:
                curves.append(RateCurve(contender.info["name"], found))
            else:
                missing.append(f"{contender.info['name']} ({reason or 'no errors to compare'})")
    return curves, missing


def _finite(points: Sequence[RatePoint]) -> tuple[RatePoint, ...]:
    return tuple(p for p in points if math.isfinite(p.psnr))


def _input(sample: Sample, i: int, path: Path) -> tuple[Path, np.ndarray]:
    """A chunk as peers get it."""
    values = fill_forward(_planes(sample, i, sample.numbers(sample.parts[i])), _planes(sample, i, sample.counting(i)))
    np.save(path, values)
    return path, values


def _planes(sample: Sample, i: int, flat: np.ndarray) -> np.ndarray:
    """What there is of each number of a chunk, in its shape; real parts before imaginary parts."""
    part = sample.parts[i]
    if part.dtype.kind != "c":
        return flat.reshape(part.shape)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(*part.shape, 2), -1, 0))


def _point(
    contender: Contender, sample: Sample, inputs: Sequence[tuple[Path, np.ndarray]], tol: float, decoded: Path
) -> RatePoint:
    """Encode and decode all chunks; ChildFailed if one does not work."""
    stored, held, errors = 0, True, []
    for i, (path, values) in enumerate(inputs):
        interrupt.check()
        answer = contender.request(
            _TIMEOUT, do="open", path=str(path), tol=tol, chunk=0, decoded=str(decoded), stream_bytes=0,
            seconds=_TIMEOUT,
        )  # fmt: skip
        if "refused" in answer:
            raise ChildFailed(answer["refused"])
        stored += answer["bytes"]
        back = np.load(decoded)
        held = held and bool(verify(values, back, tol))
        kept = _planes(sample, i, sample.counting(i))
        with np.errstate(over="ignore", invalid="ignore"):  # a peer may decode to anything
            errors.append(error_of(back[kept].astype("f8") - values[kept].astype("f8")))
    return RatePoint(tol, 8 * stored / sample.values, psnr(sample.extent, root_mean_square(errors)), held)
