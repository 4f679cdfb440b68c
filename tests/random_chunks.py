"""Random valid chunks, which use the format as no encoder does, and the arrays that they mean.

What a chunk means comes from what was drawn, not from reading it. Run as a program, this holds the decoder of
reference.py to it: `python tests/random_chunks.py [number of chunks]`.
"""

import struct
import sys
from collections import Counter, namedtuple
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
from handmade import crc32c, header, reseal, varint, zigzag

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

# code: the array's dtype, values of an element, dtype of a value (None: bits only), bytes of it, m
Type = namedtuple("Type", "dtype parts value size m")
TYPES = {
    1: Type("f4", 1, "f4", 4, 23), 2: Type("f8", 1, "f8", 8, 52), 3: Type("f2", 1, "f2", 2, 10),
    4: Type(bfloat16 or "u2", 1, bfloat16, 2, 7), 5: Type("c8", 2, "f4", 4, 23), 6: Type("c16", 2, "f8", 8, 52),
    **{16 + i: Type(f"i{1 << i}", 1, f"i{1 << i}", 1 << i, 0) for i in range(4)},
    **{20 + i: Type(f"u{1 << i}", 1, f"u{1 << i}", 1 << i, 0) for i in range(4)},
    24: Type("?", 1, "u1", 1, 0), 25: Type("M8", 1, "i8", 8, 0), 26: Type("m8", 1, "i8", 8, 0),
}  # fmt: skip
if bfloat16 is None:
    del TYPES[4]  # what is expected of it is computed with ml_dtypes
EMAX = {10: 30, 7: 254, 23: 254, 52: 2046}
UNITS = "generic Y M W D h m s ms us ns ps fs as".split()


# ---- bits and coders ----
class Bits:
    """A bit string, least significant bit first."""

    def __init__(self):
        self.value = self.n = 0

    def put(self, value, n):
        self.value |= value << self.n
        self.n += n

    def bytes(self):
        return self.value.to_bytes(-(-self.n // 8), "little")


def random_table(rng, K, prob_bits, wanted=()):
    """Frequencies of K symbols, at least two of them not zero, those wanted too."""
    seen = set(wanted) | set(rng.choice(K, rng.integers(2, K + 1), replace=False).tolist())
    cuts = np.sort(rng.choice(np.arange(1, 1 << prob_bits), len(seen) - 1, replace=False))
    table = [0] * K
    for s, f in zip(sorted(seen), np.diff([0, *cuts, 1 << prob_bits]), strict=True):
        table[s] = int(f)
    return table


def golomb(out, v, order):
    """An exp-Golomb code."""
    u = v + (1 << order)
    t = u.bit_length() - 1
    out.put(1 << (t - order), t - order + 1)
    out.put(u & (1 << t) - 1, t)


def short(f, r):
    """The code of the largest number of r bits after the leading one that is at most f."""
    e = max(0, f.bit_length() - r - 1)
    return (e << r) + (f >> e)


def expanded(c, r):
    e = max(0, (c >> r) - 1)
    return c - (e << r) << e


def put_codes(out, codes, order, kind):
    out.put(order, 3)
    out.put(kind, 3)
    before = 0
    for c in codes:
        golomb(out, zigzag(c - before), order)
        before = c


def put_table(rng, out, table):
    """A table, or one with fewer bits that is like it; returns the one that was put."""
    order, kind = int(rng.integers(8)), int(rng.choice([7, 7, rng.integers(7)]))
    if kind < 7:
        codes = [short(f, kind) for f in table]
        rounded = [expanded(c, kind) for c in codes]
        most = codes.index(max(codes))
        rounded[most] = 0
        rounded[most] = sum(table) - sum(rounded)  # at least what it was: all others were rounded down
        if rounded[most] < sum(table):
            put_codes(out, codes, order, kind)
            return rounded
    put_codes(out, table, order, 7)
    return table


def random_curve(rng, out, K, prob_bits):
    """A table that is a curve."""
    from reference import curve

    shape, scale, centre = int(rng.integers(4)), int(rng.integers(128)), int(rng.integers(4 * K))
    out.put(shape, 2)
    out.put(scale, 7)
    out.put(centre, 8)
    return curve(shape, scale, centre, K, prob_bits)


def rans(steps, n_lanes, prob_bits, payload=b""):
    """States and words of (lane, table, symbol) in the order of decoding; the final states hold some bytes."""
    halves = struct.unpack(f"<{n_lanes}H", payload.ljust(2 * n_lanes, b"\0"))
    x, words = [2**16 + half for half in halves], []
    for lane, table, s in reversed(steps):
        f, first = table[s], sum(table[:s])
        if x[lane] >= f << (32 - prob_bits):
            words.append(x[lane] & 0xFFFF)
            x[lane] >>= 16
        x[lane] = (x[lane] // f << prob_bits) + x[lane] % f + first
    return struct.pack(f"<{n_lanes}I", *x), struct.pack(f"<{len(words)}H", *words[::-1]), len(words)


def any_symbol(rng, table):
    return int(rng.choice(np.flatnonzero(table)))


def chance(rng, p):
    return bool(rng.random() < p)


# ---- windows sections ----
def random_class(rng, bottom=-(2**31), top=2**31):
    """k, K and lo of a window anywhere between two numbers (powers of two, or 0), often at their ends, and m.

    Images are only where the numbers are the outermost.
    """
    if top == 2**31 and chance(rng, 0.3):
        m = random_m(rng)
        most = 32 - m << m  # stands for 2^31
        return *window_in(rng, int(rng.choice([-most, most, 0, rng.integers(-most, most)])), -most, most), m
    while True:
        k = int(rng.choice([0, 25, rng.integers(26)]))
        K = int(rng.choice([1, 64, rng.integers(1, 65)]))
        first, last = -(-bottom >> k), (top >> k) - K
        if first <= last:
            return k, K, int(rng.choice([first, last, min(max(0, first), last), rng.integers(first, last + 1)])), None


def class_around(rng, wanted):
    """k, K and lo of a window around one of the numbers, and m if it is one of its images."""
    x, m = wanted[rng.integers(len(wanted))], None
    if chance(rng, 0.4):
        m = random_m(rng)
        return *window_in(rng, index_of(x, m), -(32 - m << m), 32 - m << m), m
    k = int(rng.choice([0, 25, rng.integers(26), max(0, abs(x).bit_length() - 4)]))
    K = int(rng.choice([1, 64, rng.integers(1, 65)]))
    first, last = -(2**31) >> k, (2**31 >> k) - K
    return min(k, 25), K, min(max((x >> k) - int(rng.integers(K)), first), last), None


def random_m(rng):
    return int(rng.choice([1, 7, 10, 23, 24, rng.integers(1, 25)]))


def window_in(rng, x, bottom, top):
    """k, K and lo of a window around a number, and between two others."""
    while True:
        k = int(rng.choice([0, rng.integers(26), max(0, abs(x).bit_length() - 4)]))
        K = int(rng.choice([1, 64, rng.integers(1, 65)]))
        first, last = -(-bottom >> k), (top >> k) - K
        if k <= 25 and first <= last:
            return k, K, int(min(max((x >> k) - int(rng.integers(K)), first), last))


def index_of(v, m):
    """The index of the number of m + 1 significant bits that v is cut to."""
    octaves = max(0, abs(v).bit_length() - m - 1)
    u = (abs(v) >> octaves) + (octaves << m)
    return -u if v < 0 else u


def number_at(u, m):
    """The numbers of m + 1 significant bits, counted through."""
    significand, octaves = abs(u), 0
    while significand >= 2 ** (m + 1):
        significand, octaves = significand - 2**m, octaves + 1
    return (-1 if u < 0 else 1) * (significand << octaves)


def random_refused(rng, n, size, values=None):
    """A list of refused values: its bytes, and what stands where."""
    refused, lists, next_at, value = {}, b"", 0, bytes(size)
    for at in np.flatnonzero(rng.random(n) < rng.choice([0, 0.02, 0.2])).tolist():
        if at < next_at:
            continue
        same, run = chance(rng, 0.5), min(int(rng.integers(1, 9)), n - at)
        value = value if same else random_value(rng, size) if values is None else values(rng)
        lists += varint(at - next_at << 2 | (run > 1) << 1 | same)
        lists += (b"" if same else value) + (varint(run - 2) if run > 1 else b"")
        refused |= dict.fromkeys(range(at, at + run), value)
        next_at = at + run
    return lists, refused


def random_value(rng, size):
    return rng.bytes(size) if chance(rng, 0.7) else bytes([0] * (size - 1) + [int(rng.choice([0, 0x80, 1, 0x3F]))])


def class_sequence(rng, n, n_classes, coding):
    """The bytes of a class sequence, and its classes; one class takes none."""
    packed = Bits()
    if n_classes == 1:
        return b"", [0] * n
    if coding == 0:
        sequence = rng.integers(n_classes, size=n).tolist()
        for c in sequence:
            packed.put(c, (n_classes - 1).bit_length())
        return packed.bytes(), sequence
    n_tables = n_classes if coding == 2 else 1
    contexts = [put_table(rng, packed, random_table(rng, n_classes, 8)) for _ in range(n_tables)]
    sequence, steps, context = [], [], 0
    for i in range(n):
        sequence.append(any_symbol(rng, contexts[context]))
        steps.append((i % 4, contexts[context], sequence[-1]))
        context = sequence[-1] if coding == 2 else 0
    states, words, n_words = rans(steps, 4, 8)
    return packed.bytes() + states + varint(n_words) + words, sequence


def put_gap(out, gap, r):
    """A Golomb-Rice code."""
    out.put(1 << (gap >> r), (gap >> r) + 1)
    out.put(gap & (1 << r) - 1, r)


def put_edges(rng, edges):
    r, out, before = int(rng.choice([0, 17, rng.integers(18)])), Bits(), -1
    for at in edges:
        gap = at - before - 1
        put_gap(out, gap, r)
        before = at
    return bytes([r]) + out.bytes()


def put_outside(rng, outside):
    """The list of outside values, which are given by position."""
    r, order = int(rng.choice([0, 17, rng.integers(18)])), int(rng.choice([0, 31, rng.integers(32)]))
    codes, before = Bits(), -1
    for at, x in sorted(outside.items()):
        put_gap(codes, at - before - 1, r)
        golomb(codes, zigzag(x), order)
        before = at
    return bytes([r, order]) + codes.bytes()


def section(rng, n, size=0, wanted=None, top=None, find_edges=None):
    """A windows section: its bytes, its integers, refused values by position, and positions of edges.

    The integers are those wanted (at most 2^30), or any from 0 to `top`, or any at all. With a size there are refused
    values; `find_edges(integers, refused)` gives positions of edges.
    """
    if chance(rng, 0.1):
        return varints(rng, n, size, wanted, top, find_edges)
    lanes_code, group_code, prob_code = rng.integers(5), rng.integers(2), rng.integers(4)
    n_lanes, group, prob_bits = 4 << int(lanes_code), 64 if group_code else 128, 10 + int(prob_code)
    n_classes = int(rng.choice([1, 2, 16, rng.integers(1, 17)]))
    coding = int(rng.integers(3)) if n_classes > 1 else 0
    if wanted:
        classes = [class_around(rng, wanted) for _ in range(n_classes)]
    else:
        classes = [random_class(rng, *([] if top is None else [0, top])) for _ in range(n_classes)]
    heads, tables, packed = b"", [], Bits()
    for k, K, lo, m in classes:
        some = wanted[: int(rng.integers(n + 1))] if wanted else ()
        tokens = {((x if m is None else index_of(x, m)) >> k) - lo for x in some}
        seen = {token for token in tokens if 0 <= token < K}
        is_curve = K > 1 and chance(rng, 0.25)
        heads += bytes([k | (m is not None) << 5, K - 1 | is_curve << 6]) + varint(zigzag(lo))
        heads += b"" if m is None else bytes([m])
        if is_curve:
            tables.append(random_curve(rng, packed, K, prob_bits))
        else:
            tables.append(put_table(rng, packed, random_table(rng, K, prob_bits, seen)) if K > 1 else None)
    out = packed.bytes()

    coded_classes, sequence = class_sequence(rng, -(-n // group), n_classes, coding)
    out += coded_classes
    refused_list, refused = random_refused(rng, n, size) if size else (b"", {})
    outside, often = {}, rng.choice([0, 0.02])
    integers, steps, packed = [], [], Bits()
    for g, c in enumerate(sequence):
        (k, K, lo, m), table, length = classes[c], tables[c], min(group, n - g * group)
        symbols = np.flatnonzero(table) if K > 1 else [0]
        tokens, raws = rng.choice(symbols, 128).tolist(), rng.integers(1 << k, size=128).tolist()
        for i in range(-(-length // 16) * 16):
            token, raw = tokens[i], raws[i]  # in the padding too
            if i < length:
                x = u = wanted[len(integers)] if wanted else None
                if x is not None and m is not None:
                    u = index_of(x, m)
                is_number = x is not None and (m is None or number_at(u, m) == x)
                if is_number and 0 <= (u >> k) - lo < K and (K == 1 or table[(u >> k) - lo]):
                    token, raw = (u >> k) - lo, u & (1 << k) - 1
                elif x is not None:
                    outside[len(integers)] = x
                if chance(rng, often):
                    any_number = int(rng.choice([2**30, -(2**30), rng.integers(-(2**30), 2**30)]))
                    outside[len(integers)] = x if wanted else any_number if top is None else int(rng.integers(top))
                if K > 1:
                    steps.append((i % n_lanes, table, token))
                u = (lo + token << k) | raw
                integers.append(u if m is None else number_at(u, m))
            packed.put(raw, k)
    plane = packed.bytes()
    for at, x in outside.items():
        integers[at] = x
    edges = find_edges(integers, refused) if find_edges else []
    exceptions, numbers, lists = 0, b"", b""
    if outside or refused or edges:
        exceptions = 192 if edges else 64
        if outside:
            lists += put_outside(rng, outside)
        lists += refused_list + (put_edges(rng, edges) if edges else b"")
        numbers = varint(len(outside)) + varint(len(refused)) + (varint(len(edges)) if edges else b"")
        numbers += varint(len(lists))
    in_states = bool(steps) and chance(rng, 0.5)
    payload = (lists + plane)[: 2 * n_lanes] if in_states else b""
    if in_states:
        out += numbers + (lists + plane)[len(payload) :]
    else:
        out += plane + numbers + lists
    if steps:
        states, words, _ = rans(steps, n_lanes, prob_bits, payload)
        out += states + words
    layout = bytes(
        [lanes_code | group_code << 3 | prob_code << 4 | in_states << 6, n_classes - 1 | coding << 4 | exceptions]
    )
    return layout + heads + out, integers, refused, edges


def varints(rng, n, size, wanted, top, find_edges):
    """The same without windows."""
    refused_list, refused = random_refused(rng, n, size) if size else (b"", {})
    if wanted:
        integers = list(wanted)
    elif top is not None:
        integers = rng.integers(top, size=n).tolist()
    else:
        integers = (rng.integers(-(2**31), 2**31, n) >> rng.integers(rng.choice([1, 32]), size=n)).tolist()
    edges = find_edges(integers, refused) if find_edges else []
    out = bytes([128, (192 if edges else 64) if refused or edges else 0])
    if refused or edges:
        lists = refused_list + (put_edges(rng, edges) if edges else b"")
        out += varint(len(refused)) + (varint(len(edges)) if edges else b"") + varint(len(lists)) + lists
    return out + b"".join(varint(zigzag(x)) for x in integers), integers, refused, edges


# ---- modes: the rest of a block after its mask, and its values as bytes ----
def cut(values):
    data, size = values.tobytes(), values.dtype.itemsize
    return [data[i : i + size] for i in range(0, len(data), size)]


def numbers_of(values, array):
    return np.frombuffer(b"".join(values), array.type.value)


def raw(rng, n, array):
    values = [random_value(rng, array.type.size) for _ in range(n)]
    return b"".join(values), values


def constant(rng, n, array):
    value = random_value(rng, array.type.size)
    return value, [value] * n


def multiples(numbers, array):
    """Integers times delta, as values of the array's type."""
    with np.errstate(all="ignore"):
        x = np.array(numbers, "f8") * array.delta
        if array.type.size < 8:
            x = x.astype("f4")
        return x.astype(array.type.value)


def uniform(rng, n, array):
    def values(integers, refused):
        found = cut(multiples(integers, array))
        for at, value in refused.items():
            found[at] = value
        return found

    def find_edges(integers, refused):
        with np.errstate(all="ignore"):
            x = numbers_of(values(integers, refused), array).astype("f8")
            R = np.rint(x / array.delta)
            possible = np.isfinite(x) & (np.abs(R) <= 2**27) & (R * array.delta != x)
        return np.flatnonzero(possible & (rng.random(n) < rng.choice([0, 0.1, 1]))).tolist()

    wanted = None
    if chance(rng, 0.7):
        scale = 2 ** int(rng.choice([min(array.type.m + 2, 29), rng.integers(1, 30)]))
        wanted = (int(rng.integers(-scale, scale)) // 2 + rng.integers(-scale // 2, scale // 2 + 1, n)).tolist()
    out, integers, refused, edges = section(
        rng, n, array.type.size, wanted, find_edges=find_edges if array.type.size < 8 else None
    )
    if out[0] == 128:
        array.seen.add(f"varints of {array.type.value}" + " refused" * bool(refused) + " edges" * bool(edges))
    found = values(integers, refused)
    for at in edges:
        found[at] = edge_of(numbers_of([found[at]], array), array)
        array.seen.add(f"edge {array.type.value}" + " refused" * (at in refused))
    return out, found


def edge_of(x, array):
    """The edge of the bin that a value belongs to, on its side."""
    delta = np.float64(array.delta)
    R = np.rint(x.astype("f8") / delta)
    below = x.astype("f8") < R * delta
    bound = (2 * R + np.where(below, 1, -1)) * (delta / 2)
    with np.errstate(all="ignore"):
        y = bound.astype("f4").astype(x.dtype)
        inward = np.where(below, -np.inf, np.inf).astype(x.dtype)
        while (y.astype("f8") > bound if below else y.astype("f8") < bound).all():
            y = np.nextafter(y, inward)
    return y.tobytes()


def wide(rng, n, array, moved, folded, X=None, shift=0):
    """Wide integers: their bytes, the numbers modulo 2^64 (those given, or any), and refused values."""
    choices = [(0, 0), (1, 1)] + [(d, at) for d, at in ((2, array.w), (3, array.v)) if at and not moved]
    difference, distance = choices[rng.integers(len(choices))]
    base = 0
    if chance(rng, 0.5):
        base = int(rng.choice([2**63 - 1, -(2**63), -1, 1, rng.integers(-1000, 1000), rng.integers(-(2**63), 2**63)]))
    array.seen |= {f"difference {difference}", f"shift {bool(shift)}", f"base {bool(base)}", f"folded {bool(folded)}"}
    if X is None:
        n_low = int(rng.integers(8))
        tail, h, refused, _ = section(rng, n, array.type.size)
        low_bytes = []
        low = np.zeros(n, "u8")
        for j in range(n_low):
            part, one = low_plane(rng, n, None, array)
            low_bytes.append(part)
            low |= np.array(one, "u8") << np.uint64(8 * j)
        D = (np.array(h, "i8").view("u8") << np.uint64(8 * n_low)) + low
        D[: distance or n] += np.uint64(base % 2**64)
        for start in range(distance):  # each of the interleaved sequences is a running sum
            D[start::distance] = np.cumsum(D[start::distance], dtype="u8")
        X = D.tolist()
    else:
        wild = chance(rng, 0.3)
        Q = np.array(X, "u8")
        before = np.full(n, base % 2**64, "u8")
        if 0 < distance < n:
            before[distance:] = Q[:-distance]
        D = (Q - before).view("i8")
        least = next(b for b in range(8) if max(abs(int(D.min())), abs(int(D.max()))) >> 8 * b < 2**30)
        n_low = int(rng.choice([least, rng.integers(least, 8)]))
        low_bytes = [low_plane(rng, n, ((D >> 8 * j) & 255).tolist(), array)[0] for j in range(n_low)]
        h = D >> 8 * n_low
        if wild and n_low >= 5:  # what the shift by 8b drops
            h += rng.integers(-(2**29) >> 64 - 8 * n_low, 2**29 >> 64 - 8 * n_low, n) << 64 - 8 * n_low
        tail, _, refused, _ = section(rng, n, array.type.size, h.tolist())
    array.seen.add(f"low bytes {n_low}")
    out = bytes([n_low | difference << 3 | folded << 5 | bool(base) << 6 | bool(shift) << 7])
    out += (bytes([shift]) if shift else b"") + (varint(zigzag(base)) if base else b"")
    return out + b"".join(low_bytes) + tail, X, refused


def low_plane(rng, n, wanted, array):
    """The field of one low byte: those wanted, or any."""
    if chance(rng, 0.5):
        plane = bytes(wanted) if wanted else rng.bytes(n)
        return varint(0) + plane, list(plane)
    out, integers, _, _ = section(rng, n, 0, wanted, 256)
    array.seen.add("low section")
    return varint(len(out)) + out, integers


def placed(values, refused):
    for at, value in refused.items():
        values[at] = value
    return values


def exact(rng, n, array, moved):
    size, W = array.type.size, 8 * array.type.size
    folded = bool(array.type.m) and chance(rng, 0.5)
    shift = int(rng.choice([1, W - 1, rng.integers(1, W)])) if chance(rng, 0.3) else 0
    V = W - shift
    if chance(rng, 0.3):
        out, X, refused = wide(rng, n, array, moved, folded, None, shift)
        X = np.array(X, "u8")
        bits = X & np.uint64(2**V - 1)
        if folded:
            bits = bits >> np.uint64(1) | (bits & np.uint64(1)) << np.uint64(V - 1)
        elif array.type.m:
            negative = X >> np.uint64(63) == 1
            bits = np.where(negative, ~X, X) & np.uint64(2 ** (V - 1) - 1)
            bits |= negative.astype("u8") << np.uint64(V - 1)
        return out, placed(cut((bits << np.uint64(shift)).astype(f"u{size}")), refused)
    values, X = [], []
    scale, wild = 2 ** int(rng.integers(V)), chance(rng, 0.2)
    first = int(rng.choice([0, rng.integers(0, 2 ** (V - 1))]))
    for _ in range(n):
        magnitude = (first + int(rng.integers(scale))) % 2 ** (V - 1)
        negative = chance(rng, 0.3)
        if not array.type.m:  # two's complement
            x = -1 - magnitude if negative else magnitude
            bits = x % 2**V
            x += (int(rng.integers(-9, 9)) << V) * wild
        else:
            bits = magnitude | negative << V - 1
            if folded:
                x = 2 * magnitude + negative + (int(rng.integers(-9, 9)) << V) * wild
            else:
                x = magnitude + (int(rng.integers(9)) << V - 1) * (wild and V < 60)
                x = -1 - x if negative else x
        values.append((bits << shift).to_bytes(size, "little"))
        X.append(x % 2**64)
    out, _, refused = wide(rng, n, array, moved, folded, X, shift)
    return out, placed(values, refused)


def lattice(rng, n, array, moved):
    W, step = 8 * array.type.size, 2 * array.T + 1
    low, high = (-(2 ** (W - 1)), 2 ** (W - 1) - 1) if array.type.value[0] == "i" else (0, 2**W - 1)
    X = None
    if chance(rng, 0.8):
        X, scale = [], 2 ** int(rng.integers(1, 64))
        for _ in range(n):
            if chance(rng, 0.05):
                X.append(int(rng.choice([-(2**63), 2**63 - 1, rng.integers(-(2**63), 2**63)])) % 2**64)
                continue
            value = int(rng.choice([low, high])) if chance(rng, 0.05) else low + int(rng.integers(scale)) % 2**W
            nearest = (value + array.T) // step
            assert abs(min(max(nearest * step, low), high) - value) <= array.T
            X.append(nearest % 2**64)
    out, X, refused = wide(rng, n, array, moved, False, X)
    numbers = [int(x) * step for x in np.array(X, "u8").view("i8").tolist()]
    if min(numbers) < low or max(numbers) > high:
        array.seen.add("clamped")
    clamped = [low if x < low else high if x > high else x for x in numbers]
    return out, placed(cut(np.array(clamped, array.type.value)), refused)


# ---- relative ----
def octave(rtol, m):
    """The first significand of every bin and its centre, as runs: (first, centre, bins, width) of bins of a width."""
    fraction = Fraction(rtol)
    digits = 0
    while fraction < 2**28:
        fraction, digits = fraction * 2, digits + 1
    r = Fraction(fraction.__floor__(), 2**digits)
    unit = 2 ** max(m - 29, 0)
    runs = []
    if m <= 10 or r >= Fraction(1, 2**13):
        lo, end = 2**m // unit, 2 ** (m + 1) // unit
        while lo < end:
            c = min((lo * (1 + r)).__floor__(), end - 1)
            after = (c / (1 - r)).__floor__() + (unit == 1)
            runs.append((lo * unit, c * unit, 1, 0))
            lo = after
    else:
        length = 2**m // 32
        for a in range(2**m, 2 ** (m + 1), length):
            k = (a * r).__floor__()
            whole, rest = divmod(length, 2 * k + 1)
            runs.append((a, a + k, whole, 2 * k + 1))
            if rest:
                first = a + whole * (2 * k + 1)
                runs.append((first, min(first + k, a + length - 1), 1, 2 * k + 1))
    return r, runs


class Relative:
    """What indices mean, from the definition in rational numbers."""

    def __init__(self, delta, rtol, m):
        self.m, self.emax = m, EMAX[m]
        bias = self.emax // 2
        r, self.runs = octave(rtol, m)
        self.B = sum(n for _, _, n, _ in self.runs)
        self.E0, self.U = 1, 0
        if delta:
            while self.E0 <= self.emax and Fraction(2) ** (self.E0 - bias) * r < Fraction(delta) / 2:
                self.E0 += 1
            self.U = 2**53
            if self.E0 <= self.emax:
                self.U = min(self.U, int(np.ceil(np.float64(2) ** (self.E0 - bias) / np.float64(delta))))
        self.last = self.U + self.B * max(0, self.emax - self.E0 + 1)

    def bits(self, u, array):
        """The bits of the value without its sign."""
        if u <= self.U:
            return int.from_bytes(multiples([u], array).tobytes(), "little")
        E, i = self.E0 + (u - self.U - 1) // self.B, (u - self.U - 1) % self.B
        if E > self.emax:
            return self.emax + 1 << self.m
        for _, centre, n, width in self.runs:
            if i < n:
                return (E << self.m) + centre + i * width - 2**self.m
            i -= n


def relative(rng, n, array, moved):
    W = 8 * array.type.size
    table = Relative(array.delta, array.rtol, array.type.m)
    folded, X, top = chance(rng, 0.7), None, 2**64 - 1
    if chance(rng, 0.85):
        anywhere = rng.integers(table.last, endpoint=True, dtype="u8")
        places = [0, table.U, table.U + 1, table.last, table.last + 1, table.U + table.B, anywhere, 2**63, top]
        scale = 2 ** int(rng.integers(1, 50))
        near = [int(places[rng.integers(len(places))]) for _ in range(3)]
        X, n_places = [], int(rng.choice([1, 3]))
        for _ in range(n):
            u = near[rng.integers(n_places)] + int(rng.integers(-scale, scale))
            u = min(max(u, 0), top >> folded)
            X.append(2 * u + int(rng.integers(2)) if folded else u)
    out, X, refused = wide(rng, n, array, moved, folded, X)
    u, signs = [int(x) >> folded for x in X], [int(x) & 1 if folded else 0 for x in X]
    bits = [table.bits(x, array) | s << W - 1 for x, s in zip(u, signs, strict=True)]
    fine = table.runs[0][3] > 0
    array.seen |= {
        f"relative {array.type.value} {'fine' if fine else 'coarse'}{' delta' if array.delta else ''}",
        "E0 clamped" if array.delta and table.E0 == 1 else "E0 > emax" if table.E0 > table.emax else "E0",
        *(("uniform u",) if min(u) <= table.U else ()), *(("octave u",) if max(u) > table.U else ()),
        *(("infinite u",) if max(u) > table.last else ()), *(("u of 64 bits",) if max(u) >= 2**63 else ()),
    }  # fmt: skip
    return out, placed([x.to_bytes(array.type.size, "little") for x in bits], refused)


# ---- affine lattices ----
def random_parameter(rng, A):
    info = np.finfo(A)
    values = [info.tiny, info.max, info.smallest_subnormal, 0.01, 65535, 1, 2.0**-20]
    values += [float(np.exp(rng.normal() * 4)) for _ in range(6)]
    return A(rng.choice(values)) * A(rng.choice([-1, 1]))


def random_lattice(rng, array):
    """A lattice: its bytes, and a function from an array of its numbers to their values."""
    A = [np.float64, np.float32][rng.integers(2)]
    there = [chance(rng, 0.5) for _ in range(4)]
    parameters = [random_parameter(rng, A) if yes else None for yes in there]
    base = int(rng.choice([0, 2**31 - 1, -(2**31), rng.integers(-1000, 1000), rng.integers(-(2**31), 2**31)]))
    array.seen |= {f"affine {A.__name__} in {array.type.value}"}
    array.seen |= {f"affine parameter {i} {yes}" for i, yes in enumerate(there)}
    array.seen |= {"affine wraps"} if abs(base) > 2**30 else set()
    formula = (A is np.float32) | sum(yes << i + 1 for i, yes in enumerate(there))
    out = bytes([formula]) + b"".join(x.tobytes() for x in parameters if x is not None) + varint(zigzag(base))

    def values(numbers):
        with np.errstate(all="ignore"):
            y = (np.array(numbers, "i8") + base).astype("i4").astype(A)
            for x, operation in zip(parameters, (np.divide, np.multiply, np.add, np.multiply), strict=True):
                y = y if x is None else operation(y, x)
            return y.astype(array.type.value)

    return out, values


def affine(rng, n, array):
    with_uniform = bool(array.delta) and chance(rng, 0.6)
    number = int(rng.choice([1, 1, 2, 15, rng.integers(1, 16)]))
    lattices = [random_lattice(rng, array) for _ in range(number)]
    heads = b"".join(head for head, _ in lattices)
    meanings = [lambda numbers: multiples(numbers, array)] * with_uniform + [values for _, values in lattices]
    n_units, coding = -(-n // 64), int(rng.integers(3)) if len(meanings) > 1 else 0
    sequence_bytes, sequence = class_sequence(rng, n_units, len(meanings), coding)
    wanted = None
    if chance(rng, 0.5):
        wanted = rng.integers(-(2 ** int(rng.integers(1, 30))), 2 ** int(rng.integers(1, 30)), n).tolist()
    tail, integers, refused, _ = section(rng, n, array.type.size, wanted)
    found = []
    for i, lattice in enumerate(sequence):
        found += cut(meanings[lattice](integers[64 * i : 64 * i + 64]))
    array.seen |= {f"affine uniform {with_uniform}", f"affine sequence {coding if len(meanings) > 1 else 'none'}"}
    head = bytes([number | coding << 4 | (not with_uniform) << 6])
    return head + heads + sequence_bytes + tail, placed(found, refused)


# ---- predicted values ----
# Whole grids at once, as strided parts of arrays (outer, axis 0, 1, 2, inner); reference.py goes place by place.
LEAST = [0, 1] + [round(8 * 2 ** (i / 2)) for i in range(22)]  # of the bins of neighbourhoods, 64 fold
CLASS_ORDER = (4, 2, 1, 6, 5, 3, 7)
FOLDS = (1, 7, 17)
QUARTERS = [(i, 0) for i in range(5)] + [(4, 2), (4, 3), (4, 4)]  # of trust and damping
Rule = namedtuple("Rule", "cubic weights trust")
Context = namedtuple("Context", "k K lo table symbols")


def wrapped(x):
    """Modulo 2^32, in two's complement."""
    return (x + 2**31) % 2**32 - 2**31


def axes_in_values(axes, parts):
    """The axes of a block as *Predicted values* has them: without those of length 1, and not more than four."""
    axes = [int(n) for n in axes if n != 1] or [1]
    axes = [int(np.prod(axes[: max(len(axes) - 3, 1)])), *axes[max(len(axes) - 3, 1) :]]
    if parts > 1:
        axes = [*([axes[0] * axes[1], *axes[2:]] if len(axes) == 4 else axes), parts]
    return axes


def random_pyramid(rng, array):
    """First axis, number of axes, lengths (outer, three axes, inner), and levels."""
    c = int(rng.integers(1, min(3, len(array.axes)) + 1))
    first = int(rng.integers(len(array.axes) - c + 1))
    middle, behind = array.axes[first : first + c], array.axes[first + c :]
    lengths = (int(np.prod(array.axes[:first])), *[1] * (3 - c), *middle, int(np.prod(behind)))
    return first, c, lengths, int(rng.choice([0, 1, 2, 3, 3, rng.integers(16)]))


def odd_axes(k):
    return [axis for axis in range(3) if k >> axis & 1]


def class_slices(level, k):
    """Where a class is along the three axes; the coarse grid, if k = 0."""
    return tuple(slice((k >> axis & 1) << level, None, 2 << level) for axis in range(3))


def random_rules(rng, lengths, levels, has_trust):
    """Rules by level and class, and their bit string."""
    out, rules = Bits(), {}
    for level in reversed(range(levels)):
        is_same = level + 1 < levels and chance(rng, 0.3)
        if level + 1 < levels:
            out.put(is_same, 1)
        for k in range(1, 8):
            rules[level, k] = rules[level + 1, k] if is_same else Rule(0, [0] * len(odd_axes(k)[1:]), 0)
            places = [range(n)[part] for n, part in zip(lengths[1:4], class_slices(level, k), strict=True)]
            if is_same or not all(places):
                continue
            weights = [int(rng.choice([0, 16, 8, rng.integers(17)])) for _ in odd_axes(k)[1:]]
            rule = Rule(int(rng.integers(2)), weights, int(rng.integers(8)) if has_trust else 0)
            rules[level, k] = rule
            out.put(rule.cubic, 1)
            for weight in weights:
                out.put(weight, 5)
            out.put(rule.trust, 3 if has_trust else 0)
    return rules, out.bytes()


def bits_of_bin(h, m):
    """Raw bits of a bin of residuals, without k."""
    return max(0, (h if h >= 0 else -1 - h) // 2**m - 1)


def random_contexts(rng, number, prob_bits, m):
    """Contexts, and the bytes of their heads and tables."""
    contexts, heads, packed = [], b"", Bits()
    while len(contexts) < number:
        K = int(rng.choice([1, 2, 64, rng.integers(1, 65)]))
        lo = int(rng.choice([-(K // 2), -(K // 2), rng.integers(-128, 129 - K)]))
        k = int(rng.choice([0, 0, 25, rng.integers(26)]))
        if max(bits_of_bin(lo, m), bits_of_bin(lo + K - 1, m)) + k > (25 if K > 1 else 0):
            continue
        is_curve, table = K > 1 and chance(rng, 0.25), None
        if K > 1:
            put = random_curve(rng, packed, K, prob_bits) if is_curve else None
            table = put or put_table(rng, packed, random_table(rng, K, prob_bits))
        heads += bytes([k, K - 1 | is_curve << 6]) + struct.pack("b", lo)
        contexts.append(Context(k, K, lo, table, np.flatnonzero(table) if K > 1 else [0]))
    return contexts, heads + packed.bytes()


def along_axis(grid, axis, n):
    """What a, b, c and d of *Finer grids* are along an axis, for the n places between those of a grid."""
    grid, found = np.moveaxis(grid, axis, 0), []
    for i in range(n):
        b, a = grid[i], grid[i - 1] if i else None
        c = grid[i + 1] if i + 1 < len(grid) else b if a is None else wrapped(2 * b - a)
        d = grid[i + 2] if i + 2 < len(grid) else wrapped(2 * c - b)
        found.append((wrapped(2 * b - c) if a is None else a, b, c, d))
    return [np.moveaxis(np.array(x), 0, axis) for x in zip(*found, strict=True)]


def by_rule(R, level, k, rule, shape):
    """What a rule predicts for a class (of this shape) of one outer index."""
    predictions = []
    for axis in reversed(odd_axes(k)):
        a, b, c, d = along_axis(R[class_slices(level, k & ~(1 << axis))], axis, shape[axis])
        if rule.cubic:
            predictions.append(wrapped(b + (wrapped(9 * c - 7 * b - a - d + 8) >> 4)))
        else:
            predictions.append(wrapped(b + (wrapped(c - b + 1) >> 1)))
    p, *others = predictions
    if not others:
        return p
    return wrapped(p + (wrapped(sum(w * (q - p) for w, q in zip(rule.weights, others, strict=True)) + 8) >> 4))


def reference_of(R, o, kind):
    """The last outer index, or a mean of those before, 16 fold; and how many bits that is."""
    if kind == 1:
        return R[o - 1], 0
    M = wrapped(16 * R[0])
    for i, before in enumerate(R[1:o]):  # halves, quarters, quarters, eighths ..., or quarters from the start
        weight = 2 if kind == 2 else min(4, int(np.log2(i + 1)) + 1)
        M = wrapped(M + (wrapped(16 * before - M) >> weight))
    return M, 4


def beside(row, by):
    """A row of places, moved by one; where it ends, as it is."""
    moved = np.roll(row, -by, axis=0)
    end = -1 if by > 0 else 0
    moved[end] = row[end]
    return moved


def sum_before(R, o, i, j, along):
    """B of *Coarsest grid* for a row; R has that grid alone."""
    there = [axis for axis, bit, at in ((0, 8, o), (1, 1, i), (2, 2, j)) if along & bit and at]
    B = np.zeros(R.shape[3:], "i8")
    for some in range(1, 1 << len(there)):
        at = [o, i, j]
        for bit, axis in enumerate(there):
            at[axis] -= some >> bit & 1
        B += R[tuple(at)] * (1 if some.bit_count() % 2 else -1)
    return B


# Neighbours of a stencil: (planes before, rows and places behind) in the plane, and in planes before.
STENCIL = [(0, -1, -2), (0, -1, -1), (0, -1, 1), (0, -1, 2), (0, -2, 0)]
STENCIL_BEFORE = [
    (1, 0, 0), (1, 0, -1), (1, 0, 1), (1, 0, 2), (1, 1, 0), (1, 1, -1), (1, -1, 0), (1, -1, -1), (2, 0, 0), (2, 0, -1),
]  # fmt: skip


def random_stencil(rng, along):
    n = len(STENCIL) + len(STENCIL_BEFORE) * ((along & 1) + (along >> 3))
    return rng.choice([0, 2**10, -(2**10), 2**15 - 1, -(2**15), *rng.integers(-(2**10), 2**10, 5)], n)


def stencil_before(R, o, i, j, along, weights, masked):
    """B of *Stencil* for a row."""
    near = [(0, *at) for at in STENCIL] + [(1, *at) for at in STENCIL_BEFORE] * (along & 1)
    near += [(2, *at) for at in STENCIL_BEFORE] * (along >> 3)
    above, total = R[o, i, j - 1], 1 << 9
    for weight, (axis, planes, row, place) in zip(weights.tolist(), near, strict=True):
        x = (o - planes * (axis == 2), i - planes * (axis == 1), j + row)
        if min(x) >= 0 and x[2] < R.shape[2]:
            places = np.clip(np.arange(R.shape[3]) + place, 0, R.shape[3] - 1)
            total = total + weight * wrapped(R[x][places] - above)
    steps = np.where(masked[o, i, j], 0, wrapped(total) >> 10)
    return wrapped(np.cumsum(steps, axis=0) + above[:1])


class Residuals:
    """Draws residuals in the order of the stream, and keeps what a decoder needs for them."""

    def __init__(self, rng, contexts, lanes, m, often):
        self.rng, self.contexts, self.lanes, self.m, self.often = rng, contexts, lanes, m, often
        self.raw, self.steps, self.outside, self.at = Bits(), [], {}, 0

    def piece(self, found, masked):
        """Those of a piece with these contexts."""
        v, rng, lane = [], self.rng, 0
        for i, (c, is_masked) in enumerate(zip(found, masked, strict=True)):
            context, x, lane = self.contexts[c], 0, lane if i % 256 else 0
            if not is_masked:
                token = int(rng.choice(context.symbols))
                h = context.lo + token
                a, e = h if h >= 0 else -1 - h, bits_of_bin(h, self.m)
                raw = int(rng.integers(1 << e + context.k))
                x = (a - e * 2**self.m << e + context.k) + raw
                x = x if h >= 0 else -1 - x
                if context.K > 1:
                    self.raw.put(raw, e + context.k)
                    self.steps.append((lane % self.lanes, context.table, token))
                    lane += 1
            if chance(rng, self.often):
                x = int(rng.choice([0, 2**30, -(2**30), rng.integers(-300, 300), rng.integers(-(2**30), 2**30)]))
                self.outside[self.at] = x
            self.at += 1
            v.append(x)
        return v


def random_taps(rng):
    """Bytes, taps and shift of linear prediction."""
    order, shift, width = int(rng.integers(1, 33)), int(rng.integers(1, 25)), int(rng.integers(2, 28))
    taps = rng.integers(-(1 << width - 1), 1 << width - 1, order).tolist()
    out = Bits()
    for tap in taps:
        out.put(tap % (1 << width), width)
    return bytes([order - 1, shift, width]) + out.bytes(), taps, shift


def predicted(rng, bits, array, is_split=False):
    """All values of a block; those whose bits are set are masked, and what they become is of no use but to others.

    Of a split: integers, and what is refused.
    """
    whole = is_split or not array.type.m
    first, c, lengths, levels = random_pyramid(rng, array)
    fold = 0 if whole or array.type.m not in (23, 52) else int(rng.integers(3))
    unit, reference, along = FOLDS[fold], int(rng.integers(4)), int(rng.integers(16))
    linear = reference == 1 and not levels
    stencil = random_stencil(rng, along := along | 2) if reference > 1 and not levels else None
    if linear:
        along = 0
    rules, rules_bytes = random_rules(rng, lengths, levels, reference > 0)
    what = 2 if stencil is not None else reference  # without levels no reference, but this
    base = int(rng.choice([0, 2**63 - 1, -(2**63), rng.integers(-300, 300), rng.integers(-(2**63), 2**63)]))
    out = varint(zigzag(base)) if whole else b""
    out += bytes([first | c << 2 | fold << 4 | what << 6, levels | along << 4])
    units = [unit] * lengths[0]
    if linear:
        rules_bytes, taps, tap_shift = random_taps(rng)
    elif stencil is not None:
        rules_bytes = stencil.astype("<i2").tobytes()
    elif fold and reference:
        units[0] = int(rng.choice([1, unit, 2 * rng.integers((unit + 1) // 2) + 1]))
        out += bytes([units[0]])
    out += rules_bytes
    lanes_code, prob_code, m = int(rng.integers(5)), int(rng.integers(4)), int(rng.integers(4))
    number, own, shift = int(rng.choice([1, 2, 8, rng.integers(1, 9)])), chance(rng, 0.5), int(rng.integers(8))
    shift, coarsest_too = int(rng.choice([0, shift])), chance(rng, 0.5)
    first_bins = np.sort(rng.choice(np.arange(1, 24), number - 1, replace=False)).tolist()
    contexts, contexts_bytes = random_contexts(rng, number + own, 10 + prob_code, m)
    residuals = Residuals(rng, contexts, 4 << lanes_code, m, rng.choice([0, 0, 0.03]))
    corrections, corrected = {}, rng.choice([0, 0.03]) if fold else 0

    R, magnitude = np.zeros(lengths, "i8"), np.zeros(lengths, "i8")
    masked = np.array(bits, bool).reshape(lengths)

    def one_piece(near, in_coarsest, masked_rows):
        """Residuals and corrections of some rows, by (row, place, inner), from what is near: (weight, magnitudes)."""
        weight = sum(w for w, _ in near)
        total = sum((w * x.astype("i8") for w, x in near), np.zeros(masked_rows.shape, "i8"))
        limits = [-(-LEAST[b] * weight // 64) for b in first_bins]
        found = sum(((total >= least).astype(int) for least in limits), np.zeros(masked_rows.shape, int))
        if own and in_coarsest:
            found[:] = number
        elif not weight:
            found[:] = number - 1
        at = residuals.at
        v = residuals.piece(found.ravel().tolist(), masked_rows.ravel().tolist())
        names = {"own"} if own and in_coarsest else set(found.ravel().tolist())
        array.seen.update(f"predicted context {name}" for name in names)
        more = np.where(rng.random(len(v)) < corrected, rng.choice([-8, 8, *range(-8, 0), *range(1, 9)], len(v)), 0)
        corrections.update({at + i: int(more[i]) for i in np.flatnonzero(more).tolist()})
        return np.reshape(v, masked_rows.shape), more.reshape(masked_rows.shape)

    def rows_together(shape, with_short):
        """The rows of every piece of a grid: (axis 0, part of axis 1), and whether short ones stand together."""
        length = shape[2] * shape[3]
        together = length < 128 and with_short
        rows = 1024 // length if together else 1
        array.seen.add(f"rows of {'short' if length < 128 else 'long'} pieces: {together}")
        parts = [slice(j, min(j + rows, shape[1])) for j in range(0, shape[1], rows)]
        return [(i, part) for i in range(shape[0]) for part in parts], together

    def rows_before(magnitudes, o, i, part, together):
        near = []
        if part.start and not together:
            before = magnitudes[o, i, part.start - 1]
            near += [(6, before), (3, beside(before, -1)), (3, beside(before, 1))]
        near += [(6, magnitudes[o, i - 1, part])] if i else []
        return near + ([(6, magnitudes[o - 1, i, part])] if o else [])

    every = tuple(slice(None, None, 1 << levels) for _ in range(3))
    Rs, magnitudes, masks = (x[:, *every] for x in (R, magnitude, masked))
    for o in range(lengths[0]):
        coarsest_pieces, together = rows_together(Rs.shape[1:], coarsest_too)
        for i, part in coarsest_pieces:
            near = rows_before(magnitudes, o, i, part, together)
            for j, v, more in zip(range(part.start, part.stop), *one_piece(near, True, masks[o, i, part]), strict=True):
                S = np.cumsum(v, axis=0) if along & 4 else v
                for t in range(len(v)) if linear else ():
                    total = sum(tap * Rs[o, i, j, t - 1 - k] for k, tap in enumerate(taps[:t]))
                    Rs[o, i, j, t] = wrapped((total + (1 << tap_shift - 1) >> tap_shift) + unit * v[t] + more[t])
                if not linear:
                    if stencil is not None and j:
                        B = stencil_before(Rs, o, i, j, along, stencil, masks)
                    else:
                        B = sum_before(Rs, o, i, j, along)
                    Rs[o, i, j] = wrapped(B + units[o] * wrapped(S) + more)
                magnitudes[o, i, j] = np.minimum(255, np.abs(v) >> shift)
    for level in reversed(range(levels)):
        for o in range(lengths[0]):
            for k in CLASS_ORDER:
                own_places = class_slices(level, k)
                Rs, magnitudes, masks = (x[:, *own_places] for x in (R, magnitude, masked))
                if not Rs.size:
                    continue
                rule, shape = rules[level, k], Rs.shape[1:]
                predictions = by_rule(R[o], level, k, rule, shape)
                if reference and o and rule.trust:
                    M, g = reference_of(R, o, reference)
                    expected, (trust, damping) = by_rule(M, level, k, rule, shape), QUARTERS[rule.trust]
                    differs = trust * (M[own_places] - expected) + damping * (expected - predictions * 2**g)
                    predictions = wrapped(predictions + (wrapped(differs + (2 << g)) >> g + 2))
                    array.seen.add(f"predicted trust {rule.trust} in {reference}")
                parents = []
                for axis in odd_axes(k):
                    grid = np.moveaxis(magnitude[o][class_slices(level, k & ~(1 << axis))], axis, 0)
                    behind = np.concatenate([grid[1:], grid[-1:]])
                    parents += [np.moveaxis(x[: shape[axis]], 0, axis) for x in (grid, behind)]
                class_pieces, together = rows_together(shape, True)
                for i, part in class_pieces:
                    near = [(6 // k.bit_count(), x[i, part]) for x in parents]
                    v, more = one_piece(near + rows_before(magnitudes, o, i, part, together), False, masks[o, i, part])
                    Rs[o, i, part] = wrapped(predictions[i, part] + units[o] * v + more)
                    magnitudes[o, i, part] = np.minimum(255, np.abs(v) >> shift)

    refused_list, refused = random_refused(rng, len(bits), array.type.size) if array.type.m else (b"", {})
    outside = residuals.outside
    has_lists = bool(outside or corrections or refused)
    kinds = number - 1 | own << 3 | shift << 4 | coarsest_too << 7
    out += bytes([lanes_code | prob_code << 3 | m << 5 | has_lists << 7, kinds])
    out += bytes(first_bins) + contexts_bytes
    if has_lists:
        out += varint(len(outside)) + varint(len(corrections)) + varint(len(refused))
        lists = [put_outside(rng, outside) if outside else b"", put_corrections(rng, corrections), refused_list]
        out += b"".join(varint(len(part)) + part for part in lists if part)
    raw_bits = residuals.raw.bytes()
    out += varint(len(raw_bits)) + raw_bits
    if residuals.steps:
        states, words, _ = rans(residuals.steps, 4 << lanes_code, 10 + prob_code)
        out += states + words
    kind = "linear" if linear else f"reference {reference}" if stencil is None else "stencil"
    named = {"outside": outside, "corrections": corrections, "refused": refused}
    array.seen |= {
        f"predicted levels {min(levels, 4)}", f"predicted {kind}",
        f"predicted fold {fold}", f"predicted first unit {units[0]} of {unit}",
        f"predicted {c} of {len(array.axes)} axes", f"predicted m {m}", f"predicted tokens {bool(residuals.steps)}",
        *(f"predicted {name}" for name, some in named.items() if some),
    }  # fmt: skip
    if is_split:
        return out, [base + x for x in R.ravel().tolist()], refused
    if whole:
        return out, integers_of([base + x for x in R.ravel().tolist()], array)
    lattice = SimpleNamespace(type=array.type, delta=array.delta / unit)
    return out, placed(cut(multiples(R.ravel().tolist(), lattice)), refused)


def split_values(rng, bits, array):
    """The same, of integers that leave bits out."""
    m, W = array.type.m, 8 * array.type.size
    rest, K, refused = predicted(rng, bits, array, is_split=True)
    kind = 1 if m not in (23, 52) else int(rng.integers(4))
    if kind == 2:
        head, meaning = random_lattice(rng, array)
        values, adjustments = cut(meaning([wrapped(x) for x in K])), b""
        if chance(rng, 0.5):
            adjustments, units, _, _ = section(rng, len(K), 0, rng.integers(-127, 128, len(K)).tolist())
            images = [image_of(value) + unit for value, unit in zip(values, units, strict=True)]
            values = [value_of_image(image, W // 8) for image in images]
        array.seen |= {f"split 2 of {array.type.dtype}", f"split 2 adjusted {bool(adjustments)}"}
        return b"\2" + head + varint(len(adjustments)) + adjustments + rest, placed(values, refused)
    if kind == 3:
        return decimal_values(rng, bits, K, refused, rest, array)
    least, most = (0, min(56, W - 1)) if kind else (-149, 127) if m == 23 else (-960, 960)
    s = int(rng.choice([least, most, rng.integers(least, most + 1)]))
    idle = 0 if kind else int(rng.choice([0, 0, m, rng.integers(m + 1)]))
    m -= idle
    left_out, small, values = Bits(), Bits(), []
    for x, is_masked in zip(K, bits, strict=True):
        k = wrapped(x)
        if not kind and not k:
            values.append(bytes(array.type.size) if is_masked else small_value(rng, s, m, small, array))
            continue
        w = s if kind else 0 if k == 0 or abs(k) >> m else m - int(np.log2(abs(k)))
        u = 0 if is_masked else int(rng.choice([0, 2**w - 1, rng.integers(2**w)]))
        left_out.put(u, 0 if is_masked else w)
        if not kind:
            x = np.ldexp(float(abs(k) << w | u), s - w) * (-1 if k < 0 else 1)
            with np.errstate(over="ignore"):
                values.append(x.astype(f"<f{array.type.size}").tobytes())
            continue
        values.append(value_of_image(((x << s) + u + 2**63) % 2**64 - 2**63, W // 8))
    where = {least: "least", most: "most"}.get(s, "some")
    array.seen |= {f"split {kind} of {array.type.dtype}", f"split at {where} of {kind}"}
    some, codes = left_out.bytes(), small.bytes()
    sizes = varint(len(some)) + (b"" if kind else varint(len(codes)))
    head = bytes([kind] + [idle] * (not kind)) + varint(zigzag(s))
    return head + sizes + some + codes + rest, placed(values, refused)


def decimal_values(rng, bits, K, refused, rest, array):
    """The same, of decimals without their lowest digits."""
    places = int(rng.choice([0, 22, 23, 50, rng.integers(51)]))  # 10^22 is the last one that is a double
    digits, left = int(rng.choice([0, 15, rng.integers(16)])), int(rng.choice([0, 15, rng.integers(16)]))
    left_out, values = Bits(), []
    for x, is_masked in zip(K, bits, strict=True):
        k = wrapped(x)
        low = np.float64(k if k >= 0 else -1 - k)
        length = sum(low >= 10.0**i for i in range(10))  # its digits
        zeros = max(0, min(left, int(length) + left - digits)) if digits and length else 0
        w = int(np.ceil(np.log2(10.0 ** (left - zeros))))
        u = 0 if is_masked else int(rng.choice([0, 2**w - 1, rng.integers(2**w)]))
        left_out.put(u, 0 if is_masked else w)
        number = (k * 10**left + u * 10**zeros + 2**63) % 2**64 - 2**63
        x = float(Fraction(abs(number) % 2**53, 10**places)) * (-1 if number < 0 else 1)
        values.append(np.array(x).astype(f"<f{array.type.size}").tobytes())
        array.seen |= {f"decimals with {zeros} zeros", f"decimals with {length} digits"}
    array.seen |= {f"decimals {name}" for name in (f"of {places} places", f"of {digits} digits", f"without {left}")}
    array.seen.add(f"split 3 of {array.type.dtype}")
    some = left_out.bytes()
    head = bytes([3, places, digits]) + varint(zigzag(left)) + varint(len(some))
    return head + some + rest, placed(values, refused)


def image_of(value):
    """The integer of a float whose order is that of floats."""
    bits, sign = int.from_bytes(value, "little"), 1 << 8 * len(value) - 1
    return sign - 1 - bits if bits & sign else bits


def value_of_image(image, size):
    magnitude = (image if image >= 0 else -1 - image) % 2 ** (8 * size - 1)
    return (magnitude | (image < 0) << 8 * size - 1).to_bytes(size, "little")


def small_value(rng, s, m, out, array):
    """One whose integer is 0: its code goes to a bit string."""
    size, c = array.type.size, int(rng.choice([0, 1, 32, 33, rng.integers(34)]))
    out.put(1 << c, c + 1)
    array.seen.add(f"small value {c}")
    if c == 33:
        value = rng.bytes(size)
        out.put(int.from_bytes(value, "little"), 8 * size)
        return value
    if not c:
        return bytes(size)
    f, negative = int(rng.choice([0, 2**m - 1, rng.integers(2**m)])), chance(rng, 0.5)
    out.put(negative | f << 1, m + 1)
    return (np.ldexp(float(f | 1 << m), s - c - m) * (-1 if negative else 1)).astype(f"<f{size}").tobytes()


def integers_of(X, array):
    """What integers modulo 2^64 mean: themselves, or their multiples, at most as large as the type has them."""
    W, step = 8 * array.type.size, 2 * array.T + 1
    if array.T:
        low, high = (-(2 ** (W - 1)), 2 ** (W - 1) - 1) if array.type.value[0] == "i" else (0, 2**W - 1)
        X = [min(max(((x + 2**63) % 2**64 - 2**63) * step, low), high) for x in X]
    return [(x % 2**W).to_bytes(array.type.size, "little") for x in X]


def put_corrections(rng, corrections):
    """A list of corrections, which are given by position; nothing if there are none."""
    r, out, before = int(rng.choice([0, 17, rng.integers(18)])), Bits(), -1
    for at, x in sorted(corrections.items()):
        put_gap(out, at - before - 1, r)
        out.put(x + 8 if x < 0 else x + 7, 4)
        before = at
    return bytes([r]) + out.bytes() if corrections else b""


# ---- fine values ----
def random_fine(rng, values, array):
    """A list of fine values for a block of these, and the values with them; nothing if there are none."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        x = numbers_of(values, array).astype("f8")
    r, out = int(rng.choice([0, 17, rng.integers(18)])), Bits()
    values, next_at, often, n = list(values), 0, rng.choice([0.05, 0.5, 1]), 0
    limits = [2**30 + 1] + ([2**26] * 2 if array.type.m == 52 else [40960, 34816])
    for at in np.flatnonzero(rng.random(len(values)) < often).tolist():
        fold = int(rng.integers(3))
        width, limit, step = (2, 4, 5)[fold], limits[fold], array.delta / FOLDS[fold]
        b = int(rng.choice([0, 2**width - 1, rng.integers(2**width)]))
        with np.errstate(all="ignore"):
            R = np.rint(x[at] * (np.float64(1) / step)) + b - 2 ** (width - 1)
        if not abs(R) < limit:
            continue
        put_gap(out, at - next_at, r)
        out.put(fold | b << 2, 2 + width)
        values[at] = multiples([R + 0.0], SimpleNamespace(type=array.type, delta=step)).tobytes()
        array.seen |= {f"fine {fold} of {array.type.value}"} | ({"fine at the limit"} if limit - abs(R) < 99 else set())
        next_at, n = at + 1, n + 1
    lists = bytes([r]) + out.bytes()
    return varint(n) + varint(len(lists)) + lists if n else b"", values


# ---- masks ----
def split(rng, total, most):
    """Random lengths that sum to a number."""
    while total:
        length = int(rng.integers(1, min(total, most) + 1))
        yield length
        total -= length


def random_mask(rng, bits, array):
    """A mask of these bits: its bytes, and the values that it masks in order."""
    M = sum(bits)
    p = int(rng.choice([1, 2, 16, rng.integers(1, 17)]))
    patterns = [random_value(rng, array.type.size) for _ in range(p)]
    out, masked = varint(M) + bytes([p]) + b"".join(patterns), patterns * M if p == 1 else []
    if p > 1:
        for length in split(rng, M, int(rng.choice([1, 5, 1000]))):
            pattern = int(rng.integers(p))
            out += varint(16 * (length - 1) + pattern)
            masked += [patterns[pattern]] * length
    array.seen |= {f"patterns {p}", "all masked" if M == len(bits) else "some masked"}
    return out + (put_bitmap(rng, bits, array) if M < len(bits) else b""), masked


def random_copies(rng, bits, array):
    """Some copies among the values that are not masked: their bytes, and their distances by position."""
    free = [i for i, b in enumerate(bits) if not b and i]
    most = len(free) if not bits[0] else len(free) - 1
    number = int(rng.choice([1, most, rng.integers(1, most + 1)]))
    found, lengths, below = {}, [], Bits()
    for at in np.sort(rng.choice(free, number, replace=False)).tolist():
        distance, b = found[max(found)] if found else 0, 0
        if not 0 < distance <= at or chance(rng, 0.7):
            furthest = min(at, 2**16 - 1)
            distance = int(rng.choice([1, furthest, rng.integers(1, furthest + 1)]))
            b = distance.bit_length()
            below.put(distance - 2 ** (b - 1), b - 1)
        found[at] = distance
        lengths.append(b)
    head = varint(number) + put_bitmap(rng, [i in found for i in range(len(bits))], array)
    lists = (section(rng, number, 0, lengths)[0], below.bytes())
    return head + b"".join(varint(len(part)) + part for part in lists), found


def random_order(rng, n, array):
    """An order: its bytes, and where in memory the values of the order are."""
    W = int(rng.choice([2, n // 2, rng.integers(2, n // 2 + 1), min(max(array.w, 2), n // 2)]))
    phase = int(rng.choice([0, 1, W - 1, rng.integers(W)]))
    kind = int(rng.integers(1, 4))
    lead = W - phase if phase else 0
    rows = (n - lead) // W
    matrix = np.arange(lead, lead + rows * W).reshape(rows, W)
    matrix = matrix.T if kind & 1 else matrix
    out, head = b"", kind
    if kind & 2:
        C, coding = int(rng.choice([2, 16, rng.integers(2, 17)])), int(rng.integers(3))
        out, classes = class_sequence(rng, matrix.shape[1], C, coding)
        head |= C - 1 << 2 | coding << 6
        matrix = np.concatenate([matrix[:, np.array(classes) == c] for c in range(C)], axis=1)
    array.seen.add(f"order {kind}" + " in part" * bool(lead and lead + rows * W < n))
    places = [np.arange(lead), matrix.ravel(), np.arange(lead + rows * W, n)]
    return varint(W) + varint(phase) + bytes([head]) + out, np.concatenate(places)


def put_bitmap(rng, bits, array):
    count, w, v = len(bits), array.w, array.v
    far = max(w, v, 1) + 1
    padded = np.concatenate([np.zeros(far, int), bits, np.zeros(64, int)])  # bit i is padded[far + i]

    def state(first, length):
        word = padded[far + first : far + first + length] if far + first >= 0 else []
        return 0 if not np.any(word) else 1 if np.all(word) else 2

    decisions, often = [], rng.choice([0, 0.2])  # (context, bit), in order

    def put_state(of, context, first, length):
        coded = 2 if chance(rng, often) else state(first, length)
        array.seen.add(f"context of {of}s {context}")
        if coded != state(first, length):
            array.seen.add(f"{of}, mixed, but is not")
        decisions.append(((of, "mixed", context), coded == 2))
        if coded < 2:
            decisions.append(((of, "ones", context), coded))
        return coded

    def put_byte(first, length):
        above, plane = state(first - w, length) if w >= 9 else 0, state(first - v, length) if v >= 8 else 0
        if put_state("byte", padded[far + first - 1] + 2 * above + 6 * plane, first, length) < 2:
            return
        for at in range(far + first, far + first + length):
            context = padded[at - 1] + (16 * padded[at - v] if v >= 8 else 0)
            if w >= 9:
                context += 2 * padded[at - w - 1] + 4 * padded[at - w] + 8 * padded[at - w + 1]
            array.seen.add(f"context of bits {context}")
            decisions.append((("bit", context), padded[at]))

    before = same = 0
    for start in range(0, count, 64):
        length = min(64, count - start)
        above, plane = state(start - w, length) if w >= 64 else 0, state(start - v, length) if v >= 64 else 0
        before = put_state("word", before + 3 * above + 9 * plane, start, length)
        if before == 2 and plane == 2:
            at = far + start
            context, is_same = same, np.array_equal(padded[at : at + length], padded[at - v : at - v + length])
            same = int(is_same and not chance(rng, often))
            array.seen.add(f"same {same} after {context}" if same == is_same else "same, but it is not said")
            decisions.append((("same", context), same))
        for first in range(start, start + length, 8) if before == 2 and not (plane == 2 and same) else ():
            put_byte(first, min(8, start + length - first))
    states, words, n = code_decisions(decisions)
    return states + varint(n) + words


def code_decisions(decisions):
    """State and words of (context, bit), with probabilities that adapt."""
    steps, chances = [], {}
    for context, bit in decisions:
        p, n = chances.get(context, (1 << 15, 0))
        f = min(max(p >> 4, 1), 4095)
        steps.append((0, [4096 - f, f], int(bit)))
        n = min(n + 1, 32)
        chances[context] = p + ((int(bit) << 16) - p) * (655360 // (10 * n + 6)) // 65536, n
    return rans(steps, 1, 12)


def random_bits(rng, count, array):
    """Where the values of an array are masked: rows and planes alike, more or less, blobs, nothing, all."""
    w, v = array.w or 37, array.v or 150
    i = np.arange(count)
    row = rng.random(w) < rng.random()
    shapes = [
        row[i % w], row[i % w] & ((i // w) % 3 > 0), (i % v) < v // 2, (i // 64) % 2 == 1, i % w < rng.integers(w + 1),
        np.zeros(count, bool), np.ones(count, bool), i // v % 2 == 0, rng.random(count) < rng.random(),
    ]  # fmt: skip
    lengths = rng.choice([1, 30, 64, 100, 200], count)
    shapes += [np.repeat(rng.random(count) < 0.5, lengths)[:count]] * 3
    noise = rng.random(count) < rng.choice([0, 0.01, 0.1])
    return shapes[rng.integers(len(shapes))] ^ noise


# ---- blocks and chunks ----
def random_block(rng, bits, array):
    """A block whose values are masked where bits are set, and its values as bytes."""
    count, with_mask, out, masked = len(bits), bool(sum(bits)), b"", []
    if with_mask:
        out, masked = random_mask(rng, bits, array)
    n, left_out, copied = count - len(masked), bits, {}
    modes = [0, 1, 3, 3, 3] + [6, 6] * (not array.type.m)
    if array.type.m and array.delta and not array.rtol:
        modes = [0, 1, 2, 2, 2, 2, 3, 6, 6, 6]
    if array.T or array.rtol:
        modes = [0, 1, 3, 4, 4, 4] + [6, 6] * (not array.type.m)
    if array.type.m in (23, 52) and not array.rtol:
        modes += [5, 5]
    if array.type.m:
        modes += [7, 7]
    mode = modes[rng.integers(len(modes))] if n else 0
    array.seen.add(f"mode {mode} of {array.type.dtype}" + " masked" * with_mask)
    places = None
    if mode and n >= 2 and chance(rng, 0.2):
        section_of_copies, copied = random_copies(rng, bits, array)
        out += section_of_copies
        left_out = [b or i in copied for i, b in enumerate(bits)]
        n -= len(copied)
        array.seen.add(f"copies in mode {mode}" + " masked" * with_mask)
    elif 2 <= mode < 6 and n >= 4 and not with_mask and chance(rng, 0.4):
        out, places = random_order(rng, n, array)
    if mode >= 6:  # all values keep their places
        rest, values = (predicted if mode == 6 else split_values)(rng, left_out, array)
        values = [value for value, b in zip(values, left_out, strict=True) if not b]
    elif mode < 3 or mode == 5:
        rest, values = {0: raw, 1: constant, 2: uniform, 5: affine}[mode](rng, n, array)
    else:
        kind = exact if mode == 3 else relative if array.rtol else lattice
        rest, values = kind(rng, n, array, with_mask or bool(copied) or places is not None)
    if places is not None:
        values = [values[i] for i in np.argsort(places).tolist()]
    masked, others, fine = iter(masked), iter(values), b""
    values = [None if i in copied else next(masked if b else others) for i, b in enumerate(bits)]
    for at, distance in copied.items():
        values[at] = values[at - distance]
    if mode in (2, 6) and array.type.m in (23, 52) and chance(rng, 0.4):
        fine, values = random_fine(rng, values, array)
        array.seen.add(f"fine in mode {mode}" + " masked" * with_mask + " in order" * (places is not None))
    head = bytes([mode | with_mask << 3 | (places is not None) << 4 | bool(fine) << 5 | bool(copied) << 6])
    return head + out + fine + rest, values


def random_shape(rng):
    if chance(rng, 0.1):  # rows and planes that fill words
        return [(4, 3, 130), (3, 2, 200), (130, 3, 4), (200, 2, 3), (9, 2, 64), (3, 5, 70)][rng.integers(6)]
    while True:
        shape = tuple(rng.choice([1, 2, 3, 4, 7, 20, 63, 64, 65, 130, 0] + [5] * 3, rng.integers(5)).tolist())
        if np.prod(shape, dtype=int) <= 700:
            return shape


def random_rtol(rng, m):
    least, limit = 2.0 ** -(m + 1), 2.0**-13
    places = [least, 0.999, 0.01, least * 3, limit, np.nextafter(limit, 0)]
    places += np.exp(rng.uniform(np.log(least), 0, 3)).tolist() + np.exp(rng.uniform(np.log(limit), 0, 3)).tolist()
    return min(max(float(rng.choice(places)), least), 0.99999)


def random_delta(rng, m, rtol):
    info = np.finfo("f8" if m == 52 else "f4")
    middle = float(np.exp(rng.normal() * (4 if m == 10 else 20)))
    places = [info.tiny, info.max, 1.0, 2.0**-9] + [middle] * 3 + [2.0**-30] * (m == 10)
    delta = float(np.dtype(info.dtype).type(rng.choice(places)))
    return 0.0 if chance(rng, 0.4 if rtol else 0.15) else delta


def set_neighbours(array, axes):
    """w and v of what has these axes, the slowest first."""
    array.w = array.type.parts * axes[-1] if len(axes) > 1 else 0
    array.v = array.type.parts * axes[-1] * axes[-2] if len(axes) > 2 else 0


def random_box(rng, axes, most):
    """Extents of boxes, of which there are at most so many."""
    while True:
        box = [int(rng.choice([n, n, -(-n // 2), rng.integers(1, n + 1)])) for n in axes]
        if np.prod([-(-n // b) for n, b in zip(axes, box, strict=True)]) <= most:
            return box


def places_of_boxes(axes, box):
    """Where the elements of every box are in memory order, in the shape of the box."""
    places = np.arange(np.prod(axes, dtype=int)).reshape(axes)
    for corner in np.ndindex(*(-(-n // b) for n, b in zip(axes, box, strict=True))):
        yield places[tuple(slice(i * b, i * b + b) for i, b in zip(corner, box, strict=True))]


def random_chunk(seed, code=None, blocks=None, seen=None):
    """A chunk and its array; of the given element type, with the given number of blocks (1), if they are given."""
    rng = np.random.default_rng(seed)
    code = code or list(TYPES)[rng.integers(len(TYPES))]
    kind = TYPES[code]
    array = SimpleNamespace(type=kind, delta=None, T=0, rtol=None, seen=set() if seen is None else seen)
    shape = random_shape(rng)
    while blocks and 0 in shape:
        shape = random_shape(rng)
    count = int(np.prod(shape, dtype=int))
    fortran = chance(rng, 0.5)
    axes = shape[::-1] if fortran else shape  # the slowest first
    set_neighbours(array, axes)
    big = kind.size > 1 and chance(rng, 0.4)
    dtype, unit, implied = np.dtype(kind.dtype), (0, 1), 0
    if code < 16:
        array.rtol = random_rtol(rng, kind.m) if chance(rng, 0.5) else None
        array.delta = random_delta(rng, kind.m, array.rtol)
    elif code < 24:
        bits = min(8 * kind.size, 63)
        top = int(rng.choice([2**bits - 1, 2 ** int(rng.integers(1, bits + 1)) - 1, rng.integers(1, 4)]))
        array.T = 0 if chance(rng, 0.2) else top
    if code in (25, 26):
        unit = int(rng.integers(14)), int(rng.choice([1, 25, 2**31 - 1]))
        unit = unit if unit[0] else (0, 1)
        dtype = np.dtype(f"{kind.dtype}[{unit[1]}{UNITS[unit[0]]}]") if unit[0] else dtype
    if code < 24:
        implied = 4 * chance(rng, 0.5)
    block_len = 0 if blocks else int(rng.choice([0, 1, 13, 64, 100, 128, rng.integers(1, 700), 2**17 - 1]))
    if block_len and count > 12 * block_len:
        block_len = -(-count // 12)
    length = block_len or max(count, 1)
    box = random_box(rng, axes, 1 if blocks else 12) if len(axes) > 1 and count and chance(rng, 0.4) else None
    runs = [np.arange(i, min(i + length, count)) for i in range(0, count, length)]
    cut = list(places_of_boxes(axes, box)) if box else runs
    flags = big | 2 * fortran | implied | 8 * bool(array.rtol) | 16 * bool(box)
    tol = None if implied else float(rng.choice([0.1, 7.3, 1e300]))
    more = {"T": array.T, "rtol": array.rtol, "unit": unit, "box": box}
    head = header(shape, code, flags, tol, array.delta, block_len, len(cut), **more)

    masked = random_bits(rng, kind.parts * count, array) & chance(rng, 0.6)
    bodies, values = [], [None] * (kind.parts * count)
    for places in cut:
        block_axes = places.shape if box else axes if len(cut) == 1 else [len(places)]
        array.axes = axes_in_values(block_axes, kind.parts)
        if box:
            set_neighbours(array, places.shape)
            array.seen |= {"short boxes"} if list(places.shape) != box else {f"boxes of {sum(b > 1 for b in box)} axes"}
        places = (kind.parts * places.reshape(-1, 1) + np.arange(kind.parts)).ravel()
        body, some = random_block(rng, masked[places].tolist(), array)
        bodies.append(body)
        for at, value in zip(places.tolist(), some, strict=True):
            values[at] = value
    flat = np.frombuffer(b"".join(values), f"V{kind.size}" if values else "V1")
    data = b"".join(x.tobytes()[::-1] for x in flat) if big else flat.tobytes()
    if big and dtype.name == "bfloat16":  # ml_dtypes has no byte orders
        dtype = np.dtype("u2")
    flat = np.frombuffer(bytearray(data), "u1").view(dtype.newbyteorder(">" if big else "<"))
    return reseal(head, *bodies), flat.reshape(shape, order="F" if fortran else "C")


def same(a, b):
    """Whether two arrays have the same type, shape, memory order and bytes."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    layouts = [(x.flags.c_contiguous, x.flags.f_contiguous) for x in (a, b)]
    return layouts[0] == layouts[1] and a.tobytes("A") == b.tobytes("A")


# ---- the reference against all this ----
def damaged(rng, chunk):
    """A chunk of one block with a few bytes of it changed, and its checksums right."""
    for size in range(len(chunk), 0, -1):  # where the block begins: the index has its size and checksum
        at = len(chunk) - size
        if at > 12 and chunk[at - 12 : at - 4] == struct.pack("<II", size, crc32c(chunk[at:])):
            break
    block = bytearray(chunk[at:])
    for _ in range(rng.choice([1, 1, 2, 4])):
        block[rng.integers(min(len(block), 40) if rng.random() < 0.5 else len(block))] ^= 1 << rng.integers(8)
    return reseal(chunk[:at], bytes(block))


FEATURES = {
    *(f"low bytes {b}" for b in range(8)), *(f"difference {d}" for d in range(4)), "low section",
    *(f"{what} {yes}" for what in ("shift", "base", "folded") for yes in (True, False)),
    *(f"patterns {p}" for p in range(1, 17)), "all masked", "some masked",
    *(f"context of words {c}" for c in range(27)), *(f"context of bytes {c}" for c in range(18)),
    *(f"context of bits {c}" for c in range(32)),
    *(f"same {same} after {before}" for same in (0, 1) for before in (0, 1)),
    "same, but it is not said", "word, mixed, but is not", "byte, mixed, but is not",
    *(f"edge {value}" for value in ("f4", "f2", bfloat16) if value), "clamped",
    *(f"relative {value} coarse{delta}" for value in ("f4", "f8", "f2", bfloat16) if value for delta in ("", " delta")),
    *(f"relative {value} fine{delta}" for value in ("f4", "f8") for delta in ("", " delta")),
    *(f"order {kind}{part}" for kind in (1, 2, 3) for part in ("", " in part")),
    *(f"affine {A} in {value}" for A in ("float32", "float64") for value in ("f4", "f8")), "affine wraps",
    *(f"affine parameter {i} {yes}" for i in range(4) for yes in (True, False)),
    *(f"boxes of {n} axes" for n in range(1, 5)), "short boxes",
    *(f"predicted levels {n}" for n in range(5)), *(f"predicted reference {n}" for n in range(4)),
    "predicted linear", "predicted stencil",
    *(f"predicted fold {n}" for n in range(3)), *(f"predicted m {m}" for m in range(4)),
    *(f"predicted first unit {n} of {unit}" for unit in (1, 7, 17) for n in range(1, unit + 1, 2)),
    *(f"predicted trust {code} in {n}" for n in range(1, 4) for code in range(1, 8)),
    *(f"fine {fold} of {value}" for fold in range(3) for value in ("f4", "f8")), "fine at the limit",
    "fine in mode 2", "fine in mode 2 masked", "fine in mode 2 in order", "fine in mode 6", "fine in mode 6 masked",
    *(f"predicted {c} of {n} axes" for n in range(1, 5) for c in range(1, min(n, 3) + 1)),
    *(f"predicted context {c}" for c in ("own", *range(8))), *(f"predicted tokens {yes}" for yes in (True, False)),
    "predicted outside", "predicted corrections", "predicted refused",
    *(f"split 1 of {value}" for value in ("f4", "f8", "f2", bfloat16) if value),
    *(f"split {kind} of f{size}" for kind in (0, 2, 3) for size in (4, 8)),
    "split 2 adjusted True", "split 2 adjusted False",
    *(f"decimals of {n} places" for n in (0, 22, 23, 50)), *(f"decimals of {n} digits" for n in (0, 15)),
    *(f"decimals without {n}" for n in (0, 15)), *(f"decimals with {n} zeros" for n in (0, 1, 15)),
    *(f"decimals with {n} digits" for n in range(11)),
    *(f"small value {c}" for c in range(34)),
    *(f"split at {where} of {kind}" for where in ("least", "most", "some") for kind in (0, 1)),
    *(f"copies in mode {mode}{mask}" for mode in range(1, 8) for mask in ("", " masked")),
    "rows of short pieces: True", "rows of short pieces: False", "rows of long pieces: False",
    *(f"affine uniform {yes}" for yes in (True, False)), *(f"affine sequence {c}" for c in ("none", 0, 1, 2)),
    *(f"varints of {value}{what}" for value in ("f4", "f8") for what in ("", " refused")), "varints of f4 edges",
    "E0 clamped", "E0 > emax", "E0", "uniform u", "octave u", "infinite u", "u of 64 bits",
    *(
        f"mode {mode} of {TYPES[code].dtype}{mask}"
        for mode, codes in [(0, TYPES), (1, TYPES), (2, range(1, 7)), (3, TYPES), (4, range(1, 24)), (5, (1, 2, 5, 6)),
                            (6, TYPES), (7, range(1, 7))]
        for code in codes
        for mask in ("", " masked")
        if code in TYPES
    ),
}  # fmt: skip


def main(number):
    import reference

    seen, refusals = set(), Counter()
    for i in range(number):
        chunk, expected = random_chunk([i], list(TYPES)[i % len(TYPES)], seen=seen)
        if not same(reference.decode(chunk), expected):
            sys.exit(f"chunk {i} is not what it should be")
    print(f"{number} chunks; never used: {sorted(FEATURES - seen) or 'nothing'}")
    for i in range(number):  # damage: refused, or some array, but no other error
        chunk, _ = random_chunk([i, 1], list(TYPES)[i % len(TYPES)], blocks=1)
        try:
            reference.decode(damaged(np.random.default_rng([i, 2]), chunk))
            refusals["accepted"] += 1
        except reference.Invalid as refusal:
            refusals[str(refusal)] += 1
    print(*(f"{n:6} {why}" for why, n in refusals.most_common()), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
