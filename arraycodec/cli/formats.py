"""Which format a path has, and the reader or writer for it."""

from __future__ import annotations

import os
from pathlib import Path

from ..checkpoints import files
from ..checkpoints.arrc import MAGIC, SUFFIX
from ..output import is_zarr_directory
from .model import CommandError, Sink, Source, Warn
from .packed import unpacked

FORMATS = ("npy", "npz", "zarr2", "zarr3", "hdf5", "arrc", *files.FORMATS)
_SUFFIXES = {
    ".npy": "npy", ".npz": "npz", ".zarr": "zarr3",
    ".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".nc": "hdf5", ".nc4": "hdf5", SUFFIX: "arrc",
}  # fmt: skip
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def output_format(path: Path, chosen: str | None) -> str:
    """The format to write: the chosen one, or the suffix's."""
    if chosen is not None:
        return chosen
    found = _SUFFIXES.get(path.suffix.lower()) or files.suffix_format(path)
    if found is None:
        known = " ".join([*_SUFFIXES, *files.SUFFIXES])
        raise CommandError(f"{path}: no format for the suffix {path.suffix!r} (known: {known}); use --format")
    return found


def input_format(path: Path, chosen: str | None = None) -> str | None:
    """The format of an existing path, by its content; None if it has none of ours."""
    if not path.exists():
        raise CommandError(f"no such file or folder: {path}")
    if chosen is not None:
        return chosen
    if path.is_dir():
        return "zarr3" if is_zarr_directory(path) else None  # the reader finds the version out
    with open(path, "rb") as f:
        magic = f.read(8)
        offset = 512  # HDF5 allows for a user block of 512, 1024, ... bytes before the file
        while magic != _HDF5_MAGIC and offset < os.path.getsize(path) and _SUFFIXES.get(path.suffix) == "hdf5":
            f.seek(offset)
            magic = magic if f.read(8) != _HDF5_MAGIC else _HDF5_MAGIC
            offset *= 2
    if magic == _HDF5_MAGIC:
        return "hdf5"
    if magic.startswith(b"\x93NUMPY"):
        return "npy"
    if magic == MAGIC:
        return "arrc"
    if magic[:3] == b"CDF":
        raise CommandError(f"{path}: a classic netCDF file; convert it first: nccopy -k nc4 {path} OUT.nc")
    checkpoint = files.format_of(path)
    return "npz" if checkpoint is None and magic.startswith(b"PK") else checkpoint


def open_source(path: Path, chosen: str | None = None) -> Source:
    """A reader for an existing file or store, whose small tensors come one by one."""
    source = _open_source(path, chosen)
    try:
        return unpacked(source)
    except BaseException:
        source.close()
        raise


def _open_source(path: Path, chosen: str | None) -> Source:
    kind = input_format(path, chosen)
    if kind is None:
        raise CommandError(f"{path}: neither a .npy, .npz or HDF5 file nor a Zarr store nor a checkpoint")
    if kind in files.FORMATS:
        from .checkpointfile import CheckpointSource

        return CheckpointSource(path, kind)
    if kind == "arrc":
        from .arrcfile import ArrcSource

        return ArrcSource(path)
    if kind == "npy":
        from .numpyfiles import NpySource

        return NpySource(path)
    if kind == "npz":
        from .numpyfiles import NpzSource

        return NpzSource(path)
    if kind == "hdf5":
        from .hdf5file import Hdf5Source

        return Hdf5Source(path)
    from .zarrstore import ZarrSource

    return ZarrSource(path)


def open_sink(path: Path, kind: str, warn: Warn, like: Source, final: Path) -> Sink:
    """A writer for a new file or store.

    Parameters
    ----------
    path : Path
    kind : str
    warn : callable
    like : Source
        That it will get its items from.
    final : Path
        The name that it will get.
    """
    if kind in files.FORMATS:
        from .checkpointfile import CheckpointSink

        return CheckpointSink(path, kind, warn, like, final)
    if kind == "arrc":
        from .arrcfile import ArrcSink

        return ArrcSink(path, warn)
    if kind == "npy":
        from .numpyfiles import NpySink

        return NpySink(path, warn)
    if kind == "npz":
        from .numpyfiles import NpzSink

        return NpzSink(path, warn)
    if kind == "hdf5":
        from .hdf5file import Hdf5Sink

        return Hdf5Sink(path, warn, like)
    from .zarrstore import ZarrSink

    return ZarrSink(path, int(kind[-1]), warn, like)
