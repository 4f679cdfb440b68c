"""Arrays on which codecs break, and damage to the bytes of chunks; the same every time.

`floats`, `integers` and `layouts` make named arrays of one dtype.  `mutations` damages bytes as disks, networks
and attackers do.  Nothing here knows of codecs: `arraycodec bench --torture` and the tests use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

_TOL = 2.0**-7

#: Bit patterns by the size of the type: quiet and signalling NaNs of both signs, and infinities.
_SPECIAL = {
    2: (0x7E00, 0xFE01, 0x7C01, 0xFDAD, 0x7FFF, 0x7C00, 0xFC00),
    4: (0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBADBAD, 0x7FFFFFFF, 0x7F800000, 0xFF800000),
    8: (
        0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001, 0xFFF7BADBADBADBAD, 0x7FFFFFFFFFFFFFFF,
        0x7FF0000000000000, 0xFFF0000000000000,
    ),
}  # fmt: skip


def payload_nans(dtype: np.typing.DTypeLike) -> np.ndarray:
    """Quiet and signalling NaNs of both signs with distinct payloads, and infinities.

    Parameters
    ----------
    dtype : dtype_like
        float16, float32 or float64.
    """
    size = np.dtype(dtype).itemsize
    return np.array(_SPECIAL[size], f"u{size}").view(f"f{size}")


def floats(dtype: np.typing.DTypeLike, n: int = 1000, tol: float = _TOL) -> dict[str, np.ndarray]:
    """One-dimensional arrays of `n` floats, by name.

    Parameters
    ----------
    dtype : dtype_like
        float16, float32 or float64.
    n : int
        Values of each; also the seed.
    tol : float
        Some values lie exactly between two multiples of ``2 * tol``, and beside that.
    """
    dtype = np.dtype(dtype)
    half = dtype.itemsize == 2  # the others have the range for larger outliers
    rng = np.random.default_rng(n)
    info = np.finfo(dtype)
    normal = rng.normal(size=n).astype(dtype)
    with_nan = normal.copy()
    with_nan[rng.random(n) < 0.1] = np.nan
    specials = normal.copy()
    specials[:: max(1, n // 50)] = np.resize(payload_nans(dtype), len(specials[:: max(1, n // 50)]))
    outliers = normal.copy()
    outliers[rng.random(n) < 0.01] *= dtype.type(4e3 if half else 1e20)
    edges = ((np.arange(n) - n // 2) * dtype.type(tol)).astype(dtype)  # exactly between two lattice points
    sparse = np.where(rng.random(n) < 0.02, normal, 0).astype(dtype)
    scales = np.exp(rng.normal(size=n // 100 + 1) * (2 if half else 4))
    rows = np.repeat(scales, 100)[:n].astype(dtype) * normal
    return {
        "zeros": np.zeros(n, dtype),
        "negative zeros": np.full(n, -0.0, dtype),
        "constant": np.full(n, 3.14159, dtype),
        "all nan": np.full(n, np.nan, dtype),
        "all inf": np.full(n, -np.inf, dtype),
        "normal": normal,
        "offset": normal + dtype.type(1000),
        "nan": with_nan,
        "specials": specials,
        "only specials": np.resize(payload_nans(dtype), n),
        "outliers": outliers,
        "ramp": np.linspace(-5, 5, n).astype(dtype),
        "steps": np.repeat(rng.normal(size=n // 64 + 1), 64)[:n].astype(dtype) * dtype.type(10),
        "edges": edges,
        "next to edges": np.nextafter(edges, np.resize(np.array([np.inf, -np.inf], dtype), n)).astype(dtype),
        "sparse": sparse,
        "scales": rows,
        "tiny": normal * info.tiny,
        "denormal": (normal * info.smallest_subnormal * 100).astype(dtype),
        "huge": np.where(rng.random(n) < 0.5, info.max, -info.max).astype(dtype),
        "random bits": rng.integers(0, 2**64, n, "u8").astype(f"u{dtype.itemsize}").view(dtype),
        "uniform": rng.uniform(-1, 1, n).astype(dtype),
        "two values": rng.choice(np.array([0.25, 0.75], dtype), n),
        "beside one tolerance": _beside_one_tolerance(dtype, n, tol),
    }


def _beside_one_tolerance(dtype: np.dtype, n: int, tol: float) -> np.ndarray:
    """Numbers next to 0 among odd multiples of `tol`: a codec that takes one for the other errs by `tol` and a little.

    That little is far below the rounding of differences in the type, so that a check of the bound in the array's own
    precision does not see it.  Every 50th value is so far away that most store it as it is, which keeps multiples odd.
    """
    rng = np.random.default_rng(n)
    far, halfway = (701, 301) if dtype.itemsize == 2 else (70001, 30001)
    multiples = 2 * rng.integers(-3, 4, n) + 1
    multiples[::50], multiples[1::50] = far, halfway
    with np.errstate(over="ignore"):
        values = (multiples * dtype.type(tol)).astype(dtype)
    least = np.finfo(dtype).smallest_subnormal
    return np.where((np.arange(n) % 2 == 0) | (multiples > 100), values, rng.choice(np.array([least, -least]), n))


def integers(dtype: np.typing.DTypeLike, n: int = 1000) -> dict[str, np.ndarray]:
    """One-dimensional arrays of `n` integers, by name: where sums, differences and signs overflow.

    Parameters
    ----------
    dtype : dtype_like
        Of integers.
    n : int
        Values of each; also the seed.
    """
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(n)
    info = np.iinfo(dtype)
    low, high = (np.array(end, dtype) for end in (info.min, info.max))
    near = np.arange(n) % 100  # int8 has no more on either side
    return {
        "smallest": np.full(n, low),
        "largest": np.full(n, high),
        "both ends": np.where(rng.random(n) < 0.5, low, high),
        "in turns": np.where(np.arange(n) % 2 == 0, low, high),
        "near the ends": np.where(rng.random(n) < 0.5, low + near.astype(dtype), high - near.astype(dtype)),
        "random bits": rng.integers(0, 2**64, n, "u8").astype(f"u{dtype.itemsize}").view(dtype),
    }


def layouts(dtype: np.typing.DTypeLike) -> dict[str, np.ndarray]:
    """Arrays of harmless numbers in shapes and memory layouts that people have, by name.

    Parameters
    ----------
    dtype : dtype_like
        A float, or an integer.
    """
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(5)

    def make(*shape: int) -> np.ndarray:
        values = np.asarray(rng.normal(0, 30, shape))
        if dtype.kind in "iu":
            values = np.clip(np.rint(values) + (100 if dtype.kind == "u" else 0), 0 if dtype.kind == "u" else -128, 127)
        return values.astype(dtype)

    plane, box = make(24, 36), make(6, 8, 10)
    read_only = plane.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(bytearray(1 + plane.nbytes), np.uint8)[1:].view(dtype).reshape(plane.shape)
    unaligned[...] = plane
    return {
        "0-d": make(),
        "empty": make(0),
        "empty 2-d": make(4, 0),
        "one element": make(1),
        "1 x N": make(1, 500),
        "N x 1": make(500, 1),
        "2-d": plane,
        "3-d": box,
        "4-d": make(3, 4, 5, 6),
        "5-d": make(2, 3, 4, 5, 6),
        "Fortran 2-d": np.asfortranarray(plane),
        "Fortran 3-d": np.asfortranarray(box),
        "axes exchanged": box.transpose(1, 2, 0),
        "reversed": plane[::-1, ::-1],
        "strided": plane[::2, ::3],
        "part": plane[3:20, 5:30],
        "broadcast": np.broadcast_to(plane[0], plane.shape),
        "unaligned": unaligned,
        "big-endian": plane.astype(dtype.newbyteorder(">")),
        "read-only": read_only,
    }


def field() -> np.ndarray:
    """A plane of float32, smooth and with some noise, whose chunks are to be damaged."""
    i, j = np.indices((48, 64))
    noise = np.random.default_rng(1).normal(0, 0.01, i.shape)
    return (10 * np.sin(i / 9) * np.cos(j / 7) + noise).astype(np.float32)


# ---- damage ----
def _place(size: int, rng: np.random.Generator) -> int:
    return int(rng.integers(size))


def _run(size: int, rng: np.random.Generator) -> slice:
    """Some bytes in a row: short runs and long ones, as likely."""
    length = 1 + _place(min(size, 1 << int(rng.integers(1, 13))), rng)
    start = _place(size - length + 1, rng)
    return slice(start, start + length)


def _bit(data: bytearray, rng: np.random.Generator) -> bytearray:
    data[_place(len(data), rng)] ^= 1 << int(rng.integers(8))
    return data


def _bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(2, 17))):
        _bit(data, rng)
    return data


def _byte(data: bytearray, rng: np.random.Generator) -> bytearray:
    data[_place(len(data), rng)] = (0, 0xFF, int(rng.integers(256)))[_place(3, rng)]
    return data


def _swapped(data: bytearray, rng: np.random.Generator) -> bytearray:
    i, j = _place(len(data), rng), _place(len(data), rng)
    data[i], data[j] = data[j], data[i]
    return data


def _truncated(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Anything from the last byte to all of them."""
    if rng.random() < 0.5:
        return data[: _place(len(data), rng)]
    return data[: len(data) - 1 - _place(min(len(data), 16), rng)]


def _extended(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data + rng.bytes(1 + _place(1 << int(rng.integers(1, 9)), rng))


def _zeroed(data: bytearray, rng: np.random.Generator) -> bytearray:
    where = _run(len(data), rng)
    data[where] = bytes(where.stop - where.start)
    return data


def _overwritten(data: bytearray, rng: np.random.Generator) -> bytearray:
    where = _run(len(data), rng)
    data[where] = rng.bytes(where.stop - where.start)
    return data


def _copied(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run that stands where another one stood."""
    where = _run(len(data), rng)
    start = _place(len(data) - (where.stop - where.start) + 1, rng)
    data[start : start + where.stop - where.start] = data[where]
    return data


def _integer(data: bytearray, rng: np.random.Generator) -> bytearray:
    """What may be a size, a count or an offset becomes one that overflows something."""
    widths = [width for width in (2, 4, 8) if width <= len(data)]
    if widths:
        width = widths[_place(len(widths), rng)]
        start = _place(len(data) - width + 1, rng)
        bits = 8 * width
        extremes = (0, 1, 2 ** (bits // 2) - 1, 2 ** (bits // 2), 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1)
        data[start : start + width] = extremes[_place(len(extremes), rng)].to_bytes(width, "little")
    return data


_DAMAGE: dict[str, Callable[[bytearray, np.random.Generator], bytearray]] = {
    "one bit": _bit,
    "bits": _bits,
    "byte": _byte,
    "swapped": _swapped,
    "truncated": _truncated,
    "extended": _extended,
    "zeroed": _zeroed,
    "overwritten": _overwritten,
    "copied": _copied,
    "integer": _integer,
}

#: What `mutation` does with number i is ``KINDS[i % len(KINDS)]``.
KINDS = tuple(_DAMAGE)


def mutation(data: bytes, i: int, seed: int = 0) -> bytes:
    """Bytes with damage number `i`; never the bytes that were given.

    Each kind of `KINDS` has its turn: one bit flipped; 2 to 16 bits; a byte that is 0, 255 or random; two bytes
    swapped; an end that is missing; random bytes behind the end; a run of zeros; a run of random bytes; a run copied
    to another place; a little-endian integer of 2, 4 or 8 bytes replaced by an extreme one.  Bytes that a kind
    cannot change (none at all, or a run of zeros to be zeroed) are extended.

    Parameters
    ----------
    data : bytes
    i, seed : int
        Seed a generator (PCG64): the result depends on the three arguments only.
    """
    rng = np.random.Generator(np.random.PCG64([seed, i]))
    damage = _DAMAGE[KINDS[i % len(KINDS)]] if data else _extended
    for _ in range(100):  # a byte may get the value that it had
        changed = bytes(damage(bytearray(data), rng))
        if changed != data:
            return changed
    return bytes(_extended(bytearray(data), rng))


def mutations(data: bytes, n: int, seed: int = 0) -> Iterator[bytes]:
    """The first `n` of `mutation`."""
    for i in range(n):
        yield mutation(data, i, seed)
