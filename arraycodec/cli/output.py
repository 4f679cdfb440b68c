"""What commands ask of their outputs: that they can be gone on with, and do not touch the input."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..output import Output
from .journal import Journal
from .model import CommandError

#: What the user says so that an output that exists is replaced.
FORCE = "--force"


def partial(path: Path) -> Path:
    """Where an output is while it may be gone on with."""
    return path.with_name(f".{path.name}.partial")


class Resumable(Output):
    """An output that stays incomplete under a name of its own where it is interrupted: see `journal`.

    Parameters
    ----------
    path, force
        As of `Output`.
    restart : bool
        Do not go on with what an earlier run has left.
    """

    def __init__(self, path: Path, force: bool, restart: bool) -> None:
        super().__init__(path, force, FORCE)
        self.journal = Journal(partial(self.path), restart)
        self.temporary = self.journal.store

    def _rename(self) -> None:
        self.journal.forget()  # the old output may then be where the store was: nothing must go on with that
        super()._rename()

    def __exit__(self, kind: Any, *exc: Any) -> None:
        if kind is None or self.journal.is_empty:
            self.journal.remove()
        else:
            self.journal.close()


def files_below(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """A file, or all files below a folder, with their names from there; of links that lead nowhere what they are."""
    if not path.is_dir():
        yield "", path.stat()
        return
    for where, _, files in os.walk(path):
        for file in files:
            full = os.path.join(where, file)
            try:
                stat = os.stat(full)
            except FileNotFoundError:
                stat = os.lstat(full)
            yield os.path.relpath(full, path), stat


def disk_usage(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(stat.st_size for _, stat in files_below(path))


def fingerprint(path: Path) -> str:
    """What changes with the content of a file, or of those in a folder, if their times of modification do."""
    files = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in files_below(path))
    return hashlib.blake2b(repr(files).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def refuse_overlap(source: Path, target: Path) -> None:
    """Raise CommandError if writing `target` would touch `source`."""
    a, b = Path(os.path.realpath(source)), Path(os.path.realpath(target))
    if a == b or (b.exists() and os.path.samefile(a, b)):
        raise CommandError(f"input and output are the same: {source}")
    if a in b.parents or b in a.parents:
        raise CommandError(f"one of input and output is inside the other: {source}, {target}")
