"""Chunks that are too small: a warning where arrays are made."""

from __future__ import annotations

import math
import warnings

from .errors import ChunkSizeWarning

#: Arrays of fewer bytes are small themselves, whatever their chunks.
MIN_ARRAY = 1 << 20
#: Chunks of fewer bytes of values are small.  Zarr takes 0.1 ms for each, 8 times and more of what decoding 16 KiB
#: takes; HDF5 much less, but below 4 KiB chunks grow by 4 % and more, as each has its header and its tables.
MIN_CHUNK = {"zarr": 16 << 10, "hdf5": 4 << 10}


def complaint(name: str, shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int, host: str) -> str:
    """What is to be said about an array; "" if its chunks are large enough, or it is small itself.

    Parameters
    ----------
    name : str
        What the array is called in the text.
    shape, chunks : tuple of int
        Of the array, and of a chunk.
    itemsize : int
        Bytes of an element.
    host : {"zarr", "hdf5"}
    """
    size = itemsize * math.prod(chunks)
    if itemsize * math.prod(shape) <= MIN_ARRAY or not 0 < size < MIN_CHUNK[host]:
        return ""
    count = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    return (
        f"{name} of shape {shape} is cut into {count} chunks of {size} bytes of values, {chunks}: their host "
        f"costs more than the codec, and they compress less; chunks of 0.25 to 4 MiB are best"
    )


def warn(
    name: str, shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int, host: str, stacklevel: int = 3
) -> None:
    """A `ChunkSizeWarning` where there is something to be said; the caller's caller is named as its place."""
    text = complaint(name, shape, chunks, itemsize, host)
    if text:
        warnings.warn(text, ChunkSizeWarning, stacklevel=stacklevel)
