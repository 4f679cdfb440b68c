"""Zarr v3: our codecs as array-to-bytes codecs (serializers), registered by entry points."""

from __future__ import annotations

import asyncio
import contextlib
import math
from abc import ABCMeta
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from zarr.abc.codec import (
    ArrayBytesCodec,
    ArrayBytesCodecPartialDecodeMixin,
    ArrayBytesCodecPartialEncodeMixin,
)
from zarr.abc.store import RangeByteRequest

from . import chunksize, codec
from .ansquant import AnsQuant
from .codecs import of_parameters
from .config import Config
from .dtypes import block_len
from .errors import DecodeError, ParameterError, SizeError, TruncatedError
from .hosted import HostedCodec, StoredConfig
from .lowrankconfig import LowRankConfig
from .lowrankquant import LowRankQuant
from .selection import Axis, Cut, normalize, shape_of
from .stochasticconfig import StochasticConfig
from .stochasticquant import StochasticQuant
from .varintquant import VarintQuant

# A part is fetched by ranged requests (header and index first, then blocks) from chunks of at least
# so many blocks (1 MiB of float32 values each) of which it touches at most one in so many.  The
# second request costs about 0.2 ms from local files, as much as reading a few MiB more, and 0.1 ms
# from memory, where a whole chunk is free.
_MIN_BLOCKS = 8
_MIN_FRACTION = 4
_MAX_GAP = 1 << 16  # bytes between two blocks that are rather read than asked around

# Chunks up to this many bytes of values are encoded and decoded in the event loop itself.  A MiB is
# decoded in 0.1 to 0.6 ms; handing it to a thread and back costs 0.03 ms alone and several times that
# while other threads want the interpreter, and the values come back from another processor's cache.
_INLINE = 1 << 20


class _Serializers(ABCMeta):
    """The class of the classes below, for what zarr says of them.

    Given a codec as `compressors` or `filters`, zarr makes its serializer, finds that this is of the wrong kind, and
    shows its class to the user, as the only word that we have in that message.
    """

    def __repr__(cls) -> str:
        user = cls.__name__.removesuffix("Serializer")
        return f"{super().__repr__()}, a serializer (write serializer={user}(...), compressors=None)"


@dataclass(frozen=True, repr=False)
class AnsQuantSerializer(
    ArrayBytesCodec,
    ArrayBytesCodecPartialDecodeMixin,
    ArrayBytesCodecPartialEncodeMixin,
    metaclass=_Serializers,
):
    """The Zarr v3 codec ``arraycodec.ansquant``; users write `AnsQuant` instead.

    Parameters
    ----------
    tol, rtol, fill_value, dtype, level, predictor : optional
        As of `AnsQuant`.

    Attributes
    ----------
    threads : int
        As of the `AnsQuant` it was made from; no metadata have it, so it is 1 in arrays opened again.

    Notes
    -----
    Chunks are stored in C order.  Argument names follow zarr's, which passes some of them by
    keyword.
    """

    is_fixed_size = False
    zarr3_name: ClassVar[str] = AnsQuant.zarr3_name
    config: Config | StoredConfig
    threads: int = field(default=1, compare=False)
    _is_new: bool = field(default=False, compare=False)  # whether somebody makes an array with it

    def __init__(
        self,
        *,
        tol: float | None = None,
        rtol: float | None = None,
        fill_value: Any = None,
        dtype: str | None = None,
        level: int | None = None,
        predictor: str | None = None,
    ) -> None:
        object.__setattr__(self, "config", Config(tol, rtol, fill_value, dtype, level, predictor))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AnsQuantSerializer:
        self = cls(**data.get("configuration", {}))
        if isinstance(data, HostedCodec):  # not what metadata say
            object.__setattr__(self, "threads", data.threads)
            object.__setattr__(self, "_is_new", True)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config.to_json().items())})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_is_new": False}

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.zarr3_name, "configuration": self.config.to_json()}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError("the encoded size depends on the data")

    def evolve_from_array_spec(self, array_spec: Any) -> AnsQuantSerializer:
        return self

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        try:
            self.config.check_array(dtype.to_native_dtype(), len(shape))
        except (TypeError, ParameterError) as error:
            raise type(error)(f"{self.zarr3_name}: {error}") from None
        chunks = getattr(chunk_grid, "chunk_shape", None)  # others have chunks of many sizes
        if self._is_new and chunks is not None and len(chunks) == len(shape):
            object.__setattr__(self, "_is_new", False)  # zarr asks more than once
            chunksize.warn("an array", tuple(shape), tuple(chunks), dtype.to_native_dtype().itemsize, "zarr")

    # ---- whole chunks ----
    def _encode_sync(self, chunk_array: Any, chunk_spec: Any) -> Any:
        values = np.ascontiguousarray(chunk_array.as_numpy_array()).reshape(chunk_spec.shape)
        return chunk_spec.prototype.buffer.from_bytes(codec.encode_with(self.config, values, self.threads))

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data = chunk_bytes.as_numpy_array()
        chunk = codec.open_chunk(data)
        self._check(codec.peek(chunk), chunk_spec)
        values = np.empty(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        codec.decode(chunk, values, threads=self.threads)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        return await _run(chunk_spec, self._encode_sync, chunk_array, chunk_spec)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await _run(chunk_spec, self._decode_sync, chunk_bytes, chunk_spec)

    @staticmethod
    def _check(header: codec.Header, chunk_spec: Any) -> None:
        """The store's expectation must agree with the header before anything is allocated."""
        dtype = chunk_spec.dtype.to_native_dtype()
        same = codec.same_elements(header.dtype.newbyteorder("="), dtype.newbyteorder("="))
        if header.shape != tuple(chunk_spec.shape) or not same:
            raise SizeError(
                f"the chunk holds {header.dtype} values of shape {header.shape}, "
                f"the array expects {dtype} of shape {tuple(chunk_spec.shape)}"
            )

    # ---- writes: zarr would copy every chunk out of the values, and compare all of it with the fill value ----
    async def encode_partial(self, batch_info: Iterable[tuple[Any, ...]]) -> None:
        items = list(batch_info)
        if len(items) == 1:  # see decode_partial
            await self._encode_partial_single(*items[0])
        else:
            await super().encode_partial(items)

    async def _encode_partial_single(self, byte_setter: Any, part: Any, selection: Any, chunk_spec: Any) -> None:
        old = None
        if not _is_whole(selection, chunk_spec):
            old = await byte_setter.get(prototype=chunk_spec.prototype)
        chunk = await _run(chunk_spec, self._encode_part, old, part, selection, chunk_spec)
        await (byte_setter.delete() if chunk is None else byte_setter.set(chunk))

    def _encode_partial_sync(self, byte_setter: Any, part: Any, selection: Any, chunk_spec: Any) -> None:
        old = None
        if not _is_whole(selection, chunk_spec):
            old = byte_setter.get_sync(prototype=chunk_spec.prototype)
        chunk = self._encode_part(old, part, selection, chunk_spec)
        if chunk is None:
            byte_setter.delete_sync()
        else:
            byte_setter.set_sync(chunk)

    def _encode_part(self, old: Any, part: Any, selection: Any, chunk_spec: Any) -> Any:
        """The chunk with a part of it assigned; None if zarr stores no such chunk (nothing but the fill value)."""
        if part.shape == chunk_spec.shape and _is_whole(selection, chunk_spec):
            values = part
        else:
            if old is None:
                values = chunk_spec.prototype.nd_buffer.create(
                    shape=chunk_spec.shape,
                    dtype=chunk_spec.dtype.to_native_dtype(),
                    order=chunk_spec.order,
                    fill_value=chunk_spec.fill_value,
                )
            else:
                if not (self.config.keeps_rewrites or _is_corner(selection, chunk_spec)):
                    raise ParameterError(
                        f"{self.zarr3_name} would encode what is in this chunk once more, with new errors: write whole "
                        f"chunks, of shape {tuple(chunk_spec.shape)}"
                    )
                values = self._decode_sync(old, chunk_spec)
            if part.shape and any(isinstance(index, np.ndarray) for index in selection):
                # zarr's arrays of indices keep the axes of single ones, which the part has not
                part = part.reshape(values[selection].shape)
            values[selection] = part
        if not chunk_spec.config.write_empty_chunks and _is_empty(values, chunk_spec.fill_value):
            return None
        return self._encode_sync(values, chunk_spec)

    # ---- a part of a chunk: fetch and decode only the blocks it touches ----
    async def decode_partial(self, batch_info: Iterable[tuple[Any, ...]]) -> Iterable[Any]:
        items = list(batch_info)
        if len(items) == 1:
            # zarr's usual batch.  In a task of its own the chunk would wait, decoded, until others are,
            # and be out of the processor's cache when zarr copies it.
            return [await self._decode_partial_single(*items[0])]
        return await super().decode_partial(items)

    async def _decode_partial_single(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        steps = self._decode_partial(selection, chunk_spec)
        done, value = _step(steps, None)
        while not done:
            gets = [byte_getter.get(prototype=chunk_spec.prototype, byte_range=request) for request in value]
            answers = [await gets[0]] if len(gets) == 1 else await asyncio.gather(*gets)
            done, value = await _run(chunk_spec, _step, steps, answers)
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
        part = _Part.of(selection, tuple(chunk_spec.shape), chunk_spec.dtype.to_native_dtype())
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
        dtype = chunk_spec.dtype.to_native_dtype()
        values = codec.decode_axes(chunk, part.box, threads=self.threads)[part.index]
        values = np.asarray(values, dtype) if values.dtype.kind == dtype.kind else values.view(dtype)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    def _fetch_blocks(self, part: _Part, chunk_spec: Any) -> _Steps:
        """A chunk of which only header, index and the blocks of a part are there; None without a chunk.

        The decoder wants a whole chunk, but looks at nothing else of it.  The memory in between is
        never touched, so it costs next to nothing.
        """
        (prefix,) = yield [RangeByteRequest(0, part.index_bound)]
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
        ranges = _ranges(header.cut.touched(part.box), offsets)
        pieces = yield [RangeByteRequest(start, stop) for start, stop in ranges]
        for (start, stop), piece in zip(ranges, pieces, strict=True):
            if piece is None or len(piece) != stop - start:
                raise TruncatedError(f"bytes [{start}, {stop}) of a chunk are missing")
            data[start:stop] = piece.as_numpy_array()
        return data


@dataclass(frozen=True, repr=False)
class VarintQuantSerializer(AnsQuantSerializer):
    """The Zarr v3 codec ``arraycodec.varintquant``; users write `VarintQuant` instead.

    Parameters
    ----------
    tol, rtol, fill_value, dtype, backend, level : optional
        As of `VarintQuant`.
    """

    zarr3_name: ClassVar[str] = VarintQuant.zarr3_name

    def __init__(
        self,
        *,
        tol: float | None = None,
        rtol: float | None = None,
        fill_value: Any = None,
        dtype: str | None = None,
        backend: str | None = None,
        level: int | None = None,
    ) -> None:
        config = Config(tol, rtol, fill_value, dtype, coder="varint", backend=backend, backend_level=level)
        object.__setattr__(self, "config", config)


@dataclass(frozen=True, repr=False)
class StochasticQuantSerializer(AnsQuantSerializer):
    """The Zarr v3 codec ``arraycodec.stochasticquant``; users write `StochasticQuant` instead.

    Parameters
    ----------
    bits, norm, bucket, method, packing, seed : optional
        As of `StochasticQuant`.
    """

    zarr3_name: ClassVar[str] = StochasticQuant.zarr3_name

    def __init__(
        self,
        *,
        bits: int = 4,
        norm: str = "l2",
        bucket: int | None = 512,
        method: str = "dither",
        packing: str = "rans",
        seed: int | None = None,
    ) -> None:
        object.__setattr__(self, "config", StochasticConfig(bits, norm, bucket, method, packing, seed))


@dataclass(frozen=True, repr=False)
class LowRankQuantSerializer(AnsQuantSerializer):
    """The Zarr v3 codec ``arraycodec.lowrankquant``; users write `LowRankQuant` instead.

    Parameters
    ----------
    rank, bits_per_value, rel_error, method, tol, bits, row_axes, level, seed : optional
        As of `LowRankQuant`.
    """

    zarr3_name: ClassVar[str] = LowRankQuant.zarr3_name

    def __init__(
        self,
        *,
        rank: int | None = None,
        bits_per_value: float | None = None,
        rel_error: float | None = None,
        method: str = "svd",
        tol: float | None = None,
        bits: Sequence[int] | None = None,
        row_axes: int = 1,
        level: int | None = None,
        seed: int = 0,
    ) -> None:
        pair: Any = bits  # which is checked there
        config = LowRankConfig(rank, bits_per_value, rel_error, method, tol, pair, row_axes, level, seed)
        object.__setattr__(self, "config", config)


def codec_of(serializer: AnsQuantSerializer) -> HostedCodec:
    """The object for all hosts that a serializer was made from."""
    return of_parameters(serializer.config)


async def _run(chunk_spec: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that encodes or decodes a chunk: here, or a large one in a thread."""
    if math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize <= _INLINE:
        return function(*args)
    return await asyncio.to_thread(function, *args)


def _is_whole(selection: Any, chunk_spec: Any) -> bool:
    """Whether a selection is all of a chunk."""
    try:
        return normalize(selection, chunk_spec.shape) == tuple(map(range, chunk_spec.shape))
    except (IndexError, TypeError):
        return False


def _is_corner(selection: Any, chunk_spec: Any) -> bool:
    """Whether it begins where a chunk does: it may be all that an array has of a chunk at its edge."""
    try:
        axes = normalize(selection, chunk_spec.shape)
    except (IndexError, TypeError):
        return False
    return all(axis == range(len(axis)) for axis in axes if not isinstance(axis, int)) and not any(
        isinstance(axis, int) for axis in axes
    )


def _is_empty(values: Any, fill_value: Any) -> bool:
    """Whether a chunk holds nothing but the fill value, as zarr compares them; the first value mostly tells."""
    array = values.as_numpy_array()
    first = array[(0,) * array.ndim]
    if first != fill_value and (first == first or fill_value == fill_value):
        return False
    return values.all_equal(fill_value)


#: Yields lists of byte ranges (None: all bytes), is sent a list of what they hold.
_Steps = Generator[list[Any], Any, Any]


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
    box : tuple of int or range
        The basic selection around it; not empty, and with arrays of indices no axis drops out of it.
    index : tuple
        What selects the part from the values of `box`.
    cut : Cut
        Of a chunk that `encode` makes of what can be predicted.
    index_bound : int
        Bytes in which the header and the index of any chunk are.
    """

    box: tuple[Axis, ...]
    index: tuple[Any, ...]
    cut: Cut
    index_bound: int

    @classmethod
    def of(cls, selection: Any, shape: tuple[int, ...], dtype: np.dtype) -> _Part | None:
        """None for what is better applied to the whole chunk: one block, nothing selected, other kinds of indices."""
        if math.prod(shape) <= block_len(dtype):
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
        if 0 in shape_of(box):
            return None
        index: tuple[Any, ...] = (...,)
        if arrays:  # NumPy has rules for integers beside them, so none is taken out before
            index = tuple(
                0 if isinstance(axis, int) else arrays[i] - axis.start if i in arrays else slice(None)
                for i, axis in enumerate(box)
            )
            box = tuple(range(axis, axis + 1) if isinstance(axis, int) else axis for axis in box)
        return cls(box, index, codec.cut_of(shape, dtype), codec.index_bound(shape, dtype))

    def is_worth_ranges(self) -> bool:
        """Whether requests for its blocks are likely to cost less than one for the whole chunk."""
        n_blocks = self.cut.n_blocks
        if n_blocks < _MIN_BLOCKS:
            return False
        return _MIN_FRACTION * sum(stop - first for first, stop in self.cut.touched(self.box)) <= n_blocks


def _ranges(runs: list[tuple[int, int]], offsets: np.ndarray) -> list[tuple[int, int]]:
    """The bytes of runs of blocks, with small gaps closed: a request costs more than some bytes."""
    ranges: list[tuple[int, int]] = []
    for first, stop in runs:
        start, end = int(offsets[first]), int(offsets[stop])
        if ranges and start - ranges[-1][1] <= _MAX_GAP:
            start = ranges.pop()[0]
        ranges.append((start, end))
    return ranges
