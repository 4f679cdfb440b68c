"""Chunks by hand: numbers, checksums and headers in bytes, of which nothing is checked."""

import struct

import numpy as np

try:
    from google_crc32c import value as fast_crc32c
except ImportError:
    fast_crc32c = None

TABLE = [0] * 256
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    TABLE[i] = c


def crc32c_by_hand(data):
    """Byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def crc32c(data):
    """The same, fast where zarr is installed, which brings a library: tests make hundreds of thousands."""
    return crc32c_by_hand(data) if fast_crc32c is None else fast_crc32c(bytes(data))


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def zigzag(v):
    return 2 * v if v >= 0 else -2 * v - 1


def header(
    shape=(8,), dtype=1, flags=0, tol=0.25, delta=1.0, block_len=8, n_blocks=1, version=0, codec=1, magic=b"\xacAC",
    T=0, rtol=None, unit=(0, 1), box=None,
):  # fmt: skip
    """A header with its index.

    Of delta, T, unit and tol those are written that the element type has. tol None leaves it out (flag 4 says so), rtol
    is written if it is given (flag 8 says so); delta may be the bytes of one. A box (in memory order) stands in the
    place of the block length (flag 16 says so).
    """
    head = magic + bytes([version, codec, dtype, flags, len(shape)])
    if dtype in (25, 26):
        head += bytes([unit[0]]) + varint(unit[1])
    if dtype < 16:
        head += delta if isinstance(delta, bytes) else struct.pack("<d" if dtype in (2, 6) else "<f", delta)
    elif dtype < 24:
        head += varint(T)
    head += b"" if tol is None or dtype in (24, 25, 26) else struct.pack("<d", tol)
    head += b"" if rtol is None else struct.pack("<d", rtol)
    head += b"".join(varint(n) for n in (*shape, *([block_len] if box is None else box))) + bytes(8 * n_blocks)
    return head + bytes(4)


def reseal(header, *blocks):
    """A chunk from a header (with any index of so many blocks) and its blocks, with valid checksums."""
    fixed = header[: -4 - 8 * len(blocks)]
    fixed += b"".join(struct.pack("<II", len(block), crc32c(block)) for block in blocks)
    return fixed + struct.pack("<I", crc32c(fixed)) + b"".join(blocks)


RAW = b"\0" + np.arange(8, dtype="<f4").tobytes()
