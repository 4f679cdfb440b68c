"""Cutting arrays into chunks: views that are contiguous in memory and keep the array's axes."""

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
