"""The console command with the codecs beside AnsQuant: what it writes, describes, scans and compares."""

import json

import numpy as np
import pytest

from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, hdf5, inspect
from arraycodec.__main__ import main

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

TOL = 2.0**-7
HOSTS = ("zarr2", "zarr3", "hdf5")
SUFFIX = {"zarr2": ".zarr", "zarr3": ".zarr", "hdf5": ".h5"}


def field(m=240, n=320, noise=0.01, dtype="f4"):
    """Nearly of rank one."""
    x = np.sin(np.linspace(0, 9, m))[:, None] * np.cos(np.linspace(0, 7, n))
    return (x + noise * np.random.default_rng(0).normal(size=(m, n))).astype(dtype)


X = field()
CODECS = {
    "varint": VarintQuant(TOL),
    "stochastic": StochasticQuant(4, seed=3),
    "fixed": StochasticQuant(3, "max", None, "qsgd", packing="fixed", seed=4),
    "rank": LowRankQuant(rank=3),
    "error": LowRankQuant(rel_error=0.1),
    "tol": LowRankQuant(tol=TOL),
}


def run(*args):
    return main([str(a) for a in args])


def store(path, kind, codecs, **options):
    """X under the name of each codec, in chunks that do not divide it."""
    if kind == "hdf5":
        with h5py.File(path, "w") as f:
            for name, q in codecs.items():
                hdf5.write(f.create_dataset(name, X.shape, "f4", chunks=(120, 200), compression=q, **options), X)
        return
    group = zarr.open_group(path, mode="w", zarr_format=int(kind[-1]))
    for name, q in codecs.items():
        how = {"compressors": q} if kind == "zarr2" else {"serializer": q, "compressors": None, **options}
        group.create_array(name, shape=X.shape, dtype="f4", chunks=(120, 200), **how)[...] = X


@pytest.fixture(params=HOSTS)
def stored(request, tmp_path):
    """Path of a store of a kind with all codecs that the kind takes."""
    codecs = CODECS | ({} if request.param == "hdf5" else {"backend": VarintQuant(TOL, backend="bz2", level=7)})
    path = tmp_path / f"s{SUFFIX[request.param]}"
    store(path, request.param, codecs)
    return path


def lines_of(capsys, *args, status=0):
    capsys.readouterr()
    assert run(*args) == status
    said = capsys.readouterr()
    assert not said.err, said.err
    return said.out.splitlines()


def entries_of(capsys, path):
    """Name of an array to what `inspect --json --chunks` says of it."""
    return {e["name"]: e for e in json.loads("\n".join(lines_of(capsys, "inspect", path, "--json", "--chunks")))}


def test_inspect_stores(stored, capsys):
    lines = {line.partition(":")[0]: line for line in lines_of(capsys, "inspect", stored)}
    expected = {
        "varint": ("tol 0.0078125, blocks uniform (varints):4, 0 exceptions,",),
        "stochastic": ("largest error ", "method dither, bits 4, norm l2, bucket 512, packing rans, seed 3, blocks "
                       "stochastic:4, steps ", " + levels "),
        "fixed": ("method qsgd, bits 3, norm max, bucket all, packing fixed, blocks stochastic:4, ",),
        "rank": ("largest error ", "method svd, rank 3, blocks low rank:4, rows ", " + columns "),
        "error": ("largest error ", "rank 1, rel_error 0.1, blocks low rank:4, "),
        "tol": ("tol 0.0078125, method svd, rank 1, blocks low rank:", " + residual "),
        "backend": ("tol 0.0078125, backend bz2, level 7, blocks uniform (varints):4, 0 exceptions, ",
                    " bytes of varints compressed to "),
    }  # fmt: skip
    for name, line in lines.items():
        assert all(text in line for text in expected[name]), line
    entries = entries_of(capsys, stored)
    ids = {"rank": "lowrank", "error": "lowrank", "tol": "lowrank", "fixed": "stochastic", "backend": "varint"}
    for name, entry in entries.items():
        assert entry["codec"].removeprefix("arraycodec.") == ids.get(name, name) + "quant"
        assert entry["n_chunks"] == len(entry["chunks"]) == 4
    assert entries["rank"]["parameters"]["rank"] == 3 and entries["rank"]["details"]["rank"] == [3]
    assert entries["stochastic"]["parameters"]["seed"] == 3 and entries["stochastic"]["details"]["bits"] == [4]
    largest = [chunk["largest_error"] for chunk in entries["stochastic"]["chunks"]]
    assert entries["stochastic"]["largest_error"] == max(largest) and entries["stochastic"]["tol"] == []
    parts = [chunk["details"]["rows"] for chunk in entries["rank"]["chunks"]]
    assert entries["rank"]["details"]["rows"] == sum(parts)
    assert {chunk["tol"] for chunk in entries["tol"]["chunks"]} == {TOL}


def test_inspect_chunks_before_other_codecs(tmp_path, capsys):
    """Bits are those of the bytes that are stored."""
    zeros = zarr.create_array(
        str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, serializer=VarintQuant(TOL),
        compressors=zarr.codecs.ZstdCodec(),
    )  # fmt: skip
    zeros[...] = X
    (entry,) = entries_of(capsys, tmp_path / "z.zarr").values()
    (chunk,) = entry["chunks"]
    assert chunk["mode"] == "uniform (varints)" and chunk["bytes"] < chunk["coded_bytes"] == len(
        VarintQuant(TOL).encode(X)
    )
    assert chunk["bits_per_value"] == entry["bits_per_value"] == 8 * chunk["bytes"] / X.size
    (_, line) = lines_of(capsys, "inspect", tmp_path / "z.zarr", "--chunks")
    assert ", uniform (varints) (1 blocks), " in line
    assert line.endswith(f"{chunk['bytes']} bytes ({chunk['coded_bytes']} before the codecs that follow)")


@pytest.mark.parametrize(("q", "codec", "text"), [
    (VarintQuant(TOL), "varintquant", "uniform (varints)"),
    (VarintQuant(TOL, backend="lzma"), "varintquant", "uniform (varints) (1 blocks), backend lzma, "),
    (StochasticQuant(2), "stochasticquant", "bits 2, "), (LowRankQuant(rank=2), "lowrankquant", "rank 2, "),
    (AnsQuant(TOL), "ansquant", "predicted (1 blocks), 0 exceptions, "),
])  # fmt: skip
def test_inspect_and_scan_one_chunk(tmp_path, capsys, q, codec, text):
    chunk = q.encode(X)
    (tmp_path / "c").write_bytes(chunk)
    (entry,) = entries_of(capsys, tmp_path / "c").values()
    assert entry["codec"] == codec and entry["bytes"] == entry["chunks"][0]["coded_bytes"] == len(chunk)
    assert text in lines_of(capsys, "inspect", tmp_path / "c", "--chunks")[1]
    assert "is whole" in lines_of(capsys, "verify", "--scan", tmp_path / "c")[0]
    damaged = bytearray(chunk)
    damaged[-9] ^= 1
    (tmp_path / "c").write_bytes(damaged)
    assert lines_of(capsys, "verify", "--scan", tmp_path / "c", status=1)[0].startswith("BROKEN")


def test_scan_stores(stored, capsys):
    lines = lines_of(capsys, "verify", "--scan", stored)
    arrays = len(lines) - 1
    assert lines[-1] == f"ok: {4 * arrays} chunks of {arrays} arrays are whole"
    assert all(line.endswith(": 4 chunks, 0 broken") for line in lines[:-1]), lines


@pytest.mark.parametrize("name", [*CODECS, "backend"])
@pytest.mark.parametrize("kind", HOSTS)
def test_scan_finds_damage(tmp_path, capsys, kind, name):
    if kind == "hdf5" and name == "backend":
        pytest.skip("HDF5 has none")
    path = tmp_path / f"s{SUFFIX[kind]}"
    store(path, kind, {"x": (CODECS | {"backend": VarintQuant(TOL, backend="zlib")})[name]})
    if kind == "hdf5":
        with h5py.File(path) as f:
            place = f["x"].id.get_chunk_info_by_coord((120, 200))
            file, at = path, place.byte_offset + place.size - 9
    else:
        file, at = path / ("x/1.1" if kind == "zarr2" else "x/c/1/1"), -9
    data = bytearray(file.read_bytes())
    data[at] ^= 16
    file.write_bytes(data)
    lines = lines_of(capsys, "verify", "--scan", path, status=1)
    assert len(lines) == 3 and lines[0].startswith("BROKEN x: the chunk at [120,200]") and lines[1:] == [
        "x: 4 chunks, 1 broken", "FAILED: 1 of 4 chunks are broken"
    ]  # fmt: skip


def test_scan_finds_what_a_backend_cannot_undo(tmp_path, capsys):
    """Checksums of our own are right; what they protect is not."""
    from arraycodec import _core, backends

    chunk = VarintQuant(TOL).encode(X)
    q = VarintQuant(TOL, backend="bz2")
    compressed = bytearray(backends.BACKENDS["bz2"].compress(chunk, 9))
    compressed[100] ^= 1
    zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, serializer=q,
                      compressors=None)[...] = X  # fmt: skip
    broken = _core.wrap(chunk, 1, bytes(compressed))
    assert inspect(broken).details["backend"] == "bz2"
    (tmp_path / "z.zarr/c/0/0").write_bytes(broken)
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr", status=1)
    assert "bz2 cannot decompress a chunk" in lines[0]
    (tmp_path / "c").write_bytes(broken)
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "c", status=1)
    assert "bz2 cannot decompress a chunk" in lines[0]


def test_scan_names_the_order_of_values(tmp_path, capsys):
    """Zarr v2 takes the bytes of a chunk as they come."""
    array = zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4", chunks=X.shape, zarr_format=2,
                              order="F", compressors=AnsQuant(TOL))  # fmt: skip
    array[...] = X
    assert len(lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr")) == 2
    (tmp_path / "z.zarr/0.0").write_bytes(AnsQuant(TOL).encode(X))
    lines = lines_of(capsys, "verify", "--scan", tmp_path / "z.zarr", status=1)
    assert "its values are not in the array's order, F" in lines[0]


def test_decompress(stored, tmp_path, capsys):
    for out in ("o.npz", "o.h5", "o.zarr"):
        assert run("decompress", stored, tmp_path / out, "-q") == 0
        assert not capsys.readouterr().err
        assert run("verify", stored, tmp_path / out, "--tol", 0, "-q") == 0
        if out != "o.npz":
            assert not any("quant" in entry["codec"] for entry in entries_of(capsys, tmp_path / out).values())


# ---- compress ----
def error_of(capsys, *args):
    assert run(*args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def arrays(tmp_path):
    """A file with what all codecs take, and what they do not."""
    holes = X.copy()
    holes[3, 4] = np.nan
    np.savez(
        tmp_path / "in.npz", w=X, double=X.astype("f8"), big=X.astype(">f4"), half=X.astype("f2"), row=X[0],
        holes=holes, ints=np.arange(99), flags=X[:9] > 0, c=X[:9] + 1j * X[:9], empty=np.zeros((0, 3), "f4"),
    )  # fmt: skip
    return tmp_path / "in.npz"


FLOATS = {"w", "double", "big", "half"}


@pytest.mark.parametrize("kind", HOSTS)
@pytest.mark.parametrize(("options", "taken", "parameters"), [
    ("--codec varint --tol 2**-7", {*FLOATS, "row", "holes", "c"}, {"tol": TOL}),
    ("--codec varint --tol 2**-7 --backend lzma --level 3", {*FLOATS, "row", "holes", "c"},
     {"tol": TOL, "backend": "lzma", "level": 3}),
    ("--codec stochastic --seed 1", {*FLOATS, "row"}, {"bits": 4, "norm": "l2", "bucket": 512, "seed": 1}),
    ("--codec stochastic --bits 6 --norm max --bucket all --method qsgd --packing fixed --seed 2", {*FLOATS, "row"},
     {"bits": 6, "norm": "max", "bucket": None, "method": "qsgd", "packing": "fixed", "seed": 2}),
    ("--codec lowrank --rank 3", FLOATS, {"rank": 3}),
    ("--codec lowrank --rel-error 2**-5 --level 2 --seed 4", FLOATS, {"rel_error": 2**-5, "level": 2, "seed": 4}),
    ("--codec lowrank --bits-per-value 0.5", FLOATS, {"bits_per_value": 0.5}),
    ("--codec lowrank --rank 2 --method lplr --factor-bits 4,9", FLOATS, {"method": "lplr", "bits": [4, 9]}),
    ("--codec lowrank --tol 2**-7", {*FLOATS, "holes"}, {"tol": TOL}),
])  # fmt: skip
def test_compress(arrays, tmp_path, capsys, kind, options, taken, parameters):
    out, source = tmp_path / "out", np.load(arrays)
    if kind == "hdf5" and "--backend" in options:
        assert "--backend lzma is for Zarr" in error_of(
            capsys, "compress", arrays, out, "--format", kind, *options.split()
        )
        return
    assert run("compress", arrays, out, "--format", kind, *options.split()) == 0
    said = capsys.readouterr()
    codec = options.split()[1] + "quant"
    entries = entries_of(capsys, out)
    for name in taken:
        assert entries[name]["codec"].removeprefix("arraycodec.") == codec, name
        assert parameters.items() <= entries[name]["parameters"].items(), name
    for name in {"row", "holes", "c", "ints", "flags"} - taken:
        entry = entries[name]
        assert entry["codec"].removeprefix("arraycodec.") == ("varintquant" if "varint" in codec else "ansquant")
        assert entry["tol"] == [TOL if "--tol" in options and name in ("row", "c") else 0], name
    measured = [line for line in said.out.splitlines() if "relative error" in line]
    assert len(measured) == (0 if "varint" in codec else len(taken)), said.out
    warned = {name for name in ("row", "holes", "c") if f"warning: '{name}' is " in said.err}
    assert warned == {"row", "holes", "c"} - taken
    summary = said.out.splitlines()[-1]
    assert " without loss" in summary and ("by AnsQuant" in summary) == ("varint" not in codec)
    back = tmp_path / "back.npz"
    assert run("decompress", out, back, "-q") == 0
    decoded = np.load(back)
    for name in FLOATS & taken:
        x, y = source[name].astype("f8"), decoded[name].astype("f8")
        error = np.linalg.norm(x - y) / np.linalg.norm(x)
        if measured:
            (line,) = (line for line in measured if line.startswith(f"'{name}'"))
            assert f"relative error {error:.4g} (Frobenius), largest error {np.abs(x - y).max():.6g}" in line
            assert f"{entries[name]['bits_per_value']:.3f} bits per value" in line
        if "--tol" in options:
            assert np.abs(x - y).max() <= TOL
        assert error <= parameters.get("rel_error", 1)
    for name in {"ints", "flags"}:
        assert np.array_equal(source[name], decoded[name])
    assert lines_of(capsys, "verify", "--scan", out)[-1].startswith("ok: ")
    assert lines_of(capsys, "verify", arrays, out)[-1] == f"ok: 10 arrays within what the chunks of {out} say"


def test_options_of_other_codecs_are_refused(tmp_path, capsys):
    np.save(tmp_path / "w.npy", X)
    for options, text in {
        "--codec stochastic --tol 1 --rtol 0.1 --predictor none --lossy-integers":
            "--codec stochastic has no --tol, --rtol, --lossy-integers, --predictor; it takes --bits, --norm, ",
        "--codec stochastic --level 3": "has no --level",
        "--codec stochastic --fill-value 0": "has no --fill-value",
        "--codec lowrank --bits 3 --tol 1": "--codec lowrank has no --bits; it takes --rank, ",
        "--codec lowrank --rtol 0.1 --tol 1": "has no --rtol",
        "--codec varint --tol 1 --predictor none": "--codec varint has no --predictor",
        "--codec varint --tol 1 --seed 0": "has no --seed",
        "--tol 0 --backend bz2": "--codec ansquant has no --backend; it takes --tol, ",
        "--codec varint": "compress needs a tolerance: --tol",
        "--codec varint --tol 1 --level 3": "level=3 is a backend's",
        "--codec varint --tol 1 --backend zstd --level 23": "level of zstd must be 1 to 22, not 23",
        "--codec varint --tol 1 --backend rar": "'rar'",
        "--codec lowrank": "needs --rank, --bits-per-value, --rel-error or --tol",
        "--codec lowrank --tol 0": "tol must be positive, not 0",
        "--codec lowrank --rank 3 --rel-error 0.1": "not rank=3 and rel_error=0.1",
        "--codec lowrank --rank 3 --method qsgd": "not 'qsgd'",
        "--codec lowrank --rank 3 --factor-bits 8": "not '8'",
        "--codec lowrank --rank 3 --level 10": "not '10'",
        "--codec lowrank --rel-error 1e-9": "cannot code the array: rel_error=1e-09 cannot be reached",
        "--codec stochastic --bits 10": "bits must be 1 to 9, not 10",
        "--codec stochastic --bucket some": "not 'some'",
        "--codec wavelets": "'wavelets'",
    }.items():  # fmt: skip
        assert text in error_of(capsys, "compress", tmp_path / "w.npy", tmp_path / "o.zarr", *options.split()), options
        assert not (tmp_path / "o.zarr").exists()


@pytest.mark.parametrize("kind", HOSTS)
@pytest.mark.parametrize("codec", ["stochastic", "lowrank"])
def test_missing_values_stay_what_they_are(tmp_path, capsys, kind, codec):
    """Codecs that have no way to keep them do not get their arrays, nor chunks that would be padded with them."""
    marked = X.copy()
    marked[5, :7] = -9999
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for name, x, chunks, fill in (
            ("marked", marked, (240, 320), -9999), ("padded", X, (100, 320), np.nan), ("whole", X, (120, 160), np.nan)
        ):  # fmt: skip
            f.create_dataset(name, data=x, chunks=chunks, fillvalue=fill)
    options = ["--codec", codec] + (["--rank", 2] if codec == "lowrank" else [])
    assert run("compress", tmp_path / "in.h5", tmp_path / "o", "--format", kind, *options, "-q") == 0
    err = capsys.readouterr().err
    assert "'marked' is kept exact: 7 of its values stand for missing ones (-9999)" in err
    assert "'padded' is kept exact: chunks (100, 320) end beyond shape (240, 320), in fill values nan" in err
    entries = entries_of(capsys, tmp_path / "o")
    assert [entries[n]["largest_error"] is None for n in ("marked", "padded", "whole")] == [True, True, False]
    if codec == "lowrank":
        assert run("compress", tmp_path / "in.h5", tmp_path / "o", "--format", kind, "--codec", codec, "--tol", TOL,
                   "-q", "--force") == 0  # fmt: skip
        assert "'marked' is coded by AnsQuant" in capsys.readouterr().err
        assert run("verify", tmp_path / "in.h5", tmp_path / "o", "--tol", TOL, "--fill-value", -9999, "-q") == 0


def test_chunks_of_matrices_are_large(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((3, 1000, 2000), "f4"))
    options = ("--codec", "lowrank", "--rank", 1, "--row-axes", 2)
    assert run("compress", tmp_path / "x.npy", tmp_path / "o.zarr", *options) == 0
    (entry,) = entries_of(capsys, tmp_path / "o.zarr").values()
    assert entry["chunk_shape"] == [3, 500, 2000]


def test_order_of_zarr2(tmp_path, capsys):
    """Products are in C order, whatever the source has."""
    source = zarr.create_array(str(tmp_path / "in.zarr"), shape=X.shape, dtype="f4", zarr_format=2, order="F")
    source[...] = X
    for options in (("lowrank", "--rank", 2), ("stochastic", "--seed", 0)):
        out = tmp_path / f"{options[0]}.zarr"
        assert run("compress", tmp_path / "in.zarr", out, "--format", "zarr2", "-q", "--codec", *options) == 0
        assert run("verify", tmp_path / "in.zarr", out, "-q") == 0
        assert run("verify", "--scan", out, "-q") == 0


def test_errors_add_up(tmp_path, capsys):
    np.save(tmp_path / "w.npy", X)
    assert run("compress", tmp_path / "w.npy", tmp_path / "1.zarr", "--codec", "stochastic", "-q") == 0
    assert run("compress", tmp_path / "1.zarr", tmp_path / "2.h5", "--codec", "lowrank", "--rank", 9, "-q") == 0
    assert "was already coded with stochasticquant; the errors add up" in capsys.readouterr().err
    assert run("compress", tmp_path / "2.h5", tmp_path / "3.zarr", "--codec", "varint", "--tol", 1e-3, "-q") == 0
    assert "was already coded with lowrankquant; the errors add up" in capsys.readouterr().err
    assert run("compress", tmp_path / "3.zarr", tmp_path / "4.zarr", "--tol", 1e-3, "-q") == 0
    assert "was already coded with tol=0.001; the errors add up" in capsys.readouterr().err


@pytest.mark.parametrize("kind", HOSTS)
@pytest.mark.parametrize("codec", ["ansquant", "varint"])
def test_the_fill_value_of_a_codec_is_kept(tmp_path, capsys, kind, codec):
    """That of what IN was coded with, unless another one is given."""
    x = X.copy()
    x[::3] = -0.7
    x[1] = 0.3
    path = tmp_path / f"in{SUFFIX[kind]}"
    q = AnsQuant(TOL, fill_value=-0.7)
    if kind == "hdf5":
        with h5py.File(path, "w") as f:
            f.create_dataset("x", data=x, chunks=x.shape, compression=q)
    else:
        how = {"serializer": q, "compressors": None} if kind == "zarr3" else {"compressors": q}
        group = zarr.open_group(path, mode="w", zarr_format=int(kind[-1]))
        group.create_array("x", shape=x.shape, dtype="f4", chunks=x.shape, **how)[...] = x
    for target in HOSTS:
        for given, fill in (((), -0.7), (("--fill-value", 0.3), 0.3)):
            out = tmp_path / f"{target}{len(given)}"
            command = ("compress", path, out, "--format", target, "--codec", codec, "--tol", 0.1, "-q", *given)
            assert run(*command) == 0
            entries = entries_of(capsys, out)
            assert entries["x"]["parameters"]["fill_value"] == pytest.approx(fill), (target, given)
            assert run("verify", path, out, "--tol", 0.1, "--fill-value", fill, "-q") == 0
            assert run("verify", path, out, "-q") == 0


# ---- verify without a tolerance ----
def test_verify_by_what_chunks_say(stored, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", **dict.fromkeys((*CODECS, "backend") if "zarr" in stored.suffix else CODECS, X))
    lines = lines_of(capsys, "verify", tmp_path / "x.npz", stored)
    assert lines[-1].endswith(f"within what the chunks of {stored} say")
    assert all(": 0 violations, max error " in line for line in lines[:-1])
    wrong = X.copy()
    wrong[0, 0] += 9
    np.savez(tmp_path / "y.npz", **dict.fromkeys((*CODECS, "backend") if "zarr" in stored.suffix else CODECS, wrong))
    lines = lines_of(capsys, "verify", tmp_path / "y.npz", stored, status=1)
    assert all(": 1 violations, max error " in line for line in lines[:-1])


def test_verify_needs_something_that_says_a_tolerance(tmp_path, capsys):
    np.save(tmp_path / "w.npy", X)
    assert "no chunks of" in error_of(capsys, "verify", tmp_path / "w.npy", tmp_path / "w.npy")
    zarr.create_array(str(tmp_path / "z.zarr"), shape=X.shape, dtype="f4")[...] = X
    assert "--rtol R" in error_of(capsys, "verify", tmp_path / "w.npy", tmp_path / "z.zarr")
    assert "needs a tolerance" in error_of(
        capsys, "verify", tmp_path / "w.npy", tmp_path / "z.zarr", "--fill-value", "1"
    )


def test_verify_where_parts_are_not_stored(tmp_path, capsys):
    """They are the fill value, exactly; and other codecs before ours have other units."""
    x = X.copy()
    x[120:] = 0
    group = zarr.open_group(tmp_path / "z.zarr", mode="w", zarr_format=2)
    group.create_array("x", shape=x.shape, dtype="f4", chunks=(120, 320), compressors=AnsQuant(TOL))[:120] = x[:120]
    np.savez(tmp_path / "x.npz", x=x)
    assert lines_of(capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr")
    x[200, 3] = TOL / 2
    np.savez(tmp_path / "x.npz", x=x)
    assert ": 1 violations" in lines_of(capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr", status=1)[0]
    import numcodecs

    group.create_array("y", shape=x.shape, dtype="f4", chunks=x.shape, compressors=AnsQuant(TOL),
                       filters=[numcodecs.FixedScaleOffset(0, 10, "f4", "f4")])[...] = x  # fmt: skip
    assert "y: other codecs change what ours is given" in error_of(
        capsys, "verify", tmp_path / "x.npz", tmp_path / "z.zarr"
    )
