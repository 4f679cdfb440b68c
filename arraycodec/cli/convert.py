"""``arraycodec compress`` and ``decompress``: one loop from any source to any sink.

Compressing codes floats and complex numbers within the tolerances, and integers if that is asked for;
everything else, coordinates of dimensions included, goes through the same codec without loss (through
AnsQuant where the codec always loses something), or, if the codec or the format cannot hold it so, through
the format's own.  Decompressing takes this package's codec
out; between HDF5 files all other datasets are then copied as they are stored.

`plan` says what becomes of each array, `outcome` what came of it; `cluster` does the same work on many processes.
"""

from __future__ import annotations

from typing import Any

from ..boxes import automatic_chunks, box_shape, boxes
from ..errors import ParameterError
from ..output import Output
from . import interrupt, output
from .codecs import Special
from .console import Console
from .formats import open_sink, open_source, output_format
from .model import ArrayInfo, Box, CommandError, GroupInfo, Item, LinkInfo, Sink, Source
from .outcome import Outcome, Totals, compared, range_of
from .packed import STORES, arranged
from .plan import Job, Planned, Planner, selected, warn_about_rules


def convert(job: Job, console: Console) -> None:
    """Do a job; nothing appears under the target's name unless all of it succeeds."""
    kind = checked_output(job)
    with open_source(job.source, job.in_format) as source:
        output.refuse_overlap(job.source, job.target)
        out = Output(job.target, job.force, output.FORCE)
        left = output.partial(out.path)
        if left.exists():
            console.warn(f"{left} is what a run with --workers has left: this one begins anew, and leaves it there")
        items = selected(source, job, kind)
        warn_about_rules(items, job, console)
        source, items = arranged(source, items, job, kind, console.warn)
        totals = Totals()
        with out:
            sink = open_sink(out.temporary, kind, console.warn, source, out.path)
            planner = Planner(job, sink, lambda info, marks: _survey(source, info, marks), console)
            try:
                console.start(total_bytes(items))
                sink.begin(items)
                for item in items:
                    _convert_item(item, source, sink, planner, totals, console)
                sink.complete()
            finally:
                console.stop()
                sink.close()
            written = finish(out, totals)
    report(job, totals, written, console)


def checked_output(job: Job) -> str:
    """The format of the output; a CommandError if it cannot hold what is asked for."""
    kind = output_format(job.target, job.out_format)
    if job.compresses and kind not in STORES:
        raise CommandError(
            f"{job.target}: {kind} files have no codecs; compress to a .zarr, .h5 or .arrc output instead"
        )
    if not job.compresses and kind == "arrc":
        raise CommandError(f"{job.target}: .arrc files hold only chunks of this package; compress --tol 0 is exact")
    if job.choice is not None:
        job.choice.check_output(kind)
    return kind


def total_bytes(items: list[Item]) -> int:
    """Bytes of the values of all arrays."""
    return sum(item.nbytes for item in items if isinstance(item, ArrayInfo))


def finish(out: Output, totals: Totals) -> int:
    """Check what is written, give it its name, and say how many bytes it has."""
    interrupt.check()
    totals.compare_with_headers(out.temporary)
    written = output.disk_usage(out.temporary)
    out.commit()
    return written


def report(job: Job, totals: Totals, written: int, console: Console) -> None:
    """Say what came of a job."""
    for measured in totals.measured:
        console.say(measured.line)
    console.say(_summary(job, totals, written))


def _survey(source: Source, info: ArrayInfo, marks: list[Any]) -> Special:
    special = Special()
    for box in boxes(info.shape, box_shape(info.shape, automatic_chunks(info.shape), info.chunks)):
        interrupt.check()
        special += Special.of(source.read(info, box), marks)
    return special


def _convert_item(
    item: Item, source: Source, sink: Sink, planner: Planner, totals: Totals, console: Console
) -> None:
    interrupt.check()
    if isinstance(item, GroupInfo):
        return sink.group(item)
    if isinstance(item, LinkInfo):
        return sink.link(item)
    planned = planner.plan(item)
    handle = sink.create(planned.info, planned.codec)
    if handle is None:
        console.advance(item.nbytes, item.name)
        return totals.add_finished(item)
    outcome = Outcome()
    for box in planned.boxes(sink):
        interrupt.check()
        done = move(planned, source, sink, handle, box)
        outcome.add(done)
        console.advance(done.nbytes, item.name)
    sink.finish(handle)
    return totals.add(planned, outcome, sink.stored(handle), console)


def move(planned: Planned, source: Source, sink: Sink, handle: Any, box: Box) -> Outcome:
    """Read the values of a box, write them, and look at them as far as the codec asks for it."""
    info = planned.info
    values = source.read(info, box)
    try:
        sink.write(handle, box, values)
    except ParameterError as e:
        raise CommandError(f"cannot code {info.label}: {e}") from None
    if planned.whole:
        return compared(values, sink.read(handle, box), planned.tol)
    if planned.ranged:
        return Outcome(values.nbytes, *range_of(values))
    return Outcome(values.nbytes)


def _summary(job: Job, totals: Totals, written: int) -> str:
    arrays = f"{totals.arrays} array{'s' if totals.arrays != 1 else ''}"
    if not job.compresses:
        read = output.disk_usage(job.source)
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
