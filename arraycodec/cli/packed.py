"""Checkpoints in stores: small tensors side by side in packs, and out of them again.

`UnpackedSource` shows the tensors of a store that has packs; `arranged` shows tensors as the arrays in which the output
stores them.  Neither sources nor sinks of hosts know of packs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..checkpoints import packs
from ..checkpoints.packs import Member, Placed, Tensor
from ..checkpoints.tensors import Pack, Stored
from ..checkpoints.views import LINEAR16
from ..errors import FormatError
from ..selection import Axis, as_index
from .checkpointfile import PlainSource
from .model import ArrayInfo, Box, CommandError, Item, Source, Warn
from .plan import Job

STORES = ("zarr2", "zarr3", "hdf5", "arrc")


class UnpackedSource(Source):
    """The tensors of a store with attributes of `packs`.

    Parameters
    ----------
    inner : Source
    items : list of Item
        What is in it.
    """

    def __init__(self, inner: Source, items: list[Item]) -> None:
        self.kind, self._inner = inner.kind, inner
        self.consolidated = getattr(inner, "consolidated", False)
        hosts = {item.name: item for item in items if isinstance(item, ArrayInfo)}
        try:
            members = packs.members((i.name, i.dtype, i.shape, i.attrs) for i in hosts.values())
        except FormatError as e:
            raise CommandError(str(e)) from None
        self._packs: dict[str, Pack] = {}
        self._items: list[Item] = [item for item in items if not isinstance(item, ArrayInfo)]
        self._items += [self._tensor(member, hosts[member.host_name]) for member in members]
        for info in hosts.values():
            if packs.SKELETON in info.attrs:
                self.skeleton = (str(info.attrs[packs.SKELETON]), inner.read(info, _all(info)).tobytes())

    def _tensor(self, member: Member, host: ArrayInfo) -> ArrayInfo:
        attrs = {key: value for key, value in host.attrs.items() if key not in packs.ATTRIBUTES}
        changes: dict[str, Any] = {"name": member.name, "attrs": attrs, "view": member.view, "native": host}
        if member.name != host.name:
            changes["host"] = (host.name, member.start)
        if member.start is not None:
            changes |= {"shape": member.shape, "chunks": None, "shards": None, "fill_value": None}
            if host.name not in self._packs:
                self._packs[host.name] = Pack(Stored(host.name, _Array(self._inner, host), host.chunks))
        return replace(host, **changes)

    def items(self) -> Iterator[Item]:
        return iter(self._items)

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        start = None if info.host is None else info.host[1]
        if start is None:
            return self._inner.read(info.native, box)
        return self._packs[info.host[0]].read(start, start + info.size).reshape(info.shape)[box]

    def close(self) -> None:
        self._inner.close()


class _Array:
    """An array of a source, as `Pack` reads it."""

    def __init__(self, source: Source, info: ArrayInfo) -> None:
        self._source, self._info, self.dtype, self.shape = source, info, info.dtype, info.shape

    def read(self, axes: tuple[Axis, ...], threads: int) -> np.ndarray:
        return self._source.read(self._info, tuple(map(as_index, axes)))


def unpacked(source: Source) -> Source:
    """A source whose packs, if there are any, have come apart."""
    if source.kind not in ("zarr", "hdf5", "arrc"):
        return source
    items = list(source.items())
    marked = any(isinstance(i, ArrayInfo) and not i.attrs.keys().isdisjoint(packs.ATTRIBUTES) for i in items)
    return UnpackedSource(source, items) if marked else source


def arranged(source: Source, items: list[Item], job: Job, kind: str, warn: Warn) -> tuple[Source, list[Item]]:
    """Tensors as the arrays in which an output of some format stores them.

    Parameters
    ----------
    source : Source
    items : list of Item
        Those that are converted, named as in the output.
    job : Job
    kind : str
        The format of the output.
    warn : callable

    Returns
    -------
    source, items
        The same where there is nothing to arrange.
    """
    views = any(isinstance(i, ArrayInfo) and i.view is not None for i in items)
    if kind in ("npy", "npz") and views:
        plain = PlainSource(source, warn)
        return plain, [plain.plain(item) for item in items]
    if kind not in STORES:
        return source, items
    tensors = is_checkpoint(source)
    small = job.pack
    if small is None:
        small = packs.SMALL if tensors or kind == "arrc" else 0
    if job.choice is None or job.choice.whole is not None:
        small = 0  # such codecs are for arrays as they are
    if not (tensors or small):
        return source, items
    placed = PlacedSource(source, items, job, small, tensors)
    return placed, list(placed.items())


def is_checkpoint(source: Source) -> bool:
    """Whether a source has tensors, with views and a skeleton perhaps, and not the arrays of a host."""
    return source.kind in ("safetensors", "pytorch", "onnx", "lc0") or isinstance(source, UnpackedSource)


class PlacedSource(Source):
    """Tensors as the arrays in which they are stored.

    Parameters
    ----------
    inner : Source
    items : list of Item
    job : Job
        Says the tolerances: tensors with different ones are in different arrays.
    small : int
        As of `packs.place`.
    whole : bool
        All arrays are tensors; otherwise only those that say nothing more than their values are put together.
    """

    def __init__(self, inner: Source, items: list[Item], job: Job, small: int, whole: bool) -> None:
        self.kind, self._inner, self._job = inner.kind, inner, job
        self.consolidated = getattr(inner, "consolidated", False)
        self.skeleton = inner.skeleton
        rest = [i for i in items if not isinstance(i, ArrayInfo) or not (whole or _is_bare(i, small))]
        infos = [i for i in items if isinstance(i, ArrayInfo) and (whole or _is_bare(i, small))]
        self._infos = {info.name: info for info in infos}
        self._items: list[Item] = rest
        for placed in packs.place([self._described(info, small) for info in infos], small):
            if whole or placed.is_pack:
                self._items.append(self._array(placed))
            else:
                self._items.append(self._infos[placed.tensors[0].name])
        if self.skeleton is not None:
            data = np.frombuffer(self.skeleton[1], "u1")
            attrs = {packs.SKELETON: self.skeleton[0]}
            self._items.append(
                ArrayInfo(packs.SKELETON, data.dtype, data.shape, attrs=attrs, coordinate=True, native=data, tensors=0)
            )

    def _described(self, info: ArrayInfo, small: int) -> Tensor:
        return Tensor(info.name, info.dtype, info.shape, info.view, self._key(info, small), info.same_as)

    def _key(self, info: ArrayInfo, small: int) -> Hashable:
        """Tensors with the same one may share a codec."""
        if not info.codable or info.order == "F":
            return info.name
        if not self._job.may_lose(info):
            return "exact"
        rule = self._job.rule(info)
        return rule, info.view and info.view.kind, self._steps(info, info.size < small)

    def _steps(self, info: ArrayInfo, is_small: bool) -> int:
        """Of integers that stand for floats; of small layers one of few, so that they share packs."""
        rule = self._job.rule(info) if self._job.compresses and self._job.may_lose(info) else None
        if rule is None or rule.keep or info.view is None or info.view.kind != LINEAR16:
            return 0
        steps = info.view.steps(rule.tol)
        return 1 << steps.bit_length() - 1 if is_small and steps else steps

    def _array(self, placed: Placed) -> ArrayInfo:
        first = self._infos[placed.tensors[0].name]
        changes: dict[str, Any] = {
            "name": placed.host_name, "shape": placed.shape, "attrs": {**first.attrs, **placed.attrs},
            "rule_name": first.name, "native": placed, "same_as": None, "steps": self._steps(first, placed.is_pack),
            "tensors": len(placed.tensors) + len(placed.aliases), "host": None,
        }  # fmt: skip
        if placed.is_pack:
            changes |= {"attrs": placed.attrs, "chunks": None}
        return replace(first, **changes)

    def items(self) -> Iterator[Item]:
        return iter(self._items)

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        placed = info.native
        if isinstance(placed, np.ndarray):
            return placed[box]
        if not isinstance(placed, Placed):
            return self._inner.read(info, box)
        if not placed.is_pack:
            return self._inner.read(self._infos[placed.tensors[0].name], box)
        ((first, stop),) = ((s.start, s.stop) for s in box)
        parts, start = [], 0
        for tensor in placed.tensors:
            end = start + tensor.size
            if start < stop and first < end:
                member = self._infos[tensor.name]
                values = self._inner.read(member, _all(member)).reshape(-1)
                parts.append(values[max(first - start, 0) : stop - start])
            start = end
        return np.concatenate(parts)


def _is_bare(info: ArrayInfo, small: int) -> bool:
    """Whether an array says nothing but values, and few of them."""
    says = info.attrs or info.dimension_names or info.fill_value is not None or info.text or info.same_as or info.null
    return info.codable and info.size < small and info.is_data and not says and bool(info.name)


def _all(info: ArrayInfo) -> Box:
    return tuple(slice(0, n) for n in info.shape)


def refuse_for_workers(source: Source, items: list[Item], job: Job) -> None:
    """A CommandError for what is done by one process only."""
    if job.pack:
        raise CommandError("--pack is done by one process: leave --workers and --scheduler out")
    if is_checkpoint(source) or any(isinstance(i, ArrayInfo) and i.view is not None for i in items):
        raise CommandError(f"{job.source}: one process converts checkpoints: leave --workers and --scheduler out")
