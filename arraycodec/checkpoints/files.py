"""Files of tensors that other programs read and write: the interface, and which format a file has."""

from __future__ import annotations

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import ParameterError
from ..selection import as_index
from . import packs
from .packs import Tensor
from .tensors import Store, Stored
from .views import View

#: Formats by suffixes; `.pb` is an lc0 network that is not compressed.
SUFFIXES = {
    ".safetensors": "safetensors", ".pt": "pytorch", ".pth": "pytorch", ".ckpt": "pytorch", ".onnx": "onnx",
    ".pb.gz": "lc0", ".pb": "lc0",
}  # fmt: skip
FORMATS = ("safetensors", "pytorch", "onnx", "lc0")


@dataclass(frozen=True)
class FileTensor:
    """A tensor in a file.

    Attributes
    ----------
    name : str
    dtype : numpy.dtype
        Of stored elements.
    shape : tuple of int
    view : View or None
        What stored elements are.
    read : callable
        Returns stored elements, perhaps of a memory map.
    same_as : str or None
        An earlier name of the same tensor.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    view: View | None
    read: Callable[[], np.ndarray]
    same_as: str | None = None


class CheckpointFile:
    """A file that is opened.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    tensors : list of FileTensor
        In their order.
    attrs : dict
        What the file says of itself, as text by names.
    skeleton : bytes
        What else the file has, for a `Writer` that makes such a file again; empty where that needs nothing.
    """

    def __init__(
        self, format: str, tensors: Sequence[FileTensor], attrs: dict[str, Any] | None = None, skeleton: bytes = b""
    ) -> None:
        self.format, self.tensors, self.attrs, self.skeleton = format, list(tensors), attrs or {}, skeleton

    def store(self, path: str) -> Store:
        """As `load` gives it out."""
        arrays = []
        others: dict[str | None, list[tuple[str, int]]] = {}
        for position, tensor in enumerate(self.tensors):
            others.setdefault(tensor.same_as, []).append((tensor.name, position))
        for name, position in others.get(None, ()):
            tensor = self.tensors[position]
            attrs: dict[str, Any] = {packs.NAME: name, packs.POSITION: position}
            attrs[packs.ALIASES] = json.dumps(others.get(name, []))
            if tensor.view is not None:
                attrs[packs.VIEW] = str(tensor.view)
            arrays.append(Stored(f"{position}", _Whole(tensor.dtype, tensor.shape, tensor.read), attrs=attrs))
        if self.skeleton:
            data = np.frombuffer(self.skeleton, "u1")
            attrs = {packs.SKELETON: self.format}
            arrays.append(Stored(packs.SKELETON, _Whole(data.dtype, data.shape, lambda: data), attrs=attrs))
        return Store(path, self.format, arrays, self.attrs, lambda: None)


class _Whole:
    """What can be had as an array."""

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...], array: Callable[[], np.ndarray]) -> None:
        self.dtype, self.shape, self._array = dtype, shape, array

    def read(self, axes: Any, threads: int) -> np.ndarray:
        """See `tensors.StoredArray`."""
        return np.array(self._array()[(*map(as_index, axes), ...)])


class Writer(ABC):
    """A file being written: `begin`, then `write`, then `complete`.

    Parameters
    ----------
    path : Path
    attrs : dict
        As of `CheckpointFile`.
    skeleton : bytes
        As of a `CheckpointFile` of the same format; empty if there is none.
    final : Path
        The name that the file will get.
    """

    format: ClassVar[str]
    needs_skeleton: ClassVar[bool] = False

    def __init__(self, path: Path, attrs: dict[str, Any], skeleton: bytes, final: Path) -> None:
        self.path, self.attrs, self.skeleton, self.final = path, attrs, skeleton, final
        self.arrays: dict[str, np.ndarray] = {}
        self.tensors: dict[str, Tensor] = {}

    def begin(self, tensors: Iterable[Tensor]) -> None:
        """What will be written."""
        self.tensors = {t.name: t for t in tensors}
        self.arrays = {t.name: np.zeros(t.shape, t.dtype) for t in self.tensors.values()}

    def write(self, name: str, box: tuple[slice, ...], values: np.ndarray) -> None:
        """Stored elements of a part of a tensor."""
        self.arrays[name][box] = values

    @abstractmethod
    def complete(self) -> None:
        """Everything has been written."""

    def close(self) -> None:
        """Release the file."""
        self.arrays = {}


def format_of(path: Path) -> str | None:
    """The format of a file, by content and, where that does not say it, by suffix; None if it is none of these."""
    with open(path, "rb") as f:
        head = f.read(16)
    suffix = suffix_format(path)
    if head.startswith(b"PK") and (suffix == "pytorch" or _has_pickle(path)):
        return "pytorch"
    if suffix == "safetensors" or head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    if suffix is None and head.startswith(b"\x1f\x8b"):
        return None  # some other compressed file
    return suffix


def suffix_format(path: Path) -> str | None:
    """The format that a name says."""
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def _has_pickle(path: Path) -> bool:
    """Whether a ZIP file is PyTorch's, and not of NumPy arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") or name == "data.pkl" for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def open_file(path: Path, kind: str) -> CheckpointFile:
    """Open a file of a format.

    Raises
    ------
    DecodeError
        If it is damaged, or no such file.
    ParameterError
        If the package that reads it is not installed.
    """
    return _module(kind).open_file(path)


def writer(path: Path, kind: str, attrs: dict[str, Any], skeleton: bytes, final: Path) -> Writer:
    """A writer of a new file; see `Writer`.

    Raises
    ------
    ParameterError
        If the package that writes it is not installed, or there has to be a skeleton and is none.
    """
    made: Writer = _module(kind).FileWriter(path, attrs, skeleton, final)
    if made.needs_skeleton and not skeleton:
        raise ParameterError(
            f"a file of the format {kind} is more than tensors, and only made again from what such a file was "
            f"converted to"
        )
    return made


def _module(kind: str) -> Any:
    modules = {"safetensors": "safetensorsfile", "pytorch": "torchfile", "onnx": "onnxfile", "lc0": "lc0file"}
    try:
        return import_module(f".{modules[kind]}", __package__)
    except ImportError as e:
        package = {"pytorch": "torch", "onnx": "onnx"}.get(kind, kind)
        raise ParameterError(f"{kind} files need the package {package}: pip install {package} ({e})") from None


def unique(name: str, taken: Iterable[str] | dict[str, Any]) -> str:
    """The name, with a number behind it if it is taken."""
    if name not in taken:
        return name
    n = 2
    while f"{name}#{n}" in taken:
        n += 1
    return f"{name}#{n}"
