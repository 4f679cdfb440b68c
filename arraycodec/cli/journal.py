"""What has been done of a job that may be interrupted, in a file: so that the next run goes on where this one ends.

Beside the output OUT there is a folder ``.OUT.partial``: ``store-TOKEN`` is what is written, ``job.json`` says what
job that is for, and which token (it is written when all arrays have been made, so without it there is nothing to go on
with), and ``done.jsonl`` has a line for each box of values that is complete.  Another job has another token: tasks of
the one before that workers have not ended yet write to a place that nobody looks at.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from .model import CommandError

#: A box: the index of its array in the job, and its own in that array.
Key = tuple[int, int]


class Journal:
    """The folder of a job.

    Parameters
    ----------
    folder : Path
    restart : bool
        Remove what an earlier run has left.

    Raises
    ------
    CommandError
        If another run is at work there, or the folder is somebody else's.

    Attributes
    ----------
    store : Path
        Where the output is made.
    done : dict
        What earlier runs have recorded, after `resume` has found that it is of the same job.
    warning : str
        Something that the user should know.
    """

    def __init__(self, folder: Path, restart: bool = False) -> None:
        self.folder = folder
        self.done: dict[Key, Any] = {}
        self.warning = ""
        self._file = self._locked()
        self._before = None if restart else self._kept()
        token = secrets.token_hex(4) if self._before is None else self._before["token"]
        self.store = folder / f"store-{token}"
        if self._before is None:
            self._clear()

    def _locked(self) -> Any:
        """The file of what is done, for this run alone."""
        path = self.folder / "done.jsonl"
        while True:
            self.folder.mkdir(exist_ok=True)
            if not path.exists() and any(self.folder.iterdir()):
                raise CommandError(f"{self.folder} is there already, and no folder of a run that was interrupted")
            file = open(path, "a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise CommandError(f"another run is writing to {self.folder}") from None
            except OSError as e:  # as Lustre without the option flock
                self.warning = f"there are no locks in {self.folder} ({e.strerror}): let no other run write this output"
            # perhaps the run that had the lock has ended, and removed this file
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()

    def resume(self, job: dict[str, Any]) -> bool:
        """Whether an earlier run has made the arrays of this job.

        Raises
        ------
        CommandError
            If it was another job.
        """
        if self._before is None:
            return False
        before = self._before["job"]
        job = json.loads(json.dumps(job))  # tuples are lists there
        if before != job:
            names = [name for name in job if before.get(name) != job[name]]
            raise CommandError(
                f"{self.folder} is what another job has left: its {', '.join(names)} differ; run that one again to "
                f"complete it, or --restart to begin anew"
            )
        self._read()
        return True

    def forget(self) -> None:
        """The output gets its name: what is left here is of no use, whatever happens now."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "job.json").unlink()

    def begin(self, job: dict[str, Any]) -> None:
        """All arrays have been made."""
        temporary = self.folder / "job.json.new"
        with open(temporary, "w") as f:
            json.dump({"token": self.store.name.removeprefix("store-"), "job": job}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, self.folder / "job.json")

    def record(self, key: Key, outcome: Any) -> None:
        """A box is complete."""
        self._file.write(json.dumps([*key, outcome]).encode() + b"\n")
        self._file.flush()

    @property
    def is_empty(self) -> bool:
        """Whether no box is complete, so that there is nothing to go on with."""
        return not os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Let others write; twice is no error."""
        self._file.close()

    def remove(self) -> None:
        """There is nothing to go on with."""
        self._clear()
        path = self.folder / "done.jsonl"
        if list(self.folder.iterdir()) == [path]:
            path.unlink()
        self.close()  # whoever waits for the lock sees that the file has gone
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _kept(self) -> dict[str, Any] | None:
        """What an earlier run says of its job, if it came so far."""
        try:
            kept = json.loads((self.folder / "job.json").read_text())
        except (OSError, ValueError):
            return None
        is_one = isinstance(kept, dict) and isinstance(kept.get("job"), dict)
        if not is_one or not re.fullmatch("[0-9a-f]{8}", str(kept.get("token"))):
            return None
        return kept if (self.folder / f"store-{kept['token']}").is_dir() else None

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0  # a run that was killed may have left half a line
        for line in self._file:
            try:
                array, box, outcome = json.loads(line)
                self.done[int(array), int(box)] = outcome
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        self._file.truncate(whole)

    def _clear(self) -> None:
        self.forget()
        (self.folder / "job.json.new").unlink(missing_ok=True)
        for store in self.folder.glob("store-*"):
            shutil.rmtree(store, ignore_errors=True)
        self._file.truncate(0)
