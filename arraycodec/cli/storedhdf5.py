"""The stored chunks of HDF5 files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .. import hdf5
from .hdf5file import own_codec, require_h5py
from .model import CommandError
from .stored import StoredArray, StoredChunk


def _undo(data: bytes, filters: list[int]) -> bytes | None:
    """The filters after ours undone, last first; None if there is one that is not known here."""
    for number in reversed(filters):
        if number == 3:  # fletcher32 appends a checksum
            data = data[:-4]
        elif number == 1:  # deflate
            data = zlib.decompress(data)
        else:
            return None
    return data


def _open(path: Path, h5py: Any) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as e:
        # Not as a SWMR reader, if a writer is or was at work: HDF5 then waits, for hours, for what is damaged.
        raise CommandError(f"{path}: not a readable HDF5 file: {e}") from None


def hdf5_arrays(path: Path, report: Callable[[str], None]) -> Iterator[StoredArray]:
    """As `..stored.stored_arrays`."""
    h5py = require_h5py()
    with _open(path, h5py) as file:
        found: list[tuple[str, Any]] = []
        try:
            file.visititems(lambda name, node: found.append((name, node)) if isinstance(node, h5py.Dataset) else None)
        except Exception as e:
            report(f"{path}: not all of it is readable: {e}")
        for name, dset in found:
            try:
                array = _hdf5_array(name, dset)
            except Exception as e:  # of HDF5 and h5py, of many kinds
                report(f"{name}: not readable: {e}")
                continue
            yield array


def _hdf5_array(name: str, dset: Any) -> StoredArray:
    plist = dset.id.get_create_plist()
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    numbers = [f[0] for f in filters]
    own = numbers.index(hdf5.FILTER_ID) if hdf5.FILTER_ID in numbers else None

    def chunks(needed: bool) -> Iterator[StoredChunk]:
        if dset.chunks is None:
            return
        missing = "" if needed or own is None else hdf5.missing_filters(dset)
        if missing:  # which `check` wants
            raise CommandError(missing)
        places: list[Any] = []
        try:
            if hasattr(dset.id, "chunk_iter"):
                dset.id.chunk_iter(places.append)
            else:  # an HDF5 before 1.12.3; there this takes longer the more chunks there are
                places += map(dset.id.get_chunk_info, range(dset.id.get_num_chunks()))
        except (OSError, RuntimeError) as e:
            yield StoredChunk((0,) * dset.ndim, 0, None, "", f"the index of the chunks is not readable: {e}")
        for place in places:
            yield read(place, needed)

    def read(place: Any, needed: bool) -> StoredChunk:
        about = (tuple(place.chunk_offset), place.size)
        at = f"byte {place.byte_offset}"
        if own is None or place.filter_mask & (1 << own):  # the filter was skipped: values as they are
            return StoredChunk(*about, None, at, skipped=True)
        if not needed:  # HDF5 itself reads it in `check`
            return StoredChunk(*about, None, at)
        try:
            mask, data = dset.id.read_direct_chunk(place.chunk_offset)
            after = [n for i, n in enumerate(numbers) if i > own and not mask & (1 << i)]
            return StoredChunk(*about, _undo(bytes(data), after), at)
        except (OSError, RuntimeError, zlib.error) as e:
            return StoredChunk(*about, None, at, str(e))

    def check(chunk: StoredChunk) -> None:
        dset[chunk.corner]  # HDF5 reads all of the chunk for it

    told = own_codec(dset) or {}
    names = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
    names[hdf5.FILTER_ID] = told.pop("id", "")
    return StoredArray(
        name,
        str(dset.dtype),
        dset.dtype.itemsize,
        dset.shape or (),
        dset.chunks,
        " ".join(names.get(n, f"filter {n}") for n in numbers) or "none",
        own is not None,
        not own,
        told,
        dset.id.get_storage_size(),
        math.prod(-(-n // c) for n, c in zip(dset.shape, dset.chunks, strict=True)) if dset.chunks else 0,
        chunks,
        check,
        list,
    )
