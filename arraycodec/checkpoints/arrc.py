"""The single-file form, ``.arrc``: chunks back to back, an index of them, and a footer that says where that is.

`docs/single-file.md` is the specification.  A file is written from front to back, and read by position, so any number
of threads may read one at a time.  Nothing that the index says is used before it is checked; chunks have checksums of
their own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import struct
import threading
import weakref
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import codec as codec_module
from ..boxes import automatic_chunks, boxes
from ..codec import DEFAULT_MAX_OUTPUT, open_chunk, peek, same_elements
from ..dtypes import is_supported
from ..errors import (
    ChecksumError,
    DecodeError,
    FormatError,
    ParameterError,
    SizeError,
    TruncatedError,
    VersionError,
)
from ..hosted import HostedCodec
from ..selection import Axis, Piece, normalize, pieces_of, shape_of
from ..tasks import run

MAGIC = b"\x89ARRC\r\n\x1a"
VERSION = 0
SUFFIX = ".arrc"
_HEAD = MAGIC + struct.pack("<II", VERSION, 0)
_FOOTER = struct.Struct("<QQQI")  # where the index is, its bytes, those of its JSON; its CRC-32
_END = struct.Struct("<I8s")  # CRC-32 of head and footer so far; the magic once more
_FOOTER_SIZE = _FOOTER.size + _END.size
_DTYPE = re.compile(r"[<>|][biufcmM]\d{1,2}(\[\d{0,9}[a-zA-Zμ]{1,7}\])?")
_MAX_INDEX = 1 << 28  # bytes of JSON
_MAX_AXES = 32


class Entry:
    """What the index says of an array.

    Parameters
    ----------
    name : str
    dtype : numpy.dtype
    shape, chunks : tuple of int
        Of the array, and of its chunks (those at its ends are shorter).
    codec : dict
        What chunks were encoded with: "id" and parameters.  Chunks say themselves what a decoder needs.
    attrs : dict
        JSON values.
    more : dict
        "dimension_names", "fill_value", of hosts that have them.
    listed : tuple of list, optional
        Offsets and sizes as an index has them, and where chunks have to end; without it there are none yet.
    """

    def __init__(
        self, name: str, dtype: np.dtype, shape: tuple[int, ...], chunks: tuple[int, ...], codec: dict[str, Any],
        attrs: dict[str, Any], more: dict[str, Any], listed: tuple[Any, Any, int] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.dtype, self.shape, self.chunks = name, dtype, shape, chunks
        self.codec, self.attrs, self.more, self._listed = codec, attrs, more, listed

    @functools.cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Offset and size of each chunk in bytes, int64, in the shape of the grid of chunks.

        They are checked when they are asked for: an index may have thousands of arrays, of which one is read.
        """
        grid = tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))
        if self._listed is None:
            return np.zeros(grid, np.int64), np.zeros(grid, np.int64)
        *lists, end = self._listed
        offsets, sizes = (_numbers(given, grid, f"chunks of {self.name!r:.100}") for given in lists)
        if offsets.size and (
            offsets.min() < len(_HEAD) or sizes.min() < 1 or sizes.max() > end or (offsets > end - sizes).any()
        ):
            raise FormatError(f"{self.name!r:.100} has chunks outside the file")
        return offsets, sizes

    @property
    def offsets(self) -> np.ndarray:
        """See `places`."""
        return self.places[0]

    @property
    def sizes(self) -> np.ndarray:
        """See `places`."""
        return self.places[1]

    def to_json(self) -> dict[str, Any]:
        """For the index."""
        return {
            "name": self.name, "dtype": self.dtype.str, "shape": self.shape, "chunks": self.chunks,
            "offsets": self.offsets.reshape(-1).tolist(), "sizes": self.sizes.reshape(-1).tolist(),
            "codec": self.codec, "attrs": self.attrs, **self.more,
        }  # fmt: skip

    @classmethod
    def from_json(cls, given: Any, end: int) -> Entry:
        """Checked, but for `places`; chunks end before byte `end`."""
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise FormatError(f"no array of an index: {given!r:.100}")
        name, codec, attrs = given["name"], given.get("codec"), given.get("attrs")
        dtype, shape, chunks = _dtype(given.get("dtype")), _lengths(given.get("shape")), _lengths(given.get("chunks"))
        if dtype is None or shape is None or chunks is None or len(chunks) != len(shape) or 0 in chunks:
            said = {key: given.get(key) for key in ("dtype", "shape", "chunks")}
            raise FormatError(f"array {name!r:.100} is none of chunks: {said!r:.200}")
        if not isinstance(codec, dict) or not isinstance(attrs, dict):
            raise FormatError(f"array {name!r:.100} has no codec, or no attributes")
        more = {key: given[key] for key in ("dimension_names", "fill_value") if key in given}
        names = more.get("dimension_names", [])
        if not isinstance(names, list) or not all(n is None or isinstance(n, str) for n in names):
            raise FormatError(f"array {name!r:.100} has the names of dimensions {names!r:.100}")
        listed = given.get("offsets"), given.get("sizes"), end
        return cls(name, dtype, shape, chunks, codec, attrs, more, listed)


def _dtype(given: Any) -> np.dtype | None:
    return _dtype_of(given) if isinstance(given, str) and len(given) < 40 else None


@functools.lru_cache(maxsize=64)
def _dtype_of(text: str) -> np.dtype | None:
    dtype = None
    if _DTYPE.fullmatch(text):
        with contextlib.suppress(TypeError):
            dtype = np.dtype(text)
    return dtype if dtype is not None and is_supported(dtype) else None


def _lengths(given: Any) -> tuple[int, ...] | None:
    if not isinstance(given, list) or len(given) > _MAX_AXES:
        return None
    for n in given:
        if type(n) is not int or not 0 <= n < 1 << 62:
            return None
    return tuple(given)


def _numbers(given: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    if not isinstance(given, list) or len(given) != math.prod(shape):
        raise FormatError(f"{where}: not one offset and size for each of {math.prod(shape)}")
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in given):
        raise FormatError(f"{where}: offsets or sizes are no numbers of bytes")
    return np.array(given, np.int64).reshape(shape)


class Array:
    """An array in a file, decoded as far as it is asked for.

    Parameters
    ----------
    file : File
    entry : Entry
    """

    def __init__(self, file: File, entry: Entry) -> None:
        self._file, self.entry = file, entry
        self.name, self.dtype, self.shape, self.chunks = entry.name, entry.dtype, entry.shape, entry.chunks

    @property
    def size(self) -> int:
        """Bytes of the chunks."""
        return int(self.entry.sizes.sum())

    def __getitem__(self, selection: Any) -> np.ndarray:
        return self.read(normalize(selection, self.shape))

    def read(self, axes: tuple[Axis, ...], threads: int = 1) -> np.ndarray:
        """The selected values; `axes` as `selection.normalize` returns them.

        Raises
        ------
        DecodeError
            If a chunk is damaged, or not what the index says.
        """
        shape = shape_of(axes)
        up = tuple(axis[::-1] if isinstance(axis, range) and axis.step < 0 else axis for axis in axes)
        turns = [slice(None, None, -1 if a.step < 0 else None) for a in axes if isinstance(a, range)]
        if 0 in shape:
            return np.empty(shape, self.dtype)
        self._check_claim(up, math.prod(shape) * self.dtype.itemsize)
        if self.dtype.kind in "mM":  # np.empty forgets the byte order of dates without a unit
            result = np.empty(shape, "i8").view(self.dtype)
        else:
            result = np.empty(shape, self.dtype)
        view = result[(*turns, ...)]
        _, pieces = pieces_of(up, self.chunks)
        run(pieces, lambda piece: self._decode(piece, view[(*piece.target, ...)]), lambda *_: None, threads)
        return result

    def _check_claim(self, axes: tuple[Axis, ...], nbytes: int) -> None:
        """Before so much memory is asked for: the chunks themselves have to say that they hold it."""
        if nbytes > max(DEFAULT_MAX_OUTPUT, 1000 * self.size):
            for piece in pieces_of(axes, self.chunks)[1]:
                self._open(piece.offset)

    def chunk(self, offset: tuple[int, ...]) -> bytes:
        """The stored chunk that begins at an element."""
        at = tuple(i // n for i, n in zip(offset, self.chunks, strict=True))
        return self._file.read(int(self.entry.offsets[at]), int(self.entry.sizes[at]))

    def _open(self, offset: tuple[int, ...]) -> Any:
        try:
            chunk = open_chunk(self.chunk(offset))
            header = peek(chunk)
            shape = tuple(min(c, n - i) for c, n, i in zip(self.chunks, self.shape, offset, strict=True))
            if header.shape != shape or not same_elements(header.dtype, self.dtype):
                raise SizeError(f"it holds {header.dtype} {header.shape}, not {self.dtype} {shape}")
        except DecodeError as e:
            raise type(e)(f"chunk at {offset} of {self.name!r}: {e}") from None
        return chunk, header

    def _decode(self, piece: Piece, target: np.ndarray) -> None:
        chunk, header = self._open(piece.offset)
        target = target.view(header.dtype)
        whole = piece.is_all_of(self.shape, self.chunks) and target.shape == header.shape
        try:
            codec_module.decode(chunk, target, selection=None if whole else piece.index)
        except DecodeError as e:
            raise type(e)(f"chunk at {piece.offset} of {self.name!r}: {e}") from None


class File:
    """A file that is read by position, by any thread at any time, and closed when nobody has it any longer."""

    def __init__(self, path: Any, flags: int = os.O_RDONLY) -> None:
        self.fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)
        self._close = weakref.finalize(self, os.close, self.fd)

    def _opened(self) -> int:
        if not self._close.alive:
            raise ValueError("the file is closed")
        return self.fd

    @property
    def size(self) -> int:
        """Its bytes."""
        return os.fstat(self._opened()).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from a position on."""
        data = os.pread(self._opened(), size, offset)
        while len(data) < size:  # of more than 2 GiB Linux reads a part at a time
            more = os.pread(self._opened(), size - len(data), offset + len(data))
            if not more:
                raise TruncatedError(f"the file ends before byte {offset + size}")
            data += more
        return data

    def append(self, data: bytes) -> None:
        """Write all of it at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._opened(), view) :]

    def close(self) -> None:
        """Close it; twice is no error."""
        self._close()


class Reader:
    """A file that is opened.

    Parameters
    ----------
    path : path-like

    Attributes
    ----------
    attrs : dict
        Of the file.
    groups : dict
        Attributes by names of groups.
    arrays : list of Array

    Raises
    ------
    DecodeError
        If it is no such file, or damaged.
    OSError
    """

    def __init__(self, path: Any) -> None:
        self._file = File(path)
        try:
            index, end = _index(self._file)
            self.attrs, self.groups = _checked_attrs(index)
            entries = index.get("arrays")
            if not isinstance(entries, list):
                raise FormatError("an index without arrays")
            self.arrays = [Array(self._file, Entry.from_json(entry, end)) for entry in entries]
            names = {array.name for array in self.arrays}
            if len(names) != len(self.arrays):
                raise FormatError("two arrays have the same name")
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _index(file: File) -> tuple[dict[str, Any], int]:
    """The index, and where chunks end."""
    size = file.size
    head = file.read(0, min(size, len(_HEAD)))
    if not head.startswith(MAGIC):
        raise FormatError("not a single-file store of arraycodec")
    if size < len(_HEAD) + _FOOTER_SIZE:
        raise TruncatedError(f"{size} bytes are no whole file")
    version = struct.unpack_from("<I", head, len(MAGIC))[0]
    if version != VERSION:
        raise VersionError(f"single-file format version {version}, this is for {VERSION}")
    footer = file.read(size - _FOOTER_SIZE, _FOOTER_SIZE)
    crc, magic = _END.unpack_from(footer, _FOOTER.size)
    if magic != MAGIC:
        raise TruncatedError("the file does not end with a footer: it is cut off, or was never completed")
    if zlib.crc32(footer[: _FOOTER.size], zlib.crc32(head)) != crc:
        raise ChecksumError("the footer or the head is damaged")
    offset, stored, length, crc = _FOOTER.unpack_from(footer)
    if offset < len(_HEAD) or offset + stored + _FOOTER_SIZE != size or length > _MAX_INDEX:
        raise FormatError(f"an index of {stored} bytes at {offset}, {length} of text, in a file of {size}")
    data = file.read(offset, stored)
    if zlib.crc32(data) != crc:
        raise ChecksumError("the index is damaged")
    return _parsed(data, length), offset


def _parsed(data: bytes, length: int) -> dict[str, Any]:
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, length + 1)
        if len(text) != length or not unpacker.eof or unpacker.unused_data:
            raise FormatError(f"the index is not {length} bytes of text")
        index = json.loads(text.decode())
    except (zlib.error, ValueError, RecursionError) as e:
        raise FormatError(f"the index is not readable: {e}") from None
    if not isinstance(index, dict):
        raise FormatError("the index is no JSON object")
    return index


def _checked_attrs(index: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    attrs, groups = index.get("attrs"), index.get("groups")
    if not isinstance(attrs, dict) or not isinstance(groups, dict):
        raise FormatError("an index without attributes or groups")
    if not all(isinstance(value, dict) for value in groups.values()):
        raise FormatError("a group whose attributes are no JSON object")
    return attrs, groups


class New:
    """An array that is being written; made by `Writer.create`."""

    def __init__(self, entry: Entry, codec: HostedCodec) -> None:
        self.entry, self.codec = entry, codec

    @property
    def stored(self) -> int:
        """Bytes of the chunks so far."""
        return int(self.entry.sizes.sum())


class Writer:
    """A new file, written from front to back; it is none before `complete`.

    Parameters
    ----------
    path : path-like
        Must not exist.
    """

    def __init__(self, path: Any) -> None:
        self._file = File(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._end = 0
        self._entries: dict[str, Entry] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self.attrs: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._append(_HEAD)

    def group(self, name: str, attrs: dict[str, Any]) -> None:
        """A group of arrays, whose names begin with its own and a slash."""
        self._groups[name] = attrs

    def create(
        self, name: str, dtype: np.dtype, shape: tuple[int, ...], codec: HostedCodec,
        attrs: dict[str, Any] | None = None, chunks: tuple[int, ...] | None = None, **more: Any,
    ) -> New:  # fmt: skip
        """A new array, to be written chunk by chunk.

        Parameters
        ----------
        name : str
        dtype : numpy.dtype
        shape : tuple of int
        codec : AnsQuant, VarintQuant, StochasticQuant or LowRankQuant
        attrs : dict, optional
            JSON values.
        chunks : tuple of int, optional
            Default: about 2**18 values.
        **more
            As of `Entry.more`.

        Raises
        ------
        ParameterError
            If the name is taken.
        TypeError
            If no chunk can hold the dtype.
        """
        if name in self._entries:
            raise ParameterError(f"an array named {name!r} is there already")
        codec._config.check_array(dtype, len(shape))
        chunks = tuple(max(1, c) for c in (automatic_chunks(shape) if chunks is None else chunks))
        entry = Entry(name, dtype, shape, chunks, codec.get_config(), attrs or {}, more)
        self._entries[name] = entry
        return New(entry, codec)

    def write(self, new: New, box: tuple[slice, ...], values: np.ndarray, threads: int = 1) -> None:
        """Encode the chunks of a box of an array, which covers them whole, and append them in their order.

        Raises
        ------
        ParameterError
            If the box cuts through chunks, or one is there already.
        """
        entry = new.entry
        if values.shape != tuple(s.stop - s.start for s in box):
            raise ParameterError(f"values of shape {values.shape} for {box} of {entry.name!r}")
        for s, c, n in zip(box, entry.chunks, entry.shape, strict=True):
            if s.start % c or (s.stop % c and s.stop != n):
                raise ParameterError(f"{box} of {entry.name!r} cuts through chunks {entry.chunks}")
        waiting: dict[int, bytes] = {}
        order = list(boxes(values.shape, entry.chunks))

        def encode(task: int) -> bytes:
            return new.codec.encode(values[order[task]])

        written = 0

        def done(task: int, data: bytes) -> None:
            nonlocal written  # results come in any order, and are written in that of the chunks
            waiting[task] = data
            while written in waiting:
                first = (o.start + s.start for o, s in zip(order[written], box, strict=True))
                at = tuple(i // c for i, c in zip(first, entry.chunks, strict=True))
                self._place(entry, at, waiting.pop(written))
                written += 1

        run(iter(range(len(order))), encode, done, threads)

    def _place(self, entry: Entry, at: tuple[int, ...], data: bytes) -> None:
        if entry.sizes[at]:
            raise ParameterError(f"chunk {at} of {entry.name!r} is written already")
        entry.offsets[at], entry.sizes[at] = self._append(data), len(data)

    def _append(self, data: bytes) -> int:
        with self._lock:
            at = self._end
            self._file.append(data)
            self._end += len(data)
        return at

    def read(self, new: New, box: tuple[slice, ...]) -> np.ndarray:
        """Values that were written."""
        return Array(self._file, new.entry)[box]

    def complete(self) -> None:
        """Append index and footer.

        Raises
        ------
        ParameterError
            If chunks are missing, or the index is too large.
        """
        for entry in self._entries.values():
            if not entry.sizes.all():
                raise ParameterError(f"{entry.name!r}: {int((entry.sizes == 0).sum())} chunks were not written")
        index = {"attrs": self.attrs, "groups": self._groups, "arrays": [e.to_json() for e in self._entries.values()]}
        text = json.dumps(index, separators=(",", ":"), allow_nan=False).encode()
        if len(text) > _MAX_INDEX:
            raise ParameterError(f"an index of {len(text)} bytes of text, at most {_MAX_INDEX} are possible")
        data = zlib.compress(text, 9)
        footer = _FOOTER.pack(self._append(data), len(data), len(text), zlib.crc32(data))
        self._append(footer + _END.pack(zlib.crc32(footer, zlib.crc32(_HEAD)), MAGIC))

    def close(self) -> None:
        """Close the file; twice is no error."""
        self._file.close()


def is_arrc(path: Path) -> bool:
    """Whether a file begins like one."""
    with open(path, "rb") as f:
        return f.read(len(MAGIC)) == MAGIC

