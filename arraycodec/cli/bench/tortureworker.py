"""The process of one codec under torture: it makes the arrays itself, so that strides and byte order are theirs.

It has little memory, as sizes in damaged chunks are made up, and is expected to die.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import DecodeError
from .. import adversarial
from .protocol import serve
from .torturecases import arrays
from .worker import Worker

MEMORY = 8 << 30  # bytes


class TortureWorker(Worker):
    """The state between requests: the codec, and a chunk to be damaged."""

    def load(self, adapter: str, cpus: list[int]) -> dict[str, Any]:
        """As for other tables, and which dtypes the adapter takes."""
        self._chunk: tuple[float, Any, np.ndarray] | None = None
        answer = super().load(adapter, cpus)
        return answer if "missing" in answer else answer | {"kinds": self._codec.kinds}

    def case(self, group: str, array: str, dtype: str, tol: float, decoded: str) -> dict[str, Any]:
        """Encode and decode one array as it is, and save what came back.

        Returns
        -------
        dict
            Nothing in it if values were saved; ``refused`` or ``failed``, a text, if not.
        """
        values = arrays(group, dtype, tol)[array]
        reason = self._codec.refuses(values.dtype, tol)
        if reason:
            return {"refused": reason}
        before = values.tobytes()
        try:
            data = self._codec.encode(values, tol)
        except BaseException as e:  # also what is no Exception: panics of Rust, exits
            return {"refused": type(e).__name__}
        if values.tobytes() != before:
            return {"failed": "input changed"}
        try:
            np.save(decoded, np.asarray(self._codec.decode(data, _memory(values))), allow_pickle=False)
        except BaseException as e:
            return {"failed": f"not decoded: {type(e).__name__}"}
        return {}

    def tolerance(self, tol: float) -> dict[str, Any]:
        """Try a tolerance that means nothing; ``refused`` says how it was refused."""
        try:
            self._codec.encode(self._field(), tol)
        except BaseException as e:
            return {"refused": type(e).__name__}
        return {}

    def prepare(self, tol: float) -> dict[str, Any]:
        """Make the chunk; ``failed`` says why there is none."""
        try:
            self._prepared(tol)
        except BaseException as e:
            return {"failed": f"{type(e).__name__}: {e}"}
        return {}

    def mutate(self, tol: float, index: int) -> dict[str, Any]:
        """Decode the chunk with one damage.

        Returns
        -------
        dict
            ``raised``, the name of an exception, and ``ours``, whether it is this package's for damage; or
            ``same``, whether all bits are those of the chunk without damage.
        """
        chunk, reference = self._prepared(tol)
        data: Any = adversarial.mutation(_bytes(chunk), index)
        if isinstance(chunk, np.ndarray):
            data = np.frombuffer(bytearray(data), np.uint8)  # writable, as what was encoded
        try:
            values = np.asarray(self._codec.decode(data, _memory(reference)))
            same = (values.dtype, values.shape) == (reference.dtype, reference.shape)
            return {"same": same and values.tobytes() == reference.tobytes()}
        except BaseException as e:
            return {"raised": type(e).__name__, "ours": isinstance(e, DecodeError)}

    def _prepared(self, tol: float) -> tuple[Any, np.ndarray]:
        """The chunk, and what it decodes to; adapters may remember the tolerance from encoding."""
        if self._chunk is None or self._chunk[0] != tol:
            values = self._field()
            data = self._codec.encode(values, tol)
            self._chunk = tol, data, np.array(self._codec.decode(data, _memory(values)))
        return self._chunk[1:]

    def _field(self) -> np.ndarray:
        values = adversarial.field()
        return values if "f4" in self._codec.kinds else values.astype(np.float64)


def _memory(values: np.ndarray) -> np.ndarray:
    """To decode into: C-contiguous, and full of what a codec that forgets to write leaves there."""
    memory = np.empty(values.shape, values.dtype)
    memory.reshape(-1).view(np.uint8)[...] = 0xFF if values.dtype.kind == "f" else 0xA5
    return memory


def _bytes(chunk: Any) -> bytes:
    return chunk.tobytes() if isinstance(chunk, np.ndarray) else bytes(chunk)


def _limit_memory() -> None:
    """Where the system can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, AttributeError, ValueError, OSError):
        pass


if __name__ == "__main__":
    _limit_memory()
    worker = TortureWorker()
    serve({name: getattr(worker, name) for name in ("load", "case", "tolerance", "prepare", "mutate")})
