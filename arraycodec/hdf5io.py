"""HDF5 datasets, chunk by chunk and around HDF5's lock; users call `hdf5.read` and `hdf5.write`.

HDF5 runs filters one chunk after the other, under a lock over the whole library.  Here the calling
thread moves encoded chunks between the file and memory (direct chunk access), and the codec works
in as many threads as are wanted, straight from and to the caller's arrays.  Only the calling thread
talks to HDF5.

The rule is that results are those of ``dataset[selection]``, and stored bytes those of
``dataset[selection] = values``: whatever cannot be done directly in that way is left to h5py.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
from h5py._objects import phil  # the lock of h5py; before 3.16 direct chunk access does not take it

from . import chunksize, codec, hdf5
from .config import Config, check_threads
from .dtypes import block_len, describe
from .errors import ArraycodecError, ParameterError, SizeError
from .selection import Axis, Piece, normalize, pieces_of, shape_of
from .tasks import run

if TYPE_CHECKING:
    from .hosted import StoredConfig

_DONT_FILTER_PARTIAL_CHUNKS = 2  # of HDF5's H5Dpublic.h
# Bytes of values in one task.  At least so many, as handing it to a thread costs like decoding some
# KiB; and more where there is enough for all threads, as two of them that write to the same large
# page of new memory wait for each other.
_MIN_TASK = 1 << 18
_MAX_TASK = 1 << 22


# ---- what can be accessed directly ----
class _Layout(NamedTuple):
    """How a dataset is stored.

    Attributes
    ----------
    chunks : tuple of int
        The shape of a chunk.
    config : Config or StoredConfig
        What the filter encodes with.
    """

    chunks: tuple[int, ...]
    config: Config | StoredConfig


def _layout(dataset: h5py.Dataset, to_write: bool = False) -> _Layout | None:
    """None where HDF5 has to read and write the dataset itself."""
    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.CHUNKED or plist.get_nfilters() != 1:
        return None
    filter_id, _, values, _ = plist.get_filter(0)
    if filter_id != hdf5.FILTER_ID or (h5py.get_config().mpi and dataset.file.driver == "mpio"):
        return None  # with mpio every process would have to take part in every access
    items, chunks = hdf5.read_items(values), plist.get_chunk()
    if items is None and to_write:
        raise ParameterError(f"the tolerance of {dataset.name} is not readable: cd_values {tuple(values)}")
    # The filter encodes only with the parameters that it completed itself when the dataset was created.
    if items is None or not items.type or not _filters_partial_chunks(plist):
        return None
    words = _type_words(dataset, chunks, items.dtype)
    if words is None or (items.type[0] & ~hdf5.TYPE_OWN_FILL, *items.type[1:]) != words[: len(items.type)]:
        return None
    if words[0] & hdf5.TYPE_EXACT:
        items = items._replace(tol=0.0, rtol=None, fill_value=None, dtype=None)
    try:
        return _Layout(chunks, items.parameters)
    except ParameterError:  # made up by a program without the filter
        return None


def _filters_partial_chunks(plist: h5py.h5p.PropDCID) -> bool:
    """False where HDF5 stores chunks at the edge of a dataset as they are, without marking them."""
    # h5py does not wrap this function; its own modules are linked with the library that has it
    get_options = getattr(ctypes.CDLL(h5py.h5p.__file__), "H5Pget_chunk_opts", None)
    if get_options is None:
        return False
    options = ctypes.c_uint(0)
    with phil:
        error = get_options(ctypes.c_int64(plist.id), ctypes.byref(options)) < 0
    return not error and not options.value & _DONT_FILTER_PARTIAL_CHUNKS


def _type_words(dataset: h5py.Dataset, chunks: tuple[int, ...], view: str | None) -> tuple[int, ...] | None:
    """What item 10 of the filter says of the dataset; None if its type is not the one that h5py has for its dtype.

    HDF5 is asked: NumPy's dtype does not tell all of its types apart.
    """
    dtype = dataset.dtype
    try:
        if dataset.id.get_type() != h5py.h5t.py_create(dtype, logical=True):
            return None
        code, big_endian, unit, multiple = describe(dtype, view)
    except TypeError:
        return None
    exact = h5py.check_enum_dtype(dtype) is not None
    word = code | hdf5.TYPE_BIG_ENDIAN * big_endian | hdf5.TYPE_EXACT * exact | unit << hdf5.TYPE_UNIT_SHIFT
    dims = (word for n in chunks for word in (n & 0xFFFFFFFF, n >> 32))
    return (word, len(chunks), *dims, *([multiple] if multiple else []))


def _basic(selection: Any, shape: tuple[int, ...]) -> tuple[Axis, ...] | None:
    """A selection of integers and slices, not empty; None for all others and for wrong ones.

    Those go to h5py, which has its own rules and errors for them.
    """
    for item in selection if isinstance(selection, tuple) else (selection,):
        if isinstance(item, bool) or not (item is Ellipsis or isinstance(item, (int, np.integer, slice))):
            return None
    try:
        axes = normalize(selection, shape)
    except (IndexError, TypeError, ValueError):
        return None
    if 0 in shape_of(axes) or any(isinstance(axis, range) and axis.step < 1 for axis in axes):
        return None
    return axes


def _read_chunk(dataset: h5py.Dataset, offset: tuple[int, ...]) -> tuple[int, bytes] | None:
    """Filter mask and stored bytes of a chunk; None if it was never written.

    HDF5 writes the chunk out first if its cache has something newer.
    """
    with phil:
        try:
            return dataset.id.read_direct_chunk(offset)
        except Exception:
            # asked only now: of most chunks it would be one search more in the index
            if dataset.id.get_chunk_info_by_coord(offset).byte_offset is None:
                return None
            raise


class _Fill:
    """What chunks that were never written hold.  It depends on three properties of the dataset, so h5py is asked."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset
        self.value: np.ndarray | None = None

    def at(self, offset: tuple[int, ...]) -> np.ndarray:
        """What they read as; `offset` is one of them."""
        if self.value is None:
            with hdf5.explained(self.dataset):
                self.value = np.asarray(self.dataset[tuple(slice(i, i + 1) for i in offset)]).reshape(())
        return self.value

    def of_new_chunks(self, offset: tuple[int, ...]) -> np.ndarray:
        """What stands around the first values that are written into one."""
        try:
            return self.at(offset)
        except OSError:  # without any fill value HDF5 does not read a dataset that has no chunk yet
            return np.zeros((), self.dataset.dtype)


# ---- the codec's side: runs in any thread, touches no HDF5 ----
class _Chunks:
    """Decodes and encodes the chunks of one dataset."""

    def __init__(self, dataset: h5py.Dataset, layout: _Layout) -> None:
        self.name, self.dtype, (self.chunks, self.config) = dataset.name, dataset.dtype, layout
        self.count = math.prod(self.chunks)
        self.nbytes = self.count * self.dtype.itemsize
        self._local = threading.local()

    @property
    def buffer(self) -> np.ndarray:
        """This thread's array for one chunk."""
        if not hasattr(self._local, "buffer"):
            self._local.buffer = np.empty(self.chunks, self.dtype)
        return self._local.buffer

    def decode(self, piece: Piece, stored: tuple[int, bytes], target: np.ndarray) -> None:
        """Put the piece of a stored chunk into `target`."""
        mask, data = stored
        if mask & 1 == 0:
            if piece.whole and target.flags.c_contiguous and target.flags.aligned:
                codec.decode_expected(data, self.dtype, self.count, target)
                return
            if self.count > block_len(self.dtype) and not piece.whole:
                chunk = codec.open_chunk(data)
                header = codec.peek(chunk)
                same = codec.same_elements(header.dtype, self.dtype)
                if header.shape == self.chunks and same and header.order == "C":
                    runs = header.cut.touched(piece.inside)
                    if sum(stop - first for first, stop in runs) < header.n_blocks:
                        # as the chunk's dtype: bfloat16 is uint16 here
                        codec.decode(chunk, target.view(header.dtype), selection=piece.index)
                        return
        target[...] = self.decode_whole(stored)[piece.index]

    def decode_whole(self, stored: tuple[int, bytes]) -> np.ndarray:
        """A stored chunk as an array, which is this thread's buffer or read-only."""
        mask, data = stored
        if mask & 1:  # HDF5 stored it without the filter
            if len(data) != self.nbytes:
                raise SizeError(f"{len(data)} bytes, stored without the filter, for {self.count} {self.dtype} values")
            return np.frombuffer(data, self.dtype).reshape(self.chunks)
        buffer = self.buffer
        codec.decode_expected(data, self.dtype, self.count, buffer)
        return buffer

    def encode(self, piece: Piece, old: bytes | np.ndarray | None, values: np.ndarray) -> bytes:
        """The chunk with `values` in the place of the piece.

        `old` is the chunk so far, or the fill value; None if no other values are in the chunk.
        """
        if old is None and values.flags.c_contiguous and values.dtype == self.dtype:
            return codec.encode_with(self.config, values.reshape(self.chunks))
        buffer = self.buffer
        if isinstance(old, bytes):
            self.decode_whole((0, old))
        elif old is not None:
            buffer[...] = old
        _assign(buffer[_all(piece.index)], values)
        return codec.encode_with(self.config, buffer)


def _all(index: tuple[int | slice, ...]) -> Any:
    """An index that always gives a view, also of a single value."""
    return (*index, ...)


def _assign(target: np.ndarray, values: np.ndarray) -> None:
    """Assign with HDF5's conversion; see `_is_converted_alike`."""
    with np.errstate(over="ignore"):
        target[...] = values
        if values.dtype.itemsize > target.dtype.itemsize and values.dtype.kind == "f":
            # what is beyond the largest float32 becomes infinite; NumPy rounds some of it down
            beyond = np.abs(values) > np.finfo(target.dtype).max.astype(values.dtype)
            if beyond.any():
                target[beyond] = np.copysign(np.inf, values[beyond])


def _is_converted_alike(source: np.dtype, target: np.dtype) -> bool:
    """Whether `_assign` gives the bits that HDF5's conversion gives.

    HDF5 converts between float types of two sizes by software of its own where one of them is not
    the machine's, and rounds differently there; it clips integers, and has other rules for types that are no
    numbers, and none for some pairs of them.
    """
    if target.kind == "f" and target.itemsize >= 4:
        if source.kind == "f" and source.itemsize != target.itemsize:
            return source.itemsize in (4, 8) and source.isnative and target.isnative
        return source.kind in "fiu"
    names, opaque = h5py.check_enum_dtype, h5py.check_opaque_dtype
    if names(target) is not None or opaque(target):  # for HDF5 these are other types with other names or byte order
        return source == target and names(source) == names(target) and opaque(source) == opaque(target)
    return source.newbyteorder("=") == target.newbyteorder("=") and names(source) is None


# ---- flow ----
def _run_batches(
    items: Iterator[Any], count: int, nbytes: int, work: Callable[..., Any], done: Callable[..., None], threads: int
) -> None:
    """`run` with tasks of several items, of which there are at most `count`, of `nbytes` bytes of values each."""
    size = max(1, _MIN_TASK // nbytes, min(_MAX_TASK // nbytes, count // (4 * threads)))
    batches = iter(lambda: list(itertools.islice(items, size)), [])
    run(batches, work, done, min(threads, -(-count // size)))


def _each(work: Callable[..., Any], name: str) -> Callable[[list[Any]], list[Any]]:
    """`work` on the pieces of a batch, with the chunk in the message of what is wrong with it."""

    def each(batch: list[Any]) -> list[Any]:
        results = []
        for piece, *args in batch:
            try:
                results.append(work(piece, *args))
            except (ArraycodecError, MemoryError) as error:
                raise type(error)(f"chunk at {piece.offset} of {name}: {error}") from error
        return results

    return each


def _check(dataset: Any, threads: Any) -> int:
    """Check the arguments of both functions; the number of threads."""
    if not isinstance(dataset, h5py.Dataset):
        raise TypeError(f"dataset must be an h5py.Dataset, not {type(dataset).__name__}")
    return check_threads(threads)


def _check_out(out: Any, dataset: h5py.Dataset, shape: tuple[int, ...]) -> None:
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out is a masked array: pass its data (out.data)")
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.dtype != dataset.dtype or out.shape != shape:
        raise ParameterError(
            f"out ({out.dtype}, shape {out.shape}) does not fit the selection ({dataset.dtype}, shape {shape})"
        )
    if not out.flags.writeable:
        raise ParameterError("out is read-only")


def read(dataset: h5py.Dataset, selection: Any, threads: int, out: np.ndarray | None) -> Any:
    """See `hdf5.read`."""
    threads = _check(dataset, threads)
    selection = () if selection is None else selection
    layout = _layout(dataset)
    axes = None if layout is None else _basic(selection, dataset.shape)
    if layout is None or axes is None:
        with hdf5.explained(dataset):
            result = dataset[selection]
        if out is None:
            return result
        _check_out(out, dataset, np.shape(result))
        out[...] = result
        return out
    if out is not None:
        _check_out(out, dataset, shape_of(axes))
    worker, fill = _Chunks(dataset, layout), _Fill(dataset)
    count, pieces = pieces_of(axes, layout.chunks)
    result = np.empty(shape_of(axes), dataset.dtype) if out is None else out

    def tasks() -> Iterator[tuple[Piece, tuple[int, bytes], np.ndarray]]:
        for piece in pieces:
            stored = _read_chunk(dataset, piece.offset)
            target = result[_all(piece.target)]
            if stored is None:
                target[...] = fill.at(piece.offset)
            else:
                yield piece, stored, target

    _run_batches(tasks(), count, worker.nbytes, _each(worker.decode, worker.name), lambda *_: None, threads)
    return result if result.shape or out is not None else result[()]


def write(dataset: h5py.Dataset, values: Any, selection: Any, threads: int) -> None:
    """See `hdf5.write`."""
    threads = _check(dataset, threads)
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError("a masked array's mask would be lost: fill it first (values.filled(nan))")
    selection = () if selection is None else selection
    layout = _layout(dataset, to_write=True)
    axes = None if layout is None else _basic(selection, dataset.shape)
    if layout is None or axes is None or dataset.file.mode == "r":
        with hdf5.explained(dataset):
            dataset[selection] = values
        return
    values = np.asarray(values, None if isinstance(values, np.ndarray) else dataset.dtype)
    source = _broadcast(values, shape_of(axes))
    if source is None or not _is_converted_alike(source.dtype, dataset.dtype):
        dataset[selection] = values
        return
    chunksize.warn(f"the dataset {dataset.name}", dataset.shape, layout.chunks, dataset.dtype.itemsize, "hdf5", 4)
    worker, fill = _Chunks(dataset, layout), _Fill(dataset)
    count, pieces = pieces_of(axes, layout.chunks)

    def tasks() -> Iterator[tuple[Piece, bytes | np.ndarray | None, np.ndarray]]:
        for piece in pieces:
            part = source[_all(piece.target)]
            with phil:
                stored = dataset.id.get_chunk_info_by_coord(piece.offset)
                if stored.byte_offset is None:
                    old = None if piece.whole else fill.of_new_chunks(piece.offset)
                elif not worker.config.keeps_rewrites:
                    where = f"the chunk at {piece.offset} of {dataset.name}"
                    if stored.filter_mask:
                        raise ParameterError(
                            f"HDF5 has stored {where} without the filter, and keeps that in mind: make the dataset "
                            f"without data, and write them by hdf5.write"
                        )
                    if not piece.is_all_of(dataset.shape, layout.chunks):
                        raise ParameterError(
                            f"{where} is there, and would be encoded once more, with new errors: write whole chunks, "
                            f"of shape {layout.chunks}"
                        )
                    old = None if piece.whole else fill.of_new_chunks(piece.offset)
                elif stored.filter_mask:
                    # HDF5 2.0 has been seen to keep the mask in mind, or in the file, when such a
                    # chunk is replaced directly by a filtered one
                    dataset[piece.selection] = part
                    continue
                else:
                    old = None if piece.whole else dataset.id.read_direct_chunk(piece.offset)[1]
            yield piece, old, part

    def store(batch: list[Any], encoded: list[bytes]) -> None:
        for (piece, *_), data in zip(batch, encoded, strict=True):
            with phil:
                dataset.id.write_direct_chunk(piece.offset, data)

    _run_batches(tasks(), count, worker.nbytes, _each(worker.encode, worker.name), store, threads)


def _broadcast(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The values in the shape of the selection, or None; more leading axes of length 1 are fine for h5py."""
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        return None
