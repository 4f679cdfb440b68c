"""An array of a file as ``arraycodec compress`` would code it: for the commands that try tolerances on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import automatic_chunks
from ..tuning import Sample, sample_boxes
from .codecs import Choice
from .console import Console
from .model import ArrayInfo, Box, CommandError, Source
from .plan import Job, Planner, marks_of, selected


@dataclass(frozen=True)
class Wanted:
    """Which arrays of a file, and what is said of their values; as the options of ``compress``.

    Attributes
    ----------
    path : Path
    name : str or None
        One array; None: all that a tolerance applies to.
    fill_value : number or None
    dtype : {None, "bfloat16"}
    lossy_integers : bool
    """

    path: Path
    name: str | None = None
    fill_value: Any = None
    dtype: str | None = None
    lossy_integers: bool = False

    def job(self, tol: float, codec: str = "ansquant", **options: Any) -> Job:
        """What ``compress`` would be asked to do."""
        options = {"tol": tol, "fill_value": self.fill_value, "dtype": self.dtype} | options
        choice = Choice(codec, {name: value for name, value in options.items() if value is not None})
        return Job(
            self.path, self.path, tol=tol, lossy_integers=self.lossy_integers, dtype=self.dtype, choice=choice,
            name=self.name,
        )  # fmt: skip


class _Once(Console):
    """Tells each warning once, however often an array is coded."""

    def __init__(self, console: Console) -> None:
        super().__init__(True)
        self._console, self._told = console, set()

    def warn(self, text: str) -> None:
        """Pass it on if it is new."""
        if text not in self._told:
            self._told.add(text)
            self._console.warn(text)


@dataclass(frozen=True)
class Subject:
    """An array to try tolerances on.

    Attributes
    ----------
    source : Source
        Open as long as values are read.
    info : ArrayInfo
    wanted : Wanted
    console : Console
        Is told what ``compress`` would warn of.
    """

    source: Source
    info: ArrayInfo
    wanted: Wanted
    console: Console

    @property
    def title(self) -> str:
        """The name for people: of an array that is the whole file the file's."""
        return self.info.name or self.wanted.path.name

    @property
    def dtype(self) -> str | None:
        """What uint16 elements are, if this array has them."""
        return self.wanted.dtype if self.wanted.job(1.0).is_bfloat16(self.info) else None

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """In which it would be coded."""
        return tuple(self.info.chunks or automatic_chunks(self.info.shape))

    @cached_property
    def missing(self) -> tuple[Any, ...]:
        """Values that stand for missing ones."""
        return tuple(marks_of(self.info, self.wanted.job(1.0)))

    def codec(self, tol: float, codec: str = "ansquant", **options: Any) -> Any:
        """What ``compress`` would code the array with; it may be one without loss, after a warning."""
        job = self.wanted.job(tol, codec, **options)
        return Planner(job, None, None, self.console).codec(self.info)

    def maker(self, codec: str = "ansquant", **options: Any) -> Callable[[float], Any]:
        """`codec` as a function of the tolerance alone."""
        return lambda tol: self.codec(tol, codec, **options)

    def read(self, box: Box) -> np.ndarray:
        """The values in a box."""
        return self.source.read(self.info, box)

    def sample(self, nbytes: int | None, seed: int = 0) -> Sample:
        """Whole chunks of it, about `nbytes` bytes; None for all."""
        info = self.info
        boxes = sample_boxes(info.shape, self.chunks, info.dtype.itemsize, nbytes or info.nbytes, seed)
        parts = [self.read(box) for box in boxes]
        return Sample(parts, self.missing, self.dtype, sum(part.size for part in parts) / info.size)


def subjects(source: Source, wanted: Wanted, console: Console) -> Iterator[Subject]:
    """The arrays of a source that are meant.

    Raises
    ------
    CommandError
        If there is none; the text says why the one that was named is not.
    """
    console = _Once(console)
    arrays = [
        i for i in selected(source, wanted.job(1.0), "zarr3") if isinstance(i, ArrayInfo) and i.same_as is None
    ]
    found = [info for info in arrays if not _why_not(info, wanted)]
    if not found:
        reasons = "; ".join(f"{info.label}: {_why_not(info, wanted)}" for info in arrays[:4])
        more = "; ..." if len(arrays) > 4 else ""
        raise CommandError(f"{wanted.path} has no array for a tolerance{f' ({reasons}{more})' if arrays else ''}")
    for info in found:
        yield Subject(source, info, wanted, console)


def one_subject(source: Source, wanted: Wanted, console: Console) -> Subject:
    """The only one.

    Raises
    ------
    CommandError
        If there are several, or none.
    """
    found = list(subjects(source, wanted, console))
    if len(found) > 1:
        names = ", ".join(s.info.name for s in found[:8]) + (", ..." if len(found) > 8 else "")
        raise CommandError(f"{wanted.path} has {len(found)} arrays ({names}): choose one with --name")
    return found[0]


def _why_not(info: ArrayInfo, wanted: Wanted) -> str:
    """Why no tolerance applies to an array; "" if one does."""
    if not info.codable:
        return f"{'text' if info.text else info.dtype} is not coded"
    if not info.size:
        return "it has no values"
    if not info.is_data:
        return "a coordinate, flags or labels: kept without loss"
    if info.dtype.kind in "fc" or wanted.job(1.0).is_bfloat16(info):
        return ""
    if info.dtype.kind in "iu":
        return "" if wanted.lossy_integers else f"{info.dtype} is kept without loss, unless --lossy-integers is given"
    return f"{info.dtype} is kept without loss"
