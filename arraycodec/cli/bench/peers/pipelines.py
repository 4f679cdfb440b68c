"""What people build themselves: quantize in the array's own precision, and compress the integers.

Nothing looks at the result, so that rounding may break the bound, NaN becomes a number, and
integers may overflow.  The benchmark counts what happens.
"""

from __future__ import annotations

import bz2
import math
from typing import Any

import numpy as np

from .base import INTEGERS, UNCHECKED, Adapter, blosc2_options, fit, package_version


def quantize(array: np.ndarray, tol: float) -> np.ndarray:
    """round(x / (2 tol)), flat: int32, and int64 for float64 arrays that need it.

    Integers are exact: their steps are odd, and each step's middle is a value.
    """
    if array.dtype.kind in "iu":
        half = math.floor(tol)
        steps = (array.reshape(-1).astype(np.int64) + half) // (2 * half + 1)
        return steps if array.dtype.itemsize == 8 or array.dtype == np.uint32 else steps.astype(np.int32)
    with np.errstate(all="ignore"):
        scaled = array.reshape(-1) * array.dtype.type(0.5 / tol)
        np.rint(scaled, out=scaled)
        wide = array.dtype.itemsize == 8 and scaled.size and not np.abs(scaled).max() < 2**31
        return scaled.astype(np.int64 if wide else np.int32)


def restore(integers: np.ndarray, tol: float, like: np.ndarray) -> np.ndarray:
    """integers * (2 tol) into `like`."""
    if like.dtype.kind in "iu":
        like[...] = fit(integers.reshape(like.shape).astype(np.int64) * (2 * math.floor(tol) + 1), like.dtype)
        return like
    return np.multiply(integers.reshape(like.shape), like.dtype.type(2 * tol), out=like, casting="unsafe")


class _Pipeline(Adapter):
    """The tolerance is remembered, as it would stand in a container's metadata."""

    family = UNCHECKED
    kinds = ("f4", "f8", *INTEGERS)
    keeps_nan = False

    def encode(self, array: np.ndarray, tol: float) -> Any:
        self._tol = tol
        return self._pack(quantize(array, tol))

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        return restore(self._unpack(data, like.size), self._tol, like)

    def _pack(self, integers: np.ndarray) -> Any:
        raise NotImplementedError

    def _unpack(self, data: Any, count: int) -> np.ndarray:
        raise NotImplementedError


class Pcodec(_Pipeline):
    name = "quantize + pcodec -8"

    def __init__(self) -> None:
        from pcodec import ChunkConfig, standalone

        self._standalone, self._config = standalone, ChunkConfig(compression_level=8)
        self.version = package_version("pcodec")

    def _pack(self, integers: np.ndarray) -> bytes:
        return self._standalone.simple_compress(integers, self._config)

    def _unpack(self, data: bytes, count: int) -> np.ndarray:
        return self._standalone.simple_decompress(data)


class Blosc2Lz4(_Pipeline):
    name = "quantize + bitshuffle-lz4"
    codec = "LZ4"

    def __init__(self) -> None:
        import blosc2

        self._blosc2 = blosc2
        self._options = blosc2_options(blosc2, self.codec, 5, "BITSHUFFLE")
        self.version = package_version("blosc2")

    def _pack(self, integers: np.ndarray) -> bytes:
        return self._blosc2.compress2(integers, typesize=integers.itemsize, **self._options)

    def _unpack(self, data: bytes, count: int) -> np.ndarray:
        size = int.from_bytes(data[4:8], "little")  # Blosc's header: bytes uncompressed
        integers = np.empty(count, np.int64 if size == 8 * count else np.int32)
        self._blosc2.decompress2(data, dst=integers, nthreads=1)
        return integers


class Blosc2Zstd(Blosc2Lz4):
    name = "quantize + bitshuffle-zstd"
    codec = "ZSTD"


class VarintBz2(_Pipeline):
    """Zigzag, base-128 varints, bz2: small, slow, and no package needed."""

    name = "quantize + varint + bz2"
    version = "python"

    def _pack(self, integers: np.ndarray) -> bytes:
        wide = integers.astype(np.int64)
        return bz2.compress(varint_encode(((wide << 1) ^ (wide >> 63)).view(np.uint64)))

    def _unpack(self, data: bytes, count: int) -> np.ndarray:
        zigzag = varint_decode(bz2.decompress(data))
        return (zigzag >> np.uint64(1)).view(np.int64) ^ -(zigzag & np.uint64(1)).view(np.int64)


def varint_encode(values: np.ndarray) -> bytes:
    """Unsigned 64-bit integers as base-128 varints, low bits first."""
    lengths = np.ones(values.size, np.int64)
    for k in range(1, 10):
        longer = values >= np.uint64(1) << np.uint64(7 * k)
        if not longer.any():
            break
        lengths += longer
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.empty(int(ends[-1]) if ends.size else 0, np.uint8)
    for k in range(int(lengths.max(initial=0))):
        here = lengths > k
        part = (values[here] >> np.uint64(7 * k)).astype(np.uint8) & 0x7F
        out[starts[here] + k] = part | (lengths[here] > k + 1).astype(np.uint8) << 7
    return out.tobytes()


def varint_decode(data: bytes) -> np.ndarray:
    """Undo `varint_encode`."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[: ends.size]
    lengths = ends - starts + 1
    values = np.zeros(ends.size, np.uint64)
    for k in range(int(lengths.max(initial=0))):
        here = lengths > k
        values[here] |= (octets[starts[here] + k] & 0x7F).astype(np.uint64) << np.uint64(7 * k)
    return values


class _Numcodecs(Adapter):
    """A filter of numcodecs in front of Blosc (zstd, bytes shuffled)."""

    family = UNCHECKED
    keeps_nan = False

    def __init__(self) -> None:
        import numcodecs

        numcodecs.blosc.set_nthreads(1)
        self._numcodecs = numcodecs
        self._blosc = numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
        self.version = package_version("numcodecs")


class FixedScaleOffset(_Numcodecs):
    name = "FixedScaleOffset + zstd"

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        integers = np.dtype(f"i{array.dtype.itemsize}")
        self._filter = self._numcodecs.FixedScaleOffset(
            offset=0, scale=0.5 / tol, dtype=array.dtype.str, astype=integers.str
        )
        with np.errstate(all="ignore"):
            return self._blosc.encode(self._filter.encode(array))

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        return self._filter.decode(self._blosc.decode(data)).reshape(like.shape)


class BitRound(_Numcodecs):
    """As many mantissa bits as the chunk's largest value needs."""

    name = "BitRound + zstd"

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        finite = np.abs(array[np.isfinite(array)])
        exponent = math.frexp(float(finite.max(initial=0)))[1] - 1
        keep = math.ceil(exponent - 1 - math.log2(tol))
        keep = min(max(keep, 0), np.finfo(array.dtype).nmant)
        with np.errstate(all="ignore"):
            return self._blosc.encode(self._numcodecs.BitRound(keepbits=keep).encode(array))

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        self._blosc.decode(data, like)
        return like
