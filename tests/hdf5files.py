"""HDF5 files of our filter, written and read by h5py, for tests.

Files are always reopened before reading: the chunk cache holds values that have not been through the filter.
"""

import h5py
import numpy as np

from arraycodec import AnsQuant

TOL = 2.0**-10


def write(path, data, tol=TOL, *, chunks=True, name="x", libver=None, **options):
    with h5py.File(path, "a", libver=libver) as f:
        f.create_dataset(name, data=data, chunks=chunks, compression=AnsQuant(tol=tol), **options)


def read(path, name="x"):
    with h5py.File(path) as f:
        return f[name][()]


def first_chunk(path, name="x"):
    with h5py.File(path) as f:
        d = f[name]
        return d.id.read_direct_chunk((0,) * d.ndim)[1]


def completed(q, code, *chunks):
    """What the filter stores for a codec without a fill value, and a dataset of this element type with these chunks."""
    return (*q.filter_options, 10, code, len(chunks), *(word for n in chunks for word in (n, 0)))


def double(value):
    """A double as two words."""
    return tuple(np.array([value], "<f8").view("<u4").tolist())


def of_hdf5(dtype):
    """The dtype as h5py stores it."""
    return h5py.opaque_dtype(dtype) if np.dtype(dtype).kind in "mM" else np.dtype(dtype)
