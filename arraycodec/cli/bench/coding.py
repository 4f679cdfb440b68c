"""``arraycodec bench --coders``: `arraycodec.coders` beside constriction, where that is installed.

Both code the same symbols with the same models, in turns, and the words must be the same.  A row is a coder and a
model; one model for all symbols, or parameters for each.  "Fastest" is the least time of all rounds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ... import coders
from .. import interrupt
from .tables import aligned

PEER = "constriction"
ONE, EACH = "one", "each"


@dataclass(frozen=True)
class CoderRow:
    """One coder with one model; the columns of the CSV.  Times are nanoseconds a symbol."""

    coder: str
    model: str
    params: str  # "one" model for all symbols, or parameters for "each"
    symbols: int
    encode: float
    decode: float
    encode_peer: float = math.nan
    decode_peer: float = math.nan
    rounds: int = 0
    different: int = 0  # words or symbols that are not those of the peer, or of the round trip

    @property
    def encode_ratio(self) -> float:
        """How many times as long the peer takes to encode."""
        return self.encode_peer / self.encode

    @property
    def decode_ratio(self) -> float:
        """How many times as long the peer takes to decode."""
        return self.decode_peer / self.decode


class Case(NamedTuple):
    """What is coded: a model, by the name of its class and the arguments; symbols, and parameters of families."""

    title: str
    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    symbols: np.ndarray
    params: tuple[np.ndarray, ...]


def cases(size: int) -> Iterator[Case]:
    """All of them; `size` symbols where a model is cheap, fewer where it has many numbers of its own."""
    rng = np.random.default_rng(9)
    normal = np.clip(rng.normal(3, 12, size).round(), -100, 100).astype(np.int32)
    for name, scale in (("Gaussian", 12.0), ("Laplace", 9.0), ("Cauchy", 9.0)):
        yield Case(name, f"Quantized{name}", (-100, 100, 3.0, scale), {}, normal, ())
    for n in (16, 256, 5000):
        p = rng.dirichlet(np.ones(n))
        symbols = rng.choice(n, size, p=p).astype(np.int32)
        yield Case(f"Categorical {n}", "Categorical", (p,), {"perfect": False}, symbols, ())
    bits = (rng.random(size) < 0.2).astype(np.int32)
    yield Case("Bernoulli", "Bernoulli", (0.2,), {"perfect": True}, bits, ())
    yield Case("Uniform 1000", "Uniform", (1000,), {}, rng.integers(0, 1000, size).astype(np.int32), ())
    means, scales = rng.normal(0, 20, size), np.exp(rng.uniform(-1, 3, size))
    near = np.clip((means + scales * rng.normal(size=size)).round(), -100, 100).astype(np.int32)
    for name in ("Gaussian", "Laplace", "Cauchy"):
        yield Case(name, f"Quantized{name}", (-100, 100), {}, near, (means, scales))
    for n, perfect in ((16, False), (256, False), (16, True), (256, True)):
        few = max(size // (16 if perfect else 4) * 16 // n, 1)
        rows = rng.dirichlet(np.ones(n), few)
        symbols = (rows.cumsum(1) < rng.random((few, 1))).sum(1).clip(0, n - 1).astype(np.int32)
        title = f"Categorical {n}{', perfect' if perfect else ''}"
        yield Case(title, "Categorical", (), {"perfect": perfect}, symbols, (rows,))
    yield Case("Bernoulli", "Bernoulli", (), {"perfect": True}, bits, (rng.uniform(0.05, 0.4, size),))
    sizes = rng.integers(2, 2000, size).astype(np.int32)
    yield Case("Uniform", "Uniform", (), {}, (rng.random(size) * sizes).astype(np.int32), (sizes,))


class _Library(NamedTuple):
    """Names of the three coders, and where the models are: ours, or constriction's."""

    ans: Callable[..., Any]
    chain: Callable[..., Any]
    encoder: Callable[..., Any]
    decoder: Callable[..., Any]
    models: Any


def _libraries() -> list[_Library]:
    found = [_Library(coders.AnsCoder, coders.ChainCoder, coders.RangeEncoder, coders.RangeDecoder, coders)]
    try:
        from constriction import stream
    except ImportError:
        return found
    queue, stack, chain = stream.queue, stream.stack, stream.chain
    return [*found, _Library(stack.AnsCoder, chain.ChainCoder, queue.RangeEncoder, queue.RangeDecoder, stream.model)]


_Result = tuple[float, float, tuple[np.ndarray, ...]]  # seconds to encode and to decode, and what came out


def _ans(library: _Library, model: Any, case: Case, words: np.ndarray) -> _Result:
    coder = library.ans()
    start = time.perf_counter()
    coder.encode_reverse(case.symbols, model, *case.params)
    middle = time.perf_counter()
    encoded = coder.get_compressed()
    again = time.perf_counter()
    symbols = coder.decode(model, *(case.params or (len(case.symbols),)))
    return middle - start, time.perf_counter() - again, (encoded, symbols)


def _range(library: _Library, model: Any, case: Case, words: np.ndarray) -> _Result:
    encoder = library.encoder()
    start = time.perf_counter()
    encoder.encode(case.symbols, model, *case.params)
    middle = time.perf_counter()
    encoded = encoder.get_compressed()
    decoder = library.decoder(encoded)
    again = time.perf_counter()
    symbols = decoder.decode(model, *(case.params or (len(case.symbols),)))
    return middle - start, time.perf_counter() - again, (encoded, symbols)


def _chain(library: _Library, model: Any, case: Case, words: np.ndarray) -> _Result:
    coder = library.chain(words)
    again = time.perf_counter()
    symbols = coder.decode(model, *(case.params or (len(case.symbols),)))
    decoded = time.perf_counter() - again
    remainders = np.concatenate(coder.get_remainders())
    coder = library.chain(remainders, is_remainders=True)
    start = time.perf_counter()
    coder.encode_reverse(symbols, model, *case.params)
    encoded = time.perf_counter() - start
    data = np.concatenate(coder.get_data())
    return encoded, decoded, (remainders, symbols, data)


_CODERS = {"AnsCoder": _ans, "RangeEncoder, RangeDecoder": _range, "ChainCoder": _chain}


def measure_coders(size: int, repeat: int, budget: float) -> Iterator[CoderRow]:
    """Rows as they come.

    Parameters
    ----------
    size : int
        Symbols of the largest case.
    repeat : int
        Rounds; the fastest counts.
    budget : float
        Seconds after which a case has no further rounds.
    """
    libraries = _libraries()
    words = np.random.default_rng(1).integers(1, 1 << 32, size + 8, np.uint32)
    for case in cases(size):
        for name, code in _CODERS.items():
            if name == "ChainCoder" and case.title not in ("Gaussian", "Categorical 256"):
                continue  # models take the same time with every coder: two will do
            models = [getattr(library.models, case.name)(*case.args, **case.options) for library in libraries]
            times: list[list[tuple[float, float]]] = [[] for _ in libraries]
            different = rounds = 0
            end = time.monotonic() + budget
            while rounds < repeat and (not rounds or time.monotonic() < end):
                interrupt.check()
                results = [code(*pair, case, words) for pair in zip(libraries, models, strict=True)]
                for of, (encode, decode, _) in zip(times, results, strict=True):
                    of.append((encode, decode))
                rounds += 1
                if name == "ChainCoder":
                    different += not np.array_equal(results[0][2][2], words)
                else:
                    different += int(np.count_nonzero(results[0][2][1] != case.symbols))
                for _, _, made in results[1:]:
                    different += sum(not np.array_equal(a, b) for a, b in zip(made, results[0][2], strict=True))
            n = len(case.symbols)
            fastest = [tuple(min(column) / n * 1e9 for column in zip(*of, strict=True)) for of in times]
            peer = fastest[1] if len(fastest) > 1 else (math.nan, math.nan)
            params = EACH if case.params else ONE
            yield CoderRow(name, case.title, params, n, *fastest[0], *peer, rounds, different)


HEAD = ("coder", "model", "params", "symbols", "enc ns", "dec ns", "peer enc", "peer dec", "enc, times", "dec, times")
LEGEND = f"""\
Entropy coders: nanoseconds a symbol, the fastest of all rounds; peer: {PEER}, and how many times as long it takes"""


def cells(row: CoderRow) -> list[str]:
    """A line of the table."""
    figures = [row.encode, row.decode, row.encode_peer, row.decode_peer, row.encode_ratio, row.decode_ratio]
    return [row.coder, row.model, row.params, str(row.symbols), *("" if f != f else f"{f:.3g}" for f in figures)]


def coder_table(rows: list[CoderRow]) -> str:
    """For a terminal."""
    return aligned([[*HEAD, "diff."], *([*cells(row), str(row.different)] for row in rows)], left=3)
