"""``arraycodec inspect``: what is stored, array by array or chunk by chunk."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..ansquant import AnsQuant
from ..backends import decompress
from ..codec import Block, ChunkInfo, inspect, open_chunk, peek
from ..details import PARTS
from ..errors import DecodeError, FormatError
from ..lowrankquant import LowRankQuant
from ..stochasticquant import StochasticQuant
from ..varintquant import VarintQuant
from . import interrupt
from .console import Console
from .formats import input_format
from .model import CommandError
from .stored import StoredArray, StoredChunk, stored_arrays

#: Details of chunks that are parameters.
_PARAMETERS = ("method", "rank", "bits", "norm", "bucket", "packing", "seed", "backend")
#: How a chunk of one block is said to be coded, where it stands alone.
_CODECS = {
    "backend": VarintQuant.codec_id, "stochastic": StochasticQuant.codec_id, "low rank": LowRankQuant.codec_id
}  # fmt: skip


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
        peek(data)
    except FormatError:
        return None  # not a chunk at all; the caller says what it may be
    except DecodeError:
        pass  # said below
    try:
        info = _inspect(data)
    except DecodeError as e:
        raise CommandError(f"{path}: a damaged chunk: {e}") from None
    header = info.header
    dtype = header.element if header.element == "bfloat16" else str(header.dtype)
    varints = any(block.varints for block in info.blocks)
    codec = _CODECS.get(header.codec, VarintQuant.codec_id if varints else AnsQuant.codec_id)
    entry = {"name": path.name, "dtype": dtype, "shape": list(header.shape), "chunk_shape": None, "codec": codec}
    stored = StoredChunk((0,) * len(header.shape), len(data), data)
    entry |= _totals([(stored, info)], header.count, header.nbytes, len(data))
    if per_chunk:
        entry["chunks"] = [_chunk(stored, info)]
    return [entry]


def _inspect(data: bytes) -> ChunkInfo:
    """`inspect`, with the blocks of the chunk that a backend has compressed, if there is one."""
    info = inspect(data)
    if info.header.codec == "backend":
        return replace(info, blocks=inspect(decompress(open_chunk(data))).blocks)
    return info


def _array(array: StoredArray, per_chunk: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": array.name, "dtype": array.dtype, "shape": list(array.shape),
        "chunk_shape": None if array.chunk_shape is None else list(array.chunk_shape), "codec": array.codec,
    }  # fmt: skip
    values = math.prod(array.shape)
    if not array.ours:
        return entry | {"bytes": array.size, "ratio": _ratio(values * array.itemsize, array.size)}
    entry |= {name: array.parameters[name] for name in ("level", "predictor") if name in array.parameters}
    entry["parameters"] = array.parameters
    chunks = []
    for stored in array.chunks(True):
        interrupt.check()
        if stored.problem:
            raise CommandError(f"{array.name or 'the array'}: damaged chunk at {stored.corner}: {stored.problem}")
        try:
            info = None if stored.data is None else _inspect(stored.data)
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
    modes = Counter(_mode(block) for info in infos for block in info.blocks)
    as_is = sum(info is None for _, info in chunks)
    if as_is:
        modes["uncoded"] = as_is
    masked = sum(info.masked for info in infos)
    parts = sum(block_values(info) for info in infos)
    return {
        "tol": sorted({info.header.tol for info in infos if not is_measured(info)}),
        "largest_error": max((info.header.tol for info in infos if is_measured(info)), default=None),
        "rtol": sorted({info.header.rtol for info in infos}),
        "modes": dict(modes),
        "details": _details(infos),
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


def _mode(block: Block) -> str:
    return block.mode + " (varints)" * block.varints


def _details(infos: list[ChunkInfo]) -> dict[str, Any]:
    """Parameters of chunks of one block, each with all its values, and the bytes of their parts, added up."""
    found: dict[str, Any] = {}
    for details in (info.details for info in infos if info.details is not None):
        for name in _PARAMETERS:
            if name in details and details[name] not in found.setdefault(name, []):
                found[name].append(details[name])
        for name in (*PARTS, "chunk", "compressed"):
            if name in details:
                found[name] = found.get(name, 0) + details[name]
    return found


def _chunk(stored: StoredChunk, info: ChunkInfo | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"corner": list(stored.corner), "bytes": stored.size}
    if info is None:
        return entry | {"mode": "uncoded"}
    modes = {_mode(block) for block in info.blocks}
    return entry | {
        "coded_bytes": info.size, "codec": info.header.codec, "mode": modes.pop() if len(modes) == 1 else info.mode,
        "details": info.details,
        "dtype": info.header.element, "tol": None if is_measured(info) else info.header.tol, "rtol": info.header.rtol,
        "largest_error": info.header.tol if is_measured(info) else None,
        "shape": list(info.header.shape), "blocks": len(info.blocks),
        "box": None if info.header.box is None else list(info.header.box), "values": block_values(info),
        "masked": info.masked, "copies": info.copies, "exceptions": info.exceptions,
        "edges": sum(block.edges for block in info.blocks),
        "bits_per_value": 8 * stored.size / info.header.count if info.header.count else None,
    }  # fmt: skip


def is_measured(info: ChunkInfo) -> bool:
    """Whether nothing was asked of each value: the header then says how far one can be from what was encoded."""
    return info.header.codec == "stochastic" or info.header.codec == "low rank" and "step" not in info.details


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
    asked = e.get("parameters", {})  # what only the metadata say
    how = "".join(f", {name} {asked[name]:g}" for name in ("bits_per_value", "rel_error") if name in asked)
    how += "".join(f", {name} {e[name]}" for name in ("level", "predictor") if name in e)
    return text + (
        f"{_tolerances(e)}{_parameters(e['details'])}{how}, blocks {modes}{_special(e, e['masked_share'])}"
        f"{_parts(e['details'])}, {_number(e['bits_per_value'])} bits/value, {tail}"
    )


def _tolerances(e: dict[str, Any]) -> str:
    tol, rtol = (v if isinstance(v, list) else [v] if v is not None else [] for v in (e["tol"], e["rtol"]))
    said = [f"tol {' '.join(f'{t:g}' for t in tol) or '-'}"] if tol or e["largest_error"] is None else []
    said += [f"rtol {' '.join(f'{t:g}' for t in rtol)}"] if any(rtol) else []
    said += [f"largest error {e['largest_error']:g}"] if e["largest_error"] is not None else []
    return ", ".join(said)


def _parameters(details: dict[str, Any] | None) -> str:
    """Of chunks of one block: a range of ranks, and as many seeds as there are."""
    said = []
    for name in _PARAMETERS:
        if name not in (details or {}):
            continue
        values = details[name] if isinstance(details[name], list) else [details[name]]
        if name == "seed" and len(values) > 1:
            said.append(f"{len(values)} seeds")
        elif name == "rank" and len(values) > 1:
            said.append(f"rank {min(values)}-{max(values)}")
        else:
            said.append(f"{name} {' '.join(map(str, ('all' if v is None else v for v in values)))}")
    return "".join(f", {text}" for text in said)


def _parts(details: dict[str, Any] | None) -> str:
    """The bytes of what chunks of one block consist of."""
    if "chunk" in (details or {}):
        return f", {details['chunk']} bytes of varints compressed to {details['compressed']}"
    parts = [f"{name} {details[name]}" for name in PARTS if (details or {}).get(name)]
    return f", {' + '.join(parts)} bytes" if parts else ""


def _special(e: dict[str, Any], masked_share: float) -> str:
    """What is not coded as most values are: edges are counted among the exceptions."""
    if "method" in (e["details"] or {}) and not e["exceptions"]:
        return ""  # of products they are a part of their own
    left_out = f", {masked_share:.1%} masked" if e["masked"] else ""
    left_out += f", {e['copies']} copies" if e["copies"] else ""
    return f"{left_out}, {e['exceptions']} exceptions" + (f" ({e['edges']} edges)" if e["edges"] else "")


def _chunk_line(c: dict[str, Any]) -> str:
    corner = ",".join(map(str, c["corner"])) or "scalar"
    if c["mode"] == "uncoded":
        return f"[{corner}] uncoded, {c['bytes']} bytes"
    of_boxes = "" if c["box"] is None else f" of {'x'.join(map(str, c['box']))}"
    inner = "" if c["coded_bytes"] == c["bytes"] else f" ({c['coded_bytes']} before the codecs that follow)"
    return (
        f"[{corner}] {_tolerances(c)}, {c['mode']} ({c['blocks']} blocks{of_boxes}){_parameters(c['details'])}"
        f"{_special(c, c['masked'] / max(1, c['values']))}{_parts(c['details'])}, "
        f"{_number(c['bits_per_value'])} bits/value, {c['bytes']} bytes{inner}"
    )
