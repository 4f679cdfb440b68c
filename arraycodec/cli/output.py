"""What commands ask of their outputs: that they can be gone on with, and do not touch the input."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..output import Output
from .journal import Journal
from .model import CommandError

#: What the user says so that an output that exists is replaced.
FORCE = "--force"


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
        self.journal = Journal(self.path.with_name(f".{self.path.name}.partial"), restart)
        self.temporary = self.journal.store

    def __exit__(self, kind: Any, *exc: Any) -> None:
        if kind is None or self.journal.is_empty:
            shutil.rmtree(self.journal.folder, ignore_errors=True)
        self.journal.close()


def fingerprint(path: Path) -> list[int]:
    """What changes with the content of a file, or of those in a folder: how many, their bytes, and the last change."""
    if path.is_file():
        stats = [path.stat()]
    else:
        stats = [os.stat(os.path.join(where, file)) for where, _, files in os.walk(path) for file in files]
    return [len(stats), sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)]


def refuse_overlap(source: Path, target: Path) -> None:
    """Raise CommandError if writing `target` would touch `source`."""
    a, b = Path(os.path.realpath(source)), Path(os.path.realpath(target))
    if a == b or (b.exists() and os.path.samefile(a, b)):
        raise CommandError(f"input and output are the same: {source}")
    if a in b.parents or b in a.parents:
        raise CommandError(f"one of input and output is inside the other: {source}, {target}")
