"""Which chunks of an array, and which blocks of a chunk, hold the values that a selection asks for.

A chunk is a row of blocks, and a block is decoded as a whole or not at all.  Blocks are boxes of a
grid, or runs of so many consecutive values in memory order.  Here is only geometry: shapes and
indices in, ranges out.  The readers of parts (`codec.decode`, `zarr3`, `hdf5io`) share it.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

#: What a selection asks for along one axis: one index (the axis then drops out), or a range of them.
Axis = int | range


def normalize(selection: Any, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """NumPy's basic indexing, spelled out: one non-negative index or range for every axis.

    Parameters
    ----------
    selection : int, slice, Ellipsis, or tuple of them
        Axes left out are taken whole.
    shape : tuple of int

    Raises
    ------
    IndexError
        If an index leaves the array, or there are more of them than axes.
    TypeError
        If it is another kind of index (None, bool, float, list, array).
    ValueError
        If a slice has step 0.
    """
    items = selection if isinstance(selection, tuple) else (selection,)
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexError(f"a selection can have one Ellipsis, not {ellipses}")
    if len(items) - ellipses > len(shape):
        raise IndexError(f"{len(items) - ellipses} indices for an array of {len(shape)} dimensions")
    axes: list[Axis] = []
    for item in items:
        if item is Ellipsis:
            axes += [range(n) for n in shape[len(axes) : len(axes) + len(shape) - len(items) + 1]]
        else:
            axes.append(_normalize_one(item, shape[len(axes)], len(axes)))
    return (*axes, *(range(n) for n in shape[len(axes) :]))


def _normalize_one(item: Any, length: int, axis: int) -> Axis:
    if isinstance(item, slice):
        return range(*item.indices(length))
    try:
        index = None if isinstance(item, (bool, np.bool_)) else operator.index(item)
    except TypeError:
        index = None
    if index is None:
        raise TypeError(f"a selection has integers, slices and Ellipsis, not {item!r}")
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range for axis {axis} of length {length}")
    return index % length


def shape_of(axes: tuple[Axis, ...]) -> tuple[int, ...]:
    """The shape of what is selected."""
    return tuple(len(axis) for axis in axes if isinstance(axis, range))


def span(axis: Axis) -> range:
    """The smallest range with step 1 around a non-empty axis of a selection."""
    if isinstance(axis, int):
        return range(axis, axis + 1)
    first, last = axis[0], axis[-1]
    return range(min(first, last), max(first, last) + 1)


def as_index(axis: Axis, start: int = 0) -> int | slice:
    """What selects the same from an array that begins at index `start` of the axis."""
    if isinstance(axis, int):
        return axis - start
    if not axis:
        return slice(0, 0)
    stop = axis.stop - start
    return slice(axis.start - start, stop if stop >= 0 else None, axis.step)


def ascending(axes: tuple[Axis, ...]) -> tuple[tuple[tuple[int, int, int], ...], tuple[Any, ...]]:
    """A selection that is not empty, with all axes and without negative steps.

    Returns
    -------
    slices : tuple of (int, int, int)
        Start, number of indices and step for every axis.
    index : tuple
        What makes, of an array with the shape of the selection, the view that these slices fill.
    """
    slices: list[tuple[int, int, int]] = []
    index: list[slice | None] = []
    for axis in axes:
        if isinstance(axis, int):
            slices.append((axis, 1, 1))
            index.append(None)
        else:
            down = axis.step < 0
            slices.append((axis[-1] if down else axis.start, len(axis), abs(axis.step)))
            index.append(slice(None, None, -1 if down else None))
    return tuple(slices), (*index, ...)


class Piece(NamedTuple):
    """What a selection has in one chunk.

    Attributes
    ----------
    offset : tuple of int
        The chunk's first element in the dataset.
    inside : tuple of int or range
        The selected elements within the chunk.
    target : tuple of slice
        Their place in the selection's array.
    whole : bool
        Whether they are all elements of the chunk.
    """

    offset: tuple[int, ...]
    inside: tuple[Axis, ...]
    target: tuple[slice, ...]
    whole: bool

    @property
    def index(self) -> tuple[int | slice, ...]:  # type: ignore[override]  # of tuples, which nobody calls here
        """What selects it from the chunk."""
        return tuple(map(as_index, self.inside))

    def is_all_of(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> bool:
        """Whether it has all values of its chunk that are in a dataset of this shape."""
        axes = zip(self.inside, self.offset, shape, chunks, strict=True)
        return all((1 if isinstance(a, int) else len(a)) == min(c, n - start) for a, start, n, c in axes)

    @property
    def selection(self) -> tuple[int | slice, ...]:
        """What selects it from the dataset."""
        return tuple(as_index(axis, -first) for axis, first in zip(self.inside, self.offset, strict=True))


def pieces_of(axes: tuple[Axis, ...], chunks: tuple[int, ...]) -> tuple[int, Iterator[Piece]]:
    """The pieces of a selection whose steps are positive, and how many there are."""
    parts = [_along_axis(*pair) for pair in zip(axes, chunks, strict=True)]
    return math.prod(map(len, parts)), map(_piece, itertools.product(*parts))


def _piece(parts: tuple[tuple[int, Axis, slice | None, bool], ...]) -> Piece:
    if not parts:  # of an array without axes
        return Piece((), (), (), True)
    offset, inside, target, whole = zip(*parts, strict=True)
    return Piece(offset, inside, tuple(t for t in target if t is not None), all(whole))


def _along_axis(axis: Axis, chunk: int) -> list[tuple[int, Axis, slice | None, bool]]:
    if isinstance(axis, int):
        return [(axis - axis % chunk, axis % chunk, None, chunk == 1)]
    parts: list[tuple[int, Axis, slice | None, bool]] = []
    done = 0
    while done < len(axis):
        offset = axis[done] - axis[done] % chunk
        stop = min((offset + chunk - 1 - axis.start) // axis.step + 1, len(axis))
        inside = range(axis[done] - offset, axis[stop - 1] - offset + 1, axis.step)
        parts.append((offset, inside, slice(done, stop), len(inside) == chunk))
        done = stop
    return parts


@dataclass(frozen=True)
class Cut:
    """How an array is cut into blocks.

    Attributes
    ----------
    shape : tuple of int
    order : {"C", "F"}
        Memory order of the elements, and so of the blocks.
    box : tuple of int or None
        The extents of a block along every axis, of which the last along an axis may be short; None
        where blocks are runs.
    block_len : int
        Elements of a run; the last may be short.
    """

    shape: tuple[int, ...]
    order: str
    box: tuple[int, ...] | None
    block_len: int

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        if self.box is None:
            return -(-math.prod(self.shape) // self.block_len)
        return math.prod(-(-n // b) for n, b in zip(self.shape, self.box, strict=True))

    def touched(self, axes: tuple[Axis, ...]) -> list[tuple[int, int]]:
        """The blocks that hold selected values.

        Parameters
        ----------
        axes : tuple of int or range
            As `normalize` returns them.

        Returns
        -------
        list of (int, int)
            Runs ``[first, stop)`` of blocks: ascending, neither overlapping nor adjacent, and without a
            block that holds no selected value.
        """
        if any(isinstance(axis, range) and not axis for axis in axes):
            return []
        if self.n_blocks == 1:  # most chunks
            return [(0, 1)]
        turn = -1 if self.order == "F" else 1
        axes, shape = axes[::turn], self.shape[::turn]
        if self.box is None:
            return _runs_of_runs(axes, shape, self.block_len)
        return _runs_of_boxes(axes, shape, self.box[::turn])


def _runs_of_boxes(
    axes: tuple[Axis, ...], shape: tuple[int, ...], box: tuple[int, ...]
) -> list[tuple[int, int]]:
    touched = np.zeros(1, np.int64)
    for axis, length, extent in zip(axes, shape, box, strict=True):
        indices = span(axis)
        if isinstance(axis, int) or abs(axis.step) <= extent:  # no box between the first and the last is left out
            along = np.arange(indices.start // extent, (indices.stop - 1) // extent + 1)
        else:  # each is in a box of its own
            along = (indices.start + np.arange(len(axis)) * abs(axis.step)) // extent
        touched = (touched[:, np.newaxis] * -(-length // extent) + along).reshape(-1)
    begins = np.flatnonzero(np.concatenate(([True], touched[1:] > touched[:-1] + 1)))
    ends = np.append(begins[1:], len(touched)) - 1
    return list(zip(touched[begins].tolist(), (touched[ends] + 1).tolist(), strict=True))


def _runs_of_runs(axes: tuple[Axis, ...], shape: tuple[int, ...], block_len: int) -> list[tuple[int, int]]:
    # Along the outer axes one step leads over a whole block, so every index is looked at; they are
    # at most about two per block.  From the first axis on whose steps are not longer than a block,
    # the selected values leave no block out between the first and the last of them.
    starts, extent, outer = np.zeros(1, np.int64), 0, True
    stride = math.prod(shape)
    for axis, length in zip(axes, shape, strict=True):
        stride //= length
        indices = span(axis)
        starts = starts + indices.start * stride
        if isinstance(axis, int) or len(axis) == 1:
            continue
        step = abs(axis.step) * stride
        outer = outer and step > block_len
        if outer:
            starts = (starts[:, np.newaxis] + np.arange(len(axis)) * step).reshape(-1)
        else:
            extent += (len(indices) - 1) * stride
    first, last = starts // block_len, (starts + extent) // block_len
    begins = np.flatnonzero(np.concatenate(([True], first[1:] > last[:-1] + 1)))
    ends = np.append(begins[1:], len(first)) - 1
    return list(zip(first[begins].tolist(), (last[ends] + 1).tolist(), strict=True))
