"""Codecs that promise an absolute error bound: SZ3, SPERR, ZFP, LERC."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import BOUNDED, INTEGERS, Adapter, as_rows, at_most, fit, from_rows, package_version


class Sz3(Adapter):
    """SZ3 as it comes: interpolation or Lorenzo, chosen by itself.

    It has integers of 32 and 64 bits; others are widened.  A bound of 1/2 is lossless for them.
    """

    name = "SZ3"
    family = BOUNDED
    kinds = ("f4", "f8", *INTEGERS)
    axes = 4
    algorithm = "INTERP_LORENZO"

    def __init__(self) -> None:
        import pysz

        self._sz = pysz.sz
        self._config = pysz.szConfig()
        self._config.errorBoundMode = pysz.szErrorBoundMode.ABS
        self._config.cmprAlgo = getattr(pysz.szAlgorithm, self.algorithm)
        self._config.openmp = False
        self.version = package_version("pysz")

    def refuses(self, dtype: np.dtype, tol: float) -> str | None:
        return super().refuses(dtype, tol or (0.5 if dtype.kind in "iu" else 0))

    def encode(self, array: np.ndarray, tol: float) -> np.ndarray:
        self._config.absErrorBound = tol or 0.5
        return self._sz.compress(at_most(array, 4).astype(_wide(array.dtype), copy=False), self._config)[0]

    def decode(self, data: np.ndarray, like: np.ndarray) -> np.ndarray:
        values = self._sz.decompress(data, _wide(like.dtype), at_most(like, 4).shape)[0].reshape(like.shape)
        return values if values.dtype == like.dtype else fit(values, like.dtype)


def _wide(dtype: np.dtype) -> np.dtype:
    """The type that SZ3 has for one of ours."""
    if dtype.kind == "f":
        return dtype
    return np.dtype("i8" if dtype.itemsize == 8 or dtype == np.uint32 else "i4")


class Sz3Interpolation(Sz3):
    """Best on some smooth fields of three axes."""

    name = "SZ3 interpolation"
    algorithm = "INTERP"


class Sz3Lorenzo(Sz3):
    """Best on many fields."""

    name = "SZ3 lorenzo+regression"
    algorithm = "LORENZO_REG"


class Sz3NoPrediction(Sz3):
    """Best on weights."""

    name = "SZ3 no prediction"
    algorithm = "NOPRED"


class Sperr(Adapter):
    name = "SPERR"
    family = BOUNDED
    axes = 3
    keeps_nan = False

    def __init__(self) -> None:
        import imagecodecs

        if not imagecodecs.SPERR.available:
            raise ImportError("this imagecodecs was built without SPERR")
        self._encode, self._decode = imagecodecs.sperr_encode, imagecodecs.sperr_decode
        self.version = f"{imagecodecs.sperr_version()}, {package_version('imagecodecs')}"

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._encode(as_rows(at_most(array, 3)), tol, "pwe", numthreads=1)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        if like.ndim in (2, 3):
            return self._decode(data, out=like, numthreads=1)
        return from_rows(self._decode(data, out=np.empty_like(as_rows(at_most(like, 3))), numthreads=1), like)


class Zfp(Adapter):
    """ZFP in fixed-accuracy mode."""

    name = "ZFP"
    family = BOUNDED
    axes = 4
    keeps_nan = False

    def __init__(self) -> None:
        import zfpy

        self._zfpy = zfpy
        self.version = package_version("zfpy")

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._zfpy.compress_numpy(at_most(array, 4), tolerance=tol)

    def decode(self, data: bytes, like: np.ndarray) -> np.ndarray:
        return self._zfpy.decompress_numpy(data).reshape(like.shape)


class Lerc(Adapter):
    name = "LERC"
    family = BOUNDED
    axes = 3
    keeps_nan = False

    def __init__(self) -> None:
        import imagecodecs

        if not imagecodecs.LERC.available:
            raise ImportError("this imagecodecs was built without LERC")
        self._encode, self._decode = imagecodecs.lerc_encode, imagecodecs.lerc_decode
        self.version = f"{imagecodecs.lerc_version()}, {package_version('imagecodecs')}"

    def encode(self, array: np.ndarray, tol: float) -> bytes:
        return self._encode(as_rows(at_most(array, 3)), tol)

    def decode(self, data: bytes, like: np.ndarray) -> Any:
        if like.ndim in (2, 3):
            return self._decode(data, out=like)
        return from_rows(self._decode(data), like)
