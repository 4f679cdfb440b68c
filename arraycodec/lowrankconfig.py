"""Matrices as products of few rows and columns: the parameters of `LowRankQuant`, and its encoder."""

from __future__ import annotations

import contextlib
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core, codec
from .config import CD_LOW_RANK, CD_TOLERANCE, check_integer, check_level, check_name, check_tolerance, words_of
from .dtypes import describe
from .errors import NotFiniteError, ParameterError

_FLOATS = ("float16", "float32", "float64", "bfloat16")
_TARGETS = ("rank", "bits_per_value", "rel_error")  # item 18 counts them from 1
_MAX_RANK = 65535
_BITS = (8, 8)  # of the published methods, where nothing is said
_MAX_VALUES = 2**31 - 1


@dataclass(frozen=True)
class LowRankConfig:
    """Parameters of LowRankQuant, which describes them.

    Attributes
    ----------
    rank : int or None
    bits_per_value, rel_error : float or None
    method : {"svd", "lplr", "lsvd", "dsvd"}
    tol : float or None
    bits : tuple of int or None
    row_axes : int
    level : int or None
    seed : int
    """

    rank: int | None = None
    bits_per_value: float | None = None
    rel_error: float | None = None
    method: str = "svd"
    tol: float | None = None
    bits: tuple[int, int] | None = None
    row_axes: int = 1
    level: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "method", check_name("method", self.method, _core.FACTORS))
        set_(self, "tol", check_tolerance("tol", self.tol))
        set_(self, "level", check_level(self.level))
        self._check_integers()
        for name in ("bits_per_value", "rel_error"):
            set_(self, name, check_tolerance(name, getattr(self, name)))
        if self.bits_per_value == 0:
            raise ParameterError("bits_per_value must be positive, not 0")
        if self.rel_error is not None and not 0 < self.rel_error < 1:
            raise ParameterError(f"rel_error must be above 0 and below 1, not {self.rel_error}")
        given = [f"{name}={getattr(self, name)}" for name in _TARGETS if getattr(self, name) is not None]
        if self.tol == 0:
            raise ParameterError("tol must be positive, not 0: AnsQuant(tol=0) is lossless")
        if len(given) > 1:
            raise ParameterError(f"give one of rank, bits_per_value and rel_error, not {' and '.join(given)}")
        if self.tol is not None and given and self.rank is None:
            raise ParameterError(f"with tol={self.tol} every value is within it: {given[0]} has no meaning")
        if self.method != "svd" and self.rel_error is not None:
            raise ParameterError(f'rel_error={self.rel_error} needs method="svd", not {self.method!r}')

    def _check_integers(self) -> None:
        limits = {"rank": (1, _MAX_RANK), "row_axes": (1, _core.MAX_NDIM - 1), "seed": (0, 2**64 - 1)}
        for name, (least, most) in limits.items():
            given = getattr(self, name)
            if name == "rank" and given is None:
                continue
            value = check_integer(name, given)
            if not least <= value <= most:
                raise ParameterError(f"{name} must be {least} to {most}, not {given!r}")
            object.__setattr__(self, name, value)
        if self.bits is None:
            return
        if self.method == "svd":
            raise ParameterError(f'bits={self.bits!r} are of the published methods, method="svd" has bits_per_value')
        bits = tuple(self.bits) if np.ndim(self.bits) == 1 else (self.bits,)
        if len(bits) != 2:
            raise ParameterError(f"bits must be two numbers, of the left and of the right factor, not {self.bits!r}")
        bits = tuple(check_integer("bits", b) for b in bits)
        if not all(1 <= b <= 16 for b in bits):
            raise ParameterError(f"bits must be 1 to 16 for each factor, not {self.bits!r}")
        object.__setattr__(self, "bits", None if bits == _BITS else bits)

    #: Whether parts of chunks can be written again and again without a value leaving its bound.
    keeps_rewrites = False

    @property
    def can_encode(self) -> bool:
        """Whether there is a target or a tolerance."""
        return self.tol is not None or any(getattr(self, name) is not None for name in _TARGETS)

    def check_array(self, dtype: np.dtype, ndim: int) -> None:
        """A TypeError or ParameterError if arrays of this dtype, or of so few axes, cannot be encoded."""
        self.check_dtype(dtype)
        if ndim <= self.row_axes:
            raise ParameterError(f"with the first {self.row_axes} axes for rows, {ndim} leave none for columns")

    def check_dtype(self, dtype: np.dtype) -> None:
        """A TypeError if arrays of this dtype cannot be encoded."""
        if _core.NAMES[describe(dtype)[0]] not in _FLOATS:
            raise TypeError(f"LowRankQuant is for {', '.join(_FLOATS[:-1])} and bfloat16, not {dtype}")

    def encode(self, values: Any, threads: int = 1) -> bytes:
        """Encode an array as one chunk."""
        with _linear_algebra_in(threads):
            return self._encode(values, threads)

    def _encode(self, values: Any, threads: int) -> bytes:
        from . import lowrank

        a = codec.as_array(values)
        self.check_array(a.dtype, a.ndim)
        if not self.can_encode:
            raise ParameterError("encoding needs a target: rank=..., bits_per_value=..., rel_error=... or tol=...")
        if not a.size or a.size > _MAX_VALUES:
            if self.tol is None and a.size:
                raise ParameterError(f"at most {_MAX_VALUES} values make a chunk, not {a.size}")
            return codec.encode(a, self.tol or 0, threads, level=self.level)
        # Hosts may take values in the memory order in which they gave them.  The matrix of an array in Fortran order is
        # the transpose: what stands in its memory, in C order.
        f_order = a.flags.f_contiguous and not a.flags.c_contiguous
        if not f_order:
            a = np.ascontiguousarray(a)
        in_memory = a.T if f_order else a
        rows_ndim = a.ndim - self.row_axes if f_order else self.row_axes
        matrix = in_memory.reshape(math.prod(in_memory.shape[:rows_ndim]), -1)
        matrix = matrix.astype("f8" if a.dtype.itemsize == 8 else "f4")  # a copy, in native byte order
        if self.tol is not None:
            return self._encode_within(a, matrix, self.tol, threads)
        _refuse_what_is_not_finite(a, matrix)
        rel_error, bits_per_value = self.rel_error, self.bits_per_value
        chunk = b""
        for _ in range(8):
            try:
                factors = lowrank.factorize(
                    matrix,
                    rank=self.rank,
                    bits_per_value=bits_per_value,
                    rel_error=rel_error,
                    method=self.method,
                    bits=self.bits or _BITS,
                    level=self.level,
                    seed=self.seed,
                )
            except ParameterError:
                if not chunk:
                    raise
                break  # smaller than what was asked for is not to be had
            chunk = self._store(a, factors, 0.0, threads)
            if bits_per_value is not None and self.bits_per_value is not None:
                excess = 8 * len(chunk) / (self.bits_per_value * a.size)
                if excess <= 1:
                    return chunk
                # what was counted was without the axes, or for published methods the models
                bits_per_value *= 0.998 / excess
                continue
            if rel_error is None or self.rel_error is None or a.dtype.itemsize > 2:
                return chunk
            # what was measured was in float32, and is rounded once more
            decoded = codec.decode(chunk)
            error = (decoded.T if f_order else decoded).astype("f8").reshape(matrix.shape) - matrix
            if np.linalg.norm(error) <= self.rel_error * np.linalg.norm(matrix.astype("f8")):
                return chunk
            rel_error *= 0.97
        if self.bits_per_value is not None:
            least = 8 * len(chunk) / a.size
            raise ParameterError(f"bits_per_value={self.bits_per_value} is too few: {least:.4g} are the least found")
        raise ParameterError(f"rel_error={self.rel_error} cannot be reached in {a.dtype}")

    def _encode_within(self, a: np.ndarray, matrix: np.ndarray, tol: float, threads: int) -> bytes:
        """The product and what is left of it, or the values themselves, whichever is smaller."""
        plain = codec.encode(a, tol, threads, level=self.level)
        finite = np.isfinite(matrix)
        if not finite.any():
            return plain
        if not finite.all():  # by a value from their middle, which cannot overflow as a mean does
            values = matrix[finite]
            matrix[~finite] = np.partition(values, values.size // 2)[values.size // 2]
        try:
            factors = self._factors_within(a, matrix, tol)
            chunk = self._store(a, factors, tol, threads) if factors.rank else plain
        except ParameterError:  # the tolerance is too near to the distance of numbers, or values are to their largest
            return plain
        return chunk if len(chunk) < len(plain) else plain

    def _factors_within(self, a: np.ndarray, matrix: np.ndarray, tol: float) -> Any:
        from . import lowrank

        if self.rank is None and self.method == "svd":
            shape = a.T.shape if a.flags.f_contiguous and not a.flags.c_contiguous else a.shape
            return lowrank.predictor(matrix, tol, self.level, self.seed, shape)
        rank, bits = 16 if self.rank is None else self.rank, self.bits or _BITS
        return lowrank.factorize(matrix, rank=rank, method=self.method, bits=bits, level=self.level, seed=self.seed)

    def _store(self, a: np.ndarray, factors: Any, tol: float, threads: int) -> bytes:
        code, big_endian, *_ = describe(a.dtype)
        flat, f_order = codec.contiguous(a)
        weights = factors.weights.astype(np.uint32)
        rows_ndim = a.ndim - self.row_axes if f_order else self.row_axes
        how = (rows_ndim, _core.FACTORS[self.method], factors.scale, weights, factors.rows, factors.columns)
        return _core.encode_low_rank(flat, code, big_endian, f_order, a.shape, *how, tol, self.level or 0, threads)

    def to_json(self) -> dict[str, Any]:
        """Keyword arguments that make an equal object, JSON-ready; defaults are left out."""
        default = LowRankConfig()
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values = {name: value for name, value in values.items() if value != getattr(default, name)}
        if self.bits is not None:
            values["bits"] = list(self.bits)
        return values

    def to_cd_values(self) -> tuple[int, ...]:
        """The parameters as HDF5 filter values: item 1 if there is a tolerance, and item 18.

        That has a word of method | target << 8 | left bits << 16 | right bits << 24 (target: 0, or which of rank,
        bits_per_value and rel_error), the words of the target's value, a double, one of axes of rows | level << 8, and
        the words of the seed.
        """
        if not self.can_encode:
            raise ParameterError("encoding needs a target: rank=..., bits_per_value=..., rel_error=... or tol=...")
        given = [(i, getattr(self, name)) for i, name in enumerate(_TARGETS, 1) if getattr(self, name) is not None]
        target, value = given[0] if given else (0, 0.0)
        codes = (_core.FACTORS[self.method], target, *(self.bits or _BITS))
        word = sum(code << 8 * i for i, code in enumerate(codes))
        axes = self.row_axes | (self.level or 0) << 8
        tol = () if self.tol is None else (CD_TOLERANCE, *words_of(self.tol))
        return (*tol, CD_LOW_RANK, word, *words_of(float(value)), axes, self.seed & 0xFFFFFFFF, self.seed >> 32)


def of_cd_values(tol: float, word: int, low: int, high: int, axes: int, *seed: int) -> LowRankConfig:
    """The parameters that item 18 of the HDF5 filter's values says, and the tolerance beside it (0: none).

    Raises
    ------
    ParameterError
        If they are none.
    """
    factors, target, *bits = word.to_bytes(4, "little")
    names = {code: name for name, code in _core.FACTORS.items()}
    (value,) = struct.unpack("<d", struct.pack("<II", low, high))
    targets: dict[str, Any] = {}
    if target:
        if target > len(_TARGETS):
            raise ParameterError(f"item 18 has the target {target}: 1 to {len(_TARGETS)} are known")
        if target == 1 and not value.is_integer():
            raise ParameterError(f"item 18 has the rank {value}")
        targets[_TARGETS[target - 1]] = int(value) if target == 1 else value
    return LowRankConfig(
        **targets,
        method=names.get(factors, str(factors)),
        tol=tol or None,
        bits=None if names.get(factors) == "svd" or tuple(bits) == _BITS else (bits[0], bits[1]),
        row_axes=axes & 0xFF,
        level=axes >> 8 or None,
        seed=seed[0] | seed[1] << 32,
    )


def _linear_algebra_in(threads: int) -> Any:
    """NumPy's matrix products in as many threads as the codec may use, if threadpoolctl is there to say so.

    Else they use all processors, and wait for each other where others use them, too.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(threads, "blas")


def _refuse_what_is_not_finite(a: np.ndarray, matrix: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(matrix.ravel()))
    if len(wrong):
        index = tuple(map(int, np.argwhere(~np.isfinite(a.astype(matrix.dtype)))[0]))
        raise NotFiniteError(
            f"a low-rank product has finite values only, and element {index} is {a[index]}: "
            f"with tol=... others are kept beside it"
        )
