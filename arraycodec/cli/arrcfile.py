"""Single files of this package, read and written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..ansquant import AnsQuant
from ..checkpoints import arrc
from ..dtypes import is_supported
from ..errors import DecodeError
from . import attributes
from .model import ArrayInfo, Box, CommandError, GroupInfo, Item, Sink, Source, Warn, plain_dtype


class ArrcSource(Source):
    """A single file."""

    kind = "arrc"

    def __init__(self, path: Path) -> None:
        try:
            self._reader = arrc.Reader(path)
        except DecodeError as e:
            raise CommandError(f"{path}: {e}") from None

    def items(self) -> Iterator[Item]:
        yield GroupInfo("", self._reader.attrs)
        for name, attrs in self._reader.groups.items():
            yield GroupInfo(name, attrs)
        for array in self._reader.arrays:
            entry = array.entry
            names = entry.more.get("dimension_names")
            fill = attributes.decode_fill_attribute(entry.more.get("fill_value"), entry.dtype)
            attrs = dict(entry.attrs)
            if "_FillValue" in attrs:
                attrs["_FillValue"] = attributes.decode_fill_attribute(attrs["_FillValue"], entry.dtype)
            yield ArrayInfo(
                entry.name, entry.dtype, entry.shape, chunks=entry.chunks, attrs=attrs, fill_value=fill,
                dimension_names=None if names is None else tuple(names),
                coordinate=names is not None and tuple(names) == (entry.name.rpartition("/")[2],), codec=entry.codec,
                native=array,
            )  # fmt: skip

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        try:
            return info.native[box]
        except DecodeError as e:
            raise CommandError(f"cannot read {info.label}: {e}") from None

    def close(self) -> None:
        self._reader.close()


class ArrcSink(Sink):
    """A new single file, in which every array is coded."""

    host = "hdf5"  # small chunks cost about as much
    threads = min(os.cpu_count() or 1, 4)  # a box has so many chunks; the bytes are the same with any

    def __init__(self, path: Path, warn: Warn) -> None:
        self._writer = arrc.Writer(path)
        self.warn = warn

    def group(self, info: GroupInfo) -> None:
        attrs = attributes.to_json(info.attrs, f"group {info.name or '/'!r}", self.warn)
        if info.name:
            self._writer.group(info.name, attrs)
        else:
            self._writer.attrs = attrs

    def create(self, info: ArrayInfo, codec: Any) -> Any:
        if info.null:
            self.warn(f"{info.label} has no value (an HDF5 null dataspace) and is not kept")
            return None
        if not is_supported(info.dtype):
            raise CommandError(f"{info.label}: a single file holds numbers and dates, not {info.dtype}")
        self._warn_about_dtype(info)
        dtype, more = plain_dtype(info.dtype), {}
        if info.dimension_names is not None:
            more["dimension_names"] = list(info.dimension_names)
        if info.fill_value is not None and dtype.kind in "iuf":
            more["fill_value"] = _plain(attributes.encode_fill_attribute(info.fill_value, dtype, 3))
        attrs = dict(info.attrs)
        if "_FillValue" in attrs:
            attrs["_FillValue"] = attributes.encode_fill_attribute(attrs["_FillValue"], dtype, 3)
        attrs = attributes.to_json(attrs, info.label, self.warn)
        return self._writer.create(
            info.name, dtype, info.shape, AnsQuant(0) if codec is None else codec, attrs, info.chunks, **more
        )

    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        self._writer.write(handle, box, values, self.threads)

    def read(self, handle: Any, box: Box) -> np.ndarray:
        return self._writer.read(handle, box)

    def stored(self, handle: Any) -> int:
        return handle.stored

    def complete(self) -> None:
        self._writer.complete()

    def close(self) -> None:
        self._writer.close()


def _plain(value: Any) -> Any:
    """A NumPy scalar as JSON has it."""
    return value.item() if isinstance(value, np.generic) else value
