"""The process of one codec: loads its adapter, holds the chunks of one array, and times rounds over them."""

from __future__ import annotations

import gc
import time
import warnings
from importlib import import_module
from typing import Any

import numpy as np

from ..stages import stages
from .chunks import pieces, sliced
from .protocol import pin, serve


class Worker:
    """The state between requests."""

    def load(self, adapter: str, cpus: list[int]) -> dict[str, Any]:
        """Import the adapter ``module:Class``; what it is, or why it is not available."""
        pin(cpus)
        warnings.simplefilter("ignore")
        module, _, name = adapter.partition(":")
        kind = getattr(import_module(module), name)
        try:
            self._codec = kind()
        except ImportError as e:
            return {"name": kind.name, "missing": str(e)}
        codec = self._codec
        return {
            "name": codec.name,
            "family": codec.family,
            "version": codec.version,
            "isa": getattr(codec, "isa", ""),
            "axes": codec.axes,
            "keeps_nan": codec.keeps_nan,
        }

    def open(
        self, path: str, tol: float, chunk: int, stream_bytes: int, seconds: float, decoded: str, slices: int = 0
    ) -> dict[str, Any]:
        """Take an array, encode and decode all of it once, and save what came back.

        Parameters
        ----------
        path, decoded : str
            The array, and where its decoded values go, as .npy.
        tol : float
        chunk : int
            Values per chunk; 0 for the whole array.
        stream_bytes : int
            Repeat the array in memory of its own until it has so many bytes; 0 to keep it as it is.
        seconds : float
            Repeat it less often where a codec would take longer for all of it.
        slices : int
            Cut it into slices of so many axes before it is cut into chunks; 0 not to.
        """
        self.close()
        array = np.load(path, mmap_mode="r")
        reason = self._codec.refuses(array.dtype, tol)
        if reason:
            return {"refused": reason}
        self._tol, self._hot = tol, not stream_bytes
        once = self._append(array, chunk, slices)
        count = len(self._inputs)
        first = np.lib.format.open_memmap(decoded, "w+", array.dtype, array.shape)
        for target, values in zip(sliced(first, chunk, slices), self._results, strict=True):
            if values.dtype != target.dtype or values.shape != target.shape:
                raise ValueError(f"decoded to {values.dtype} {values.shape}, not {target.dtype} {target.shape}")
            target[...] = values
        first.flush()
        laps = max(1, min(-(-stream_bytes // array.nbytes), int(seconds / (2 * sum(once)))))
        for _ in range(laps - 1):
            self._append(array, chunk, slices)
        encoded = self._encoded[:count]  # arrays of dates are no buffers
        size = sum(data.nbytes if isinstance(data, np.ndarray) else memoryview(data).nbytes for data in encoded)
        return {"bytes": size, "laps": laps, "encode": laps * once[0], "decode": laps * once[1]}

    def _append(self, array: np.ndarray, chunk: int, slices: int) -> tuple[float, float]:
        """A copy of the array, encoded and decoded, all in memory of its own; the seconds of both."""
        inputs = sliced(np.array(array, order="C"), chunk, slices)
        memory = np.empty(array.shape, array.dtype)
        # NaN, or what is no common number: a value that a codec forgets to write is noticed
        memory.reshape(-1).view(np.uint8)[...] = 0xFF if array.dtype.kind in "fc" else 0xA5
        outputs = sliced(memory, chunk, slices)
        start = time.perf_counter()
        encoded = [self._codec.encode(x, self._tol) for x in inputs]
        middle = time.perf_counter()
        results = [self._codec.decode(data, out) for data, out in zip(encoded, outputs, strict=True)]
        end = time.perf_counter()
        self._inputs += inputs
        self._outputs += outputs
        self._encoded += encoded
        self._results += results
        return middle - start, end - middle

    def time(self, what: str, calls: int, warm: bool) -> list[list[float]]:
        """Seconds of `calls` rounds, chunk by chunk.

        In the cache, all calls of a chunk follow each other, after an untimed one if `warm`; streaming,
        a round is one pass through everything.
        """
        call = self._encode_one if what == "encode" else self._decode_one
        n = len(self._inputs)
        seconds = [[0.0] * n for _ in range(calls)]
        clock = time.perf_counter
        gc.collect()
        gc.disable()
        try:
            if self._hot:
                for i in range(n):
                    if warm:
                        call(i)
                    for row in seconds:
                        start = clock()
                        call(i)
                        row[i] = clock() - start
            else:
                for row in seconds:
                    for i in range(n):
                        start = clock()
                        call(i)
                        row[i] = clock() - start
        finally:
            gc.enable()
        return seconds

    # Results stay where they are until they are replaced, so that streams write to distinct memory.
    def _encode_one(self, i: int) -> None:
        self._encoded[i] = self._codec.encode(self._inputs[i], self._tol)

    def _decode_one(self, i: int) -> None:
        self._results[i] = self._codec.decode(self._encoded[i], self._outputs[i])

    def stages(self, path: str, tol: float, chunk: int, repeat: int) -> list[dict[str, Any]]:
        """`arraycodec.cli.stages.stages` of every chunk, weighted by size."""
        array = np.load(path)
        parts = pieces(array, chunk)
        sums: dict[str, float] = {}
        for part in parts:
            for stage, ns in stages(part, tol, repeat).items():
                sums[stage] = sums.get(stage, 0.0) + ns * part.size / array.size
        return [
            {"stage": s, "values": array.size, "ns_per_value": ns, "share": ns / sums[f"{s.split('.')[0]}.total"]}
            for s, ns in sums.items()
        ]

    def close(self) -> None:
        """Let the array go."""
        self._inputs: list[np.ndarray] = []
        self._outputs: list[np.ndarray] = []
        self._encoded: list[Any] = []
        self._results: list[np.ndarray] = []


if __name__ == "__main__":
    worker = Worker()
    serve({name: getattr(worker, name) for name in ("load", "open", "time", "close", "stages")})
