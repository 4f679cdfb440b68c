"""``arraycodec inspect``: what is stored, array by array or chunk by chunk."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..codec import ChunkInfo, inspect
from ..errors import DecodeError, FormatError
from . import interrupt
from .console import Console
from .formats import input_format
from .model import CommandError
from .stored import StoredArray, StoredChunk, stored_arrays


def inspect_path(path: Path, per_chunk: bool, as_json: bool, console: Console) -> None:
    """Describe every array of a Zarr store or HDF5 file, or a file that is one chunk."""
    report = _one_chunk(path, per_chunk) or [_array(array, per_chunk) for array in stored_arrays(path)]
    if as_json:
        console.say(json.dumps(report, indent=2))
        return
    for entry in report:
        console.say(_line(entry))
        for chunk in entry.get("chunks", ()):
            console.say("    " + _chunk_line(chunk))
    if not report:
        console.say(f"{path}: no arrays")


def _one_chunk(path: Path, per_chunk: bool) -> list[dict[str, Any]] | None:
    if path.is_dir() or input_format(path) is not None:
        return None
    data = path.read_bytes()
    try:
        info = inspect(data)
    except FormatError:
        return None  # not a chunk at all; the caller says what it may be
    except DecodeError as e:
        raise CommandError(f"{path}: a damaged chunk: {e}") from None
    header = info.header
    dtype = header.element if header.element == "bfloat16" else str(header.dtype)
    entry = {"name": path.name, "dtype": dtype, "shape": list(header.shape), "chunk_shape": None,
             "codec": "ansquant"}
    stored = StoredChunk((0,) * len(header.shape), len(data), data)
    entry |= _totals([(stored, info)], header.count, header.nbytes, len(data))
    if per_chunk:
        entry["chunks"] = [_chunk(stored, info)]
    return [entry]


def _array(array: StoredArray, per_chunk: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": array.name, "dtype": array.dtype, "shape": list(array.shape),
        "chunk_shape": None if array.chunk_shape is None else list(array.chunk_shape), "codec": array.codec,
    }  # fmt: skip
    values = math.prod(array.shape)
    if not array.ours:
        return entry | {"bytes": array.size, "ratio": _ratio(values * array.itemsize, array.size)}
    if array.level is not None:
        entry["level"] = array.level
    if array.predictor is not None:
        entry["predictor"] = array.predictor
    chunks = []
    for stored in array.chunks(True):
        interrupt.check()
        if stored.problem:
            raise CommandError(f"{array.name or 'the array'}: damaged chunk at {stored.corner}: {stored.problem}")
        try:
            info = None if stored.data is None else inspect(stored.data)
        except DecodeError as e:
            raise CommandError(f"{array.name or 'the array'}: damaged chunk at {stored.corner}: {e}") from None
        chunks.append((replace(stored, data=None), info))  # not all bytes of the file in memory
    entry |= _totals(chunks, values, values * array.itemsize, array.size)
    if per_chunk:
        entry["chunks"] = [_chunk(stored, info) for stored, info in chunks]
    return entry


def _ratio(before: int, after: int) -> float | None:
    return before / after if after and before else None


def _totals(
    chunks: list[tuple[StoredChunk, ChunkInfo | None]], values: int, nbytes: int, size: int
) -> dict[str, Any]:
    infos = [info for _, info in chunks if info is not None]
    modes = Counter(block.mode + " (varints)" * block.varints for info in infos for block in info.blocks)
    as_is = sum(info is None for _, info in chunks)
    if as_is:
        modes["uncoded"] = as_is
    masked = sum(info.masked for info in infos)
    parts = sum(block_values(info) for info in infos)
    return {
        "tol": sorted({info.header.tol for info in infos}),
        "rtol": sorted({info.header.rtol for info in infos}),
        "modes": dict(modes),
        "n_chunks": len(chunks),
        "masked": masked,
        "masked_share": masked / parts if parts else 0.0,
        "copies": sum(info.copies for info in infos),
        "exceptions": sum(info.exceptions for info in infos),
        "edges": sum(block.edges for info in infos for block in info.blocks),
        "bits_per_value": 8 * size / values if values else None,
        "bytes": size,
        "ratio": _ratio(nbytes, size),
    }


def _chunk(stored: StoredChunk, info: ChunkInfo | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"corner": list(stored.corner), "bytes": stored.size}
    if info is None:
        return entry | {"mode": "uncoded"}
    return entry | {
        "mode": info.mode, "dtype": info.header.element, "tol": info.header.tol, "rtol": info.header.rtol,
        "shape": list(info.header.shape), "blocks": len(info.blocks),
        "box": None if info.header.box is None else list(info.header.box), "values": block_values(info),
        "masked": info.masked, "copies": info.copies, "exceptions": info.exceptions,
        "edges": sum(block.edges for block in info.blocks),
        "bits_per_value": info.bits_per_value if info.header.count else None,
    }  # fmt: skip


def block_values(info: ChunkInfo) -> int:
    """Values in a chunk: of complex elements each part is one."""
    return info.header.count * (2 if info.header.dtype.kind == "c" else 1)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _line(e: dict[str, Any]) -> str:
    shape = "x".join(map(str, e["shape"])) or "scalar"
    chunks = "-" if e["chunk_shape"] is None else "x".join(map(str, e["chunk_shape"])) or "scalar"
    text = f"{e['name'] or '/'}: {e['dtype']} {shape}, chunks {chunks}, "
    tail = f"{e['bytes']} bytes, ratio {_number(e['ratio'])}"
    if "tol" not in e:
        return text + f"codec {e['codec']}, {tail}"
    modes = " ".join(f"{mode}:{n}" for mode, n in sorted(e["modes"].items())) or "-"
    how = "".join(f", {name} {e[name]}" for name in ("level", "predictor") if name in e)
    return text + (
        f"{_tolerances(e['tol'], e['rtol'])}{how}, blocks {modes}, {_special(e, e['masked_share'])}, "
        f"{_number(e['bits_per_value'])} bits/value, {tail}"
    )


def _tolerances(tol: list[float], rtol: list[float]) -> str:
    text = f"tol {' '.join(f'{t:g}' for t in tol) or '-'}"
    return text + (f", rtol {' '.join(f'{t:g}' for t in rtol)}" if any(rtol) else "")


def _special(e: dict[str, Any], masked_share: float) -> str:
    """What is not coded as most values are: edges are counted among the exceptions."""
    left_out = f"{masked_share:.1%} masked, " if e["masked"] else ""
    left_out += f"{e['copies']} copies, " if e["copies"] else ""
    return f"{left_out}{e['exceptions']} exceptions" + (f" ({e['edges']} edges)" if e["edges"] else "")


def _chunk_line(c: dict[str, Any]) -> str:
    corner = ",".join(map(str, c["corner"])) or "scalar"
    if c["mode"] == "uncoded":
        return f"[{corner}] uncoded, {c['bytes']} bytes"
    of_boxes = "" if c["box"] is None else f" of {'x'.join(map(str, c['box']))}"
    return (
        f"[{corner}] {_tolerances([c['tol']], [c['rtol']])}, {c['mode']} ({c['blocks']} blocks{of_boxes}), "
        f"{_special(c, c['masked'] / max(1, c['values']))}, {_number(c['bits_per_value'])} bits/value, "
        f"{c['bytes']} bytes"
    )
