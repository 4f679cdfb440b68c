"""The parameters of a codec: each one's meaning, range and default, stated once.

The fronts (`ansquant`, `zarr3`, `hdf5`) only translate between this and their host's form: the
keyword arguments of a call, the JSON of Zarr metadata, the `cd_values` of an HDF5 filter.
"""

from __future__ import annotations

import functools
import math
import numbers
import operator
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._core import MAX_LEVEL, MIN_LEVEL, PREDICTORS
from .backends import BACKENDS
from .dtypes import describe, fill_bytes
from .errors import ParameterError

#: Items of the HDF5 filter's values, each followed by what the comment says.
CD_TOLERANCE = 1  # low word, high word of a double: the absolute tolerance
CD_RELATIVE = 5  # the same of the relative tolerance
CD_FILL = 8  # number of words, words: the bits of a fill value, as the dataset has it, lowest first
CD_BFLOAT16 = 9  # nothing: uint16 elements are bfloat16
# a fill value for whatever type the dataset has; the filter then stores item 8
CD_FILL_DOUBLE = 11  # low word, high word of a double
CD_FILL_INTEGER = 12  # 1 if negative, else 0; low word, high word of the absolute value
CD_FILL_COMPLEX = 13  # the words of two doubles
CD_LEVEL = 14  # the level
CD_PREDICTOR = 15  # the code of the predictor
CD_CODER = 16  # the code of the coder
CD_STOCHASTIC = 17  # what stochasticconfig.py says
CD_LOW_RANK = 18  # what lowrankconfig.py says

#: How integers are stored, and the codes of that.
CODERS = {"varint": 2}


@dataclass(frozen=True)
class Config:
    """Parameters of AnsQuant and VarintQuant.

    Parameters
    ----------
    tol : float or None
        Absolute tolerance: every finite value comes back within it.  0 is lossless.  None: decode
        only (a chunk says everything the decoder needs), or `rtol` alone.
    rtol : float or None
        Pointwise relative tolerance, 0 <= rtol < 1.
    fill_value : number or None
        What stands for missing values; it comes back bit for bit.
    dtype : {None, "bfloat16"}
        What uint16 arrays hold.
    level : int or None
        How hard the encoder looks: 1 is fast, 9 the smallest; None is the default, which may be another one in
        another version.  Decoders need not know it.
    predictor : {None, "none", "auto", "lorenzo", "interpolation", "linear"}
        What integers and floats (but with a relative bound) are predicted from: nothing, what is best of all, values
        before, coarser grids, or many values before in a row.  None is the default, which may be another one in
        another version.  Decoders need not know it.
    coder : {None, "varint"}
        How integers are stored: by rANS, or as varints, for which the name of the codec stands.
    backend : {None, "bz2", "lzma", "zlib", "zstd"}
        What compresses the chunk once more.
    backend_level : int or None
        Its level; None is its default.
    """

    tol: float | None = None
    rtol: float | None = None
    fill_value: int | float | complex | None = None
    dtype: str | None = None
    level: int | None = None
    predictor: str | None = None
    coder: str | None = None
    backend: str | None = None
    backend_level: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tol", check_tolerance("tol", self.tol))
        object.__setattr__(self, "rtol", check_tolerance("rtol", self.rtol))
        if self.rtol is not None and self.rtol >= 1:
            raise ParameterError(f"rtol must be less than 1, not {self.rtol!r}")
        object.__setattr__(self, "fill_value", _check_fill(self.fill_value))
        if self.dtype not in (None, "bfloat16"):
            raise ParameterError(f'dtype must be "bfloat16" or None, not {self.dtype!r}')
        object.__setattr__(self, "level", check_level(self.level))
        object.__setattr__(self, "predictor", _check_predictor(self.predictor))
        if self.coder is not None and self.coder not in CODERS:
            raise ParameterError(f'coder must be "varint" or None, not {self.coder!r}')
        object.__setattr__(self, "backend_level", _check_backend(self.backend, self.backend_level))

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether there is an absolute tolerance and nothing else, but perhaps a level and a predictor."""
        return self == Config(self.tol, level=self.level, predictor=self.predictor) and self.tol is not None

    @functools.cached_property
    def predictor_code(self) -> int:
        """The predictor as the core takes it."""
        return 0 if self.predictor is None else PREDICTORS[self.predictor]

    @property
    def coder_code(self) -> int:
        """The coder as the core takes it."""
        return 0 if self.coder is None else CODERS[self.coder]

    #: Whether parts of chunks can be written again and again without a value leaving its bound.
    keeps_rewrites = True

    def check_array(self, dtype: np.dtype, ndim: int) -> None:
        """A TypeError or ParameterError if arrays of this dtype cannot be encoded."""
        describe(dtype, self.dtype)
        fill_bytes(self.fill_value, dtype, self.dtype)

    @property
    def can_encode(self) -> bool:
        """Whether there is a tolerance."""
        return self.tol is not None or self.rtol is not None

    def require_tolerances(self) -> tuple[float, float]:
        """The tolerances, or a ParameterError where encoding needs one."""
        if not self.can_encode:
            raise ParameterError("encoding needs a tolerance: tol=... or rtol=..., tol=0 for lossless")
        return self.tol or 0.0, self.rtol or 0.0

    def to_json(self) -> dict[str, Any]:
        """Keyword arguments that make an equal object, JSON-ready; defaults are left out, and the coder.

        The level of codecs with a backend is the backend's.
        """
        fill = self.fill_value
        values = {
            "tol": self.tol,
            "rtol": self.rtol,
            "fill_value": [fill.real, fill.imag] if isinstance(fill, complex) else fill,
            "dtype": self.dtype,
            "level": self.level if self.backend is None else self.backend_level,
            "predictor": self.predictor,
            "backend": self.backend,
        }
        return {name: value for name, value in values.items() if value is not None}

    def to_cd_values(self) -> tuple[int, ...]:
        """The parameters as HDF5 filter values (`ext/hdf5/h5z_arraycodec.c` documents all items)."""
        tol, rtol = self.require_tolerances()
        if self.backend is not None:
            raise ParameterError(
                f"HDF5's filter takes no backend={self.backend!r}: leave it out, and let a filter of HDF5 follow "
                f"this one (h5repack -f GZIP=9 after it, or dcpl.set_deflate(9) of h5py's low-level interface)"
            )
        values: tuple[int, ...] = (CD_TOLERANCE, *words_of(tol))
        if rtol:
            values += (CD_RELATIVE, *words_of(rtol))
        values += _fill_item(self.fill_value)
        if self.dtype:
            values += (CD_BFLOAT16,)
        if self.level is not None:
            values += (CD_LEVEL, self.level)
        if self.predictor is not None:
            values += (CD_PREDICTOR, self.predictor_code)
        if self.coder is not None:
            values += (CD_CODER, self.coder_code)
        return values


def words_of(value: float) -> tuple[int, int]:
    """The two words of a double."""
    return struct.unpack("<II", struct.pack("<d", value))


def _fill_item(fill: int | float | complex | None) -> tuple[int, ...]:
    if fill is None:
        return ()
    if isinstance(fill, complex):
        return (CD_FILL_COMPLEX, *words_of(fill.real), *words_of(fill.imag))
    if isinstance(fill, int) and abs(fill) < 1 << 64 and int(float(fill)) != fill:
        return (CD_FILL_INTEGER, int(fill < 0), abs(fill) & 0xFFFFFFFF, abs(fill) >> 32)
    try:
        return (CD_FILL_DOUBLE, *words_of(float(fill)))
    except OverflowError:
        raise ParameterError(f"fill_value must fit a double, not {fill!r}") from None


def check_tolerance(name: str, given: Any) -> float | None:
    """A finite number >= 0 as a double that is not above it, or None."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise TypeError(f"{name} must be a number, not {given!r}")
    try:
        value = float(given)
    except OverflowError:
        raise ParameterError(f"{name} must fit a double, not {given!r}") from None
    if not math.isfinite(value) or value < 0:
        raise ParameterError(f"{name} must be finite and >= 0, not {given!r}")
    if value > given:  # a fraction or long double between two doubles: the promise is for what was given
        value = math.nextafter(value, 0)
    return value + 0.0  # -0.0 becomes 0.0


def _check_fill(given: Any) -> int | float | complex | None:
    """As a Python number; None for NaN and infinities, which always come back bit for bit."""
    if given is None:
        return None
    if isinstance(given, (list, tuple)) and len(given) == 2:  # a complex number in JSON
        given = complex(*given)
    if isinstance(given, (bool, str, bytes)) or not isinstance(given, numbers.Number):
        raise TypeError(f"fill_value must be a number, not {given!r}")
    if isinstance(given, numbers.Integral):
        return int(given)
    if isinstance(given, numbers.Real):
        return float(given) if math.isfinite(given) else None
    value = complex(given)  # type: ignore[call-overload]  # whatever NumPy and others register as a number
    return value if math.isfinite(value.real) and math.isfinite(value.imag) else None


def check_integer(name: str, given: Any) -> int:
    """A whole number, whatever its type."""
    if isinstance(given, bool | np.bool_):  # older NumPy lets the latter be an index, with a warning
        raise TypeError(f"{name} must be an integer, not {given!r}")
    try:
        return operator.index(given)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {given!r}") from None


def check_level(given: Any) -> int | None:
    """A level of the encoder, or None."""
    if given is None:
        return None
    level = check_integer("level", given)
    if not MIN_LEVEL <= level <= MAX_LEVEL:
        raise ParameterError(f"level must be {MIN_LEVEL} (fast) to {MAX_LEVEL} (smallest), not {given!r}")
    return level


def _check_predictor(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise TypeError(f"predictor must be a name, not {given!r}")
    if given not in PREDICTORS:
        *names, last = (f'"{name}"' for name in PREDICTORS)
        raise ParameterError(f"predictor must be {', '.join(names)} or {last}, not {given!r}")
    return str(given)


def _check_backend(backend: Any, level: Any) -> int | None:
    """The level of a backend."""
    if backend is None:
        if level is not None:
            raise ParameterError(f"level={level!r} is a backend's, and backend is None")
        return None
    if not isinstance(backend, str):
        raise TypeError(f"backend must be a name, not {backend!r}")
    if backend not in BACKENDS:
        raise ParameterError(f"backend must be {_one_of(BACKENDS)} or None, not {backend!r}")
    if level is None:
        return None
    level, levels = check_integer("level", level), BACKENDS[backend].levels
    if level not in levels:
        raise ParameterError(f"level of {backend} must be {levels[0]} to {levels[-1]}, not {level}")
    return level


def _one_of(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def check_name(what: str, given: Any, names: Iterable[str]) -> str:
    """One of some names."""
    if not isinstance(given, str):
        raise TypeError(f"{what} must be a name, not {given!r}")
    if given not in names:
        raise ParameterError(f"{what} must be one of {_one_of(names)}, not {given!r}")
    return str(given)


def check_threads(threads: Any) -> int:
    """A number of threads, checked; it belongs to a call, never to what is stored."""
    number = check_integer("threads", threads)
    if number < 1:
        raise ParameterError(f"threads must be at least 1, not {threads!r}")
    return number
