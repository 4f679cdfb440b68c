"""How much memory the codec needs: the high-water mark of resident pages while it works.

Measured in a process of its own, since memory that was used before and kept by an allocator would
hide what the codec takes.  Linux only: the mark is reset through ``/proc/self/clear_refs``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import codec

_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """Bytes resident at the worst moment, beyond the input and the result.

    Attributes
    ----------
    encode, decode : int
        Of `arraycodec.encode` (input: the array, result: the chunk) and `arraycodec.decode`
        (input: the chunk, result: a new array).
    chunk : int
        Bytes of the chunk.
    """

    encode: int
    decode: int
    chunk: int


def available() -> bool:
    """Whether this system lets a process reset its high-water mark."""
    try:
        _reset()
    except OSError:
        return False
    return True


def peak(
    size: int,
    dtype: str = "f4",
    tol: float = 2**-9,
    threads: int = 1,
    rtol: float = 0.0,
    level: int | None = None,
    shape: tuple[int, ...] = (-1,),
    predictor: str | None = None,
) -> Peak:
    """Encode and decode an array of normal noise in a fresh process, and report what that took.

    Parameters
    ----------
    size : int
        Bytes of the array.
    dtype : str
        Of floats or integers.
    tol, rtol : float
        Tolerances, for noise of standard deviation 0.05, or 1000 for integers (of 8 bits: 10); 0 is lossless.
    threads, level, predictor
        As of `arraycodec.encode`.
    shape : tuple of int
        As of `numpy.reshape`.

    Raises
    ------
    OSError
        Where `available` is false.
    """
    arguments = json.dumps([size, dtype, tol, threads, rtol, level, shape, predictor])
    command = [sys.executable, "-m", __name__, arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"the process that measures {arguments} failed: {done.stderr}")
    return Peak(**json.loads(done.stdout))


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10  # "kB"
    raise OSError(f"/proc/self/status has no {field}")


def _reset() -> None:
    _CLEAR_REFS.write_text("5")  # the mark becomes what is resident now (man 5 proc)


def _measure(
    size: int, dtype: str, tol: float, threads: int, rtol: float, level: int | None, shape: list[int],
    predictor: str | None,
) -> Peak:  # fmt: skip
    how: dict[str, Any] = {"rtol": rtol, "level": level, "predictor": predictor}
    rng = np.random.default_rng(0)
    values = np.empty(size // np.dtype(dtype).itemsize, dtype)
    # in pieces: a temporary array, once freed, would be memory for the codec to reuse unseen
    for start in range(0, values.size, 1 << 12):
        part = values[start : start + (1 << 12)]
        noise = rng.standard_normal(part.size, np.float32)
        if values.dtype.kind != "f":
            noise = np.rint(noise * np.float32(1000 if values.itemsize > 1 else 10)).astype("i4")
        else:
            noise *= np.float32(0.05)
        part[...] = noise.astype(values.dtype)
    codec.decode(codec.encode(values[:1], tol, **how))  # everything is loaded
    values = values.reshape(shape)
    _reset()
    before = _status("VmRSS")
    chunk = codec.encode(values, tol, threads, **how)
    encode = _status("VmHWM") - before - len(chunk)
    _reset()
    before = _status("VmRSS")
    decoded = codec.decode(chunk, threads=threads)
    decode = _status("VmHWM") - before - decoded.nbytes
    return Peak(max(0, encode), max(0, decode), len(chunk))


if __name__ == "__main__":
    print(json.dumps(vars(_measure(*json.loads(sys.argv[1])))))
