"""Zarr v3: AnsQuant as an array-to-bytes codec (a serializer), registered by entry point."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin

from . import codec
from .ansquant import ZARR3_NAME
from .config import Config
from .errors import SizeError


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
        dtype = chunk_spec.dtype.to_native_dtype()
        self._check(codec.peek(data), chunk_spec)
        values = np.empty(chunk_spec.shape, dtype)
        codec.decode(data, values)
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

    # ---- a part of a chunk: decode only the blocks it touches ----
    async def _decode_partial_single(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        data = await byte_getter.get(prototype=chunk_spec.prototype)
        if data is None:
            return None
        return await asyncio.to_thread(self._decode_selection, data, selection, chunk_spec)

    def _decode_selection(self, chunk_bytes: Any, selection: Any, chunk_spec: Any) -> Any:
        data = chunk_bytes.as_numpy_array()
        header = codec.peek(data)
        self._check(header, chunk_spec)
        span = _leading_span(selection, header.shape)
        if span is None or header.n_blocks < 2 or header.order != "C":
            part = self._decode_sync(chunk_bytes, chunk_spec).as_numpy_array()[selection]
        else:
            start, stop, rest = span
            row = header.count // header.shape[0]
            rows = codec.decode_range(data, start * row, (stop - start) * row)
            part = rows.reshape((stop - start, *header.shape[1:]))[rest]
            part = part.astype(chunk_spec.dtype.to_native_dtype(), copy=False)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.asarray(part))


def _leading_span(selection: Any, shape: tuple[int, ...]) -> tuple[int, int, Any] | None:
    """Rows [start, stop) along axis 0 that a selection touches, and the selection within them.

    None where the selection does not say so cheaply (it is then applied to the whole chunk).
    """
    if not isinstance(selection, tuple) or not selection or len(selection) > len(shape) or 0 in shape:
        return None
    first = selection[0]
    if isinstance(first, slice):
        start, stop, step = first.indices(shape[0])
        if step < 1 or stop <= start:
            return None
        return start, stop, (slice(None, None, step), *selection[1:])
    if isinstance(first, (int, np.integer)):
        if not 0 <= first < shape[0]:
            return None
        return int(first), int(first) + 1, (0, *selection[1:])
    if isinstance(first, np.ndarray) and first.dtype.kind in "iu" and first.size and first.min() >= 0:
        start, stop = int(first.min()), int(first.max()) + 1
        return (start, stop, (first - start, *selection[1:])) if stop <= shape[0] else None
    return None
