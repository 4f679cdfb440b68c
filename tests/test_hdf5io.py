"""`hdf5.read` and `hdf5.write`: in everything what h5py does, only not one chunk after the other.

What is read is compared with ``dataset[selection]``, stored chunks with those that the filter writes.
"""

import ctypes
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from arrays import ALL_DTYPES, DTYPES, bits, numbers, payload_nans
from hypothesis import given, settings
from hypothesis import strategies as st

import arraycodec
from arraycodec import AnsQuant, ChecksumError, FormatError, ParameterError, SizeError, encode, hdf5

h5py = pytest.importorskip("h5py")

from arraycodec import hdf5io  # noqa: E402
from arraycodec.tasks import run  # noqa: E402

TOL = 2.0**-10
Q = AnsQuant(tol=TOL)
RNG = np.random.default_rng(5)
NORMAL = RNG.normal(size=(50, 70)).astype("f4")


def memory_file(**options):
    """A new file in memory."""
    return h5py.File("memory.h5", "w", driver="core", backing_store=False, **options)


@pytest.fixture
def f():
    with memory_file() as file:
        yield file


@pytest.fixture(params=[1, 3])
def threads(request):
    return request.param


@pytest.fixture
def direct_only(monkeypatch):
    """Fails a test in which h5py is left to do the work."""

    def refuse(*_):
        raise AssertionError("not done directly")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", refuse)
    monkeypatch.setattr(h5py.Dataset, "__setitem__", refuse)


def stored(d):
    """Every chunk of a dataset as it is stored: offset to (filter mask, bytes)."""
    found = {}
    d.id.chunk_iter(lambda s: found.update({s.chunk_offset: d.id.read_direct_chunk(s.chunk_offset)}))
    return found


def settle(d):
    """Write the chunk cache out, and empty it: what is read next has been through the filter."""
    d.flush()
    d.refresh()


def same(a, b):
    return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(bits(a), bits(b))


def of_hdf5(dtype):
    """The dtype as h5py stores it."""
    return h5py.opaque_dtype(dtype) if np.dtype(dtype).kind in "mM" else np.dtype(dtype)


ENUM = h5py.enum_dtype({"A": 0, "B": 1, "C": -7}, "i2")
BIG_ENUM = h5py.enum_dtype({"A": 0, "B": 1, "C": 70000}, ">i4")
EVERY = [*map(of_hdf5, ALL_DTYPES), ENUM, BIG_ENUM]


# ---- any dataset, any selection ----
def slices(n):
    edge = st.none() | st.integers(-n - 2, n + 2)
    return st.builds(slice, edge, edge, st.none() | st.integers(1, n + 2))


@st.composite
def selections(draw, shape, fancy):
    items = [draw(slices(n) | (st.integers(-n, n - 1) if n else slices(n))) for n in shape]
    if fancy and shape and draw(st.booleans()):
        i = draw(st.integers(0, len(shape) - 1))
        if draw(st.booleans()):
            items[i] = sorted(draw(st.sets(st.integers(0, max(shape[i] - 1, 0)), max_size=shape[i])))
        else:
            items[i] = np.array(draw(st.lists(st.booleans(), min_size=shape[i], max_size=shape[i])), bool)
    cut = draw(st.integers(0, len(items)))
    end = draw(st.integers(cut, len(items)))
    form = draw(st.sampled_from(["all", "ellipsis", "short", "none"]))
    if form == "none":
        return None
    if form == "ellipsis":
        items[cut:end] = [...]
    elif form == "short":
        items = items[:cut]
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def datasets(draw):
    """Arguments of create_dataset, and how much of it to write."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 11)) for _ in range(rank))
    chunks = tuple(draw(st.integers(1, 6 if rank > 1 else 12)) for _ in range(rank))
    resizable = draw(st.booleans())
    dtype = draw(st.sampled_from([*DTYPES, *map(np.dtype, ("f2", ">i2", "c8"))]))
    fill = draw(st.sampled_from([None, 3.1, 3 if dtype.kind == "i" else np.nan]))
    return {
        "shape": shape,
        "dtype": dtype,
        "chunks": chunks if resizable else tuple(map(min, chunks, shape)),
        "maxshape": (None,) * rank if resizable else None,
        "fillvalue": fill if fill is None else np.array(fill).astype(dtype)[()],
        **({"fill_time": draw(st.sampled_from(["ifset", "alloc", "never"]))} if h5py.__version__ >= "3.12" else {}),
        "compression": draw(st.sampled_from([Q, AnsQuant(rtol=2**-8, fill_value=2), AnsQuant(tol=2, rtol=0.5)])),
    }


def create(file, options, name="x"):
    return file.create_dataset(name, **options)


def fill_some(d, data):
    """Random values into a random part."""
    d[data.draw(selections(d.shape, False)) or ()] = np.array(3 * RNG.normal()).astype(d.dtype)
    box = tuple(slice(0, n) for n in data.draw(st.tuples(*(st.integers(0, n) for n in d.shape))))
    d[box] = np.asarray(3 * RNG.normal(size=d[box].shape)).astype(d.dtype)


@settings(max_examples=300, deadline=None)
@given(datasets(), st.data())
def test_read_is_indexing(options, data):
    with memory_file(rdcc_nbytes=0) as file:
        d = create(file, options)
        fill_some(d, data)
        selection = data.draw(selections(d.shape, True))
        try:
            expected = d[() if selection is None else selection]
        except (TypeError, ValueError, IndexError) as error:
            with pytest.raises(type(error)):
                hdf5.read(d, selection)
            return
        for threads in (1, 2, 3):
            assert same(hdf5.read(d, selection, threads=threads), expected)
            out = data.draw(outs(np.shape(expected), d.dtype))
            assert hdf5.read(d, selection, threads, out) is out
            assert np.array_equal(bits(out), bits(np.asarray(expected, d.dtype)))  # h5py's scalars are native


@st.composite
def outs(draw, shape, dtype):
    """Arrays for the values, of any layout."""
    kind = draw(st.sampled_from(["C", "F", "strided", "backward", "unaligned"]))
    if kind == "strided":
        return np.empty(tuple(2 * n for n in shape), dtype)[(*(slice(None, None, 2) for _ in shape), ...)]
    if kind == "backward":
        return np.empty(shape, dtype)[(*(slice(None, None, -1) for _ in shape), ...)]
    if kind == "unaligned":
        return np.empty(int(np.prod(shape)) * dtype.itemsize + 1, "u1")[1:].view(dtype).reshape(shape)
    return np.empty(shape, dtype, kind)


def value_arrays(draw, shape):
    """Something that broadcasts to a shape, mostly."""
    kind = draw(st.sampled_from(["exact", "scalar", "ones", "float", "list", "extra", "trailing", "wrong", "F", "int"]))
    dtypes = [*DTYPES, *map(np.dtype, ("f2", "<i2", ">i2", ">c8"))]
    x = np.asarray(3 * RNG.normal(size=shape)).astype(draw(st.sampled_from(dtypes)))
    if kind == "scalar":
        return x.real.dtype.type(3.3)
    if kind == "float":
        return 0.3
    if kind == "ones" and x.ndim:
        axis = draw(st.integers(0, x.ndim - 1))
        return np.ascontiguousarray(x[tuple(slice(0, 1) if i == axis else slice(None) for i in range(x.ndim))])
    if kind == "list":
        return x.tolist()
    if kind == "extra":
        return x[None, None]
    if kind == "trailing":
        return np.asarray(x[0]) if x.ndim and len(x) else x
    if kind == "wrong":
        return np.zeros((*shape, 3))
    if kind == "F":
        return np.asfortranarray(x)
    return (x.real * 100).astype("i8") if kind == "int" else x


@settings(max_examples=300, deadline=None)
@given(datasets(), st.data())
def test_write_is_assignment(options, data):
    with memory_file() as file:
        theirs, ours = create(file, options, "theirs"), create(file, options, "ours")
        for _ in range(data.draw(st.integers(1, 3))):
            selection = data.draw(selections(theirs.shape, True))
            key = () if selection is None else selection
            try:
                shape = theirs[key].shape
            except (TypeError, ValueError, IndexError):
                shape = theirs.shape
            values = value_arrays(data.draw, shape)
            try:
                theirs[key] = values
            except (TypeError, ValueError, IndexError, OSError) as error:
                with pytest.raises(type(error)):
                    hdf5.write(ours, values, selection)
            else:
                hdf5.write(ours, values, selection, threads=data.draw(st.sampled_from([1, 2, 3])))
            settle(theirs)
            settle(ours)
            assert stored(ours) == stored(theirs)
            assert same(ours[()], theirs[()])


# ---- what is read directly, and how ----
SELECTIONS = [None, ..., (), np.s_[3], np.s_[-1, 5], np.s_[10:33:7, ::3], np.s_[..., 0], np.s_[49:, 69:]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("chunks", [(50, 70), (16, 32), (7, 70), (1, 1), (50, 1)])
def test_direct(f, dtype, chunks, threads, monkeypatch):
    x = NORMAL.astype(dtype)
    x[::5, ::3] = np.resize(payload_nans(dtype.newbyteorder("=")), x[::5, ::3].shape).astype(dtype)
    d = f.create_dataset("x", x.shape, dtype, chunks=chunks, compression=Q)
    e = f.create_dataset("y", data=x, chunks=chunks, compression=Q)
    f.flush()
    with monkeypatch.context() as m:
        m.setattr(hdf5io, "_MIN_TASK", 1)  # a task for every chunk
        hdf5.write(d, x, threads=threads)
    f.flush()
    assert stored(d) == stored(e)
    for selection in SELECTIONS:
        assert same(hdf5.read(d, selection, threads), d[() if selection is None else selection])


PARAMETERS = [
    {"tol": 3},
    {"tol": 3, "level": 8},
    {"tol": 3, "predictor": "auto"},
    {"tol": 0},
    {"rtol": 2**-8},
    {"tol": 2, "rtol": 0.25, "fill_value": 27},
]


@pytest.mark.parametrize("dtype", EVERY, ids=str)
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_every_type_directly(f, dtype, parameters, threads, monkeypatch):
    x = numbers(np.dtype(dtype.str), (20, 30)).view(dtype)
    if dtype.kind not in "bmM" and dtype not in (ENUM, BIG_ENUM):
        x[::2, ::3] = 27
    q = AnsQuant(**parameters)
    d = f.create_dataset("x", x.shape, dtype, chunks=(7, 16), compression=q)
    e = f.create_dataset("y", data=x, chunks=(7, 16), compression=q)
    f.flush()
    stored(e)  # no longer in the chunk cache, which has them as they were
    selections = (None, np.s_[3], np.s_[2:19:5], np.s_[..., 4], np.s_[3, 4])
    parts = [(s, e[() if s is None else s]) for s in selections]
    with monkeypatch.context() as m:
        m.setattr(h5py.Dataset, "__setitem__", lambda *_: pytest.fail("not done directly"))
        hdf5.write(d, x, threads=threads)
        assert stored(d) == stored(e)
        m.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("not done directly"))
        for selection, expected in parts:
            assert same(hdf5.read(d, selection, threads), expected)
            out = np.empty(np.shape(expected), dtype)
            assert hdf5.read(d, selection, threads, out) is out
            assert np.array_equal(bits(out), bits(np.asarray(expected)))
        hdf5.write(d, x[3:9, 1:5], np.s_[3:9, 2:6], threads)
    e[3:9, 2:6] = x[3:9, 1:5]
    settle(e)
    assert stored(d) == stored(e)


@pytest.mark.parametrize("dtype", ["f4", ">i2", "c16"])
def test_the_datasets_own_fill_value(f, dtype, threads):
    x = numbers(dtype, (50, 70))
    fill = np.array(101, dtype)[()]
    x[::2, ::3] = fill
    options = {"chunks": (16, 16), "fillvalue": fill, "compression": AnsQuant(tol=3)}
    d = f.create_dataset("x", x.shape, dtype, **options)
    e = f.create_dataset("y", data=x, **options)
    hdf5.write(d, x, threads=threads)
    f.flush()
    assert stored(d) == stored(e)
    assert (hdf5.read(d, threads=threads)[::2, ::3] == 101).all()


@pytest.mark.parametrize("order", "<>")
def test_bfloat16(f, order, threads, direct_only):
    x = (RNG.normal(size=(1000, 600)).astype("f4").view("u4") >> 16).astype(order + "u2")
    parameters = {"tol": 2**-6, "dtype": "bfloat16"}
    d = f.create_dataset("x", x.shape, x.dtype, chunks=(1000, 300), compression=AnsQuant(**parameters))
    hdf5.write(d, x, threads=threads)
    assert stored(d)[0, 300][1] == encode(x[:, 300:], **parameters)
    back = hdf5.read(d, threads=threads)
    assert back.dtype == x.dtype and arraycodec.verify(x, back, **parameters)
    for selection in (np.s_[5], np.s_[990:], np.s_[:, 3:5], np.s_[3, 4]):  # not all blocks of a chunk
        assert same(hdf5.read(d, selection, threads), back[selection])
    hdf5.write(d, 0, np.s_[3, 4], threads)
    assert hdf5.read(d, np.s_[3, 4]) == 0 and np.array_equal(hdf5.read(d)[4:], back[4:])


@pytest.mark.parametrize("dtype", [np.dtype("c8"), of_hdf5("<M8[s]"), of_hdf5(">m8[ns]"), np.dtype("?"), ENUM], ids=str)
def test_parts_of_chunks_of_several_blocks(f, dtype, threads, direct_only):
    x = numbers(np.dtype(dtype.str), (1000, 600)).view(dtype)
    d = f.create_dataset("x", x.shape, dtype, chunks=x.shape, compression=AnsQuant(tol=0))
    hdf5.write(d, x, threads=threads)
    for selection in (np.s_[5], np.s_[990:], np.s_[:, 3:5], np.s_[3, 4]):
        assert np.array_equal(bits(hdf5.read(d, selection, threads)), bits(np.asarray(x[selection])))


def test_h5py_is_not_asked(f, direct_only, threads):
    d = f.create_dataset("x", (50, 70), "f4", chunks=(25, 35), compression=Q)
    hdf5.write(d, NORMAL, threads=threads)
    for selection in SELECTIONS:
        part = NORMAL[() if selection is None else selection]
        assert np.abs(hdf5.read(d, selection, threads) - part).max() <= TOL
        hdf5.write(d, part, selection, threads)


@pytest.mark.parametrize("size", [0, 100])
def test_a_chunk_of_several_blocks(f, size, threads, direct_only):
    x = RNG.normal(size=(1000, 1000)).astype("f4")
    d = f.create_dataset("x", (1000, 1000), "f4", chunks=(1000, 1000), compression=Q)
    data = encode(x, TOL)
    if size:  # of another shape, which the filter does not look at
        data = encode(x.reshape(100, 10000), TOL)
    d.id.write_direct_chunk((0, 0), data)
    whole = arraycodec.decode(data).reshape(x.shape)
    for selection in (..., np.s_[5], np.s_[990:], np.s_[::300, 4], np.s_[:, 3:5], np.s_[3, 4]):
        assert np.array_equal(hdf5.read(d, selection, threads), whole[selection])


def test_only_touched_blocks_are_decoded(f):
    d = f.create_dataset("x", data=np.ones((1000, 1000), "f4"), chunks=(1000, 1000), compression=Q)
    data = bytearray(d.id.read_direct_chunk((0, 0))[1])
    data[-1] ^= 1
    d.id.write_direct_chunk((0, 0), bytes(data))
    assert (hdf5.read(d, np.s_[:100]) == 1).all()
    with pytest.raises(ChecksumError):
        hdf5.read(d, np.s_[-1])


def test_boxes(f, threads, direct_only):
    x = RNG.normal(size=(60, 40, 700)).astype("f4")
    d = f.create_dataset("x", x.shape, "f4", chunks=(30, 40, 700), compression=Q)
    hdf5.write(d, x, threads=threads)
    assert arraycodec.peek(stored(d)[0, 0, 0][1]).box == (15, 20, 700)
    whole = hdf5.read(d)
    assert arraycodec.verify(x, whole, TOL)
    damaged = bytearray(stored(d)[30, 0, 0][1])
    damaged[-1] ^= 1
    d.id.write_direct_chunk((30, 0, 0), bytes(damaged))  # in the last box
    for selection in (np.s_[:45, :, 3:5], np.s_[::44], np.s_[:, :20, ::7], np.s_[28:33, 5], np.s_[44, 39, 699]):
        assert same(hdf5.read(d, selection, threads), whole[selection])
    with pytest.raises(ChecksumError):
        hdf5.read(d, np.s_[45, 20, 0], threads)


@pytest.mark.parametrize("rank", [1, 5, 6, 8, 12])
def test_ranks(f, rank, direct_only):
    """h5py shows at most 16 of the filter's parameters."""
    x = RNG.normal(size=(2,) * rank).astype("f4")
    d = f.create_dataset("x", x.shape, "f4", chunks=(2,) * (rank - 1) + (1,), compression=Q)
    hdf5.write(d, x, threads=2)
    assert arraycodec.verify(x, hdf5.read(d), TOL)


# ---- filter masks ----
def test_chunks_stored_without_the_filter(f, threads):
    raw = RNG.normal(size=(50, 70)).astype("f4")
    d = f.create_dataset("x", data=raw, chunks=(25, 35), compression=Q)
    e = f.create_dataset("y", data=raw, chunks=(25, 35), compression=Q)
    for dataset in (d, e):
        f.flush()
        dataset.id.write_direct_chunk((25, 35), np.ascontiguousarray(raw[25:, 35:]).tobytes(), filter_mask=1)
        # until HDF5 2.0 looks at another chunk, it takes the mask for that of the old one
        dataset.id.read_direct_chunk((0, 0))
    for selection in SELECTIONS:
        assert same(hdf5.read(d, selection, threads), d[() if selection is None else selection])
    assert np.array_equal(hdf5.read(d, np.s_[25:, 35:], threads), raw[25:, 35:])
    hdf5.write(d, 7, np.s_[30, 40:], threads)
    e[30, 40:] = 7
    f.flush()
    assert stored(d) == stored(e) and stored(d)[25, 35][0] == 0
    hdf5.write(d, raw[25:, 35:] + 1, np.s_[25:, 35:], threads)
    assert arraycodec.verify(raw[25:, 35:] + 1, hdf5.read(d, np.s_[25:, 35:]), TOL)
    d.id.write_direct_chunk((0, 0), bytes(5), filter_mask=1)
    d.id.read_direct_chunk((25, 35))
    with pytest.raises(SizeError, match=r"chunk at \(0, 0\) of /x: 5 bytes"):
        hdf5.read(d, threads=threads)


# ---- the chunk cache ----
def test_what_is_only_in_the_chunk_cache_is_read(f, threads):
    d = f.create_dataset("x", (50, 70), "f4", chunks=(16, 16), fillvalue=3, compression=Q)
    for i in range(5):
        d[i : 2 * i + 1, ::3] = NORMAL[i : 2 * i + 1, ::3] + i
        expected = d[...]
        assert np.abs(hdf5.read(d, threads=threads) - expected).max() <= TOL
    d.resize((20, 70))


def test_the_chunk_cache_does_not_hide_what_is_written(f, threads):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    for i in range(1, 5):
        d[...]  # cached
        d[5] = 1  # and changed there
        hdf5.write(d, NORMAL + i, threads=threads)
        assert arraycodec.verify((NORMAL + i).astype("f4"), d[...], TOL)
        hdf5.write(d, -i, np.s_[3:20, 7], threads)
        assert (d[3:20, 7] == -i).all()
        d[40:, :3] = 5
        hdf5.write(d, 6, np.s_[40:, 3], threads)
        assert (d[40:, :3] == 5).all() and (d[40:, 3] == 6).all()


def test_the_cache_does_not_overwrite_it_later(tmp_path, threads):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        d = f.create_dataset("x", data=NORMAL, chunks=(50, 70), compression=Q)
        hdf5.write(d, np.zeros_like(NORMAL), threads=threads)
    with h5py.File(tmp_path / "x.h5") as f:
        assert not f["x"][...].any()


# ---- datasets that grow, shrink, or were never written ----
def test_resized(f, threads):
    d = f.create_dataset("x", (0, 70), "f4", maxshape=(None, None), chunks=(16, 16), fillvalue=2, compression=Q)
    assert hdf5.read(d, threads=threads).shape == (0, 70)
    for n in (5, 20, 50):
        first = len(d)
        d.resize((n, 70))
        hdf5.write(d, NORMAL[first:n], np.s_[first:], threads)
    assert arraycodec.verify(NORMAL, hdf5.read(d, threads=threads), TOL)
    d.resize((33, 80))
    back = hdf5.read(d, threads=threads)
    assert arraycodec.verify(NORMAL[:33], back[:, :70], TOL) and (back[:, 70:] == 2).all()
    d.resize((60, 80))
    back = hdf5.read(d, threads=threads)
    assert (back[33:] == 2).all() and same(back, d[...])


@pytest.mark.parametrize("fillvalue", [None, 0.1, payload_nans("f4")[1]])
@pytest.mark.parametrize("time", ["FILL_TIME_ALLOC", "FILL_TIME_NEVER", "FILL_TIME_IFSET"])
@pytest.mark.parametrize("undefined", [False, True])
def test_never_written(f, fillvalue, time, undefined, threads):
    def create(name):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((8,))
        plist.set_fill_time(getattr(h5py.h5d, time))
        if undefined:
            h5py_set_undefined(plist)
        elif fillvalue is not None:
            plist.set_fill_value(np.array(fillvalue, "f4"))
        plist.set_filter(hdf5.FILTER_ID, h5py.h5z.FLAG_OPTIONAL, Q.filter_options)
        space = h5py.h5s.create_simple((20,))
        return h5py.Dataset(h5py.h5d.create(f.id, name, h5py.h5t.IEEE_F32LE, space, plist))

    try:
        d, e = create(b"x"), create(b"y")
    except (ValueError, RuntimeError):
        assert undefined and time == "FILL_TIME_ALLOC"  # HDF5 refuses it
        return
    try:
        expected = d[...]
    except OSError:
        assert undefined and time == "FILL_TIME_IFSET"
        with pytest.raises(OSError):
            hdf5.read(d, threads=threads)
    else:
        assert same(hdf5.read(d, threads=threads), expected)
    hdf5.write(d, 1, np.s_[17], threads)
    e[17] = 1
    f.flush()
    assert stored(d) == stored(e) and same(hdf5.read(d, threads=threads), e[...])


def h5py_set_undefined(plist):
    set_fill_value = ctypes.CDLL(h5py.h5p.__file__).H5Pset_fill_value
    set_fill_value.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    assert set_fill_value(plist.id, h5py.h5t.IEEE_F32LE.id, None) >= 0


# ---- left to h5py ----
def left_to_h5py(f):
    """Datasets that HDF5 has to read and write itself."""
    x = NORMAL
    yield f.create_dataset("contiguous", data=x)
    yield f.create_dataset("gzip", data=x, compression="gzip")
    yield f.create_dataset("fletcher32", data=x, chunks=(25, 35), compression=Q, fletcher32=True)
    yield f.create_dataset("chunked", data=x, chunks=True)
    yield f.create_dataset("int", data=x.astype("i4"), chunks=True)
    yield f.create_dataset("compound", data=x.view([("a", "f4")]))
    yield f.create_dataset("scalar", data=np.float32(3))
    yield f.create_dataset("empty", data=h5py.Empty("f4"))
    yield f.create_dataset("nothing", (0, 5), "f4", maxshape=(None, 5), chunks=(5, 5), compression=Q)
    layout = h5py.VirtualLayout((50, 70), "f4")
    layout[...] = h5py.VirtualSource(f["contiguous"])
    yield f.create_virtual_dataset("virtual", layout)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(x.shape)
    yield h5py.Dataset(h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32LE, space, plist))


def unusual_types():
    """What the filter takes, and h5py reads as something else or in a way of its own."""
    t = h5py.h5t
    both = t.create(t.COMPOUND, 16)
    both.insert(b"real", 0, t.IEEE_F64LE)
    both.insert(b"imag", 8, t.IEEE_F64LE)
    yield both, np.array([(1, 2), (3, 4)] * 2, [("real", "f8"), ("imag", "f8")])
    bools = t.enum_create(t.STD_I16LE)
    bools.enum_insert(b"FALSE", 0)
    bools.enum_insert(b"TRUE", 1)
    yield bools, np.array([True, False, False, True])
    yield t.STD_I8BE, np.array([1, -2, 3, 4], "i1")
    bfloat16 = t.IEEE_F32LE.copy()
    bfloat16.set_fields(15, 7, 8, 0, 7)
    bfloat16.set_precision(16)
    bfloat16.set_size(2)
    yield bfloat16, np.array([1, -2, 0.5, np.inf], "f4")
    if hasattr(t, "COMPLEX_IEEE_F32LE"):
        yield t.COMPLEX_IEEE_F32LE, np.array([1 + 2j, 3, -1j, 0], "c8")


def test_unusual_types(f, threads):
    for i, (type_id, x) in enumerate(unusual_types()):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2,))
        plist.set_filter(hdf5.FILTER_ID, h5py.h5z.FLAG_OPTIONAL, AnsQuant(0).filter_options)
        d = h5py.Dataset(h5py.h5d.create(f.id, str(i).encode(), type_id, h5py.h5s.create_simple((4,)), plist))
        hdf5.write(d, x, threads=threads)
        settle(d)
        assert np.array_equal(hdf5.read(d, threads=threads), d[...]) and np.array_equal(d[...].astype(x.dtype), x)


def test_other_datasets(f, threads):
    for d in left_to_h5py(f):
        before = d[()]
        back = hdf5.read(d, threads=threads)
        assert isinstance(before, h5py.Empty) and back == before or type(back) is type(before)
        if not isinstance(before, h5py.Empty):
            assert back.dtype == before.dtype and np.array_equal(back, before)
            hdf5.write(d, before, threads=threads)
            assert np.array_equal(d[()], before) or d.name == "/fletcher32"
    assert hdf5.read(f["compound"], "a").shape == (50, 70)


def test_external_storage(tmp_path, threads):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        d = f.create_dataset("x", (50, 70), "f4", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)])
        hdf5.write(d, NORMAL, threads=threads)
        assert np.array_equal(hdf5.read(d, threads=threads), NORMAL)


def test_edge_chunks_that_are_not_filtered(f, threads):
    """A rare option, by which HDF5 stores chunks at the edge as they are, without marking them."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((16, 16))
    plist.set_filter(hdf5.FILTER_ID, h5py.h5z.FLAG_OPTIONAL, Q.filter_options)
    set_options = ctypes.CDLL(h5py.h5p.__file__).H5Pset_chunk_opts
    assert set_options(ctypes.c_int64(plist.id), ctypes.c_uint(2)) >= 0
    with h5py.File("x", "w", driver="core", backing_store=False, libver="latest") as f:
        space = h5py.h5s.create_simple(NORMAL.shape)
        d = h5py.Dataset(h5py.h5d.create(f.id, b"x", h5py.h5t.IEEE_F32LE, space, plist))
        hdf5.write(d, NORMAL, threads=threads)
        back = hdf5.read(d, threads=threads)
        assert np.array_equal(back[48:], NORMAL[48:])
        assert arraycodec.verify(NORMAL, back, TOL)


UNUSUAL = [
    np.s_[[1, 5, 7]],
    np.s_[3, [1, 5, 7]],
    np.s_[NORMAL[:, 0] > 0],
    NORMAL > 0,
    np.s_[5:5],
    np.s_[:, 70:],
    np.s_[np.array([2, 3]), 1],
    np.s_[True],
]


@pytest.mark.parametrize("selection", UNUSUAL, ids=range(len(UNUSUAL)))
def test_unusual_selections(f, selection, threads):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    e = f.create_dataset("y", data=NORMAL, chunks=(16, 16), compression=Q)
    try:
        expected = d[selection]
    except (TypeError, ValueError, IndexError) as error:
        with pytest.raises(type(error)):
            hdf5.read(d, selection, threads)
        return
    assert same(hdf5.read(d, selection, threads), expected)
    try:
        e[selection] = expected + 1
    except TypeError:  # older h5py reads by some that it does not write by
        return
    hdf5.write(d, expected + 1, selection, threads)
    f.flush()
    assert stored(d) == stored(e)


def test_region_references(f, threads):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    reference = d.regionref[3:9, ::2]
    assert np.array_equal(hdf5.read(d, reference, threads), d[reference])


@pytest.mark.parametrize("selection", [50, (0, 70), -51, (0, 0, 0), np.s_[::-1], np.s_[::0], None, "a", 1.5], ids=str)
def test_wrong_selections(f, selection):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    selection = (None,) if selection is None else selection
    before = stored(d)
    with pytest.raises((TypeError, ValueError, IndexError)) as theirs:
        d[selection]
    with pytest.raises(theirs.type, match=r".*"):
        hdf5.read(d, selection)
    with pytest.raises((TypeError, ValueError, IndexError)):
        hdf5.write(d, 1, selection)
    assert stored(d) == before


# ---- values ----
def conversions():
    largest = float(np.finfo("f4").max)
    special = [0.1, -0.0, largest, largest * (1 + 2**-26), -largest * (1 + 2**-26), 1e39, -1e39, np.inf, np.nan, 1e-46]
    yield np.array(special)
    yield np.array(special, ">f8")
    yield np.array(special[:3], ">f4")
    yield np.array([2**24 + 1, -3], "i8")
    yield np.array([2**64 - 1, 2**63 + 2**39], "u8")
    yield np.array([1, 2], "i1")
    yield np.array([0.1, 1e-8, 6e4], "f2")
    yield np.array([0.1, 1e300], np.longdouble)
    yield [1, 2.5]
    yield np.array([True, False])
    yield np.array([1 + 2j, 3])
    yield np.array(["1", "a"])
    yield np.array([1, None])
    yield "text"
    yield [[1, 2], [3]]


@pytest.mark.parametrize("values", list(conversions()), ids=lambda v: str(getattr(v, "dtype", v)))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_values_are_converted_as_by_hdf5(f, values, dtype, threads):
    n = len(values)
    d = f.create_dataset("x", (n,), dtype, chunks=(n,), compression=AnsQuant(tol=0))
    e = f.create_dataset("y", (n,), dtype, chunks=(n,), compression=AnsQuant(tol=0))
    try:
        with np.errstate(all="ignore"):
            e[...] = values
    except Exception as error:
        with pytest.raises(type(error)):
            hdf5.write(d, values, threads=threads)
        assert not d[...].any()
        return
    hdf5.write(d, values, threads=threads)
    f.flush()
    assert stored(d) == stored(e)


def other_conversions():
    yield from conversions()
    for code in ("i2", ">i2", "u1", "f2", ">f2", "f4", "c8", ">c8", "?"):
        yield np.array([1, 0]).astype(code)
    yield np.array([70000, -5])
    yield np.array([1.5, 300.7])
    yield np.array([1, 0], "M8[s]")
    for code in ("<M8[s]", ">M8[s]", "M8[D]"):
        yield np.array([1, 0], "i8").astype(code).view(of_hdf5(code))
    yield np.array([0, 1], ENUM)
    yield np.array([0, 5], ENUM)  # 5 has no name
    yield np.array([0, 70000], BIG_ENUM)
    yield np.array([0, 1], h5py.enum_dtype({"A": 1, "B": 0}, "i2"))
    yield from (5, True, 2j, np.datetime64(5, "s"), [1, 0], [True, False], [1.5, 2], [70000, 1])


@pytest.mark.parametrize("values", list(other_conversions()), ids=lambda v: str(getattr(v, "dtype", v)))
def test_values_of_other_types(f, values):
    for i, dtype in enumerate(map(of_hdf5, ("f2", "i2", ">i4", "u1", "c8", "?", "<M8[s]", ENUM))):
        n = len(values) if hasattr(values, "__len__") else 2
        d = f.create_dataset(f"x{i}", (n,), dtype, chunks=(n,), compression=AnsQuant(tol=0))
        e = f.create_dataset(f"y{i}", (n,), dtype, chunks=(n,), compression=AnsQuant(tol=0))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                e[...] = values
            except Exception as error:
                with pytest.raises(type(error)):
                    hdf5.write(d, values)
                continue
            hdf5.write(d, values)
        f.flush()
        assert stored(d) == stored(e), dtype


@pytest.mark.parametrize("shape", [(70,), (1, 70), (50, 1), (1, 1, 50, 70), (), (1,), (50, 70)])
def test_broadcasting(f, shape, direct_only, threads):
    d = f.create_dataset("x", (50, 70), "f4", chunks=(10, 35), compression=Q)
    values = RNG.normal(size=shape).astype("f4")
    hdf5.write(d, values, threads=threads)
    expected = np.broadcast_to(values.reshape(shape[-2:]), (50, 70))
    assert arraycodec.verify(np.array(expected), hdf5.read(d), TOL)


def test_matrices(f):
    d = f.create_dataset("x", (70,), "f4", chunks=(35,), compression=Q)
    with pytest.warns(PendingDeprecationWarning):
        values = np.matrix(NORMAL[:1])
    hdf5.write(d, values)
    assert arraycodec.verify(NORMAL[0], hdf5.read(d), TOL)


@pytest.mark.parametrize("shape", [(50,), (70, 50), (2, 50, 70), (0,)])
def test_values_that_do_not_fit(f, shape):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    before = stored(d)
    with pytest.raises(TypeError, match="broadcast"):
        hdf5.write(d, np.zeros(shape, "f4"))
    assert stored(d) == before


def test_masked_arrays_are_refused(f):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    with pytest.raises(TypeError, match="mask"):
        hdf5.write(d, np.ma.masked_less(NORMAL, 0))


def test_values_not_touched_do_not_move(f, threads):
    d = f.create_dataset("x", data=1e3 * NORMAL, chunks=(16, 16), compression=AnsQuant(tol=0.1))
    first = hdf5.read(d)
    for i in range(10):
        hdf5.write(d, 1e6 * i, np.s_[:, i], threads)
    assert np.array_equal(hdf5.read(d)[:, 10:], first[:, 10:])


# ---- parameters of the dataset and the call ----
def without_plugin(tmp_path, values):
    """A dataset made by a program without the filter, which stores parameters as they are given."""
    code = """if True:
        import sys, h5py
        with h5py.File(sys.argv[1], "w") as f:
            f.create_dataset("x", (64,), "f4", chunks=(32,), compression=int(sys.argv[2]),
                             compression_opts=eval(sys.argv[3]), allow_unknown_filter=True)"""
    path = tmp_path / "x.h5"
    env = {**os.environ, "HDF5_PLUGIN_PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, path, str(hdf5.FILTER_ID), repr(values)], check=True, env=env)
    return path


def test_incomplete_parameters(tmp_path, threads):
    with h5py.File(without_plugin(tmp_path, (2, 10)), "a") as f:
        d = f["x"]
        hdf5.write(d, NORMAL[0, :64], threads=threads)
        f.flush()
        assert [mask for mask, _ in stored(d).values()] == [1, 1]  # as HDF5 does: not filtered
        assert np.array_equal(hdf5.read(d, threads=threads), NORMAL[0, :64])


def test_an_unreadable_tolerance(tmp_path):
    with h5py.File(without_plugin(tmp_path, (77, 1)), "a") as f:
        with pytest.raises(ParameterError, match=r"tolerance of /x is not readable: cd_values \(77, 1\)"):
            hdf5.write(f["x"], 1)
        assert stored(f["x"]) == {}


@pytest.mark.parametrize(
    "values",
    [
        (1, 0, 0x3FE00000, 10, 17, 1, 32, 0),  # of int16
        (1, 0, 0x3FE00000, 10, 1, 1, 16, 0),  # other chunks
        (1, 0, 0x3FE00000, 10, 0x201, 1, 32, 0),  # of an enumeration
        (1, 0, 0x7FF80000, 10, 1, 1, 32, 0),  # NaN
        (1, 0, 0x3FE00000, 14, 10, 10, 1, 1, 32, 0),  # no such level
        (1, 0, 0x3FE00000, 15, 6, 10, 1, 1, 32, 0),  # no such predictor
        (1, 0, 0x3FE00000),
    ],
)
def test_parameters_of_another_dataset(tmp_path, values, threads):
    """A property list that was copied where the filter was not at hand: what HDF5 makes of it, h5py shall do."""
    with h5py.File(without_plugin(tmp_path, values), "a") as f:
        assert hdf5io._layout(f["x"]) is None
        chunk = encode(np.zeros(32, "f4"), 0.5)
        f["x"].id.write_direct_chunk((0,), chunk)
        try:
            expected = f["x"][...]
        except OSError:
            with pytest.raises(OSError):
                hdf5.read(f["x"], threads=threads)
        else:
            assert same(hdf5.read(f["x"], threads=threads), expected)


@pytest.mark.parametrize("number", [0, -1])
def test_numbers_of_threads(f, number):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    for call in (lambda n: hdf5.read(d, threads=n), lambda n: hdf5.write(d, 0, threads=n)):
        with pytest.raises(ParameterError, match=f"threads must be at least 1, not {number}"):
            call(number)
        for wrong in (True, 1.0, "2", None, np.True_):
            with pytest.raises(TypeError, match="threads must be an integer"):
                call(wrong)
        call(np.int64(2))


@pytest.mark.parametrize("selection", [None, np.s_[3:5], np.s_[3, 4], np.s_[[1, 2]]], ids=str)
def test_an_out_that_does_not_fit(f, selection):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    good = np.array(d[() if selection is None else selection])
    for out in (good.astype("f8"), good.astype(">f4"), good[None], good[..., None].repeat(2, -1)):
        with pytest.raises(ParameterError, match="does not fit the selection"):
            hdf5.read(d, selection, out=out)
    for out in (np.ma.array(good), bytearray(good.nbytes), good.tolist()):
        with pytest.raises(TypeError, match="out"):
            hdf5.read(d, selection, out=out)
    good.flags.writeable = False
    with pytest.raises(ParameterError, match="read-only"):
        hdf5.read(d, selection, out=good)


def test_other_objects(f):
    for wrong in (f, NORMAL, None):
        with pytest.raises(TypeError, match="h5py.Dataset"):
            hdf5.read(wrong)
        with pytest.raises(TypeError, match="h5py.Dataset"):
            hdf5.write(wrong, 1)


def test_read_only_files(tmp_path, threads):
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    with h5py.File(tmp_path / "x.h5") as f:
        with pytest.raises(OSError, match="write"):
            hdf5.write(f["x"], 1, threads=threads)
        assert same(hdf5.read(f["x"], threads=threads), f["x"][...])


# ---- damage ----
@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        (lambda c: c[:-1] + bytes([c[-1] ^ 1]), ChecksumError),
        (lambda c: c[:-1], arraycodec.TruncatedError),
        (lambda c: b"nonsense" * 9, FormatError),
        (lambda c: encode(np.zeros((16, 16), ">f4"), TOL), SizeError),
        (lambda c: encode(np.zeros((16, 8), "f8"), TOL), SizeError),
        (lambda c: encode(np.zeros((16, 8), "f4"), TOL), SizeError),
        (lambda c: encode(np.zeros((16, 16), "i4"), TOL), SizeError),
        (lambda c: encode(np.asfortranarray(NORMAL[:16, :16]), TOL), FormatError),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("selection", [..., np.s_[20, 20]], ids=str)
def test_damaged_chunks_are_named(f, chunk, error, selection, threads):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    good = d.id.read_direct_chunk((16, 16))[1]
    d.id.write_direct_chunk((16, 16), chunk(good))
    with pytest.raises(error, match=r"chunk at \(16, 16\) of /x: "):
        hdf5.read(d, selection, threads)
    with pytest.raises(error, match=r"chunk at \(16, 16\) of /x: "):
        hdf5.write(d, 1, np.s_[17:, 17:], threads)
    hdf5.write(d, NORMAL, threads=threads)  # a new chunk does not need the old one
    assert arraycodec.verify(NORMAL, hdf5.read(d), TOL)


def test_errors_of_hdf5_come_through(f, monkeypatch, threads):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    monkeypatch.setattr("arraycodec.selection._along_axis", lambda axis, chunk: [(5, range(16), slice(0, 16), True)])
    with pytest.raises(OSError, match="boundary"):
        hdf5.read(d, threads=threads)


# ---- threads ----
def ours_alive():
    return [t for t in threading.enumerate() if t.name.startswith("arraycodec")]


def test_one_thread_is_the_callers(f, monkeypatch):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
    hdf5.read(d)
    hdf5.write(d, 1)


def test_one_chunk_needs_no_thread(f, monkeypatch):
    d = f.create_dataset("x", data=NORMAL, chunks=(16, 16), compression=Q)
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
    hdf5.read(d, np.s_[3:5, 7], threads=4)
    hdf5.write(d, 1, np.s_[3:5, 7], threads=4)


def test_only_the_caller_talks_to_hdf5(f, monkeypatch):
    seen, decoding = set(), set()
    read_chunk, decode = hdf5io._read_chunk, hdf5io._Chunks.decode

    def watched_read(*args):
        seen.add(threading.get_ident())
        return read_chunk(*args)

    def watched_decode(*args):
        decoding.add(threading.get_ident())
        decode(*args)

    d = f.create_dataset("x", data=NORMAL, chunks=(5, 7), compression=Q)
    monkeypatch.setattr(hdf5io, "_read_chunk", watched_read)
    monkeypatch.setattr(hdf5io._Chunks, "decode", watched_decode)
    monkeypatch.setattr(hdf5io, "_MIN_TASK", 1)
    hdf5.read(d, threads=4)
    assert seen == {threading.get_ident()} and 2 <= len(decoding) <= 4
    assert not ours_alive()


def test_few_tasks_are_in_memory():
    begun, ended, most = 0, 0, 0
    lock = threading.Lock()

    def tasks():
        nonlocal begun, most
        for i in range(200):
            begun += 1
            most = max(most, begun - ended)
            yield i

    def done(task, result):
        nonlocal ended
        assert result == -task
        with lock:
            ended += 1

    for threads in (1, 2, 5):
        begun = ended = most = 0
        run(tasks(), lambda i: -i, done, threads)
        assert begun == ended == 200 and most <= 2 * threads


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
@pytest.mark.parametrize("where", ["tasks", "work", "done"])
def test_exceptions_end_everything(error, where, threads):
    calls = []

    def here(place, i):
        calls.append((place, i))
        if place == where and i == 20:
            raise error("stop")

    def tasks():
        for i in range(1000):
            here("tasks", i)
            yield i

    with pytest.raises(error, match="stop"):
        run(tasks(), lambda i: here("work", i), lambda i, _: here("done", i), threads)
    assert max(i for _, i in calls) < 40
    assert not ours_alive()
