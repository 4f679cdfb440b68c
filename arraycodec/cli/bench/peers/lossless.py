"""Lossless codecs: what one has without a tolerance."""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np

from .base import ANY, LOSSLESS, Adapter, blosc2_options, package_version


class Zstd(Adapter):
    name = "zstd -3"
    family = LOSSLESS
    kinds = ANY
    level = 3

    def __init__(self) -> None:
        from numcodecs import Zstd as Codec

        self._codec = Codec(level=self.level)
        self.version = package_version("numcodecs")

    def encode(self, array: np.ndarray, tol: float) -> Any:
        return self._codec.encode(array)

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        self._codec.decode(data, like)
        return like


class Zstd19(Zstd):
    name = "zstd -19"
    level = 19


class Xz(Adapter):
    name = "xz -9"
    family = LOSSLESS
    kinds = ANY
    version = "python"

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return lzma.compress(array, preset=9)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        like.reshape(-1).view(np.uint8)[:] = np.frombuffer(lzma.decompress(data), np.uint8)
        return like


class ShuffledZstd(Zstd):
    """The bytes of all values one after the other, lowest first: what most stores do with numbers."""

    name = "shuffle + zstd -3"

    def __init__(self) -> None:
        from numcodecs import Shuffle

        super().__init__()
        self._shuffle = Shuffle

    def encode(self, array: np.ndarray, tol: float) -> Any:
        return self._codec.encode(self._shuffle(array.itemsize).encode(array.reshape(-1).view(np.uint8)))

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        self._shuffle(like.itemsize).decode(self._codec.decode(data), like.reshape(-1).view(np.uint8))
        return like


class PcodecLossless(Adapter):
    name = "pcodec -8"
    family = LOSSLESS
    kinds = ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8")

    def __init__(self) -> None:
        from pcodec import ChunkConfig, standalone

        self._standalone, self._config = standalone, ChunkConfig(compression_level=8)
        self.version = package_version("pcodec")

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._standalone.simple_compress(array.reshape(-1), self._config)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        self._standalone.simple_decompress_into(data, like.reshape(-1))
        return like


class Blosc2Shuffle(Adapter):
    """Blosc2 at its hardest: zstd of what its filter makes of blocks."""

    name = "Blosc2 shuffle + zstd -9"
    family = LOSSLESS
    kinds = ANY
    filter = "SHUFFLE"

    def __init__(self) -> None:
        import blosc2

        self._blosc2 = blosc2
        self._options = blosc2_options(blosc2, "ZSTD", 9, self.filter)
        self.version = package_version("blosc2")

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._blosc2.compress2(array, typesize=array.itemsize, **self._options)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        self._blosc2.decompress2(data, dst=like, nthreads=1)
        return like


class Blosc2Bitshuffle(Blosc2Shuffle):
    name = "Blosc2 bitshuffle + zstd -9"
    filter = "BITSHUFFLE"


class Fpzip(Adapter):
    """Predicts along up to three axes; its NaN come back as such, with their bits."""

    name = "fpzip"
    family = LOSSLESS
    axes = 3

    def __init__(self) -> None:
        import fpzip

        self._fpzip = fpzip
        self.version = package_version("fpzip")

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        shape = array.shape if array.ndim < 4 else (-1, *array.shape[-2:])
        return self._fpzip.compress(array.reshape(shape or 1), precision=0, order="C")

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        return self._fpzip.decompress(data, order="C").reshape(like.shape)
