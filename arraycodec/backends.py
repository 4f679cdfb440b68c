"""Compressors of bytes behind a codec of ours: chunks in chunks (docs/format.md, "Backends").

The standard library's, and numcodecs' zstd.  The C core knows their chunks, but does not undo them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from . import _core
from .errors import DecodeError, FormatError


def _module(name: str) -> Any:
    """A compressor's module, imported only when it is wanted: not every Python has all of them, nor a use for them."""
    return import_module(name)


def _zstd() -> Any:
    return _module("numcodecs.zstd")


class _Backend(NamedTuple):
    """A compressor.

    Attributes
    ----------
    code : int
        Of the format.
    levels : range
        What it takes.
    default : int
        Its level where none is given: that of the compressor's own command.
    compress : callable
        Of bytes and a level.
    decompress : callable
        Of bytes and the size that they must have then; at most a byte more is ever allocated.  It raises whatever the
        compressor does.
    """

    code: int
    levels: range
    default: int
    compress: Callable[[bytes, int], bytes]
    decompress: Callable[[bytes, int], bytes]


def _decompress_with(decompressor: Any, data: bytes, size: int) -> bytes:
    """By an incremental decompressor of the standard library, which must have come to its end."""
    try:
        result = decompressor.decompress(data, size + 1)
    except Exception as error:
        if type(error).__module__ in ("_lzma", "lzma", "zlib"):  # their own errors are no ValueErrors
            raise ValueError(str(error)) from error
        raise
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("the compressed bytes end too early, or too late")
    return result


def _zstd_size(data: bytes) -> int | None:
    """What the frame says of the size of its content (RFC 8878, 3.1.1.1); None where it says nothing."""
    if len(data) < 5:
        return None
    descriptor = data[4]
    single = descriptor >> 5 & 1
    length = (single, 2, 4, 8)[descriptor >> 6]
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    if not length or len(data) < start + length:
        return None
    return int.from_bytes(data[start : start + length], "little") + (256 if length == 2 else 0)


def _zstd_end(data: bytes) -> int:
    """Where a frame ends that has the size of its content: numcodecs would go on with others behind it."""
    descriptor = data[4]
    at = 5 + (not descriptor >> 5 & 1) + (0, 1, 2, 4)[descriptor & 3] + (1, 2, 4, 8)[descriptor >> 6]
    while at < len(data):
        head = int.from_bytes(data[at : at + 3], "little")
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)  # a run of one byte, or as many as it says
        if head & 1:
            return at + 4 * (descriptor >> 2 & 1)
    return at + 1


def _decompress_zstd(data: bytes, size: int) -> bytes:
    if _zstd_size(data) != size:  # numcodecs would allocate whatever the frame says
        raise ValueError(f"a frame of {_zstd_size(data)} bytes, not {size}")
    if size > len(data) << 15:  # four bytes make a block of 2**17 at most
        raise ValueError(f"a frame of {size} bytes in {len(data)}")
    if _zstd_end(data) != len(data):
        raise ValueError("the frame ends too early, or too late")
    return bytes(_zstd().decompress(data, bytearray(size)))


#: What decompressing level 9 takes (a dictionary of 64 MiB), and a little more; damaged chunks may ask for GiB.
_XZ_MEMORY = 72 << 20
_FORMAT_XZ, _CHECK_NONE = 1, 0  # of liblzma's lzma.FORMAT_XZ and lzma.CHECK_NONE

BACKENDS = {
    "bz2": _Backend(
        1,
        range(1, 10),
        9,
        lambda data, level: _module("bz2").compress(data, level),
        lambda data, size: _decompress_with(_module("bz2").BZ2Decompressor(), data, size),
    ),
    "lzma": _Backend(
        2,
        range(10),
        6,
        lambda data, level: _module("lzma").compress(data, _FORMAT_XZ, _CHECK_NONE, level),
        lambda data, size: _decompress_with(_module("lzma").LZMADecompressor(_FORMAT_XZ, _XZ_MEMORY), data, size),
    ),
    "zlib": _Backend(
        3,
        range(10),
        6,
        lambda data, level: _module("zlib").compress(data, level),
        lambda data, size: _decompress_with(_module("zlib").decompressobj(), data, size),
    ),
    "zstd": _Backend(4, range(1, 23), 3, lambda data, level: _zstd().compress(data, level), _decompress_zstd),
}
NAMES = {backend.code: name for name, backend in BACKENDS.items()}


def compress(chunk: bytes, name: str, level: int | None) -> bytes:
    """A chunk around the compressed form of one; the chunk itself where that is no larger, or has no values.

    Parameters
    ----------
    chunk : bytes
    name : str
        Of a backend.
    level : int or None
        None is the backend's default.
    """
    backend = BACKENDS[name]
    if not 0 < _core.Chunk(chunk).count < 1 << 31:  # there is no chunk of one block of it
        return chunk
    wrapped = _core.wrap(chunk, backend.code, backend.compress(chunk, backend.default if level is None else level))
    return wrapped if len(wrapped) < len(chunk) else chunk


def parse(block: bytes) -> tuple[str, int, bytes]:
    """Name of the backend, size of the chunk in it, compressed bytes."""
    name = NAMES.get(block[0]) if block else None
    if name is None:
        raise FormatError(f"no backend has the code {block[0] if block else None}")
    size = shift = 0
    for i, byte in enumerate(block[1:11], 1):
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if byte == 0 and shift > 7:
                break
            return name, size, block[i + 1 :]
    raise FormatError("the size of the chunk in a backend's is not valid")


def decompress(chunk: _core.Chunk) -> _core.Chunk:
    """The chunk that a backend has compressed; what its header says is what the header around it says.

    Raises
    ------
    DecodeError
        If the compressed bytes are damaged, or are something else.
    """
    name, size, data = parse(chunk.block())
    if size > 2 * chunk.nbytes + 4096:  # more than any encoder makes of so many values
        raise FormatError(f"a chunk of {size} bytes for {chunk.nbytes} bytes of values")
    try:
        found = BACKENDS[name].decompress(data, size)
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise FormatError(f"{name} cannot decompress a chunk: {error}") from error
    if len(found) != size:
        raise FormatError(f"{name} has decompressed {len(found)} bytes or more, not {size}")
    try:
        inner = _core.Chunk(found)
    except DecodeError as error:
        raise FormatError(f"what {name} has decompressed is no chunk: {error}") from error
    same = ("element", "order", "shape", "tol", "rtol", "delta", "whole")
    if inner.codec != _core.QUANTIZED or any(getattr(inner, a) != getattr(chunk, a) for a in same):
        raise FormatError("the header of a chunk and that of the chunk in it disagree")
    return inner
