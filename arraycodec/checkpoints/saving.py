"""`arraycodec.save`: arrays by name into a single file, a Zarr store or an HDF5 file."""

from __future__ import annotations

import functools
import json
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import hdf5, names
from ..ansquant import AnsQuant
from ..boxes import automatic_chunks
from ..config import check_integer, check_threads
from ..dtypes import BFLOAT16, is_supported
from ..errors import ParameterError
from ..hosted import HostedCodec
from ..output import Output
from ..rules import Rules
from . import arrc, packs, views
from .packs import SMALL, Placed
from .stores import require_zarr
from .tensors import Store, Tensor
from .views import View

#: Formats by suffixes.
FORMATS = {arrc.SUFFIX: "arrc", ".zarr": "zarr3", ".h5": "hdf5", ".hdf5": "hdf5"}


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    tol: float | Literal["keep"] | Mapping[str, float | Literal["keep"]],
    *,
    format: Literal["arrc", "zarr2", "zarr3", "hdf5"] | None = None,
    level: int | None = None,
    predictor: names.Predictor | None = None,
    pack: int = SMALL,
    attrs: Mapping[str, Any] | None = None,
    threads: int = 1,
    overwrite: bool = False,
) -> None:
    """Store a checkpoint: arrays by name, each within its tolerance.

    Parameters
    ----------
    path : path-like
        Appears when it is complete.
    tensors : mapping of str to array_like
        NumPy arrays (also of ml_dtypes), PyTorch tensors, or tensors of `load`; of any dtype that `encode` takes, and
        floats of 8 bits, which are kept.  They are converted one at a time.
    tol : float, "keep" or mapping
        The absolute tolerance of floats and complex numbers: one number, or tolerances by patterns of names, of which
        the first that matches decides: ``{"*.bias": 0, "*.norm.*": "keep", "*": 2**-12}``.  0 and "keep" are
        lossless.  Integers, bool and dates are always kept.
    format : {None, "arrc", "zarr2", "zarr3", "hdf5"}
        Default: by the suffix, ``.arrc``, ``.zarr`` (v3), ``.h5`` or ``.hdf5``.
    level, predictor : optional
        As of `AnsQuant`.
    pack : int
        Tensors of fewer values than this stand side by side in common arrays, which makes thousands of them small and
        fast; 0: each is an array of its own, which readers find without this package's `load`.
    attrs : mapping, optional
        Attributes of the store: JSON values.  Default: of a store of `load` those that are text.
    threads : int
        How many threads may encode, the calling one included (into single files and HDF5).
    overwrite : bool
        Replace `path` when the new store is complete.

    Raises
    ------
    ParameterError
        If no rule says a tolerance for a tensor, or an argument is not valid, or `path` exists.  Nothing is written.
    TypeError
        If a tensor has a dtype that no chunk can hold; its name is in the message.

    Examples
    --------
    >>> arraycodec.save("model.arrc", weights, {"*.bias": 0, "*": 2**-12})  # doctest: +SKIP
    """
    place, threads, pack = Path(os.fspath(path)), check_threads(threads), check_integer("pack", pack)
    kind = _format(place, format)
    if place.exists() and not overwrite:
        raise ParameterError(f"{place} exists: overwrite=True replaces it when the new store is complete")
    rules, kept = Rules.of(tol), _json_attrs(_texts(tensors) if attrs is None else attrs)
    given = dict(tensors.items())  # some mappings make new objects each time
    arrays = {name: value if hasattr(value, "dtype") else np.asarray(value) for name, value in given.items()}
    listed = [_described(name, value, rules, level, predictor) for name, value in arrays.items()]
    listed = _with_aliases(listed, list(map(_identity, given.values())))
    placed = packs.place(listed, pack)
    for rule in rules.idle(arrays):
        warnings.warn(f"the tolerance {rule} is for no tensor: none matches, or an earlier rule did", stacklevel=2)
    out = Output(place, overwrite, "overwrite=True")
    with out:
        writer = _WRITERS[kind](out.temporary, kept, threads)
        try:
            for array in placed:
                writer.add(array.host_name, _values(array, arrays), array.tensors[0].codec, array.attrs)
            skeleton = tensors.skeleton if isinstance(tensors, Store) else None
            if skeleton is not None:
                values = np.frombuffer(skeleton[1], "u1")
                writer.add(packs.SKELETON, values, AnsQuant(0), {packs.SKELETON: skeleton[0]})
            writer.complete()
        finally:
            writer.close()
        out.commit()


def _texts(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """What a store says of itself."""
    attrs = tensors.attrs if isinstance(tensors, Store) else {}
    return {key: value for key, value in attrs.items() if isinstance(value, str)}


def _json_attrs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(attrs), allow_nan=False))
    except (TypeError, ValueError) as e:
        raise ParameterError(f"attrs must be JSON values: {e}") from None


def _format(path: Path, chosen: str | None) -> str:
    if chosen is None:
        chosen = FORMATS.get(path.suffix.lower())
        if chosen is None:
            raise ParameterError(f"{path}: no format for the suffix {path.suffix!r} ({' '.join(FORMATS)}): say format=")
    if chosen not in _WRITERS:
        raise ParameterError(f"format must be one of {', '.join(_WRITERS)}, not {chosen!r}")
    return chosen


def _described(
    name: Any, value: Any, rules: Rules, level: int | None, predictor: names.Predictor | None
) -> packs.Tensor:
    if not isinstance(name, str):
        raise TypeError(f"names of tensors are text, not {name!r}")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name!r} is a masked array, whose mask would be lost: fill it first (array.filled(nan))")
    try:
        stored, view = _form(value)
    except TypeError as e:
        raise TypeError(f"{name!r}: {e}") from None
    if not is_supported(stored):
        raise TypeError(f"{name!r}: arrays of {stored} cannot be stored")
    codec = codec_for(name, stored, view, rules, level, predictor)
    return packs.Tensor(name, stored, tuple(value.shape), view, codec)


def _with_aliases(listed: list[packs.Tensor], identities: list[Any]) -> list[packs.Tensor]:
    """Tensors that are one and the same object, and have the same codec, are stored once."""
    first: dict[Any, str] = {}
    result = []
    for tensor, identity in zip(listed, identities, strict=True):
        name = first.setdefault((identity, tensor.codec), tensor.name)
        result.append(tensor if name == tensor.name else replace(tensor, same_as=name))
    return result


def codec_for(
    name: str, stored: np.dtype, view: View | None, rules: Rules, level: int | None,
    predictor: names.Predictor | None,
) -> AnsQuant:
    """The codec of a tensor: within its tolerance where it is of floats, without loss otherwise."""
    floats = stored.kind in "fc" if view is None else view.is_lossy
    tol = rules.of_tensor(name).tol if floats else 0.0
    if view is not None and view.kind == views.LINEAR16:
        tol = float(view.steps(tol))
    return _codec(tol, "bfloat16" if view is not None and view.kind == BFLOAT16 else None, level, predictor)


@functools.lru_cache(maxsize=64)  # thousands of tensors have the same
def _codec(tol: float, dtype: names.View | None, level: int | None, predictor: names.Predictor | None) -> AnsQuant:
    return AnsQuant(tol, dtype=dtype, level=level, predictor=predictor)


# ---- arrays of all kinds ----
def _is_torch(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"


def _identity(value: Any) -> Any:
    """The same for all names of one tensor."""
    if isinstance(value, Tensor):
        return value.identity
    if _is_torch(value):
        from .torchfile import identity

        return identity(value)
    return id(value)


def _form(value: Any) -> tuple[np.dtype, View | None]:
    """The dtype as which an array is stored, and what its elements are."""
    if isinstance(value, Tensor):
        return value.stored_dtype.newbyteorder("="), value.view
    if _is_torch(value):
        from .torchfile import form

        return form(value)
    view = views.of_dtype(np.dtype(value.dtype))
    return np.dtype(value.dtype).newbyteorder("=") if view is None else view.stored, view


def _stored(value: Any, dtype: np.dtype) -> np.ndarray:
    """The elements as they are stored."""
    if isinstance(value, Tensor):
        return value.read_stored().astype(dtype, copy=False)
    if _is_torch(value):
        from .torchfile import stored

        return stored(value)
    array = np.asarray(value)
    return array.view(dtype) if views.of_dtype(array.dtype) is not None else array.astype(dtype, copy=False)


def _values(placed: Placed, tensors: Mapping[str, Any]) -> np.ndarray:
    """What a stored array holds."""
    arrays = [_stored(tensors[t.name], t.dtype) for t in placed.tensors]
    for tensor, array in zip(placed.tensors, arrays, strict=True):
        if array.shape != tensor.shape:
            raise ParameterError(f"{tensor.name!r} has shape {array.shape}, and said {tensor.shape}")
    return np.concatenate([a.reshape(-1) for a in arrays]) if placed.is_pack else arrays[0]


# ---- hosts ----
class _Writer(ABC):
    """A store being written.

    Parameters
    ----------
    path : Path
    attrs : dict
        Of the store.
    threads : int
    """

    @abstractmethod
    def __init__(self, path: Path, attrs: dict[str, Any], threads: int) -> None: ...

    @abstractmethod
    def add(self, name: str, values: np.ndarray, codec: HostedCodec, attrs: dict[str, Any]) -> None:
        """Write an array."""

    def complete(self) -> None:
        """Everything has been written."""

    def close(self) -> None:
        """Release the file."""


class _ArrcWriter(_Writer):
    def __init__(self, path: Path, attrs: dict[str, Any], threads: int) -> None:
        self._writer, self._threads = arrc.Writer(path), threads
        self._writer.attrs = attrs

    def add(self, name: str, values: np.ndarray, codec: HostedCodec, attrs: dict[str, Any]) -> None:
        new = self._writer.create(name, values.dtype, values.shape, codec, attrs)
        self._writer.write(new, tuple(slice(0, n) for n in values.shape), values, self._threads)

    def complete(self) -> None:
        self._writer.complete()

    def close(self) -> None:
        self._writer.close()


class _ZarrWriter(_Writer):
    version: Literal[2, 3] = 3

    def __init__(self, path: Path, attrs: dict[str, Any], threads: int) -> None:
        self._root = require_zarr().open_group(str(path), mode="w-", zarr_format=self.version, attributes=attrs)

    def add(self, name: str, values: np.ndarray, codec: HostedCodec, attrs: dict[str, Any]) -> None:
        chunks = tuple(max(1, n) for n in automatic_chunks(values.shape))
        options: dict[str, Any] = {"shape": values.shape, "dtype": values.dtype, "chunks": chunks, "filters": None}
        if self.version == 2:
            options |= {"compressors": codec}
        else:
            options |= {"serializer": codec, "compressors": None}
        array = self._root.create_array(name, attributes=attrs, **options)
        array[...] = values if values.shape else values[()]


class _Zarr2Writer(_ZarrWriter):
    version = 2


class _Hdf5Writer(_Writer):
    def __init__(self, path: Path, attrs: dict[str, Any], threads: int) -> None:
        import h5py

        from ..steadyfile import SteadyFile

        hdf5.register()
        self._output, self._threads = SteadyFile(path), threads
        self._file = h5py.File(self._output, "w")
        self._file.attrs.update(attrs)

    def add(self, name: str, values: np.ndarray, codec: HostedCodec, attrs: dict[str, Any]) -> None:
        options: dict[str, Any] = {}
        if values.size and values.shape:
            options = {"chunks": automatic_chunks(values.shape), "compression": codec}
        dataset = self._file.create_dataset(name, values.shape, values.dtype, **options)
        if values.size:
            hdf5.write(dataset, values, threads=self._threads)
        dataset.attrs.update(attrs)
        self._output.check()

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._output.close()


_WRITERS: dict[str, type[_Writer]] = {
    "arrc": _ArrcWriter, "zarr2": _Zarr2Writer, "zarr3": _ZarrWriter, "hdf5": _Hdf5Writer,
}  # fmt: skip
