"""Object references of an HDF5 file made again in a copy of it, where the objects have other addresses."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import scales
from .model import Warn


def is_plain(dtype: np.dtype) -> bool:
    """Whether values are object references, which can be made again (region references are not)."""
    import h5py

    return h5py.check_ref_dtype(dtype) is h5py.Reference


def restore(copied: list[tuple[str, Any]], file: Any, first_names: dict[Any, str], warn: Warn) -> None:
    """Set datasets and attributes that hold object references.

    Parameters
    ----------
    copied : list of (str, h5py object)
        Names in the new file, and the objects that they were copied from.
    file : h5py.File
        The new file.
    first_names : dict
        Objects of the old file -> their names in both.
    warn : callable
        Told of references to objects that are not in the new file; they become null.
    """
    import h5py

    for name, node in copied:
        for attr in node.attrs:
            if not scales.is_bookkeeping(node, attr) and is_plain(node.attrs.get_id(attr).dtype):
                values, lost = _translate(node.attrs[attr], node.file, file, first_names)
                file[name].attrs.create(attr, values, dtype=h5py.ref_dtype)
                _report(lost, f"attribute {attr!r} of {name!r}", warn)
        if isinstance(node, h5py.Dataset) and node.shape is not None and is_plain(node.dtype) and node.size:
            values, lost = _translate(node[()], node.file, file, first_names)
            file[name][()] = values
            _report(lost, repr(name), warn)


def _report(lost: int, owner: str, warn: Warn) -> None:
    if lost:
        warn(f"{owner}: {lost} references to objects that are not in the output are now null")


def _translate(values: Any, old: Any, new: Any, first_names: dict[Any, str]) -> tuple[Any, int]:
    import h5py

    lost = 0
    array = np.asarray(values, object)
    result = np.empty(array.size, h5py.ref_dtype)
    for i, reference in enumerate(array.reshape(-1)):
        target = None
        if reference:
            try:
                target = first_names.get(old[reference])
            except (ValueError, KeyError, OSError):
                pass  # dangling already
            if target is None or (target and target not in new):
                lost += 1
                target = None
        result[i] = h5py.Reference() if target is None else new[target or "/"].ref
    result = result.reshape(array.shape)
    return (result if array.shape else result[()]), lost
