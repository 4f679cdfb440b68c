"""Arrays to self-describing chunks and back: the one door to the C core.

Here live the rules about dtypes, byte order, memory order, contiguity and allocation.  Everything
else in the package (Zarr v2 and v3, HDF5, the command line) goes through these functions.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core
from .config import Config, check_threads
from .errors import ParameterError, SizeError

_DTYPE_CODES = {np.dtype("f4"): _core.FLOAT32, np.dtype("f8"): _core.FLOAT64}
_DTYPES = {name: np.dtype(name) for name in ("<f4", ">f4", "<f8", ">f8")}

#: Without a host that knows the size of a chunk, `decode` allocates at most this many bytes, or
#: 1000 times the chunk where that is more; `max_output` lifts the limit.
DEFAULT_MAX_OUTPUT = 4 << 30


def is_supported(dtype: Any) -> bool:
    """Whether arrays of this dtype (of either byte order) can be encoded."""
    dtype = np.dtype(dtype)
    return dtype.kind == "f" and dtype.newbyteorder("=") in _DTYPE_CODES


def _dtype_code(dtype: np.dtype) -> int:
    if not is_supported(dtype):
        raise TypeError(f"arraycodec encodes float32 and float64 arrays, not {dtype}")
    return _DTYPE_CODES[dtype.newbyteorder("=")]


def _is_big_endian(dtype: np.dtype) -> bool:
    return dtype.newbyteorder("=") != dtype  # hosts are little-endian


def _threads(threads: Any) -> int:
    """A number of threads as the core takes it."""
    if type(threads) is int and 1 <= threads <= _core.MAX_THREADS:
        return threads
    return min(check_threads(threads), _core.MAX_THREADS)


def encode(array: Any, tol: float, threads: int = 1, **tuning: int) -> bytes:
    """Encode an array as one self-describing chunk.

    Parameters
    ----------
    array : array_like
        float32 or float64, either byte order, any shape up to 32 dimensions, any strides.  A
        Fortran-contiguous array is stored in its memory order, everything else in C order.
    tol : float
        Absolute tolerance, finite and >= 0, in the units of `array`; 0 is lossless.
    threads : int
        How many threads may encode blocks (2**18 values each) at once, the calling one included.
        The bytes do not depend on it.
    **tuning : int
        Encoder choices forced by tests: `block_len`, `group`, `lanes`, `prob_bits`.

    Returns
    -------
    bytes
        The chunk.  At most 1 byte per 2**18 values, 8 bytes of index per 2**18 values, and a
        header of about 20 bytes larger than the array.

    Raises
    ------
    TypeError
        If the dtype is not supported, or `tol` is not a number, or `threads` no integer.
    ParameterError
        If `tol` is negative, NaN or infinite, `threads` below 1, or the array has too many dimensions.

    Notes
    -----
    Every finite value comes back within `tol` in exact arithmetic; NaN (payload included) and
    infinities come back bit for bit.  ``docs/guarantee.md`` has the proof, ``docs/format.md`` the
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
    if type(array) is np.ndarray and type(tol) is float and not tuning:  # what needs no decision, in one call
        chunk = _core.encode_plain(array, tol, _threads(threads))
        if chunk is not None:
            return chunk
    tol = Config(tol).require_tol()
    threads = _threads(threads)
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("a masked array's mask would be lost: fill it first (array.filled(nan))")
    a = np.asarray(array)
    code = _dtype_code(a.dtype)
    f_order = a.flags.f_contiguous and not a.flags.c_contiguous
    if not (a.flags.c_contiguous or f_order) or not a.flags.aligned:
        a = np.array(a, order="F" if f_order else "C")
    flat = a.reshape(-1, order="F" if f_order else "C")
    return _core.encode(flat.view(np.uint8), code, _is_big_endian(a.dtype), f_order, a.shape, tol, threads, **tuning)


@dataclass(frozen=True)
class Header:
    """What the header of a chunk says (see `peek`).

    Attributes
    ----------
    dtype : numpy.dtype
        With the byte order of the array that was encoded.
    shape : tuple of int
    order : {"C", "F"}
        Memory order of the values in the chunk.
    tol : float
        The tolerance asked for; 0 if lossless.
    delta : float
        Reconstructions are integer multiples of it; 0 if lossless.
    count : int
        Number of values.
    block_len, n_blocks : int
        Values per block (the last may be shorter), and number of blocks.
    header_size : int
        Bytes of header and block index.
    version : int
        Format version.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    order: str
    tol: float
    delta: float
    count: int
    block_len: int
    n_blocks: int
    header_size: int
    version: int

    @property
    def nbytes(self) -> int:
        """Size of the decoded array in bytes."""
        return self.count * self.dtype.itemsize


def _read(buf: Any) -> _core.Chunk:
    """A chunk in anything with a buffer, its header read and verified."""
    if type(buf) is bytes:
        return _core.Chunk(buf)
    try:
        view = memoryview(buf)
    except TypeError:
        raise TypeError(f"a chunk must be bytes or a buffer of them, not {type(buf).__name__}") from None
    if not view.c_contiguous or "O" in view.format:
        raise ParameterError("a chunk's buffer must be contiguous bytes")
    return _core.Chunk(view)


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
    return _header(_read(buf))


def _header(chunk: _core.Chunk) -> Header:
    return Header(
        _DTYPES[chunk.dtype],
        chunk.shape,
        chunk.order,
        chunk.tol,
        chunk.delta,
        chunk.count,
        chunk.block_len,
        chunk.n_blocks,
        chunk.header_size,
        chunk.version,
    )


def _check_output(nbytes: int, size: int, max_output: int | None) -> None:
    limit = max(DEFAULT_MAX_OUTPUT, 1000 * size) if max_output is None else max_output
    if nbytes > limit:
        raise SizeError(f"a chunk of {size} bytes claims {nbytes} bytes of values, more than max_output={limit}")


def decode(buf: Any, out: Any = None, *, max_output: int | None = None, threads: int = 1) -> np.ndarray:
    """Decode a chunk.

    Parameters
    ----------
    buf : bytes-like
        A chunk made by `encode`, by any front.
    out : writable buffer, optional
        Where to put the values: a float array of the chunk's shape, or contiguous memory of its size
        (bytes, or an array of the chunk's dtype), which is filled in memory order.
    max_output : int, optional
        Refuse chunks that claim more bytes of values than this, before anything is allocated.
        Default: 4 GiB, or 1000 times the chunk's own size where that is more.
    threads : int
        How many threads may decode blocks (2**18 values each) at once, the calling one included.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array with the dtype (byte order included), shape and memory order of the
        array that was encoded.

    Raises
    ------
    DecodeError
        If the chunk is corrupt (`FormatError`, `TruncatedError`, `ChecksumError`), of an unknown
        version (`VersionError`), or its size is not what `out` or `max_output` expects
        (`SizeError`).  `out` may then have been written in part.
    TypeError, ParameterError
        If `threads` is no integer, or below 1.
    """
    threads = _threads(threads)
    chunk = _read(buf)
    if out is None:
        _check_output(chunk.nbytes, chunk.size, max_output)
        result = np.empty(chunk.shape, _DTYPES[chunk.dtype], chunk.order)
        chunk.decode_into(result, threads)
        return result
    if type(out) is not np.ndarray or not chunk.decode_plain(out, threads):
        _decode_out(chunk, out, threads)
    return out


def _decode_out(chunk: _core.Chunk, out: Any, threads: int) -> None:
    """Decode into the caller's `out`: straight into its memory where that is possible."""
    header = _header(chunk)
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out is a masked array: pass its data (out.data)")
    if not isinstance(out, np.ndarray):
        view = memoryview(out)
        if not view.c_contiguous or view.readonly:
            raise ParameterError("out must be a writable contiguous buffer")
        out = np.frombuffer(view, np.uint8)
    if not out.flags.writeable:
        raise ParameterError("out is read-only")
    memory_order = out.flags.c_contiguous or out.flags.f_contiguous
    is_bytes = out.dtype.itemsize == 1 and out.dtype.kind in "uiVS"
    if out.shape == header.shape and out.dtype.kind == "f":
        in_order = out.flags.f_contiguous if header.order == "F" else out.flags.c_contiguous
        as_memory = in_order and out.dtype == header.dtype
    elif memory_order and (is_bytes or out.dtype == header.dtype):
        as_memory = True
        if out.nbytes != header.nbytes:
            raise SizeError(f"the chunk holds {header.nbytes} bytes of values, out has room for {out.nbytes}")
    else:
        raise ParameterError(
            f"out ({out.dtype}, shape {out.shape}) is neither a float array of the chunk's shape {header.shape} "
            f"nor contiguous memory for {header.dtype} values"
        )
    if as_memory and out.ctypes.data % header.dtype.itemsize == 0:
        chunk.decode_into(out, threads)
        return
    values = np.empty(header.shape, header.dtype, order=header.order)
    chunk.decode_into(values, threads)
    if as_memory:
        _memory(out)[...] = _memory(values)
    else:
        out[...] = values


def _memory(a: np.ndarray) -> np.ndarray:
    """The bytes of a contiguous array, in memory order, as a view."""
    return a.reshape(-1, order="C" if a.flags.c_contiguous else "F").view(np.uint8)


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
    chunk = _read(buf)
    if first < 0 or count < 0 or first + count > chunk.count:
        raise ParameterError(f"values [{first}, {first + count}) of a chunk of {chunk.count}")
    values = np.empty(count, _DTYPES[chunk.dtype])
    chunk.decode_range_into(first, count, values)
    return values


@dataclass(frozen=True)
class Block:
    """What one block of a chunk says of itself.

    Attributes
    ----------
    mode : {"raw", "constant", "windows"}
    offset, size : int
        Its bytes within the chunk.
    count : int
        Its values.
    classes, lanes, prob_bits, group : int
        Number of class windows, rANS lanes, probability bits, values per group; 0 where the mode
        has none.
    window_exceptions : int
        Values quantized but outside their window.
    raw_exceptions : int
        Values stored bit for bit.
    """

    mode: str
    offset: int
    size: int
    count: int
    classes: int
    lanes: int
    prob_bits: int
    group: int
    window_exceptions: int
    raw_exceptions: int


@dataclass(frozen=True)
class ChunkInfo:
    """A chunk described: its header, its size in bytes, its blocks (see `inspect`)."""

    header: Header
    size: int
    blocks: tuple[Block, ...]

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
        """Values outside their window or stored bit for bit, over all windows blocks."""
        return sum(block.window_exceptions + block.raw_exceptions for block in self.blocks)


def inspect(buf: Any) -> ChunkInfo:
    """Describe a chunk and all its blocks without decoding values; checksums are verified.

    Raises
    ------
    DecodeError
        As `decode`.
    """
    chunk = _read(buf)
    return ChunkInfo(_header(chunk), chunk.size, tuple(Block(**block) for block in chunk.inspect()))


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


def verify(original: Any, decoded: Any, tol: float) -> Check:
    """Check the promise: ``|original - decoded| <= tol`` in exact arithmetic, non-finite bits kept.

    Parameters
    ----------
    original, decoded : array_like
        float32 or float64 arrays of the same shape and type (byte order may differ).
    tol : float
        Absolute tolerance, >= 0.

    Returns
    -------
    Check
        True if the promise holds.

    Raises
    ------
    TypeError
        If the dtypes differ or are not supported.
    ParameterError
        If the shapes differ, or `tol` is not valid.
    """
    if tol is None:
        raise TypeError("tol must be a number, not None")
    tol = Config(tol).require_tol()
    a, b = np.asarray(original), np.asarray(decoded)
    code = _dtype_code(a.dtype)
    if _dtype_code(b.dtype) != code:
        raise TypeError(f"cannot compare {a.dtype} with {b.dtype}")
    if a.shape != b.shape:
        raise ParameterError(f"cannot compare shapes {a.shape} and {b.shape}")
    native = a.dtype.newbyteorder("=")
    return Check(*_core.check_bound(code, *(np.ascontiguousarray(x, native).reshape(-1) for x in (a, b)), tol))
