"""A second decoder of chunks, written from docs/format.md alone, to be read beside it.

Slow on purpose: one value at a time, in plain integers, no tables of slots, no lanes in step.  It
shares nothing with the package; the tests hold both to the same arrays and the same refusals.
"""

import math
import struct

import numpy as np


class Invalid(ValueError):
    """The bytes are no chunk of this version."""


def require(condition, message):
    if not condition:
        raise Invalid(message)


# ---- Conventions ----
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
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


# ---- Frame ----
def decode(data):
    """The array in a chunk, in its own byte order and memory order."""
    data = bytes(data)
    r = Reader(data)
    require(r.bytes(3) == b"\xacAC", "not a chunk")
    version, codec, kind, flags, ndim = r.bytes(5)
    require(version == 0 and codec == 1 and kind in (1, 2), "reserved version, codec or element type")
    require(flags < 8 and ndim <= 32, "reserved flags, or too many dimensions")
    dtype = np.dtype("<f4" if kind == 1 else "<f8")
    (delta,) = r.numbers("f" if kind == 1 else "d")
    require(valid_delta(delta, dtype), "delta")
    if not flags & 4:
        (tol,) = r.numbers("d")
        require(math.isfinite(tol) and tol >= 0 and tol != delta / 2, "tol")
    shape = tuple(r.varint() for _ in range(ndim))
    count = math.prod(shape)
    require(math.prod(n for n in shape if n) * dtype.itemsize < 2**63, "the array is too large")
    length = r.varint()
    require(length < 2**18, "block length")
    length = length or 2**18
    n_blocks = -(-count // length)
    require(8 * n_blocks <= r.left(), "truncated index")
    index = [r.numbers("II") for _ in range(n_blocks)]
    end = r.at
    require(r.numbers("I")[0] == crc32c(data[:end]), "CRC of the header")
    elements = []
    for i, (size, crc) in enumerate(index):
        block = r.bytes(size)
        require(size > 0 and crc32c(block) == crc, "size or CRC of a block")
        elements += decode_block(Reader(block), min(length, count - i * length), dtype, delta)
    require(r.left() == 0, "bytes after the last block")

    values = np.frombuffer(b"".join(elements), dtype)
    if flags & 1:
        values = values.byteswap().view(dtype.newbyteorder(">"))
    return values.reshape(shape, order="F" if flags & 2 else "C")


def valid_delta(delta, dtype):
    if delta == 0:
        return math.copysign(1, delta) > 0
    if dtype.itemsize == 8:
        return 2.0**-1022 <= delta < math.inf
    return 2.0**-126 <= delta < math.inf


# ---- Reconstruction ----
def reconstruct(integers, dtype, delta):
    """The elements of integers, each as its bytes."""
    with np.errstate(over="ignore", under="ignore"):  # a rounding, whatever comes of it
        data = np.array([float(R) * delta for R in integers]).astype(dtype).tobytes()
    return [data[i : i + dtype.itemsize] for i in range(0, len(data), dtype.itemsize)]


# ---- Blocks ----
def decode_block(r, count, dtype, delta):
    """The elements of a block, each as its bytes."""
    mode, size = r.u8(), dtype.itemsize
    if mode == 0:
        elements = [r.bytes(size) for _ in range(count)]
    elif mode == 1:
        elements = [r.bytes(size)] * count
    else:
        require(mode == 2 and delta > 0, "reserved mode, or windows in a lossless chunk")
        elements = windows(r, count, dtype, delta)
    require(r.left() == 0, "bytes after the end of a block")
    return elements


# ---- Windows ----
def windows(r, count, dtype, delta):
    layout = r.u8()
    n_lanes, group, prob_bits = 4 << (layout & 7), 64 if layout & 8 else 128, 10 + (layout >> 4 & 3)
    require(layout & 7 <= 4 and layout < 64, "layout")
    byte = r.u8()
    n_classes, coding = (byte & 15) + 1, byte >> 4 & 3
    require(byte < 128 and coding < 3 and (n_classes > 1 or coding == 0), "coding of the class sequence")
    classes = []
    for _ in range(n_classes):
        k, K, lo = r.u8(), r.u8() + 1, unzigzag(r.varint())
        require(k <= 25 and K <= 64, "raw bits or tokens of a class")
        require(-(2**31) <= lo << k and lo + K << k <= 2**31, "window")
        classes.append((k, K, lo))
    bits = Bits(r)
    tables = [read_table(bits, K, prob_bits) if K > 1 else None for _, K, _ in classes]
    bits.end()

    groups = [range(start, min(start + group, count)) for start in range(0, count, group)]
    sequence = class_sequence(r, len(groups), n_classes, coding) if n_classes > 1 else [0] * len(groups)
    raw = [raw_plane(r, len(values), classes[c][0]) for values, c in zip(groups, sequence, strict=True)]

    outside = refused = ()
    if byte & 64:
        n_outside, n_refused = r.varint(), r.varint()
        require(n_outside <= count and n_refused <= count, "more exceptions than values")
        require(n_outside or n_refused, "no exceptions where there should be some")
        lists = Reader(r.bytes(r.varint()))
        outside = [(at, unzigzag(lists.varint())) for at in positions(lists, n_outside, count)]
        require(all(abs(v) <= 2**30 for _, v in outside), "an outside value beyond 2^30")
        refused = list(refused_values(lists, n_refused, count, dtype.itemsize))
        require(lists.left() == 0, "bytes after the end of the lists")

    lanes = None
    if any(tables[c] for c in sequence):
        states = r.numbers(f"{n_lanes}I")
        require(r.left() % 2 == 0, "half a word")
        lanes = Lanes(states, r.numbers(f"{r.left() // 2}H"), prob_bits)
    integers = []
    for values, c, low in zip(groups, sequence, raw, strict=True):
        k, K, lo = classes[c]
        for i in range(len(values)):
            token = lanes.token(i % n_lanes, tables[c]) if K > 1 else 0
            integers.append((lo + token << k) | low[i])
    if lanes:
        lanes.end()
    for at, v in outside:
        integers[at] = v
    elements = reconstruct(integers, dtype, delta)
    for at, element in refused:
        elements[at] = element
    return elements


# ---- Tables ----
def read_table(bits, K, prob_bits):
    order, f, table = bits.take(3), 0, []
    for _ in range(K):
        zeros = 0
        while not bits.take(1):
            zeros += 1
            require(zeros <= 15, "a code of more than 15 zero bits")
        t = zeros + order
        f += unzigzag((1 << t) + bits.take(t) - (1 << order))
        require(0 <= f < 1 << prob_bits, "a frequency out of range")
        table.append(f)
    require(sum(table) == 1 << prob_bits, "the sum of a table")
    return table


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
def refused_values(lists, n, count, size):
    """(position, element) of every refused value: entries stand for runs, and may repeat the element before."""
    at, element = 0, bytes(size)
    while n:
        head = lists.varint()
        at += head >> 2
        if not head & 1:
            element = lists.bytes(size)
        run = lists.varint() + 2 if head & 2 else 1
        require(run <= n, "a run beyond the number of refused values")
        require(at + run <= count, "an exception beyond the block")
        yield from ((at + i, element) for i in range(run))
        at += run
        n -= run


def positions(lists, n, count):
    """The positions of a list; its caller reads what follows each gap in between."""
    at = -1
    for _ in range(n):
        at += lists.varint() + 1
        require(at < count, "an exception beyond the block")
        yield at


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

    def end(self):
        require(set(self.states) == {2**16}, "a final state that is not 2^16")
        require(next(self.words, None) is None, "words left over")
