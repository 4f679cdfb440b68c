"""Checkpoints of other programs (`arraycodec.checkpoints.files`), read and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import files, views
from ..checkpoints.packs import Tensor
from ..checkpoints.views import View
from ..dtypes import BFLOAT16
from ..errors import DecodeError, ParameterError
from . import attributes
from .model import UNNAMED, ArrayInfo, Box, CommandError, GroupInfo, Item, Sink, Source, Warn, plain_dtype


class CheckpointSource(Source):
    """A file of safetensors, PyTorch, ONNX or lc0."""

    def __init__(self, path: Path, kind: str) -> None:
        self.kind = kind
        try:
            self._file = files.open_file(path, kind)
        except (DecodeError, ParameterError) as e:
            raise CommandError(str(e)) from None
        if self._file.skeleton:
            self.skeleton = (kind, self._file.skeleton)

    def items(self) -> Iterator[Item]:
        yield GroupInfo("", self._file.attrs)
        for t in self._file.tensors:
            yield ArrayInfo(t.name, t.dtype, t.shape, view=t.view, same_as=t.same_as, native=t)

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        try:
            return np.asarray(info.native.read()[box])
        except DecodeError as e:
            raise CommandError(str(e)) from None


class CheckpointSink(Sink):
    """A new file of such a format; attributes are kept as far as it has any."""

    def __init__(self, path: Path, kind: str, warn: Warn, like: Source, final: Path) -> None:
        self._open = lambda attrs: files.writer(
            path, kind, attrs, like.skeleton[1] if like.skeleton and like.skeleton[0] == kind else b"", final
        )
        self._kind, self.warn = kind, warn
        self._writer: files.Writer | None = None
        if like.skeleton and like.skeleton[0] != kind:
            warn(f"what the {like.skeleton[0]} file had beside its tensors is not kept: {kind} has no place for it")

    def begin(self, items: list[Item]) -> None:
        attrs: dict[str, Any] = {}
        for item in items:
            if isinstance(item, GroupInfo) and not item.name and self._kind == "safetensors":
                attrs = attributes.to_json(item.attrs, "the file", self.warn)
            elif isinstance(item, (GroupInfo, ArrayInfo)) and item.attrs:
                name = item.name or "the root group"
                self.warn(f"attributes of {name} are not kept: {', '.join(map(str, item.attrs))}")
        arrays = [item for item in items if isinstance(item, ArrayInfo) and not item.null]
        try:
            self._writer = self._open(attrs)
            self._writer.begin(map(self._tensor, arrays))
        except (DecodeError, ParameterError) as e:
            raise CommandError(str(e)) from None

    def _tensor(self, info: ArrayInfo) -> Tensor:
        if info.text or info.dtype.hasobject or info.dtype.names is not None:
            raise CommandError(f"{info.label}: a {self._kind} file holds numbers, not {info.dtype}")
        self._warn_about_dtype(info)
        view = self._view(info)
        dtype = plain_dtype(info.dtype).newbyteorder("=")
        if self._floats(view):
            view, dtype = None, view.dtype
        return Tensor(info.name or UNNAMED, dtype, info.shape, view)

    def _view(self, info: ArrayInfo) -> View | None:
        """What elements are, if only its codec was told."""
        told = (info.codec or {}).get("dtype")
        return View(told) if info.view is None and told == BFLOAT16 else info.view

    def _floats(self, view: View | None) -> bool:
        """Whether integers that stand for floats become these."""
        return view is not None and view.kind == views.LINEAR16 and self._kind != "lc0"

    def group(self, info: GroupInfo) -> None:
        """There are none: names have it all."""

    def create(self, info: ArrayInfo, codec: Any) -> Any:
        if info.null:
            self.warn(f"{info.label} has no value (an HDF5 null dataspace) and is not kept")
            return None
        return info

    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        if self._floats(handle.view):
            values = handle.view.values(values)
        self._writer.write(handle.name or UNNAMED, box, values)

    def complete(self) -> None:
        try:
            self._writer.complete()
        except (DecodeError, ParameterError) as e:
            raise CommandError(str(e)) from None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class PlainSource(Source):
    """A source for formats that have no place for what elements are: integers that stand for floats as these."""

    def __init__(self, inner: Source, warn: Warn) -> None:
        self.kind, self._inner, self._warn = inner.kind, inner, warn

    def items(self) -> Iterator[Item]:
        """See `arranged`, which converts the items that are selected."""
        return self._inner.items()

    def plain(self, item: Item) -> Item:
        """An array with the dtype that its values get."""
        if not isinstance(item, ArrayInfo) or item.view is None:
            return item
        if item.view.kind == views.LINEAR16:
            return replace(item, dtype=item.view.dtype, native=_Floats(item), view=None)
        self._warn(f"{item.label}: its {item.dtype} elements are {item.view}, which the output has no place to say")
        return replace(item, view=None)

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        if not isinstance(info.native, _Floats):
            return self._inner.read(info, box)
        of_integers = info.native.of_integers
        return of_integers.view.values(self._inner.read(of_integers, box))


@dataclass(frozen=True)
class _Floats:
    """An array of integers that is shown as the floats for which they stand."""

    of_integers: ArrayInfo
