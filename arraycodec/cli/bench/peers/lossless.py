"""Lossless codecs: what one has without a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import ANY, LOSSLESS, Adapter, package_version


class Zstd(Adapter):
    name = "zstd -3"
    family = LOSSLESS
    kinds = ANY

    def __init__(self) -> None:
        from numcodecs import Zstd as Codec

        self._codec = Codec(level=3)
        self.version = package_version("numcodecs")

    def encode(self, array: np.ndarray, tol: float) -> Any:
        return self._codec.encode(array)

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        self._codec.decode(data, like)
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
