"""xarray: encodings of datasets with a tolerance for each variable, for Zarr v2, Zarr v3 and h5netcdf.

>>> encoding = arraycodec.xarray.encoding(ds, tol={"t2m": 0.01, "units=Pa": 1.0})
>>> ds.to_zarr("store.zarr", encoding=encoding)

Variables are matched by their names, by their attributes, or by a function; fill values and packed variables get the
codec that their stored values need, and `annotate` writes into the attributes what was lost.  A `DataTree` is taken
wherever a `Dataset` is.
"""

from __future__ import annotations

import fnmatch
import math
import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from . import chunksize
from .ansquant import AnsQuant
from .config import Config, check_tolerance
from .dtypes import describe
from .errors import ParameterError
from .hosted import HostedCodec
from .names import Predictor, Target

__all__ = ["annotate", "encoding", "restore"]

#: What is said for a variable: a tolerance, a codec, or None to leave it to xarray.
Wanted = float | HostedCodec | None
_Data = TypeVar("_Data", xr.Dataset, xr.DataTree)
TARGETS = ("zarr3", "zarr2", "h5netcdf")
#: Of a variable's own encoding: what values are when they are stored.
_KEPT = ("dtype", "scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar")
#: Attributes that `annotate` writes.
ATTRIBUTES = ("lossy_compression", "lossy_absolute_tolerance", "lossy_relative_tolerance")


def encoding(
    dataset: xr.Dataset | xr.DataTree,
    tol: float | Mapping[str, Wanted] | Callable[[Hashable, xr.DataArray], Wanted] | None = None,
    *,
    rtol: float | None = None,
    target: Target = "zarr3",
    level: int | None = None,
    predictor: Predictor | None = None,
) -> dict[Hashable, dict[str, Any]]:
    """What `to_zarr` and `to_netcdf` take as ``encoding``.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataTree
        Nothing is computed of it: its dtypes, attributes and encodings decide.
    tol : float, mapping or callable
        Absolute tolerance, in the units of the values that xarray shows (of packed variables those that are unpacked).
        A number is for all floating-point data variables; coordinates and all others are left to xarray. A mapping
        has for keys, in the order in which they are tried, the name of a variable, a pattern of names (``"t*"``), or
        an attribute and its value (``"units=K"``, ``"standard_name=air_*"``); for values tolerances (0 is lossless),
        codecs of this package, or None for what is left to xarray. Exact names come first; patterns and attributes are
        about floats that are no coordinates. Of a tree a name is that of
        the variable in every group, or with its group (``"/a/t"``, ``"/a/*"``). A callable gets name and
        `DataArray` of each variable, coordinates included, and returns such a value.
    rtol : float, optional
        Pointwise relative tolerance of all variables that get a tolerance; alone, of all floating-point data variables.
    target : {"zarr3", "zarr2", "h5netcdf"}
        For ``to_zarr`` (``zarr_format=3`` or ``2``), or for ``to_netcdf(engine="h5netcdf")``.
    level, predictor : optional
        As of `AnsQuant`.

    Returns
    -------
    dict
        By variables (of a tree: by the paths of groups, and then by variables); what their own encodings say of dtype,
        packing, fill values and chunks is repeated, as xarray would forget it.

    Raises
    ------
    ParameterError
        If a key of `tol` matches no variable, or a tolerance is not valid.
    TypeError
        If a variable that is named has a dtype that no codec of ours takes.

    Warns
    -----
    ChunkSizeWarning
        For Zarr v2 and h5netcdf, if chunks are known and too small; for Zarr v3 that is said when the array is made.

    Notes
    -----
    A finite ``_FillValue`` or ``missing_value`` becomes the codec's `fill_value`, and comes back bit for bit. Packed
    variables (``scale_factor``, ``add_offset``, an integer ``dtype`` in the encoding) are integers when stored: their
    tolerance is what `tol` leaves of the units of ``scale_factor`` when packing has rounded by half of one; less than
    half a unit is lossless. Variables that are scaled but stored as floats have ``tol / scale_factor`` (and what
    xarray rounds when it scales them).
    """
    if target not in TARGETS:
        raise ParameterError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    if tol is None and rtol is None:
        raise ParameterError("say a tolerance: tol=... or rtol=...")
    groups = _groups(dataset)
    found: dict[str, dict[Any, Any]] = {path: {} for path in groups}
    for path, variables in _wanted(groups, tol, rtol).items():
        for name, wanted in variables.items():
            if wanted is None:
                continue
            variable = groups[path][name]
            if isinstance(wanted, HostedCodec):
                codec = wanted
            else:
                codec = _codec_for(name, variable, wanted, rtol, level, predictor)
            found[path][name] = slot = _slot(codec, variable, target)
            _warn_of_small_chunks(name, variable, slot, target)
    if isinstance(dataset, xr.DataTree):
        return {path: slots for path, slots in found.items() if slots}
    return found["/"]


def annotate(dataset: _Data, encoding: Mapping[Any, Mapping[Any, Any]]) -> _Data:
    """The dataset with attributes that say what was lost.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataTree
    encoding : mapping
        As `encoding` returns it, or as variables of an opened dataset have it.

    Returns
    -------
    xarray.Dataset or xarray.DataTree
        Of variables with a codec that loses something, ``lossy_compression`` names the codec, and
        ``lossy_absolute_tolerance`` and ``lossy_relative_tolerance`` are its tolerances in units of the unpacked
        values. Data are shared.  (CF's ``quantization`` attributes are about rounding to significant digits or bits,
        which this is not.)
    """
    if isinstance(dataset, xr.DataTree):
        return _changed(dataset, lambda path, node: _annotate(node, encoding.get(path, {})))
    return _annotate(dataset, encoding)


def _annotate(dataset: xr.Dataset, encoding: Mapping[Hashable, Mapping[str, Any]]) -> xr.Dataset:
    result = dataset.copy()
    for name, values in encoding.items():
        codec = _codec_of(values)
        if codec is None:
            continue
        if name not in result.variables:
            raise ParameterError(f"no variable {name!r}: there are {list(result.variables)}")
        attributes = result[name].attrs
        for key in ATTRIBUTES:
            attributes.pop(key, None)
        config = codec._config
        tol, rtol = (getattr(config, name, None) for name in ("tol", "rtol"))
        if isinstance(config, Config) and not tol and not rtol:
            continue
        attributes["lossy_compression"] = codec.zarr3_name
        if tol:
            scale, is_integer = _packing(result[name])
            # of variables packed to integers: what packing rounds, and what is left of it
            attributes["lossy_absolute_tolerance"] = scale * (math.floor(tol) + 0.5 if is_integer else tol)
        if rtol:
            attributes["lossy_relative_tolerance"] = rtol
    return result


def restore(dataset: _Data, group: str = "/") -> _Data:
    """The dataset, with the encodings of variables that were read from HDF5 put right.

    h5py names filters that it does not contain "unknown", and xarray cannot write a dataset with that encoding. Here
    the variables get the codec that their file has, so that ``to_netcdf(engine="h5netcdf")`` writes them as they
    were. (Zarr's need no help.)

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataTree
        Of ``xr.open_dataset(path, engine="h5netcdf")`` or ``open_datatree``; the files that its encodings name as
        ``source`` are opened.
    group : str
        The ``group`` that it was opened with, which xarray does not remember.

    Returns
    -------
    xarray.Dataset or xarray.DataTree
        Data are shared.

    Raises
    ------
    OSError
        If a file is not there any more.
    ParameterError
        If the file has no such variable in the group: it is in another one, or has been renamed since.
    """
    if isinstance(dataset, xr.DataTree):
        return _changed(dataset, lambda path, node: _restore(node, f"{group}/{path}"))
    return _restore(dataset, group)


def _restore(dataset: xr.Dataset, group: str) -> xr.Dataset:
    import h5py

    from . import hdf5

    result = dataset.copy()
    is_silent = h5py.version.version_tuple[:2] < (3, 15)  # of filters that it does not contain
    by_file: dict[str, list[Hashable]] = {}
    for name, variable in result.variables.items():
        said = variable.encoding.get("compression")
        may_be_ours = said == "unknown" or is_silent and said is None and bool(variable.encoding.get("chunksizes"))
        if may_be_ours and "source" in variable.encoding:
            by_file.setdefault(variable.encoding["source"], []).append(name)
    for path, names in by_file.items():
        with h5py.File(path, "r") as file:
            for name in names:
                values = result[name].encoding
                codec = hdf5.codec_of(_dataset_of(file, group, name, values))
                if codec is not None:
                    values["compression"] = codec
                    for other in ("zlib", "szip", "bzip2", "blosc", "zstd", "shuffle", "compression_opts"):
                        values.pop(other, None)
    return result


def _dataset_of(file: Any, group: str, name: Hashable, encoding: Mapping[str, Any]) -> Any:
    """Where a variable was read from."""
    path = "/".join(["", *(part for part in group.split("/") if part), str(name)])
    found = file.get(path)
    shape = encoding.get("original_shape", getattr(found, "shape", None))
    if getattr(found, "shape", None) is None or found.shape != tuple(shape):
        raise ParameterError(f"{file.filename} has no variable {path} of the shape {shape}: say group=... as it was "
                             f"opened with, and rename variables after restore")  # fmt: skip
    return found


# ---- trees ----
def _groups(dataset: xr.Dataset | xr.DataTree) -> dict[str, xr.Dataset]:
    """The datasets of a tree by their paths, without what they inherit; or the one."""
    if isinstance(dataset, xr.DataTree):
        return {path: node.to_dataset(inherit=False) for path, node in _nodes(dataset)}
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"a Dataset or DataTree is needed, not a {type(dataset).__name__} (a DataArray has to_dataset)")
    return {"/": dataset}


def _nodes(tree: xr.DataTree) -> list[tuple[str, xr.DataTree]]:
    """With their paths from this node on, which need not be the root."""
    return [("/" if node is tree else "/" + node.relative_to(tree), node) for node in tree.subtree]


def _changed(tree: xr.DataTree, change: Callable[[str, xr.Dataset], xr.Dataset]) -> xr.DataTree:
    changed = {path: change(path, dataset) for path, dataset in _groups(tree).items()}
    result = xr.DataTree.from_dict(changed, name=tree.name)
    for path, node in _nodes(tree):
        result[path].encoding = node.encoding
    return result


# ---- which variable gets what ----
def _wanted(groups: Mapping[str, xr.Dataset], tol: Any, rtol: float | None) -> dict[str, dict[Hashable, Wanted]]:
    """By groups and variables."""
    if callable(tol) and not isinstance(tol, HostedCodec):
        return {path: {name: tol(name, node[name]) for name in node.variables} for path, node in groups.items()}
    if isinstance(tol, Mapping) and not isinstance(tol, HostedCodec):
        return _by_keys(groups, tol)
    value = 0.0 if tol is None else tol
    return {
        path: {name: value for name, variable in node.data_vars.items() if variable.dtype.kind in "fc"}
        for path, node in groups.items()
    }


def _by_keys(groups: Mapping[str, xr.Dataset], tol: Mapping[str, Wanted]) -> dict[str, dict[Hashable, Wanted]]:
    wanted: dict[str, dict[Hashable, Wanted]] = {path: {} for path in groups}
    used = set()
    variables = [(path, name, v) for path, node in groups.items() for name, v in node.variables.items()]
    exact = {key for path, name, _ in variables for key in _names(path, name) if key in tol}
    for path, name, variable in variables:
        names = _names(path, name)
        patterns = [key for key in tol if key not in exact] if _is_measured(groups[path], name) else []
        for key in [*(key for key in names if key in exact), *patterns]:
            if key in names or any(_matches(key, known, variable.attrs) for known in names):
                wanted[path][name] = tol[key]
                used.add(key)
                break
    missing = [key for key in tol if key not in used and key not in exact]
    if missing:
        known = [name for path, node in groups.items() for name in _known(groups, path, node)]
        said = ", ".join(map(repr, missing))
        raise ParameterError(f"no variable is, or (of floats that are no coordinates) has, {said}: there are {known}")
    return wanted


def _is_measured(node: xr.Dataset, name: Hashable) -> bool:
    """Whether patterns are about a variable: coordinates and integers may be named, but not met by chance."""
    return name in node.data_vars and node[name].dtype.kind in "fc"


def _names(path: str, name: Hashable) -> tuple[str, ...]:
    """What a variable is called: with its group, and in it."""
    return (f"{path.rstrip('/')}/{name}", str(name))


def _known(groups: Mapping[str, xr.Dataset], path: str, node: xr.Dataset) -> list[Hashable]:
    return [name if len(groups) == 1 else _names(path, name)[0] for name in node.variables]


def _matches(key: str, name: Hashable, attributes: Mapping[Any, Any]) -> bool:
    attribute, equals, pattern = key.partition("=")
    if equals:
        return attribute in attributes and fnmatch.fnmatchcase(str(attributes[attribute]), pattern)
    return fnmatch.fnmatchcase(str(name), key)


# ---- the codec of a variable ----
def _packing(variable: xr.DataArray) -> tuple[float, bool]:
    """The units in which a variable is stored, and whether they are counted in integers."""
    values = {**variable.attrs, **variable.encoding}
    is_integer = np.dtype(values.get("dtype", variable.dtype)).kind in "iu" and variable.dtype.kind in "fc"
    scale = abs(float(values.get("scale_factor", 1.0)))
    if not 0 < scale < math.inf:
        raise ParameterError(f"scale_factor of {variable.name!r} must be finite and not 0, not {scale}")
    return scale, is_integer


def _fill_of(name: Hashable, variable: xr.DataArray) -> Any:
    """The finite value that stands for missing ones in what is stored, or None."""
    for key in ("_FillValue", "missing_value"):
        for values in (variable.encoding, variable.attrs):
            given = values.get(key)
            if given is None or (isinstance(given, float | np.floating) and not math.isfinite(given)):
                continue
            fills = np.unique(np.asarray(given))
            if fills.size != 1:
                raise ParameterError(f"{key} of {name!r} has {fills.size} values, and a codec keeps one: {given!r}")
            return fills[0].item()
    return None


def _codec_for(
    name: Hashable, variable: xr.DataArray, tol: float, rtol: float | None, level: int | None, predictor: str | None
) -> AnsQuant:
    tol = check_tolerance(f"tol of the variable {name!r}", tol) or 0.0
    scale, is_integer = _packing(variable)
    stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
    try:
        describe(stored)
    except TypeError as error:
        raise TypeError(f"variable {name!r}: {error}") from None
    more: dict[str, Any] = {"level": level, "predictor": predictor}
    if is_integer:
        # packing rounds by half a unit; what the tolerance leaves is the codec's
        units = math.floor(tol / scale - 0.5)
        if 0 < tol < scale / 2 and "source" not in variable.encoding:  # what was read packed is on the lattice already
            warnings.warn(
                f"variable {name!r}: packing (scale_factor={scale:g}) rounds by up to {scale / 2:g}, more than "
                f"tol={tol:g}; nothing else is lost", stacklevel=4,
            )  # fmt: skip
        fill = _fill_of(name, variable)
        return AnsQuant(tol=max(units, 0), fill_value=None if fill is None else int(fill), **more)
    return AnsQuant(tol=tol / scale, rtol=rtol, fill_value=_fill_of(name, variable), **more)


def _warn_of_small_chunks(name: Hashable, variable: xr.DataArray, slot: Mapping[str, Any], target: str) -> None:
    chunks = slot.get("chunksizes", slot.get("chunks", variable.chunks and _chunks(variable)))
    if target != "zarr3" and chunks:  # zarr 3 asks the codec itself, in the end
        host = "hdf5" if target == "h5netcdf" else "zarr"
        itemsize = np.dtype(slot.get("dtype", variable.dtype)).itemsize
        chunksize.warn(f"the variable {name!r}", variable.shape, tuple(chunks), itemsize, host, stacklevel=4)


# ---- where hosts have it ----
def _slot(codec: HostedCodec, variable: xr.DataArray, target: str) -> dict[str, Any]:
    """What xarray takes for a variable; it forgets the variable's own encoding, so what counts of that is repeated."""
    own = variable.encoding
    slot = {key: own[key] for key in _KEPT if key in own}
    if target == "h5netcdf":
        chunks = own.get("chunksizes") if variable.chunks is None else None  # dask's are new ones, perhaps
        chunks = _chunks(variable) if chunks is None else tuple(map(min, chunks, map(max, variable.shape, (1,) * 32)))
        return {**slot, "compression": codec, "chunksizes": chunks}
    for key in ("chunks", "shards"):
        if own.get(key) and variable.chunks is None:  # dask's chunks are new ones, perhaps
            slot[key] = own[key]
    if target == "zarr2":
        return {**slot, "compressors": codec}
    return {**slot, "serializer": codec, "compressors": None}


def _chunks(variable: xr.DataArray) -> tuple[int, ...]:
    """dask's first chunks; else whole slow axes are cut until a chunk has a MiB or less."""
    if variable.chunks is not None:
        return tuple(lengths[0] for lengths in variable.chunks)
    shape = [max(1, n) for n in variable.shape]
    for axis in range(len(shape)):
        size = math.prod(shape) * variable.dtype.itemsize
        if size <= 1 << 20:
            break
        shape[axis] = max(1, shape[axis] * (1 << 20) // size)
    return tuple(shape)


def _codec_of(values: Mapping[str, Any]) -> HostedCodec | None:
    """The codec of ours in an encoding."""
    for key in ("serializer", "compressors", "compression"):
        given = values.get(key)
        for codec in given if isinstance(given, list | tuple) else (given,):
            if isinstance(codec, HostedCodec):
                return codec
            name = getattr(codec, "zarr3_name", None)
            if name is not None:  # the serializer that zarr made of one
                from .zarr3 import codec_of

                return codec_of(codec)
    return None
