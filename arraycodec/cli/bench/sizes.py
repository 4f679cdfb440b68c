"""Sizes alone, of everything once, with peers at their best; and peers' sizes from an earlier run.

Nothing is timed, so that a peer can be helped in ways that a call would not have.  Of an array of three
axes or more it gets the whole and slices (`.chunks.layouts`), and the smallest that holds the bound
counts; the lengths of slices, which a file would need, are free.  Where there are NaN or infinities, it
gets data in which they are filled forward, and is judged on that; where they were is free, too.  Codecs
that keep them get both, and lossless ones only what there is.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import interrupt
from ..model import CommandError
from . import csvfile
from .chunks import layouts
from .corpus import Item
from .measure import SIZES, Contender, Contenders, Row, base, judge
from .peers import OURS
from .peers.base import BOUNDED
from .protocol import ChildFailed

_Input = tuple[Path, np.ndarray, int]


def measure_sizes(item: Item, tol: float, contenders: Contenders, chunk: int, timeout: float) -> list[Row]:
    """Size and violations of every contender on one array.

    Parameters
    ----------
    item : Item
        The array.
    tol : float
    contenders : Contenders
    chunk : int
        Values per chunk; 0 for whole arrays, or slices.
    timeout : float
        Seconds after which a codec counts as hanging, for each kind of slices.
    """
    with tempfile.TemporaryDirectory(prefix="arraycodec-bench-") as scratch:
        path, decoded = item.npy(Path(scratch)), Path(scratch, "decoded.npy")
        original = np.load(path, mmap_mode="r")
        given, filled = (path, original, 0), None
        gaps = original.size - int(np.count_nonzero(np.isfinite(original))) if original.dtype.kind == "f" else 0
        if gaps:
            filled = Path(scratch, "filled.npy"), fill_forward(original), gaps
            np.save(*filled[:2])
        rows = []
        for contender in contenders:
            tries = []
            for source, values, count in _inputs(contender, given, filled):
                for slices in layouts(original.shape, contender.info["axes"]):
                    interrupt.check()
                    about = base(contender, item, values, tol, SIZES, chunk) | {"slices": slices, "filled": count}
                    tries.append(_once(contender, about, source, values, decoded, timeout))
            rows.append(min(tries, key=_rank))
        return rows


def _inputs(contender: Contender, given: _Input, filled: _Input | None) -> list[_Input]:
    """What a codec gets: a file, its values, and how many of them were filled in."""
    if filled is None or contender.adapter == OURS:
        return [given]
    if not contender.info["keeps_nan"]:
        return [filled]
    return [given, filled] if contender.info["family"] == BOUNDED else [given]


def _once(
    contender: Contender, about: dict[str, Any], path: Path, values: np.ndarray, decoded: Path, timeout: float
) -> Row:
    try:
        answer = contender.request(
            timeout, do="open", path=str(path), tol=about["tol"], chunk=about["chunk"], decoded=str(decoded),
            stream_bytes=0, seconds=timeout, slices=about["slices"],
        )  # fmt: skip
    except ChildFailed as e:
        return Row(**about, status=str(e))
    if "refused" in answer:
        return Row(**about, status=answer["refused"])
    quality = judge(values, np.load(decoded, mmap_mode="r"), about["tol"], contender.adapter == OURS)
    size = answer["bytes"]
    return Row(
        **about, **quality, status="ok", bytes=size, ratio=values.nbytes / size, bits_per_value=8 * size / values.size
    )


def _rank(row: Row) -> tuple[bool, bool, int]:
    """Measured before failed, within the bound before not, small before large."""
    return not row.ok, not row.held, row.bytes or 0


def fill_forward(values: np.ndarray, there: np.ndarray | None = None) -> np.ndarray:
    """Every value that is not finite (or not `there`) replaced by the last one before it in C order that is.

    Those before the first one get that; if there is none, all are 0.
    """
    flat = values.reshape(-1)
    finite = np.flatnonzero(np.isfinite(flat) if there is None else there.reshape(-1))
    if not finite.size:
        return np.zeros_like(values)
    before = np.searchsorted(finite, np.arange(flat.size), side="right") - 1
    return flat[finite[np.maximum(before, 0)]].reshape(values.shape)


class Earlier:
    """Rows of peers from a CSV of ``--sizes-only``, for the same values, tolerance and chunks.

    Sizes of peers do not change from run to run, so that after a change of this package only its
    own are measured.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    versions : dict
        Of its codecs, as of `.measure.Contenders.versions`.
    """

    def __init__(self, path: Path) -> None:
        try:
            header, rows = csvfile.read(path, Row)
        except (OSError, UnicodeDecodeError, TypeError, ValueError) as e:
            raise CommandError(f"--peers-from {path}: {e}") from None
        rows = [row for row in rows if row.mode == SIZES and row.digest and not row.is_ours]
        if not rows:
            raise CommandError(f"--peers-from {path}: no row of a peer that --sizes-only wrote")
        self._path, self._rows = path, rows
        self.versions = {k.removeprefix("version of "): v for k, v in header.items() if k.startswith("version of ")}

    def check(self, items: Sequence[Item]) -> None:
        """Raise CommandError if an array has other values than the one of its name in the file."""
        known = {row.digest for row in self._rows}
        names = {row.array for row in self._rows}
        for item in items:
            if item.name in names and item.digest not in known:
                raise CommandError(f"--peers-from {self._path}: {item.name} had other values there")

    def rows(self, item: Item, tol: float, chunk: int, measured: Sequence[str]) -> list[Row]:
        """Of all its codecs but those that have been measured anew."""
        about = {"array": item.name, "kind": item.kind, "rel": item.rels.get(tol, 0.0)}
        return [
            dataclasses.replace(row, **about)
            for row in self._rows
            if (row.digest, row.tol, row.chunk) == (item.digest, tol, chunk) and row.codec not in measured
        ]
