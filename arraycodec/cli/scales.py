"""HDF5 dimension scales (the dimensions of netCDF-4), and HDF5 attributes copied as they are.

Scales and datasets point at each other with object references, which mean nothing in another file:
they are made again when all datasets exist.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .model import ArrayInfo, Warn

_BARE = "This is a netCDF dimension but not a netCDF variable."
_PREFIX = "_nc4_non_coord_"  # netCDF-4: a variable named like a dimension that is not its own


def is_bookkeeping(node: Any, name: str) -> bool:
    """Whether an attribute is one that `restore` and `create` make through the dimension scale interface."""
    if name in ("DIMENSION_LIST", "REFERENCE_LIST"):
        return hasattr(node, "dims")
    return name in ("CLASS", "NAME") and hasattr(node, "dims") and node.is_scale


def _scale_name(dset: Any) -> str:
    """The NAME of a dimension scale."""
    name = dset.attrs.get("NAME", b"")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def is_bare_dimension(dset: Any) -> bool:
    """Whether a dataset only marks the length of a netCDF dimension, and holds no values."""
    return dset.is_scale and _scale_name(dset).startswith(_BARE)


def names(dset: Any) -> tuple[str | None, ...] | None:
    """The names of a dataset's dimensions: their scales', else their labels; None if there are none."""
    if not dset.shape:
        return None
    found: list[str | None] = []
    for dim in dset.dims:
        attached = dim.values()
        name = attached[0].name if attached else dim.label
        found.append(name.rpartition("/")[2].removeprefix(_PREFIX) if name else None)
    if dset.is_scale and len(found) == 1 and found[0] is None:
        found = [dset.name.rpartition("/")[2].removeprefix(_PREFIX)]
    return tuple(found) if any(found) else None


def copy_attributes(source: Any, target: Any, owner: str, warn: Warn) -> None:
    """Copy attributes with their HDF5 types, except dimension scales' and object references."""
    import h5py

    for name in source.attrs:
        if is_bookkeeping(source, name):
            continue
        attr = source.attrs.get_id(name)
        try:
            dtype = attr.dtype
            if has_references(dtype):
                if h5py.check_ref_dtype(dtype) is not h5py.Reference:  # those are made again later
                    warn(f"attribute {name!r} of {owner} holds references into the file of a kind that is not kept")
                continue
            space = attr.get_space()
            kind = attr.get_type()
            new = h5py.h5a.create(target.id, name.encode(), kind, space)
            if space.get_simple_extent_type() != h5py.h5s.NULL and 0 not in attr.shape:
                values = np.empty(attr.shape, dtype)
                # Bytes as they are: a conversion between kinds of padding would cut strings short.
                memory = kind if not dtype.hasobject and dtype.itemsize == kind.get_size() else None
                attr.read(values, memory)
                new.write(values, memory)
        except (TypeError, ValueError, OSError, RuntimeError) as e:
            warn(f"attribute {name!r} of {owner} is not kept: {e}")


def has_references(dtype: np.dtype) -> bool:
    """Whether values of a dtype are or contain references to objects or regions."""
    import h5py

    if dtype.names:
        return any(has_references(dtype[n]) for n in dtype.names)
    if h5py.check_ref_dtype(dtype) is not None:
        return True
    base = h5py.check_vlen_dtype(dtype)
    return isinstance(base, np.dtype) and has_references(base)


def restore(copied: list[tuple[str, Any]], file: Any, first_names: dict[Any, str], warn: Warn) -> None:
    """Make the scales of copied datasets again.

    Parameters
    ----------
    copied : list of (str, h5py object)
        Names in the new file, and the objects that they were copied from.
    file : h5py.File
        The new file.
    first_names : dict
        Objects of the old file -> their names in both.
    warn : callable
        Told of scales that are not in the new file.
    """
    import h5py

    datasets = [(name, node) for name, node in copied if isinstance(node, h5py.Dataset) and node.shape is not None]
    for name, node in datasets:
        if node.is_scale:
            file[name].make_scale(_scale_name(node))
    for name, node in datasets:
        for i, dim in enumerate(node.dims):
            for scale in dim.values():
                target = first_names.get(scale)
                if target is None or target not in file:
                    warn(f"the dimension scale {scale.name!r} of {name!r} is not in the output")
                else:
                    file[name].dims[i].attach_scale(file[target])


def create(file: Any, arrays: list[ArrayInfo]) -> None:
    """Give arrays from elsewhere their dimensions as netCDF-4 would.

    The scale is the one-dimensional array of that name in the same group or above it, or a new one
    that marks the length only; a dimension whose name is taken by something else is labelled.
    """
    for info in sorted(arrays, key=lambda i: i.name.count("/")):  # so that groups find the dimensions above them
        dset = file[info.name]
        for i, name in enumerate(info.dimension_names or ()):
            if not name:
                continue
            scale = _find_scale(dset.parent, name, dset.shape[i])
            if scale is None:
                dset.dims[i].label = name
                continue
            if not scale.is_scale:
                scale.make_scale(name)
            if scale != dset:  # a scale has no scales of its own
                dset.dims[i].attach_scale(scale)


def _find_scale(group: Any, name: str, length: int) -> Any:
    import h5py

    node = group
    while True:
        found = node.get(name) if "/" not in name else None
        if isinstance(found, h5py.Dataset) and found.shape == (length,):
            return found
        if node.name == "/":
            break
        node = node.parent
    if "/" in name or name in group or not length:
        return None
    scale = group.create_dataset(name, (length,), ">f4")  # never written, so it takes no space
    scale.make_scale(f"{_BARE}{length:10d}")
    return scale
