"""Checks of what models and coders are given: into arrays that the compiled part takes, or an error with the value."""

from operator import index
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arraycodec import _coders
from arraycodec.errors import ParameterError

Preset = Literal["default", "small"]
Symbols = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32] | npt.NDArray[np.uint16]

_INT32 = np.iinfo(np.int32)


def as_integer(name: str, value: Any, low: int = _INT32.min, high: int = _INT32.max) -> int:
    try:
        number = index(value)
    except TypeError:
        raise ParameterError(f"{name} must be an integer, not {value!r}") from None
    if not low <= number <= high:
        raise ParameterError(f"{name} must be in {low} .. {high}; it is {number}")
    return number


def as_real(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{name} must be a number, not {value!r}") from None


def as_int32s(name: str, values: Any) -> Symbols:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ParameterError(f"{name} must be integers in one dimension, not {array.dtype} of shape {array.shape}")
    if array.dtype != np.int32 and array.size:
        outside = np.flatnonzero((array < _INT32.min) | (array > _INT32.max))
        if outside.size:
            raise ParameterError(f"{name} must fit 32 bits; {array[outside[0]]} at position {outside[0]} does not")
    return np.ascontiguousarray(array, np.int32)


def as_reals(name: str, values: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ParameterError(f"{name} must be numbers in one dimension, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, np.float64)


def as_probabilities(values: Any, ndim: int) -> npt.NDArray[Any]:
    """In the type that they have: float and double make different models."""
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise ParameterError(
            f"probabilities must be float32 or float64 in {ndim} dimension{'s' * (ndim > 1)}, "
            f"not {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def as_words(name: str, words: Any, preset: int) -> Words:
    dtype = np.dtype(np.uint16 if preset else np.uint32)
    array = np.asarray(words)
    if array.dtype != dtype or array.ndim != 1:
        raise ParameterError(f"{name} must be {dtype} in one dimension, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, dtype)


def preset_code(preset: str) -> int:
    code = _coders.PRESETS.get(preset) if isinstance(preset, str) else None
    if code is None:
        raise ParameterError(f"preset must be one of {', '.join(_coders.PRESETS)}; it is {preset!r}")
    return code
