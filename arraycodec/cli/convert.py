"""``arraycodec compress`` and ``decompress``: one loop from any source to any sink.

Compressing codes float32 and float64 data within the tolerance; everything else, coordinates of
dimensions included, stays exact.  Decompressing takes this package's codec out; between HDF5 files
all other datasets are then copied as they are stored.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ansquant import AnsQuant
from ..boxes import automatic_chunks, box_shape, boxes
from ..errors import ParameterError
from ..tolerance import keeping
from . import interrupt, output
from .console import Console
from .formats import open_sink, open_source, output_format
from .model import ArrayInfo, CommandError, GroupInfo, Item, LinkInfo, Sink, Source


@dataclass(frozen=True)
class Job:
    """What to convert; `tol` None means decompress."""

    source: Path
    target: Path
    tol: float | None = None
    in_format: str | None = None
    out_format: str | None = None
    chunks: tuple[int, ...] | None = None
    name: str | None = None
    force: bool = False


@dataclass
class Totals:
    """What the summary line adds up."""

    arrays: int = 0
    coded: int = 0
    nbytes: int = 0
    coded_values: int = 0
    coded_bytes: int = 0


def convert(job: Job, console: Console) -> None:
    """Do a job; nothing appears under the target's name unless all of it succeeds."""
    kind = output_format(job.target, job.out_format)
    if job.tol is not None and kind in ("npy", "npz"):
        raise CommandError(f"{job.target}: .{kind} files have no codecs; compress to a .zarr or .h5 output instead")
    codec = None if job.tol is None else AnsQuant(tol=job.tol)
    with open_source(job.source, job.in_format) as source:
        output.refuse_overlap(job.source, job.target)
        out = output.Output(job.target, job.force)
        items = _select(list(source.items()), job, kind, keep_hidden=kind == source.kind)
        arrays = [item for item in items if isinstance(item, ArrayInfo)]
        _check_chunks(job.chunks, arrays)
        referenced = _referenced(arrays)
        items = [i.with_(coordinate=True) if isinstance(i, ArrayInfo) and i.name in referenced else i for i in items]
        totals = Totals()
        with out:
            sink = open_sink(out.temporary, kind, console.warn, source)
            try:
                console.start(sum(info.nbytes for info in arrays))
                for item in items:
                    _convert_item(item, job, codec, source, sink, totals, console)
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


def _fill_values(info: ArrayInfo) -> list[float]:
    """What marks missing data in an array: values that readers compare for equality."""
    marks = [info.attrs.get("_FillValue"), info.attrs.get("missing_value"), info.fill_value]
    flat = [v for mark in marks if mark is not None and not isinstance(mark, str) for v in np.ravel(mark).tolist()]
    return [float(v) for v in flat if isinstance(v, (int, float)) and np.isfinite(v)]


def _codec_for(info: ArrayInfo, codec: AnsQuant, console: Console) -> AnsQuant | None:
    """The codec for one array; None to keep it exact."""
    if info.coded and info.tol and codec.tol:
        console.warn(f"{info.label} was already coded with tol={info.tol:g}; the errors add up")
    fills = _fill_values(info)
    try:
        tol = keeping(codec.tol, fills, info.dtype)
    except ParameterError:
        console.warn(f"{info.label} is kept exact: tol={codec.tol:g} would change its fill values {fills}")
        return None
    if tol < 0.9 * codec.tol:
        console.warn(f"{info.label} is coded with tol={tol:g}, so that its fill values {fills} stay exact")
    return AnsQuant(tol=tol)


def _plan(info: ArrayInfo, job: Job, console: Console) -> ArrayInfo:
    """Chunks and shards in the output."""
    if job.chunks is not None and len(job.chunks) == len(info.shape):
        shards = info.shards
        if shards is not None and any(s % c for s, c in zip(shards, job.chunks, strict=True)):
            console.warn(f"{info.label}: shards {shards} are not kept, chunks {job.chunks} do not divide them")
            shards = None
        return info.with_(chunks=job.chunks, shards=shards)
    return info if info.chunks is not None else info.with_(chunks=automatic_chunks(info.shape))


def _convert_item(
    item: Item, job: Job, codec: AnsQuant | None, source: Source, sink: Sink, totals: Totals, console: Console
) -> None:
    interrupt.check()
    if isinstance(item, GroupInfo):
        return sink.group(item)
    if isinstance(item, LinkInfo):
        return sink.link(item)
    planned = _plan(item, job, console) if sink.can_chunk(item) else item.with_(chunks=None, shards=None)
    if not item.lossy or planned.chunks is None:
        codec = None
    if codec is not None:
        codec = _codec_for(item, codec, console)
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
        if codec is not None:
            finite = values[np.isfinite(values)]
            low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        console.advance(values.nbytes, item.name)
    sink.finish(handle)
    if codec is not None:
        if 0 < high - low <= codec.tol:
            console.warn(f"{item.label} lies within [{low:g}, {high:g}]: tol={codec.tol:g} leaves little of it")
        totals.coded += 1
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
    if job.tol is None:
        read = disk_usage(job.source)
        return f"{job.target}: {arrays}, {read} bytes in, {written} bytes out"
    ratio = f"{totals.nbytes / written:.2f}" if written else "-"
    text = f"{job.target}: {arrays}, {totals.nbytes} bytes of values in, {written} bytes out, ratio {ratio}"
    if not totals.coded_values:
        return text + "; none coded (only float32 and float64 data are)"
    bits = 8 * totals.coded_bytes / totals.coded_values
    return text + f"; {totals.coded} coded with tol={job.tol:g} at {bits:.3f} bits per value"
