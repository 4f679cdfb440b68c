"""``arraycodec bench --torture``: adversarial arrays and damaged chunks, and what each codec makes of them.

Every array and every damage is a request of its own to the codec's process.  A crash or a hang costs
that one, and a new process goes on with the next.  What comes back is judged here, exactly.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import interrupt
from ..adversarial import KINDS
from .measure import Contender, Contenders, judge
from .peers import OURS
from .peers.base import LOSSLESS
from .protocol import ChildFailed
from .torturecases import BAD_TOLERANCES, LAYOUTS, TOLERANCES, Target, arrays, targets

MODULE = "arraycodec.cli.bench.tortureworker"
OUR_NAME = "arraycodec"
TIMEOUT = 15.0  # seconds, for arrays of some KiB
_PATIENCE = 10  # hangs until the rest is left out
_TOL = 1e-3  # of the chunk that is damaged
_ELSEWHERE = 4.0  # tolerances: no rounding errs so much, but values that stand elsewhere do


@dataclass(frozen=True)
class TortureRow:
    """One codec on one array at its tolerances; the columns of the CSV.

    Counts are of tolerances, those with ``_values`` of values at all of them.
    """

    codec: str
    family: str
    group: str
    array: str
    dtype: str
    cases: int = 0
    refused: int = 0  # an exception from encoding, or the adapter knows
    broken: int = 0  # finite values out of bounds
    broken_values: int = 0
    lost: int = 0  # NaN or infinities that are something else now, or appeared
    lost_values: int = 0
    wrong: int = 0  # not decoded, another shape or dtype, values that stand elsewhere, or the input was changed
    crashes: int = 0
    hangs: int = 0
    accepted: int = 0  # in the group of tolerances: taken as if they meant something
    error_in_tol: float = math.nan  # largest absolute error over finite values, in tolerances
    not_ok_at: str = ""  # tolerances
    status: str = "ok"  # the first thing that happened

    @property
    def is_ours(self) -> bool:
        """Whether this is this package."""
        return _is_ours(self.codec)

    @property
    def held(self) -> bool:
        """Whether everything came back as this package promises; tolerances that mean nothing are to be refused."""
        if self.group == TOLERANCES:
            return self.refused == self.cases
        return self.status == "ok"


@dataclass(frozen=True)
class MutationRow:
    """What came of one codec's chunk with one kind of damage; the columns of the CSV."""

    codec: str
    family: str
    kind: str
    mutations: int = 0
    clean: int = 0  # an exception; of this package, one that it promises
    same: int = 0  # all bits of all values are right
    other: int = 0  # values, shape or dtype are not, and nothing was said
    crashes: int = 0
    hangs: int = 0
    memory: int = 0  # MemoryError
    unclean: int = 0  # another exception of this package
    exceptions: str = ""  # types and signals, with counts

    @property
    def is_ours(self) -> bool:
        """Whether this is this package."""
        return _is_ours(self.codec)

    @property
    def held(self) -> bool:
        """Whether all damage was found, or did none."""
        return self.clean + self.same == self.mutations


@dataclass
class Report:
    """What is known of a codec, as it grows.

    Attributes
    ----------
    notes : list of str
        What was left out, and why.
    """

    codec: str
    rows: list[TortureRow] = field(default_factory=list)
    mutations: list[MutationRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether it is what this package promises; nothing is asked of others."""
        complete = bool(self.rows and self.mutations) and not self.notes
        return not _is_ours(self.codec) or (complete and all(row.held for row in (*self.rows, *self.mutations)))


def _is_ours(codec: str) -> bool:
    return codec.split(" ")[0] == OUR_NAME


def progress(report: Report) -> str:
    """A line about a codec that is done."""
    cases = sum(row.cases for row in report.rows if row.group != TOLERANCES)
    mutations = sum(row.mutations for row in report.mutations)
    return "; ".join([f"{report.codec}: {cases} cases, {mutations} mutations", *report.notes])


def contenders(
    peers: list[str] | None, isas: list[str | None], threads: list[int], levels: list[int | None],
    predictors: Sequence[str], lossless: bool,
) -> Contenders:  # fmt: skip
    """This package and peers, as of `.measure.Contenders`, in processes for this."""
    return Contenders(peers, isas, threads, levels, False, predictors, lossless, MODULE)


def names(contenders: Contenders) -> dict[int, str]:
    """By `id`: what to call each; ours with what was asked for, if there are several."""
    found = {id(c): c.info["name"] for c in contenders}
    if len(contenders.own) > 1:
        for c in contenders.own:
            parts = [c.info["name"], c.isa or "", f"{c.threads} threads" if c.threads > 1 else ""]
            parts += [f"level {c.level}" if c.level is not None else "", c.predictor]
            found[id(c)] = " ".join(filter(None, parts))
    return found


def torture(contender: Contender, name: str, lossless: bool, mutations: int, timeout: float) -> Report:
    """Everything, for one codec.

    Parameters
    ----------
    contender : Contender
        Whose process runs `MODULE`.
    name : str
        In tables.
    lossless : bool
        Without loss, whatever codec it is.
    mutations : int
        Damages of its chunk.
    timeout : float
        Seconds after which one array, or one damage, counts as hanging; at most `TIMEOUT`.
    """
    family = contender.info["family"]
    report = Report(name)
    run = _Run(contender, report, min(timeout, TIMEOUT))
    without_loss = lossless or family == LOSSLESS
    with tempfile.TemporaryDirectory(prefix="arraycodec-bench-") as scratch:
        run.arrays(targets(contender.info["kinds"], without_loss), Path(scratch, "decoded.npy"))
    if family != LOSSLESS:
        run.tolerances()
    run.damage(0.0 if without_loss else _TOL, mutations)
    return report


class _Run:
    """The requests to one codec, and what becomes of its answers."""

    def __init__(self, contender: Contender, report: Report, timeout: float) -> None:
        self._contender, self._report, self._timeout, self._hangs = contender, report, timeout, 0
        self._about = report.codec, contender.info["family"]

    def _ask(self, **message: Any) -> tuple[dict[str, Any], str]:
        """The answer, and how the process ended if there is none."""
        interrupt.check()
        try:
            return self._contender.request(self._timeout, **message), ""
        except ChildFailed as e:
            self._hangs += str(e).startswith("timeout")
            return {}, str(e)

    def _is_tired(self, what: str) -> bool:
        """After too many hangs, which take their time."""
        if self._hangs < _PATIENCE:
            return False
        self._report.notes.append(f"after {self._hangs} hangs, the other {what} were left out")
        return True

    def arrays(self, of: Iterable[Target], decoded: Path) -> None:
        """Rows of arrays."""
        for target in of:
            if self._is_tired("arrays"):
                break
            outcomes = [self._case(target, tol, decoded) for tol in target.tols]
            self._report.rows.append(_row(self._about, target, outcomes))

    def _case(self, target: Target, tol: float, decoded: Path) -> _Outcome:
        group, array, dtype, _ = target
        answer, end = self._ask(do="case", group=group, array=array, dtype=dtype, tol=tol, decoded=str(decoded))
        if end:
            return _ended(end)
        if "refused" in answer:
            return _Outcome(f"refused: {answer['refused']}", {"refused": 1})
        if "failed" in answer:
            return _Outcome(answer["failed"], {"wrong": 1})
        original = _arrays(group, dtype, tol)[array]
        return _judged(original, np.load(decoded), tol, group, self._contender.adapter == OURS)

    def tolerances(self) -> None:
        """Rows of tolerances that mean nothing."""
        for tol in BAD_TOLERANCES:
            answer, end = self._ask(do="tolerance", tol=tol)
            if end:
                outcome = _ended(end)
            elif "refused" in answer:
                outcome = _Outcome(f"refused: {answer['refused']}", {"refused": 1})
            else:
                outcome = _Outcome("accepted", {"accepted": 1})
            self._report.rows.append(_row(self._about, Target(TOLERANCES, f"tol {tol:g}", "", (tol,)), [outcome]))

    def damage(self, tol: float, mutations: int) -> None:
        """Rows of damaged chunks."""
        answer, end = self._ask(do="prepare", tol=tol)
        reason = end or answer.get("failed")
        if reason:
            self._report.notes.append(f"no chunk to damage: {reason}")
            return
        self._hangs = 0
        counts = {kind: Counter[str]() for kind in KINDS[:mutations]}
        raised = {kind: Counter[str]() for kind in counts}
        for i in range(mutations):
            if self._is_tired("mutations"):
                break
            kind = KINDS[i % len(KINDS)]
            answer, end = self._ask(do="mutate", tol=tol, index=i)
            what, exception = self._damaged(answer, end)
            counts[kind]["mutations"] += 1
            counts[kind][what] += 1
            raised[kind][exception] += bool(exception)
        for kind, found in counts.items():
            self._report.mutations.append(MutationRow(*self._about, kind, **found, exceptions=listed(raised[kind])))

    def _damaged(self, answer: dict[str, Any], end: str) -> tuple[str, str]:
        """The column that counts it, and what it is called."""
        if end.startswith("timeout"):
            return "hangs", ""
        if end:
            return "crashes", end.removeprefix("crashed (").removesuffix(")")
        if "raised" not in answer:
            return "same" if answer["same"] else "other", ""
        name = answer["raised"]
        if _is_ours(self._report.codec) and not answer["ours"]:
            return "unclean", name
        return "memory" if name == MemoryError.__name__ else "clean", name


@dataclass(frozen=True)
class _Outcome:
    """Of one array at one tolerance: what happened, and columns to add to."""

    status: str
    counts: dict[str, int] = field(default_factory=dict)
    error_in_tol: float = math.nan


def _ended(end: str) -> _Outcome:
    return _Outcome(end, {"hangs" if end.startswith("timeout") else "crashes": 1})


def _judged(original: np.ndarray, decoded: np.ndarray, tol: float, group: str, nan_bits: bool) -> _Outcome:
    if decoded.shape != original.shape or decoded.dtype.newbyteorder("=") != original.dtype.newbyteorder("="):
        return _Outcome(f"decoded to {decoded.dtype} {decoded.shape}", {"wrong": 1})
    found = judge(original, decoded, tol, nan_bits)
    lost, error = found["nan_lost"], found["error_in_tol"]
    broken = found["violations"] - lost
    if not broken and not lost:
        return _Outcome("ok", {}, error)
    if group == LAYOUTS and (lost or error > _ELSEWHERE):
        return _Outcome("values stand elsewhere", {"wrong": 1}, error)
    counts = {"broken": int(broken > 0), "broken_values": broken, "lost": int(lost > 0), "lost_values": lost}
    texts = [f"{broken} out of bounds"] * (broken > 0) + [f"{lost} NaN or Inf lost"] * (lost > 0)
    return _Outcome(", ".join(texts), counts, error)


def _row(about: tuple[str, str], target: Target, outcomes: Sequence[_Outcome]) -> TortureRow:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.counts)
    bad = [(tol, outcome.status) for tol, outcome in zip(target.tols, outcomes, strict=True) if outcome.status != "ok"]
    errors = [outcome.error_in_tol for outcome in outcomes if not math.isnan(outcome.error_in_tol)]
    dtype = str(np.dtype(target.dtype)) if target.dtype else ""
    return TortureRow(
        *about, target.group, target.array, dtype, len(outcomes), **counts,
        error_in_tol=max(errors, default=math.nan), not_ok_at=" ".join(f"{tol:g}" for tol, _ in bad),
        status=bad[0][1] if bad else "ok",
    )  # fmt: skip


#: An array is made once for all codecs.
_arrays = lru_cache(64)(arrays)


def listed(found: Counter[str]) -> str:
    """Names with their counts, the commonest first."""
    return ", ".join(f"{name} {count}" for name, count in found.most_common() if count)
