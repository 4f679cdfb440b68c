"""HDF5 (and netCDF-4) files through h5py.

From HDF5 to HDF5, datasets, attributes and creation properties are copied as HDF5 has them; only
what the filter pipeline does is replaced.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import hdf5
from ..ansquant import AnsQuant
from ..errors import ChunkSizeWarning
from ..lowrankquant import LowRankQuant
from ..steadyfile import SteadyFile
from . import attributes, references, scales
from .model import UNNAMED, ArrayInfo, Box, CommandError, GroupInfo, Item, LinkInfo, Sink, Source, Warn

# Attributes that netCDF-4 keeps for itself; the names of dimensions are carried otherwise.
_BOOKKEEPING = {"_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict", "DIMENSION_LABELS"}


def require_h5py() -> Any:
    """The h5py module, with the filter known to it, or an error that says how to get it."""
    try:
        import h5py
    except ImportError:
        raise CommandError('HDF5 files need the h5py package: pip install "arraycodec[cli]"') from None
    hdf5.register()
    return h5py


def own_codec(dset: Any) -> dict[str, Any] | None:
    """What the filter was told about a dataset, in the form of a codec's configuration; None without the filter."""
    codec = hdf5.codec_of(dset)
    if codec is None:  # without the filter, or told what nobody can read
        return {"id": AnsQuant.codec_id} if hdf5.info(dset) else None
    return codec.get_config()


class Hdf5Source(Source):
    """An HDF5 file."""

    kind = "hdf5"

    def __init__(self, path: Path) -> None:
        self._h5py = require_h5py()
        try:
            self.file = self._h5py.File(path, "r")
        except OSError as e:
            raise CommandError(f"{path}: not a readable HDF5 file: {e}") from None
        self.first_names: dict[Any, str] = {}  # object -> the first name that the walk met it under

    def items(self) -> Iterator[Item]:
        self.first_names.clear()
        root = self.file["/"]
        self.first_names[root] = ""
        yield GroupInfo("", self._attrs(root, "the root group"), root)
        yield from self._walk(root, "")

    def _walk(self, group: Any, prefix: str) -> Iterator[Item]:
        h5py = self._h5py
        for name in group:
            path = prefix + name
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                yield LinkInfo(path, "soft link", link.path, link)
                continue
            if isinstance(link, h5py.ExternalLink):
                yield LinkInfo(path, "external link", f"{link.filename}:{link.path}", link)
                continue
            node = group[name]
            first = self.first_names.setdefault(node, path)
            if isinstance(node, h5py.Dataset):
                yield self._array(path, node).with_(same_as=first if first != path else None)
            elif first != path:
                yield LinkInfo(path, "second name (hard link)", first, None)
            elif isinstance(node, h5py.Group):
                yield GroupInfo(path, self._attrs(node, f"group {path!r}"), node)
                yield from self._walk(node, path + "/")
            else:
                yield LinkInfo(path, "named datatype", str(node.dtype), node)

    def _attrs(self, node: Any, owner: str) -> dict[str, Any]:
        result = {}
        for name in node.attrs:
            if name in _BOOKKEEPING or scales.is_bookkeeping(node, name):
                continue
            try:
                value = node.attrs[name]
            except (OSError, TypeError, ValueError, UnicodeDecodeError) as e:
                value = _Unreadable(str(e))
            if isinstance(value, np.ndarray) and value.shape == (1,):
                value = value[0]  # netCDF-4 writes every number as an array of one
            result[name] = value
        return result

    def _array(self, path: str, dset: Any) -> ArrayInfo:
        h5py = self._h5py
        strings = h5py.check_string_dtype(dset.dtype)
        names = scales.names(dset)
        null = dset.shape is None
        plist = dset.id.get_create_plist()
        return ArrayInfo(
            path,
            dset.dtype,
            () if null else dset.shape,
            chunks=dset.chunks,
            attrs=self._attrs(dset, repr(path)),
            fill_value=dset.fillvalue if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED else None,
            dimension_names=names,
            text=strings is not None and strings.length is None,
            coordinate=dset.is_scale or names == (path.rpartition("/")[2],),
            hidden=scales.is_bare_dimension(dset),
            null=null,
            codec=own_codec(dset),
            native=dset,
        )

    def read(self, info: ArrayInfo, box: Box) -> np.ndarray:
        try:
            with hdf5.explained(info.native):
                values = info.native[box if box else ()]
        except (OSError, TypeError, ValueError) as e:
            raise CommandError(f"cannot read {info.label}: {e}") from None
        if not info.text:
            return np.asarray(values)
        try:
            return _decoded(np.asarray(values, object))
        except UnicodeDecodeError:
            raise CommandError(f"{info.label} holds strings that are not UTF-8") from None

    def close(self) -> None:
        self.first_names.clear()
        self.file.close()


class _Unreadable:
    """An attribute value that h5py cannot read; every output format warns about it."""

    def __init__(self, reason: str) -> None:
        self.dtype = f"that h5py cannot read ({reason})"


def _decoded(values: np.ndarray) -> np.ndarray:
    flat = [v.decode() if isinstance(v, bytes) else str(v) for v in values.reshape(-1)]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(values.shape)


class Hdf5Sink(Sink):
    """A new HDF5 file."""

    host = "hdf5"

    def __init__(self, path: Path, warn: Warn, like: Source) -> None:
        self._h5py = require_h5py()
        self._like = like if isinstance(like, Hdf5Source) else None
        self.warn = warn
        self._dimensions: list[ArrayInfo] = []
        self._direct = False  # whether the codec of the last dataset is no matter of the filter alone
        self._native: list[tuple[str, Any]] = []  # copied objects, whose references are still to be made
        order = self._like is not None and _tracks_order(self._like.file["/"])
        self._output = SteadyFile(path)
        self.file = self._h5py.File(self._output, "w", track_order=order)

    def group(self, info: GroupInfo) -> None:
        if not info.name:
            group = self.file["/"]
        else:
            group = self.file.create_group(info.name, track_order=_tracks_order(info.native) or None)
        self._set_attrs(group, info)

    def create(self, info: ArrayInfo, codec: Any) -> Any:
        name = info.name or UNNAMED
        if info.same_as is not None and self._like is not None and info.same_as in self.file:
            self.file[name] = self.file[info.same_as]
            return None
        if self._like is None and info.null:
            self.file[name] = self._h5py.Empty(info.dtype)
        if self._like is not None:
            dset = self._clone(name, info, codec)
        else:
            dset = self._new(name, info, codec)
        self._set_attrs(dset, info)
        if self._like is None and info.dimension_names is not None:
            self._dimensions.append(info.with_(name=name))
        self._direct = isinstance(codec, LowRankQuant)
        complete = self._like is not None and (self._as_is(info, codec) or info.null)
        return None if complete else dset

    # ---- from HDF5 ----
    def _clone(self, name: str, info: ArrayInfo, codec: Any) -> Any:
        """The same dataset with another filter pipeline, or as it is where the pipeline stays."""
        source = info.native
        if self._as_is(info, codec):
            if scales.has_references(source.dtype) and not references.is_plain(source.dtype):
                self.warn(f"{info.label} holds references into the file of a kind that is not kept")
            self._parents(name)
            self._like.file.copy(source, self.file["/"], name, without_attrs=True)
            return self.file[name]
        h5py = self._h5py
        plist = source.id.get_create_plist()
        if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
            self.warn(f"{info.label}: its values are in other files, and are now in this one")
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            if info.fill_value is not None:
                plist.set_fill_value(np.asarray(info.fill_value, source.dtype))
        if plist.get_nfilters() and (info.codec is not None or codec is not None):
            plist.remove_filter(h5py.h5z.FILTER_ALL)
        if info.chunks is not None:
            plist.set_chunk(_fit(info.chunks, info.shape, source.maxshape))
        if codec is not None:
            plist.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_options)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        links.set_char_encoding(h5py.h5t.CSET_UTF8)
        new = h5py.h5d.create(
            self.file.id, name.encode(), source.id.get_type(), source.id.get_space(), plist, links
        )
        return h5py.Dataset(new)

    @staticmethod
    def _as_is(info: ArrayInfo, codec: Any) -> bool:
        """Whether HDF5's own copying serves."""
        if codec is not None or info.codec is not None:
            return False
        # H5Ocopy leaves a fill value of variable length pointing into the heap of the old file.
        return not (info.dtype.hasobject and info.fill_value is not None and not info.null)

    def _parents(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.file.require_group(parent)

    # ---- from elsewhere ----
    def _new(self, name: str, info: ArrayInfo, codec: Any) -> Any:
        h5py = self._h5py
        dtype = info.dtype
        if info.text or dtype.kind == "U":
            dtype = h5py.string_dtype()
        elif dtype.kind in "mM":
            dtype = h5py.opaque_dtype(dtype)
        options: dict[str, Any] = {}
        if info.chunks:
            options["chunks"] = _fit(info.chunks, info.shape, info.shape)
            if codec is not None:
                options["compression"] = codec
            elif not dtype.hasobject:
                options |= {"compression": "gzip", "shuffle": True}
        fill = info.fill_value
        if fill is not None and dtype.kind in "biufcS":
            options["fillvalue"] = fill
        try:
            return self.file.create_dataset(name, info.shape, dtype, **options)
        except (TypeError, ValueError, OSError) as e:
            raise CommandError(f"HDF5 cannot hold {info.label} of dtype {info.dtype}: {e}") from None

    def write(self, handle: Any, box: Box, values: np.ndarray) -> None:
        if values.dtype.kind == "U":
            values = values.astype(object)
        elif values.dtype.kind in "mM":
            values = values.astype(self._h5py.opaque_dtype(values.dtype))
        if self._direct:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChunkSizeWarning)  # the user has been told
                hdf5.write(handle, values, box)
        else:
            handle[box if box else ()] = values
        self._output.check()

    def read(self, handle: Any, box: Box) -> np.ndarray:
        return np.asarray(hdf5.read(handle, box))  # what is stored, not what HDF5 still has in its cache

    def stored(self, handle: Any) -> int:
        handle.flush()
        return handle.id.get_storage_size()

    def can_chunk(self, info: ArrayInfo) -> bool:
        grows = self._like is not None and info.chunks is not None  # empty, but made to be appended to
        return not info.null and info.shape != () and (info.size > 0 or grows)

    def can_code(self, info: ArrayInfo, codec: Any) -> bool:
        h5py = self._h5py
        if self._like is not None:
            kind = info.native.id.get_type()
        else:
            opaque = info.dtype.kind in "mM"
            kind = h5py.h5t.py_create(h5py.opaque_dtype(info.dtype) if opaque else info.dtype, logical=True)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1,) * len(info.shape))
        plist.set_filter(codec.filter_id, h5py.h5z.FLAG_MANDATORY, codec.filter_options)
        with h5py.File("probe", "w", driver="core", backing_store=False) as f:  # in memory: the filter itself says
            try:
                h5py.h5d.create(f.id, b"x", kind, h5py.h5s.create_simple((1,) * len(info.shape)), plist)
            except (ValueError, OSError, RuntimeError, TypeError):
                return False
        return True

    def unit(self, info: ArrayInfo) -> tuple[int, ...]:
        return info.chunks or info.shape

    # ---- attributes and links ----
    def _set_attrs(self, node: Any, info: GroupInfo | ArrayInfo) -> None:
        owner = f"group {info.name or '/'!r}" if isinstance(info, GroupInfo) else info.label
        if self._like is not None and info.native is not None:
            self._native.append((info.name or "/", info.native))
            scales.copy_attributes(info.native, node, owner, self.warn)
            return
        for name, value in info.attrs.items():
            typed, exact = attributes.to_typed(value)
            try:
                node.attrs[name] = typed
            except (TypeError, ValueError, OSError, RuntimeError) as e:
                self.warn(f"attribute {name!r} of {owner} is not kept: {e}")
                continue
            if not exact:
                self.warn(f"attribute {name!r} of {owner} is kept as JSON text: HDF5 has no form for {value!r:.60}")

    def link(self, info: LinkInfo) -> None:
        if self._like is None:
            super().link(info)
        elif info.kind == "named datatype":
            self._parents(info.name)
            self._like.file.copy(info.native, self.file["/"], info.name)
        elif info.native is None:
            self.file[info.name] = self.file[info.target]
        else:
            self._parents(info.name)
            self.file[info.name] = info.native

    def complete(self) -> None:
        if self._like is not None:
            scales.restore(self._native, self.file, self._like.first_names, self.warn)
            references.restore(self._native, self.file, self._like.first_names, self.warn)
        else:
            scales.create(self.file, self._dimensions)

    def close(self) -> None:
        self._native.clear()
        try:
            self.file.close()
        finally:
            self._output.close()


def _fit(chunks: tuple[int, ...], shape: tuple[int, ...], maxshape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Chunks no longer than an axis that cannot grow (HDF5 refuses them)."""
    return tuple(
        max(1, c if most is None else min(c, max(n, most)))
        for c, n, most in zip(chunks, shape, maxshape, strict=True)
    )


def _tracks_order(group: Any) -> bool:
    """Whether a group of an HDF5 file remembers the order in which its members were made (netCDF-4 needs it)."""
    return group is not None and hasattr(group, "id") and bool(group.id.get_create_plist().get_link_creation_order())
