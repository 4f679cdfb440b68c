"""What the user sees: warnings, a progress bar where there is a terminal, and one summary line."""

from __future__ import annotations

import sys
from typing import Any


class Console:
    """The two output streams.

    Parameters
    ----------
    quiet : bool
        Show warnings and errors only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bar: Any = None

    def warn(self, text: str) -> None:
        """One line about something that is not kept; shown even when quiet."""
        self._clear()
        print(f"arraycodec: warning: {text}", file=sys.stderr)

    def say(self, text: str) -> None:
        """A line of the result."""
        if not self.quiet:
            self._clear()
            print(text)

    def start(self, total: int) -> None:
        """Begin a progress bar over `total` bytes, if somebody can see it."""
        if self.quiet or not sys.stderr.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, unit="B", unit_scale=True, leave=False)

    def advance(self, nbytes: int, name: str = "") -> None:
        """Some bytes are done."""
        if self._bar is not None:
            self._bar.set_description(name, refresh=False)
            self._bar.update(nbytes)

    def stop(self) -> None:
        """End the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.clear()
