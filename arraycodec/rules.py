"""Tolerances by patterns of names: of rules in an order, the first that matches decides."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .config import check_tolerance
from .errors import ParameterError
from .tolerance import parse_tolerance

KEEP = "keep"


@dataclass(frozen=True)
class Rule:
    """What holds for the names that a pattern matches.

    Attributes
    ----------
    pattern : str
        As of `fnmatch`: ``*`` is any text, dots and slashes too, ``?`` one character, ``[...]`` one of some; case
        matters.
    tol : float
        The absolute tolerance.
    keep : bool
        Nothing is lost, whatever else is asked for: a relative tolerance does not apply either.
    """

    pattern: str
    tol: float
    keep: bool = False

    def __str__(self) -> str:
        return f"{self.pattern}={KEEP if self.keep else f'{self.tol:g}'}"


class Rules:
    """Rules in an order.

    Parameters
    ----------
    rules : iterable of Rule
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        if not self.rules:
            raise ParameterError('no rule says a tolerance: {"*": 2**-12} is one for all names')

    @classmethod
    def of(cls, given: Any) -> Rules:
        """The rules that a caller says.

        Parameters
        ----------
        given : float, "keep", mapping or Rules
            One tolerance for all names, or tolerances (or "keep", as 0) by patterns, in the order of the mapping.

        Raises
        ------
        TypeError
            If a tolerance is no number, or a pattern no text.
        ParameterError
            If a tolerance is negative or not finite, or there is none.
        """
        if isinstance(given, Rules):
            return given
        return cls(_rule(*pair) for pair in (given if isinstance(given, Mapping) else {"*": given}).items())

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Rules:
        """Rules as people type them: ``2**-12`` for all names, ``*.bias=0``, ``*.norm.*=keep``.

        Raises
        ------
        ParameterError
            If a text is none of these.
        """
        rules = []
        for text in texts:
            pattern, equals, value = text.rpartition("=")
            if equals and not pattern:
                raise ParameterError(f"no pattern of names before '=': {text!r} (write '*=2**-12', or 2**-12)")
            keep = value.strip() == KEEP
            rules.append(Rule(pattern or "*", 0.0 if keep else parse_tolerance(value), keep))
        return cls(rules)

    def find(self, name: str) -> Rule | None:
        """The rule for a name, or None."""
        return next((rule for rule in self.rules if fnmatch.fnmatchcase(name, rule.pattern)), None)

    def of_tensor(self, name: str) -> Rule:
        """The rule for a name.

        Raises
        ------
        ParameterError
            If there is none: nobody has said how exact it has to be.
        """
        rule = self.find(name)
        if rule is None:
            raise ParameterError(f"no tolerance for {name!r}: none of {self} matches (add '*=keep' to keep all others)")
        return rule

    def idle(self, names: Iterable[str]) -> list[Rule]:
        """Rules that decide for none of the names: a slip of the pen, or behind a rule that matches first."""
        used = {self.find(name) for name in names}
        return [rule for rule in self.rules if rule not in used]

    @property
    def only(self) -> float | None:
        """The tolerance, if it is one for all names, said once."""
        first = self.rules[0]
        return first.tol if first.pattern == "*" and not first.keep and len(self.rules) == 1 else None

    def __str__(self) -> str:
        return ", ".join(map(str, self.rules)) if self.only is None else f"{self.only:g}"

    def __repr__(self) -> str:
        return f"Rules({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rules) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)


def _rule(pattern: Any, tol: Any) -> Rule:
    if not isinstance(pattern, str):
        raise TypeError(f"a pattern of names must be text, not {pattern!r}")
    if isinstance(tol, str) and tol == KEEP:
        return Rule(pattern, 0.0, True)
    value = check_tolerance(f"the tolerance of {pattern!r}", tol)
    if value is None:
        raise TypeError(f'the tolerance of {pattern!r} must be a number or "keep", not None')
    return Rule(pattern, value)
