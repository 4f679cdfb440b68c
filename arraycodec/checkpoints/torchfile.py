"""PyTorch: its tensors as arrays, and files of ``torch.save``.

Files hold dictionaries, lists and plain values around their tensors (state dicts, checkpoints with an optimizer's
state).  All that is the skeleton: the same structure with empty tensors.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..dtypes import BFLOAT16
from ..errors import FormatError, ParameterError
from . import files, views
from .files import CheckpointFile, FileTensor, unique
from .views import View


def form(tensor: torch.Tensor) -> tuple[np.dtype, View | None]:
    """The dtype as which a tensor is stored, and what its elements are.

    Raises
    ------
    TypeError
        If it has no values side by side in memory (sparse, quantized, of the device "meta"), or another type.
    """
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise TypeError(f"a tensor of {tensor.layout}, {tensor.dtype}, on {tensor.device} has no array of values")
    name = str(tensor.dtype).removeprefix("torch.")
    if name == BFLOAT16 or name in views.BYTES:
        return View(name).stored, View(name)
    try:
        return np.dtype(name), None
    except TypeError:
        raise TypeError(f"NumPy has nothing for {tensor.dtype}") from None


def identity(tensor: torch.Tensor) -> Any:
    """The same for tensors that are the same memory, in the same order: a model's state dict makes its objects anew."""
    if tensor.layout != torch.strided or not tensor.numel() or tensor.device.type == "meta":
        return id(tensor)
    flags = tensor.is_conj(), tensor.is_neg()
    return tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), flags


def stored(tensor: torch.Tensor) -> np.ndarray:
    """The elements of a tensor as they are stored; its own memory where that is possible."""
    dtype, view = form(tensor)
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if view is None:
        return plain.numpy()
    return plain.reshape(-1).view(torch.uint8).numpy().view(dtype).reshape(tuple(tensor.shape))


# ---- files ----
def open_file(path: Path) -> CheckpointFile:
    """See `files.open_file`; nothing in the file is executed."""
    content = _load(path)
    skeleton, tensors = _Skeleton(), []
    leaves: dict[int, str] = {}
    for name, tensor in _named(content):
        first = leaves.setdefault(id(tensor), name)
        try:
            dtype, view = form(tensor)
        except TypeError as e:
            raise FormatError(f"{path}: {name!r}: {e}") from None
        read = functools.partial(stored, tensor)
        same_as = None if first == name else first
        tensors.append(FileTensor(name, dtype, tuple(tensor.shape), view, read, same_as))
    out = io.BytesIO()
    torch.save(_replaced(content, skeleton), out)
    return CheckpointFile("pytorch", tensors, skeleton=out.getvalue())


def _load(source: Path | io.BytesIO) -> Any:
    try:
        if isinstance(source, Path) and zipfile.is_zipfile(source):
            return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as e:  # of damaged files of any kind
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise FormatError(
            f"{source}: not a file of tensors that can be read without running code of it: {reason}"
        ) from None


def _named(content: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in dictionaries, lists and tuples, each with the way to it."""
    taken: set[str] = set()

    def walk(node: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
        if isinstance(node, torch.Tensor):
            name = unique(name or "tensor", taken)
            taken.add(name)
            yield name, node
            return
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if type(node) in (list, tuple) else ()
        for key, value in pairs:
            yield from walk(value, f"{name}.{key}" if name else str(key))

    yield from walk(content, "")


class _Skeleton(dict[int, torch.Tensor]):
    """What stands for each tensor: one without values, which remembers only whether it is a parameter."""

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """For a tensor; the same one for the same."""
        if id(tensor) not in self:
            empty = torch.empty(0)
            if isinstance(tensor, torch.nn.Parameter):
                empty = torch.nn.Parameter(empty, tensor.requires_grad)
            elif tensor.requires_grad:
                empty.requires_grad_()
            self[id(tensor)] = empty
        return self[id(tensor)]


def _replaced(node: Any, skeleton: Any) -> Any:
    """The same structure with other tensors."""
    if isinstance(node, torch.Tensor):
        return skeleton.of(node)
    if isinstance(node, dict):
        made = {key: _replaced(value, skeleton) for key, value in node.items()}
        if not isinstance(node, OrderedDict):
            return made
        ordered = OrderedDict(made)
        vars(ordered).update(vars(node))  # a state dict's versions of modules
        return ordered
    if type(node) in (list, tuple):  # not torch.Size, which is of numbers
        return type(node)(_replaced(value, skeleton) for value in node)
    return node


class _Filled:
    """The tensors that were written, in the place of those without values."""

    def __init__(self, names: dict[int, str], tensors: dict[str, torch.Tensor]) -> None:
        self._names, self._tensors = names, tensors

    def of(self, empty: torch.Tensor) -> torch.Tensor:
        """For one without values; the same one for the same."""
        name = self._names[id(empty)]
        tensor = self._tensors[name]
        if isinstance(empty, torch.nn.Parameter) and not isinstance(tensor, torch.nn.Parameter):
            tensor = self._tensors[name] = torch.nn.Parameter(tensor, empty.requires_grad)
        elif empty.requires_grad and not tensor.requires_grad:
            tensor.requires_grad_()
        return tensor


class FileWriter(files.Writer):
    """Everything is in memory until it is saved, as PyTorch needs it."""

    format = "pytorch"

    def complete(self) -> None:
        """See `files.Writer`."""
        tensors = {name: _tensor(self.arrays[name], t.view) for name, t in self.tensors.items()}
        if not self.skeleton:
            torch.save(OrderedDict(tensors), self.path)
            return
        content = _load(io.BytesIO(self.skeleton))
        names: dict[int, str] = {}
        wanted = set()
        for name, empty in _named(content):
            names.setdefault(id(empty), name)
            wanted.add(name)
        if wanted != set(tensors):
            odd = sorted(wanted ^ set(tensors))
            raise ParameterError(f"tensors are not those of the PyTorch file that this was made from: {odd[:3]}")
        torch.save(_replaced(content, _Filled(names, tensors)), self.path)


def _tensor(array: np.ndarray, view: View | None) -> torch.Tensor:
    if view is None:
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        try:
            return torch.from_numpy(native)
        except TypeError as e:
            raise ParameterError(f"PyTorch has nothing for {array.dtype}: {e}") from None
    kind = getattr(torch, view.kind, None)
    if kind is None:
        raise ParameterError(f"PyTorch has nothing for {view}")
    return torch.from_numpy(np.ascontiguousarray(array).reshape(-1).view("u1")).view(kind).reshape(array.shape)
