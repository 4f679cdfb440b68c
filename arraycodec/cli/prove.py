"""``arraycodec prove``: exhaustive runs through the codec itself, with an exact check of every value.

A chunk is encoded, decoded and compared in exact arithmetic; what came back is encoded and decoded
again, and must not move.  Runs share nothing but the clock, chunks of a run go to several threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, _core
from ..codec import decode, encode, inspect
from ..config import PREDICTORS, Config, check_threads
from ..dtypes import BFLOAT16
from . import interrupt
from .console import Console
from .model import CommandError
from .proofs import Run, Tolerance, runs

QMAX = 1 << 30  # steps that the quantizer takes from zero
_DEFAULT = Config()

DESCRIPTION = """\
Prove the bound by running all values of small types, and those on and beside the edges of large ones,
through the codec, with an exact check of each.  All 2^32 float32 at twelve tolerances, all float16 and
bfloat16, all integers of 8 and 16 bits, 10^9 trials of float64, trials of integers of 32 and 64 bits.
The exit code is 1 if a bound is broken, NaN or Inf changed, or a decoded value moves when it is
encoded again.  The hashes depend on the format, the encoder, its level and its predictor only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = DESCRIPTION
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="a part of it, in seconds (default)")
    how.add_argument("--full", action="store_true", help="all of it: 53 * 10^9 values, about half an hour of one core")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME",
        help='runs whose names begin so: float32, int8, "float64, beside bins"; may be repeated',
    )  # fmt: skip
    parser.add_argument("--level", type=int, metavar="N", help="level of the encoder, 1 to 9 (default 5)")
    parser.add_argument(
        "--predictor", choices=PREDICTORS, metavar="NAME",
        help="predictor of the encoder: auto (default), none, lorenzo, interpolation or linear",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="chunks at once (default 1)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table (Markdown, or JSON) there, too")


@dataclass
class Counts:
    """What was found in some chunks.

    Attributes
    ----------
    values : int
    violations : int
        Finite values that are too far away, and all that is counted in `changed`.
    changed : int
        NaN and infinities whose bits are others, and finite values that became such.
    moved : int
        Decoded values that had changed, and are others again after they were encoded again.
    settled : int
        Decoded values that had been stored exactly, and are on the lattice after they were encoded again.
    in_range : int
        Finite values within the reach of the quantizer.
    needless : int
        Of these, those that are stored as exceptions or edges.
    exact : int
        Of these, those in blocks that are stored without loss, as that was smaller.
    bytes : int
        Of the chunks.
    """

    values: int = 0
    violations: int = 0
    changed: int = 0
    moved: int = 0
    settled: int = 0
    in_range: int = 0
    needless: int = 0
    exact: int = 0
    bytes: int = 0

    def add(self, other: Counts) -> None:
        """Add what was found elsewhere."""
        for f in fields(Counts):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not (self.violations or self.changed or self.moved)


@dataclass
class Line(Counts):
    """A run and what was found.

    Attributes
    ----------
    chunks_sha256, decoded_sha256 : str
        SHA-256 of the SHA-256 of all chunks, or of the decoded bytes of each, in order.
    """

    dtype: str = ""
    what: str = ""
    tolerance: str = ""
    chunks_sha256: str = ""
    decoded_sha256: str = ""
    seconds: float = field(default=0.0, compare=False)


def prove(args: argparse.Namespace, console: Console) -> bool:
    """The command, as parsed; True if everything held."""
    threads, encoder = check_threads(args.threads), Config(level=args.level, predictor=args.predictor)
    names = tuple(args.only)
    chosen = [run for run in runs(args.full) if not names or run.name.startswith(names)]
    for name in names:
        if not any(run.name.startswith(name) for run in chosen):
            groups = ", ".join(dict.fromkeys(run.dtype for run in runs(args.full)))
            raise CommandError(f"--only {name!r}: no run has a name that begins so; there are {groups}")
    if args.output is not None and (args.output.is_dir() or not args.output.parent.is_dir()):
        raise CommandError(f"--output {args.output}: cannot be a file")
    how = "full" if args.full else "quick"
    head = {
        "arraycodec": __version__, "isa": _core.isa(), "threads": threads, "runs": how, "numpy": np.__version__,
        "date": date.today().isoformat(), **encoder.to_json(),
    }  # fmt: skip
    if not args.json:
        console.say(", ".join(f"{k}: {v}" for k, v in head.items()) + "\n\n" + table([]))
    lines: list[Line] = []
    for run in chosen:
        lines.append(run_one(run, threads, encoder))
        if not args.json:
            console.say(row(lines[-1]))
        if args.output is not None:  # again each time: an interrupted run leaves what it has
            args.output.write_text(_json(head, lines) if args.json else _markdown(head, lines))
    if args.json:
        console.say(_json(head, lines))
    else:
        console.say("\n" + _conclusion(lines))
    return all(line.ok for line in lines)


def run_one(run: Run, threads: int = 1, encoder: Config = _DEFAULT) -> Line:
    """All chunks of a run, at the level and with the predictor of `encoder`."""
    start = time.perf_counter()
    line = Line(dtype=run.dtype, what=run.what, tolerance=run.shown)
    chunks, decoded = hashlib.sha256(), hashlib.sha256()
    worker = _Worker(run, encoder)
    pool = ThreadPoolExecutor(threads)
    try:
        for counts, of_chunk, of_values in pool.map(worker, range(run.chunks * len(run.tolerances))):
            interrupt.check()
            line.add(counts)
            chunks.update(of_chunk)
            decoded.update(of_values)
    finally:
        pool.shutdown(cancel_futures=True)
    line.chunks_sha256, line.decoded_sha256 = chunks.hexdigest(), decoded.hexdigest()
    line.seconds = time.perf_counter() - start
    return line


class _Worker:
    """Does one chunk after the other, in the memory of its thread."""

    def __init__(self, run: Run, encoder: Config = _DEFAULT) -> None:
        self._run = run
        self._view = BFLOAT16 if run.dtype == BFLOAT16 else None
        self._how = {"dtype": self._view, "level": encoder.level, "predictor": encoder.predictor}
        self._dtype = np.dtype("u2" if self._view else run.dtype)
        self._code = _core.DTYPES[run.dtype]
        self._local = threading.local()

    def _memory(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the values, and twice of what comes back."""
        if not hasattr(self._local, "arrays"):
            self._local.arrays = tuple(np.empty(self._run.size, self._dtype) for _ in range(3))
        return self._local.arrays

    def __call__(self, number: int) -> tuple[Counts, bytes, bytes]:
        i, which = divmod(number, len(self._run.tolerances))
        t = self._run.tolerances[which]
        x, y, z = self._memory()
        self._run.make(i, _bits(x))
        chunk = encode(x, t.tol, rtol=t.rtol, **self._how)
        y = self._decoded(chunk, y)
        violations, lost, error = _core.check_bound(self._code, _bytes(x), _bytes(y), t.tol or 0.0, t.rtol or 0.0)
        counts = Counts(x.size, violations, lost, bytes=len(chunk))
        if error or not np.array_equal(_bits(x), _bits(y)):  # what is the same is encoded to the same
            again = encode(y, t.tol, rtol=t.rtol, **self._how)
            if again != chunk:  # and this is decoded to the same
                self._count_moved(x, y, self._decoded(again, z), t, counts)
        if self._view or x.dtype.kind == "f":
            self._count_needless(chunk, x, t, counts)
        return counts, hashlib.sha256(chunk).digest(), hashlib.sha256(_bytes(y)).digest()

    def _count_moved(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, t: Tolerance, counts: Counts) -> None:
        moved = _bits(z) != _bits(y)
        if not moved.any():
            return
        exact = _bits(y)[moved] == _bits(x)[moved]
        counts.settled = int(np.count_nonzero(exact))
        counts.moved = len(exact) - counts.settled
        violations, lost, _ = _core.check_bound(self._code, _bytes(x), _bytes(z), t.tol or 0.0, t.rtol or 0.0)
        counts.violations += violations
        counts.changed += lost

    @staticmethod
    def _decoded(chunk: bytes, out: np.ndarray) -> np.ndarray:
        decode(chunk, out)
        return out

    def _count_needless(self, chunk: bytes, x: np.ndarray, t: Tolerance, counts: Counts) -> None:
        info = inspect(chunk)
        if not info.header.delta and not t.rtol:
            return  # lossless
        values = (x.astype("u4") << 16).view("f4") if self._view else x
        size = np.abs(values)
        limits = np.finfo(values.dtype)
        if t.rtol:
            inside = size <= limits.max
            if not info.header.delta:
                inside &= (size >= limits.tiny) | (size == 0)  # relative bounds begin with normal numbers
        else:
            inside = size <= values.dtype.type(min(QMAX * info.header.delta, float(limits.max)))
        counts.in_range = int(np.count_nonzero(inside))
        first = 0
        for block in info.blocks:
            part = inside[first : first + block.count]
            first += block.count
            if block.mode in ("uniform", "lattice", "predicted"):
                counts.needless += block.edges
                if block.raw_exceptions:  # masked values may be in range: then this is too many
                    outside = block.count - int(np.count_nonzero(part)) - block.masked
                    counts.needless += max(0, block.raw_exceptions - max(0, outside))
            elif block.mode != "constant":
                counts.exact += int(np.count_nonzero(part))


def _bits(x: np.ndarray) -> np.ndarray:
    return x.view(f"u{x.itemsize}")


def _bytes(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint8)


# ---- what is written ----
COLUMNS = (
    "values", "tolerance", "number", "violations", "NaN, Inf changed", "moved", "settled", "needless", "exact", "bits",
    "chunks", "decoded", "s",
)  # fmt: skip
LEGEND = """\
*violations*: values out of bounds, in exact arithmetic, and NaN or infinities with other bits, after one encoding or
two; *moved*: values that changed, and changed again when what was decoded was encoded; *settled*: values that were
stored exactly the first time and changed the second; *needless*: finite values in the quantizer's range that are
stored as exceptions or edges; *exact*: such values in blocks without loss, which were smaller so; *bits*: of a chunk,
a value; *chunks*, *decoded*: the first 16 digits of the SHA-256 of the SHA-256 of all chunks, and of their decoded
bytes."""


def row(line: Line) -> str:
    """A line of the Markdown table."""
    needless, exact = (_share(n, line.in_range) for n in (line.needless, line.exact))
    cells = [
        f"{line.dtype}, {line.what}", line.tolerance, str(line.values), str(line.violations), str(line.changed),
        str(line.moved), str(line.settled), needless, exact, f"{8 * line.bytes / max(1, line.values):.2f}",
        line.chunks_sha256[:16], line.decoded_sha256[:16], f"{line.seconds:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _share(count: int, of: int) -> str:
    return "-" if not of else "0" if not count else f"{count} ({count / of:.2g})"


def table(lines: Sequence[Line]) -> str:
    """Lines as a Markdown table."""
    head = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    return "\n".join([*head, *map(row, lines)])


def _conclusion(lines: Sequence[Line]) -> str:
    total = Counts()
    for line in lines:
        total.add(line)
    verdict = "every bound held" if total.ok else "FAILED"
    return (
        f"{verdict}: {total.values} values, {total.violations} violations, {total.changed} NaN or Inf changed, "
        f"{total.moved} moved, {total.settled} settled"
    )


def _markdown(head: dict[str, Any], lines: Sequence[Line]) -> str:
    said = ", ".join(f"{k} {v}" for k, v in head.items())
    return f"{said}.\n\n{table(lines)}\n\n{LEGEND}\n\n{_conclusion(lines)}.\n"


def _json(head: dict[str, Any], lines: Sequence[Line]) -> str:
    return json.dumps(head | {"lines": [asdict(line) | {"ok": line.ok} for line in lines]}, indent=2)
