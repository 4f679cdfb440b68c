"""The chunks of stores of all kinds as the bytes that are stored, found without decoding values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .formats import input_format
from .model import CommandError


@dataclass(frozen=True)
class StoredChunk:
    """One chunk.

    Attributes
    ----------
    corner : tuple of int
        Where it lies in the array.
    size : int
        As it is stored.
    data : bytes or None
        Our codec's bytes, if there are any and somebody needs them.
    place : str
        The file, or the place in it.
    problem : str
        Why it cannot be read, without a look at our codec's bytes; "" if it can.
    skipped : bool
        Whether there is nothing to check: stored without our codec, as HDF5 may, or behind codecs that are not at hand.
    """

    corner: tuple[int, ...]
    size: int
    data: bytes | None
    place: str = ""
    problem: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class StoredArray:
    """An array and its stored chunks.

    Attributes
    ----------
    codec : str
        What is stored.
    ours : bool
        Whether it is this package's.
    direct : bool
        Whether no codec before ours changes what it is given.
    parameters : dict
        Those of our codec, as far as the metadata say them.
    n_chunks : int
        How many there can be; those that were never written are the fill value.
    chunks : callable
        The chunks that there are; those that cannot be read have a `problem`.  Takes whether their `data` are needed
        for anything but `check`.
    check : callable
        Reads a chunk of our codec as the host does; raises an exception if it cannot.
    leftovers : callable
        Files of unfinished writes, which no reader looks at.
    """

    name: str
    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...] | None
    codec: str
    ours: bool
    direct: bool
    parameters: dict[str, Any]
    size: int
    n_chunks: int
    chunks: Callable[[bool], Iterator[StoredChunk]]
    check: Callable[[StoredChunk], None]
    leftovers: Callable[[], list[str]]


def refuse(problem: str) -> None:
    """What is done about an array that cannot be read, unless the caller has other plans."""
    raise CommandError(problem)


def stored_arrays(path: Path, report: Callable[[str], None] = refuse) -> Iterator[StoredArray]:
    """The arrays of a Zarr store, HDF5 file or single file; those that are not readable are reported, and left out."""
    kind = input_format(path)
    if kind == "hdf5":
        from .storedhdf5 import hdf5_arrays

        yield from hdf5_arrays(path, report)
    elif kind is not None and kind.startswith("zarr"):
        from .storedzarr import zarr_arrays

        yield from zarr_arrays(path, report)
    elif kind == "arrc":
        from .storedarrc import arrc_arrays

        yield from arrc_arrays(path, report)
    else:
        raise CommandError(f"{path}: neither a Zarr store nor an HDF5 file nor a single file nor a chunk of this codec")
