"""What a picture shows of an array: a line or a plane of it, as it is and as it comes back, and their spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..boxes import boxes
from . import interrupt
from .model import ArrayInfo, Box, CommandError
from .subject import Subject

_LONG = 8  # an axis of fewer values makes no picture
_LINE, _SIDE = 1 << 18, 2048  # values of a line, and along each side of a plane, that are drawn at most
_TRIES = (1 / 2, 1 / 4, 3 / 4, 0.0, 1.0)  # where along the other axes there may be something to see
_ENOUGH = 0.05  # of the values of a plane that must be there
_BINS = 48  # of a spectrum

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class View:
    """A line or a plane of an array.

    Attributes
    ----------
    index : tuple of int and slice
        Where it is in the array, one for each axis.
    original, decoded : numpy.ndarray
        Of one axis or two; float64, or complex128; NaN where values are missing or not finite.
    labels : tuple of str
        Of the axes.
    upward : bool
        Whether the first axis of a plane grows upward, as latitudes do.
    """

    index: Index
    original: np.ndarray
    decoded: np.ndarray
    labels: tuple[str, ...]
    upward: bool

    @property
    def is_plane(self) -> bool:
        """Whether there are two axes."""
        return self.original.ndim == 2

    @property
    def starts(self) -> list[int]:
        """The first index along each axis."""
        return [i.start for i in self.index if isinstance(i, slice)]

    @property
    def error(self) -> np.ndarray:
        """Decoded minus original."""
        return self.decoded - self.original

    @property
    def said(self) -> str:
        """The index as one would type it; "" where it is the whole array."""
        return ", ".join(str(i) if isinstance(i, int) else f"{i.start}:{i.stop}" for i in self.index)


def view(subject: Subject, codec: Any, chosen: Index | None) -> View:
    """Read a line or a plane, and decode the chunks that it is in.

    Parameters
    ----------
    subject : Subject
    codec : AnsQuant or another codec
    chosen : tuple of int and slice or None
        One for each axis, with one or two ranges; None: the last two axes of some length, in the middle of the others
        or where there are values.

    Raises
    ------
    CommandError
        If the array has no axis, or `chosen` does not fit it.
    """
    info = subject.info
    if not info.shape:
        raise CommandError(f"{info.label} is a single value: there is nothing to draw")
    if chosen is not None:
        index = _checked(chosen, info)
        original, decoded = _read(subject, codec, index)
    else:
        best = -1.0
        for fraction in _TRIES:
            candidate = _central(info.shape, fraction)
            values = _numbers(subject, subject.read(_as_box(candidate)))
            there = float(np.mean(np.isfinite(values)))
            if there > best:
                best, index = there, candidate
            if best >= _ENOUGH or not any(isinstance(i, int) for i in candidate):
                break
        original, decoded = _read(subject, codec, index)
    axes = [axis for axis, i in enumerate(index) if isinstance(i, slice)]
    names = info.dimension_names or (None,) * len(info.shape)
    labels = tuple(names[axis] or (f"axis {axis}" if len(info.shape) > 1 else "index") for axis in axes)
    upward = len(axes) == 2 and _ascends(subject, names[axes[0]], info.shape[axes[0]])
    return View(index, original, decoded, labels, upward)


def _checked(chosen: Index, info: ArrayInfo) -> Index:
    text = ",".join(
        str(i) if isinstance(i, int) else f"{'' if i.start is None else i.start}:{'' if i.stop is None else i.stop}"
        for i in chosen
    )
    if len(chosen) != len(info.shape):
        raise CommandError(f"--slice {text} has {len(chosen)} axes, {info.label} has {len(info.shape)}: {info.shape}")
    index: list[int | slice] = []
    for i, length in zip(chosen, info.shape, strict=True):
        if isinstance(i, int):
            if not -length <= i < length:
                raise CommandError(f"--slice {text}: {i} is beyond an axis of {length} values")
            index.append(i % length)
            continue
        start, stop, _ = i.indices(length)
        if start >= stop:
            raise CommandError(f"--slice {text}: nothing is in {i.start}:{i.stop} of an axis of {length} values")
        index.append(slice(start, stop))
    ranges = [i.stop - i.start for i in index if isinstance(i, slice)]
    if len(ranges) not in (1, 2):
        raise CommandError(f"--slice {text}: one range makes a line and two a plane, not {len(ranges)}")
    if math.prod(ranges) > _SIDE**2:
        raise CommandError(f"--slice {text}: {math.prod(ranges)} values are too many to draw, {_SIDE**2} at most")
    return tuple(index)


def _central(shape: tuple[int, ...], fraction: float) -> Index:
    """The middle of a plane or a line, at a place along the other axes."""
    long = [axis for axis, n in enumerate(shape) if n >= _LONG]
    shown = long[-2:] or [max(range(len(shape)), key=lambda axis: shape[axis])]
    most = _LINE if len(shown) == 1 else _SIDE
    index: list[int | slice] = []
    for axis, n in enumerate(shape):
        if axis not in shown:
            index.append(min(int(n * fraction), n - 1))
            continue
        length = min(n, most)
        start = (n - length) // 2
        index.append(slice(start, start + length))
    return tuple(index)


def _as_box(index: Index) -> Box:
    return tuple(slice(i, i + 1) if isinstance(i, int) else i for i in index)


def _read(subject: Subject, codec: Any, index: Index) -> tuple[np.ndarray, np.ndarray]:
    """The values in their chunks, as they are and decoded."""
    box = _as_box(index)
    shape = tuple(s.stop - s.start for s in box)
    original = np.empty(shape, subject.info.dtype)
    decoded = np.empty(shape, subject.info.dtype)
    chunks = subject.chunks
    first = [s.start // c for s, c in zip(box, chunks, strict=True)]
    cells = tuple(-(-s.stop // c) - f for s, c, f in zip(box, chunks, first, strict=True))
    for cell in boxes(cells, (1,) * len(cells)):
        interrupt.check()
        at = [(f + s.start) * c for f, s, c in zip(first, cell, chunks, strict=True)]
        whole = tuple(slice(a, min(a + c, n)) for a, c, n in zip(at, chunks, subject.info.shape, strict=True))
        values = np.array(subject.read(whole), order="C")
        back = np.asarray(codec.decode(codec.encode(values))).view(values.dtype).reshape(values.shape)
        inner = tuple(slice(max(w.start, b.start), min(w.stop, b.stop)) for w, b in zip(whole, box, strict=True))
        source = tuple(slice(i.start - w.start, i.stop - w.start) for i, w in zip(inner, whole, strict=True))
        target = tuple(slice(i.start - b.start, i.stop - b.start) for i, b in zip(inner, box, strict=True))
        original[target], decoded[target] = values[source], back[source]
    kept = tuple(0 if isinstance(i, int) else slice(None) for i in index)
    return tuple(_numbers(subject, values)[kept] for values in (original, decoded))


def _numbers(subject: Subject, values: np.ndarray) -> np.ndarray:
    """As float64 or complex128, with NaN for what is missing."""
    bits = subject.dtype == "bfloat16"
    numbers = (values.astype("u4") << 16).view("f4") if bits else values
    result = numbers.astype("c16" if values.dtype.kind == "c" else "f8")
    gone = ~np.isfinite(result)
    for mark in subject.missing:
        gone |= numbers == numbers.dtype.type(mark)
    result[gone] = np.nan
    return result


def _ascends(subject: Subject, name: str | None, length: int) -> bool:
    """Whether the file has coordinates of this dimension that grow."""
    if not name or length < 2:
        return False
    folder = subject.info.name.rpartition("/")[0]
    names = {f"{folder}/{name}".strip("/"), name}
    for item in subject.source.items():
        if isinstance(item, ArrayInfo) and item.name in names and item.shape == (length,) and item.dtype.kind in "fiu":
            first, last = (subject.source.read(item, (slice(i, i + 1),))[0] for i in (0, length - 1))
            return bool(last > first)
    return False


def spectrum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The power spectrum of a line or a plane, averaged over directions and over bands of frequency.

    Parameters
    ----------
    values : numpy.ndarray
        Of one axis or two; real or complex.  NaN count as the mean.

    Returns
    -------
    frequency : numpy.ndarray
        Cycles per step of the grid, of bands that are equally wide in their logarithm; up to 1/2.
    power : numpy.ndarray
        Power for each coefficient: white noise has its variance in every band.  A Hann window is applied, so that
        edges do not leak; what it and missing values take away is made good.
    """
    there = np.isfinite(values)
    mean = values[there].mean() if there.any() else 0.0
    window = there.astype("f8")
    squares = np.zeros(values.shape)
    for axis, n in enumerate(values.shape):
        along = [-1 if a == axis else 1 for a in range(values.ndim)]
        window *= np.hanning(n + 2)[1:-1].reshape(along)  # without the zeros at its ends
        squares += np.fft.fftfreq(n).reshape(along) ** 2
    centred = np.where(there, values - mean, 0) * window
    power = np.abs(np.fft.fftn(centred)) ** 2 / max(float(np.square(window).sum()), np.finfo("f8").tiny)
    return _averaged(np.sqrt(squares).reshape(-1), power.reshape(-1), values.shape)


def _averaged(frequency: np.ndarray, power: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Means over bands; those without a frequency are left out."""
    edges = np.geomspace(0.75 / max(shape), 0.5, _BINS + 1)
    band = np.digitize(frequency, edges, right=True)
    kept = (band > 0) & (band <= _BINS)  # neither the mean nor the corners beyond 1/2
    counts = np.bincount(band[kept], minlength=_BINS + 1)[1:]
    found = counts > 0
    means = [np.bincount(band[kept], x[kept], _BINS + 1)[1:][found] / counts[found] for x in (frequency, power)]
    return means[0], means[1]
