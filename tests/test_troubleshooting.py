"""docs/troubleshooting.md has the messages of programs as these print them, and its code runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import arraycodec
from arraycodec import AnsQuant, ChunkSizeWarning
from arraycodec.__main__ import main

PAGE = (Path(__file__).parents[1] / "docs" / "troubleshooting.md").read_text()
Q = AnsQuant(tol=0.1)


def documented(text, fragment):
    """Whether a program has said something, and the page says it."""
    assert fragment in text, text
    assert fragment in PAGE


@pytest.fixture
def zarr():
    return pytest.importorskip("zarr", minversion="3")


def test_python(zarr):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(block, "troubleshooting.md", "exec"), {})


def test_chunks():
    with pytest.raises(arraycodec.ParameterError) as error:
        AnsQuant().encode(np.zeros(3))
    documented(str(error.value), "encoding needs a tolerance: tol=... or rtol=..., tol=0 for lossless")
    chunk = bytearray(arraycodec.encode(np.arange(1000.0), 0.1))
    chunk[-1] ^= 1
    with pytest.raises(arraycodec.ChecksumError) as error:
        arraycodec.decode(chunk)
    documented(str(error.value), "corrupt chunk (checksum mismatch)")


EXPECTED = "Expected a dict representation of a BytesBytesCodec"
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ARRAY = {"shape": (10,), "chunks": (5,), "dtype": "f4"}
SERIALIZER = "got a dict representation of a <class 'arraycodec.zarr3.AnsQuantSerializer'>, a serializer"


@pytest.mark.parametrize(
    "function, options, kind, fragment",
    [
        ("open", {"compressor": Q, "mode": "w"}, ValueError,
         "compressor cannot be used for arrays with zarr_format 3. Use bytes-to-bytes codecs instead."),
        ("create_array", {"compressor": Q}, TypeError,
         "create_array() got an unexpected keyword argument 'compressor'"),
        ("create_array", {"compressors": Q}, TypeError, f"{EXPECTED}; {SERIALIZER}"),
        ("create_array", {"compressors": [Q]}, TypeError, f"{EXPECTED}; {SERIALIZER}"),
        ("create_array", {"filters": Q}, TypeError, "Expected a dict representation of an ArrayArrayCodec; got "),
        ("open", {"compressors": Q, "mode": "w"}, TypeError, "got an unexpected keyword argument 'compressors'"),
        ("open", {"codecs": [BYTES, Q], "mode": "w"}, ValueError, "Only one ArrayBytesCodec is allowed."),
        ("create_array", {"serializer": Q, "zarr_format": 2}, ValueError,
         "Zarr format 2 arrays do not support `serializer`."),
        ("create_array", {"serializer": Q, "compressors": None, "dtype": "U5"}, TypeError,
         "arraycodec encodes float, complex, integer, bool, datetime64 and timedelta64 arrays, not <U5"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The data type")
def test_zarr(zarr, function, options, kind, fragment):
    with pytest.raises(kind) as error:
        getattr(zarr, function)({}, **{**ARRAY, **options})
    documented(str(error.value), fragment)


def test_the_wrong_slot_of_zarr_names_the_right_one(zarr):
    for codec in (Q, arraycodec.VarintQuant(0.1), arraycodec.StochasticQuant(), arraycodec.LowRankQuant(rank=1)):
        name = type(codec).__name__
        with pytest.raises(TypeError, match=rf"serializer=\x20?{name}\(\.\.\.\), compressors=None"):
            zarr.create_array({}, **ARRAY, compressors=codec)


@pytest.mark.parametrize("version, file", [(2, ".zarray"), (3, "zarr.json")])
def test_zarr_without_the_package(zarr, tmp_path, version, file):
    slots = {"compressors": Q} if version == 2 else {"serializer": Q, "compressors": None}
    zarr.create_array(tmp_path / "a", **ARRAY, zarr_format=version, **slots)
    metadata = tmp_path / "a" / file
    metadata.write_text(metadata.read_text().replace("ansquant", "nosuchquant"))
    with pytest.raises(ValueError) as error:
        zarr.open(tmp_path / "a", mode="r")
    assert type(error.value).__name__ == "UnknownCodecError"
    text = re.sub(r"nosuchquant", "ansquant", str(error.value))
    if version == 2 and "not available: '" not in text:  # the newest zarr has one message for both
        text = text.replace("'ansquant'", "'arraycodec.ansquant'")
    (fragment,) = [m for m in re.findall(r"`([^`]*(?:'ansquant'|'arraycodec\.ansquant')[^`]*)`", PAGE) if m in text]
    documented(text, fragment)


@pytest.fixture
def file(tmp_path):
    """An HDF5 file, which is a netCDF-4 file as well."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("t", data=np.arange(3000, dtype="f4").reshape(30, 100), chunks=(10, 100), compression=Q)
        for axis, name in enumerate("yx"):
            f[name] = np.arange(d.shape[axis], dtype="f4")
            f[name].make_scale(name)
            d.dims[axis].attach_scale(f[name])
    return tmp_path / "a.h5"


def without_the_plugin(*command):
    """What a program prints that does not find the filter."""
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    return done.stdout + done.stderr


def python(code, file):
    return without_the_plugin(sys.executable, "-c", code, str(file))


def test_h5py_without_the_plugin(file):
    pytest.importorskip("h5py", minversion="3.12")  # older ones have other words
    read = "import sys, h5py; h5py.File(sys.argv[1])['t'][...]"
    text = re.sub(r"directory \(.*?\)", "directory (/usr/local/lib/plugin)", python(read, file))
    what = "can't open directory (/usr/local/lib/plugin). Please verify its existence"
    documented(text, f"Can't synchronously read data ({what})")
    make = "import sys, h5py; h5py.File(sys.argv[1] + '2', 'w').create_dataset('t', (9,), 'f4', compression=35117)"
    documented(python(make, file), "Unknown compression filter number: 35117")


def test_netcdf4_without_the_plugin(file):
    pytest.importorskip("netCDF4")
    text = python("import sys, netCDF4; netCDF4.Dataset(sys.argv[1])['t'][...]", file)
    documented(text, "NetCDF: Filter error: undefined filter encountered")


def test_kerchunk(file):
    pytest.importorskip("kerchunk")
    how = "sys.argv[1], inline_threshold=0, error='raise'"
    text = python(f"import sys, kerchunk.hdf as k; k.SingleHdf5ToZarr({how}).translate()", file)
    assert "uses filter id 35117 with properties" in text and "not supported by kerchunk." in text
    assert "uses filter id 35117 with properties ..., not supported by kerchunk." in PAGE


@pytest.mark.parametrize(
    "program, options, fragment",
    [
        ("h5dump", [], "h5dump error: unable to print data"),
        ("h5dump", ["-E"], "required filter 'arraycodec.ansquant' is not registered"),
        ("ncdump", [], "NetCDF: Filter error: undefined filter encountered"),
    ],
)
def test_programs_without_the_plugin(tool, file, program, options, fragment):
    documented(without_the_plugin(tool(program), *options, str(file)), fragment)


@pytest.mark.parametrize(
    "program, options, fragment",
    [
        ("h5repack", ["-f", "NONE"], "user defined filter is not available"),
        ("nccopy", [], "NetCDF: Filter error: undefined filter encountered"),
    ],
)
def test_copies_without_the_plugin(tool, file, program, options, fragment):
    documented(without_the_plugin(tool(program), *options, str(file), str(file) + ".copy"), fragment)


def test_h5py_and_xarray(file, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.h5", "w") as f:
        for options, fragment in (
            ({"shuffle": True, "compression": Q}, "must be the first filter, but filter 2 (shuffle) comes before it"),
            ({"compression": "ansquant"}, 'Compression filter "ansquant" is unavailable'),
        ):
            with pytest.raises(ValueError) as error:
                f.create_dataset("t", (10, 10), "f4", **options)
            documented(str(error.value), fragment)
        with pytest.raises(TypeError) as error:
            f.create_dataset("t", data=np.float32(3), compression=Q)
        documented(str(error.value), "Scalar datasets don't support chunk/filter options")
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    ds = xarray.open_dataset(file, engine="h5netcdf").load()
    if "compression" not in ds.t.encoding:  # h5py before 3.15 says nothing of such filters
        return
    with pytest.raises(ValueError) as error:
        ds.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    documented(str(error.value), 'Compression filter "unknown" is unavailable')
    pytest.importorskip("netCDF4")
    with pytest.raises(ValueError) as error:
        ds.to_netcdf(tmp_path / "d.nc", engine="netcdf4", encoding={"t": {"compression": Q}})
    documented(str(error.value), "Unsupported value for compression kwarg")


def test_xarray_and_zarr(zarr, tmp_path):
    xarray = pytest.importorskip("xarray")
    ds = xarray.Dataset({"t": (("y", "x"), np.ones((10, 10), "f4"))})
    with pytest.raises(TypeError) as error:
        ds.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False, encoding={"t": {"compressors": Q}})
    documented(str(error.value), f"{EXPECTED}; {SERIALIZER}")


MISSING = """
import os, sys
os.environ["HDF5_PLUGIN_PATH"] = "/nonexistent"
import h5py
with h5py.File("x", "w", driver="core", backing_store=False) as f:  # HDF5 reads the variable now
    try:
        f.create_dataset("x", (2,), "f4", compression=35117)
    except ValueError:
        pass
import arraycodec
from arraycodec.__main__ import main
from arraycodec.cli import hdf5file
h5py.h5z.unregister_filter(arraycodec.hdf5.FILTER_ID)
arraycodec.hdf5.register = lambda: []
with h5py.File(sys.argv[1]) as f:
    print(f["t"].shape, arraycodec.hdf5.info(f["t"])["tol"])
    for dataset, selection in ((f["t"], [0, 2]), (f["other"], None)):
        try:
            arraycodec.hdf5.read(dataset, selection)
        except OSError as error:
            print(error)
    print(round(arraycodec.hdf5.read(f["t"]).mean()))  # takes the chunks out by itself
path = sys.argv[1]
print(main(["inspect", path]), main(["verify", path, path]), main(["verify", "--scan", path]))
print(main(["decompress", path, path + ".zarr", "--name", "other"]))
"""


def test_our_words_for_a_missing_filter(file, tmp_path):
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("zarr", minversion="3")
    with h5py.File(file, "a") as f:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((50,))
        plist.set_filter(40001, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((100,))
        h5py.h5d.create(f.id, b"other", h5py.h5t.NATIVE_FLOAT, space, plist).write_direct_chunk((0,), b"123456")
    text = python(MISSING, file)
    where = "which h5py's HDF5 does not find"
    assert "needs the HDF5 filter ..., which h5py's HDF5 does not find" in PAGE
    ours = f"/t needs the HDF5 filter 35117 of this package, {where}: call arraycodec.hdf5.register(), or set"
    other = f"/other needs the HDF5 filter 40001, which is not of this package and {where}: install and import"
    assert "(30, 100) 0.1\n" in text and "\n1500\n" in text, text
    assert text.count(ours) == 2 and text.count(other) == 3, text  # read and scan; read, verify and decompress
    assert "\n0 2 2\n2\n" in text and "BROKEN" not in text, text


# ---- small chunks ----
def test_zarr_warns_once_of_small_chunks(zarr, recwarn):
    recwarn.clear()
    options = {"shape": (600, 600), "dtype": "f4", "serializer": Q, "compressors": None}
    store = zarr.storage.MemoryStore()
    with pytest.warns(ChunkSizeWarning, match=r"3600 chunks of 400 bytes of values, \(10, 10\)") as caught:
        z = zarr.create_array(store, chunks=(10, 10), **options)
        z.resize((700, 600))
        zarr.open_array(store, mode="r+").resize((600, 600))
    assert len([w for w in caught if w.category is ChunkSizeWarning]) == 1
    with pytest.warns(ChunkSizeWarning):
        zarr.open({}, mode="w", chunks=(10, 10), shape=(600, 600), dtype="f4", codecs=[Q])
    for quiet in (
        {"chunks": (64, 64)},  # 16 KiB
        {"chunks": (10, 10), "shape": (500, 500)},  # less than a MiB
        {"chunks": (10, 10), "shards": (300, 300)},
        {"chunks": (10, 10), "serializer": dict(Q)},  # nobody's object: metadata
    ):
        zarr.create_array({}, **{**options, **quiet})


def test_hdf5_and_xarray_warn_of_small_chunks(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        small = f.create_dataset("small", (600, 600), "f4", chunks=(10, 10), compression=Q)
        with pytest.warns(ChunkSizeWarning, match="dataset /small of shape") as caught:
            arraycodec.hdf5.write(small, 1, np.s_[:10, :10])
        assert [Path(w.filename).name for w in caught] == [Path(__file__).name]
        arraycodec.hdf5.write(f.create_dataset("t", (600, 600), "f4", chunks=(32, 32), compression=Q), 1)
    xr = pytest.importorskip("xarray")
    pytest.importorskip("zarr", minversion="3")
    ds = xr.Dataset({"t": (("y", "x"), np.ones((600, 600), "f4"), {}, {"chunks": (50, 50), "chunksizes": (10, 10)})})
    for target, chunks in (("zarr2", r"\(50, 50\)"), ("h5netcdf", r"\(10, 10\)")):
        with pytest.warns(ChunkSizeWarning, match=f"variable 't' .*{chunks}") as caught:
            arraycodec.xarray.encoding(ds, 0.1, target=target)
        assert [Path(w.filename).name for w in caught] == [Path(__file__).name]
    arraycodec.xarray.encoding(ds, 0.1)  # said when the array is made


@pytest.mark.parametrize("target", ["w.zarr", "w.h5", "v2.zarr"])
def test_the_command_warns_of_small_chunks(zarr, tmp_path, capsys, target):
    pytest.importorskip("h5py")
    np.save(tmp_path / "w.npy", np.ones((600, 600), "f4"))
    form = ["--format", "zarr2"] if target == "v2.zarr" else []
    argv = ["compress", str(tmp_path / "w.npy"), str(tmp_path / target), "--tol", "0.1", *form]
    assert main([*argv, "--chunks", "30,30"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "chunks of 3600 bytes" in line]
    assert len(lines) == 1 and lines[0].startswith("arraycodec: warning: ") and lines[0].endswith("(--chunks)")
    assert main([*argv, "--force"]) == 0
    assert not capsys.readouterr().err
