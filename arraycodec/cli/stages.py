"""Where the time of our codec goes, stage by stage, in nanoseconds a value.

The stages themselves are timed in C, by ``_core.profile``, which runs each one alone over the same
chunk; it is not part of the path that encodes and decodes, which therefore costs nothing for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _core
from ..ansquant import AnsQuant
from ..dtypes import describe

DIRECTIONS = ("encode", "decode")


@dataclass(frozen=True)
class StageRow:
    """One stage on one array; a row of the CSV."""

    array: str
    tol: float
    isa: str
    values: int
    stage: str
    ns_per_value: float
    share: float  # of its direction's whole call


def stages(array: np.ndarray, tol: float, repeat: int = 20) -> dict[str, float]:
    """The stages of encoding and decoding one array as one chunk.

    Parameters
    ----------
    array : numpy.ndarray
        Of any dtype of the codec; best as large as the chunks that are used.
    tol : float
    repeat : int
        The fastest of so many runs counts, for each stage.

    Returns
    -------
    dict
        Nanoseconds a value, by ``encode.STAGE`` and ``decode.STAGE`` as the core names its stages,
        then ``.rest`` (what the core spends between them), ``.python`` (what the call from Python
        adds), and ``.total``, the whole call.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    code = describe(flat.dtype)[0]
    seconds = _core.profile(flat.view(np.uint8), code, tol, repeat)
    quantizer = AnsQuant(tol=tol)
    chunk, out = quantizer.encode(flat), np.empty_like(flat)
    whole = {
        "encode": _fastest(lambda: quantizer.encode(flat), repeat),
        "decode": _fastest(lambda: quantizer.decode(chunk, out=out), repeat),
    }
    result: dict[str, float] = {}
    for direction in DIRECTIONS:
        own = {name: s for name, s in seconds.items() if name.startswith(f"{direction}.")}
        in_core = own.pop(f"{direction}.total")
        result |= own
        result[f"{direction}.rest"] = in_core - sum(own.values())
        result[f"{direction}.python"] = whole[direction] - in_core
        result[f"{direction}.total"] = whole[direction]
    return {name: 1e9 * s / max(flat.size, 1) for name, s in result.items()}


def _fastest(call: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])

