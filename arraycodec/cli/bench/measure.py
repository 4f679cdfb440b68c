"""All codecs on one array, in turns, and what came of it: one row for each codec and mode."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...codec import verify
from .. import interrupt
from ..model import CommandError
from ..stages import StageRow
from .corpus import Item
from .peers import BUILT_IN, LOSSLESS, MEMCPY, NAMED, OURS
from .peers.own import LEVEL, PREDICTOR, THREADS
from .protocol import ONE_THREAD, Child, ChildFailed, choose_cpus

CACHE, STREAM = "cache", "stream"
SIZES = "sizes"  # nothing is timed: see `.sizes`
STREAM_BYTES = 64 << 20
_BURST = 5  # calls of a chunk that follow each other before it is another codec's turn
_START_SECONDS = 120  # for importing a package on a busy machine
_WORKER = "arraycodec.cli.bench.worker"


@dataclass(frozen=True)
class Row:
    """One codec on one array in one mode; the columns of the CSV.

    Numbers are NaN, and counts None, where there is nothing to report; `status` says why.
    """

    array: str
    kind: str
    dtype: str
    values: int
    tol: float
    codec: str
    family: str
    isa: str
    threads: int
    mode: str
    chunk: int
    status: str
    bytes: int | None = None
    ratio: float = math.nan
    bits_per_value: float = math.nan
    encode_fastest: float = math.nan  # MB/s
    encode_median: float = math.nan
    encode_rounds: int = 0
    decode_fastest: float = math.nan
    decode_median: float = math.nan
    decode_rounds: int = 0
    error_in_tol: float = math.nan  # largest absolute error over finite values, in tolerances
    violations: int | None = None
    nan_lost: int | None = None  # of these: NaN or infinities that are something else now, or appeared
    level: int | None = None  # of this package; None is the default
    predictor: str = ""  # likewise; "" is the default
    rel: float = 0.0  # the tolerance in units of the array's range; 0 if it was not given so
    slices: int = 0  # axes of the slices that suited this codec best; 0: the whole array (with `SIZES`)
    filled: int = 0  # NaN and infinities that were replaced for this codec (with `SIZES`)
    digest: str = ""  # of the array: dtype, shape and values

    @property
    def ok(self) -> bool:
        """Whether it was measured."""
        return self.status == "ok"

    @property
    def held(self) -> bool:
        """Whether it was measured and every value is within the bound."""
        return self.ok and self.violations == 0

    @property
    def is_ours(self) -> bool:
        """Whether this is this package: its violations are failures."""
        return self.codec == "arraycodec"


@dataclass
class Contender:
    """A codec and its process."""

    adapter: str
    threads: int = 1
    isa: str | None = None
    level: int | None = None
    predictor: str = ""
    module: str = _WORKER
    child: Child | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start the process; `finish_start` waits for it, so that several start at once."""
        environment = ONE_THREAD | {THREADS: str(self.threads)}
        if self.isa is not None:
            environment["ARRAYCODEC_ISA"] = self.isa
        environment[LEVEL] = "" if self.level is None else str(self.level)
        environment[PREDICTOR] = self.predictor
        self.child = Child(self.module, environment)
        self.child.send(do="load", adapter=self.adapter, cpus=choose_cpus(self.threads))

    def finish_start(self) -> None:
        """Raise ChildFailed if the adapter does not load."""
        self.info = self.child.receive(_START_SECONDS)

    def request(self, timeout: float, **message: Any) -> Any:
        """Ask, in a new process if the last one has died."""
        if not self.child.alive:
            self.start()
            self.finish_start()
        return self.child.request(timeout, **message)

    def stages(self, item: Item, tol: float, chunk: int, repeat: int, timeout: float) -> list[StageRow]:
        """Of our codec: where its time goes on one array, chunk by chunk, in the mean."""
        with tempfile.TemporaryDirectory(prefix="arraycodec-bench-") as scratch:
            path = str(item.npy(Path(scratch)))
            answer = self.request(timeout, do="stages", path=path, tol=tol, chunk=chunk, repeat=repeat)
        return [StageRow(item.name, tol, self.info["isa"], **row) for row in answer]


class Contenders:
    """memcpy, this package (once for each instruction set, number of threads, level and predictor), and peers.

    Parameters
    ----------
    peers : list of str or None
        Keys of `NAMED` or adapters ``module:Class``, which must be there; None: every built-in
        one that is installed.
    isas : list of str or None
        Instruction sets to force; None is the best one.
    threads : list of int
        Numbers of threads.
    levels : list of int or None
        Levels; None is the default.  Without any, only peers.
    limit : bool
        Whether memcpy is among them.
    predictors : sequence of str
        Predictors; "" is the default.
    lossless : bool
        Whether the built-in ones are those without a tolerance.
    module : str
        What their processes run.
    optional : bool or None
        Whether peers may be missing; None: those that are not named.

    Attributes
    ----------
    own : list of Contender
        This package's.
    missing : list of str
        Built-in peers that are not measured, with reasons.
    """

    def __init__(
        self, peers: list[str] | None, isas: list[str | None], threads: list[int], levels: list[int | None],
        limit: bool = True, predictors: Sequence[str] = ("",), lossless: bool = False,
        module: str = _WORKER, optional: bool | None = None,
    ) -> None:  # fmt: skip
        ways = itertools.product(isas, threads, levels, predictors)
        own = [Contender(OURS, t, isa, level, predictor, module) for isa, t, level, predictor in ways]
        wanted = list(LOSSLESS if lossless else BUILT_IN) if peers is None else peers
        others = [Contender(NAMED.get(name, name), module=module) for name in wanted]
        self._all = [*([Contender(MEMCPY, module=module)] if limit else []), *own, *others]
        self.missing: list[str] = []
        self._started = False
        self._optional = peers is None if optional is None else optional
        self.own, self._names = own, dict(zip(map(id, others), wanted, strict=True))

    def __enter__(self) -> Contenders:
        try:
            for contender in self._all:
                contender.start()
            for contender in list(self._all):
                self._check(contender)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: Any) -> None:
        for contender in self._all:
            if contender.child is not None:
                contender.child.close(kill=True)

    def __iter__(self) -> Iterator[Contender]:
        return iter(self._all)

    def _check(self, contender: Contender) -> None:
        try:
            contender.finish_start()
            reason = contender.info.get("missing")
        except ChildFailed as e:
            reason = str(e).removeprefix("error: ")
        if reason is None:
            return
        if contender in self.own:
            raise CommandError(f"--isa {contender.isa}: {reason}" if contender.isa else f"arraycodec: {reason}")
        name = self._names.get(id(contender), contender.adapter)
        if not self._optional or contender.adapter == MEMCPY:
            raise CommandError(f"--peers {name}: {reason}")
        self.missing.append(f"{name} ({reason})")
        contender.child.close(kill=True)
        self._all.remove(contender)

    def versions(self) -> dict[str, str]:
        """Peer to version, of those that are there."""
        return {c.info["name"]: c.info["version"] for c in self._all if c.adapter not in (MEMCPY, OURS)}


@dataclass
class _Entry:
    """A contender's measurement of one array, as it grows."""

    contender: Contender
    status: str = "ok"
    opened: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, list[list[float]]] = field(default_factory=lambda: {"encode": [], "decode": []})
    spent: float = 0.0
    expected: float = 0.0  # seconds of a round of both directions
    done: bool = False

    def request(self, timeout: float, **message: Any) -> Any:
        """The answer, or None with the reason in `status`."""
        try:
            return self.contender.request(timeout, **message)
        except ChildFailed as e:
            self.status, self.done = str(e), True
            return None


def measure(
    item: Item, tol: float, contenders: Contenders, mode: str, chunk: int, repeat: int, budget: float, timeout: float
) -> list[Row]:
    """Measure every contender on one array.

    Parameters
    ----------
    item : Item
        The array.
    tol : float
    contenders : Contenders
    mode : {"cache", "stream"}
    chunk : int
        Values per chunk; 0 for whole arrays.
    repeat : int
        Rounds.
    budget : float
        Seconds after which a codec gets no further rounds (it gets one in any case).
    timeout : float
        Seconds after which a codec counts as hanging: for one encoding and decoding of all chunks,
        and for a few rounds.
    """
    entries = [_Entry(c) for c in contenders]
    with tempfile.TemporaryDirectory(prefix="arraycodec-bench-") as scratch:
        path, decoded = item.npy(Path(scratch)), Path(scratch, "decoded.npy")
        original = np.load(path, mmap_mode="r")
        for entry in entries:
            interrupt.check()
            _open(entry, original, str(path), str(decoded), tol, mode, chunk, budget, timeout)
        turns = range(0, repeat, _BURST) if mode == CACHE else range(repeat)
        for turn in turns:
            calls = min(_BURST, repeat - turn) if mode == CACHE else 1
            for entry in entries:
                interrupt.check()
                _turn(entry, calls, mode, budget, timeout)
        for entry in entries:
            if entry.status == "ok":
                entry.request(timeout, do="close")
        return [_row(entry, item, original, tol, mode, chunk) for entry in entries]


def base(contender: Contender, item: Item, values: np.ndarray, tol: float, mode: str, chunk: int) -> dict[str, Any]:
    """The columns of a row that say what it is about."""
    info = contender.info
    return {
        "array": item.name, "kind": item.kind, "dtype": str(values.dtype), "values": values.size, "tol": tol,
        "codec": info["name"], "family": info["family"], "isa": info["isa"], "threads": contender.threads,
        "mode": mode, "chunk": chunk, "level": contender.level, "predictor": contender.predictor,
        "rel": item.rels.get(tol, 0.0),
        "digest": item.digest,
    }  # fmt: skip


def _open(
    entry: _Entry, original: np.ndarray, path: str, decoded: str, tol: float, mode: str, chunk: int, budget: float,
    timeout: float,
) -> None:  # fmt: skip
    answer = entry.request(
        timeout, do="open", path=path, tol=tol, chunk=chunk, decoded=decoded,
        stream_bytes=STREAM_BYTES if mode == STREAM else 0, seconds=budget,
    )  # fmt: skip
    if answer is None:
        return
    if "refused" in answer:
        entry.status, entry.done = answer["refused"], True
        return
    entry.opened = answer
    entry.quality = judge(original, np.load(decoded, mmap_mode="r"), tol, entry.contender.adapter == OURS)
    entry.expected = answer["encode"] + answer["decode"]


def _turn(entry: _Entry, calls: int, mode: str, budget: float, timeout: float) -> None:
    """Some rounds of both directions, as many as the budget allows."""
    if entry.done:
        return
    first = not entry.seconds["encode"]
    warm = mode == CACHE
    if entry.spent + entry.expected * (calls + warm) > budget:
        entry.done = True  # after this
        if not first:
            return
        calls, warm = 1, False  # `open` was its warm-up
    start = time.monotonic()
    for what, rounds in entry.seconds.items():
        answer = entry.request(timeout, do="time", what=what, calls=calls, warm=warm)
        if answer is None:
            return
        rounds += answer
    seconds = time.monotonic() - start
    entry.spent += seconds
    entry.expected = seconds / (calls + warm)


def judge(original: np.ndarray, decoded: np.ndarray, tol: float, nan_bits: bool) -> dict[str, Any]:
    """Violations in exact arithmetic, and lost NaN.

    Parameters
    ----------
    original, decoded : numpy.ndarray
    tol : float
    nan_bits : bool
        A NaN with other bits is lost, as `arraycodec.verify` has it and this package promises.
        Peers do not: for them any NaN is NaN.
    """
    check = verify(original, decoded, tol)
    violations, lost = check.violations, check.lost
    if lost and not nan_bits:
        changed = np.isnan(original) != np.isnan(decoded)
        infinite = np.isinf(original) | np.isinf(decoded)
        changed |= infinite & (original != decoded)
        count = int(np.count_nonzero(changed))
        violations, lost = violations - lost + count, count
    return {
        "error_in_tol": check.max_error / tol if tol else (math.inf if check.max_error else 0.0),
        "violations": violations,
        "nan_lost": lost,
    }


def _row(entry: _Entry, item: Item, original: np.ndarray, tol: float, mode: str, chunk: int) -> Row:
    about = base(entry.contender, item, original, tol, mode, chunk) | {"status": entry.status}
    if entry.status != "ok":
        return Row(**about, **entry.quality)
    size, megabytes = entry.opened["bytes"], original.nbytes * entry.opened["laps"] / 1e6
    speeds: dict[str, Any] = {}
    for what, rounds in entry.seconds.items():
        seconds = np.array(rounds)
        speeds[f"{what}_fastest"] = megabytes / float(seconds.min(axis=0).sum())
        speeds[f"{what}_median"] = megabytes / float(np.median(seconds.sum(axis=1)))
        speeds[f"{what}_rounds"] = len(rounds)
    return Row(
        **about, **entry.quality, **speeds, bytes=size,
        ratio=original.nbytes / size, bits_per_value=8 * size / original.size,
    )  # fmt: skip
