"""LowRankQuant: matrices as products of few rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .hosted import HostedCodec
from .lowrankconfig import LowRankConfig
from .names import Factorization


class LowRankQuant(HostedCodec):
    """Codec for matrices that are nearly of low rank: quantized, entropy-coded factors, and perhaps what they lack.

    Parameters
    ----------
    rank : int, optional
        So many components; they are rounded so that the error grows by about half a percent.
    bits_per_value : float, optional
        The smallest error (Frobenius norm) that so many bits buy, everything stored included.
    rel_error : float, optional
        The smallest chunk with ``||A - A'|| <= rel_error * ||A||`` (Frobenius norms); down to about 1e-8, as factors
        are integers whose sums of products stay below 2**53.  One of these three is given, or `tol`.
    method : {"svd", "lplr", "lsvd", "dsvd"}
        ``"svd"``: the singular value decomposition, every component rounded as its singular value deserves.  The others
        are published methods with fixed numbers of bits, for comparisons: their entries are entropy-coded, too.
    tol : float, optional
        Absolute tolerance, above 0, that holds for every value as in `AnsQuant`: the product is a predictor, and what
        is left of it is stored.  `rank` may be given beside it; else it is chosen.  Where no product makes the chunk
        smaller, it is that of `AnsQuant`.  NaN and infinities come back bit for bit; without `tol` they raise.
    bits : (int, int), optional
        Of the published methods: bits of an entry of the left and of the right factor, 1 to 16; without it (8, 8).
    row_axes : int
        The first so many axes make the rows of the matrix, the others its columns.
    level : int, optional
        How hard the encoder looks: 1 is fast, 9 the smallest; None is the default, 5.
    seed : int
        Of the random sketch: the result is the same for the same seed and machine (singular vectors depend on the
        machine's linear algebra; what a chunk decodes to does not).
    threads : int, optional
        As of `AnsQuant`.

    Raises
    ------
    TypeError
        If a parameter has the wrong type.
    ParameterError
        If one is out of its range, or two say different things.

    Notes
    -----
    Write whole chunks: what is written again is factorized again, with new errors, so `hdf5.write` and Zarr v3 refuse
    to write a part of a chunk that is there (Zarr v2 and HDF5 itself cannot be told).  Chunks at the edges of an
    array are padded by their host; a fill value far from the values spoils such a chunk.

    Arrays are float16, float32, float64 or bfloat16, of at least two axes.  Such a codec pays where few modes
    dominate: ``docs/low-rank.md`` says where, and where not, with numbers.  In HDF5 chunks are written by
    `arraycodec.hdf5.write`; what HDF5 itself writes into such a dataset is stored within `tol` by values, and without
    `tol` as it is.

    References
    ----------
    N. Halko, P.-G. Martinsson, J. A. Tropp: "Finding structure with randomness", SIAM Review 53, 2011.  R. Saha, V.
    Srivastava, M. Pilanci: "Matrix compression via randomized low rank and low precision factorization", NeurIPS 2023,
    arXiv:2310.11028 ("lplr", "lsvd").

    Examples
    --------
    >>> import numpy as np
    >>> from arraycodec import LowRankQuant
    >>> t, x = np.linspace(0, 1, 300)[:, None], np.linspace(0, 1, 400)
    >>> field = np.sin(9 * t) * np.cos(5 * x) + 0.1 * np.sin(40 * t) * x
    >>> q = LowRankQuant(rel_error=1e-3)
    >>> chunk = q.encode(field)
    >>> bool(np.linalg.norm(q.decode(chunk) - field) <= 1e-3 * np.linalg.norm(field)), len(chunk) < field.nbytes / 300
    (True, True)
    """

    codec_id = "lowrankquant"
    zarr3_name = "arraycodec.lowrankquant"
    _config: LowRankConfig
    _names = ("rank", "bits_per_value", "rel_error", "method", "tol", "bits", "row_axes", "level", "seed")

    def __init__(
        self,
        rank: int | None = None,
        *,
        bits_per_value: float | None = None,
        rel_error: float | None = None,
        method: Factorization = "svd",
        tol: float | None = None,
        bits: Sequence[int] | None = None,
        row_axes: int = 1,
        level: int | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        pair: Any = bits  # which is checked there
        self._open(LowRankConfig(rank, bits_per_value, rel_error, method, tol, pair, row_axes, level, seed), threads)

    @property
    def rank(self) -> int | None:
        """How many components, or None where that is chosen."""
        return self._config.rank

    @property
    def bits_per_value(self) -> float | None:
        """How large a chunk may be, or None."""
        return self._config.bits_per_value

    @property
    def rel_error(self) -> float | None:
        """How large the relative error may be, or None."""
        return self._config.rel_error

    @property
    def method(self) -> str:
        """Where factors come from."""
        return self._config.method

    @property
    def tol(self) -> float | None:
        """The absolute tolerance, or None."""
        return self._config.tol

    @property
    def bits(self) -> tuple[int, int] | None:
        """Of the published methods: bits of an entry, or None for the default."""
        return self._config.bits

    @property
    def row_axes(self) -> int:
        """How many axes make the rows."""
        return self._config.row_axes

    @property
    def level(self) -> int | None:
        """How hard the encoder looks, or None for the default."""
        return self._config.level

    @property
    def seed(self) -> int:
        """Of the random sketch."""
        return self._config.seed
