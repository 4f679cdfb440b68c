"""Zarr v2 stores through netCDF's NCZarr: netCDF4-python with the plugin, and what the plugin makes of JSON."""

import ctypes
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from native import ROOT, compile_all, link, run
from programs import need_netcdf4, python

from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, encode, hdf5, verify

X = np.random.default_rng(0).normal(size=(50, 70)).astype("f4")
WORDS = {  # codecs whose parameters are items of the filter
    "ans": AnsQuant(tol=2**-10),
    "relative": AnsQuant(rtol=0.01),
    "both": AnsQuant(0.1, 0.01, level=3, predictor="interpolation"),
    "fill": AnsQuant(1e-3, fill_value=-9999.0),
    "integer": AnsQuant(tol=3, fill_value=2**63 - 1),
    "negative": AnsQuant(tol=3, fill_value=-(2**63)),
    "complex": AnsQuant(tol=3, fill_value=1 - 2.5j),
    "bfloat16": AnsQuant(tol=0.5, dtype="bfloat16", level=9, predictor="linear"),
    "lossless": AnsQuant(tol=0),
    "tiny": AnsQuant(tol=5e-324, fill_value=-1.7976931348623157e308),
    "varint": VarintQuant(tol=2**-10),
    "varint fill": VarintQuant(2**-10, 0.25, fill_value=-1e30),
    "seed": StochasticQuant(4, seed=2**64 - 1),
    "stochastic": StochasticQuant(9, "max", None, method="qsgd", packing="fixed", seed=0),
    "bucket": StochasticQuant(1, bucket=2**32 - 1, seed=7),
    "rank": LowRankQuant(5),
    "low": LowRankQuant(bits_per_value=0.75, row_axes=2, level=4, seed=2**64 - 1),
    "lplr": LowRankQuant(7, method="lplr", bits=(3, 16)),
    "error": LowRankQuant(rel_error=1e-3, method="svd"),
    "within": LowRankQuant(tol=0.1, rank=3),
}
TEXTS = {  # those that are not
    "backend": VarintQuant(tol=2**-10, backend="bz2", level=9),
    "unseeded": StochasticQuant(4),
}


class Codec(ctypes.Structure):
    """`NCZ_codec_t` of netcdf_filter_build.h."""

    _fields_ = [
        ("version", ctypes.c_int), ("sort", ctypes.c_int), ("id", ctypes.c_char_p), ("filter", ctypes.c_uint),
        ("initialize", ctypes.c_void_p), ("finalize", ctypes.c_void_p),
        ("codec_to_hdf5", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t),
                                           ctypes.POINTER(ctypes.POINTER(ctypes.c_uint)))),
        ("hdf5_to_codec", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint),
                                           ctypes.POINTER(ctypes.c_char_p))),
        ("modify_parameters", ctypes.c_void_p),
    ]  # fmt: skip


def library(name):
    stem, suffix = os.path.splitext(hdf5._PLUGIN)
    path = os.path.join(hdf5.plugin_path(), f"{stem}_{name}{suffix}" if name else hdf5._PLUGIN)
    plugin = ctypes.CDLL(path)
    plugin.NCZ_get_codec_info.restype = ctypes.POINTER(Codec)
    plugin.H5PLget_plugin_info.restype = ctypes.POINTER(ctypes.c_int * 2)
    return plugin


@pytest.fixture(scope="module")
def codec():
    return library("").NCZ_get_codec_info().contents


def values_of(codec, text):
    n, values = ctypes.c_size_t(), ctypes.POINTER(ctypes.c_uint)()
    if codec.codec_to_hdf5(text.encode(), ctypes.byref(n), ctypes.byref(values)):
        return None
    return tuple(values[: n.value]) if n.value else ()


def json_of(codec, values):
    text = ctypes.c_char_p()
    if codec.hdf5_to_codec(len(values), (ctypes.c_uint * len(values))(*values), ctypes.byref(text)):
        return None
    return text.value.decode()


def codec_of(text):
    config = json.loads(text)
    kinds = {kind.codec_id: kind for kind in (AnsQuant, VarintQuant, StochasticQuant, LowRankQuant)}
    return kinds[config.pop("id")](**config)


# ---- JSON and values ----
def test_the_four_libraries():
    """Each has a name and a number of its own, and the functions of the first."""
    first = library("").NCZ_get_codec_info().contents
    assert (first.id, first.filter) == (b"ansquant", hdf5.FILTER_ID)
    for i, name in enumerate(("varintquant", "stochasticquant", "lowrankquant"), 1):
        other = library(name)
        info = other.NCZ_get_codec_info().contents
        assert (info.version, info.sort, info.id, info.filter) == (1, 1, name.encode(), hdf5.FILTER_ID + i)
        assert tuple(other.H5PLget_plugin_info().contents) == (1, info.filter)
        assert json_of(info, (2, 3)) == json_of(first, (2, 3)) == '{"id": "ansquant", "tol": 0.125}'
        assert info.modify_parameters == first.modify_parameters


def test_a_library_without_the_plugin_beside_it(tmp_path):
    stem, suffix = os.path.splitext(hdf5._PLUGIN)
    shutil.copy(os.path.join(hdf5.plugin_path(), f"{stem}_varintquant{suffix}"), tmp_path / "alone.so")
    alone = ctypes.CDLL(str(tmp_path / "alone.so"))
    alone.NCZ_get_codec_info.restype = ctypes.POINTER(Codec)
    info = alone.NCZ_get_codec_info().contents
    assert info.id == b"varintquant" and values_of(info, '{"id": "varintquant"}') is None and json_of(info, ()) is None


@pytest.mark.parametrize("name", WORDS)
def test_parameters_are_items(codec, name):
    q = WORDS[name]
    values = values_of(codec, json.dumps(q.get_config()))
    items = hdf5.read_items(values)
    assert items == hdf5.read_items(q.filter_options)
    assert codec_of(json_of(codec, values)) == q == codec_of(json_of(codec, q.filter_options))


@pytest.mark.parametrize("name", TEXTS)
def test_parameters_without_items_are_kept_word_for_word(codec, name):
    for text in (json.dumps(TEXTS[name].get_config()), json.dumps(TEXTS[name].get_config(), indent=3)):
        values = values_of(codec, text)
        assert values[0] == 0 and json_of(codec, values) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "ansquant", "tol": 1, "later": 5}', '{"id": "ansquant", "tol": "1"}', '{"id": "ansquant", "tol": -1}',
        '{"id": "ansquant", "tol": 1e999}', '{"id": "ansquant", "tol": NaN}', '{"id": "ansquant", "rtol": 1.5}',
        '{"id": "ansquant", "level": 10}', '{"id": "ansquant", "level": 2.5}', '{"id": "ansquant", "level": -1}',
        '{"id": "ansquant", "predictor": "best"}', '{"id": "ansquant", "tol": 1, "dtype": "float8"}',
        '{"id": "ansquant", "tol": 1, "tol": 2}', '{"id": "ansquant", "fill_value": [1, 2, 3]}',
        '{"id": "ansquant", "fill_value": [1, "2"]}', '{"id": "ansquant", "to\\u006c": 1}',
        '{"id": "ansquant", "tol": {"a": [1, {"b": null}]}}', '{"id": "stochasticquant", "bits": 10, "seed": 1}',
        '{"id": "stochasticquant", "seed": 1}', '{"id": "stochasticquant", "bits": 4, "seed": 18446744073709551616}',
        '{"id": "stochasticquant", "bits": 4, "seed": 1, "norm": "l1"}', '{"id": "lowrankquant", "rank": 5.5}',
        '{"id": "lowrankquant", "rank": 5, "rel_error": 0.1}', '{"id": "lowrankquant", "rank": 5, "bits": [8, 9]}',
        '{"id": "lowrankquant", "rank": 5, "method": "lsvd", "bits": [8, 99]}',
        '{"id": "ansquant", "tol": 0.' + 80 * "1" + "}", '{"id": "ansquant", "' + 80 * "k" + '": 1}',
        '{"id": "ansquant", ' + ", ".join(f'"{i}": {i}' for i in range(40)) + "}",
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_kept(codec, text):
    """Chunks are read then; and metadata that netCDF writes again are the same."""
    values = values_of(codec, text)
    assert values[0] == 0 and json_of(codec, values) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "[]", "null", "5", '"ansquant"', '{"id": 5}', '{"id": "zlib"}', '{"id": null}', '{"tol": 1}',
        '{"id": "ansquant"', '{"id": "ansquant"} x', '{"id": "ansquant",}', '{"id" "ansquant"}', '{"id": "ansquant}',
        '{"id": "ansquant", "tol": .5}', '{"id": "ansquant", "tol": 00.5}',
        '{"id": "ansquant", "tol": 1.}', '{"id": "ansquant", "tol": 1e}',
        '{"id": "ansquant", "tol": +1}', '{"id": "ansquant", "tol": -}', '{"id": "ansquant", "x": [1, 2}',
        '{"id": "ansquant", "x": [1 2]}', '{"id": "ansquant", "x": ' + 40 * "[" + 40 * "]" + "}",
        '{"id": "ansquant\n"}',
        '{"id": "ansquant\\', '{id: "ansquant"}', '{"id": "ansquant", "x": "' + 70000 * "y" + '"}',
    ],
)  # fmt: skip
def test_what_is_no_json_of_ours(codec, text):
    assert values_of(codec, text) is None


@pytest.mark.parametrize(
    "values",
    [
        (0,), (0, 1), (0, 5, 1), (0, 1 << 31), (0, 4, 0x20202020), (77,), (2,), (2, 3, 2, 3), (2, 3, 8, 1, 5),
        (1, 0, 0x7FF80000), (0, 8, 0x3A226922, 0x7B7B7B7B), (18, 0, 0, 0, 0, 0, 0), (2, 3, 8, 1, 5, 10, 99, 0),
    ],
)  # fmt: skip
def test_values_that_are_none_of_ours(codec, values):
    assert json_of(codec, values) is None


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("i1", -128), (">i2", -9999), ("u8", 2**64 - 1), ("i8", -(2**63)), ("f2", -999.5), ("f4", 0.1), ("f8", 1e300),
     ("c8", 1 - 2j), ("c16", 0.1 + 3j)],
)  # fmt: skip
def test_values_of_hdf5_datasets(codec, tmp_path, dtype, fill):
    """As nccopy takes them from a netCDF-4 file: fill values by their bits, and item 10."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("x", (4,), dtype, chunks=(4,), compression=AnsQuant(tol=3, fill_value=fill))
        found = codec_of(json_of(codec, hdf5.info(d)["cd_values"]))
    assert found == AnsQuant(tol=3, fill_value=np.array(fill).astype(dtype).item())


@pytest.fixture(scope="module")
def program(sanitizing):
    compiler, flags, folder = sanitizing
    return link(compile_all([ROOT / "tests/ncz.c"], folder, compiler, *flags), folder / "ncz", compiler, *flags)


def replay(program, lines, **environment):
    out = run(program, input="\n".join(lines) + "\n", env={**os.environ, **environment}).split("\n")
    assert len(out) == len(lines) + 1
    return out[:-1]


def test_any_json(program):
    """Damaged in every way: refused, or something that comes back."""
    rng = np.random.default_rng(1)
    texts = [json.dumps(q.get_config()) for q in (*WORDS.values(), *TEXTS.values())]
    alphabet = list('{}[]":,.0123456789eE+-\\ nulltrueNaN\u00e9') + texts
    cases = [text[:n] for text in texts for n in range(len(text))]
    while len(cases) < 20000:
        text = list(texts[rng.integers(len(texts))])
        for _ in range(rng.integers(1, 5)):
            i, j = sorted(rng.integers(0, len(text) + 1, 2))
            new = [] if rng.random() < 0.3 else [alphabet[rng.integers(len(alphabet))]]
            text[i : j if rng.random() < 0.3 else i + 1] = new
        cases.append("".join(text))
    found = replay(program, [f"J {case}" for case in cases])
    kept = items = 0
    for case, line in zip(cases, found, strict=True):
        if line == "-":
            continue
        values, _, text = line.partition(" = ")
        if values.startswith("0 "):
            kept += text == case
            assert text == case
        else:
            items += 1
            assert codec_of(text) is not None and json.loads(case)["id"] == json.loads(text)["id"]
    assert kept > 300 and items > 100


def test_any_values(program):
    rng = np.random.default_rng(2)
    lists = [q.filter_options for q in WORDS.values()] + [(*AnsQuant(1).filter_options, 8, 1, 5, 10, 1, 2, 5, 0, 7, 0)]
    lines = []
    for _ in range(20000):
        values = list(lists[rng.integers(len(lists))])
        for _ in range(rng.integers(1, 4)):
            i = rng.integers(0, len(values) + 1)
            new = rng.choice([0, 1, 2, 8, 10, 16, 17, 18, rng.integers(0, 2**32), 2**32 - 1])
            values[i : i + rng.integers(0, 3)] = [int(new)] * rng.integers(0, 3)
        lines.append("V " + " ".join(map(str, values)))
    good = [line for line in replay(program, lines) if line != "-"]
    assert len(good) > 500
    for line in good:
        assert json.loads(line)["id"].endswith("quant")


def test_working_parameters(program):
    """Parameters and item 10; for chunks that are only read item 10 alone."""
    tol, fill = "1 0 1069547520", "8 1 1094795585"
    low_rank = " ".join(map(str, LowRankQuant(5).filter_options))
    for variable, visible, expected in (
        ("5 0 1 35117 2 20 30", "2 3", f"{tol} 10 1 2 20 0 30 0"),
        ("5 2 1 35117 1 20", "2 3", f"{tol} 10 257 1 20 0"),
        ("5 0 0 35117 1 20", "2 3", f"{tol} {fill} 10 1025 1 20 0"),  # the variable's own fill value
        ("5 0 0 35117 1 20", "2 3 12 0 7 0", f"{tol} 8 1 1088421888 10 1 1 20 0"),
        ("5 0 0 35117 1 20", "", "10 1 1 20 0"),
        ("5 0 0 35117 1 20", "14 9", "10 1 1 20 0"),
        ("5 0 0 35117 1 20", "0 3 5", "10 1 1 20 0"),
        ("1 2 1 35117 0", "2 3", f"{tol} 10 16 0"),
        ("8 0 1 35118 1 20", "2 3 9 16 2", f"{tol} 9 16 2 10 4 1 20 0"),
        ("7 0 1 35117 1 20", "2 3 9", "0"),  # bfloat16 of bytes: refused as soon as there is a chunk
        ("4 0 1 35119 1 20", "17 260 512 7 0", "0"),  # integers are not rounded at random
        ("6 0 0 35120 1 20", low_rank, f"1 0 0 {low_rank} 10 2 1 20 0"),
        ("2 0 1 35117 1 20", "2 3", "0"),  # text
        ("5 0 1 2 1 20", "2 3", "0"),  # behind shuffle
        ("5 0 1 35121 1 20", "2 3", "0"),
        ("5 0 1 35117 33 " + 33 * "1 ", "2 3", "0"),
        ("5 0 1 35117 32 " + 32 * "1 ", "2 3", f"{tol} 10 1 32 " + " ".join(32 * ["1 0"])),
        ("5 0 1 35117 1 20", "2 3 2 3", "-"),
        ("5 0 1 35117 1 20", "2 3 8 4 1 2 3 4", "0"),
    ):
        assert replay(program, [f"M {variable} : {visible}"]) == [expected], (variable, visible)


def test_decimal_commas(program, tool, tmp_path):
    """A program whose locale has them."""
    definition = [tool("localedef"), "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    if subprocess.run(definition, capture_output=True).returncode or not (tmp_path / "de_DE.UTF-8").is_dir():
        pytest.skip("no German locale can be made here")
    comma = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.localeconv()['decimal_point'])"
    german = {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(tmp_path)}
    assert run(sys.executable, "-c", comma, env={**os.environ, **german}) == ",\n"
    text = '{"id": "ansquant", "tol": 0.125, "fill_value": 1.5}'
    (line,) = replay(program, [f"J {text}"], **german)
    assert line == f"1 0 1069547520 11 0 1073217536 = {text}"


# ---- netCDF itself ----
VERSION = """if True:
    import netCDF4
    print(netCDF4.__netcdf4libversion__)"""


@pytest.fixture(scope="module")
def netcdf(tmp_path_factory):
    """A function: code in a Python of its own that imports netCDF4, and nothing of this package."""
    need_netcdf4()
    version = python(VERSION, cwd=tmp_path_factory.mktemp("version")).strip()
    if tuple(map(int, version.split("-")[0].split(".")[:2])) < (4, 10):
        pytest.skip(f"netCDF {version} may have no codecs of plugins")

    def do(code, folder, *args):
        lines = ["import sys, netCDF4, numpy as np", *code.strip().splitlines()]
        lines += ["assert not any(m.startswith('arraycodec') for m in sys.modules)"]
        return python("\n".join(lines), *args, cwd=folder, plugin_path=hdf5.plugin_path())

    return do


READ = """
import os
with netCDF4.Dataset(f"file://{os.getcwd()}/a.zarr#mode={sys.argv[1]}") as d:
    d.set_auto_mask(False)
    np.savez("found.npz", **{name: v[...] for name, v in d.variables.items()})
"""


def store(folder):
    zarr = pytest.importorskip("zarr", minversion="3")
    return zarr.open_group(folder / "a.zarr", mode="a", zarr_format=2)


def add(group, name, values, codec, chunks=(20, 30), **more):
    a = group.create_array(name, shape=values.shape, chunks=chunks, dtype=values.dtype, compressors=codec, **more)
    a.attrs["_ARRAY_DIMENSIONS"] = [f"{name}_{i}" for i in range(values.ndim)]
    a[...] = values


@pytest.mark.parametrize("mode", ["zarr", "zarr,file", "nczarr,file"])
def test_netcdf_reads_all_codecs(netcdf, tmp_path, mode):
    group = store(tmp_path)
    codecs = {"ans": AnsQuant(tol=2**-10), "relative": AnsQuant(rtol=0.01), "varint": VarintQuant(tol=2**-10),
              "seed": StochasticQuant(4, seed=7), "random": StochasticQuant(4), "low": LowRankQuant(5),
              "low_tol": LowRankQuant(tol=0.01)}  # fmt: skip
    for name, codec in codecs.items():
        for order in "<>":
            add(group, name + "le"[order == ">"], X.astype(order + "f4"), codec)
    netcdf(READ, tmp_path, mode)
    found = np.load(tmp_path / "found.npz")
    assert len(found) == 2 * len(codecs)
    for name in found:
        assert np.array_equal(found[name], group[name][...]), name
        assert not np.array_equal(found[name], X)


def test_netcdf_reads_every_type(netcdf, tmp_path):
    group = store(tmp_path)
    for dtype in ("i1", "u1", "i2", ">u2", "i4", ">u4", "i8", ">u8", "f4", ">f8"):
        add(group, dtype.strip(">"), (20 * X).astype(dtype), AnsQuant(tol=3, fill_value=0), fill_value=0)
    add(group, "bfloat16", (X.view("u4") >> 16).astype("u2"), AnsQuant(tol=0.1, dtype="bfloat16"))
    add(group, "cube", X.reshape(5, 10, 70), AnsQuant(tol=0.1), chunks=(2, 3, 70))
    add(group, "one", X[0, :1], AnsQuant(tol=0.1), chunks=(1,))
    netcdf(READ, tmp_path, "zarr,file")
    found = np.load(tmp_path / "found.npz")
    assert len(found) == 13
    for name in found:
        assert np.array_equal(found[name], group[name][...]), name


REFUSED = """
import os
with netCDF4.Dataset(f"file://{os.getcwd()}/a.zarr#mode=zarr,file") as d:
    for name in sys.argv[1:]:
        try:
            d[name][...]
        except RuntimeError as e:
            assert "Filter error" in str(e), e
        else:
            raise AssertionError(f"{name} was read")
    assert abs(d["good"][...]).max() < 10
"""


def test_netcdf_refuses_what_it_cannot_read(netcdf, tmp_path):
    """A chunk of another size would be read beyond its end: netCDF itself does not look."""
    group = store(tmp_path)
    add(group, "good", X, AnsQuant(tol=0.01))
    chunks = {
        "short": encode(X[:10, :30], 0.01), "long": encode(X, 0.01), "double": encode(X[:20, :30].astype("f8"), 0.01),
        "big_endian": encode(X[:20, :30].astype(">f4"), 0.01), "integers": encode(np.ones((20, 30), "i4"), 1),
        "fortran": encode(np.asfortranarray(X[:20, :30]), 0.01), "cut": encode(X[:20, :30], 0.01)[:-1], "empty": b"",
        "empty_array": encode(X[:0], 0.01), "noise": bytes(range(256)),
        "flipped": encode(X[:20, :30], 0.01)[:-1] + b"\0",
    }  # fmt: skip
    for name, chunk in chunks.items():
        if name != "empty":
            add(group, name, X, AnsQuant(tol=0.01))
            (tmp_path / "a.zarr" / name / "0.0").write_bytes(chunk)
    add(group, "backend", X, VarintQuant(tol=2**-10, backend="bz2"))
    # the store is opened all the same; shuffle is none of the plugins here
    add(group, "behind", X, AnsQuant(tol=0.01), filters=[pytest.importorskip("numcodecs").Shuffle(4)])
    del chunks["empty"]
    netcdf(REFUSED, tmp_path, *chunks, "backend")


WRITE = """
import ctypes, json, os
library = ctypes.CDLL(next(line.split()[-1] for line in open("/proc/self/maps") if "libnetcdf" in line))
x = np.load("x.npy")
with netCDF4.Dataset(f"file://{os.getcwd()}/a.zarr#mode={sys.argv[1]}", "w") as d:
    d.createDimension("y", 50), d.createDimension("x", 70)
    for name, (filter_id, values, dtype, endian, fill) in json.loads(sys.argv[2]).items():
        v = d.createVariable(name, dtype, ("y", "x"), chunksizes=(25, 35), endian=endian, fill_value=fill)
        v.set_auto_mask(False)
        words = (ctypes.c_uint * len(values))(*values)
        assert library.nc_def_var_filter(d._grpid, v._varid, filter_id, ctypes.c_size_t(len(values)), words) == 0
        v[...] = x if dtype[0] == "f" else np.where(x == -9999, x, 10 * x)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="netCDF's library is found by /proc")
@pytest.mark.parametrize("mode", ["zarr,file", "nczarr,file"])
def test_netcdf_writes(netcdf, tmp_path, mode):
    """By the C function, which netCDF4-python does not have: metadata and chunks are those of this package."""
    zarr = pytest.importorskip("zarr", minversion="3")
    x = X.copy()
    x[3, 4:7] = -9999
    np.save(tmp_path / "x.npy", x)
    cases = {
        "ans": (35117, (2, 10, 14, 3), "f4", "little", -9999, AnsQuant(tol=2**-10, level=3)),
        "big": (35117, (3, 1, 2, 15, 1), "f8", "big", -9999, AnsQuant(tol=0.01, predictor="none")),
        "short": (35117, (3, 3, 0), "i2", "little", -9999, AnsQuant(tol=3)),
        "given": (35117, (2, 3, 11, 0, 0), "f4", "little", None, AnsQuant(tol=0.125, fill_value=0.0)),
        "relative": (35117, (7, 1, 2), "f4", "little", -9999, AnsQuant(rtol=0.01)),
        "varint": (35118, (2, 10, 16, 2), "f4", "little", -9999, VarintQuant(tol=2**-10)),
        "random": (35119, (17, 4 + 256, 512, 7, 0), "f4", "little", -9999, StochasticQuant(4, seed=7)),
    }
    netcdf(WRITE, tmp_path, mode, json.dumps({name: case[:-1] for name, case in cases.items()}))
    for name, (_, _, dtype, endian, fill, codec) in cases.items():
        a = zarr.open_array(tmp_path / "a.zarr" / name, mode="r", zarr_format=2)
        metadata = json.loads((tmp_path / "a.zarr" / name / ".zarray").read_text())
        assert codec_of(json.dumps(metadata["compressor"])) == codec
        values = (x if dtype[0] == "f" else np.where(x == -9999, x, 10 * x)).astype(">"[: endian == "big"] + dtype)
        chunk = (tmp_path / "a.zarr" / name / "0.0").read_bytes()
        if name != "random":
            parameters = {k: v for k, v in codec.get_config().items() if k not in ("id", "level", "predictor")}
            parameters.setdefault("fill_value", fill)  # the variable's own is kept, as in HDF5
            assert verify(values, a[...], **parameters)
            assert (a[3, 4:7] == -9999).all() and verify(values, a[...], 0).violations
            part, kind = values[:25, :35], type(codec)
            assert chunk == kind(**{**codec["configuration"], "fill_value": parameters["fill_value"]}).encode(part)
        else:
            assert chunk == codec.encode(values[:25, :35])


def test_netcdf_does_not_write_without_parameters(netcdf, tmp_path):
    code = WRITE.replace("v[...] = x", "v[...] = x\n        d.sync()\n        #")
    np.save(tmp_path / "x.npy", X)
    for filter_id, values in ((35118, ()), (35117, (14, 3)), (35120, LowRankQuant(5).filter_options)):
        case = {"a": (filter_id, list(values), "f4", "little", None)}
        with pytest.raises(AssertionError, match="Filter error"):
            netcdf(code, tmp_path, "zarr,file", json.dumps(case))


def test_numbers_of_nczarr_are_not_for_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        for number in range(35118, 35121):
            with pytest.raises(ValueError):
                f.create_dataset("x", (4,), "f4", chunks=(4,), compression=number, compression_opts=(2, 3))
        assert not list(f)
