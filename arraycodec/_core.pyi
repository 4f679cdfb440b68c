"""Types of the compiled module; see `ext/python/_core.pyx`."""

from typing import Any

import numpy as np
from typing_extensions import Buffer

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
def crc32c(data: Buffer) -> int: ...
def most_blocks(dtype: int, shape: tuple[int, ...]) -> int: ...
def blocks(dtype: int, f_order: bool, shape: tuple[int, ...]) -> tuple[tuple[int, ...] | None, int, int]: ...
def bound(dtype: int, shape: tuple[int, ...]) -> int: ...
def encode(
    src: Buffer,
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
    rtol: float = 0,
    fill: Buffer | None = None,
    unit: int = 0,
    multiple: int = 0,
    level: int = 0,
    predictor: int = 0,
    coder: int = 0,
    box_len: int = 0,
) -> bytes: ...
def encode_stochastic(
    src: Buffer,
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
    src: Buffer,
    dtype: int,
    big_endian: bool,
    f_order: bool,
    shape: tuple[int, ...],
    rows_ndim: int,
    factors: int,
    scale: float,
    weights: Buffer,
    rows: np.ndarray,
    columns: np.ndarray,
    tol: float,
    level: int,
    threads: int = 1,
) -> bytes: ...
def wrap(chunk: Buffer, backend: int, compressed: Buffer) -> bytes: ...
def encode_plain(
    array: Buffer, tol: float, threads: int, level: int = 0, predictor: int = 0
) -> bytes | None: ...

class Chunk:
    element: int
    order: str
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
    def __init__(self, src: Buffer) -> None: ...
    def decode_into(self, out: Buffer, threads: int = 1) -> None: ...
    def decode_plain(self, out: Buffer, threads: int) -> bool: ...
    def decode_range_into(self, first: int, count: int, out: Buffer) -> None: ...
    def decode_selection_into(
        self, slices: tuple[tuple[int, int, int], ...], out: Buffer, threads: int = 1
    ) -> None: ...
    def block(self) -> bytes: ...
    def inspect(self) -> list[dict[str, Any]]: ...

def check_bound(
    dtype: int, a: Buffer, b: Buffer, tol: float, rtol: float = 0, fill: Buffer | None = None
) -> tuple[int, int, float]: ...
def profile(src: Any, dtype: int, tol: float, repeat: int) -> dict[str, float]: ...
