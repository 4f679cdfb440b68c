"""Rows of ``arraycodec bench --literature``, which `literature` and `quantizers` make."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LiteratureRow:
    """One variant of one system; the columns of the CSV.  Speeds are millions of values a second."""

    system: str
    variant: str
    values: int
    bits_per_value: float  # everything stored included
    encode: float = math.nan
    decode: float = math.nan
    wrong: int = 0  # values that came back as others, or out of their bounds
    error: float = math.nan  # the system says which


@dataclass(frozen=True)
class StochasticRow:
    """Gradients rounded at random in one way.

    Bits are of a value, its share of the norms included: as they are stored by `StochasticQuant`, and 32 bits for
    each in the other three figures.  Errors are mean squares, in units of the values' own.
    """

    array: str
    values: int
    bits: int
    method: str  # "original", "qsgd" or "dither"
    norm: str
    bucket: int  # 0: all values
    packed: float  # 2 + bits bits, as many values in a word of 64 as fit
    elias: float = math.nan
    entropy: float = math.nan  # of the levels, order 0
    stored: float = math.nan
    mse: float = math.nan
    mean_mse: float = math.nan  # of the mean of `AVERAGED` copies with seeds of their own
    nearest_mse: float = math.nan  # of AnsQuant, in as many bits as are stored
    encode: float = math.nan
    decode: float = math.nan
    wrong: int = 0  # values out of their bound


#: Copies whose mean is measured.
AVERAGED = 16
