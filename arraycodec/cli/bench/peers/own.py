"""This package, through the object that users have, and memcpy: the limit of what a codec can reach."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .... import __version__
from ...._core import isa
from ....ansquant import AnsQuant
from .base import ANY, BOUNDED, LIMIT, Adapter

#: How `..measure` tells the process the number of threads, and the level and the predictor if they are not the default.
THREADS = "ARRAYCODEC_BENCH_THREADS"
LEVEL = "ARRAYCODEC_BENCH_LEVEL"
PREDICTOR = "ARRAYCODEC_BENCH_PREDICTOR"


class Memcpy(Adapter):
    name = "memcpy"
    family = LIMIT
    kinds = ANY
    version = f"numpy {np.__version__}"

    def encode(self, array: np.ndarray, tol: float) -> np.ndarray:
        return array.copy()

    def decode(self, data: np.ndarray, like: np.ndarray) -> np.ndarray:
        np.copyto(like, data)
        return like


class Arraycodec(Adapter):
    name = "arraycodec"
    family = BOUNDED
    kinds = ANY
    version = f"arraycodec {__version__}"

    def __init__(self) -> None:
        self.isa = isa()
        level = os.environ.get(LEVEL)
        self._options: dict[str, Any] = {
            "threads": int(os.environ.get(THREADS, "1")), "level": int(level) if level else None,
            "predictor": os.environ.get(PREDICTOR) or None,
        }  # fmt: skip
        self._codec = AnsQuant(**self._options)

    def refuses(self, dtype: np.dtype, tol: float) -> str | None:
        return None  # it is asked before any array is measured, and has a lossless mode

    def encode(self, array: np.ndarray, tol: float) -> Any:
        if self._codec.tol != tol:
            self._codec = AnsQuant(tol=tol, **self._options)
        return self._codec.encode(array)

    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        return self._codec.decode(data, out=like)
