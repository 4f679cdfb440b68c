"""Corrupt chunks: every cut, every bit, absurd sizes, structures that no encoder writes.

Damaged bytes meet a checksum first; `reseal` puts the checksums right again, so that the parsers
behind them are tested too.  Whatever happens must be a `DecodeError` or a decoded array.
"""

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import payload_nans, torture
from handmade import RAW, crc32c, crc32c_by_hand, header, reseal
from random_chunks import TYPES, predicted, random_fine, random_mask, section, set_neighbours

from arraycodec import (
    ChecksumError,
    DecodeError,
    FormatError,
    LowRankQuant,
    SizeError,
    StochasticQuant,
    TruncatedError,
    VarintQuant,
    VersionError,
    _core,
    decode,
    encode,
    inspect,
    peek,
)


def test_checksum_is_crc32c():
    """Check value of the polynomial (RFC 3720), against the first block of a chunk."""
    assert crc32c(b"123456789") == crc32c_by_hand(b"123456789") == 0xE3069283
    assert all(crc32c(bytes(range(n))) == crc32c_by_hand(bytes(range(n))) for n in range(256))
    chunk = encode(np.arange(100, dtype="f4"), 0.5)
    header = peek(chunk).header_size
    size, stored = struct.unpack_from("<II", chunk, header - 12)
    assert (size, stored) == (len(chunk) - header, crc32c(chunk[header:]))
    assert struct.unpack_from("<I", chunk, header - 4)[0] == crc32c(chunk[: header - 4])


def images(rng, x):
    """Whole numbers as integers, among the classes are images."""
    while True:
        out, *_ = section(rng, x.size, 4, x.astype(int).tolist())
        if out[1] & 15 and out[2] & 32:  # two classes or more, the first has one
            return reseal(header(x.shape, tol=None, flags=4, block_len=0), b"\2" + out)


def with_all_lists(rng):
    """A predicted block with a mask, outside, fine and refused values and corrections, as no encoder writes it."""
    shape, bits = (3, 6, 9), (rng.random(162) < 0.1).tolist()
    wanted = {f"predicted {name}" for name in ("outside", "corrections", "refused", "tokens True")}
    while True:
        array = SimpleNamespace(type=TYPES[1], delta=0.5, axes=list(shape), seen=set())
        set_neighbours(array, shape)
        mask, masked = random_mask(rng, bits, array)
        rest, values = predicted(rng, bits, array)
        masked = iter(masked)
        fine, _ = random_fine(rng, [next(masked) if b else x for b, x in zip(bits, values, strict=True)], array)
        if fine and wanted <= array.seen and "predicted levels 0" not in array.seen:
            return reseal(header(shape, 1, 4, None, 0.5, 0), bytes([6 | 8 | 32]) + mask + fine + rest)


def chunks():
    """Small chunks of every mode and section."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=300).astype("f4")
    scales = (np.repeat([0.01, 1, 100, 0, 0.01, 1], 64) * rng.normal(size=384)).astype("f4")
    special = normal.copy()
    special[::40] = np.resize(payload_nans("f4"), 8)
    special[5] = 1e30
    far = normal.copy()
    far[::60] *= 1e4
    yield "empty", encode(np.zeros((0, 3), "f4"), 0.1)
    yield "scalar", encode(np.float32(3.5), 0.1)
    yield "constant", encode(np.full(50, 2.5), 0.1)
    yield "raw", encode(rng.integers(0, 2**32, 20, "u4").view("f4"), 0)
    yield "packed", encode(rng.integers(0, 7, 90).astype("f8"), 0.5)
    yield "windows", encode(normal, 0.01)
    yield "float64", encode(normal.astype("f8").reshape(3, 100), 0.01)
    yield "big endian", encode(normal.astype(">f4")[:100], 0.01)
    yield "fortran", encode(np.asfortranarray(normal.reshape(15, 20)), 0.01)
    yield "special", encode(special, 0.01)
    yield "outside", encode(far, 0.05)
    yield "classes", _core.encode(scales.view("u1"), 1, False, False, scales.shape, 0.01, group=64, lanes=4)
    many = (np.repeat(np.tile([0.1, 50.0], 40), 64) * rng.normal(size=5120)).astype("f4")
    yield "sequence", _core.encode(many.view("u1"), 1, False, False, many.shape, 0.05, group=64)
    yield "exact", encode(normal[:100], 0)
    yield "exact, differences", encode(np.cumsum(rng.integers(0, 1000, (3, 4, 30)), axis=0), 0)
    yield "exact, low bytes", encode(np.round(normal[:150].astype("f8"), 2), 0)
    yield "float16", encode(normal.astype("f2"), 0.01)
    yield "edges", encode(rng.uniform(9e4, 1.05e5, 300).astype("f4"), 0.1)
    celsius = rng.integers(-500, 500, 300) * 0.01 + 273.15
    celsius[100:103] = np.nan
    yield "affine", encode(celsius, 1e-3)
    k = np.clip(np.rint(rng.normal(size=(2, 1200)) * 30 + 30_000), 0, 65535).astype("f4")
    k[:, :2] = 0, 65535
    x = k / np.float32(65535) * np.float32([[655], [900]]) + np.float32([[-300], [-400]])
    x = np.concatenate([x[0], normal[:72] * 100, np.resize(x[1], 1800), normal])
    yield "affine, several", _core.encode(x.view("u1"), 1, False, False, x.shape, 2.0**-9, level=9)
    yield "integers", encode(rng.integers(-1000, 1000, 200, "i2"), 7)
    yield "varints", encode(special, 0.01, coder=2)
    yield "varints, edges", encode(rng.uniform(9e4, 1.05e5, 300).astype("f4"), 0.1, coder=2)
    yield "dither", StochasticQuant(3, bucket=64, seed=1).encode(normal.reshape(3, 100))
    yield "qsgd", StochasticQuant(5, "max", None, "qsgd", seed=1).encode(normal[:100].astype(">f8"))
    yield "fixed", StochasticQuant(4, packing="fixed", seed=1).encode(normal.astype("f2"))
    product = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 15))
    yield "product", LowRankQuant(2).encode(product)
    product[3, 2:9] = np.nan
    yield "product, residual", LowRankQuant(2, tol=0.05).encode(product.reshape(3, 4, 15).astype("f4"))
    steps = np.arange(500, dtype="f4").reshape(10, 50)
    for backend in ("bz2", "lzma", "zlib", "zstd"):
        yield f"backend {backend}", VarintQuant(0.5, backend=backend).encode(steps)
    yield "varints, exact", encode(np.cumsum(rng.integers(0, 1000, (3, 4, 30)), axis=0), 0, coder=2)
    yield "relative", encode(normal, rtol=1e-2)
    yield "relative, fine", encode(normal[:100].astype("f8"), rtol=1e-6)
    yield "relative and absolute", encode(normal, 0.1, rtol=1e-2)
    masked = normal.reshape(15, 20).copy()
    holes = rng.random(masked.shape) < 0.3
    masked[holes] = np.nan
    masked[10, 3:12] = -np.inf
    yield "masked", encode(masked, 0.01)
    masked[holes] = -9999
    yield "fill value", encode(masked, 0.01, fill_value=-9999)
    scales = np.geomspace(0.1, 100, 160)
    matrix = (rng.permutation(scales)[:, None] * rng.normal(size=(160, 90))).astype("f4")
    yield "columns", encode(np.ascontiguousarray(matrix[:36].T), 2.0)
    both = np.geomspace(0.1, 100, 80)[rng.permutation(80) % 2 * 79] * rng.permutation(scales)[:, None]
    yield "sorted", encode((both * rng.normal(size=both.shape)).astype("f4"), 2.0, level=9)
    yield "complex", encode(normal.view("c8")[:60], 0.01)
    yield "dates", encode(np.arange(100).astype("M8[5m]"), 0)
    yield "bool", encode(np.tril(np.ones((20, 20), bool)), 0)
    yield "images", images(rng, np.round(normal * 1000).astype("f2"))
    yield "blocks", _core.encode(normal.view("u1"), 1, False, False, normal.shape, 0.01, block_len=100)
    waves = np.sin(np.arange(26) * 0.3)[:, None] * np.cos(np.arange(30) * 0.2) + normal[:30] * 0.01
    waves[4:9, 20:] = 0
    yield "predicted", encode(waves.astype("f4"), 0.01, predictor="auto")
    again = decode(encode(waves, 0.02, predictor="interpolation"))
    again[10:14, 3:20] = waves[10:14, 3:20] * 1.1
    again[20, 5] = 1e30
    yield "predicted again", encode(again, 0.02, predictor="interpolation")
    yield "uniform, fine values", encode(np.r_[normal[:80], again[2, :6]].astype("f4"), 0.02, predictor="auto")
    holes = np.where(rng.random(waves.shape) < 0.2, np.nan, waves + 0.3 * waves[::-1])
    yield "predicted, masked", encode(np.stack([holes, holes * 1.01, holes * 0.98]), 0.01, predictor="auto")
    yield "split", encode(waves.astype("f4"), 0, predictor="auto")
    yield "split images", encode(np.exp(20 * waves), 0, predictor="auto")
    yield "split decimals", encode(np.array([float(f"{v:.10e}") for v in np.cumsum(waves)]), 0, predictor="auto")
    packed = np.cumsum(np.rint(waves * 1000), axis=0) * 0.37
    moved = np.where(waves > 0, np.nextafter(packed, 1e9), packed)
    yield "split, adjusted", encode(moved, 0, predictor="auto")
    yield "split, masked", encode(np.stack([holes, holes * 1.01, holes * 0.98]), 0, predictor="auto")
    echoes = rng.normal(size=1200).astype("f4")
    echoes[700:760], echoes[800:1100:3], echoes[:90:2] = echoes[100:160], echoes[500:600], np.nan
    yield "copies", encode(echoes, 0, level=7)
    yield "predicted, all lists", with_all_lists(np.random.default_rng(6))
    yield "predicted by differences", encode(np.cumsum(normal.reshape(15, 20), axis=1), 0.1, predictor="lorenzo")
    yield "boxes", encode(masked.reshape(3, 100), 0.01, fill_value=-9999, box_len=120)


CHUNKS = dict(chunks())


def test_the_chunks_cover_every_path():
    found = {name: inspect(chunk) for name, chunk in CHUNKS.items()}
    modes = {"constant", "raw", "uniform", "exact", "lattice", "affine", "predicted", "split", "empty"}
    modes |= {"backend", "stochastic", "low rank"}
    assert modes == {info.mode for info in found.values()}
    assert found["exact, differences"].blocks[0].difference == 3
    assert found["exact, low bytes"].blocks[0].low_bytes > 0
    assert found["exact"].blocks[0].folded
    assert found["edges"].blocks[0].edges > 0
    assert found["copies"].blocks[0].copies > 50
    assert found["columns"].blocks[0].order == "columns"
    assert "sorted" in found["sorted"].blocks[0].order
    assert found["affine"].mode == found["affine, several"].mode == "affine"
    assert all(found[name].mode == "predicted" for name in found if name.startswith("predicted"))
    assert found["predicted again"].blocks[0].raw_exceptions > 0
    assert found["predicted, masked"].masked > 300
    with_fine = {name for name in found if found[name].blocks and CHUNKS[name][peek(CHUNKS[name]).header_size] & 32}
    assert with_fine >= {"uniform, fine values", "predicted, all lists"}
    assert found["uniform, fine values"].mode == "uniform"
    all_lists = found["predicted, all lists"]
    assert all_lists.masked and all_lists.blocks[0].window_exceptions and all_lists.blocks[0].raw_exceptions
    assert found["masked"].masked == found["fill value"].masked > 80
    assert found["packed"].blocks[0].lanes == 0
    assert found["special"].blocks[0].raw_exceptions == 9
    assert found["outside"].blocks[0].window_exceptions > 0
    assert found["classes"].blocks[0].classes > 2
    for name in ("windows", "special", "outside"):  # bytes in start states
        assert CHUNKS[name][peek(CHUNKS[name]).header_size + 1] & 64
    assert found["sequence"].blocks[0].classes == 2
    assert len(found["blocks"].blocks) == 3
    assert found["boxes"].header.box == (3, 34) and found["boxes"].masked > 80
    assert [block.count for block in found["boxes"].blocks] == [102, 102, 96]


@pytest.mark.parametrize("name", CHUNKS)
def test_every_cut_is_truncated(name):
    chunk = CHUNKS[name]
    decode(chunk)
    for n in range(len(chunk)):
        with pytest.raises(TruncatedError):
            decode(chunk[:n])
        with pytest.raises(TruncatedError):
            inspect(chunk[:n])


@pytest.mark.parametrize("name", CHUNKS)
def test_every_flipped_bit_is_noticed(name):
    chunk = CHUNKS[name]
    for at in range(len(chunk)):
        for bit in range(8):
            damaged = bytearray(chunk)
            damaged[at] ^= 1 << bit
            with pytest.raises(DecodeError):
                decode(damaged)


def test_which_error():
    chunk = bytearray(CHUNKS["windows"])
    for at, error in [
        (0, FormatError),
        (2, FormatError),
        (3, VersionError),
        (4, VersionError),
        (12, ChecksumError),
        (-1, ChecksumError),
    ]:
        damaged = bytearray(chunk)
        damaged[at] ^= 0x40
        with pytest.raises(error):
            decode(damaged)
    with pytest.raises(FormatError):
        decode(chunk + b"\0")
    with pytest.raises(FormatError):
        decode(b"not a chunk at all")
    with pytest.raises(TruncatedError):
        decode(b"")


def attempt(chunk):
    """Decode and inspect; nothing but an array or a DecodeError may come of it."""
    for read in (decode, inspect):
        try:
            read(chunk)
        except DecodeError:
            pass


@pytest.mark.parametrize("name", [n for n in CHUNKS if n not in ("empty", "blocks", "boxes")])
def test_damage_behind_valid_checksums(name):
    """Every bit flip, byte 00, byte ff and cut of a block (of places of a long one), with its checksums made right."""
    chunk = CHUNKS[name]
    at = peek(chunk).header_size
    header, block = chunk[:at], chunk[at:]
    assert reseal(header, block) == chunk
    for i in {*range(min(len(block), 60)), *range(0, len(block), max(1, len(block) // 150))}:
        for value in {block[i] ^ 1 << bit for bit in range(8)} | {0, 255}:
            attempt(reseal(header, block[:i] + bytes([value]) + block[i + 1 :]))
        attempt(reseal(header, block[:i]) if i else b"")
        attempt(reseal(header, block[: i + 1] + block[i:]))
    attempt(reseal(header, block + b"\0"))


@pytest.mark.parametrize("name", CHUNKS)
def test_damage_in_headers_behind_valid_checksums(name):
    chunk = CHUNKS[name]
    size = peek(chunk).header_size
    for i in range(size - 4):
        for value in {chunk[i] ^ 1 << bit for bit in range(8)} | {0, 127, 128, 255}:
            header = chunk[:i] + bytes([value]) + chunk[i + 1 : size - 4]
            attempt(header + struct.pack("<I", crc32c(header)) + chunk[size:])


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_behind_valid_checksums(seed):
    rng = np.random.default_rng(seed)
    for name in ("windows", "classes", "special", "outside", "sequence"):
        chunk = CHUNKS[name]
        at = peek(chunk).header_size
        for _ in range(25):
            block = bytearray(chunk[at:])
            for _ in range(rng.integers(1, 6)):
                block[rng.integers(min(len(block), 120) if rng.random() < 0.7 else len(block))] = rng.integers(256)
            attempt(reseal(chunk[:at], bytes(block)))


def test_the_handmade_chunk_is_valid():
    assert np.array_equal(decode(reseal(header(), RAW)), np.arange(8))


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": 0},
        {"dtype": 0},
        {"dtype": 7},
        {"dtype": 15},
        {"dtype": 27},
        {"dtype": 255},
        {"dtype": 16, "flags": 1},  # bytes have no order
        {"flags": 8},  # no rtol follows
        {"flags": 8, "rtol": 0.0},
        {"flags": 8, "rtol": 2.0**-25},  # too small for float32 to make use of
        {"flags": 8, "rtol": 1.0},
        {"flags": 8, "rtol": float("nan")},
        {"dtype": 18, "flags": 8, "rtol": 0.5},
        {"dtype": 18, "T": 2**32},
        {"dtype": 18, "T": 3, "tol": 3.0},  # implied
        {"dtype": 24, "flags": 4},
        {"dtype": 25, "unit": (14, 1)},
        {"dtype": 25, "unit": (7, 0)},
        {"dtype": 25, "unit": (7, 2**31)},
        {"dtype": 25, "unit": (0, 2)},
        {"flags": 16},  # one axis
        {"flags": 32},
        {"flags": 128},
        *({"flags": 16, "shape": (2, 4), "box": box} for box in [(0, 4), (2, 0), (3, 4), (2, 5), (2**64 - 1, 4)]),
        {"flags": 16, "shape": (2**10, 2**9), "box": (2**10, 2**9)},
        {"flags": 16, "shape": (2**30, 2**20), "box": (2**30, 2**20)},
        {"flags": 16, "shape": (2**20,) * 3, "box": (2**20, 2**20, 2**20)},
        {"flags": 16, "shape": (0, 8), "box": (1, 8)},
        {"flags": 16, "shape": (2, 4), "dtype": 5, "box": (2**17, 2)},
        {"flags": 16, "shape": (), "box": ()},
        {"block_len": 2**18},
        {"block_len": 2**18 + 1},
        {"tol": 0.5},
        {"tol": None, "flags": 20},
        {"tol": -1.0},
        {"tol": float("nan")},
        {"tol": float("inf")},
        {"delta": -1.0},
        {"delta": -0.0},
        {"delta": float("nan")},
        {"delta": float("inf")},
        {"delta": 1e-40},
        {"shape": (2**63, 2**63)},
        {"shape": (2**62,)},
        {"shape": (1,) * 33},
    ],
    ids=str,
)
def test_headers_no_encoder_writes(fields):
    # a field that is missing or too many moves the rest, and then a checksum may be the first thing wrong
    with pytest.raises((FormatError, TruncatedError, ChecksumError)):
        decode(reseal(header(**fields), RAW))


def test_absurd_shapes_demand_nothing():
    """A claim of petabytes in a few bytes is refused before anything is allocated."""
    for shape in [(2**40,), (2**20, 2**20), (2**60,)]:
        with pytest.raises(DecodeError):
            decode(reseal(header(shape, block_len=0), RAW))
    for shape, box in [((2**20, 2**20), (1, 2**18)), ((2**30, 2**30), (2**9, 2**9)), ((2**15,) * 4, (1, 1, 1, 1))]:
        with pytest.raises(TruncatedError):
            decode(reseal(header(shape, flags=16, box=box), RAW))


def test_the_hosts_size_must_agree():
    chunk = reseal(header(), RAW)
    with pytest.raises(SizeError):
        decode(chunk, np.empty(9, "f4"))
    with pytest.raises(SizeError):
        decode(chunk, max_output=31)


def test_varints_have_one_spelling():
    good = header()
    at = 20  # the shape's varint
    for spelling in (b"\x88\x00", b"\x88" * 10 + b"\x01", b"\xff" * 9 + b"\x02"):
        bad = good[:at] + spelling + good[at + 1 :]
        with pytest.raises(FormatError):
            decode(reseal(bad, RAW))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_torture_chunks_survive_damage(dtype):
    rng = np.random.default_rng(1)
    for x in torture(dtype, 200).values():
        chunk = encode(x, 1e-2)
        at = peek(chunk).header_size
        for _ in range(10):
            block = bytearray(chunk[at:])
            block[rng.integers(len(block))] ^= 1 << rng.integers(8)
            attempt(reseal(chunk[:at], bytes(block)))


def test_checksums_are_crc32c():
    """The examples of RFC 3720, B.4."""
    for data, expected in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E),
                           (bytes(range(31, -1, -1)), 0x113FDB5C), (b"123456789", 0xE3069283), (b"", 0)):  # fmt: skip
        assert _core.crc32c(data) == expected
        padded = np.frombuffer(b"x" + data + b"y", np.uint8)  # at any address
        assert _core.crc32c(padded[1:-1]) == expected
