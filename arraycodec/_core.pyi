"""Types of the compiled module; see `ext/python/_core.pyx`."""

from typing import Any, Literal, Self

import numpy as np
from typing_extensions import Buffer, disjoint_base

# before Python 3.12 type checkers do not know that arrays are buffers
_Memory = Buffer | np.ndarray[Any, Any]

FORMAT_VERSION: int
MAX_NDIM: int
MAX_BLOCK: int
MAX_THREADS: int
MIN_LEVEL: int
DEFAULT_LEVEL: int
MAX_LEVEL: int
PREDICTORS: dict[str, int]
DTYPES: dict[str, int]
NAMES: dict[int, str]
UNITS: tuple[str, ...]
MODES: dict[int, str]
ORDERS: tuple[str, ...]
QUANTIZED: int
BACKEND: int
STOCHASTIC: int
LOW_RANK: int
CODECS: dict[int, str]
METHODS: dict[str, int]
NORMS: dict[str, int]
PACKINGS: dict[str, int]
FACTORS: dict[str, int]
STAGES: dict[str, int]

def isa() -> str: ...
def crc32c(data: _Memory) -> int: ...
def most_blocks(dtype: int, shape: tuple[int, ...]) -> int: ...
def blocks(dtype: int, f_order: bool, shape: tuple[int, ...]) -> tuple[tuple[int, ...] | None, int, int]: ...
def bound(dtype: int, shape: tuple[int, ...]) -> int: ...
def encode(
    src: _Memory,
    dtype: int,
    big_endian: bool,
    f_order: bool,
    shape: tuple[int, ...],
    tol: float,
    threads: int = 1,
    block_len: int = 0,
    group: int = 0,
    lanes: int = 0,
    prob_bits: int = 0,
    *,
    rtol: float = 0.0,
    fill: _Memory | None = None,
    unit: int = 0,
    multiple: int = 0,
    level: int = 0,
    predictor: int = 0,
    coder: int = 0,
    box_len: int = 0,
) -> bytes: ...
def encode_stochastic(
    src: _Memory,
    dtype: int,
    big_endian: bool,
    f_order: bool,
    shape: tuple[int, ...],
    bits: int,
    method: int,
    norm: int,
    packing: int,
    bucket: int,
    seed: int,
    threads: int = 1,
) -> bytes: ...
def encode_low_rank(
    src: _Memory,
    dtype: int,
    big_endian: bool,
    f_order: bool,
    shape: tuple[int, ...],
    rows_ndim: int,
    factors: int,
    scale: float,
    weights: _Memory,
    rows: np.ndarray,
    columns: np.ndarray,
    tol: float,
    level: int,
    threads: int = 1,
) -> bytes: ...
def wrap(chunk: _Memory, backend: int, compressed: _Memory) -> bytes: ...
def encode_plain(
    array: _Memory, tol: float, threads: int, level: int = 0, predictor: int = 0
) -> bytes | None: ...

@disjoint_base
class Chunk:
    element: int
    order: Literal["C", "F"]
    shape: tuple[int, ...]
    tol: float
    rtol: float
    delta: float
    whole: int
    count: int
    blocks: tuple[tuple[int, ...] | None, int, int]
    header_size: int
    version: int
    codec: int
    size: int
    nbytes: int
    def __new__(cls, src: _Memory) -> Self: ...
    def decode_into(self, out: _Memory, threads: int = 1) -> None: ...
    def decode_plain(self, out: _Memory, threads: int) -> bool: ...
    def decode_range_into(self, first: int, count: int, out: _Memory) -> None: ...
    def decode_selection_into(
        self, slices: tuple[tuple[int, int, int], ...], out: _Memory, threads: int = 1
    ) -> None: ...
    def block(self) -> bytes: ...
    def inspect(self) -> list[dict[str, Any]]: ...

def check_bound(
    dtype: int, a: _Memory, b: _Memory, tol: float, rtol: float = 0.0, fill: _Memory | None = None
) -> tuple[int, int, float]: ...
def profile(src: Any, dtype: int, tol: float, repeat: int) -> dict[str, float]: ...
