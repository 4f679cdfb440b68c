"""The stored chunks of single files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..checkpoints import arrc
from ..errors import DecodeError
from .stored import StoredArray, StoredChunk


def arrc_arrays(path: Path, report: Callable[[str], None]) -> Iterator[StoredArray]:
    """As `..stored.stored_arrays`."""
    try:
        reader = arrc.Reader(path)
    except DecodeError as e:
        return report(f"{path}: {e}")
    with reader:
        for array in reader.arrays:
            yield _array(array)
    return None


def _array(array: arrc.Array) -> StoredArray:
    entry = array.entry

    def chunks(needed: bool) -> Iterator[StoredChunk]:
        for at in np.ndindex(entry.sizes.shape):
            corner = tuple(i * n for i, n in zip(at, entry.chunks, strict=True))
            size, place = int(entry.sizes[at]), f"byte {entry.offsets[at]}"
            try:
                yield StoredChunk(corner, size, array.chunk(corner) if needed else None, place)
            except DecodeError as e:
                yield StoredChunk(corner, size, None, place, str(e))

    def check(chunk: StoredChunk) -> None:
        box = (slice(i, i + n) for i, n in zip(chunk.corner, entry.chunks, strict=True))
        array[tuple(box)]

    parameters = {key: value for key, value in entry.codec.items() if key != "id"}
    return StoredArray(
        entry.name, str(entry.dtype), entry.dtype.itemsize, entry.shape, entry.chunks,
        str(entry.codec.get("id", "")), True, True, parameters, array.size, entry.sizes.size, chunks, check, list,
    )  # fmt: skip
