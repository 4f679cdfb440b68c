"""The stored chunks of Zarr stores, v2 and v3, with and without shards."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._core import crc32c
from ..codec import decode, same_elements
from ..errors import SizeError
from .model import CommandError
from .stored import StoredArray, StoredChunk
from .zarrstore import OWN_IDS, OWN_NAMES, own_codec, stored_bytes

MISSING = 2**64 - 1  # both words of a shard index entry without a chunk


class _Unreadable(Exception):
    """Why a chunk cannot be read."""


def _undo(data: bytes, codecs: list[dict[str, Any]]) -> bytes | None:
    """The codecs after ours undone, last first; None if there is one that this process does not have."""
    import numcodecs

    for codec in reversed(codecs):
        name = codec.get("id") or codec.get("name", "")
        if name == "crc32c" and "id" not in codec:
            data = _without_crc32c(data)
            continue
        try:
            config = {"id": name.removeprefix("numcodecs."), **(codec.get("configuration") or {})}
            undo = numcodecs.get_codec(codec if "id" in codec else config)
        except (ValueError, ImportError):  # numcodecs' error for an unknown one is a ValueError
            return None
        try:
            data = bytes(undo.decode(data))
        except Exception as e:  # every codec has its own
            raise _Unreadable(f"{name} cannot decode it: {e or type(e).__name__}") from None
    return data


def _without_crc32c(data: bytes) -> bytes:
    """What Zarr's codec "crc32c" was given: a checksum of 4 bytes follows it."""
    if len(data) < 4:
        raise _Unreadable(f"{len(data)} bytes are too few for a checksum")
    if crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise _Unreadable("the checksum of the codec crc32c does not match")
    return data[:-4]


def zarr_arrays(path: Path, report: Callable[[str], None]) -> Iterator[StoredArray]:
    """As `..stored.stored_arrays`."""
    pending, seen = [(path, "")], set[str]()
    while pending:
        folder, name = pending.pop()
        try:
            metadata = _zarr_metadata(folder)
            if metadata is not None:  # there may be very many folders of chunks below: do not look into them
                yield _zarr_array(name, folder, metadata)
                continue
        except CommandError as e:
            report(str(e))
            continue
        except Exception as e:  # of metadata that are not as Zarr's, of any kind
            report(f"{folder}: metadata that are not readable here: {e!r}")
            continue
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above it
            continue
        seen.add(real)
        below = sorted((entry.name for entry in os.scandir(folder) if entry.is_dir()), reverse=True)
        pending += [(folder / child, f"{name}/{child}" if name else child) for child in below]


def _zarr_metadata(folder: Path) -> dict[str, Any] | None:
    for file in ("zarr.json", ".zarray"):
        try:
            text = (folder / file).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as e:
            raise CommandError(f"{folder / file}: {e}") from None
        try:
            metadata = json.loads(text)
        except ValueError as e:
            raise CommandError(f"{folder / file}: not JSON: {e}") from None
        if not isinstance(metadata, dict):
            raise CommandError(f"{folder / file}: not a JSON object")
        return metadata if file == ".zarray" or metadata.get("node_type") == "array" else None
    return None


@dataclass(frozen=True)
class _Layout:
    """What the metadata of an array say of its chunks."""

    version: int
    shape: tuple[int, ...]
    grid: tuple[int, ...]  # of what is stored under one key: a chunk, or a shard
    inner: tuple[int, ...]  # of a chunk
    dtype: Any
    order: str  # of version 2
    codecs: list[dict[str, Any]]
    own: int | None  # which of them is ours
    sharding: dict[str, Any] | None
    separator: str
    prefix: str  # of keys

    @property
    def native(self) -> np.dtype | None:
        return _dtype(self.dtype)

    def index_of(self, key: str) -> tuple[int, ...] | None:
        """The place in the grid of what is stored under a key; None if it is no key of this array."""
        if not self.shape:
            return () if key == (self.prefix or "0") else None
        parts = key.split(self.separator)
        if self.prefix and parts.pop(0) != self.prefix:
            return None
        counts = [-(-n // c) for n, c in zip(self.shape, self.grid, strict=True)]
        if len(parts) != len(counts) or not all(part.isascii() and part.isdigit() for part in parts):
            return None
        index = tuple(map(int, parts))
        fits = all(i < n for i, n in zip(index, counts, strict=True))
        return index if fits and [str(i) for i in index] == parts else None


def _layout(metadata: dict[str, Any]) -> _Layout:
    version, shape = metadata["zarr_format"], tuple(metadata["shape"])
    if version == 2:
        codecs = [c for c in [*(metadata.get("filters") or ()), metadata.get("compressor")] if c]
        own = next((i for i, c in enumerate(codecs) if c["id"] in OWN_IDS), None)
        grid = tuple(metadata["chunks"])
        separator = metadata.get("dimension_separator", ".")
        return _Layout(2, shape, grid, grid, metadata["dtype"], metadata["order"], codecs, own, None, separator, "")
    grid = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    codecs = list(metadata["codecs"])
    sharding = next((c["configuration"] for c in codecs if c["name"] == "sharding_indexed"), None)
    if sharding is not None:
        codecs = list(sharding["codecs"])
    own = next((i for i, c in enumerate(codecs) if c["name"] in OWN_NAMES), None)
    if sharding is not None and len(metadata["codecs"]) > 1:
        own = None  # other codecs around the shards
    keys = metadata["chunk_key_encoding"]
    default, prefix = ("/", "c") if keys["name"] == "default" else (".", "")
    separator = keys.get("configuration", {}).get("separator", default)
    inner = tuple(sharding["chunk_shape"]) if sharding else grid
    return _Layout(3, shape, grid, inner, metadata["data_type"], "", codecs, own, sharding, separator, prefix)


def _zarr_array(name: str, folder: Path, metadata: dict[str, Any]) -> StoredArray:
    layout = _layout(metadata)
    native, config = layout.native, own_codec(metadata) if layout.own is not None else None
    names = [c.get("id") or c.get("name") for c in layout.codecs]
    return StoredArray(
        name,
        layout.dtype if isinstance(layout.dtype, str) else json.dumps(layout.dtype),
        native.itemsize if native else 0,
        layout.shape,
        layout.inner,
        " ".join(n for n in names if n != "bytes") or "none",
        layout.own is not None,
        not layout.own,
        {name: value for name, value in (config or {}).items() if name != "id"},
        stored_bytes(folder),
        math.prod(-(-n // c) for n, c in zip(layout.shape, layout.inner, strict=True)),
        lambda needed: _chunks(layout, folder),
        lambda chunk: _check(layout, chunk),
        lambda: sorted(str(file.relative_to(folder)) for file in folder.rglob("*.partial")),
    )


def _keys(layout: _Layout, folder: Path) -> list[tuple[tuple[int, ...], str]]:
    """What is stored, in the order of the grid.  Files are looked for, not places of the grid, of which metadata may
    claim any number."""
    found = []
    for parent, folders, files in os.walk(folder):
        for name in files + folders:  # a folder in the place of a chunk is no chunk
            key = os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/")
            index = layout.index_of(key)
            if index is not None:
                found.append((index, key))
    return sorted(found)


def _chunks(layout: _Layout, folder: Path) -> Iterator[StoredChunk]:
    after = layout.codecs[layout.own + 1 :] if layout.own is not None else []

    def read(corner: tuple[int, ...], data: bytes, place: str) -> StoredChunk:
        try:
            ours = _undo(data, after) if layout.own is not None else None
        except _Unreadable as e:
            return StoredChunk(corner, len(data), None, place, str(e))
        return StoredChunk(corner, len(data), ours, place, skipped=ours is None)

    for index, key in _keys(layout, folder):
        corner = tuple(i * c for i, c in zip(index, layout.grid, strict=True))
        try:
            data = (folder / key).read_bytes()
        except OSError as e:
            yield StoredChunk(corner, 0, None, key, str(e))
            continue
        if layout.sharding is None:
            yield read(corner, data, key)
            continue
        for within, part in _shard(data, layout.grid, layout.sharding):
            at = tuple(a + b for a, b in zip(corner, within, strict=True))
            yield StoredChunk(at, 0, None, key, part) if isinstance(part, str) else read(at, part, key)


def _check(layout: _Layout, chunk: StoredChunk) -> None:
    native, expected = layout.native, math.prod(layout.inner)
    if layout.own or native is None:  # codecs before ours change what it is given
        decode(chunk.data)
        return
    values = decode(chunk.data, max_output=max(expected * native.itemsize, 1))
    if layout.version == 3:
        same, fits = same_elements(values.dtype.newbyteorder("="), native), values.shape == layout.inner
    else:  # zarr takes bytes and order as they come
        same = same_elements(values.dtype, np.dtype(layout.dtype))
        fits = values.size == expected and values.flags[f"{layout.order}_CONTIGUOUS"]
    if same and not fits and values.shape == layout.inner:
        raise SizeError(f"its values are not in the array's order, {layout.order}")
    if not (same and fits):
        raise SizeError(f"it holds {values.dtype} values of shape {values.shape}, not {layout.dtype} of {layout.inner}")


def _dtype(dtype: Any) -> np.dtype | None:
    """NumPy's type, in native byte order, for one of Zarr's metadata; None where NumPy has no such name."""
    try:
        if isinstance(dtype, dict):
            kind = {"numpy.datetime64": "M8", "numpy.timedelta64": "m8"}[dtype["name"]]
            unit, factor = (dtype["configuration"][key] for key in ("unit", "scale_factor"))
            return np.dtype(kind if unit == "generic" else f"{kind}[{factor}{unit}]")
        return np.dtype(dtype if isinstance(dtype, str) else [tuple(f) for f in dtype]).newbyteorder("=")
    except (KeyError, TypeError, ValueError):
        return None


def _shard(
    data: bytes, grid: tuple[int, ...], sharding: dict[str, Any]
) -> Iterator[tuple[tuple[int, ...], bytes | str]]:
    """The chunks of a shard, or why there is none: its index holds (offset, nbytes) pairs, 64 bits each, in C order."""
    inner = tuple(sharding["chunk_shape"])
    counts = [g // c for g, c in zip(grid, inner, strict=True)]
    checked = any(c["name"] == "crc32c" for c in sharding.get("index_codecs", ()))
    order = next((c["configuration"]["endian"] for c in sharding.get("index_codecs", ()) if c["name"] == "bytes"), "")
    entries = math.prod(counts)
    size = 16 * entries
    start = 0 if sharding.get("index_location", "end") == "start" else len(data) - size - (4 if checked else 0)
    if start < 0 or start + size + (4 if checked else 0) > len(data):
        yield (0,) * len(grid), f"{len(data)} bytes are too few for a shard's index of {size}"
        return
    if checked:
        try:
            _without_crc32c(data[start : start + size + 4])
        except _Unreadable as e:
            yield (0,) * len(grid), f"the shard's index: {e}"
            return
    words = struct.unpack_from(f"{'>' if order == 'big' else '<'}{2 * entries}Q", data, start)
    for i, index in enumerate(itertools.product(*map(range, counts))):
        offset, nbytes = words[2 * i], words[2 * i + 1]
        if offset == nbytes == MISSING:
            continue
        corner = tuple(k * c for k, c in zip(index, inner, strict=True))
        if offset + nbytes > len(data):
            yield corner, f"a chunk at byte {offset} of {nbytes} bytes is outside the shard"
        else:
            yield corner, data[offset : offset + nbytes]
