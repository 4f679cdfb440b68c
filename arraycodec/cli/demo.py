"""``arraycodec demo``: arrays through every host, read back by programs that never heard of this package."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..ansquant import AnsQuant
from ..boxes import automatic_chunks
from ..codec import verify
from ..hdf5 import plugin_path
from . import interrupt, samples
from .console import Console
from .formats import open_source
from .hdf5file import require_h5py
from .model import UNNAMED, ArrayInfo, CommandError
from .output import disk_usage
from .zarrstore import require_zarr

# What the readers run: zarr finds the codec by entry point, h5py the filter by HDF5_PLUGIN_PATH.
_READ = """
import sys, time
import numpy as np
import {module}
assert "arraycodec" not in sys.modules
seconds = []
for _ in range(3):
    start = time.perf_counter()
    {read}
    seconds.append(time.perf_counter() - start)
np.save(sys.argv[2], x)
print(min(seconds))
"""
_READ_ZARR = "x = zarr.open_array(sys.argv[1], mode='r')[...]"
_READ_HDF5 = "with h5py.File(sys.argv[1], 'r') as f: x = f['data'][...]"
_HOSTS = ("zarr2", "zarr3", "hdf5")
_COLUMNS = (
    "array", "host", "tol", "bytes", "ratio", "bits/value", "max err/tol", "violations", "write GB/s", "read GB/s",
)


def demo(
    file: Path | None, tol: float | None, level: int | None, predictor: str | None, folder: Path | None,
    console: Console,
) -> bool:  # fmt: skip
    """Run it and print the table; True if every bound held.

    Parameters
    ----------
    file : Path or None
        The user's data instead of the samples.
    tol : float or None
        For all arrays; default for each: the power of two below its spread / 128.
    level : int or None
    predictor : str or None
        As of `AnsQuant`.
    folder : Path or None
        Where the stores are kept; default is a temporary folder.
    """
    require_zarr()
    require_h5py()
    how = {"level": level, "predictor": predictor}
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="arraycodec-demo-") as temporary:
            return _demo(file, tol, how, Path(temporary), console)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"--dir {folder} exists and is not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    return _demo(file, tol, how, folder, console)


def _demo(file: Path | None, tol: float | None, how: dict[str, Any], folder: Path, console: Console) -> bool:
    rows, ok = [_COLUMNS], True
    for name, values in _arrays(file):
        bound = _default_tolerance(values) if tol is None else tol
        for host in _HOSTS:
            interrupt.check()
            row, held = _one(name, values, AnsQuant(bound, **how), host, folder)
            rows.append(row)
            ok = ok and held
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    for row in rows:
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        console.say("  ".join(cells).rstrip())
    console.say("every bound held" if ok else "FAILED: a bound is violated")
    return ok


def _arrays(file: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    if file is None:
        yield "vorticity", samples.vorticity()
        yield "weights", samples.trained_weights()
        return
    with open_source(file) as source:
        found = False
        for info in source.items():
            if not isinstance(info, ArrayInfo) or not info.lossy or info.same_as is not None:
                continue
            if info.dtype.kind == "f" and info.size:
                found = True
                yield info.name or file.stem, source.read(info, (slice(None),) * len(info.shape))
        if not found:
            raise CommandError(f"{file} has no array of floats with values in it")


def _default_tolerance(values: np.ndarray) -> float:
    """From the spread of the middle half, which fill values and outliers do not reach."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [25, 75]).astype("f8") if finite.size else (0.0, 0.0)
    spread = float(high - low) / 1.349  # the standard deviation, were it normal
    return 2.0 ** math.floor(math.log2(spread / 128)) if 0 < spread < math.inf else 0.0


def _one(name: str, values: np.ndarray, codec: AnsQuant, host: str, folder: Path) -> tuple[tuple[str, ...], bool]:
    tol = codec.tol
    store = folder / f"{name.replace('/', '.')}.{host}{'.h5' if host == 'hdf5' else '.zarr'}"
    chunks = automatic_chunks(values.shape)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        seconds = []
        for target in (Path(scratch, store.name), store):  # twice: a host's first call is slow
            start = time.perf_counter()
            _write(target, host, values, codec, chunks)
            seconds.append(time.perf_counter() - start)
        write_seconds = min(seconds)
    copy, read_seconds = _read(store, host)
    check = verify(values, copy, tol)
    size = disk_usage(store)
    error = f"{check.max_error / tol:.4f}" if tol else f"{check.max_error:g}"
    row = (
        name, host, f"{tol:g}", str(size), f"{values.nbytes / size:.2f}", f"{8 * size / values.size:.3f}", error,
        str(check.violations), f"{values.nbytes / write_seconds / 1e9:.2f}",
        f"{values.nbytes / read_seconds / 1e9:.2f}",
    )  # fmt: skip
    return row, bool(check)


def _write(store: Path, host: str, values: np.ndarray, codec: AnsQuant, chunks: tuple[int, ...]) -> None:
    if host == "hdf5":
        h5py = require_h5py()
        options: dict[str, Any] = {"chunks": chunks, "compression": codec} if chunks else {}
        with h5py.File(store, "w") as f:
            f.create_dataset(UNNAMED, data=values, **options)
        return
    options = {"shape": values.shape, "dtype": values.dtype, "chunks": chunks, "filters": None}
    if host == "zarr2":
        options |= {"zarr_format": 2, "compressors": codec}
    else:
        options |= {"zarr_format": 3, "serializer": codec, "compressors": None}
    require_zarr().create_array(str(store), **options)[...] = values


def _read(store: Path, host: str) -> tuple[np.ndarray, float]:
    """What a fresh process reads, and the seconds that its host took."""
    module = "h5py" if host == "hdf5" else "zarr"
    script = _READ.format(module=module, read=_READ_HDF5 if host == "hdf5" else _READ_ZARR)
    environment = os.environ | {"HDF5_PLUGIN_PATH": plugin_path()}
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch, "copy.npy")
        # In an empty folder, so that nothing but what is installed can be imported.
        run = subprocess.run(
            [sys.executable, "-c", script, str(store.resolve()), str(result)],
            cwd=scratch, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        if run.returncode:
            reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
            raise CommandError(f"a fresh process with {module} could not read {store}: {reason}")
        return np.load(result), float(run.stdout)
