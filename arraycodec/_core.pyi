"""Types of the compiled module; see `ext/python/_core.pyx`."""

from typing import Any

from typing_extensions import Buffer

FORMAT_VERSION: int
MAX_NDIM: int
MAX_BLOCK: int
MAX_THREADS: int
FLOAT32: int
FLOAT64: int
MODES: dict[int, str]

def isa() -> str: ...
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
) -> bytes: ...
def peek(src: Buffer) -> dict[str, Any]: ...
def decode_into(src: Buffer, out: Buffer, threads: int = 1) -> None: ...
def decode_range_into(src: Buffer, first: int, count: int, out: Buffer) -> None: ...
def inspect(src: Buffer) -> list[dict[str, Any]]: ...
def check_bound(dtype: int, a: Buffer, b: Buffer, tol: float) -> tuple[int, int, float]: ...
