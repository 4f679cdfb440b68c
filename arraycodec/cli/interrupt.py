"""Signals that end the command: raised where they arrive, and again where that was swallowed.

Python code called from C (weak references and destructors inside h5py) cannot pass an exception on;
Ctrl-C there would be printed and forgotten.  So the loops of the commands call `check`.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, NoReturn

_received: int | None = None


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP; `status` is the exit code that shells expect."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.status = 128 + signum


def check() -> None:
    """Raise Interrupted if a signal has arrived since `Signals` was entered."""
    if _received is not None:
        raise Interrupted(_received)


def _handle(signum: int, frame: Any) -> NoReturn:
    global _received
    _received = signum
    raise Interrupted(signum)


class Signals:
    """Handle the signals for the time of a ``with`` block (in the main thread; elsewhere do nothing)."""

    def __enter__(self) -> None:
        global _received
        _received = None
        self._handlers = {}
        self._hook = sys.unraisablehook
        if threading.current_thread() is threading.main_thread():
            sys.unraisablehook = self._unraisable
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup
                    self._handlers[signum] = signal.signal(signum, _handle)

    def _unraisable(self, unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):  # those are raised again by `check`
            self._hook(unraisable)

    def __exit__(self, kind: Any, *exc: Any) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        sys.unraisablehook = self._hook
        if kind is not None and issubclass(kind, Exception):
            check()  # what failed did so because it was interrupted
