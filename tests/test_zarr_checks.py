"""What zarr-python asks of codecs in its own tests (test_codecs, test_codec_pipeline_suite), which are not installed.

The same checks in our words, with a lossless codec of ours in the place of zarr's.
"""

import asyncio
import itertools
import pickle

import numpy as np
import pytest

from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant

zarr = pytest.importorskip("zarr")
if int(zarr.__version__.split(".")[0]) < 3:
    pytest.skip("needs zarr-python 3", allow_module_level=True)

from zarr.codecs import ShardingCodec, TransposeCodec  # noqa: E402
from zarr.core.array_spec import ArrayConfig, ArraySpec  # noqa: E402
from zarr.core.buffer import default_buffer_prototype  # noqa: E402
from zarr.core.dtype import get_data_type_from_native_dtype  # noqa: E402
from zarr.core.sync import sync  # noqa: E402
from zarr.registry import get_codec_class  # noqa: E402
from zarr.storage import LocalStore, MemoryStore, ZipStore  # noqa: E402
from zarr.testing.store import LatencyStore  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zip files keep what is replaced

LOSSLESS = AnsQuant(tol=0)
OURS = {2: {"zarr_format": 2, "compressors": LOSSLESS}, 3: {"serializer": LOSSLESS, "compressors": None}}
V3 = OURS[3]
NEW = "read_missing_chunks" in zarr.config.get("array")  # 3.2 and later
INDEX_LOCATIONS = pytest.mark.parametrize("index_location", ["start", "end"])
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


class NoSyncStore(LatencyStore):
    """A store like a remote one: pipelines cannot call it outside the event loop."""

    _supports_sync_io = False


@pytest.fixture(params=["memory", "remote", "local", "zip"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "remote":
        yield NoSyncStore(MemoryStore(), get_latency=0.0, set_latency=0.0)
    elif request.param == "local":
        yield LocalStore(tmp_path / "store")
    else:
        opened = sync(ZipStore.open(tmp_path / "store.zip", mode="w"))
        yield opened
        opened.close()


def numbers(*shape, dtype="u2"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def chunk_keys(store):
    async def keys():
        return {key async for key in store.list() if not key.endswith(("zarr.json", ".zarray", ".zattrs", ".zgroup"))}

    return asyncio.run(keys())


@pytest.mark.parametrize("shards", [None, (32, 8)], ids=["chunks", "shards"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_order(store, pipeline, shards, order):
    """Of the input, of what is stored, and of what zarr makes while it writes and reads."""
    for i, (given, write, read) in enumerate(itertools.product("CF", repeat=3)):
        x = np.asarray(numbers(32, 8), order=given)
        z = zarr.create_array(
            store, name=f"{i}", shape=x.shape, chunks=(16, 8), shards=shards, dtype=x.dtype,
            filters=[TransposeCodec(order=order)], config={"order": write}, **V3,
        )  # fmt: skip
        z[:, :] = x
        assert np.array_equal(z[:, :], x)
        with zarr.config.set({"array.order": read}):
            again = zarr.open_array(store, path=f"{i}")[:, :]
        assert np.array_equal(again, x)
        assert again.flags.f_contiguous == (read == "F") and again.flags.c_contiguous == (read == "C")


@pytest.mark.parametrize("order", [(1, 2, 0), (1, 2, 3, 0), (3, 2, 4, 0, 1)], ids=str)
def test_transpositions_that_are_not_their_own_inverse(store, pipeline, order):
    x = numbers(*(i + 3 for i in range(len(order))))
    z = zarr.create_array(
        store, shape=x.shape, chunks=x.shape, dtype=x.dtype, filters=[TransposeCodec(order=order)], **V3
    )
    z[...] = x
    assert np.array_equal(z[...], x)
    assert np.array_equal(z[1, ..., 2], x[1, ..., 2])


@FORMATS
def test_memory_of_any_order(store, pipeline, zarr_format):
    """Format 2 has an order of its own, in which chunks are stored."""
    for i, (given, stored) in enumerate(itertools.product("CF", repeat=2)):
        x = np.asarray(numbers(32, 8), order=given)
        how = {"order": stored} if zarr_format == 2 else {"config": {"order": stored}}
        z = zarr.create_array(store, name=f"{i}", shape=x.shape, chunks=(9, 8), dtype="u2", **how, **OURS[zarr_format])
        z[...] = x
        assert np.array_equal(z[...], x) and np.array_equal(z[3:20:3, 5], x[3:20:3, 5])


@FORMATS
def test_a_chunk_larger_than_the_array(store, pipeline, zarr_format):
    x = numbers(16, 16)
    z = zarr.create_array(store, shape=x.shape, chunks=(20, 20), dtype=x.dtype, fill_value=1, **OURS[zarr_format])
    z[0:16, 0:16] = x
    assert np.array_equal(z[0:16, 0:16], x)


@pytest.mark.parametrize("store", ["memory", "remote", "local"], indirect=True)  # zip files have no deletion
@FORMATS
def test_chunks_that_become_empty_are_deleted(store, pipeline, zarr_format):
    z = zarr.create_array(store, shape=(16, 16), chunks=(32, 32), dtype="f8", fill_value=1, **OURS[zarr_format])
    z[:16, :16] = np.zeros((16, 16))
    assert len(chunk_keys(store)) == 1
    z[:16, :16] = np.ones((16, 16))
    assert np.array_equal(z[...], np.ones((16, 16))) and not chunk_keys(store)


@pytest.mark.parametrize("store", ["memory", "remote", "local"], indirect=True)
def test_shards_that_become_empty_are_deleted(store, pipeline):
    z = zarr.create_array(store, shape=(16, 16), chunks=(8, 8), shards=(8, 16), dtype="u2", fill_value=1, **V3)
    z[:, :] = np.zeros((16, 16))
    assert chunk_keys(store) == {"c/0/0", "c/1/0"}
    z[8:, :] = np.ones((8, 16))
    z[:, 8:] = np.ones((16, 8))
    expected = np.ones((16, 16), "u2")
    expected[:8, :8] = 0
    assert np.array_equal(z[:, :], expected) and chunk_keys(store) == {"c/0/0"}


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@FORMATS
def test_empty_chunks(store, pipeline, zarr_format, keep):
    z = zarr.create_array(
        store, shape=(30,), chunks=(10,), dtype="f8", fill_value=0, config={"write_empty_chunks": keep},
        **OURS[zarr_format],
    )  # fmt: skip
    z[:10] = np.arange(1, 11)
    z[10:20] = 0
    assert len(chunk_keys(store)) == 1 + keep
    assert np.array_equal(z[...], [*range(1, 11), *[0] * 20])


@pytest.mark.parametrize("store", ["memory", "remote", "local"], indirect=True)
@FORMATS
def test_resize(store, pipeline, zarr_format):
    z = zarr.create_array(store, shape=(16, 18), chunks=(10, 10), dtype="u2", fill_value=1, **OURS[zarr_format])
    z[...] = 0
    assert len(chunk_keys(store)) == 4
    z.resize((10, 12))
    assert len(chunk_keys(store)) == 2 and not z[...].any()
    z.resize((16, 18))
    expected = np.zeros((16, 18))
    expected[10:] = 1
    assert np.array_equal(z[...], expected)


@FORMATS
def test_append(store, pipeline, zarr_format):
    x = numbers(7, 5)
    z = zarr.create_array(store, shape=x.shape, chunks=(3, 4), dtype="u2", **OURS[zarr_format])
    z[...] = x
    z.append(x + 1)
    assert np.array_equal(z[...], np.concatenate([x, x + 1]))


@INDEX_LOCATIONS
@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize(("shape", "dtype"), [((128,), "u1"), ((64, 96), "u1"), ((40, 40, 40), "u2")])
def test_sharding(store, pipeline, shape, dtype, offset, index_location):
    x = np.asarray(numbers(*shape, dtype=dtype), order="F")
    z = zarr.create_array(
        store, shape=tuple(n + offset for n in shape), chunks=(32,) * len(shape), dtype=dtype, fill_value=6,
        shards={"shape": (64,) * len(shape), "index_location": index_location},
        filters=[TransposeCodec(order=tuple(reversed(range(len(shape)))))], **V3,
    )  # fmt: skip
    region, empty = ((slice(*ends),) * len(shape) for ends in ((offset, None), (0, offset)))
    z[region] = x
    assert (z[empty] == 6).all()
    assert np.array_equal(z[region], x)
    z[region] = x + 10
    assert np.array_equal(z[region], x + 10)
    z[empty] = 10
    assert (z[empty] == 10).all() and np.array_equal(z[region], x + 10)


@INDEX_LOCATIONS
def test_rows_of_a_shard(store, pipeline, index_location):
    x = np.asarray(numbers(20, 30, 40), order="F")
    z = zarr.create_array(
        store, shape=x.shape, chunks=(1, 30, 40), dtype=x.dtype, fill_value=0,
        shards={"shape": x.shape, "index_location": index_location}, **V3,
    )  # fmt: skip
    z[:] = x
    for i in range(20):
        assert np.array_equal(z[i, :, :], x[i])


@INDEX_LOCATIONS
def test_parts_of_several_shards(store, pipeline, index_location):
    x = numbers(16, 64, dtype="f4")
    z = zarr.create_array(
        store, shape=x.shape, chunks=(2, 4), shards={"shape": (8, 32), "index_location": index_location},
        dtype=x.dtype, fill_value=1, **V3,
    )  # fmt: skip
    z[:] = x
    for index in (np.s_[0, 22:42], np.s_[:, 0], np.s_[5:9, ::7], np.s_[15, 63]):
        assert np.array_equal(z[index], x[index])
    assert np.array_equal(z.oindex[[8, 8, 12, 12], [1, 1]], x[np.ix_([8, 8, 12, 12], [1, 1])])


@INDEX_LOCATIONS
def test_empty_chunks_in_shards(store, pipeline, index_location):
    """Some chunks of a shard, of an unfinished shard, or all of one, hold the fill value alone."""
    how = {"chunks": (2,), "shards": {"shape": (8,), "index_location": index_location}, "dtype": "i4", **V3}
    for i, tail in enumerate(([2, 0, -9, -9, 4, 5], [-9] * 6)):
        x = np.array([*range(8), *tail], "i4")
        z = zarr.create_array(store, name=f"{i}", shape=(14,), fill_value=-9, **how)
        z[:] = x
        assert np.array_equal(z[:], x)
    square = numbers(16, 16, dtype="u4")
    square[:4, :4] = 1
    shards = {"shape": (8, 8), "index_location": index_location}
    z = zarr.create_array(store, name="s", shape=(16, 16), chunks=(4, 4), shards=shards, dtype="u4", fill_value=1, **V3)
    z[...] = square
    assert np.array_equal(z[...], square)


@pytest.mark.parametrize("inner", ["start", "end"])
@pytest.mark.parametrize("outer", ["start", "end"])
def test_shards_in_shards(store, pipeline, outer, inner):
    x = np.asarray(numbers(47, 48, 49), order="F")
    small = ShardingCodec(chunk_shape=(8, 8, 8), codecs=[LOSSLESS], index_location=inner)
    z = zarr.create_array(
        store, shape=x.shape, chunks=(32, 32, 32), dtype=x.dtype, compressors=None, filters=None,
        serializer=ShardingCodec(chunk_shape=(16, 16, 16), codecs=[small], index_location=outer),
    )  # fmt: skip
    z[...] = x
    z[3:20, 7, 30:34] = x[3:20, 7, 30:34] = 5
    again = zarr.open_array(store)
    assert np.array_equal(again[...], x)
    assert np.array_equal(again[30, ::5, 40:], x[30, ::5, 40:])


@pytest.mark.parametrize("order", ["morton", "lexicographic", "colexicographic"])
def test_order_of_chunks_in_shards(store, pipeline, order):
    """It is not stored: who writes into a shard later must go by its index."""
    if not NEW:
        pytest.skip("this zarr has one order")
    x = numbers(6, 4, dtype="i4")
    serializer = ShardingCodec(chunk_shape=(2, 2), codecs=[LOSSLESS], subchunk_write_order=order)
    z = zarr.create_array(
        store, shape=(6, 4), dtype="i4", chunks=(6, 4), fill_value=-1, compressors=None, serializer=serializer,
        config={"write_empty_chunks": True},
    )  # fmt: skip
    z[...] = x
    zarr.open_array(store)[1:5, 0:3] = x[1:5, 0:3] = 777
    assert np.array_equal(zarr.open_array(store)[...], x)


def test_integers_and_lists_as_indices_of_shards(store, pipeline):
    """zarr-python's issue 3691: as without shards."""
    x = numbers(20, 10, 10)
    arrays = []
    for name, shards in (("chunks", None), ("shards", (20, 10, 10))):
        z = zarr.create_array(store, name=name, shape=x.shape, chunks=(20, 10, 1), shards=shards, dtype="u2", **V3)
        z[...] = x
        arrays.append(z)
    for index in (np.s_[0:10, 0, [0, 1]], np.s_[0, 1, [3, 5]], np.s_[[1, 3], 0:4, 0], np.s_[[0, 2], [1, 3], 0]):
        chunks, shards = (z[index] for z in arrays)
        assert chunks.shape == shards.shape and np.array_equal(chunks, shards)


@pytest.mark.skipif(not NEW, reason="this zarr fills every missing chunk")
@pytest.mark.parametrize("shards", [None, (10,)], ids=["chunks", "shards"])
def test_missing_chunks_as_errors(store, pipeline, shards):
    from zarr.errors import ChunkNotFoundError

    how = {"shape": (40,), "chunks": (5,), "shards": shards, "dtype": "f8", "fill_value": -1}
    z = zarr.create_array(store, config={"read_missing_chunks": False}, **how, **V3)
    z[:5] = np.arange(5)
    assert np.array_equal(z[1:4], [1, 2, 3])
    for index in (np.s_[...], np.s_[12], np.s_[38:]):
        with pytest.raises(ChunkNotFoundError):
            z[index]


@FORMATS
def test_metadata_and_pickles(tmp_path, zarr_format):
    codecs = (LOSSLESS, VarintQuant(tol=0, backend="bz2"), StochasticQuant(3, seed=1), LowRankQuant(4))
    for i, codec in enumerate(codecs):
        how = {"compressors": codec} if zarr_format == 2 else {"serializer": codec, "compressors": None}
        how["zarr_format"] = zarr_format
        z = zarr.create_array(LocalStore(tmp_path), name=f"{i}", shape=(16, 16), chunks=(8, 8), dtype="f8", **how)
        z[...] = 3 if i > 1 else numbers(16, 16)
        for again in (pickle.loads(pickle.dumps(z)), zarr.open_array(tmp_path, path=f"{i}")):
            assert again.metadata == z.metadata and np.array_equal(again[...], z[...])


@pytest.mark.parametrize("codec", [LOSSLESS, VarintQuant(tol=0), StochasticQuant(), LowRankQuant(4)], ids=repr)
def test_the_codec_alone(codec):
    """Found by its name; its chunks are not of one size, and it changes nothing that other codecs are told."""
    kind = get_codec_class(codec.zarr3_name)
    ours = kind.from_dict(codec)
    assert kind.from_dict(ours.to_dict()) == ours and pickle.loads(pickle.dumps(ours)) == ours
    dtype = get_data_type_from_native_dtype(np.dtype("f8"))
    config = ArrayConfig(order="C", write_empty_chunks=False)
    spec = ArraySpec((8, 8), dtype, dtype.cast_scalar(0), config, default_buffer_prototype())
    assert ours.resolve_metadata(spec) == spec and ours.evolve_from_array_spec(array_spec=spec) == ours
    assert not ours.is_fixed_size
    values = default_buffer_prototype().nd_buffer.from_numpy_array(np.ones((8, 8)))
    (chunk,) = asyncio.run(ours.encode([(values, spec)]))
    (back,) = asyncio.run(ours.decode([(chunk, spec)]))
    assert np.allclose(back.as_numpy_array(), 1, atol=0.3)
