"""``arraycodec bench``: size, speed and exact violations on the user's arrays, beside memcpy and peers.

Method: arrays are cut into chunks and encoded and decoded chunk by chunk through the public Python
API, on one core, with the bound verified in exact arithmetic.  Every call is timed by itself;
reported are the sum over chunks of each one's fastest call (what the code can do, on a machine that
others use too), and beside it the median round over all chunks.  GB/s are bytes of the array per
second (1e9).  Every result is decoded into the same preallocated array, memcpy included, so no
codec gains by reusing warm memory that others do not have.
"""

from __future__ import annotations

import csv
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .. import codec
from .._core import isa
from . import interrupt
from .console import Console
from .formats import open_source
from .model import ArrayInfo, CommandError

#: Arrays for everybody, with their tolerances: weights like a dense layer's (raw bits beside the
#: tokens), and small integers (tokens only).
SAMPLES: dict[str, tuple[float, Callable[[np.random.Generator], np.ndarray]]] = {
    "sample: normal weights": (2**-17, lambda rng: rng.normal(0, 0.05, (1024, 1024)).astype("f4")),
    "sample: integers 8 N(0,1)": (0.5, lambda rng: np.round(rng.normal(0, 8, (1024, 1024))).astype("f4")),
}


@dataclass(frozen=True)
class Row:
    """One codec on one array."""

    array: str
    tol: float
    codec: str
    ratio: float
    bits_per_value: float
    encode_best: float
    encode_median: float
    decode_best: float
    decode_median: float
    max_error: float  # in units of tol
    violations: int


FIELDS = tuple(Row.__dataclass_fields__)


@dataclass(frozen=True)
class Contender:
    """A codec as the benchmark sees it: encode a chunk to bytes, decode bytes into an array."""

    name: str
    encode: Callable[[np.ndarray], object]
    decode: Callable[[object, np.ndarray], object]
    size: Callable[[object], int] = len  # type: ignore[assignment]


def _memcpy() -> Contender:
    return Contender("memcpy", lambda x: x.copy(), lambda b, out: np.copyto(out, b), lambda b: b.nbytes)


def _ours(tol: float) -> Contender:
    return Contender("arraycodec", lambda x: codec.encode(x, tol), lambda b, out: codec.decode(b, out))


def _zstd() -> Contender:
    from numcodecs import Zstd

    z = Zstd(level=3)
    return Contender("zstd -3 (lossless)", z.encode, lambda b, out: z.decode(b, out))


def _pcodec(tol: float) -> Contender | None:
    """pcodec on integers quantized in the array's own precision: what people do; the bound is not checked."""
    try:
        from numcodecs.pcodec import PCodec

        p = PCodec(level=8)
        p.encode(np.zeros(8, "i4"))
    except Exception:  # not installed, or a build that does not work here
        return None

    def encode(x: np.ndarray) -> object:
        return p.encode(np.rint(x * x.dtype.type(0.5 / tol)).astype(np.int32))

    def decode(b: object, out: np.ndarray) -> None:
        np.multiply(p.decode(b).view(np.int32).reshape(out.shape), out.dtype.type(2 * tol), out=out, casting="unsafe")

    return Contender("quantize + pcodec -8 (unchecked)", encode, decode)


def bench(
    files: list[Path], tols: list[float], samples: bool, chunk: int, repeat: int, peers: bool, csv_file: Path | None,
    console: Console,
) -> bool:  # fmt: skip
    """Measure, print the table, and write it as CSV; True if our bound held everywhere.

    Parameters
    ----------
    files : list of Path
        .npy, .npz, Zarr or HDF5; every float array in them is measured.
    tols : list of float
        One for all files, or one for each.
    samples : bool
        Measure `SAMPLES` too.
    chunk, repeat : int
        Values per chunk, and rounds.
    peers : bool
        Measure installed peers too.
    csv_file : Path or None
        Where the rows go as well, with machine and versions.
    """
    if len(tols) not in (1, len(files)) and files:
        raise CommandError(f"{len(tols)} tolerances for {len(files)} files: give one for all, or one for each")
    if not files and not samples:
        raise CommandError("nothing to measure: name files, or --samples")
    pin_to_one_core()
    rows = []
    for name, array, tol in _arrays(files, tols, samples):
        for contender in contenders(tol, peers):
            interrupt.check()
            rows.append(measure(name, array, tol, chunk, repeat, contender))
    if not rows:
        raise CommandError("no float32 or float64 values in " + ", ".join(map(str, files)))
    console.say(f"{machine()}; chunks of {chunk} values; fastest (and median) of {repeat}")
    console.say(table(rows))
    if csv_file is not None:
        with open(csv_file, "w", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(["machine", "chunk", "repeat", *FIELDS])
            writer.writerows([machine(), chunk, repeat, *vars(row).values()] for row in rows)
    return all(row.violations == 0 for row in rows if row.codec == "arraycodec")


def _arrays(files: list[Path], tols: list[float], samples: bool) -> Iterator[tuple[str, np.ndarray, float]]:
    if samples:
        for name, (tol, make) in SAMPLES.items():
            yield name, make(np.random.default_rng(0)), tol
    for file, tol in zip(files, tols * len(files) if len(tols) == 1 else tols, strict=True):
        with open_source(file) as source:
            for info in source.items():
                if isinstance(info, ArrayInfo) and codec.is_supported(info.dtype) and info.size:
                    values = source.read(info, (slice(None),) * len(info.shape))
                    yield info.name or file.stem, values.astype(info.dtype.newbyteorder("="), copy=False), tol


def contenders(tol: float, peers: bool = True) -> Iterator[Contender]:
    """memcpy, this package, and whichever peers are installed."""
    yield _memcpy()
    yield _ours(tol)
    if peers:
        yield _zstd()
        pcodec = _pcodec(tol) if tol > 0 else None
        if pcodec:
            yield pcodec


def _time(calls: list[Callable[[], object]], repeat: int) -> tuple[float, float]:
    """Seconds for all calls: each at its fastest, and the median round."""
    seconds = np.empty((repeat, len(calls)))
    for round_ in seconds:
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            round_[i] = time.perf_counter() - start
    return float(seconds.min(axis=0).sum()), float(np.median(seconds.sum(axis=1)))


def measure(name: str, array: np.ndarray, tol: float, chunk: int, repeat: int, contender: Contender) -> Row:
    """Measure one contender on one array, cut into chunks of `chunk` values."""
    flat = np.ascontiguousarray(array).reshape(-1)
    parts = [flat[i : i + chunk] for i in range(0, flat.size, chunk)]
    out = np.empty_like(flat)
    outs = [out[i : i + chunk] for i in range(0, flat.size, chunk)]
    encoded = [contender.encode(part) for part in parts]  # also the warm-up
    decodes = [partial(contender.decode, data, target) for data, target in zip(encoded, outs, strict=True)]
    for call in decodes:
        call()
    check = codec.verify(flat, out, tol)
    encode_best, encode_median = _time([partial(contender.encode, part) for part in parts], repeat)
    decode_best, decode_median = _time(decodes, repeat)
    size = sum(contender.size(data) for data in encoded)
    gigabytes = flat.nbytes / 1e9
    return Row(
        name,
        tol,
        contender.name,
        flat.nbytes / size,
        8 * size / flat.size,
        gigabytes / encode_best,
        gigabytes / encode_median,
        gigabytes / decode_best,
        gigabytes / decode_median,
        check.max_error / tol if tol else math.nan if check.max_error else 0.0,
        check.violations,
    )


def pin_to_one_core() -> None:
    """Keep this process on one core, where the system lets it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> str:
    """The processor's name, the instruction set in use, and the Python version."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            name = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {isa()}, Python {platform.python_version()}, NumPy {np.__version__}"


def table(rows: list[Row]) -> str:
    """The rows as text, aligned."""
    head = (
        "array",
        "tol",
        "codec",
        "ratio",
        "bits",
        "enc GB/s",
        "(median)",
        "dec GB/s",
        "(median)",
        "err/tol",
        "viol.",
    )
    cells = [
        (
            r.array,
            f"{r.tol:.3g}",
            r.codec,
            f"{r.ratio:.2f}",
            f"{r.bits_per_value:.3f}",
            f"{r.encode_best:.2f}",
            f"{r.encode_median:.2f}",
            f"{r.decode_best:.2f}",
            f"{r.decode_median:.2f}",
            f"{r.max_error:.4f}",
            str(r.violations),
        )
        for r in rows
    ]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    left = (0, 2)
    return "\n".join(
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *cells]
    )
