"""Sections of varints: the published integers' bytes, the bound, every type, and a reader that knows nothing else."""

import numpy as np
import pytest
from arrays import ALL_DTYPES, bits, numbers

from arraycodec import decode, encode, inspect, verify
from arraycodec.__main__ import main
from arraycodec._core import ParameterError

VARINTS = {"coder": 2}
# zigzag codes of these in LEB128
INTEGERS = [0, 1, -1, 2, -2, 63, -64, 64, -65, 8191, -8192, 8192, -8193, 100000, -100000, 655360, -655360, 1048575,
            -1048576]  # fmt: skip
BYTES = bytes.fromhex("00020104037e7f80018101fe7fff7f808001818001c09a0cbf9a0c808050ffff4ffeff7fffff7f")


def test_published_integers():
    for tol, dtype in ((2.0**-17, "f4"), (0.5, "f4"), (2.0**-17, "f8")):
        x = (np.array(INTEGERS) * 2 * tol).astype(dtype)
        chunk = encode(x, tol, **VARINTS)
        assert chunk.endswith(BYTES) and np.array_equal(decode(chunk), x)


def read(chunk):
    """What `encode(x, tol, coder=2)` made of float32 values, one block, finite, within the lattice; in plain Python.

    A list of values that an earlier chunk had elsewhere may stand before the section: without it they are within the
    tolerance, too.
    """
    ndim, at, shape = chunk[7], 8 + 4 + 8 * (not chunk[6] & 4), []
    delta = np.frombuffer(chunk, "<f4", 1, 8)[0]
    for _ in range(ndim):
        n, at = varint(chunk, at)
        shape.append(n)
    _, at = varint(chunk, at)  # values of a block
    at += 8 + 4  # index of one block, checksum
    head, at = chunk[at], at + 1
    if head & 32:
        _, at = varint(chunk, at)
        size, at = varint(chunk, at)
        at += size
    assert head & ~32 == 2 and chunk[at : at + 2] == b"\x80\0"
    at += 2
    values = []
    while at < len(chunk):
        u, at = varint(chunk, at)
        values.append((u >> 1 ^ -(u & 1)) * float(delta))
    return np.array(values, "f4").reshape(shape)


def varint(data, at):
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


def test_a_reader_of_a_few_lines():
    x = np.random.default_rng(0).normal(0, 0.05, (30, 40)).astype("f4")
    for tol in (2.0**-17, 1e-3):
        chunk = encode(x, tol, **VARINTS)
        found = read(chunk)
        assert verify(x, found, tol) and np.count_nonzero(found != decode(chunk)) < 20


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("how", [{"tol": 0}, {"tol": 0.01}, {"tol": 3.5}, {"rtol": 0.01}, {"tol": 0.1, "rtol": 0.001}])
def test_every_type(dtype, how):
    x = numbers(dtype, (7, 500))
    chunk = encode(x, **how, **VARINTS)
    y = decode(chunk)
    assert y.dtype == x.dtype and verify(x, y, how.get("tol", 0), rtol=how.get("rtol", 0))
    assert all(block.varints or block.mode in ("raw", "constant") for block in inspect(chunk).blocks)
    assert not any(block.lanes or block.classes for block in inspect(chunk).blocks)
    assert np.array_equal(bits(decode(encode(y, **how, **VARINTS))), bits(y))  # nothing moves twice


def test_any_magnitude_and_special_values():
    rng = np.random.default_rng(1)
    for dtype in ("f4", "f8", "f2"):
        x = (rng.normal(size=4000) * 10.0 ** rng.integers(-9, 5 if dtype == "f2" else 30, 4000)).astype(dtype)
        x[::50] = np.nan
        x[7::90] = -np.inf
        x[9] = 0.0
        for tol in (2.0**-17, 0.3):
            assert verify(x, decode(encode(x, tol, **VARINTS)), tol)


def test_one_is_larger_and_both_are_read_by_all():
    x = np.random.default_rng(2).normal(0, 0.05, 70_000).astype("f4")
    varints, usual = encode(x, 2.0**-17, **VARINTS), encode(x, 2.0**-17, coder=1)
    assert encode(x, 2.0**-17) == usual and len(usual) < 0.95 * len(varints) < 0.95 * 2.2 * len(x)
    assert np.array_equal(decode(usual), decode(varints))
    assert np.array_equal(decode(varints, selection=slice(65_000, 69_000)), decode(varints)[65_000:69_000])
    for threads in (1, 3):
        assert encode(x, 2.0**-17, threads, block_len=5000, **VARINTS) == encode(x, 2.0**-17, block_len=5000, **VARINTS)


def test_no_other_coder():
    for coder in (3, 255, 256, -1):
        with pytest.raises(ParameterError):
            encode(np.ones(9), 0.1, coder=coder)


def test_inspect_shows_them(tmp_path, capsys):
    (tmp_path / "x.chunk").write_bytes(encode(np.arange(50, dtype="f4"), 0.5, **VARINTS))
    assert main(["inspect", str(tmp_path / "x.chunk")]) == 0
    assert "blocks uniform (varints):1" in capsys.readouterr().out
