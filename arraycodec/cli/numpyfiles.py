""".npy and .npz files: read and written through memory maps, so that arrays may exceed memory."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import zipfile
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .model import UNNAMED, ArrayInfo, Box, CommandError, GroupInfo, Item, Sink, Source, Warn, plain_dtype


def _info(name: str, array: np.ndarray) -> ArrayInfo:
    f_order = array.flags.f_contiguous and not array.flags.c_contiguous
    return ArrayInfo(name, array.dtype, array.shape, order="F" if f_order else "C", native=array)


def _map(file: Any, path: Any) -> np.ndarray:
    """The array of an open .npy image, without loading it."""
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        # The public readers know versions 1 and 2; 3 differs only in the encoding of field names.
        if version == (1, 0):
            shape, f_order, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, f_order, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as e:
        raise CommandError(f"{path}: not a readable .npy image: {e}") from None
    if dtype.hasobject:
        raise CommandError(f"{path}: an array of Python objects (pickled) is not read")
    if not all(shape):
        return np.empty(shape, dtype)
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return np.ndarray(shape, dtype, mapping, file.tell(), order="F" if f_order else "C")
    except (TypeError, ValueError) as e:
        raise CommandError(f"{path}: shorter than its header says: {e}") from None


def _copied(array: np.ndarray, box: Box) -> np.ndarray:
    """The values in a box.  Pages that were read do not stay: they would count as this process's memory."""
    values = np.array(array[box])
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)
    return values


class NpySource(Source):
    """One unnamed array."""

    kind = "npy"

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:  # a memory map does not need it any longer
            self._array = _map(file, path)

    def items(self) -> Iterator[Item]:
        yield GroupInfo("")
        yield _info("", self._array)

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        return _copied(info.native, box)


class NpzSource(Source):
    """Named arrays.  Compressed members are unpacked to an unnamed temporary file, one at a time."""

    kind = "npz"

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as e:
            raise CommandError(f"{path}: not a .npz file: {e}") from None

    def items(self) -> Iterator[Item]:
        yield GroupInfo("")
        for member in self._zip.infolist():
            if member.filename.endswith(".npy"):
                array = self._open(member)
                yield _info(member.filename.removesuffix(".npy").strip("/"), array).with_(native=member)
            elif not member.is_dir():
                raise CommandError(f"{self._path}: {member.filename!r} is not a .npy member")

    def _open(self, member: zipfile.ZipInfo) -> np.ndarray:
        with tempfile.TemporaryFile() as unpacked:
            try:
                with self._zip.open(member) as packed:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
            except zipfile.BadZipFile as e:
                raise CommandError(f"{self._path}: {member.filename}: {e}") from None
            array = _map(unpacked, f"{self._path}: {member.filename}")
        self._current = member, array
        return array

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        member, array = self._current
        if member is not info.native:
            array = self._open(info.native)
        return _copied(array, box)

    def close(self) -> None:
        self._current = None
        self._zip.close()


class _NumpySink(Sink):
    """What both formats lack, and how an array reaches a .npy image."""

    def __init__(self, path: Path, warn: Warn) -> None:
        self._path = path
        self.warn = warn

    def group(self, info: GroupInfo) -> None:
        self._lost(info.attrs, f"group {info.name or '/'}")

    def _lost(self, attrs: dict[str, Any], owner: str) -> None:
        if attrs:
            names = ", ".join(repr(str(name)) for name in attrs)
            self.warn(f"attributes of {owner} are not kept, NumPy files have none: {names}")

    def create(self, info: ArrayInfo, codec: Any) -> Any:
        self._lost(info.attrs, info.label)
        if info.null:
            self.warn(f"{info.label} has no value (an HDF5 null dataspace) and is not kept")
            return None
        if info.text:  # its width is known only when all of it has been seen
            return info, np.full(info.shape, "", object), None
        if info.dtype.hasobject:
            raise CommandError(f"{info.label}: NumPy files cannot hold {info.dtype} without pickling")
        self._warn_about_dtype(info)
        dtype = plain_dtype(info.dtype)
        if not info.size or not info.shape:
            return info, np.zeros(info.shape, dtype), None
        file = self._image(info)
        array = np.lib.format.open_memmap(
            file, "w+", dtype, info.shape, fortran_order=info.order == "F" and len(info.shape) > 1
        )
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash in a memory map
            with open(file, "rb+") as f:
                os.posix_fallocate(f.fileno(), 0, file.stat().st_size)
        return info, array, file

    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        handle[1][box] = values

    def finish(self, handle: Any) -> None:
        info, array, file = handle
        if info.text:
            array = np.array(array.tolist(), dtype="U").reshape(info.shape)
        if file is None:
            file = self._image(info)
            with open(file, "wb") as f:
                np.lib.format.write_array(f, array, allow_pickle=False)
        else:
            array.flush()
        self._add(info, file)

    @abstractmethod
    def _image(self, info: ArrayInfo) -> Path:
        """Where the .npy image of an array is made."""

    def _add(self, info: ArrayInfo, file: Path) -> None:
        """Take over a finished .npy image."""


class NpySink(_NumpySink):
    """Exactly one array; the caller sees to that."""

    def _image(self, info: ArrayInfo) -> Path:
        return self._path


class NpzSink(_NumpySink):
    """An uncompressed .npz file."""

    def __init__(self, path: Path, warn: Warn) -> None:
        super().__init__(path, warn)
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._scratch = tempfile.TemporaryDirectory(prefix=path.name, dir=path.parent)

    def _image(self, info: ArrayInfo) -> Path:
        return Path(self._scratch.name, "array.npy")

    def _add(self, info: ArrayInfo, file: Path) -> None:
        self._zip.write(file, (info.name or UNNAMED) + ".npy")
        file.unlink()

    def complete(self) -> None:
        self._zip.close()

    def close(self) -> None:
        self._zip.close()
        self._scratch.cleanup()


