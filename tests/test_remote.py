"""Arrays behind HTTP and in fsspec's file systems: a small part of a large chunk takes few requests and few bytes."""

import contextlib
import functools
import http.server
import re
import threading

import numpy as np
import pytest

from arraycodec import AnsQuant, VarintQuant, decode, encode, hdf5, peek

fsspec = pytest.importorskip("fsspec")
zarr = pytest.importorskip("zarr")
if int(zarr.__version__.split(".")[0]) < 3:
    pytest.skip("needs zarr-python 3", allow_module_level=True)

from zarr.storage import FsspecStore  # noqa: E402

TOL = 2**-12
Q = AnsQuant(tol=TOL)
X = np.random.default_rng(0).normal(size=(2048, 1500)).astype("f4")  # 12 blocks
CHUNK = encode(X, TOL)
DECODED = decode(CHUNK)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and single byte ranges of them, and notes for each GET the path and how many bytes it sent."""

    protocol_version = "HTTP/1.1"
    log_message = lambda *args: None  # noqa: E731

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "bytes=0-"))
        try:
            with open(self.translate_path(self.path), "rb") as file:
                data = file.read()
        except OSError:
            return self.send_error(404)
        if asked[1]:
            start, stop = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        else:
            start, stop = max(0, len(data) - int(asked[2])), len(data)
        if start >= len(data) > 0:
            return self.send_error(416)
        self.server.gets.append((self.path, stop - start))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(data[start:stop])

    def end_headers(self):
        if self.command == "HEAD":
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()


class Served:
    """A folder behind HTTP, and what was sent of it."""

    def __init__(self, folder, server):
        self.folder = folder
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self._gets = server.gets

    @contextlib.contextmanager
    def counting(self, of):
        """A list that gets, when the block ends, the sizes of what was sent of a file meanwhile."""
        before, sizes = len(self._gets), []
        yield sizes
        sizes += [size for path, size in self._gets[before:] if path.endswith(of)]


@pytest.fixture
def served(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path)))
    server.daemon_threads = True
    server.gets = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Served(tmp_path, server)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http_store(served):
    """A function: zarr's store of a folder behind HTTP, through fsspec."""
    pytest.importorskip("aiohttp")
    return lambda name: FsspecStore.from_url(f"{served.url}/{name}", read_only=True)


@pytest.fixture
def object_store(served):
    """The same through obstore."""
    obstore = pytest.importorskip("obstore")

    def make(name):
        remote = obstore.store.HTTPStore(f"{served.url}/{name}", client_options={"allow_http": True})
        return zarr.storage.ObjectStore(remote, read_only=True)

    return make


@pytest.fixture(params=["http_store", "object_store"])
def store(request):
    return request.getfixturevalue(request.param)


def create(path, **how):
    z = zarr.create_array(str(path), shape=X.shape, dtype="f4", **{"chunks": X.shape, **how})
    z[...] = X


V3 = {"serializer": Q, "compressors": None}


@pytest.mark.parametrize(
    ("selection", "requests"),
    [(np.s_[:20], 2), (np.s_[1000:1020:3, ::7], 2), (np.s_[-1, 7], 2), (np.s_[::2047], 3), (np.s_[:, 3], 1), (..., 1)],
    ids=str,
)
def test_a_part_of_a_large_chunk(served, store, selection, requests):
    """Header and index in one request, then the blocks in one for each run of them."""
    assert peek(CHUNK).n_blocks == 12
    create(served.folder / "a.zarr", **V3)
    z = zarr.open_array(store("a.zarr"), mode="r")
    with served.counting("/c/0/0") as sizes:
        assert np.array_equal(z[selection], DECODED[selection])
    assert len(sizes) == requests
    if requests == 1:  # it touches every block
        assert sizes == [len(CHUNK)]
    else:
        assert sum(sizes) < (requests - 1) * len(CHUNK) / 11


def test_arrays_of_indices(served, store):
    create(served.folder / "a.zarr", **V3)
    z = zarr.open_array(store("a.zarr"), mode="r")
    rows = [190, 3, 3, 20]
    with served.counting("/c/0/0") as sizes:
        assert np.array_equal(z.oindex[rows, [9, 7]], DECODED[np.ix_(rows, [9, 7])])
    assert len(sizes) == 2 and sum(sizes) < len(CHUNK) / 5


def test_chunks_of_shards(served, store):
    """zarr asks for the index of a shard, then for whole chunks."""
    create(served.folder / "a.zarr", chunks=(128, 1500), shards=X.shape, **V3)
    z = zarr.open_array(store("a.zarr"), mode="r")
    with served.counting("/c/0/0") as sizes:
        assert np.array_equal(z[300, 5:9], decode(encode(X[256:384], TOL))[44, 5:9])
    assert len(sizes) == 2 and sum(sizes) < len(CHUNK) / 15


def test_format_2(served, store):
    """A chunk is one request: format 2 has no parts of chunks."""
    create(served.folder / "a.zarr", chunks=(128, 1500), zarr_format=2, compressors=Q)
    z = zarr.open_array(store("a.zarr"), mode="r")
    with served.counting("/2.0") as sizes:
        assert np.array_equal(z[300, 5:9], decode(encode(X[256:384], TOL))[44, 5:9])
    assert sizes == [len(encode(X[256:384], TOL))]


def test_a_server_without_the_chunk(served, store):
    create(served.folder / "a.zarr", fill_value=7, **V3)
    (served.folder / "a.zarr" / "c" / "0" / "0").unlink()
    z = zarr.open_array(store("a.zarr"), mode="r")
    assert (z[:20] == 7).all() and (z[...] == 7).all()


# ---- HDF5 ----
#: fsspec wants the file system of the references and that of the file to be of one kind
REMOTE = {"remote_protocol": "http", "remote_options": {"asynchronous": True}}


@pytest.fixture
def chunk_sizes(served):
    """A file of HDF5 behind HTTP, a.h5: how large the chunks of its g/x are."""
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("aiohttp")
    with h5py.File(served.folder / "a.h5", "w") as f:
        f.create_dataset("g/x", data=X, chunks=(128, 1500), compression=Q)
        f.create_dataset("varint", data=X, chunks=(128, 1500), compression=VarintQuant(tol=TOL))
        f["g/x"].attrs["units"] = "K"
    with h5py.File(served.folder / "a.h5") as f:
        return [f["g/x"].id.get_chunk_info(i).size for i in range(16)]


def test_references_through_zarr(served, chunk_sizes):
    refs = hdf5.references(served.folder / "a.h5", url=f"{served.url}/a.h5")
    options = {"fo": refs, "asynchronous": True, **REMOTE}
    root = zarr.open_group(FsspecStore.from_url("reference://", storage_options=options), mode="r")
    with served.counting("/a.h5") as sizes:
        part = root["g/x"][300:302, 5:9]
    assert sizes == [chunk_sizes[2]]
    assert np.array_equal(part, decode(encode(X[256:384], TOL))[44:46, 5:9])
    with served.counting("/a.h5") as sizes:
        column = root["varint"][:, 3]
    assert len(sizes) == 16 and np.abs(column - X[:, 3]).max() <= TOL


def test_references_through_xarray(served, chunk_sizes):
    xr = pytest.importorskip("xarray")
    h5py = pytest.importorskip("h5py")
    with h5py.File(served.folder / "a.h5") as f:  # of a group: zarr 3.1 does not list those in a store of references
        refs = hdf5.references(f["g"], url=f"{served.url}/a.h5")
    how = {"storage_options": {"fo": refs, **REMOTE}, "consolidated": False, "zarr_format": 2, "chunks": None}
    with xr.open_zarr("reference://", **how) as ds:
        assert ds.x.attrs["units"] == "K"
        with served.counting("/a.h5") as sizes:
            part = ds.x[100:200, 7].values
    assert sorted(sizes) == sorted(chunk_sizes[:2])
    assert np.abs(part - X[100:200, 7]).max() <= TOL


def test_h5py_reads_a_file_behind_http(served, chunk_sizes):
    h5py = pytest.importorskip("h5py")
    total = (served.folder / "a.h5").stat().st_size
    options = {"block_size": 2**16, "cache_type": "readahead"}
    with served.counting("/a.h5") as sizes:
        with fsspec.open(f"{served.url}/a.h5", **options) as remote, h5py.File(remote) as f:
            part = f["g/x"][300:302, 5:9]
    assert np.array_equal(part, decode(encode(X[256:384], TOL))[44:46, 5:9])
    assert len(sizes) <= 4 and sum(sizes) < total / 16


# ---- memory ----
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fsspec_memory(zarr_format):
    how = V3 if zarr_format == 3 else {"compressors": Q}
    store = FsspecStore.from_url(f"memory://arraycodec-{zarr_format}")
    try:
        z = zarr.create_array(store, shape=X.shape, chunks=X.shape, dtype="f4", zarr_format=zarr_format, **how)
        z[...] = X
        again = zarr.open_array(f"memory://arraycodec-{zarr_format}", mode="r")
        assert np.array_equal(again[...], DECODED) and np.array_equal(again[100:103, ::5], DECODED[100:103, ::5])
        z[5, 5:10] = 1
        assert np.abs(again[4:6, 4:11] - z[4:6, 4:11]).max() == 0 and np.abs(again[5, 5:10] - 1).max() <= TOL
    finally:
        fsspec.filesystem("memory").rm(f"/arraycodec-{zarr_format}", recursive=True)


def test_h5py_in_fsspec_memory():
    h5py = pytest.importorskip("h5py")
    fs = fsspec.filesystem("memory")
    try:
        with fs.open("/arraycodec.h5", "wb") as memory, h5py.File(memory, "w") as f:
            f.create_dataset("x", data=X, chunks=X.shape, compression=Q)
        with fs.open("/arraycodec.h5", "rb") as memory, h5py.File(memory) as f:
            assert np.array_equal(f["x"][...], DECODED)
            assert np.array_equal(hdf5.read(f["x"], np.s_[5:9, ::3]), DECODED[5:9, ::3])
    finally:
        fs.rm("/arraycodec.h5")
