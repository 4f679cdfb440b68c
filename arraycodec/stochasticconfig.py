"""Values rounded at random: the parameters of `StochasticQuant`, and its encoder."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core, codec
from .config import CD_STOCHASTIC, check_integer, check_name
from .dtypes import describe
from .errors import NotFiniteError, ParameterError

MAX_BITS = 9
_FLOATS = ("float16", "float32", "float64", "bfloat16")


@dataclass(frozen=True)
class StochasticConfig:
    """Parameters of StochasticQuant, which describes them.

    Attributes
    ----------
    bits : int
    norm : {"l2", "max"}
    bucket : int or None
    method : {"dither", "qsgd"}
    packing : {"rans", "fixed"}
    seed : int or None
    """

    bits: int
    norm: str = "l2"
    bucket: int | None = 512
    method: str = "dither"
    packing: str = "rans"
    seed: int | None = None

    def __post_init__(self) -> None:
        bits = check_integer("bits", self.bits)
        if not 1 <= bits <= MAX_BITS:
            raise ParameterError(f"bits must be 1 to {MAX_BITS}, not {self.bits!r}")
        object.__setattr__(self, "bits", bits)
        for name, names in (("norm", _core.NORMS), ("method", _core.METHODS), ("packing", _core.PACKINGS)):
            object.__setattr__(self, name, check_name(name, getattr(self, name), names))
        self._check("bucket", 1, 1 << 32)
        self._check("seed", 0, 1 << 64)

    def _check(self, name: str, least: int, end: int) -> None:
        given = getattr(self, name)
        if given is None:
            return
        value = check_integer(name, given)
        if not least <= value < end:
            raise ParameterError(f"{name} must be {least} to {end - 1}, or None, not {given!r}")
        object.__setattr__(self, name, value)

    def _seed(self) -> int:
        return secrets.randbits(64) if self.seed is None else self.seed

    #: Whether parts of chunks can be written again and again without a value leaving its bound.
    keeps_rewrites = False

    def check_array(self, dtype: np.dtype, ndim: int) -> None:
        """A TypeError if arrays of this dtype cannot be encoded."""
        self.check_dtype(dtype)

    def check_dtype(self, dtype: np.dtype) -> int:
        """The code of a dtype that has what is rounded, or a TypeError."""
        code = describe(dtype)[0]
        if _core.NAMES[code] not in _FLOATS:
            raise TypeError(f"StochasticQuant rounds {', '.join(_FLOATS[:-1])} and bfloat16, not {dtype}")
        return code

    def encode(self, values: Any, threads: int = 1) -> bytes:
        """Encode an array as one chunk."""
        a = codec.as_array(values)
        code = self.check_dtype(a.dtype)
        if not a.size:  # nothing to round
            return codec.encode(a, tol=0)
        if a.size >= 1 << 31:
            raise ParameterError(f"at most {(1 << 31) - 1} values make a chunk, not {a.size}")
        flat, f_order = codec.contiguous(a)
        array = (code, describe(a.dtype)[1], f_order, a.shape)
        how = (_core.METHODS[self.method], _core.NORMS[self.norm], _core.PACKINGS[self.packing], self.bucket or 0)
        try:
            return _core.encode_stochastic(flat, *array, self.bits, *how, self._seed(), threads)
        except NotFiniteError:
            raise NotFiniteError(_what_is_not_finite(a)) from None

    def to_json(self) -> dict[str, Any]:
        """Keyword arguments that make an equal object, JSON-ready."""
        values = {
            "bits": self.bits,
            "norm": self.norm,
            "bucket": self.bucket,
            "method": self.method,
            "packing": self.packing,
            "seed": self.seed,
        }
        if self.seed is None:
            del values["seed"]
        return values

    def to_cd_values(self) -> tuple[int, ...]:
        """The parameters as HDF5 filter values; without a seed one is drawn here, for all chunks of a dataset.

        Item 17 has a word of bits | method << 8 | norm << 16 | packing << 24, the bucket (0: all values), and the words
        of the seed.
        """
        seed = self._seed()
        codes = (self.bits, _core.METHODS[self.method], _core.NORMS[self.norm], _core.PACKINGS[self.packing])
        word = sum(code << 8 * i for i, code in enumerate(codes))
        return (CD_STOCHASTIC, word, self.bucket or 0, seed & 0xFFFFFFFF, seed >> 32)


def of_cd_values(tol: float, word: int, bucket: int, low: int, high: int) -> StochasticConfig:
    """The parameters that item 17 of the HDF5 filter's values says; the tolerance beside it is 0.

    Raises
    ------
    ParameterError
        If they are none.
    """
    bits, *codes = word.to_bytes(4, "little")
    names = [
        next((name for name, known in table.items() if known == code), str(code))
        for code, table in zip(codes, (_core.METHODS, _core.NORMS, _core.PACKINGS), strict=True)
    ]
    method, norm, packing = names
    return StochasticConfig(bits, norm, bucket or None, method, packing, low | high << 32)


def _what_is_not_finite(a: np.ndarray) -> str:
    values = a.astype(np.float64, copy=False)
    wrong = np.flatnonzero(~np.isfinite(values.ravel()))
    if not len(wrong):
        return "the norm of the values overflows: StochasticQuant cannot round them"
    index = tuple(map(int, np.unravel_index(wrong[0], a.shape)))
    return (
        f"StochasticQuant rounds finite values only: element {index} is {values.ravel()[wrong[0]]}"
        f"{f', and {len(wrong) - 1} more are not finite' if len(wrong) > 1 else ''}"
    )
