"""``arraycodec bench --workers``: one array compressed into Zarr v3 by so many processes, and by none of dask's.

What is timed is the whole command, but for the start of the workers: reading a .npy file, coding, writing, checking
what is there.  In turns, the fastest and the median count; nothing is synced to the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import cluster, interrupt
from ..codecs import Choice
from ..console import Console
from ..convert import convert
from ..plan import Job
from .corpus import Item
from .hosts import host_array
from .tables import aligned, speed

PACKAGES = ("zarr", "dask", "distributed")
_PIECE = 64 << 20  # bytes of the array that are made at a time

LEGEND = """\
Workers: a .npy file into Zarr v3; seconds, fastest (and median), and MB/s of the array"""


@dataclass(frozen=True)
class ScalingRow:
    """So many workers; the columns of the CSV.  Speeds are MB/s of the array."""

    workers: int
    array: str
    dtype: str
    shape: str
    chunks: str
    tol: float
    nbytes: int
    bytes: int
    seconds_fastest: float
    seconds_median: float
    rounds: int
    speedup: float  # one worker's median in units of this one's


def measure_scaling(
    item: Item, size: int, chunk: int, counts: Sequence[int], repeat: int, folder: Path | None
) -> list[ScalingRow]:
    """Measure one array at its first tolerance.

    Parameters
    ----------
    item : Item
        Its values are repeated to `size` bytes.
    size, chunk, repeat : int
        Bytes; values per chunk; rounds.
    counts : sequence of int
        Of workers; no worker, and one, are measured besides.
    folder : Path or None
        Where everything is made; None is the system's temporary folder.
    """
    piece, chunks = host_array(item.load(), min(size, _PIECE), chunk)
    repeats = max(1, round(size / piece.nbytes))
    shape = (repeats * piece.shape[0], piece.shape[1])
    counts = sorted({0, 1, *counts})
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="arraycodec-bench-", dir=folder))
        source, target = Path(scratch, "array.npy"), Path(scratch, "array.zarr")
        file = np.lib.format.open_memmap(source, "w+", piece.dtype, shape)
        for i in range(repeats):
            file[i * piece.shape[0] : (i + 1) * piece.shape[0]] = piece
        del file
        os.sync()  # else the first runs pay for it
        tol = item.tols[0]
        job = Job(source, target, tol, choice=Choice("ansquant", {"tol": tol}), chunks=chunks, force=True)
        runs = {n: _run(n, job, stack) for n in counts}
        seconds: dict[int, list[float]] = {n: [] for n in counts}
        for _ in range(repeat):
            for n, run in runs.items():
                interrupt.check()
                start = time.perf_counter()
                run()
                seconds[n].append(time.perf_counter() - start)
        stored = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        shutil.rmtree(target)
    one = statistics.median(seconds[1])
    return [
        ScalingRow(
            n, item.name, str(piece.dtype), "x".join(map(str, shape)), "x".join(map(str, chunks)), tol,
            repeats * piece.nbytes, stored, min(s), statistics.median(s), repeat, one / statistics.median(s),
        )
        for n, s in seconds.items()
    ]  # fmt: skip


def _run(count: int, job: Job, stack: contextlib.ExitStack) -> Callable[[], None]:
    """What does the job with so many workers, which are there already."""
    console = Console(quiet=True)
    if not count:
        return lambda: convert(job, console)
    client = stack.enter_context(cluster.connected(cluster.Workers(count), console))
    workers = cluster.Workers(scheduler=client.scheduler.address)
    return lambda: cluster.convert_on_cluster(job, workers, console)


HEAD = ("workers", "seconds", "(median)", "MB/s", "times one (medians)")


def cells(row: ScalingRow) -> list[str]:
    """A line of the table."""
    return [
        str(row.workers) if row.workers else "no dask", f"{row.seconds_fastest:.2f}", f"({row.seconds_median:.2f})",
        speed(row.nbytes / row.seconds_fastest / 1e6), f"{row.speedup:.2f}",
    ]  # fmt: skip


def scaling_table(rows: Sequence[ScalingRow]) -> str:
    """For the console."""
    return aligned([HEAD, *map(cells, rows)])
