"""The codecs of ``arraycodec compress``: the options that each has, and which arrays it can take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ansquant import AnsQuant
from ..boxes import automatic_chunks
from ..config import Config
from ..errors import ParameterError
from ..lowrankquant import LowRankQuant
from ..rules import Rules
from ..stochasticquant import StochasticQuant
from ..varintquant import VarintQuant
from .model import ArrayInfo, CommandError

#: By names on the command line.
CODECS = {"ansquant": AnsQuant, "varint": VarintQuant, "stochastic": StochasticQuant, "lowrank": LowRankQuant}

# Of these, what is no parameter of the codec object as it stands: how lattices treat different arrays.
_OF_LATTICES = ("tol", "rtol", "fill_value", "lossy_integers", "dtype")
OPTIONS = {
    "ansquant": (*_OF_LATTICES, "level", "predictor"),
    "varint": (*_OF_LATTICES, "backend", "level"),
    "stochastic": ("bits", "norm", "bucket", "method", "packing", "seed"),
    "lowrank": (
        "rank", "bits_per_value", "rel_error", "tol", "method", "factor_bits", "row_axes", "seed", "level",
    ),
}  # fmt: skip
_PARAMETERS = {"factor_bits": "bits"}  # where the codec has another name

_MATRIX_VALUES = 1 << 22  # a product of few rows and columns pays the more, the larger the matrix is


def flag(name: str) -> str:
    """The option of a name."""
    return "--" + name.replace("_", "-")


def refuse_foreign(codec: str, given: list[str]) -> None:
    """A ParameterError for options that a codec does not have."""
    foreign = [flag(name) for name in given if name not in OPTIONS[codec]]
    if foreign:
        raise ParameterError(
            f"--codec {codec} has no {', '.join(foreign)}; it takes {', '.join(map(flag, OPTIONS[codec]))}"
        )


@dataclass(frozen=True)
class Special:
    """How many values of an array are not finite, and how many stand for missing ones."""

    not_finite: int = 0
    marked: int = 0

    @classmethod
    def of(cls, values: np.ndarray, marks: list[Any]) -> Special:
        """Count them."""
        not_finite = values.size - int(np.count_nonzero(np.isfinite(values)))
        return cls(not_finite, sum(int(np.count_nonzero(values == mark)) for mark in marks))

    def __add__(self, other: Special) -> Special:
        return Special(self.not_finite + other.not_finite, self.marked + other.marked)


class Choice:
    """A codec with its options, checked.

    Parameters
    ----------
    name : str
        Of `CODECS`.
    options : dict
        Those of `OPTIONS`, by name, that are given.

    Attributes
    ----------
    whole : StochasticQuant, LowRankQuant or None
        The codec itself, where it is the same for all arrays; those that it cannot take go to AnsQuant.
    """

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.rules = None if options.get("tol") is None else Rules.of(options["tol"])
        self.tol: float | None = None if self.rules is None else self.rules.only
        self.rtol: float | None = options.get("rtol")
        self.fill_value = options.get("fill_value")
        self.whole: Any = None
        own = {n: value for n, value in options.items() if n not in _OF_LATTICES}
        self._quantizer: type[AnsQuant] | type[VarintQuant] = VarintQuant if name == "varint" else AnsQuant
        if name in ("ansquant", "varint"):
            self._own = own
            if self.rules is None and self.rtol is None:
                raise ParameterError("compress needs a tolerance: --tol T, --rtol R or both; --tol 0 is lossless")
            for rule in self.rules.rules if self.rules is not None else ():
                self.lattice(rule.tol, self.rtol, options.get("dtype"))
            self.lattice(0.0, self.rtol, options.get("dtype"))
            return
        if self.rules is not None and self.tol is None:
            raise ParameterError(f"--codec {name} takes one --tol for all arrays, not {self.rules}")
        self._own = {"level": options["level"]} if "level" in options else {}
        parameters = {_PARAMETERS.get(n, n): value for n, value in own.items()}
        if parameters.get("bucket") == "all":
            parameters["bucket"] = None
        if self.tol is not None:
            parameters["tol"] = self.tol
        self.whole = CODECS[name](**parameters)
        if name == "lowrank" and not {"rank", "bits_per_value", "rel_error", "tol"} & options.keys():
            raise ParameterError("compress --codec lowrank needs --rank, --bits-per-value, --rel-error or --tol")

    def lattice(
        self, tol: float | None, rtol: float | None = None, dtype: str | None = None, fill_value: Any = None
    ) -> AnsQuant | VarintQuant:
        """The codec for arrays that are rounded to a lattice, or, with a tolerance of 0, kept."""
        return self._quantizer(tol, rtol, dtype=dtype, fill_value=fill_value, **self._own)

    def check_output(self, kind: str) -> None:
        """A CommandError if no array of this format can have it."""
        backend = self._own.get("backend")
        if kind == "hdf5" and backend is not None:
            raise CommandError(
                f"--backend {backend} is for Zarr: HDF5's filter has none; leave it out, and let a filter of HDF5 "
                f"follow (h5repack -f GZIP=9 after it)"
            )

    def chunks(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Where the source has none."""
        if not isinstance(self.whole, LowRankQuant):
            return automatic_chunks(shape)
        chunks = [max(1, n) for n in shape]
        rows = self.whole.row_axes
        while math.prod(chunks) > _MATRIX_VALUES:  # the longest axis of the longer side, so that both stay long
            sides = [range(min(rows, len(chunks))), range(rows, len(chunks))]
            side = max(sides, key=lambda axes: math.prod(chunks[a] for a in axes))
            axis = max(side, key=lambda a: chunks[a])
            chunks[axis] = -(-chunks[axis] // 2)
        return tuple(chunks)

    def refusal(self, info: ArrayInfo, marks: list[Any], survey: Callable[[ArrayInfo, list[Any]], Special]) -> str:
        """Why `whole` cannot take an array, whose chunks are planned; "" if it can.

        What it lacks is a way to keep single values: NaN, infinities (but with a tolerance), and marks of missing ones.
        `survey` counts them.
        """
        try:
            self.whole._config.check_dtype(info.dtype)
        except TypeError as e:
            return str(e)
        if isinstance(self.whole, LowRankQuant) and len(info.shape) <= self.whole.row_axes:
            return f"shape {info.shape} has no axis of columns, with --row-axes {self.whole.row_axes}"
        if not info.size:
            return ""
        edges = any(n % c for n, c in zip(info.shape, info.chunks or info.shape, strict=True))
        for fill in (info.fill_value, info.attrs.get("_FillValue")) if edges and self.tol is None else ():
            if isinstance(fill, (int, float, np.number)) and fill != 0:
                return f"chunks {info.chunks} end beyond shape {info.shape}, in fill values {fill:g}"
        special = survey(info, marks)
        if special.not_finite and self.tol is None:
            return f"{special.not_finite} of its values {'is' if special.not_finite == 1 else 'are'} not finite"
        if special.marked:
            return f"{special.marked} of its values stand for missing ones ({', '.join(f'{v:g}' for v in marks)})"
        return ""

    @property
    def said(self) -> str:
        """What most arrays are coded with, for messages."""
        if self.whole is not None:
            return repr(self.whole)
        backend = self._own.get("backend")
        varints = f", as varints{f' through {backend}' if backend else ''}" if self.name == "varint" else ""
        return said(self.rules, self.rtol) + varints


def said(tol: float | Rules | None, rtol: float | None) -> str:
    """Tolerances, for messages."""
    parts = [f"{name}={value:g}" for name, value in (("tol", tol), ("rtol", rtol)) if isinstance(value, (int, float))]
    if isinstance(tol, Rules):
        parts.insert(0, f"tol={tol}" if tol.only is not None else f"tol by names ({tol})")
    return ", ".join(parts)


def said_of(codec: dict[str, Any]) -> str:
    """What an array was coded with before, if that lost something, for messages."""
    if codec["id"] == StochasticQuant.codec_id or codec["id"] == LowRankQuant.codec_id and not codec.get("tol"):
        return codec["id"]
    tolerances = (codec.get("tol"), codec.get("rtol"))
    return said(*tolerances) if any(tolerances) else ""


def fill_of(codec: dict[str, Any] | None) -> Any:
    """What came back bit for bit where an array was coded before; None if nothing did."""
    fill = (codec or {}).get("fill_value")
    return None if fill is None else Config(fill_value=fill).fill_value
