"""One battery, all fronts: the same arrays through the core, Zarr v2, Zarr v3 and HDF5.

Whatever the host, the dtype and the parameters, the stored bytes of a chunk are those of `arraycodec.encode`, and
the values come back within the bound in a reopened store.
"""

import contextlib
import warnings
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pytest
from arrays import ALL_DTYPES, DTYPES, bits, numbers, payload_nans

from arraycodec import AnsQuant, decode, encode, inspect, verify

TOL = 1e-3


class Core:
    def stored(self, dtype):
        """The dtype that the host keeps for a dtype."""
        return dtype

    def write(self, path, x, chunks, q):
        self.x, self.chunks, self.q = x, chunks, q

    def read(self, path):
        out = np.empty_like(self.x)
        for index in np.ndindex(*(-(-n // c) for n, c in zip(self.x.shape, self.chunks, strict=True))):
            box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, self.chunks, strict=True))
            out[box] = decode(self.q.encode(self.x[box])).view(out.dtype)  # bfloat16 is uint16 here
        return out

    def chunk(self, path, index):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, self.chunks, strict=True))
        return self.q.encode(np.ascontiguousarray(self.x[box]))


class Zarr2(Core):
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


@contextlib.contextmanager
def unspecified():
    """zarr warns where Zarr v3 does not specify a dtype (dates, bytes)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification")
        yield


class Zarr3(Zarr2):
    def stored(self, dtype):
        return dtype.newbyteorder("=")  # a Zarr v3 array has no byte order of its own

    def write(self, path, x, chunks, q):
        zarr = pytest.importorskip("zarr", minversion="3")
        with unspecified():
            options = {"shape": x.shape, "chunks": chunks, "dtype": x.dtype}
            z = zarr.create_array(str(path), serializer=q, compressors=None, **options)
            z[...] = x

    def read(self, path):
        with unspecified():
            return super().read(path)

    def chunk(self, path, index):
        return path.joinpath("c", *map(str, index)).read_bytes()


class HDF5(Core):
    def write(self, path, x, chunks, q):
        h5py = pytest.importorskip("h5py")
        if x.dtype.kind in "mM":
            x = x.view(h5py.opaque_dtype(x.dtype))
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
    assert back.dtype == front.stored(dtype)
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


MODES = {
    "tol": {"tol": 3.5},
    "rtol": {"rtol": 2**-6},
    "both": {"tol": 2.0, "rtol": 0.01},
    "lossless": {"tol": 0},
    "fill": {"tol": 4, "fill_value": 27},
    "fill of rtol": {"rtol": 0.25, "fill_value": 27.0},
    "level": {"tol": 3.5, "level": 9},
    "predictor": {"tol": 3.5, "predictor": "auto"},
}


def check(front, path, x, chunks, parameters):
    """Write, read in a reopened store, and compare both with what `encode` makes of every chunk."""
    front.write(path, x, chunks, AnsQuant(**parameters))
    back = front.read(path)
    assert back.dtype == front.stored(x.dtype)
    assert verify(x, back, **{name: value for name, value in parameters.items() if name not in ("level", "predictor")})
    for index in np.ndindex(*(-(-n // c) for n, c in zip(x.shape, chunks, strict=True))):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        part = np.ascontiguousarray(x[box])
        if part.shape == chunks:  # what hosts put around the edge is their business
            expected = encode(part, **parameters)
            assert front.chunk(path, index) == expected
            # as bits: bfloat16 may be uint16
            assert np.array_equal(bits(back[box]), bits(decode(expected)))
    if x.dtype.kind in "bmM" or parameters.get("tol") == 0:
        assert np.array_equal(bits(back), bits(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_every_dtype(front, tmp_path, dtype, mode):
    if isinstance(front, Zarr3) and dtype == "M8":
        pytest.skip("zarr cannot open its own datetime64 without a unit: it does not read the fill value back")
    if isinstance(front, Zarr2) and dtype in ("M8", "m8") and find_spec("zarr") and version("zarr") < "3":
        pytest.skip("zarr 2 takes no dates without a unit")
    x = numbers(dtype, (20, 30))
    if dtype.kind not in "bmM":
        x[::2, ::3] = 27
    check(front, tmp_path / "store", x, (8, 30), MODES[mode])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", "<>")
def test_bfloat16_in_uint16(front, tmp_path, order, mode):
    x = (numbers("f4", (20, 30)).view("u4") >> 16).astype(order + "u2")
    x[::2, ::3] = 0x41D8  # 27
    check(front, tmp_path / "store", x, (8, 30), {**MODES[mode], "dtype": "bfloat16"})


def layouts(x):
    """The same values in other places and orders of memory."""
    yield "Fortran", np.asfortranarray(x)
    wide = np.zeros((2 * len(x), *x.shape[1:]), x.dtype)
    wide[::2] = x
    yield "strided", wide[::2]
    yield "backward", x[::-1, ::-1].copy()[::-1, ::-1]
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "unaligned", np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)
    yield "broadcast", np.broadcast_to(x[:1], x.shape)


@pytest.mark.parametrize("name", dict(layouts(np.zeros((2, 2)))))
@pytest.mark.parametrize("dtype", ["?", ">i2", "u8", "f2", "<f4", ">f8", "<c8", ">c16", "<M8[s]"])
def test_layouts(front, tmp_path, dtype, name):
    x = dict(layouts(numbers(dtype, (24, 30))))[name]
    assert name != "unaligned" or dtype == "?" or not x.flags.aligned
    for i, mode in enumerate(("tol", "lossless")):
        check(front, tmp_path / f"store{i}", x, (8, 30), MODES[mode])


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("i8", -(2**63)), ("u8", 2**64 - 1), (">i8", 2**53 + 1), ("f2", 999.9), ("f4", 0.1), (">f8", -1e300),
     ("c8", 0.1 - 2j), (">c16", -9999)],
)  # fmt: skip
def test_fill_values(front, tmp_path, dtype, fill):
    x = numbers(dtype, (20, 30))
    x[::2, ::3] = np.array(fill).astype(dtype)
    for i, tolerances in enumerate(({"tol": 1000}, {"rtol": 0.5}, {"tol": 0})):
        check(front, tmp_path / f"store{i}", x, (8, 30), {**tolerances, "fill_value": fill})


@pytest.mark.parametrize("dtype", ["f4", "i4", ">c16", "?"])
def test_levels(front, tmp_path, dtype):
    """Every level, and stores written at one and written again at another, which moves nothing."""
    x = numbers(dtype, (20, 30))
    for level in range(1, 10):
        check(front, tmp_path / f"first{level}", x, (8, 30), {"tol": 2, "level": level})
        back = front.read(tmp_path / f"first{level}")
        front.write(tmp_path / f"second{level}", back, (8, 30), AnsQuant(tol=2, level=10 - level))
        assert np.array_equal(bits(front.read(tmp_path / f"second{level}")), bits(back))


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "c8", "i4"])
def test_predictors(front, tmp_path, dtype):
    """Every predictor, on something that is predicted; who reads it again is told nothing."""
    i, j = np.indices((40, 60))
    x = (100 * np.sin(i / 7) + 50 * np.cos(j / 5)).astype(dtype)
    for predictor in ("none", "auto", "lorenzo", "interpolation"):
        path = tmp_path / predictor
        check(front, path, x, (20, 60), {"tol": 2, "predictor": predictor})
        chunk = front.chunk(path, (1, 0))
        assert (inspect(chunk).mode == "predicted") == (predictor != "none")
        assert np.array_equal(bits(decode(chunk)), bits(front.read(path)[20:]).reshape(bits(decode(chunk)).shape))


def test_unknown_predictors_are_refused(front, tmp_path):
    with pytest.raises(ValueError, match="predictor must be .* or \"linear\", not 'spline'"):
        front.write(tmp_path / "store", np.ones((4, 4), "f4"), (4, 4), AnsQuant(tol=TOL, predictor="spline"))
    with pytest.raises(TypeError, match="predictor must be a name, not 2"):
        front.write(tmp_path / "store", np.ones((4, 4), "f4"), (4, 4), AnsQuant(tol=TOL, predictor=2))


@pytest.mark.parametrize("dtype", ["S4", [("a", "f4")]], ids=str)
def test_other_dtypes_are_refused(front, tmp_path, dtype):
    with pytest.raises((TypeError, ValueError, OSError), match="arraycodec encodes float|can be compressed"):
        front.write(tmp_path / "store", np.ones((4, 4), dtype), (4, 4), AnsQuant(tol=TOL))
        front.read(tmp_path / "store")
