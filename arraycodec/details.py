"""What the blocks of codecs other than AnsQuant and VarintQuant say of themselves, for `inspect`."""

from __future__ import annotations

import struct
from typing import Any

from . import _core, backends
from .errors import FormatError, TruncatedError

#: Details that are bytes of a part.
PARTS = ("steps", "levels", "rows", "columns", "residual", "exceptions")


class _Reader:
    """Fields of a block, one after the other."""

    def __init__(self, block: bytes) -> None:
        self._block, self._at = block, 0

    def take(self, form: str) -> Any:
        size = struct.calcsize(f"<{form}")
        if self._at + size > len(self._block):
            raise TruncatedError("a block ends within its parameters")
        (value,) = struct.unpack_from(f"<{form}", self._block, self._at)
        self._at += size
        return value

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take("B")
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise FormatError("a number of more than 10 bytes")

    def part(self) -> int:
        """The size of a part, which is left behind."""
        size: int = self.take("I")
        if size > self.left:
            raise TruncatedError("a block ends within a part")
        self._at += size
        return size

    @property
    def left(self) -> int:
        """Bytes that follow."""
        return len(self._block) - self._at


def _name(code: int, names: dict[str, int]) -> str:
    for name, known in names.items():
        if known == code:
            return name
    raise FormatError(f"no name for the code {code}")


def of(chunk: _core.Chunk) -> dict[str, Any]:
    """The parameters of a chunk that has one block, by their names, and the bytes of its parts."""
    read = {_core.BACKEND: _backend, _core.STOCHASTIC: _stochastic, _core.LOW_RANK: _low_rank}[chunk.codec]
    details = read(chunk.block())
    if chunk.codec == _core.LOW_RANK and chunk.order == "F":  # the format counts axes in memory order
        details["row_axes"] = len(chunk.shape) - details["row_axes"]
    return details


def _backend(block: bytes) -> dict[str, Any]:
    name, size, data = backends.parse(block)
    return {"backend": name, "chunk": size, "compressed": len(data)}


def _stochastic(block: bytes) -> dict[str, Any]:
    r = _Reader(block)
    flags, bits, bucket = r.take("B"), r.take("B"), r.varint()
    found = {
        "method": "dither" if flags & 1 else "qsgd",
        "norm": "max" if flags & 2 else "l2",
        "packing": "fixed" if flags & 4 else "rans",
        "bits": bits,
        "bucket": bucket or None,
    }
    if flags & 1:
        found["seed"] = r.take("Q")
        r.take("Q")
    if not flags & 4:
        found["steps"], found["levels"] = r.part(), r.part()
    return found


def _low_rank(block: bytes) -> dict[str, Any]:
    r = _Reader(block)
    factors, flags, rows_ndim, rank, _ = r.take("B"), r.take("B"), r.take("B"), r.varint(), r.take("d")
    found: dict[str, Any] = {"method": _name(factors, _core.FACTORS), "rank": rank, "row_axes": rows_ndim}
    for _ in range(rank):
        r.varint()
    if rank:
        found["rows"], found["columns"] = r.part(), r.part()
    if flags & 1:
        found["step"] = r.take("d")
        found["residual"] = r.part()
    found["exceptions"] = r.left if flags & 2 else 0
    return found
