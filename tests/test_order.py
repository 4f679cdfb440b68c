"""Orders of a block: rows and columns with scales of their own, and what must not depend on them."""

import numpy as np
import pytest
import reference
from arrays import bits
from handmade import header, reseal, varint
from test_data import FOLDER
from test_reference import agree, block, valid

from arraycodec import _core, decode, inspect, verify
from arraycodec.codec import decode_range

CODES = {"f2": 3, "f4": 1, "f8": 2, "c8": 5, "c16": 6}


def at_level(x, tol, level, **tuning):
    """A chunk of an array in its own byte order and memory order; without a predictor: with, values are other ones."""
    fortran = x.flags.f_contiguous and not x.flags.c_contiguous
    big = x.dtype.newbyteorder("=") != x.dtype
    data = np.frombuffer(x.tobytes("A"), "u1")
    tuning |= {"level": level, "predictor": _core.PREDICTORS["none"]}
    return _core.encode(data, CODES[x.dtype.str[1:]], big, fortran, x.shape, tol, **tuning)


def matrix(rows, columns, dtype="f4", seed=0, axis=1, spread=1.0):
    """Normal numbers; columns (axis 1) or rows (axis 0) have scales of their own."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(0, spread, (rows, columns)[axis]))
    scale /= np.abs(scale).max() / 4
    return (rng.normal(size=(rows, columns)) * (scale if axis else scale[:, None])).astype(dtype)


def orders(chunk):
    return {block.order for block in inspect(chunk).blocks}


@pytest.mark.parametrize("level", [5, 9])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2"])
def test_scales_of_columns_are_found(dtype, order, level):
    x = np.array(matrix(300, 400, dtype, axis=order == "C"), order=order)
    plain, chunk = at_level(x, 1e-3, 1), at_level(x, 1e-3, level)
    assert orders(plain) == {""} and "" not in orders(chunk)
    assert len(chunk) < 0.97 * len(plain)
    assert np.array_equal(bits(decode(chunk)), bits(decode(plain)))
    assert decode(chunk).flags.f_contiguous == (order == "F")
    assert verify(x, decode(chunk), 1e-3)


def test_scales_of_rows_need_none():
    for x in (matrix(300, 400, axis=0), matrix(300, 400, spread=0)):
        assert orders(at_level(x, 1e-3, 5)) == {""}
    assert orders(at_level(matrix(300, 400), 1e-3, 3)) == {""}
    assert orders(at_level(matrix(300, 400).ravel(), 1e-3, 9)) == {""}


@pytest.mark.parametrize("shape", [
    (1, 4000), (4000, 1), (31, 200), (32, 32), (33, 47), (200, 31), (64, 65), (3, 1000), (40, 40, 3), (40, 36, 3, 3),
    (5, 40, 60),
    (2, 2, 2, 500), (60, 1, 70, 1), (0, 50), (200, 127), (100, 129), (50, 1500),
])  # fmt: skip
def test_shapes(shape):
    rng = np.random.default_rng(len(shape))
    x = rng.normal(size=shape) * np.exp(rng.normal(size=shape[-1])) * np.exp(rng.normal(size=shape[1])).reshape(
        -1, *[1] * (len(shape) - 2)
    )
    for dtype in ("f4", "f8", "c8"):
        for order in "CF":
            y = np.array(x.astype(dtype), order=order)
            for block_len in (0, 1500, 5000):
                expected = bits(decode(at_level(y, 0.01, 1, block_len=block_len)))
                for level in (5, 9):
                    chunk = at_level(y, 0.01, level, block_len=block_len)
                    assert np.array_equal(bits(decode(chunk)), expected)


def test_blocks_begin_anywhere():
    x = matrix(300, 401)
    whole = bits(decode(at_level(x, 1e-3, 9)))
    for block_len in (401 * 50, 20_000, 20_001, 33_333):
        chunk = at_level(x, 1e-3, 9, block_len=block_len)
        assert orders(chunk) != {""}
        assert np.array_equal(bits(decode(chunk)), whole)
        for first, count in [(0, 1), (401 * 77 + 5, 30_000), (19_999, 2), (x.size - 3, 3)]:
            assert np.array_equal(bits(decode_range(chunk, first, count)), whole.ravel()[first : first + count])
    for threads in (1, 2, 3):
        assert at_level(x, 1e-3, 9, block_len=20_000, threads=threads) == at_level(x, 1e-3, 9, block_len=20_000)


def test_special_values_refused_ones_and_edges():
    rng = np.random.default_rng(1)
    x = matrix(300, 400) * np.float32(100)
    x.ravel()[rng.integers(x.size, size=4)] = np.nan, np.inf, -np.inf, 1e30
    plain, chunk = at_level(x, 0.01, 1), at_level(x, 0.01, 5)
    assert orders(chunk) != {""} and inspect(chunk).blocks[0].raw_exceptions >= 4
    assert np.array_equal(bits(decode(chunk)), bits(decode(plain)))
    x = (matrix(300, 400) * 1e4).astype("f4")
    plain, chunk = at_level(x, 0.01, 1), at_level(x, 0.01, 5)
    assert orders(chunk) != {""} and inspect(chunk).blocks[0].edges > 0
    assert np.array_equal(bits(decode(chunk)), bits(decode(plain)))
    x[rng.random(x.shape) < 0.2] = np.nan
    assert orders(at_level(x, 0.01, 9)) == {""}  # a mask leaves no matrix


def test_written_again_values_stay():
    x = matrix(300, 400)
    once = decode(at_level(x, 1e-3, 5))
    for level in (1, 5, 9):
        for block_len in (0, 30_000):
            assert np.array_equal(decode(at_level(once, 1e-3, level, block_len=block_len)), once)


def test_the_other_decoder():
    for x in (matrix(40, 150, spread=1.5), matrix(150, 40, spread=1.5), matrix(45, 67, "f2"), matrix(64, 90, ">f8")):
        for level in (5, 9):
            chunk = at_level(x, 0.01, level, group=64)
            assert np.array_equal(bits(valid(chunk)), bits(decode(at_level(x, 0.01, 1))))


@pytest.mark.parametrize(("rows", "row", "kind", "good"), [
    (4096, 2, 7, True), (4097, 2, 7, False), (2, 4096, 6, True), (2, 4097, 6, False), (4097, 2, 1, True),
])  # fmt: skip
def test_as_many_indices_as_can_be_sorted(rows, row, kind, good):
    n = rows * row
    head = header((n,), block_len=0)
    classes = bytes(-(-(rows if kind & 1 else row) // 8)) if kind & 2 else b""
    body = block(raw=np.arange(-(-n // 16) * 4, dtype="u1").tobytes(), layout=0x20)
    body = bytes([body[0] | 16]) + varint(row) + b"\0" + bytes([kind]) + classes + body[1:]
    assert (agree(reseal(head, body)) is not None) == good


SIZES = {
    "w_minilm_l0_ffn_in_f32": (1e-3, 7.035, 7.023), "w_minilm_l0_query_f32": (1e-3, 7.605, 7.605),
    "w_ppocr_det_conv421_f32": (1e-3, 8.578, 8.576), "g_minilm_l1_value_f32": (1e-5, 7.995, 7.993),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_weights(name):
    path = FOLDER / f"{name}.npy"
    if not path.exists():
        pytest.skip(f"no data in {FOLDER}")
    x = np.load(path)
    tol, *most = SIZES[name]
    for level, size in zip((5, 9), most, strict=True):
        assert 8 * len(at_level(x, tol, level)) / x.size < size


def test_reference_refuses_what_it_says():
    with pytest.raises(reference.Invalid):
        reference.decode(reseal(header(), b"\x12\1\0\1" + block()[1:]))
