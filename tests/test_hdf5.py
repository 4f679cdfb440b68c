"""The HDF5 filter: through h5py, and its refusals; tests/test_tools.py has programs that know nothing of this package.

Files are always reopened before reading: the chunk cache holds values that have not been through
the filter.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import ALL_DTYPES, bits, numbers
from programs import need_netcdf4, python

import arraycodec
from arraycodec import AnsQuant, encode, hdf5

h5py = pytest.importorskip("h5py")

from hdf5files import TOL, completed, double, first_chunk, of_hdf5, read, write  # noqa: E402

ID = hdf5.FILTER_ID
RNG = np.random.default_rng(35117)
NORMAL = RNG.normal(size=(50, 70)).astype("f4")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.h5")


def dcpl_with(chunks, *filters):
    """A dataset creation property list; filters are (id, values) or names of h5py's set_... methods."""
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk(chunks)
    for f in filters:
        if isinstance(f, str):
            getattr(dcpl, "set_" + f)(*([1] if f == "deflate" else [0, 3] if f == "scaleoffset" else []))
        else:
            dcpl.set_filter(f[0], h5py.h5z.FLAG_OPTIONAL, f[1])  # as h5py itself does
    return dcpl


def create(f, dcpl, shape=(32,), type_id=h5py.h5t.IEEE_F32LE, name=b"x"):
    return h5py.Dataset(h5py.h5d.create(f.id, name, type_id, h5py.h5s.create_simple(shape), dcpl))


# ---- round trips ----
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((64,), (64,)),
        ((50, 70), (32, 32)),  # edge chunks
        ((1, 300), (1, 128)),
        ((300, 1), (128, 1)),
        ((5, 4, 3, 6, 7), (2, 3, 2, 4, 5)),
        ((3, 2, 2, 2, 2, 2, 2, 3), (2, 2, 1, 2, 2, 2, 2, 2)),
    ],
)
def test_round_trip(path, dtype, shape, chunks):
    data = RNG.normal(size=shape).astype(dtype)
    write(path, data, chunks=chunks)
    back = read(path)
    assert back.dtype == data.dtype
    assert arraycodec.verify(data, back, TOL)
    assert arraycodec.verify(data, back, 0).violations > 0  # the filter was at work


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_stored_chunks_are_those_of_encode(path, dtype):
    data = NORMAL.astype(dtype)
    write(path, data, chunks=(32, 32), fillvalue=7)
    padded = np.full((64, 96), 7, dtype)
    padded[:50, :70] = data
    with h5py.File(path) as f:
        for i in range(0, 50, 32):
            for j in range(0, 70, 32):
                mask, chunk = f["x"].id.read_direct_chunk((i, j))
                assert mask == 0
                assert chunk == encode(padded[i : i + 32, j : j + 32], TOL, fill_value=7)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
@pytest.mark.parametrize(
    "parameters",
    [{"tol": 3.5}, {"rtol": 2.0**-6}, {"tol": 2.0, "rtol": 0.01}, {"tol": 0}, {"tol": 4, "fill_value": 27}],
    ids=str,
)
def test_every_type(path, dtype, parameters):
    data = numbers(dtype, (20, 30))
    if dtype.kind not in "mMb":
        data[::2, ::3] = 27
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=data.view(of_hdf5(dtype)), chunks=(10, 16), compression=AnsQuant(**parameters))
    back = read(path)
    assert back.dtype == dtype
    assert arraycodec.verify(data, back, **parameters)
    assert first_chunk(path) == encode(np.ascontiguousarray(data[:10, :16]), **parameters)
    if dtype.kind in "bmM" or not any(parameters.get(name) for name in ("tol", "rtol")):
        assert np.array_equal(bits(back), bits(data))


def test_chunks_of_encode_can_be_stored(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", (64, 32), "f4", chunks=(32, 32), compression=AnsQuant(tol=TOL))
        d.id.write_direct_chunk((32, 0), encode(NORMAL[:32, :32], TOL))
    assert np.array_equal(read(path)[32:], arraycodec.decode(encode(NORMAL[:32, :32], TOL)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("tol", [TOL, 0])
def test_non_finite_values_keep_their_bits(path, dtype, tol):
    data = NORMAL.astype(dtype)
    bits = data.view("u4" if dtype == "f4" else "u8")
    data[::3, ::5] = np.nan
    bits[::7, ::4] |= bits[0, 0] | bits.dtype.type(5)  # NaN with payload
    data[1::3, 1::5] = np.inf
    data[2::3, 2::5] = -np.inf
    write(path, data, tol, chunks=(32, 32))
    assert arraycodec.verify(data, read(path), tol)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_lossless(path, dtype):
    data = (NORMAL * np.float32(10) ** RNG.integers(-30, 30, NORMAL.shape)).astype(dtype)
    data[0, 0] = -0.0
    write(path, data, 0, chunks=(32, 32))
    assert read(path).tobytes() == data.tobytes()


@pytest.mark.parametrize("tol", [5e-324, 1e-300, 1.0, 1e300])
def test_extreme_tolerances(path, tol):
    write(path, NORMAL.astype("f8"), tol)
    assert arraycodec.verify(NORMAL.astype("f8"), read(path), tol)
    with h5py.File(path) as f:
        assert hdf5.info(f["x"])["tol"] == tol


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("maxshape", [(6, 7), (None, 7), (None, None)])
@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (6, 7)])
def test_every_chunk_index_and_chunks_smaller_than_their_code(path, libver, maxshape, chunks):
    data = NORMAL[:6, :7]
    write(path, data, libver=libver, maxshape=maxshape, chunks=chunks)
    assert arraycodec.verify(data, read(path), TOL)


def test_resizable(path):
    with h5py.File(path, "w") as f:
        f.create_dataset("x", (0, 70), "f4", maxshape=(None, None), chunks=(16, 16), compression=AnsQuant(tol=TOL))
    assert read(path).shape == (0, 70)
    for n in (5, 20, 50):
        with h5py.File(path, "a") as f:
            first = len(f["x"])
            f["x"].resize((n, 70))
            f["x"][first:] = NORMAL[first:n]
    assert arraycodec.verify(NORMAL, read(path), TOL)
    with h5py.File(path, "a") as f:
        f["x"].resize((33, 80))
    back = read(path)
    assert arraycodec.verify(NORMAL[:33], back[:, :70], TOL)
    assert not back[:, 70:].any()


def test_chunks_never_written_are_the_fill_value(path):
    with h5py.File(path, "w") as f:
        f.create_dataset("x", (64,), "f4", chunks=(32,), fillvalue=0.1, compression=AnsQuant(tol=1.0))[:32] = 5
    assert (read(path)[32:] == np.float32(0.1)).all()


@pytest.mark.parametrize(("shape", "kind"), [((), "Scalar"), (None, "Empty")])
def test_datasets_without_chunks(path, shape, kind):
    with h5py.File(path, "w") as f, pytest.raises(TypeError, match=f"{kind} datasets don't support"):
        f.create_dataset("x", shape, "f4", compression=AnsQuant(tol=TOL))


def test_chunks_larger_than_the_chunk_cache(path):
    with h5py.File(path, "w", rdcc_nbytes=1024) as f:
        d = f.create_dataset("x", (64, 64), "f4", chunks=(64, 64), compression=AnsQuant(tol=TOL))
        for i in range(50):  # every row rewrites the chunk
            d[i] = NORMAL[i, :64]
    with h5py.File(path, rdcc_nbytes=1024) as f:
        back = np.stack([f["x"][i] for i in range(50)])
    assert arraycodec.verify(NORMAL[:, :64], back, TOL)


@pytest.mark.parametrize("dtype", ["f4", ">f8"])
@pytest.mark.parametrize("tol", [1e-2, 0.1, 2**-7])
def test_rewriting_does_not_drift(path, dtype, tol):
    data = (1e3 * NORMAL).astype(dtype)
    write(path, data, tol, chunks=(32, 32))
    first = read(path)
    for i in range(10):
        with h5py.File(path, "a") as f:
            f["x"][:, i] = 1e6 * i  # neighbours of another size
    back = read(path)
    assert np.array_equal(first[:, 10:], back[:, 10:])
    assert arraycodec.verify(data[:, 10:], back[:, 10:], tol)


def test_threads(path):
    write(path, NORMAL, chunks=(7, 9))
    expected = read(path)
    with h5py.File(path, rdcc_nbytes=0) as f, ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(a, expected) for a in pool.map(lambda _: f["x"][()], range(16)))


# ---- parameters ----
@pytest.mark.parametrize(
    ("values", "tol"),
    [
        ((1, 0, 0), 0),
        ((1, 0, 0x80000000), 0),  # -0.0
        ((1, 0, 0x3F500000), 2**-10),
        ((2, 0), 1),
        ((2, 17), 2**-17),
        ((2, 1022), 2.0**-1022),
        ((3, 0, 0), 0),
        ((3, 1, 3), 1e-3),
        ((3, 25, 0), 25),
        ((3, 4294967295, 22), 4294967295e-22),
        # as h5repack and nccopy hand it on: of a dataset with another type, other chunks, another rank
        ((1, 0, 0x3F500000, 10, 0x102, 3, 1, 0, 2, 0, 3, 0), 2**-10),
        ((1, 0, 0x3F500000, 10, 0x90019, 1, 1, 0, 25), 2**-10),
    ],
)
def test_forms_of_the_tolerance(path, values, tol):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=NORMAL, chunks=(25, 70), compression=ID, compression_opts=values)
        assert hdf5.info(d) == {
            "filter_id": ID, "name": "arraycodec.ansquant", "tol": tol, "rtol": None, "fill_value": None, "dtype": None,
            "level": None, "predictor": None, "coder": None, "parameters": None,
            "cd_values": completed(AnsQuant(tol=tol), 1, 25, 70),
        }  # fmt: skip
    assert arraycodec.verify(NORMAL, read(path), tol)


HALF = double(0.5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((6, 4), {"rtol": 2**-4}),
        ((7, 3, 2), {"rtol": 0.03}),
        ((5, *double(0.3)), {"rtol": 0.3}),
        ((5, 0, 0), {"tol": 0.0}),
        ((6, 4, 2, 3), {"tol": 2**-3, "rtol": 2**-4}),
        ((7, 1, 2, 1, *HALF), {"tol": 0.5, "rtol": 0.01}),
        ((11, *double(-9999.0), 1, *HALF), {"tol": 0.5, "fill_value": -9999.0}),
        ((1, *HALF, 12, 1, 9999, 0), {"tol": 0.5, "fill_value": -9999.0}),
        ((1, *HALF, 12, 0, 5, 1), {"tol": 0.5, "fill_value": 2.0**32}),
        ((8, 1, 0xC61C3C00, 2, 1, 6, 4), {"tol": 0.5, "rtol": 2**-4, "fill_value": -9999.0}),
        ((1, *HALF, 11, *double(np.nan)), {"tol": 0.5}),
        ((1, *HALF, 11, *double(1e300)), {"tol": 0.5}),  # infinity in float32
        ((1, *HALF, 8, 1, 0x7FC00001), {"tol": 0.5}),
    ],
)
def test_items(path, values, expected):
    data = NORMAL.copy()
    data[::3] = expected.get("fill_value", 0)
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=data, chunks=(25, 70), compression=ID, compression_opts=values)
        info = {key: value for key, value in hdf5.info(d).items() if value is not None}
        assert {**{"tol": 0.0}, **expected}.items() <= info.items()
        assert info.keys() - expected.keys() == {"filter_id", "name", "cd_values"} | {"tol"} - expected.keys()
        stored = info["cd_values"]
        assert stored[:3] == (1, *double(info["tol"]))
        assert ((5, *double(info["rtol"])) if "rtol" in info else ()) == stored[3 : 6 if "rtol" in info else 3]
        fill = (8, 1, int(np.float32(info["fill_value"]).view("u4"))) if "fill_value" in info else ()
        assert stored[-7 - len(fill) :] == (*fill, 10, 1, 2, 25, 0, 70, 0)
    assert arraycodec.verify(data, read(path), **expected)
    assert first_chunk(path) == encode(data[:25], **expected)


@pytest.mark.parametrize("level", range(1, 10))
def test_level(path, level):
    with h5py.File(path, "w") as f:
        q = AnsQuant(tol=TOL, level=level)
        d = f.create_dataset("x", data=NORMAL, chunks=(25, 70), compression=q)
        assert hdf5.info(d)["cd_values"] == (1, *double(TOL), 14, level, 10, 1, 2, 25, 0, 70, 0)
        assert hdf5.info(d)["cd_values"] == completed(q, 1, 25, 70)
        # typed by hand, in any order
        d = f.create_dataset(
            "y", data=NORMAL, chunks=(25, 70), compression=ID, compression_opts=(14, level, 2, 10)
        )
        assert hdf5.info(d)["level"] == level and hdf5.info(d)["tol"] == TOL
    assert first_chunk(path) == first_chunk(path, "y") == encode(NORMAL[:25], TOL, level=level)
    back = read(path)
    assert arraycodec.verify(NORMAL, back, TOL)
    with h5py.File(path, "w") as f:  # at another level, or none, nothing moves
        f.create_dataset("x", data=back, chunks=(25, 70), compression=AnsQuant(tol=TOL, level=10 - level))
        f.create_dataset("y", data=back, chunks=(25, 70), compression=AnsQuant(tol=TOL))
    assert np.array_equal(read(path), back) and np.array_equal(read(path, "y"), back)


SMOOTH = sum(np.sin(i / 9) for i in np.indices((50, 70))).astype("f4")


@pytest.mark.parametrize(("code", "predictor"), list(enumerate(["none", "auto", "lorenzo", "interpolation"], 1)))
def test_predictor(path, tmp_path, code, predictor):
    with h5py.File(path, "w") as f:
        q = AnsQuant(tol=TOL, predictor=predictor)
        d = f.create_dataset("x", data=SMOOTH, chunks=(25, 70), compression=q)
        assert hdf5.info(d)["cd_values"] == (1, *double(TOL), 15, code, 10, 1, 2, 25, 0, 70, 0)
        assert hdf5.info(d)["cd_values"] == completed(q, 1, 25, 70)
        # typed by hand, in any order
        d = f.create_dataset("y", data=SMOOTH, chunks=(25, 70), compression=ID, compression_opts=(15, code, 2, 10))
        assert hdf5.info(d)["predictor"] == predictor and hdf5.info(d)["tol"] == TOL and hdf5.info(d)["level"] is None
    assert first_chunk(path) == first_chunk(path, "y") == encode(SMOOTH[:25], TOL, predictor=predictor)
    back = read(path)
    assert arraycodec.verify(SMOOTH, back, TOL)
    # by a program that knows nothing but the plugin
    code = """if True:
        import sys, h5py, numpy as np
        np.save("x.npy", h5py.File(sys.argv[1])["x"][()])
        assert not any(m.startswith("arraycodec") for m in sys.modules)"""
    python(code, path, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert np.array_equal(np.load(tmp_path / "x.npy"), back)


def test_the_predictor_is_kept_with_everything_else(path):
    """With complex128 the type is not among the first 16 values: h5py itself reads and writes such a dataset."""
    data = numbers("c16", (20, 30))
    data[::2, ::3] = 1 - 2j
    parameters = {"tol": 2**-4, "rtol": 0.01, "fill_value": 1 - 2j}
    how = {"level": 8, "predictor": "lorenzo"}
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=data, chunks=(10, 30), compression=AnsQuant(**parameters, **how))
        hdf5.write(d, data[:2], np.s_[:2])
        f.create_dataset(
            "double", data=data.real, chunks=(10, 30), compression=AnsQuant(1, 0.25, fill_value=1, **how)
        )
        words = f.create_dataset(
            "words", data=numbers("u2", (20, 30)), chunks=(10, 30),
            compression=AnsQuant(0.5, 0.25, fill_value=27, dtype="bfloat16", level=1, predictor="auto"),
        )  # fmt: skip
        expected = {"level": 1, "predictor": "auto", "dtype": "bfloat16", "fill_value": 27}
        assert expected.items() <= hdf5.info(words).items()
    with h5py.File(path) as f:
        assert {**parameters, **how}.items() <= hdf5.info(f["x"]).items()
        assert hdf5.read_items(hdf5.info(f["x"])["cd_values"]).type == ()
        for name in ("double", "words"):
            assert hdf5.read_items(hdf5.info(f[name])["cd_values"]).type, name  # read and written directly
        assert arraycodec.verify(data, hdf5.read(f["x"]), **parameters)
    assert first_chunk(path) == encode(data[:10], **parameters, **how)


def test_the_level_is_kept_with_everything_else(path):
    """Of the longest list without a predictor h5py shows the first 16 values."""
    data = numbers("c16", (20, 30))
    data[::2, ::3] = 1 - 2j
    parameters = {"tol": 2**-4, "rtol": 0.01, "fill_value": 1 - 2j}
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=data, chunks=(10, 30), compression=AnsQuant(**parameters, level=8))
        words = f.create_dataset(
            "words", data=numbers("u2", (20, 30)), chunks=(10, 30),
            compression=AnsQuant(0.5, 0.25, fill_value=27, dtype="bfloat16", level=1),
        )  # fmt: skip
        assert hdf5.info(words)["level"] == 1 and hdf5.info(words)["dtype"] == "bfloat16"
        e = f.create_dataset(
            "enum", data=np.zeros(4, h5py.enum_dtype({"A": 0}, "i2")), chunks=(4,), compression=AnsQuant(1, level=2)
        )
        assert hdf5.info(e)["level"] == 2
    with h5py.File(path) as f:
        assert {**parameters, "level": 8}.items() <= hdf5.info(f["x"]).items()
        assert hdf5.read_items(hdf5.info(f["x"])["cd_values"]).type  # so that it is read and written directly
        assert arraycodec.verify(data, f["x"][...], **parameters)
    assert first_chunk(path) == encode(data[:10], **parameters, level=8)


def test_parameters_of_objects_are_items():
    def options(*args, **kwargs):
        return AnsQuant(*args, **kwargs).filter_options

    assert options(0.5) == (1, *HALF)
    assert options(rtol=0.25) == (1, 0, 0, 5, *double(0.25))
    assert options(0.5, fill_value=-7) == options(0.5, fill_value=-7.0) == (1, *HALF, 11, *double(-7))
    assert options(0.5, fill_value=-(2**60) - 1) == (1, *HALF, 12, 1, 1, 1 << 28)
    assert options(0.5, fill_value=2**64 - 1) == (1, *HALF, 12, 0, 2**32 - 1, 2**32 - 1)
    assert options(0.5, fill_value=10**30) == (1, *HALF, 11, *double(1e30))
    assert options(0.5, fill_value=1 - 2j) == (1, *HALF, 13, *double(1), *double(-2))
    assert options(0.5, fill_value=np.nan) == options(0.5)
    assert options(0.5, dtype="bfloat16") == (1, *HALF, 9)
    assert options(0.5, dtype="bfloat16", level=3) == (1, *HALF, 9, 14, 3)
    assert options(0.5, level=3, predictor="interpolation") == (1, *HALF, 14, 3, 15, 4)
    assert options(0.5, predictor="none") == (1, *HALF, 15, 1)
    with pytest.raises(arraycodec.ParameterError, match="fill_value must fit a double, not 1000"):
        options(0.5, fill_value=10**400)


FILLS = [
    ("i1", -128), ("u1", 255), (">i2", -9999), ("u2", 65535), ("i4", -(2**31)), (">u4", 2**32 - 1), ("i8", -(2**63)),
    ("i8", 2**63 - 1), (">u8", 2**64 - 1), ("u8", 2**53 + 1), ("i8", -7.0), ("f2", -999.9), (">f2", 65519.9),
    ("f2", 1 + 2.0**-11 + 2.0**-40), ("f2", 2.0**-25 + 2.0**-60), ("f2", 1e-9), ("f2", 2049), ("f4", 0.1),
    (">f4", 2**60 + 2**36 + 1), ("f4", -1e-46),
    ("f8", 1e300), ("f8", 2**63 + 1), ("c8", -9999), (">c8", 0.1 - 3j), ("c16", 2**53 + 1), (">c16", 1e300 + 1j),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "fill"), FILLS, ids=str)
def test_fill_values_of_every_type(path, dtype, fill):
    """The filter converts numbers as `encode` does."""
    data = np.zeros((40,), dtype)
    data[::3] = np.array(fill).astype(dtype)
    data[1::3] = numbers(dtype, (40,))[1::3]
    q = AnsQuant(tol=3, fill_value=fill)
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=data, chunks=(40,), compression=q)
        kept = hdf5.info(d)["fill_value"]
        assert np.array(kept).astype(dtype).tobytes() == data[:1].tobytes()
        words = hdf5.info(d)["cd_values"]
        # typed as bits, it is the same
        e = f.create_dataset("y", data=data, chunks=(40,), compression=ID, compression_opts=words[: words.index(10)])
        assert hdf5.info(e)["cd_values"] == words
    assert first_chunk(path) == first_chunk(path, "y") == encode(data, 3, fill_value=fill)
    assert np.array_equal(read(path)[::3], data[::3])


def test_random_fill_values_of_float16(path):
    with h5py.File(path, "w") as f:
        for i, fill in enumerate(RNG.normal(size=300) * 2.0 ** RNG.integers(-26, 16, 300)):
            d = f.create_dataset(str(i), (4,), "f2", chunks=(4,), compression=AnsQuant(tol=1, fill_value=fill))
            assert hdf5.info(d)["fill_value"] == np.float64(fill).astype("f2")


@pytest.mark.parametrize("dtype", ["?", "M8[s]", "m8[ns]", "enum"])
def test_exact_types_have_no_fill_value(path, dtype):
    dtype = h5py.enum_dtype({"A": 0, "B": 1}) if dtype == "enum" else of_hdf5(dtype)
    for i, fill in enumerate((0.5, 1e300, 2j, -1)):
        with h5py.File(path, "w") as f:
            q = AnsQuant(tol=3, fill_value=fill)
            d = f.create_dataset(str(i), (4,), dtype, chunks=(4,), compression=q)
            assert hdf5.info(d)["fill_value"] is None and 8 not in hdf5.info(d)["cd_values"]


# ---- the dataset's own fill value ----
@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", ">f8", "<i2", ">i8", "u1", "c8", ">c16"])
@pytest.mark.parametrize("parameters", [{"tol": 3}, {"tol": 0}, {"rtol": 0.25}], ids=str)
def test_the_datasets_own_fill_value(path, dtype, parameters):
    data = numbers(dtype, (40,))
    data[::3] = 101
    with h5py.File(path, "w") as f:
        d = f.create_dataset(
            "x", (60,), dtype, chunks=(40,), maxshape=(None,), fillvalue=np.array(101, dtype)[()],
            compression=AnsQuant(**parameters),
        )  # fmt: skip
        assert hdf5.info(d)["fill_value"] == 101
        d[:40] = data
        d[40] = 99
    back = read(path)
    assert first_chunk(path) == encode(data, **parameters, fill_value=101)
    assert (back[:40:3] == 101).all() and (back[41:] == 101).all()
    assert arraycodec.verify(data, back[:40], **parameters, fill_value=101)


@pytest.mark.parametrize(
    ("dtype", "own", "given", "kept"),
    [
        ("f4", 7, 9, 9.0),  # what is given goes first
        ("f4", None, None, None),  # HDF5's own zero is none
        ("f4", 0, None, 0.0),
        ("f4", np.nan, None, None),
        ("f8", -np.inf, None, None),
        ("c8", complex(0, np.nan), None, None),
        ("?", True, None, None),
        ("i4", -9999, None, -9999),
    ],
)
def test_which_fill_value(path, dtype, own, given, kept):
    with h5py.File(path, "w") as f:
        q = AnsQuant(tol=1, fill_value=given)
        d = f.create_dataset("x", (4,), dtype, chunks=(4,), fillvalue=own, compression=q)
        assert hdf5.info(d)["fill_value"] == kept


def test_a_property_list_for_another_dataset(path):
    """The fill value of a dataset is not that of the next; one that was given is."""
    with h5py.File(path, "w") as f:

        def create(name, type_id, plist):
            space = h5py.h5s.create_simple((4,))
            return h5py.Dataset(h5py.h5d.create(f.id, name, type_id, space, plist))

        d = f.create_dataset("own", (4,), "f4", chunks=(4,), fillvalue=7, compression=AnsQuant(tol=1))
        plist = d.id.get_create_plist()
        assert hdf5.info(create(b"a", h5py.h5t.STD_I16BE, plist))["fill_value"] == 7
        plist.set_fill_value(np.array(9, "f4"))
        again = hdf5.info(create(b"b", h5py.h5t.IEEE_F32LE, plist))
        assert again["fill_value"] == 9 and again["tol"] == 1
        d = f.create_dataset("given", (4,), "f4", chunks=(4,), compression=AnsQuant(tol=1, fill_value=7))
        plist = d.id.get_create_plist()
        plist.set_fill_value(np.array(9, "f4"))
        assert hdf5.info(create(b"c", h5py.h5t.IEEE_F32BE, plist))["fill_value"] == 7
        with pytest.raises(ValueError, match=r"item 8 .* bits of a fill value of another type \(1\) than .*\(18\)"):
            create(b"d", h5py.h5t.STD_I32LE, plist)


# ---- bfloat16 ----
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "parameters", [{"tol": 0.5}, {"rtol": 0.1}, {"tol": 1, "fill_value": -999.5}, {"tol": 0}], ids=str
)
def test_bfloat16_in_uint16(path, order, parameters):
    data = (NORMAL.view("u4") >> 16).astype(order + "u2")
    data[::5] = 0xC47A  # -1000, which -999.5 is rounded to
    q = AnsQuant(**parameters, dtype="bfloat16")
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=data, chunks=(25, 70), compression=q)
        info = hdf5.info(d)
        assert info["dtype"] == "bfloat16" and 9 in info["cd_values"]
        assert info["fill_value"] == (-1000 if "fill_value" in parameters else None)
    back = read(path)
    assert back.dtype == data.dtype
    assert arraycodec.verify(data, back, **parameters, dtype="bfloat16")
    assert first_chunk(path) == encode(data[:25], **parameters, dtype="bfloat16")


def test_bfloat16_of_the_datasets_own_fill_value(path):
    with h5py.File(path, "w") as f:
        q = AnsQuant(tol=1, dtype="bfloat16")
        d = f.create_dataset("x", (4,), ">u2", chunks=(4,), fillvalue=0xC47A, compression=q)
        assert hdf5.info(d)["fill_value"] == -1000
        e = f.create_dataset("y", (4,), "u2", chunks=(4,), fillvalue=0x7FC0, compression=q)
        assert hdf5.info(e)["fill_value"] is None  # NaN


# ---- enumerations ----
@pytest.mark.parametrize("base", ["i1", "<i2", ">i4", "u8"])
def test_enumerations_are_never_quantized(path, base):
    dtype = h5py.enum_dtype({"A": 0, "B": 1, "C": 2, "D": 100}, basetype=base)
    data = RNG.choice([0, 1, 2, 100], (40, 30)).astype(base)
    with h5py.File(path, "w") as f:
        q = AnsQuant(tol=50, rtol=0.5, fill_value=1)
        d = f.create_dataset("x", data=data.view(dtype), chunks=(40, 30), fillvalue=2, compression=q)
        assert hdf5.info(d)["tol"] == 50 and hdf5.info(d)["fill_value"] is None
    assert np.array_equal(read(path), data)
    assert first_chunk(path) == encode(data, tol=0)
    assert h5py.check_enum_dtype(read(path).dtype) == {"A": 0, "B": 1, "C": 2, "D": 100}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no tolerance given"),
        ((9,), "no tolerance given"),
        ((11, 0, 0), "no tolerance given"),
        ((1,), "item 1 takes 2 values, the low and the high word of a double, not 0"),
        ((1, 0), "item 1 takes 2 values, .*, not 1"),
        ((1, 0, 0x7FF80000), "tolerance must be finite and not negative, not -?nan"),
        ((1, 0, 0x7FF00000), "finite and not negative, not inf"),
        ((1, 0, 0xFFF00000), "finite and not negative, not -inf"),
        ((1, 0, 0xBFF00000), "finite and not negative, not -1"),
        ((1, 1, 0x80000000), "finite and not negative, not -"),
        ((2,), "item 2 takes 1 value, k for the tolerance 2.-k, not 0"),
        ((2, 1, 1), "the tolerance is given twice, by item 2 and item 1"),
        ((2, 1, 3, 1, 1), "the tolerance is given twice, by item 2 and item 3"),
        ((2, 1, 2, 1), "the tolerance is given twice, by item 2 and item 2"),
        ((2, 1023), "the tolerance 2.-k needs 0 <= k <= 1022, not 1023"),
        ((3, 1), "item 3 takes 2 values"),
        ((3, 1, 23), "0 <= e <= 22, not 23"),
        ((5, 0), "item 5 takes 2 values"),
        ((5, 0, 0xBFF00000), "relative tolerance must be finite and not negative, not -1"),
        ((5, 0, 0x3FF00000), "relative tolerance must be less than 1, not 1"),
        ((6,), "item 6 takes 1 value"),
        ((6, 0), "relative tolerance 2.-k needs 1 <= k <= 1022, not 0"),
        ((7, 3, 0), "relative tolerance must be less than 1, not 3"),
        ((7, 3, 23), "relative tolerance .* needs 0 <= e <= 22, not 23"),
        ((6, 1, 7, 1, 1), "the relative tolerance is given twice, by item 6 and item 7"),
        ((2, 1, 8), "item 8 takes 1 value, the number of words"),
        ((2, 1, 8, 2, 0), "item 8 takes 3 values, .*, not 2"),
        ((2, 1, 8, 4294967295, 0), "item 8 takes 4294967296 values, .*, not 2"),
        ((2, 1, 8, 3, 0, 0, 0), "as 1, 2 or 4 words, not 3"),
        ((2, 1, 8, 2, 0, 0), "item 8 has a fill value of 2 words, the dataset elements of 4 bytes"),
        ((2, 1, 11, 0, 0, 12, 0, 1, 0), "the fill value is given twice, by item 11 and item 12"),
        ((2, 1, 11, 0), "item 11 takes 2 values"),
        ((2, 1, 12, 0, 0), "item 12 takes 3 values"),
        ((2, 1, 12, 2, 0, 0), "item 12 begins with 1 for a negative fill value, 0 for others, not 2"),
        ((2, 1, 13, 0, 0, 0, 0), r"the fill value 0\+0i is complex, the dataset is not"),
        ((2, 1, 9), r"item 9 \(bfloat16\) is for uint16 datasets, not a type of 4 bytes and class float"),
        ((2, 1, 9, 9), "item 9 is given twice"),
        ((2, 1, 10), "item 10 takes 2 values"),
        ((2, 1, 10, 1, 2, 0, 0, 0), "item 10 takes 6 values, .*, not 5"),
        ((2, 1, 14), "item 14 takes 1 value, the level, not 0"),
        ((2, 1, 14, 0), r"the level must be 1 \(fast\) to 9 \(smallest\), not 0"),
        ((14, 10, 2, 1), r"the level must be 1 \(fast\) to 9 \(smallest\), not 10"),
        ((2, 1, 14, 4294967295), "the level must be .*, not 4294967295"),
        ((2, 1, 14, 1, 14, 1), "the level is given twice, by item 14 and item 14"),
        ((2, 1, 15), "item 15 takes 1 value, the predictor, not 0"),
        ((2, 1, 15, 0), r"must be 1 \(none\), 2 \(auto\), 3 \(Lorenzo\), 4 \(interpolation\) or 5 \(linear\), not 0"),
        ((15, 6, 2, 1), "the predictor must be 1 .*, not 6"),
        ((2, 1, 15, 4294967295), "the predictor must be .*, not 4294967295"),
        ((2, 1, 15, 1, 15, 2), "the predictor is given twice, by item 15 and item 15"),
        ((14, 5), "no tolerance given"),
        ((0, 1, 2), r"unknown item 0: the filter's values are items 1, 2 or 3 .*, 14 \(level\), 15 \(predictor\)"),
        ((4, 1, 2), "unknown item 4"),
        ((77,), "unknown item 77"),
        (tuple(range(1, 101)), "too many values .100."),
    ],
)
def test_refused_parameters(path, values, message):
    with h5py.File(path, "w") as f:
        with pytest.raises(ValueError, match="arraycodec: .*" + message):
            create(f, dcpl_with((32,), (ID, values)))
        assert "x" not in f


def test_a_codec_without_tolerance_is_refused(path):
    with h5py.File(path, "w") as f, pytest.raises(ValueError, match="encoding needs a tolerance"):
        f.create_dataset("x", data=NORMAL, compression=AnsQuant())


@pytest.mark.parametrize(
    ("dtype", "fill", "message"),
    [
        ("i2", 32768, "signed integers of 2 bytes cannot hold the fill value 32768"),
        ("u8", -1, "unsigned integers of 8 bytes cannot hold the fill value -1"),
        ("i8", 2**63, "signed integers of 8 bytes cannot hold the fill value 9223372036854775808"),
        ("i4", 0.5, "integers of 4 bytes cannot hold the fill value 0.5"),
        ("u4", 1e30, "integers of 4 bytes cannot hold the fill value 1e.30"),
        ("u8", 2 - 1j, "the fill value 2-1i is complex, the dataset is not"),
    ],
)
def test_refused_fill_values(path, dtype, fill, message):
    with h5py.File(path, "w") as f, pytest.raises(ValueError, match=message):
        f.create_dataset("x", (4,), dtype, chunks=(4,), compression=AnsQuant(tol=1, fill_value=fill))


def test_refused_bits_of_a_fill_value(path):
    message = "item 8 has the fill value 0x10000, the dataset elements of 2 bytes"
    with h5py.File(path, "w") as f, pytest.raises(ValueError, match=message):
        create(f, dcpl_with((32,), (ID, (2, 1, 8, 1, 1 << 16))), type_id=h5py.h5t.STD_I16LE)


REFUSED = "arraycodec: only float16, float32, .* can be compressed, not a type of {} bytes and class {}"


@pytest.mark.parametrize(
    ("dtype", "size", "kind"),
    [
        ("V4", 4, "opaque"),
        ("V8", 8, "opaque"),
        ("S8", 8, "string"),
        ([("a", "f4")], 4, "compound"),
        ([("r", "f4"), ("j", "f4")], 8, "compound"),
        ([("r", "f4"), ("i", "f8")], 12, "compound"),
        ([("r", "<f4"), ("i", ">f4")], 8, "compound"),
        ([("r", "f2"), ("i", "f2")], 4, "compound"),
        ([("i", "f4"), ("r", "f4")], 8, "compound"),
        ([("r", "f4"), ("i", "f4"), ("k", "f4")], 12, "compound"),
        ({"names": ["r", "i"], "formats": ["f4", "f4"], "itemsize": 12}, 12, "compound"),
        ({"names": ["r", "i"], "formats": ["f4", "f4"], "offsets": [0, 8]}, 12, "compound"),
        (("f4", (2,)), 8, "array"),
        (h5py.ref_dtype, 8, "reference"),
    ],
    ids=str,
)
def test_refused_types(path, dtype, size, kind):
    with h5py.File(path, "w") as f:
        with pytest.raises(ValueError, match=REFUSED.format(size, kind)):
            f.create_dataset("x", (32,), dtype, chunks=(32,), compression=AnsQuant(tol=TOL))
        assert "x" not in f


def changed(type_id, **changes):
    """A type with other properties."""
    new = type_id.copy()
    for name, value in changes.items():
        getattr(new, "set_" + name)(*(value if isinstance(value, tuple) else (value,)))
    return new


F32, I32 = h5py.h5t.IEEE_F32LE, h5py.h5t.STD_I32LE
BFLOAT16 = changed(F32, fields=(15, 7, 8, 0, 7), precision=16, size=2)


def opaque(tag, size=8):
    type_id = h5py.h5t.create(h5py.h5t.OPAQUE, size)
    type_id.set_tag(tag)
    return type_id


@pytest.mark.parametrize(
    ("type_id", "kind"),
    [
        (changed(F32, ebias=100), "float"),
        (changed(h5py.h5t.IEEE_F64LE, fields=(63, 48, 15, 0, 48)), "float"),
        (changed(BFLOAT16, ebias=15), "float"),
        (changed(F32, norm=h5py.h5t.NORM_NONE), "float"),
        (changed(F32, size=8), "float"),
        (h5py.h5t.NATIVE_LDOUBLE, "float"),
        (changed(I32, precision=24), "integer"),
        (changed(I32, size=16), "integer"),
        (changed(I32, size=3), "integer"),
        (h5py.h5t.STD_B8LE, "bitfield"),
        (opaque(b"NUMPY:<M8[s]", 16), "opaque"),
        (opaque(b"NUMPY:|M8[s]"), "opaque"),
        (opaque(b"NUMPY:<M8[0s]"), "opaque"),
        (opaque(b"NUMPY:<M8[2147483648s]"), "opaque"),
        (opaque(b"NUMPY:<M8[99999999999999999999999s]"), "opaque"),
        (opaque(b"NUMPY:<M8[s"), "opaque"),
        (opaque(b"NUMPY:<M8[generic]"), "opaque"),
        (opaque(b"NUMPY:<M8[s]]"), "opaque"),
        (opaque(b"NUMPY:<M8s"), "opaque"),
        (opaque(b"NUMPY:<f8"), "opaque"),
        (opaque(b"NUMPY:"), "opaque"),
        (opaque(b""), "opaque"),
    ],
    ids=range(22),
)
def test_refused_layouts(path, type_id, kind):
    with h5py.File(path, "w") as f, pytest.raises(ValueError, match=REFUSED.format(type_id.get_size(), kind)):
        create(f, dcpl_with((32,), (ID, (2, 17))), type_id=type_id)


def enumeration(base, **members):
    type_id = h5py.h5t.enum_create(base)
    for name, value in members.items():
        type_id.enum_insert(name.encode(), value)
    return type_id


def compound(part, *names):
    type_id = h5py.h5t.create(h5py.h5t.COMPOUND, len(names) * part.get_size())
    for i, name in enumerate(names):
        type_id.insert(name.encode(), i * part.get_size(), part)
    return type_id


@pytest.mark.parametrize(
    ("type_id", "stored", "values", "parameters"),
    [
        (changed(F32, fields=(15, 10, 5, 0, 10), precision=16, size=2, ebias=15), 3, "f2", {"tol": 0.5}),
        (BFLOAT16, 4, None, {"tol": 0.5}),
        (changed(BFLOAT16, order=h5py.h5t.ORDER_BE), 0x104, None, {"tol": 0.5}),
        (compound(h5py.h5t.IEEE_F64BE, "real", "imag"), 0x106, ">c16", {"tol": 0.5}),
        (h5py.h5t.STD_I8BE, 16, "i1", {"tol": 3}),
        (enumeration(h5py.h5t.STD_U8LE, FALSE=0, TRUE=1), 24, "?", {"tol": 0}),
        (enumeration(h5py.h5t.STD_I8LE, FALSE=1, TRUE=0), 0x210, "i1", {"tol": 0}),
        (enumeration(h5py.h5t.STD_I8LE, FALSE=0, TRUE=1, MAYBE=2), 0x210, "i1", {"tol": 0}),
        (enumeration(h5py.h5t.STD_U16BE, FALSE=0, TRUE=1), 0x315, ">u2", {"tol": 0}),
        (opaque(b"NUMPY:>m8[2147483647as]"), 0xD011A, ">m8[2147483647as]", {"tol": 0}),
        *(  # HDF5 2.x
            (getattr(h5py.h5t, name), stored, values, {"tol": 0.5})
            for name, stored, values in [("COMPLEX_IEEE_F32LE", 5, "<c8"), ("COMPLEX_IEEE_F64BE", 0x106, ">c16")]
            if hasattr(h5py.h5t, name)
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_types_that_h5py_does_not_make(path, type_id, stored, values, parameters):
    """Stored as the element that they are; chunks moved directly, as h5py knows not all of these types."""
    with h5py.File(path, "w") as f:
        d = create(f, dcpl_with((32,), (ID, (1, *HALF) if parameters["tol"] == 0.5 else (3, 3, 0))), type_id=type_id)
        assert hdf5.info(d)["cd_values"][-5 if stored & 0xFF not in (25, 26) else -6 :][:2] == (10, stored)
    data = numbers(values or "f4", (32,))
    if values is None:
        data = (data.view("u4") >> 16).astype(">u2" if stored & 0x100 else "<u2")
        parameters = {**parameters, "dtype": "bfloat16"}
    with h5py.File(path, "a") as f:
        f["x"].id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(data.tobytes(), "V1").view(f"V{data.itemsize}"),
                        mtype=f["x"].id.get_type())  # fmt: skip
    assert first_chunk(path) == encode(data, **parameters)
    with h5py.File(path) as f:
        back = np.empty(32, data.dtype)
        f["x"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, back.view(f"V{data.itemsize}"), mtype=f["x"].id.get_type())
    assert arraycodec.verify(data, back, **parameters)


def test_variable_length_data_is_left_alone(path):
    # what HDF5 filters there are references, never the data; HDF5 2 ignores the filter, 1.x asks us
    strings = ["a", "bc", "def"] * 10
    with h5py.File(path, "w") as f:
        try:
            d = f.create_dataset("x", (30,), h5py.string_dtype(), chunks=(8,), compression=AnsQuant(tol=TOL))
        except ValueError as error:
            assert "class variable-length" in str(error) or "class string" in str(error)
            return
        d[:] = strings
    assert [s.decode() for s in read(path)] == strings


# ---- other filters ----
@pytest.mark.parametrize("other", ["fletcher32", "deflate", "shuffle"])
def test_filters_behind(path, other):
    data = NORMAL[0, :32]
    with h5py.File(path, "w") as f:
        create(f, dcpl_with((32,), (ID, (2, 10)), other)).write_direct(np.ascontiguousarray(data))
    assert arraycodec.verify(data, read(path), TOL)


def test_fletcher32_of_h5py(path):
    write(path, NORMAL, fletcher32=True)
    assert arraycodec.verify(NORMAL, read(path), TOL)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"scaleoffset": 3}])
def test_filters_of_h5py_that_come_first_are_refused(path, options):
    message = f"must be the first filter, but filter .* \\({next(iter(options))}\\) comes before it"
    with pytest.raises(ValueError, match=message):
        write(path, NORMAL, **options)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (("deflate", (ID, (2, 10))), r"first filter, but filter 1 \(deflate\)"),
        (("fletcher32", (ID, (2, 10))), r"first filter, but filter 3 \(fletcher32\)"),
        (((ID, (2, 10)), "scaleoffset"), r"filter 6 \(scaleoffset\) cannot follow"),
        (((ID, (2, 10)), (ID, (2, 10))), "in the pipeline twice"),
    ],
)
def test_refused_pipelines(path, filters, message):
    with h5py.File(path, "w") as f, pytest.raises(ValueError, match="arraycodec: .*" + message):
        create(f, dcpl_with((32,), *filters))


# ---- damaged files ----
def damage(path, offset, replacement):
    """Replace the chunk at an offset; `replacement` is the chunk or makes it from the old one."""
    with h5py.File(path, "a") as f:
        chunk = f["x"].id.read_direct_chunk(offset)[1]
        f["x"].id.write_direct_chunk(offset, replacement(bytearray(chunk)) if callable(replacement) else replacement)


def flip(i):
    def flipped(chunk):
        chunk[i] ^= 1
        return bytes(chunk)

    return flipped


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (flip(-1), "checksum mismatch"),
        (flip(10), "checksum mismatch"),
        (flip(0), "not an arraycodec chunk"),
        (flip(3), "unknown format version"),
        (lambda chunk: bytes(chunk[:-1]), "truncated chunk"),
        (lambda chunk: bytes(chunk[:20]), "truncated chunk"),
        (lambda chunk: bytes(chunk) + b"x", "not an arraycodec chunk, or a corrupt one"),
        (b"\0", "not an arraycodec chunk"),
        (encode(NORMAL[:16, :16], TOL), "another number of values"),
        (encode(np.zeros(0, "f4"), TOL), "another number of values"),
        (encode(np.zeros(1 << 20, "f4"), TOL), "another number of values"),
        (encode(NORMAL[:16, :32].astype("f8"), TOL), "another type or byte order"),
        (encode(NORMAL[:32, :32].astype(">f4"), TOL), "another type or byte order"),
        (encode(np.zeros((32, 32), "i4"), TOL), "another type or byte order"),
        (encode(np.zeros((32, 16), "c8"), TOL), "another type or byte order"),
        (encode(np.asfortranarray(NORMAL[:32, :32]), TOL), "Fortran order"),
    ],
)
def test_bad_chunks(path, replacement, message):
    write(path, NORMAL, chunks=(32, 32))
    expected = read(path)
    damage(path, (32, 32), replacement)
    with h5py.File(path) as f:
        with pytest.raises(OSError, match="arraycodec: .*" + message):
            f["x"][()]
        assert np.array_equal(f["x"][:32], expected[:32])
        assert np.array_equal(f["x"][:, 64:], expected[:, 64:])


@pytest.mark.parametrize(
    ("dtype", "chunk"),
    [
        ("i8", "u8"), ("M8[s]", "M8[2s]"), ("M8[s]", "M8[ms]"), ("M8[s]", "m8[s]"), ("M8[s]", "i8"), ("?", "u1"),
        ("c8", "f8"), ("f2", "i2"), ("u2", "f2"),
    ],
)  # fmt: skip
def test_chunks_of_another_type(path, dtype, chunk):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", (32,), of_hdf5(dtype), chunks=(32,), compression=AnsQuant(tol=TOL))
        d.id.write_direct_chunk((0,), encode(np.ones(32, "i8").astype(chunk), TOL))
    with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: .* another type or byte order"):
        f["x"][()]


@pytest.mark.parametrize("dtype", ["<i2", ">c16", "<M8[s]", "?", "f2"])
def test_damaged_chunks_of_every_kind(path, dtype):
    data = numbers(dtype, (32, 32))
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=data.view(of_hdf5(dtype)), chunks=(32, 32), compression=AnsQuant(tol=TOL))
    for replacement in (flip(-1), flip(12), lambda chunk: bytes(chunk[:-1]), b"nonsense"):
        good = first_chunk(path)
        damage(path, (0, 0), replacement)
        with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: "):
            f["x"][()]
        damage(path, (0, 0), good)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1))
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "little")


def test_a_dataset_created_without_the_plugin(path, tmp_path):
    # the parameters are then as the user gave them, nothing says type and dims of a chunk
    code = """if True:
        import sys, h5py
        with h5py.File(sys.argv[1], "w") as f:
            f.create_dataset("x", (64,), "f4", chunks=(32,), compression=int(sys.argv[2]), compression_opts=(2, 10),
                             allow_unknown_filter=True)"""
    python(code, path, ID, cwd=tmp_path, plugin_path=str(tmp_path))
    data = NORMAL[0, :64]
    with h5py.File(path, "a") as f:
        assert hdf5.info(f["x"])["tol"] == TOL
        f["x"][:32] = data[:32]
        f["x"].id.write_direct_chunk((32,), encode(data[32:], TOL))
    back = read(path)
    assert np.array_equal(back[:32], data[:32])  # HDF5 stored it as it was: the filter is optional
    assert arraycodec.verify(data[32:], back[32:], TOL)
    damage(path, (32,), encode(data[:0], TOL))
    with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: the chunk is empty"):
        f["x"][32:]
    if h5py.version.hdf5_version_tuple < (2, 0, 0):  # it stores no chunk of 64 KiB for one of 128 bytes
        return
    # a header that claims 8 GiB is refused before memory is asked for
    header = bytearray(encode(data[32:], TOL)[:12])
    header += bytes([0x80, 0x80, 0x80, 0x80, 8]) + bytes([0]) + bytes(8 << 13)
    damage(path, (32,), bytes(header) + crc32c(header))
    with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: the chunk claims too many values"):
        f["x"][32:]


# ---- making the filter known ----
def test_plugin_path():
    files = os.listdir(hdf5.plugin_path())
    # HDF5 loads whatever is called lib*
    libraries = {f.partition(".")[0] for f in files if f.startswith("lib")}
    assert libraries == {"libh5arraycodec" + more for more in ("", "_varintquant", "_stochasticquant", "_lowrankquant")}
    assert os.path.isabs(hdf5.plugin_path())


def test_import_is_cheap(tmp_path):
    code = """if True:
        import sys, arraycodec
        print([m for m in ("h5py", "zarr", "netCDF4", "numcodecs") if m in sys.modules])"""
    assert python(code, cwd=tmp_path).strip() == "[]"


ORDERS = {
    "arraycodec first": "import arraycodec, h5py; q = arraycodec.AnsQuant(tol=2**-10)",
    "h5py first": "import h5py, arraycodec; q = arraycodec.AnsQuant(tol=2**-10)",
    "object before h5py": "import arraycodec; q = arraycodec.AnsQuant(tol=2**-10); isinstance(q, dict); import h5py",
    "after use of h5py": "import h5py; h5py.h5z.filter_avail(35117); import arraycodec;"
    " q = arraycodec.AnsQuant(tol=2**-10)",
    "netCDF4 first": "import netCDF4, h5py, arraycodec; q = arraycodec.AnsQuant(tol=2**-10)",
    "netCDF4 last": "import arraycodec, h5py, netCDF4; q = arraycodec.AnsQuant(tol=2**-10)",
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("plugin_path", [None, "/nowhere"])
def test_import_orders(tmp_path, order, plugin_path):
    if "netCDF4" in order:
        need_netcdf4()
    code = (
        ORDERS[order]
        + """
import numpy as np
x = np.random.default_rng(0).normal(size=(40, 30)).astype("f4")
with h5py.File("f.h5", "w") as f:
    f.create_dataset("x", data=x, chunks=(16, 16), compression=q)
    f.create_dataset("y", data=x, chunks=(16, 16), compression=35117, compression_opts=(2, 10))
    assert isinstance(q, h5py.filters.FilterRefBase)
with h5py.File("f.h5") as f:
    assert arraycodec.verify(x, f["x"][()], q.tol) and not arraycodec.verify(x, f["x"][()], 0)
    assert (f["x"][()] == f["y"][()]).all()
import sys
if "netCDF4" in sys.modules:
    with netCDF4.Dataset("f.h5") as d:
        assert arraycodec.verify(x, np.asarray(d["x"][:]), q.tol)
    with netCDF4.Dataset("f.nc", "w") as d:  # its own plugins are still found
        if d.has_zstd_filter():
            d.createDimension("n", 40)
            d.createVariable("v", "f4", ("n",), compression="zstd")[:] = x[:, 0]
    with netCDF4.Dataset("f.nc") as d:
        if d.variables:
            assert (np.asarray(d["v"][:]) == x[:, 0]).all()
"""
    )
    python(code, cwd=tmp_path, plugin_path=plugin_path)


def test_environment_variable(monkeypatch, tmp_path):
    ours, first, second = hdf5.plugin_path(), str(tmp_path / "a"), str(tmp_path / "b")
    spec = SimpleNamespace(origin=str(tmp_path / "netCDF4" / "__init__.py"))
    theirs = str(tmp_path / "netCDF4" / "plugins")
    os.makedirs(theirs)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    for installed, old, expected in [
        ([], [], [ours]),
        ([], [first, second], [ours, first, second]),
        (["netCDF4"], [], [ours, theirs]),
        (["netCDF4"], [first, second], [ours, first, second, theirs]),
        (["netCDF4"], [first, ours, second], [first, ours, second, theirs]),
        (["netCDF4"], [theirs, ours], [theirs, ours]),
        (["netCDF4", "hdf5plugin"], [], [ours]),
        (["netCDF4", "hdf5plugin"], [theirs, second], [ours, theirs, second]),
    ]:
        monkeypatch.setattr(hdf5, "_spec", lambda name, installed=installed: spec if name in installed else None)
        monkeypatch.setenv("HDF5_PLUGIN_PATH", os.pathsep.join(old))
        monkeypatch.setattr(hdf5, "_default_folders", list)
        for _ in range(2):
            hdf5.register()
            assert os.environ["HDF5_PLUGIN_PATH"].split(os.pathsep) == expected


@pytest.mark.parametrize("plugin_path", [None, "/nowhere"])
@pytest.mark.parametrize(
    "order",
    ["arraycodec, h5py, hdf5plugin, netCDF4", "h5py, arraycodec, hdf5plugin, netCDF4", "arraycodec, hdf5plugin"],
)
def test_with_hdf5plugin(tmp_path, order, plugin_path):
    """netCDF4's Blosc does not work in h5py: hdf5plugin is used there, as without this package."""
    need_netcdf4()
    pytest.importorskip("hdf5plugin")
    code = f"import {order}" + """
import importlib.util, os, sys
assert importlib.util.find_spec("netCDF4")  # as xarray looks for it
import h5py
import numpy as np
x = np.arange(1000, dtype="f4")
with h5py.File("f.h5", "w") as f:
    f.create_dataset("x", data=x, chunks=(100,), compression=hdf5plugin.Blosc())
    f.create_dataset("y", data=x, chunks=(100,), compression=arraycodec.AnsQuant(tol=0))
with h5py.File("f.h5") as f:
    assert (f["x"][:] == x).all() and (f["y"][:] == x).all()
if "netCDF4" in sys.modules:
    with netCDF4.Dataset("f.nc", "w") as d:
        d.createDimension("n", 1000)
        d.createVariable("v", "f4", ("n",), compression="zstd" if d.has_zstd_filter() else None)[:] = x
    with netCDF4.Dataset("f.nc") as d, netCDF4.Dataset("f.h5") as e:
        assert (d["v"][:] == x).all() and (e["y"][:] == x).all()
    folder = os.path.join(os.path.dirname(netCDF4.__file__), "plugins")
    assert os.environ["HDF5_PLUGIN_PATH"].split(os.pathsep).count(folder) == os.path.isdir(folder)
"""
    python(code, cwd=tmp_path, plugin_path=plugin_path)


IMPORTS = ["arraycodec, hdf5plugin, h5py", "hdf5plugin, arraycodec, h5py", "h5py, hdf5plugin, arraycodec"]


@pytest.mark.parametrize("plugin_path", [None, "/nowhere"])
@pytest.mark.parametrize("order", IMPORTS)
def test_files_with_filters_of_hdf5plugin(tmp_path, order, plugin_path):
    """Datasets of ours and of theirs in one file, and both in one dataset: in every order of imports."""
    pytest.importorskip("hdf5plugin")
    common = """
import numpy as np
x = np.random.default_rng(0).normal(size=(60, 70)).astype("f4")
y = arraycodec.decode(arraycodec.AnsQuant(tol=2**-10).encode(x))  # in one chunk or several: the lattice is the same
def check(f):
    z = {name: d[...] for name, d in f.items()}
    for name in ("blosc", "zstd", "bitshuffle"):
        assert (z[name] == x).all(), name
    for name in ("ours", "both"):
        assert (z[name] == y).all() and (arraycodec.hdf5.read(f[name], threads=2) == y).all(), name
    assert (arraycodec.hdf5.read(f["zstd"], np.s_[3:50:7, 5]) == x[3:50:7, 5]).all()
"""
    write = f"import {order}\n{common}" + """
with h5py.File("f.h5", "w") as f:
    theirs = {"blosc": hdf5plugin.Blosc(), "zstd": hdf5plugin.Zstd(), "bitshuffle": hdf5plugin.Bitshuffle()}
    for name, filter in {"ours": arraycodec.AnsQuant(tol=2**-10), **theirs}.items():
        f.create_dataset(name, data=x, chunks=(20, 30), compression=filter)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((20, 30))
    for filter in (arraycodec.VarintQuant(tol=2**-10), hdf5plugin.Zstd()):
        plist.set_filter(filter.filter_id, h5py.h5z.FLAG_MANDATORY, filter.filter_options)
    space = h5py.h5s.create_simple(x.shape)
    h5py.Dataset(h5py.h5d.create(f.id, b"both", h5py.h5t.py_create(x.dtype), space, plist))[...] = x
"""
    python(write, cwd=tmp_path, plugin_path=plugin_path)
    for reader in IMPORTS:
        read = f"import {reader}\n{common}" + """
with h5py.File("f.h5", "r+") as f:
    check(f)
    for d in f.values():
        d[:25] = d[:25]  # decodes and encodes chunks again
with h5py.File("f.h5") as f:
    check(f)
"""
        python(read, cwd=tmp_path, plugin_path=plugin_path)
    # without our package, by the plugin alone
    alone = "import sys, hdf5plugin, h5py; f = h5py.File('f.h5'); assert 'arraycodec' not in sys.modules; "
    alone += "print(*(f[name][5, 7] for name in ('ours', 'both', 'blosc')))"
    values = python(alone, cwd=tmp_path, plugin_path=hdf5.plugin_path()).split()
    with h5py.File(tmp_path / "f.h5") as f:
        assert [np.float32(v) for v in values[:2]] == [f["ours"][5, 7], f["both"][5, 7]]
        assert abs(np.float32(values[2]) - f["ours"][5, 7]) <= 2**-10


def test_default_folders_are_kept(monkeypatch, tmp_path):
    folder = tmp_path / "lib" / "hdf5" / "plugin"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("HDF5_PLUGIN_PATH", raising=False)
    hdf5.register()
    assert str(folder) in os.environ["HDF5_PLUGIN_PATH"].split(os.pathsep)


def test_register_reports_libraries_and_never_raises(monkeypatch):
    assert any("hdf5" in os.path.basename(p) for p in hdf5.register())

    def broken(*args):
        raise RuntimeError("broken environment")

    with monkeypatch.context() as m:
        m.setattr(hdf5, "_loaded_libraries", broken)
        m.setattr(hdf5, "_spec", broken)
        hdf5.register()
        m.setattr(hdf5, "_filter_class", broken)
        assert hdf5.register() == []
    monkeypatch.setattr(hdf5, "_PLUGIN", "libmissing.so")
    assert hdf5.register() == []


def test_info_of_other_datasets(path):
    with h5py.File(path, "w") as f:
        assert hdf5.info(f.create_dataset("x", data=NORMAL, compression="gzip", shuffle=True)) is None
        assert hdf5.info(f.create_dataset("y", data=NORMAL)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), None), ((9,), None), ((2, 3), (0.125,)), ((2, 1 << 31), None), ((3, 7, 2), (0.07,)),
        ((3, 7, 1 << 31), None),
        ((1, 0), None), ((77, 1), None), ((2, 3, 2, 3), None), ((2, 3, 8, 5, 1), None), ((6, 2), (0.0, 0.25)),
        ((7, 3, 2, 2, 0), (1.0, 0.03)), ((2, 0, 12, 1, 5, 1), (1.0, None, -(2**32) - 5)),
        ((2, 0, 13, 0, 0, *double(2)), (1.0, None, 2j)), ((2, 0, 11, *double(0.5), 9), (1.0, None, 0.5, "bfloat16")),
        ((1, 0, 0, 8, 1, 0xD8F1), (0.0,)),  # whose bits?
        ((1, 0, 0, 8, 1, 0xD8F1, 10, 17, 1, 5, 0), (0.0, None, -9999, None, (17, 1, 5, 0))),
        ((1, 0, 0, 10, 17), (0.0, None, None, None, (17,))),
        ((1, 0, 0, 8, 1, 5, 10, 99, 0), (0.0, None, None, None, (99, 0))),
        ((1, 0, 0, 8, 1, 5, 10, 2, 0), (0.0, None, None, None, (2, 0))),
        ((2, 0, 14, 7), (1.0, None, None, None, (), 7)), ((14, 7), None), ((2, 0, 14), None),
        ((2, 0, 14, 7, 14, 7), None),
    ],
)  # fmt: skip
def test_values_that_no_plugin_checked(values, expected):
    assert hdf5.read_items(values) == (expected and hdf5.Items(*expected))
