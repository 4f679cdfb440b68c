"""A second decoder of chunks, written from docs/format.md alone, to be read beside it.

Slow on purpose: one value at a time, in plain integers, no tables of slots, no lanes in step.  It
shares nothing with the package; the tests hold both to the same arrays and the same refusals.
"""

import bz2
import itertools
import lzma
import math
import struct
import zlib
from collections import namedtuple
from fractions import Fraction

import numcodecs.zstd
import numpy as np

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = np.uint16


class Invalid(ValueError):
    """The bytes are no chunk of this version."""


def require(condition, message):
    if not condition:
        raise Invalid(message)


# ---- Conventions ----
CRC = list(range(256))  # of every byte
for _ in range(8):
    CRC = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in CRC]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def unzigzag(u):
    return -(u + 1) // 2 if u & 1 else u // 2


class Reader:
    """Takes numbers off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def bytes(self, n):
        require(n <= self.left(), "truncated")
        self.at += n
        return self.data[self.at - n : self.at]

    def numbers(self, layout):
        return struct.unpack("<" + layout, self.bytes(struct.calcsize("<" + layout)))

    def u8(self):
        return self.bytes(1)[0]

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.u8()
            value |= (byte & 127) << 7 * i
            if byte < 128:
                require(byte or i == 0, "a varint with a needless last byte")
                require(value < 2**64, "a varint beyond 64 bits")
                return value
        raise Invalid("a varint of more than 10 bytes")


class Bits:
    """Takes numbers off a bit string that starts at the reader's next byte."""

    def __init__(self, reader):
        self.reader, self.left, self.unused = reader, 0, 0

    def take(self, n):
        while self.unused < n:
            self.left |= self.reader.u8() << self.unused
            self.unused += 8
        value = self.left & (1 << n) - 1
        self.left >>= n
        self.unused -= n
        return value

    def end(self):
        require(self.left == 0, "bits set after the end of a bit string")


# ---- Element types ----
# the array's dtype, values of an element, bytes of a value, m (floats only), how a value is stored
Kind = namedtuple("Kind", "dtype parts size m")
KINDS = {
    1: Kind("f4", 1, 4, 23), 2: Kind("f8", 1, 8, 52), 3: Kind("f2", 1, 2, 10), 4: Kind(bfloat16, 1, 2, 7),
    5: Kind("c8", 2, 4, 23), 6: Kind("c16", 2, 8, 52),
    16: Kind("i1", 1, 1, 0), 17: Kind("i2", 1, 2, 0), 18: Kind("i4", 1, 4, 0), 19: Kind("i8", 1, 8, 0),
    20: Kind("u1", 1, 1, 0), 21: Kind("u2", 1, 2, 0), 22: Kind("u4", 1, 4, 0), 23: Kind("u8", 1, 8, 0),
    24: Kind("?", 1, 1, 0), 25: Kind("M8", 1, 8, 0), 26: Kind("m8", 1, 8, 0),
}  # fmt: skip
UNITS = ["generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]

# What a block needs: bytes of a value, m (0 if it is no float), whether integers are signed, delta (None if it is no
# float), T (0 if there is none), rtol (0 if there is none), w and v of *Bitmap*, and the axes of its box in values.
Array = namedtuple("Array", "size m signed delta T rtol w v box")


# ---- Frame ----
def decode(data):
    """The array in a chunk, in its own byte order and memory order."""
    data = bytes(data)
    r = Reader(data)
    require(r.bytes(3) == b"\xacAC", "not a chunk")
    version, codec, code, flags, ndim = r.bytes(5)
    require(version == 0 and 1 <= codec <= 4 and code in KINDS, "reserved version, codec or element type")
    dtype, parts, size, m = KINDS[code]
    floats, integers = code < 16, 16 <= code < 24
    require(flags < 32 and ndim <= 32, "reserved flags, or too many dimensions")
    require(not flags & 1 or size > 1, "big-endian bytes")
    require(not flags & 4 or floats or integers, "a tolerance of what has none")
    require(not flags & 8 or floats, "a relative tolerance of what has none")

    dtype = np.dtype(dtype)
    if code in (25, 26):
        unit, number = r.u8(), r.varint()
        require(unit < 14 and 1 <= number < 2**31 and (unit or number == 1), "unit")
        dtype = np.dtype(f"{dtype.str[1:]}[{number}{UNITS[unit]}]") if unit else dtype
    delta, T, rtol = None, 0, 0
    if floats:
        (delta,) = r.numbers("d" if size == 8 else "f")
        require(valid_delta(delta, size), "delta")
    if integers:
        T = r.varint()
        require(T < 2 ** min(8 * size, 63), "T")
    if not flags & 4 and (floats or integers):
        (tol,) = r.numbers("d")
        require(math.isfinite(tol) and tol >= 0 and tol != (delta / 2 if floats else float(T)), "tol")
    if flags & 8:
        (rtol,) = r.numbers("d")
        require(2.0 ** -(m + 1) <= rtol < 1, "rtol")

    if codec > 2:
        require(code < 5 and not flags & 8 and delta == 0, "an element type or a lattice that the codec has not")
    shape = tuple(r.varint() for _ in range(ndim))
    count = math.prod(shape)
    require(math.prod(n for n in shape if n) * dtype.itemsize < 2**63, "the array is too large")
    axes, largest = shape[::-1] if flags & 2 else shape, 2**18 // parts  # the slowest first
    require(codec == 1 or not flags & 16, "boxes of one block")
    if flags & 16:
        box = [r.varint() for _ in axes]
        require(ndim >= 2 and count, "boxes of what has none")
        require(all(1 <= b <= n for b, n in zip(box, axes, strict=True)), "extents of a box")
        require(math.prod(box) <= largest, "a box that is too large")
        n_blocks = math.prod(-(-n // b) for b, n in zip(box, axes, strict=True))
    else:
        length = r.varint()
        require(length < largest, "block length")
        length = length or largest
        if codec > 1:
            require(length == largest and 1 <= count < 2**31, "one block")
            length = count
        n_blocks = -(-count // length)
    require(8 * n_blocks <= r.left(), "truncated index")
    index = [r.numbers("II") for _ in range(n_blocks)]
    end = r.at
    require(r.numbers("I")[0] == crc32c(data[:end]), "CRC of the header")

    if codec > 1:
        ((n_bytes, crc),) = index
        block = r.bytes(n_bytes)
        require(n_bytes > 0 and crc32c(block) == crc and r.left() == 0, "size or CRC of a block")
        r = Reader(block)
        if codec == 2:
            elements = backend(r, data[5 : end - 8])
        elif codec == 3:
            elements = stochastic(r, count, code)
        else:
            elements = low_rank(r, axes, code)
        require(r.left() == 0, "bytes after the block's contents")
        return finish(elements, dtype, shape, flags)

    if flags & 16:
        blocks = list(boxes(axes, box))
    else:
        blocks = [(range(i, min(count, i + length)), axes) for i in range(0, count, length)]
    elements = [None] * count  # in memory order
    for (places, near), (n_bytes, crc) in zip(blocks, index, strict=True):
        block = r.bytes(n_bytes)
        require(n_bytes > 0 and crc32c(block) == crc, "size or CRC of a block")
        w = parts * near[-1] if ndim >= 2 else 0
        v = parts * near[-1] * near[-2] if ndim >= 3 else 0
        box_axes = near if flags & 16 else axes if n_blocks == 1 else [len(places)]
        array = Array(size, m, code in (16, 17, 18, 19), delta, T, rtol, w, v, axes_of_box(box_axes, parts))
        values = decode_block(Reader(block), parts * len(places), array)
        for i, at in enumerate(places):
            elements[at] = b"".join(values[parts * i : parts * i + parts])
    require(r.left() == 0, "bytes after the last block")
    return finish(b"".join(elements), dtype, shape, flags)


def finish(elements, dtype, shape, flags):
    """The array of elements in memory order."""
    if flags & 1 and dtype.name == "bfloat16":  # ml_dtypes has no byte orders
        dtype = np.dtype("u2")
    elements = np.frombuffer(elements, "V1").view(dtype.newbyteorder("<"))
    if flags & 1:
        elements = elements.byteswap().view(dtype.newbyteorder(">"))
    return elements.reshape(shape, order="F" if flags & 2 else "C")


# ---- Codecs of one block ----
def part(r, dtype, shape, orders="C"):
    """The array in a part, as a list in C order."""
    (size,) = r.numbers("I")
    chunk = r.bytes(size)
    found = decode(chunk)
    require(chunk[4] == 1 and not chunk[6] & 9, "a part of another codec, byte order, or with a relative tolerance")
    require(found.dtype == np.dtype(dtype) and found.shape == tuple(shape), "a part of another type or shape")
    require(chunk[6] & 2 == 0 or "F" in orders, "a part in Fortran order")
    at = 8 + (0 if chunk[5] > 15 else 8 if chunk[5] == 2 else 4)
    if chunk[5] > 15:
        require(chunk[at] == 0, "a part with a tolerance")
    else:
        require(not any(chunk[8:at]), "a part with a lattice")
    require(chunk[6] & 4, "a part with a tolerance")  # the implied one is 0
    return found


def backend(r, head):
    code, size = r.u8(), r.varint()
    data = r.bytes(r.left())
    itemsize = np.dtype(KINDS[head[0]][0]).itemsize
    try:
        if code == 1:
            decompressor = bz2.BZ2Decompressor()
        elif code == 2:
            decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        elif code == 3:
            decompressor = zlib.decompressobj()
        else:
            require(code == 4, "reserved compressor")
            require(zstd_size(data) == size, "size of the content")
            found, decompressor = bytes(numcodecs.zstd.decompress(data)), None
        if decompressor:
            found = decompressor.decompress(data)
            require(decompressor.eof and not decompressor.unused_data, "the end of what is compressed")
    except (OSError, ValueError, EOFError, RuntimeError, lzma.LZMAError, zlib.error) as error:
        raise Invalid("not to be decompressed") from error
    require(len(found) == size, "size of the chunk")
    array = decode(found)
    require(size <= 2 * array.size * itemsize + 4096, "a chunk that is too large")
    # the header around it says the same, but for how blocks are cut
    fixed = head[:1] + bytes([head[1] & ~16]) + head[2:]
    own = found[5:6] + bytes([found[6] & ~16]) + found[7 : 5 + len(fixed)]
    require(found[4] == 1 and fixed[:-1] == own[: len(fixed) - 1], "the two headers disagree")
    return array.tobytes("A") if not head[1] & 1 else array.byteswap().tobytes("A")


def zstd_size(data):
    """RFC 8878, 3.1.1.1."""
    if len(data) < 5:
        return None
    flag, single, id_flag = data[4] >> 6, data[4] >> 5 & 1, data[4] & 3
    length = (single, 2, 4, 8)[flag]
    at = 6 - single + (0, 1, 2, 4)[id_flag]
    if not length or len(data) < at + length:
        return None
    return int.from_bytes(data[at : at + length], "little") + (256 if flag == 1 else 0)


def converted(x, code):
    """Doubles as elements of a float type, each as its bytes; beyond its largest number they are that."""
    largest = {1: 3.4028234663852886e38, 2: 1.7976931348623157e308, 3: 65504.0, 4: 3.3895313892515355e38}[code]
    x = np.array([max(v, -largest) if v <= largest else largest for v in x])
    if code == 2:
        return x.tobytes()
    x = x.astype("<f4")
    if code == 1:
        return x.tobytes()
    if code == 3:
        return x.astype("<f2").tobytes()
    return b"".join(to_bfloat16(bits).to_bytes(2, "little") for bits in x.view("<u4").tolist())


def philox(key, block):
    """Eight random numbers of 32 bits."""
    c = [block + 1, 0, 0, 0]
    k = list(key)
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [b >> 64 ^ c[1] ^ k[0], b % 2**64, a >> 64 ^ c[3] ^ k[1], a % 2**64]
        k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
    return [half for word in c for half in (word % 2**32, word >> 32)]


def stochastic(r, count, code):
    flags, bits, bucket = r.u8(), r.u8(), r.varint()
    require(flags < 8 and 1 <= bits <= 9 and bucket < count, "reserved flags, bits or bucket")
    key = r.numbers("QQ") if flags & 1 else None
    n_buckets = -(-count // bucket) if bucket else 1
    if flags & 4:
        steps = r.numbers(f"{n_buckets}d" if code == 2 else f"{n_buckets}f")
        require(all(0 <= s < math.inf for s in steps), "steps")
        levels = packed_levels(r, bits, count)
    else:
        codes = part(r, "<i4", [n_buckets]).tolist()
        levels = part(r, "<i2", [count]).tolist()
        require(all(0 <= c <= 2125 * 128 for c in codes), "codes of steps")
        of_codes = [(128 + (c - 1) % 128, (c - 1) // 128 - 1108) for c in codes]
        exact_steps = [k * Fraction(2) ** e if c else 0 for c, (k, e) in zip(codes, of_codes, strict=True)]
        require(all(s < 2**1024 for s in exact_steps), "a step that is infinite")
        steps = [float(s) for s in exact_steps]
        require(all(bool(s) == bool(c) for s, c in zip(steps, codes, strict=True)), "a step that vanishes")
    values, words = [], []
    for i, q in enumerate(levels):
        step = steps[i // bucket if bucket else 0]
        if key and i % 8 == 0:
            words = philox(key, i // 8)
        u = (words[i % 8] + 0.5) * 2.0**-32 - 0.5 if key and step else 0.0
        values.append((q - u) * step)
    return converted(values, code)


def packed_levels(r, bits, count):
    width = 2 + bits
    per_word = 64 // width
    n_words = -(-count // per_word)
    levels = [0] * (per_word * n_words)
    for j, word in enumerate(r.numbers(f"{n_words}Q")):
        for i in reversed(range(per_word)):
            sign, magnitude = word >> bits & 3, word % 2**bits
            require(sign < 3 and (sign == 1) == (magnitude == 0), "the sign of a level")
            levels[i * n_words + j] = (sign - 1) * magnitude
            word >>= width
        require(word == 0, "unused bits of a word")
    require(not any(levels[count:]), "levels beyond the last")
    return levels[:count]


def low_rank(r, shape, code):
    """`shape` is that of the axes in memory order."""
    factors, flags, axes, rank = r.u8(), r.u8(), r.u8(), r.varint()
    (scale,) = r.numbers("d")
    require(factors < 4 and flags in (0, 1, 3) and 1 <= axes < len(shape), "reserved numbers, or axes of rows")
    m, n = math.prod(shape[:axes]), math.prod(shape[axes:])
    require(0 < scale < math.inf and rank <= min(65535, m + 2, n + 2), "scale or rank")
    weights = [r.varint() for _ in range(rank)]
    require(all(1 <= w < 2**31 for w in weights), "weights")
    U = part(r, "<i4", (rank, m), "CF").tolist() if rank else []
    V = part(r, "<i4", (rank, n), "CF").tolist() if rank else []
    step, R = 0.0, None
    if flags & 1:
        (step,) = r.numbers("d")
        require(0 < step < math.inf, "step")
        R = part(r, "<i4", shape).ravel().tolist()
    runs = kept = None
    if flags & 2:
        n_runs, total = r.varint(), r.varint()
        require(1 <= n_runs <= total <= m * n, "numbers of exceptions")
        runs = part(r, "<u4", (n_runs, 2)).tolist()
        kept = cut(part(r, KINDS[code][0], [total]).tobytes(), KINDS[code][2])
    terms = zip(weights, U, V, strict=True)
    require(sum(w * max(map(abs, u)) * max(map(abs, v)) for w, u, v in terms) < 2**53, "a sum that is not exact")
    values = []
    for i in range(m):
        for j in range(n):
            value = float(sum(w * u[i] * v[j] for w, u, v in zip(weights, U, V, strict=True))) * scale
            values.append(value + float(R[i * n + j]) * step if R is not None else value)
    values = cut(converted(values, code), KINDS[code][2])
    at = 0
    for gap, length in runs or []:
        at += gap
        require(length >= 1 and at + length <= m * n and length <= len(kept), "runs of exceptions")
        values[at : at + length], kept = kept[:length], kept[length:]
        at += length
    require(not kept, "exceptions without a run")
    return b"".join(values)


def boxes(axes, box):
    """Where the elements of every box are in memory order, and its extents; axes in memory order."""
    parts = [[range(i, min(n, i + b)) for i in range(0, n, b)] for n, b in zip(axes, box, strict=True)]
    for indices in itertools.product(*parts):
        places = [0]
        for some, n in zip(indices, axes, strict=True):
            places = [at * n + i for at in places for i in some]
        yield places, [len(some) for some in indices]


def axes_of_box(extents, parts):
    """The axes of *Predicted values*."""
    axes = [n for n in extents if n > 1] or [1]
    while len(axes) > 4:
        axes[:2] = [axes[0] * axes[1]]
    if parts == 2:
        axes = ([axes[0] * axes[1], *axes[2:]] if len(axes) == 4 else axes) + [2]
    return axes


def valid_delta(delta, size):
    if delta == 0:
        return math.copysign(1, delta) > 0
    return (2.0**-1022 if size == 8 else 2.0**-126) <= delta < math.inf


# ---- Integers and values ----
def uniform(numbers, array):
    """The values of integers on the lattice, each as its bytes."""
    with np.errstate(over="ignore", under="ignore"):  # a rounding, whatever comes of it
        x = np.array([float(R) * array.delta for R in numbers])
        if array.size < 8:
            x = x.astype("<f4")
        if array.m == 10:
            x = x.astype("<f2")
    if array.m == 7:
        return [to_bfloat16(bits).to_bytes(2, "little") for bits in x.view("<u4").tolist()]
    return cut(x.tobytes(), array.size)


def to_bfloat16(bits):
    """The upper half of a float32 (no NaN), rounded to nearest even; a carry into the exponent is as it should be."""
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16


def cut(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


def signed(X):
    """A number modulo 2^64 in two's complement."""
    return (X + 2**63) % 2**64 - 2**63


def exact(X, s, folded, array):
    """The bits of a value."""
    V = 8 * array.size - s
    if not array.m:
        upper = X % 2**V
    elif folded:
        upper = X % 2**V
        upper = upper >> 1 | (upper & 1) << V - 1
    elif signed(X) >= 0:
        upper = X % 2 ** (V - 1)
    else:
        upper = (-1 - signed(X)) % 2 ** (V - 1) + 2 ** (V - 1)
    return upper << s


def lattice_of_integers(X, array):
    """The bits of a value."""
    W = 8 * array.size
    low, high = (-(2 ** (W - 1)), 2 ** (W - 1) - 1) if array.signed else (0, 2**W - 1)
    return min(max(signed(X) * (2 * array.T + 1), low), high) % 2**W


# ---- Relative ----
def relative_tolerance(rtol):
    """A and t: rtol' = A / 2^t."""
    fraction, exponent = math.frexp(rtol)
    return math.floor(fraction * 2**29), 29 - exponent


def coarse_bins(A, t, m):
    """The significands of the centres of an octave's bins."""
    g = min(m, 29)
    lo, centres = 2**g, []
    while lo < 2 ** (g + 1):
        c = min(lo + lo * A // 2**t, 2 ** (g + 1) - 1)
        centres.append(c << m - g)
        h = c * 2**t // (2**t - A)
        lo = h + 1 if m <= 29 else h
    return centres


def fine_segments(A, t, m):
    """(first significand, k, number of bins) of the 32 segments of an octave."""
    starts = [2**m + s * 2 ** (m - 5) for s in range(32)]
    return [(a, k, -(-(2 ** (m - 5)) // (2 * k + 1))) for a in starts for k in [a * A // 2**t]]


def fine_centre(i, segments, m):
    """The significand of the centre of bin i of an octave."""
    for a, k, n in segments:
        if i < n:
            return a + min(i * (2 * k + 1) + k, 2 ** (m - 5) - 1)
        i -= n


def relative_table(rtol, m):
    """B, and a function: the significand of the centre of bin i of an octave."""
    A, t = relative_tolerance(rtol)
    if m <= 10 or A * 2**13 >= 2**t:
        centres = coarse_bins(A, t, m)
        return len(centres), lambda i: centres[i]
    segments = fine_segments(A, t, m)
    return sum(n for _, _, n in segments), lambda i: fine_centre(i, segments, m)


def largest_exponent(m):
    """emax"""
    return {10: 30, 7: 254, 23: 254, 52: 2046}[m]


def first_octave(delta, rtol, m):
    """U and E0."""
    if delta == 0:
        return 0, 1
    emax, bias = largest_exponent(m), largest_exponent(m) // 2
    A, t = relative_tolerance(rtol)
    b, s = Fraction(A, 2**28), 28 - t
    fraction, exponent = math.frexp(delta)
    a, p = Fraction(2 * fraction), exponent - 2  # of delta / 2
    E0 = max(1, p - s + (a > b) + bias)
    if E0 > emax:
        return 2**53, E0
    return min(2**53, math.ceil(2.0 ** (E0 - bias) / delta)), E0


def relative(numbers, folded, array):
    """The values, each as its bytes."""
    B, centre = relative_table(array.rtol, array.m)
    U, E0 = first_octave(array.delta, array.rtol, array.m)
    values = []
    for X in numbers:
        negative, u = (X & 1, X >> 1) if folded else (0, X)
        if u <= U:
            (value,) = uniform([u], array)
            bits = int.from_bytes(value, "little")
        else:
            octave, i = divmod(u - U - 1, B)
            E, infinity = E0 + octave, largest_exponent(array.m) + 1 << array.m
            bits = infinity if E > largest_exponent(array.m) else (E << array.m) + centre(i) - 2**array.m
        values.append((bits | negative << 8 * array.size - 1).to_bytes(array.size, "little"))
    return values


# ---- Blocks ----
def decode_block(r, count, array):
    """The values of a block, each as its bytes."""
    head, masked = r.u8(), {}
    mode = head & 7
    require(head < 128, "reserved bits")
    if head & 8:
        masked = mask(r, count, array)
    copied = {}
    if head & 64:
        require(mode, "copies of raw values")
        copied = copies(r, count, array)
        require(not masked.keys() & copied.keys(), "a masked copy")
    patterns, masked = masked, masked | copied
    places = None
    if head & 16:
        require(not head & 72 and mode in (2, 3, 4, 5), "an order with a mask, or of what has none")
        places = order(r, count)
    fine = []
    if head & 32:
        require(mode in (2, 6) and array.m in (23, 52), "fine values of what has none")
        fine = fine_values(r, count)
    n = count - len(masked)
    require(n or mode == 0, "a mode of no values")
    if mode == 0:
        values = [r.bytes(array.size) for _ in range(n)]
    elif mode == 1:
        values = [r.bytes(array.size)] * n
    elif mode == 2:
        require(array.delta and not array.rtol, "no uniform lattice")
        section = windows(r, n, array.size)
        values = uniform(section.integers, array)
        place(values, section.refused)
        if section.edges:
            require(array.size < 8, "edges in float64")
        for at in section.edges:
            values[at] = edge(values[at], array)
    elif mode == 6:
        require(not array.m or (array.delta and not array.rtol), "no uniform lattice")
        values = predicted(r, count, array, masked)
    elif mode == 7:
        require(array.m, "split integers")
        values = split(r, count, array, masked)
    elif mode == 5:
        require(array.m in (23, 52) and not array.rtol, "no affine lattices")
        values = affine(r, n, array)
    else:
        require(mode == 3 or array.T or array.rtol, "no lattice")
        integers, s, folded, refused = wide_integers(r, n, array, mode, bool(masked or places))
        if mode == 4 and array.rtol:
            values = relative(integers, folded, array)
        else:
            bits = [exact(X, s, folded, array) if mode == 3 else lattice_of_integers(X, array) for X in integers]
            values = [x.to_bytes(array.size, "little") for x in bits]
        place(values, refused)
    require(r.left() == 0, "bytes after the end of a block")
    if places:
        values = [value for _, value in sorted(zip(places, values, strict=True), key=lambda pair: pair[0])]
    if mode >= 6:  # masked values have a place among the others
        values = [value for i, value in enumerate(values) if i not in masked]
    others = iter(values)
    values = [patterns.get(i) if i in masked else next(others) for i in range(count)]
    for at, distance in copied.items():
        values[at] = values[at - distance]
    for at, fold, shift in fine:
        values[at] = fine_value(values[at], fold, shift, array)
    return values


def place(values, refused):
    for at, value in refused:
        values[at] = value


# ---- Mask ----
def mask(r, count, array):
    """The masked values by their positions."""
    M = r.varint()
    require(1 <= M <= count, "number of masked values")
    p = r.u8()
    require(1 <= p <= 16, "number of patterns")
    patterns = [r.bytes(array.size) for _ in range(p)]
    masked = patterns * M if p == 1 else []
    while len(masked) < M:
        rest, pattern = divmod(r.varint(), 16)
        require(pattern < p, "a pattern beyond the last")
        require(rest < M - len(masked), "a run beyond the number of masked values")
        masked += [patterns[pattern]] * (1 + rest)
    bits = bitmap(r, count, array) if M < count else [1] * count
    require(sum(bits) == M, "number of bits in the bitmap")
    return dict(zip((i for i in range(count) if bits[i]), masked, strict=True))


def copies(r, count, array):
    """The distances of copies by their positions."""
    C = r.varint()
    require(1 <= C < count, "number of copies")
    bits = bitmap(r, count, array)
    require(sum(bits) == C, "number of bits in the bitmap")
    section = whole_section(r.bytes(r.varint()), C, array.size)
    below, distances = Reader(r.bytes(r.varint())), []
    found = Bits(below)
    for b in section.integers:
        require(0 <= b <= 16 and (b or distances), "the length of a distance")
        distances.append(2 ** (b - 1) + found.take(b - 1) if b else distances[-1])
    found.end()
    require(below.left() == 0, "bytes after the distances")
    by_position = dict(zip((i for i in range(count) if bits[i]), distances, strict=True))
    require(all(distance <= at for at, distance in by_position.items()), "a copy of what is not in the block")
    return by_position


def bitmap(r, count, array):
    states, n_words = r.numbers("I"), r.varint()
    require(2 * n_words <= r.left(), "truncated bitmap")
    lane = Lanes(states, r.numbers(f"{n_words}H"), 12)
    chances = {}  # p and n of every context, by decision
    bits, w, v = [], array.w, array.v

    def decision(*context):
        p, n = chances.get(context, (2**15, 0))
        f = min(max(p // 16, 1), 4095)
        b = lane.token(0, [4096 - f, f])
        n = min(n + 1, 32)
        chances[context] = p + (65536 * b - p) * (655360 // (10 * n + 6)) // 2**16, n
        return b

    def bit(i):
        return bits[i] if i >= 0 else 0

    def state(start, length):
        return {0: 0, length: 1}.get(sum(bit(i) for i in range(start, start + length)), 2)

    def coded_state(of, context):
        return 2 if decision(of, "mixed", context) else decision(of, "ones", context)

    def byte(start, length):
        above, plane = state(start - w, length) if w >= 9 else 0, state(start - v, length) if v >= 8 else 0
        coded = coded_state("byte", bit(start - 1) + 2 * above + 6 * plane)
        if coded < 2:
            return bits.extend([coded] * length)
        for i in range(start, start + length):
            W, P = bit(i - 1), bit(i - v) if v >= 8 else 0
            NW, N, NE = (bit(i - w - 1), bit(i - w), bit(i - w + 1)) if w >= 9 else (0, 0, 0)
            bits.append(decision("bit", W + 2 * NW + 4 * N + 8 * NE + 16 * P))

    before = same = 0
    for start in range(0, count, 64):
        length = min(64, count - start)
        above, plane = state(start - w, length) if w >= 64 else 0, state(start - v, length) if v >= 64 else 0
        before = coded_state("word", before + 3 * above + 9 * plane)
        if before == 2 and plane == 2:
            same = decision("same", same)
        if before < 2:
            bits += [before] * length
        elif plane == 2 and same:
            bits += [bit(i - v) for i in range(start, start + length)]
        else:
            for i in range(start, start + length, 8):
                byte(i, min(8, start + length - i))
    lane.end()
    return bits


# ---- Order ----
def order(r, n):
    """Where in memory the values of a block belong, in the order in which they stand."""
    W, phase, head = r.varint(), r.varint(), r.u8()
    require(2 <= W <= n // 2 and phase < W, "length of a row, or phase")
    columns, is_sorted, C, coding = head & 1, head & 2, (head >> 2 & 15) + 1, head >> 6
    require(columns or is_sorted, "the order of memory")
    first = (W - phase) % W
    H = (n - first) // W
    minor = list(range(H if columns else W))
    if is_sorted:
        require(C >= 2 and coding < 3, "number of classes of an order, or their coding")
        require(len(minor) <= 2**12, "too many classes")
        classes = class_sequence(r, len(minor), C, coding)
        minor.sort(key=lambda i: classes[i])
    else:
        require(head < 4, "classes of what is not sorted")
    places = list(range(first))
    if columns:
        places += [first + row * W + c for c in range(W) for row in minor]
    else:
        places += [first + row * W + c for row in range(H) for c in minor]
    return places + list(range(first + H * W, n))


# ---- Fine values ----
FOLDS = [1, 7, 17]  # steps of the lattices to delta
SHIFT_BITS = [2, 4, 5]


def fine_values(r, count):
    """(position, fold, shift) of every fine value."""
    n, lists = r.varint(), Reader(r.bytes(r.varint()))
    require(1 <= n <= count, "number of fine values")
    parameter = lists.u8()
    require(parameter <= 17, "parameter of fine values")
    bits, found = Bits(lists), []
    for at in positions(lambda: rice_gap(bits, parameter, count), n, count):
        fold = bits.take(2)
        require(fold < 3, "a fold beyond the last")
        found.append((at, fold, bits.take(SHIFT_BITS[fold]) - 2 ** (SHIFT_BITS[fold] - 1)))
    bits.end()
    require(lists.left() == 0, "bytes after the end of a list")
    return found


def fine_value(value, fold, shift, array):
    """What the value at the position of a fine one becomes."""
    (x,) = struct.unpack("<f" if array.size == 4 else "<d", value)
    step = array.delta / FOLDS[fold]
    quotient = x * (1 / step)
    require(math.isfinite(quotient), "a fine value beyond its lattice")
    R = round(quotient) + shift
    limits = [2**30 + 1, 40960, 17 * 2**11] if array.size == 4 else [2**30 + 1, 2**26, 2**26]
    require(abs(R) < limits[fold], "a fine value beyond its lattice")
    return uniform([R], array._replace(delta=step))[0]


# ---- Wide integers ----
def wide_integers(r, n, array, mode, moved):
    """The integers modulo 2^64, their shift, whether they are folded, and the refused values."""
    head = r.u8()
    n_low, difference, folded = head & 7, head >> 3 & 3, bool(head & 32)
    distance = [0, 1, array.w, array.v][difference]
    require(not difference or distance, "a difference along an axis that is missing")
    require(difference < 2 or not moved, "a difference to the row or plane before, with a mask or an order")
    require(not folded or array.m, "folded integers")
    require(not head & 128 or mode == 3, "a shift on a lattice")
    shift = base = 0
    if head & 128:
        shift = r.u8()
        require(1 <= shift < 8 * array.size, "shift")
    if head & 64:
        base = unzigzag(r.varint())
        require(base, "a base of 0")
    low = []
    for _ in range(n_low):
        size = r.varint()
        if size == 0:
            low.append(r.bytes(n))
            continue
        section = whole_section(r.bytes(size), n, array.size)
        require(all(0 <= byte <= 255 for byte in section.integers), "a low byte out of range")
        low.append(section.integers)
    section = windows(r, n, array.size)
    require(not section.edges, "edges in a mode without")

    Q = []
    for i, h in enumerate(section.integers):
        D = (h << 8 * n_low) + sum(byte[i] << 8 * j for j, byte in enumerate(low))
        Q.append((D + (Q[i - distance] if distance and i >= distance else base)) % 2**64)
    return Q, shift, folded, section.refused


# ---- Affine lattices ----
Lattice = namedtuple("Lattice", "arithmetic d s o c base")


def affine(r, n, array):
    """The values of a block of mode 5, each as its bytes."""
    head = r.u8()
    number, coding, with_uniform = head & 15, head >> 4 & 3, not head & 64
    require(head < 128 and number, "number of affine lattices")
    require(array.delta or not with_uniform, "no uniform lattice among others")
    lattices = [None] * with_uniform + [affine_lattice(r) for _ in range(number)]
    n_units = -(-n // 64)
    if len(lattices) > 1:
        require(coding < 3, "coding of the sequence of lattices")
        sequence = class_sequence(r, n_units, len(lattices), coding)
    else:
        require(coding == 0, "coding of a sequence of one")
        sequence = [0] * n_units
    section = windows(r, n, array.size)
    require(not section.edges, "edges in a mode without")
    values = []
    for i, lattice in enumerate(sequence):
        R = section.integers[64 * i : 64 * i + 64]
        values += affine_values(R, lattices[lattice], array) if lattices[lattice] else uniform(R, array)
    place(values, section.refused)
    return values


def affine_lattice(r):
    formula = r.u8()
    require(formula < 32, "a formula with reserved bits")
    A = np.float32 if formula & 1 else np.float64
    parameters = []
    for bit in (2, 4, 8, 16):
        parameters.append(A(r.numbers("f" if formula & 1 else "d")[0]) if formula & bit else None)
        require(parameters[-1] is None or (np.isfinite(parameters[-1]) and parameters[-1]), "a parameter of a lattice")
    base = unzigzag(r.varint())
    require(-(2**31) <= base < 2**31, "base of a lattice")
    return Lattice(A, *parameters, base)


def affine_values(numbers, lattice, array):
    values = []
    with np.errstate(all="ignore"):
        for R in numbers:
            k = (R + lattice.base + 2**31) % 2**32 - 2**31
            y = lattice.arithmetic(k)
            y = y if lattice.d is None else y / lattice.d
            y = y if lattice.s is None else y * lattice.s
            y = y if lattice.o is None else y + lattice.o
            y = y if lattice.c is None else y * lattice.c
            values.append(np.dtype("<f4" if array.size == 4 else "<f8").type(y).tobytes())
    return values


# ---- Predicted values ----
LIMITS = [0, 1, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096, 5793, 8192]
LIMITS += [11585]
CLASSES = [4, 2, 1, 6, 5, 3, 7]


def wrap(x):
    """Modulo 2^32, in two's complement."""
    return (x + 2**31) % 2**32 - 2**31


Rule = namedtuple("Rule", "cubic weights trust")
Context = namedtuple("Context", "k K lo table")
# What is known of a block of predicted values: extents (outer, three axes, inner), and what its first bytes say.
Predictor = namedtuple("Predictor", "extents fold first_unit reference levels along rules linear stencil")
Linear = namedtuple("Linear", "shift taps")
# Quarters (trust, damping) of the codes of trust.
TRUSTS = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 2), (4, 3), (4, 4)]


def predicted(r, count, array, masked):
    """All values of a block, each as its bytes; those that are masked are of no use."""
    base = 0 if array.m else unzigzag(r.varint())
    fold, integers, refused = field(r, count, array, masked)
    if not array.m:
        require(not refused, "refused integers")
        X = [(base + R) % 2**64 for R in integers]
        bits = [lattice_of_integers(x, array) if array.T else exact(x, 0, False, array) for x in X]
        return [x.to_bytes(array.size, "little") for x in bits]
    values = uniform(integers, array._replace(delta=array.delta / FOLDS[fold]))
    place(values, refused)
    return values


def split(r, count, array, masked):
    """The same, of integers and the bits that they leave out."""
    kind, W, m = r.u8(), 8 * array.size, array.m
    if kind == 2:
        require(m in (23, 52), "an affine split")
        lattice, size = affine_lattice(r), r.varint()
        section = whole_section(r.bytes(size), count, array.size) if size else None
        base = unzigzag(r.varint())
        fold, integers, refused = field(r, count, array, masked)
        require(not fold, "the lattice of a split")
        values = affine_values([wrap(base + R) for R in integers], lattice, array)
        if section:
            require(all(-127 <= units <= 127 for units in section.integers), "a large adjustment")
            values = [adjust(value, units, array) for value, units in zip(values, section.integers, strict=True)]
        place(values, refused)
        return values
    m -= r.u8() if kind == 0 else 0
    places, digits = (r.u8(), r.u8()) if kind == 3 else (0, 0)
    s = unzigzag(r.varint())
    of_lattices = (-149, 127) if array.m == 23 else (-960, 960)
    least, most = of_lattices if kind == 0 else (0, 15 if kind == 3 else min(56, W - 1))
    require(kind in (0, 1, 3) and (kind == 1 or (array.m in (23, 52) and m >= 0)) and least <= s <= most, "a split")
    require(places <= 50 and digits <= 15, "decimals")
    sizes = r.varint(), 0 if kind else r.varint()
    left_out, small = (Reader(r.bytes(size)) for size in sizes)
    base = unzigzag(r.varint())
    fold, integers, refused = field(r, count, array, masked)
    require(not fold, "the lattice of a split")
    bits, codes, values = Bits(left_out), Bits(small), []
    for i, R in enumerate(integers):
        K = (base + R) % 2**64
        k = wrap(K)
        zeros = decimal_zeros(k, s, digits)
        w = s if kind else max(0, m + 1 - abs(k).bit_length()) if k else 0
        if kind == 3:
            w = (10 ** (s - zeros) - 1).bit_length()
        u = bits.take(w) if i not in masked else 0
        if kind == 3:
            N = (k * 10**s + u * 10**zeros + 2**63) % 2**64 - 2**63
            x = abs(N) % 2**53 / 10**places  # of integers: to the nearest
            values.append(to_float(-x if N < 0 else x, array))
            continue
        if kind:
            values.append(exact((K * 2**s + u) % 2**64, 0, False, array).to_bytes(array.size, "little"))
            continue
        if not k:
            values.append(bytes(array.size) if i in masked else small_value(codes, s, m, array))
            continue
        x = (abs(k) * 2**w + u) * 2.0 ** (s - w)
        values.append(to_float(-x if k < 0 else x, array))
    codes.end()
    require(left_out.left() + small.left() == 0, "bits left out of no value")
    place(values, refused)
    return values


def decimal_zeros(k, s, digits):
    """How many of the lowest digits of numbers from k * 10^s on, but below (k + 1) * 10^s, are surely 0."""
    low = k if k >= 0 else -1 - k
    return min(max(0, len(str(low)) + s - digits), s) if digits and low else 0


def adjust(value, units, array):
    """A value so many units of the ordered image away."""
    W = 8 * array.size
    bits = int.from_bytes(value, "little")
    image = 2 ** (W - 1) - 1 - bits if bits >> W - 1 else bits
    return exact((image + units) % 2**64, 0, False, array).to_bytes(array.size, "little")


def small_value(bits, s, m, array):
    c = 0
    while not bits.take(1):
        c += 1
        require(c <= 33, "a small value")
    if c == 33:
        return bits.take(8 * array.size).to_bytes(array.size, "little")
    if not c:
        return bytes(array.size)
    sign = -1 if bits.take(1) else 1
    return to_float(sign * (2**m + bits.take(m)) * 2.0 ** (s - c - m), array)


def to_float(x, array):
    """A double, rounded to the type, as bytes."""
    with np.errstate(over="ignore"):
        return np.array(x).astype(f"<f{array.size}").tobytes()


def field(r, count, array, masked):
    """The lattice of a block, its integers in the order of memory, and what is refused."""
    p = read_predictor(r, array)
    layout, kinds = r.u8(), r.u8()
    require(layout & 7 <= 4, "lanes")
    lanes, prob_bits, m = 4 << (layout & 7), 10 + (layout >> 3 & 3), layout >> 5 & 3
    n_contexts, own, shift = (kinds & 7) + 1, kinds >> 3 & 1, kinds >> 4 & 7
    first_bins = [0] + [r.u8() for _ in range(n_contexts - 1)]
    require(all(a < b < 24 for a, b in itertools.pairwise(first_bins)), "the bins of contexts")
    contexts = read_contexts(r, n_contexts + own, prob_bits, m)

    numbers = [r.varint() for _ in range(3)] if layout & 128 else [0, 0, 0]
    require(any(numbers) or not layout & 128, "no exceptions where there should be some")
    require(max(numbers) <= count and (p.fold or not numbers[1]), "numbers of exceptions")
    outside, corrections, refused = (Reader(r.bytes(r.varint())) if n else Reader(b"") for n in numbers)
    outside_list = dict(outside_values(outside, numbers[0], count)) if numbers[0] else {}
    require(all(abs(v) <= 2**30 for v in outside_list.values()), "an outside value beyond 2^30")
    correction_list = dict(read_corrections(corrections, numbers[1], count)) if numbers[1] else {}
    refused_list = list(refused_values(refused, numbers[2], count, array.size)) if numbers[2] else []
    require(not outside.left() and not corrections.left() and not refused.left(), "bytes after the end of a list")
    raw = Reader(r.bytes(r.varint()))
    bits = Bits(raw)
    words = Reader(r.bytes(r.left()))
    require(not words.left() or any(c.table for c in contexts), "words of no tokens")
    coder = None
    if words.left():
        states = words.numbers(f"{lanes}I")
        require(words.left() % 2 == 0, "half a word")
        coder = Lanes(states, words.numbers(f"{words.left() // 2}H"), prob_bits)

    R, magnitude, sums = {}, {}, {}  # by (outer, three indices, inner)
    stream = 0
    for level, mask_, together, places in pieces(p, kinds >> 7):
        spacing = 1 << (level + 1 if mask_ else p.levels)
        for start in range(0, len(places), 256):
            span = places[start : start + 256]
            found = []
            for x in span:
                near = neighbourhood(p, x, level, mask_, together, spacing, magnitude)
                weight = sum(w for w, _ in near)
                total = sum(w * a for w, a in near)
                i = max(i for i in range(24) if total >= -(-LIMITS[i] * weight // 64))
                c = max(c for c in range(n_contexts) if first_bins[c] <= i)
                found.append(n_contexts if own and not mask_ else n_contexts - 1 if not weight else c)
            j = 0
            for x, c in zip(span, found, strict=True):
                context, v, unit = contexts[c], 0, FOLDS[p.fold] if x[0] else p.first_unit
                if memory_index(p, x) not in masked:
                    token = 0
                    if context.table:
                        require(coder is not None, "no words")
                        token = coder.token(j % lanes, context.table)
                        j += 1
                    v = residual(context, context.lo + token, m, bits)
                v = outside_list.get(stream, v)
                magnitude[x] = min(255, abs(v) >> shift)
                if p.linear:
                    taps = zip(p.linear.taps, range(x[3]), strict=False)
                    total = sum(tap * R[moved(x, 3, -1 - j)] for tap, j in taps)
                    R[x] = wrap((total + (1 << p.linear.shift - 1) >> p.linear.shift) + unit * v)
                elif mask_:
                    R[x] = wrap(interpolated(p, x, level, mask_, R) + unit * v)
                else:
                    before, sums[x] = coarse(p, x, spacing, R, sums, masked)
                    sums[x] = wrap(sums[x] + v)
                    R[x] = wrap(before + unit * sums[x])
                R[x] = wrap(R[x] + correction_list.get(stream, 0))
                stream += 1
    require(stream == count, "places")
    if coder:
        coder.end()
    require(raw.left() == 0, "raw bits left over")
    return p.fold, [value for _, value in sorted((memory_index(p, x), value) for x, value in R.items())], refused_list


def read_predictor(r, array):
    head, second = r.u8(), r.u8()
    first, c, fold, reference = head & 3, head >> 2 & 3, head >> 4 & 3, head >> 6
    require(1 <= c <= 3 and first + c <= len(array.box), "the axes of a predictor")
    require(fold < 3 and (fold == 0 or array.m in (23, 52)), "the lattice of a predictor")
    axes = [1] * (3 - c) + list(array.box[first : first + c])
    extents = (math.prod(array.box[:first]), *axes, math.prod(array.box[first + c :]))
    if reference and not second & 15:
        along = second >> 4
        require(reference == 1 and not along or reference == 2 and along & 2, "linear prediction, or a stencil")
        linear = read_linear(r) if reference == 1 else None
        stencil = None if linear else r.numbers(f"{5 + 10 * (along & 1) + 10 * (along >> 3)}h")
        return Predictor(extents, fold, FOLDS[fold], 0, 0, along, {}, linear, stencil)
    first_unit = r.u8() if fold and reference else FOLDS[fold]
    require(first_unit % 2 and first_unit <= FOLDS[fold], "the unit of the first outer index")
    levels, bits, rules = second & 15, Bits(r), {}
    for level in reversed(range(levels)):
        same = level + 1 < levels and bits.take(1)
        for k in range(1, 8):
            if same:
                rules[level, k] = rules[level + 1, k]
                continue
            rules[level, k] = Rule(0, [0, 0], 0)
            if not all(indices(extents[1 + a], level, k >> a & 1) for a in range(3)):
                continue
            cubic = bits.take(1)
            weights = [bits.take(5) for _ in range(k.bit_count() - 1)]
            trust = bits.take(3) if reference else 0
            require(all(w <= 16 for w in weights), "a rule")
            rules[level, k] = Rule(cubic, weights, trust)
    bits.end()
    return Predictor(extents, fold, first_unit, reference, levels, second >> 4, rules, None, None)


def read_linear(r):
    order, shift, width = r.u8() + 1, r.u8(), r.u8()
    require(order <= 32 and 1 <= shift <= 24 and 2 <= width <= 27, "taps of linear prediction")
    bits = Bits(r)
    taps = [bits.take(width) for _ in range(order)]
    bits.end()
    return Linear(shift, [tap - (tap >> (width - 1) << width) for tap in taps])


def read_contexts(r, n, prob_bits, m):
    heads = []
    for _ in range(n):
        k, tokens, lo = r.u8(), r.u8(), r.numbers("b")[0]
        K = (tokens & 63) + 1
        require(k <= 25 and tokens < 128 and lo + K - 1 < 128 and (K > 1 or tokens < 64), "a context")
        most = max(extra_bits(h, m) for h in (lo, lo + K - 1)) + k
        require(most <= (25 if K > 1 else 0), "raw bits of a context")
        heads.append((k, K, lo, tokens >= 64))
    bits = Bits(r)
    contexts = []
    for k, K, lo, is_curve in heads:
        table = None if K == 1 else (read_curve if is_curve else read_table)(bits, K, prob_bits)
        contexts.append(Context(k, K, lo, table))
    bits.end()
    return contexts


def extra_bits(h, m):
    return max(0, (max(h, -1 - h) >> m) - 1)


def residual(context, h, m, bits):
    e, a = extra_bits(h, m), max(h, -1 - h)
    u = ((a - (e << m)) << (e + context.k)) + (bits.take(e + context.k) if context.table else 0)
    return u if h >= 0 else -1 - u


def read_corrections(lists, n, count):
    r = lists.u8()
    require(r <= 17, "parameter of corrections")
    bits = Bits(lists)
    for at in positions(lambda: rice_gap(bits, r, count), n, count):
        b = bits.take(4)
        yield at, b - 8 if b < 8 else b - 7
    bits.end()


def indices(n, level, odd):
    """Of an axis, those in units of grid 0 that a class has, or the coarse grid where `odd` is 0."""
    return range(odd << level, n, 2 << level)


def pieces(p, with_coarsest):
    """Level, class (0: the coarsest grid), whether rows stand together, and places, of every piece of the stream."""
    outer, *axes, inner = p.extents
    for level in reversed(range(p.levels + 1)):
        coarsest = level == p.levels
        for o in range(outer):
            for k in [0] if coarsest else CLASSES:
                if coarsest:
                    some = [range(0, n, 1 << level) for n in axes]
                else:
                    some = [indices(n, level, k >> a & 1) for a, n in enumerate(axes)]
                length = len(some[2]) * inner
                if not length:
                    continue
                together = length < 128 and (k or with_coarsest)
                rows = 1024 // length if together else 1
                for x0 in some[0]:
                    for at in range(0, len(some[1]), rows):
                        plane = some[1][at : at + rows]
                        places = [(o, x0, x1, x2, i) for x1 in plane for x2 in some[2] for i in range(inner)]
                        yield level, k, together, places


def memory_index(p, x):
    at = 0
    for i, n in zip(x, p.extents, strict=True):
        at = at * n + i
    return at


def moved(x, axis, by):
    return (*x[:axis], x[axis] + by, *x[axis + 1 :])


def neighbourhood(p, x, level, k, together, spacing, magnitude):
    near = []
    for axis in range(3):
        if k >> axis & 1:
            b, c = moved(x, 1 + axis, -(1 << level)), moved(x, 1 + axis, 1 << level)
            c = c if c[1 + axis] < p.extents[1 + axis] else b
            near += [(6 // k.bit_count(), magnitude[b]), (6 // k.bit_count(), magnitude[c])]
    if x[2] - spacing >= 0 and not together:
        up = moved(x, 2, -spacing)
        left, right = moved(up, 3, -spacing), moved(up, 3, spacing)
        near.append((6, magnitude[up]))
        near.append((3, magnitude[left if left[3] >= 0 else up]))
        near.append((3, magnitude[right if right[3] < p.extents[3] else up]))
    if x[1] - spacing >= 0:
        near.append((6, magnitude[moved(x, 1, -spacing)]))
    if x[0]:
        near.append((6, magnitude[moved(x, 0, -1)]))
    return near


def coarse(p, x, spacing, R, sums, masked):
    """The sum B, and S without the residual."""
    left = p.along & 4 and x[3]
    S = sums[moved(x, 3, -spacing)] if left else 0
    if p.stencil and x[2]:
        return by_stencil(p, x, R, masked), S
    along = [axis for bit, axis in ((8, 0), (1, 1), (2, 2)) if p.along & bit and x[axis]]
    before = 0
    for size in range(1, len(along) + 1):
        for some in itertools.combinations(along, size):
            y = x
            for axis in some:
                y = moved(y, axis, -(spacing if axis else 1))
            before += R[y] if size % 2 else -R[y]
    return wrap(before), S


# Of values of a stencil: planes before, rows and places behind.
IN_PLANE = [(0, -1, -2), (0, -1, -1), (0, -1, 1), (0, -1, 2), (0, -2, 0)]
IN_PLANES_BEFORE = [
    *((1, 0, place) for place in (0, -1, 1, 2)), (1, 1, 0), (1, 1, -1), (1, -1, 0), (1, -1, -1), (2, 0, 0), (2, 0, -1)
]  # fmt: skip


def by_stencil(p, x, R, masked):
    total = 0
    for place in range(x[3] + 1):
        y = (*x[:3], place, x[4])
        N = R[moved(y, 2, -1)]
        if memory_index(p, y) not in masked:
            near = [(0, at) for at in IN_PLANE]
            near += [(1, at) for at in IN_PLANES_BEFORE] if p.along & 1 else []
            near += [(0, at) for at in IN_PLANES_BEFORE] if p.along & 8 else []
            differs = 1 << 9
            for weight, (axis, (planes, row, by)) in zip(p.stencil, near, strict=True):
                z = moved(moved(moved(y, axis, -planes), 2, row), 3, by)
                if z[axis] >= 0 and 0 <= z[2] < p.extents[2]:
                    z = moved(z, 3, min(max(z[3], 0), p.extents[3] - 1) - z[3])
                    differs += weight * wrap(R[z] - N)
            total += wrap(differs) >> 10
        total += 0 if place else N
    return wrap(total)


def interpolated(p, x, level, k, R):
    rule = p.rules[level, k]
    prediction = by_rule(p, x, level, k, rule, lambda y: R[y])
    if p.reference and x[0] and rule.trust:
        g = 0 if p.reference == 1 else 4
        trust, damping = TRUSTS[rule.trust]
        known = {}

        def reference(y):
            if p.reference == 1:
                return R[moved(y, 0, -1)]
            if y not in known:
                M = wrap(16 * R[0, *y[1:]])
                for o in range(1, y[0]):
                    weight = 2 if p.reference == 2 else min(4, o.bit_length())
                    M = wrap(M + (wrap(16 * R[o, *y[1:]] - M) >> weight))
                known[y] = M
            return known[y]

        expected = by_rule(p, x, level, k, rule, reference)
        differs = trust * (reference(x) - expected) + damping * (expected - (prediction << g))
        prediction = wrap(prediction + (wrap(differs + (2 << g)) >> (g + 2)))
    return prediction


def by_rule(p, x, level, k, rule, value):
    """What a rule predicts from the values that `value` gives for places."""
    along = []
    for axis in (3, 2, 1):
        if not k >> (axis - 1) & 1:
            continue
        step = 1 << level
        b = value(moved(x, axis, -step))
        n = p.extents[axis]
        has_a, has_c, has_d = x[axis] >= 3 * step, x[axis] + step < n, x[axis] + 3 * step < n
        a = value(moved(x, axis, -3 * step)) if has_a else None
        c = value(moved(x, axis, step)) if has_c else wrap(2 * b - a) if has_a else b
        a = a if has_a else wrap(2 * b - c)
        d = value(moved(x, axis, 3 * step)) if has_d else wrap(2 * c - b)
        if rule.cubic:
            along.append(wrap(b + (wrap(8 * (c - b) + (b - a) + (c - d) + 8) >> 4)))
        else:
            along.append(wrap(b + (wrap(c - b + 1) >> 1)))
    first, *others = along
    if not others:
        return first
    move = sum(w * (q - first) for w, q in zip(rule.weights, others, strict=False))
    return wrap(first + (wrap(move + 8) >> 4))


# ---- Windows section ----
Section = namedtuple("Section", "integers refused edges")


def whole_section(data, count, size):
    """A section of nothing but integers, which takes all of some bytes."""
    r = Reader(data)
    section = windows(r, count, size)
    require(r.left() == 0, "bytes after the end of a section")
    require(not section.refused and not section.edges, "refused integers")
    return section


def windows(r, count, size):
    """The integers of a section, outside values among them, and (position, value) and positions of the others."""
    layout = r.u8()
    if layout == 128:
        return varints(r, count, size)
    n_lanes, group, prob_bits = 4 << (layout & 7), 64 if layout & 8 else 128, 10 + (layout >> 4 & 3)
    require(layout & 7 <= 4 and layout < 128, "layout")
    in_states = bool(layout & 64)
    byte = r.u8()
    n_classes, coding = (byte & 15) + 1, byte >> 4 & 3
    require(coding < 3 and (n_classes > 1 or coding == 0), "coding of the class sequence")
    require(byte & 64 or byte < 128, "edges without exceptions")
    classes, readers = [], []
    for _ in range(n_classes):
        head, second, lo = r.u8(), r.u8(), unzigzag(r.varint())
        is_curve, K = second & 64, (second & ~64) + 1
        k, m = head & ~32, r.u8() if head & 32 else None
        require(k <= 25 and K <= 64, "raw bits or tokens of a class")
        require(K > 1 or not is_curve, "the curve of one token")
        require(-(2**31) <= lo << k and lo + K << k <= 2**31, "window")
        require(m is None or 1 <= m <= 24, "significand bits of an image")
        require(
            m is None or -(2**31) <= image(lo << k, m) and image((lo + K << k) - 1, m) < 2**31, "window of an image"
        )
        classes.append((k, K, lo, m))
        readers.append(None if K == 1 else read_curve if is_curve else read_table)
    bits = Bits(r)
    tables = [read and read(bits, K, prob_bits) for read, (_, K, *_) in zip(readers, classes, strict=True)]
    bits.end()

    groups = [range(start, min(start + group, count)) for start in range(0, count, group)]
    sequence = class_sequence(r, len(groups), n_classes, coding) if n_classes > 1 else [0] * len(groups)
    has_tokens = any(tables[c] for c in sequence)
    require(has_tokens or not in_states, "bytes in the states of no tokens")

    raw_size = sum(-(-len(values) // 16) * 2 * classes[c][0] for values, c in zip(groups, sequence, strict=True))
    numbers, lists_size, lists_missing, raw_missing = [], 0, 0, 0
    raw_stored = b"" if in_states else r.bytes(raw_size)
    if byte & 64:
        numbers = [r.varint() for _ in range(3 if byte & 128 else 2)]
        require(max(numbers) <= count, "more exceptions than values")
        require(any(numbers), "no exceptions where there should be some")
        lists_size = r.varint()
    if in_states:
        require(lists_size <= 2**16, "long lists in states")
        lists_missing = min(2 * n_lanes, lists_size)
        raw_missing = min(2 * n_lanes - lists_missing, raw_size)
    lists_stored = r.bytes(lists_size - lists_missing)
    if in_states:
        raw_stored = r.bytes(raw_size - raw_missing)

    pops = []  # the token of every value
    missing = b""
    if has_tokens:
        states = r.numbers(f"{n_lanes}I")
        require(r.left() % 2 == 0, "half a word")
        lanes = Lanes(states, r.numbers(f"{r.left() // 2}H"), prob_bits)
        for values, c in zip(groups, sequence, strict=True):
            pops += [lanes.token(i % n_lanes, tables[c]) if tables[c] else 0 for i in range(len(values))]
        missing = lanes.end(lists_missing + raw_missing)
    else:
        pops = [0] * count

    plane = Reader(missing[lists_missing:] + raw_stored)
    raw = [raw_plane(plane, len(values), classes[c][0]) for values, c in zip(groups, sequence, strict=True)]
    outside, refused, edges = [], [], []
    if byte & 64:
        lists = Reader(missing[:lists_missing] + lists_stored)
        outside = list(outside_values(lists, numbers[0], count)) if numbers[0] else []
        require(all(abs(v) <= 2**30 for _, v in outside), "an outside value beyond 2^30")
        refused = list(refused_values(lists, numbers[1], count, size))
        if byte & 128:
            require(numbers[2], "no edges where there should be some")
            edges = edge_positions(lists, numbers[2], count)
        require(lists.left() == 0, "bytes after the end of the lists")

    integers = []
    for values, c, low in zip(groups, sequence, raw, strict=True):
        k, _, lo, m = classes[c]
        for i in range(len(values)):
            u = (lo + pops[len(integers)] << k) | low[i]
            integers.append(u if m is None else image(u, m))
    for at, v in outside:
        integers[at] = v
    return Section(integers, refused, edges)


def varints(r, count, size):
    """A section without windows."""
    byte = r.u8()
    require(not byte & 63, "reserved bits of a section of varints")
    require(byte & 64 or byte < 128, "edges without exceptions")
    refused, edges = [], []
    if byte & 64:
        numbers = [r.varint() for _ in range(2 if byte & 128 else 1)]
        require(max(numbers) <= count, "more exceptions than values")
        require(any(numbers), "no exceptions where there should be some")
        lists = Reader(r.bytes(r.varint()))
        refused = list(refused_values(lists, numbers[0], count, size))
        if byte & 128:
            require(numbers[1], "no edges where there should be some")
            edges = edge_positions(lists, numbers[1], count)
        require(lists.left() == 0, "bytes after the end of the lists")
    codes = [r.varint() for _ in range(count)]
    require(max(codes, default=0) < 2**32, "an integer beyond 32 bits")
    require(r.left() == 0, "bytes after the last varint")
    return Section([unzigzag(code) for code in codes], refused, edges)


def image(u, m):
    """What an integer of a class with an image stands for."""
    if u < 0:
        return -image(-u, m)
    e = u // 2**m - 1
    require(e <= 31, "window of an image")  # before it becomes astronomic
    return u if e < 1 else (u - e * 2**m) * 2**e


# ---- Tables ----
def golomb(bits, order, most):
    """An exp-Golomb code of at most so many zero bits."""
    zeros = 0
    while not bits.take(1):
        zeros += 1
        require(zeros <= most, "a code of too many zero bits")
    t = zeros + order
    return (1 << t) + bits.take(t) - (1 << order)


def completed(table, largest, total):
    """The first of the largest has what the others leave."""
    at = largest.index(max(largest))
    table[at] = total - (sum(table) - table[at])
    require(1 <= table[at] < total, "a frequency that is left")
    return table


def read_table(bits, K, prob_bits):
    order, kind, c, codes, total = bits.take(3), bits.take(3), 0, [], 1 << prob_bits
    for _ in range(K):
        c += unzigzag(golomb(bits, order, 32 - order))
        require(0 <= c < total, "a code out of range")
        codes.append(c)
    if kind == 7:
        require(sum(codes) == total, "the sum of a table")
        return codes
    octaves = [max(0, (c >> kind) - 1) for c in codes]
    table = [(c - (e << kind)) << e for c, e in zip(codes, octaves, strict=True)]
    require(all(f < total for f in table), "a frequency out of range")
    return completed(table, codes, total)


def logarithm(v):
    e = v.bit_length() - 1
    y = v << (31 - e)
    i, g = y >> 23 & 255, y >> 7 & 65535
    low, high = (round(65536 * math.log2(1 + j / 256)) for j in (i, i + 1))
    return (e << 16) + low + ((high - low) * g >> 16)


TWELFTHS = [65536, 61858, 58386, 55109, 52016, 49097, 46341, 43740, 41285, 38968, 36781, 34716]


def curve(shape, scale, centre, K, prob_bits):
    """The frequencies of a curve."""
    weights = []
    for i in range(K):
        t = min(2 * abs(4 * i + 2 - centre) * TWELFTHS[scale % 12] >> scale // 12, 2**22)
        q = t * t >> 16
        normal, laplace = 47274 * q >> 16, 133711 * t >> 16
        E = (normal, laplace, (normal + laplace) // 2, 5 * (logarithm(65536 + q // 2) - 2**20) // 2)[shape]
        E = min(E, 31 << 16)
        g = E & 65535
        p = 65536 - (g * (45309 - (g * (15105 - (2563 * g >> 16)) >> 16)) >> 16)
        weights.append(256 * p >> (E >> 16) if E < 25 << 16 else 0)
    if not sum(weights):
        weights[0] = 1
    table = [1 + w * ((1 << prob_bits) - K) // sum(weights) for w in weights]
    return completed(table, weights, 1 << prob_bits)


def read_curve(bits, K, prob_bits):
    shape, scale, centre = bits.take(2), bits.take(7), bits.take(8)
    require(centre < 4 * K, "the centre of a curve")
    return curve(shape, scale, centre, K, prob_bits)


# ---- Class sequence ----
def class_sequence(r, n_groups, n_classes, coding):
    bits = Bits(r)
    if coding == 0:
        sequence = [bits.take((n_classes - 1).bit_length()) for _ in range(n_groups)]
        bits.end()
        require(max(sequence) < n_classes, "a class beyond the last")
        return sequence
    tables = [read_table(bits, n_classes, 8) for _ in range(n_classes if coding == 2 else 1)]
    bits.end()
    states, n_words = r.numbers("4I"), r.varint()
    require(2 * n_words <= r.left(), "truncated class sequence")
    lanes = Lanes(states, r.numbers(f"{n_words}H"), 8)
    sequence = []
    for i in range(n_groups):
        context = sequence[-1] if coding == 2 and i else 0
        sequence.append(lanes.token(i % 4, tables[context]))
    lanes.end()
    return sequence


# ---- Raw plane ----
def raw_plane(r, n, k):
    """The raw bits of the values of one group."""
    low = []
    for start in range(0, n, 16):
        packed = int.from_bytes(r.bytes(2 * k), "little")
        low += [packed >> j * k & (1 << k) - 1 for j in range(min(16, n - start))]
    return low


# ---- Lists ----
def positions(gap, n, count):
    """The positions of a list; its caller reads what follows each gap in between."""
    at = -1
    for _ in range(n):
        at += gap() + 1
        require(at < count, "an exception beyond the block")
        yield at


def rice_gap(bits, r, count):
    quotient = 0
    while not bits.take(1):
        quotient += 1
        require(quotient << r < count, "a gap beyond the block")
    return (quotient << r) + bits.take(r)


def outside_values(lists, n, count):
    """(position, integer) of every outside value."""
    r, order = lists.u8(), lists.u8()
    require(r <= 17 and order <= 31, "the codes of outside values")
    bits = Bits(lists)
    for at in positions(lambda: rice_gap(bits, r, count), n, count):
        yield at, unzigzag(golomb(bits, order, 32 - order))
    bits.end()


def refused_values(lists, n, count, size):
    """(position, value) of every refused value: entries stand for runs, and may repeat the value before."""
    at, value = 0, bytes(size)
    while n:
        head = lists.varint()
        at += head >> 2
        if not head & 1:
            value = lists.bytes(size)
        run = lists.varint() + 2 if head & 2 else 1
        require(run <= n, "a run beyond the number of refused values")
        require(at + run <= count, "an exception beyond the block")
        yield from ((at + i, value) for i in range(run))
        at += run
        n -= run


def edge_positions(lists, n, count):
    r = lists.u8()
    require(r <= 17, "parameter of edges")
    bits = Bits(lists)
    found = list(positions(lambda: rice_gap(bits, r, count), n, count))
    bits.end()
    return found


def number(i, array):
    """The finite numbers of a float type in order, 0 being number 0."""
    layout = {10: "e", 7: "f", 23: "f"}[array.m]
    bits = abs(i) << 16 if array.m == 7 else abs(i)
    (x,) = struct.unpack("<" + layout, bits.to_bytes(struct.calcsize(layout), "little"))
    return -x if i < 0 else x


def edge(value, array):
    """What the value at the position of an edge becomes."""
    bits, sign = int.from_bytes(value, "little"), 1 << 8 * array.size - 1
    largest = ((largest_exponent(array.m) + 1) << array.m) - 1  # number of the largest
    i = -(bits - sign) if bits & sign else bits
    require(abs(i) <= largest, "an edge of what is not finite")
    x = number(i, array)
    R = round(x / array.delta)
    p = float(R) * array.delta
    require(abs(R) <= 2**27 and x != p, "an edge of what is none")
    if x > p:
        bound = float(2 * R - 1) * (array.delta / 2)
        i = 1 + last(lambda i: number(i, array) < bound, -largest - 1, largest)
    else:
        bound = float(2 * R + 1) * (array.delta / 2)
        i = last(lambda i: number(i, array) <= bound, -largest - 1, largest)
    return (sign + -i if i < 0 else i).to_bytes(array.size, "little")


def last(holds, low, high):
    """The last i of low … high for which something holds that holds up to there only; low is not asked."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


# ---- rANS ----
class Lanes:
    """Interleaved decoder states that share one sequence of words."""

    def __init__(self, states, words, prob_bits):
        require(min(states) >= 2**16, "an initial state below 2^16")
        self.states, self.words, self.prob_bits = list(states), iter(words), prob_bits

    def token(self, lane, table):
        x = self.states[lane]
        slot = x & (1 << self.prob_bits) - 1
        s = first = 0
        while first + table[s] <= slot:
            first += table[s]
            s += 1
        x = table[s] * (x >> self.prob_bits) + slot - first
        if x < 2**16:
            word = next(self.words, None)
            require(word is not None, "too few words")
            x = x << 16 | word
        self.states[lane] = x
        return s

    def end(self, size=0):
        """So many bytes that are in the final states."""
        require(next(self.words, None) is None, "words left over")
        require({x >> 16 for x in self.states} == {1}, "a final state that is not 2^16")
        found = struct.pack(f"<{len(self.states)}H", *(x & 0xFFFF for x in self.states))
        require(not any(found[size:]), "a final state that is not 2^16")
        return found[:size]
