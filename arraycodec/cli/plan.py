"""What is to become of each array of a source: which are converted, in which chunks, through which codec."""

from __future__ import annotations

import cmath
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import BOX_VALUES, automatic_chunks, box_shape, boxes
from ..checkpoints.views import LINEAR16
from ..dtypes import BFLOAT16, fill_bytes
from ..errors import ParameterError
from ..rules import Rule, Rules
from ..tolerance import keeping
from .codecs import Choice, Special, fill_of, said, said_of
from .console import Console
from .model import ArrayInfo, Box, CommandError, GroupInfo, Item, Sink, Source

#: Counts what a codec of whole chunks cannot keep in an array.
Survey = Callable[[ArrayInfo, list[Any]], Special]


@dataclass(frozen=True)
class Job:
    """What to convert; without a choice of a codec it is decompressed.

    Attributes
    ----------
    tol : float, Rules or None
        One for all arrays, or by their names.
    pack : int or None
        Tensors of fewer values stand side by side; None: as it is usual for the formats.
    lossy_integers : bool
        Integers are within `tol`, too; otherwise they are kept.
    dtype : {None, "bfloat16"}
        What uint16 arrays hold.
    choice : Choice or None
        The codec, with its options.
    """

    source: Path
    target: Path
    tol: float | Rules | None = None
    rtol: float | None = None
    lossy_integers: bool = False
    dtype: str | None = None
    choice: Choice | None = None
    in_format: str | None = None
    out_format: str | None = None
    chunks: tuple[int, ...] | None = None
    name: str | None = None
    force: bool = False
    pack: int | None = None

    @property
    def rules(self) -> Rules | None:
        """The absolute tolerances."""
        return None if self.tol is None else Rules.of(self.tol)

    @property
    def compresses(self) -> bool:
        """Whether values go through our codec."""
        return self.choice is not None

    @property
    def said(self) -> str:
        """The tolerances, for messages."""
        return said(self.rules, self.rtol)

    @property
    def fill_value(self) -> Any:
        """What comes back bit for bit, if that is said."""
        return None if self.choice is None else self.choice.fill_value

    def is_bfloat16(self, info: ArrayInfo) -> bool:
        """Whether an array's uint16 are said to be bfloat16."""
        if info.view is not None:
            return info.view.kind == BFLOAT16
        return self.dtype is not None and info.dtype.newbyteorder("=") == np.uint16

    def may_lose(self, info: ArrayInfo) -> bool:
        """Whether the tolerances are about an array."""
        integers = info.view is None and (self.is_bfloat16(info) or info.dtype.kind in "iu" and self.lossy_integers)
        return info.lossy or info.is_data and bool(integers)

    def rule(self, info: ArrayInfo) -> Rule | None:
        """What is said for an array that may lose something; None where nothing absolute is said for any.

        Raises
        ------
        CommandError
            If it is said for others only.
        """
        rules = self.rules
        if rules is None:
            return None
        try:
            return rules.of_tensor(info.name if info.rule_name is None else info.rule_name)
        except ParameterError as e:
            raise CommandError(str(e)) from None


def selected(source: Source, job: Job, kind: str) -> list[Item]:
    """The items to convert, named as in the output, whose format is `kind`."""
    items = _named(list(source.items()), job, kind, keep_hidden=kind == source.kind)
    arrays = [item for item in items if isinstance(item, ArrayInfo)]
    _check_chunks(job.chunks, arrays)
    if job.dtype is not None and not any(map(job.is_bfloat16, arrays)):
        raise CommandError(f"--dtype {job.dtype} is for uint16 arrays, and {job.source} has none")
    referenced = _referenced(arrays)
    if job.compresses:
        for info in arrays:
            if info.codable and info.name not in referenced and job.may_lose(info):
                job.rule(info)
    return [i.with_(coordinate=True) if isinstance(i, ArrayInfo) and i.name in referenced else i for i in items]


def warn_about_rules(items: list[Item], job: Job, console: Console) -> None:
    """Say which tolerances are for none of the arrays."""
    names = [i.name for i in items if isinstance(i, ArrayInfo) and i.codable and job.may_lose(i)]
    for rule in job.rules.idle(names) if job.rules is not None and job.rules.only is None else ():
        console.warn(f"--tol {rule} is for no array: none (of floats) matches, or an earlier --tol does")


def _named(items: list[Item], job: Job, kind: str, keep_hidden: bool) -> list[Item]:
    arrays = [i for i in items if isinstance(i, ArrayInfo) and (keep_hidden or not i.hidden)]
    if job.name is not None:
        name = job.name.strip("/")
        if len(arrays) == 1 and not arrays[0].name:
            arrays = [arrays[0].with_(name=name)]
        else:
            arrays = [i for i in arrays if i.name == name]
            if not arrays:
                raise CommandError(f"{job.source} has no array named {job.name!r}")
            if kind == "npy":
                arrays = [arrays[0].with_(name="")]
        return [GroupInfo(""), *arrays]
    if kind == "npy":
        if len(arrays) != 1:
            names = ", ".join(i.name for i in arrays[:8]) + (", ..." if len(arrays) > 8 else "")
            raise CommandError(
                f"{job.target}: a .npy file holds one array, {job.source} has {len(arrays)}"
                + (f" ({names}); choose one with --name" if arrays else "")
            )
    kept = {id(i) for i in arrays}
    return [i for i in items if not isinstance(i, ArrayInfo) or id(i) in kept]


def _check_chunks(chunks: tuple[int, ...] | None, arrays: list[ArrayInfo]) -> None:
    if chunks is not None and not any(len(i.shape) == len(chunks) for i in arrays):
        ranks = sorted({len(i.shape) for i in arrays})
        raise CommandError(
            f"--chunks {'x'.join(map(str, chunks))} has {len(chunks)} axes, the arrays have {ranks or 'none'}"
        )


# CF attributes whose values name variables that say where, when or on what the data are.
_CF_REFERENCES = ("coordinates", "bounds", "climatology", "cell_measures", "grid_mapping", "formula_terms")


def _referenced(arrays: list[ArrayInfo]) -> set[str]:
    """Names of arrays that others refer to as coordinates, cell bounds and the like: kept exact."""
    names = {i.name for i in arrays}
    found: set[str] = set()
    for info in arrays:
        for attribute in _CF_REFERENCES:
            value = info.attrs.get(attribute)
            if not isinstance(value, str):
                continue
            folder = info.name.rpartition("/")[0]
            for word in value.split():
                path = word.strip("/") if word.startswith("/") else f"{folder}/{word}".strip("/")
                while path not in names and folder:  # CF looks in the group, then in those above it
                    folder = folder.rpartition("/")[0]
                    path = f"{folder}/{word}".strip("/")
                found.update({path} & names)
    return found


def marks_of(info: ArrayInfo, job: Job) -> list[Any]:
    """What stands for missing values in an array, which readers compare for equality, each once.

    What was said to a codec, now or when the array was coded before, is the first.  Of the others not zero: every
    lattice keeps it.
    """
    first = _said_mark(info, job)
    return [*first, *(v for v in _described_marks(info, job) if v not in first)]


def _said_mark(info: ArrayInfo, job: Job) -> list[Any]:
    said = job.fill_value
    dtype = "bfloat16" if job.is_bfloat16(info) else None
    if said is None and (info.codec or {}).get("dtype") == dtype:
        said = fill_of(info.codec)
    if said is None:
        return []
    try:
        fill_bytes(said, info.dtype, dtype)
    except (ParameterError, TypeError):
        return []  # no value of this array is that one
    with np.errstate(over="ignore"):
        return [said if dtype is not None else info.dtype.type(said).item()]


def _described_marks(info: ArrayInfo, job: Job) -> list[Any]:
    given = [info.attrs.get("_FillValue"), info.attrs.get("missing_value"), info.fill_value]
    flat = [v for mark in given if mark is not None and not isinstance(mark, str) for v in np.ravel(mark).tolist()]
    kinds = (int, float, complex) if info.dtype.kind == "c" else (int, float)
    numbers = [v for v in flat if isinstance(v, kinds) and not isinstance(v, bool)]
    if job.is_bfloat16(info):  # the host knows the bits only
        bits = np.array([int(v) for v in numbers if 0 <= v < 2**16 and v == int(v)], "u4") << 16
        numbers = bits.view("f4").tolist()
    elif info.dtype.kind in "iu":
        limits = np.iinfo(info.dtype)
        numbers = [int(v) for v in numbers if limits.min <= v <= limits.max and v == int(v)]
    else:
        with np.errstate(over="ignore"):
            numbers = [info.dtype.type(v).item() for v in numbers if abs(v) <= sys.float_info.max]
    return list(dict.fromkeys(v for v in numbers if v and cmath.isfinite(v)))


@dataclass(frozen=True)
class Planned:
    """An array of the output.

    Attributes
    ----------
    info : ArrayInfo
    codec : AnsQuant, VarintQuant, StochasticQuant, LowRankQuant or None
        None: by the format's own means.
    whole : bool
        The codec is the same for all arrays, and what comes back is measured.
    tol : float or None
        What was asked for.
    source_chunks : tuple of int or None
        In the source.
    """

    info: ArrayInfo
    codec: Any
    whole: bool
    tol: float | None
    source_chunks: tuple[int, ...] | None

    @property
    def on_lattice(self) -> bool:
        """Whether the values are rounded within a tolerance."""
        return self.codec is not None and not self.whole and bool(self.codec.tol or self.codec.rtol)

    @property
    def lossy(self) -> bool:
        """Whether the codec loses anything."""
        return self.whole or self.on_lattice

    @property
    def ranged(self) -> bool:
        """Whether the range of the values is worth a look."""
        return self.on_lattice and self.info.dtype.kind in "fc"

    def boxes(self, sink: Sink, values: int = BOX_VALUES) -> Iterator[Box]:
        """The boxes to move at a time, in order; none shares a stored chunk with another."""
        return boxes(self.info.shape, box_shape(self.info.shape, sink.unit(self.info), self.source_chunks, values))


class Planner:
    """Plans of arrays, one by one.

    Parameters
    ----------
    job : Job
    sink : Sink
        Knows what its format can hold.
    survey : callable
        See `Survey`.
    console : Console
        For warnings.
    """

    def __init__(self, job: Job, sink: Sink, survey: Survey, console: Console) -> None:
        self._job, self._sink, self._survey, self._console = job, sink, survey, console

    def plan(self, info: ArrayInfo) -> Planned:
        """What becomes of an array."""
        sink, choice, source_chunks = self._sink, self._job.choice, info.chunks
        info = self._chunked(info) if sink.can_chunk(info) else info.with_(chunks=None, shards=None)
        codec = None if info.chunks is None else self.codec(info)
        whole = codec is not None and choice is not None and codec is choice.whole
        if whole and choice.name == "lowrank":
            info = info.with_(order="C")  # products are stored in that order, and Zarr v2 does not look at it
        planned = Planned(info, codec, whole, None if choice is None else choice.tol, source_chunks)
        if codec is None or sink.can_code(info, codec):
            sink.warn_of_small_chunks(info, codec)
            return planned
        if planned.lossy:
            self._console.warn(
                f"{info.label} is kept exact: the output format takes no {info.dtype} through this codec"
            )
        return replace(planned, codec=None, whole=False)

    def codec(self, info: ArrayInfo) -> Any:
        """The codec for one array; None where ours does not take it."""
        job, console = self._job, self._console
        choice = job.choice
        if choice is None or not info.codable:
            return None
        dtype = BFLOAT16 if job.is_bfloat16(info) else None
        exact = choice.lattice(0.0, dtype=dtype)
        if not job.may_lose(info):
            return exact
        rule = job.rule(info)
        tol = None if rule is None else rule.tol
        if rule is not None and rule.keep or not (tol or job.rtol or choice.whole):
            return exact
        before = said_of(info.codec) if info.codec is not None else ""
        if before:
            console.warn(f"{info.label} was already coded with {before}; the errors add up")
        if info.view is not None and info.view.kind == LINEAR16:
            if choice.whole is not None:
                console.warn(f"{info.label} is kept exact: its integers of 16 bits are no floats")
                return exact
            return choice.lattice(float(info.steps))
        fill, *others = marks_of(info, job) or [None]
        if choice.whole is not None:
            why = choice.refusal(info, [v for v in (fill, *others) if v is not None], self._survey)
            if not why:
                return choice.whole
            if tol is None:
                console.warn(f"{info.label} is kept exact: {why}")
                return exact
            console.warn(f"{info.label} is coded by AnsQuant: {why}")
        try:
            return choice.lattice(self._tolerance(info, tol, others, dtype), job.rtol, dtype, fill)
        except ParameterError:
            marks = ", ".join(f"{v:g}" for v in (fill, *others))
            asked = said(tol, job.rtol)
            console.warn(f"{info.label} is kept exact: {asked} would change some of its fill values {marks}")
            return exact

    def _tolerance(self, info: ArrayInfo, tol: float | None, others: list[Any], dtype: str | None) -> float | None:
        """The absolute tolerance, lowered until some values stay exact; a ParameterError where it cannot be."""
        if not others:
            return tol
        if self._job.rtol or dtype or info.dtype.kind != "f":
            raise ParameterError("no lattice of one step")
        lowered = keeping(tol, others, info.dtype)
        if lowered < 0.9 * tol:
            marks = ", ".join(f"{v:g}" for v in others)
            self._console.warn(
                f"{info.label} is coded with tol={lowered:g}, so that its other fill values {marks} stay exact"
            )
        return lowered

    def _chunked(self, info: ArrayInfo) -> ArrayInfo:
        """With chunks and shards of the output."""
        job = self._job
        if job.chunks is not None and len(job.chunks) == len(info.shape):
            shards = info.shards
            if shards is not None and any(s % c for s, c in zip(shards, job.chunks, strict=True)):
                self._console.warn(
                    f"{info.label}: shards {shards} are not kept, chunks {job.chunks} do not divide them"
                )
                shards = None
            return info.with_(chunks=job.chunks, shards=shards)
        if info.chunks is not None:
            return info
        return info.with_(chunks=automatic_chunks(info.shape) if job.choice is None else job.choice.chunks(info.shape))
