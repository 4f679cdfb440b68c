"""Published quantizers of weights, gradients and matrices, and this package's codecs beside them.

docs/literature.md says where they come from and what was changed, docs/stochastic.md has more of the gradients.
"""

from __future__ import annotations

import bz2
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ... import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant
from ...lowrank import factorize
from .. import interrupt, samples
from ..phantom import shepp_logan
from .literaturerow import AVERAGED, LiteratureRow, StochasticRow

#: Arrays by name; each is loaded when its turn comes.
Arrays = Iterable[tuple[str, Callable[[], np.ndarray]]]

#: For everybody: of a small network that the command trains.
WEIGHTS: Arrays = (("weights of a network trained here", samples.trained_weights),)
GRADIENTS: Arrays = (("gradient of a network trained here", samples.gradient),)


def timed(call: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """What a call returns, and the seconds of the fastest of some."""
    result, seconds = None, []
    for _ in range(repeat):
        interrupt.check()
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


# --- Weights ---

STEP = 2.0**-17


def published_varints(values: np.ndarray) -> bytes:
    """As published: truncated to multiples of 2^-17, zigzag, groups of seven bits, three at most, bz2."""
    net = np.asarray(values.ravel() * 2**17, np.int32)
    net = (net >> 31) ^ (net << 1)
    result = np.zeros(len(net) * 3, np.uint8)
    for i in range(3):
        result[i::3] = (net % 128) + ((net >= 128) << 7)
        net >>= 7
    zeros = np.flatnonzero(result == 0)
    return bz2.compress(np.delete(result, zeros[zeros % 3 != 0]).tobytes())


def from_published_varints(data: bytes) -> np.ndarray:
    """And back, in one row, repaired: groups in the order in which they were written, and signs."""
    groups = np.frombuffer(bz2.decompress(data) + bytes(3), np.uint8)
    first = np.flatnonzero(np.concatenate([[True], groups[:-4] < 128]))
    net, more = np.zeros(len(first), np.int32), np.ones(len(first), bool)
    for i in range(3):
        group = groups[first + i]
        net |= np.where(more, group & 127, 0).astype(np.int32) << (7 * i)
        more &= group >= 128
    return ((net >> 1) ^ -(net & 1)).astype(np.float32) / 2**17


def weights(repeat: int, arrays: Arrays = WEIGHTS) -> Iterator[LiteratureRow]:
    """Weights within 2^-17."""
    ours = [VarintQuant(STEP, backend=backend) for backend in (None, "bz2", "lzma")]
    ours += [AnsQuant(STEP), AnsQuant(STEP, level=9)]
    for name, load in arrays:
        values = np.ascontiguousarray(load(), np.float32).ravel()
        system = f"{name}, within 2^-17; error: the largest, in units of that"
        ways: list[tuple[str, Any, Any]] = [
            ("original, repaired: Python, bz2", published_varints, from_published_varints)
        ]
        ways += [(repr(q).replace(repr(STEP), "2**-17"), q.encode, q.decode) for q in ours]
        for variant, encode, decode in ways:
            coded, encoding = timed(lambda e=encode, v=values: e(v), min(repeat, 3))
            copy, decoding = timed(lambda d=decode, c=coded: d(c), min(repeat, 3))
            errors = np.abs(copy.astype("f8") - values) / STEP
            n = values.size
            yield LiteratureRow(
                system, variant, n, 8 * len(coded) / n, n / encoding / 1e6, n / decoding / 1e6,
                int(np.count_nonzero(~(errors <= 1))), float(errors.max()),
            )  # fmt: skip


# --- Gradients ---


def notebook_qsgd(values: np.ndarray, bits: int, rng: np.random.RandomState) -> tuple[np.ndarray, int]:
    """What comes back from the notebook's encoder and decoder, for Python 3, and how many words it stores."""
    flat = values.astype("f8").ravel()
    norm, s, sections = np.linalg.norm(flat), (1 << bits) - 1, 64 // (2 + bits)
    length = -(-len(flat) // sections)
    w = np.pad(flat, (0, length * sections - len(flat)))
    normalized = np.abs(w) / norm * s
    truncated = normalized.astype(int)
    xi = (truncated + (rng.rand(len(w)) > normalized - truncated)).astype(np.uint64)
    # xi may be 2^bits, which then is one more in the sign
    fields = ((np.sign(w) + 1).astype(np.uint64) << np.uint64(bits)) | xi
    sign = (fields >> np.uint64(bits)).astype(np.int8) - 1
    copy = sign * (fields & np.uint64(s)).astype("f8") * norm / s
    return copy[: len(flat)].reshape(values.shape), length


def levels_of(
    values: np.ndarray, bits: int, method: str, norm: str, bucket: int, rng: np.random.Generator
) -> np.ndarray:
    """Levels as the textbook has them, to be counted."""
    flat = values.astype("f8").ravel()
    length = bucket or len(flat)
    rows = np.pad(flat, (0, -len(flat) % length)).reshape(-1, length)
    norms = np.abs(rows).max(1) if norm == "max" else np.sqrt((rows**2).sum(1))
    steps = np.where(norms > 0, norms, 1)[:, None] / ((1 << bits) - 1)
    u = rng.random(rows.shape)
    levels = np.floor(rows / steps + u) if method == "dither" else np.sign(rows) * np.floor(np.abs(rows) / steps + u)
    return np.where(norms[:, None] > 0, levels, 0).ravel()[: len(flat)].astype(np.int64)


def entropy(symbols: np.ndarray) -> float:
    """Bits of a symbol, order 0."""
    p = np.unique(symbols, return_counts=True)[1] / len(symbols)
    return float(-(p * np.log2(p)).sum())


def omega_lengths(numbers: np.ndarray) -> np.ndarray:
    """Bits of Elias' recursive code of numbers from 1 on."""
    n, total = numbers.astype(np.int64), np.ones(len(numbers), np.int64)
    while (more := n > 1).any():
        digits = np.frexp(n.astype("f8"))[1]
        total += np.where(more, digits, 0)
        n = np.where(more, digits - 1, 1)
    return total


def elias(levels: np.ndarray) -> float:
    """Bits of a value as QSGD codes them, the shorter of its two ways: distances, signs and levels; or all levels."""
    at = np.flatnonzero(levels)
    magnitudes = np.abs(levels[at])
    sparse = omega_lengths(np.diff(at, prepend=-1)).sum() + len(at) + omega_lengths(magnitudes).sum()
    dense = omega_lengths(np.abs(levels) + 1).sum() + len(at)
    return float(min(sparse, dense)) / len(levels)


def packed(bits: int) -> float:
    """Of a value."""
    return 64 / (64 // (2 + bits))


def nearest(values: np.ndarray, most: float) -> float:
    """The mean square error of AnsQuant in at most so many bits a value, in units of the values' mean square."""
    finest, coarsest = math.log2(np.abs(values).max()) - 30.0, math.log2(np.abs(values).max()) + 1.0
    error = 1.0
    for _ in range(14):
        tol = 2.0 ** ((finest + coarsest) / 2)
        q = AnsQuant(tol)
        chunk = q.encode(values)
        if 8 * len(chunk) <= most * values.size:
            coarsest, error = math.log2(tol), relative_square(q.decode(chunk), values)
        else:
            finest = math.log2(tol)
    return error


def relative_square(copy: np.ndarray, values: np.ndarray) -> float:
    """Mean square of the errors, in units of the values'."""
    exact = values.astype("f8")
    return float(((copy.astype("f8") - exact) ** 2).sum() / (exact**2).sum())


#: Ways of rounding: method, norm and bucket.
WAYS = (
    ("qsgd", "l2", 0), ("qsgd", "l2", 512), ("qsgd", "max", 512), ("qsgd", "max", 0),
    ("dither", "l2", 512), ("dither", "max", 512), ("dither", "max", 0),
)  # fmt: skip


def stochastic(repeat: int, arrays: Arrays = GRADIENTS, bits: Iterable[int] = range(1, 10)) -> Iterator[StochasticRow]:
    """Every way at every number of bits."""
    bits = tuple(bits)
    for name, load in arrays:
        values = np.ascontiguousarray(load(), np.float32)
        for b in bits:
            yield _original(name, values, b)
            for method, norm, bucket in WAYS:
                yield _rounded(name, values, b, method, norm, bucket, min(repeat, 3))


def _original(name: str, values: np.ndarray, bits: int) -> StochasticRow:
    rng, n = np.random.RandomState(bits), values.size
    copy, words = notebook_qsgd(values, bits, rng)
    total = copy.copy()
    for _ in range(AVERAGED - 1):
        interrupt.check()
        total += notebook_qsgd(values, bits, rng)[0]
    return StochasticRow(
        name, n, bits, "original", "l2", 0, (64 * words + 32) / n, stored=(64 * words + 32) / n,
        mse=relative_square(copy, values), mean_mse=relative_square(total / AVERAGED, values),
    )  # fmt: skip


def _rounded(
    name: str, values: np.ndarray, bits: int, method: str, norm: str, bucket: int, repeat: int
) -> StochasticRow:
    def codec(seed: int) -> StochasticQuant:
        return StochasticQuant(bits, norm, bucket or None, method, seed=seed)

    n, q = values.size, codec(0)
    chunk, encoding = timed(lambda: q.encode(values), repeat)
    copy, decoding = timed(lambda: q.decode(chunk), repeat)
    total = copy.astype("f8")
    for seed in range(1, AVERAGED):
        other = codec(seed)
        total += other.decode(other.encode(values))
    levels = levels_of(values, bits, method, norm, bucket, np.random.default_rng(bits))
    norms = 32 * -(-n // (bucket or n)) / n
    stored = 8 * len(chunk) / n
    return StochasticRow(
        name, n, bits, method, norm, bucket, packed(bits) + norms, elias(levels) + norms, entropy(levels) + norms,
        stored, relative_square(copy, values), relative_square(total / AVERAGED, values), nearest(values, stored),
        n / encoding / 1e6, n / decoding / 1e6, beyond(copy, values, bits, method, norm, bucket),
    )  # fmt: skip


def beyond(copy: np.ndarray, values: np.ndarray, bits: int, method: str, norm: str, bucket: int) -> int:
    """How many values are further away than half a step (dither) or a step and a rounding."""
    exact = values.astype("f8").ravel()
    length = bucket or len(exact)
    rows = np.pad(exact, (0, -len(exact) % length)).reshape(-1, length)
    norms = np.abs(rows).max(1) if norm == "max" else np.sqrt((rows**2).sum(1))
    bound = np.repeat(norms / ((1 << bits) - 1), length)[: len(exact)] * (1 + 1e-14)
    if method == "dither":
        bound = bound / 2
    else:
        bound = bound + np.spacing(np.abs(copy.ravel())).astype("f8")
    return int(np.count_nonzero(~(np.abs(copy.ravel() - exact) <= bound)))


def gradients(rows: Iterable[StochasticRow]) -> Iterator[LiteratureRow]:
    """Of the rows of gradients, what stands beside other systems: 4 bits, with the published norm."""
    for row in rows:
        if row.bits != 4 or row.norm == "max":
            continue
        system = f"{row.array}, 4 bits; error: mean square, of the values'"
        bucket = f"bucket={row.bucket or None}"
        variant = f"StochasticQuant({row.bits}, {bucket}, method='{row.method}')"
        if row.method == "original":
            variant = "original: Python, one norm, packed"
        elif row.method == "qsgd":  # what it is without a code of this package
            for what, size in (("packed", row.packed), ("Elias", row.elias), ("entropy, order 0", row.entropy)):
                if not math.isnan(size) and row.bucket:
                    yield LiteratureRow(system, f"QSGD, {bucket}: {what}", row.values, size, error=row.mse)
        yield LiteratureRow(system, variant, row.values, row.stored, row.encode, row.decode, row.wrong, row.mse)
        if row.method == "dither":
            yield LiteratureRow(
                system, "AnsQuant, tol for the same size", row.values, row.stored, error=row.nearest_mse
            )


# --- Low rank ---


def low_rank(repeat: int, size: int = 1000, bits_per_pixel: Iterable[float] = (2, 1)) -> Iterator[LiteratureRow]:
    """The Shepp-Logan phantom in few bits a pixel; the published methods with entries of 4 and 8 bits."""
    picture = shepp_logan(size)
    norm = float(np.linalg.norm(picture))

    def row(system: str, variant: str, bits: float, copy: np.ndarray, *speeds: float) -> LiteratureRow:
        error = float(np.linalg.norm(copy - picture)) / norm
        return LiteratureRow(system, variant, size**2, bits, *speeds, error=error)

    for bits in bits_per_pixel:
        system = f"Shepp-Logan phantom, {size}x{size}, {bits} bits a pixel; error: Frobenius norm, of the picture's"
        top = 2**bits - 1
        yield row(system, "original: naive", bits, np.floor(picture * top + 0.5) / top)
        coded = []
        for method in ("dsvd", "lplr", "lsvd"):
            found = factorize(picture, bits_per_value=bits, method=method, bits=(4, 8), seed=1)
            rank = found.rank - 2  # without the offsets of its levels
            yield row(system, f"original: {method.upper()}, rank {rank}", rank * 12 / size, found.product())
            coded.append(LowRankQuant(rank, method=method, bits=(4, 8), seed=1))
        for q in (*coded, LowRankQuant(bits_per_value=bits)):
            chunk, encoding = timed(lambda q=q: q.encode(picture), 1)
            copy, decoding = timed(lambda q=q, c=chunk: q.decode(c), min(repeat, 3))
            speeds = size**2 / encoding / 1e6, size**2 / decoding / 1e6
            yield row(system, repr(q), 8 * len(chunk) / size**2, copy, *speeds)
