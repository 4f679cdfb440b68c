"""`arraycodec verify --scan`: whole stores are whole, and every kind of damage is named."""

import json
import subprocess
import sys

import numpy as np
import pytest

from arraycodec import AnsQuant, encode
from arraycodec.__main__ import main

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

q = AnsQuant(tol=2**-9)
X = np.random.default_rng(0).normal(size=(100, 100)).astype("f4")


def scan(capsys, path):
    """Exit code, and the lines that are printed."""
    status = main(["verify", "--scan", str(path)])
    out = capsys.readouterr()
    assert not out.err, out.err
    return status, out.out.splitlines()


def damage(path, at=None, size=None):
    data = bytearray(path.read_bytes())
    if at is not None:
        data[at] ^= 0x40
    path.write_bytes(data[:size])


@pytest.fixture
def zarr3(tmp_path):
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    of = {"shape": X.shape, "dtype": "f4", "serializer": q}
    group.create_array("plain", chunks=(50, 50), compressors=None, **of)[:50] = X[:50]
    group.create_array("below/shards", chunks=(10, 10), shards=(50, 50), compressors=None, **of)[:] = X
    group.create_array("zstd", chunks=(50, 50), **of)[:] = X
    crc = zarr.codecs.Crc32cCodec()
    group.create_array("crc", chunks=(50, 50), compressors=crc, **of)[:] = X
    group.create_array("other", shape=X.shape, dtype="f4", chunks=(50, 50))[:] = X
    group.create_array("scalar", shape=(), dtype="f4", chunks=(), serializer=q, compressors=None)[...] = 1
    dates = group.create_array("dates", shape=(10,), dtype="M8[10ms]", chunks=(5,), serializer=q, compressors=None)
    dates[:] = np.arange(10).astype("M8[10ms]")
    return tmp_path / "s.zarr"


def test_whole_stores(zarr3, capsys):
    status, lines = scan(capsys, zarr3)
    assert status == 0
    assert sorted(lines) == sorted([
        "below/shards: 100 chunks, 0 broken", "crc: 4 chunks, 0 broken", "dates: 2 chunks, 0 broken",
        "other: not checked, its codec is zstd", "plain: 2 chunks, 0 broken; 2 not stored",
        "scalar: 1 chunks, 0 broken", "zstd: 4 chunks, 0 broken", "ok: 113 chunks of 6 arrays are whole",
    ])  # fmt: skip


@pytest.mark.parametrize(("file", "how", "expected"), [
    ("plain/c/0/1", {"at": 200}, "plain: the chunk at [0,50] (c/0/1): corrupt chunk (checksum mismatch)"),
    ("plain/c/0/1", {"at": -1}, "plain: the chunk at [0,50] (c/0/1): corrupt chunk (checksum mismatch)"),
    ("plain/c/0/0", {"size": 300}, "plain: the chunk at [0,0] (c/0/0): truncated chunk"),
    ("plain/c/0/0", {"size": 0}, "plain: the chunk at [0,0] (c/0/0): truncated chunk"),
    ("below/shards/c/1/0", {"at": 20}, "below/shards: the chunk at [50,0] (c/1/0): corrupt chunk (checksum mismatch)"),
    ("below/shards/c/1/0", {"at": -9}, "below/shards: the chunk at [50,0] (c/1/0): the shard's index: the checksum"),
    ("below/shards/c/1/0", {"size": 99}, "below/shards: the chunk at [50,0] (c/1/0): 99 bytes are too few for a shard"),
    ("zstd/c/1/1", {"size": -5}, "zstd: the chunk at [50,50] (c/1/1): zstd cannot decode it: "),
    ("crc/c/1/1", {"at": 50}, "crc: the chunk at [50,50] (c/1/1): the checksum of the codec crc32c does not match"),
    ("crc/c/1/1", {"size": 3}, "crc: the chunk at [50,50] (c/1/1): 3 bytes are too few for a checksum"),
])  # fmt: skip
def test_damaged_chunks(zarr3, capsys, file, how, expected):
    damage(zarr3 / file, **how)
    status, lines = scan(capsys, zarr3)
    assert status == 1
    broken = [line for line in lines if line.startswith("BROKEN ")]
    assert len(broken) == 1 and broken[0].startswith("BROKEN " + expected), broken
    assert lines[-1].startswith("FAILED: 1 of ")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"node_type": "array", "zarr_format": 3}'])
def test_damaged_metadata(zarr3, capsys, content):
    """The rest of the store is scanned all the same."""
    (zarr3 / "zstd" / "zarr.json").write_bytes(content)
    status, lines = scan(capsys, zarr3)
    assert status == 1
    (broken,) = (line for line in lines if line.startswith("BROKEN "))
    assert "zstd" in broken
    assert lines[-1] == "FAILED: 0 of 109 chunks are broken, and 1 not readable for other reasons"


@pytest.mark.parametrize("other", [X[:50, :40], X[:50, :50].astype("f8"), X[:25].reshape(50, 50).astype("i4"), X[:0]])
def test_chunks_of_another_array(zarr3, capsys, other):
    """They are whole, and not what the array expects."""
    (zarr3 / "plain/c/0/0").write_bytes(encode(other, 1))
    status, lines = scan(capsys, zarr3)
    assert status == 1 and "BROKEN plain: the chunk at [0,0]" in " ".join(lines)


def test_metadata_that_claim_any_number_of_chunks(zarr3, capsys):
    """Time is that of the files that are there."""
    path = zarr3 / "plain/zarr.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps(metadata | {"shape": [2**60, 2**50]}))
    for name in ("c/0/x", "c/00/0", "d/0/0", "c/0", "c/-1/0"):  # no keys of this array
        if not (zarr3 / "plain" / name).exists():
            (zarr3 / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
            (zarr3 / "plain" / name).write_bytes(b"x")
    (zarr3 / "plain/c/7").mkdir()
    (zarr3 / "plain/c/7/12345").write_bytes(b"damaged")
    status, lines = scan(capsys, zarr3)
    assert status == 1
    assert any(line.startswith("BROKEN plain: the chunk at [350,617250] (c/7/12345)") for line in lines)
    assert any(line.startswith("plain: 3 chunks, 1 broken; 5") for line in lines)


def test_a_folder_in_the_place_of_a_chunk(zarr3, capsys):
    (zarr3 / "plain/c/0/0").unlink()
    (zarr3 / "plain/c/0/0").mkdir()
    status, lines = scan(capsys, zarr3)
    assert status == 1 and "Is a directory" in " ".join(lines)


def test_unfinished_files(zarr3, capsys):
    (zarr3 / "plain/c/0/1.0123abcd.partial").write_bytes(b"x")
    status, lines = scan(capsys, zarr3)
    assert status == 0
    assert "plain: 2 chunks, 0 broken; 2 not stored; 1 unfinished files, which no reader looks at: " \
           "c/0/1.0123abcd.partial" in lines  # fmt: skip


def test_zarr2(tmp_path, capsys):
    group = zarr.open_group(tmp_path / "s.zarr", mode="w", zarr_format=2)
    group.create_array("f", shape=X.shape, chunks=(50, 30), dtype=">f4", compressors=q, order="F")[:] = X
    group.create_array("filter", shape=X.shape, chunks=(50, 30), dtype="f4", filters=[q], compressors=None)[:] = X
    assert scan(capsys, tmp_path / "s.zarr")[0] == 0
    damage(tmp_path / "s.zarr/f/1.3", at=77)
    (tmp_path / "s.zarr/filter/0.0").write_bytes(encode(X[:50], 1))
    status, lines = scan(capsys, tmp_path / "s.zarr")
    assert status == 1 and lines[-1] == "FAILED: 2 of 16 chunks are broken"
    assert "BROKEN f: the chunk at [50,90] (1.3): " in " ".join(lines)


@pytest.fixture
def hdf5(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as f:
        f.create_dataset("g/plain", data=X, chunks=(50, 50), compression=q)
        f.create_dataset("fletcher", data=X, chunks=(50, 50), compression=q, fletcher32=True)
        d = f.create_dataset("skipped", X.shape, "f4", chunks=(50, 50), compression=q)
        d.id.write_direct_chunk((0, 0), X[:50, :50].tobytes(), 1)
        f.create_dataset("contiguous", data=X)
        f.create_dataset("null", dtype=h5py.Empty("f4"))
        f.create_dataset("bool", data=X > 0, chunks=(50, 50), compression=q)
    return tmp_path / "s.h5"


def test_hdf5(hdf5, capsys):
    status, lines = scan(capsys, hdf5)
    assert status == 0
    assert "skipped: 1 chunks, 0 broken; 3 not stored; 1 not checked, as they are stored without our codec or behind " \
           "unknown ones" in lines  # fmt: skip
    assert "contiguous: not checked, its codec is none" in lines
    assert lines[-1] == "ok: 12 chunks of 4 arrays are whole"


@pytest.mark.parametrize("name", ["g/plain", "fletcher"])
def test_damaged_hdf5(hdf5, capsys, name):
    with h5py.File(hdf5) as f:
        place = f[name].id.get_chunk_info_by_coord((50, 0))
        at = place.byte_offset
    damage(hdf5, at + 100)
    status, lines = scan(capsys, hdf5)
    assert status == 1
    (broken,) = (line for line in lines if line.startswith("BROKEN "))
    assert broken.startswith(f"BROKEN {name}: the chunk at [50,0] (byte {at}): ")
    assert ("arraycodec: corrupt chunk (checksum mismatch)" in broken) == (name == "g/plain")
    assert lines[-1] == "FAILED: 1 of 12 chunks are broken"


def test_truncated_hdf5(hdf5, capsys):
    damage(hdf5, size=-10)
    assert main(["verify", "--scan", str(hdf5)]) == 2
    assert "not a readable HDF5 file" in capsys.readouterr().err


def test_hdf5_whose_structures_are_damaged(hdf5, capsys):
    """Whatever byte it is: an answer or an error, within some time.  HDF5 itself may crash."""
    code = """if True:
        import sys
        from arraycodec.__main__ import main
        path, at = sys.argv[1:]
        good = open(path, "rb").read()
        for at in range(int(at), len(good), 9970):
            data = bytearray(good)
            data[at] ^= 0x40
            open(path, "wb").write(data)
            assert main(["verify", "--scan", path]) in (0, 1, 2)"""
    good = hdf5.read_bytes()
    for at in range(0, 9970, 997):
        hdf5.write_bytes(good)
        done = subprocess.run([sys.executable, "-c", code, hdf5, str(at)], capture_output=True, text=True, timeout=120)
        assert done.returncode <= 0 and "Traceback" not in done.stderr, done.stderr


@pytest.mark.filterwarnings("ignore:Combining a .sharding_indexed. codec")
@pytest.mark.parametrize("around", ["inside", "behind"])
def test_what_cannot_be_looked_into(tmp_path, capsys, around):
    """Shards in shards, and codecs behind shards: not checked, and not called whole or broken."""
    sharding = zarr.codecs.ShardingCodec
    inner = sharding(chunk_shape=(5, 5), codecs=[q]) if around == "inside" else q
    zarr.create_array(
        tmp_path / "s.zarr", shape=X.shape, chunks=(50, 50), dtype="f4",
        serializer=sharding(chunk_shape=(10, 10), codecs=[inner]),
        compressors=zarr.codecs.ZstdCodec() if around == "behind" else None,
    )[:] = X  # fmt: skip
    status, lines = scan(capsys, tmp_path / "s.zarr")
    assert status == 0 and lines[0].startswith("/: not checked, its codec is ")
    assert lines[1] == "ok: 0 chunks of 0 arrays are whole"


@pytest.mark.parametrize("other", [X[:50, :30], np.asfortranarray(X[:50, :30].astype(">f4"))], ids=["<", "F"])
def test_zarr2_takes_bytes_as_they_come(tmp_path, capsys, other):
    z = zarr.create_array(tmp_path / "s", shape=X.shape, chunks=(50, 30), dtype=">f4", compressors=q, zarr_format=2)
    z[:] = X
    assert scan(capsys, tmp_path / "s")[0] == 0
    (tmp_path / "s/0.0").write_bytes(encode(other, 1))
    assert scan(capsys, tmp_path / "s")[0] == 1


def test_a_single_chunk(tmp_path, capsys):
    path = tmp_path / "c"
    path.write_bytes(encode(X, 1))
    assert scan(capsys, path) == (0, ["ok: a chunk of float32 values, shape (100, 100), is whole"])
    damage(path, -1)
    status, lines = scan(capsys, path)
    assert status == 1 and lines[-1] == "FAILED: 1 of 1 chunks broken"
    path.write_bytes(b"nonsense")
    assert main(["verify", "--scan", str(path)]) == 2
    assert "not an arraycodec chunk" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    ["--scan", "a", "b"], ["--scan", "a", "--tol", "1"], ["--scan", "a", "--lossy-integers"], ["a", "--tol", "1"],
    ["--scan", "/nowhere"],
])  # fmt: skip
def test_wrong_arguments(capsys, arguments):
    assert main(["verify", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
