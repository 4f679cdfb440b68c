"""The chunks of Zarr stores and HDF5 files as the bytes that are stored, found without decoding values."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import hdf5
from ..ansquant import ZARR3_NAME, AnsQuant
from .formats import input_format
from .hdf5file import require_h5py
from .model import CommandError
from .zarrstore import own_codec, stored_bytes

MISSING = 2**64 - 1  # both words of a shard index entry without a chunk


@dataclass(frozen=True)
class StoredChunk:
    """One chunk: where it lies in the array, its stored size, and our codec's bytes if there are any."""

    corner: tuple[int, ...]
    size: int
    data: bytes | None


@dataclass(frozen=True)
class StoredArray:
    """An array and its stored chunks.

    Attributes
    ----------
    codec : str
        What is stored.
    ours : bool
        Whether it is this package's.
    level : int or None
    predictor : str or None
        The level and the predictor that our codec writes with, where the metadata say them.
    """

    name: str
    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...] | None
    codec: str
    ours: bool
    level: int | None
    predictor: str | None
    size: int
    chunks: Callable[[], Iterator[StoredChunk]]


def stored_arrays(path: Path) -> Iterator[StoredArray]:
    """The arrays of a Zarr store or HDF5 file."""
    kind = input_format(path)
    if kind == "hdf5":
        yield from _hdf5_arrays(path)
    elif kind is not None and kind.startswith("zarr"):
        yield from _zarr_arrays(path)
    else:
        raise CommandError(f"{path}: neither a Zarr store nor an HDF5 file nor a chunk of this codec")


# ---- undoing what other codecs did to the bytes after ours ----
def _undo_zarr(data: bytes, codecs: list[dict[str, Any]]) -> bytes | None:
    """Zarr codecs after ours undone, last first; None if there is one that cannot be."""
    import numcodecs

    for codec in reversed(codecs):
        name = codec.get("id") or codec.get("name", "")
        try:
            if name == "crc32c" and "id" not in codec:
                data = data[:-4]
            elif "id" in codec:
                data = bytes(numcodecs.get_codec(codec).decode(data))
            else:
                data = bytes(numcodecs.get_codec({"id": name.removeprefix("numcodecs.")}).decode(data))
        except (ValueError, RuntimeError, ImportError):
            return None
    return data


def _undo_hdf5(data: bytes, filters: list[int]) -> bytes | None:
    for number in reversed(filters):
        if number == 3:  # fletcher32 appends a checksum
            data = data[:-4]
        elif number == 1:  # deflate
            data = zlib.decompress(data)
        else:
            return None
    return data


# ---- Zarr ----
def _zarr_arrays(path: Path) -> Iterator[StoredArray]:
    pending = [(path, "")]
    while pending:
        folder, name = pending.pop()
        metadata = _zarr_metadata(folder)
        if metadata is not None:  # there may be very many folders of chunks below: do not look into them
            yield _zarr_array(name, folder, metadata)
            continue
        below = sorted((entry.name for entry in os.scandir(folder) if entry.is_dir()), reverse=True)
        pending += [(folder / child, f"{name}/{child}" if name else child) for child in below]


def _zarr_metadata(folder: Path) -> dict[str, Any] | None:
    for file in ("zarr.json", ".zarray"):
        try:
            text = (folder / file).read_text()
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            metadata = json.loads(text)
        except ValueError as e:
            raise CommandError(f"{folder / file}: not JSON: {e}") from None
        return metadata if file == ".zarray" or metadata.get("node_type") == "array" else None
    return None


def _zarr_array(name: str, folder: Path, metadata: dict[str, Any]) -> StoredArray:
    version = metadata["zarr_format"]
    shape = tuple(metadata["shape"])
    if version == 2:
        dtype = metadata["dtype"]
        grid = tuple(metadata["chunks"])
        codecs = [c for c in [*(metadata.get("filters") or ()), metadata.get("compressor")] if c]
        own = next((i for i, c in enumerate(codecs) if c["id"] == AnsQuant.codec_id), None)
        separator = metadata.get("dimension_separator", ".")
        prefix = ""
        sharding = None
    else:
        dtype = metadata["data_type"]
        grid = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        codecs = list(metadata["codecs"])
        sharding = next((c["configuration"] for c in codecs if c["name"] == "sharding_indexed"), None)
        if sharding is not None:
            codecs = list(sharding["codecs"])
        own = next((i for i, c in enumerate(codecs) if c["name"] == ZARR3_NAME), None)
        keys = metadata["chunk_key_encoding"]
        default = "/" if keys["name"] == "default" else "."
        separator = keys.get("configuration", {}).get("separator", default)
        prefix = "c" if keys["name"] == "default" else ""
    after = codecs[own + 1:] if own is not None else []

    def read(corner: tuple[int, ...], data: bytes) -> StoredChunk:
        return StoredChunk(corner, len(data), _undo_zarr(data, after) if own is not None else None)

    def chunks() -> Iterator[StoredChunk]:
        counts = [-(-n // c) for n, c in zip(shape, grid, strict=True)]
        for index in itertools.product(*map(range, counts)):
            parts = ([prefix] if prefix else []) + [str(i) for i in index]
            file = folder / (separator.join(parts) or "0")  # a 0-d array of the "v2" encoding is called 0
            if not file.is_file():
                continue
            corner = tuple(i * c for i, c in zip(index, grid, strict=True))
            data = file.read_bytes()
            if sharding is None:
                yield read(corner, data)
            else:
                for inner, part in _shard(data, grid, sharding, file):
                    yield read(tuple(a + b for a, b in zip(corner, inner, strict=True)), part)

    config = own_codec(metadata)
    names = [c.get("id") or c.get("name") for c in codecs]
    return StoredArray(
        name,
        dtype if isinstance(dtype, str) else json.dumps(dtype),
        _itemsize(dtype),
        shape,
        tuple(sharding["chunk_shape"]) if sharding else grid,
        " ".join(n for n in names if n != "bytes") or "none",
        config is not None,
        (config or {}).get("level"),
        (config or {}).get("predictor"),
        stored_bytes(folder),
        chunks,
    )


def _itemsize(dtype: Any) -> int:
    import numpy as np

    if isinstance(dtype, dict) and str(dtype.get("name")).removeprefix("numpy.") in ("datetime64", "timedelta64"):
        return 8
    try:
        return np.dtype(dtype if isinstance(dtype, str) else [tuple(f) for f in dtype]).itemsize
    except (TypeError, ValueError):
        return 0  # a type that NumPy does not know by this name


def _shard(
    data: bytes, grid: tuple[int, ...], sharding: dict[str, Any], file: Path
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """The chunks of a shard: its index holds (offset, nbytes) pairs, 64 bits each, in C order."""
    inner = tuple(sharding["chunk_shape"])
    counts = [g // c for g, c in zip(grid, inner, strict=True)]
    checked = any(c["name"] == "crc32c" for c in sharding.get("index_codecs", ()))
    order = next((c["configuration"]["endian"] for c in sharding.get("index_codecs", ()) if c["name"] == "bytes"), "")
    entries = math.prod(counts)
    size = 16 * entries
    start = 0 if sharding.get("index_location", "end") == "start" else len(data) - size - (4 if checked else 0)
    if start < 0 or start + size > len(data):
        raise CommandError(f"{file}: {len(data)} bytes are too few for a shard's index of {size}")
    words = struct.unpack_from(f"{'>' if order == 'big' else '<'}{2 * entries}Q", data, start)
    for i, index in enumerate(itertools.product(*map(range, counts))):
        offset, nbytes = words[2 * i], words[2 * i + 1]
        if offset == nbytes == MISSING:
            continue
        if offset + nbytes > len(data):
            raise CommandError(f"{file}: a chunk at byte {offset} of {nbytes} bytes is outside the shard")
        yield tuple(k * c for k, c in zip(index, inner, strict=True)), data[offset : offset + nbytes]


# ---- HDF5 ----
def _hdf5_arrays(path: Path) -> Iterator[StoredArray]:
    h5py = require_h5py()
    try:
        file = h5py.File(path, "r")
    except OSError as e:
        raise CommandError(f"{path}: not a readable HDF5 file: {e}") from None
    with file:
        found: list[tuple[str, Any]] = []
        file.visititems(lambda name, node: found.append((name, node)) if isinstance(node, h5py.Dataset) else None)
        for name, dset in found:
            yield _hdf5_array(name, dset)


def _hdf5_array(name: str, dset: Any) -> StoredArray:
    plist = dset.id.get_create_plist()
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    numbers = [f[0] for f in filters]
    own = numbers.index(hdf5.FILTER_ID) if hdf5.FILTER_ID in numbers else None

    def chunks() -> Iterator[StoredChunk]:
        if dset.chunks is None:
            return
        places: list[Any] = []
        if hasattr(dset.id, "chunk_iter"):
            dset.id.chunk_iter(places.append)
        else:  # an HDF5 before 1.12.3; there this takes longer the more chunks there are
            places += map(dset.id.get_chunk_info, range(dset.id.get_num_chunks()))
        for place in places:
            if own is None or place.filter_mask & (1 << own):  # the filter was skipped: values as they are
                yield StoredChunk(tuple(place.chunk_offset), place.size, None)
                continue
            mask, data = dset.id.read_direct_chunk(place.chunk_offset)
            after = [n for i, n in enumerate(numbers) if i > own and not mask & (1 << i)]
            yield StoredChunk(tuple(place.chunk_offset), place.size, _undo_hdf5(bytes(data), after))

    told = hdf5.info(dset) or {}
    names = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
    names[hdf5.FILTER_ID] = AnsQuant.codec_id
    return StoredArray(
        name,
        str(dset.dtype),
        dset.dtype.itemsize,
        dset.shape or (),
        dset.chunks,
        " ".join(names.get(n, f"filter {n}") for n in numbers) or "none",
        own is not None,
        told.get("level"),
        told.get("predictor"),
        dset.id.get_storage_size(),
        chunks,
    )
