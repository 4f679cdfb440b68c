"""Attributes between formats: JSON (Zarr) on one side, typed values (HDF5) on the other."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import numpy as np

from .model import Warn


class _Unrepresentable(Exception):
    """The text says what cannot be represented."""


def _json_value(value: Any, changed: list[str]) -> Any:
    """A JSON value; what had to be written as text is noted in `changed`."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.ndarray) and (value.dtype.kind in "biufSU" or value.dtype == object):
        value = value.tolist()
    elif isinstance(value, np.generic) and value.dtype.kind in "biufSU":
        value = value.item()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise _Unrepresentable("bytes that are not UTF-8 text") from None
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        changed.append("non-finite numbers")
        return nonfinite_text(value)
    if isinstance(value, (list, tuple)):
        return [_json_value(v, changed) for v in value]
    if isinstance(value, dict):
        return {str(k): _json_value(v, changed) for k, v in value.items()}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    dtype = getattr(value, "dtype", None)
    if type(value).__name__ == "Empty":  # h5py.Empty: a type without a value
        return "" if dtype is not None and dtype.kind in "SO" else None
    raise _Unrepresentable(f"a value of type {dtype or type(value).__name__}")


def nonfinite_text(value: float) -> str:
    """NaN and infinities as Zarr metadata write them."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_json(attrs: dict[str, Any], owner: str, warn: Warn) -> dict[str, Any]:
    """Attributes as JSON values; whatever is not kept as it is gets a warning that names it."""
    result = {}
    for name, value in attrs.items():
        changed: list[str] = []
        try:
            result[name] = _json_value(value, changed)
        except _Unrepresentable as e:
            warn(f"attribute {name!r} of {owner} is not kept: JSON has no form for {e}")
            continue
        if changed:
            warn(f"attribute {name!r} of {owner}: {changed[0]} are kept as text, JSON has none")
    return result


def to_typed(value: Any) -> tuple[Any, bool]:
    """A value that HDF5 can hold, and whether it is the value itself (False: JSON text of it)."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind == "U":
            value = value.tolist()
        else:
            return value, True
    if isinstance(value, (str, bytes, bool, float)):
        return value, True
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value, True
    if isinstance(value, (list, tuple)):
        if not value:
            return np.empty(0), True
        try:
            array = np.array(value)
        except (ValueError, OverflowError):  # ragged
            array = np.array(None)
        if array.dtype.kind == "U" and _leaves(value, str):
            return array.astype(object), True
        if array.dtype.kind in "iuf" and _leaves(value, (int, float)) or (
            array.dtype.kind == "b" and _leaves(value, bool)
        ):
            return array, True
    return json.dumps(value, default=str), False


def _leaves(value: Any, kinds: Any) -> bool:
    """Whether all leaves of a nested list are of a kind (np.array turns [1, "a"] and [1, True] into one dtype)."""
    if isinstance(value, (list, tuple)):
        return all(_leaves(v, kinds) for v in value)
    return isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))


def encode_fill_attribute(value: Any, dtype: np.dtype, zarr_format: int) -> Any:
    """The attribute ``_FillValue`` of a float array in the form that xarray expects in Zarr.

    A JSON number would lose NaN; xarray writes the bytes of a double in base64 into v3 metadata,
    and takes v2's from the array's fill value.
    """
    value = np.asarray(value).reshape(-1)
    if dtype.kind != "f" or value.dtype.kind not in "iuf" or value.size != 1:
        return value if value.size != 1 else value[0]
    number = float(value[0])
    if zarr_format == 3:
        return base64.standard_b64encode(struct.pack("<d", number)).decode()
    return number if math.isfinite(number) else nonfinite_text(number)


def decode_fill_attribute(value: Any, dtype: np.dtype) -> Any:
    """The inverse of `encode_fill_attribute`; what is of neither form stays."""
    if dtype.kind != "f":
        return value
    if isinstance(value, str):
        try:
            return dtype.type(float(value.replace("Infinity", "inf")))
        except ValueError:
            pass
        try:
            return dtype.type(struct.unpack("<d", base64.standard_b64decode(value))[0])
        except (ValueError, struct.error):
            return value
    return dtype.type(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
