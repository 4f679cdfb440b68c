"""Sizes of this package beside each peer's: array by array, by kind and tolerance, and who is smallest.

A peer that broke its bound, or lost NaN, is compared at the size that it has and marked, but is never
the smallest.  "best SZ3" stands for a user who tries every mode, "best peer" for one who tries every
codec: the smallest whose bound held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .measure import Row
from .peers.base import LIMIT
from .summary import labels, mean

BEST_SZ3, BEST_PEER = "best SZ3", "best peer"
#: Columns of tables that have no place for all peers.
MAIN = (BEST_SZ3, "SPERR", "ZFP")


@dataclass(frozen=True)
class Cell:
    """An array at a tolerance.

    Attributes
    ----------
    array, kind : str
    tol, rel : float
        `rel` is 0 for a tolerance that was not given as a part of the range.
    ours, peers : dict
        Rows by name; those of peers that could not be measured are not there.
    """

    array: str
    kind: str
    tol: float
    rel: float
    ours: dict[str, Row]
    peers: dict[str, Row]

    @property
    def at(self) -> str:
        """What its tolerance has in common with those of other arrays."""
        return f"{short(self.rel)} of the range" if self.rel else "listed tolerances"

    def peer(self, name: str) -> Row | None:
        """The row of a peer; of `BEST_SZ3` and `BEST_PEER` the one that they stand for."""
        if name in (BEST_SZ3, BEST_PEER):
            return smallest(row for row in self.peers.values() if stands_for(name, row))
        return self.peers.get(name)

    def winner(self, *own: str) -> Row | None:
        """The smallest of the peers and of ours that are named."""
        return smallest([*(self.ours[name] for name in own if name in self.ours), *self.peers.values()])

    def name(self, row: Row) -> str:
        """What one of its rows is called here."""
        return next(name for name, other in (self.ours | self.peers).items() if other is row)


def stands_for(name: str, row: Row) -> bool:
    """Whether a name in a table means this row of a peer, alone or among others."""
    if name == BEST_PEER:
        return not row.is_ours
    return row.codec.split()[0] == "SZ3" if name == BEST_SZ3 else row.codec == name


def short(value: float) -> str:
    """1e-2 rather than 0.01 or 1e-02."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def smallest(rows: Iterable[Row]) -> Row | None:
    """Of those within their bounds; the first of several."""
    return min((row for row in rows if row.held), key=lambda row: row.bytes, default=None)


def cells(rows: Sequence[Row]) -> list[Cell]:
    """The cells of the rows of one mode, in their order."""
    label = labels(rows)
    found: dict[tuple[str, float], Cell] = {}
    for row in rows:
        if row.family == LIMIT:
            continue
        cell = found.setdefault((row.array, row.tol), Cell(row.array, row.kind, row.tol, row.rel, {}, {}))
        if row.ok:
            (cell.ours if row.is_ours else cell.peers)[label(row)] = row
    return list(found.values())


@dataclass(frozen=True)
class Against:
    """Our size in units of a peer's, over the cells that both have: geometric mean, worst, and where that is."""

    mean: float
    worst: float
    array: str
    count: int


@dataclass(frozen=True)
class Line:
    """A peer, or one of ours, in a `Group`.

    Attributes
    ----------
    codec : str
    against : dict
        By ours; empty for ours.
    smallest : dict
        By ours: in how many cells this is smaller than that one and than all peers.
    broken : int
        Cells in which its bound did not hold, or NaN were lost.
    """

    codec: str
    against: dict[str, Against]
    smallest: dict[str, int]
    broken: int


@dataclass(frozen=True)
class Group:
    """Cells of one kind, at one part of the range or at the tolerances of a listing."""

    kind: str
    at: str
    cells: list[Cell]
    own: list[str]
    lines: list[Line]


def groups(of: Sequence[Cell]) -> list[Group]:
    """By kind and tolerance, in the order of their first appearance, parts of the range first."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(of, key=lambda c: not c.rel):
        found.setdefault((cell.kind, cell.at), []).append(cell)
    kinds = list(dict.fromkeys(c.kind for c in of))
    return [_group(*key, found[key]) for key in sorted(found, key=lambda key: kinds.index(key[0]))]


def _group(kind: str, at: str, of: list[Cell]) -> Group:
    own = list(dict.fromkeys(name for cell in of for name in cell.ours))
    lines = [
        Line(name, {}, {name: _count(of, name, name)}, sum(not c.ours[name].held for c in of if name in c.ours))
        for name in own
    ]
    peers = list(dict.fromkeys(name for cell in of for name in cell.peers))
    several = [name for name in (BEST_PEER, BEST_SZ3) if len(_meant(of, name)) > 1]
    for name in [*several, *peers]:
        rows = [row for row in (cell.peer(name) for cell in of) if row is not None]
        if not rows:
            continue
        against = {mine: found for mine in own if (found := _against(of, mine, name)) is not None}
        counts = {mine: _count(of, mine, name) for mine in own or [""]}
        lines.append(Line(name, against, counts, sum(not row.held for row in rows)))
    return Group(kind, at, of, own, lines)


def _meant(of: list[Cell], name: str) -> set[str]:
    return {row.codec for cell in of for row in cell.peers.values() if stands_for(name, row)}


def _against(of: list[Cell], own: str, peer: str) -> Against | None:
    pairs = [(c.array, c.ours[own], other) for c in of if own in c.ours and (other := c.peer(peer)) is not None]
    if not pairs:
        return None
    ratios = [(mine.bytes / other.bytes, array) for array, mine, other in pairs]
    worst, array = max(ratios)
    return Against(mean([ratio for ratio, _ in ratios]), worst, array, len(ratios))


def _count(of: list[Cell], own: str, name: str) -> int:
    winners = [row for row in (cell.winner(own) for cell in of) if row is not None]
    return sum(row.is_ours if name == own else stands_for(name, row) for row in winners)
