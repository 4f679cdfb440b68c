"""What ``arraycodec prove`` runs: which values, at which tolerances.

Everything is a function of the number of the chunk, so that the hashes of a run can be compared
between machines, instruction sets and numbers of threads.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..codec import encode, peek

CHUNK = 1 << 22  # values of a chunk of the large runs
QUICK = 1 << 18

Make = Callable[[int, np.ndarray], None]


@dataclass(frozen=True)
class Tolerance:
    """The tolerances of a chunk, as of `arraycodec.encode`."""

    tol: float | None = None
    rtol: float | None = None


@dataclass(frozen=True)
class Run:
    """A line of the table.

    Attributes
    ----------
    dtype : str
        Name of the element type; bfloat16 stands for itself.
    what : str
        Which values.
    tolerances : tuple of Tolerance
        Every chunk is made and checked at each.
    shown : str
        The tolerances, for the table.
    chunks, size : int
        Number of chunks, and values of each.
    make : callable
        ``make(i, out)`` fills an array with the bits of the values of chunk i: unsigned integers.
    """

    dtype: str
    what: str
    tolerances: tuple[Tolerance, ...]
    shown: str
    chunks: int
    size: int
    make: Make

    @property
    def name(self) -> str:
        """For ``--only``, which takes any beginning of it."""
        return f"{self.dtype}, {self.what}, {self.shown}"

    @property
    def values(self) -> int:
        """How many values are encoded."""
        return self.chunks * self.size * len(self.tolerances)


def _said(value: float) -> str:
    """A tolerance as people write it."""
    exponent = math.frexp(value)[1] - 1
    if 2**15 <= value < 2**65:
        power = round(math.log2(value))
        if abs(value - 2**power) <= 1024:
            return f"2^{power}{value - 2**power:+.0f}".removesuffix("+0")
    return f"2^{exponent}" if value == 2.0**exponent and exponent < -3 else f"{value:.6g}"


def _shown(t: Tolerance) -> str:
    given = (("tol", t.tol), ("rtol", t.rtol))
    return ", ".join(f"{name}={_said(value)}" for name, value in given if value is not None)


def _each(*runs: tuple[float | None, float | None]) -> list[Tolerance]:
    return [Tolerance(*run) for run in runs]


def _tols(*values: float) -> list[Tolerance]:
    return [Tolerance(tol=value) for value in values]


def _rtols(*values: float) -> list[Tolerance]:
    return [Tolerance(rtol=value) for value in values]


# ---- float32: all patterns, in their order ----
FLOAT32 = [
    *_tols(2.0**-17, 1e-3, 1e-6, 1.0, 1e30, 1e-42, 0.1),
    *_rtols(1e-1, 1e-2, 1e-3, 1e-5),
    *_each((1e-3, 1e-3)),
]
_RUN = 1 << 14  # consecutive patterns of the quick runs, and how many such runs lie between two of them
_EVERY = 1021
_QUICK_RUNS = -(-(1 << 32) // (_RUN * _EVERY))
_QUICK_CHUNKS = 4
_BESIDE = 512  # patterns on each side of a power of two


def _all_patterns(i: int, out: np.ndarray) -> None:
    out[...] = _counting(len(out))
    out += np.uint32(i * len(out))


def _some_patterns(i: int, out: np.ndarray) -> None:
    """What is beside the powers of two of both signs, zero and infinity, then patterns from everywhere."""
    if i == 0:
        firsts = np.arange(512, dtype="i8")[:, None] << 23
        out[...] = ((firsts + np.arange(-_BESIDE, _BESIDE)) & 0xFFFFFFFF).reshape(-1)
        return
    runs = len(out) // _RUN
    firsts = (np.arange(runs, dtype="i8")[:, None] + (i - 1) * runs) * (_RUN * _EVERY)
    out[...] = ((firsts + np.arange(_RUN)) & 0xFFFFFFFF).reshape(-1)


@functools.lru_cache(maxsize=2)
def _counting(n: int) -> np.ndarray:
    return np.arange(n, dtype="u4")


# ---- float16 and bfloat16: all patterns, in several orders ----
HALF = [
    *_tols(2.0**-14, 2.0**-10, 1e-7, 1e-6, 1e-3, 1e-2, 0.1, 1 / 3, 0.5, 1.0, 3.0, 100.0, 1e4, 1e30),
    *_rtols(0.5, 0.1, 0.03, 1e-2, 4e-3, 1e-3),
    *_each((1e-3, 1e-2), (0.1, 0.1), (1e-6, 0.03)),
]
_ORDERS = 4


def _in_some_order(i: int, out: np.ndarray) -> None:
    values = np.arange(len(out), dtype=out.dtype)
    if i == 1:
        values = values[::-1]
    elif i > 1:
        np.random.default_rng(i).shuffle(values)
    out[...] = values


# ---- float64: on and beside the edges ----
FLOAT64 = _tols(2.0**-17, 1e-3, 1e-6, 0.1, 1 / 3, 1.0, 1e30, 1e-300)
FLOAT64_RELATIVE = [*_rtols(1e-1, 1e-2, 1e-3, 1e-5, 1e-10), *_each((1e-3, 1e-3), (1e-6, 0.1))]
FLOAT64_RANDOM = [*_tols(1e-3, 1e300), *_rtols(1e-3), *_each((1e-3, 1e-3))]
_SIGN = np.uint64(1 << 63)
_FRACTION = 52


def step_of(dtype: str, tol: float) -> float:
    """The quantization step for a tolerance."""
    return peek(encode(np.zeros(0, dtype), tol)).delta


def _beside(bits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to two numbers away, of either sign."""
    bits = bits + rng.integers(-2, 3, len(bits)).astype("u8")
    return bits ^ (rng.integers(0, 2, len(bits), "u8") << np.uint64(63))


def _near_multiples(step: float, seed: int, i: int, out: np.ndarray) -> None:
    """Multiples of half a step, up to four times beyond the quantizer's range, and their neighbours."""
    rng = np.random.default_rng([seed, i])
    n = rng.integers(0, 1 << 63, len(out), "u8") >> rng.integers(30, 64, len(out), "u8")
    with np.errstate(over="ignore"):
        out[...] = _beside((n.astype("f8") * (step / 2)).view("u8"), rng)


def _random_bits(seed: int, i: int, out: np.ndarray) -> None:
    out[...] = np.random.default_rng([seed, i]).integers(0, 1 << 64, len(out), "u8")


def _near_bins(t: Tolerance, seed: int, i: int, out: np.ndarray) -> None:
    """Where bins of a relative tolerance begin, their centres, and the neighbours of both, in all octaves.

    With an absolute tolerance as well, half of them in the octaves around those where the relative one begins
    to apply, and a quarter near multiples of half a step there.
    """
    rng = np.random.default_rng([seed, i])
    octaves = rng.integers(1, 2047, len(out), "u8")
    if t.tol:
        first = math.frexp(t.tol / t.rtol)[1] + 1022
        near = octaves[::2]
        near[...] = rng.integers(first - 4, first + 5, len(near), "u8")
    out[...] = _beside((octaves << np.uint64(_FRACTION)) + _bins(t.rtol, len(out), rng), rng)
    if t.tol:
        step = step_of("f8", t.tol)
        n = rng.integers(0, 8 * math.ceil(1 / t.rtol), len(out[::4]), "u8")
        out[::4] = _beside((n.astype("f8") * (step / 2)).view("u8"), rng)


def _bins(rtol: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random beginnings and centres of bins (docs/format.md), in units in the last place, from the octave on."""
    fraction, exponent = math.frexp(rtol)
    a, t = int(fraction * (1 << 29)), 29 - exponent
    if rtol >= 2.0**-13:
        return rng.choice(_coarse(a, t), count)
    width = 1 << _FRACTION - 5
    segment = rng.integers(0, 32, count)
    half = np.array([((1 << _FRACTION) + s * width) * a >> t for s in range(32)], "i8")[segment]
    bins = -(-width // (2 * half + 1))
    units = (rng.random(count) * bins).astype("i8") * (2 * half + 1) + half * rng.integers(0, 2, count)
    return (segment * width + np.minimum(units, width - 1)).astype("u8")  # the last centre may be cut off


@functools.lru_cache(maxsize=8)
def _coarse(a: int, t: int) -> np.ndarray:
    units, low, end = [], 1 << 29, 1 << 30
    while low < end:
        centre = min(low + (low * a >> t), end - 1)
        units += [low, centre]
        low = (centre << t) // ((1 << t) - a)
    return (np.array(units, "u8") - np.uint64(1 << 29)) << np.uint64(_FRACTION - 29)


# ---- integers ----
_SMALL = (*range(17), 2.5, 100, 127, 128, 255, 256, 257, 1000, 10000, 32767, 32768, 65534, 65535, 65536, 1e6, 1e300)
_LARGE = (0, 1, 2, 7, 100, 1000, 2**16 - 1, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1024, 2**63, 2**64, 1e300)
_EXTREMES = 1 << 10  # numbers beside zero and both ends


def _near_lattice(whole: int, bits: int, seed: int, i: int, out: np.ndarray) -> None:
    """Multiples of 2T + 1, and what is 1 or T - 1, T, T + 1 beside them; the ends of the range, and zero."""
    rng = np.random.default_rng([seed, i])
    step = 2 * whole + 1
    room = max(1, bits - step.bit_length() + 1)
    n = rng.integers(0, 1 << 63, len(out), "u8") >> rng.integers(63 - min(room, 63), 64, len(out), "u8")
    offsets = [d & (1 << 64) - 1 for d in (0, 1, -1, whole, whole - 1, whole + 1, -whole, 1 - whole, -whole - 1)]
    values = n * np.uint64(step & (1 << 64) - 1) + rng.choice(np.array(offsets, "u8"), len(out))
    near = np.arange(-_EXTREMES, _EXTREMES).astype("u8")
    for j, end in enumerate((0, 1 << bits - 1, (1 << bits) - 1)):
        values[j * len(near) : (j + 1) * len(near)] = near + np.uint64(end)
    out[...] = values.astype(out.dtype)


# ---- all of it ----
def runs(full: bool) -> Iterator[Run]:
    """All runs, or what can be done of them in a few seconds."""
    for t in FLOAT32:
        if full:
            yield Run("float32", "all patterns", (t,), _shown(t), (1 << 32) // CHUNK, CHUNK, _all_patterns)
        else:
            yield Run("float32", "beside powers of two", (t,), _shown(t), 1, 1024 * _BESIDE, _some_patterns)
            size = -(-_QUICK_RUNS // _QUICK_CHUNKS) * _RUN

            def make(i: int, out: np.ndarray) -> None:
                _some_patterns(i + 1, out)

            yield Run("float32", f"runs of {_RUN}", (t,), _shown(t), _QUICK_CHUNKS, size, make)
    for dtype in ("float16", "bfloat16"):
        for t in HALF:
            yield Run(dtype, "all patterns", (t,), _shown(t), _ORDERS, 1 << 16, _in_some_order)
    chunks, size = (32, CHUNK) if full else (1, QUICK)
    for seed, t in enumerate(FLOAT64):
        make = functools.partial(_near_multiples, step_of("f8", t.tol), seed)
        yield Run("float64", "beside half steps", (t,), _shown(t), chunks, size, make)
    for seed, t in enumerate(FLOAT64_RELATIVE, 100):
        make = functools.partial(_near_bins, t, seed)
        yield Run("float64", "beside bins", (t,), _shown(t), chunks // 4 or 1, size, make)
    for seed, t in enumerate(FLOAT64_RANDOM, 200):
        make = functools.partial(_random_bits, seed)
        yield Run("float64", "random bits", (t,), _shown(t), chunks // 4 or 1, size, make)
    for dtype in ("int8", "uint8"):
        yield Run(dtype, "all values", tuple(_tols(*range(301))), "tol=0 ... 300", _ORDERS, 1 << 8, _in_some_order)
    for dtype in ("int16", "uint16"):
        shown = f"{len(_SMALL)} from tol=0 to 1e300"
        yield Run(dtype, "all values", tuple(_tols(*_SMALL)), shown, _ORDERS, 1 << 16, _in_some_order)
    for seed, dtype in enumerate(("int32", "uint32", "int64", "uint64"), 300):
        bits = 8 * np.dtype(dtype).itemsize
        for tol in _LARGE:
            whole = min(int(tol), (1 << bits) - 1)
            make = functools.partial(_near_lattice, whole, bits, seed)
            (t,) = _tols(tol)
            yield Run(dtype, "beside the lattice", (t,), _shown(t), 1, CHUNK if full else QUICK // 4, make)
