"""Cutting arrays into slices and chunks: views that are contiguous in memory and keep the array's axes."""

from __future__ import annotations

import numpy as np


def pieces(array: np.ndarray, limit: int) -> list[np.ndarray]:
    """Cut a C-contiguous array into chunks of at most `limit` values, all of about one size.

    Whole trailing axes stay together where they fit, so that codecs which predict along them can.
    Axes of length one are dropped: they say nothing, and some codecs do badly with them.

    Parameters
    ----------
    array : numpy.ndarray
    limit : int
        Values per chunk; 0 leaves the array whole.

    Returns
    -------
    list of numpy.ndarray
        Views of one axis or more; one after the other they are the array.
    """
    array = array.reshape([n for n in array.shape if n != 1] or [1])
    if not limit or array.size <= limit:
        return [array]
    inner = array[0].size
    if inner > limit:
        return [piece for part in array for piece in pieces(part, limit)]
    count = -(-len(array) // (limit // inner))
    edges = [len(array) * i // count for i in range(count + 1)]
    return [piece for a, b in zip(edges, edges[1:], strict=False) for piece in pieces(array[a:b], 0)]


def layouts(shape: tuple[int, ...], axes: int) -> list[int]:
    """Which slices of an array may suit a codec better than the whole, for `sliced`.

    Parameters
    ----------
    shape : tuple of int
    axes : int
        How many axes the codec predicts along; 0 if it takes no notice of them.

    Returns
    -------
    list of int
        0, the array as it is, and then numbers of axes: 3 and 2 for a codec of three axes and an
        array of four.
    """
    return [0, *range(min(sum(n != 1 for n in shape) - 1, axes), 1, -1)]


def sliced(array: np.ndarray, limit: int, axes: int) -> list[np.ndarray]:
    """`pieces` of every slice of so many axes; 0 axes leave the array whole.

    Axes that are not lengths (variables, members, months) make many codecs of three or four axes worse.
    """
    shape = [n for n in array.shape if n != 1]
    if not axes or len(shape) <= axes:
        return pieces(array, limit)
    slices = array.reshape(-1, *shape[len(shape) - axes :])
    return [piece for part in slices for piece in pieces(part, limit)]
