"""A file for HDF5 to write to, whose errors are kept for later.

HDF5 does not survive a failed write: when the file is closed it tries again, and fails again, and a later attempt to
close what is left ends the process (seen with HDF5 2.0, whatever the filter, on a full disk).  So writes never fail
here; the first error is raised by `check`, and nothing that follows it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class SteadyFile:
    """What h5py takes in the place of a path (its driver "fileobj"), for a new file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)
        self._error: BaseException | None = None
        self._told = False

    def check(self) -> None:
        """Raise the first error, once."""
        if self._error is not None and not self._told:
            self._told = True
            raise self._error

    def _try(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._error is None:
            try:
                return function(*args)
            except BaseException as e:  # signals as well: HDF5 takes any exception for a failed write
                self._error = e
        return None

    def write(self, data: Any) -> int:
        """All of it, or at least so it seems."""
        view = memoryview(data).cast("B")
        at = 0
        while at < len(view) and self._error is None:
            at += self._try(self._file.write, view[at:]) or 0
        return len(view)

    def truncate(self, size: int) -> None:
        """As of a file."""
        self._try(self._file.truncate, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        """As of a file."""
        return self._file.readinto(buffer)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Close it, and raise the first error unless `check` has."""
        self._file.close()
        self.check()
