"""Files of other programs: what they hold is read as they read it, and written so that they read it again."""

import gzip
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

import arraycodec
from arraycodec import DecodeError, FormatError, ParameterError, TruncatedError, verify
from arraycodec.checkpoints import files
from arraycodec.checkpoints.packs import Tensor
from arraycodec.checkpoints.views import linear16

RNG = np.random.default_rng(0)
TOL = 2.0**-10
FOLDER = Path(os.environ.get("ARRAYCODEC_DATA", Path(__file__).parents[2] / "shared" / "data"))


def normal(*shape):
    return RNG.normal(0, 0.1, shape).astype("f4")


def again(source, target, kind=None):
    """A file written from what was read of another."""
    source, target = Path(source), Path(target)
    file = files.open_file(source, files.format_of(source))
    writer = files.writer(target, kind or file.format, file.attrs, file.skeleton, target)
    writer.begin(Tensor(t.name, t.dtype, t.shape, t.view) for t in file.tensors)
    for t in file.tensors:
        writer.write(t.name, tuple(slice(0, n) for n in t.shape), t.read())
    writer.complete()
    writer.close()
    return file


# ---- safetensors ----
def safetensors_bytes(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = {
        "weight": normal(300, 20), "bias": normal(20), "half": normal(3).astype("f2"), "step": np.array(3),
        "none": np.zeros((0, 2), "f8"), "mask": np.array([True, False]), "complex": normal(4).astype("c8"),
        "odd ü/name": np.arange(3, dtype="u1"),
    }  # fmt: skip
    safetensors.save_file(tensors, tmp_path / "a.safetensors", {"format": "np", "ü": "ü"})
    file = again(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert file.attrs == {"format": "np", "ü": "ü"}
    back = safetensors.load_file(tmp_path / "b.safetensors")
    assert all(np.array_equal(back[name], x) and back[name].dtype == x.dtype for name, x in tensors.items())
    with arraycodec.load(tmp_path / "a.safetensors") as store:
        assert set(store) == set(tensors) and store.attrs == file.attrs and store.format == "safetensors"
        assert np.array_equal(store["weight"][[7, 3], 2:], tensors["weight"][[7, 3], 2:])
        arraycodec.save(tmp_path / "c.arrc", store, {"weight": TOL, "*": "keep"})
    with arraycodec.load(tmp_path / "c.arrc") as store:
        assert store.attrs == file.attrs
        for name, x in tensors.items():
            assert verify(x, np.asarray(store[name]), TOL if name == "weight" else 0), name


def test_safetensors_of_floats_that_numpy_lacks(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    brain, eight = normal(5).astype(ml_dtypes.bfloat16), normal(3).astype(ml_dtypes.float8_e4m3fn)
    header = {"b": entry("BF16", [5], 0, 10), "e": entry("F8_E4M3", [3, 1], 10, 13)}
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes(header, brain.tobytes() + eight.tobytes()))
    again(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    for path in sorted(tmp_path.iterdir()):
        with arraycodec.load(path) as store:
            assert np.array_equal(np.asarray(store["b"]), brain) and store["b"].dtype == brain.dtype
            assert np.array_equal(np.asarray(store["e"]), eight[:, None])


def wrong_safetensors():
    good = entry("F32", [2], 0, 8)
    data = bytes(8)
    yield b"", TruncatedError
    yield b"\1\0\0", TruncatedError
    yield (100).to_bytes(8, "little") + b"{}", TruncatedError
    yield safetensors_bytes(b"{"), FormatError
    yield safetensors_bytes(b"[]"), FormatError
    yield safetensors_bytes(b"\xff"), FormatError
    yield safetensors_bytes(b"[" * 100_000), FormatError
    yield safetensors_bytes(b'{"a": 1, "a": 1}'), FormatError
    yield safetensors_bytes({"__metadata__": {"a": 1}}), FormatError
    yield safetensors_bytes({"__metadata__": 1}), FormatError
    for change in (
        {"dtype": "F4"}, {"dtype": 3}, {"dtype": ["F32"]}, {"shape": [3]}, {"shape": [-2]}, {"shape": [2.0]},
        {"shape": 2}, {"shape": [True, 2]}, {"shape": [1] * 40 + [2]}, {"data_offsets": [0]}, {"data_offsets": [8, 0]},
        {"data_offsets": [-8, 0]}, {"data_offsets": 8}, {"data_offsets": [0, 8, 9]}, {"shape": [2**61, 2**3]},
    ):  # fmt: skip
        yield safetensors_bytes({"a": good | change}, data), FormatError
    yield safetensors_bytes({"a": {}}, data), FormatError
    yield safetensors_bytes({"a": None}, data), FormatError
    yield safetensors_bytes({"a": good}, data[:-1]), TruncatedError
    yield safetensors_bytes({"a": good}), TruncatedError


@pytest.mark.parametrize(("data", "error"), list(wrong_safetensors()))
def test_safetensors_is_checked(tmp_path, data, error):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(error, match="a.safetensors"):
        arraycodec.load(path)


def test_safetensors_that_is_not_aligned(tmp_path):
    header = {"a": entry("U8", [1], 0, 1), "b": entry("F64", [2], 1, 17)}
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes(header, b"\7" + np.arange(2.0).tobytes()))
    with arraycodec.load(tmp_path / "a.safetensors") as store:
        assert store["a"][0] == 7 and np.array_equal(store["b"][:], [0, 1])


def test_safetensors_refuses_what_it_has_no_type_for(tmp_path):
    target = tmp_path / "a.safetensors"
    for name, dtype, text in (("x", "c16", "no type for complex128"), ("__metadata__", "f4", "__metadata__")):
        with pytest.raises(ParameterError, match=text):
            files.writer(target, "safetensors", {}, b"", target).begin([Tensor(name, np.dtype(dtype), (3,))])
        assert not target.exists()


# ---- PyTorch ----
@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def tree(torch):
    """A checkpoint with everything around its tensors that there usually is."""
    torch.manual_seed(0)
    weight = torch.randn(30, 20)
    return {
        "model": torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).state_dict(),
        "tied": [weight, weight, weight.T],
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": weight.bfloat16()}}, "lr": 1e-3},
        "parameter": torch.nn.Parameter(torch.randn(2)), "grown": torch.randn(2, requires_grad=True),
        "epoch": 3, "shape": torch.Size([1, 2]), "name": "x", "nothing": None, "pair": (1, torch.arange(3)),
        "f8": torch.randn(4).to(torch.float8_e5m2), "mask": weight > 0, "a.b": torch.ones(1),
        "a": {"b": torch.zeros(1)},
    }  # fmt: skip


def same(torch, a, b):
    if isinstance(a, torch.Tensor):
        kind = a.dtype == b.dtype and a.shape == b.shape and type(a) is type(b) and a.requires_grad == b.requires_grad
        return kind and torch.equal(a.float(), b.float())
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(torch, a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(same(torch, x, y) for x, y in zip(a, b, strict=True))
    return a == b


def test_pytorch(tmp_path, torch):
    content = tree(torch)
    torch.save(content, tmp_path / "a.pt")
    file = again(tmp_path / "a.pt", tmp_path / "b.pt")
    back = torch.load(tmp_path / "b.pt", weights_only=True)
    assert same(torch, torch.load(tmp_path / "a.pt", weights_only=True), back)
    assert back["tied"][0] is back["tied"][1] or back["tied"][0].data_ptr() == back["tied"][1].data_ptr()
    assert getattr(back["model"], "_metadata", None) == getattr(content["model"], "_metadata", None)
    names = [t.name for t in file.tensors]
    some = ("model.0.weight", "model.1.num_batches_tracked", "tied.0", "optimizer.state.0.exp_avg", "a.b", "a.b#2")
    assert set(some) <= set(names)
    assert [file.tensors[names.index(f"tied.{i}")].same_as for i in range(3)] == [None, "tied.0", None]
    # through a store, with a loss
    with arraycodec.load(tmp_path / "a.pt") as store:
        arraycodec.save(tmp_path / "c.arrc", store, TOL, pack=100)
    with arraycodec.load(tmp_path / "c.arrc") as store:
        assert store["tied.1"].identity == store["tied.0"].identity != store["tied.2"].identity
        assert list(store) == names and store.skeleton == ("pytorch", file.skeleton)
        assert verify(content["tied"][0].numpy(), np.asarray(store["tied.1"]), TOL)
        assert store["parameter"].shape == (2,)


def test_pytorch_from_elsewhere(tmp_path, torch):
    """Without a skeleton it is a state dict."""
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes({"a": entry("F32", [2], 0, 8)}, bytes(8)))
    again(tmp_path / "a.safetensors", tmp_path / "b.pt", "pytorch")
    assert list(torch.load(tmp_path / "b.pt", weights_only=True)["a"].shape) == [2]


def test_pytorch_old_files(tmp_path, torch):
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with arraycodec.load(tmp_path / "a.pth") as store:
        assert np.array_equal(store["a"][:], [1, 1, 1])


class Code:
    """What a pickle runs."""

    def __reduce__(self):
        return os.system, ("exit 3",)


def test_pytorch_runs_nothing(tmp_path, torch):
    torch.save({"a": torch.ones(3), "b": Code()}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match="without running code"):
        arraycodec.load(tmp_path / "a.pt")
    for data in (b"", b"PK\3\4", b"\x80\2.", bytes(100)):
        (tmp_path / "b.pt").write_bytes(data)
        with pytest.raises(DecodeError):
            arraycodec.load(tmp_path / "b.pt")
    torch.save({"a": torch.ones(3).to_sparse()}, tmp_path / "c.pt")
    with pytest.raises(FormatError, match="'a': "):
        arraycodec.load(tmp_path / "c.pt")


def test_pytorch_wants_all_tensors(tmp_path, torch):
    torch.save({"a": torch.ones(3), "b": torch.ones(3)}, tmp_path / "a.pt")
    file = files.open_file(tmp_path / "a.pt", "pytorch")
    writer = files.writer(tmp_path / "b.pt", "pytorch", {}, file.skeleton, tmp_path / "b.pt")
    writer.begin([Tensor("a", np.dtype("f4"), (3,))])
    with pytest.raises(ParameterError, match=r"\['b'\]"):
        writer.complete()


# ---- ONNX ----
@pytest.fixture
def model():
    """A model with initializers of many types, also in a graph within it."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    ml_dtypes = pytest.importorskip("ml_dtypes")
    weights = {
        "w": normal(60, 50), "half": normal(3).astype("f2"), "brain": normal(5).astype(ml_dtypes.bfloat16),
        "shape": np.array([2, 3]), "scalar": np.array(2.5, "f8"), "mask": np.array([True, False]),
        "four": np.array([-3, 4, 1], ml_dtypes.int4), "eight": normal(4).astype(ml_dtypes.float8_e4m3fn),
    }  # fmt: skip
    initializers = [numpy_helper.from_array(x, name) for name, x in weights.items()]
    initializers.append(helper.make_tensor("listed", TensorProto.FLOAT, [3], [1.5, 2.5, 3.5]))  # float_data
    initializers.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"text"]))
    weights["listed"] = np.array([1.5, 2.5, 3.5], "f4")
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "inner", [], [out],
                              [numpy_helper.from_array(weights["w"][:3], "w")])  # fmt: skip
    nodes = [helper.make_node("If", ["c"], ["y"], "choice", then_branch=inner, else_branch=inner)]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    made = helper.make_model(helper.make_graph(nodes, "g", [condition], [out], initializers), doc_string="kept")
    for branch in ("then_branch", "else_branch"):
        weights[f"choice.{branch}/w"] = weights["w"][:3]
    return onnx, made, weights


def test_onnx(tmp_path, model):
    onnx, made, weights = model
    onnx.save(made, tmp_path / "a.onnx")
    file = again(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert {t.name for t in file.tensors} == set(weights)
    back = onnx.load(tmp_path / "b.onnx")
    assert back.doc_string == "kept" and back.graph.node == made.graph.node
    for a, b in zip(made.graph.initializer, back.graph.initializer, strict=True):
        assert (a.name, a.data_type, a.dims) == (b.name, b.data_type, b.dims)
        assert np.array_equal(onnx.numpy_helper.to_array(a), onnx.numpy_helper.to_array(b))
    with arraycodec.load(tmp_path / "a.onnx") as store:
        for name, x in weights.items():
            assert np.array_equal(np.asarray(store[name]), x) and store[name].dtype == x.dtype, name
        arraycodec.save(tmp_path / "c.arrc", store, TOL)
    with arraycodec.load(tmp_path / "c.arrc") as store:
        assert verify(weights["w"], store["w"][:], TOL) and store.skeleton[0] == "onnx"
        assert np.array_equal(np.asarray(store["four"]), weights["four"])
        assert np.array_equal(np.asarray(store["eight"]), weights["eight"])


def test_onnx_with_data_in_another_file(tmp_path, model, monkeypatch):
    onnx, made, weights = model
    onnx.save(made, tmp_path / "a.onnx", save_as_external_data=True, location="a.bin", size_threshold=0)
    again(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert np.array_equal(onnx.numpy_helper.to_array(onnx.load(tmp_path / "b.onnx").graph.initializer[0]), weights["w"])
    from arraycodec.checkpoints import onnxfile

    monkeypatch.setattr(onnxfile, "_MOST", 5000)  # as if it were larger than a message
    again(tmp_path / "a.onnx", tmp_path / "c.onnx")
    assert (tmp_path / "c.onnx").stat().st_size < 5000 < (tmp_path / "c.onnx.data").stat().st_size
    assert np.array_equal(onnx.numpy_helper.to_array(onnx.load(tmp_path / "c.onnx").graph.initializer[0]), weights["w"])
    with pytest.raises(ParameterError, match="c.onnx.data exists"):
        again(tmp_path / "a.onnx", tmp_path / "c.onnx")
    (tmp_path / "a.bin").write_bytes(b"short")
    with arraycodec.load(tmp_path / "a.onnx") as store, pytest.raises(FormatError, match="'w' is not readable"):
        store["w"][:]
    (tmp_path / "a.bin").unlink()
    with arraycodec.load(tmp_path / "a.onnx") as store, pytest.raises(FormatError, match="'w' is not readable"):
        store["w"][:]


def test_onnx_is_checked(tmp_path, model):
    onnx, made, _ = model
    for data in (b"\xff\xff", b"", bytes(20)):
        (tmp_path / "a.onnx").write_bytes(data)
        with pytest.raises(FormatError, match="a.onnx"):
            arraycodec.load(tmp_path / "a.onnx")
    made.graph.initializer[0].dims[:] = [7, 7]
    onnx.save(made, tmp_path / "b.onnx")
    with arraycodec.load(tmp_path / "b.onnx") as store, pytest.raises(FormatError, match="'w' is not readable"):
        store["w"][:]
    made.graph.initializer[0].data_type = 1000
    onnx.save(made, tmp_path / "c.onnx")
    with pytest.raises(FormatError, match="unknown type"):
        arraycodec.load(tmp_path / "c.onnx")


def test_onnx_wants_its_tensors(tmp_path, model):
    onnx, made, _ = model
    onnx.save(made, tmp_path / "a.onnx")
    file = files.open_file(tmp_path / "a.onnx", "onnx")
    tensors = [Tensor(t.name, t.dtype, t.shape, t.view) for t in file.tensors]
    target = tmp_path / "b.onnx"
    for changed, text in (
        (tensors[1:], "initializer 'w' .* is not among"),
        ([*tensors, Tensor("more", np.dtype("f4"), ())], "no initializer 'more'"),
        ([Tensor("w", np.dtype("f8"), (60, 50)), *tensors[1:]], "another type than float64"),
    ):
        writer = files.writer(target, "onnx", {}, file.skeleton, target)
        writer.begin(changed)
        with pytest.raises(ParameterError, match=text):
            writer.complete()
    with pytest.raises(ParameterError, match="more than tensors"):
        files.writer(target, "onnx", {}, b"", target)
    writer = files.writer(target, "onnx", {}, b"\xff", target)
    with pytest.raises(FormatError, match="kept of the ONNX model"):
        writer.complete()


# ---- lc0 ----
def number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(tag, content):
    return number(tag << 3 | 2) + number(len(content)) + content


def layer(q, low=-0.5, high=0.75, more=b""):
    limits = b"\x0d" + struct.pack("<f", low) + b"\x15" + struct.pack("<f", high)
    return limits + message(3, q.astype("<u2").tobytes()) + more


def integers(n):
    return np.clip(np.rint(RNG.normal(30000, 3000, n)), 0, 65535).astype("u2")


LAYERS = {
    "input.weights": integers(3000), "residual.0.conv1.weights": integers(400),
    "residual.1.conv1.weights": integers(300),
    "residual.1.se.w1": integers(5), "encoder.0.mha.smolgen.ln1_betas": integers(8), "ip_pol_w": integers(70),
    "policy_heads.policy_head_map.0.value.policy1.biases": integers(3), "ip1_val_b": integers(0),
}  # fmt: skip


def network(encoding=1, magic=0x1C0, unknown=b""):
    """A network with layers everywhere, and fields that nobody knows."""
    at = LAYERS.__getitem__
    weights = (
        message(1, message(1, layer(at("input.weights"))))
        + message(2, message(1, message(1, layer(at("residual.0.conv1.weights")))))
        + message(2, message(1, message(1, layer(at("residual.1.conv1.weights"))))
                  + message(3, message(1, layer(at("residual.1.se.w1"), 3, 3))))
        + message(27, message(1, message(9, message(5, layer(at("encoder.0.mha.smolgen.ln1_betas"), more=b"\x20\5")))))
        + message(4, layer(at("ip_pol_w"), -1e-3, 2e-3))
        + message(45, message(7, message(1, b"key") + message(2, message(10, message(2, layer(
            at("policy_heads.policy_head_map.0.value.policy1.biases")))))))
        + message(8, layer(at("ip1_val_b"), 0, 0)) + b"\xe0\1\7"  # headcount = 7
        + message(99, b"unknown")
    )  # fmt: skip
    head = b"\x0d" + struct.pack("<I", magic) + message(2, b"a license") + message(4, b"\x08" + number(encoding))
    return head + message(10, weights) + unknown


def test_lc0(tmp_path):
    data = network()
    (tmp_path / "a.pb.gz").write_bytes(gzip.compress(data))
    (tmp_path / "a.pb").write_bytes(data)
    file = again(tmp_path / "a.pb.gz", tmp_path / "b.pb.gz")
    again(tmp_path / "a.pb", tmp_path / "b.pb")
    assert gzip.decompress((tmp_path / "b.pb.gz").read_bytes()) == data == (tmp_path / "b.pb").read_bytes()
    assert [t.name for t in file.tensors] == list(LAYERS) and b"a license" in file.skeleton
    with arraycodec.load(tmp_path / "a.pb.gz") as store:
        for name, q in LAYERS.items():
            low, high = (np.float32(limit) for limit in (store[name].view.low, store[name].view.high))
            exact = low + q.astype("f4") / np.float32(65535) * (high - low)
            assert np.array_equal(np.asarray(store[name]), exact) and exact.dtype == np.float32
        arraycodec.save(tmp_path / "c.arrc", store, TOL)
        arraycodec.save(tmp_path / "d.arrc", store, 0)
        originals = {name: np.asarray(store[name]) for name in store}
    with arraycodec.load(tmp_path / "c.arrc") as store:
        assert store["input.weights"].tol == linear16(-0.5, 0.75).steps(TOL) == 51
        for name, x in originals.items():
            assert verify(x, np.asarray(store[name]), TOL), name
        assert (np.asarray(store["input.weights"]) != originals["input.weights"]).any()
    with arraycodec.load(tmp_path / "d.arrc") as store:
        assert all(np.array_equal(np.asarray(store[name]), x) for name, x in originals.items())


def wrong_networks():
    good = network()
    yield b""
    yield good[:-3]
    yield b"\x0d\0\0\0\0" + good[5:]
    yield network(encoding=0)
    yield network(encoding=2)
    yield b"\x0d" + struct.pack("<I", 0x1C0)
    yield network(unknown=message(10, message(4, layer(LAYERS["ip_pol_w"]))))  # twice
    yield network(unknown=message(10, message(5, message(3, b"odd"))))
    yield network(unknown=message(10, message(5, message(3, b"12") + message(3, b"12"))))
    yield network(unknown=b"\x0b")  # a group
    yield network(unknown=b"\x02\x00")  # field 0
    yield network(unknown=b"\xff" * 12)
    yield network(unknown=b"\x08\xff")
    yield b"\x1f\x8b" + bytes(20)
    yield gzip.compress(good)[:-5]
    yield gzip.compress(good)[:200] + b"?" + gzip.compress(good)[201:]


@pytest.mark.parametrize("data", list(wrong_networks()))
def test_lc0_is_checked(tmp_path, data):
    (tmp_path / "a.pb.gz").write_bytes(data)
    with pytest.raises(DecodeError, match="a.pb.gz"):
        arraycodec.load(tmp_path / "a.pb.gz")


def test_lc0_any_cut(tmp_path):
    data = network()
    for length in range(0, len(data), 13):
        (tmp_path / "a.pb").write_bytes(data[:length])
        with pytest.raises(DecodeError):
            arraycodec.load(tmp_path / "a.pb")


def test_lc0_wants_its_layers(tmp_path):
    (tmp_path / "a.pb").write_bytes(network())
    file = files.open_file(tmp_path / "a.pb", "lc0")
    tensors = [Tensor(t.name, t.dtype, t.shape, t.view) for t in file.tensors]
    target = tmp_path / "b.pb.gz"
    for changed, text in (
        (tensors[1:], "layer input.weights .* is not among"),
        ([Tensor("input.weights", np.dtype("f4"), (3,)), *tensors[1:]], "layer input.weights"),
        ([*tensors, Tensor("more", np.dtype("u2"), (3,))], "no layer 'more'"),
    ):
        writer = files.writer(target, "lc0", {}, file.skeleton, target)
        writer.begin(changed)
        with pytest.raises(ParameterError, match=text):
            writer.complete()
        assert not target.exists()


# ---- formats ----
def test_formats_are_known_by_content(tmp_path):
    for name, data, kind in (
        ("model.bin", safetensors_bytes({}), "safetensors"), ("a.safetensors", b"", "safetensors"),
        ("a.onnx", b"", "onnx"), ("a.pb.gz", b"\x1f\x8b", "lc0"), ("a.gz", b"\x1f\x8b", None), ("a.txt", b"text", None),
        ("a.pt", b"PK\3\4", "pytorch"), ("a.npz", b"PK\3\4", None), ("net.pb", b"\x0d", "lc0"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert files.format_of(tmp_path / name) == kind, name


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "import_module", lambda *_: exec("raise ImportError('none')"))
    (tmp_path / "a.pt").write_bytes(b"PK\3\4")
    with pytest.raises(ParameterError, match="pytorch files need the package torch: pip install torch"):
        arraycodec.load(tmp_path / "a.pt")


@pytest.mark.skipif(not (FOLDER / "ckpt_silero_vad_16k.safetensors").exists(), reason=f"no data in {FOLDER}")
def test_a_checkpoint_as_shipped(tmp_path):
    path = FOLDER / "ckpt_silero_vad_16k.safetensors"
    again(path, tmp_path / "b.safetensors")
    assert path.read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with arraycodec.load(path) as store:
        arraycodec.save(tmp_path / "a.arrc", store, {"*.bias*": 0, "*": 1e-4})
        with arraycodec.load(tmp_path / "a.arrc") as back:
            for name in store:
                assert verify(np.asarray(store[name]), np.asarray(back[name]), 0 if ".bias" in name else 1e-4)
    assert (tmp_path / "a.arrc").stat().st_size < 0.45 * path.stat().st_size
