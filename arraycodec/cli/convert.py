"""``arraycodec compress`` and ``decompress``: one loop from any source to any sink.

Compressing codes floats and complex numbers within the tolerances, and integers if that is asked for;
everything else, coordinates of dimensions included, goes through the same codec without loss, or, if the
codec or the format cannot hold it so, through the format's own.  Decompressing takes this package's codec
out; between HDF5 files all other datasets are then copied as they are stored.
"""

from __future__ import annotations

import cmath
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..ansquant import AnsQuant
from ..boxes import automatic_chunks, box_shape, boxes
from ..config import Config
from ..errors import ParameterError
from ..tolerance import keeping
from . import interrupt, output
from .console import Console
from .formats import open_sink, open_source, output_format
from .model import ArrayInfo, CommandError, GroupInfo, Item, LinkInfo, Sink, Source


@dataclass(frozen=True)
class Job:
    """What to convert; without a tolerance it is decompressed.

    Attributes
    ----------
    lossy_integers : bool
        Integers are within `tol`, too; otherwise they are kept.
    dtype : {None, "bfloat16"}
        What uint16 arrays hold.
    level : int or None
        How hard the encoder looks.
    predictor : str or None
        What values are predicted from.
    """

    source: Path
    target: Path
    tol: float | None = None
    rtol: float | None = None
    lossy_integers: bool = False
    dtype: str | None = None
    level: int | None = None
    predictor: str | None = None
    in_format: str | None = None
    out_format: str | None = None
    chunks: tuple[int, ...] | None = None
    name: str | None = None
    force: bool = False

    @property
    def compresses(self) -> bool:
        """Whether values go through our codec."""
        return self.tol is not None or self.rtol is not None

    @property
    def said(self) -> str:
        """The tolerances, for messages."""
        return said(self.tol, self.rtol)

    def is_bfloat16(self, info: ArrayInfo) -> bool:
        """Whether an array's uint16 are said to be bfloat16."""
        return self.dtype is not None and info.dtype.newbyteorder("=") == np.uint16


def said(tol: float | None, rtol: float | None) -> str:
    """Tolerances, for messages."""
    return ", ".join(f"{name}={value:g}" for name, value in (("tol", tol), ("rtol", rtol)) if value is not None)


@dataclass
class Totals:
    """What the summary line adds up."""

    arrays: int = 0
    coded: int = 0
    lossless: int = 0
    nbytes: int = 0
    coded_values: int = 0
    coded_bytes: int = 0


def convert(job: Job, console: Console) -> None:
    """Do a job; nothing appears under the target's name unless all of it succeeds."""
    kind = output_format(job.target, job.out_format)
    if job.compresses and kind in ("npy", "npz"):
        raise CommandError(f"{job.target}: .{kind} files have no codecs; compress to a .zarr or .h5 output instead")
    Config(job.tol, job.rtol, None, job.dtype, job.level, job.predictor)  # checked before anything is read
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
            written = disk_usage(out.temporary)
            out.commit()
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

    Not zero: every lattice keeps it.
    """
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


def _codec_for(info: ArrayInfo, job: Job, console: Console) -> AnsQuant | None:
    """The codec for one array; None where ours does not take it."""
    if not job.compresses or not info.codable:
        return None
    dtype = job.dtype if job.is_bfloat16(info) else None
    exact = AnsQuant(tol=0, dtype=dtype, level=job.level, predictor=job.predictor)
    may_lose = info.lossy or info.is_data and (dtype or info.dtype.kind in "iu" and job.lossy_integers)
    if not may_lose or not (job.tol or job.rtol):
        return exact
    before = info.codec or {}
    if before.get("tol") or before.get("rtol"):
        console.warn(
            f"{info.label} was already coded with {said(before.get('tol'), before.get('rtol'))}; the errors add up"
        )
    fill, *others = _marks(info, job) or [None]
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
    return AnsQuant(tol, job.rtol, fill_value=fill, dtype=dtype, level=job.level, predictor=job.predictor)


def _plan(info: ArrayInfo, job: Job, console: Console) -> ArrayInfo:
    """Chunks and shards in the output."""
    if job.chunks is not None and len(job.chunks) == len(info.shape):
        shards = info.shards
        if shards is not None and any(s % c for s, c in zip(shards, job.chunks, strict=True)):
            console.warn(f"{info.label}: shards {shards} are not kept, chunks {job.chunks} do not divide them")
            shards = None
        return info.with_(chunks=job.chunks, shards=shards)
    return info if info.chunks is not None else info.with_(chunks=automatic_chunks(info.shape))


def _convert_item(item: Item, job: Job, source: Source, sink: Sink, totals: Totals, console: Console) -> None:
    interrupt.check()
    if isinstance(item, GroupInfo):
        return sink.group(item)
    if isinstance(item, LinkInfo):
        return sink.link(item)
    planned = _plan(item, job, console) if sink.can_chunk(item) else item.with_(chunks=None, shards=None)
    codec = None if planned.chunks is None else _codec_for(item, job, console)
    lossy = codec is not None and bool(codec.tol or codec.rtol)
    if codec is not None and not sink.can_code(planned, codec):
        if lossy:
            console.warn(f"{item.label} is kept exact: the output format takes no {item.dtype} through this codec")
        codec, lossy = None, False
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
        sink.write(handle, box, values)
        if lossy and item.dtype.kind in "fc":
            parts = (values.real, values.imag) if item.dtype.kind == "c" else (values,)
            finite = np.concatenate([part[np.isfinite(part)] for part in parts])
            low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        console.advance(values.nbytes, item.name)
    sink.finish(handle)
    if codec is not None:
        if lossy and 0 < high - low <= (codec.tol or 0):
            console.warn(f"{item.label} lies within [{low:g}, {high:g}]: tol={codec.tol:g} leaves little of it")
        totals.coded += 1
        totals.lossless += not lossy
        totals.coded_values += item.size
        totals.coded_bytes += sink.stored(handle)
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
    how = [f"{totals.coded - totals.lossless} coded with {job.said}"] if totals.coded > totals.lossless else []
    how += [f"{totals.lossless} coded without loss"] if totals.lossless else []
    return f"{text}; {', '.join(how)}, at {bits:.3f} bits per value"
