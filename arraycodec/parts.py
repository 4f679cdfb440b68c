"""The values of a whole array, a part at a time, whoever holds it.

For what is said of all values together (their range, their error), where neither order nor shape
matters.  Hosts are known by what they offer, never imported: chunks that are one length per axis
(Zarr, h5py), chunks of many lengths and blocks (dask); all else is NumPy's to convert.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .boxes import BOX_VALUES, automatic_chunks, box_shape, boxes
from .dtypes import fill_bytes


def component(dtype: np.dtype) -> np.dtype:
    """The real type, in native byte order, of the values of an array; TypeError if it has no tolerance."""
    if dtype.name in ("complex64", "complex128"):
        return np.dtype(f"f{dtype.itemsize // 2}")
    # By name: bfloat16 is a type of ml_dtypes, which has other types whose kind is "f", too.
    if dtype.kind in "iu" or dtype.name in ("float16", "bfloat16", "float32", "float64"):
        return dtype.newbyteorder("=")
    raise TypeError(f"a tolerance is for arrays of integers, floats and complex numbers, not {dtype}")


class Values:
    """The finite values of an array, to be gone through as often as needed.

    Iterating gives one-dimensional arrays in native byte order, none of them empty; a complex number
    is two values.  What is in memory at a time is one chunk of the host, or about 2**20 values of
    what has no chunks.

    Parameters
    ----------
    array : array_like, Zarr array, h5py dataset, dask array or xarray DataArray
        The values that a masked array masks are left out.
    fill_value : number, optional
        Values equal to it, once it is converted to the array's dtype, are left out.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the values.

    Raises
    ------
    TypeError
        If the dtype is not one of integers, floats (of at most 64 bits) or complex numbers, or
        `fill_value` is not a number.
    ParameterError
        If no value of an integer array could be equal to `fill_value`.
    """

    def __init__(self, array: Any, fill_value: Any = None) -> None:
        if not all(hasattr(array, name) for name in ("chunks", "shape", "dtype")):
            array = np.asanyarray(array)
        elif getattr(array, "chunks", None) and hasattr(array, "dims") and not hasattr(array, "numblocks"):
            array = getattr(array, "data", array)  # xarray, around dask; an h5py dataset has dims but no data
        self._array = array
        self.dtype = component(np.dtype(array.dtype))
        self._stored = np.dtype(array.dtype).newbyteorder("=")
        self._fill = None if fill_value is None else _as_element(fill_value, self._stored)

    def __iter__(self) -> Iterator[np.ndarray]:
        for part in _parts(self._array):
            part = part.compressed() if isinstance(part, np.ma.MaskedArray) else np.asarray(part)
            flat = part.reshape(-1)
            for i in range(0, flat.size, BOX_VALUES):  # a host's chunk may be large: no copies of all of it
                values = self._present(flat[i : i + BOX_VALUES])
                if values.size:
                    yield values

    def _present(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(self._stored, casting="equiv", copy=False)
        if self._fill is not None:
            with np.errstate(invalid="ignore"):  # signalling NaNs
                values = values[values != self._fill]
        if self._stored.kind == "c":
            values = np.ascontiguousarray(values).view(self.dtype)
        return values if self.dtype.kind in "iu" else values[np.isfinite(values)]


def _as_element(fill_value: Any, dtype: np.dtype) -> Any:
    """A fill value as the array stores it: 1e20 among float32 numbers is the float32 nearest to it."""
    given = np.asarray(fill_value)
    kinds = "iufc" if dtype.kind == "c" else "iuf"
    if given.size != 1 or not (given.dtype.kind in kinds or given.dtype.name == "bfloat16"):
        raise TypeError(f"fill_value must be a number like those of a {dtype} array, not {fill_value!r}")
    # what overflows a float becomes infinite, and infinities are left out anyway
    return np.frombuffer(fill_bytes(given.reshape(-1)[0].item(), dtype) or b"", dtype)[0]


def _parts(array: Any) -> Iterator[Any]:
    if hasattr(array, "numblocks") and hasattr(array, "blocks"):  # dask, also where it does not know its shape
        for index in itertools.product(*map(range, array.numblocks)):
            yield (array.blocks[index] if index else array).compute()
        return
    if array.shape is None:  # an HDF5 dataset without a dataspace
        return
    chunks = getattr(array, "chunks", None)
    if isinstance(array, np.ndarray):
        # In the order of its memory, which is a file's for a memory map.
        array = array.transpose(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))
    unit = chunks or automatic_chunks(array.shape, BOX_VALUES)
    for box in boxes(array.shape, box_shape(array.shape, unit)):
        yield array[(*box, ...)]  # with the Ellipsis a single value stays an array
