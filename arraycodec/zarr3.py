"""Zarr v3: AnsQuant as an array-to-bytes codec (a serializer), registered by entry point."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.abc.store import RangeByteRequest

from . import codec
from .ansquant import ZARR3_NAME
from .config import Config
from .errors import DecodeError, SizeError, TruncatedError
from .selection import Axis, as_index, block_runs, normalize, shape_of

# A part is fetched by ranged requests (header and index first, then blocks) from chunks of at least
# so many blocks (1 MiB of float32 values each) of which it touches at most one in so many.  The
# second request costs about 0.2 ms from local files, as much as reading a few MiB more, and 0.1 ms
# from memory, where a whole chunk is free.
_MIN_BLOCKS = 8
_MIN_FRACTION = 4
_MAX_GAP = 1 << 16  # bytes between two blocks that are rather read than asked around


@dataclass(frozen=True)
class AnsQuantSerializer(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """The Zarr v3 codec ``arraycodec.ansquant``; users write `AnsQuant` instead.

    Parameters
    ----------
    tol : float, optional
        As of `AnsQuant`.

    Notes
    -----
    Chunks are stored in C order.  Argument names follow zarr's, which passes some of them by
    keyword.
    """

    is_fixed_size = False
    config: Config

    def __init__(self, *, tol: float | None = None) -> None:
        object.__setattr__(self, "config", Config(tol))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AnsQuantSerializer:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        return {"name": ZARR3_NAME, "configuration": self.config.to_json()}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError("the encoded size depends on the data")

    def evolve_from_array_spec(self, array_spec: Any) -> AnsQuantSerializer:
        return self

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        native = dtype.to_native_dtype()
        if not codec.is_supported(native):
            raise TypeError(f"{ZARR3_NAME} encodes float32 and float64 arrays, not {native}")

    # ---- whole chunks ----
    def _encode_sync(self, chunk_array: Any, chunk_spec: Any) -> Any:
        values = np.ascontiguousarray(chunk_array.as_numpy_array()).reshape(chunk_spec.shape)
        return chunk_spec.prototype.buffer.from_bytes(codec.encode(values, self.config.require_tol()))

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data = chunk_bytes.as_numpy_array()
        chunk = codec.open_chunk(data)
        self._check(codec.peek(chunk), chunk_spec)
        values = np.empty(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        codec.decode(chunk, values)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._encode_sync, chunk_array, chunk_spec)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    @staticmethod
    def _check(header: codec.Header, chunk_spec: Any) -> None:
        """The store's expectation must agree with the header before anything is allocated."""
        dtype = chunk_spec.dtype.to_native_dtype()
        if header.shape != tuple(chunk_spec.shape) or header.dtype.newbyteorder("=") != dtype.newbyteorder("="):
            raise SizeError(
                f"the chunk holds {header.dtype} values of shape {header.shape}, "
                f"the array expects {dtype} of shape {tuple(chunk_spec.shape)}"
            )

    # ---- a part of a chunk: fetch and decode only the blocks it touches ----
    async def _decode_partial_single(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        steps = self._decode_partial(selection, chunk_spec)
        done, value = _step(steps, None)
        while not done:
            gets = (byte_getter.get(prototype=chunk_spec.prototype, byte_range=request) for request in value)
            done, value = await asyncio.to_thread(_step, steps, await asyncio.gather(*gets))
        return value

    def _decode_partial_sync(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        steps = self._decode_partial(selection, chunk_spec)
        done, value = _step(steps, None)
        while not done:
            gets = [byte_getter.get_sync(prototype=chunk_spec.prototype, byte_range=request) for request in value]
            done, value = _step(steps, gets)
        return value

    def _decode_partial(self, selection: Any, chunk_spec: Any) -> _Steps:
        """Both of the above: yields byte ranges, is sent what they hold, returns the part or None."""
        part = _Part.of(selection, tuple(chunk_spec.shape))
        if part is not None and part.is_worth_ranges():
            # What does not decode was perhaps replaced between two requests, or another writer chose
            # other blocks; the whole chunk then tells.
            with contextlib.suppress(DecodeError):
                sparse = yield from self._fetch_blocks(part, chunk_spec)
                return None if sparse is None else self._decode_part(sparse, part, chunk_spec)
        (chunk,) = yield [None]
        if chunk is None:
            return None
        if part is None:
            values = np.asarray(self._decode_sync(chunk, chunk_spec).as_numpy_array()[selection])
            return chunk_spec.prototype.nd_buffer.from_numpy_array(values)
        return self._decode_part(chunk.as_numpy_array(), part, chunk_spec)

    def _decode_part(self, data: np.ndarray, part: _Part, chunk_spec: Any) -> Any:
        chunk = codec.open_chunk(data)
        self._check(codec.peek(chunk), chunk_spec)
        values, axis, start = codec.decode_touched(chunk, part.box)
        values = np.asarray(values[part.index(axis, start)], chunk_spec.dtype.to_native_dtype())
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    def _fetch_blocks(self, part: _Part, chunk_spec: Any) -> _Steps:
        """A chunk of which only header, index and the blocks of a part are there; None without a chunk.

        The decoder wants a whole chunk, but looks at nothing else of it.  The memory in between is
        never touched, so it costs next to nothing.
        """
        (prefix,) = yield [RangeByteRequest(0, codec.index_bound(part.shape))]
        if prefix is None:
            return None
        prefix = prefix.as_numpy_array()
        header = codec.peek(prefix)
        self._check(header, chunk_spec)
        offsets = codec.block_offsets(prefix, header)
        if offsets[-1] > header.header_size + header.nbytes + header.n_blocks:
            raise SizeError(f"a chunk of {offsets[-1]} bytes for {header.nbytes} bytes of values")
        data = np.empty(offsets[-1], np.uint8)
        data[: header.header_size] = prefix[: header.header_size]
        ranges = _ranges(block_runs(part.box, header.shape, header.block_len), offsets)
        pieces = yield [RangeByteRequest(start, stop) for start, stop in ranges]
        for (start, stop), piece in zip(ranges, pieces, strict=True):
            if piece is None or len(piece) != stop - start:
                raise TruncatedError(f"bytes [{start}, {stop}) of a chunk are missing")
            data[start:stop] = piece.as_numpy_array()
        return data


#: Yields lists of byte ranges (None: all bytes), is sent a list of what they hold.
_Steps = Generator[list[Any], list[Any], Any]


def _step(steps: _Steps, answers: list[Any] | None) -> tuple[bool, Any]:
    """Go on to the next requests: False and these, or True and the result.

    StopIteration would not come through a future.
    """
    try:
        return False, steps.send(answers)
    except StopIteration as stop:
        return True, stop.value


@dataclass(frozen=True)
class _Part:
    """Zarr's selection of a part of a chunk: basic indices, and arrays of indices for some axes.

    Attributes
    ----------
    shape : tuple of int
        Of the chunk.
    box : tuple of int or range
        The basic selection around it; not empty.
    arrays : dict
        The arrays of indices, by axis.
    """

    shape: tuple[int, ...]
    box: tuple[Axis, ...]
    arrays: dict[int, np.ndarray]

    @classmethod
    def of(cls, selection: Any, shape: tuple[int, ...]) -> _Part | None:
        """None for what is better applied to the whole chunk: one block, nothing selected, other kinds of indices."""
        if math.prod(shape) <= codec.BLOCK_LEN:
            return None
        items = selection if isinstance(selection, tuple) else (selection,)
        arrays = {axis: item for axis, item in enumerate(items) if isinstance(item, np.ndarray)}
        if arrays and any(item is Ellipsis for item in items):
            return None
        bounds = list(items)
        for axis, array in arrays.items():
            if array.dtype.kind not in "iu" or not array.size or array.min() < 0:
                return None
            bounds[axis] = slice(int(array.min()), int(array.max()) + 1)
        try:
            box = normalize(tuple(bounds), shape)
        except (IndexError, TypeError):
            return None
        return None if 0 in shape_of(box) else cls(shape, box, arrays)

    def index(self, axis: int, start: int) -> tuple[Any, ...]:
        """What selects it from an array that begins at index `start` of an axis."""
        starts = [start if i == axis else 0 for i in range(len(self.box))]
        return tuple(
            self.arrays[i] - first if i in self.arrays else as_index(one, first)
            for i, (one, first) in enumerate(zip(self.box, starts, strict=True))
        )

    def is_worth_ranges(self) -> bool:
        """Whether requests for its blocks are likely to cost less than one for the whole chunk."""
        n_blocks = -(-math.prod(self.shape) // codec.BLOCK_LEN)
        if n_blocks < _MIN_BLOCKS:
            return False
        touched = sum(stop - first for first, stop in block_runs(self.box, self.shape, codec.BLOCK_LEN))
        return _MIN_FRACTION * touched <= n_blocks


def _ranges(runs: list[tuple[int, int]], offsets: np.ndarray) -> list[tuple[int, int]]:
    """The bytes of runs of blocks, with small gaps closed: a request costs more than some bytes."""
    ranges: list[tuple[int, int]] = []
    for first, stop in runs:
        start, end = int(offsets[first]), int(offsets[stop])
        if ranges and start - ranges[-1][1] <= _MAX_GAP:
            start = ranges.pop()[0]
        ranges.append((start, end))
    return ranges
