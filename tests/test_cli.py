"""The console command: conversions between all formats, inspect, verify, demo, and what happens when things fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import arraycodec
from arraycodec import AnsQuant, ParameterError, hdf5
from arraycodec.__main__ import main
from arraycodec.boxes import automatic_chunks, box_shape, boxes
from arraycodec.cli.model import ArrayInfo
from arraycodec.cli.plan import Job, marks_of
from arraycodec.tolerance import keeping, parse_tolerance

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

TOL = 2.0**-10
WRITABLE = ("zarr2", "zarr3", "hdf5")
SUFFIX = {"npy": ".npy", "npz": ".npz", "zarr2": ".zarr", "zarr3": ".zarr", "hdf5": ".h5"}


def field(shape, dtype="f4", seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).cumsum(axis=-1)
    if values.size:
        values.reshape(-1)[::97] = np.nan
    return values.astype(dtype)


ARRAYS = {
    "temp": field((5, 20, 30)),
    "big": field((17, 9), ">f4", 1),
    "sub/double": field((40,), "f8", 2),
    "sub/deep/ints": np.arange(24, dtype="i2").reshape(4, 6),
    "flags": np.array([True, False, True]),
    "half": field((7,), "f2", 3),
    "complex": field((6,), "f4", 4) + 1j * field((6,), "f4", 5),
    "scalar": np.array(2.7182818, "f8"),
    "empty": np.empty((0, 3), "f4"),
    "text": np.array(["a", "bé", ""], object),
}
CHUNKS = {"temp": (2, 20, 15), "big": (5, 9), "sub/double": (16,), "sub/deep/ints": (2, 3)}
ATTRS = {"units": "K", "count": 3, "scale": 0.25, "list": [1, 2, 3], "words": ["a", "b"], "yes": True}


def is_lossy(name):
    return ARRAYS[name].dtype.kind in "fc"


HOSTS = ("zarr2", "zarr3", "hdf5")


def store(path, kind):
    """The arrays above in a format, uncompressed by us."""
    if kind == "npy":
        np.save(path, ARRAYS["temp"])
    elif kind == "npz":
        np.savez(path, **{n: a.astype("U") if a.dtype == object else a for n, a in ARRAYS.items()})
    elif kind == "hdf5":
        with h5py.File(path, "w") as f:
            f.attrs.update(ATTRS)
            for name, a in ARRAYS.items():
                dtype = h5py.string_dtype() if a.dtype == object else a.dtype
                d = f.create_dataset(name, data=a, dtype=dtype, chunks=CHUNKS.get(name))
                d.attrs.update(ATTRS)
            f["sub"].attrs["title"] = "group"
    else:
        g = zarr.open_group(str(path), mode="w", zarr_format=int(kind[-1]), attributes=ATTRS)
        g.create_group("sub", attributes={"title": "group"})
        for name, a in ARRAYS.items():
            z = g.create_array(
                name, shape=a.shape, dtype=str if a.dtype == object else a.dtype, attributes=ATTRS,
                chunks=CHUNKS.get(name, tuple(max(1, n) for n in a.shape)),
            )  # fmt: skip
            z[...] = a
    return path


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return {kind: store(folder / f"{kind}{SUFFIX[kind]}", kind) for kind in SUFFIX}


def run(*args):
    return main([str(a) for a in args])


def load(path, kind):
    """name -> (values, chunks, attrs), read by the hosts alone."""
    if kind == "npy":
        return {"": (np.load(path), None, {})}
    if kind == "npz":
        with np.load(path) as f:
            return {n: (f[n], None, {}) for n in f.files}
    result = {}
    if kind == "hdf5":
        with h5py.File(path) as f:

            def visit(name, d):
                if isinstance(d, h5py.Dataset):
                    text = h5py.check_string_dtype(d.dtype)
                    attrs = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in d.attrs.items()}
                    result[name] = ((d.asstr() if text else d)[()], d.chunks, attrs)

            f.visititems(visit)
        return result
    g = zarr.open(str(path), mode="r")
    if not hasattr(g, "members"):
        return {"": (g[...], g.chunks, g.attrs.asdict())}
    for name, z in g.members(max_depth=None):
        if not hasattr(z, "members"):
            result[name] = (z[...], z.chunks, z.attrs.asdict())
    return result


def check_values(path, kind, tol, only=None):
    found = load(path, kind)
    expected = {only: ARRAYS[only]} if only else ARRAYS
    if only and len(found) == 1:
        found = {only: next(iter(found.values()))}
    assert set(found) == set(expected)
    for name, a in expected.items():
        values = np.asarray(found[name][0])
        assert values.shape == a.shape, name
        if is_lossy(name):
            assert values.dtype.newbyteorder("=") == a.dtype.newbyteorder("="), name
            assert arraycodec.verify(a, values, tol), name
        elif a.dtype == object:
            assert values.tolist() == a.tolist(), name
        else:
            np.testing.assert_array_equal(values, a, err_msg=name, strict=kind != "hdf5")
    return found


@pytest.mark.parametrize("target", WRITABLE)
@pytest.mark.parametrize("source", list(SUFFIX))
def test_compress(sources, source, target, tmp_path, capsys):
    out = tmp_path / f"out{SUFFIX[target]}"
    assert run("compress", sources[source], out, "--tol", "2**-10", "--format", target) == 0
    if source == "npy":
        found = check_values(out, target, TOL, "temp")
        assert list(load(out, target)) == ["data" if target == "hdf5" else ""]
    else:
        found = check_values(out, target, TOL)
    captured = capsys.readouterr()
    assert "bits per value" in captured.out and "ratio" in captured.out
    assert "Traceback" not in captured.err
    if source not in ("npy", "npz"):
        for name, chunks in CHUNKS.items():
            assert found[name][1] == chunks
            assert found[name][2] == ATTRS
        if target == "hdf5":
            with h5py.File(out) as f:
                assert f["sub"].attrs["title"] == "group" and f.attrs["units"] == "K"
        else:
            g = zarr.open_group(str(out), mode="r")
            assert g["sub"].attrs["title"] == "group" and g.attrs.asdict() == ATTRS
            assert g.metadata.zarr_format == int(target[-1])
    else:
        assert found["temp"][1] == (5, 20, 30)
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize("target", list(SUFFIX))
@pytest.mark.parametrize("source", WRITABLE)
def test_decompress(sources, source, target, tmp_path):
    mid, out = tmp_path / f"mid{SUFFIX[source]}", tmp_path / f"out{SUFFIX[target]}"
    assert run("compress", sources["hdf5"], mid, "--tol", "2^-10", "--format", source, "-q") == 0
    name = ["--name", "temp"] if target == "npy" else []
    assert run("decompress", mid, out, "--format", target, *name) == 0
    check_values(out, target, TOL, "temp" if name else None)
    assert run("verify", sources["hdf5"], out, "--tol", "2^-10", *name) == 0
    if target == "hdf5":
        with h5py.File(out) as f:
            assert "35117" not in f["temp"]._filters and f["temp"].chunks == (2, 20, 15)
    elif target.startswith("zarr"):
        assert "ansquant" not in "".join(p.read_text() for p in out.rglob("*") if p.name in ("zarr.json", ".zarray"))


def test_coded_chunks_are_the_same_bytes(sources, tmp_path):
    for kind in WRITABLE:
        assert run("compress", sources["hdf5"], tmp_path / kind, "--tol", TOL, "--format", kind, "-q") == 0
    v2 = (tmp_path / "zarr2/temp/0.0.1").read_bytes()
    assert v2 == (tmp_path / "zarr3/temp/c/0/0/1").read_bytes()
    with h5py.File(tmp_path / "hdf5") as f:
        assert v2 == f["temp"].id.read_direct_chunk((0, 0, 15))[1]


@pytest.mark.parametrize("text, value", [
    ("2**-17", 2**-17), ("2^-17", 2**-17), (" 1e-3 ", 1e-3), ("0", 0.0), ("-0", 0.0), ("0.5", 0.5), (".5", 0.5),
    ("1.", 1.0), ("10**-3", 1e-3), ("3^2", 9.0), ("1E+2", 100.0), ("2**-1074", 2**-1074), ("0**3", 0.0), ("0e0", 0.0),
])  # fmt: skip
def test_tolerance(text, value):
    assert parse_tolerance(text) == value


@pytest.mark.parametrize("text", [
    "", "x", "1e", "2**", "**2", "2**-1.5", "nan", "inf", "-1", "-1e-3", "1e400", "2**1024", "1e-400", "2**-1075",
    "0x1p-3", "0**-1",
    "1_000", "__import__('os')", "2**3**4", "1e-3f", "٣", "1e9999999", "1/3", "True", "9**9999", "2 ** -3",
])  # fmt: skip
def test_tolerance_refused(text):
    with pytest.raises(ParameterError) as e:
        parse_tolerance(text)
    assert repr(text) in str(e.value)


def test_boxes_cover_arrays_once():
    for shape in [(), (5,), (0, 3), (7, 9, 11)]:
        seen = np.zeros(shape, int)
        for box in boxes(shape, tuple(max(1, n // 3) for n in shape)):
            seen[box] += 1
        assert (seen == 1).all()
    assert automatic_chunks((10, 512, 512)) == (1, 512, 512)
    assert automatic_chunks((1000, 1000)) == (250, 1000)
    assert automatic_chunks((2**20,)) == (2**18,)
    assert automatic_chunks(()) == () and automatic_chunks((0, 4)) == (1, 4)
    box = box_shape((64, 4096, 4096), (1, 64, 64), (2, 100, 100))
    assert all(b % u == 0 for b, u in zip(box, (1, 64, 64), strict=True)) and box[0] == 2 and box[1] == 128


def error_of(capsys, *args):
    assert run(*args) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("arraycodec: warning: ")]
    assert len(lines) == 1 and "error: " in lines[0], lines
    return lines[0]


def test_refusals(sources, tmp_path, capsys):
    npy, h5, out = sources["npy"], sources["hdf5"], tmp_path / "out.zarr"
    assert "'1e'" in error_of(capsys, "compress", npy, out, "--tol", "1e")
    assert "-1" in error_of(capsys, "compress", npy, out, "--tol", "-1")
    assert "--tol" in error_of(capsys, "compress", npy, out)
    assert "--rtol" in error_of(capsys, "verify", npy, npy)
    assert "'1'" in error_of(capsys, "compress", npy, out, "--rtol", "1")
    assert "'2**0'" in error_of(capsys, "verify", npy, npy, "--rtol", "2**0")
    assert "'x'" in error_of(capsys, "verify", npy, npy, "--tol", "1", "--fill-value", "x")
    assert "no" in error_of(capsys, "compress", npy, out, "--tol", "1", "--dtype", "bfloat16")
    assert "not '10'" in error_of(capsys, "compress", npy, out, "--tol", "1", "--level", "10")
    assert "not 'fast'" in error_of(capsys, "demo", npy, "--level", "fast")
    assert "--level" in error_of(capsys, "decompress", npy, out, "--level", "1")
    assert "'spline'" in error_of(capsys, "compress", npy, out, "--tol", "1", "--predictor", "spline")
    assert "'2'" in error_of(capsys, "demo", npy, "--predictor", "2")
    assert "--predictor" in error_of(capsys, "decompress", npy, out, "--predictor", "auto")
    assert "float8" in error_of(capsys, "compress", npy, out, "--tol", "1", "--dtype", "float8")
    assert "4x0" in error_of(capsys, "compress", npy, out, "--tol", "1", "--chunks", "4x0")
    assert "4x4" in error_of(capsys, "compress", npy, out, "--tol", "1", "--chunks", "4x4")
    assert "nosuch" in error_of(capsys, "compress", tmp_path / "nosuch.npy", out, "--tol", "1")
    assert "'nosuch'" in error_of(capsys, "compress", h5, out, "--tol", "1", "--name", "nosuch")
    assert "'.xyz'" in error_of(capsys, "compress", npy, tmp_path / "o.xyz", "--tol", "1")
    assert "no codec" in error_of(capsys, "compress", npy, tmp_path / "o.npz", "--tol", "1")
    assert "folder" in error_of(capsys, "compress", npy, tmp_path / "no/o.zarr", "--tol", "1")
    assert "same" in error_of(capsys, "compress", h5, h5, "--tol", "1", "--force")
    assert "inside" in error_of(
        capsys, "compress", sources["zarr3"], sources["zarr3"] / "x.h5", "--tol", "1", "--force"
    )
    assert "--name" in error_of(capsys, "decompress", h5, tmp_path / "o.npy")
    (tmp_path / "junk.bin").write_bytes(b"not an array")
    assert "junk.bin" in error_of(capsys, "compress", tmp_path / "junk.bin", out, "--tol", "1")
    assert "junk.bin" in error_of(capsys, "inspect", tmp_path / "junk.bin")
    (tmp_path / "classic.nc").write_bytes(b"CDF\x01" + bytes(60))
    assert "nccopy" in error_of(capsys, "compress", tmp_path / "classic.nc", out, "--tol", "1")
    (tmp_path / "short.npy").write_bytes(npy.read_bytes()[:500])
    assert "short.npy" in error_of(capsys, "compress", tmp_path / "short.npy", out, "--tol", "1")
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    assert "object.npy" in error_of(capsys, "compress", tmp_path / "object.npy", out, "--tol", "1")
    (tmp_path / "cut.h5").write_bytes(h5.read_bytes()[:3000])
    assert "cut.h5" in error_of(capsys, "compress", tmp_path / "cut.h5", out, "--tol", "1")
    assert "COMMAND" in error_of(capsys)
    assert "frobnicate" in error_of(capsys, "frobnicate")
    np.save(tmp_path / "long.npy", np.zeros(3, np.longdouble))
    assert "float128" in error_of(capsys, "compress", tmp_path / "long.npy", out, "--tol", "1")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "classic.nc", "cut.h5", "junk.bin", "long.npy", "object.npy", "short.npy"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", WRITABLE)
def test_existing_output(sources, tmp_path, capsys, kind):
    out = tmp_path / f"out{SUFFIX[kind]}"
    args = ["compress", sources["npy"], out, "--format", kind, "-q"]
    assert run(*args, "--tol", "1") == 0
    before = load(out, kind)
    assert "exists" in error_of(capsys, *args, "--tol", "0")
    np.testing.assert_array_equal(*(next(iter(x.values()))[0] for x in (before, load(out, kind))))
    assert run(*args, "--tol", "0", "--force") == 0
    check_values(out, kind, 0, "temp")
    assert os.listdir(tmp_path) == [out.name]


def test_force_replaces_file_by_store_but_no_foreign_folder(sources, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    out.write_text("a file")
    assert run("compress", sources["npy"], out, "--tol", "1", "--force", "-q") == 0
    assert (out / "zarr.json").is_file()
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    assert "not a Zarr store" in error_of(
        capsys, "compress", sources["npy"], folder, "--format", "zarr3", "--tol", "1", "--force"
    )
    assert (folder / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("kind", ["zarr3", "hdf5", "npz"])
def test_failure_leaves_nothing(sources, tmp_path, capsys, monkeypatch, kind):
    from arraycodec.cli import hdf5file, numpyfiles, zarrstore

    sink = {"zarr3": zarrstore.ZarrSink, "hdf5": hdf5file.Hdf5Sink, "npz": numpyfiles.NpzSink}[kind]
    calls = []

    def fail(self, handle, box, values):
        calls.append(box)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "write", fail)
    out = tmp_path / f"out{SUFFIX[kind]}"
    out.write_text("old")
    command = ["decompress"] if kind == "npz" else ["compress", "--tol", "1"]
    assert "No space left" in error_of(capsys, *command, sources["npz" if kind == "npz" else "zarr2"], out, "--force")
    assert calls and os.listdir(tmp_path) == [out.name] and out.read_text() == "old"


SLOW = """
import signal, sys, time
from arraycodec.cli.{module} import {sink}
write = {sink}.write
def slow(self, *args):
    write(self, *args)
    print("writing", flush=True)
    time.sleep(30)
{sink}.write = slow
from arraycodec.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("kind, signum, status", [
    ("zarr3", signal.SIGINT, 130), ("hdf5", signal.SIGTERM, 143), ("zarr2", signal.SIGTERM, 143),
])  # fmt: skip
def test_signals_leave_nothing(sources, tmp_path, kind, signum, status):
    module, sink = ("hdf5file", "Hdf5Sink") if kind == "hdf5" else ("zarrstore", "ZarrSink")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(module=module, sink=sink),
         "compress", sources["npz"], tmp_path / f"out{SUFFIX[kind]}", "--format", kind, "--tol", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "writing\n"
        assert os.listdir(tmp_path)  # it is in the middle of writing
        process.send_signal(signum)
        _, err = process.communicate(timeout=20)
    assert process.returncode == status and "Traceback" not in err, err
    assert os.listdir(tmp_path) == []


def test_command_in_a_process(sources, tmp_path):
    command = [sys.executable, "-m", "arraycodec"]
    out = tmp_path / "out.h5"
    run_ = subprocess.run([*command, "compress", sources["npy"], out, "--tol", "1e-2", "-q"], capture_output=True)
    assert (run_.returncode, run_.stdout, run_.stderr) == (0, b"", b"")
    run_ = subprocess.run([*command, "compress", sources["npy"], out, "--tol", "1e-2"], capture_output=True, text=True)
    assert run_.returncode == 2 and run_.stderr.startswith("arraycodec: error: ") and run_.stdout == ""
    run_ = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert run_.returncode == 0 and run_.stdout == f"arraycodec {arraycodec.__version__}\n"
    # HDF5 alone, told where the plugin is, reads what the command wrote
    path = subprocess.run([*command, "plugin-path"], capture_output=True, text=True).stdout.strip()
    script = f"import h5py; print(h5py.File({str(out)!r})['data'][0, 0, 1])"
    run_ = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path,
                          env=os.environ | {"HDF5_PLUGIN_PATH": path})  # fmt: skip
    assert abs(float(run_.stdout) - ARRAYS["temp"][0, 0, 1]) <= 1e-2


def test_name_and_chunks(sources, tmp_path):
    out = tmp_path / "a.zarr"
    assert run("compress", sources["npy"], out, "--tol", "1", "--name", "x/y", "--chunks", "5x4x300", "-q") == 0
    assert load(out, "zarr3")["x/y"][1] == (5, 4, 300)
    out = tmp_path / "b.h5"
    assert run("compress", sources["zarr2"], out, "--tol", "0", "--name", "/sub/double", "--chunks", "7", "-q") == 0
    found = check_values(out, "hdf5", 0, "sub/double")
    assert found["sub/double"][1] == (7,)
    out = tmp_path / "c.h5"
    assert run("compress", sources["npy"], out, "--tol", "1", "--chunks", "2X400x7", "-q") == 0
    assert load(out, "hdf5")["data"][1] == (2, 20, 7)  # HDF5 has no chunks longer than the axis


@pytest.mark.parametrize("location", ["start", "end"])
def test_shards(tmp_path, capsys, location):
    a = field((10, 12), seed=9)
    source = tmp_path / "s.zarr"
    g = zarr.open_group(str(source), mode="w")
    z = g.create_array("x", shape=a.shape, dtype="f4", chunks=(2, 3), shards=(4, 6), fill_value=-5.0,
                       dimension_names=("y", None), chunk_key_encoding={"name": "v2", "separator": "/"})  # fmt: skip
    a[0:2, 0:3] = -5.0  # equal to the fill value: this chunk is not stored
    z[...] = a
    out = tmp_path / "o.zarr"
    assert run("compress", source, out, "--tol", TOL, "-q") == 0
    if location == "start":  # zarr's own writer of such an index
        shutil.rmtree(out)
        g = zarr.open_group(str(out), mode="w")
        from zarr.codecs import ShardingCodec

        z = g.create_array(
            "x", shape=a.shape, dtype="f4", chunks=(4, 6), fill_value=-5.0, compressors=None,
            dimension_names=("y", None), chunk_key_encoding={"name": "v2", "separator": "/"},
            serializer=ShardingCodec(chunk_shape=(2, 3), codecs=[AnsQuant(tol=TOL)], index_location="start"),
        )  # fmt: skip
        z[...] = a
    r = zarr.open_array(str(out / "x"), mode="r")
    assert (r.chunks, r.shards, r.fill_value) == ((2, 3), (4, 6), -5.0)
    assert r.metadata.dimension_names == ("y", None) and (out / "x/0/0").is_file()
    assert arraycodec.verify(a, r[...], TOL)
    capsys.readouterr()
    assert run("inspect", out, "--json", "--chunks") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "x" and entry["tol"] == [TOL] and entry["chunk_shape"] == [2, 3]
    assert entry["n_chunks"] == len(entry["chunks"]) == 19
    assert [0, 0] not in [c["corner"] for c in entry["chunks"]]
    assert all(c["shape"] == [2, 3] and c["bits_per_value"] > 0 for c in entry["chunks"])
    assert entry["bytes"] == sum(p.stat().st_size for p in out.glob("x/**/*") if p.is_file() and p.suffix != ".json")
    assert run("compress", source, tmp_path / "p.zarr", "--tol", TOL, "--chunks", "3x3") == 0
    assert "shards (4, 6)" in capsys.readouterr().err
    assert zarr.open_array(str(tmp_path / "p.zarr/x"), mode="r").shards is None


def test_v2_details_are_kept(tmp_path):
    a = np.asfortranarray(field((6, 8), ">f8"))
    source, out = tmp_path / "s.zarr", tmp_path / "o.zarr"
    z = zarr.create_array(str(source), shape=a.shape, dtype=a.dtype, chunks=(4, 4), zarr_format=2, order="F",
                          fill_value=np.nan, chunk_key_encoding={"name": "v2", "separator": "/"},
                          attributes={"_ARRAY_DIMENSIONS": ["y", "x"]})  # fmt: skip
    z[...] = a
    assert run("compress", source, out, "--tol", TOL, "--format", "zarr2", "-q") == 0
    metadata = json.loads((out / ".zarray").read_text())
    assert (metadata["order"], metadata["dtype"], metadata["fill_value"]) == ("F", ">f8", "NaN")
    assert metadata["dimension_separator"] == "/" and (out / "0/1").is_file()
    assert arraycodec.peek((out / "0/0").read_bytes()).order == "F"
    assert json.loads((out / ".zattrs").read_text()) == {"_ARRAY_DIMENSIONS": ["y", "x"]}
    assert run("verify", source, out, "--tol", TOL, "-q") == 0
    assert run("compress", out, tmp_path / "o3.zarr", "--tol", "0", "-q") == 0
    assert zarr.open_array(str(tmp_path / "o3.zarr"), mode="r").metadata.dimension_names == ("y", "x")
    assert run("decompress", out, tmp_path / "o.npy", "-q") == 0
    assert np.load(tmp_path / "o.npy").flags.f_contiguous


def test_attributes_that_do_not_fit(tmp_path, capsys):
    source = tmp_path / "s.zarr"
    odd = {"nested": {"a": 1}, "mixed": [1, "a"], "none": None, "huge": 2**70, "flags": [True, False], "nothing": []}
    zarr.create_array(str(source), shape=(3,), dtype="f4", chunks=(3,), attributes=odd)
    assert run("compress", source, tmp_path / "o.h5", "--tol", "0") == 0
    err = capsys.readouterr().err
    assert all(repr(n) in err for n in ("nested", "mixed", "none", "huge")) and err.count("warning") == 4
    with h5py.File(tmp_path / "o.h5", "a") as f:
        attrs = f["data"].attrs
        assert json.loads(attrs["nested"]) == {"a": 1} and attrs["flags"].tolist() == [True, False]
        attrs["complex"] = 1j
        attrs["bytes"] = np.bytes_("utf-8 é".encode())
        attrs["binary"] = np.bytes_(b"\xff\xfe")
        attrs["nan"] = np.float32("nan")
        attrs["empty"] = h5py.Empty("S1")
        attrs["ref"] = f["data"].ref
        attrs["matrix"] = np.eye(2, dtype="i8")
    assert run("compress", tmp_path / "o.h5", tmp_path / "o.zarr", "--tol", "0", "-q") == 0
    err = capsys.readouterr().err
    assert all(repr(n) in err for n in ("complex", "binary", "nan", "ref")) and err.count("warning") == 4
    attrs = zarr.open_array(str(tmp_path / "o.zarr/data"), mode="r").attrs.asdict()
    assert attrs["bytes"] == "utf-8 é" and attrs["matrix"] == [[1, 0], [0, 1]] and attrs["empty"] == ""
    assert attrs["nan"] == "NaN" and attrs["nothing"] == []
    assert run("decompress", tmp_path / "o.h5", tmp_path / "o.npz", "-q") == 0
    err = capsys.readouterr().err
    assert "'matrix'" in err and "'data'" in err


@pytest.mark.parametrize("out", ["out.nc", "out.zarr"])
def test_fill_values_stay_exact(tmp_path, capsys, out):
    """_FillValue and missing_value are compared for equality: they come back as they were."""
    netCDF4 = pytest.importorskip("netCDF4")
    x = field((40, 50))
    x[np.isnan(x)] = 0
    x[::3, ::4] = -9999
    with netCDF4.Dataset(tmp_path / "in.nc", "w") as f:
        f.createDimension("y", 40)
        f.createDimension("x", 50)
        f.createVariable("fill", "f4", ("y", "x"), fill_value=np.float32(-9999))[...] = x
        v = f.createVariable("missing", "f8", ("y", "x"))
        v.missing_value = -9999.0
        v[...] = x
    for tol in ("1e-3", "1", "0.07", "1e5"):
        assert run("compress", tmp_path / "in.nc", tmp_path / out, "--tol", tol, "--force", "-q") == 0
        err = capsys.readouterr().err
        assert err == "" or tol == "1e5" and "leaves little" in err
        assert run("inspect", tmp_path / out, "--json") == 0
        found = {e["name"]: e["tol"] for e in json.loads(capsys.readouterr().out) if "tol" in e}
        assert found == {"fill": [float(tol)], "missing": [float(tol)]}  # as it was given
        assert run("decompress", tmp_path / out, tmp_path / "back.npz", "--force", "-q") == 0
        capsys.readouterr()
        with np.load(tmp_path / "back.npz") as back:
            for name in ("fill", "missing"):
                assert np.array_equal(back[name] == -9999, x == -9999)
                assert np.abs(back[name].astype("f8") - x).max() <= float(tol)
        fill = ("--tol", tol, "--fill-value", "-9999")
        assert run("verify", tmp_path / "in.nc", tmp_path / "back.npz", *fill, "-q") == 0


def test_other_fill_values_lower_the_tolerance(tmp_path, capsys):
    x = np.append(np.linspace(0, 9, 998), [-1.7, 0.1]).astype("f4")
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["x"] = x
        f["x"].attrs["_FillValue"], f["x"].attrs["missing_value"] = np.float32(-1.7), np.float32(0.1)
    assert run("compress", tmp_path / "in.h5", tmp_path / "out.zarr", "--tol", "1", "-q") == 0
    assert "is coded with tol=0.05, so that its other fill values 0.1 stay exact" in capsys.readouterr().err
    back = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")["x"][...]
    assert np.array_equal(back[-2:], x[-2:]) and np.abs(back - x).max() <= 0.05
    with h5py.File(tmp_path / "in.h5", "a") as f:
        f["x"].attrs["missing_value"] = np.array([np.pi, np.e, np.sqrt(2), 0.1, 77.7], "f4")
    for how in (("--tol", "1"), ("--rtol", "0.1")):
        assert run("compress", tmp_path / "in.h5", tmp_path / "out.zarr", *how, "-q", "--force") == 0
        assert "'x' is kept exact" in capsys.readouterr().err
        assert np.array_equal(zarr.open_group(str(tmp_path / "out.zarr"), mode="r")["x"][...], x)


def test_zarr2_fill_values_are_missing_data_elsewhere_too(tmp_path, capsys):
    """xarray's convention for Zarr v2: the array's fill value is the attribute _FillValue."""
    x = field((20, 30))
    x[np.isnan(x)] = 0
    x[::3] = -9999
    z = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=x.shape, dtype="f4", zarr_format=2, fill_value=-9999.0,
        attributes={"_ARRAY_DIMENSIONS": ["y", "x"]},
    )  # fmt: skip
    z[...] = x
    assert run("compress", tmp_path / "in.zarr", tmp_path / "o.h5", "--tol", "1e-3", "-q") == 0
    with h5py.File(tmp_path / "o.h5") as f:
        assert f["data"].attrs["_FillValue"] == -9999
        assert np.array_equal(f["data"][...] == -9999, x == -9999)
    assert run("compress", tmp_path / "o.h5", tmp_path / "o.zarr", "--format", "zarr2", "--tol", "1e-3", "-q") == 0
    back = zarr.open_group(str(tmp_path / "o.zarr"), mode="r")["data"]
    assert back.fill_value == -9999


def codecs_of(path, capsys):
    """Name of an array to its line of `inspect`."""
    capsys.readouterr()
    assert run("inspect", path, "--json", "--chunks") == 0
    return {e["name"]: e for e in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("kind", HOSTS)
def test_every_type_is_coded(tmp_path, capsys, kind):
    rng = np.random.default_rng(0)
    arrays = {
        "f2": field((300,), "f2"), "f8": field((300,), "f8"), "c16": field((300,), "f8") * (1 + 2j),
        "c8": field((300,), "f4", 2) + 1j * field((300,), "f4", 3),
        "i2": rng.integers(-99, 99, 300).astype("i2"), "u8": rng.integers(0, 2**64, 300, "u8"),
        "bool": rng.random(300) < 0.3, "time": np.arange(300).astype("M8[s]"),
    }  # fmt: skip
    np.savez(tmp_path / "in.npz", **arrays)
    out = tmp_path / "out"
    assert run("compress", tmp_path / "in.npz", out, "--format", kind, "--tol", "0.01", "--rtol", "1e-3") == 0
    said = capsys.readouterr()
    assert "with tol=0.01, rtol=0.001" in said.out and "without loss" in said.out, said
    found = codecs_of(out, capsys)
    for name, entry in found.items():
        lossy = arrays[name].dtype.kind in "fc"
        assert entry["codec"].startswith("ansquant") or "ansquant" in entry["codec"], entry
        assert (entry["tol"], entry["rtol"] != [0.0]) == ([0.01 if lossy else 0.0], lossy), entry
    assert run("verify", tmp_path / "in.npz", out, "--tol", "0.01", "--rtol", "1e-3") == 0
    assert run("verify", tmp_path / "in.npz", out, "--tol", "0.001") == 1  # it is not nearer than that
    capsys.readouterr()
    assert run("inspect", out) == 0
    assert "tol 0.01, rtol 0.001" in capsys.readouterr().out
    assert run("decompress", out, tmp_path / "back.npz", "-q") == 0
    assert run("verify", out, tmp_path / "back.npz", "--tol", "0", "-q") == 0


@pytest.mark.parametrize("kind", HOSTS)
def test_relative_tolerance_alone(tmp_path, kind):
    x = np.exp(np.random.default_rng(0).normal(0, 9, 2000)).astype("f4")
    np.save(tmp_path / "x.npy", x)
    assert run("compress", tmp_path / "x.npy", tmp_path / "o", "--format", kind, "--rtol", "2^-10", "-q") == 0
    assert run("verify", tmp_path / "x.npy", tmp_path / "o", "--rtol", "2^-10", "-q") == 0
    assert run("verify", tmp_path / "x.npy", tmp_path / "o", "--rtol", "2^-12", "-q") == 1


@pytest.mark.parametrize("kind", HOSTS)
def test_integers_are_kept_unless_asked(tmp_path, capsys, kind):
    n = np.random.default_rng(0).integers(-1000, 1000, (40, 50)).astype("i4")
    n[::7] = -9999
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for name in ("counts", "flags", "masks", "place"):
            f[name] = n
        f["enum"] = np.array([0, 9], h5py.enum_dtype({"A": 0, "B": 9}))
        f["counts"].attrs["_FillValue"] = np.int32(-9999)
        f["counts"].attrs["coordinates"] = "place"
        f["flags"].attrs["flag_values"] = np.arange(3)
        f["masks"].attrs["flag_masks"] = np.arange(3)

    def changed(*how):
        out = tmp_path / "o"
        assert run("compress", tmp_path / "in.h5", out, "--format", kind, "--force", "-q", "--tol", "5.5", *how) == 0
        with h5py.File(tmp_path / "in.h5") as a:
            found = load(out, kind)
            different = {name for name in a if not np.array_equal(a[name][...], found[name][0])}
            back = found["counts"][0]
        assert np.array_equal(back == -9999, n == -9999) and np.abs(back - n).max() <= 5
        return different

    assert changed() == set()
    assert run("verify", tmp_path / "in.h5", tmp_path / "o", "--tol", "5") == 0
    assert changed("--lossy-integers") == {"counts"}
    assert run("verify", tmp_path / "in.h5", tmp_path / "o", "--tol", "5") == 1
    lossy = ("--tol", "5", "--lossy-integers", "--fill-value", "-9999")
    assert run("verify", tmp_path / "in.h5", tmp_path / "o", *lossy) == 0
    assert run("verify", tmp_path / "in.h5", tmp_path / "o", "--tol", "4", "--lossy-integers") == 1
    capsys.readouterr()
    assert run("compress", "--help") == 0
    assert "labels and counts must not change silently" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", HOSTS)
def test_bfloat16_in_uint16(tmp_path, capsys, kind):
    x = np.random.default_rng(0).normal(0, 5, 3000).astype("f4").view("u4") >> 16
    np.savez(tmp_path / "in.npz", w=x.astype("u2"), n=np.arange(3, dtype="u4"))
    how = ("--tol", "0.25", "--dtype", "bfloat16")
    out = tmp_path / "o"
    assert run("compress", tmp_path / "in.npz", out, "--format", kind, *how, "-q") == 0
    assert codecs_of(out, capsys)["w"]["chunks"][0]["dtype"] == "bfloat16"
    assert run("verify", tmp_path / "in.npz", out, *how) == 0
    assert "max error 0.25" in capsys.readouterr().out
    assert run("verify", tmp_path / "in.npz", out, "--tol", "0.25") == 1  # as whole numbers they must be equal
    assert run("decompress", out, tmp_path / "back.npz", "-q") == 0
    with np.load(tmp_path / "back.npz") as back:
        values = (back["w"].astype("u4") << 16).view("f4")
        assert back["w"].dtype == "u2" and np.abs(values - (x << 16).view("f4")).max() <= 0.25


def test_marks_of_missing_values():
    def marks(dtype, as_bfloat16=False, fill=None, **attrs):
        info = ArrayInfo("x", np.dtype(dtype), (4,), attrs=attrs, fill_value=fill)
        return marks_of(info, Job(None, None, 1.0, dtype="bfloat16" if as_bfloat16 else None))

    assert marks("f4", _FillValue=-9999.9, missing_value=np.float32(-9999.9), fill=0.0) == [float(np.float32(-9999.9))]
    assert marks("f4", _FillValue=np.nan, missing_value=[1e20, 1e300, -1.0]) == [float(np.float32(1e20)), -1.0]
    assert marks("f8", _FillValue="NaN", missing_value=True, fill=2**70) == [2.0**70]
    assert marks("i2", _FillValue=-9999, missing_value=[1e9, 2.5, 7.0, np.inf]) == [-9999, 7]
    assert marks("c8", _FillValue=1 + 2j) == [1 + 2j] and marks("f4", _FillValue=1 + 2j) == []
    assert marks("u2", as_bfloat16=True, _FillValue=0xC61C, missing_value=0x7FC0) == [-9984.0]
    assert marks("i8", fill=10**400) == []


def test_masks_and_edges_are_shown(tmp_path, capsys):
    x = np.random.default_rng(0).uniform(0, 1e5, 100_000).astype("f4")
    (tmp_path / "edges").write_bytes(arraycodec.encode(x, 0.1))
    x[::4] = np.nan  # a single run would be listed
    (tmp_path / "mask").write_bytes(arraycodec.encode(x, 0.1))
    assert run("inspect", tmp_path / "edges", "--chunks") == 0
    out = capsys.readouterr().out
    assert out.count(" edges)") == 2 and "masked" not in out
    assert run("inspect", tmp_path / "mask", "--chunks") == 0
    assert capsys.readouterr().out.count("25.0% masked") == 2


def test_what_cf_attributes_refer_to_stays_exact(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for name in ("data", "lat2d", "area", "time_bnds", "plain"):
            f[name] = np.random.default_rng(1).normal(size=(30, 40)).astype("f4")
        f["data"].attrs["coordinates"] = "lat2d elsewhere"
        f["data"].attrs["cell_measures"] = "area: area"
        f["plain"].attrs["bounds"] = "time_bnds"
    assert run("compress", tmp_path / "in.h5", tmp_path / "out.h5", "--tol", "0.1", "-q") == 0
    with h5py.File(tmp_path / "in.h5") as a, h5py.File(tmp_path / "out.h5") as b:
        exact = {name for name in a if np.array_equal(a[name][...], b[name][...])}
    assert exact == {"lat2d", "area", "time_bnds"}


def test_an_array_smaller_than_the_tolerance_is_reported(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.linspace(0, 1e-4, 1000, dtype="f4"))
    assert run("compress", tmp_path / "a.npy", tmp_path / "a.zarr", "--tol", "0.01") == 0
    assert "leaves little of it" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_consolidated_metadata_stays(tmp_path):
    for consolidated in (True, False):
        source, out = tmp_path / f"{consolidated}.zarr", tmp_path / f"out-{consolidated}.zarr"
        group = zarr.open_group(str(source), mode="w", zarr_format=3)
        group.create_array("x", shape=(4,), dtype="f4")[...] = 1.5
        if consolidated:
            zarr.consolidate_metadata(str(source))
        assert run("compress", source, out, "--tol", "0.1", "-q") == 0
        assert bool(json.loads((out / "zarr.json").read_text()).get("consolidated_metadata")) == consolidated


def test_a_damaged_chunk_is_named(tmp_path, capsys):
    np.save(tmp_path / "a.npy", field((40, 50)))
    assert run("compress", tmp_path / "a.npy", tmp_path / "a.zarr", "--tol", "0.01", "--chunks", "20x50", "-q") == 0
    chunk = tmp_path / "a.zarr" / "c" / "1" / "0"
    data = bytearray(chunk.read_bytes())
    data[-3] ^= 1
    chunk.write_bytes(data)
    assert run("decompress", tmp_path / "a.zarr", tmp_path / "b.npy", "-q") == 2
    err = capsys.readouterr().err
    assert "40" in err and "checksum" in err and not (tmp_path / "b.npy").exists()


def test_tolerances_that_keep_values():
    cases = (1e-3, [-9999.0], "f4"), (0.3, [1e5], "f4"), (1e-6, [-999.9, 0.0, np.nan], "f8"), (1.0, [1e20], "f4")
    for tol, values, dtype in cases:
        kept = keeping(tol, values, dtype)
        assert 0.999 * tol < kept <= tol
        probe = np.array([*values, 0.3 * tol, 7 * tol] * 50, dtype)
        back = arraycodec.decode(arraycodec.encode(probe, kept))
        n = len(values)
        assert np.array_equal(back[:n], probe[:n], equal_nan=True)
    assert keeping(0.25, [-9999.0, 3.5]) == 0.25
    with pytest.raises(ParameterError, match="keeps"):
        keeping(1.0, [0.1, 1 / 3, np.pi, 7.77], "f8")
    with pytest.raises(ParameterError):
        keeping(-1, [1.0])
    with pytest.raises(TypeError):
        keeping(1, [1.0], "i4")


def test_hdf5_structure_is_kept(tmp_path, capsys):
    source, out = tmp_path / "s.h5", tmp_path / "o.h5"
    values = field((6, 5), seed=3)
    with h5py.File(source, "w", track_order=True) as f:
        f.create_dataset("z", data=values, maxshape=(None, 5), chunks=(4, 5), shuffle=True, compression="gzip")
        f["a"] = h5py.SoftLink("/z")
        f["out"] = h5py.ExternalLink("other.h5", "/x")
        f["g/again"] = f["z"]
        f["g/loop"] = f["g"]
        f["type"] = np.dtype("f4")
        f["record"] = np.array([(1, 2.5)], [("i", "i4"), ("x", "f8")])
        f["ragged"] = np.array([np.arange(2), np.arange(3)], h5py.vlen_dtype("i4"))
        f["nothing"] = h5py.Empty("f4")
        f["enum"] = np.array([1, 0], h5py.enum_dtype({"A": 0, "B": 1}))
        f.create_dataset("grow", shape=(0, 4), maxshape=(None, 4), chunks=(2, 4), dtype="f8")
        f["z"].attrs.create("fixed", np.bytes_(b"abc"))
        f["z"].attrs["empty"] = h5py.Empty("S1")
    assert run("compress", source, out, "--tol", TOL, "-q") == 0
    assert capsys.readouterr().err == ""
    with h5py.File(out) as f:
        assert list(f) == ["z", "a", "out", "g", "type", "record", "ragged", "nothing", "enum", "grow"]
        assert f["z"].maxshape == (None, 5) and f["z"].chunks == (4, 5) and list(f["z"]._filters) == ["35117"]
        assert f.get("a", getlink=True).path == "/z"
        link = f.get("out", getlink=True)
        assert (link.filename, link.path) == ("other.h5", "/x")
        assert f["g/again"] == f["z"] and f["g/loop"] == f["g"]
        assert f["type"].dtype == "f4" and f["record"]["x"][0] == 2.5 and f["ragged"][1].tolist() == [0, 1, 2]
        assert f["nothing"].shape is None and h5py.check_enum_dtype(f["enum"].dtype) == {"A": 0, "B": 1}
        assert list(f["grow"]._filters) == ["35117"] and f["grow"].maxshape == (None, 4)
        assert f["z"].attrs["fixed"] == b"abc" and f["z"].attrs["empty"] == h5py.Empty("S1")
        assert arraycodec.verify(values, f["z"][...], TOL)
    assert run("verify", source, out, "--tol", TOL) == 0
    err = error_of(capsys, "compress", source, tmp_path / "o.zarr", "--tol", TOL, "--name", "ragged")
    assert "'ragged'" in err
    assert run("compress", source, tmp_path / "o.zarr", "--tol", TOL, "--name", "g/again", "-q") == 0
    with h5py.File(source, "a") as f:
        del f["ragged"], f["record"]
    assert run("compress", source, tmp_path / "p.zarr", "--tol", TOL, "-q") == 0
    err = capsys.readouterr().err
    assert all(repr(n) in err for n in ("a", "out", "g/loop", "type", "nothing"))


def test_every_dtype_goes_everywhere(tmp_path, capsys):
    record = np.array([(1, 2.0, (3, 4))], [("a", "i4"), ("b", "f8"), ("c", "i2", (2,))])
    np.savez(
        tmp_path / "s.npz", dt=np.array(["2020-01-01", "NaT"], "M8[s]"), td=np.array([1, 2], "m8[ns]"),
        S=np.array([b"ab", b"c"]), U=np.array(["xé", "y"]), rec=record[["a", "b"]].copy(), s0=np.array("text"),
        z=np.array(3), c0=np.array(1 + 2j), u8=np.array([2**63], "u8"), f0=np.zeros((0,), "f8"),
        be=np.arange(3, dtype=">i4"),
        many=np.ones((2, 2, 2, 2, 2), "f4"), f16=np.float16([1, np.nan]),
    )  # fmt: skip
    for middle in WRITABLE:
        mid = tmp_path / middle
        assert run("compress", tmp_path / "s.npz", mid, "--format", middle, "--tol", "0", "-q") == 0
        for last in SUFFIX:
            if last != "npy":
                end = tmp_path / f"{middle}.{last}"
                assert run("decompress", mid, end, "--format", last, "-q") == 0
                assert run("verify", tmp_path / "s.npz", end, "--tol", "0") == 0
        assert run("inspect", mid) == 0
    err = capsys.readouterr().err
    assert "'S': Zarr v3 has no specified form for |S2" in err and "site-packages" not in err
    with h5py.File(tmp_path / "r.h5", "w") as f:
        f["rec"], f["ld"] = record, np.zeros(3, np.longdouble)
    assert run("compress", tmp_path / "r.h5", tmp_path / "r2.h5", "--tol", "1", "-q") == 0
    assert run("verify", tmp_path / "r.h5", tmp_path / "r2.h5", "--tol", "1") == 0
    with h5py.File(tmp_path / "r2.h5", "a") as f:
        record["c"][0, 1] = 5
        f["rec"][...] = record
    assert run("verify", tmp_path / "r.h5", tmp_path / "r2.h5", "--tol", "1") == 1
    assert "rec: 1 values differ" in capsys.readouterr().out


def test_hdf5_things_with_no_copy(tmp_path, capsys):
    source, out = tmp_path / "s.h5", tmp_path / "o.h5"
    with h5py.File(source, "w") as f:
        f["part"] = np.arange(10.0)
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(f["part"])
        f.create_virtual_dataset("virtual", layout, fillvalue=-1)
        f["ref"] = f["part"].ref
        f["refs"] = np.array([[f["part"].ref, f["ref"].ref], [f.ref, h5py.Reference()]], h5py.ref_dtype)
        f["part"].attrs["to"] = f["ref"].ref
        f["part"].attrs.create("many", [f["ref"].ref, f["part"].ref], dtype=h5py.ref_dtype)
        f["region"] = f["part"].regionref[2:4]
        f["enum"] = np.array([1, 0], h5py.enum_dtype({"A": 0, "B": 1}))
        filled = f.create_dataset(
            "strings", (4,), h5py.string_dtype(), chunks=(2,), fillvalue="none", compression="gzip"
        )
        filled[:] = ["héllo", "", "a", "b"]
    assert run("compress", source, out, "--tol", TOL, "-q") == 0
    err = capsys.readouterr().err
    assert "'virtual': its values are in other files" in err and "'region' holds references" in err
    assert err.count("warning") == 2
    with h5py.File(out) as f:
        assert f[f["ref"][()]] == f["part"] and f[f["part"].attrs["to"]] == f["ref"]
        assert [f[r].name for r in f["part"].attrs["many"]] == ["/ref", "/part"]
        assert [[bool(r) and f[r].name for r in row] for row in f["refs"][...]] == [["/part", "/ref"], ["/", False]]
        assert not f["virtual"].is_virtual and abs(f["virtual"][...] - np.arange(10)).max() <= TOL
        strings = f["strings"]
        assert strings.asstr()[...].tolist() == ["héllo", "", "a", "b"]
        assert strings.fillvalue in (b"none", "none") and strings.compression == "gzip"
    assert run("compress", source, tmp_path / "part.h5", "--name", "part", "--tol", TOL, "-q") == 0
    assert "attribute 'to' of 'part': 1 references" in capsys.readouterr().err
    assert run("compress", source, tmp_path / "o.zarr", "--name", "enum", "--tol", TOL, "-q") == 0
    assert "'enum': its values are kept, their names are not: {'A': 0, 'B': 1}" in capsys.readouterr().err


@pytest.fixture
def netcdf(tmp_path):
    netCDF4 = pytest.importorskip("netCDF4")
    path = tmp_path / "n.nc"
    with netCDF4.Dataset(path, "w") as d:
        for name, length in (("time", None), ("y", 20), ("x", 30), ("two", 2)):
            d.createDimension(name, length)
        t = d.createVariable("time", "f8", ("time",))
        t.units = "days since 2000-01-01"
        v = d.createVariable("temp", "f4", ("time", "y", "x"), zlib=True, chunksizes=(2, 20, 30), fill_value=-9999.0)
        v.units, v.valid_range = "K", np.array([0, 400], "f4")
        d.createVariable("bounds", "f8", ("time", "two"))
        d.createVariable("names", str, ("y",))[:] = np.array([f"n{i}" for i in range(20)], object)
        d.createGroup("sub").createVariable("w", "f4", ("y", "x"))[:] = 1.5
        t[:] = np.arange(5) + 0.3
        v[:] = np.random.default_rng(1).random((5, 20, 30))
        d["bounds"][:] = 0
        d.title = "héllo"
        d.setncattr_string("words", ["a", "b"])
    return path


def test_netcdf(netcdf, tmp_path):
    import netCDF4

    out, back, store, again = (tmp_path / n for n in ("o.nc", "back.nc", "o.zarr", "again.nc"))
    assert run("compress", netcdf, out, "--tol", TOL, "-q") == 0
    assert run("decompress", out, back, "-q") == 0
    assert run("compress", netcdf, store, "--tol", TOL, "-q") == 0
    assert run("decompress", store, again, "-q") == 0
    with netCDF4.Dataset(netcdf) as a:
        for path in (out, back, again):
            with netCDF4.Dataset(path) as b:
                if path != again:
                    assert list(a.variables) == list(b.variables)
                    assert [(d.name, d.isunlimited()) for d in a.dimensions.values()] == [
                        (d.name, d.isunlimited()) for d in b.dimensions.values()
                    ]
                assert {n: len(d) for n, d in a.dimensions.items()} == {n: len(d) for n, d in b.dimensions.items()}
                for name, v in a.variables.items():
                    assert b[name].dimensions == v.dimensions
                    assert set(b[name].ncattrs()) == set(v.ncattrs())
                assert b["sub/w"].dimensions == ("y", "x")
                assert b.title == a.title and b.words == a.words and b["temp"].units == "K"
                assert (b["time"][:] == a["time"][:]).all()  # positions are not data: exact
                assert arraycodec.verify(a["temp"][:].data, b["temp"][:].data, TOL)
    g = zarr.open_group(str(store), mode="r")
    assert g["temp"].metadata.dimension_names == ("time", "y", "x") and g["temp"].fill_value == -9999
    assert sorted(g) == ["bounds", "names", "sub", "temp", "time"]
    for path in (out, back, store, again):
        assert run("verify", netcdf, path, "--tol", TOL, "-q") == 0


def test_ncdump(netcdf, tmp_path, tool):
    ncdump = tool("ncdump")
    out = tmp_path / "out" / "n.nc"
    out.parent.mkdir()
    assert run("compress", netcdf, out, "--tol", TOL, "-q") == 0
    environment = os.environ | {"HDF5_PLUGIN_PATH": arraycodec.hdf5.plugin_path()}

    def dump(path, *options):
        r = subprocess.run([ncdump, *options, path], env=environment, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return r.stdout

    assert dump(out, "-h") == dump(netcdf, "-h")
    assert "temp =" in dump(out, "-v", "temp")


def test_verify(sources, tmp_path, capsys):
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    x = field((30, 40))
    np.savez(a, x=x, n=np.arange(3))
    moved = x.copy()
    moved[3, 4] += 0.5
    moved[0, 0] = 0  # was NaN
    np.savez(b, x=moved, n=np.arange(3))
    assert run("verify", a, a, "--tol", "0") == 0
    capsys.readouterr()
    assert run("verify", a, b, "--tol", "1e-3") == 1
    out = capsys.readouterr().out
    assert "x: 2 violations (1 of them NaN or Inf), max error 0.5" in out and "FAILED: 1 of 2" in out
    assert run("verify", a, b, "--tol", "1e-3", "--name", "n") == 0
    assert run("verify", a, b, "--tol", "1e-3", "-q") == 1
    np.savez(b, x=x, n=np.array([0, 1, 5]))
    assert run("verify", a, b, "--tol", "1") == 1
    np.savez(b, x=x)
    assert run("verify", a, b, "--tol", "1") == 1
    assert "n: missing in the second" in capsys.readouterr().out
    np.savez(b, x=x[1:], n=np.arange(3))
    assert run("verify", a, b, "--tol", "1") == 1
    np.savez(b, x=x.astype("f8"), n=np.arange(3))
    assert run("verify", a, b, "--tol", "1") == 1
    np.save(tmp_path / "x.npy", x)
    assert run("compress", tmp_path / "x.npy", tmp_path / "x.h5", "--tol", "1e-3", "-q") == 0
    assert run("verify", tmp_path / "x.npy", tmp_path / "x.h5", "--tol", "1e-3") == 0
    assert run("verify", a, tmp_path / "x.h5", "--tol", "1e-3", "--name", "x") == 0
    assert run("verify", tmp_path / "x.npy", tmp_path / "x.h5", "--tol", "1e-9") == 1
    assert "'q'" in error_of(capsys, "verify", a, a, "--tol", "1", "--name", "q")


@pytest.mark.parametrize("kind", WRITABLE)
def test_inspect(sources, tmp_path, capsys, kind):
    out = tmp_path / "out"
    assert run("compress", sources["zarr3"], out, "--tol", TOL, "--format", kind, "-q") == 0
    assert run("inspect", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ARRAYS)
    line = next(text for text in lines if text.startswith("temp: "))
    assert "5x20x30, chunks 2x20x15" in line and "tol 0.000976562" in line and "predicted:6" in line
    assert run("inspect", out, "--json", "--chunks") == 0
    entries = {e["name"]: e for e in json.loads(capsys.readouterr().out)}
    assert set(entries) == set(ARRAYS)
    temp = entries["temp"]
    assert temp["n_chunks"] == 6 and temp["bytes"] == sum(c["bytes"] for c in temp["chunks"])
    assert temp["bits_per_value"] == pytest.approx(8 * temp["bytes"] / 3000)
    assert temp["ratio"] == pytest.approx(12000 / temp["bytes"])
    assert temp["chunks"][1] | {"corner": [0, 0, 15], "shape": [2, 20, 15], "mode": "predicted"} == temp["chunks"][1]
    assert "tol" not in entries["text"] and entries["text"]["codec"]
    assert entries["sub/deep/ints"]["tol"] == [0.0] and entries["sub/deep/ints"]["n_chunks"] == 4
    assert run("inspect", out, "--chunks") == 0
    assert sum(text.startswith("    [") for text in capsys.readouterr().out.splitlines()) >= 6 + 4 + 3


@pytest.mark.parametrize("kind", WRITABLE)
def test_levels(sources, tmp_path, capsys, kind):
    """The level goes into the metadata of every array that is coded, and from there to `inspect`."""
    out, other = tmp_path / "out", tmp_path / "other"
    assert run("compress", sources["hdf5"], out, "--tol", TOL, "--level", 9, "--format", kind, "-q") == 0
    found = check_values(out, kind, TOL)
    assert run("inspect", out, "--json") == 0
    entries = {e["name"]: e for e in json.loads(capsys.readouterr().out)}
    for name in ("temp", "sub/double", "sub/deep/ints", "complex"):
        assert entries[name]["level"] == 9, name
    assert "level" not in entries["text"]
    assert run("inspect", out) == 0
    (line,) = (text for text in capsys.readouterr().out.splitlines() if text.startswith("temp: "))
    assert "tol 0.000976562, level 9, blocks" in line
    if kind == "hdf5":
        with h5py.File(out) as f:
            assert hdf5.info(f["temp"])["level"] == hdf5.info(f["sub/deep/ints"])["level"] == 9
            first = f["temp"].id.read_direct_chunk((0, 0, 0))[1]
    else:
        first = (out / "temp" / ("0.0.0" if kind == "zarr2" else "c/0/0/0")).read_bytes()
    assert first == arraycodec.encode(ARRAYS["temp"][:2, :, :15], TOL, level=9)
    # without a level again: nothing moves, and none is said
    assert run("compress", out, other, "--tol", TOL, "--format", kind, "-q") == 0
    again = check_values(other, kind, TOL)
    for name in ("temp", "big", "sub/double"):
        np.testing.assert_array_equal(again[name][0], found[name][0])
    assert run("inspect", other) == 0
    assert "level" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", WRITABLE)
def test_predictors(sources, tmp_path, capsys, kind):
    """As levels."""
    out = tmp_path / "out"
    assert run("compress", sources["hdf5"], out, "--tol", TOL, "--predictor", "auto", "--format", kind, "-q") == 0
    check_values(out, kind, TOL)
    assert run("inspect", out, "--json") == 0
    entries = {e["name"]: e for e in json.loads(capsys.readouterr().out)}
    for name in ("temp", "sub/double", "sub/deep/ints", "complex"):
        assert entries[name]["predictor"] == "auto" and "level" not in entries[name], name
    assert "predictor" not in entries["text"]
    assert run("inspect", out) == 0
    (line,) = (text for text in capsys.readouterr().out.splitlines() if text.startswith("temp: "))
    assert "tol 0.000976562, predictor auto, blocks" in line
    if kind == "hdf5":
        with h5py.File(out) as f:
            assert hdf5.info(f["temp"])["predictor"] == hdf5.info(f["sub/deep/ints"])["predictor"] == "auto"
            first = f["temp"].id.read_direct_chunk((0, 0, 0))[1]
    else:
        first = (out / "temp" / ("0.0.0" if kind == "zarr2" else "c/0/0/0")).read_bytes()
    assert first == arraycodec.encode(ARRAYS["temp"][:2, :, :15], TOL, predictor="auto")


def test_inspect_predicted_blocks(tmp_path, capsys):
    x = sum(np.sin(i / 9) for i in np.indices((100, 120))).astype("f4")
    x[:20, :40] = np.nan
    (tmp_path / "c").write_bytes(arraycodec.encode(x, tol=TOL, predictor="auto"))
    assert run("inspect", tmp_path / "c", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["modes"] == {"predicted": 1} and entry["masked"] == 800
    assert run("inspect", tmp_path / "c", "--chunks") == 0
    text = capsys.readouterr().out
    assert "blocks predicted:1, 6.7% masked" in text and "predicted (1 blocks), 6.7% masked" in text


def test_inspect_through_other_codecs(tmp_path, capsys):
    a, q = field((50, 40)), AnsQuant(tol=TOL)
    sizes = {}
    zarr.create_array(str(tmp_path / "v2"), data=a, chunks=(25, 40), zarr_format=2, filters=[q], compressors="auto")
    zarr.create_array(str(tmp_path / "v3"), data=a, chunks=(25, 40), serializer=q, compressors="auto")
    with h5py.File(tmp_path / "h5", "w") as f:
        f.create_dataset("x", data=a, chunks=(25, 40), compression=q, fletcher32=True)
        f.create_dataset("raw", data=a, chunks=(25, 40), compression=q)
        f["raw"].id.write_direct_chunk((0, 0), a[:25].tobytes(), filter_mask=1)
    for name in ("v2", "v3", "h5"):
        assert run("inspect", tmp_path / name, "--json") == 0
        report = json.loads(capsys.readouterr().out)
        sizes[name] = report[-1]["bytes"]
        assert report[-1]["tol"] == [TOL] and report[-1]["modes"] == {"predicted": 2}
        if name == "h5":
            assert report[0]["modes"] == {"predicted": 1, "uncoded": 1}
    assert min(sizes.values()) > 0


def test_inspect_one_chunk(tmp_path, capsys):
    data = arraycodec.encode(field((30, 40)), tol=TOL)
    (tmp_path / "c").write_bytes(data)
    assert run("inspect", tmp_path / "c", "--chunks", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["shape"] == [30, 40] and entry["bytes"] == len(data) and len(entry["chunks"]) == 1
    assert entry["chunks"][0]["box"] is None
    (tmp_path / "c").write_bytes(data[:-9])
    assert "damaged" in error_of(capsys, "inspect", tmp_path / "c")
    (tmp_path / "c").write_bytes(arraycodec.encode(np.zeros((20, 30_000), "f4"), tol=TOL))
    assert run("inspect", tmp_path / "c", "--chunks") == 0
    assert "(4 blocks of 10x15000)" in capsys.readouterr().out
    assert run("inspect", tmp_path / "c", "--chunks", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["chunks"][0]["box"] == [10, 15_000]


def test_demo_with_a_file(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", w=field((64, 50)), n=np.arange(3))
    assert run("demo", tmp_path / "d.npz", "--tol", "1e-2", "--level", 1, "--dir", tmp_path / "kept") == 0
    out = capsys.readouterr().out
    assert out.count("0.01") >= 3 and "every bound held" in out and "violations" in out
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["w.hdf5.h5", "w.zarr2.zarr", "w.zarr3.zarr"]
    assert zarr.open_array(str(tmp_path / "kept/w.zarr3.zarr"), mode="r").serializer.config.level == 1
    assert run("demo", tmp_path / "d.npz", "--predictor", "lorenzo", "--dir", tmp_path / "other") == 0
    assert "every bound held" in capsys.readouterr().out
    assert zarr.open_array(str(tmp_path / "other/w.zarr3.zarr"), mode="r").serializer.config.predictor == "lorenzo"
    assert "kept" in error_of(capsys, "demo", tmp_path / "d.npz", "--dir", tmp_path / "kept")
    np.save(tmp_path / "i.npy", np.arange(3))
    assert "no array of floats" in error_of(capsys, "demo", tmp_path / "i.npy")


def test_samples_look_like_what_they_say():
    from arraycodec.cli import samples

    w = samples.vorticity(size=32, frames=4, steps=2)
    assert w.dtype == "f4" and w.shape == (4, 32, 32) and np.isfinite(w).all() and w.std() > 0.1
    p = samples.trained_weights(width=32, steps=5)
    assert p.dtype == "f4" and p.shape == (32, 32) and np.isfinite(p).all()


def test_missing_hosts_are_named(sources, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert "arraycodec[cli]" in error_of(capsys, "compress", sources["npy"], tmp_path / "o.zarr", "--tol", "1")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "arraycodec[cli]" in error_of(capsys, "compress", sources["npy"], tmp_path / "o.h5", "--tol", "1")
    assert os.listdir(tmp_path) == []


def test_progress_only_on_a_terminal(sources, tmp_path, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    args = ["compress", sources["npy"], tmp_path / "o.h5", "--tol", "1", "--force"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(*args) == 0
    assert "B/s" in capsys.readouterr().err
    assert run(*args, "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_large_arrays_move_in_parts(tmp_path, monkeypatch):
    from arraycodec.cli import numpyfiles

    sizes = []
    read = numpyfiles.NpySource.read

    def counted(self, info, box):
        values = read(self, info, box)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(numpyfiles.NpySource, "read", counted)
    np.save(tmp_path / "a.npy", np.zeros((40, 300, 300), "f4"))
    start = time.perf_counter()
    assert run("compress", tmp_path / "a.npy", tmp_path / "a.zarr", "--tol", "1", "-q") == 0
    assert len(sizes) > 2 and max(sizes) <= 2**20 and sum(sizes) == 3600000
    assert time.perf_counter() - start < 20
