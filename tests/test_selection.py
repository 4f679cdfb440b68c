"""Parts of a chunk: any basic selection gives what it gives on the whole array, from the blocks it touches."""

import numpy as np
import pytest
from arrays import DTYPES, bits
from hypothesis import given, settings
from hypothesis import strategies as st

from arraycodec import AnsQuant, ChecksumError, ParameterError, SizeError, _core, decode, encode, inspect, peek
from arraycodec.codec import decode_range
from arraycodec.selection import normalize, shape_of

TOL = 2**-10


def chunk_of(x, **length):
    """A chunk with blocks of a length (block_len, or box_len for boxes) that `encode` does not choose."""
    fortran = x.flags.f_contiguous and not x.flags.c_contiguous
    code = _core.DTYPES["float32"] if x.dtype.itemsize == 4 else _core.DTYPES["float64"]
    flat = x.reshape(-1, order="F" if fortran else "C").view("u1")
    return _core.encode(flat, code, x.dtype.byteorder == ">", fortran, x.shape, TOL, **length)


def indices(n):
    """One index of an axis of length n."""
    edge = st.none() | st.integers(-n - 2, n + 2)
    slices = st.builds(slice, edge, edge, st.none() | st.integers(1, n + 2) | st.integers(-n - 2, -1))
    return slices | st.integers(-n, n - 1) if n else slices


KINDS = st.sampled_from(["block_len", "box_len"])


def numbers_of_blocks(header):
    """The number of its block for every element."""
    if header.box is None:
        numbers = np.arange(header.count) // header.block_len
        return numbers.reshape(header.shape, order=header.order)
    parts = [-(-n // b) for n, b in zip(header.shape, header.box, strict=True)]
    grid = np.arange(np.prod(parts)).reshape(parts, order=header.order)
    return grid[np.ix_(*(np.arange(n) // b for n, b in zip(header.shape, header.box, strict=True)))]


@st.composite
def arrays_and_selections(draw):
    shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
    x = np.random.default_rng(0).normal(size=shape).astype(draw(st.sampled_from(DTYPES)))
    items = [draw(indices(n)) for n in shape]
    cut = draw(st.integers(0, len(items)))
    end = draw(st.integers(cut, len(items)))
    if draw(st.booleans()):
        items[cut:end] = [...]
    else:
        items = items[:cut]
    selection = items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)
    return np.asarray(x, order=draw(st.sampled_from("CF"))), selection


@settings(max_examples=500, deadline=None)
@given(arrays_and_selections(), st.integers(1, 70), KINDS)
def test_selections_are_those_of_the_array(case, length, kind):
    x, selection = case
    chunk = chunk_of(x, **{kind: length})
    whole = decode(chunk)
    expected = np.asarray(whole[selection])
    part = decode(chunk, selection=selection)
    assert part.dtype == x.dtype and part.shape == expected.shape
    assert np.array_equal(bits(part), bits(expected))
    strided = np.empty([2 * n + 1 for n in expected.shape], x.dtype)[(*[slice(-2, None, -2)] * expected.ndim, ...)]
    for out in (np.empty(expected.shape, x.dtype), np.empty(expected.shape, "f8", order="F"), strided):
        assert decode(chunk, out, selection=selection) is out
        assert np.array_equal(out, expected)


@settings(max_examples=300, deadline=None)
@given(arrays_and_selections(), st.integers(1, 70), KINDS)
def test_blocks_are_those_that_hold_selected_values(case, length, kind):
    x, selection = case
    axes = normalize(selection, x.shape)
    header = peek(chunk_of(x, **{kind: length}))
    assert (header.box is not None) == (kind == "box_len" and x.ndim > 1 and x.size > length)
    block_of = numbers_of_blocks(header)
    assert shape_of(axes) == block_of[selection].shape and header.n_blocks == header.cut.n_blocks
    runs = header.cut.touched(axes)
    assert [i for run in runs for i in range(*run)] == np.unique(block_of[selection]).tolist()
    assert all(a[1] < b[0] for a, b in zip(runs, runs[1:], strict=False))


@pytest.mark.parametrize("kind", [{"block_len": 10}, {"box_len": 10}, {"box_len": 400}], ids=str)
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("selection", [np.s_[3:5], np.s_[..., 7], np.s_[::30, 2], np.s_[57, 11]], ids=str)
def test_other_blocks_are_left_alone(order, selection, kind):
    x = np.asarray(np.random.default_rng(0).normal(size=(60, 70)).astype("f4"), order=order)
    good = chunk_of(x, **kind)
    expected = decode(good)[selection]
    touched = set(numbers_of_blocks(peek(good))[selection].ravel().tolist())
    blocks = inspect(good).blocks
    assert len(touched) < len(blocks)
    chunk = bytearray(good)
    for i, block in enumerate(blocks):
        if i not in touched:
            chunk[block.offset + block.size - 1] ^= 1
    for threads in (1, 3):
        assert np.array_equal(decode(chunk, selection=selection, threads=threads), expected)
    chunk[blocks[max(touched)].offset + 3] ^= 1
    for threads in (1, 3):
        with pytest.raises(ChecksumError):
            decode(chunk, selection=selection, threads=threads)


@settings(max_examples=300, deadline=None)
@given(arrays_and_selections(), st.integers(1, 70), KINDS, st.data())
def test_ranges(case, length, kind, data):
    x, _ = case
    chunk = chunk_of(x, **{kind: length})
    first = data.draw(st.integers(0, x.size))
    stop = data.draw(st.integers(first, x.size))
    header = peek(chunk)
    values = decode(chunk).ravel(order=header.order)[first:stop]
    damaged = bytearray(chunk)
    touched = set(numbers_of_blocks(header).ravel(order=header.order)[first:stop].tolist())
    for i, block in enumerate(inspect(chunk).blocks):
        if i not in touched:
            damaged[block.offset + block.size - 1] ^= 1
    assert np.array_equal(bits(decode_range(damaged, first, stop - first)), bits(values))


def test_errors_of_selections():
    chunk = encode(np.zeros((4, 5), "f4"), 1)
    for selection in (4, -5, (0, 5), (0, 0, 0), (..., 0, ...), (..., 0, 0, 0)):
        with pytest.raises(IndexError):
            decode(chunk, selection=selection)
    for selection in ([0, 1], np.array([0, 1]), True, np.True_, 1.0, "a", (0, None), np.zeros((4, 5), bool)):
        with pytest.raises(TypeError, match="a selection has integers, slices and Ellipsis"):
            decode(chunk, selection=selection)
    with pytest.raises(ValueError, match="step"):
        decode(chunk, selection=np.s_[::0])
    assert decode(chunk, selection=np.array(3)).shape == (5,)
    readonly = np.empty(5, "f4")
    readonly.flags.writeable = False
    for out in (np.empty(4, "f4"), np.empty(5, "i4"), readonly, bytearray(20)):
        with pytest.raises(ParameterError, match="out"):
            decode(chunk, out, selection=0)
    with pytest.raises(TypeError, match="masked"):
        decode(chunk, np.ma.zeros(5, "f4"), selection=0)


def test_a_part_of_what_is_too_large_as_a_whole():
    x = np.zeros((64, 1 << 16), "f4")
    chunk = encode(x, 0)
    with pytest.raises(SizeError):
        decode(chunk, max_output=x.nbytes - 1)
    for selection in (np.s_[5], np.s_[5:7], np.s_[5:9, ::2], np.s_[:, 0]):
        assert not decode(chunk, selection=selection, max_output=2 * x.nbytes // 64).any()
    for selection in (np.s_[5:8], np.s_[::16, 1:]):
        with pytest.raises(SizeError):
            decode(chunk, selection=selection, max_output=2 * x.nbytes // 64)


def test_a_part_owns_its_memory():
    chunk = encode(np.zeros((100, 100), "f4"), 1)
    for selection in (np.s_[3:5], np.s_[:, 3], np.s_[3, 3]):
        assert decode(chunk, selection=selection).base is None


def test_through_the_codec_object():
    x = np.random.default_rng(0).normal(size=(40, 50)).astype("f4")
    q = AnsQuant(tol=TOL)
    chunk = q.encode(x)
    assert np.array_equal(q.decode(chunk, selection=np.s_[::-3, 7]), q.decode(chunk)[::-3, 7])
    out = np.empty(50, "f4")
    assert q.decode(chunk, out, selection=5) is out and np.array_equal(out, q.decode(chunk)[5])
    assert peek(chunk).n_blocks == 1
