"""What an adapter is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import version
from typing import Any

import numpy as np

BOUNDED = "bounded"  # promises the error bound
UNCHECKED = "unchecked"  # a pipeline that people build: quantized without looking at the result
LOSSLESS = "lossless"
LIMIT = "limit"  # memcpy

#: For `Adapter.kinds`: integers that fit int64, and every dtype of this package.
INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4")
ANY = ("f2", "f4", "f8", "c8", "c16", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "M8", "m8")


class Adapter(ABC):
    """A codec as the benchmark sees it.  The constructor imports what it needs.

    Attributes
    ----------
    name : str
        For tables.
    family : str
        One of the four above.
    version : str
        Of the package behind it.
    kinds : tuple of str
        NumPy's letters and sizes of the dtypes it takes.
    axes : int
        How many axes it predicts along (it joins more); 0 if it takes no notice of them.
    keeps_nan : bool
        If not, ``--sizes-only`` gives it no array with NaN but with them filled forward.
    """

    name: str
    family: str
    version: str = ""
    kinds: tuple[str, ...] = ("f4", "f8")
    axes: int = 0
    keeps_nan: bool = True

    def refuses(self, dtype: np.dtype, tol: float) -> str | None:
        """Why it cannot encode such an array at such a tolerance, or None."""
        if f"{dtype.kind}{dtype.itemsize}" not in self.kinds:
            return f"takes no {dtype}"
        if tol == 0 and self.family in (BOUNDED, UNCHECKED):
            return "has no tolerance 0"
        return None

    @abstractmethod
    def encode(self, array: np.ndarray, tol: float) -> Any:
        """A chunk (C-contiguous, any number of axes) as bytes-like."""

    @abstractmethod
    def decode(self, data: Any, like: np.ndarray) -> np.ndarray:
        """The values again: in `like`, which has their shape and dtype, or in memory of its own.

        Only memory of its own costs nothing extra: where a package offers to write into given
        memory, the adapter lets it.
        """


def blosc2_options(blosc2: Any, codec: str, level: int, shuffle: str) -> dict[str, Any]:
    """For `blosc2.compress2`: one filter, one thread."""
    return {
        "codec": getattr(blosc2.Codec, codec),
        "clevel": level,
        "filters": [getattr(blosc2.Filter, shuffle)],
        "filters_meta": [0],
        "nthreads": 1,
    }


def fit(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Integers of another type: those beyond its ends, which codecs with a tolerance return, at its ends."""
    limits = np.iinfo(dtype)
    return np.clip(values, limits.min, limits.max).astype(dtype)


def at_most(array: np.ndarray, axes: int) -> np.ndarray:
    """The array with its leading axes joined until there are at most `axes`."""
    return array if array.ndim <= axes else array.reshape(-1, *array.shape[array.ndim - axes + 1 :])


ROW = 512


def as_rows(array: np.ndarray) -> np.ndarray:
    """A one-dimensional array as rows of 512, the last one filled up with its last value.

    For codecs of images, which do badly, or nothing at all, with a single row.
    """
    if array.ndim > 1 or array.size < ROW:
        return np.atleast_2d(array)
    rest = -array.size % ROW
    return (np.pad(array, (0, rest), mode="edge") if rest else array).reshape(-1, ROW)


def from_rows(rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Undo `as_rows`."""
    return rows.reshape(-1)[: like.size].reshape(like.shape)


def package_version(*names: str) -> str:
    """The installed versions: ``zstd 1.5, numcodecs 0.16`` becomes one text for the CSV."""
    return ", ".join(f"{name} {version(name)}" for name in names)
