"""``arraycodec verify --scan``: every stored chunk of this package decoded, and those that cannot be named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..codec import decode, peek
from ..errors import DecodeError, FormatError
from . import interrupt
from .console import Console
from .formats import input_format
from .stored import StoredArray, StoredChunk, stored_arrays


@dataclass
class _Counts:
    arrays: int = 0
    chunks: int = 0
    broken: int = 0
    unreadable: int = 0  # metadata


def scan(path: Path, console: Console) -> bool:
    """Decode all chunks of a Zarr store, an HDF5 file, or a file that is one chunk.

    Every checksum is compared, and every chunk must hold what its array expects.  Chunks that were never written
    are no error (they are the fill value), nor are files that an interrupted write left behind: both are counted.

    Returns
    -------
    bool
        Whether every chunk is whole.
    """
    if not path.is_dir() and input_format(path) is None:
        return _one_chunk(path, console)
    counts = _Counts()

    def report(problem: str) -> None:
        counts.unreadable += 1
        console.say(f"BROKEN {problem}")

    for array in stored_arrays(path, report):
        _array(array, counts, console)
    if counts.broken or counts.unreadable:
        more = f", and {counts.unreadable} not readable for other reasons" if counts.unreadable else ""
        console.say(f"FAILED: {counts.broken} of {counts.chunks} chunks are broken{more}")
    else:
        console.say(f"ok: {counts.chunks} chunks of {counts.arrays} array{'s' if counts.arrays != 1 else ''} are whole")
    return not (counts.broken or counts.unreadable)


def _one_chunk(path: Path, console: Console) -> bool:
    data = path.read_bytes()
    try:
        peek(data)
    except FormatError:
        raise  # perhaps no chunk at all: an error, not an answer
    except DecodeError:
        pass  # said below
    try:
        values = decode(data)
    except DecodeError as e:
        console.say(f"BROKEN {path}: {e}\nFAILED: 1 of 1 chunks broken")
        return False
    console.say(f"ok: a chunk of {values.dtype} values, shape {values.shape}, is whole")
    return True


def _array(array: StoredArray, counts: _Counts, console: Console) -> None:
    label = array.name or "/"
    if not array.ours:
        console.say(f"{label}: not checked, its codec is {array.codec}")
        return
    counts.arrays += 1
    chunks, broken, unchecked = 0, 0, 0
    console.start(array.size)
    try:
        for chunk in array.chunks(False):
            interrupt.check()
            chunks += 1
            problem = chunk.problem or _problem(array, chunk)
            unchecked += not problem and chunk.skipped
            if problem:
                broken += 1
                where = ",".join(map(str, chunk.corner))
                at = f" ({chunk.place})" if chunk.place else ""
                console.say(f"BROKEN {label}: the chunk at [{where}]{at}: {problem}")
            console.advance(chunk.size, label)
    finally:
        console.stop()
    counts.chunks += chunks - unchecked
    counts.broken += broken
    notes = [f"{array.n_chunks - chunks} not stored"] if array.n_chunks > chunks else []
    if unchecked:
        notes.append(f"{unchecked} not checked, as they are stored without our codec or behind unknown ones")
    left = array.leftovers()
    notes += [f"{len(left)} unfinished files, which no reader looks at: {', '.join(left[:5])}"] if left else []
    console.say("; ".join([f"{label}: {chunks} chunks, {broken} broken", *notes]))


def _problem(array: StoredArray, chunk: StoredChunk) -> str:
    if chunk.skipped:
        return ""
    try:
        array.check(chunk)
    except Exception as e:  # of a host, of any kind
        return " ".join(str(e).split()) or type(e).__name__
    return ""
