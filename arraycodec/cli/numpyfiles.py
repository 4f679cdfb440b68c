""".npy and .npz files: read and written in parts, so that arrays may exceed memory."""

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


def _map(file: Any, path: Any) -> _Image:
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
            return _Image(np.lib.format.read_array(file, allow_pickle=False))
    except ValueError as e:
        raise CommandError(f"{path}: not a readable .npy image: {e}") from None
    if dtype.hasobject:
        raise CommandError(f"{path}: an array of Python objects (pickled) is not read")
    if not all(shape):
        return _Image(np.empty(shape, dtype))
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        array = np.ndarray(shape, dtype, mapping, file.tell(), order="F" if f_order else "C")
    except (TypeError, ValueError) as e:
        raise CommandError(f"{path}: shorter than its header says: {e}") from None
    return _Image(array, os.dup(file.fileno()), file.tell())


class _Image:
    """An array in a .npy image.

    Parameters
    ----------
    array : numpy.ndarray
        A memory map, or the values themselves.
    file : int, optional
        The descriptor of the mapped file, which is closed with this.
    offset : int
        Where the values begin in it.
    """

    def __init__(self, array: np.ndarray, file: int | None = None, offset: int = 0) -> None:
        self.array = array
        self._file, self._offset = file, offset

    def info(self, name: str) -> ArrayInfo:
        """What it is."""
        flags = self.array.flags
        order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
        return ArrayInfo(name, self.array.dtype, self.array.shape, order=order, native=self)

    def read(self, box: Box) -> np.ndarray:
        """The values in a box, by reads of the file where they are one run: a map costs a fault for every few pages.

        Pages of the map do not stay: they would count as this process's memory.
        """
        values = self.array[box]
        if self._file is None:
            return np.asarray(values)
        if self.array.flags.c_contiguous and values.flags.c_contiguous and values.size:
            starts = (s.indices(n)[0] for s, n in zip(box, self.array.shape, strict=True))
            first = sum(i * stride for i, stride in zip(starts, self.array.strides, strict=True))
            return self._run(self._offset + first, values)
        copy = np.array(values)
        if hasattr(mmap, "MADV_DONTNEED"):
            self.array.base.madvise(mmap.MADV_DONTNEED)
        return copy

    def _run(self, at: int, like: np.ndarray) -> np.ndarray:
        values = np.empty(like.shape, like.dtype)
        rest = memoryview(values.reshape(-1).view(np.uint8))
        while rest:
            n = os.preadv(self._file, [rest], at)
            if not n:
                raise CommandError("the file has become shorter while it was read")
            at, rest = at + n, rest[n:]
        return values

    def close(self) -> None:
        """Release the file; twice is no error."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    __del__ = close


class NpySource(Source):
    """One unnamed array."""

    kind = "npy"

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._image = _map(file, path)

    def items(self) -> Iterator[Item]:
        yield GroupInfo("")
        yield self._image.info("")

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        return self._image.read(box)

    def close(self) -> None:
        self._image.close()


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
                image = self._open(member)
                yield image.info(member.filename.removesuffix(".npy").strip("/")).with_(native=member)
            elif not member.is_dir():
                raise CommandError(f"{self._path}: {member.filename!r} is not a .npy member")

    def _open(self, member: zipfile.ZipInfo) -> _Image:
        with tempfile.TemporaryFile() as unpacked:
            try:
                with self._zip.open(member) as packed:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
            except zipfile.BadZipFile as e:
                raise CommandError(f"{self._path}: {member.filename}: {e}") from None
            image = _map(unpacked, f"{self._path}: {member.filename}")
        self._current = member, image
        return image

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        member, image = self._current
        if member is not info.native:
            image = self._open(info.native)
        return image.read(box)

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


