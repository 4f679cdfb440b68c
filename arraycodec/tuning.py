"""What a tolerance costs and what it keeps, measured on a part of an array; and tolerances found that way.

An array is sampled in whole chunks, spread over it, so that values keep the neighbours from which they are predicted.
Each tolerance is then tried on the sample: `Sample.measure` encodes, decodes and compares.  `curve` does that for many
tolerances, `knee` says from which one on more precision is no longer cheap, and `for_ratio` and `for_psnr` find the
tolerance that makes the sample so small, or keeps it so precise.

>>> sample = tuning.sample(x)
>>> points = tuning.curve(sample, tuning.ladder(sample, (1, 2, 5)))
>>> points[tuning.knee(points, sample.bits_per_halving)].tol
"""

from __future__ import annotations

import math
import numbers
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ansquant import AnsQuant
from .boxes import automatic_chunks
from .codec import as_array, verify
from .dtypes import bfloat16
from .errors import ParameterError
from .names import View
from .parts import component
from .ranges import from_psnr

__all__ = ["Point", "Sample", "curve", "for_psnr", "for_ratio", "knee", "ladder", "sample", "sample_boxes"]

#: Bytes of an array that are tried, unless something else is said.
SAMPLE_BYTES = 16 << 20
# Chunks that would be larger than an eighth of a sample are cut, so that it is spread; but not into crumbs, in which
# values have no neighbours.
_PARTS, _LEAST_VALUES = 8, 1 << 16
_ROUND_SECONDS = 0.05  # a chunk that takes less is coded twice: the first call is slow
_DECADES = 8  # of a ladder, at most
_STEEP = 0.9  # of the steepest: where a curve counts as straight
_TINY = 1e-305  # nobody asks for such tolerances
_FLAT = 0.05  # bits for half the tolerance: a curve that is nowhere steeper has no knee

#: Makes the codec for a tolerance: an object whose `encode` and `decode` are those of `AnsQuant`.
Codec = Callable[[float], Any]


@dataclass(frozen=True)
class Point:
    """One codec at one tolerance, measured on a sample.

    Attributes
    ----------
    tol : float
        The absolute tolerance asked for; 0 is lossless.
    values : int
        Elements of the sample; a complex number is one.
    nbytes, stored : int
        Bytes of the values, and of their chunks.
    extent : float
        Largest minus smallest value of the sample.
    max_error, rmse : float
        Largest and root mean square error, over the values that are finite and no fill values; real and imaginary
        parts count each.
    violations : int
        Values beyond the tolerance, in exact arithmetic, and NaN and infinities that changed.
    encode_seconds, decode_seconds : float
        For all of the sample, in one thread.
    """

    tol: float
    values: int
    nbytes: int
    stored: int
    extent: float
    max_error: float
    rmse: float
    violations: int
    encode_seconds: float
    decode_seconds: float

    @property
    def bits_per_value(self) -> float:
        """Bits of the chunks for each element."""
        return 8 * self.stored / self.values

    @property
    def ratio(self) -> float:
        """Bytes of the values for each byte stored."""
        return self.nbytes / self.stored

    @property
    def psnr(self) -> float:
        """20 log10((max - min) / RMSE), in dB; infinite where there is no error."""
        return psnr(self.extent, self.rmse)

    @property
    def encode_speed(self) -> float:
        """MB/s (10^6 bytes of values)."""
        return self.nbytes / 1e6 / max(self.encode_seconds, 1e-9)

    @property
    def decode_speed(self) -> float:
        """MB/s (10^6 bytes of values)."""
        return self.nbytes / 1e6 / max(self.decode_seconds, 1e-9)


def psnr(extent: float, rmse: float) -> float:
    """The peak signal-to-noise ratio of values of that extent, in dB; -inf for values without extent and an error."""
    if rmse == 0:
        return math.inf
    return 20 * (math.log10(extent) - math.log10(rmse)) if extent > 0 else -math.inf


class Sample:
    """Parts of an array that stand for all of it.

    Parameters
    ----------
    parts : sequence of numpy.ndarray
        Boxes of the array, each encoded as one chunk.  Integers, floats or complex numbers, of one dtype.
    missing : iterable of number
        Values that stand for missing ones: their errors do not count.
    dtype : {None, "bfloat16"}
        What uint16 elements are.
    share : float
        Which part of the array's elements this is, 0 to 1.

    Attributes
    ----------
    parts : list of numpy.ndarray
        C-contiguous.
    share : float
    values, nbytes : int
        Elements and bytes.
    low, high : float
        The smallest and the largest value that counts; both 0 where none does.
    bits_per_halving : float
        What half the tolerance costs at most, in bits for each element, where nothing can be predicted: 1 (2 for
        complex numbers) times the part of the values that count and are not the commonest one, which is cheap.

    Raises
    ------
    TypeError
        If a tolerance does not apply to arrays of this dtype, or a part is a masked array.
    ParameterError
        If there is no value.
    """

    def __init__(
        self, parts: Sequence[np.ndarray], missing: Iterable[Any] = (), dtype: View | None = None, share: float = 1.0
    ) -> None:
        self.parts = [np.array(as_array(part), order="C", ndmin=1) for part in parts if np.size(part)]
        self.values = sum(part.size for part in self.parts)
        if not self.values:
            raise ParameterError("a sample of an array without values has nothing to measure")
        self._dtype, self.share = dtype, share
        if dtype == "bfloat16":
            bfloat16()  # imports what decoding will need, before that is timed
        self._missing = tuple(missing)
        kind = self.parts[0].dtype
        self._component = np.dtype("f4") if self._is_bfloat16(kind) else component(kind)
        self.nbytes = sum(part.nbytes for part in self.parts)
        self._present = [self._counting(part) for part in self.parts]
        counted = np.concatenate([self.numbers(p)[here] for p, here in zip(self.parts, self._present, strict=True)])
        self.low, self.high = (float(end) for end in (counted.min(), counted.max())) if counted.size else (0.0, 0.0)
        commonest = int(np.unique(counted, return_counts=True)[1].max(initial=0))
        self.bits_per_halving = (counted.size - (commonest if commonest > 1 else 0)) / self.values

    @property
    def extent(self) -> float:
        """Largest minus smallest value; the largest double where that is beyond it."""
        return min(self.high - self.low, np.finfo("f8").max)

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def component(self) -> np.dtype:
        """The real type of the values: that of the parts of complex numbers, float32 for bfloat16."""
        return self._component

    @property
    def precision(self) -> float:
        """About the smallest tolerance that means anything: half the spacing of floats at the largest value, or 1."""
        if self._component.kind in "iu":
            return 1.0
        if self._is_bfloat16(self.parts[0].dtype):
            return self.largest * 2.0**-9
        return self.largest * float(np.finfo(self._component).eps) / 2

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Elements as real numbers, flat: a complex number is two, bfloat16 becomes float32."""
        if self._is_bfloat16(values.dtype):
            bits = values.view("u2") if values.dtype.kind != "u" else values
            return (bits.reshape(-1).astype("u4") << 16).view("f4")
        native = values.astype(values.dtype.newbyteorder("="), copy=False).reshape(-1)
        return np.ascontiguousarray(native).view(self._component)

    def _is_bfloat16(self, dtype: np.dtype) -> bool:
        return dtype.name == "bfloat16" or self._dtype == "bfloat16" and dtype.newbyteorder("=") == np.uint16

    def _counting(self, part: np.ndarray) -> np.ndarray:
        """Which numbers of a part count, flat."""
        values = self.numbers(part)
        present = np.isfinite(values)
        elements = part.reshape(-1) if part.dtype.kind == "c" else values
        each = values.size // elements.size
        for mark in self._missing:
            with np.errstate(over="ignore"):  # a mark beyond float32 is infinite, and left out already
                present &= np.repeat(elements != elements.dtype.type(mark), each)
        return present

    def counting(self, i: int) -> np.ndarray:
        """Which numbers of part `i` are finite and no fill values; bool, as `numbers` has them."""
        return self._present[i]

    def errors(self, i: int, back: np.ndarray) -> np.ndarray:
        """Decoded minus original, of the numbers of part `i` that count; float64, flat."""
        x, y = self.numbers(self.parts[i])[self._present[i]], self.numbers(back)[self._present[i]]
        if x.dtype.kind in "iu" and x.dtype.itemsize == 8:  # beyond 2^53; differences are right modulo 2^64
            return (y - x).view("i8").astype("f8")
        with np.errstate(over="ignore"):
            return y.astype("f8") - x.astype("f8")

    def measure(self, codec: Any, tol: float | None = None) -> Point:
        """Encode and decode all parts.

        Parameters
        ----------
        codec : AnsQuant, VarintQuant or another codec with a `tol`
        tol : float, optional
            What the point is named by, if not by the tolerance of the codec (which is lower where fill values would
            not come back otherwise).

        Returns
        -------
        Point
        """
        asked = codec.tol if tol is None else tol
        stored = violations = 0
        means: list[tuple[float, float, int]] = []
        seconds = np.zeros(2)
        for i, part in enumerate(self.parts):
            chunk, back, spent = _trip(codec, part)
            seconds += spent
            stored += len(chunk)
            check = verify(part, back, asked, fill_value=codec.fill_value, dtype=self._dtype)
            violations += check.violations
            means.append(error_of(self.errors(i, back)))
        largest, rmse = max((m[0] for m in means), default=0.0), root_mean_square(means)
        return Point(
            asked, self.values, self.nbytes, stored, self.extent, largest, rmse, violations, *map(float, seconds)
        )


def error_of(errors: np.ndarray) -> tuple[float, float, int]:
    """The largest magnitude, the root mean square, and how many there are; without over- and underflow."""
    largest = float(np.abs(errors).max(initial=0.0))
    if not largest:
        return 0.0, 0.0, errors.size
    return largest, largest * math.sqrt(float(np.mean(np.square(errors / largest)))), errors.size


def root_mean_square(parts: Iterable[tuple[float, float, int]]) -> float:
    """That of all together, from the largest magnitude, root mean square and size of each part."""
    parts = list(parts)
    scale, count = max((rms for _, rms, _ in parts), default=0.0), sum(n for *_, n in parts)
    if not scale:
        return 0.0
    return scale * math.sqrt(math.fsum((rms / scale) ** 2 * n for _, rms, n in parts) / count)


def _trip(codec: Any, part: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """The chunk of a part, what comes back, and the seconds of both."""
    back = np.zeros_like(part)  # memory that the system has cleared already: decoding alone is timed
    back[...] = part
    best = np.full(2, np.inf)
    for _ in range(2):
        start = time.perf_counter()
        chunk = codec.encode(part)
        middle = time.perf_counter()
        codec.decode(chunk, out=back)
        end = time.perf_counter()
        best = np.minimum(best, (middle - start, end - middle))
        if end - start > _ROUND_SECONDS:
            break
    return chunk, back, best


def sample_boxes(
    shape: tuple[int, ...], chunks: tuple[int, ...] | None, itemsize: int, nbytes: int, seed: int = 0
) -> list[tuple[slice, ...]]:
    """Whole chunks, spread over an array: one at random in each of as many equal runs of chunks as fit.

    Parameters
    ----------
    shape : tuple of int
    chunks : tuple of int or None
        As the array is stored or will be; None: `automatic_chunks`.
    itemsize : int
        Bytes of an element.
    nbytes : int
        How many bytes to take, about; an array of no more is taken whole.  Of a larger one chunks of more than an
        eighth of that are cut, though not into less than 2**16 elements.
    seed : int
        The same seed takes the same chunks.

    Returns
    -------
    list of tuple of slice
        In C order; none overlap.  Empty for an array without elements.
    """
    if 0 in shape:
        return []
    unit = [min(c, n) for c, n in zip(chunks or automatic_chunks(shape), shape, strict=True)]
    most = max(1, nbytes // itemsize)
    limit = max(most // _PARTS, min(most, _LEAST_VALUES))
    if math.prod(shape) * itemsize > nbytes and math.prod(unit) > limit:
        unit = list(automatic_chunks(tuple(unit), limit))
    grid = [-(-n // u) for n, u in zip(shape, unit, strict=True)]
    total = math.prod(grid)
    if math.prod(shape) * itemsize <= nbytes:
        chosen: Iterable[int] = range(total)
    else:
        count = min(total, max(1, nbytes // (math.prod(unit) * itemsize)))
        rng = np.random.default_rng(seed)
        edges = [total * i // count for i in range(count + 1)]
        chosen = [int(rng.integers(a, b)) for a, b in zip(edges, edges[1:], strict=False)]
    return [_box(index, grid, unit, shape) for index in chosen]


def _box(index: int, grid: list[int], unit: list[int], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The chunk of a number in C order."""
    box: list[slice] = []
    for cells, step, length in zip(reversed(grid), reversed(unit), reversed(shape), strict=True):
        index, at = divmod(index, cells)
        box.append(slice(at * step, min((at + 1) * step, length)))
    return tuple(reversed(box))


def sample(
    array: Any, nbytes: int = SAMPLE_BYTES, *, missing: Iterable[Any] = (), dtype: View | None = None, seed: int = 0
) -> Sample:
    """Take a sample of an array.

    Parameters
    ----------
    array : array_like, Zarr array or h5py dataset
        Integers, floats or complex numbers.  Only the parts that are taken are read.
    nbytes : int
        How many bytes to take, about.
    missing, dtype
        As of `Sample`.
    seed : int
        The same seed takes the same parts.

    Returns
    -------
    Sample

    Raises
    ------
    TypeError
        If a tolerance does not apply to arrays of this dtype, or the array is a masked one.
    ParameterError
        If the array has no value, or `nbytes` is not positive.
    """
    if nbytes < 1:
        raise ParameterError(f"nbytes must be positive, not {nbytes!r}")
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)
    chunks = getattr(array, "chunks", None)
    boxes = sample_boxes(array.shape, chunks, array.dtype.itemsize, nbytes, seed)
    parts = [as_array(array[(*box, ...)]) for box in boxes]
    taken = sum(part.size for part in parts)
    return Sample(parts, missing, dtype, taken / max(1, math.prod(array.shape)))


def ladder(sample: Sample, steps: Sequence[int] = (1,)) -> list[float]:
    """Tolerances that say something about an array, from coarse to fine, as one would type them.

    Parameters
    ----------
    sample : Sample
    steps : sequence of int
        Of each decade: (1,) for 0.1, 0.01, ...; (1, 2, 5) for 0.1, 0.05, 0.02, 0.01, ...

    Returns
    -------
    list of float
        From a tenth of the range down to `Sample.precision`, or over eight decades; of integers whole numbers.
        Empty where there is no range.
    """
    top, bottom = sample.extent / 10, max(sample.precision, sample.extent * 10.0 ** -(_DECADES + 1))
    if sample.component.kind in "iu":
        top = max(top, 1.0)
    if not (sample.extent > 0 and top > 0):
        return []
    first = math.floor(math.log10(top))
    found = []
    for decade in range(first, first - _DECADES - 1, -1):
        values = [float(f"{step}e{decade}") for step in sorted(steps, reverse=True)]
        found += [value for value in values if bottom <= value <= top * (1 + 1e-9)]
    return found


def curve(sample: Sample, tols: Iterable[float], codec: Codec = AnsQuant) -> list[Point]:
    """Measure a codec at some tolerances.

    Parameters
    ----------
    sample : Sample
    tols : iterable of float
    codec : callable
        Makes the codec for a tolerance: ``AnsQuant``, ``functools.partial(AnsQuant, level=9)``, ``VarintQuant``, ...

    Returns
    -------
    list of Point
        One for each tolerance.
    """
    return [sample.measure(codec(tol)) for tol in tols]


def knee(points: Sequence[Point], most: float = 1.0) -> int | None:
    """Where on a curve precision stops being cheap.

    While a codec can predict values from their neighbours, half the tolerance costs less than a bit a value: the curve
    of bits over log2(1 / tol) begins flat.  What is left when everything is predicted that can be is like noise, and
    half the tolerance costs a whole bit, 6.02 dB for each [1]_.  The knee is the coarsest tolerance from which the
    step to the next one costs at least 9/10 of that: of the steepest step there is, or of `most` if that is less.

    Parameters
    ----------
    points : sequence of Point
        In any order; lossless ones are left out.  Steps of 1, 2, 5 are fine enough.
    most : float
        What half the tolerance costs where nothing is predicted, in bits a value; `Sample.bits_per_halving`.

    Returns
    -------
    int or None
        An index into `points`; None where there are fewer than four tolerances, or precision costs nothing.

    Notes
    -----
    Other definitions of a knee, as the largest distance from the chord [2]_, depend on where a curve begins and ends;
    this one does not.  Where the bits of a float hold information in the sense of mutual information with its
    neighbours is another question with a similar answer [3]_.

    References
    ----------
    .. [1] H. Gish and J. Pierce, "Asymptotically efficient quantizing", IEEE Trans. Inf. Theory 14 (1968).
    .. [2] V. Satopaa et al., "Finding a 'kneedle' in a haystack", ICDCS Workshops (2011).
    .. [3] M. Kloewer et al., "Compressing atmospheric data into its real information content", Nature Computational
       Science 1 (2021).
    """
    order = sorted((i for i, p in enumerate(points) if p.tol > 0), key=lambda i: -points[i].tol)
    order = [i for k, i in enumerate(order) if k == 0 or points[i].tol < points[order[k - 1]].tol]
    if len(order) < 4:
        return None
    slopes = []
    for a, b in zip(order, order[1:], strict=False):
        halvings = math.log2(points[a].tol) - math.log2(points[b].tol)
        slopes.append((points[b].bits_per_value - points[a].bits_per_value) / halvings)
    steepest = min(max(slopes), most)
    if steepest < _FLAT:
        return None
    return order[next(k for k, slope in enumerate(slopes) if slope >= _STEEP * steepest)]


def for_ratio(sample: Sample, ratio: float, codec: Codec = AnsQuant) -> Point:
    """The smallest tolerance of three digits at which a sample becomes so small.

    Parameters
    ----------
    sample : Sample
    ratio : float
        Bytes of the values for each byte stored, at least.
    codec : callable
        As of `curve`.

    Returns
    -------
    Point
        Measured, with ``ratio`` at least what was asked for; its ``tol`` is 0 where lossless is small enough.

    Raises
    ------
    ParameterError
        If `ratio` is not positive and finite, or a tolerance as large as the values does not suffice.
    """
    _check_target("ratio", ratio)
    measured = _Measured(sample, codec)
    lossless = measured(0.0)
    if lossless.ratio >= ratio or sample.largest <= _TINY:
        return _reached(lossless, ratio)
    marks = _Marks(sample)
    fails, holds = marks.below(sample.precision / 4), marks.above(sample.largest)
    _reached(measured(marks[holds]), ratio)
    return measured(marks[_bisected(lambda mark: measured(marks[mark]).ratio >= ratio, fails, holds)])


def _bisected(does: Callable[[int], bool], fails: int, holds: int) -> int:
    """A number next to one for which something does not hold, and for which it does."""
    while abs(holds - fails) > 1:
        middle = (fails + holds) // 2
        fails, holds = (fails, middle) if does(middle) else (middle, holds)
    return holds


def _reached(point: Point, ratio: float) -> Point:
    if point.ratio < ratio:
        how = f"a tolerance of {point.tol:g}, as large as the values," if point.tol else "storing it without loss"
        raise ParameterError(f"a ratio of {ratio:g} is out of reach: {how} gives {point.ratio:.4g}")
    return point


def for_psnr(sample: Sample, decibels: float, codec: Codec = AnsQuant) -> Point:
    """The largest tolerance of three digits at which a sample keeps a peak signal-to-noise ratio.

    It begins with the tolerance that has it whatever the errors are, `arraycodec.tolerance.from_psnr` with
    ``worst_case=True``, and looks for a larger one.

    Parameters
    ----------
    sample : Sample
    decibels : float
        20 log10((max - min) / RMSE), at least; max and min are those of the sample.
    codec : callable
        As of `curve`.

    Returns
    -------
    Point
        Measured, with ``psnr`` at least what was asked for; its ``tol`` is 0 where only lossless has it.

    Raises
    ------
    ParameterError
        If `decibels` is negative or not finite.
    """
    certain = from_psnr(np.array([sample.low, sample.high]), decibels, worst_case=True)
    measured = _Measured(sample, codec)
    if certain <= max(sample.precision / 4, _TINY) or certain < 1 and sample.component.kind in "iu":
        return measured(0.0)
    marks = _Marks(sample)
    holds, fails = marks.below(certain), marks.above(max(sample.largest, certain))
    if measured(marks[fails]).psnr >= decibels:
        return measured(marks[fails])
    return measured(marks[_bisected(lambda mark: measured(marks[mark]).psnr >= decibels, fails, holds)])


def _check_target(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 < float(value) < math.inf:
        raise ParameterError(f"{name} must be positive and finite, not {value!r}")


class _Measured:
    """Each tolerance is measured once."""

    def __init__(self, sample: Sample, codec: Codec) -> None:
        self._sample, self._codec = sample, codec
        self._points: dict[float, Point] = {}

    def __call__(self, tol: float) -> Point:
        if tol not in self._points:
            self._points[tol] = self._sample.measure(self._codec(tol), tol)
        return self._points[tol]


class _Marks:
    """Tolerances of three significant digits, numbered in order; of integers their whole parts."""

    def __init__(self, sample: Sample) -> None:
        self._whole = sample.component.kind in "iu"

    def __getitem__(self, index: int) -> float:
        value = min(float(f"{100 + index % 900}e{index // 900}"), sys.float_info.max)
        return float(math.floor(value)) if self._whole and value >= 1 else value

    def below(self, value: float) -> int:
        """The largest that is at most a positive value (or `_TINY`)."""
        value = max(value, _TINY)
        index = 900 * (math.floor(math.log10(value)) - 3)
        step = 900
        while step:  # by decades, then by marks
            while self[index + step] <= value:
                index += step
            step = 0 if step == 1 else 1
        return index

    def above(self, value: float) -> int:
        """The smallest that is at least a positive value."""
        index = self.below(value)
        return index if self[index] >= value else index + 1
