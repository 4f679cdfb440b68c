"""Checkpoints: what is saved comes back within its rule, from every form, and only what is asked for is decoded."""

import json
import threading

import numpy as np
import pytest
from arrays import bits
from hypothesis import given, settings
from hypothesis import strategies as st

import arraycodec
from arraycodec import AnsQuant, FormatError, ParameterError, verify
from arraycodec.checkpoints import packs, views
from arraycodec.checkpoints.packs import Tensor as Entry
from arraycodec.checkpoints.views import View
from arraycodec.rules import Rule, Rules

ml_dtypes = pytest.importorskip("ml_dtypes")

TOL = 2.0**-12
RNG = np.random.default_rng(0)
TENSORS = {
    **{f"layers.{i}.weight": RNG.normal(0, 0.05, (300, 200)).astype("f4") for i in range(3)},
    **{f"layers.{i}.bias": RNG.normal(0, 0.05, 200).astype("f4") for i in range(3)},
    "wide": RNG.normal(0, 1, (3, 200_000)).astype("f4"),
    "step": np.int64(7),
    "empty": np.zeros((0, 3), "f2"),
    "mask": np.array([True, False, True]),
    "half": RNG.normal(size=(50, 7)).astype("f2"),
    "brain": RNG.normal(size=(300, 100)).astype(ml_dtypes.bfloat16),
    "small brain": RNG.normal(size=5).astype(ml_dtypes.bfloat16),
    "f8": RNG.normal(size=30).astype(ml_dtypes.float8_e4m3fn),
    "ids": np.arange(40_000, dtype="i4"),
    "complex": RNG.normal(size=5) + 1j,
    "big endian": np.arange(20_000.0).astype(">f8"),
    "../odd//name": np.arange(20_000.0),
    "arraycodec_pack_0": np.ones(20_000, "f4"),
    "wide/below": np.full(20_000, np.nan, "f4"),
    "": np.arange(3.0),
}
RULES = {"*.bias": 0, "half": "keep", "*": TOL}
FORMS = ("a.arrc", "a.h5", "a.zarr", "zarr2")


@pytest.fixture(params=FORMS)
def form(request):
    """A file name and the arguments of `save` for it."""
    pytest.importorskip("h5py" if request.param.endswith("h5") else "zarr" if "zarr" in request.param else "numpy")
    return ("a.zarr", {"format": "zarr2"}) if request.param == "zarr2" else (request.param, {})


def within(original, back, name):
    """Whether a tensor came back as `RULES` say."""
    assert back.shape == original.shape and back.dtype == original.dtype.newbyteorder("="), name
    kind = original.dtype.name
    if original.dtype.kind in "fc" or kind == "bfloat16":
        return bool(verify(original, back, Rules.of(RULES).of_tensor(name).tol))
    return original.tobytes() == back.tobytes()


@pytest.mark.parametrize("pack", [0, 1 << 14])
def test_everything_comes_back_within_its_rule(tmp_path, form, pack):
    name, how = form
    path = tmp_path / name
    arraycodec.save(path, TENSORS, RULES, pack=pack, attrs={"epoch": 3}, threads=2, **how)
    with arraycodec.load(path) as store:
        assert list(store) == list(TENSORS) and len(store) == len(TENSORS)
        assert store.attrs["epoch"] == 3
        for name, original in TENSORS.items():
            tensor, original = store[name], np.asarray(original)
            assert (tensor.shape, tensor.ndim, tensor.size) == (original.shape, original.ndim, original.size)
            assert tensor.nbytes == original.nbytes
            assert within(original, np.asarray(tensor), name), name
        assert store["layers.1.bias"].tol == 0 and store["layers.1.weight"].tol == TOL
        assert isinstance(store["layers.1.weight"].codec, AnsQuant)
        assert "layers.1.weight" in repr(store["layers.1.weight"]) and "24" not in repr(store["step"])
        with pytest.raises(KeyError, match="no tensor named 'nothing'"):
            store["nothing"]


def test_save_again_what_was_loaded(tmp_path):
    """Bit for bit, through another form, and lazily."""
    pytest.importorskip("h5py")
    arraycodec.save(tmp_path / "a.arrc", TENSORS, RULES)
    with arraycodec.load(tmp_path / "a.arrc") as first:
        arraycodec.save(tmp_path / "b.h5", first, "keep")
        with arraycodec.load(tmp_path / "b.h5") as second:
            assert list(first) == list(second)
            for name in first:
                assert np.asarray(first[name]).tobytes() == np.asarray(second[name]).tobytes()


def indices(n):
    edge = st.none() | st.integers(-n - 2, n + 2)
    slices = st.builds(slice, edge, edge, st.none() | st.integers(1, n + 2) | st.integers(-n - 2, -1))
    return slices | st.integers(-n, n - 1)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same tensors in every form, in chunks of many shapes."""
    h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr", minversion="3")
    folder = tmp_path_factory.mktemp("stores")
    x = np.random.default_rng(1).normal(size=(23, 17)).astype("f4")
    arraycodec.save(folder / "pack.arrc", {"x": x, "y": x}, 0)
    from arraycodec.checkpoints.arrc import Writer

    writer = Writer(folder / "chunks.arrc")
    new = writer.create("x", x.dtype, x.shape, AnsQuant(0), chunks=(5, 7))
    writer.write(new, (slice(0, 23), slice(0, 17)), x, threads=2)
    writer.complete()
    writer.close()
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("x", data=x, chunks=(5, 7), compression=AnsQuant(0))
    z = zarr.create_array(
        str(folder / "x.zarr"), name="x", shape=x.shape, chunks=(5, 7), dtype="f4", serializer=AnsQuant(0),
        compressors=None,
    )  # fmt: skip
    z[...] = x
    opened = [arraycodec.load(path) for path in sorted(folder.iterdir())]
    assert len(opened) == 4
    yield x, [store["x"] for store in opened]
    for store in opened:
        store.close()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_selection_is_numpys(stores, data):
    x, tensors = stores
    rows = st.lists(st.integers(-23, 22), max_size=9) | st.lists(st.booleans(), min_size=23, max_size=23)
    first = data.draw(indices(23) | rows.map(lambda r: np.array(r, bool if r and isinstance(r[0], bool) else "i8")))
    selection = data.draw(st.sampled_from([(first,), (first, ...), (first, data.draw(indices(17)))]))
    for tensor in tensors:
        assert np.array_equal(tensor[selection], x[selection]), selection


def test_selections_that_are_none(stores):
    _, tensors = stores
    for tensor in tensors:
        for wrong, error in (
            (23, IndexError), ([23], IndexError), ([0.5], TypeError), (np.ones(3, bool), IndexError), (None, TypeError),
            ((slice(None), [1]), TypeError), ("a", TypeError),
        ):  # fmt: skip
            with pytest.raises(error):
                tensor[wrong]
        assert len(tensor) == 23
        with pytest.raises(ValueError, match="copy=False"):
            np.array(tensor, copy=False)
        assert np.array(tensor, "f8").dtype == "f8"
    with pytest.raises(TypeError, match="threads"):
        tensors[0].read(threads=0.5)


def test_only_touched_chunks_are_decoded(tmp_path):
    """A damaged chunk is no concern of rows that are in others."""
    x = np.random.default_rng(2).normal(size=(4096, 512)).astype("f4")
    path = tmp_path / "a.arrc"
    arraycodec.save(path, {"x": x}, TOL)
    with arraycodec.load(path) as store:
        entry = store["x"]._stored.array.entry
        assert entry.chunks[1] == 512 and entry.offsets.shape == (8, 1)
        damaged = bytearray(path.read_bytes())
        damaged[int(entry.offsets[3, 0]) + 1000] ^= 1
    path.write_bytes(damaged)
    with arraycodec.load(path) as store:
        t = store["x"]
        rows = [5, 4000, 5, 700]
        assert verify(x[rows], t[rows], TOL) and verify(x[2048:], t[2048:], TOL)
        with pytest.raises(arraycodec.DecodeError, match=r"chunk at \(1536, 0\) of 'x'"):
            t[1600]
        with pytest.raises(arraycodec.DecodeError, match=r"chunk at \(1536, 0\) of 'x'"):
            t.read(threads=3)


def test_threads_share_a_store(tmp_path):
    arraycodec.save(tmp_path / "a.arrc", TENSORS, RULES)
    failed = []
    with arraycodec.load(tmp_path / "a.arrc") as store:
        expected = {name: np.asarray(store[name]).tobytes() for name in store}

        def look(seed):
            for name in np.random.default_rng(seed).permutation(list(store)).tolist():
                if np.asarray(store[name]).tobytes() != expected[name]:
                    failed.append(name)

        workers = [threading.Thread(target=look, args=(i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not failed


def test_the_bytes_do_not_depend_on_threads(tmp_path):
    for threads in (1, 3):
        arraycodec.save(tmp_path / f"{threads}.arrc", TENSORS, RULES, threads=threads)
    assert (tmp_path / "1.arrc").read_bytes() == (tmp_path / "3.arrc").read_bytes()


def test_thousands_of_small_tensors_are_small(tmp_path):
    tensors = {f"layers.{i}.bias": RNG.normal(0, 0.05, 64).astype("f4") for i in range(3000)}
    for pack in (0, 1 << 14):
        arraycodec.save(tmp_path / f"{pack}.arrc", tensors, TOL, pack=pack)
    alone, together = ((tmp_path / f"{pack}.arrc").stat().st_size for pack in (0, 1 << 14))
    assert together < 0.75 * alone
    with arraycodec.load(tmp_path / "16384.arrc") as store:
        assert list(store) == list(tensors)
        assert all(verify(x, np.asarray(store[name]), TOL) for name, x in tensors.items())


def test_attributes_of_packs_may_be_long(tmp_path):
    """Beyond what HDF5 has room for in an object's header."""
    pytest.importorskip("h5py")
    tensors = {f"{i:080}": np.float32(i) for i in range(2000)}
    arraycodec.save(tmp_path / "a.h5", tensors, 0)
    with arraycodec.load(tmp_path / "a.h5") as store:
        assert all(store[name][()] == i for i, name in enumerate(tensors))


def test_one_tensor_with_two_names_is_stored_once(tmp_path):
    x = RNG.normal(size=(300, 100)).astype("f4")
    arraycodec.save(tmp_path / "a.arrc", {"in": x, "other": x.copy(), "out": x, "exact": x}, {"exact": 0, "*": TOL})
    with arraycodec.load(tmp_path / "a.arrc") as store:
        assert list(store) == ["in", "other", "out", "exact"]
        assert store["in"].identity == store["out"].identity != store["other"].identity
        assert np.array_equal(store["exact"][:], x) and verify(x, store["out"][:], TOL)


def test_mappings_that_make_their_values(tmp_path):
    """An open HDF5 file is one: objects of one moment are not the same tensor."""
    h5py = pytest.importorskip("h5py")
    arrays = {f"{i}": np.full((200, 100), i, "f4") for i in range(20)}
    with h5py.File(tmp_path / "a.h5", "w") as f:
        for name, x in arrays.items():
            f[name] = x
        arraycodec.save(tmp_path / "a.arrc", f, 0)
    with arraycodec.load(tmp_path / "a.arrc") as store:
        assert all((store[name][:] == x).all() for name, x in arrays.items())


# ---- what save refuses, before it writes ----
def test_save_refuses(tmp_path):
    x = np.zeros(3, "f4")
    path = tmp_path / "a.arrc"
    for tensors, tol, how, error, text in (
        ({"x": x}, {"y*": 0}, {}, ParameterError, "no tolerance for 'x'"),
        ({"x": x}, -1, {}, ParameterError, ">= 0"),
        ({"x": x}, {}, {}, ParameterError, "no rule"),
        ({"x": x}, {3: 0}, {}, TypeError, "pattern"),
        ({"x": x}, None, {}, TypeError, "number or"),
        ({"x": np.array(["a"])}, 0, {}, TypeError, "'x': arrays of"),
        ({"x": np.zeros(2, "f4,f4")}, 0, {}, TypeError, "'x'"),
        ({"x": np.zeros(2, object)}, 0, {}, TypeError, "'x'"),
        ({"x": np.ma.masked_array(x, x == 0)}, 0, {}, TypeError, "mask"),
        ({3: x}, 0, {}, TypeError, "names of tensors"),
        ({"x": x}, 0, {"attrs": {"a": {1, 2}}}, ParameterError, "JSON"),
        ({"x": x}, 0, {"attrs": {"a": np.nan}}, ParameterError, "JSON"),
        ({"x": x}, 0, {"format": "zip"}, ParameterError, "format must be"),
        ({"x": x}, 0, {"threads": 0}, ParameterError, "threads"),
        ({"x": x}, 0, {"level": 10}, ParameterError, "level"),
        ({"x": x}, 0, {"pack": "all"}, TypeError, "pack"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            arraycodec.save(path, tensors, tol, **how)
        assert not list(tmp_path.iterdir())
    with pytest.raises(ParameterError, match="no format for the suffix '.bin'"):
        arraycodec.save(tmp_path / "a.bin", {"x": x}, 0)
    with pytest.raises(ParameterError, match="no such folder"):
        arraycodec.save(tmp_path / "none" / "a.arrc", {"x": x}, 0)
    arraycodec.save(path, {"x": x}, 0)
    before = path.read_bytes()
    with pytest.raises(ParameterError, match="exists"):
        arraycodec.save(path, {"y": x}, 0)
    with pytest.raises(ZeroDivisionError):
        arraycodec.save(path, {"y": Failing()}, 0, overwrite=True)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    arraycodec.save(path, {"y": x}, 0, overwrite=True)
    assert list(arraycodec.load(path)) == ["y"]


class Failing:
    """An array that fails when it is read."""

    dtype, shape = np.dtype("f4"), (3,)

    def __array__(self, dtype=None, copy=None):
        raise ZeroDivisionError


def test_rules_that_decide_nothing_are_said(tmp_path):
    with pytest.warns(UserWarning, match=r"the tolerance \*\.bias=0 is for no tensor"):
        arraycodec.save(tmp_path / "a.arrc", {"a.bias": np.zeros(3)}, {"*": 1e-3, "*.bias": 0})


def test_load_refuses(tmp_path):
    with pytest.raises(FileNotFoundError):
        arraycodec.load(tmp_path / "none.arrc")
    (tmp_path / "a").write_bytes(b"something else")
    with pytest.raises(FormatError, match="neither a store"):
        arraycodec.load(tmp_path / "a")
    pytest.importorskip("h5py")
    (tmp_path / "a.h5").write_bytes(b"something else")
    with pytest.raises(FormatError, match="not a readable HDF5 file"):
        arraycodec.load(tmp_path / "a.h5")


def test_stores_of_others(tmp_path):
    """Any HDF5 file or Zarr store is a mapping of tensors, with and without this package's codec."""
    h5py = pytest.importorskip("h5py")
    x = RNG.normal(size=(30, 40)).astype("f4")
    with h5py.File(tmp_path / "keras.h5", "w") as f:
        f.create_dataset("model/dense/kernel", data=x, chunks=(10, 40), compression="gzip")
        f.create_dataset("model/dense/bias", data=x[0])
        f.create_dataset("bits", data=x.astype(ml_dtypes.bfloat16).view("u2"), chunks=(10, 40),
                         compression=AnsQuant(0, dtype="bfloat16"))  # fmt: skip
    with arraycodec.load(tmp_path / "keras.h5") as store:
        assert set(store) == {"model/dense/kernel", "model/dense/bias", "bits"}
        assert np.array_equal(store["model/dense/kernel"][3:5, ::-1], x[3:5, ::-1])
        assert store["model/dense/kernel"].codec is None and store["model/dense/kernel"].tol is None
        assert np.array_equal(np.asarray(store["bits"]), x.astype(ml_dtypes.bfloat16))


def test_a_zarr_store_that_is_one_array(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    x = RNG.normal(size=(30, 40))
    z = zarr.create_array(str(tmp_path / "a.zarr"), shape=x.shape, chunks=(10, 40), dtype="f8")
    z[...] = x
    with arraycodec.load(tmp_path / "a.zarr") as store:
        assert list(store) == ["data"] and np.array_equal(store["data"][5:15], x[5:15])
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    for folder in (tmp_path / "a.zarr", tmp_path):
        with pytest.raises(FormatError, match="not a readable Zarr store"):
            arraycodec.load(folder)


# ---- rules ----
def test_rules():
    rules = Rules.parse(["*.bias=0", "*.norm.*=keep", "emb[0-9]=1e-3", "2**-12"])
    assert rules.rules == (
        Rule("*.bias", 0.0), Rule("*.norm.*", 0.0, True), Rule("emb[0-9]", 1e-3), Rule("*", 2**-12)
    )  # fmt: skip
    assert str(rules) == "*.bias=0, *.norm.*=keep, emb[0-9]=0.001, *=0.000244141"
    assert rules.of_tensor("a/b.bias").tol == 0 and rules.of_tensor("emb3").tol == 1e-3
    assert rules.of_tensor("Emb3").tol == 2**-12
    assert rules.only is None and Rules.parse(["1e-3"]).only == 1e-3 and Rules.of("keep").only is None
    assert Rules.of({"*.bias": 0, "*.norm.*": "keep", "emb[0-9]": 1e-3, "*": 2**-12}) == rules
    assert Rules.of(rules) is rules and hash(Rules.of(1)) == hash(Rules.of(1.0))
    assert [r.pattern for r in rules.idle(["x.bias", "emb1"])] == ["*.norm.*", "*"]
    assert Rules.parse(["a=b=2^-3"]).find("a=b").tol == 0.125
    for text in ("*.bias=", "=1", "*=-1", "*=none", "x", "*.bias=1e999"):
        with pytest.raises(ParameterError):
            Rules.parse([text])
    with pytest.raises(ParameterError, match=r"no tolerance for 'y': none of x=0 matches"):
        Rules.parse(["x=0"]).of_tensor("y")


# ---- views ----
def test_views_are_texts():
    for view in (View("bfloat16"), View("float8_e5m2"), View("int4"), views.linear16(-0.25, 0.75)):
        assert views.parse(str(view)) == view
    for wrong in (
        None, 3, "", "float32", "linear16", "linear16 0", "linear16 a b 0", "linear16 0.1 0.2 0", "bfloat16 1",
        "linear16 0 1e60 0", "linear16 0 1 -1", "linear16 0 1 65536", "linear16 0 1 0.5", "linear16 0 1",
    ):  # fmt: skip
        with pytest.raises(FormatError, match="unknown kind of elements"):
            views.parse(wrong)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.75), (0, 0), (3, 3.0000002), (1, -1), (-3e38, 3e38), (0, 1e-40)])
def test_steps_of_linear_16_are_the_most_that_is_within(low, high):
    view = views.linear16(np.float32(low).item(), np.float32(high).item())
    x = view.values(np.arange(65536, dtype="i4") - view.zero)
    ends = view.values(np.array([-(2**31), 2**31 - 1], "i4"))
    assert x.dtype == np.float32 and np.array_equal(x[[0, -1]], ends, equal_nan=True)
    if low < 0 < high < 1e38:
        assert abs(view.values(np.zeros(1, "i4"))) <= np.diff(x).max()
    for tol in (0, 2.0**-17, 2.0**-12, 0.3, 10):
        k = view.steps(tol)
        if not np.isfinite(x).all():
            assert k == 0
            continue
        assert tol >= 10 or k <= view.steps(tol) and view.bound(k) <= np.nextafter(tol, 20)
        worst = [np.abs(x[j:].astype("f8") - x[: len(x) - j].astype("f8")).max() for j in (k, k + 1) if j < 65536]
        assert worst[0] <= tol and (len(worst) == 1 or worst[1] > tol)


# ---- packs ----
def entry(name, shape=(3,), dtype="f4", codec=None, view=None):
    return Entry(name, np.dtype(dtype), shape, view, codec)


def test_placing():
    entries = [
        entry("a"), entry("b", (100, 200)), entry("c", (2, 2)), entry("d", codec="other"), entry("e", dtype="f8"),
        entry("f", ()), entry("g", (0, 5)), entry("h", dtype="f8"),
    ]  # fmt: skip
    placed = packs.place(entries, 16384)
    assert [(p.host_name, [t.name for t in p.tensors], p.shape) for p in placed] == [
        ("arraycodec_pack_0", ["a", "c", "f", "g"], (3 + 4 + 1 + 0,)), ("b", ["b"], (100, 200)), ("d", ["d"], (3,)),
        ("arraycodec_pack_4", ["e", "h"], (6,)),
    ]  # fmt: skip
    listed = packs.members((p.host_name, p.tensors[0].dtype, p.shape, p.attrs) for p in placed)
    assert [m.name for m in listed] == [e.name for e in entries]
    assert [m.start for m in listed] == [0, None, 3, None, 0, 7, 8, 3]
    assert all(not p.is_pack for p in packs.place(entries, 0))
    with pytest.raises(ParameterError, match="2 tensors are named 'a'"):
        packs.place([entry("a"), entry("b"), entry("a")])


def damaged_packs():
    good = json.loads(packs.place([entry("a"), entry("b", (2, 2))])[0].attrs[packs.PACK])
    for key in ("names", "shapes", "positions"):
        yield {k: v for k, v in good.items() if k != key}
        yield good | {key: good[key][:1]}
        yield good | {key: 7}
        yield good | {key: [None, None]}
        yield good | {key: [[[1]], [[2]]]}
    yield good | {"shapes": [[3], [2, 3]]}
    yield good | {"shapes": [[-1], [-8]]}
    yield good | {"shapes": [[True], [6]]}
    yield good | {"shapes": [[7], [0] * 40]}
    yield good | {"shapes": [[2**63], [0]]}
    yield good | {"names": ["a", "a"]}
    yield good | {"positions": [0.5, 1]}
    yield good | {"views": ["bfloat16", "nothing"]}
    yield good | {"views": ["bfloat16", None]}
    yield good | {"views": [None]}
    yield []
    yield None


@pytest.mark.parametrize("columns", list(damaged_packs()))
def test_lists_of_packs_are_checked(columns):
    with pytest.raises(FormatError):
        packs.members([("p", np.dtype("f4"), (7,), {packs.PACK: json.dumps(columns)})])


@pytest.mark.parametrize("attrs", [
    {packs.PACK: 7}, {packs.PACK: "[" * 100_000}, {packs.VIEW: "x"}, {packs.VIEW: "bfloat16"}, {packs.NAME: 3},
    {packs.POSITION: -1}, {packs.POSITION: "1"}, {packs.ALIASES: 3}, {packs.ALIASES: "[1]"},
    {packs.ALIASES: "[[1, 2]]"}, {packs.ALIASES: '[["p", 2]]'},
])  # fmt: skip
def test_attributes_are_checked(attrs):
    with pytest.raises(FormatError):
        packs.members([("p", np.dtype("f4"), (7,), attrs)])


def test_bits_of_floats_that_are_kept(tmp_path):
    """NaN with payloads, negative zero and infinities, of all types of floats."""
    every = np.arange(65536, dtype="u2")
    eight = every.astype("u1").view(ml_dtypes.float8_e5m2)
    tensors = {"half": every.view("f2"), "brain": every.view(ml_dtypes.bfloat16), "f8": eight}
    arraycodec.save(tmp_path / "a.arrc", tensors, "keep")
    with arraycodec.load(tmp_path / "a.arrc") as store:
        for name, original in tensors.items():
            assert np.array_equal(bits(np.asarray(store[name])), bits(original)), name
    arraycodec.save(tmp_path / "b.arrc", tensors, 0.01)
    with arraycodec.load(tmp_path / "b.arrc") as store:
        for name in ("half", "brain"):
            assert verify(tensors[name], np.asarray(store[name]), 0.01)


def test_tensors_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(np.array(RNG.normal(size=(40, 30)), "f4"))
    tensors = {
        "plain": x, "turned": x.T, "parameter": torch.nn.Parameter(x), "brain": x.bfloat16(), "half": x.half(),
        "f8": x.to(torch.float8_e4m3fn), "ids": torch.arange(5), "scalar": torch.tensor(3.0), "mask": x > 0,
        "complex": torch.complex(x, x).conj(), "none": torch.zeros(0, 3), "bytes": torch.arange(5, dtype=torch.uint8),
    }  # fmt: skip
    arraycodec.save(tmp_path / "a.arrc", tensors, {"plain": TOL, "brain": 0.01, "*": 0})
    with arraycodec.load(tmp_path / "a.arrc") as store:
        assert verify(x.numpy(), np.asarray(store["plain"]), TOL)
        assert np.array_equal(np.asarray(store["turned"]), x.numpy().T)
        assert np.array_equal(np.asarray(store["parameter"]), x.numpy())
        brain = np.asarray(store["brain"])
        assert brain.dtype == ml_dtypes.bfloat16
        assert np.abs(brain.astype("f4") - x.bfloat16().float().numpy()).max() <= 0.01
        assert np.array_equal(np.asarray(store["f8"]).astype("f4"), tensors["f8"].float().numpy())
        assert np.array_equal(np.asarray(store["complex"]), tensors["complex"].resolve_conj().numpy())
        for name in ("half", "ids", "scalar", "mask", "none", "bytes"):
            assert np.array_equal(np.asarray(store[name]), tensors[name].numpy()), name
    tied = {"in": x, "out": x.detach(), "turned": x.T, "part": x[:20]}  # as a state dict has them: other objects
    arraycodec.save(tmp_path / "c.arrc", tied, 0, pack=10)
    with arraycodec.load(tmp_path / "c.arrc") as store:
        assert store["in"].identity == store["out"].identity
        assert len({store[name].identity for name in store}) == 3
    for wrong in (x.to_sparse(), x.to("meta")):
        with pytest.raises(TypeError, match="'x': "):
            arraycodec.save(tmp_path / "b.arrc", {"x": wrong}, 0)
