"""Matrices as products of quantized low-rank factors: the numerics, without a byte format.

A matrix A (m x n) becomes ``scale * sum_k weights[k] * outer(rows[k], columns[k])`` with factors of small integers,
which `arraycodec.encode` then stores without loss.  Two ways lead there:

- "svd": the singular value decomposition, every factor quantized as finely as its singular value deserves.
- "lplr", "lsvd" and "dsvd": the methods of R. Saha, V. Srivastava and M. Pilanci, "Matrix Compression via Randomized
  Low Rank and Low Precision Factorization" (NeurIPS 2023, arXiv:2310.11028), with fixed numbers of bits.

How "svd" spends bits.  With A = sum_k s_k u_k v_k^T and one step c for the whole matrix, rows[k] = u_k s_k / c and
columns[k] = v_k s_k / c, rounded.  Then a coefficient of any component, rounded, changes A by the same energy c^2 / 12:
that is reverse water-filling, the best that can be done if every coefficient has its entropy as its price.  Component
k is worth its price while s_k^2 > `_WORTH` c^2 (m + n); so c alone, the only unknown that a search has to find,
decides the rank too.  What rounding one factor spoils, the other repairs in part: each is fitted to A again by least
squares, given the other as it was rounded, and rounded again, `level` - 1 times in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._core import DEFAULT_LEVEL
from .codec import encode
from .errors import ParameterError

__all__ = ["METHODS", "Factors", "factorize", "predictor", "randomized_svd"]

METHODS = ("svd", "lplr", "lsvd", "dsvd")

# Least s_k^2 / (c^2 (m + n)) of a component that is kept.  The theory says about 0.26 (1/12 for the noise it brings,
# and 1.5 bits for a coefficient); fitting repairs more where there are more components, so that less is best.
_WORTH = 0.16
# Magnitudes are rounded down a little more often than up: zeros are cheap.
_ROUND = 0.45
# Variance of what rounding adds to a coefficient, the weight of the ridge in a fit: half of 1/12, for part of the
# noise is fitted away.
_RIDGE = 0.5 / 12
# Weight of the first component.  The others follow in proportion to 1 / s_k, whole; that they are not exact costs
# nothing that could be measured, as factors are rounded given their weights, and small ones take one byte.
_FIRST_WEIGHT = 8
_MAX_WEIGHT = 2**31 - 1
_MAX_SUM = 2.0**53
# By rank alone: energy of rounding errors relative to what truncation loses, and least amplitude relative to A.
_NOISE, _LEAST_NOISE = 0.01, 1e-6
# Of the published methods: parts of a unit of the product in which offsets of levels are stored.
_OFFSETS = 256
# In Fortran order the coder's groups, of so many values, hold the same components in every row if this divides the
# rank; that saves up to 2 %.
_GROUP = 64
# Bytes of a stored matrix besides the chunks of the factors and the weights.
_OVERHEAD = 80
# Matrices up to this length of the shorter side are decomposed completely.
_SMALL = 512


@dataclass(frozen=True)
class Factors:
    """A matrix as ``scale * sum_k weights[k] * outer(rows[k], columns[k])``.

    Attributes
    ----------
    rows, columns : numpy.ndarray
        int32, (rank, m) and (rank, n); in the memory order, C or Fortran, in which `encode` stores them smaller.
    weights : numpy.ndarray
        int64, (rank,), 1 to 2**31 - 1.  The sum of ``weights[k] * max|rows[k]| * max|columns[k]|`` is below 2**53, so
        that the sum of products is exact in doubles, in whichever order it is computed.
    scale : float
        Positive and finite.
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    scale: float

    @property
    def rank(self) -> int:
        return len(self.weights)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.shape[1], self.columns.shape[1]

    def product(self) -> np.ndarray:
        """The matrix, float64; what exceeds the largest double is clamped to it."""
        whole = (self.rows * self.weights[:, None].astype("f8")).T @ self.columns.astype("f8")
        with np.errstate(over="ignore"):
            whole *= self.scale
        largest = np.finfo("f8").max
        return np.clip(whole, -largest, largest, out=whole)

    def nbytes(self, level: int | None = None) -> int:
        """Bytes of the stored matrix: both chunks at `level`, the weights as varints, and the rest."""
        chunks = sum(len(encode(f, tol=0, level=level)) for f in (self.rows, self.columns))
        return chunks + _bytes_of_weights(self.weights) + _OVERHEAD


def randomized_svd(matrix: np.ndarray, rank: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest singular values and their vectors.

    A randomized range finder (Halko, Martinsson and Tropp, SIAM Review 53, 2011) with oversampling and two power
    iterations; the complete decomposition if the matrix is small or `rank` more than half of the shorter side.

    Parameters
    ----------
    matrix : numpy.ndarray
        float32 or float64, finite, not empty.  Iterations of float32 matrices are in float32.
    rank : int
        At least 1.
    seed : int
        The result is the same for the same seed, numpy and machine.

    Returns
    -------
    u : numpy.ndarray
        float64, (m, k), k = min(rank, m, n).
    s : numpy.ndarray
        float64, (k,), not increasing.
    vt : numpy.ndarray
        float64, (k, n).
    """
    shorter = min(matrix.shape)
    if shorter <= _SMALL or rank > shorter // 2:
        u, s, vt = np.linalg.svd(matrix.astype("f8"), full_matrices=False)
        return u[:, :rank], s[:rank], vt[:rank]
    width = min(shorter, rank + max(16, rank // 16))
    rng = np.random.default_rng(seed)
    basis = matrix @ rng.standard_normal((matrix.shape[1], width), dtype=matrix.dtype)
    for _ in range(2):
        basis = matrix.T @ _orthonormal(basis)[0].astype(matrix.dtype)
        basis = matrix @ _orthonormal(basis)[0].astype(matrix.dtype)
    # From here in float64: what the components leave is the small difference of two large energies.
    basis = _orthonormal(basis)[0]
    q, r = _orthonormal(matrix.T.astype("f8") @ basis)
    v, s, ut = np.linalg.svd(r)
    return (basis @ ut.T)[:, :rank], s[:rank], (q @ v)[:, :rank].T


def _orthonormal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis q of the columns, float64, and r, so that x = q @ r.

    By the Cholesky factor of the products of columns, twice: matrix products are many times as fast as Householder's
    steps where threads have to wait for each other.  Ill-conditioned columns need the latter.
    """
    q, r = x.astype("f8"), np.eye(x.shape[1])
    for _ in range(2):
        try:
            factor = np.linalg.cholesky(q.T @ q)
        except np.linalg.LinAlgError:
            return np.linalg.qr(x.astype("f8"))
        diagonal = factor.diagonal()
        if diagonal.min() < 1e-6 * diagonal.max():
            return np.linalg.qr(x.astype("f8"))
        q, r = q @ np.linalg.inv(factor).T, factor.T @ r
    return q, r


def factorize(
    matrix: np.ndarray,
    *,
    rank: int | None = None,
    bits_per_value: float | None = None,
    rel_error: float | None = None,
    method: str = "svd",
    bits: tuple[int, int] = (8, 8),
    level: int | None = None,
    seed: int = 0,
) -> Factors:
    """Quantized low-rank factors of a matrix, for one of three targets.

    Parameters
    ----------
    matrix : numpy.ndarray
        float16, float32 or float64, (m, n), finite, not empty.
    rank : int, optional
        Keep this many components (fewer if the others are below the noise).  "svd" makes the energy of the rounding
        errors about a hundredth of that which truncation loses (so that the error grows by half a percent), but their
        norm no less than 1e-6 of the matrix's.
    bits_per_value : float, optional
        The smallest error found with all stored bytes at most ``bits_per_value * m * n / 8``.  The published methods
        take the largest rank whose factors fit without entropy coding.
    rel_error : float, optional
        The smallest factors found with ||A - A'|| <= rel_error * ||A|| (Frobenius norms; A' as `matrix`'s dtype), above
        0 and below 1; "svd" only.
    method : {"svd", "lplr", "lsvd", "dsvd"}
    bits : (int, int)
        Of the published methods: bits of an entry of the left and of the right factor, 1 to 16.
    level : int, optional
        As of `encode`; "svd" fits factors again `level` - 1 times.
    seed : int
        Of the random numbers.

    Returns
    -------
    Factors
        Of rank 0 if the matrix is zero.

    Raises
    ------
    TypeError
        If `matrix` is not of floats.
    ParameterError
        If `matrix` is not a matrix of finite numbers, not exactly one target is given, a target is out of range or
        cannot be met, or `method` is another name.
    """
    level = DEFAULT_LEVEL if level is None else level
    a = _checked(matrix)
    targets = {"rank": rank, "bits_per_value": bits_per_value, "rel_error": rel_error}
    given = {name: value for name, value in targets.items() if value is not None}
    if len(given) != 1:
        named = ", ".join(f"{name}={value}" for name, value in given.items()) or "none of them"
        raise ParameterError(f"give one of rank, bits_per_value and rel_error, not {named}")
    if method not in METHODS:
        raise ParameterError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if rank is not None and rank < 1:
        raise ParameterError(f"rank must be at least 1, not {rank}")
    if bits_per_value is not None and not 0 < bits_per_value < math.inf:
        raise ParameterError(f"bits_per_value must be positive, not {bits_per_value}")
    if rel_error is not None and not 0 < rel_error < 1:
        raise ParameterError(f"rel_error must be above 0 and below 1, not {rel_error}")
    if method != "svd":
        if rel_error is not None:
            raise ParameterError(f'rel_error={rel_error} needs method="svd", not {method!r}')
        return _published(a, rank, bits_per_value, method, bits, level, seed)
    search = _Search(a, np.asarray(matrix).dtype, level, seed)
    if search.norm == 0:
        return _within(search.nothing(), a, bits_per_value, level)
    if rank is not None:
        return search.by_rank(rank)
    if bits_per_value is not None:
        return search.by_bits(bits_per_value)
    assert rel_error is not None  # one of the three is given
    return search.by_error(rel_error)


def predictor(
    matrix: np.ndarray, tol: float, level: int | None = None, seed: int = 0, shape: tuple[int, ...] | None = None
) -> Factors:
    """The product from which a matrix is best predicted, if what is left is stored too, within a tolerance.

    The residuals ``round((A - product) / (2 tol))`` are meant to be coded as integers without loss.  A component is
    worth its price if it saves more bits of them; what rounding adds to a coefficient should then have the variance of
    a residual, so that the rank decides the step.  Ranks of a short list are tried, with real sizes.

    Parameters
    ----------
    matrix : numpy.ndarray
        As of `factorize`.
    tol : float
        Absolute tolerance, above 0.
    level : int, optional
        As of `encode`.
    seed : int
    shape : tuple of int, optional
        Of the array whose values the matrix has; residuals are coded in it, as the array would be without a product.

    Returns
    -------
    Factors
        Of rank 0 if nothing was found that is smaller than ``encode(matrix, tol)``.

    Raises
    ------
    TypeError, ParameterError
        As `factorize`; also if `tol` is not positive.
    """
    if not 0 < tol < math.inf:
        raise ParameterError(f"tol must be positive, not {tol}")
    a = _checked(matrix)
    if shape is not None and math.prod(shape) != a.size:
        raise ParameterError(f"an array of shape {shape} has not the values of a matrix of shape {a.shape}")
    search = _Search(a, np.asarray(matrix).dtype, DEFAULT_LEVEL if level is None else level, seed)
    return search.by_tolerance(tol, a.shape if shape is None else shape)


def _checked(matrix: np.ndarray) -> np.ndarray:
    a = np.asarray(matrix)
    if a.dtype.kind != "f" or a.dtype.itemsize > 8:
        raise TypeError(f"low rank is for float16, float32 and float64, not {a.dtype}")
    if a.ndim != 2 or a.size == 0:
        raise ParameterError(f"low rank is for matrices with values in them, not for shape {a.shape}")
    a = a.astype("f8" if a.dtype.itemsize == 8 else "f4", copy=False)
    if not np.isfinite(a).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise ParameterError(f"low rank is for finite numbers, not {a[where]} (at {where})")
    return a


def _bytes_of_weights(weights: np.ndarray) -> int:
    return sum(-(-int(w).bit_length() // 7) for w in weights)


def _budget(a: np.ndarray, bits_per_value: float) -> float:
    return bits_per_value * a.size / 8


def _over_budget(bits_per_value: float, a: np.ndarray, least: int) -> ParameterError:
    return ParameterError(
        f"bits_per_value={bits_per_value} is {_budget(a, bits_per_value):.0f} bytes for shape {a.shape}; "
        f"the least is {least} bytes, bits_per_value={8 * least / a.size:.4g}"
    )


def _within(factors: Factors, a: np.ndarray, bits_per_value: float | None, level: int) -> Factors:
    """The factors, or an error that names their size if that is over the budget."""
    if bits_per_value is not None and factors.nbytes(level) > _budget(a, bits_per_value):
        raise _over_budget(bits_per_value, a, factors.nbytes(level))
    return factors


def _arranged(factor: np.ndarray, level: int) -> tuple[np.ndarray, int]:
    """A factor as int32 in the memory order in which its chunk is smaller, and the size of that."""
    orders = (factor.astype("i4", order="C"), factor.astype("i4", order="F"))
    sizes = [len(encode(f, tol=0, level=level)) for f in orders]
    best = int(sizes[1] < sizes[0])
    return orders[best], sizes[best]


def _rounded(x: np.ndarray) -> np.ndarray:
    return np.copysign(np.floor(np.abs(x) + _ROUND), x)


def _fit(given: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The other factor by least squares, with a ridge as large as what rounding added to the one that is given."""
    gram = given @ given.T
    gram[np.diag_indices_from(gram)] += _RIDGE * given.shape[1]
    return np.linalg.solve(gram, products)


@dataclass(frozen=True)
class _Measured:
    factors: Factors
    size: int
    error: float  # relative
    c: float


class _Search:
    """One matrix, its decomposition as deep as was needed until now, and the searches for the step c."""

    def __init__(self, a: np.ndarray, dtype: np.dtype, level: int, seed: int) -> None:
        self.original, self.dtype, self.level, self.seed = a, dtype, level, seed
        # By a power of two, which is exact, so that no square overflows.
        self.exponent = int(np.frexp(np.abs(a).max())[1])
        self.a = np.ldexp(a.astype("f8"), -self.exponent)
        self.norm = float(np.linalg.norm(self.a))
        self.sides = sum(a.shape)
        self.u, self.s, self.vt = np.empty((a.shape[0], 0)), np.empty(0), np.empty((0, a.shape[1]))

    def nothing(self) -> Factors:
        m, n = self.a.shape
        return Factors(np.empty((0, m), "i4"), np.empty((0, n), "i4"), np.empty(0, "i8"), 1.0)

    def _decompose(self, rank: int) -> None:
        """Have at least `rank` components, or all."""
        if len(self.s) < min(rank, *self.a.shape):
            self.u, self.s, self.vt = randomized_svd(self.a.astype(self.original.dtype), rank, self.seed)

    def _least(self, c: float) -> float:
        """Singular value from which on a component is worth its price."""
        return c * math.sqrt(_WORTH * self.sides)

    def _rank_at(self, c: float) -> int:
        """How many components are."""
        self._decompose(32)
        while self.s[-1] > self._least(c) and len(self.s) < min(self.a.shape):
            self._decompose(2 * len(self.s))
        return max(1, int((self.s > self._least(c)).sum()))

    def _tail(self, rank: int) -> float:
        """Norm of what the components beyond `rank` are."""
        if len(self.s) == min(self.a.shape):
            return float(np.linalg.norm(self.s[rank:]))
        return math.sqrt(max(0.0, self.norm**2 - float((self.s[:rank] ** 2).sum())))

    def _coarsest(self) -> float:
        """The step at which nothing but the first component is worth anything."""
        self._decompose(1)
        return float(self.s[0]) / math.sqrt(_WORTH * self.sides)

    def _first_weight(self, c: float, rank: int) -> int:
        """The largest that leaves room in the sum of products; 0 if there is none."""
        u, s, v = np.abs(self.u[:, :rank]).max(0), self.s[:rank], np.abs(self.vt[:rank]).max(1)
        # Twice what the factors are now, because fitting moves them.
        total = 2 * float(s[0] * (s * u * v).sum()) / c**2
        if 2 * float((s * np.maximum(u, v)).max()) / c >= 2**31:
            return 0
        first = _FIRST_WEIGHT
        while first and (total * first >= _MAX_SUM or s[0] * first > s[rank - 1] * _MAX_WEIGHT):
            first //= 2
        return first

    def _factors(self, c: float, rank: int, fits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
        """Rows, columns, weights and scale (in the units of `a`) with this step; None if it is too fine to be exact."""
        first = self._first_weight(c, rank)
        if not first:
            return None
        s = self.s[:rank]
        weights = np.rint(first * s[0] / s)
        scale = self._representable(c**2 / (first * s[0]))
        steps = weights * scale
        spread = np.sqrt(s / steps)[:, None]
        rows, columns = _rounded(self.u[:, :rank].T * spread), _rounded(self.vt[:rank] * spread)
        for i in range(fits):
            if i % 2 == 0:
                columns = _rounded(_fit(rows, rows @ self.a) / steps[:, None])
            else:
                rows = _rounded(_fit(columns, columns @ self.a.T) / steps[:, None])
        kept = rows.any(1) & columns.any(1)
        rows, columns, weights = rows[kept], columns[kept], weights[kept]
        highest = [np.abs(f).max(1, initial=0) for f in (rows, columns)]
        if (weights * highest[0] * highest[1]).sum() >= _MAX_SUM or max(h.max(initial=0) for h in highest) >= 2**31:
            return None
        return rows, columns, weights, scale

    def _representable(self, scale: float) -> float:
        """The nearest scale that, as one of the original, is a double and not 0: subnormal numbers are few."""
        return math.ldexp(max(math.ldexp(scale, self.exponent), 5e-324), -self.exponent)

    def _decoded(self, whole: np.ndarray) -> np.ndarray:
        """A product as it comes back in the dtype of the matrix, so that this rounding is in the error, too."""
        if self.dtype.itemsize == 8:
            return whole
        largest = float(np.finfo(self.dtype).max)
        rounded = np.clip(np.ldexp(whole, self.exponent), -largest, largest).astype(self.dtype)
        return np.ldexp(rounded.astype("f8"), -self.exponent)

    def measured(self, c: float, rank: int) -> _Measured | None:
        """Factors with this step, and what they take and miss; None if it is too fine to be exact in doubles."""
        found = self._factors(c, rank, self.level - 1)
        if found is None:
            return None
        rows, columns, weights, scale = found
        whole = (rows * weights[:, None]).T @ columns
        energy = float(np.vdot(whole, whole))
        if energy:
            scale = self._representable(abs(float(np.vdot(whole, self.a))) / energy)
        whole *= scale
        error = float(np.linalg.norm(self.a - self._decoded(whole))) / self.norm
        (rows, size_of_rows), (columns, size_of_columns) = _arranged(rows, self.level), _arranged(columns, self.level)
        factors = Factors(rows, columns, weights.astype("i8"), math.ldexp(scale, self.exponent))
        size = size_of_rows + size_of_columns + _bytes_of_weights(factors.weights) + _OVERHEAD
        return _Measured(factors, size, error, c)

    def by_rank(self, rank: int) -> Factors:
        self._decompose(rank)
        rank = min(rank, len(self.s))
        noise = max(math.sqrt(_NOISE) * self._tail(rank), _LEAST_NOISE * self.norm)
        c = noise * math.sqrt(12 / (rank * self.sides))
        while True:
            found = self.measured(c, max(1, int((self.s[:rank] > self._least(c)).sum())))
            if found is not None:
                return found.factors
            c *= 1.25

    def by_error(self, rel_error: float) -> Factors:
        def fine(c: float) -> bool:
            rank = self._rank_at(c)
            noise = rank * self.sides * c**2 / 16  # 12, were nothing of it fitted away
            return self._tail(rank) ** 2 + noise <= (rel_error * self.norm) ** 2 or not self._first_weight(c, rank)

        tried = self._close_in(self._first(fine), lambda found: math.log(max(found.error / rel_error, 1e-3)), 1)
        met = [found for found in tried if found.error <= rel_error]
        if not met:
            least = min((found.error for found in tried), default=1.0)
            raise ParameterError(f"rel_error={rel_error} cannot be reached for this matrix; the least is {least:.3g}")
        return min(met, key=lambda found: found.size).factors

    def by_bits(self, bits_per_value: float) -> Factors:
        budget = _budget(self.a, bits_per_value)

        def fine(c: float) -> bool:
            found = self._factors(c, self._rank_at(c), 0)
            return found is None or sum(len(encode(f.astype("i4"), tol=0)) for f in found[:2]) + _OVERHEAD > budget

        # A coefficient takes about three bits, as a rule; if it is less, there will be more components.
        self._decompose(min(int(8 * budget / (3 * self.sides)) + 1, min(self.a.shape) // 2))
        tried = self._close_in(self._first(fine), lambda found: math.log(found.size / budget), -1)
        met = [found for found in tried if found.size <= budget]
        if not met:
            raise _over_budget(bits_per_value, self.original, min(found.size for found in tried))
        return min(met, key=lambda found: found.error).factors

    def by_tolerance(self, tol: float, shape: tuple[int, ...]) -> Factors:
        best, least = self.nothing(), len(encode(self.original.reshape(shape), tol=tol, level=self.level))
        # Beyond these limits nothing is left to predict, or more than products predict.
        if self.norm == 0 or not 2.0**-40 < math.ldexp(tol, -self.exponent) < 1:
            return best
        worse = 0
        for rank in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256):
            if rank > min(self.a.shape):
                break
            self._decompose(rank)
            step = math.ldexp(2 * tol, -self.exponent)
            c = math.hypot(math.sqrt(12 / self.a.size) * self._tail(rank), step)
            found = self.measured(c, max(1, int((self.s[:rank] > self._least(c)).sum())))
            if found is None:
                continue
            residuals = np.rint((self.original - found.factors.product()) / (2 * tol))
            if np.abs(residuals).max() >= 2**31:
                continue
            size = found.size + len(encode(residuals.astype("i4").reshape(shape), tol=0, level=self.level))
            if size < least:
                best, least, worse = found.factors, size, 0
            else:
                worse += 1
            if worse == 6:
                break
        return best

    def _first(self, fine: Callable[[float], bool]) -> float:
        """About the coarsest step that is fine enough, sought from the coarse side: fine ones need more components."""
        high = low = self._coarsest()
        for _ in range(64):
            if fine(low):
                break
            high, low = low, low / 2
        while high > low * 1.1:
            middle = math.sqrt(low * high)
            if fine(middle):
                low = middle
            else:
                high = middle
        return low

    def _close_in(self, c: float, excess: Callable[[_Measured], float], sign: int) -> list[_Measured]:
        """Factors at steps that come close to where `excess` is 0 or a little less, from c on.

        `sign` is 1 if `excess` grows with the step, else -1.
        """
        tried: list[_Measured] = []
        self._approach(c, self._rank_at, excess, sign, tried)
        met = [found for found in tried if excess(found) <= 0]
        if met:
            found = max(met, key=excess)
            rank = found.factors.rank
            whole = (rank + _GROUP // 2) // _GROUP * _GROUP
            if whole == rank and excess(found) > -0.003:
                return tried
            if abs(whole - rank) < rank / 6 and not found.factors.rows.flags.c_contiguous:
                self._decompose(whole)
                if len(self.s) >= whole and self.s[whole - 1] > self._least(found.c) / 2:
                    self._approach(found.c, lambda c: whole, excess, sign, tried)
        return tried

    def _approach(
        self, c: float, rank_at: Callable[[float], int], excess: Callable[[_Measured], float], sign: int,
        tried: list[_Measured],
    ) -> None:  # fmt: skip
        aim = -0.0005 * sign
        fine: tuple[float, float] | None = None  # log2 of the step; excess with the sign of "too coarse"
        coarse: tuple[float, float] | None = None
        floor, top, stride, x = -math.inf, math.log2(self._coarsest()), 0.0, math.log2(c)
        for i in range(30):
            found = self.measured(2.0**x, rank_at(2.0**x))
            if found is None:
                floor = x
            else:
                tried.append(found)
                value = excess(found)
                if -0.001 < value <= 0:
                    return
                if sign * value > 0:
                    coarse = (x, sign * value)
                else:
                    fine = (x, sign * value)
                stride = max(2 * stride, min(abs(value), 2.0), 0.01)
            if fine and coarse:
                share = (aim - fine[1]) / (coarse[1] - fine[1]) if i % 3 else 0.5
                x = fine[0] + min(max(share, 0.05), 0.95) * (coarse[0] - fine[0])
            elif fine:
                if x >= top:
                    return
                x = min(top, x + stride)
            elif coarse:
                x = max(x - stride, (floor + coarse[0]) / 2)
            else:
                x += 0.1
            nearest = fine[0] if fine else floor
            if coarse and coarse[0] - nearest < 0.001:
                return


def _published(
    a: np.ndarray, rank: int | None, bits_per_value: float | None, method: str, bits: tuple[int, int], level: int,
    seed: int,
) -> Factors:  # fmt: skip
    """LPLR, LSVD or DSVD, as their authors' program has them: levels reach from the least entry to the greatest."""
    left, right = bits
    if not (1 <= left <= 16 and 1 <= right <= 16):
        raise ParameterError(f"bits must be 1 to 16 for each factor, not {bits}")
    m, n = a.shape
    if bits_per_value is not None:
        rank = int(bits_per_value * a.size // (left * m + right * n))
        if rank < 1:
            least = (left * m + right * n) / a.size
            raise ParameterError(f"bits_per_value={bits_per_value} is less than rank 1 with bits={bits}: {least:.4g}")
    assert rank is not None
    rank = min(rank, m, n)
    exponent = int(np.frexp(np.abs(a).max())[1])
    x = np.ldexp(a.astype("f8"), -exponent)
    rng = np.random.default_rng(seed)
    if method == "lplr":
        basis = x @ rng.standard_normal((n, rank)) / math.sqrt(rank)
    else:
        # Complete, as published: of "dsvd" the error depends on the signs of the vectors.
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        u, s, vt = u[:, :rank], s[:rank], vt[:rank]
        basis = u if method == "dsvd" else (u * s) @ rng.standard_normal((rank, rank)) / math.sqrt(rank)
    p, p_step, p_offset = _uniform(basis, left)
    if method == "dsvd":
        rest = s[:, None] * vt
    else:
        rest = np.linalg.lstsq((p + p_offset) * p_step, x, rcond=None)[0]
    q, q_step, q_offset = _uniform(rest, right)
    # (p + p_offset) @ (q + q_offset): the offsets, which are not whole, make two more components.
    of_rows, of_columns = _OFFSETS * q_offset * p.sum(1), _OFFSETS * p_offset * (q.sum(0) + rank * q_offset)
    units = [2.0 ** max(0, int(np.frexp(np.abs(f).max())[1]) - 30) for f in (of_rows, of_columns)]
    rows = np.vstack([p.T, np.rint(of_rows / units[0]), np.ones(m)])
    columns = np.vstack([q, np.ones(n), np.rint(of_columns / units[1])])
    weights = np.array([_OFFSETS] * rank + units).astype("i8")
    scale = max(math.ldexp(p_step * q_step / _OFFSETS, exponent), 5e-324)
    return Factors(_arranged(rows, level)[0], _arranged(columns, level)[0], weights, scale)


def _uniform(x: np.ndarray, bits: int) -> tuple[np.ndarray, float, float]:
    """The nearest of 2**bits levels from the least entry to the greatest, (k + offset) * step: k, step and offset."""
    low, high = float(x.min()), float(x.max())
    if high - low < 1e-3 * max(abs(low), abs(high)):  # the offset would be huge
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return np.zeros_like(x), 1.0, 0.0
    top = 2**bits - 1
    step = (high - low) / top
    index = np.clip(np.floor((x - low) / step + 0.5), 0, top)
    middle = (top + 1) // 2
    return index - middle, step, low / step + middle
