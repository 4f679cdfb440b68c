"""Zarr format 3: the codec `arraycodec.ansquant` as a serializer."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import assert_within, check_rewrites, payload_nans
from reference import crc32c

from arraycodec import AnsQuant, ArraycodecError, _core, decode, encode, peek, verify
from arraycodec.codec import cut_of

zarr = pytest.importorskip("zarr")
if int(zarr.__version__.split(".")[0]) < 3:
    pytest.skip("needs zarr-python 3", allow_module_level=True)

from zarr.core.buffer import default_buffer_prototype  # noqa: E402

from arraycodec import zarr3  # noqa: E402

TOL = 2**-12


def data(shape=(70, 90), dtype="f4", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def create(path, x, chunks, tol=TOL, **kwargs):
    z = zarr.create_array(
        str(path), shape=x.shape, chunks=chunks, dtype=x.dtype, serializer=AnsQuant(tol=tol), compressors=None, **kwargs
    )
    z[...] = x
    return z


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_round_trip(tmp_path, dtype, pipeline):
    x = data(dtype=dtype)
    create(tmp_path / "a.zarr", x, (30, 40))
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    back = z[...]
    assert verify(x, back, TOL)
    assert np.array_equal(z[3:50:7, 11], back[3:50:7, 11])


def test_metadata_and_stored_bytes(tmp_path):
    x = data()
    create(tmp_path / "a.zarr", x, (30, 40))
    meta = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    assert meta["codecs"] == [{"name": "arraycodec.ansquant", "configuration": {"tol": TOL}}]
    assert (tmp_path / "a.zarr" / "c" / "0" / "1").read_bytes() == encode(x[:30, 40:80], TOL)


def test_level(tmp_path):
    x, q = data(), AnsQuant(tol=TOL, level=9, threads=2)
    z = zarr.create_array(
        str(tmp_path / "a"), shape=x.shape, chunks=(30, 40), dtype="f4", serializer=q, compressors=None
    )
    z[...] = x
    meta = json.loads((tmp_path / "a" / "zarr.json").read_text())
    assert meta["codecs"] == [{"name": "arraycodec.ansquant", "configuration": {"tol": TOL, "level": 9}}]
    assert (tmp_path / "a" / "c" / "0" / "1").read_bytes() == encode(x[:30, 40:80], TOL, level=9)
    z = zarr.open(str(tmp_path / "a"), mode="r+")
    assert z.serializer.config.level == 9 and z.serializer == z.serializer.evolve_from_array_spec(None)
    assert z.serializer == zarr3.AnsQuantSerializer(tol=TOL, level=9) != zarr3.AnsQuantSerializer(tol=TOL)
    assert verify(x, z[...], TOL)
    before = z[...]
    z[:10, 50] = 3
    assert np.array_equal(z[10:], before[10:])
    meta["codecs"][0]["configuration"]["level"] = 10
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=r"level must be 1 .* not 10"):
        zarr.open(str(tmp_path / "a"), mode="r")
    # written with a level, read by who knows of none
    del meta["codecs"][0]["configuration"]["level"]
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(meta))
    assert np.array_equal(zarr.open(str(tmp_path / "a"), mode="r")[10:], before[10:])


def test_predictor(tmp_path, pipeline):
    x = sum(np.sin(i / 9) for i in np.indices((70, 90))).astype("f4")
    q = AnsQuant(tol=TOL, predictor="auto", threads=2)
    z = zarr.create_array(
        str(tmp_path / "a"), shape=x.shape, chunks=(30, 40), dtype="f4", serializer=q, compressors=None
    )
    z[...] = x
    meta = json.loads((tmp_path / "a" / "zarr.json").read_text())
    assert meta["codecs"] == [{"name": "arraycodec.ansquant", "configuration": {"tol": TOL, "predictor": "auto"}}]
    assert (tmp_path / "a" / "c" / "0" / "1").read_bytes() == encode(x[:30, 40:80], TOL, predictor="auto")
    z = zarr.open(str(tmp_path / "a"), mode="r+")
    assert z.serializer.config.predictor == "auto" and z.serializer == z.serializer.evolve_from_array_spec(None)
    assert z.serializer == zarr3.AnsQuantSerializer(tol=TOL, predictor="auto") != zarr3.AnsQuantSerializer(tol=TOL)
    back = z[...]
    assert verify(x, back, TOL) and np.array_equal(z[3:50:7, 11], back[3:50:7, 11])
    meta["codecs"][0]["configuration"]["predictor"] = "spline"
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=r"predictor must be .* not 'spline'"):
        zarr.open(str(tmp_path / "a"), mode="r")
    # written with a predictor, read by who knows of nothing
    meta["codecs"][0]["configuration"] = {}
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(meta))
    assert np.array_equal(zarr.open(str(tmp_path / "a"), mode="r")[...], back)


def test_chunks_are_in_c_order_whatever_the_memory(tmp_path):
    x = np.asfortranarray(data())
    create(tmp_path / "a.zarr", x, (70, 90), config={"order": "F"})
    stored = (tmp_path / "a.zarr" / "c" / "0" / "0").read_bytes()
    assert peek(stored).order == "C" and stored == encode(np.ascontiguousarray(x), TOL)
    assert verify(x, zarr.open(str(tmp_path / "a.zarr"), mode="r")[...], TOL)


@pytest.mark.parametrize(
    "kwargs",
    [{"shards": (60, 80)}, {"filters": [{"name": "transpose", "configuration": {"order": [1, 0]}}]}],
    ids=["shards", "transpose"],
)
def test_with_other_codecs(tmp_path, kwargs, pipeline):
    x = data((60, 80))
    create(tmp_path / "a.zarr", x, (30, 40), **kwargs)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    assert verify(x, z[...], TOL)
    assert np.array_equal(z[31, 5:70:3], z[...][31, 5:70:3])


def test_through_open_and_dicts(tmp_path):
    x = data()
    q = AnsQuant(tol=TOL)
    for i, codecs in enumerate(
        [[q], [dict(q)], [q, {"name": "zstd", "configuration": {"level": 1, "checksum": False}}]]
    ):
        z = zarr.open(str(tmp_path / f"{i}.zarr"), mode="w", shape=x.shape, chunks=(30, 40), dtype="f4", codecs=codecs)
        z[...] = x
        assert verify(x, zarr.open(str(tmp_path / f"{i}.zarr"), mode="r")[...], TOL)


def test_read_in_a_process_that_imports_only_zarr(tmp_path):
    x = data()
    create(tmp_path / "a.zarr", x, (30, 40), shards=(60, 80))
    code = "import numpy as np, zarr; np.save('b.npy', zarr.open('a.zarr', mode='r')[...])"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert verify(x, np.load(tmp_path / "b.npy"), TOL)


SELECTIONS = [
    np.s_[...],
    np.s_[17],
    np.s_[5:6],
    np.s_[-3:],
    np.s_[10:300:37],
    np.s_[:, 3],
    np.s_[40:41, 7, 2:],
    np.s_[399, 49, 5],
    np.s_[100:100],
    np.s_[0:400, ::7, -1],
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_partial_decode(tmp_path, selection):
    """A chunk of several blocks: basic, strided and empty selections."""
    x = data((400, 500, 6))
    create(tmp_path / "a.zarr", x, x.shape)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    assert peek((tmp_path / "a.zarr" / "c" / "0" / "0" / "0").read_bytes()).n_blocks == 5
    whole = z[...]
    assert verify(x, whole, TOL)
    assert np.array_equal(z[selection], whole[selection])


def test_partial_decode_of_advanced_selections(tmp_path):
    x = data((400, 500, 6))
    create(tmp_path / "a.zarr", x, x.shape)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    whole = z[...]
    rows = [399, 3, 3, 200]
    assert np.array_equal(z.oindex[rows, 5], whole[rows, 5])
    assert np.array_equal(z.oindex[rows, [1, 7]], whole[np.ix_(rows, [1, 7])])
    assert np.array_equal(z.vindex[rows, [1, 2, 3, 4], [0, 1, 2, 3]], whole[rows, [1, 2, 3, 4], [0, 1, 2, 3]])
    mask = whole > 3
    assert np.array_equal(z[mask], whole[mask])


def test_partial_decode_leaves_other_blocks_alone(tmp_path):
    """Damage to the last block is noticed only by who reads it."""
    x = data((400, 3000))
    create(tmp_path / "a.zarr", x, x.shape)
    path = tmp_path / "a.zarr" / "c" / "0" / "0"
    stored = bytearray(path.read_bytes())
    stored[-1] ^= 1
    path.write_bytes(stored)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    assert verify(x[10:20], z[10:20], TOL)
    with pytest.raises(ArraycodecError):
        z[399]


class CountingStore(zarr.storage.WrapperStore):
    """Counts the requests for chunks and their bytes; `between` is called after each."""

    def __init__(self, store):
        super().__init__(store)
        self.requests, self.bytes = 0, 0
        self.between = lambda: None

    async def get(self, key, prototype, byte_range=None):
        data = await self._store.get(key, prototype, byte_range)
        if "/c/" in key:
            self.requests += 1
            self.bytes += 0 if data is None else len(data)
            self.between()
        return data


BIG = data((2048, 1500))  # 12 blocks


@pytest.fixture
def counting(tmp_path):
    """A store with BIG in one chunk, and the array in it."""
    create(tmp_path / "big", BIG, BIG.shape)
    store = CountingStore(zarr.storage.LocalStore(tmp_path))
    return store, zarr.open_array(store, path="big", mode="r+")


@pytest.mark.parametrize(
    ("selection", "requests"),
    [
        (np.s_[:20], 2),
        (np.s_[1000:1020:3, ::7], 2),
        (np.s_[-1, 7], 2),
        (np.s_[::2047], 3),  # two runs of blocks
        (np.s_[:, 3], 1),  # touches all blocks
        (np.s_[...], 1),
    ],
    ids=str,
)
def test_a_part_of_a_large_chunk_is_fetched_by_ranges(counting, selection, requests):
    store, z = counting
    expected = decode(encode(BIG, TOL))
    assert np.array_equal(z[selection], expected[selection])
    assert store.requests == requests
    size = len(encode(BIG, TOL))
    assert store.bytes <= size * (requests - 1) // 10 if requests > 1 else store.bytes == size


@pytest.mark.parametrize("selection", [np.s_[:20], np.s_[-1, 7], np.s_[::2047], np.s_[:, 3], np.s_[...]], ids=str)
def test_parts_without_an_event_loop(tmp_path, selection):
    """What zarr's fused pipeline calls, where it has one."""
    create(tmp_path / "big", BIG, BIG.shape)
    z = zarr.open_array(str(tmp_path / "big"), mode="r")
    asked = []

    class Getter:
        def get_sync(self, prototype, byte_range=None):
            asked.append(byte_range)
            data = (tmp_path / "big" / "c" / "0" / "0").read_bytes()
            return prototype.buffer.from_bytes(data[byte_range.start : byte_range.end] if byte_range else data)

    spec = SimpleNamespace(shape=BIG.shape, dtype=z.metadata.data_type, prototype=default_buffer_prototype())
    part = zarr3.AnsQuantSerializer()._decode_partial_sync(Getter(), np.index_exp[selection], spec)
    assert np.array_equal(part.as_numpy_array(), decode(encode(BIG, TOL))[selection])
    assert (asked[0] is None) == (selection in (np.s_[:, 3], np.s_[...]))


def test_arrays_of_indices_are_fetched_by_ranges(counting):
    store, z = counting
    expected = decode(encode(BIG, TOL))
    rows = [190, 3, 3, 20]
    assert np.array_equal(z.oindex[rows, 5:9], expected[rows, 5:9])
    assert np.array_equal(z.oindex[rows, [9, 7]], expected[np.ix_(rows, [9, 7])])
    assert np.array_equal(z.vindex[rows, [1, 2, 3, 4]], expected[rows, [1, 2, 3, 4]])
    assert store.bytes < 3 * len(encode(BIG, TOL)) // 5


BOXES = data((40, 40, 2000))  # 3 x 3 x 2 boxes of 14 x 14 x 1000
#: 1 x 2 x 7 boxes of 40 x 20 x 286
WAVES = sum(np.sin(i / 9) for i in np.indices((40, 40, 2000))).astype("f4") + BOXES / 100


@pytest.mark.parametrize(
    ("selection", "requests", "share"),
    [
        (np.s_[3], 1, 1.0),  # all of them
        (np.s_[..., 3], 3, 0.16),
        (np.s_[:, 3, :9], 2, 0.08),
        (np.s_[20, 3:5, ::7], 1, 1.0),
        (np.s_[20, 3:5, :600:7], 2, 0.23),
        (np.s_[39, 39, -1], 2, 0.08),
        (np.s_[::39, 39, 3:300], 2, 0.16),
    ],
    ids=str,
)
def test_boxes_are_fetched_by_ranges(tmp_path, selection, requests, share):
    create(tmp_path / "a", WAVES, WAVES.shape)
    store = CountingStore(zarr.storage.LocalStore(tmp_path))
    z = zarr.open_array(store, path="a", mode="r+")
    chunk = encode(WAVES, TOL)
    expected = decode(chunk)
    assert np.array_equal(z[selection], expected[selection])
    assert store.requests == requests and store.bytes <= share * len(chunk)


def test_more_boxes_than_expected(tmp_path):
    """Unrelated planes have a box each: the index is longer than that of the boxes of a smooth array."""
    i, j = np.indices((200, 170))
    planes = [np.sin(i / (9 + k)) * np.cos(j / (5 + k)) * 10.0 ** (k % 3) * (-1) ** k for k in range(40)]
    x = np.stack(planes).astype("f4")
    create(tmp_path / "a", x, x.shape)
    chunk = encode(x, TOL)
    assert peek(chunk).n_blocks > 3 * cut_of(x.shape, x.dtype).n_blocks
    z = zarr.open_array(str(tmp_path / "a"), mode="r")
    assert np.array_equal(z[5, :3, 9], decode(chunk)[5, :3, 9])


def test_arrays_of_indices_beside_single_ones(tmp_path):
    """Where NumPy moves the axis of an array of indices, in chunks of several boxes as in others."""
    create(tmp_path / "a", BOXES, BOXES.shape)
    create(tmp_path / "b", BOXES[:, :, :50], (40, 40, 50))
    for name in "ab":
        z = zarr.open_array(str(tmp_path / name), mode="r")
        whole = z[...]
        rows = np.array([31, 3, 3, 20])
        assert np.array_equal(z.oindex[rows, :, 4], whole[rows, :, 4])
        assert np.array_equal(z.oindex[5, :, rows], whole[5][:, rows])
        assert np.array_equal(z.oindex[rows, 7, ::3], whole[rows, 7, ::3])
        assert np.array_equal(z.oindex[2:9:3, rows, 7], whole[2:9:3, rows, 7])
        assert np.array_equal(z.vindex[rows, rows, rows + 2], whole[rows, rows, rows + 2])
        assert np.array_equal(z.oindex[rows, rows, 7], whole[np.ix_(rows, rows, [7])][..., 0])


def test_small_chunks_are_fetched_whole(tmp_path):
    x = data((1024, 1024))  # 4 blocks
    create(tmp_path / "a", x, x.shape)
    store = CountingStore(zarr.storage.LocalStore(tmp_path))
    zarr.open_array(store, path="a", mode="r+")[3]
    assert store.requests == 1


@pytest.mark.parametrize("shards", [None, (4096, 1500)], ids=["chunks", "shards"])
def test_parts_of_large_chunks(tmp_path, pipeline, shards):
    x = data((4096, 1500))
    create(tmp_path / "a.zarr", x, (2048, 1500), shards=shards)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    whole = z[...]
    assert verify(x, whole, TOL)
    for selection in (np.s_[2040:2060], np.s_[5], np.s_[4000::90, 3:5], np.s_[:, 3]):
        assert np.array_equal(z[selection], whole[selection])


def test_a_chunk_replaced_between_two_requests(counting, tmp_path):
    store, z = counting
    chunk = tmp_path / "big" / "c" / "0" / "0"
    new = encode(-BIG, TOL)
    store.between = lambda: chunk.write_bytes(new)
    assert np.array_equal(z[:3], decode(new)[:3])
    assert store.requests == 3


def test_a_missing_or_damaged_large_chunk(counting, tmp_path):
    store, z = counting
    chunk = tmp_path / "big" / "c" / "0" / "0"
    good = chunk.read_bytes()
    for bad in (good[:50], good[:1000], good[:200] + bytes(1) + good[201:], encode(np.zeros((5, 5)), TOL)):
        chunk.write_bytes(bad)
        with pytest.raises(ArraycodecError):
            z[:3]
    # other blocks than encode() makes: their index is longer than expected
    chunk.write_bytes(_core.encode(BIG.reshape(-1).view("u1"), 1, False, False, BIG.shape, TOL, block_len=1000))
    assert np.array_equal(z[:3], decode(good)[:3])
    # sizes that no encoder writes are not believed
    monster = _core.encode(BIG.reshape(-1).view("u1"), 1, False, False, BIG.shape, TOL)
    header = bytearray(monster[: peek(monster).header_size - 4])
    header[-8:-4] = b"\xff\xff\xff\xff"
    chunk.write_bytes(header + crc32c(header).to_bytes(4, "little") + monster[len(header) + 4 :])
    with pytest.raises(ArraycodecError):
        z[:3]
    chunk.unlink()
    assert not z[:3].any()


def pair(tmp_path, shape, chunks, **kwargs):
    """The same array twice, stored losslessly by this codec and by zarr alone."""
    for name, codec in (("ours", {"serializer": AnsQuant(tol=0)}), ("zarr", {})):
        yield zarr.create_array(
            str(tmp_path / name), shape=shape, chunks=chunks, dtype="f4", compressors=None, **codec, **kwargs
        )


def stored(tmp_path, name):
    return {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("c/**/*") if path.is_file()}


WRITES = [
    lambda z, x: z.__setitem__(..., x),
    lambda z, x: z.__setitem__(..., 7),
    lambda z, x: z.__setitem__(np.s_[3:33, 5:6], x[3:33, 5:6]),
    lambda z, x: z.__setitem__(np.s_[::7, 11], x[::7, 11]),
    lambda z, x: z.__setitem__(np.s_[31], x[31]),
    lambda z, x: z.__setitem__((5, 5), 3),
    lambda z, x: z.__setitem__(np.s_[30:60, 40:80], 0),
    lambda z, x: z.oindex.__setitem__(([69, 3, 31], 5), x[:3, 5]),
    lambda z, x: z.oindex.__setitem__((5, [1, 2, 80]), x[5, :3]),
    lambda z, x: z.oindex.__setitem__(([1, 40], [7, 41, 89]), x[:2, :3]),
    lambda z, x: z.oindex.__setitem__(([1, 40], slice(3, 50)), x[:2, 3:50]),
    lambda z, x: z.vindex.__setitem__(([1, 40, 3], [7, 41, 89]), x[0, :3]),
    lambda z, x: z.vindex.__setitem__(([1, 40, 3], [7, 41, 89]), -1),
    lambda z, x: z.set_mask_selection(x > 2, 5),
]


@pytest.mark.parametrize("write", range(len(WRITES)))
@pytest.mark.parametrize("before", [False, True], ids=["new", "over"])
def test_writes_are_zarrs(tmp_path, pipeline, write, before):
    """Whole chunks and parts, basic and advanced selections: values and stored chunks as without this codec."""
    x = data()
    arrays = list(pair(tmp_path, x.shape, (30, 40)))
    for z in arrays:
        if before:
            z[...] = -x
        WRITES[write](z, x)
    assert np.array_equal(arrays[0][...].view("u4"), arrays[1][...].view("u4"))
    assert stored(tmp_path, "ours") == stored(tmp_path, "zarr")


@pytest.mark.parametrize("fill", [0, np.nan, 1.5])
@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
def test_chunks_of_the_fill_value_are_stored_when_zarr_stores_them(tmp_path, pipeline, fill, keep):
    x = np.full((60, 80), fill, "f4")
    x[:30, 40:] = -fill  # also -0.0
    x[30:, :40] = data((30, 40))
    x[59, 79] = 3
    for z in pair(tmp_path, x.shape, (30, 40), fill_value=fill, config={"write_empty_chunks": keep}):
        z[...] = 1
        z[...] = x
        z[29:31, :40] = fill
    assert stored(tmp_path, "ours") == stored(tmp_path, "zarr")
    assert np.array_equal(*(zarr.open(str(tmp_path / n), mode="r")[...].view("u4") for n in ("ours", "zarr")))


def test_whole_chunks_are_written_without_a_read(tmp_path):
    store = CountingStore(zarr.storage.LocalStore(tmp_path))
    z = zarr.create_array(
        store, shape=(60, 80), chunks=(30, 40), dtype="f4", serializer=AnsQuant(tol=TOL), compressors=None, name="a"
    )
    z[...] = data((60, 80))
    z[30:] = 2
    assert store.requests == 0
    z[0] = 3
    assert store.requests == 2


def test_an_array_without_dimensions(tmp_path, pipeline):
    z = zarr.create_array(
        str(tmp_path / "a"), shape=(), chunks=(), dtype="f8", serializer=AnsQuant(tol=TOL), compressors=None
    )
    assert z[()] == 0
    z[...] = 1.25
    assert z[()] == 1.25


def test_threads_belong_to_the_object(tmp_path):
    """They come from the AnsQuant that an array is made with, and are not stored."""
    x = data((1100, 1000))
    for threads in (1, 2):
        z = zarr.create_array(
            str(tmp_path / f"{threads}"),
            shape=x.shape,
            chunks=x.shape,
            dtype="f4",
            serializer=AnsQuant(tol=TOL, threads=threads),
            compressors=None,
        )
        assert z.serializer.threads == threads
        z[...] = x
        assert verify(x, z[...], TOL)
    for name in ("zarr.json", "c/0/0"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert zarr.open(str(tmp_path / "2")).serializer.threads == 1
    assert zarr3.AnsQuantSerializer.from_dict(AnsQuant(tol=1, threads=3)) == zarr3.AnsQuantSerializer(tol=1)
    stored = {"name": "arraycodec.ansquant", "configuration": {"tol": 1.0, "threads": 2}}
    with pytest.raises(TypeError):
        zarr3.AnsQuantSerializer.from_dict(stored)


def test_missing_chunks_scalars_and_special_values(tmp_path):
    z = zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=(40, 40),
        chunks=(20, 20),
        dtype="f4",
        fill_value=np.nan,
        serializer=AnsQuant(tol=TOL),
        compressors=None,
    )
    assert np.isnan(z[...]).all() and np.isnan(z[3, 4:6]).all()
    x = data((20, 20))
    x[::5, ::3] = np.resize(payload_nans("f4"), x[::5, ::3].shape)
    z[20:, 20:] = x
    assert_within(x, z[20:, 20:], TOL)
    scalar = zarr.create_array(
        str(tmp_path / "s.zarr"), shape=(), dtype="f8", serializer=AnsQuant(tol=TOL), compressors=None
    )
    scalar[...] = 0.3
    assert abs(float(scalar[...]) - 0.3) <= TOL


def test_rewriting_slices_never_drifts(tmp_path):
    x = np.cumsum(data((64, 64)), axis=1)
    z = create(tmp_path / "a.zarr", x, (32, 32), tol=1e-2, shards=(64, 64))
    check_rewrites(z, x, 1e-2)


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("dtype", ["S3", "V4"])
def test_other_dtypes_are_refused_at_creation(tmp_path, dtype):
    with pytest.raises(TypeError, match="float, complex, integer"):
        zarr.create_array(
            str(tmp_path / "a.zarr"), shape=(4,), chunks=(4,), dtype=dtype, serializer=AnsQuant(tol=1), compressors=None
        )


def test_a_tolerance_is_needed_to_write(tmp_path):
    z = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(4,), chunks=(4,), dtype="f4", serializer=AnsQuant(), compressors=None
    )
    with pytest.raises(ValueError, match="tolerance"):
        z[...] = np.arange(1, 5)


def test_a_chunk_of_another_shape_is_an_error(tmp_path):
    x = data((20, 30))
    create(tmp_path / "a.zarr", x, (20, 30))
    path = tmp_path / "a.zarr" / "c" / "0" / "0"
    for other in (np.zeros((30, 20), "f4"), np.zeros((20, 30), "f8"), np.zeros((5, 5), "f4")):
        path.write_bytes(encode(other + 1, 0.5))
        with pytest.raises(ValueError, match="expects"):
            zarr.open(str(tmp_path / "a.zarr"), mode="r")[...]


def test_serializer_object():
    codec = zarr3.AnsQuantSerializer.from_dict({"name": "arraycodec.ansquant", "configuration": {"tol": 0.5}})
    assert codec == zarr3.AnsQuantSerializer(tol=0.5) and codec.to_dict() == dict(AnsQuant(tol=0.5))
    assert hash(codec) == hash(zarr3.AnsQuantSerializer(tol=0.5))
    with pytest.raises(NotImplementedError):
        codec.compute_encoded_size(4, None)
    assert zarr3.AnsQuantSerializer.from_dict({"name": "arraycodec.ansquant"}) == zarr3.AnsQuantSerializer()
