"""``arraycodec compress`` and ``decompress`` by many processes: `convert`'s work through dask.distributed.

This process plans, and makes the arrays of the output; then each task moves the values of one box (whole chunks or
shards, so that no two tasks write the same file), in whatever process gets it, which opens both sides by their paths.
A journal has what is complete, so that a run that was interrupted is gone on with.  dask gives the tasks of a process
that has died to another one; a box that is written twice is the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..boxes import automatic_chunks, box_shape, boxes
from . import interrupt, output
from .codecs import Special
from .console import Console
from .convert import checked_output, finish, move, report, total_bytes
from .formats import open_source
from .journal import Journal, Key
from .model import ArrayInfo, Box, CommandError, GroupInfo, Item, LinkInfo, Source
from .outcome import Outcome, Totals
from .packed import refuse_for_workers
from .plan import Job, Planned, Planner, selected, warn_about_rules
from .zarrstore import ZarrSink, require_zarr

_AHEAD = 3  # tasks for each thread of the workers that the scheduler knows: none waits, and none has to be told all
_TASK_VALUES = 1 << 22  # move about so many in each: to give one away takes some milliseconds
_ONE_THREAD = {"ZARR_ASYNC__CONCURRENCY": "1", "ZARR_THREADING__MAX_WORKERS": "1"}  # in a process that is one of many
# Ctrl-C goes to all processes of a terminal: the command ends its workers itself
_NO_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
_CONNECT = 10.0  # seconds for a scheduler to answer
_PATIENCE = 5.0  # seconds without a worker until that is worth a word; in queues, jobs may wait for hours


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    count : int or None
        So many processes of this machine, with a thread each.
    scheduler : str or None
        Or those of a scheduler of dask.distributed, by its address or its scheduler file.
    memory_limit : str or None
        Of each process of this machine, as dask writes it ("2GiB"); beyond it, dask ends and replaces the process.
    restart : bool
        Do not go on with what an earlier run has left.
    """

    count: int | None = None
    scheduler: str | None = None
    memory_limit: str | None = None
    restart: bool = False


def convert_on_cluster(job: Job, workers: Workers, console: Console) -> None:
    """Do a job; nothing appears under the target's name unless all of it succeeds.

    Parameters
    ----------
    job : Job
        Whose output is a Zarr store.
    workers : Workers
    console : Console

    Raises
    ------
    CommandError
        As `convert`; if the workers cannot do it; if another job has left something.  What was interrupted stays.
    """
    kind = checked_output(job)
    if kind not in ("zarr2", "zarr3"):
        raise CommandError(
            f"{job.target}: only Zarr can be written by many processes; leave --workers and --scheduler out for {kind}"
        )
    with open_source(job.source, job.in_format) as source:
        output.refuse_overlap(job.source, job.target)
        items = selected(source, job, kind)
        refuse_for_workers(source, items, job)
        warn_about_rules(items, job, console)
        with output.Resumable(job.target, job.force, workers.restart) as out, connected(workers, console) as client:
            if out.journal.warning:
                console.warn(out.journal.warning)
            place = _Place(
                str(job.source.resolve()), job.in_format, str(out.temporary), int(kind[-1]), secrets.token_hex(8),
                __version__,
            )  # fmt: skip
            pool = _Pool(client, place)
            sink = ZarrSink(out.temporary, int(kind[-1]), console.warn, source)
            planner = Planner(job, sink, pool.survey, console)
            planned = [planner.plan(i) for i in items if isinstance(i, ArrayInfo)]
            description = _describe(job, place, items, planned)
            if out.journal.resume(description):
                sink.go_on()
            else:
                _make(items, planned, sink)
                out.journal.begin(description)
            ledger = _Ledger(planned, out.journal, console)
            try:
                console.start(total_bytes(items))
                _move_all(planned, source, sink, pool, ledger)
                sink.complete()
            except BaseException:
                if not out.journal.is_empty:
                    console.warn(f"what is done stays in {out.journal.folder}: the same command goes on with it")
                raise
            finally:
                console.stop()
                sink.close()
            totals = ledger.totals()
            if output.fingerprint(job.source) != description["input"][1]:
                raise CommandError(f"{job.source} has changed while it was read: --restart begins anew")
            written = finish(out, totals)
    report(job, totals, written, console)


# ---- the cluster ----
def require_distributed() -> Any:
    """The distributed module, or an error that says how to get it."""
    try:
        import distributed
    except ImportError:
        raise CommandError('--workers and --scheduler need dask.distributed: pip install "arraycodec[dask]"') from None
    return distributed


@contextlib.contextmanager
def connected(workers: Workers, console: Console) -> Iterator[Any]:
    """A client of the workers."""
    distributed = require_distributed()
    import dask

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet("distributed", "distributed.client", "distributed.core"))
        if workers.scheduler is None:
            # every 10 ms each worker would look at what its threads are doing, for charts: a fifth of the time
            stack.enter_context(dask.config.set({"distributed.worker.profile.enabled": False}))
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers.count, threads_per_worker=1, memory_limit=workers.memory_limit or "auto",
                    dashboard_address="127.0.0.1:0", silence_logs="CRITICAL", env=_ONE_THREAD,
                    preload=[_NO_SIGINT],
                )
            )  # fmt: skip
            yield stack.enter_context(distributed.Client(cluster))
            return
        try:
            client = stack.enter_context(distributed.Client(**_where(workers.scheduler), timeout=_CONNECT))
        except (OSError, ValueError) as e:
            raise CommandError(f"no scheduler at {workers.scheduler}: {e}") from None
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            console.warn(f"the scheduler {workers.scheduler} has no workers yet: waiting for the first")
            while not client.nthreads():
                interrupt.check()
                time.sleep(0.2)
        yield client


def _where(scheduler: str) -> dict[str, str]:
    """What a client takes for an address, or the name of a file."""
    if Path(scheduler).is_file():
        return {"scheduler_file": scheduler}
    if "://" not in scheduler and (os.sep in scheduler or scheduler.endswith(".json")):
        raise CommandError(f"no such scheduler file: {scheduler} (an address is tcp://HOST:PORT)")
    return {"address": scheduler}


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Loggers that say nothing: what goes wrong is said by us, once."""
    loggers = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    for logger, _ in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in loggers:
            logger.setLevel(level)


class _Pool:
    """Tasks given to workers, and what comes of them.

    Parameters
    ----------
    client : distributed.Client
    place : _Place

    Raises
    ------
    CommandError
        If a worker that is there cannot do any of them.
    """

    def __init__(self, client: Any, place: _Place) -> None:
        self._client, self._place = client, place
        self._counted, self._threads = -math.inf, 0
        try:
            seen = client.run(_look, place)
        except ModuleNotFoundError as e:
            raise CommandError(f"a worker cannot import what it needs: {e}; install arraycodec there") from None
        for worker, problem in seen.items():
            if problem:
                raise CommandError(f"worker {worker}: {problem}")

    def run(self, function: Callable[..., Any], tasks: Iterable[tuple[Any, tuple[Any, ...]]]) -> Iterator[Any]:
        """Call a function of this module for each task (its key, and arguments after the place), a few ahead.

        Yields
        ------
        tuple
            The key, and the result, in the order in which tasks are done.
        """
        distributed = require_distributed()
        tasks, keys = iter(tasks), {}
        done = distributed.as_completed()

        def submit() -> None:
            for key, arguments in itertools.islice(tasks, max(0, self._limit() - len(keys))):
                future = self._client.submit(function, self._place, *arguments, pure=False)
                keys[future] = key
                done.add(future)

        submit()
        try:
            for future in done if keys else ():
                interrupt.check()
                yield keys.pop(future), _result(future)
                submit()
        finally:
            self._client.cancel(list(keys))
            done.clear()

    def _limit(self) -> int:
        """How many tasks to give away before others are done: workers come and go, so they are counted every second."""
        now = time.monotonic()
        if now - self._counted > 1:
            self._counted, self._threads = now, sum(self._client.nthreads().values())
        return _AHEAD * max(self._threads, 1)

    def survey(self, info: ArrayInfo, marks: list[Any]) -> Special:
        """See `plan.Survey`."""
        shape = box_shape(info.shape, automatic_chunks(info.shape), info.chunks, _TASK_VALUES)
        special = Special()
        for _, found in self.run(_count, ((None, (info.name, box, marks)) for box in boxes(info.shape, shape))):
            special += found
        return special


def _result(future: Any) -> Any:
    """What a task returns; a worker's own words where it fails."""
    distributed = require_distributed()
    try:
        return future.result()
    except distributed.KilledWorker as e:
        raise CommandError(
            f"workers ended again and again: {str(e).splitlines()[0]} Perhaps they have too little memory; run the "
            f"same command again to go on"
        ) from None
    except CancelledError as e:
        raise CommandError(f"the scheduler has gone ({e}); run the same command again to go on") from None


# ---- the job ----
def _make(items: list[Item], planned: list[Planned], sink: ZarrSink) -> None:
    """Groups and arrays, without values."""
    plans = iter(planned)
    for item in items:
        interrupt.check()
        if isinstance(item, GroupInfo):
            sink.group(item)
        elif isinstance(item, LinkInfo):
            sink.link(item)
        else:
            plan = next(plans)
            sink.create(plan.info, plan.codec)


def _describe(job: Job, place: _Place, items: list[Item], planned: list[Planned]) -> dict[str, Any]:
    """What has to be the same in a run that goes on with another one."""
    return {
        "version": [__version__, require_zarr().__version__],
        "input": [place.source, output.fingerprint(job.source)],
        "format": place.zarr_format,
        "items": [(type(item).__name__, item.name) for item in items],
        "arrays": [(p.info.name, p.info.dtype.str, p.info.shape, p.info.chunks, p.info.shards) for p in planned],
        "codecs": [repr(p.codec) for p in planned],
    }


def _move_all(planned: list[Planned], source: Source, sink: ZarrSink, pool: _Pool, ledger: _Ledger) -> None:
    """Move what no earlier run has moved."""
    rest = [(key, box) for key, box in _boxes(planned, sink) if not ledger.recall(key, box, sink)]
    texts = [plan.info.dtype.hasobject for plan in planned]  # they are not worth a way to another process
    for key, box in rest:
        if texts[key[0]]:
            interrupt.check()
            ledger.enter(key, _moved(planned[key[0]], source, sink, box))
    light = [replace(plan, info=plan.info.with_(attrs={}, native=None)) for plan in planned]
    tasks = ((key, (light[key[0]], box)) for key, box in rest if not texts[key[0]])
    for key, done in pool.run(_move, tasks):
        ledger.enter(key, done)


def _boxes(planned: list[Planned], sink: ZarrSink) -> Iterator[tuple[Key, Box]]:
    """All boxes of all arrays."""
    for a, plan in enumerate(planned):
        for b, box in enumerate(plan.boxes(sink, _TASK_VALUES)):
            yield (a, b), box


@dataclass
class _Sum:
    """What came of some boxes, and the bytes that they take."""

    outcome: Outcome
    stored: int

    def add(self, other: _Sum) -> None:
        self.outcome.add(other.outcome)
        self.stored += other.stored

    def to_json(self) -> list[float]:
        return [*self.outcome.to_json(), self.stored]


class _Ledger:
    """What came of all boxes of all arrays, whichever run moved them."""

    def __init__(self, planned: list[Planned], journal: Journal, console: Console) -> None:
        self._planned, self._journal, self._console = planned, journal, console
        self._sums = [_Sum(Outcome(), 0) for _ in planned]

    def recall(self, key: Key, box: Box, sink: ZarrSink) -> bool:
        """Whether an earlier run has recorded a box as complete, and what it wrote is there."""
        recorded = self._journal.done.get(key)
        if recorded is None or sink.stored_in(self._planned[key[0]].info, box) != recorded[-1]:
            return False
        self._add(key, _Sum(Outcome(*recorded[:-1]), recorded[-1]))
        return True

    def enter(self, key: Key, done: _Sum) -> None:
        """A box is complete."""
        self._journal.record(key, done.to_json())
        self._add(key, done)

    def _add(self, key: Key, done: _Sum) -> None:
        self._sums[key[0]].add(done)
        self._console.advance(done.outcome.nbytes, self._planned[key[0]].info.name)

    def totals(self) -> Totals:
        """All of it."""
        totals = Totals()
        for plan, total in zip(self._planned, self._sums, strict=True):
            totals.add(plan, total.outcome, total.stored, self._console)
        return totals


# ---- in the workers ----
@dataclass(frozen=True)
class _Place:
    """Where the values are, and where they go; `token` is another one in each run."""

    source: str
    in_format: str | None
    store: str
    zarr_format: int
    token: str
    version: str


@functools.lru_cache(maxsize=2)
def _opened(place: _Place) -> tuple[Source, dict[str, ArrayInfo], ZarrSink]:
    """The source, the arrays in it, and the output; kept open for the tasks that follow.

    Workers may come at any time, so each finds out by itself whether it can do this job.
    """
    if place.version != __version__:
        raise CommandError(f"has arraycodec {__version__}, and is asked by {place.version}")
    shared = "input and output have to be in folders that all workers share"
    if not os.path.exists(place.source):
        raise CommandError(f"there is no {place.source} here: {shared}")
    if not os.access(Path(place.store).parent, os.W_OK):
        raise CommandError(f"cannot write to {Path(place.store).parent}: {shared}")
    source = open_source(Path(place.source), place.in_format)
    arrays = {item.name: item for item in source.items() if isinstance(item, ArrayInfo)}
    return source, arrays, ZarrSink(Path(place.store), place.zarr_format, lambda text: None, source)


def _found(arrays: dict[str, ArrayInfo], name: str) -> ArrayInfo:
    """An array by its name in the output: a single one without a name may have got one there."""
    return arrays[name] if name in arrays else arrays[""]


def _look(place: _Place) -> str:
    """Why this worker cannot do the job."""
    try:
        _opened(place)
    except (CommandError, OSError) as e:
        return str(e)
    return ""


def _count(place: _Place, name: str, box: Box, marks: list[Any]) -> Special:
    source, arrays, _ = _opened(place)
    return Special.of(source.read(_found(arrays, name), box), marks)


def _move(place: _Place, planned: Planned, box: Box) -> _Sum:
    source, arrays, sink = _opened(place)
    native = _found(arrays, planned.info.name).native
    return _moved(replace(planned, info=planned.info.with_(native=native)), source, sink, box)


def _moved(planned: Planned, source: Source, sink: ZarrSink, box: Box) -> _Sum:
    outcome = move(planned, source, sink, sink.reopen(planned.info), box)
    return _Sum(outcome, sink.stored_in(planned.info, box))
