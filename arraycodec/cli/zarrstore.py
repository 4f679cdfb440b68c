"""Zarr directories, v2 and v3, through zarr's public functions."""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..ansquant import AnsQuant
from ..errors import ArraycodecError
from ..lowrankquant import LowRankQuant
from ..stochasticquant import StochasticQuant
from ..varintquant import VarintQuant
from . import attributes
from .model import ArrayInfo, Box, CommandError, GroupInfo, Item, Sink, Source, Warn, plain_dtype

DIMENSIONS_V2 = "_ARRAY_DIMENSIONS"  # where xarray keeps the names that v3 has a field for
METADATA_FILES = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})


def require_zarr() -> Any:
    """The zarr module, or an error that says how to get it."""
    try:
        import zarr
    except ImportError:
        raise CommandError('Zarr stores need the zarr package: pip install "arraycodec[cli]"') from None
    if int(zarr.__version__.split(".")[0]) < 3:
        raise CommandError(f"Zarr stores need zarr 3, this is {zarr.__version__}")
    return zarr


_OWN = (AnsQuant, LowRankQuant, StochasticQuant, VarintQuant)
#: Our codecs in the metadata of Zarr v2 and v3.
OWN_IDS = tuple(codec.codec_id for codec in _OWN)
OWN_NAMES = {codec.zarr3_name: codec.codec_id for codec in _OWN}


def own_codec(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """The configuration of our codec in an array's metadata (of either version), with its "id", or None."""
    if metadata.get("zarr_format") == 2:
        for codec in [*(metadata.get("filters") or ()), metadata.get("compressor")]:
            config = codec.get_config() if hasattr(codec, "get_config") else codec
            if config and config.get("id") in OWN_IDS:
                return config
        return None
    codecs = list(metadata.get("codecs") or ())
    for codec in codecs:
        if codec.get("name") in OWN_NAMES:
            return {"id": OWN_NAMES[codec["name"]], **(codec.get("configuration") or {})}
        if codec.get("name") == "sharding_indexed":
            return own_codec({"codecs": codec["configuration"]["codecs"]})
    return None


def stored_bytes(folder: Path) -> int:
    """Bytes of the chunks or shards of the array in a folder."""
    return sum(
        os.path.getsize(os.path.join(where, file))
        for where, _, files in os.walk(folder)
        for file in files
        if file not in METADATA_FILES
    )


class ZarrSource(Source):
    """A Zarr hierarchy, or a store whose root is an array."""

    kind = "zarr"

    def __init__(self, path: Path) -> None:
        self._zarr = zarr = require_zarr()
        try:
            # Consolidated metadata may be stale; the store itself is at hand.
            self._root = zarr.open_group(str(path), mode="r", use_consolidated=False)
        except (FileNotFoundError, ValueError, TypeError):
            try:
                self._root = zarr.open_array(str(path), mode="r")
            except Exception as e:
                raise CommandError(f"{path}: not a readable Zarr store: {e}") from None
        self._is_array = not hasattr(self._root, "members")
        self.consolidated = _is_consolidated(path)

    def items(self) -> Iterator[Item]:
        with warnings.catch_warnings():
            # About dtypes of arrays that exist already; there is nothing to be done about them here.
            warnings.simplefilter("ignore", getattr(self._zarr.errors, "UnstableSpecificationWarning", FutureWarning))
            items = self._items()
        return iter(items)

    def _items(self) -> list[Item]:
        if self._is_array:
            return [GroupInfo(""), self._array("", self._root)]
        items: list[Item] = [GroupInfo("", self._root.attrs.asdict(), self._root)]
        for name, node in sorted(self._root.members(max_depth=None)):
            if hasattr(node, "members"):
                items.append(GroupInfo(name, node.attrs.asdict(), node))
            else:
                items.append(self._array(name, node))
        return items

    @staticmethod
    def _array(name: str, node: Any) -> ArrayInfo:
        attrs = node.attrs.asdict()
        metadata = node.metadata.to_dict()
        dtype = np.dtype(node.dtype)
        names = metadata.get("dimension_names")
        if metadata["zarr_format"] == 2 and _is_names(attrs.get(DIMENSIONS_V2), node.shape):
            names = attrs.pop(DIMENSIONS_V2)
            if node.metadata.fill_value is not None:  # xarray keeps the attribute _FillValue there
                attrs.setdefault("_FillValue", node.metadata.fill_value)
        names = tuple(names) if names is not None and any(names) else None
        if isinstance(attrs.get("_FillValue"), (str, list)) or metadata["zarr_format"] == 3 and "_FillValue" in attrs:
            attrs["_FillValue"] = attributes.decode_fill_attribute(attrs["_FillValue"], dtype)
        config = own_codec(metadata)
        text = dtype.kind == "T" or dtype == object
        return ArrayInfo(
            name,
            np.dtype(object) if text else dtype,
            node.shape,
            chunks=tuple(node.chunks),
            shards=tuple(node.shards) if node.shards else None,
            attrs=attrs,
            fill_value=node.metadata.fill_value,  # of a v2 array perhaps None
            dimension_names=names,
            order=node.order if metadata["zarr_format"] == 2 else "C",
            text=text,
            coordinate=names == (name.rpartition("/")[2],),
            codec=config,
            native=node,
        )

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        try:
            values = info.native[box]
        except ArraycodecError as e:
            where = ", ".join(f"{s.start}:{s.stop}" for s in box)
            raise CommandError(f"cannot read {info.label}[{where}]: {e}") from None
        return np.asarray(values, object if info.text else None)


def _is_names(value: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(value, list) and len(value) == len(shape) and all(isinstance(n, str) for n in value)
        and len(shape) > 0
    )


class ZarrSink(Sink):
    """A new Zarr store in a directory."""

    host = "zarr"

    def __init__(self, path: Path, zarr_format: int, warn: Warn, like: Source) -> None:
        self._zarr = require_zarr()
        # what xarray looks for first: always in v2, and in v3, which does not specify it, if the source had it
        self._consolidate = zarr_format == 2 or getattr(like, "consolidated", False)
        self._path = path
        self._format = zarr_format
        self._root: Any = None
        self._pending_root: GroupInfo | None = None
        self._reopened: dict[str, Any] = {}
        self.warn = warn

    def group(self, info: GroupInfo) -> None:
        if not info.name:
            self._pending_root = info  # unless the root turns out to be an array
        else:
            self._group().create_group(info.name, attributes=self._attrs(info.attrs, f"group {info.name!r}"))

    def _group(self) -> Any:
        if self._root is None:
            attrs = self._attrs(self._pending_root.attrs if self._pending_root else {}, "the root group")
            self._root = self._zarr.open_group(
                str(self._path), mode="w-", zarr_format=self._format, attributes=attrs
            )
        return self._root

    def _attrs(self, attrs: dict[str, Any], owner: str) -> dict[str, Any]:
        return attributes.to_json(attrs, owner, self.warn)

    def create(self, info: ArrayInfo, codec: Any) -> Any:
        if info.null:
            self.warn(f"{info.label} has no value (an HDF5 null dataspace) and is not kept")
            return None
        if info.dtype.hasobject and not info.text:
            raise CommandError(f"{info.label}: Zarr cannot hold HDF5 values of type {_describe(info.dtype)}")
        self._warn_about_dtype(info)
        options = self._options(info)
        if codec is None:
            pass  # zarr's own default
        elif self._format == 2:
            options |= {"compressors": codec, "filters": None}
        else:
            options |= {"serializer": codec, "compressors": None, "filters": None}
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                if info.name:
                    array = self._group().create_array(info.name, **options)
                else:
                    array = self._zarr.create_array(str(self._path), zarr_format=self._format, **options)
        except (ValueError, TypeError, NotImplementedError) as e:
            what = f"{info.label} of dtype {info.dtype}, chunks {options['chunks']}"
            raise CommandError(f"Zarr v{self._format} cannot hold {what}: {_first_line(e)}") from None
        for warning in caught:
            if warning.category.__name__ == "UnstableSpecificationWarning":
                self.warn(f"{info.label}: Zarr v3 has no specified form for {info.dtype}, other readers may fail")
        return array

    def reopen(self, info: ArrayInfo) -> Any:
        """The handle of an array that was made before, perhaps by another process."""
        if info.name not in self._reopened:
            array = self._zarr.open_array(str(self._path / info.name), mode="r+", zarr_format=self._format)
            if array.metadata.fill_value is None:  # what is no part of the metadata, as `create` has it
                array = array.with_config({"write_empty_chunks": True})
            self._reopened[info.name] = array
        return self._reopened[info.name]

    def go_on(self) -> None:
        """The arrays and groups were all made before."""
        try:
            self._root = self._zarr.open_group(
                str(self._path), mode="r+", zarr_format=self._format, use_consolidated=False
            )
        except (FileNotFoundError, ValueError, TypeError):  # one array, without a name
            self._root = None

    def stored_in(self, info: ArrayInfo, box: Box) -> int:
        """Bytes of the chunks (or shards) in a box of an array that was made before, as far as they are there."""
        handle = self.reopen(info)
        shape = handle.shards or handle.chunks
        ranges = [range(s.start // n, -(-s.stop // n)) for s, n in zip(box, shape, strict=True)]
        folder, total = self._path / info.name, 0
        for index in itertools.product(*ranges):
            try:
                total += os.path.getsize(folder / handle.metadata.encode_chunk_key(index))
            except FileNotFoundError:
                pass
        return total

    def _options(self, info: ArrayInfo) -> dict[str, Any]:
        attrs = dict(info.attrs)
        if self._format == 2 and attrs.get("_FillValue") is not None and info.dtype.kind in "biufcmM":
            info = info.with_(fill_value=attrs.pop("_FillValue"))  # where xarray looks for it in v2
        if "_FillValue" in attrs:
            attrs["_FillValue"] = attributes.encode_fill_attribute(attrs["_FillValue"], info.dtype, self._format)
            if attrs["_FillValue"] == "NaN" and _is_nan(info.fill_value):
                del attrs["_FillValue"]  # the array's fill value says it
        attrs = self._attrs(attrs, info.label)
        options: dict[str, Any] = {
            "shape": info.shape,
            "dtype": str if info.text else plain_dtype(info.dtype),
            "chunks": tuple(max(1, c) for c in info.chunks or info.shape),
        }
        if self._format == 2:
            options["order"] = info.order
            if info.dimension_names is not None:
                attrs[DIMENSIONS_V2] = list(info.dimension_names)
        else:
            options["shards"] = info.shards
            options["dimension_names"] = info.dimension_names
        if info.fill_value is not None:
            options["fill_value"] = info.fill_value
        elif self._format == 2 and not info.text and info.dtype.kind not in "V":
            # A v2 fill value marks missing data for xarray: do not invent one, and store every chunk.
            options |= {"fill_value": None, "config": {"write_empty_chunks": True}}
        keys = _key_encoding(info.native, self._format)
        if keys is not None:
            options["chunk_key_encoding"] = keys
        options["attributes"] = attrs
        return options

    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        if values.dtype.names is not None:
            values = values.astype(handle.dtype)
        handle[box if box else ...] = values if box else values[()]

    def stored(self, handle: Any) -> int:
        return stored_bytes(self._path / handle.path)

    def complete(self) -> None:
        if self._root is None and not any((self._path / name).exists() for name in METADATA_FILES):
            self._group()  # a store without arrays is one group
        if self._root is not None and self._consolidate:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zarr: "not part of the Zarr format 3 specification"
                self._zarr.consolidate_metadata(str(self._path), zarr_format=self._format)


def _is_consolidated(path: Path) -> bool:
    if (path / ".zmetadata").is_file():
        return True
    try:
        return bool(json.loads((path / "zarr.json").read_text()).get("consolidated_metadata"))
    except (OSError, ValueError):
        return False


def _is_nan(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _describe(dtype: np.dtype) -> str:
    return f"{dtype} ({', '.join(f'{k}: {v}' for k, v in dtype.metadata.items())})" if dtype.metadata else str(dtype)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _key_encoding(node: Any, zarr_format: int) -> dict[str, str] | None:
    """How the chunks of a Zarr array are named, if the same version can be told to name them so again."""
    metadata = getattr(node, "metadata", None)
    if metadata is None or getattr(metadata, "zarr_format", None) != zarr_format:
        return None
    if zarr_format == 2:
        return {"name": "v2", "separator": metadata.dimension_separator}
    encoding = metadata.chunk_key_encoding.to_dict()
    return {"name": encoding["name"], "separator": encoding["configuration"]["separator"]}
