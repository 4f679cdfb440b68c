"""`arraycodec.load`: stores and checkpoint files of all forms, opened as tensors by name."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import hdf5
from ..codecs import CODECS, of_parameters
from ..errors import FormatError, ParameterError
from ..hosted import HostedCodec
from ..selection import Axis, as_index, shape_of
from . import arrc, files, packs
from .tensors import Store, Stored

_UNNAMED = "data"  # of a store that is one array
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def load(path: str | os.PathLike[str]) -> Store:
    """Open a checkpoint: a single file (``.arrc``), a Zarr store (v2, v3), an HDF5 file, or a file of another program.

    Parameters
    ----------
    path : path-like
        Recognized by content.  Any store of arrays does; what `save` or ``arraycodec compress`` has put side by side
        comes apart again.  Files of safetensors, PyTorch (nothing in them is executed), ONNX and lc0 are opened as they
        are.

    Returns
    -------
    Store
        A read-only mapping of names to tensors.  Nothing is decoded before it is asked for:
        ``load(path)["layer.weight"][rows]`` decodes the chunks that hold these rows.

    Raises
    ------
    FileNotFoundError
    DecodeError
        If the index of the store is damaged, or it is none of these.
    ImportError
        If the package that its format needs is not installed.

    Examples
    --------
    >>> with arraycodec.load("model.arrc") as model:  # doctest: +SKIP
    ...     rows = model["embeddings.weight"][[101, 2054, 102]]
    """
    place = Path(os.fspath(path))
    if place.is_dir():
        return _zarr(place)
    with open(place, "rb") as f:
        magic = f.read(8)
    if magic == arrc.MAGIC:
        return _arrc(place)
    if magic == _HDF5_MAGIC or place.suffix.lower() in (".h5", ".hdf5"):
        return _hdf5(place)
    kind = files.format_of(place)
    if kind is None:
        raise FormatError(f"{place}: neither a store (.arrc, Zarr, HDF5) nor a checkpoint ({' '.join(files.SUFFIXES)})")
    return files.open_file(place, kind).store(str(place))


def codec_of(config: dict[str, Any]) -> HostedCodec | None:
    """The codec that metadata say, by its "id"; None if it is not of this package."""
    items = tuple(config.items())
    try:
        return _made(items)
    except TypeError:  # a list, of the parts of a complex fill value
        return _made.__wrapped__(items)


@functools.lru_cache(maxsize=64)  # thousands of arrays have the same
def _made(items: tuple[tuple[str, Any], ...]) -> HostedCodec | None:
    config = dict(items)
    name = config.pop("id", None)
    kind = next((codec for codec in CODECS if codec.codec_id == name), None)
    try:
        return None if kind is None else kind(**config)
    except (TypeError, ValueError):  # of another version, or made up: chunks say what is needed
        return None


def _arrc(path: Path) -> Store:
    reader = arrc.Reader(path)
    arrays = [Stored(a.name, a, a.chunks, codec_of(a.entry.codec), a.entry.attrs) for a in reader.arrays]
    try:
        return Store(str(path), "arrc", arrays, reader.attrs, reader.close)
    except BaseException:
        reader.close()
        raise


class _Zarr:
    """An array of Zarr."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.dtype, self.shape = np.dtype(array.dtype), tuple(array.shape)

    def read(self, axes: tuple[Axis, ...], threads: int) -> np.ndarray:
        """See `tensors.StoredArray`; zarr has threads of its own."""
        return _turned(lambda index: self._array[index if index else ...], axes)


class _Hdf5:
    """A dataset of HDF5."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.dtype, self.shape = np.dtype(dataset.dtype), tuple(dataset.shape)

    def read(self, axes: tuple[Axis, ...], threads: int) -> np.ndarray:
        """See `tensors.StoredArray`."""
        return _turned(lambda index: hdf5.read(self._dataset, index, threads), axes)


def _turned(read: Any, axes: tuple[Axis, ...]) -> np.ndarray:
    """What a host reads that has no negative steps."""
    up = tuple(axis[::-1] if isinstance(axis, range) and axis.step < 0 else axis for axis in axes)
    turns = [slice(None, None, -1 if a.step < 0 else None) for a in axes if isinstance(a, range)]
    values = np.asarray(read(tuple(map(as_index, up)))).reshape(shape_of(axes))
    return values[(*turns, ...)]


def require_zarr() -> Any:
    """The zarr module, of a version that has what is used here."""
    import zarr

    if int(zarr.__version__.split(".")[0]) < 3:
        raise ParameterError(f"Zarr stores of checkpoints need zarr 3, this is {zarr.__version__}")
    return zarr


def _zarr(path: Path) -> Store:
    zarr = require_zarr()
    try:
        root = zarr.open(str(path), mode="r", use_consolidated=False)
    except (OSError, ValueError, TypeError) as e:
        raise FormatError(f"{path}: not a readable Zarr store: {e}") from None
    nodes = root.members(max_depth=None) if hasattr(root, "members") else [(_UNNAMED, root)]
    arrays = []
    for name, node in nodes:
        if not hasattr(node, "chunks"):
            continue
        arrays.append(Stored(name, _Zarr(node), tuple(node.chunks), _zarr_codec(node), node.attrs.asdict()))
    return Store(str(path), "zarr", arrays, root.attrs.asdict(), lambda: None)


def _zarr_codec(node: Any) -> HostedCodec | None:
    """Ours, of an array of either version of Zarr."""
    if node.metadata.zarr_format == 2:
        own = (*(node.filters or ()), *(node.compressors or ()))
        return next((codec for codec in own if isinstance(codec, HostedCodec)), None)
    config = getattr(node.serializer, "config", None)
    return None if config is None else of_parameters(config)


def _hdf5(path: Path) -> Store:
    import h5py

    hdf5.register()
    try:
        file = h5py.File(path, "r")
    except OSError as e:
        raise FormatError(f"{path}: not a readable HDF5 file: {e}") from None
    arrays: list[Stored] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.shape is not None:
            attrs = {key: node.attrs[key] for key in packs.ATTRIBUTES if key in node.attrs}
            arrays.append(Stored(name, _Hdf5(node), node.chunks, hdf5.codec_of(node), attrs))

    try:
        file.visititems(visit)
        return Store(str(path), "hdf5", arrays, dict(file.attrs), file.close)
    except BaseException:
        file.close()
        raise
