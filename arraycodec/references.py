"""HDF5 files as virtual Zarr stores: where the chunks of a file are; users call `hdf5.references`.

An HDF5 chunk of ours is a Zarr chunk of ours, byte for byte, so a list of offsets is all that a Zarr reader needs: the
references of kerchunk (https://fsspec.github.io/kerchunk/spec.html, version 1), which fsspec's "reference" file system
reads.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from . import hdf5
from .ansquant import AnsQuant
from .errors import ParameterError

_INTERNAL = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS")
_ONLY_A_DIMENSION = "This is a netCDF dimension but not a netCDF variable"  # NAME of scales without values
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3


def references(file: Any, url: str | None) -> dict[str, Any]:
    """See `hdf5.references`."""
    if isinstance(file, h5py.File | h5py.Group):
        return _references(file, url)
    with h5py.File(os.fspath(file), "r") as opened:
        return _references(opened, url)


def _references(group: h5py.Group, url: str | None) -> dict[str, Any]:
    url = group.file.filename if url is None else url
    group.file.flush()
    refs: dict[str, Any] = {}
    _add_group(group, "", refs)
    for name, item in _items(group):
        if isinstance(item, h5py.Group):
            _add_group(item, f"{name}/", refs)
        else:
            _add_dataset(item, name, url, refs)
    return {"version": 1, "refs": refs}


def _items(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset | h5py.Group]]:
    """Groups and datasets under all their names: hard and soft links are followed, where they end in this file.

    A group of several names is under the first alone: it may contain itself, and what it contains would be there as
    often as there are ways to it.
    """
    groups = {group: ""}
    waiting = [("", group)]
    while waiting:
        prefix, parent = waiting.pop()
        for key in parent:
            name = prefix + key
            item, problem = _linked(parent, key)
            if problem is not None:
                _leave_out(name, problem)
            elif isinstance(item, h5py.Group):
                first = groups.setdefault(item, name)
                if first != name:
                    _leave_out(name, f"it is another name of the group /{first}")
                    continue
                waiting.append((f"{name}/", item))
                yield name, item
            elif isinstance(item, h5py.Dataset) and not _is_bare_dimension(item):
                yield name, item


def _linked(parent: h5py.Group, key: str) -> tuple[Any, str | None]:
    """What a link leads to, or why it is left out."""
    link = parent.get(key, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return None, f"it is in another file, {link.filename}"
    try:
        item = parent[key]
    except (KeyError, OSError, RuntimeError) as error:
        end = f" to {link.path}" if isinstance(link, h5py.SoftLink) else ""
        return None, f"the link{end} leads nowhere ({error})"
    if item.file.filename != parent.file.filename:
        return None, f"it is in another file, {item.file.filename}"
    return item, None


def _leave_out(name: str, why: str) -> None:
    warnings.warn(f"{name} is left out: {why}", UserWarning, stacklevel=6)  # whoever called hdf5.references


def _is_bare_dimension(dataset: h5py.Dataset) -> bool:
    return _text(dataset.attrs.get("NAME", "")).startswith(_ONLY_A_DIMENSION)


def _add_group(group: h5py.Group, prefix: str, refs: dict[str, Any]) -> None:
    refs[f"{prefix}.zgroup"] = json.dumps({"zarr_format": 2})
    refs[f"{prefix}.zattrs"] = json.dumps(_attributes(group))


def _add_dataset(dataset: h5py.Dataset, name: str, url: str, refs: dict[str, Any]) -> None:
    prefix = f"{name}/"
    if dataset.shape is None or dataset.dtype.kind not in "fiubc":
        _leave_out(name, f"Zarr has no type for {dataset.dtype}")
        return
    codecs = _codecs(dataset)  # all of them filters, as kerchunk writes them: VirtualiZarr does not read compressors
    chunks = dataset.chunks or tuple(max(1, n) for n in dataset.shape)
    places = dict(_chunks(dataset, chunks, codecs, url))
    # xarray takes Zarr's fill value for that of missing values, so it is only there where it is that, or is needed
    complete = len(places) == math.prod(-(-n // c) for n, c in zip(dataset.shape, chunks, strict=True))
    fill = None if complete and "_FillValue" not in dataset.attrs else _json_number(dataset.fillvalue)
    refs[f"{prefix}.zarray"] = json.dumps({
        "zarr_format": 2, "shape": dataset.shape, "chunks": chunks, "dtype": dataset.dtype.str, "order": "C",
        "fill_value": fill, "filters": codecs or None, "compressor": None,
    })  # fmt: skip
    refs[f"{prefix}.zattrs"] = json.dumps({**_attributes(dataset), "_ARRAY_DIMENSIONS": _dimensions(dataset)})
    refs.update({f"{prefix}{key}": value for key, value in places.items()})


def _codecs(dataset: h5py.Dataset) -> list[dict[str, Any]]:
    """What numcodecs calls the filters of a dataset, in the order in which they encode."""
    plist = dataset.id.get_create_plist()
    codecs: list[dict[str, Any]] = []
    for i in range(plist.get_nfilters()):
        number, _, values, name = plist.get_filter(i)
        if number == hdf5.FILTER_ID and (codec := hdf5.codec_of(dataset)) is not None:
            codecs.append(codec.get_config())
        elif number == _DEFLATE:
            codecs.append({"id": "zlib", "level": values[0]})
        elif number == _SHUFFLE:
            codecs.append({"id": "shuffle", "elementsize": dataset.dtype.itemsize})
        elif number == _FLETCHER32:
            codecs.append({"id": "fletcher32"})
        else:
            name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
            raise ParameterError(f"{dataset.name} has filter {number} ({name}), for which there is no Zarr codec here")
    return codecs


def _chunks(
    dataset: h5py.Dataset, chunks: tuple[int, ...], codecs: list[dict[str, Any]], url: str
) -> Iterator[tuple[str, Any]]:
    """Keys of chunks that are there, and where they are."""
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        key = ".".join(["0"] * len(chunks)) or "0"
        if dataset.external:
            raise ParameterError(f"{dataset.name} has its values in other files: {dataset.external}")
        if offset is not None:
            yield key, [url, offset, dataset.id.get_storage_size()]
        elif dataset.id.get_storage_size():  # compact: in the object's header
            yield key, _inline(dataset[...].tobytes())
        return
    for i in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(i)
        key = ".".join(str(start // length) for start, length in zip(info.chunk_offset, chunks, strict=True))
        if info.filter_mask == 0:
            yield key, [url, info.byte_offset, info.size]
            continue
        if len(codecs) != 1 or not str(codecs[0]["id"]).endswith("quant"):
            raise ParameterError(f"the chunk at {info.chunk_offset} of {dataset.name} is stored without some filters")
        # without ours: Zarr has no way to say so, but our decoders read a lossless chunk all the same
        values = np.frombuffer(dataset.id.read_direct_chunk(info.chunk_offset)[1], dataset.dtype).reshape(chunks)
        yield key, _inline(AnsQuant(tol=0).encode(values))


def _inline(data: bytes) -> str:
    return f"base64:{base64.b64encode(data).decode()}"


def _dimensions(dataset: h5py.Dataset) -> list[str]:
    """Names as xarray wants them: of the scales, or made up."""
    names = []
    for axis, dimension in enumerate(dataset.dims):
        own = dataset.is_scale and dataset.ndim == 1
        scales = [dataset] if own else list(dimension.values())
        names.append(scales[0].name.rpartition("/")[2] if scales else f"phony_dim_{axis}_{dataset.shape[axis]}")
    return names


def _attributes(item: Any) -> dict[str, Any]:
    found = {}
    for name in item.attrs:
        if name in _INTERNAL or name.startswith(("_Netcdf4", "_nc3", "_NCProperties", "_FillValue")):
            continue
        try:
            value = _json_value(item.attrs[name])
        except (OSError, TypeError):  # references, compounds, types that h5py does not read
            continue
        found[name] = value
    with contextlib.suppress(KeyError, TypeError):  # NaN needs no mention
        found["_FillValue"] = _json_value(item.attrs["_FillValue"])
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, bytes | np.bytes_):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        values = [_json_value(item) for item in value.ravel()]
        return values[0] if len(values) == 1 else values
    if isinstance(value, np.generic):
        return _json_value(value.item())
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError(f"no JSON for {type(value).__name__}")


def _json_number(value: Any) -> Any:
    """A fill value as Zarr v2 writes it."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, complex):
        return [_json_number(item.real), _json_number(item.imag)]
    if isinstance(item, float) and not math.isfinite(item):
        return "NaN" if math.isnan(item) else "Infinity" if item > 0 else "-Infinity"
    return item
