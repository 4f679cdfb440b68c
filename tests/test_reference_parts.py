"""Codecs of one block in C and Python against reference.py, which is written from docs/format.md alone."""

import lzma
import struct

import numpy as np
import pytest
import reference
from handmade import header, reseal, varint
from numcodecs import zstd
from test_reference import agree, valid

from arraycodec import LowRankQuant, StochasticQuant, VarintQuant, encode, peek

try:
    import ml_dtypes
except ImportError:
    BFLOAT16 = []
else:
    BFLOAT16 = [ml_dtypes.bfloat16]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 60)).astype("f4")


def test_random_numbers_are_those_of_numpy():
    for key in ((0, 0), (7, 0xFFFFFFFF), (2**64 - 1, 12345)):
        words = np.random.Philox(key=np.array(key, "u8")).random_raw(4 * 50)
        halves = np.stack([words & 0xFFFFFFFF, words >> 32], 1).ravel().tolist()
        assert [w for i in range(50) for w in reference.philox(key, i)] == halves


# ---- what the encoder writes ----
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f2", ">f4", ">f8", *BFLOAT16], ids=str)
@pytest.mark.parametrize("method", ["dither", "qsgd"])
@pytest.mark.parametrize("packing", ["rans", "fixed"])
def test_stochastic(dtype, method, packing):
    for bits, norm, bucket in ((1, "l2", None), (3, "max", 7), (9, "l2", 512), (5, "max", 60)):
        q = StochasticQuant(bits, norm, bucket, method, packing=packing, seed=bits)
        x = X.astype(dtype)
        x[2] = 0
        for a in (x, np.asfortranarray(x), x[:1, :1], x * x.dtype.type(1e-30 if x.dtype.itemsize > 2 else 1)):
            valid(q.encode(a))


def test_stochastic_at_the_edges():
    for dtype in ("f4", "f8"):
        info = np.finfo(dtype)
        for x in ([info.max, -info.max, 1], [info.smallest_subnormal] * 9, [info.tiny, 0, -info.tiny]):
            for bits in (1, 9):
                valid(StochasticQuant(bits, "max", None, seed=1).encode(np.array(x, dtype)))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", *BFLOAT16], ids=str)
def test_low_rank(dtype):
    a = (RNG.normal(size=(12, 3)) @ RNG.normal(size=(3, 20))).astype(dtype)
    b = a.copy()
    b[2, 3:9], b[5, 1], b[11, -2:] = np.nan, np.inf, -np.inf
    codecs = set()
    for x, q in (
        (a, LowRankQuant(2)), (a, LowRankQuant(12)), (a, LowRankQuant(rel_error=0.1)), (b, LowRankQuant(3, tol=0.2)),
        (a.reshape(3, 4, 20), LowRankQuant(3, row_axes=2)), (a.reshape(3, 4, 20), LowRankQuant(2, tol=0.3)),
        (np.asfortranarray(b), LowRankQuant(3, tol=0.2)), (a.reshape(3, 4, 20).T, LowRankQuant(3, row_axes=2)),
        (a, LowRankQuant(3, method="lplr", bits=(4, 6))), (a * a.dtype.type(0), LowRankQuant(1)),
    ):  # fmt: skip
        chunk = q.encode(x)
        codecs.add(peek(chunk).codec)
        valid(chunk)
    assert "low rank" in codecs


@pytest.mark.parametrize("backend", ["bz2", "lzma", "zlib", "zstd"])
def test_backends(backend):
    for dtype in ("f4", ">f8", "i2", "c8", "M8[s]", "u1"):
        x = (1000 * np.sin(np.arange(3000).reshape(30, 100) / 500)).astype(dtype)
        for a in (x, np.asfortranarray(x)):
            chunk = VarintQuant(0.5, backend=backend).encode(a)
            assert peek(chunk).codec == "backend" or dtype == "u1"
            valid(chunk)


# ---- by hand ----
def chunk_of(codec, block, dtype=1, shape=(2, 4), flags=4, **more):
    head = header(shape, dtype, flags, None if flags & 4 else 0.25, 0.0, 0, codec=codec, **more)
    return reseal(head, block)


def as_part(chunk):
    return struct.pack("<I", len(chunk)) + chunk


def part(x):
    return as_part(encode(np.asarray(x), 0))


STEPS = {"one": 1101 * 128 + 1, "least": 27 * 128 + 1, "largest": 2124 * 128 + 128}


def stochastic(flags=0, bits=4, bucket=0, key=b"", steps=(STEPS["one"],), levels=(1, 0, -2, 3, 0, 0, 5, -7), tail=b""):
    head = bytes([flags, bits]) + varint(bucket) + key
    return head + part(np.array(steps, "i4")) + part(np.array(levels, "i2")) + tail


def fixed(words, flags=4, bits=4, bucket=0, steps=(0.5,), form="f"):
    return bytes([flags, bits]) + varint(bucket) + struct.pack(f"<{len(steps)}{form}{len(words)}Q", *steps, *words)


def packed(levels, bits=4):
    word = 0
    for q in levels:
        word = word << (2 + bits) | (0 if q < 0 else 2 if q else 1) << bits | abs(q)
    return word


KEY = struct.pack("<QQ", 1, 2)
EIGHT = (1, 0, -2, 3, 0, 0, 5, -7)
WORD = packed((*EIGHT, 0, 0))
U, V = np.array([[1, -3], [2, 5]], "i4"), np.array([[1, 2, 3, -4], [0, 1, 0, -1]], "i4")


def low_rank(
    factors=0, flags=0, axes=1, scale=0.5, weights=(1, 3), rows=U, columns=V, residual=b"", exceptions=b"", tail=b"",
    rank=None,
):  # fmt: skip
    rank = len(weights) if rank is None else rank
    head = bytes([factors, flags, axes]) + varint(rank) + struct.pack("<d", scale) + b"".join(map(varint, weights))
    return head + (part(rows) + part(columns) if rank else b"") + residual + exceptions + tail


R = struct.pack("<d", 0.25) + part(np.arange(-4, 4, dtype="i4").reshape(2, 4))


def exceptions(runs=((1, 2), (3, 1)), kept=(np.nan, -0.0, 7), n_runs=None, total=None):
    counts = varint(len(runs) if n_runs is None else n_runs) + varint(len(kept) if total is None else total)
    return counts + part(np.array(runs, "u4")) + part(np.array(kept, "f4"))


INNER = encode(np.arange(8, dtype="f4").reshape(2, 4), 0)


def backend(code=3, chunk=INNER, size=None, data=None):
    import zlib

    data = zlib.compress(chunk) if data is None else data
    return bytes([code]) + varint(len(chunk) if size is None else size) + data


GOOD = {
    "levels": chunk_of(3, stochastic(steps=[STEPS["one"]])),
    "dither": chunk_of(3, stochastic(1, key=KEY, steps=[STEPS["one"]])),
    "norm": chunk_of(3, stochastic(2, steps=[STEPS["one"]])),
    "buckets": chunk_of(3, stochastic(1, bucket=3, key=KEY, steps=[STEPS["one"], 0, STEPS["least"] + 5])),
    "steps beyond the type": chunk_of(3, stochastic(bucket=4, steps=[STEPS["least"], STEPS["largest"]])),
    "such steps in float64": chunk_of(3, stochastic(bucket=4, steps=[STEPS["least"], STEPS["largest"]]), dtype=2),
    "levels beyond the bits": chunk_of(3, stochastic(bits=1, levels=[32767, -32768, 5, 4, 3, 2, 1, 0])),
    "dither of a step of 0": chunk_of(3, stochastic(1, key=KEY, steps=[0])),
    "16 bits": chunk_of(3, stochastic(steps=[STEPS["one"]]), dtype=3),
    "bfloat16, Fortran order, big-endian": chunk_of(3, stochastic(steps=[STEPS["one"]]), dtype=4, flags=7),
    "a tolerance": chunk_of(3, stochastic(steps=[STEPS["one"]]), flags=0),
    "fixed": chunk_of(3, fixed([WORD])),
    "fixed with dither": chunk_of(3, bytes([5, 4, 0]) + KEY + struct.pack("<fQ", 0.5, WORD)),
    "fixed float64": chunk_of(3, fixed([WORD], steps=[1e300], form="d"), dtype=2),
    "fixed in two words": chunk_of(3, fixed([packed((0, 1, 2, 3, 0), 9), packed((-511, 1, 511, 0, 0), 9)], bits=9)),
    "low rank": chunk_of(4, low_rank()),
    "factors in Fortran order": chunk_of(4, low_rank(rows=np.asfortranarray(U), columns=np.asfortranarray(V))),
    "other factors": chunk_of(4, low_rank(factors=3)),
    "a residual": chunk_of(4, low_rank(flags=1, residual=R)),
    "a residual and no rank": chunk_of(4, low_rank(flags=1, weights=(), residual=R)),
    "no rank": chunk_of(4, low_rank(weights=())),
    "Fortran order": chunk_of(4, low_rank(flags=1, residual=R), shape=(4, 2), flags=6),
    "three axes in Fortran order": chunk_of(4, low_rank(axes=1), shape=(2, 2, 2), flags=6),
    "exceptions": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions())),
    "all are exceptions": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(0, 8)], range(8)))),
    "more than the type holds": chunk_of(4, low_rank(scale=1e300)),
    "sums that are infinite": chunk_of(
        4, low_rank(scale=1.7e308, flags=1, residual=struct.pack("<d", 1.7e308) + R[8:])
    ),
    "large weights": chunk_of(4, low_rank(weights=(2**31 - 1, 2**31 - 1))),
    "three axes": chunk_of(4, low_rank(axes=2, rows=U[:, [0, 1]]), shape=(1, 2, 4)),
    "more components than columns": chunk_of(
        4, low_rank(weights=(1, 2, 3), rows=np.ones((3, 8), "i4"), columns=np.ones((3, 1), "i4")), shape=(8, 1)
    ),
    "backend": chunk_of(2, backend()),
    "xz": chunk_of(2, backend(2, data=lzma.compress(INNER))),
    "zstd": chunk_of(2, backend(4, data=zstd.compress(INNER))),
}  # fmt: skip

BAD = {
    "reserved codec": chunk_of(5, stochastic()),
    "no block": reseal(header((0,), 1, 4, None, 0.0, 0, n_blocks=0, codec=3)),
    "a block length": reseal(header((8,), 1, 4, None, 0.0, 8, codec=3), stochastic()),
    "boxes": reseal(header((2, 4), 1, 20, None, 0.0, box=(2, 4), codec=3), stochastic()),
    "integers": reseal(header((8,), 18, 4, None, block_len=0, codec=3), stochastic()),
    "complex": chunk_of(3, stochastic(), dtype=5),
    "a lattice": reseal(header((8,), 1, 4, None, 1.0, 0, codec=3), stochastic()),
    "a relative tolerance": chunk_of(3, stochastic(), flags=12, rtol=0.1),
    "reserved flags": chunk_of(3, stochastic(8)), "no bits": chunk_of(3, stochastic(bits=0)),
    "ten bits": chunk_of(3, stochastic(bits=10)), "a bucket of all": chunk_of(3, stochastic(bucket=8)),
    "no key": chunk_of(3, stochastic(1)[:3]), "bytes behind levels": chunk_of(3, stochastic(tail=b"x")),
    "a negative step": chunk_of(3, stochastic(steps=[-1])),
    "a step that vanishes": chunk_of(3, stochastic(steps=[100])),
    "a step that is infinite": chunk_of(3, stochastic(steps=[2125 * 128 + 1])),
    "too many steps": chunk_of(3, stochastic(steps=[0, 0])), "too few": chunk_of(3, stochastic(bucket=3, steps=[0, 0])),
    "too many levels": chunk_of(3, stochastic(levels=range(9))), "too few levels": chunk_of(3, stochastic(levels=[1])),
    "levels of 32 bits": chunk_of(
        3, bytes([0, 4, 0]) + part(np.array([STEPS["one"]], "i4")) + part(np.arange(8, dtype="i4"))
    ),
    "levels in rows": chunk_of(
        3, bytes([0, 4, 0]) + part(np.array([STEPS["one"]], "i4")) + part(np.ones((2, 4), "i2"))
    ),
    "big-endian levels": chunk_of(3, bytes([0, 4, 0]) + part(np.array([STEPS["one"]], "i4")) + part(np.ones(8, ">i2"))),
    "levels with loss": chunk_of(
        3, bytes([0, 4, 0]) + part(np.array([STEPS["one"]], "i4")) + as_part(encode(np.ones(8, "i2"), 1))
    ),
    "a part of a part": chunk_of(
        3, bytes([0, 4, 0]) + part(np.array([STEPS["one"]], "i4")) + as_part(chunk_of(3, stochastic()))
    ),
    "a part cut short": chunk_of(3, stochastic()[:-1]), "a part that is longer": chunk_of(3, stochastic(tail=b"\0")),
    "an infinite step": chunk_of(3, fixed([WORD], steps=[np.inf])), "a NaN": chunk_of(3, fixed([WORD], steps=[np.nan])),
    "a step below zero": chunk_of(3, fixed([WORD], steps=[-1.0])),
    "a sign too many": chunk_of(3, fixed([WORD | 3 << 58])),
    "zero with a sign": chunk_of(3, fixed([packed([0] * 10) | 2 << 58])),
    "a magnitude without": chunk_of(3, fixed([packed([0] * 10) | 1])),
    "unused bits": chunk_of(3, fixed([WORD | 1 << 60])),
    "a level beyond": chunk_of(3, fixed([packed((*EIGHT, 0, 1))])), "a word too many": chunk_of(3, fixed([WORD, WORD])),
    "no word": chunk_of(3, fixed([])),
    "reserved factors": chunk_of(4, low_rank(factors=4)), "reserved bits": chunk_of(4, low_rank(flags=4)),
    "exceptions alone": chunk_of(4, low_rank(flags=2, exceptions=exceptions())),
    "no rows": chunk_of(4, low_rank(axes=0)), "no columns": chunk_of(4, low_rank(axes=2)),
    "rows of another order": chunk_of(4, low_rank(), shape=(4, 2)),
    "one axis": chunk_of(4, low_rank(), shape=(8,)),
    "no scale": chunk_of(4, low_rank(scale=0)), "a scale below": chunk_of(4, low_rank(scale=-1)),
    "no number": chunk_of(4, low_rank(scale=np.nan)), "infinite": chunk_of(4, low_rank(scale=np.inf)),
    "no weight": chunk_of(4, low_rank(weights=(1, 0))), "a weight": chunk_of(4, low_rank(weights=(1, 2**31))),
    "a rank": chunk_of(4, low_rank(weights=[1] * 5, rows=np.ones((5, 2), "i4"), columns=np.ones((5, 4), "i4"))),
    "rows for columns": chunk_of(4, low_rank(rows=V, columns=U)),
    "factors of 16 bits": chunk_of(4, low_rank(rows=U.astype("i2"))),
    "a sum of 2^53": chunk_of(4, low_rank(weights=(2**30, 1), rows=U * 2**20, columns=V)),
    "a sum beyond 2^64": chunk_of(
        4,
        low_rank(
            weights=(2**31 - 1,) * 2, rows=np.full((2, 2), -(2**31), "i4"), columns=np.full((2, 4), -(2**31), "i4")
        ),
    ),
    "no step": chunk_of(4, low_rank(flags=1, residual=struct.pack("<d", 0) + R[8:])),
    "residuals in Fortran order": chunk_of(
        4, low_rank(flags=1, residual=R[:8] + part(np.asfortranarray(np.arange(8, dtype="i4").reshape(2, 4))))
    ),
    "residuals in a row": chunk_of(4, low_rank(flags=1, residual=R[:8] + part(np.arange(8, dtype="i4")))),
    "bytes behind factors": chunk_of(4, low_rank(tail=b"\0")),
    "no runs": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions(np.empty((0, 2)), []))),
    "an empty run": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(0, 1), (0, 0)], [1, 2]))),
    "a run beyond": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(7, 2)], [1, 2]))),
    "a gap beyond": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(2**32 - 1, 1)], [1]))),
    "too few exceptions": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(0, 3)], [1, 2]))),
    "too many exceptions": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(0, 1)], [1, 2]))),
    "more than there are": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions([(0, 8)], range(9)))),
    "another number of runs": chunk_of(4, low_rank(flags=3, residual=R, exceptions=exceptions(n_runs=1))),
    "no backend": chunk_of(2, backend(0)), "a fifth": chunk_of(2, backend(5)),
    "another size": chunk_of(2, backend(size=len(INNER) + 1)), "less": chunk_of(2, backend(size=len(INNER) - 1)),
    "a size beyond": chunk_of(2, backend(size=2**63)), "bytes behind": chunk_of(2, backend() + b"\0"),
    "cut": chunk_of(2, backend()[:-3]), "another compressor's": chunk_of(2, backend(1)),
    "another shape": chunk_of(2, backend(), shape=(4, 2)), "another type": chunk_of(2, backend(), dtype=3),
    "another order": chunk_of(2, backend(), flags=6), "another byte order": chunk_of(2, backend(), flags=5),
    "another tolerance": chunk_of(2, backend(), flags=0),
    "no chunk in it": chunk_of(2, backend(chunk=b"nothing at all")),
    "a backend's in a backend's": chunk_of(2, backend(chunk=chunk_of(2, backend()))),
    "a large chunk": chunk_of(
        2, backend(chunk=encode(np.arange(8, dtype="f4").reshape(2, 4), 0) + bytes(5000))
    ),
    "zstd without a size": chunk_of(2, backend(4, data=bytes([0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58]) + b"\x09\0\0a")),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    valid(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    assert agree(BAD[name]) is None


@pytest.mark.parametrize("name", GOOD)
def test_damage_behind_checksums(name):
    """The two decoders agree about every block with some bytes changed, or cut off."""
    chunk = GOOD[name]
    start = peek(chunk).header_size
    head, block = chunk[:start], chunk[start:]
    rng = np.random.default_rng(len(block))
    for _ in range(60):
        damaged = bytearray(block)
        for at in rng.integers(0, len(block), rng.integers(1, 3)):
            damaged[at] = rng.choice([0, 1, 255, damaged[at] ^ 1 << rng.integers(8)])
        agree(reseal(head, bytes(damaged)))
    for n in rng.integers(1, len(block), 10):
        agree(reseal(head, block[:n]))
