"""StochasticQuant: unbiased rounding to a few levels, for what is averaged afterwards."""

from __future__ import annotations

from .hosted import HostedCodec
from .names import Norm, Packing, Rounding
from .stochasticconfig import StochasticConfig


class StochasticQuant(HostedCodec):
    """Codec for gradients and other floats that are averaged: rounded at random to few levels, without bias.

    Values share a norm in buckets; every value becomes a multiple of the bucket's step, ``norm / (2**bits - 1)`` or a
    little less, and the multiples are entropy-coded (rANS).  What comes back is, on the average over seeds, what was
    encoded: errors of many workers or steps cancel out, as those of deterministic rounding do not.

    Parameters
    ----------
    bits : int
        1 to 9: there are ``2**bits - 1`` steps from zero to the norm.
    norm : {"l2", "max"}
        Of a bucket: the Euclidean norm, as published, or the largest magnitude, with which steps are smaller, and
        chunks larger.
    bucket : int or None
        How many consecutive values (in memory order) share a norm; None: all of a chunk.
    method : {"dither", "qsgd"}
        ``"dither"``: a random shift before the rounding, which the decoder takes back (subtractive dither).  The
        error is at most half a step, ``norm / (2**bits - 1) / 2``, and is independent of the value.
        ``"qsgd"``: up or down at random, as published.  Zeros stay zeros, and the error is less than a step.
    packing : {"rans", "fixed"}
        ``"fixed"`` stores ``2 + bits`` bits a value, for comparisons.
    seed : int, optional
        0 to 2**64 - 1; the same seed and values give the same bytes on every machine, with any number of threads.
        None: a new one for each chunk (in HDF5 for each dataset).  The random numbers depend on the values, too:
        chunks of different values have different ones, whatever the seed.
    threads : int, optional
        As of `AnsQuant`.

    Raises
    ------
    TypeError
        If a parameter has the wrong type.
    ParameterError
        If one is out of its range.

    Notes
    -----
    Write whole chunks: what is written again is rounded again, and errors add up, so `hdf5.write` and Zarr v3 refuse to
    write a part of a chunk that is there (Zarr v2 and HDF5 itself cannot be told).  Chunks at the edges of an array are
    padded by their host; a fill value far from the values spoils the norm of its bucket, and NaN is refused.

    Arrays are float16, float32, float64 or bfloat16.  NaN and infinities raise `NotFiniteError` (a `ParameterError`)
    when they are encoded, before anything is written.  Workers whose values are equal must not share a seed: their
    errors would be equal, too.  ``docs/stochastic.md`` has what is promised, with proofs and measurements.

    References
    ----------
    D. Alistarh, D. Grubic, J. Li, R. Tomioka, M. Vojnovic: "QSGD: Communication-efficient SGD via gradient
    quantization and encoding", NeurIPS 2017, arXiv:1610.02132.  L. Schuchman: "Dither signals and their effect on
    quantization noise", IEEE Trans. Commun. Technol. 12, 1964.  J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw:
    "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x64-10).

    Examples
    --------
    >>> import numpy as np
    >>> from arraycodec import StochasticQuant
    >>> gradient = np.random.default_rng(0).normal(size=4096).astype("f4")
    >>> q = StochasticQuant(bits=4, norm="max", seed=1)
    >>> error = q.decode(q.encode(gradient)) - gradient
    >>> bool(np.abs(error).max() <= np.abs(gradient).max() / 15 / 2)
    True
    """

    codec_id = "stochasticquant"
    zarr3_name = "arraycodec.stochasticquant"
    _config: StochasticConfig
    _names = ("bits", "norm", "bucket", "method", "packing", "seed")

    def __init__(
        self,
        bits: int = 4,
        norm: Norm = "l2",
        bucket: int | None = 512,
        method: Rounding = "dither",
        *,
        packing: Packing = "rans",
        seed: int | None = None,
        threads: int = 1,
    ) -> None:
        self._open(StochasticConfig(bits, norm, bucket, method, packing, seed), threads)

    @property
    def bits(self) -> int:
        """Levels are multiples of the norm over ``2**bits - 1``."""
        return self._config.bits

    @property
    def norm(self) -> str:
        """What a step is a part of."""
        return self._config.norm

    @property
    def bucket(self) -> int | None:
        """Values that share a norm, or None for all of a chunk."""
        return self._config.bucket

    @property
    def method(self) -> str:
        """How values are rounded."""
        return self._config.method

    @property
    def packing(self) -> str:
        """How levels are stored."""
        return self._config.packing

    @property
    def seed(self) -> int | None:
        """The seed, or None for a new one each time."""
        return self._config.seed
