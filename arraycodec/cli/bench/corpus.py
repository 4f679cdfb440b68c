"""Which arrays are measured, and at which tolerances: files, folders with a listing, samples."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...dtypes import is_supported
from ...errors import ParameterError
from ...tolerance import parse_tolerance
from .. import samples
from ..formats import open_source
from ..model import ArrayInfo, CommandError
from ..numpyfiles import NpySource

#: Listings that are looked for in a folder of arrays, in this order.
LISTINGS = ("tolerances.json", "tolerances.csv", "manifest.json")


@dataclass(frozen=True)
class Item:
    """An array to measure.

    Attributes
    ----------
    name : str
    kind : str
        From the listing; summaries are by kind.
    tols : tuple of float
        It is measured at each.
    load : callable
        Returns the array.
    file : Path or None
        A .npy file that can be read as it is.
    rels : dict
        Of those tolerances that were given so: in units of the array's range.
    """

    name: str
    kind: str
    tols: tuple[float, ...]
    load: Callable[[], np.ndarray]
    file: Path | None = None
    rels: dict[float, float] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of a hash of dtype, shape and values."""
        values = np.asarray(self.load(), order="C")
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        total = hashlib.sha256(f"{values.dtype.str} {values.shape} ".encode())
        total.update(values.reshape(-1).view(np.uint8))
        return total.hexdigest()[:16]

    def npy(self, folder: Path) -> Path:
        """The array as a .npy file in C order and native byte order: its own, or one in `folder`."""
        if self.file is not None:
            return self.file
        path = folder / "array.npy"
        values = self.load()
        np.save(path, np.asarray(values, values.dtype.newbyteorder("="), order="C"))
        return path


def _weights() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.05, (1024, 1024)).astype("f4")


def _integers() -> np.ndarray:
    return np.round(np.random.default_rng(0).normal(0, 8, (1024, 1024))).astype("f4")


#: Arrays for everybody: weights like a dense layer's (raw bits beside the tokens), small integers
#: (tokens only), and a smooth field.
SAMPLES: tuple[tuple[str, str, float, Callable[[], np.ndarray]], ...] = (
    ("sample: normal weights", "weights", 2**-17, _weights),
    ("sample: integers 8 N(0,1)", "integers", 0.5, _integers),
    ("sample: vorticity", "fields", 2**-7, samples.vorticity),
)


def sample_items(tols: tuple[float, ...] = ()) -> list[Item]:
    """The arrays that the command makes itself, at their own tolerances or the given ones."""
    return [Item(name, kind, tols or (tol,), make) for name, kind, tol, make in SAMPLES]


def file_items(files: Iterable[Path], tols: list[tuple[float, ...]], skipped: list[str]) -> list[Item]:
    """The arrays in files of any format.

    Parameters
    ----------
    files : iterable of Path
    tols : list of tuple of float
        One tuple for all files, or one for each.
    skipped : list of str
        Arrays that cannot be measured are added here, with reasons.
    """
    files = list(files)
    if len(tols) not in (1, len(files)):
        raise CommandError(f"{len(tols)} --tol for {len(files)} files: give one for all, or one for each")
    items = []
    for file, tol in zip(files, tols * len(files) if len(tols) == 1 else tols, strict=True):
        found = list(_arrays_in(file, "", tol, skipped))
        if not found:
            raise CommandError(f"{file} has no array that this codec takes, with values in it")
        items += found
    return items


def _arrays_in(file: Path, kind: str, tols: tuple[float, ...], skipped: list[str]) -> Iterator[Item]:
    with open_source(file) as source:
        for info in source.items():
            if not isinstance(info, ArrayInfo) or info.same_as is not None or info.hidden:
                continue
            name = f"{file.stem}/{info.name}" if info.name else file.stem
            if not is_supported(info.dtype):
                skipped.append(f"{name} ({info.dtype})")
            elif not info.size:
                skipped.append(f"{name} (no values)")
            else:
                plain = isinstance(source, NpySource) and info.order == "C" and info.dtype.isnative
                yield Item(name, kind, tols, _loader(file, info.name), file if plain else None)


def _loader(file: Path, name: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        with open_source(file) as source:
            for info in source.items():
                if isinstance(info, ArrayInfo) and info.name == name:
                    return source.read(info, (slice(None),) * len(info.shape))
        raise CommandError(f"{file} has no array {name!r} any longer")

    return load


def corpus_items(
    folder: Path, tols: tuple[float, ...], listing: Path | None, skipped: list[str], needed: bool = True
) -> list[Item]:
    """Every .npy file below a folder.

    Parameters
    ----------
    folder : Path
    tols : tuple of float
        For all of them; empty: those of the listing.
    listing : Path or None
        Tolerances (see `read_listing`); None: the first of `LISTINGS` in the folder.
    skipped : list of str
        As of `file_items`.
    needed : bool
        Whether an array without a tolerance is left out; if not, it has none yet.  One that is not in
        a listing is left out in any case.
    """
    if not folder.is_dir():
        raise CommandError(f"--corpus {folder}: no such folder")
    files = sorted(folder.rglob("*.npy"))
    if not files:
        raise CommandError(f"--corpus {folder}: no .npy file in it")
    if listing is None:
        listing = next((folder / name for name in LISTINGS if (folder / name).is_file()), None)
    if listing is None and not tols and needed:
        raise CommandError(f"--corpus {folder}: no tolerances: give --tol, or put {LISTINGS[0]} there")
    listed = read_listing(listing) if listing is not None else {}
    items = []
    for file in files:
        own, kind = listed.get(file.relative_to(folder).as_posix(), ((), ""))
        if tols or own or listing is None:
            items += _arrays_in(file, kind, tols or own, skipped)
        else:
            skipped.append(f"{file.stem} (not in {listing.name})")
    if not items:
        raise CommandError(f"--corpus {folder}: no array to measure; left out: {', '.join(skipped)}")
    return items


def of_kinds(items: Sequence[Item], kinds: Sequence[str]) -> list[Item]:
    """Those whose kind has one of these texts in it: "fields" finds "smooth fields"."""
    found = [item for item in items if any(kind.lower() in item.kind.lower() for kind in kinds)]
    if not found:
        there = ", ".join(sorted({item.kind for item in items} - {""})) or "none"
        raise CommandError(f"--kind {','.join(kinds)}: no such array; the kinds are: {there}")
    return found


def with_ranges(items: Iterable[Item], parts: Sequence[float], listed: bool, skipped: list[str]) -> list[Item]:
    """The items with tolerances that are parts of their ranges.

    Parameters
    ----------
    items : iterable of Item
    parts : sequence of float
        In units of the range, which is the difference of the largest and the smallest finite value
        in double precision.
    listed : bool
        Whether tolerances that a floating-point array has already stay.  Other arrays keep theirs:
        the error of an integer is no part of its range that one would ask for.
    skipped : list of str
        As of `file_items`.
    """
    result = []
    for item in items:
        values = item.load()
        if values.dtype.kind != "f":
            if item.tols:
                result.append(item)
            else:
                skipped.append(f"{item.name} ({values.dtype}: parts of the range are for floats)")
            continue
        extent = _extent(values)
        if not 0 < extent < np.inf:
            skipped.append(f"{item.name} (no range)")
            continue
        rels = {part * extent: part for part in parts}
        tols = dict.fromkeys((*rels, *(item.tols if listed else ())))
        result.append(dataclasses.replace(item, tols=tuple(tols), rels=rels))
    if not result:
        raise CommandError(f"--range: no array to measure; left out: {', '.join(skipped)}")
    return result


def _extent(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        return float(np.float64(finite.max()) - np.float64(finite.min())) if finite.size else 0.0


def read_listing(path: Path) -> dict[str, tuple[tuple[float, ...], str]]:
    """Tolerances and kinds by file name.

    JSON: an object whose keys are paths below the folder, and whose values are a tolerance, a list of
    them, or an object with ``tolerances`` and, if wanted, ``kind`` (other entries are not looked at).
    CSV: a header with ``file`` and ``tol`` and, if wanted, ``kind``; a file may have several lines.
    Tolerances are numbers, or texts such as ``2**-17``.

    Raises
    ------
    CommandError
        If the listing has another form; the text names the entry.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise CommandError(f"{path}: {e}") from None
    if path.suffix.lower() == ".csv":
        return _from_csv(path, text)
    try:
        entries = json.loads(text)
    except ValueError as e:
        raise CommandError(f"{path}: not JSON: {e}") from None
    if not isinstance(entries, dict):
        raise CommandError(f"{path}: not an object of file names and tolerances")
    result = {}
    for name, entry in entries.items():
        kind = ""
        if isinstance(entry, dict):
            entry, kind = entry.get("tolerances", []), str(entry.get("kind", ""))
        values = entry if isinstance(entry, list) else [entry]
        result[name] = (tuple(_tolerance(path, name, v) for v in values), kind)
    return result


def _from_csv(path: Path, text: str) -> dict[str, tuple[tuple[float, ...], str]]:
    reader = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    if not {"file", "tol"} <= set(reader.fieldnames or ()):
        raise CommandError(f"{path}: no columns 'file' and 'tol'")
    result: dict[str, tuple[tuple[float, ...], str]] = {}
    for row in reader:
        tols, kind = result.get(row["file"], ((), ""))
        result[row["file"]] = ((*tols, _tolerance(path, row["file"], row["tol"])), row.get("kind") or kind)
    return result


def _tolerance(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise CommandError(f"{path}: {name}: not a tolerance: {value!r}")
    try:
        return parse_tolerance(value if isinstance(value, str) else repr(value))
    except ParameterError as e:
        raise CommandError(f"{path}: {name}: {e}") from None
