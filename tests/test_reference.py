"""The decoder in C against one written from docs/format.md alone (reference.py).

Both must give the same bits for what the encoder writes, for the chunks of random_chunks.py, which use
the format as no encoder does, and for damage behind valid checksums: there both refuse, or both
accept and agree on every bit.
"""

import struct

import numpy as np
import pytest
import reference
from arrays import NATIVE, torture
from handmade import RAW, crc32c, header, reseal, varint, zigzag
from random_chunks import TYPES, Bits, code_decisions, golomb, put_codes, put_gap, random_chunk, rans, same, section
from test_blocks import CHOICES, force
from test_data import FOLDER, MANIFEST
from test_fields import field
from test_frame import CHUNKS

from arraycodec import DecodeError, decode, encode, inspect, peek


def agree(chunk):
    """The array, if both decoders accept the chunk, with the same bits; None if both refuse it."""
    try:
        expected = reference.decode(chunk)
    except reference.Invalid as refusal:
        with pytest.raises(DecodeError):
            decode(chunk)
            pytest.fail(f"only the reference refuses ({refusal}): {bytes(chunk).hex()}")
        return None
    try:
        decoded = decode(chunk)
    except DecodeError as refusal:
        pytest.fail(f"the reference accepts ({refusal!r}): {bytes(chunk).hex()}")
    assert same(decoded, expected), bytes(chunk).hex()
    return decoded


def valid(chunk):
    decoded = agree(chunk)
    assert decoded is not None, "both refuse a valid chunk"
    return decoded


# ---- what the encoder writes ----
@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_every_kind(name):
    valid(CHUNKS[name])


@pytest.mark.parametrize("tol", [0, 1e-4, 2**-7, 3.0, 1e30])
@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_torture(dtype, tol):
    for x in torture(dtype, 700).values():
        valid(encode(x, tol))


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(map(str, c)))
def test_every_choice(choice):
    group, lanes, prob_bits = choice
    rng = np.random.default_rng(sum(choice))
    scales = np.repeat(np.exp(rng.normal(size=20) * 3), 64)
    for dtype, n in [("f4", 1279), ("f8", 1280), ("f4", lanes + 1)]:
        x = (scales[:n] * rng.standard_t(3, n)).astype(dtype)
        valid(force(x, 2**-6, group=group, lanes=lanes, prob_bits=prob_bits))


@pytest.mark.parametrize("block_len", [1, 7, 64, 129, 1000])
@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_block_lengths(dtype, block_len):
    x = torture(dtype, 1001)["scales"]
    for n in (0, 1, 999, 1000, 1001):
        valid(force(x[:n], 1e-3, block_len=block_len))


@pytest.mark.parametrize("box_len", [1, 7, 64, 129, 400])
@pytest.mark.parametrize("dtype", ["f4", ">f8", "c8", "i2", ">i8"])
@pytest.mark.parametrize("order", "CF")
def test_boxes(dtype, order, box_len):
    rng = np.random.default_rng(box_len)
    for shape in [(20, 30), (3, 200), (2, 3, 4, 25), (1, 70, 9), (2, 3, 2, 5, 7), (5, 9, 1)]:
        x = np.cumsum(rng.normal(size=shape) * 50, axis=rng.integers(len(shape)))
        holes = rng.random(shape) < rng.choice([0, 0.3])
        x[holes[::-1]] = 7
        x[holes] = 7 if dtype in ("i2", ">i8") else np.nan
        for tol in (0, 0.4):
            decoded = valid(encode(np.array(x.astype(dtype), order=order), tol, box_len=box_len))
            assert decoded.shape == shape and decoded.dtype == dtype


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", "CF")
def test_layouts(dtype, order):
    x = torture(np.dtype(dtype).newbyteorder("="), 600)["specials"].astype(dtype)
    for shape in [(600,), (20, 30), (2, 3, 4, 25), (1, 600, 1)]:
        for tol in (0, 0.01):
            decoded = valid(encode(np.array(x.reshape(shape), order=order), tol))
            assert decoded.dtype == np.dtype(dtype)


@pytest.mark.parametrize("seed", range(40))
def test_predicted(seed):
    """Fields of any shape, and what was decoded of them with a part written anew."""
    rng = np.random.default_rng(seed)
    ndim = 1 + seed % 5
    shape = tuple(int(n) for n in rng.integers(1, [600, 30, 12, 7, 4][ndim - 1], ndim))
    x = field(shape, seed, 10 ** rng.uniform(-4, -1)).astype(rng.choice(["f4", "f8", "f2", "c8", ">f4"]))
    if seed % 3 == 0:
        x[rng.random(shape) < 0.2] = np.nan
    if seed % 4 == 0:
        x = np.asfortranarray(np.where(np.abs(x) < 0.5, 0, x).astype(x.dtype))
    tol, choice = 10 ** rng.uniform(-5, -0.5), {"level": int(rng.integers(1, 10))}
    choice["predictor"] = ("auto", "lorenzo", "interpolation", "linear")[rng.integers(4)]
    if seed % 7 < 3:  # several blocks
        choice["block_len" if ndim == 1 or seed % 7 == 0 else "box_len"] = max(1, x.size // 3)
    for _ in range(3):
        chunk = encode(x, tol, **choice)
        assert same(reference.decode(chunk), decode(chunk))
        x = decode(chunk).copy()
        x.reshape(-1)[: x.size // 7] *= x.dtype.type(1.1)


def test_corrections(monkeypatch):
    """Values of the finer lattice come back unchanged beside new ones, from which they are predicted otherwise."""
    corrections, read = [], reference.read_corrections

    def reading(*arguments):
        found = list(read(*arguments))
        corrections.extend(found)
        return found

    monkeypatch.setattr(reference, "read_corrections", reading)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = field((8, 9, 10), seed, 1e-3).astype(["f4", "f8"][seed % 2])
        tol = 10 ** rng.uniform(-2.5, -1)
        before = decode(encode(x, tol, predictor="interpolation"))
        is_old = rng.random(x.shape) < 0.2
        chunk = encode(np.where(is_old, before, x), tol, predictor="interpolation")
        after = decode(chunk)
        assert same(reference.decode(chunk), after)
        assert np.array_equal(after[is_old], before[is_old])
    assert len({value for _, value in corrections}) > 3


@pytest.mark.skipif(not MANIFEST, reason=f"no data in {FOLDER}")
def test_real_arrays():
    classes = set()
    for name, entry in MANIFEST.items():
        if entry["dtype"] in ("float32", "float64"):
            x = np.load(FOLDER / name, mmap_mode="r").ravel()
            x = np.array(x[len(x) // 3 :][:12_000])
            for tol in entry["tolerances"]:
                chunk = encode(x, tol)
                classes |= {block.classes for block in inspect(chunk).blocks}
                valid(chunk)
    assert max(classes) > 3


# ---- what no encoder writes ----
@pytest.mark.parametrize("code", TYPES)
def test_random_chunks(code):
    for seed in range(25):
        chunk, values = random_chunk([seed, code], code)
        assert same(valid(chunk), values)


# ---- corners ----
def pack(*numbers):
    """A bit string of (value, width)."""
    out = Bits()
    for value, width in numbers:
        out.put(value, width)
    return out.bytes()


def packed_table(table, order=0, kind=7):
    """A table, or the codes of one."""
    out = Bits()
    put_codes(out, table, order, kind)
    return out.bytes()


def packed_outside(outside, r=0, order=0):
    """A list of outside values: gaps and integers."""
    out = Bits()
    for gap, v in outside:
        put_gap(out, gap, r)
        golomb(out, zigzag(v), order)
    return bytes([r, order]) + out.bytes() if outside else b""


def block(layout=0x20, classes=0, heads=b"\2\0\0", tables=b"", sequence=b"", raw=b"\xe4\x85\0\0", lists=b"",
          coded=b""):
    """A windows block of eight values in its parts; if not told otherwise, the worked example of the document."""
    return b"\2" + bytes([layout, classes | (64 if lists else 0)]) + heads + tables + sequence + raw + lists + coded


def constant(lo, k=0):
    return {"heads": bytes([k, 0]) + varint(zigzag(lo)), "raw": bytes(2 * k)}


def exceptions(outside=(), refused=(), surplus=b"", size=None, listed=None):
    """Numbers and lists; `listed` are the bytes of the outside values, if not the usual ones."""
    lists = packed_outside(outside) if listed is None else listed
    lists += b"".join(varint(gap << 2) + b"some" for gap in refused) + surplus
    return varint(len(outside)) + varint(len(refused)) + varint(len(lists) if size is None else size) + lists


def runs(n, head, element, length):
    """Lists of one entry of refused values: `n` of them, its head, bits and run."""
    lists = varint(head) + element + varint(length)
    return varint(0) + varint(n) + varint(len(lists)) + lists


def tokens(K=2, table=None, k=0, layout=0, **parts):
    """A block of eight tokens 0 and 1 in turn."""
    table = table or [512, 512] + [0] * (K - 2)
    states, words, _ = rans([(i % 4, [512, 512], i % 2) for i in range(8)], 4, 10)
    return {"layout": layout, "heads": bytes([k, K - 1, 0]), "tables": packed_table(table), "raw": bytes(2 * k),
            "coded": states + words, **parts}


def sequence(coding, table, steps=((0, 0),), surplus=b"", n_words=None):
    """Two classes of constants, and a coded class sequence for the one group."""
    states, words, n = rans([(lane, table, s) for lane, s in steps], 4, 8)
    tables = pack() if coding == 0 else packed_table(table)
    n_words = n + len(surplus) // 2 if n_words is None else n_words
    return {"classes": 1 | coding << 4, "heads": b"\0\0\0\0\0\2", "raw": b"",
            "sequence": tables + states + varint(n_words) + words + surplus}


def three_classes(bits):
    return {"classes": 2, "heads": b"\0\0\0\0\0\2\0\0\4", "raw": b"", "sequence": pack(bits)}


CODED = tokens()["coded"]
STATES = CODED[:16]
IDLE = rans([(i, [512, 512], i % 2) for i in range(8)], 16, 10)  # eight of sixteen lanes
GOOD_BLOCKS = {
    "worked example": block(),
    "padding of the raw plane": block(raw=b"\xe4\x85\xff\xff"),
    "least integer": block(**constant(-(2**31))),
    "largest integer": block(**constant(2**31 - 1)),
    "25 raw bits": block(**constant(-64, k=25)),
    "64 tokens": block(**tokens(64)),
    "64 lanes for nothing": block(layout=0x3C),
    "classes": block(**three_classes((2, 2))),
    "class sequence": block(**sequence(1, [128, 128])),
    "one position twice": block(lists=exceptions([(0, 5), (0, 6)], [1, 5])),
    "largest outside": block(lists=exceptions([(0, 2**30), (6, -(2**30))])),
    "all outside and refused": block(lists=exceptions([(0, 1)] * 8, [0] * 8)),
    "a run of all": block(lists=runs(8, 2, b"some", 6)),
    "same as nothing": block(lists=runs(2, 3, b"", 0)),
    "tokens": block(**tokens()),
    "idle lanes": block(**tokens(layout=2, coded=IDLE[0] + IDLE[1])),
}
BAD_BLOCKS = {
    "empty": b"", "mode 3": b"\3" + block()[1:], "raw, too short": RAW[:-1], "raw, too long": RAW + b"\0",
    "constant, too short": b"\1\0\0\0", "constant, too long": b"\1\0\0\0\0\0",
    "windows, too long": block() + b"\0",
    "128 lanes": block(layout=5), "layout, bit 6": block(layout=0x40), "layout, bit 7": block(layout=0x80),
    "exceptions without lists": block(classes=0x40), "classes, bit 7": block(classes=0x80),
    "lists without their bit": block(raw=b"\xe4\x85\0\0" + exceptions([(0, 1)])),
    "no exceptions": block(lists=b"\0\0\0"), "no exceptions in two bytes": block(lists=b"\0\0"),
    "sequence of one class": block(classes=0x10),
    "26 raw bits": block(**constant(0, k=26)), "65 tokens": block(**tokens(65)),
    "256 raw bits": block(**constant(0, k=255)),
    "window too low": block(**constant(-(2**31) - 1)), "window too high": block(**constant(2**31)),
    "window far too high": block(**constant(2**63 - 1)), "window overflows": block(**constant(2**40, k=25)),
    "lo of 65 bits": block(heads=b"\2\0" + b"\x80" * 9 + b"\2"), "lo of two spellings": block(heads=b"\2\0\x80\0"),
    "class 3 of 3": block(**three_classes((3, 2))), "padding of classes": block(**three_classes((4, 3))),
    "sequence coding 3": block(**sequence(3, [128, 128])),
    "sequence, f of 2^8": block(**sequence(1, [256, 0])),
    "sequence, sum": block(**sequence(1, [128, 129])),
    "sequence, one table for two": block(**sequence(2, [128, 128])),
    "sequence, word left": block(**sequence(1, [128, 128], surplus=b"ab")),
    "sequence, word missing": block(**sequence(1, [128, 128], n_words=1)),
    "sequence, 2^63 words": block(**sequence(1, [128, 128], n_words=2**63)),
    "sequence, final state": block(**sequence(1, [128, 128], steps=((0, 0), (1, 1)))),
    "outside above 2^30": block(lists=exceptions([(0, 2**30 + 1)])),
    "outside below -2^30": block(lists=exceptions([(0, -(2**30) - 1)])),
    "outside, behind the block": block(lists=exceptions([(8, 1)])),
    "refused, behind the block": block(lists=exceptions([], [7, 0])),
    "outside, gap too large": block(lists=exceptions([(1, 1), (6, 1)])),
    "refused, gap wraps": block(lists=exceptions([], [1, 2**62 - 1])),
    "run behind the block": block(lists=runs(8, 1 << 2 | 2, b"some", 6)),
    "run beyond the number": block(lists=runs(7, 2, b"some", 6)),
    "run of 2^64": block(lists=runs(8, 2, b"some", 2**64 - 2)),
    "run of 2^64 + 1": block(lists=runs(8, 2, b"some", 2**64 - 1)),
    "run without its length": block(lists=b"\0\2\5\2some"),
    "lists, too long": block(lists=exceptions([(0, 1)], surplus=b"\0")),
    "lists, too short": block(lists=exceptions([(0, 1), (0, 1)], size=2)),
    "lists, no end": block(lists=exceptions([(0, 1)], size=2**64 - 1)),
    "9 outside": block(lists=exceptions([(0, 1)] * 9)), "9 refused": block(lists=exceptions([], [0] * 9)),
    "2^63 outside and refused": block(lists=varint(2**63) * 2 + b"\0"),
    "2^64 outside": block(lists=b"\x80" * 9 + b"\2\0"),
    "size of no lists": block(lists=b"\0\0\1\0"),
    "table, sum too small": block(**tokens(table=[512, 511])),
    "table, sum too large": block(**tokens(table=[512, 513])),
    "table, one token": block(**tokens(table=[1024, 0])),
    "table, negative": block(**tokens(K=3, table=[600, -100, 524])),
    "table, padding": block(**tokens(tables=packed_table([512, 512])[:-1] + b"\x81")),
    "table, 16 zero bits": block(**tokens(tables=pack((0, 3), (1 << 16, 17), (1, 16), (1, 1)))),
    "table, zero bits to the end": block(**tokens(tables=b"", coded=b"", lists=b"", raw=b"\0" * 9)),
    "no states": block(**tokens(coded=b"")), "states cut": block(**tokens(coded=STATES[:-1])),
    # states that the first word lifts to 2^16, where they should end
    "states too small": block(**tokens(layout=1, coded=b"\1\0\0\0" * 8 + b"\0\0" * 8)),
    "words missing": block(**tokens(layout=1, coded=b"\0\0\1\0" * 8)),
    "final state": block(**tokens(coded=b"\1" + CODED[1:])),
    "a word left": block(**tokens(coded=CODED + b"\0\0")), "half a word": block(**tokens(coded=CODED + b"\0")),
    "states for nothing": block(coded=STATES),
    "final state of an idle lane": block(**tokens(layout=2, coded=IDLE[0][:-4] + b"\0\0\2\0" + IDLE[1])),
}


# ---- corners of masks, wide integers and edges ----
def masked(M=4, patterns=(b"some",), runs=b"", bitmap=None, rest=b"\1ones"):
    """A block of eight values under a mask, every other one if not told otherwise; `rest` from the mode on."""
    bitmap = bitmap_of((1, 0) * 4) if bitmap is None else bitmap
    return bytes([rest[0] | 8]) + varint(M) + bytes([len(patterns)]) + b"".join(patterns) + runs + bitmap + rest[1:]


def bitmap_of(word, states=None, more=b"", n_words=None):
    """A bitmap of eight bits, coded as mixed unless they are all alike; with another state, or words too many."""
    alike = len(set(word)) == 1
    if alike:
        decisions = [(("word", "mixed", 0), 0), (("word", "ones", 0), word[0])]
    else:
        decisions = [(("word", "mixed", 0), 1), (("byte", "mixed", 0), 1)]
        decisions += [(("bit", before), bit) for before, bit in zip((0, *word[:-1]), word, strict=True)]
    coded, words, n = code_decisions(decisions)
    return (states or coded) + varint((n if n_words is None else n_words) + len(more) // 2) + words + more


def integers(head=0, fields=b"", last=None):
    """A block of mode exact: eight integers, those of the worked example in the last section if not told otherwise."""
    return b"\3" + bytes([head]) + fields + (block()[1:] if last is None else last)


def low(section):
    return varint(len(section)) + section


def edges(positions=b"\0\xff", number=8, others=b"\0\0", surplus=b""):
    """A block of eight integers 2^24 + 1 and edges; as lists, r = 0 and no gaps if not told otherwise."""
    lists = positions + surplus
    lists = others + varint(number) + varint(len(lists)) + lists
    out = block(**constant(2**24 + 1), lists=lists)
    return out[:2] + bytes([out[2] | 128]) + out[3:]


# ---- corners of bytes in start states ----
def in_states(payload, lists=b"", rest=b"", k=2, lanes=0, states=None):
    """A block of eight tokens with bytes in its states, of 4 << lanes lanes; `rest` of the raw plane."""
    found, words, _ = rans([(i, [512, 512], i % 2) for i in range(8)], 4 << lanes, 10, payload)
    return block(**tokens(layout=0x40 | lanes, k=k, raw=b"", lists=lists, coded=rest + (states or found) + words))


THREE = b"\1\0\3"  # numbers: one outside value, lists of three bytes
LIST, LATER = packed_outside([(0, -5)], order=5), packed_outside([(1, -5)], order=5)
IDLE_LANES = rans([(i, [512, 512], i % 2) for i in range(8)], 16, 10, b"\xe4\x85\0\0")[0]
GOOD_BLOCKS |= {
    "raw plane in states": in_states(b"\xe4\x85\0\0", lanes=1), "idle lanes in states": in_states(b"\1\2\3\4", lanes=4),
    "lists in states": in_states(LIST, THREE, k=0, lanes=1),
    "lists and raw plane in states": in_states(LATER + b"\xe4\x85\xff\xff", THREE, lanes=1),
    "some of the raw plane in states": in_states(bytes(range(16)), rest=bytes(range(34)), k=25, lanes=1),
    "some of both in states": in_states(LIST + bytes(range(13)), THREE, bytes(37), k=25, lanes=1),
    "some of the lists in states": in_states(
        packed_outside([(0, -1)] * 4, order=10) + b"\0some\0so", b"\4\4\x1c" + b"me\0some\0some", bytes(4), lanes=1
    ),
    "nothing in states": in_states(b"", k=0, lanes=1),
}
BAD_BLOCKS |= {
    "states of no tokens": block(layout=0x60), "bit 7 with bytes in states": block(**tokens(layout=0xC0)),
    "states, a byte too many": in_states(b"\xe4\x85\0\0\1", lanes=1),
    "states, half of one too many": in_states(LIST + b"\1", THREE, k=0, lanes=1),
    "states, raw plane twice": in_states(b"\xe4\x85\0\0", rest=bytes(4), lanes=1),
    "states, lists twice": in_states(LIST, THREE + LIST, k=0, lanes=1),
    "states, a list that is wrong": in_states(b"\0\x20\1", THREE, k=0, lanes=1),
    "states, lists too long": in_states(LIST, b"\1\0" + varint(2**16 + 1) + bytes(2**16 + 1 - 16), lanes=1),
    "states, lists of 2^64": in_states(LIST, b"\1\0" + varint(2**64 - 1), lanes=1),
    "idle state of 2^17": in_states(b"", lanes=2, states=IDLE_LANES[:-4] + b"\0\0\2\0"),
    "idle state of 2^16 + 1": in_states(b"", lanes=2, states=IDLE_LANES[:-4] + b"\1\0\1\0"),
    "idle state below 2^16": in_states(b"", lanes=2, states=IDLE_LANES[:-4] + b"\xff\xff\0\0"),
}


# ---- corners of tables and of outside values ----
def curve(shape=0, scale=60, centre=4, K=2, picks=None):
    """A block of eight tokens of a curve."""
    table = reference.curve(shape, scale, centre, K, 10)
    coded = b"".join(rans([(i % 4, table, i % K) for i in range(8)], 4, 10)[:2])
    tables = pack((shape, 2), (scale, 7), (picks or centre, 8))
    return block(layout=0, heads=bytes([0, K - 1 | 64, 0]), tables=tables, raw=b"", coded=coded)


def short(codes, frequencies, kind):
    """A block of eight tokens of a table with fewer bits."""
    K = len(codes)
    states, words, _ = rans([(i % 4, frequencies, i % K) for i in range(8)], 4, 10)
    tables = packed_table(codes, kind=kind)
    return block(layout=0, heads=bytes([0, K - 1, 0]), tables=tables, raw=b"", coded=states + words)


def of_varints(codes, lists=b"", byte=None, layout=128):
    """A block of a section without windows; codes are numbers, or bytes."""
    codes = codes if isinstance(codes, bytes) else b"".join(map(varint, codes))
    return bytes([2, layout, (64 if lists else 0) if byte is None else byte]) + lists + codes


GOOD_BLOCKS |= {
    "varints": of_varints(range(8)),
    "varints of any length": of_varints([0, 127, 128, 2**14, 2**21, 2**28, 2**32 - 1, 5]),
    "varints, refused": of_varints(range(8), b"\x01\x05\x08some"),
}  # fmt: skip
BAD_BLOCKS |= {
    "varints, one missing": of_varints(range(7)), "varints, one too many": of_varints(range(9)),
    "varints, no end": of_varints(bytes(7) + b"\x80"), "varints, a needless byte": of_varints(bytes(7) + b"\x80\0"),
    "varints, a needless byte in front": of_varints(b"\x80\0" + bytes(7)),
    "varints, needless bytes": of_varints(b"\xff\xff\xff\xff\0" + bytes(7)),
    "varint of 2^32": of_varints([2**32, *range(7)]), "varint of 2^32 at the end": of_varints([*range(7), 2**32]),
    "varint of six bytes": of_varints([2**35, *range(7)]), "varint of 2^63": of_varints([*range(7), 2**63]),
    "varints, nothing": b"\2\x80", "varints, no codes": of_varints(b""),
    **{f"varints, layout {n}": of_varints(range(8), layout=128 + n) for n in (1, 2, 4, 8, 16, 32, 64)},
    **{f"varints, bit {n}": of_varints(range(8), byte=1 << n) for n in range(8)},
    "varints, no exceptions": of_varints(range(8), b"\0\0"), "varints, nine refused": of_varints(range(8), b"\x09\0"),
    "varints, list too long": of_varints(range(8), b"\x01\x06\x08some\0"),
    "varints, list too short": of_varints(range(8), b"\x01\x04\x08som"),
    "varints, list beyond the end": of_varints(range(8), b"\x01\xff\x7f\x08some"),
    "varints, edges that are none": of_varints(range(8), b"\x01\0\x05\x08some", byte=192),
}  # fmt: skip

GOOD_BLOCKS |= {
    **{f"curve {shape}, {scale}, {centre}": curve(shape, scale, centre, 3)
       for shape in range(4) for scale in (0, 60, 127) for centre in (0, 5, 11)},
    "curve, 64 tokens": curve(3, 80, 128, 64), "curve, far away": curve(0, 0, 255, 64),
    "table of powers": short([10, 9, 1], [767, 256, 1], 0), "table of three bits": short([9, 61, 1], [9, 1014, 1], 3),
    "table of like codes": short([9, 9], [768, 256], 0),
    "outside, longest codes": block(lists=exceptions([(0, 2**30)], listed=packed_outside([(0, 2**30)], 17, 0))),
    "outside, shortest codes": block(lists=exceptions([(0, 2**30)], listed=packed_outside([(0, 2**30)], 0, 31))),
}  # fmt: skip
BAD_BLOCKS |= {
    "curve of one token": block(heads=b"\2\x40\0", tables=pack((0, 2), (60, 7), (2, 8))),
    "curve, centre": curve(K=2, picks=8), "curve, bit 7": block(**tokens(heads=b"\0\x81\0")),
    "curve, padding": block(**tokens(heads=b"\0\x41\0", tables=pack((0, 2), (60, 7), (4, 8), (1, 2)))),
    "table of powers, nothing left": short([10, 10, 10, 1], [512, 510, 1, 1], 0),
    "table of 2^10": short([11, 1], [1023, 1], 0),
    "table of far too large codes": short([1023, 1], [1023, 1], 6), "table, all of it": short([9, 0], [1023, 1], 0),
    "table, code of 2^32": block(**tokens(tables=pack((0, 3), (7, 3), (0, 32), (1, 1), (0, 32), (1, 1)))),
    "outside, rice 18": block(lists=exceptions([(0, 1)], listed=b"\x12\0" + bytes(3) + b"\1")),
    "outside, order 32": block(lists=exceptions([(0, 1)], listed=b"\0\x20" + pack((3, 2), (0, 32)))),
    "outside, zero bits": block(lists=exceptions([(0, 1)], listed=b"\0\0" + pack((1, 1), (0, 33), (1, 1), (0, 33)))),
    "outside, 2^32": block(lists=exceptions([(0, 1)], listed=b"\0\0" + pack((1, 1), (0, 32), (1, 1), (2**32 - 1, 32)))),
    "outside, gap of zeros": block(lists=exceptions([(0, 1)], listed=bytes(20))),
    "outside, padding": block(lists=exceptions([(0, 1)], listed=b"\0\0" + pack((1, 1), (2, 2), (1, 1), (1, 4)))),
    "outside, no codes": block(lists=exceptions([(0, 1)], listed=b"\0")),
}


# ---- corners of images ----
def image(m, lo, k=0, lists=b""):
    """A block of eight u = lo * 2^k with an image of m significand bits."""
    return block(heads=bytes([k | 32, 0]) + varint(zigzag(lo)) + bytes([m]), raw=bytes(2 * (k % 32)), lists=lists)


GOOD_BLOCKS |= {
    **{f"image, {m} bits": image(m, 2**m + 1) for m in (1, 7, 23, 24)},
    **{f"image, {m} bits, least": image(m, -(32 - m << m)) for m in (1, 7, 23, 24)},
    **{f"image, {m} bits, largest": image(m, (32 - m << m) - 1) for m in (1, 7, 23, 24)},
    "image, raw bits": image(10, -7, 10),
    "outside of an image": image(7, 300, lists=exceptions([(0, 2**30), (0, 2**30 - 1)])),
}
BAD_BLOCKS |= {
    **{f"image, {m} bits, too low": image(m, -(32 - m << m) - 1) for m in (1, 7, 23, 24)},
    **{f"image, {m} bits, too high": image(m, 32 - m << m) for m in (1, 7, 23, 24)},
    **{f"image of {u}": image(1, u) for u in (100, 2**31 - 1, -(2**31), 2**20)},
    "image, 0 bits": image(0, 1), "image, 25 bits": image(25, 1), "image, 255 bits": image(255, 1),
    "image, no bits": image(7, 1)[:-1], "image, end of the window": image(10, 1, 14), "k, bit 6": image(7, 1, 64),
    "k, bit 7": image(7, 1, 128),
}

def ordered(fields, rest=None):
    """A block in an order, of which the fields are given; `rest` from the mode on."""
    rest = rest or block()
    return bytes([rest[0] | 16]) + fields + rest[1:]


def affine(head=0x41, lattices=b"\0\0", sequence=b"", rest=None):
    """A block of mode affine: eight integers, those of the worked example if not told otherwise, on k alone."""
    return b"\5" + bytes([head]) + lattices + sequence + (block()[1:] if rest is None else rest)


def f32(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def f64(*numbers):
    return struct.pack(f"<{len(numbers)}d", *numbers)


INFINITY, NAN = float("inf"), float("nan")
LATTICE = b"\x1e" + f64(3, 0.1, 5e-324, -2.0**-1074 * 7) + varint(zigzag(-9))
EIGHT = block(**constant(255))[1:]
GOOD_BLOCKS |= {
    "order": ordered(b"\2\0\1"), "order, a phase": ordered(b"\4\3\1"), "order, one row": ordered(b"\4\1\1"),
    "order, sorted": ordered(b"\4\0\6" + pack((0b0110, 4))), "order, both": ordered(b"\2\0\7" + pack((0b0110, 4))),
    "order, 16 classes": ordered(b"\2\1\x3e" + pack((15, 4), (3, 4))),
    "order, coded classes": ordered(b"\4\0\x46" + sequence(1, [128, 128], [(i, i % 2) for i in range(4)])["sequence"]),
    "order, exact": ordered(b"\4\1\1", integers(8)),
    "order, outside": ordered(b"\2\0\1", block(lists=exceptions([(0, 5), (0, 6)], [1, 5]))),
    "affine": affine(), "affine, all of it": affine(lattices=LATTICE),
    "affine, single": affine(lattices=b"\x1f" + f32(65535, 0.1, -7.5, 1e-45) + varint(zigzag(3))),
    "affine, infinite": affine(lattices=b"\x0d" + f32(3e38, -3e38) + varint(zigzag(2**31 - 1))),
    "affine, least base": affine(lattices=b"\0" + varint(zigzag(-(2**31)))),
    "affine, with the uniform": affine(1, sequence=pack((1, 1))), "affine, uniform": affine(1, sequence=pack((0, 1))),
    "affine, 15": affine(15, LATTICE * 15, pack((15, 4))),
    "affine, 15 alone": affine(0x4F, LATTICE * 15, pack((14, 4))),
    "affine, order 0": affine(0x11, sequence=sequence(1, [128, 128])["sequence"]),
    "affine, refused": affine(rest=block(lists=exceptions([(0, 5)], [1, 5]))[1:]),
    "affine, masked": masked(rest=affine()),
    "mask": masked(), "mask, raw": masked(rest=b"\0" + b"ones" * 4), "mask, exact": masked(rest=integers(8)),
    "all masked": masked(8, bitmap=b"", rest=b"\0"), "16 patterns": masked(4, [b"some"] * 16, b"\x0f\x2e"),
    "a run of patterns": masked(4, [b"some", b"more"], b"\x31"),
    "bitmap of other bits": masked(bitmap=bitmap_of((0, 0, 0, 1, 1, 1, 0, 1))),
    "shift of 31": integers(128, b"\x1f"), "base": integers(64, b"\1"), "difference": integers(8),
    "seven low bytes": integers(7, b"\0eightlow" * 7), "low section": integers(1, low(EIGHT)),
    "all bits": integers(0xE9, b"\1\1\0eightlow"),
    "edges": edges(), "edges, r of 17": edges(b"\x11" + (1).to_bytes(3, "little"), 1),
}
BAD_BLOCKS |= {
    "order and mask": bytes([masked()[0] | 16]) + masked()[1:],
    "order of raw": ordered(b"\2\0\1", RAW), "order of a constant": ordered(b"\2\0\1", b"\1ones"),
    "order, rows of 1": ordered(b"\1\0\1"), "order, rows of 5": ordered(b"\5\0\1"),
    "order, rows of 0": ordered(b"\0\0\1"),
    "order, rows of 2^63": ordered(varint(2**63) + b"\0\1"),
    "order, rows of 2^32 + 2": ordered(varint(2**32 + 2) + b"\0\1"),
    "order, phase": ordered(b"\2\2\1"), "order, phase of 2^32": ordered(b"\2" + varint(2**32) + b"\1"),
    "order of memory": ordered(b"\2\0\0"), "order, classes without": ordered(b"\2\0\5"),
    "order, coding without": ordered(b"\2\0\x41"), "order, one class": ordered(b"\4\0\2"),
    "order, coding 3": ordered(b"\4\0\xc6" + sequence(1, [128, 128], [(i, i % 2) for i in range(4)])["sequence"]),
    "order, class 2 of 2": ordered(b"\4\0\x0a" + pack((3, 2), (0, 6))), "order, padding": ordered(b"\4\0\6" + b"\x10"),
    "order, cut": ordered(b"\2\0\1")[:3], "order, difference to a row": ordered(b"\2\0\1", integers(16)),
        "mode 6": b"\6" + block()[1:], "mode 7": b"\7" + block()[1:],
    "affine of nothing": affine(0x40, b""), "affine, bit 7": affine(0xC1), "affine, coding of one": affine(0x51),
    "affine, coding 3": affine(0x31, sequence=sequence(3, [128, 128])["sequence"]),
    "affine, lattice 15 of 15": affine(0x4F, LATTICE * 15, pack((15, 4))),
    "affine, padding of the sequence": affine(1, sequence=b"\2"), "affine, without sequence": affine(1),
    "affine, a sequence of one": affine(sequence=b"\0"),
    **{f"affine, formula {1 << i}": affine(lattices=bytes([1 << i, 0])) for i in (5, 6, 7)},
    **{
        f"affine, {x} in {i}": affine(lattices=bytes([2 << i | single]) + pack_one(x) + b"\0")
        for x in (0.0, -0.0, INFINITY, -INFINITY, NAN) for i in range(4) for single, pack_one in ((0, f64), (1, f32))
    },
    "affine, base of 2^31": affine(lattices=b"\0" + varint(zigzag(2**31))),
    "affine, base below -2^31": affine(lattices=b"\0" + varint(zigzag(-(2**31) - 1))),
    "affine, base of 2^63": affine(lattices=b"\0" + varint(2**64 - 1)),
    "affine, base of two spellings": affine(lattices=b"\0\x80\0"),
    "affine, edges": b"\5" + b"\x41\0\0" + edges()[1:], "affine, too long": affine() + b"\0",
    "affine, lattices cut": affine(0x4F, LATTICE * 2)[:60],
    "affine of nothing masked": masked(8, bitmap=b"", rest=affine()),
    "bit 6 of a block": b"\x42" + block()[1:], "bit 7 of a block": b"\x82" + block()[1:],
    "lattice without": b"\4" + integers()[1:],
    "mask of nothing": masked(0), "mask of 9": masked(9), "mask, no patterns": masked(4, []),
    "17 patterns": masked(4, [b"some"] * 17, b"\x30"), "pattern 2 of 2": masked(4, [b"some", b"more"], b"\x32"),
    "runs of 5": masked(4, [b"some", b"more"], b"\x41"),
    "runs of 2^60": masked(4, [b"some", b"more"], b"\xf1" + b"\xff" * 8 + b"\1"),
    "a mode of nothing": masked(8, bitmap=b"", rest=b"\1ones"),
    "constant of nothing": masked(8, bitmap=b"", rest=b"\1"),
    "bitmap of 8": masked(4, bitmap=bitmap_of((1,) * 8)), "bitmap of none": masked(4, bitmap=bitmap_of((0,) * 8)),
    "bitmap of 5": masked(4, bitmap=bitmap_of((1, 1, 1, 1, 1, 0, 0, 0))),
    "bitmap for all": masked(8, bitmap=bitmap_of((1,) * 8), rest=b"\0"),
    "bitmap, state": masked(bitmap=bitmap_of((1, 0) * 4, states=b"\xff\xff\0\0")),
    "bitmap, another state": masked(bitmap=bitmap_of((1, 0) * 4, states=b"\x34\x12\1\0")),
    "bitmap, word left": masked(bitmap=bitmap_of((1, 0) * 4, more=b"ab")),
    "bitmap, 2^63 words": masked(bitmap=bitmap_of((1, 0) * 4, n_words=2**63)),
    "shift of 0": integers(128, b"\0"), "shift of 32": integers(128, b"\x20"), "base of 0": integers(64, b"\0"),
    "difference to no row": integers(16), "difference to no plane": integers(24),
    "low byte of 256": integers(1, low(block(**constant(256))[1:])),
    "low byte of -1": integers(1, low(block(**constant(-1))[1:])),
    "low section, too long": integers(1, low(EIGHT + b"\0")),
    "low bytes cut": integers(7, b"\0eightlow" * 6 + b"\0eight")[:40],
    "refused low bytes": integers(1, low(block(**constant(255), lists=exceptions([], [1]))[1:])),
    "no edges: on the lattice": edges(), "edges of exact": b"\3\0" + edges()[1:], "no edges": edges(b"\0", 0),
    "9 edges": edges(b"\0\xff\1", 9),
    "edges, r of 18": edges(b"\x12" + (1).to_bytes(3, "little"), 1), "edge behind the block": edges(b"\0\0\1", 1),
    "edges, padding": edges(b"\0\x03", 1), "edges, no end": edges(b"\0\0\0\0", 1),
    "edges, surplus": edges(surplus=b"\0"),
    "edge of a NaN": edges(b"\0\xff\xff\xff\x7f\0\1", 1, b"\0\1"),
}



# ---- corners of fine values and of predicted ones ----
def fine(*entries, n=None, r=0, size=0, rest=None, surplus=b""):
    """A block with a list of fine values: gap, lattice, b; `rest` from the mode on, `size` what its length is off."""
    rest, out = rest or block(), Bits()
    for gap, fold, b in entries or [(0, 1, 6)]:
        put_gap(out, gap, r)
        out.put(fold | b << 2, (4, 6, 7, 7)[fold])
    lists = bytes([r]) + out.bytes() + surplus
    head = varint(max(1, len(entries)) if n is None else n) + varint(len(lists) + size)
    return bytes([rest[0] | 32]) + head + lists + rest[1:]


def predictions(fold=0, reference=0, unit=b"", levels=0, rules=b"", numbers=b"", context=b"\0\0\3", first=0):
    """A block whose residuals are all 3, predicted along one axis."""
    head = bytes([6, first | 1 << 2 | fold << 4 | reference << 6, levels]) + unit + rules
    return head + bytes([0xA0 if numbers else 0x20, 0]) + context + numbers + b"\0"


def linear(taps, order=1, shift=1, width=2, fold=0, reference=1, levels=0):
    return predictions(fold, reference, bytes([order - 1, shift, width]), levels, taps)


def stencil(weights, levels=0x20, fold=0):
    return predictions(fold, 2, b"", levels, struct.pack(f"<{len(weights)}h", *weights))


ONE_CORRECTION = b"\0\1\0\2\0\x0f"
INFINITE = [f32(x) for x in (INFINITY, -INFINITY, NAN)]
GOOD_BLOCKS |= {
    "fine value": fine(), "fine values": fine((0, 0, 0), (3, 1, 0), (0, 1, 7), (0, 2, 31)),
    "fine, all": fine(*[(0, 0, 2)] * 2, *[(2, 2, 0), (0, 2, 16)], (0, 1, 4)),
    "fine, r of 17": fine((4, 2, 16), r=17), "fine, masked": masked(rest=fine((1, 2, 5))),
    "fine instead of a masked one": masked(patterns=(b"\0\0\0\0",), rest=fine((2, 2, 31), (1, 0, 3))),
    "fine, of an order": ordered(b"\2\0\1", fine((1, 1, 7))),
    "fine and outside": fine((1, 1, 7), rest=block(lists=exceptions([(1, 0)]))),
    "predicted": predictions(), "predicted, sevenths": predictions(1), "predicted, seventeenths": predictions(2),
    "predicted, fine": fine(rest=predictions(context=b"\0\0\0")),
    "predicted, fine in sevenths": fine((7, 2, 31), rest=predictions(1, context=b"\0\0\0")),
    "predicted, corrected": predictions(1, numbers=ONE_CORRECTION),
    "predicted, masked": masked(rest=predictions(1)),
    **{f"predicted, reference {i}": predictions(0, i, b"", 1, b"\0") for i in (1, 2, 3)},
    **{f"predicted, first of 7: {i}": predictions(1, 3, bytes([i]), 1, b"\0") for i in (1, 3, 5, 7)},
    **{f"predicted, first of 17: {i}": predictions(2, 1, bytes([i]), 1, b"\0") for i in range(1, 18, 2)},
    "predicted, a tap": linear(pack((1, 2)), 1, 1, 2), "predicted, a wide tap": linear(pack((1 << 26, 27)), 1, 24, 27),
    "predicted, 32 taps": linear(b"\x55" * 8, 32, 24, 2), "predicted, linear, sevenths": linear(b"\3", fold=1),
    "predicted, linear, seventeenths": linear(b"\2", fold=2),
    "predicted, stencil": stencil([0] * 5), "predicted, stencil, outer": stencil([2**15 - 1, -(2**15)] * 7 + [1], 0xA0),
    "predicted, stencil, planes": stencil([1] * 15, 0x70), "predicted, stencil, all": stencil(range(25), 0xF0, fold=2),
    **{f"predicted, trust {i}": predictions(2, 2, b"\3", 1, pack((0, 1), (i, 3))) for i in range(8)},
}
BAD_BLOCKS |= {
    "fine of raw": fine(rest=RAW), "fine of a constant": fine(rest=b"\1ones"), "fine of exact": fine(rest=integers()),
    "fine of affine": fine(rest=affine()),
    "fine, none": fine(n=0), "fine, 9": fine(*[(0, 0, 2)] * 8, n=9), "fine, 2^32 + 1": fine(n=2**32 + 1),
    "fine, 1 of 2": fine((0, 0, 2), (0, 1, 1), n=1), "fine, 3 of 2": fine((0, 0, 2), (0, 0, 2), n=3),
    "fine, lattice 3": fine((0, 3, 0)), "fine, lattice 3 later": fine((0, 2, 16), (0, 3, 0)),
    "fine, a byte too many": fine(surplus=b"\0"), "fine, size too small": fine((0, 2, 9), (0, 2, 9), size=-1),
    "fine, size too large": fine(size=1), "fine, size of nothing": fine(size=-2), "fine, cut": fine()[:4],
    "fine, size of 2^63": fine(size=2**63), "fine, padding": fine(surplus=b"\1"),
    "fine, bits behind": fine((0, 1, 6 | 16)), "fine, r of 18": fine(r=18), "fine, behind the block": fine((8, 1, 1)),
    "fine, second behind the block": fine((7, 1, 1), (0, 1, 1)), "fine, no end": fine((200, 1, 1)),
    "fine of a refused one": fine((1, 2, 16), rest=block(lists=exceptions([], [1]))),
    **{f"fine of {x.hex()}": masked(patterns=(x,), rest=fine((0, fold, 1))) for x in INFINITE for fold in range(3)},
    "predicted, fine of a lattice 3": fine((0, 3, 0), rest=predictions()),
    "predicted, bit 6": b"\x46" + predictions()[1:], "predicted, order": ordered(b"\2\0\1", predictions()),
    "predicted, lattice 3": predictions(3), "predicted, lattice 3, first": predictions(3, 1, b"\1"),
    **{f"predicted, first of 7: {i}": predictions(1, 3, bytes([i]), 1, b"\0") for i in (0, 2, 4, 6, 8, 9, 17, 255)},
    **{f"predicted, first of 17: {i}": predictions(2, 1, bytes([i]), 1, b"\0") for i in (0, 2, 16, 18, 19, 254, 255)},
    "predicted, first without reference": predictions(1, 0, b"\1", 1, b"\0"),
    "predicted, first of 1": predictions(0, 1, b"\1", 1, b"\0"),
    "predicted, no first": predictions(1, 1, b"", 1, b"\0"),
    **{f"predicted, reference {i} without levels": linear(b"\1", reference=i) for i in (2, 3)},
    "predicted, linear and differences": linear(b"\1", levels=0x40), "predicted, 33 taps": linear(b"\0" * 9, 33),
    **{f"predicted, taps shifted by {i}": linear(b"\1", shift=i) for i in (0, 25, 255)},
    **{f"predicted, taps of {i} bits": linear(b"\1" * 4, width=i) for i in (0, 1, 28, 32, 255)},
    "predicted, taps cut": linear(b"", 32)[:5], "predicted, padding of taps": linear(b"\x41"),
    "predicted, no stencil": stencil([]), "predicted, stencil cut": stencil([1] * 15, 0x70)[:30],
    **{f"predicted, stencil along {i}": stencil([0] * 25, i << 4) for i in range(16) if not i & 2},
    **{f"predicted, stencil and {i} levels": stencil([0] * 5, 0x20 | i)[:-1] for i in (1, 15)},
    "predicted, corrected by 1": predictions(numbers=ONE_CORRECTION),
    "predicted, two axes": b"\6\x08" + predictions()[2:], "predicted, axis 1": predictions(first=1),
    "predicted, padding of rules": predictions(2, 2, b"\3", 1, b"\x10"),
}  # fmt: skip


# ---- corners of split values ----
def split(base=0, bits=None, kind=0, shift=0, size=0, small=b"", idle=0, rest=None):
    """A block whose integers are all base + 3, and the bits that they leave out; `size` what that of these is off."""
    k, rest = base + 3, rest or predictions()
    if bits is None:
        bits = bytes(shift if kind else 24 - abs(k).bit_length() if k else 0)
    left_out = bytes([kind] + [idle] * (not kind)) + varint(zigzag(shift)) + varint(len(bits) + size)
    left_out += (b"" if kind & 1 else varint(len(small))) + bits + small
    return bytes([7 | rest[0] & 0xF8]) + left_out + varint(zigzag(base)) + rest[1:]


def affine_split(base=0, lattice=b"\0\0", rest=None, adjustments=b""):
    """The same of an affine lattice, its formula and all that if not told otherwise."""
    rest, adjustments = rest or predictions(), varint(len(adjustments)) + adjustments
    return bytes([7 | rest[0] & 0xF8, 2]) + lattice + adjustments + varint(zigzag(base)) + rest[1:]


def decimal_split(base=0, places=2, digits=0, left=0, bits=b"", rest=None):
    """The same of decimals without their lowest digits."""
    rest, left_out = rest or predictions(), varint(zigzag(left)) + varint(len(bits)) + bits
    return bytes([7 | rest[0] & 0xF8, 3, places, digits]) + left_out + varint(zigzag(base)) + rest[1:]


def adjusting(*units, size=0):
    """The section of adjustments of eight values; with a size some are refused."""
    rng = np.random.default_rng(1)
    found = (section(rng, 8, size, list(units) * (8 // len(units))) for _ in range(100))
    return next(out for out, _, refused, _ in found if bool(refused) == bool(size))


def small(*zeros, m=23):
    """Codes of small values that begin with so many zeros."""
    rng, out = np.random.default_rng(len(zeros)), Bits()
    for c in zeros:
        width = 0 if c == 0 else 9 + m if c == 33 else 1 + m
        out.put(1 << c | int(rng.integers(2**width)) << c + 1, c + 1 + width)
    return out.bytes()


REFUSED = predictions(numbers=b"\0\0\1\5\x08some")
GOOD_BLOCKS |= {
    "split": split(), "split, bits": split(bits=bytes(range(22))), "split, negative": split(-9, bytes(range(200, 221))),
    "split, 13 idle bits": split(bits=bytes(range(9)), idle=13), "split, all but one idle": split(bits=b"", idle=22),
    "split, all idle": split(bits=b"", idle=23),
    "split, idle and small": split(-3, idle=20, small=small(*[1, 32] * 4, m=3)),
    "split, zeros": split(-3, small=b"\xff"), "split, small": split(-3, small=small(1, 2, 32, 33, 0, 31, 33, 3)),
    "split, small, subnormal": split(-3, shift=-140, small=small(1, 2, 20, 33, 0, 9, 32, 3)),
    "split, small, first and last": split(2**32 - 3, b"", shift=127, small=small(*[0, 1] * 4)),
    "split, one": split(-2, bytes(range(23))), "split, minus one": split(-4),
    "split, 2^23": split(2**23 - 3, b""), "split, 2^23 - 1": split(2**23 - 4, b"\xa5"),
    "split, 2^31": split(2**31 - 3, b""),
    "split, zero beyond 2^32": split(2**32 - 3, b"", small=b"\xff"), "split, far": split(2**63 - 1, bytes(range(22))),
    "split, -2^63": split(-(2**63), bytes(range(22))), "split, refused": split(rest=REFUSED),
    "split, infinite": split(2**29, b"", shift=127), "split, subnormal": split(bits=bytes(range(7, 29)), shift=-149),
    **{f"split, image without {i}": split(2**i, bytes(range(i)), 1, i) for i in range(32)},
    **{f"split, affine, base {i}": affine_split(i) for i in (0, -7, 2**31 - 3, 2**32, 2**63 - 1, -(2**63))},
    "split, affine, single": affine_split(5, b"\x05\0\0\x80\x3e\x0b"),
    "split, affine, refused": affine_split(rest=REFUSED),
    "split, affine, adjusted": affine_split(adjustments=adjusting(127, -127, 1, 0)),
    "split, affine, adjusted beyond zero": affine_split(-3, adjustments=adjusting(-1, 1)),
    "split, affine, adjusted and refused": affine_split(rest=REFUSED, adjustments=adjusting(5)),
    **{f"split, decimals, base {i}": decimal_split(i) for i in (0, -3, -4, 2**31 - 3, 2**32, 2**63 - 1, -(2**63))},
    **{f"split, {i} places": decimal_split(2**29 + 12345, i) for i in range(51)},
    **{f"split, {i} digits": decimal_split(12345, 3, i) for i in range(16)},
    **{
        f"split, without {left} of {i} digits": decimal_split(base, 30, i, left, bytes(range(bits)))
        for base, i, left, bits in ((0, 0, 15, 50), (0, 10, 15, 30), (-3, 10, 15, 50), (-4, 10, 15, 50), (-5, 1, 1, 0),
                                    (-2, 9, 9, 27),
                                    (97, 10, 15, 24), (996, 10, 15, 24), (-14, 10, 15, 27), (2**31 - 3, 15, 15, 17))
    },
    "split, decimals, refused": decimal_split(rest=REFUSED),
    "split, decimals of 2^53": decimal_split(5, 23, 0, 15, bytes(range(50))),
    "split, image of 2^64": split(2**63 - 1, bytes(range(31)), 1, 31),
}  # fmt: skip
BAD_BLOCKS |= {
    **{f"split, kind {kind}": split(kind=kind, bits=b"") for kind in (4, 5, 255)},
    **{f"split, affine, adjusted by {i}": affine_split(adjustments=adjusting(i)) for i in (128, -128, 2**29, -(2**29))},
    "split, affine, refused adjustments": affine_split(adjustments=adjusting(1, size=4)),
    "split, affine, no adjustments": affine_split(adjustments=b"\0"),
    "split, affine, adjustments cut": affine_split(adjustments=adjusting(1, -1)[:-1]),
    "split, affine, adjustments and more": affine_split(adjustments=adjusting(1, -1) + b"\0\0"),
    "split, affine, adjustments behind the block": b"\7\2\0\0\xff\1" + affine_split()[5:],
    **{f"split, {i} places": decimal_split(places=i) for i in (51, 255)},
    **{f"split, {i} digits": decimal_split(digits=i) for i in (16, 255)},
    **{f"split, decimals without {i}": decimal_split(0, 30, 0, i, bytes(64)) for i in (-1, 16, 2**16, -(2**16))},
    "split, decimals without 2^63 - 1": decimal_split(0, 30, 0, 2**63 - 1, bytes(64)),
    "split, decimals, a byte too few": decimal_split(0, 30, 0, 15, bytes(49)),
    "split, decimals, a byte too many": decimal_split(0, 30, 0, 15, bytes(51)),
    "split, decimals, on lattice 1": decimal_split(rest=predictions(1)), "split, decimals, cut": decimal_split()[:4],
    **{f"split, affine with {i}": affine_split(lattice=bytes([i, 0])) for i in (2, 16, 32, 255)},
    "split, affine, base of 2^31": affine_split(lattice=b"\0" + varint(2**32)), "split, affine, cut": b"\7\2",
    "split, affine, on lattice 1": affine_split(rest=predictions(1)),
    "split, affine, of infinity": affine_split(lattice=b"\5\0\0\x80\x7f\0"),
    **{f"split, lattice of {i}": split(bits=bytes(22), shift=i) for i in (-(2**63), -(2**16), -150, 128, 2**63 - 1)},
    **{f"split, image without {i}": split(0, bytes(max(i, 0)), 1, i) for i in (-1, 32, 56, 57)},
    **{f"split, {i} idle bits": split(bits=b"", idle=i) for i in (24, 52, 255)},
    "split, a byte too few": split(bits=bytes(21)), "split, a byte too many": split(bits=bytes(23)),
    "split, a byte and no bits": split(-3, b"\0", small=b"\xff"), "split, no small ones": split(-3),
    "split, small ones missing": split(-3, small=b"\x7f"), "split, small ones behind": split(-3, small=b"\xff\0"),
    "split, small ones not there": split(small=b"\0"), "split, 34 zeros": split(-3, small=b"\0\0\0\0\xfc\1"),
    "split, padding of small ones": split(-3, small=small(1, *[0] * 7)[:-1] + b"\xff"),
    "split, small one cut": split(-3, small=small(*[0] * 7, 33)[:-1]),
 "split, size too large": split(size=200),
    "split, size of 2^63": split(size=2**63), "split, on lattice 1": split(rest=predictions(1)),
    "split, order": ordered(b"\2\0\1", split()), "split, fine": fine(rest=split()), "split, cut": split()[:3],
    "split, corrected": split(rest=predictions(numbers=ONE_CORRECTION)), "split, bit 7": b"\x87" + split()[1:],
    "split, refused behind the block": split(rest=predictions(numbers=b"\0\0\1\5\x20some")),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD_BLOCKS)
def test_valid_corners(name):
    for delta in (0.7,) if "edges" in name else (2.0**-126, 1.0, float(np.finfo("f4").max)):
        valid(reseal(header(delta=delta), GOOD_BLOCKS[name]))


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_refused_corners(name):
    delta = 0.7 if name.startswith("edge") else 1.0
    assert agree(reseal(header(delta=delta), BAD_BLOCKS[name])) is None


def test_windows_need_a_delta():
    assert agree(reseal(header(delta=0.0), block())) is None
    valid(reseal(header(delta=0.0), RAW))


def test_where_affine_lattices_may_be():
    """Without a delta the uniform lattice is not among them; 16-bit floats, integers and relative bounds have none."""
    valid(reseal(header(delta=0.0), affine()))
    assert agree(reseal(header(delta=0.0), affine(1, sequence=pack((1, 1))))) is None
    valid(reseal(header((8,), 2), affine()))
    valid(reseal(header((4,), 5), affine()))
    for code in (3, 4, 18, 24, 25):
        assert agree(reseal(header(dtype=code), affine())) is None
    for delta in (0.0, 1.0):
        assert agree(reseal(header(delta=delta, flags=8, rtol=0.5), affine())) is None


@pytest.mark.parametrize(("code", "limits"), [(1, (2**30 + 1, 40960, 34816)), (2, (2**30 + 1, 2**26, 2**26))])
def test_limits_of_fine_values(code, limits):
    """The integers on their lattices below the limits, of values that lie beyond, too."""
    for fold, (limit, steps) in enumerate(zip(limits, (1, 7, 17), strict=True)):
        for R in (limit - 1, limit, 1 - limit, -limit):
            found, v = [], round(R / steps)
            for at in range(v - 1, v + 2):
                b = R - at * steps + (2, 8, 16)[fold]
                if 0 <= b < (4, 16, 32)[fold] and (code == 2 or int(np.float32(at)) == at):
                    chunk = reseal(header((4,), code, block_len=4), fine((2, fold, b), rest=block(**constant(at))))
                    found.append(agree(chunk))
            assert found
            for x in found:
                assert (x is not None) == (abs(R) < limit)
                assert x is None or x[2] == x.dtype.type(R * (1 / steps))


def test_where_fine_values_may_be():
    """Floats of 32 and 64 bits with an absolute tolerance alone have finer lattices."""
    finer = [fine(), fine(rest=predictions(context=b"\0\0\0")), predictions(1), predictions(2, 1, b"\3", 1, b"\0")]
    for made in finer:
        for code, shape in ((1, (8,)), (2, (8,)), (5, (8,)), (6, (8,))):
            valid(reseal(header(shape, code), made))
        for code in (3, 4, 18, 24, 25):
            assert agree(reseal(header(dtype=code), made)) is None
        for delta in (0.0, 1.0):
            assert agree(reseal(header(delta=delta, flags=8, rtol=0.5), made)) is None
        assert agree(reseal(header(delta=0.0), made)) is None
    valid(reseal(header(dtype=3), predictions()))


def test_where_split_values_may_be():
    """All floats have images, those of 32 and 64 bits lattices; whatever the tolerance."""
    for code, shape in ((1, (8,)), (2, (8,)), (3, (8,)), (4, (8,)), (5, (4,)), (6, (4,))):
        for out in ({"delta": 0.0}, {}, {"flags": 8, "rtol": 0.5}):
            valid(reseal(header(shape, code, **out), split(kind=1)))
    for code, shape, significand in ((1, (8,), 23), (2, (8,), 52), (5, (4,), 23), (6, (4,), 52)):
        valid(reseal(header(shape, code), split(bits=bytes(significand - 1))))
    for code, shape in ((1, (8,)), (2, (8,)), (5, (4,)), (6, (4,))):
        valid(reseal(header(shape, code, flags=8, rtol=0.5), affine_split()))
        valid(reseal(header(shape, code, flags=8, rtol=0.5), affine_split(adjustments=adjusting(127, -1))))
        valid(reseal(header(shape, code), decimal_split(12345)))
    for code in (3, 4):
        assert agree(reseal(header(dtype=code), split(bits=bytes(9)))) is None
        assert agree(reseal(header(dtype=code), affine_split())) is None
        assert agree(reseal(header(dtype=code), decimal_split())) is None
    for code in (16, 18, 20, 24, 25):
        assert agree(reseal(header(dtype=code), split(kind=1))) is None
    for shift in (-961, 961):
        assert agree(reseal(header(dtype=2), split(bits=bytes(51), shift=shift))) is None
    for shift in (-960, 960):
        valid(reseal(header(dtype=2), split(bits=bytes(range(51)), shift=shift)))
    for code, most in ((2, 56), (3, 15), (4, 15)):
        valid(reseal(header(dtype=code), split(0, bytes(range(most)), 1, most)))
        assert agree(reseal(header(dtype=code), split(0, bytes(most + 1), 1, most + 1))) is None


# ---- corners of 32 bits ----
def far_integers(base, h, folded):
    """Exact values whose integers are base + h, of more than 32 bits perhaps."""
    return integers(0x40 | folded << 5, varint(zigzag(base)), block(**constant(h))[1:])


GOOD_BLOCKS |= {
    f"base {base}, {h}, folded {folded}": far_integers(base, h, folded)
    for base in (5, -5, 2**30 - 1, -(2**30) + 1, 2**30, 2**32 - 1, -(2**40))
    for h in (2**31 - 1, -(2**31), 2**30, -(2**30), 0)
    for folded in (0, 1)
}


# ---- corners of copies ----
def listed_integers(*wanted, size=0):
    """A windows section of these; with a size some are refused."""
    rng = np.random.default_rng(len(wanted))
    found = (section(rng, len(wanted), size, list(wanted)) for _ in range(100))
    return next(out for out, _, refused, _ in found if bool(refused) == bool(size))


def copies(bits, lengths, below=b"", rest=None, C=None, sections=None, more=b""):
    """A block of eight values of which those are copies whose bits are set; as exact values if not told otherwise."""
    listed = sections or listed_integers(*lengths)
    rest = rest or valued(8 - sum(bits))
    made = varint(sum(bits) if C is None else C) + bitmap_of(bits) + varint(len(listed)) + listed
    return bytes([rest[0] | 64]) + made + varint(len(below + more)) + below + more + rest[1:]


def valued(n):
    """A block of n numbers, bit for bit."""
    made = listed_integers(*np.random.default_rng(n).integers(2**28, 2**29, n).tolist())
    return b"\3\0" + made


AFTER_A_MASK = (0, 1) * 4  # masked() has the others


def masked_copies(bits, lengths, below=b""):
    made = copies(bits, lengths, below, valued(4 - sum(bits)))
    return bytes([made[0] | 8]) + masked()[1:-4] + made[1:]


GOOD_BLOCKS |= {
    "copies": copies((0, 0, 0, 0, 1, 1, 0, 1), (1, 2, 3), b"\5"),
    "copies of one": copies((0,) + (1,) * 7, (1,) + (0,) * 6),
    "copies of the first": copies((0, 1, 1, 1, 0, 0, 0, 0), (1, 2, 2), b"\2"),
    "copies, a constant": copies((0, 1) * 4, (1, 0, 0, 0), rest=b"\1ones"),
    "copies, predicted": copies((0, 0, 0, 1, 0, 0, 1, 1), (2, 0, 3), b"\1", predictions()),
    "copies of masked ones": masked_copies(AFTER_A_MASK[:7] + (0,), (1, 0, 1)),
}  # fmt: skip
BAD_BLOCKS |= {
    "copies of raw values": copies((0, 1) * 4, (1, 0, 0, 0), rest=b"\0" + bytes(16)),
    "copies in order": ordered(b"\2\0\1", copies((0, 1) * 4, (1, 0, 0, 0))),
    "no copies": copies((0,) * 8, (1,)), "nothing but copies": copies((1,) * 8, (1,) * 8, rest=b"\1ones"),
    "copies of nothing else": masked_copies(AFTER_A_MASK, (1, 1, 1, 1)),
    "a masked copy": masked_copies((0, 0, 0, 1, 1, 0, 0, 0), (1, 1)),
    "copies, number": copies((0, 1) * 4, (1, 0, 0, 0), C=3),
    "copies, number of 2^63": copies((0, 1) * 4, (1, 0, 0, 0), C=2**63),
    "copies, the first": copies((1,) + (0,) * 7, (1,)), "copies from before": copies((0, 0, 1) + (0,) * 5, (2,), b"\1"),
    "copies, no first distance": copies((0, 1) * 4, (0, 1, 0, 0)),
    "copies, length of 17": copies((0, 1) * 4, (17, 1, 0, 0), b"\0\0"),
    "copies, negative length": copies((0, 1) * 4, (1, -1, 0, 0)),
    "copies, refused lengths": copies((0, 1) * 4, (1, 0, 0, 0), sections=listed_integers(1, 0, 0, 0, size=4)),
    "copies, section and more": copies((0, 1) * 4, (1, 0, 0, 0), sections=listed_integers(1, 0, 0, 0) + b"\0\0"),
    "copies, section cut": copies((0, 1) * 4, (1, 0, 0, 0), sections=listed_integers(1, 0, 0, 0)[:-1]),
    "copies, a section of five": copies((0, 1) * 4, (), sections=listed_integers(1, 1, 1, 1, 1, 1, 1, 1)),
    "copies, bits missing": copies((0, 1) * 4, (1, 2, 2, 2)),
    "copies, a byte too many": copies((0, 1) * 4, (1, 0, 0, 0), more=b"\0"),
    "copies, padding": copies((0, 1) * 4, (1, 2, 0, 0), b"\2"),
    "copies, bit 7": bytes([0xC3]) + copies((0, 1) * 4, (1, 0, 0, 0))[1:],
    "copies, cut": copies((0, 1) * 4, (1, 0, 0, 0))[:12],
}  # fmt: skip


def test_copies_and_fine_values():
    """These come last."""
    values = valid(reseal(header(), copies((0, 1) * 4, (1, 0, 0, 0), rest=fine(rest=predictions()))))
    assert values[0] != values[1]


@pytest.mark.parametrize("reference", [1, 2, 3])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_references(fold, reference):
    """Many outer indices, each predicted from those before."""
    rng = np.random.default_rng(fold)
    table = [128] * 8
    for trust in range(8):
        unit = b"\3" if fold else b""
        lanes = [0, 1] * 20 + [0] * 20 + [0, 1] * 20  # by level
        states, words, _ = rans([(lane, table, int(rng.integers(8))) for lane in lanes], 4, 10)
        rules = pack((1, 1), (trust, 3), (1, 1))
        out = predictions(fold, reference, unit, 2, rules, context=b"\0\7\xfc" + packed_table(table), first=1)
        valid(reseal(header((20, 5), block_len=100), out + states + words))


F8 = {"dtype": 2, "shape": (4,)}
DOUBLE = struct.pack("<d", 1.0)
GOOD_HEADERS = [
    {"tol": -0.0}, {"tol": 5e-324}, {"tol": 1e308}, {"tol": None, "flags": 4}, {"tol": None, "flags": 4, "delta": 0.0},
    {**F8, "tol": None, "flags": 4}, {**F8, "tol": None, "flags": 4, "delta": 2.0**-1022},
    {"delta": 0.0}, {"delta": 2.0**-126}, {"delta": (2 - 2**-23) * 2.0**127},
    {**F8, "delta": 2.0**-1022}, {**F8, "delta": 0.1}, {**F8, "delta": 1e308},
    {"flags": 8, "rtol": 2.0**-24}, {"flags": 8, "rtol": 1 - 2.0**-53}, {"flags": 12, "tol": None, "rtol": 0.5},
    {"dtype": 5, "shape": (4,)}, {"dtype": 5, "shape": (4,), "block_len": 2**17 - 1},
    {"dtype": 18, "T": 0}, {"dtype": 18, "T": 2**32 - 1}, {"dtype": 22, "T": 7, "tol": 7.5},
    {"dtype": 22, "T": 7, "tol": None, "flags": 4}, {"dtype": 16, "T": 255, "shape": (32,), "block_len": 0},
    {"dtype": 19, "T": 2**63 - 1, "shape": (4,)}, {"dtype": 24, "shape": (32,), "block_len": 0, "flags": 2},
    {"dtype": 25, "shape": (4,)}, {"dtype": 26, "shape": (4,), "unit": (13, 2**31 - 1)},
    {"shape": (1,) * 31 + (8,)}, {"block_len": 0}, {"block_len": 2**18 - 1}, {"flags": 3},
    {"flags": 16, "shape": (2, 4), "box": (2, 4)}, {"flags": 18, "shape": (4, 2), "box": (2, 4)},
    {"flags": 16, "shape": (1,) * 31 + (8,), "box": (1,) * 31 + (8,)},
]
BAD_HEADERS = [
    {"magic": b"\xacAD"}, {"version": 1}, {"codec": 0}, {"codec": 2}, {"flags": 16}, {"flags": 128},
    {"flags": 4}, {"tol": None}, {"tol": None, "flags": 20}, {"flags": 8}, {"rtol": 0.5},
    *({"flags": 8, "rtol": rtol} for rtol in (0.0, -0.5, 2.0**-24 - 2.0**-60, 1.0, float("nan"), float("inf"))),
    *({"dtype": code} for code in (0, 7, 15, 27, 255)), {**F8, "dtype": 0}, {**F8, "dtype": 7},
    {"dtype": 5, "shape": (4,), "block_len": 2**17}, {"dtype": 18, "T": 2**32}, {"dtype": 16, "T": 256, "shape": (32,)},
    {"dtype": 18, "T": 7, "tol": 7.0}, {"dtype": 18, "T": 0, "tol": 0.0},
    {"dtype": 18, "T": 7, "flags": 8, "rtol": 0.5}, {"dtype": 19, "T": 2**63, "shape": (4,)},
    *({"dtype": code, "shape": (32,), "flags": 1, "block_len": 0} for code in (16, 20, 24)),
    {"dtype": 24, "shape": (32,), "flags": 4, "block_len": 0},
    {"dtype": 25, "shape": (4,), "flags": 4}, {"dtype": 25, "shape": (4,), "flags": 8, "rtol": 0.5},
    *({"dtype": 26, "shape": (4,), "unit": unit} for unit in [(14, 1), (0, 2), (0, 0), (5, 0), (5, 2**31)]),
    {"tol": -5e-324}, {"tol": float("nan")}, {"tol": float("inf")},
    {"tol": 0.5}, {"tol": 0.0, "delta": 0.0}, {"tol": -0.0, "delta": 0.0},
    {**F8, "tol": 2.0**-1023, "delta": 2.0**-1022},
    {"delta": -0.0}, {"delta": -1.0}, {"delta": float("nan")}, {"delta": float("inf")},
    {"delta": 1e-40}, {"delta": DOUBLE}, {**F8, "delta": DOUBLE[4:]},
    {**F8, "delta": 2.0**-1023}, {**F8, "delta": float("inf")},
    {"block_len": 2**18}, {"block_len": 2**18 + 1}, {"block_len": 7},
    {"flags": 16, "box": (8,)}, {"flags": 16, "shape": (), "box": ()}, {"flags": 16, "shape": (0, 8), "box": (1, 8)},
    *({"flags": 16, "shape": (2, 4), "box": box} for box in [(0, 4), (2, 0), (3, 4), (4, 2), (1, 4), (2,), (2, 4, 1)]),
    {"flags": 16, "shape": (2, 4), "box": (2, 2**64 - 1)}, {"flags": 16, "shape": (2, 4), "box": (2**63, 4)},
    {"flags": 18, "shape": (2, 4), "box": (2, 4)}, {"flags": 48, "shape": (2, 4), "box": (2, 4)},
    {"flags": 16, "shape": (2**10, 2**9), "box": (2**10, 2**9)},
    {"flags": 16, "shape": (2**32, 2**32), "box": (2**9, 2**9)},
    {"flags": 16, "dtype": 5, "shape": (2**9, 2**9), "box": (2**9, 2**9)},
    {"shape": (1,) * 32 + (8,)}, {"shape": (1,) * 254 + (8,)}, {"shape": (9,)}, {"shape": (7,)}, {"shape": (0,)},
    {"shape": (2**62,)}, {"shape": (2**64 - 1,)}, {"shape": (2**32, 2**32)}, {"shape": (2**63, 2)},
]


def test_corners_of_headers():
    for fields in GOOD_HEADERS:
        valid(reseal(header(**fields), RAW))
    for fields in BAD_HEADERS:
        assert agree(reseal(header(**fields), RAW)) is None, fields


@pytest.mark.parametrize(("shape", "dtype", "good"), [
    ((0,), 1, True), ((2**61 - 1, 0), 1, True), ((2**61, 0), 1, False), ((2**63, 2**63, 0), 1, False),
    ((0, 2**60 - 1), 2, True), ((0, 2**60), 2, False), ((0, 2**64 - 1), 1, False),
    ((2**40, 0, 2**20), 1, True), ((2**40, 0, 2**20), 2, False),
])
def test_empty_arrays(shape, dtype, good):
    """The other lengths of an empty array must not overflow either."""
    head = header(shape, dtype, n_blocks=0)[:-4]
    assert (agree(head + struct.pack("<I", crc32c(head))) is not None) == good


# ---- damage ----
def damage(rng, data, first=0):
    """A few bytes changed, most of them near the start, where structure is."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.integers(first, min(len(data), 60) if rng.random() < 0.5 else len(data))
        change = rng.integers(4)
        if change < 2:
            data[at] ^= 1 << rng.integers(8)
        elif change == 2:
            data[at] = (data[at] + rng.choice([1, 255])) % 256
        else:
            data[at] = rng.choice([0, 127, 128, 255, rng.integers(256)])
    if rng.random() < 0.1:
        at = rng.integers(first, len(data))
        data[at : at + 1] = rng.bytes(rng.integers(3))
    return bytes(data)


@pytest.mark.parametrize("name", [n for n in CHUNKS if n not in ("empty", "blocks", "boxes", "sequence")])
def test_damaged_blocks(name):
    rng = np.random.default_rng(len(name))
    at = peek(CHUNKS[name]).header_size
    head, block = CHUNKS[name][:at], CHUNKS[name][at:]
    verdicts = {agree(reseal(head, damage(rng, block))) is None for _ in range(120)}
    # compressors behind ours have checksums, or ends, of their own, and see most damage
    assert verdicts == ({False, True} if len(block) > 20 and "backend" not in name else verdicts) and True in verdicts


@pytest.mark.parametrize("code", TYPES)
def test_damaged_random_chunks(code):
    for seed in range(8):
        rng = np.random.default_rng([seed, code])
        chunk, _ = random_chunk([seed, code, 1], code, blocks=1)
        at = peek(chunk).header_size
        for _ in range(20):
            agree(reseal(chunk[:at], damage(rng, chunk[at:])))


@pytest.mark.parametrize("name", [n for n in CHUNKS if n != "sequence"])
def test_damaged_headers(name):
    rng = np.random.default_rng(len(name))
    chunk = CHUNKS[name]
    at = peek(chunk).header_size
    for _ in range(100):
        head = damage(rng, chunk[: at - 4], first=4)
        agree(head + struct.pack("<I", crc32c(head)) + chunk[at:])
