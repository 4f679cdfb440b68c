"""Measurements as CSV: comment lines that say where they come from, a header, a line for each row."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ..model import CommandError

T = TypeVar("T")


def check_writable(path: Path, option: str) -> None:
    """Raise CommandError if a file cannot be written; before hours of measuring."""
    if path.is_dir():
        raise CommandError(f"{option} {path} is a folder")
    if not path.parent.is_dir():
        raise CommandError(f"{option} {path}: no such folder: {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"{option} {path}: not writable")


def write(path: Path, header: dict[str, str], rows: Sequence[Any]) -> None:
    """Write rows (instances of one dataclass) under comment lines ``# name: value``."""
    with open(path, "w", newline="") as f:
        for name, value in header.items():
            f.write(f"# {name}: {' '.join(str(value).split())}\n")
        if rows:
            names = [field.name for field in dataclasses.fields(rows[0])]
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([_text(name, getattr(row, name)) for name in names] for row in rows)


def _text(name: str, value: Any) -> Any:
    """Tolerances to the last digit; speeds and ratios need no 17 of them."""
    if value is None or value != value:
        return ""
    return f"{value:.9g}" if isinstance(value, float) and name != "tol" else value


def read(path: Path, kind: type[T]) -> tuple[dict[str, str], list[T]]:
    """Read what `write` wrote: the header, and the rows as instances of the dataclass."""
    header: dict[str, str] = {}
    with open(path, newline="") as f:
        lines = f.readlines()
    body = [line for line in lines if not line.startswith("#")]
    for line in lines:
        if line.startswith("# "):
            name, _, value = line[2:].rstrip("\n").partition(": ")
            header[name] = value
    return header, list(_rows(csv.DictReader(body), kind))


def _rows(reader: Iterable[dict[str, str]], kind: type[T]) -> Iterable[T]:
    types = get_type_hints(kind)
    for line in reader:  # columns that an older file lacks have their defaults
        yield kind(**{name: _value(line[name], types[name]) for name in types if name in line})


def _value(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if kind is float:
        return float(text or "nan")
    if kind is bool:
        return text == "True"
    return int(text) if text else None
