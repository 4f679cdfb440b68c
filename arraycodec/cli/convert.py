"""``arraycodec compress`` and ``decompress``: one loop from any source to any sink.

Compressing codes floats and complex numbers within the tolerances, and integers if that is asked for;
everything else, coordinates of dimensions included, goes through the same codec without loss (through
AnsQuant where the codec always loses something), or, if the codec or the format cannot hold it so, through
the format's own.  Decompressing takes this package's codec
out; between HDF5 files all other datasets are then copied as they are stored.
"""

from __future__ import annotations

import cmath
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import automatic_chunks, box_shape, boxes
from ..codec import peek, verify
from ..dtypes import fill_bytes
from ..errors import ParameterError
from ..tolerance import keeping
from . import interrupt, output
from .codecs import Choice, fill_of, said, said_of
from .console import Console
from .formats import open_sink, open_source, output_format
from .model import UNNAMED, ArrayInfo, CommandError, GroupInfo, Item, LinkInfo, Sink, Source
from .stored import stored_arrays


@dataclass(frozen=True)
class Job:
    """What to convert; without a choice of a codec it is decompressed.

    Attributes
    ----------
    lossy_integers : bool
        Integers are within `tol`, too; otherwise they are kept.
    dtype : {None, "bfloat16"}
        What uint16 arrays hold.
    choice : Choice or None
        The codec, with its options.
    """

    source: Path
    target: Path
    tol: float | None = None
    rtol: float | None = None
    lossy_integers: bool = False
    dtype: str | None = None
    choice: Choice | None = None
    in_format: str | None = None
    out_format: str | None = None
    chunks: tuple[int, ...] | None = None
    name: str | None = None
    force: bool = False

    @property
    def compresses(self) -> bool:
        """Whether values go through our codec."""
        return self.choice is not None

    @property
    def said(self) -> str:
        """The tolerances, for messages."""
        return said(self.tol, self.rtol)

    @property
    def fill_value(self) -> Any:
        """What comes back bit for bit, if that is said."""
        return None if self.choice is None else self.choice.fill_value

    def is_bfloat16(self, info: ArrayInfo) -> bool:
        """Whether an array's uint16 are said to be bfloat16."""
        return self.dtype is not None and info.dtype.newbyteorder("=") == np.uint16


@dataclass
class Totals:
    """What the summary line adds up."""

    arrays: int = 0
    coded: int = 0
    lossless: int = 0
    whole: int = 0  # by a codec that is the same for all arrays
    nbytes: int = 0
    coded_values: int = 0
    coded_bytes: int = 0
    measured: list[Measured] = field(default_factory=list)


@dataclass
class Measured:
    """What came back of an array from a codec whose error is not said before."""

    info: ArrayInfo
    tol: float | None
    errors: float = 0.0  # squares, added up
    norms: float = 0.0
    largest: float = 0.0
    violations: int = 0
    stored: int = 0
    said: str = ""

    def add(self, values: np.ndarray, back: np.ndarray) -> None:
        """Compare some values with what came back."""
        check = verify(values, back, sys.float_info.max if self.tol is None else self.tol)
        self.violations += check.violations
        self.largest = max(self.largest, check.max_error)
        finite = np.isfinite(values)
        x = values[finite].astype("f8")
        self.errors += float(np.square(back[finite].astype("f8") - x).sum())
        self.norms += float(np.square(x).sum())

    @property
    def line(self) -> str:
        """For the user."""
        relative = f"{math.sqrt(self.errors / self.norms):.4g}" if self.norms else "-"
        return (
            f"{self.info.label}: relative error {relative} (Frobenius), largest error {self.largest:.6g}{self.said}, "
            f"{8 * self.stored / self.info.size:.3f} bits per value"
        )


def _compare_with_headers(measured: list[Measured], path: Path) -> None:
    """No error may be larger than the chunks say that one can be."""
    by_name = {m.info.name: m for m in measured}
    for array in stored_arrays(path) if measured else ():
        m = by_name.get(array.name, by_name.get("") if array.name == UNNAMED else None)
        if m is None:
            continue
        bound, products, n_chunks = 0.0, 0, 0
        for chunk in array.chunks(True):
            interrupt.check()
            n_chunks += 1
            if chunk.data is not None:
                header = peek(chunk.data)
                bound = max(bound, header.tol)
                products += header.codec == "low rank"
        if m.violations or m.largest > bound * (1 + 2.0**-50):
            raise CommandError(f"{m.info.label}: an error of {m.largest:g} is beyond {bound:g}, which its chunks say")
        m.said = f" of {bound:.6g} possible"
        if products or m.tol is not None:
            m.said = f" (tol {m.tol:g})" if m.tol is not None else ""
            m.said += f", {products} of {n_chunks} chunks as products"


def convert(job: Job, console: Console) -> None:
    """Do a job; nothing appears under the target's name unless all of it succeeds."""
    kind = output_format(job.target, job.out_format)
    if job.compresses and kind in ("npy", "npz"):
        raise CommandError(f"{job.target}: .{kind} files have no codecs; compress to a .zarr or .h5 output instead")
    if job.choice is not None:
        job.choice.check_output(kind)
    with open_source(job.source, job.in_format) as source:
        output.refuse_overlap(job.source, job.target)
        out = output.Output(job.target, job.force)
        items = _select(list(source.items()), job, kind, keep_hidden=kind == source.kind)
        arrays = [item for item in items if isinstance(item, ArrayInfo)]
        _check_chunks(job.chunks, arrays)
        if job.dtype is not None and not any(map(job.is_bfloat16, arrays)):
            raise CommandError(f"--dtype {job.dtype} is for uint16 arrays, and {job.source} has none")
        referenced = _referenced(arrays)
        items = [i.with_(coordinate=True) if isinstance(i, ArrayInfo) and i.name in referenced else i for i in items]
        totals = Totals()
        with out:
            sink = open_sink(out.temporary, kind, console.warn, source)
            try:
                console.start(sum(info.nbytes for info in arrays))
                for item in items:
                    _convert_item(item, job, source, sink, totals, console)
                sink.complete()
            finally:
                console.stop()
                sink.close()
            interrupt.check()
            _compare_with_headers(totals.measured, out.temporary)
            written = disk_usage(out.temporary)
            out.commit()
    for measured in totals.measured:
        console.say(measured.line)
    console.say(_summary(job, totals, written))


def _select(items: list[Item], job: Job, kind: str, keep_hidden: bool) -> list[Item]:
    """The items to convert, named as in the output."""
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


def _marks(info: ArrayInfo, job: Job) -> list[Any]:
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


def _codec_for(info: ArrayInfo, job: Job, source: Source, console: Console) -> Any:
    """The codec for one array; None where ours does not take it."""
    choice = job.choice
    if choice is None or not info.codable:
        return None
    dtype = job.dtype if job.is_bfloat16(info) else None
    exact = choice.lattice(0.0, dtype=dtype)
    may_lose = info.lossy or info.is_data and (dtype or info.dtype.kind in "iu" and job.lossy_integers)
    if not may_lose or not (job.tol or job.rtol or choice.whole):
        return exact
    before = said_of(info.codec) if info.codec is not None else ""
    if before:
        console.warn(f"{info.label} was already coded with {before}; the errors add up")
    fill, *others = _marks(info, job) or [None]
    if choice.whole is not None:
        why = choice.refusal(info, [v for v in (fill, *others) if v is not None], source)
        if not why:
            return choice.whole
        if job.tol is None:
            console.warn(f"{info.label} is kept exact: {why}")
            return exact
        console.warn(f"{info.label} is coded by AnsQuant: {why}")
    tol = job.tol
    if others:
        try:
            if job.rtol or dtype or info.dtype.kind != "f":
                raise ParameterError("no lattice of one step")
            tol = keeping(job.tol, others, info.dtype)
        except ParameterError:
            marks = ", ".join(f"{v:g}" for v in (fill, *others))
            console.warn(f"{info.label} is kept exact: {job.said} would change some of its fill values {marks}")
            return exact
        if tol < 0.9 * job.tol:
            marks = ", ".join(f"{v:g}" for v in others)
            console.warn(f"{info.label} is coded with tol={tol:g}, so that its other fill values {marks} stay exact")
    return choice.lattice(tol, job.rtol, dtype, fill)


def _plan(info: ArrayInfo, job: Job, console: Console) -> ArrayInfo:
    """Chunks and shards in the output."""
    if job.chunks is not None and len(job.chunks) == len(info.shape):
        shards = info.shards
        if shards is not None and any(s % c for s, c in zip(shards, job.chunks, strict=True)):
            console.warn(f"{info.label}: shards {shards} are not kept, chunks {job.chunks} do not divide them")
            shards = None
        return info.with_(chunks=job.chunks, shards=shards)
    if info.chunks is not None:
        return info
    return info.with_(chunks=automatic_chunks(info.shape) if job.choice is None else job.choice.chunks(info.shape))


def _convert_item(item: Item, job: Job, source: Source, sink: Sink, totals: Totals, console: Console) -> None:
    interrupt.check()
    if isinstance(item, GroupInfo):
        return sink.group(item)
    if isinstance(item, LinkInfo):
        return sink.link(item)
    planned = _plan(item, job, console) if sink.can_chunk(item) else item.with_(chunks=None, shards=None)
    codec = None if planned.chunks is None else _codec_for(planned, job, source, console)
    whole = codec is not None and job.choice is not None and codec is job.choice.whole
    lossy = codec is not None and bool(whole or codec.tol or codec.rtol)
    if whole and job.choice.name == "lowrank":
        planned = planned.with_(order="C")  # products are stored in that order, and Zarr v2 does not look at it
    if codec is not None and not sink.can_code(planned, codec):
        if lossy:
            console.warn(f"{item.label} is kept exact: the output format takes no {item.dtype} through this codec")
        codec, lossy, whole = None, False, False
    measured = Measured(item, job.tol)
    low, high = np.inf, -np.inf
    handle = sink.create(planned, codec)
    totals.arrays += 1
    totals.nbytes += item.nbytes
    if handle is None:
        console.advance(item.nbytes, item.name)
        return None
    for box in boxes(item.shape, box_shape(item.shape, sink.unit(planned), item.chunks)):
        interrupt.check()
        values = source.read(item, box)
        try:
            sink.write(handle, box, values)
        except ParameterError as e:
            raise CommandError(f"cannot code {item.label}: {e}") from None
        if whole:
            measured.add(values, sink.read(handle, box))
        if lossy and not whole and item.dtype.kind in "fc":
            parts = (values.real, values.imag) if item.dtype.kind == "c" else (values,)
            finite = np.concatenate([part[np.isfinite(part)] for part in parts])
            low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        console.advance(values.nbytes, item.name)
    sink.finish(handle)
    if codec is not None:
        if lossy and not whole and 0 < high - low <= (codec.tol or 0):
            console.warn(f"{item.label} lies within [{low:g}, {high:g}]: tol={codec.tol:g} leaves little of it")
        totals.coded += 1
        totals.lossless += not lossy
        totals.whole += whole
        totals.coded_values += item.size
        stored = sink.stored(handle)
        totals.coded_bytes += stored
        if whole and item.size:
            measured.stored = stored
            totals.measured.append(measured)
    return None


def disk_usage(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


def _summary(job: Job, totals: Totals, written: int) -> str:
    arrays = f"{totals.arrays} array{'s' if totals.arrays != 1 else ''}"
    if not job.compresses:
        read = disk_usage(job.source)
        return f"{job.target}: {arrays}, {read} bytes in, {written} bytes out"
    ratio = f"{totals.nbytes / written:.2f}" if written else "-"
    text = f"{job.target}: {arrays}, {totals.nbytes} bytes of values in, {written} bytes out, ratio {ratio}"
    if not totals.coded_values:
        return text + "; none coded (only arrays of numbers and dates are)"
    bits = 8 * totals.coded_bytes / totals.coded_values
    whole = totals.whole
    by = "" if job.choice.whole is None else " by AnsQuant"
    how = [f"{whole} coded with {job.choice.said}"] if whole else []
    others = totals.coded - totals.lossless - whole
    how += [f"{others} coded with {job.said if by else job.choice.said}{by}"] if others else []
    how += [f"{totals.lossless} coded without loss{by}"] if totals.lossless else []
    return f"{text}; {', '.join(how)}, at {bits:.3f} bits per value"
