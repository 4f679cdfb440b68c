"""``arraycodec bench --hosts``: whole arrays written to and read from Zarr v2, Zarr v3 and HDF5.

Our codec beside no compression and Blosc, in memory and on disk.  What is timed is ``z[...] = x``
and ``z[...]``, as users write it, into new stores and from reopened ones; for HDF5 files the flush
belongs to writing.  Nothing is synced to the disk, whose speed is not the point.  Zarr writes all
chunks, also those of fill values only (``write_empty_chunks``), since it would look for them first.

Each line exists twice: pinned to one CPU with zarr's concurrency and its threads set to 1, and
as the host comes ("default").  HDF5 runs in one thread either way; "hdf5 direct" is
`arraycodec.hdf5.read` and `write` with 1 and 2 threads, where this version has them.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import hdf5
from .. import interrupt
from ..hdf5file import require_h5py
from ..zarrstore import require_zarr
from .corpus import Item
from .protocol import ONE_THREAD, Child, ChildFailed, choose_cpus
from .tables import aligned, speed

ZARR_HOSTS, STORES = ("zarr2", "zarr3"), ("memory", "disk")
HDF5, HDF5_DIRECT = "hdf5", "hdf5 direct"
NONE, OURS, LZ4, ZSTD = "none", "arraycodec", "blosc lz4 shuffle", "blosc zstd shuffle"
CODECS = (NONE, OURS, LZ4, ZSTD)
SINGLE, DEFAULT = "1", "default"
PACKAGES = ("zarr", "numcodecs", "h5py", "hdf5plugin")


@dataclass(frozen=True)
class HostRow:
    """One host, store and codec; the columns of the CSV.  Speeds are MB/s of the array."""

    host: str
    store: str
    codec: str
    threads: str  # "1", "default", or the argument of arraycodec.hdf5.read and write
    array: str
    dtype: str
    shape: str
    chunks: str
    tol: float
    status: str
    bytes: int | None = None
    ratio: float = math.nan
    write_fastest: float = math.nan
    write_median: float = math.nan
    read_fastest: float = math.nan
    read_median: float = math.nan
    rounds: int = 0
    write_of_none: float = math.nan  # fastest, in units of no compression's
    read_of_none: float = math.nan
    violations: int | None = None
    level: int | None = None  # of this package; None is the default
    predictor: str = ""  # likewise; "" is the default

    @property
    def ok(self) -> bool:
        """Whether it was measured."""
        return self.status == "ok"


def require_hosts() -> None:
    """Raise CommandError unless zarr and h5py are there."""
    require_zarr()
    require_h5py()


def host_array(values: np.ndarray, size: int, chunk: int) -> tuple[np.ndarray, tuple[int, int]]:
    """An array of about `size` bytes made of the given values, repeated or cut, and its chunk shape.

    Two-dimensional, 4096 columns where the chunk length allows, whole rows in a chunk.
    """
    chunk = chunk or 1 << 18
    columns = math.gcd(chunk, 4096)
    count = max(1, round(size / (chunk * values.itemsize)))
    array = np.resize(values.reshape(-1), count * chunk).reshape(-1, columns)
    return array, (chunk // columns, columns)


class _Key(NamedTuple):
    """What tells a line from others."""

    host: str
    store: str
    codec: str
    threads: str
    level: int | None = None
    predictor: str = ""


def _combinations(levels: Sequence[int | None], predictors: Sequence[str]) -> dict[str, list[_Key]]:
    """The lines by the process that measures them: pinned or not."""
    zarr_rows = list(itertools.product(ZARR_HOSTS, STORES, CODECS))
    plugin = find_spec("hdf5plugin") is not None
    hdf5_rows = [(HDF5, store, c) for store in STORES for c in CODECS if plugin or c in (NONE, OURS)]
    single = [_Key(*row, SINGLE) for row in zarr_rows + hdf5_rows]
    default = [_Key(*row, DEFAULT) for row in zarr_rows]
    if callable(getattr(hdf5, "read", None)) and callable(getattr(hdf5, "write", None)):
        single += [_Key(HDF5_DIRECT, store, OURS, "1") for store in STORES]
        default += [_Key(HDF5_DIRECT, store, OURS, "2") for store in STORES]
    choices = list(itertools.product(levels, predictors))
    return {
        name: [
            key._replace(level=level, predictor=predictor)
            for key in keys
            for level, predictor in (choices if key.codec == OURS else [(None, "")])
        ]
        for name, keys in ((SINGLE, single), (DEFAULT, default))
    }


def measure_hosts(
    item: Item, size: int, chunk: int, repeat: int, budget: float, timeout: float, folder: Path | None,
    levels: Sequence[int | None] = (None,), predictors: Sequence[str] = ("",),
) -> list[HostRow]:  # fmt: skip
    """Measure all hosts on one array at its first tolerance.

    Parameters
    ----------
    item : Item
        Its values are repeated, or cut, to `size` bytes.
    size, chunk, repeat : int
        Bytes; values per chunk; rounds.
    budget, timeout : float
        Seconds: no further rounds of a line after, and a line counts as hanging after.
    folder : Path or None
        Where stores on disk are made; None is the system's temporary folder.
    levels : sequence of int or None
    predictors : sequence of str
        Of this package; a line for each.
    """
    array, chunks = host_array(item.load(), size, chunk)
    tol = item.tols[0]
    rows: list[HostRow] = []
    with tempfile.TemporaryDirectory(prefix="arraycodec-bench-", dir=folder) as scratch:
        path = Path(scratch, "array.npy")
        np.save(path, array)
        common = {
            "array": item.name, "dtype": str(array.dtype), "shape": "x".join(map(str, array.shape)),
            "chunks": "x".join(map(str, chunks)), "tol": tol,
        }  # fmt: skip
        for variant, combinations in _combinations(levels, predictors).items():
            process = _Process(variant, str(path), tol, chunks, scratch)
            try:
                rows += _measure(process, combinations, common, array.nbytes, repeat, budget, timeout)
            finally:
                process.close()
    return [_compared(row, rows) for row in rows]


class _Process:
    """The process of a variant, started again if it has died."""

    def __init__(self, variant: str, path: str, tol: float, chunks: tuple[int, int], folder: str) -> None:
        self._variant = variant
        self._setup = {"path": path, "tol": tol, "chunks": chunks, "folder": folder, "single": variant == SINGLE}
        self._child: Child | None = None

    def request(self, timeout: float, **message: Any) -> Any:
        if self._child is None or not self._child.alive:
            single = self._variant == SINGLE
            self._child = Child("arraycodec.cli.bench.hostworker", ONE_THREAD if single else {})
            self._child.request(timeout, do="setup", cpus=choose_cpus(1) if single else [], **self._setup)
        return self._child.request(timeout, **message)

    def close(self) -> None:
        if self._child is not None:
            self._child.close(kill=True)


def _measure(
    process: _Process, combinations: Sequence[_Key], common: dict[str, Any], nbytes: int,
    repeat: int, budget: float, timeout: float,
) -> list[HostRow]:  # fmt: skip
    """In turns, one round of each line; the first one is the warm-up."""
    rounds: dict[_Key, list[dict[str, Any]]] = {key: [] for key in combinations}
    status = dict.fromkeys(combinations, "ok")
    for turn in range(repeat + 1):
        for key in combinations:
            interrupt.check()
            spent = sum(r["write"] + r["read"] for r in rounds[key])
            if status[key] != "ok" or (turn > 1 and spent > budget):
                continue
            try:
                answer = process.request(timeout, do="round", check=turn == 0, **key._asdict())
            except ChildFailed as e:
                status[key] = str(e)
                continue
            rounds[key].append(answer)
    return [_row(key, status[key], rounds[key], common, nbytes) for key in combinations]


def _row(key: _Key, status: str, rounds: list[dict[str, Any]], common: dict[str, Any], nbytes: int) -> HostRow:
    row = HostRow(**key._asdict(), status=status, **common)
    if status != "ok":
        return row
    timed = rounds[1:] or rounds
    write, read = (np.array([r[what] for r in timed]) for what in ("write", "read"))
    megabytes = nbytes / 1e6
    return replace(
        row, bytes=rounds[0]["bytes"], ratio=nbytes / rounds[0]["bytes"], rounds=len(timed),
        write_fastest=megabytes / write.min(), write_median=megabytes / float(np.median(write)),
        read_fastest=megabytes / read.min(), read_median=megabytes / float(np.median(read)),
        violations=rounds[0]["violations"],
    )  # fmt: skip


def _compared(row: HostRow, rows: Sequence[HostRow]) -> HostRow:
    """With its speeds in units of no compression's, in the same host and store and with the same threads."""
    host = HDF5 if row.host == HDF5_DIRECT else row.host
    same = [r for r in rows if r.ok and (r.host, r.store, r.codec) == (host, row.store, NONE)]
    base = next((r for r in same if r.threads == row.threads), same[0] if same else None)
    if not row.ok or base is None:
        return row
    return replace(
        row,
        write_of_none=row.write_fastest / base.write_fastest,
        read_of_none=row.read_fastest / base.read_fastest,
    )


def host_table(rows: Sequence[HostRow]) -> str:
    """The rows as text."""
    head = ["host", "store", "codec", "threads", "ratio", "write", "(median)", "read", "(median)", "write/none"]
    lines = [[*head, "read/none", "viol."]]
    for r in rows:
        level = "" if r.level is None else f" level {r.level}"
        predictor = f" {r.predictor}" if r.predictor else ""  # without the word: the table is wide enough
        names = [r.host, r.store, r.codec + level + predictor, r.threads]
        if not r.ok:
            lines.append([*names, r.status])
            continue
        lines.append([
            *names, f"{r.ratio:.2f}", speed(r.write_fastest), f"({speed(r.write_median)})", speed(r.read_fastest),
            f"({speed(r.read_median)})", f"{r.write_of_none:.2f}", f"{r.read_of_none:.2f}", str(r.violations),
        ])  # fmt: skip
    return aligned(lines, left=4)
