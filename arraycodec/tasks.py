"""Work in several threads, with a bound on what waits in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run(tasks: Iterator[Any], work: Callable[[Any], Any], done: Callable[[Any, Any], None], threads: int) -> None:
    """Call ``done(task, work(task))`` for every task: `work` in several threads, the rest in this one.

    This thread works, too, when the others have enough to do: at most two tasks per thread are in
    memory.  An exception (also one of the iterator, or an interrupt) comes out after the running
    tasks have ended; no other is started.
    """
    if threads == 1:
        for task in tasks:
            done(task, work(task))
        return
    pending: deque[Any] = deque()
    # a pool of its own for every call: nothing is left that a fork could find half alive
    pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="arraycodec")
    try:
        for task in tasks:
            while pending and pending[0][1].done():
                finished, future = pending.popleft()
                done(finished, future.result())
            if len(pending) < 2 * (threads - 1):
                pending.append((task, pool.submit(work, task)))
            else:
                done(task, work(task))
        while pending:
            task, future = pending.pop()  # the last was perhaps not started yet
            done(task, work(task) if future.cancel() else future.result())
    finally:
        pool.shutdown(cancel_futures=True)
