"""``arraycodec demo --low-rank``: the Shepp-Logan phantom at a few bits per pixel, as a table and a picture.

What Saha, Srivastava and Pilanci show of LPLR (arXiv:2310.11028), and what the same bits are worth with factors that
are quantized by their singular values and entropy-coded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..codec import inspect
from ..lowrankquant import LowRankQuant
from .console import Console
from .greyimage import sheet, write_png
from .model import CommandError
from .phantom import shepp_logan

_SIZE, _SHRINK = 1000, 2
_BITS = 2.0
_PUBLISHED_BITS = (4, 8)
_COLUMNS = ("method", "rank", "bits/pixel", "entropy-coded", "relative error")


def low_rank(path: Path, level: int | None, console: Console) -> bool:
    """Print the table and write the picture.

    Parameters
    ----------
    path : Path
        A .png file.
    level : int or None
        As of `encode`.

    Returns
    -------
    bool
        Whether each size asked for was kept.
    """
    if path.suffix.lower() != ".png":
        raise CommandError(f"--low-rank {path}: write .png, not {path.suffix!r}")
    original = shepp_logan(_SIZE)
    norm = np.linalg.norm(original)
    rows, panels, ok = [_COLUMNS], [(_grey(original), ("original", f"{_SIZE} x {_SIZE} pixels"))], True
    for name, rank, bits, coded, copy in _methods(original, level):
        error = np.linalg.norm(original - copy) / norm
        rows.append((name, f"{rank}" if rank else "", f"{bits:.3f}", f"{coded:.3f}" if coded else "", f"{error:.4f}"))
        panels.append((_grey(copy), (f"{name}, {bits:.2f} bits/pixel", f"relative error {error:.3f}")))
        ok = ok and bits <= _BITS
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    for row in rows:
        cells = [c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        console.say("  ".join(cells).rstrip())
    write_png(path, sheet(panels, across=4))
    console.say(f"the pictures are in {path}")
    return ok


def _methods(original: np.ndarray, level: int | None) -> Iterator[tuple[str, int, float, float, np.ndarray]]:
    """Name, rank, bits per pixel, those with entropy coding where the method has none, and the picture."""
    top = 2**_BITS - 1
    yield "naive", 0, _BITS, 0.0, np.floor(original * top + 0.5) / top
    for method in ("dsvd", "lplr", "lsvd"):
        q = LowRankQuant(bits_per_value=_BITS, method=method, bits=_PUBLISHED_BITS, level=level, seed=1)
        chunk = q.encode(original)
        rank = inspect(chunk).details["rank"] - 2  # without the offsets of its levels
        bits = rank * (_PUBLISHED_BITS[0] + _PUBLISHED_BITS[1]) * _SIZE / original.size
        yield method.upper(), rank, bits, 8 * len(chunk) / original.size, q.decode(chunk)
    for bits in (_BITS, _BITS / 2, _BITS / 4):
        q = LowRankQuant(bits_per_value=bits, level=level)
        chunk = q.encode(original)
        yield "LowRankQuant", inspect(chunk).details["rank"], 8 * len(chunk) / original.size, 0.0, q.decode(chunk)


def _grey(picture: np.ndarray) -> np.ndarray:
    """uint8, 0 to 1 as black to white, a few pixels averaged to one."""
    size = len(picture) // _SHRINK
    small = np.clip(picture, 0, 1).reshape(size, _SHRINK, size, _SHRINK).mean((1, 3))
    return np.rint(255 * small).astype(np.uint8)
