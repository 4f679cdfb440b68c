"""Lossless codecs: what one has without a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import LOSSLESS, Adapter, package_version


class Zstd(Adapter):
    name = "zstd -3"
    family = LOSSLESS

    def __init__(self) -> None:
        from numcodecs import Zstd as Codec

        self._codec = Codec(level=3)
        self.version = package_version("numcodecs")

    def encode(self, array: np.ndarray, tol: float) -> Any:
        return self._codec.encode(array)

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        self._codec.decode(data, like)
        return like


class PcodecLossless(Adapter):
    name = "pcodec -8"
    family = LOSSLESS

    def __init__(self) -> None:
        from pcodec import ChunkConfig, standalone

        self._standalone, self._config = standalone, ChunkConfig(compression_level=8)
        self.version = package_version("pcodec")

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._standalone.simple_compress(array.reshape(-1), self._config)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        self._standalone.simple_decompress_into(data, like.reshape(-1))
        return like
