"""The HDF5 filter: through h5py, through programs that know nothing of this package, and its refusals.

Files are always reopened before reading: the chunk cache holds values that have not been through
the filter.
"""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import arraycodec
from arraycodec import AnsQuant, hdf5

h5py = pytest.importorskip("h5py")

TOL = 2.0**-10
ID = hdf5.FILTER_ID
RNG = np.random.default_rng(35117)
NORMAL = RNG.normal(size=(50, 70)).astype("f4")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.h5")


def environment(plugin_path=None):
    """Our environment with HDF5_PLUGIN_PATH as given (None: not set), and without Python's warnings."""
    env = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
    return {**env, "PYTHONWARNINGS": "ignore", **({"HDF5_PLUGIN_PATH": plugin_path} if plugin_path else {})}


def need_netcdf4():
    if importlib.util.find_spec("netCDF4") is None:
        pytest.skip("netCDF4 is not installed")


def run(*command, cwd, plugin_path=None):
    """Run a program; its output.  It must succeed and print nothing on stderr."""
    done = subprocess.run(command, cwd=cwd, env=environment(plugin_path), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def python(code, *args, cwd, plugin_path=None):
    return run(sys.executable, "-c", code, *map(str, args), cwd=cwd, plugin_path=plugin_path)


def write(path, data, tol=TOL, *, chunks=True, name="x", libver=None, **options):
    with h5py.File(path, "a", libver=libver) as f:
        f.create_dataset(name, data=data, chunks=chunks, compression=AnsQuant(tol=tol), **options)


def read(path, name="x"):
    with h5py.File(path) as f:
        return f[name][()]


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
                assert chunk == arraycodec.encode(padded[i : i + 32, j : j + 32], TOL)


def test_chunks_of_encode_can_be_stored(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", (64, 32), "f4", chunks=(32, 32), compression=AnsQuant(tol=TOL))
        d.id.write_direct_chunk((32, 0), arraycodec.encode(NORMAL[:32, :32], TOL))
    assert np.array_equal(read(path)[32:], arraycodec.decode(arraycodec.encode(NORMAL[:32, :32], TOL)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("tol", [TOL, 0])
def test_non_finite_values_keep_their_bits(path, dtype, tol):
    data = NORMAL.astype(dtype)
    bits = data.view("u4" if dtype == "f4" else "u8")
    data[::3, ::5] = np.nan
    bits[::7, ::4] |= bits[0, 0] | 5  # NaN with payload
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
        ((1, 0, 0x3F500000, 0x102, 3, 1, 0, 2, 0, 3, 0), 2**-10),
    ],
)
def test_forms_of_the_tolerance(path, values, tol):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", data=NORMAL, chunks=(25, 70), compression=ID, compression_opts=values)
        words = AnsQuant(tol=tol).filter_options
        assert hdf5.info(d) == {
            "filter_id": ID, "name": "arraycodec.ansquant", "tol": tol, "cd_values": (*words, 1, 2, 25, 0, 70, 0),
        }  # fmt: skip
    assert arraycodec.verify(NORMAL, read(path), tol)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no tolerance given"),
        ((1,), "form 1 takes 2 values, the low and the high word of a double, not 0"),
        ((1, 0), "form 1 takes 2 values"),
        ((1, 0, 0, 1), "form 1 takes 2 values"),
        ((1, 0, 0, 1, 1, 32), "form 1 takes 2 values"),
        ((1, 0, 0x7FF80000), "finite and not negative, not -?nan"),
        ((1, 0, 0x7FF00000), "finite and not negative, not inf"),
        ((1, 0, 0xFFF00000), "finite and not negative, not -inf"),
        ((1, 0, 0xBFF00000), "finite and not negative, not -1"),
        ((1, 1, 0x80000000), "finite and not negative, not -"),
        ((2,), "form 2 takes 1 value"),
        ((2, 1, 1), "form 2 takes 1 value"),
        ((2, 1023), "0 <= k <= 1022, not 1023"),
        ((3, 1), "form 3 takes 2 values"),
        ((3, 1, 23), "0 <= e <= 22, not 23"),
        ((0, 1, 2), "unknown form 0"),
        ((77,), "unknown form 77"),
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
    "dtype", ["f2", "i4", "u8", "c8", "V4", "S8", "?", [("a", "f4")], h5py.enum_dtype({"A": 1})]
)
def test_refused_types(path, dtype):
    with h5py.File(path, "w") as f:
        with pytest.raises(ValueError, match="arraycodec: only IEEE float32 and float64"):
            f.create_dataset("x", (32,), dtype, chunks=(32,), compression=AnsQuant(tol=TOL))
        assert "x" not in f


def test_refused_float_layouts(path):
    bias = h5py.h5t.IEEE_F32LE.copy()
    bias.set_ebias(100)
    fields = h5py.h5t.IEEE_F64LE.copy()
    fields.set_fields(63, 48, 15, 0, 48)
    bfloat16 = h5py.h5t.IEEE_F32LE.copy()
    bfloat16.set_fields(15, 7, 8, 0, 7)
    bfloat16.set_precision(16)
    bfloat16.set_size(2)
    with h5py.File(path, "w") as f:
        for type_id in (bias, fields, bfloat16, h5py.h5t.NATIVE_LDOUBLE):
            with pytest.raises(ValueError, match="only IEEE float32 and float64 .* bytes and class float"):
                create(f, dcpl_with((32,), (ID, (2, 17))), type_id=type_id)


def test_variable_length_data_is_left_alone(path):
    # what HDF5 filters there are references, never the data; HDF5 2 ignores the filter, 1.x asks us
    strings = ["a", "bc", "def"] * 10
    with h5py.File(path, "w") as f:
        try:
            d = f.create_dataset("x", (30,), h5py.string_dtype(), chunks=(8,), compression=AnsQuant(tol=TOL))
        except ValueError as error:
            assert "only IEEE float32 and float64" in str(error)
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
        (arraycodec.encode(NORMAL[:16, :16], TOL), "another number of values"),
        (arraycodec.encode(np.zeros(0, "f4"), TOL), "another number of values"),
        (arraycodec.encode(np.zeros(1 << 20, "f4"), TOL), "another number of values"),
        (arraycodec.encode(NORMAL[:16, :32].astype("f8"), TOL), "another type or byte order"),
        (arraycodec.encode(NORMAL[:32, :32].astype(">f4"), TOL), "another type or byte order"),
        (arraycodec.encode(np.asfortranarray(NORMAL[:32, :32]), TOL), "Fortran order"),
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
        f["x"].id.write_direct_chunk((32,), arraycodec.encode(data[32:], TOL))
    back = read(path)
    assert np.array_equal(back[:32], data[:32])  # HDF5 stored it as it was: the filter is optional
    assert arraycodec.verify(data[32:], back[32:], TOL)
    damage(path, (32,), arraycodec.encode(data[:0], TOL))
    with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: the chunk is empty"):
        f["x"][32:]
    # a header that claims 8 GiB is refused before memory is asked for
    header = bytearray(arraycodec.encode(data[32:], TOL)[:12])
    header += bytes([0x80, 0x80, 0x80, 0x80, 8]) + bytes([0]) + bytes(8 << 13)
    damage(path, (32,), bytes(header) + crc32c(header))
    with h5py.File(path) as f, pytest.raises(OSError, match="arraycodec: the chunk claims too many values"):
        f["x"][32:]


# ---- making the filter known ----
def test_plugin_path():
    files = os.listdir(hdf5.plugin_path())
    assert [f for f in files if f.startswith("lib")] == [hdf5._PLUGIN]  # HDF5 loads whatever is called lib*
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
    ("values", "tol"), [((), None), ((9,), None), ((2, 3), 0.125), ((2, 1 << 31), None), ((3, 7, 2), 0.07),
                        ((3, 7, 1 << 31), None), ((1, 0), None)],
)  # fmt: skip
def test_tolerance_of_values_that_no_plugin_checked(values, tol):
    assert hdf5._tolerance(values) == tol


# ---- programs that know nothing of this package ----
@pytest.fixture
def sample(path):
    """A file with a filtered dataset "x", a plain one "plain", and what reading "x" must give."""
    with h5py.File(path, "w", track_order=True) as f:  # netCDF appends to no others
        f.create_dataset("plain", data=NORMAL, chunks=(20, 30))
    write(path, NORMAL, chunks=(20, 30))
    return path, read(path)


def test_h5py_alone(sample, tmp_path):
    path, expected = sample
    code = """if True:
        import sys, h5py, numpy as np
        np.save("x.npy", h5py.File(sys.argv[1])["x"][()])
        with h5py.File("new.h5", "w") as f:
            f.create_dataset("x", data=np.load("x.npy"), chunks=(20, 30), compression=35117, compression_opts=(2, 10))
        assert not any(m.startswith("arraycodec") for m in sys.modules)"""
    python(code, path, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert np.array_equal(np.load(tmp_path / "x.npy"), expected)
    assert np.array_equal(read(tmp_path / "new.h5"), expected)


def test_h5dump(tool, sample, tmp_path):
    path, expected = sample
    plugin_path = hdf5.plugin_path()
    run(tool("h5dump"), "-d", "/x", "-b", "LE", "-o", "x.bin", path, cwd=tmp_path, plugin_path=plugin_path)
    assert np.fromfile(tmp_path / "x.bin", "<f4").tobytes() == expected.tobytes()
    text = run(tool("h5dump"), "-p", "-H", "-d", "/x", path, cwd=tmp_path, plugin_path=plugin_path)
    assert "COMMENT arraycodec.ansquant" in text


@pytest.mark.parametrize(
    ("options", "name", "values"),
    [
        (["-l", "x:CHUNK=7x70"], "x", (*AnsQuant(tol=TOL).filter_options, 1, 2, 7, 0, 70, 0)),
        (["-f", "plain:UD=35117,0,2,2,17"], "plain", (*AnsQuant(tol=2**-17).filter_options, 1, 2, 20, 0, 30, 0)),
        (["-f", "plain:UD=35117,1,3,3,1,3"], "plain", (*AnsQuant(tol=1e-3).filter_options, 1, 2, 20, 0, 30, 0)),
        (["-f", "x:NONE"], "x", None),
    ],
)
def test_h5repack(tool, sample, tmp_path, options, name, values):
    path, expected = sample
    run(tool("h5repack"), *options, path, "new.h5", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    back = read(tmp_path / "new.h5", name)
    with h5py.File(tmp_path / "new.h5") as f:
        info = hdf5.info(f[name])
    assert (info and info["cd_values"]) == values
    if name == "x":
        assert np.array_equal(back, expected)
    else:
        assert arraycodec.verify(NORMAL, back, info["tol"])
        assert arraycodec.verify(NORMAL, back, 0).violations


def test_ncdump(tool, sample, tmp_path):
    path, expected = sample
    text = run(tool("ncdump"), "-p", "9,17", "-v", "x", path, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    numbers = text.split("x =")[1].rstrip().rstrip("}").replace(";", "").split(",")
    assert np.array_equal(np.array([float(n) for n in numbers], "f4"), expected.ravel())


@pytest.mark.parametrize(
    ("options", "name", "tol"),
    [
        (["-M", "1", "-c", "x:7,70"], "x", TOL),  # -M: smaller variables are not chunked
        (["-F", "plain,35117,2,17"], "plain", 2**-17),
        (["-F", "plain,35117,1,0.01d"], "plain", 0.01),  # nccopy takes apart doubles itself
        (["-F", "none"], "x", None),
    ],
)
def test_nccopy(tool, sample, tmp_path, options, name, tol):
    path, expected = sample
    run(tool("nccopy"), *options, path, "new.nc", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    back = read(tmp_path / "new.nc", name)
    with h5py.File(tmp_path / "new.nc") as f:
        info = hdf5.info(f[name])
        assert (info and info["tol"]) == tol
        if tol is not None:
            chunks = [n for c in f[name].chunks for n in (c, 0)]
            assert info["cd_values"] == (*AnsQuant(tol=tol).filter_options, 1, 2, *chunks)
        if "-c" in options:
            assert f[name].chunks == (7, 70)
    assert np.array_equal(back, expected) if name == "x" else arraycodec.verify(NORMAL, back, tol)


def test_netcdf4_python(sample, tmp_path):
    need_netcdf4()
    path, expected = sample
    code = """if True:
        import sys, netCDF4, numpy as np
        with netCDF4.Dataset(sys.argv[1], "a") as d:
            np.save("x.npy", np.asarray(d["x"][:]))
            d["x"][3] = np.load("row.npy")
        assert not any(m.startswith("arraycodec") for m in sys.modules)"""
    np.save(tmp_path / "row.npy", NORMAL[7])
    python(code, path, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert np.array_equal(np.load(tmp_path / "x.npy"), expected)
    expected[3] = read(path)[3]
    assert arraycodec.verify(NORMAL[7], expected[3], TOL)
    assert np.array_equal(read(path), expected)


C_PROGRAM = r"""
#include <hdf5.h>
#include <stdio.h>
/* usage: program in.h5 out.h5: copies "x" with a tolerance of 2^-10 */
int main(int argc, char **argv) {
  static float values[50 * 70];
  const hsize_t dims[2] = {50, 70}, chunk[2] = {16, 16};
  const unsigned parameters[2] = {2, 10};
  hid_t in = H5Fopen(argv[argc - 2], H5F_ACC_RDONLY, H5P_DEFAULT), x = H5Dopen2(in, "x", H5P_DEFAULT);
  if (H5Dread(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) return 1;
  hid_t out = H5Fcreate(argv[argc - 1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dims, NULL);
  H5Pset_chunk(dcpl, 2, chunk);
  if (H5Pset_filter(dcpl, 35117, H5Z_FLAG_MANDATORY, 2, parameters) < 0) return 2;
  hid_t y = H5Dcreate2(out, "x", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
  if (y < 0 || H5Dwrite(y, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) return 3;
  return H5Dclose(x) < 0 || H5Dclose(y) < 0 || H5Pclose(dcpl) < 0 || H5Sclose(space) < 0 || H5Fclose(in) < 0 ||
         H5Fclose(out) < 0;
}
"""


def test_c_program(tool, sample, tmp_path):
    path, expected = sample
    (tmp_path / "program.c").write_text(C_PROGRAM)
    run(tool("h5cc"), "-shlib", "program.c", "-o", "program", cwd=tmp_path)
    run("./program", path, "new.h5", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert np.array_equal(read(tmp_path / "new.h5"), expected)
    with h5py.File(tmp_path / "new.h5") as f:
        assert hdf5.info(f["x"])["cd_values"] == (*AnsQuant(tol=TOL).filter_options, 1, 2, 16, 0, 16, 0)
        assert f["x"].id.read_direct_chunk((0, 0))[1] == arraycodec.encode(expected[:16, :16], TOL)


def test_plugin_exports_and_needs_nothing_else(tool):
    plugin = os.path.join(hdf5.plugin_path(), hdf5._PLUGIN)
    symbols = run(tool("nm"), "-D", "--defined-only", plugin, cwd="/").split()[2::3]
    assert sorted(symbols) == ["H5PLget_plugin_info", "H5PLget_plugin_type"]
    needed = [
        line.split("[")[1].rstrip("]")
        for line in run(tool("readelf"), "-d", plugin, cwd="/").splitlines()
        if "(NEEDED)" in line
    ]
    assert {n.split(".")[0] for n in needed} <= {
        *("libc", "libm", "libdl", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64")
    }
