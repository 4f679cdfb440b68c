"""One battery, all fronts: the same arrays through the core, Zarr v2, Zarr v3 and HDF5.

Whatever the host, the stored bytes of a chunk are those of `arraycodec.encode`, and the values come
back within the bound in a reopened store.
"""

import numpy as np
import pytest
from arrays import DTYPES, bits, payload_nans

from arraycodec import AnsQuant, decode, encode, verify

TOL = 1e-3


class Core:
    def write(self, path, x, chunks, q):
        self.x, self.chunks, self.q = x, chunks, q

    def read(self, path):
        out = np.empty_like(self.x)
        for index in np.ndindex(*(-(-n // c) for n, c in zip(self.x.shape, self.chunks, strict=True))):
            box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, self.chunks, strict=True))
            out[box] = decode(self.q.encode(self.x[box]))
        return out

    def chunk(self, path, index):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, self.chunks, strict=True))
        return self.q.encode(np.ascontiguousarray(self.x[box]))


class Zarr2:
    def write(self, path, x, chunks, q):
        zarr = pytest.importorskip("zarr")
        options = {"zarr_format": 2} if zarr.__version__ >= "3" else {}
        z = zarr.open(
            str(path), mode="w", shape=x.shape, chunks=chunks, dtype=x.dtype, compressor=q, fill_value=None, **options
        )
        z[...] = x

    def read(self, path):
        import zarr

        return zarr.open(str(path), mode="r")[...]

    def chunk(self, path, index):
        return (path / ".".join(map(str, index))).read_bytes()


class Zarr3(Zarr2):
    def write(self, path, x, chunks, q):
        zarr = pytest.importorskip("zarr", minversion="3")
        z = zarr.create_array(str(path), shape=x.shape, chunks=chunks, dtype=x.dtype, serializer=q, compressors=None)
        z[...] = x

    def chunk(self, path, index):
        return path.joinpath("c", *map(str, index)).read_bytes()


class HDF5:
    def write(self, path, x, chunks, q):
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as f:
            f.create_dataset("x", data=x, chunks=chunks, compression=q)

    def read(self, path):
        import h5py

        with h5py.File(path) as f:
            return f["x"][...]

    def chunk(self, path, index):
        import h5py

        with h5py.File(path) as f:
            d = f["x"]
            mask, data = d.id.read_direct_chunk(tuple(i * c for i, c in zip(index, d.chunks, strict=True)))
            assert mask == 0
            return data


@pytest.fixture(params=[Core, Zarr2, Zarr3, HDF5], ids=lambda c: c.__name__)
def front(request):
    return request.param()


def arrays(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 96)).astype(dtype)
    special = x.copy()
    special[::5, ::7] = np.resize(payload_nans(dtype.newbyteorder("=")), special[::5, ::7].shape).astype(dtype)
    return {
        "normal": (x, (32, 48)),
        "special": (special, (32, 48)),
        "far": ((x * dtype.type(1e6)).astype(dtype), (64, 96)),
        "uneven": (x, (50, 40)),
        "row": (x[:1], (1, 96)),
        "five axes": (x.reshape(4, 4, 4, 8, 12), (2, 4, 3, 8, 5)),
        "constant": (np.full_like(x, 0.1), (32, 48)),
        "wide": (np.exp(x.astype("f8") * 8).astype(dtype), (64, 96)),
    }


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", arrays(np.dtype("f4")))
def test_bound_and_bytes(front, tmp_path, dtype, name):
    x, chunks = arrays(dtype)[name]
    q = AnsQuant(tol=TOL)
    front.write(tmp_path / "store", x, chunks, q)
    back = front.read(tmp_path / "store")
    # a Zarr v3 array has no byte order of its own
    assert back.dtype == (dtype.newbyteorder("=") if isinstance(front, Zarr3) else dtype)
    assert verify(x, back, TOL)
    first = tuple(slice(0, c) for c in chunks)
    expected = encode(np.ascontiguousarray(x[first]), TOL)
    assert front.chunk(tmp_path / "store", (0,) * x.ndim) == expected
    assert np.array_equal(bits(back[first]), bits(decode(expected)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lossless(front, tmp_path, dtype):
    x, chunks = arrays(dtype)["special"]
    front.write(tmp_path / "store", x, chunks, AnsQuant(tol=0))
    assert np.array_equal(bits(front.read(tmp_path / "store")), bits(x))


@pytest.mark.parametrize("dtype", ["i4", "u2", "f2", "c8", "?"])
def test_other_dtypes_are_refused(front, tmp_path, dtype):
    with pytest.raises((TypeError, ValueError, OSError), match="float32 and float64|float32/float64"):
        front.write(tmp_path / "store", np.ones((4, 4), dtype), (4, 4), AnsQuant(tol=TOL))
        front.read(tmp_path / "store")
