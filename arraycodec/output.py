"""Output that appears under its name only when it is complete: a temporary name beside it, then a rename."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from .errors import ArraycodecError, ParameterError

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
    by : str
        What the user says for that, for messages.

    Raises
    ------
    ParameterError
        If the name cannot be written to; nothing has been written then.
    """

    def __init__(self, path: Path, force: bool, by: str) -> None:
        self.path = Path(os.path.realpath(path))  # a symbolic link stays, its target is replaced
        if not self.path.parent.is_dir():
            raise ParameterError(f"no such folder: {self.path.parent}")
        if self.path.exists():
            if not force:
                raise ParameterError(f"{path} exists ({by} replaces it)")
            if self.path.is_dir() and any(self.path.iterdir()) and not is_zarr_directory(self.path):
                raise ParameterError(f"{path} is a folder but not a Zarr store: not replacing it")
        self._force, self._by = force, by
        self.temporary = self._beside("partial")

    def _beside(self, kind: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.{kind}")

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: Any, *exc: Any) -> None:
        _remove(self.temporary)
        # zarr writes in threads of its own, which an interruption here does not stop at once.
        for _ in range(20 if kind is not None and not issubclass(kind, ArraycodecError) else 0):
            time.sleep(0.05)
            _remove(self.temporary)

    def commit(self) -> None:
        """Give the finished output its name."""
        if not self._force and self.path.exists():
            raise ParameterError(f"{self.path} has appeared in the meantime ({self._by} replaces it)")
        if self.temporary.is_file():
            with open(self.temporary, "rb+") as f:
                os.fsync(f.fileno())  # before an older file of that name goes
        self._rename()

    def _rename(self) -> None:
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
