"""Arrays to self-describing chunks and back: the one door to the C core.

Here live the rules about dtypes, byte order, memory order, contiguity and allocation.  Everything
else in the package (Zarr v2 and v3, HDF5, the command line) goes through these functions.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, overload

import numpy as np

from . import _core, backends, details
from .config import Config, check_threads
from .dtypes import describe, element_name, fill_bytes, numpy_dtype
from .errors import FormatError, ParameterError, SizeError
from .names import Predictor, View
from .selection import Axis, Cut, ascending, normalize, shape_of

_EXPORTED = frozenset("fiucb")  # kinds of dtypes of which NumPy exports buffers

#: Without a host that knows the size of a chunk, `decode` allocates at most this many bytes, or
#: 1000 times the chunk where that is more; `max_output` lifts the limit.
DEFAULT_MAX_OUTPUT = 4 << 30


def _threads(threads: Any) -> int:
    """A number of threads as the core takes it."""
    if type(threads) is int and 1 <= threads <= _core.MAX_THREADS:
        return threads
    return min(check_threads(threads), _core.MAX_THREADS)


def encode(
    array: Any,
    tol: float | None = None,
    threads: int = 1,
    *,
    rtol: float | None = None,
    fill_value: Any = None,
    dtype: View | None = None,
    level: int | None = None,
    predictor: Predictor | None = None,
    **tuning: int,
) -> bytes:
    """Encode an array as one self-describing chunk.

    Parameters
    ----------
    array : array_like
        float16, float32, float64, bfloat16 (of ml_dtypes), complex64, complex128, any integer, bool,
        datetime64 or timedelta64; either byte order, any shape up to 32 dimensions, any strides.  A
        Fortran-contiguous array is stored in its memory order, everything else in C order.
    tol : float, optional
        Absolute tolerance, finite and >= 0, in the units of `array`; 0 is lossless.  Of complex numbers
        it bounds each part; integers use its whole part; bool and dates are always lossless.
    threads : int
        How many threads may encode blocks (up to 2**18 values each) at once, the calling one included.
        The bytes do not depend on it.
    rtol : float, optional
        Pointwise relative tolerance, 0 <= rtol < 1, for floats and complex numbers.  With both, the
        larger of ``tol`` and ``rtol * |x|`` applies to each value; with `rtol` alone, zeros and
        subnormal numbers are kept.  Integers are not changed for its sake.
    fill_value : number, optional
        What stands for missing values: they come back bit for bit, and cost a bitmap.  NaN and
        infinities always do.
    dtype : {None, "bfloat16"}
        What the elements of a uint16 array are.
    level : int, optional
        How hard the encoder looks for the smallest chunk: 1 is fast, 9 the smallest; None is the default, 5.
        The bound is the same at every level, and so is the decoder.
    predictor : {None, "none", "auto", "lorenzo", "interpolation", "linear"}
        What integers and floats (but with a relative bound) are predicted from: nothing, what is best of all, values
        before (Lorenzo), coarser grids, or many values before in a row.  None is the default, "auto".  The bound
        is the same with all of them, and so is the decoder.
    **tuning : int
        Encoder choices forced by tests: `block_len`, `box_len`, `group`, `lanes`, `prob_bits`, `coder`.

    Returns
    -------
    bytes
        The chunk.  Larger than the array by at most a header of about 20 bytes and 9 bytes a block, of up
        to 2**18 values.

    Raises
    ------
    TypeError
        If the dtype is not supported, or `tol` or `rtol` is not a number, or `threads` or `level` no integer, or
        `predictor` no string.
    ParameterError
        If `tol` or `rtol` is negative, NaN or infinite or neither is given, `rtol` is 1 or more, `threads`
        below 1, `level` outside 1 to 9, `predictor` another name, the array has too many dimensions, or its dtype
        cannot hold `fill_value`.

    Notes
    -----
    For every finite value, ``|x - x'| <= max(tol, rtol * |x|)`` in exact arithmetic; NaN (payload included)
    and infinities come back bit for bit.  ``docs/guarantee.md`` has the proof, ``docs/format.md`` the
    bytes.  The entropy stage is interleaved rANS (J. Duda, arXiv:1311.2540; F. Giesen,
    arXiv:1402.3392).

    Examples
    --------
    >>> import numpy as np
    >>> from arraycodec import decode, encode
    >>> x = np.linspace(0, 1, 1000, dtype="f4")
    >>> bool(np.abs(decode(encode(x, tol=2**-10)) - x).max() <= 2**-10)
    True
    """
    if rtol is None and fill_value is None and dtype is None and level is None and predictor is None and not tuning:
        if type(tol) is float and type(array) is np.ndarray:  # what needs no decision, in one call
            chunk = _core.encode_plain(array, tol, _threads(threads))
            if chunk is not None:
                return chunk
    return encode_with(Config(tol, rtol, fill_value, dtype, level, predictor), array, threads, **tuning)


class Encoder(Protocol):
    """Parameters that know how to encode: of codecs whose encoder is not only the core's."""

    def encode(self, values: Any, threads: int) -> bytes:
        """Encode an array as one chunk."""


def encode_with(config: Config | Encoder, array: Any, threads: int = 1, **tuning: Any) -> bytes:
    """`encode` with parameters that are checked already."""
    if not isinstance(config, Config):
        return config.encode(array, _threads(threads))
    if config.is_plain and type(array) is np.ndarray and not tuning:
        assert config.tol is not None  # or it would not be plain
        chunk = _core.encode_plain(array, config.tol, _threads(threads), config.level or 0, config.predictor_code)
        if chunk is not None:
            return chunk
    tol, rtol = config.require_tolerances()
    threads = _threads(threads)
    a = as_array(array)
    if config.dtype is not None and a.dtype.newbyteorder("=") != np.uint16 and a.dtype.name != config.dtype:
        raise TypeError(f'dtype="{config.dtype}" is for uint16 arrays, not {a.dtype}')
    code, big_endian, unit, multiple = describe(a.dtype, config.dtype)
    fill = fill_bytes(config.fill_value, a.dtype, config.dtype)
    flat, f_order = contiguous(a)
    more: dict[str, Any] = {
        "rtol": rtol, "fill": fill, "unit": unit, "multiple": multiple, "level": config.level or 0,
        "predictor": config.predictor_code,
    }  # fmt: skip
    if config.coder is not None:
        more["coder"] = config.coder_code
    chunk = _core.encode(flat, code, big_endian, f_order, a.shape, tol, threads, **more, **tuning)
    return chunk if config.backend is None else backends.compress(chunk, config.backend, config.backend_level)


def as_array(array: Any) -> np.ndarray:
    """What is to be encoded, or a TypeError for what would lose something by that."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("a masked array's mask would be lost: fill it first (array.filled(nan))")
    return np.asarray(array)


def contiguous(a: np.ndarray) -> tuple[np.ndarray, bool]:
    """The bytes of an array in the order in which it is stored, and whether that is Fortran order."""
    f_order = a.flags.f_contiguous and not a.flags.c_contiguous
    if not (a.flags.c_contiguous or f_order) or not a.flags.aligned:
        a = np.array(a, order="F" if f_order else "C")
    return a.reshape(-1, order="F" if f_order else "C").view(np.uint8), f_order


@dataclass(frozen=True)
class Header:
    """What the header of a chunk says (see `peek`).

    Attributes
    ----------
    dtype : numpy.dtype
        With the byte order of the array that was encoded; uint16 for bfloat16 where NumPy has none.
    element : str
        What the elements are: the dtype's name, or "bfloat16".
    shape : tuple of int
    order : {"C", "F"}
        Memory order of the values in the chunk.
    tol : float
        The absolute tolerance asked for.
    rtol : float
        The relative tolerance; 0 without one, or where it is too small to permit anything.
    delta : float
        Of floats: reconstructions are integer multiples of it; 0 if lossless, or relative only.
    whole : int
        Of integers: the tolerance.
    count : int
        Number of elements.
    block_len, n_blocks : int
        Elements per block (the last may be shorter; of boxes those along an axis), and number of blocks.
    box : tuple of int or None
        Where blocks are boxes: their extents along every axis.  Else they are runs in memory order.
    header_size : int
        Bytes of header and block index.
    version : int
        Format version.
    codec : {"quantized", "backend", "stochastic", "low rank"}
        What the values are stored by; all but the first have one block.
    """

    dtype: np.dtype
    element: str
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    tol: float
    rtol: float
    delta: float
    whole: int
    count: int
    block_len: int
    n_blocks: int
    box: tuple[int, ...] | None
    header_size: int
    version: int
    codec: str = "quantized"

    @property
    def nbytes(self) -> int:
        """Size of the decoded array in bytes."""
        return self.count * self.dtype.itemsize

    @property
    def cut(self) -> Cut:
        """How the array is cut into blocks."""
        return Cut(self.shape, self.order, self.box, self.block_len)

    def _repr_html_(self) -> str:
        from . import html

        return html.of_header(self)


def open_chunk(buf: Any) -> _core.Chunk:
    """A chunk in anything with a buffer, its header read and verified.

    The functions below take what this returns in the place of a buffer, so that a front that looks
    at the header and then decodes has it read once.
    """
    if type(buf) is bytes:
        return _core.Chunk(buf)
    if type(buf) is _core.Chunk:
        return buf
    try:
        view = memoryview(buf)
    except TypeError:
        raise TypeError(f"a chunk must be bytes or a buffer of them, not {type(buf).__name__}") from None
    if not view.c_contiguous or "O" in view.format:
        raise ParameterError("a chunk's buffer must be contiguous bytes")
    return _core.Chunk(view)


def _open_values(buf: Any, max_output: float | None = None) -> _core.Chunk:
    """`open_chunk` for whoever wants values: what a backend has compressed is undone.

    Of chunks with one block all values are decoded, so `max_output` is about all of them.
    """
    chunk = open_chunk(buf)
    if chunk.codec != _core.QUANTIZED:
        _check_output(chunk.nbytes, chunk.size, max_output)
    return backends.decompress(chunk) if chunk.codec == _core.BACKEND else chunk


def peek(buf: Any) -> Header:
    """Read and verify the header of a chunk.

    Parameters
    ----------
    buf : bytes-like
        A chunk, or at least its header and block index.

    Raises
    ------
    DecodeError
        If the header is not valid, not complete, or its checksum does not match.
    """
    return _header(open_chunk(buf))


def _header(chunk: _core.Chunk) -> Header:
    box, block_len, n_blocks = chunk.blocks
    return Header(
        numpy_dtype(chunk.element),
        element_name(chunk.element),
        chunk.shape,
        chunk.order,
        chunk.tol,
        chunk.rtol,
        chunk.delta,
        chunk.whole,
        chunk.count,
        block_len,
        n_blocks,
        box,
        chunk.header_size,
        chunk.version,
        _core.CODECS[chunk.codec],
    )


def decode_expected(buf: Any, dtype: np.dtype, count: int, memory: np.ndarray) -> None:
    """Decode a chunk for a host that knows what is in it.

    Parameters
    ----------
    buf : bytes-like
        A chunk in C order.
    dtype : numpy.dtype
        Byte order included; uint16 for bfloat16.
    count : int
        Number of values.
    memory : numpy.ndarray
        Contiguous memory for them, aligned for the dtype, to be written.

    Raises
    ------
    DecodeError
        As `decode`, and if the chunk holds something else.
    """
    chunk = _open_values(buf, math.inf)
    if not same_elements(numpy_dtype(chunk.element), dtype):
        raise SizeError(f"the chunk holds {numpy_dtype(chunk.element)} values, not {dtype}")
    if chunk.count != count:
        raise SizeError(f"the chunk holds {chunk.count} values, not {count}")
    if chunk.order == "F" and len(chunk.shape) > 1:
        raise FormatError("the chunk's values are in Fortran order")
    chunk.decode_into(_memory(memory))


def same_elements(of_chunk: np.dtype, dtype: np.dtype) -> bool:
    """Whether a host's dtype is what a chunk holds: bfloat16 may be uint16 there."""
    if of_chunk == dtype:
        return True
    return of_chunk.name == "bfloat16" and dtype == np.uint16 and dtype.isnative


def cut_of(shape: tuple[int, ...], dtype: np.dtype) -> Cut:
    """How `encode` cuts an array in C order into blocks, if it can be predicted."""
    box, block_len, _ = _core.blocks(describe(dtype)[0], False, shape)
    return Cut(shape, "C", box, block_len)


def index_bound(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes that hold header and block index of any chunk that `encode` makes of such an array in C order."""
    fixed, unit, tolerances, varint, extent = 8, 6, 34, 10, 3
    n_blocks = _core.most_blocks(describe(dtype)[0], shape)
    return fixed + unit + tolerances + varint + (varint + extent) * len(shape) + 8 * n_blocks + 4


def block_offsets(buf: Any, header: Header) -> np.ndarray:
    """Where the blocks of a chunk begin, and where the last one ends.

    Parameters
    ----------
    buf : bytes-like
        A chunk, or at least its header and block index.
    header : Header
        What `peek` says of it.

    Returns
    -------
    numpy.ndarray
        ``header.n_blocks + 1`` offsets, int64.
    """
    index = np.frombuffer(buf, "<u4", 2 * header.n_blocks, header.header_size - 4 - 8 * header.n_blocks)
    return header.header_size + np.concatenate(([0], np.cumsum(index[::2], dtype=np.int64)))


def _check_output(nbytes: int, size: int, max_output: float | None) -> None:
    limit = max(DEFAULT_MAX_OUTPUT, 1000 * size) if max_output is None else max_output
    if nbytes > limit:
        raise SizeError(f"a chunk of {size} bytes claims {nbytes} bytes of values, more than max_output={limit}")


_Out = TypeVar("_Out")


@overload
def decode(
    buf: Any, out: None = None, *, selection: Any = None, max_output: int | None = None, threads: int = 1
) -> np.ndarray: ...


@overload
def decode(
    buf: Any, out: _Out, *, selection: Any = None, max_output: int | None = None, threads: int = 1
) -> _Out: ...


def decode(
    buf: Any, out: Any = None, *, selection: Any = None, max_output: int | None = None, threads: int = 1
) -> Any:
    """Decode a chunk, or a part of it.

    Parameters
    ----------
    buf : bytes-like
        A chunk made by `encode`, by any front.
    out : writable buffer, optional
        Where to put the values: an array of the chunk's shape, of its dtype or one to which that is cast
        "same_kind", or contiguous memory of its size (bytes, or an array of the chunk's dtype), which is
        filled in memory order.  With a selection: an array of the selection's shape.
    selection : int, slice, Ellipsis, or tuple of them, optional
        Decode ``array[selection]`` only: NumPy's basic indexing, with any steps.  Only the blocks (boxes of
        at most 2**18 values) that it touches are verified and decoded; chunks of `StochasticQuant`, `LowRankQuant` and
        backends have one block, and are decoded whole.
    max_output : int, optional
        Refuse chunks that claim more bytes of values than this, before anything is allocated.
        Default: 4 GiB, or 1000 times the chunk's own size where that is more.  With a selection
        what counts is what it selects (of chunks with one block, all).
    threads : int
        How many threads may decode blocks (up to 2**18 values each) at once, the calling one included.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array with the dtype (byte order included), shape and memory order of the
        array that was encoded; bfloat16 is that of ml_dtypes, or uint16 where that is not installed.  With
        a selection the shape is that of ``array[selection]``; a single value is an array of no dimensions.

    Raises
    ------
    DecodeError
        If the chunk is corrupt (`FormatError`, `TruncatedError`, `ChecksumError`), of an unknown
        version (`VersionError`), or its size is not what `out` or `max_output` expects
        (`SizeError`).  `out` may then have been written in part.
    IndexError
        If the selection leaves the array, or has more indices than the array has dimensions.
    TypeError, ParameterError
        If `threads` is no integer, or below 1.
    TypeError
        If the selection has other kinds of indices (lists, arrays, masks, None), or `out` is a masked array or one of
        Python objects.

    Examples
    --------
    >>> x = np.arange(12, dtype="f4").reshape(3, 4)
    >>> decode(encode(x, tol=0), selection=np.s_[1:, -1])
    array([ 7., 11.], dtype=float32)
    """
    threads = _threads(threads)
    chunk = _open_values(buf, max_output if out is None else math.inf)
    if selection is not None:
        return decode_axes(chunk, normalize(selection, chunk.shape), out, max_output, threads)
    if out is None:
        _check_output(chunk.nbytes, chunk.size, max_output)
        dtype = numpy_dtype(chunk.element)
        if dtype.kind not in _EXPORTED:
            result = _new(chunk.shape, dtype, chunk.order)
            chunk.decode_into(_bytes(result), threads)
            return result
        result = np.empty(chunk.shape, dtype, chunk.order)
        chunk.decode_into(result, threads)
        return result
    if type(out) is not np.ndarray or not chunk.decode_plain(out, threads):
        _decode_out(chunk, out, threads)
    return out


def _decode_out(chunk: _core.Chunk, out: Any, threads: int) -> None:
    """Decode into the caller's `out`: straight into its memory where that is possible."""
    header = _header(chunk)
    _check_kind_of_out(out)
    if not isinstance(out, np.ndarray):
        view = memoryview(out)
        if not view.c_contiguous or view.readonly:
            raise ParameterError("out must be a writable contiguous buffer")
        out = np.frombuffer(view, np.uint8)
    if not out.flags.writeable:
        raise ParameterError("out is read-only")
    memory_order = out.flags.c_contiguous or out.flags.f_contiguous
    is_bytes = out.dtype.itemsize == 1 and out.dtype.kind in "uiVS"
    is_same = same_elements(header.dtype, out.dtype)
    if out.shape == header.shape and (is_same or np.can_cast(header.dtype, out.dtype, "same_kind")):
        in_order = out.flags.f_contiguous if header.order == "F" else out.flags.c_contiguous
        as_memory = in_order and is_same
    elif memory_order and (is_bytes or is_same):
        as_memory = True
        if out.nbytes != header.nbytes:
            raise SizeError(f"the chunk holds {header.nbytes} bytes of values, out has room for {out.nbytes}")
    else:
        raise ParameterError(
            f"out ({out.dtype}, shape {out.shape}) is neither an array of the chunk's shape {header.shape} for its "
            f"values nor contiguous memory for {header.dtype} values"
        )
    if as_memory and out.ctypes.data % header.dtype.itemsize == 0:
        chunk.decode_into(_memory(out), threads)
        return
    values = _new(header.shape, header.dtype, header.order)
    chunk.decode_into(_memory(values), threads)
    if as_memory:
        _bytes(out)[...] = _bytes(values)
    else:
        out[...] = values.view(out.dtype) if is_same else values


def _check_kind_of_out(out: Any) -> None:
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out is a masked array: pass its data (out.data)")
    if isinstance(out, np.ndarray) and out.dtype.hasobject:
        raise TypeError(f"out is an array of Python objects ({out.dtype}): pass one of numbers")


def _new(shape: tuple[int, ...], dtype: np.dtype, order: Literal["C", "F"] = "C") -> np.ndarray:
    """An array to be filled; np.empty forgets the byte order of dates without a unit."""
    if dtype.kind in "mM":
        return np.empty(shape, "i8", order).view(dtype)
    return np.empty(shape, dtype, order)


def _memory(a: np.ndarray) -> np.ndarray:
    """A contiguous array as something that exports a buffer of its memory: dates and bfloat16 do not."""
    return a if a.dtype.kind in _EXPORTED else _bytes(a)


def _bytes(a: np.ndarray) -> np.ndarray:
    """The bytes of a contiguous array, in memory order, as a view."""
    return a.reshape(-1, order="C" if a.flags.c_contiguous else "F").view(np.uint8)


def decode_axes(
    buf: Any, axes: tuple[Axis, ...], out: np.ndarray | None = None, max_output: int | None = None, threads: int = 1
) -> np.ndarray:
    """`decode` with a selection as `selection.normalize` returns it.

    Bytes of blocks that are not touched may be anything.
    """
    chunk = _open_values(buf, max_output if out is None else math.inf)
    shape, dtype, order = shape_of(axes), numpy_dtype(chunk.element), chunk.order
    if out is not None:
        _check_selection_out(out, shape, dtype)
    if out is not None and out.dtype == dtype:
        result = out
    else:
        _check_output(math.prod(shape) * dtype.itemsize, chunk.size, max_output)
        result = _new(shape, dtype, order)
    if 0 not in shape:
        slices, index = ascending(axes)
        view = result[index]
        if dtype.kind not in _EXPORTED:
            view = view.view(f"i{dtype.itemsize}")
        chunk.decode_selection_into(slices, view, threads)
        if out is not None and result is not out:
            out[...] = result
    return result if out is None else out


def _check_selection_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    _check_kind_of_out(out)
    if not isinstance(out, np.ndarray) or not np.can_cast(dtype, out.dtype, "same_kind"):
        raise ParameterError(
            f"with a selection, out must be an array for {dtype}, not {getattr(out, 'dtype', type(out))}"
        )
    if out.shape != shape:
        raise ParameterError(f"out has shape {out.shape}, the selection {shape}")
    if not out.flags.writeable:
        raise ParameterError("out is read-only")


def decode_range(buf: Any, first: int, count: int) -> np.ndarray:
    """Decode values ``[first, first + count)`` of a chunk, counted in its memory order.

    Only the blocks that hold them are verified and decoded.

    Returns
    -------
    numpy.ndarray
        One-dimensional, with the chunk's dtype.

    Raises
    ------
    DecodeError
        As `decode`.
    ParameterError
        If the range leaves the chunk.
    """
    first, count = operator.index(first), operator.index(count)
    chunk = _open_values(buf)
    if first < 0 or count < 0 or first + count > chunk.count:
        raise ParameterError(f"values [{first}, {first + count}) of a chunk of {chunk.count}")
    values = _new((count,), numpy_dtype(chunk.element))
    chunk.decode_range_into(first, count, _memory(values))
    return values


@dataclass(frozen=True)
class Block:
    """What one block of a chunk says of itself.

    Attributes
    ----------
    mode : {"raw", "constant", "uniform", "exact", "lattice", "affine", "predicted", "split"}
    offset, size : int
        Its bytes within the chunk.
    count : int
        Its elements.
    varints : bool
        Whether integers are stored as varints, rather than by rANS.
    classes, lanes, prob_bits, group : int
        Number of class windows, rANS lanes, probability bits, values per group; 0 where the mode
        has none.
    low_bytes, difference, folded : int, int, bool
        Of the modes exact and lattice: low bytes coded apart, axis of the difference (0: none, 1: along
        the fastest one, ...), and whether the sign is the lowest bit.
    order : {"", "columns", "sorted", "columns, sorted"}
        The order of its values: as in memory, column by column, or either of them sorted by scale.
    row : int
        Values of a row, if the order is not that of memory.
    masked : int
        Values that a mask stands for.
    copies : int
        Values that stood in the block before.
    window_exceptions : int
        Integers outside their window.
    raw_exceptions : int
        Values that the quantizer refused: stored bit for bit.
    edges : int
        Values that the quantizer refused, but which are known by their position.
    """

    mode: str
    offset: int
    size: int
    count: int
    varints: bool
    classes: int
    lanes: int
    prob_bits: int
    group: int
    low_bytes: int
    difference: int
    folded: bool
    order: str
    row: int
    masked: int
    copies: int
    window_exceptions: int
    raw_exceptions: int
    edges: int


@dataclass(frozen=True)
class ChunkInfo:
    """A chunk described (see `inspect`).

    Attributes
    ----------
    header : Header
    size : int
        Its bytes.
    blocks : tuple of Block
    details : dict or None
        Of a chunk of another codec than `AnsQuant` and `VarintQuant` (``header.codec``): its parameters, by names.
    """

    header: Header
    size: int
    blocks: tuple[Block, ...]
    details: dict[str, Any] | None = field(default=None, hash=False)

    def _repr_html_(self) -> str:
        from . import html

        return html.of_info(self)

    @property
    def bits_per_value(self) -> float:
        """Bits of chunk per value, everything included; NaN for an empty chunk."""
        return 8 * self.size / self.header.count if self.header.count else float("nan")

    @property
    def mode(self) -> str:
        """The mode of the blocks, or "mixed"; "empty" without any."""
        modes = {block.mode for block in self.blocks}
        return modes.pop() if len(modes) == 1 else "mixed" if modes else "empty"

    @property
    def exceptions(self) -> int:
        """Values outside their window, stored bit for bit or known by position, over all blocks."""
        return sum(block.window_exceptions + block.raw_exceptions + block.edges for block in self.blocks)

    @property
    def copies(self) -> int:
        """Values that stood in their block before, over all blocks."""
        return sum(block.copies for block in self.blocks)

    @property
    def masked(self) -> int:
        """Values that masks stand for, over all blocks."""
        return sum(block.masked for block in self.blocks)


def inspect(buf: Any) -> ChunkInfo:
    """Describe a chunk and all its blocks without decoding values; checksums are verified.

    Raises
    ------
    DecodeError
        As `decode`.
    """
    chunk = open_chunk(buf)
    blocks = tuple(Block(**block) for block in chunk.inspect())
    if chunk.codec == _core.QUANTIZED:
        return ChunkInfo(_header(chunk), chunk.size, blocks)
    return ChunkInfo(_header(chunk), chunk.size, blocks, details.of(chunk))


@dataclass(frozen=True)
class Check:
    """Result of `verify`.

    Attributes
    ----------
    violations : int
        Finite values farther than the tolerance, plus non-finite values whose bits changed.
    lost : int
        Of these, NaN or infinities that changed or appeared.
    max_error : float
        Largest absolute difference over finite values.
    """

    violations: int
    lost: int
    max_error: float

    def __bool__(self) -> bool:
        return self.violations == 0

    def _repr_html_(self) -> str:
        from . import html

        return html.of_check(self)


def verify(
    original: Any,
    decoded: Any,
    tol: float | None = None,
    *,
    rtol: float | None = None,
    fill_value: Any = None,
    dtype: View | None = None,
) -> Check:
    """Check the promise in exact arithmetic: ``|original - decoded| <= max(tol, rtol * |original|)``.

    Parameters
    ----------
    original, decoded : array_like
        Arrays of the same shape and dtype (byte order may differ), of any dtype that `encode` takes.
    tol, rtol, fill_value, dtype
        As of `encode`.  Of integers only the whole part of `tol` counts.

    Returns
    -------
    Check
        True if the promise holds: finite values near enough, NaN, infinities and fill values bit for bit.

    Raises
    ------
    TypeError
        If the dtypes differ or are not supported, or no tolerance is given.
    ParameterError
        If the shapes differ, or a parameter is not valid.
    """
    if tol is None and rtol is None:
        raise TypeError("tol must be a number, not None")
    config = Config(tol, rtol, fill_value, dtype)
    tol, rtol = config.require_tolerances()
    a, b = np.asarray(original), np.asarray(decoded)
    (code, _, *unit), (other, _, *other_unit) = describe(a.dtype, dtype), describe(b.dtype, dtype)
    if (code, unit) != (other, other_unit):
        raise TypeError(f"cannot compare {a.dtype} with {b.dtype}")
    if a.shape != b.shape:
        raise ParameterError(f"cannot compare shapes {a.shape} and {b.shape}")
    fill = fill_bytes(config.fill_value, a.dtype, dtype)
    native = [np.require(x, x.dtype.newbyteorder("="), ("C", "A")).reshape(-1).view(np.uint8) for x in (a, b)]
    return Check(*_core.check_bound(code, native[0], native[1], tol, rtol, fill))
