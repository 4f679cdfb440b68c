"""safetensors: the length of a header, the header (JSON), and values, which a memory map gives out as they are.

The format is read and written here, and not by the package of that name, because that gives bfloat16 and floats of 8
bits to none but PyTorch, and writes only what is in memory as a whole.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..dtypes import BFLOAT16
from ..errors import FormatError, ParameterError, TruncatedError
from . import files
from .files import CheckpointFile, FileTensor
from .packs import Tensor
from .views import View

_MAX_HEADER = 100_000_000  # as in the package safetensors

_PLAIN = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "C64": "<c8",
}  # fmt: skip
_VIEWS = {
    "BF16": BFLOAT16, "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}  # fmt: skip
_CODES = {np.dtype(dtype): code for code, dtype in _PLAIN.items()} | {kind: code for code, kind in _VIEWS.items()}


def open_file(path: Path) -> CheckpointFile:
    """See `files.open_file`."""
    size = path.stat().st_size
    with open(path, "rb") as f:
        start = f.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise TruncatedError(f"{path}: shorter than its header says")
        if length > _MAX_HEADER:
            raise FormatError(f"{path}: a header of {length} bytes is none of safetensors")
        header = _parsed(f.read(length), path)
    attrs = header.pop("__metadata__", {})
    if not isinstance(attrs, dict) or not all(isinstance(v, str) for v in attrs.values()):
        raise FormatError(f"{path}: __metadata__ is not text by names")
    data = np.memmap(path, "u1", "r", 8 + length) if size > 8 + length else np.zeros(0, "u1")
    tensors = [_tensor(name, entry, data, path) for name, entry in header.items()]
    return CheckpointFile("safetensors", [t for _, t in sorted(tensors, key=lambda pair: pair[0])], attrs)


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name is there twice")
        return found

    try:
        header = json.loads(text.decode(), object_pairs_hook=no_repeats)
    except (ValueError, RecursionError) as e:
        raise FormatError(f"{path}: the header of safetensors is not readable: {e}") from None
    if not isinstance(header, dict):
        raise FormatError(f"{path}: the header of safetensors is no JSON object")
    return header


def _tensor(name: str, entry: Any, data: np.ndarray, path: Path) -> tuple[int, FileTensor]:
    where = f"{path}: {name!r:.100}"
    try:
        code, shape, (begin, end) = (entry[key] for key in ("dtype", "shape", "data_offsets"))
        numbers = [*shape, begin, end]
    except (TypeError, KeyError, ValueError):
        raise FormatError(f"{where} lacks dtype, shape or data_offsets") from None
    if not isinstance(code, str) or code not in _PLAIN and code not in _VIEWS:
        raise FormatError(f"{where} has the dtype {code!r:.30}, which is not kept: no whole bytes, or not known")
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers) or len(shape) > 32:
        raise FormatError(f"{where}: shape {shape!r:.60}, bytes {begin!r:.30} to {end!r:.30}")
    view = View(_VIEWS[code]) if code in _VIEWS else None
    dtype = np.dtype(_PLAIN[code]) if view is None else view.stored
    if end - begin != math.prod(shape) * dtype.itemsize or begin > end:
        raise FormatError(f"{where}: {end - begin} bytes for shape {tuple(shape)} of {code}")
    if end > len(data):
        raise TruncatedError(f"{where} ends beyond the file")

    def read() -> np.ndarray:
        values = data[begin:end]
        if values.ctypes.data % dtype.itemsize:
            values = np.array(values)
        return values.view(dtype).reshape(shape)

    return begin, FileTensor(name, dtype, tuple(shape), view, read)


class FileWriter(files.Writer):
    """Values go to their places in a memory map of the new file."""

    format = "safetensors"

    def begin(self, tensors: Iterable[Tensor]) -> None:
        """Write the header, and make room for all values."""
        entries: dict[str, tuple[Tensor, str]] = {t.name: (t, _code(t)) for t in tensors}
        header: dict[str, Any] = {}
        if self.attrs:
            header["__metadata__"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in self.attrs.items()}
        end, ranges = 0, {}
        # larger elements first, as the package safetensors has them: then all are aligned
        for tensor, code in sorted(entries.values(), key=lambda pair: -pair[0].dtype.itemsize):
            if tensor.name == "__metadata__":
                raise ParameterError("safetensors cannot have a tensor named '__metadata__'")
            begin, end = end, end + tensor.size * tensor.dtype.itemsize
            header[tensor.name] = {"dtype": code, "shape": tensor.shape, "data_offsets": [begin, end]}
            ranges[tensor.name] = begin, end
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        if len(text) > _MAX_HEADER:
            raise ParameterError(f"a header of {len(text)} bytes, at most {_MAX_HEADER} are possible in safetensors")
        with open(self.path, "xb") as f:
            f.write(len(text).to_bytes(8, "little") + text)
            if end and hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash in a memory map
                f.flush()
                os.posix_fallocate(f.fileno(), f.tell(), end)
            else:
                f.truncate(f.tell() + end)
            first = 8 + len(text)
        data = np.memmap(self.path, "u1", "r+", first, (end,)) if end else np.zeros(0, "u1")
        for name, (begin, stop) in ranges.items():
            tensor = entries[name][0]
            self.arrays[name] = data[begin:stop].view(tensor.dtype).reshape(tensor.shape)

    def complete(self) -> None:
        """All is in its place already."""


def _code(tensor: Tensor) -> str:
    dtype = tensor.dtype.newbyteorder("<")
    code = _CODES.get(dtype if tensor.view is None else tensor.view.kind)
    if code is None:
        raise ParameterError(f"{tensor.name!r}: safetensors has no type for {tensor.view or tensor.dtype}")
    return code
