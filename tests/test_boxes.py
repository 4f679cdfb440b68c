"""Blocks that are boxes: how arrays are cut, and that nobody sees it in what comes back."""

import math

import numpy as np
import pytest
from arrays import bits
from hypothesis import given, settings
from hypothesis import strategies as st

from arraycodec import ParameterError, _core, decode, encode, inspect, peek, verify
from arraycodec.codec import cut_of, decode_range
from arraycodec.dtypes import describe
from arraycodec.selection import normalize

TOL = 2**-9
BOOL, COMPLEX64 = describe(np.dtype("?"))[0], 5


def box_of(shape, code=BOOL, fortran=False):
    return _core.blocks(code, fortran, shape)[0]


@pytest.mark.parametrize(("shape", "box"), [
    ((2**18,), None), ((2**18 + 1,), None), ((2**30,), None), ((), None), ((512, 512), None), ((64, 64, 64), None),
    ((0, 2**30), None),
    # whole trailing axes, in equal parts: contiguous
    ((2048, 1500), (171, 1500)), ((400, 500, 6), (80, 500, 6)), ((513, 512), (257, 512)), ((100,) * 3, (25, 100, 100)),
    ((1, 2048, 1, 1500), (1, 171, 1, 1500)), ((2**18 + 1, 1), (2**17 + 1, 1)), ((1, 2**19), (1, 2**18)),
    # two axes are cut, three, all of many
    ((16, 2**15), (16, 2**14)), ((4, 2**20), (4, 2**16)), ((64, 512, 512), (16, 32, 512)),
    ((3, 600, 800), (3, 100, 800)), ((2, 2, 2**18), (2, 2, 2**16)), ((17, 2000, 1000), (9, 29, 1000)),
    ((300, 300, 3000), (16, 16, 1000)), ((32,) * 5, (4, 16, 16, 16, 16)), ((16,) * 7, (1, 1, 4, 16, 16, 16, 16)),
])  # fmt: skip
def test_how_arrays_are_cut(shape, box):
    assert box_of(shape) == box
    assert box_of(shape[::-1], fortran=True) == (None if box is None else box[::-1])
    cut = cut_of(shape, np.dtype("?"))
    assert (cut.box, cut.n_blocks) == (box, _core.blocks(BOOL, False, shape)[2])


@pytest.mark.parametrize(("shape", "box"), [
    ((512, 512), None), ((2048, 1500), (171, 1500)), ((100,) * 3, (100, 25, 100)), ((128, 64, 128), (128, 32, 64)),
    ((110, 64, 128), (110, 32, 64)), ((64, 512, 512), (64, 32, 128)),
])  # fmt: skip
def test_how_floats_are_cut(shape, box):
    """Which may be predicted: longer along the slowest axis, and no shorter than 32 along the others."""
    assert _core.blocks(1, False, shape)[0] == box
    assert _core.blocks(1, False, shape)[2] <= _core.most_blocks(1, shape)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.integers(1, 100) | st.integers(1, 2**12), min_size=2, max_size=32), st.sampled_from([1, 2]))
def test_every_shape_is_cut_into_boxes_of_a_good_size(shape, parts):
    shape, largest = tuple(shape), 2**18 // parts
    if math.prod(shape) >= 2**58:
        return
    box, block_len, n_blocks = _core.blocks(COMPLEX64 if parts == 2 else BOOL, False, shape)
    if math.prod(shape) <= largest:
        assert (box, block_len, n_blocks) == (None, largest, 1)
        return
    numbers = [-(-n // b) for n, b in zip(shape, box, strict=True)]
    assert block_len == math.prod(box) <= largest and n_blocks == math.prod(numbers)
    assert all(1 <= b <= n and b == -(-n // k) for n, b, k in zip(shape, box, numbers, strict=True))  # equal parts
    if len(shape) <= 4 and parts == 1:
        assert block_len > largest / 20 and all(b >= min(n, 9) for n, b in zip(shape, box, strict=True))


def waves(shape, dtype):
    """Something smooth, with holes."""
    grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij", sparse=True)
    x = sum(np.sin(g * 0.05 * (i + 1)) for i, g in enumerate(grids)) * np.ones(shape)
    x[(slice(1, None, 3),) * len(shape)] = 7
    dtype = np.dtype(dtype)
    if dtype.kind in "iuM":
        return (x * 1000).astype("i8").astype(dtype)
    return (x + 1j * x[::-1]).astype(dtype) if dtype.kind == "c" else x.astype(dtype)


LARGE = {
    "one axis": (700, 600), "two axes": (20, 30_000), "one of three": (40, 150, 110), "two of three": (20, 30, 700),
    "three axes": (17, 17, 3600), "three of four": (17, 3, 17, 3700), "five axes": (9, 10, 11, 20, 30),
    "ones": (1, 700, 1, 600, 1), "long rows": (2, 300_000),
}  # fmt: skip


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["f4", ">f8", "c8", ">i2", "f2", "M8[s]"])
@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
def test_large_arrays(shape, dtype, order):
    x = np.asarray(waves(shape, dtype), order=order)
    chunk = encode(x, TOL, level=1)
    header = peek(chunk)
    assert header.box is not None and header.order == order and header.n_blocks > 1
    assert encode(x, TOL, 3, level=1) == chunk
    whole = decode(chunk)
    assert whole.dtype == x.dtype and verify(x, whole, TOL)
    assert np.array_equal(bits(decode(chunk, threads=3)), bits(whole))
    for selection in (
        np.s_[0], np.s_[-1:], np.s_[..., -1], np.s_[::7], np.s_[..., ::-3], np.s_[:, 3:9],
        (slice(None, None, 5),) * x.ndim,
        tuple(n // 2 for n in shape), tuple(slice(n // 2, n // 2 + 3) for n in shape),
    ):  # fmt: skip
        assert np.array_equal(bits(decode(chunk, selection=selection, threads=2)), bits(np.asarray(whole[selection])))
    flat = whole.ravel(order=order)
    for first, count in [(0, 1), (x.size - 1, 1), (x.size // 2, 1000), (12_345, x.size // 3)]:
        assert np.array_equal(bits(decode_range(chunk, first, count)), bits(flat[first : first + count]))
    assert sum(block.count for block in inspect(chunk).blocks) == x.size


def test_without_loss_in_every_mode():
    """Masks and differences look at the rows and planes of the box."""
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.integers(0, 1000, (8, 40, 1100)), axis=1)
    chunk = encode(x, 0)
    assert peek(chunk).box == (8, 20, 1100)
    assert {block.difference for block in inspect(chunk).blocks} == {2}
    assert np.array_equal(decode(chunk), x)
    x = x.astype("f4")
    x[:, (np.arange(40)[:, None] + np.arange(1100)) % 50 < 20] = np.nan
    chunk = encode(x, 0)
    assert inspect(chunk).masked == np.isnan(x).sum()
    assert np.array_equal(bits(decode(chunk)), bits(x))
    scales = rng.permutation(np.geomspace(0.1, 100, 110))
    x = (rng.normal(size=(40, 150, 110)) * scales).astype("f4")
    chunk = encode(x, 2.0)
    blocks = inspect(chunk).blocks
    assert {(block.order, block.row) for block in blocks} >= {("columns", 110)}
    assert verify(x, decode(chunk), 2.0)


def test_a_small_part_costs_little():
    cut = cut_of((500, 1000, 1000), np.dtype("?"))
    assert cut.n_blocks > 2000

    def share(selection):
        runs = cut.touched(normalize(selection, cut.shape))
        return sum(stop - first for first, stop in runs) / cut.n_blocks

    assert share(np.s_[10]) < 0.04 and share(np.s_[:, 10]) < 0.02  # one layer of boxes
    assert share(np.s_[3:8, 3:8]) == 1 / cut.n_blocks
    assert share(np.s_[:, :, 3]) == 1  # rows are whole


def test_forced_lengths():
    x = waves((30, 40), "f4")
    flat = x.reshape(-1).view("u1")
    runs = _core.encode(flat, 1, False, False, x.shape, TOL, block_len=100)
    assert peek(runs).box is None and peek(runs).n_blocks == 12
    none = _core.PREDICTORS["none"]
    boxes = _core.encode(flat, 1, False, False, x.shape, TOL, box_len=400, predictor=none)
    assert peek(boxes).box == (15, 20) and peek(boxes).block_len == 300 and peek(boxes).n_blocks == 4
    assert peek(_core.encode(flat, 1, False, False, (1200,), TOL, box_len=400)).box is None
    assert peek(_core.encode(flat, 1, False, False, x.shape, TOL, box_len=1200)).box is None
    for lengths in ({"box_len": 2**18 + 1}, {"box_len": 1, "block_len": 1}):
        with pytest.raises(ParameterError):
            _core.encode(flat, 1, False, False, x.shape, TOL, **lengths)


@pytest.mark.parametrize("shape", [(16, 2**15), (2, 300_000), (34, 33, 500)])
def test_noise_grows_by_a_few_bytes_only(shape):
    """Also with threads, whose blocks wait for their places in the room of whole boxes."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**32, shape, "u4").view("f4")
    chunk = encode(x, 0)
    n_blocks = peek(chunk).n_blocks
    assert len(chunk) <= x.nbytes + 38 + 13 * x.ndim + 9 * n_blocks + 4 <= _core.bound(1, shape)
    for threads in (2, 7):
        assert encode(x, 0, threads) == chunk
    assert decode(chunk, threads=2).tobytes() == x.tobytes()


def test_slices_are_checked():
    x = waves((30, 40), "f4")
    chunk = _core.Chunk(encode(x, TOL, box_len=100))
    out = np.empty((2, 3), "f4")
    chunk.decode_selection_into(((28, 2, 1), (0, 3, 19)), out)
    assert np.array_equal(out, decode(encode(x, TOL, box_len=100))[28:, [0, 19, 38]])
    for slices in (
        ((29, 2, 1), (0, 3, 1)), ((0, 2, 30), (0, 3, 1)), ((0, 2, 1), (0, 3, 20)), ((0, 2, 0), (0, 3, 1)), ((0, 2, 1),),
        ((0, 3, 1), (0, 2, 1)), ((2**64 - 1, 2, 1), (0, 3, 1)), ((0, 2, 2**64 - 1), (0, 3, 1)), ((30, 2, 1), (0, 3, 1)),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            chunk.decode_selection_into(slices, out)
    for wrong in (np.empty((2, 3), "f8"), np.empty(6, "f4"), np.empty((2, 3, 1), "f4")):
        with pytest.raises(ValueError):
            chunk.decode_selection_into(((0, 2, 1), (0, 3, 1)), wrong)
