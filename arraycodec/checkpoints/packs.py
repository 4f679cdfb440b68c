"""Which tensors of a checkpoint stand in stored arrays of their own, and which, small ones, side by side in one.

A pack is a one-dimensional array of tensors in C order, one behind the other: the same dtype, the same codec.  What is
in it stands in an attribute of it, so any host that has arrays and attributes can hold packs.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FormatError, ParameterError
from . import views
from .views import View

#: Tensors of fewer values than this go into packs, unless something else is asked for.
SMALL = 1 << 14

#: Attributes of stored arrays: JSON text of a pack's members; what elements are; the tensor's place among all of the
#: checkpoint; its name, where the host could not have it; JSON text of the tensor's other names, and their places; that
#: the array is no tensor but the rest of a file.
PACK, VIEW, POSITION, NAME = "arraycodec_pack", "arraycodec_view", "arraycodec_position", "arraycodec_name"
ALIASES, SKELETON = "arraycodec_aliases", "arraycodec_skeleton"
ATTRIBUTES = (PACK, VIEW, POSITION, NAME, ALIASES, SKELETON)

_MAX_AXES = 32


@dataclass(frozen=True)
class Tensor:
    """A tensor to be stored.

    Attributes
    ----------
    name : str
    dtype : numpy.dtype
        Of what is stored.
    shape : tuple of int
    view : View or None
        What stored elements are.
    codec : hashable
        Tensors with equal ones may share a pack; what they are stored by, or stands for that.
    same_as : str or None
        The name of an earlier tensor that is this one.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    view: View | None = None
    codec: Any = None
    same_as: str | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Placed:
    """A stored array of a checkpoint.

    Attributes
    ----------
    host_name : str
        Its name in the store.
    tensors : tuple of Tensor
        One, or those of a pack.
    positions : tuple of int
        Theirs among all tensors.
    is_pack : bool
    aliases : tuple of (str, int)
        Other names of the one tensor, and their positions.
    """

    host_name: str
    tensors: tuple[Tensor, ...]
    positions: tuple[int, ...]
    is_pack: bool
    aliases: tuple[tuple[str, int], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the stored array."""
        return (sum(t.size for t in self.tensors),) if self.is_pack else self.tensors[0].shape

    @property
    def attrs(self) -> dict[str, Any]:
        """What the host keeps beside it."""
        if self.is_pack:
            return {PACK: self._members()}
        (tensor,) = self.tensors
        attrs: dict[str, Any] = {POSITION: self.positions[0]}
        if tensor.view is not None:
            attrs[VIEW] = str(tensor.view)
        if tensor.name != self.host_name:
            attrs[NAME] = tensor.name
        if self.aliases:
            attrs[ALIASES] = json.dumps(self.aliases, separators=(",", ":"))
        return attrs

    def _members(self) -> str:
        columns: dict[str, Any] = {
            "names": [t.name for t in self.tensors],
            "shapes": [t.shape for t in self.tensors],
            "positions": self.positions,
        }
        if any(t.view for t in self.tensors):
            columns["views"] = [t.view and str(t.view) for t in self.tensors]
        return json.dumps(columns, separators=(",", ":"))


def place(tensors: Sequence[Tensor], small: int = SMALL) -> list[Placed]:
    """Where tensors are stored, in the order of the first of each array.

    Parameters
    ----------
    tensors : sequence of Tensor
    small : int
        Tensors of fewer values go into packs; 0: none does.

    Raises
    ------
    ParameterError
        If two have the same name.
    """
    names = Counter(t.name for t in tensors)
    if len(names) != len(tensors):
        raise ParameterError(f"{names.most_common(1)[0][1]} tensors are named {names.most_common(1)[0][0]!r}")
    together: dict[Hashable, list[int]] = {}
    aliases: dict[str | None, list[tuple[str, int]]] = {}
    for i, t in enumerate(tensors):
        if t.same_as in names and t.size >= max(small, 1) and t.same_as != t.name:
            aliases.setdefault(t.same_as, []).append((t.name, i))
            continue
        together.setdefault((t.dtype.str, t.codec) if t.size < small else i, []).append(i)
    placed = []
    for positions in together.values():
        members = tuple(tensors[i] for i in positions)
        if len(members) > 1:
            placed.append(Placed(f"arraycodec_pack_{positions[0]}", members, tuple(positions), True))
        else:
            host_name = members[0].name
            if not _is_plain(host_name, names):
                host_name = f"arraycodec_tensor_{positions[0]}"
            others = tuple(aliases.get(members[0].name, ()))
            placed.append(Placed(host_name, members, tuple(positions), False, others))
    return placed


def _is_plain(name: str, names: Container[str]) -> bool:
    """Whether Zarr and HDF5 can have an array of this name beside the others."""
    parts = name.split("/")
    bad = ("", ".", "..", "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
    if any(part in bad or part.startswith(("arraycodec_", "__")) or len(part) > 200 for part in parts):
        return False
    if any("/".join(parts[:i]) in names for i in range(1, len(parts))):
        return False  # below another tensor
    return name.isprintable()


@dataclass(frozen=True)
class Member:
    """A tensor in a store.

    Attributes
    ----------
    name : str
    host_name : str
        Of the stored array.
    shape : tuple of int
    view : View or None
    start : int or None
        Where it begins in a pack; None: it is the whole array.
    """

    name: str
    host_name: str
    shape: tuple[int, ...]
    view: View | None = None
    start: int | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


def members(arrays: Iterable[tuple[str, np.dtype, tuple[int, ...], dict[str, Any]]]) -> list[Member]:
    """The tensors of a store, in their order; any arrays do, what has no attributes of ours is a tensor as it is.

    Parameters
    ----------
    arrays : iterable of (str, dtype, tuple of int, dict)
        Name, dtype, shape and attributes of each stored array.

    Raises
    ------
    FormatError
        If attributes are not what `Placed.attrs` has, or do not fit their array.
    """
    found: list[tuple[int, Member]] = []
    for host_name, dtype, shape, attrs in arrays:
        if SKELETON in attrs:
            continue
        if PACK in attrs:
            found += _of_pack(host_name, dtype, shape, attrs[PACK])
            continue
        view = views.parse(attrs[VIEW]) if VIEW in attrs else None
        _check_view(view, dtype, host_name)
        name, position = attrs.get(NAME, host_name), attrs.get(POSITION, len(found))
        if not isinstance(name, str) or not _is_count(position):
            raise FormatError(f"{host_name}: attributes {NAME}={name!r:.60}, {POSITION}={position!r:.60}")
        found.append((int(position), Member(name, host_name, shape, view)))
        for alias, place in _aliases(host_name, attrs[ALIASES]) if ALIASES in attrs else ():
            found.append((place, Member(alias, host_name, shape, view)))
    names = Counter(member.name for _, member in found)
    if len(names) != len(found):
        raise FormatError(f"{names.most_common(1)[0][1]} tensors are named {names.most_common(1)[0][0]!r:.100}")
    return [member for _, member in sorted(found, key=lambda pair: pair[0])]


def _aliases(host_name: str, text: Any) -> list[tuple[str, int]]:
    try:
        pairs = json.loads(text)
        if all(isinstance(name, str) and _is_count(place) for name, place in pairs):
            return [(name, place) for name, place in pairs]
    except (TypeError, ValueError, RecursionError):
        pass
    raise FormatError(f"{host_name}: {ALIASES}={text!r:.60}")


def _of_pack(host_name: str, dtype: np.dtype, shape: tuple[int, ...], text: Any) -> list[tuple[int, Member]]:
    try:
        columns = json.loads(text)
        names, shapes, positions = (columns[key] for key in ("names", "shapes", "positions"))
        kinds = columns.get("views") or [None] * len(names)
        rows = list(zip(names, shapes, positions, kinds, strict=True))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as e:
        raise FormatError(f"{host_name}: the pack's list of tensors is not readable: {e}") from None
    found, start = [], 0
    for name, lengths, position, kind in rows:
        is_shape = isinstance(lengths, list) and len(lengths) <= _MAX_AXES and all(_is_count(n) for n in lengths)
        if not isinstance(name, str) or not is_shape or not _is_count(position):
            raise FormatError(f"{host_name}: no tensor in a pack: {name!r:.60}, {lengths!r:.60}, {position!r:.60}")
        view = None if kind is None else views.parse(kind)
        _check_view(view, dtype, host_name)
        found.append((position, Member(name, host_name, tuple(lengths), view, start)))
        start += math.prod(lengths)
    if shape != (start,):
        raise FormatError(f"{host_name}: a pack of shape {shape} for tensors of {start} values")
    return found


def _check_view(view: View | None, dtype: np.dtype, name: str) -> None:
    if view is not None and dtype.newbyteorder("=") != view.stored:
        raise FormatError(f"{name}: {dtype} elements are no {view.kind}")


def _is_count(value: Any) -> bool:
    if type(value) is int:  # as JSON has it; HDF5 has NumPy's
        return 0 <= value < 1 << 62
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return integer and 0 <= value < 1 << 62
