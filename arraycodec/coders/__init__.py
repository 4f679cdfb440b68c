"""Entropy coders as a library: symbols and models of probabilities in, words out.

Three coders (`AnsCoder`, a stack; `RangeEncoder` and `RangeDecoder`, a queue; `ChainCoder`, for bits-back
coding) take the same entropy models (`Categorical`, `QuantizedGaussian`, `QuantizedLaplace`, `QuantizedCauchy`,
`Bernoulli`, `Uniform`, `CustomModel`, `ScipyModel`).  Names, arguments and the words that are written follow the
library ``constriction`` (https://bamler-lab.github.io/constriction), version 0.5: either reads what the other
wrote.  Chunks of `arraycodec.encode` are another format and have nothing to do with these streams.

A model is *concrete* when all of its parameters are given to its constructor: it may code single symbols, or many
symbols that share it.  With parameters left out it is a *family*: they then come as arrays, one item per symbol,
in calls of the coder.

Every coder has a preset: ``"default"`` has words of 32 bits and probabilities in units of 2^-24, ``"small"`` words
of 16 bits and units of 2^-12, for short messages.  Models work with both.

Models do not change: they are compared by their parameters, their ``repr`` makes an equal one (of up to 1000
probabilities; ``np`` is NumPy there), and they pickle where their functions do.  Coders change with every symbol: they
pickle and copy with all that they hold, and go on from there, but are compared by identity, as NumPy's random
generators are.

All errors are `ValueError`, but for those of functions of custom models; a call that fails leaves the coder as it
was.

Examples
--------
>>> import numpy as np
>>> from arraycodec.coders import AnsCoder, QuantizedGaussian
>>> symbols = np.array([12, 15, 4, -2, 18, 5], np.int32)
>>> coder = AnsCoder()
>>> coder.encode_reverse(symbols, QuantizedGaussian(-100, 100, 12.6, 7.3))
>>> coder.get_compressed()
array([745994372,     25704], dtype=uint32)
>>> coder.decode(QuantizedGaussian(-100, 100, 12.6, 7.3), 6)
array([12, 15,  4, -2, 18,  5], dtype=int32)

References
----------
J. Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding", arXiv:1311.2540.

R. Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems (ANS): a Statistician's Perspective",
arXiv:2201.01741.

G. N. N. Martin, "Range encoding: an algorithm for removing redundancy from a digitised message", Video & Data
Recording Conference, Southampton, 1979.
"""

from arraycodec.coders.lanes import LaneAnsCoder, pack_matrices, unpack_matrices
from arraycodec.coders.models import (
    Bernoulli,
    Categorical,
    CustomModel,
    Frequencies,
    Model,
    QuantizedCauchy,
    QuantizedGaussian,
    QuantizedLaplace,
    ScipyModel,
    Uniform,
)
from arraycodec.coders.streams import AnsCoder, ChainCoder, RangeDecoder, RangeEncoder

__all__ = [
    "AnsCoder",
    "Bernoulli",
    "Categorical",
    "ChainCoder",
    "CustomModel",
    "Frequencies",
    "LaneAnsCoder",
    "Model",
    "QuantizedCauchy",
    "QuantizedGaussian",
    "QuantizedLaplace",
    "RangeDecoder",
    "RangeEncoder",
    "ScipyModel",
    "Uniform",
    "pack_matrices",
    "unpack_matrices",
]
