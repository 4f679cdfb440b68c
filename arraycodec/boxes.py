"""Cutting arrays into chunks, and into boxes of chunks to move at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

CHUNK_VALUES = 1 << 18  # a block of the codec
BOX_VALUES = 1 << 20  # move at least about this many values at a time, to spare hosts many small calls
LARGE_BOX_VALUES = 1 << 24  # never join chunks into boxes larger than this


def automatic_chunks(shape: tuple[int, ...], values: int = CHUNK_VALUES) -> tuple[int, ...]:
    """Chunks of about `values` values: whole trailing axes first, then equal parts of the next."""
    chunks: list[int] = []
    for length in reversed(shape):
        parts = -(-length // max(values, 1)) or 1
        chunks.append(max(1, -(-length // parts)))
        values //= chunks[-1]
    return tuple(reversed(chunks))


def box_shape(
    shape: tuple[int, ...], unit: tuple[int, ...], source_chunks: tuple[int, ...] | None = None,
    values: int = BOX_VALUES,
) -> tuple[int, ...]:  # fmt: skip
    """A multiple of `unit` to move at a time.

    It covers whole chunks of the source where that is affordable (a source chunk is decoded whole
    for every box that touches it), and has about as many as `values` if it can.
    """
    box = [max(1, u) for u in unit]
    if source_chunks is not None:
        covering = [-(-max(u, c) // u) * u for u, c in zip(box, source_chunks, strict=True)]
        if math.prod(covering) <= LARGE_BOX_VALUES:
            box = covering
    for axis in reversed(range(len(shape))):
        if math.prod(box) >= values:
            break
        most = max(1, -(-shape[axis] // box[axis]))
        box[axis] *= min(most, max(1, values // math.prod(box)))
    return tuple(box)


def boxes(shape: tuple[int, ...], box: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """All boxes of an array, in C order; one empty box for a 0-d array, none for an empty one."""
    ranges = [range(0, length, step) for length, step in zip(shape, box, strict=True)]
    for corner in itertools.product(*ranges):
        yield tuple(slice(i, min(i + step, length)) for i, step, length in zip(corner, box, shape, strict=True))
