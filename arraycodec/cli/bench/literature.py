"""``arraycodec bench --literature``: published systems of coding arrays, as they were and as this package has them.

Each system is a function that yields a row for each of its variants, here or in `quantizers`; docs/literature.md says
where they come from and what was changed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ... import AnsQuant, coders
from .. import interrupt
from ..zarrstore import require_zarr
from . import quantizers
from .literaturerow import LiteratureRow, StochasticRow
from .quantizers import Arrays
from .tables import aligned


def literature_rows(
    repeat: int, weights: Arrays = quantizers.WEIGHTS, measured: Iterable[StochasticRow] = ()
) -> Iterator[LiteratureRow]:
    """All rows, as they come; fastest of `repeat` rounds (but once what takes minutes).

    Parameters
    ----------
    repeat : int
    weights : iterable
        Names, and functions that return arrays.
    measured : iterable of StochasticRow
        What `quantizers.stochastic` yields.
    """
    yield from matrices(repeat)
    yield from chain_coder(repeat)
    yield from quantizers.weights(repeat, weights)
    yield from quantizers.gradients(measured)
    yield from quantizers.low_rank(repeat)


# --- Matrices in lanes ---


class NotebookCoder:
    """A lane as the notebook "Mock Data for Compressed Matrices" has it: a coder an entry, a list of sizes a model."""

    def __init__(self, precision: int, word_size: int, head: int) -> None:
        self.precision, self.word_size, self.head = precision, word_size, head
        self.bulk: list[int] = []

    def push(self, symbol: int, sizes: Any) -> None:
        if self.head >> (2 * self.word_size - self.precision) >= sizes[symbol]:
            self.bulk.append(self.head & ((1 << self.word_size) - 1))
            self.head >>= self.word_size
        remainder = self.head % sizes[symbol] + sum(sizes[:symbol])
        self.head = (self.head // sizes[symbol]) << self.precision | remainder

    def pop(self, sizes: Any) -> int:
        quantile = self.head & ((1 << self.precision) - 1)
        self.head >>= self.precision
        symbol = 0
        while quantile >= sizes[symbol]:
            quantile -= sizes[symbol]
            symbol += 1
        self.head = self.head * sizes[symbol] + quantile
        if self.head >> self.word_size == 0 and self.bulk:
            self.head = self.head << self.word_size | self.bulk.pop()
        return symbol


def frequencies_of(counts: np.ndarray) -> np.ndarray:
    """Of counts in decreasing order that sum to 2^20: as the notebook rounds them to a sum of 2^12."""
    rounded = np.maximum(np.round(counts / 256).astype(np.int32), 1)
    excess = int(rounded.sum()) - (1 << 12)
    rounded[: abs(excess)] -= np.sign(excess)
    return rounded


def mock_matrices(number: int, side: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Values, symbols (by falling count), and the symbols' frequencies of the notebook's normal matrices."""
    rng = np.random.RandomState(202404151)
    values, symbols, frequencies = [], [], []
    for _ in range(number):
        interrupt.check()
        matrix = np.round(rng.randn(side, side) * 8).astype(np.int8)
        vocabulary, inverse, counts = np.unique(matrix, return_inverse=True, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        rank = np.empty(len(order), np.int8)
        rank[order] = np.arange(len(order))
        values.append(matrix)
        symbols.append(rank[inverse].reshape(matrix.shape))
        frequencies.append(frequencies_of(counts[order] * ((1 << 20) // matrix.size)))
    return values, symbols, frequencies


def matrices(repeat: int, number: int = 100, side: int = 1024) -> Iterator[LiteratureRow]:
    """A hundred quantized matrices, read in order."""
    system = f"{number} matrices of {side}x{side} normal values, step 1/8"
    values, symbols, frequencies = mock_matrices(number, side)
    yield _notebook(system, symbols, frequencies)
    yield _lanes(system, symbols, frequencies, repeat)
    for level in (None, 9):
        yield _chunks(system, values, level, repeat)


def _notebook(system: str, symbols: list[np.ndarray], frequencies: list[np.ndarray]) -> LiteratureRow:
    """On the first 256 lanes: each costs the same."""
    lanes = min(256, symbols[0].size)
    sizes = [each.tolist() for each in frequencies]
    some = [matrix.ravel()[:lanes].tolist() for matrix in symbols]
    all_lanes = [NotebookCoder(12, 16, 0x10001) for _ in range(lanes)]
    start = time.perf_counter()
    for matrix, model in zip(reversed(some), reversed(sizes), strict=True):
        for symbol, lane in zip(matrix, all_lanes, strict=True):
            lane.push(symbol, model)
    middle = time.perf_counter()
    words = sum(len(lane.bulk) + 2 for lane in all_lanes)
    again = time.perf_counter()
    wrong = 0
    for matrix, model in zip(some, sizes, strict=True):
        wrong += sum(lane.pop(model) != symbol for symbol, lane in zip(matrix, all_lanes, strict=True))
    n = lanes * len(some)
    tables = sum(map(len, sizes)) * 24 / (len(symbols) * symbols[0].size)  # 16 bits a frequency, 8 a value
    return LiteratureRow(
        system, f"original: Python, {lanes} of the lanes", n, 16 * words / n + tables,
        n / (middle - start) / 1e6, n / (time.perf_counter() - again) / 1e6, wrong,
    )  # fmt: skip


def _lanes(system: str, symbols: list[np.ndarray], frequencies: list[np.ndarray], repeat: int) -> LiteratureRow:
    n_lanes, n = symbols[0].size, symbols[0].size * len(symbols)
    vocabularies = 8 * sum(map(len, frequencies))
    models = [coders.Frequencies(each) for each in frequencies]
    encode, decode, wrong, bits = [], [], 0, 0
    for _ in range(min(repeat, 3)):
        interrupt.check()
        coder = coders.LaneAnsCoder(n_lanes)
        start = time.perf_counter()
        for matrix, model in zip(reversed(symbols), reversed(models), strict=True):
            coder.push(matrix, model)
        encode.append(time.perf_counter() - start)
        bits = coder.num_bits()
        start = time.perf_counter()
        popped = [coder.pop(model).astype(np.int8) for model in models]
        decode.append(time.perf_counter() - start)
        wrong += sum(int(np.count_nonzero(a != b.ravel())) for a, b in zip(popped, symbols, strict=True))
    bits += vocabularies + 16 * sum(map(len, frequencies))
    return LiteratureRow(system, "LaneAnsCoder", n, bits / n, n / min(encode) / 1e6, n / min(decode) / 1e6, wrong)


def _chunks(system: str, values: list[np.ndarray], level: int | None, repeat: int) -> LiteratureRow:
    """A Zarr array, a matrix a chunk."""
    zarr = require_zarr()
    shape = len(values), *values[0].shape
    encode, decode, wrong, bits = [], [], 0, 0
    for _ in range(min(repeat, 3)):
        interrupt.check()
        with tempfile.TemporaryDirectory() as folder:
            array = zarr.create_array(
                folder, shape=shape, chunks=(1, *values[0].shape), dtype="int8",
                serializer=AnsQuant(tol=0, level=level), compressors=None,
            )  # fmt: skip
            start = time.perf_counter()
            for i, matrix in enumerate(values):
                array[i] = matrix
            encode.append(time.perf_counter() - start)
            bits = 8 * sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            array = zarr.open_array(folder, mode="r")
            start = time.perf_counter()
            read = [array[i] for i in range(len(values))]
            decode.append(time.perf_counter() - start)
            wrong += sum(int(np.count_nonzero(a != b)) for a, b in zip(read, values, strict=True))
    n = values[0].size * len(values)
    variant = f"AnsQuant(tol=0{f', level={level}' if level else ''}), Zarr, a chunk each"
    return LiteratureRow(system, variant, n, bits / n, n / min(encode) / 1e6, n / min(decode) / 1e6, wrong)


# --- Chain coder ---


def chain_coder(repeat: int, size: int = 100_000) -> Iterator[LiteratureRow]:
    """Symbols from bits that are there anyway: what decoding them leaves over, per symbol."""
    rng = np.random.default_rng(5)
    data = rng.integers(1, 1 << 32, size, np.uint32)
    means, stds = rng.normal(0, 20, size), np.exp(rng.uniform(-1, 3, size))
    libraries: list[tuple[str, Any, Any]] = [("arraycodec.coders", coders.ChainCoder, coders.QuantizedGaussian)]
    try:
        from constriction import stream
    except ImportError:
        pass
    else:
        libraries.insert(0, ("original: constriction", stream.chain.ChainCoder, stream.model.QuantizedGaussian))
    for name, chain, gaussian in libraries:
        encode, decode, wrong, bits = [], [], 0, 0
        for _ in range(repeat):
            interrupt.check()
            coder = chain(data, is_remainders=False, seal=True)
            start = time.perf_counter()
            symbols = coder.decode(gaussian(-100, 100), means, stds)
            decode.append(time.perf_counter() - start)
            left = np.concatenate(coder.get_remainders())
            coder = chain(left, is_remainders=True)
            start = time.perf_counter()
            coder.encode_reverse(symbols, gaussian(-100, 100), means, stds)
            encode.append(time.perf_counter() - start)
            wrong += int(np.count_nonzero(np.concatenate(coder.get_data(unseal=True)) != data))
            bits = 32 * (len(data) - len(left))
        yield LiteratureRow(
            "bits-back with a chain coder: bits that a normal symbol takes", name, size, bits / size,
            size / min(encode) / 1e6, size / min(decode) / 1e6, wrong,
        )  # fmt: skip


HEAD = ("variant", "values", "bits a value", "encode 1e6/s", "decode 1e6/s", "wrong", "error")


def cells(row: LiteratureRow) -> list[str]:
    """A line of the table."""
    speeds = ["" if f != f else f"{f:.3g}" for f in (row.encode, row.decode)]
    error = "" if row.error != row.error else f"{row.error:.4g}"
    return [row.variant, str(row.values), f"{row.bits_per_value:.4f}", *speeds, str(row.wrong), error]


def literature_table(rows: list[LiteratureRow]) -> str:
    """For a terminal: a table a system."""
    parts = []
    for system in dict.fromkeys(row.system for row in rows):
        lines = [HEAD, *(cells(row) for row in rows if row.system == system)]
        parts.append(f"{system}\n{aligned(lines)}")
    return "\n\n".join(parts)


STOCHASTIC_HEAD = ("bits", "method", "norm", "bucket", "packed", "Elias", "entropy", "stored", "error", "mean of 16",
                   "nearest", "enc 1e6/s", "dec 1e6/s")  # fmt: skip


def stochastic_cells(row: StochasticRow) -> list[str]:
    """A line of the table of gradients."""
    sizes = ["" if f != f else f"{f:.3f}" for f in (row.packed, row.elias, row.entropy, row.stored)]
    rest = (row.mse, row.mean_mse, row.nearest_mse, row.encode, row.decode)
    names = [str(row.bits), row.method, row.norm, str(row.bucket or "all")]
    return [*names, *sizes, *("" if f != f else f"{f:.3g}" for f in rest)]


def stochastic_table(rows: list[StochasticRow]) -> str:
    """For a terminal: a table an array."""
    parts = []
    for array in dict.fromkeys(row.array for row in rows):
        lines = [STOCHASTIC_HEAD, *(stochastic_cells(row) for row in rows if row.array == array)]
        parts.append(f"{array}\n{aligned(lines)}")
    return "\n\n".join(parts)
