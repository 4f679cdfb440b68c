"""The promise: every finite value within tol in exact arithmetic, everything else bit for bit."""

import platform
import subprocess
import sys

import numpy as np
import pytest
from arrays import DTYPES, NATIVE, array_and_tol, assert_within, bits, torture
from hypothesis import given, settings

import arraycodec
from arraycodec import decode, encode, verify


@given(array_and_tol())
@settings(max_examples=400, deadline=None)
def test_any_array_any_tolerance(case):
    array, tol = case
    chunk = encode(array, tol)
    back = decode(chunk)
    assert back.dtype == array.dtype and back.shape == array.shape
    if tol == 0:
        assert np.array_equal(bits(back), bits(array))
    assert_within(array, back, tol)
    assert bool(verify(array, back, tol))
    # encoded again, what was decoded does not move
    again = decode(encode(back, tol))
    assert np.array_equal(bits(again), bits(back))


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
@pytest.mark.parametrize("tol", [2**-7, 1e-3, 0.1, 1e-30, 1e30, 0.0, 1e-44, 5e-324])
def test_torture_arrays(dtype, tol):
    for n in (1, 2, 63, 129, 1000):
        for name, x in torture(dtype, n, tol or 1.0).items():
            back = decode(encode(x, tol))
            assert_within(x, back, tol)
            assert verify(x, back, tol), name


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
@pytest.mark.parametrize("tol", [2**-17, 1e-4, 0.1, 1 / 3])
def test_half_steps_of_odd_tolerances(dtype, tol):
    """Values at and beside every half step: where a contracted or unchecked quantizer fails."""
    i = np.arange(-40000, 40000)
    for offset in (-1, 0, 1):
        x = (i * dtype.type(tol)).astype(dtype)
        if offset:
            x = np.nextafter(x, dtype.type(offset * np.inf))
        check = verify(x, decode(encode(x, tol)), tol)
        assert check.violations == 0
        assert check.max_error <= tol


def test_verify_finds_what_is_wrong():
    x = np.array([0.0, 1.0, np.nan, np.inf, -2.0], "f4")
    y = x.copy()
    assert verify(x, y, 0)
    y[1] = np.nextafter(np.float32(1.5), np.float32(2))
    assert verify(x, y, 0.5).violations == 1
    assert verify(x, y, 0.5000001192092896)
    y = x.copy()
    y[3] = -np.inf
    check = verify(x, y, 1e30)
    assert (check.violations, check.lost) == (1, 1)
    y = x.copy()
    y.view("u4")[2] ^= 1  # a NaN with another payload is not the same NaN
    assert verify(x, y, 1e30).lost == 1
    with pytest.raises(ValueError, match="shape"):
        verify(x, x[:2], 1)
    with pytest.raises(TypeError):
        verify(x, x.astype("f8"), 1)


def test_verify_is_exact_where_a_double_difference_is_not():
    """1 - (-1e-28) rounds to 1 in double, but is larger."""
    x, y = np.array([1.0], "f4"), np.array([-1e-28], "f4")
    assert float(x[0]) - float(y[0]) == 1.0
    assert verify(x, y, 1.0).violations == 1
    assert verify(x, -y, 1.0)


def test_nothing_is_refused_for_power_of_two_tolerances():
    """With step 2**-16 every float32 in range is within 2**-17 of its reconstruction."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 10, 300_000).astype("f4")
    info = arraycodec.inspect(encode(x, 2**-17))
    assert sum(b.raw_exceptions for b in info.blocks) == 0


HOSTILE = """
import ctypes, numpy as np, sys
sys.path[:0] = {path!r}
from arraycodec import _core
libm = ctypes.CDLL(None)
x = np.concatenate([np.linspace(-3, 3, 50001, dtype="f4"), np.float32(1e-41) * np.arange(1000, dtype="f4")])
def encode(tol):
    return _core.encode(x, 1, False, False, x.shape, tol, {threads}, 10_000)
reference = encode(0.1), encode(1e-37)
out = np.empty_like(x)
_core.Chunk(reference[1]).decode_into(out)
decoded = out.tobytes()
fe = ctypes.create_string_buffer(64)
for rounding in (0x0, 0x400, 0x800, 0xC00):
    for flush in (0, 0x8040):
        libm.fegetenv(fe)
        saved = fe.raw
        csr = int.from_bytes(fe.raw[28:32], "little")
        fe.raw = fe.raw[:28] + ((csr & ~0xE040) | (rounding << 3) | flush).to_bytes(4, "little") + fe.raw[32:]
        libm.fesetenv(fe)
        a = encode(0.1), encode(1e-37)
        _core.Chunk(a[1]).decode_into(out, {threads})
        now = ctypes.create_string_buffer(64)
        libm.fegetenv(now)
        kept = now.raw[28:32] == fe.raw[28:32]
        fe.raw = saved
        libm.fesetenv(fe)
        assert a == reference, (rounding, flush)
        assert out.tobytes() == decoded, (rounding, flush)
        assert kept, "the caller's MXCSR was not restored"
print("same")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets MXCSR through the x86-64 fenv_t")
@pytest.mark.parametrize("threads", [1, 3])
def test_callers_float_environment_changes_nothing(threads):
    """Four rounding modes, FTZ and DAZ: same bytes, same values, environment given back."""
    script = HOSTILE.format(path=sys.path, threads=threads)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "same", done.stderr


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rewriting_parts_never_drifts(dtype):
    """A chunk rewritten in part, thirty times: untouched values stay where the first write put them."""
    rng = np.random.default_rng(7)
    tol = 1e-2
    original = np.cumsum(rng.normal(size=4096)).astype(dtype)
    first = state = decode(encode(original, tol))
    touched = np.zeros(original.size, bool)
    for _ in range(30):
        i = rng.integers(original.size)
        state[i] = original[i] = rng.normal() * 100
        touched[i] = True
        state = decode(encode(state, tol))
        assert verify(original, state, tol)
        assert np.array_equal(bits(state)[~touched], bits(first)[~touched])
