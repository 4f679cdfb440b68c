"""Tensors of a store by their names: what `arraycodec.load` returns.

A tensor knows where its values are and reads those that are asked for; nothing is decoded before.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..config import check_threads
from ..errors import FormatError
from ..selection import Axis, as_index, normalize, shape_of
from . import packs, views
from .packs import Member
from .views import View

_CACHE = 16 << 20  # bytes of packs that stay decoded


class StoredArray(Protocol):
    """An array of a host."""

    dtype: np.dtype
    shape: tuple[int, ...]

    def read(self, axes: tuple[Axis, ...], threads: int) -> np.ndarray:
        """Selected values."""


@dataclass(frozen=True)
class Stored:
    """An array as a host has it.

    Attributes
    ----------
    name : str
    array : StoredArray
    chunks : tuple of int or None
        What is decoded together; None: any part can be read alone.
    codec : HostedCodec or None
        What it is stored by, if that is of this package.
    attrs : dict
    """

    name: str
    array: StoredArray
    chunks: tuple[int, ...] | None = None
    codec: Any = None
    attrs: dict[str, Any] = field(default_factory=dict)


class Pack:
    """A pack of small tensors.  Its chunks stay decoded for a while: tensors are mostly read one after the other."""

    def __init__(self, stored: Stored) -> None:
        self._array = stored.array
        (length,) = stored.array.shape
        self._step = (stored.chunks or (length,))[0] or 1
        self._most = max(1, _CACHE // max(1, self._step * stored.array.dtype.itemsize))
        self._parts: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Values of the pack, in memory of their own."""
        parts = []
        for number in range(start // self._step, -(-stop // self._step)):
            first = number * self._step
            part = self._part(number)
            parts.append(part[max(start - first, 0) : max(stop - first, 0)])
        return np.concatenate(parts) if parts else np.empty(0, self._array.dtype)

    def _part(self, number: int) -> np.ndarray:
        with self._lock:
            if number in self._parts:
                self._parts.move_to_end(number)
                return self._parts[number]
        first = number * self._step
        part = self._array.read((range(first, min(first + self._step, self._array.shape[0])),), 1)
        with self._lock:
            self._parts[number] = part
            while len(self._parts) > self._most:
                self._parts.popitem(last=False)
        return part


class Tensor:
    """A tensor of a store: shape and dtype now, values when they are asked for.

    ``tensor[selection]`` is a new array: NumPy's basic indexing, or on the first axis a list or array of row numbers
    (or a mask of them), with basic indexing of the others.  Only the chunks that hold selected values are decoded, and
    of these only the blocks.  ``numpy.asarray(tensor)`` is all of it.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : numpy.dtype
        bfloat16 and types of 8 bits are those of ml_dtypes, or unsigned integers where that is not installed.
    codec : AnsQuant, VarintQuant, StochasticQuant, LowRankQuant or None
        What its values are stored by; None if that is no codec of this package.
    """

    def __init__(self, member: Member, stored: Stored, pack: Pack | None) -> None:
        self._member, self._stored, self._pack = member, stored, pack
        self.name, self.shape, self.codec = member.name, member.shape, stored.codec
        self._view = member.view
        self.dtype = np.dtype(stored.array.dtype) if self._view is None else self._view.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded values."""
        return self.size * self.dtype.itemsize

    @property
    def view(self) -> View | None:
        """What stored elements are, where their dtype does not say it."""
        return self._view

    @property
    def identity(self) -> tuple[int, int | None]:
        """The same for all names of one tensor."""
        return id(self._stored), self._member.start

    @property
    def stored_dtype(self) -> np.dtype:
        """The dtype of stored elements."""
        return np.dtype(self._stored.array.dtype)

    @property
    def tol(self) -> float | None:
        """The absolute tolerance within which values came back, 0 if they are exact; None where it is not known.

        Of lc0's layers of 16 bits it is in the units of what is stored: a layer's range / 65535.
        """
        return getattr(self.codec, "tol", None)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __getitem__(self, selection: Any) -> Any:
        values = self.read(selection)
        return values if values.shape else values[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a tensor of a store has no array without decoding it: copy=False is not possible")
        values = self.read()
        return values if dtype is None else values.astype(dtype, copy=False)

    def read(self, selection: Any = (), threads: int = 1) -> np.ndarray:
        """Decode values.

        Parameters
        ----------
        selection : optional
            As of ``tensor[selection]``; default: all.
        threads : int
            How many threads may decode chunks at once, the calling one included (in HDF5 and single files).

        Returns
        -------
        numpy.ndarray
            A new array; a single value is an array without axes.

        Raises
        ------
        DecodeError
            If a chunk is damaged.
        IndexError, TypeError
            If the selection is not one of this tensor.
        """
        stored = self.read_stored(selection, threads)
        return stored if self._view is None else self._view.values(stored)

    def read_stored(self, selection: Any = (), threads: int = 1) -> np.ndarray:
        """As `read`, without what `view` makes of stored elements."""
        threads = check_threads(threads)
        items = selection if isinstance(selection, tuple) else (selection,)
        if items and isinstance(items[0], (list, np.ndarray)):
            return self._rows(_row_numbers(items[0], self.shape), items[1:], threads)
        return self._read(normalize(selection, self.shape), threads)

    def _read(self, axes: tuple[Axis, ...], threads: int) -> np.ndarray:
        if self._pack is None:
            return self._stored.array.read(axes, threads)
        start = self._member.start or 0
        values = self._pack.read(start, start + self.size).reshape(self.shape)
        return np.array(values[tuple(map(as_index, axes))])

    def _rows(self, rows: np.ndarray, others: tuple[Any, ...], threads: int) -> np.ndarray:
        """Rows in any order: those of one chunk are decoded together."""
        axes = normalize((slice(None), *others), self.shape)
        needed, places = np.unique(rows, return_inverse=True)
        chunks = self._stored.chunks if self._pack is None else None
        step = self.shape[0] if self._pack is not None else chunks[0] if chunks else 1
        found = np.empty((len(needed), *shape_of(axes)[1:]), self._stored.array.dtype)
        begins = np.flatnonzero(np.diff(needed // max(step, 1), prepend=-1)).tolist()
        for i, j in itertools.pairwise([*begins, len(needed)]):
            first = int(needed[i])
            part = self._read((range(first, int(needed[j - 1]) + 1), *axes[1:]), threads)
            found[i:j] = part[needed[i:j] - first]
        return found[places.reshape(rows.shape)]

    def __repr__(self) -> str:
        codec = "" if self.codec is None else f", {self.codec!r}"
        return f"<Tensor {self.name!r} {self.dtype} {self.shape}{codec}>"


def _row_numbers(given: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not shape:
        raise IndexError("rows of a tensor without axes")
    rows = np.asarray(given)
    if rows.dtype == bool:
        if rows.shape != shape[:1]:
            raise IndexError(f"a mask of shape {rows.shape} for {shape[0]} rows")
        return np.flatnonzero(rows)
    if rows.size == 0:
        rows = rows.astype(np.int64)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"rows are numbered by integers, not {rows.dtype}")
    if rows.size and (rows.min() < -shape[0] or rows.max() >= shape[0]):
        raise IndexError(f"rows from {rows.min()} to {rows.max()} of a tensor of {shape[0]}")
    rows = rows.astype(np.int64)
    return np.where(rows < 0, rows + shape[0], rows)


class Store(Mapping[str, Tensor]):
    """The tensors of a store, by their names and in their order; read-only, nothing is decoded before it is asked for.

    Any number of threads may read at once.  Close it, or use it in a ``with`` block, when the file is not needed any
    longer.

    Attributes
    ----------
    path : str
    format : str
        "arrc", "zarr", "hdf5", or that of a checkpoint file.
    attrs : dict
        What the file says beside its tensors: attributes, metadata of safetensors.
    """

    def __init__(
        self, path: str, format: str, arrays: list[Stored], attrs: dict[str, Any], close: Callable[[], None]
    ) -> None:
        self.path, self.format, self.attrs, self._close = path, format, attrs, close
        by_name = {stored.name: stored for stored in arrays}
        listed = packs.members((s.name, np.dtype(s.array.dtype), tuple(s.array.shape), s.attrs) for s in arrays)
        pack_of: dict[str, Pack] = {}
        self._tensors: dict[str, Tensor] = {}
        for member in listed:
            stored = by_name[member.host_name]
            if member.start is not None and member.host_name not in pack_of:
                pack_of[member.host_name] = Pack(stored)
            if member.view is None and getattr(stored.codec, "dtype", None) is not None:
                member = Member(member.name, member.host_name, member.shape, views.parse(stored.codec.dtype))
            self._tensors[member.name] = Tensor(member, stored, pack_of.get(member.host_name))
        self._skeletons = [s for s in arrays if packs.SKELETON in s.attrs]

    @property
    def skeleton(self) -> tuple[str, bytes] | None:
        """Of checkpoints made from a file: its format, and what it has beside tensors; None if there is none."""
        if not self._skeletons:
            return None
        stored = self._skeletons[0]
        if len(stored.array.shape) != 1 or stored.array.dtype != np.uint8:
            raise FormatError(f"{stored.name}: a skeleton of {stored.array.dtype} {stored.array.shape}")
        data = stored.array.read(normalize((), stored.array.shape), 1)
        return str(stored.attrs[packs.SKELETON]), data.tobytes()

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise KeyError(f"no tensor named {name!r} in {self.path}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def close(self) -> None:
        """Close the file; twice is no error."""
        self._close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        values = sum(t.size for t in self._tensors.values())
        return f"<Store {self.path!r} ({self.format}): {len(self)} tensors, {values} values>"
