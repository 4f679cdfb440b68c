"""The block coder under every forced choice: group size, lanes, probability bits, block length."""

import hashlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from arrays import NATIVE, bits, torture

from arraycodec import _core, decode, inspect, verify

GROUPS, LANES, PROB_BITS = (64, 128), (4, 8, 16, 32, 64), (10, 11, 12, 13)
CHOICES = list(itertools.product(GROUPS, LANES, PROB_BITS))


def force(x, tol, **tuning):
    return _core.encode(x.view("u1"), 1 if x.dtype.itemsize == 4 else 2, False, False, x.shape, tol, **tuning)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(map(str, c)))
def test_every_choice_round_trips(choice):
    group, lanes, prob_bits = choice
    rng = np.random.default_rng(sum(choice))
    tol = 2**-9
    # lengths on both sides of a group, of a step, of sixteen values
    for n in (
        1,
        3,
        4,
        5,
        15,
        16,
        17,
        lanes - 1,
        lanes,
        lanes + 1,
        group - 1,
        group,
        group + 1,
        2 * group + lanes + 1,
        4099,
    ):
        x = (rng.standard_t(2, n) * rng.choice([0.01, 1, 30], n)).astype("f4")
        chunk = force(x, tol, group=group, lanes=lanes, prob_bits=prob_bits)
        assert verify(x, decode(chunk), tol)
    x = np.repeat(np.exp(rng.normal(size=200) * 2), 100).astype("f4") * rng.normal(size=20_000).astype("f4")
    chunk = force(x, tol, group=group, lanes=lanes, prob_bits=prob_bits)
    block = inspect(chunk).blocks[0]
    assert (block.group, block.lanes, block.prob_bits) == choice
    assert block.classes > 3
    assert verify(x, decode(chunk), tol)


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 2999, 3000])
def test_block_boundaries(dtype, n):
    x = torture(dtype, 3001)["nan"][:n]
    expected = decode(force(x, 1e-3))
    for block_len in (1, 7, 1000, 2**18):
        chunk = force(x, 1e-3, block_len=block_len)
        assert len(inspect(chunk).blocks) == -(-n // block_len)
        back = decode(chunk)
        assert verify(x, back, 1e-3)
        if n % block_len > 100:  # tiny blocks are stored bit for bit, the others on the lattice
            assert np.array_equal(bits(back), bits(expected))


def test_blocks_of_full_size():
    rng = np.random.default_rng(0)
    for n in (2**18 - 1, 2**18, 2**18 + 1):
        x = rng.normal(size=n).astype("f4")
        chunk = force(x, 1e-3)
        assert [b.count for b in inspect(chunk).blocks] == [2**18, n - 2**18][: 1 + (n > 2**18)] or n < 2**18
        assert verify(x, decode(chunk), 1e-3)


def test_lanes_follow_the_coded_size():
    rng = np.random.default_rng(0)
    lanes = [
        inspect(force(rng.normal(size=n).astype("f4"), 0.05)).blocks[0].lanes
        for n in (200, 2000, 6000, 20_000, 100_000)
    ]
    assert lanes == [4, 8, 16, 32, 64]


@pytest.mark.parametrize("width", range(1, 31))
def test_every_width_of_raw_bits(width):
    """Uniform integers of every width: bit-packing to 25 bits, then windows over raw bits."""
    rng = np.random.default_rng(width)
    for n in (5, 16, 100, 20_000):
        x = rng.integers(0, 2**width, n).astype("f8")
        x[0], x[-1] = 0, 2**width - 1
        chunk = force(x, 0.5)
        assert np.array_equal(decode(chunk), x)
        if n == 20_000 and width <= 25:
            assert inspect(chunk).bits_per_value < width + 0.05


def test_wide_and_far_windows():
    """Integers up to the quantizer's limit, on either side, and beyond it."""
    rng = np.random.default_rng(3)
    for centre in (0, 2**24, -(2**24), 2**30 - 1000, -(2**30) + 1000, 2**30, 2**31, 2**40):
        for spread in (1, 500, 2**20, 2**29):
            x = (centre + rng.normal(0, spread, 3000)).round()
            assert np.array_equal(decode(force(x, 0.5)), x)
    # float32 beyond 2**24 steps: reconstruction takes the double path
    x = rng.uniform(-60, 60, 5000).astype("f4")
    assert verify(x, decode(force(x, 2**-25)), 2**-25)


ISA = """
import hashlib, itertools, sys
sys.path[:0] = {path!r}
import numpy as np
from arrays import NATIVE, torture
from arraycodec import _core
h = hashlib.sha256()

def add(x, tol, **tuning):
    chunk = _core.encode(x.view("u1"), 1 if x.dtype.itemsize == 4 else 2, False, False, x.shape, tol, **tuning)
    out = np.empty_like(x)
    _core.Chunk(chunk).decode_into(out)
    h.update(chunk + out.tobytes())

for dtype in NATIVE:
    for n in (1, 100, 5000):
        for x in torture(dtype, n).values():
            for tol in (2**-9, 1e-3):
                add(x, tol)
# every forced choice; groups of many scales, of one value, of zeros; outliers; ties; some values that are refused
rng = np.random.default_rng(0)
x = np.repeat(2.0 ** rng.integers(-12, 9, 60), 97) * rng.standard_t(3, 60 * 97)
x[700:1100] = 0
x[2000:2300] = 1
x[3000:3400] = np.arange(400) / 512
x[[500, 4000]] = np.nan, 1e30
for group, lanes, prob_bits in itertools.product((64, 128), (4, 8, 16, 32, 64), (10, 11, 12, 13)):
    for n in (lanes - 1, lanes + 1, group - 1, group, group + 1, 5 * group + lanes + 1, len(x)):
        for dtype in NATIVE:
            for tol in (2**-9, 2**-26):  # the second has more raw bits than float32 has digits
                add(x[:n].astype(dtype), tol, group=group, lanes=lanes, prob_bits=prob_bits)
# sizes that straddle vectors, groups, blocks
big = rng.normal(size=3 * 4096 + 77).astype("f4")
for n in (15, 16, 17, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, len(big)):
    for block_len in (4096, 4000, 2**18):
        add(big[:n], 1e-3, block_len=block_len)
print(h.hexdigest())
"""


def test_every_instruction_set_gives_the_same_bytes_and_floats():
    digests = {}
    for isa in ("scalar", "sse4.2", "avx2", "avx512", "neon"):
        done = subprocess.run(
            [sys.executable, "-c", ISA.format(path=sys.path)],
            capture_output=True,
            text=True,
            env={**os.environ, "ARRAYCODEC_ISA": isa},
        )
        if "names no instruction set" in done.stderr:
            continue
        assert done.returncode == 0, done.stderr
        digests[isa] = done.stdout.strip()
    assert len(digests["scalar"]) == 2 * hashlib.sha256().digest_size
    assert len(set(digests.values())) == 1
