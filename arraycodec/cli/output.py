"""Output that appears under its name only when it is complete: a temporary name beside it, then a rename."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from .journal import Journal
from .model import CommandError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_ZARR_METADATA = ("zarr.json", ".zgroup", ".zarray")


def is_zarr_directory(path: Path) -> bool:
    """Whether a directory is the root of a Zarr store (or of a group or array in one)."""
    return any((path / name).is_file() for name in _ZARR_METADATA)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names atomically, where the system and the file system can."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0


class Output:
    """The path to write to, within a ``with`` block that ends in `commit`.

    Parameters
    ----------
    path : Path
        The final name.
    force : bool
        Allow it to exist: the old file or Zarr store is replaced by `commit`.

    Raises
    ------
    CommandError
        If the name cannot be written to; nothing has been written then.
    """

    def __init__(self, path: Path, force: bool) -> None:
        self.path = Path(os.path.realpath(path))  # a symbolic link stays, its target is replaced
        if not self.path.parent.is_dir():
            raise CommandError(f"no such folder: {self.path.parent}")
        if self.path.exists():
            if not force:
                raise CommandError(f"{path} exists (--force replaces it)")
            if self.path.is_dir() and any(self.path.iterdir()) and not is_zarr_directory(self.path):
                raise CommandError(f"{path} is a folder but not a Zarr store: not replacing it")
        self._force = force
        self.temporary = self._beside("partial")

    def _beside(self, kind: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.{kind}")

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: Any, *exc: Any) -> None:
        _remove(self.temporary)
        # zarr writes in threads of its own, which an interruption here does not stop at once.
        for _ in range(20 if kind is not None and not issubclass(kind, CommandError) else 0):
            time.sleep(0.05)
            _remove(self.temporary)

    def commit(self) -> None:
        """Give the finished output its name."""
        if not self._force and self.path.exists():
            raise CommandError(f"{self.path} has appeared in the meantime (--force replaces it)")
        if self.temporary.is_file():
            with open(self.temporary, "rb+") as f:
                os.fsync(f.fileno())  # before an older file of that name goes
        if not self.path.is_dir() and not self.temporary.is_dir():
            os.replace(self.temporary, self.path)
        elif not self.path.exists():
            os.rename(self.temporary, self.path)
        elif not _exchange(self.temporary, self.path):
            old = self._beside("old")
            os.rename(self.path, old)
            try:
                os.rename(self.temporary, self.path)
            except BaseException:
                os.rename(old, self.path)
                raise
            _remove(old)
        # After an exchange the temporary name is the old output's, and is removed on exit.


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
        super().__init__(path, force)
        self.journal = Journal(self.path.with_name(f".{self.path.name}.partial"), restart)
        self.temporary = self.journal.store

    def __exit__(self, kind: Any, *exc: Any) -> None:
        if kind is None or self.journal.is_empty:
            _remove(self.journal.folder)
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
