"""Packages that store and read Zarr arrays in other ways, with our codecs in them: zarrs, icechunk, obstore, kerchunk,
VirtualiZarr.  docs/neighbours.md says in a table what comes out of it.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, decode, encode, hdf5

zarr = pytest.importorskip("zarr")
if int(zarr.__version__.split(".")[0]) < 3:
    pytest.skip("needs zarr-python 3", allow_module_level=True)

from zarr.storage import ObjectStore  # noqa: E402

TOL = 2**-10
Q = AnsQuant(tol=TOL)
CODECS = [Q, VarintQuant(tol=TOL), StochasticQuant(5, seed=1), LowRankQuant(5)]
X = np.random.default_rng(0).normal(size=(60, 80)).astype("f4")
LAYOUTS = {"v2": {"zarr_format": 2}, "v3": {}, "shards": {"shards": (60, 80)}}


def slots(codec, layout):
    """Keyword arguments of create_array."""
    how = {"compressors": codec} if layout == "v2" else {"serializer": codec, "compressors": None}
    return {"shape": X.shape, "chunks": (30, 40), "dtype": "f4", **how, **LAYOUTS[layout]}


def by_hand(codec=Q):
    """What chunks of 30 x 40 values hold."""
    return np.block([[decode(codec.encode(X[i : i + 30, j : j + 40].copy())) for j in (0, 40)] for i in (0, 30)])


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def other_process(code, cwd):
    """Run a program that does not import this package, and knows the values in x.npy."""
    code = f"import sys\nimport numpy as np\nimport zarr\n{code}\nassert 'arraycodec.codec' in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# ---- zarrs: a codec pipeline in Rust ----
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS, ids=lambda q: type(q).__name__)
def test_zarrs_leaves_our_codecs_to_us(tmp_path, codec, layout):
    """It says so; what it stores and reads is, bit for bit, what zarr-python's own pipeline does."""
    pytest.importorskip("zarrs")
    own = zarr.create_array(str(tmp_path / "own"), **slots(codec, layout))
    own[...] = X
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        with pytest.warns(UserWarning, match="unsupported by ZarrsCodecPipeline"):
            z = zarr.create_array(str(tmp_path / "zarrs"), **slots(codec, layout))
            z[...] = X
            first, part = z[...], z[3:50:7, 11]
            other = zarr.open_array(str(tmp_path / "own"), mode="r")[...]
    assert files(tmp_path / "zarrs") == files(tmp_path / "own")
    assert np.array_equal(first, own[...]) and np.array_equal(part, own[3:50:7, 11])
    assert np.array_equal(other, own[...])


# ---- obstore: object stores in Rust ----
@pytest.mark.parametrize("layout", LAYOUTS)
def test_obstore(tmp_path, layout):
    obstore = pytest.importorskip("obstore")
    local = obstore.store.LocalStore(tmp_path / "store", mkdir=True)
    z = zarr.create_array(ObjectStore(local), name="x", **slots(Q, layout))
    z[...] = X
    plain = zarr.create_array(str(tmp_path / "plain"), name="x", **slots(Q, layout))
    plain[...] = X
    assert files(tmp_path / "store" / "x") == files(tmp_path / "plain" / "x")
    assert np.array_equal(z[...], by_hand()) and np.array_equal(z[29:31, ::7], by_hand()[29:31, ::7])
    np.save(tmp_path / "x.npy", by_hand())
    code = """import obstore
store = zarr.storage.ObjectStore(obstore.store.LocalStore("store"), read_only=True)
assert np.array_equal(zarr.open_array(store, path="x", mode="r")[...], np.load("x.npy"))"""
    other_process(code, tmp_path)
    memory = zarr.create_array(ObjectStore(obstore.store.MemoryStore()), **slots(Q, layout))
    memory[...] = X
    memory[5:7, 39:41] = 1
    expected = by_hand()
    expected[5:7, 39:41] = memory[5:7, 39:41]
    assert np.array_equal(memory[...], expected) and np.abs(expected[5:7, 39:41] - 1).max() <= TOL


# ---- icechunk: versions of stores ----
@pytest.fixture
def repository(tmp_path):
    """A repository in a folder, which may refer to the files beside it."""
    icechunk = pytest.importorskip("icechunk")
    files_here = f"file://{tmp_path}/"
    config = icechunk.RepositoryConfig.default()
    container = icechunk.VirtualChunkContainer(files_here, icechunk.local_filesystem_store(str(tmp_path)))
    config.set_virtual_chunk_container(container)
    access = getattr(getattr(icechunk, "credentials", None), "LocalFileSystemAccess", None)  # None in icechunk 1
    storage = icechunk.local_filesystem_storage(str(tmp_path / "ice"))
    return icechunk.Repository.create(storage, config=config, authorize_virtual_chunk_access={files_here: access})


@pytest.mark.parametrize("layout", ["v3", "shards"])  # it has no format 2
def test_icechunk(tmp_path, repository, layout):
    session = repository.writable_session("main")
    for codec in CODECS:
        zarr.create_array(session.store, name=type(codec).__name__, **slots(codec, layout))[...] = X
    first = session.commit("arrays")
    session = repository.writable_session("main")
    zarr.open_array(session.store, path="AnsQuant")[5:7, 39:41] = 1
    session.commit("a part of one")
    expected = by_hand()
    read = zarr.open_group(repository.readonly_session(snapshot_id=first).store, mode="r")
    for codec in CODECS:
        assert np.array_equal(read[type(codec).__name__][...], by_hand(codec))
    expected[5:7, 39:41] = decode(encode(np.float32(1), TOL))
    np.save(tmp_path / "x.npy", expected)
    code = """import icechunk
repository = icechunk.Repository.open(icechunk.local_filesystem_storage("ice"))
z = zarr.open_array(repository.readonly_session("main").store, path="AnsQuant", mode="r")
assert np.array_equal(z[...], np.load("x.npy")) and np.array_equal(z[4:8, ::3], np.load("x.npy")[4:8, ::3])"""
    other_process(code, tmp_path)


@pytest.fixture
def h5(tmp_path):
    """A file of HDF5 of ours, and what it holds."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=X, chunks=(30, 40), compression=Q)
        f.create_dataset("varint", data=X, chunks=(30, 40), compression=VarintQuant(tol=TOL))
    with h5py.File(path) as f:
        assert np.array_equal(f["x"][...], by_hand())
    return path


def test_icechunk_refers_to_chunks_of_hdf5(tmp_path, repository, h5):
    """A chunk of HDF5 is one of Zarr: an array of icechunk without a chunk of its own."""
    icechunk = pytest.importorskip("icechunk")
    refs = hdf5.references(h5, url=f"file://{h5}")["refs"]
    session = repository.writable_session("main")
    z = zarr.create_array(session.store, name="x", **slots(Q, "v3"))
    places = {key: place for key, place in refs.items() if isinstance(place, list) and key.startswith("x/")}
    assert len(places) == 4
    session.store.set_virtual_refs(
        "x",
        [icechunk.VirtualChunkSpec([int(i) for i in key[2:].split(".")], *place) for key, place in places.items()],
    )
    session.commit("the chunks of a.h5")
    z = zarr.open_array(repository.readonly_session("main").store, path="x", mode="r")
    assert np.array_equal(z[...], by_hand()) and np.array_equal(z[3:40:5, 7], by_hand()[3:40:5, 7])


# ---- kerchunk and VirtualiZarr: HDF5 files as Zarr stores ----
def test_kerchunk_does_not_know_the_filter(h5):
    """It has a list of filters, and none can be added; hdf5.references makes what it would make."""
    kerchunk = pytest.importorskip("kerchunk.hdf")
    with pytest.raises(kerchunk.Hdf5FeatureNotSupported, match="filter id 35117 .* not supported"):
        kerchunk.SingleHdf5ToZarr(str(h5), error="raise").translate()


def test_kerchunk_combines_references(tmp_path, h5):
    combine = pytest.importorskip("kerchunk.combine")
    xr = pytest.importorskip("xarray")
    import h5py

    files = []
    for day in range(3):
        files.append(tmp_path / f"{day}.h5")
        with h5py.File(files[-1], "w") as f:
            f.create_dataset("t", data=X[None] + day, chunks=(1, 30, 40), compression=Q)
            for axis, name in enumerate(("day", "y", "x")):
                scale = f.create_dataset(name, data=np.arange(f["t"].shape[axis]) + (day if axis == 0 else 0))
                scale.make_scale(name)
                f["t"].dims[axis].attach_scale(scale)
    references = [hdf5.references(path, url=str(path)) for path in files]
    together = combine.MultiZarrToZarr(references, concat_dims=["day"], identical_dims=["y", "x"]).translate()
    options = {"fo": together, "remote_protocol": "file"}
    with xr.open_zarr("reference://", storage_options=options, consolidated=False, zarr_format=2) as ds:
        assert ds.t.shape == (3, 60, 80) and ds.day.values.tolist() == [0, 1, 2]
        assert np.abs(ds.t.values - (X + np.arange(3, dtype="f4")[:, None, None])).max() <= TOL


@pytest.fixture
def registry(tmp_path):
    pytest.importorskip("virtualizarr")
    registries = pytest.importorskip("obspec_utils.registry")
    from obstore.store import LocalStore

    return registries.ObjectStoreRegistry({"file://": LocalStore()})


def test_virtualizarr_does_not_know_the_filter(h5, registry):
    parsers = pytest.importorskip("virtualizarr.parsers")
    with pytest.raises(ValueError, match="Unknown filter: 35117"):
        parsers.HDFParser()(url=f"file://{h5}", registry=registry)


def test_virtualizarr_reads_our_references(tmp_path, h5, registry, repository):
    """And hands them to icechunk, in whose metadata the codec has its own name."""
    parsers = pytest.importorskip("virtualizarr.parsers")
    (tmp_path / "refs.json").write_text(json.dumps(hdf5.references(h5, url=f"file://{h5}")))
    manifests = parsers.KerchunkJSONParser()(url=f"file://{tmp_path}/refs.json", registry=registry)
    root = zarr.open_group(manifests, mode="r")
    assert np.array_equal(root["x"][...], by_hand()) and np.array_equal(root["x"][3:40:5, 7], by_hand()[3:40:5, 7])
    session = repository.writable_session("main")
    manifests.to_virtual_dataset().vz.to_icechunk(session.store)
    session.commit("a.h5")
    root = zarr.open_group(repository.readonly_session("main").store, mode="r")
    names = {name: z.metadata.codecs[0].to_dict()["name"] for name, z in root.arrays()}
    assert names == {"x": "arraycodec.ansquant", "varint": "arraycodec.varintquant"}
    for z in (root["x"], root["varint"]):
        assert np.array_equal(z[...], by_hand())
