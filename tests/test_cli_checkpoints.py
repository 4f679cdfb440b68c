"""The console command on checkpoints: into every store and back to what they were, with tolerances by names."""

import gzip
import json

import numpy as np
import pytest
from test_checkpoint_files import LAYERS, again, entry, network, safetensors_bytes

import arraycodec
from arraycodec import AnsQuant, verify
from arraycodec.__main__ import main

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

TOL = 2.0**-10
RNG = np.random.default_rng(0)
STORES = {"arrc": "m.arrc", "zarr2": "m.zarr", "zarr3": "m.zarr", "hdf5": "m.h5"}


def run(*args):
    return main([str(a) for a in args])


def error_of(capsys, *args):
    assert run(*args) == 2
    return capsys.readouterr().err


def warnings_of(capsys):
    return capsys.readouterr().err


TENSORS = {
    **{f"layers.{i}.weight": RNG.normal(0, 0.1, (40, 30)).astype("f4") for i in range(4)},
    **{f"layers.{i}.bias": RNG.normal(0, 0.1, 30).astype("f4") for i in range(4)},
    "embedding": RNG.normal(0, 0.1, (300, 100)).astype("f4"),
    "half": RNG.normal(size=9).astype("f2"), "ids": np.arange(12).reshape(3, 4), "mask": np.array([True, False]),
    "none": np.zeros((0, 3), "f4"), "step": np.array(7),
}  # fmt: skip
BRAIN = (RNG.normal(0, 1, 500).astype("f4").view("u4") >> 16).astype("u2")
CODES = {"float32": "F32", "float16": "F16", "int64": "I64", "bool": "BOOL"}


@pytest.fixture
def checkpoint(tmp_path):
    """A safetensors file, made by hand."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, x in [*TENSORS.items(), ("brain", BRAIN)]:
        code = "BF16" if name == "brain" else CODES[x.dtype.name]
        header[name] = entry(code, list(x.shape), len(data), len(data) + x.nbytes)
        data += x.tobytes()
    path = tmp_path / "in.safetensors"
    path.write_bytes(safetensors_bytes(header, data))
    again(path, tmp_path / "model.safetensors")  # in the order of the format
    path.unlink()
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("pack", [(), ("--pack", "0")])
@pytest.mark.parametrize("kind", STORES)
def test_safetensors_into_every_store_and_back(checkpoint, tmp_path, kind, pack, capsys):
    store, back = tmp_path / STORES[kind], tmp_path / "back.safetensors"
    rules = ("--tol", "*.bias=0", "--tol", "half=keep", "--tol", "*=2**-10")
    assert run("compress", checkpoint, store, *rules, "--format", kind, *pack) == 0
    assert "15 arrays" in capsys.readouterr().out
    assert run("verify", checkpoint, store, *rules) == 0 and run("verify", checkpoint, store) == 0
    assert run("verify", checkpoint, store, "--tol", "0", "-q") == 1
    assert run("decompress", store, back, "-q") == 0
    assert run("verify", checkpoint, back, *rules, "-q") == 0 and run("verify", store, back, "--tol", 0, "-q") == 0
    with arraycodec.load(checkpoint) as a, arraycodec.load(store) as b, arraycodec.load(back) as c:
        assert list(a) == list(b) == list(c) and c.attrs == {"format": "pt"} == dict(b.attrs)
        for name in a:
            x, y = np.asarray(a[name]), np.asarray(b[name])
            assert x.dtype == y.dtype and y.tobytes() == np.asarray(c[name]).tobytes()
            lossy = x.dtype.kind == "f" or name == "brain"
            exact = name == "half" or name.endswith("bias")
            view = "bfloat16" if x.dtype == np.uint16 else None
            assert verify(x, y, TOL if lossy and not exact else 0, dtype=view)
            assert a[name].dtype.itemsize == c[name].dtype.itemsize
    # all without loss: the same file
    assert run("compress", checkpoint, store, "--tol", 0, "--format", kind, "--force", *pack, "-q") == 0
    assert run("decompress", store, back, "--force", "-q") == 0
    assert back.read_bytes() == checkpoint.read_bytes()


def test_packs_again_from_a_store_to_another(checkpoint, tmp_path):
    assert run("compress", checkpoint, tmp_path / "a.zarr", "--tol", 0, "-q") == 0
    assert run("compress", tmp_path / "a.zarr", tmp_path / "b.h5", "--tol", TOL, "-q") == 0
    assert run("compress", tmp_path / "b.h5", tmp_path / "c.arrc", "--tol", 0, "-q") == 0
    with h5py.File(tmp_path / "b.h5") as f:
        assert any("pack" in name for name in f) and "layers.0.bias" not in f
    assert run("verify", checkpoint, tmp_path / "c.arrc", "--tol", TOL, "-q") == 0
    assert run("decompress", tmp_path / "c.arrc", tmp_path / "d.zarr", "-q") == 0  # as other programs want it
    assert set(zarr.open_group(str(tmp_path / "d.zarr"))) >= {"layers.0.bias", "embedding", "brain"}
    with arraycodec.load(tmp_path / "d.zarr") as d, arraycodec.load(checkpoint) as a:
        assert list(a) == list(d) and d["embedding"].codec is None


def test_one_tensor_by_its_name(checkpoint, tmp_path, capsys):
    assert run("compress", checkpoint, tmp_path / "a.arrc", "--tol", TOL, "-q") == 0
    assert run("decompress", tmp_path / "a.arrc", tmp_path / "x.npy", "--name", "layers.2.bias", "-q") == 0
    assert verify(TENSORS["layers.2.bias"], np.load(tmp_path / "x.npy"), TOL)
    assert run("verify", checkpoint, tmp_path / "a.arrc", "--name", "layers.2.bias", "--tol", TOL) == 0
    assert "no array named 'x'" in error_of(
        capsys, "decompress", tmp_path / "a.arrc", tmp_path / "y.npy", "--name", "x"
    )
    assert run("decompress", tmp_path / "a.arrc", tmp_path / "x.npz", "-q") == 0
    assert "its uint16 elements are bfloat16" in warnings_of(capsys)
    with np.load(tmp_path / "x.npz") as z:
        assert set(z) == {*TENSORS, "brain"} and np.array_equal(z["ids"], TENSORS["ids"])


# ---- the other formats ----
@pytest.mark.parametrize("kind", STORES)
def test_lc0(tmp_path, kind, capsys):
    source, store, back = tmp_path / "net.pb.gz", tmp_path / STORES[kind], tmp_path / "back.pb.gz"
    source.write_bytes(gzip.compress(network()))
    assert run("compress", source, store, "--tol", TOL, "--format", kind, "-q") == 0
    assert run("verify", source, store, "-q") == 0 and run("verify", source, store, "--tol", TOL, "-q") == 0
    assert run("verify", source, store, "--tol", TOL / 16, "-q") == 1
    assert run("decompress", store, back, "-q") == 0
    assert run("verify", source, back, "--tol", TOL, "-q") == 0 and run("verify", store, back, "--tol", 0, "-q") == 0
    assert run("compress", source, store, "--tol", 0, "--format", kind, "--force", "-q") == 0
    assert run("decompress", store, back, "--force", "-q") == 0
    assert gzip.decompress(back.read_bytes()) == network()
    assert run("decompress", store, tmp_path / "net.pb", "-q") == 0
    assert (tmp_path / "net.pb").read_bytes() == network()
    capsys.readouterr()
    for target in ("a.safetensors", "a.npz"):  # as the floats that they are
        assert run("decompress", source, tmp_path / target, "-q") == 0
        assert run("verify", source, tmp_path / target, "--tol", 0, "-q") == 0
    assert "beside its tensors is not kept" in warnings_of(capsys)
    with np.load(tmp_path / "a.npz") as z:
        assert set(z) == set(LAYERS) and z["ip_pol_w"].dtype == "f4"
    assert run("compress", source, tmp_path / "whole.arrc", "--codec", "stochastic", "-q") == 0
    assert "'ip_pol_w' is kept exact" in warnings_of(capsys)
    assert run("verify", source, tmp_path / "whole.arrc", "--tol", 0, "-q") == 0
    assert "more than tensors" in error_of(capsys, "decompress", tmp_path / "a.npz", tmp_path / "b.pb.gz")


@pytest.mark.parametrize("kind", STORES)
def test_pytorch(tmp_path, kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    tied = torch.randn(300, 100)
    content = {
        "model": {"in.weight": tied, "out.weight": tied, "bias": torch.randn(5).bfloat16()}, "epoch": 3,
        "optimizer": {"lr": 0.1, "state": [torch.tensor(3)]},
    }  # fmt: skip
    torch.save(content, tmp_path / "a.pt")
    store, back = tmp_path / STORES[kind], tmp_path / "b.pt"
    assert run("compress", tmp_path / "a.pt", store, "--tol", TOL, "--format", kind, "-q") == 0
    assert run("verify", tmp_path / "a.pt", store, "-q") == 0
    assert run("decompress", store, back, "-q") == 0
    with arraycodec.load(store) as opened:
        assert opened["model.in.weight"].identity == opened["model.out.weight"].identity
    restored = torch.load(back, weights_only=True)
    assert restored["epoch"] == 3 and restored["optimizer"] == {"lr": 0.1, "state": [torch.tensor(3)]}
    model = restored["model"]
    assert model["in.weight"].data_ptr() == model["out.weight"].data_ptr() and model["bias"].dtype == torch.bfloat16
    assert (model["in.weight"] - tied).abs().max() <= TOL
    assert run("decompress", store, tmp_path / "c.safetensors", "-q") == 0
    assert run("verify", tmp_path / "a.pt", tmp_path / "c.safetensors", "--tol", TOL, "-q") == 0


def test_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    x = RNG.normal(0, 0.1, (60, 50)).astype("f4")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "w"], ["y"])], "g", [value("a", 1, [1, 60])], [value("y", 1, [1, 50])],
        [onnx.numpy_helper.from_array(x, "w")],
    )  # fmt: skip
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    for kind, name in STORES.items():
        store, back = tmp_path / name, tmp_path / "b.onnx"
        assert run("compress", tmp_path / "a.onnx", store, "--tol", TOL, "--format", kind, "--force", "-q") == 0
        assert run("decompress", store, back, "--force", "-q") == 0
        model = onnx.load(back)
        onnx.checker.check_model(model)
        assert model.graph.node == graph.node
        assert verify(x, onnx.numpy_helper.to_array(model.graph.initializer[0]), TOL)


def test_keras(tmp_path):
    """A file of Keras is HDF5: groups and attributes stay what they are, in HDF5 and in a single file."""
    x = RNG.normal(size=(200, 100)).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.attrs.update(backend="tensorflow", keras_version="2.1")
        f["model_weights"] = h5py.SoftLink("/layers")
        g = f.create_group("layers/dense")
        g.attrs["weight_names"] = np.array([b"kernel:0", b"bias:0"])
        g["kernel:0"], g["bias:0"] = x, x[0]
        f["optimizer_weights/Adam/iteration"] = 5
    assert run("compress", tmp_path / "a.h5", tmp_path / "b.h5", "--tol", "*bias*=0", "--tol", TOL, "-q") == 0
    assert run("compress", tmp_path / "a.h5", tmp_path / "b.arrc", "--tol", "*bias*=0", "--tol", TOL, "-q") == 0
    assert run("decompress", tmp_path / "b.arrc", tmp_path / "c.h5", "-q") == 0
    for name in ("b.h5", "c.h5"):
        with h5py.File(tmp_path / name) as f:
            assert f.attrs["keras_version"] == "2.1" and f["optimizer_weights/Adam/iteration"][()] == 5
            assert [*f["layers/dense"].attrs["weight_names"]] in ([b"kernel:0", b"bias:0"], ["kernel:0", "bias:0"])
            assert np.array_equal(f["layers/dense/bias:0"], x[0]) and verify(x, f["layers/dense/kernel:0"][...], TOL)
            assert (name == "c.h5") or (f["model_weights/dense/bias:0"][...] == x[0]).all()


# ---- single files of arrays ----
def test_fields_in_a_single_file(tmp_path, capsys):
    t = RNG.normal(280, 10, (5, 40, 60)).astype(">f4")
    t[0, 0] = np.nan
    with h5py.File(tmp_path / "in.h5", "w") as f:
        d = f.create_dataset("g/t", data=t, chunks=(2, 40, 25), fillvalue=-9999.0)
        d.attrs.update(units="K", _FillValue=np.float32(-9999.0), scale=np.arange(3.0))
        f.create_dataset("p", data=RNG.normal(1e5, 100, (40, 60)))
        f.create_dataset("n", data=np.arange(5, dtype="i2"))
    rules = ("--tol", "g/*=0.01", "--tol", "p=1")
    assert run("compress", tmp_path / "in.h5", tmp_path / "a.arrc", *rules, "-q") == 0
    assert run("verify", tmp_path / "in.h5", tmp_path / "a.arrc", *rules) == 0
    assert run("verify", tmp_path / "in.h5", tmp_path / "a.arrc") == 0
    assert run("verify", tmp_path / "a.arrc", "--scan") == 0
    capsys.readouterr()
    assert run("inspect", tmp_path / "a.arrc", "--json", "--chunks") == 0
    described = {e["name"]: e for e in json.loads(capsys.readouterr().out)}
    assert described["g/t"]["tol"] == [0.01] and described["g/t"]["chunk_shape"] == [2, 40, 25]
    assert len(described["g/t"]["chunks"]) == 9 and described["g/t"]["codec"] == "ansquant"
    assert run("decompress", tmp_path / "a.arrc", tmp_path / "b.h5", "-q") == 0
    with h5py.File(tmp_path / "b.h5") as f:
        d = f["g/t"]
        assert d.dtype == ">f4" and d.fillvalue == -9999 and d.attrs["units"] == "K"
        assert d.attrs["_FillValue"] == -9999 and np.array_equal(d.attrs["scale"], np.arange(3.0))
        assert verify(t, d[...], 0.01) and np.array_equal(f["n"], np.arange(5))
    for codec in ("varint", "stochastic", "lowrank"):
        how = ("--codec", codec, *{"varint": ("--tol", 1), "stochastic": (), "lowrank": ("--rank", 3)}[codec])
        assert run("compress", tmp_path / "in.h5", tmp_path / f"{codec}.arrc", *how, "-q") == 0
        assert run("verify", tmp_path / "in.h5", tmp_path / f"{codec}.arrc") == 0


def test_what_zarr_says_of_arrays_is_kept(tmp_path):
    group = zarr.open_group(str(tmp_path / "in.zarr"), mode="w", attributes={"title": "x"})
    how = {"chunks": (10, 40), "dtype": "f4", "dimension_names": ("y", "x"), "fill_value": np.nan}
    t = group.create_array("g/t", shape=(30, 40), **how)
    t[...] = RNG.normal(size=(30, 40))
    x = group.create_array("g/x", shape=(40,), dtype="f8", dimension_names=("x",), fill_value=7.0)
    x[...] = np.arange(40) / 3
    when = np.arange(5).astype("M8[s]")
    assert run("compress", tmp_path / "in.zarr", tmp_path / "a.arrc", "--tol", TOL, "--pack", "0", "-q") == 0
    assert run("decompress", tmp_path / "a.arrc", tmp_path / "b.zarr", "-q") == 0
    back = zarr.open_group(str(tmp_path / "b.zarr"), mode="r")
    assert back.attrs["title"] == "x" and back["g/t"].metadata.dimension_names == ("y", "x")
    assert np.isnan(back["g/t"].fill_value) and back["g/x"].fill_value == 7 and back["g/t"].chunks == (10, 40)
    assert verify(t[...], back["g/t"][...], TOL) and np.array_equal(x[...], back["g/x"][...])  # a coordinate
    np.savez(tmp_path / "when.npz", when=when, other=when[::-1])
    assert run("compress", tmp_path / "when.npz", tmp_path / "c.arrc", "--tol", 1, "-q") == 0
    assert run("decompress", tmp_path / "c.arrc", tmp_path / "d.npz", "-q") == 0
    with np.load(tmp_path / "d.npz") as z:
        assert np.array_equal(z["when"], when) and z["other"].dtype == when.dtype


def test_damage_in_a_single_file_is_found(checkpoint, tmp_path, capsys):
    path = tmp_path / "a.arrc"
    assert run("compress", checkpoint, path, "--tol", TOL, "-q") == 0
    good = path.read_bytes()
    path.write_bytes(good[:60] + bytes([good[60] ^ 1]) + good[61:])
    assert run("verify", "--scan", path) == 1
    assert "'arraycodec_pack_" in capsys.readouterr().out.replace("arraycodec_pack", "'arraycodec_pack")
    assert "chunk at" in error_of(capsys, "decompress", path, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()
    path.write_bytes(good[:-5])
    for command in (("decompress", path, tmp_path / "b.zarr"), ("inspect", path), ("verify", checkpoint, path)):
        assert "cut off" in error_of(capsys, *command)


def test_what_a_single_file_cannot_hold(tmp_path, capsys):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["words"] = ["a", "b"]
    assert "holds numbers and dates" in error_of(
        capsys, "compress", tmp_path / "in.h5", tmp_path / "a.arrc", "--tol", 1
    )
    np.save(tmp_path / "x.npy", np.zeros(3))
    assert "only chunks of this package" in error_of(capsys, "decompress", tmp_path / "x.npy", tmp_path / "a.arrc")
    assert "have no codecs" in error_of(
        capsys, "compress", tmp_path / "x.npy", tmp_path / "a.safetensors", "--tol", 1
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.h5", "x.npy"]


# ---- rules ----
def test_rules_are_for_all_formats(tmp_path, capsys):
    source = tmp_path / "in.zarr"
    group = zarr.open_group(str(source), mode="w")
    for name in ("temperature", "pressure", "sub/wind"):
        group.create_array(name, data=RNG.normal(0, 10, (30, 40)))
    group.create_array("count", data=np.arange(1000).reshape(10, 100))
    rules = ("--tol", "temp*=0.5", "--tol", "sub/*=keep", "--tol", "*=0.25")
    assert run("compress", source, tmp_path / "a.h5", *rules, "-q") == 0
    with h5py.File(tmp_path / "a.h5") as f:
        names = ("temperature", "pressure", "sub/wind", "count")
        found = {name: arraycodec.hdf5.info(f[name])["tol"] for name in names}
    assert found == {"temperature": 0.5, "pressure": 0.25, "sub/wind": 0, "count": 0}
    assert warnings_of(capsys) == ""
    assert "no tolerance for 'pressure'" in error_of(
        capsys, "compress", source, tmp_path / "b.h5", "--tol", "temp*=0.5", "--tol", "sub/*=1"
    )
    assert not (tmp_path / "b.h5").exists()
    assert run("compress", source, tmp_path / "b.h5", "--tol", 1, "--tol", "temp*=0.5", "--tol", "x=0", "-q") == 0
    said = warnings_of(capsys)
    assert "--tol temp*=0.5 is for no array" in said and "--tol x=0 is for no array" in said
    # "keep" is kept, 0 is what a relative tolerance leaves of it
    args = ("compress", source, tmp_path / "c.h5", "--rtol", "0.1", "--tol", "temp*=keep", "--tol", 0, "--force", "-q")
    assert run(*args) == 0
    with h5py.File(tmp_path / "c.h5") as f:
        assert arraycodec.hdf5.info(f["temperature"])["rtol"] is None
        assert arraycodec.hdf5.info(f["pressure"])["rtol"] == 0.1
    assert run("compress", source, tmp_path / "d.zarr", "--tol", "co*=3", "--tol", 1, "--lossy-integers", "-q") == 0
    assert zarr.open_array(str(tmp_path / "d.zarr/count")).serializer.config.tol == 3
    for text, part in (("=1", "pattern"), ("a=b", "'b'"), ("*.bias", "bias"), ("*=-1", ">= 0")):
        assert part in error_of(capsys, "compress", source, tmp_path / "e.h5", "--tol", text)
    assert "one --tol" in error_of(
        capsys, "compress", source, tmp_path / "e.h5", "--codec", "lowrank", "--tol", "a=1", "--tol", 1
    )


def test_pack_is_for_stores_of_arrays_too(tmp_path):
    arrays = {f"x{i}": RNG.normal(size=20) for i in range(9)} | {"big": RNG.normal(size=(200, 200))}
    np.savez(tmp_path / "in.npz", **arrays)
    assert run("compress", tmp_path / "in.npz", tmp_path / "a.zarr", "--tol", TOL, "-q") == 0
    assert set(zarr.open_group(str(tmp_path / "a.zarr"))) == set(arrays)
    assert run("compress", tmp_path / "in.npz", tmp_path / "b.zarr", "--tol", TOL, "--pack", 100, "-q") == 0
    assert set(zarr.open_group(str(tmp_path / "b.zarr"))) == {"arraycodec_pack_0", "big"}
    for name in ("a.zarr", "b.zarr"):
        assert run("decompress", tmp_path / name, tmp_path / "out.npz", "--force", "-q") == 0
        with np.load(tmp_path / "out.npz") as z:
            assert all(verify(x, z[key], TOL) for key, x in arrays.items()) and set(z) == set(arrays)


def test_workers_are_not_for_checkpoints(checkpoint, tmp_path, capsys):
    pytest.importorskip("distributed")
    how = ("--tol", TOL, "--workers", 1)
    assert "one process" in error_of(capsys, "compress", checkpoint, tmp_path / "a.zarr", *how)
    np.save(tmp_path / "x.npy", np.zeros(3))
    assert "one process" in error_of(capsys, "compress", tmp_path / "x.npy", tmp_path / "a.zarr", "--pack", 9, *how)


def test_files_that_are_damaged_are_said(tmp_path, capsys):
    for name in ("a.safetensors", "a.pb.gz", "a.arrc"):
        (tmp_path / name).write_bytes(b"\x89ARRC\r\n\x1a" if name == "a.arrc" else b"x")
        assert name in error_of(capsys, "compress", tmp_path / name, tmp_path / "b.zarr", "--tol", 1)
    arraycodec.save(tmp_path / "p.h5", {"a": np.zeros(3), "b": np.zeros(3)}, 0)
    with h5py.File(tmp_path / "p.h5", "r+") as f:
        f["arraycodec_pack_0"].attrs["arraycodec_pack"] = "{}"
    assert "arraycodec_pack_0" in error_of(capsys, "decompress", tmp_path / "p.h5", tmp_path / "b.npz")


def test_bfloat16_of_a_host_is_bfloat16_in_safetensors(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=BRAIN, chunks=(100,), compression=AnsQuant(0, dtype="bfloat16"))
    assert run("decompress", tmp_path / "a.h5", tmp_path / "b.safetensors", "-q") == 0
    with arraycodec.load(tmp_path / "b.safetensors") as store:
        assert store["x"].view.kind == "bfloat16" and np.array_equal(np.asarray(store["x"]).view("u2"), BRAIN)
