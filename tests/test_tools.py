"""Programs that know nothing of this package: those of HDF5 and netCDF, netCDF4-python, h5py alone, a C program."""

import os
import subprocess

import numpy as np
import pytest
from arrays import bits, numbers
from programs import environment, need_netcdf4, python, run

import arraycodec
from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, encode, hdf5

h5py = pytest.importorskip("h5py")

from hdf5files import TOL, completed, first_chunk, of_hdf5, read, write  # noqa: E402

NORMAL = np.random.default_rng(35117).normal(size=(50, 70)).astype("f4")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.h5")


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
        (["-l", "x:CHUNK=7x70"], "x", completed(AnsQuant(tol=TOL), 1, 7, 70)),
        (["-f", "plain:UD=35117,0,2,2,17"], "plain", completed(AnsQuant(tol=2**-17), 1, 20, 30)),
        (["-f", "plain:UD=35117,1,3,3,1,3"], "plain", completed(AnsQuant(tol=1e-3), 1, 20, 30)),
        (["-f", "plain:UD=35117,0,5,3,1,3,14,9"], "plain", completed(AnsQuant(tol=1e-3, level=9), 1, 20, 30)),
        (["-f", "plain:UD=35117,0,4,2,17,15,2"], "plain", completed(AnsQuant(2**-17, predictor="auto"), 1, 20, 30)),
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
            assert info["cd_values"] == completed(AnsQuant(tol=tol), 1, *f[name].chunks)
        if "-c" in options:
            assert f[name].chunks == (7, 70)
    assert np.array_equal(back, expected) if name == "x" else arraycodec.verify(NORMAL, back, tol)


@pytest.fixture
def every_type(path):
    """A file with datasets of every kind, "plain" and (filtered) "coded"; their arrays and the filter's parameters."""
    kinds = {
        "float": (numbers(">f4", (20, 30)), {"rtol": 2**-6, "tol": 2**-4, "fill_value": -9999}),
        "half": (numbers("f2", (20, 30)), {"tol": 0.5}),
        "int": (numbers(">i4", (20, 30)), {"tol": 3, "fill_value": -(2**31)}),
        "word": (numbers("u2", (20, 30)), {"tol": 2, "dtype": "bfloat16"}),
        "complex": (numbers("c16", (20, 30)), {"rtol": 0.01, "fill_value": 1 - 2j}),
        "bool": (numbers("?", (20, 30)), {"tol": 0.5}),
        "enum": (numbers("i2", (20, 30)).view(h5py.enum_dtype({"A": 0}, "i2")), {"tol": 0.5}),
        "date": (numbers("M8[s]", (20, 30)).view(of_hdf5("M8[s]")), {"tol": 0}),
    }
    for x, parameters in kinds.values():
        if "fill_value" in parameters:
            x[::2, ::3] = parameters["fill_value"]
    with h5py.File(path, "w") as f:
        for name, (x, parameters) in kinds.items():
            f.create_dataset(f"plain/{name}", data=x, chunks=(10, 30))
            f.create_dataset(f"coded/{name}", data=x, chunks=(10, 30), compression=AnsQuant(**parameters))
    return path, kinds


def test_h5repack_of_every_type(tool, every_type, tmp_path):
    """With other chunks the property list is copied, with the parameters typed it is made."""
    path, kinds = every_type
    options = []
    for name, (_, parameters) in kinds.items():
        options += ["-l", f"coded/{name}:CHUNK=20x15"]
        values = AnsQuant(**parameters).filter_options
        options += ["-f", f"plain/{name}:UD=35117,0,{len(values)},{','.join(map(str, values))}"]
    run(tool("h5repack"), *options, path, "new.h5", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    for name, (x, parameters) in kinds.items():
        with h5py.File(path) as old, h5py.File(tmp_path / "new.h5") as new:
            for key in ("tol", "rtol", "fill_value", "dtype"):
                assert hdf5.info(new["plain"][name])[key] == hdf5.info(old["coded"][name])[key], (name, key)
                assert hdf5.info(new["coded"][name])[key] == hdf5.info(old["coded"][name])[key], (name, key)
            assert new["coded"][name].chunks == (20, 15)
        assert first_chunk(tmp_path / "new.h5", f"plain/{name}") == first_chunk(path, f"coded/{name}"), name
        back = read(tmp_path / "new.h5", f"coded/{name}")
        assert np.array_equal(bits(back), bits(read(path, f"coded/{name}"))), name
        if name != "enum":
            assert arraycodec.verify(x, back, **parameters), name


def test_h5dump_of_every_type(tool, every_type, tmp_path):
    path, kinds = every_type
    plugin_path = hdf5.plugin_path()
    for name in kinds:
        options = ("-d", f"/coded/{name}", "-b", "FILE", "-o", "x.bin")
        run(tool("h5dump"), *options, path, cwd=tmp_path, plugin_path=plugin_path)
        assert (tmp_path / "x.bin").read_bytes() == read(path, f"coded/{name}").tobytes(), name


def test_nccopy_of_items(tool, path, tmp_path):
    """Relative tolerances, fill values and integers, as typed at nccopy; and its copies of filtered variables."""
    need_netcdf4()
    float_data, int_data = numbers("f4", (50, 70)), numbers("i2", (50, 70))
    float_data[::2], int_data[::2] = -9999, -9999
    np.savez(tmp_path / "data.npz", f=float_data, i=int_data)
    code = """if True:
        import sys, netCDF4, numpy as np
        data = np.load("data.npz")
        with netCDF4.Dataset(sys.argv[1], "w") as d:
            d.createDimension("y", 50), d.createDimension("x", 70)
            for name, kind in (("f", "f4"), ("i", "i2")):
                v = d.createVariable(name, kind, ("y", "x"), chunksizes=(25, 70))
                v.set_auto_mask(False)
                v[:] = data[name]"""
    python(code, path, cwd=tmp_path)
    given = ("f,35117,6,8,11,-9999.0d,14,9,15,3", "i,35117,3,3,0,12,1,9999,0")
    options = [option for spec in given for option in ("-F", spec)]
    plugin_path = hdf5.plugin_path()
    run(tool("nccopy"), *options, path, "new.nc", cwd=tmp_path, plugin_path=plugin_path)
    run(tool("nccopy"), "-M", "1", "-c", "y/10,x/70", "new.nc", "again.nc", cwd=tmp_path, plugin_path=plugin_path)
    expected = {
        "f": (float_data, {"tol": 0.0, "rtol": 2**-8, "fill_value": -9999.0}),
        "i": (int_data, {"tol": 3.0, "rtol": None, "fill_value": -9999}),
    }
    for file in ("new.nc", "again.nc"):
        with h5py.File(tmp_path / file) as f:
            for name, (x, parameters) in expected.items():
                assert parameters.items() <= hdf5.info(f[name]).items(), (file, name)
                assert hdf5.info(f[name])["level"] == (9 if name == "f" else None)
                assert hdf5.info(f[name])["predictor"] == ("lorenzo" if name == "f" else None)
                assert arraycodec.verify(x, f[name][()], **parameters)
            assert f["f"].chunks == ((50, 70) if file == "new.nc" else (10, 70))


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
        assert hdf5.info(f["x"])["cd_values"] == completed(AnsQuant(tol=TOL), 1, 16, 16)
        assert f["x"].id.read_direct_chunk((0, 0))[1] == encode(expected[:16, :16], TOL)


@pytest.mark.parametrize("name", ["", "_varintquant", "_stochasticquant", "_lowrankquant"])
def test_plugin_exports_and_needs_nothing_else(tool, name):
    stem, suffix = os.path.splitext(hdf5._PLUGIN)
    plugin = os.path.join(hdf5.plugin_path(), stem + name + suffix)
    symbols = run(tool("nm"), "-D", "--defined-only", plugin, cwd="/").split()[2::3]
    assert sorted(symbols) == ["H5PLget_plugin_info", "H5PLget_plugin_type", "NCZ_get_codec_info"]
    needed = [
        line.split("[")[1].rstrip("]")
        for line in run(tool("readelf"), "-d", plugin, cwd="/").splitlines()
        if "(NEEDED)" in line
    ]
    assert {n.split(".")[0] for n in needed} <= {
        *("libc", "libm", "libdl", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64")
    }


# ---- all codecs ----
CODECS = {
    "ans": AnsQuant(tol=TOL),
    "relative": AnsQuant(rtol=2**-8, level=2, predictor="none"),
    "varint": VarintQuant(tol=TOL),
    "random": StochasticQuant(4, seed=7),
    "low": LowRankQuant(5),
    "low_tol": LowRankQuant(tol=0.125),
}


@pytest.fixture
def all_codecs(path):
    """A file with "plain" and a dataset of each codec; what reading these must give."""
    with h5py.File(path, "w", track_order=True) as f:
        f.create_dataset("plain", data=NORMAL, chunks=(20, 30))
        for name, q in CODECS.items():
            hdf5.write(f.create_dataset(name, NORMAL.shape, "f4", chunks=(20, 30), compression=q), NORMAL)
    found = {name: read(path, name) for name in ("plain", *CODECS)}
    assert all(not np.array_equal(found[name], NORMAL) for name in CODECS)
    return path, found


def filters(path, name):
    """The numbers of a dataset's filters, first of those that encode."""
    with h5py.File(path) as f:
        plist = f[name].id.get_create_plist()
        return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def codec_of(path, name):
    with h5py.File(path) as f:
        return hdf5.codec_of(f[name])


def test_readers_of_all_codecs(tool, all_codecs, tmp_path):
    path, expected = all_codecs
    plugin_path = hdf5.plugin_path()
    for name, values in expected.items():
        run(tool("h5dump"), "-d", f"/{name}", "-b", "LE", "-o", "x.bin", path, cwd=tmp_path, plugin_path=plugin_path)
        assert np.fromfile(tmp_path / "x.bin", "<f4").tobytes() == values.tobytes(), name
        text = run(tool("ncdump"), "-p", "9,17", "-v", name, path, cwd=tmp_path, plugin_path=plugin_path)
        numbers = text.split(f"{name} =")[1].rstrip().rstrip("}").replace(";", "").split(",")
        assert np.array_equal(np.array([float(n) for n in numbers], "f4"), values.ravel()), name
    run(tool("h5repack"), "-f", "NONE", path, "plain.h5", cwd=tmp_path, plugin_path=plugin_path)
    run(tool("nccopy"), "-F", "none", path, "plain.nc", cwd=tmp_path, plugin_path=plugin_path)
    for name, values in expected.items():
        for file in ("plain.h5", "plain.nc"):
            assert filters(tmp_path / file, name) == [] and np.array_equal(read(tmp_path / file, name), values)


def test_h5ls(tool, all_codecs, tmp_path):
    path, _ = all_codecs
    text = run(tool("h5ls"), "-v", path, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert text.count("arraycodec.ansquant-35117 OPT {") == len(CODECS)
    assert "{" + ", ".join(map(str, completed(CODECS["varint"], 1, 20, 30))) + "}" in text


def test_h5diff(tool, all_codecs, tmp_path):
    path, expected = all_codecs
    plugin_path = hdf5.plugin_path()
    with h5py.File(tmp_path / "plain.h5", "w") as f:
        for name, values in expected.items():
            f[name] = values
    assert run(tool("h5diff"), path, "plain.h5", cwd=tmp_path, plugin_path=plugin_path) == ""
    assert run(tool("h5diff"), "-d", str(TOL), path, path, "ans", "plain", cwd=tmp_path, plugin_path=plugin_path) == ""
    command = [tool("h5diff"), "-d", str(TOL / 2), path, path, "ans", "plain"]
    done = subprocess.run(command, env=environment(plugin_path), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "differences found" in done.stdout


def test_h5repack_of_all_codecs(tool, all_codecs, tmp_path):
    """Parameters of every codec are typed at a plain dataset, and others follow the filter."""
    path, expected = all_codecs
    plugin_path = hdf5.plugin_path()
    typed = {
        "2,2,10": CODECS["ans"],
        "4,6,8,14,3": AnsQuant(rtol=2**-8, level=3),
        "4,2,10,16,2": CODECS["varint"],
        "5,17,260,512,7,0": CODECS["random"],
    }
    for values, codec in typed.items():
        options = ["-f", f"plain:UD=35117,0,{values}", "-f", "plain:GZIP=9", "-f", "plain:FLET"]
        run(tool("h5repack"), *options, path, "new.h5", cwd=tmp_path, plugin_path=plugin_path)
        assert codec_of(tmp_path / "new.h5", "plain") == codec, values
        assert filters(tmp_path / "new.h5", "plain") == [hdf5.FILTER_ID, 1, 3]
        back = read(tmp_path / "new.h5", "plain")
        with h5py.File(tmp_path / "again.h5", "w") as f:
            f.create_dataset("x", data=NORMAL, chunks=(20, 30), compression=codec)
        assert np.array_equal(back, read(tmp_path / "again.h5"))
        # the other datasets were written again: lattices give the same values, others new ones
        for name in ("ans", "relative", "varint"):
            assert np.array_equal(read(tmp_path / "new.h5", name), expected[name]), name
        # without a tolerance only hdf5.write makes products: such chunks are stored as they are
        assert np.array_equal(read(tmp_path / "new.h5", "low"), expected["low"])
        with h5py.File(tmp_path / "new.h5") as f:
            assert f["low"].id.get_chunk_info(0).filter_mask == 1
        assert abs(read(tmp_path / "new.h5", "low_tol") - expected["low_tol"]).max() <= 0.125


def test_h5repack_of_whole_files_and_untouched_ones(tool, all_codecs, tmp_path):
    path, expected = all_codecs
    plugin_path = hdf5.plugin_path()
    run(tool("h5repack"), "-f", "UD=35117,0,2,2,6", path, "new.h5", cwd=tmp_path, plugin_path=plugin_path)
    for name, values in expected.items():
        assert codec_of(tmp_path / "new.h5", name) == AnsQuant(tol=2**-6)
        assert arraycodec.verify(values, read(tmp_path / "new.h5", name), 2**-6)
    run(tool("h5repack"), path, "same.h5", cwd=tmp_path, plugin_path=plugin_path)  # chunks are copied as they are
    for name in CODECS:
        assert first_chunk(tmp_path / "same.h5", name) == first_chunk(path, name)
        assert np.array_equal(read(tmp_path / "same.h5", name), expected[name])


@pytest.mark.parametrize("options", [["plain:SHUF", "plain:UD=35117,0,2,2,10"], ["plain:UD=35117,0,2,2,2000"]])
def test_h5repack_does_without_what_is_refused(tool, all_codecs, tmp_path, options):
    """It warns with -v only, and nothing is lost."""
    path, _ = all_codecs
    options = [word for option in options for word in ("-f", option)]
    text = run(tool("h5repack"), "-v", *options, path, "new.h5", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert "warning: could not create dataset </plain>" in text
    assert filters(tmp_path / "new.h5", "plain") == [] and np.array_equal(read(tmp_path / "new.h5", "plain"), NORMAL)


@pytest.mark.parametrize(
    ("values", "codec"),
    [
        ("2,10", CODECS["ans"]), ("2,10,16,2", CODECS["varint"]), ("6,8,14,2,15,1", CODECS["relative"]),
        ("17,260,512,7,0", CODECS["random"]), ("1,0.125d", AnsQuant(tol=0.125)),
    ],
)  # fmt: skip
def test_nccopy_of_all_codecs(tool, all_codecs, tmp_path, values, codec):
    """With deflate behind ours; then all variables at once."""
    path, _ = all_codecs
    plugin_path = hdf5.plugin_path()
    command = tool("nccopy")
    run(command, "-F", "none", path, "bare.nc", cwd=tmp_path, plugin_path=plugin_path)
    run(command, "-F", f"plain,35117,{values}|1,9", "bare.nc", "new.nc", cwd=tmp_path, plugin_path=plugin_path)
    assert codec_of(tmp_path / "new.nc", "plain") == codec
    assert filters(tmp_path / "new.nc", "plain") == [hdf5.FILTER_ID, 1]
    with h5py.File(tmp_path / "again.h5", "w") as f:
        f.create_dataset("x", data=NORMAL, chunks=(50, 70), compression=codec)  # nccopy makes it one chunk
    assert np.array_equal(read(tmp_path / "new.nc", "plain"), read(tmp_path / "again.h5"))
    run(command, "-F", f"*,35117,{values}", "bare.nc", "every.nc", cwd=tmp_path, plugin_path=plugin_path)
    assert {codec_of(tmp_path / "every.nc", name) for name in ("plain", *CODECS)} == {codec}
    text = run(tool("ncdump"), "-hs", "every.nc", cwd=tmp_path, plugin_path=plugin_path)
    with h5py.File(tmp_path / "every.nc") as f:
        assert f'plain:_Filter = "35117,{",".join(map(str, hdf5.info(f["plain"])["cd_values"]))}"' in text


def test_nccopy_refuses_what_it_would_lose(tool, all_codecs, tmp_path):
    """The filter is mandatory there: products that nobody can make again are an error."""
    path, expected = all_codecs
    plugin_path = hdf5.plugin_path()
    command = [tool("nccopy"), path, "new.nc"]
    done = subprocess.run(command, env=environment(plugin_path), capture_output=True, cwd=tmp_path)
    assert done.returncode == 1 and b"HDF error" in done.stderr
    run(tool("nccopy"), "-F", "low,none", path, "new.nc", cwd=tmp_path, plugin_path=plugin_path)
    assert np.array_equal(read(tmp_path / "new.nc", "low"), expected["low"])
    assert codec_of(tmp_path / "new.nc", "varint") == CODECS["varint"]


CDL = """netcdf t {
dimensions: y = 5 ; x = 4 ;
variables:
  float v(y, x) ;
    v:_FillValue = -9999.f ;
    v:_ChunkSizes = 5, 4 ;
    v:_Filter = "35117,2,4,14,9|1,9" ;
data: v = 1.01,2.02,3.03,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,_ ;
}
"""


def test_ncgen(tool, tmp_path):
    (tmp_path / "t.cdl").write_text(CDL)
    run(tool("ncgen"), "-4", "-o", "t.nc", "t.cdl", cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert codec_of(tmp_path / "t.nc", "v") == AnsQuant(tol=2**-4, level=9, fill_value=-9999.0)
    assert filters(tmp_path / "t.nc", "v") == [hdf5.FILTER_ID, 1]
    expected = np.array([1.01, 2.02, 3.03, *range(4, 20), -9999], "f4").reshape(5, 4)
    assert arraycodec.verify(expected, read(tmp_path / "t.nc", "v"), 2**-4, fill_value=-9999)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="netCDF's library is found by /proc")
def test_netcdf4_python_makes_variables(tmp_path):
    """Its createVariable has no way to say a filter; netCDF's C function, called between, has."""
    need_netcdf4()
    np.save(tmp_path / "x.npy", NORMAL)
    code = """if True:
        import ctypes, netCDF4, numpy as np
        library = ctypes.CDLL(next(line.split()[-1] for line in open("/proc/self/maps") if "libnetcdf" in line))
        with netCDF4.Dataset("new.nc", "w") as d:
            d.createDimension("y", None), d.createDimension("x", 70)
            v = d.createVariable("v", "f4", ("y", "x"), chunksizes=(20, 30), fill_value=-9999)
            words = (ctypes.c_uint * 2)(2, 10)
            assert library.nc_def_var_filter(d._grpid, v._varid, 35117, ctypes.c_size_t(2), words) == 0
            v[:] = np.load("x.npy")
        with netCDF4.Dataset("new.nc", "a") as d:
            d["v"][50:60] = np.load("x.npy")[:10]
            d["v"][60] = np.ma.masked"""
    python(code, cwd=tmp_path, plugin_path=hdf5.plugin_path())
    assert codec_of(tmp_path / "new.nc", "v") == AnsQuant(tol=TOL, fill_value=-9999.0)
    back = read(tmp_path / "new.nc", "v")
    assert arraycodec.verify(np.concatenate([NORMAL, NORMAL[:10]]), back[:60], TOL) and (back[60] == -9999).all()
    assert arraycodec.verify(NORMAL, back[:50], 0).violations
