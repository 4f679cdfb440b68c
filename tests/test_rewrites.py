"""Stores that are changed in place, part by part: nothing drifts, whether values are predicted or not.

Every round assigns a random slice, in a store opened anew, so that whole chunks are read, changed and written again.
"""

import contextlib

import numpy as np
import pytest
from arrays import bits

from arraycodec import AnsQuant, decode, encode, hdf5, inspect, verify

TOL = 0.01
ROUNDS = 30
SHAPES = {2: ((120, 150), (50, 64)), 3: ((20, 40, 50), (8, 24, 32))}


class Zarr2:
    """An array of a Zarr v2 store."""

    def create(self, path, shape, dtype, chunks, q):
        zarr = pytest.importorskip("zarr")
        options = {"zarr_format": 2} if zarr.__version__ >= "3" else {}
        zarr.open(str(path), mode="w", shape=shape, chunks=chunks, dtype=dtype, compressor=q, fill_value=0, **options)

    @contextlib.contextmanager
    def opened(self, path):
        import zarr

        yield zarr.open(str(path), mode="r+")

    def assign(self, z, part, values, round):
        z[part] = values

    def chunk(self, path):
        """The bytes of the first chunk, whatever the host calls it."""
        return (path / ".".join("0" * self._ndim(path))).read_bytes()

    def _ndim(self, path):
        with self.opened(path) as z:
            return z.ndim


class Zarr3(Zarr2):
    """An array of a Zarr v3 store."""

    def create(self, path, shape, dtype, chunks, q):
        zarr = pytest.importorskip("zarr", minversion="3")
        zarr.create_array(str(path), shape=shape, chunks=chunks, dtype=dtype, serializer=q, compressors=None)

    def chunk(self, path):
        return path.joinpath("c", *"0" * self._ndim(path)).read_bytes()


class HDF5:
    """A dataset, written by h5py through the filter and directly in turns."""

    def create(self, path, shape, dtype, chunks, q):
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as f:
            f.create_dataset("x", shape, dtype, chunks=chunks, compression=q)

    @contextlib.contextmanager
    def opened(self, path):
        import h5py

        with h5py.File(path, "r+") as f:  # closed after every round: HDF5 caches chunks as they were before encoding
            yield f["x"]

    def assign(self, z, part, values, round):
        if round % 2:
            hdf5.write(z, values, part)
        else:
            z[part] = values

    def chunk(self, path):
        with self.opened(path) as z:
            return z.id.read_direct_chunk((0,) * z.ndim)[1]


def field(shape, dtype, seed):
    """Waves and a little noise, with places where there is nothing (NaN), and others that are exactly zero."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 0.01
    for axis, n in enumerate(shape):
        along = [1] * len(shape)
        along[axis] = n
        x = x + np.sin(np.arange(n) * rng.uniform(0.05, 0.2) + rng.uniform(0, 6)).reshape(along) * rng.uniform(0.5, 2)
    x[np.abs(x) < 0.15] = 0
    x[rng.random(shape) < 0.01] = np.nan
    return x.astype(dtype)


def some_part(rng, shape):
    """A random slice: small or large, of a single index along some axes."""
    part = []
    for n in shape:
        start = int(rng.integers(0, n))
        stop = start + 1 if rng.random() < 0.2 else int(rng.integers(start, n)) + 1
        part.append(slice(start, stop))
    return tuple(part)


def same(a, b):
    return np.array_equal(bits(np.ascontiguousarray(a)), bits(np.ascontiguousarray(b)))


@pytest.mark.parametrize("predictor", ["none", "auto"])
@pytest.mark.parametrize("ndim", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("host", [Zarr2, Zarr3, HDF5], ids=lambda c: c.__name__)
def test_read_modify_write(tmp_path, host, dtype, ndim, predictor):
    """Untouched values are within the tolerance of what they were first, after every round, and do not move at all."""
    rng, host, path = np.random.default_rng(11), host(), tmp_path / "store"
    (shape, chunks), q = SHAPES[ndim], AnsQuant(tol=TOL, predictor=predictor)
    first = field(shape, dtype, 0)
    host.create(path, shape, dtype, chunks, q)
    with host.opened(path) as z:
        z[...] = first
    assert (inspect(host.chunk(path)).mode == "predicted") == (predictor != "none")
    with host.opened(path) as z:
        before = z[...]
    assert verify(first, before, TOL)
    for round in range(ROUNDS):
        part = some_part(rng, shape)
        new = (field(shape, dtype, round + 1)[part] * rng.choice([0.1, 1, 30])).astype(dtype)
        with host.opened(path) as z:
            host.assign(z, part, new, round)
        with host.opened(path) as z:
            after = z[...]
        first[part] = new
        assert verify(first, after, TOL), round
        untouched = np.ones(shape, bool)
        untouched[part] = False
        assert same(after[untouched], before[untouched]), round
        for corner in np.ndindex(*(-(-n // c) for n, c in zip(shape, chunks, strict=True))):
            box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(corner, chunks, strict=True))
            values = np.ascontiguousarray(after[box])
            assert same(decode(encode(values, TOL, predictor=predictor)), values), (round, corner)
        before = after
