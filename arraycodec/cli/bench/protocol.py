"""A child process that answers requests, one JSON line each way, and may hang or die at any moment.

The parent (`Child`) turns every such end into a `ChildFailed` with a short reason.  The child
(`serve`) answers on a pipe of its own: what libraries print goes nowhere near it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

#: One thread each, whatever library reads which variable.
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS", "NUMEXPR_NUM_THREADS",
        "RAYON_NUM_THREADS",
    )
}  # fmt: skip


class ChildFailed(Exception):
    """Why there is no answer: "crashed (signal 11)", "timeout (60 s)", "error: ..."."""


class Child:
    """A process running a module that calls `serve`.

    Parameters
    ----------
    module : str
        Run as ``python -m module``.
    environment : dict
        Added to this process's.
    """

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        answers, end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(end)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(end,), env={**os.environ, **environment},
                start_new_session=True,  # so that the whole group can be ended, and Ctrl-C is the parent's
            )  # fmt: skip
        except BaseException:
            os.close(answers)
            raise
        finally:
            os.close(end)
        self._answers, self._pending = answers, b""

    @property
    def alive(self) -> bool:
        """Whether requests may be sent."""
        return self._process is not None

    def send(self, **message: Any) -> None:
        """Send a request, and do not wait."""
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:  # it is gone, as `receive` will find
            pass

    def receive(self, timeout: float) -> Any:
        """The answer to the request sent last.

        Raises
        ------
        ChildFailed
            If there is none within `timeout` seconds, or it is an error.  The process has ended then,
            unless it reported the error itself.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                self.close(kill=True)
                raise ChildFailed(f"timeout ({timeout:g} s)")
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise ChildFailed(_reason(self.close()))
            self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildFailed(f"error: {answer['error']}")
        return answer["answer"]

    def request(self, timeout: float, **message: Any) -> Any:
        """`send`, then `receive`."""
        self.send(**message)
        return self.receive(timeout)

    def close(self, kill: bool = False) -> int:
        """End the process; its exit status.  Twice is no error."""
        process, self._process = self._process, None
        if process is None:
            return 0
        os.close(self._answers)
        try:
            process.stdin.close()
        except OSError:
            pass
        try:
            if kill:
                raise subprocess.TimeoutExpired("", 0)
            process.wait(5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as e:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            if isinstance(e, KeyboardInterrupt):
                raise
        return process.returncode


def _reason(status: int) -> str:
    return f"crashed (signal {-status})" if status < 0 else f"exited with status {status}"


def serve(handlers: dict[str, Callable[..., Any]]) -> None:
    """In the child: answer requests until the parent is gone.

    Parameters
    ----------
    handlers : dict
        By the request's ``do``; its other fields are keyword arguments.
    """
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected, and need no dumps
    except (ImportError, ValueError, OSError):
        pass
    with open(int(sys.argv[1]), "w") as answers:
        for line in sys.stdin:
            message = json.loads(line)
            try:
                reply = {"answer": handlers[message.pop("do")](**message)}
            except Exception as e:
                text = " ".join(str(e).split())
                reply = {"error": f"{type(e).__name__}: {text}" if text else type(e).__name__}
            answers.write(json.dumps(reply) + "\n")
            answers.flush()


def pin(cpus: list[int]) -> None:
    """In the child: keep to these CPUs, where the system lets it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def choose_cpus(count: int) -> list[int]:
    """The CPUs to measure on: the last ones, since the first one often has the system's work."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[-count:]
