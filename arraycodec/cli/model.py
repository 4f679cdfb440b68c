"""What a file of arrays is, whatever its format: the interface between readers, writers and commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..checkpoints.views import View
from ..chunksize import complaint
from ..dtypes import is_supported
from ..errors import ArraycodecError

Box = tuple[slice, ...]
Warn = Callable[[str], None]

#: The name that an unnamed array (of a .npy file, or the root of a Zarr store) gets where it needs one.
UNNAMED = "data"


def plain_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype without what h5py attaches to it (enum names, kinds of strings) and without padding."""
    if dtype.names is None:
        return np.dtype(dtype.str)
    fields = [(name, dtype[name].base, dtype[name].shape) for name in dtype.names]
    return np.dtype([(name, plain_dtype(base), shape) for name, base, shape in fields])


class CommandError(ArraycodecError):
    """A command cannot do what it is asked to; the text is shown to the user as it is."""


@dataclass(frozen=True)
class GroupInfo:
    """A group: its path ("" is the root), its attributes, and the reader's own object."""

    name: str
    attrs: dict[str, Any] = field(default_factory=dict)
    native: Any = None


@dataclass(frozen=True)
class ArrayInfo:
    """An array as its file describes it.

    Attributes
    ----------
    name : str
        Path without a leading slash; "" is an array that is the whole file.
    dtype : numpy.dtype
        object for variable-length text (`text`) and for what only HDF5 can hold.
    shape, chunks, shards : tuple of int
        `chunks` and `shards` are None where there are none.
    attrs : dict
        JSON values or NumPy scalars and arrays.
    fill_value : Any
        None if the file does not say one.
    dimension_names : tuple or None
    order : {"C", "F"}
        Memory order of the values in the file.
    text : bool
        Variable-length strings; they are read as an object array of str.
    coordinate : bool
        The array holds the positions along a dimension.
    hidden : bool
        The file's own bookkeeping, not somebody's data.
    null : bool
        There is a dtype and no value (an HDF5 null dataspace).
    codec : dict or None
        Where a codec of ours stores it: that one's "id" and parameters, as far as the metadata say them.
    same_as : str or None
        An earlier name of the same array (a hard link).
    native : Any
        The reader's own object.
    view : View or None
        What elements are, where the dtype does not say it.
    rule_name : str or None
        The name that rules are about, if it is not the array's: that of a tensor in a pack.
    steps : int
        How far elements may be off, where they are integers that stand for floats.
    tensors : int
        How many stand in the array.
    host : tuple of (str, int or None) or None
        The stored array that it is in, and where it begins, if that has another name.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    chunks: tuple[int, ...] | None = None
    shards: tuple[int, ...] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    fill_value: Any = None
    dimension_names: tuple[str | None, ...] | None = None
    order: str = "C"
    text: bool = False
    coordinate: bool = False
    hidden: bool = False
    null: bool = False
    codec: dict[str, Any] | None = None
    same_as: str | None = None
    native: Any = None
    view: View | None = None
    rule_name: str | None = None
    steps: int = 0
    tensors: int = 1
    host: tuple[str, int | None] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return 0 if self.null else int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of the values in memory (pointers, for text)."""
        return self.size * self.dtype.itemsize

    @property
    def codable(self) -> bool:
        """Whether our codec takes the values, if only to keep them as they are."""
        return is_supported(self.dtype) and not (self.hidden or self.null or self.text)

    @property
    def is_data(self) -> bool:
        """Whether the numbers are measured or computed: no positions of other data, labels or flags (CF), or names."""
        flags = {"flag_values", "flag_masks"} & self.attrs.keys()
        return self.codable and not (self.coordinate or flags or (self.dtype.metadata or {}).get("enum"))

    @property
    def lossy(self) -> bool:
        """Whether a tolerance applies without being asked for: floats and complex numbers that are data."""
        return self.is_data and (self.dtype.kind in "fc" if self.view is None else self.view.is_lossy)

    @property
    def label(self) -> str:
        """The name for messages."""
        return repr(self.name) if self.name else "the array"

    def with_(self, **changes: Any) -> ArrayInfo:
        """A copy with some attributes changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class LinkInfo:
    """A name that is not an object of its own: a soft or external link, a named type, a second name of a group."""

    name: str
    kind: str
    target: str
    native: Any = None


Item = GroupInfo | ArrayInfo | LinkInfo


class Source(ABC):
    """A file or store being read."""

    kind: str  # "npy", "npz", "zarr", "hdf5", "arrc", or of a checkpoint
    #: The format of a checkpoint file, and what it has beside tensors, for a sink of the same format.
    skeleton: tuple[str, bytes] | None = None

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Everything in it; a group comes before what is in it."""

    @abstractmethod
    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        """The values in a box."""

    def close(self) -> None:
        """Release the file; twice is no error."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


class Sink(ABC):
    """A file or store being written, from nothing.

    Attributes
    ----------
    host : {"zarr", "hdf5"}
        What has its chunks.
    warn : callable
        Tells the user.
    """

    host: ClassVar[str]
    warn: Warn

    def warn_of_small_chunks(self, info: ArrayInfo, codec: Any) -> None:
        """Tell the user of chunks of a codec of ours that are too small, unless they are in shards."""
        if codec is not None and info.chunks and info.shards is None:
            text = complaint(info.label, info.shape, info.chunks, info.dtype.itemsize, self.host)
            if text:
                self.warn(f"{text} (--chunks)")

    def begin(self, items: list[Item]) -> None:
        """All that will come, for formats that have to know it first."""

    @abstractmethod
    def group(self, info: GroupInfo) -> None:
        """Make a group (the root exists) and set its attributes."""

    @abstractmethod
    def create(self, info: ArrayInfo, codec: Any) -> Any:
        """Make an array, coded by `codec` or, with None, by the format's own lossless means.

        The handle it returns is for `write`, `finish` and `stored`; None if the array is already
        complete (or cannot be kept, after a warning).
        """

    @abstractmethod
    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        """Set the values in a box."""

    def read(self, handle: Any, box: Box) -> np.ndarray:
        """The values in a box, as they come back from a codec of ours."""
        return np.asarray(handle[box if box else ...])

    def finish(self, handle: Any) -> None:
        """All values of an array have been written."""

    def stored(self, handle: Any) -> int:
        """Bytes that the array's values take in the file; asked after `finish`."""
        return 0

    def link(self, info: LinkInfo) -> None:
        """Make a link."""
        self.warn(f"{info.kind} {info.name!r} -> {info.target!r} is not kept: the output format has none")

    def can_chunk(self, info: ArrayInfo) -> bool:
        """Whether the format can hold this array in chunks; without, there is no codec either."""
        return not info.null

    def can_code(self, info: ArrayInfo, codec: Any) -> bool:
        """Whether the format can hold this array through our codec."""
        return True

    def unit(self, info: ArrayInfo) -> tuple[int, ...]:
        """The smallest box that is written without rewriting what was written before."""
        return info.shards or info.chunks or info.shape

    def complete(self) -> None:
        """Everything has been written: do what needs all objects in place."""

    def close(self) -> None:
        """Release the file; twice is no error."""

    warn: Warn

    def _warn_about_dtype(self, info: ArrayInfo) -> None:
        """For formats without enumerations."""
        names = (info.dtype.metadata or {}).get("enum")
        if names:
            self.warn(f"{info.label}: its values are kept, their names are not: {names}")
