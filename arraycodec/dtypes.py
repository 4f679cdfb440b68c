"""NumPy dtypes and the element types of chunks.

bfloat16 is no NumPy dtype: it is `ml_dtypes.bfloat16` where that package is installed, and uint16 for
hosts that have neither (``dtype="bfloat16"`` then says what the uint16 mean).
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import numpy as np

from . import _core
from .errors import ParameterError

BFLOAT16 = "bfloat16"
_UINT16 = np.dtype("u2")


@functools.lru_cache(maxsize=256)
def describe(dtype: np.dtype, view: str | None = None) -> tuple[int, bool, int, int]:
    """The element type of a dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Either byte order.
    view : {None, "bfloat16"}
        What uint16 elements stand for.

    Returns
    -------
    code : int
        As in `_core.DTYPES`.
    big_endian : bool
    unit, multiple : int
        Of dates: code of the unit, and how many of it one count is; else 0.

    Raises
    ------
    TypeError
        If arrays of this dtype cannot be encoded, or are no view as which they are declared.
    """
    if view is not None and dtype.newbyteorder("=") != _UINT16 and dtype.name != BFLOAT16:
        raise TypeError(f'dtype="{view}" is for uint16 arrays, not {dtype}')
    big = dtype.newbyteorder("=") != dtype  # hosts are little-endian
    if view is not None or dtype.name == BFLOAT16:
        return _core.DTYPES[BFLOAT16], big, 0, 0
    if dtype.kind in "mM":
        unit, multiple = np.datetime_data(dtype)
        name = "datetime64" if dtype.kind == "M" else "timedelta64"
        return _core.DTYPES[name], big, _core.UNITS.index(unit), multiple
    name = dtype.newbyteorder("=").name
    if dtype.kind not in "biufc" or name not in _core.DTYPES:
        raise TypeError(
            f"arraycodec encodes float, complex, integer, bool, datetime64 and timedelta64 arrays, not {dtype}"
        )
    return _core.DTYPES[name], big, 0, 0


def is_supported(dtype: Any) -> bool:
    """Whether arrays of this dtype (of either byte order) can be encoded."""
    try:
        describe(np.dtype(dtype))
    except TypeError:
        return False
    return True


def is_lossy(dtype: Any) -> bool:
    """Whether a tolerance applies to arrays of this dtype: not to bool and dates."""
    dtype = np.dtype(dtype)
    return is_supported(dtype) and dtype.kind not in "bmM"


@functools.lru_cache(maxsize=256)
def numpy_dtype(element: int) -> np.dtype:
    """The dtype of an element type as `_core.Chunk.element` has it."""
    name, big = element_name(element), element >> 8 & 1
    unit, multiple = _core.UNITS[element >> 9 & 127], element >> 16
    if name == BFLOAT16:
        return np.dtype(">u2") if big else bfloat16()
    if multiple:
        name += "" if unit == "generic" else f"[{multiple}{unit}]"
    return np.dtype(name).newbyteorder(">" if big else "=")


def element_name(element: int) -> str:
    """The name of an element type, as in `_core.DTYPES`."""
    return _core.NAMES[element & 255]


@functools.lru_cache(maxsize=1)
def bfloat16() -> np.dtype:
    """`ml_dtypes.bfloat16` where that is installed, else uint16."""
    try:
        from ml_dtypes import bfloat16 as scalar
    except ImportError:
        return _UINT16
    return np.dtype(scalar)


def block_len(dtype: np.dtype) -> int:
    """Elements of a block in the chunks that `encode` makes; the last block may be shorter."""
    return _core.MAX_BLOCK // (2 if dtype.kind == "c" else 1)  # a complex number is two values


def fill_bytes(fill: Any, dtype: np.dtype, view: str | None = None) -> bytes | None:
    """The native bytes of a fill value as an array of this dtype has it.

    Returns
    -------
    bytes or None
        None for dtypes that are stored exactly anyway.

    Raises
    ------
    ParameterError
        If an integer array cannot hold the value, or it is complex and the array is not.
    """
    dtype = dtype.newbyteorder("=")
    if fill is None or dtype.kind in "bmM":
        return None
    if isinstance(fill, complex):
        if dtype.kind != "c":
            raise ParameterError(f"fill_value={fill!r} is complex, the array is {dtype}")
    elif dtype.kind in "iu" and view is None:
        limits = np.iinfo(dtype)
        if not ((isinstance(fill, int) or fill.is_integer()) and limits.min <= int(fill) <= limits.max):
            raise ParameterError(f"an array of {dtype} cannot hold fill_value={fill!r}")
        return np.array(int(fill), dtype).tobytes()
    with np.errstate(over="ignore"):
        if view is not None or dtype.name == BFLOAT16:
            return _bfloat16_bytes(float(fill))
        return np.array(fill).astype(dtype).tobytes()


def _bfloat16_bytes(value: float) -> bytes:
    with np.errstate(over="ignore"):
        (bits,) = struct.unpack("<I", np.float32(value).tobytes())
    return struct.pack("<H", bits + 0x7FFF + (bits >> 16 & 1) >> 16)
