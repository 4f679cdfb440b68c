"""Entropy models: probabilities as integers; see `arraycodec.coders`."""

from collections.abc import Callable
from math import inf, isfinite
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from arraycodec import _coders
from arraycodec.coders.arguments import as_int32s, as_integer, as_probabilities, as_real, as_reals
from arraycodec.errors import ParameterError

_MOST_SHOWN = 1000  # numbers, as of NumPy's arrays


class Model(_coders.Model):
    """Base class of entropy models; not to be used itself.

    Models do not change.  They are equal, with the same hash, if they were made of equal parameters, and pickle by
    these.
    """

    _shown: str  # the arguments in short, for messages
    _arguments: tuple[Any, ...]  # what the constructor takes to make an equal one

    def __init__(self) -> None:
        raise TypeError("Model cannot be instantiated; use one of the classes that derive from it")

    def __str__(self) -> str:
        return f"{type(self).__name__}({self._shown})"

    def __repr__(self) -> str:
        return str(self)

    def _key(self) -> tuple[Any, ...]:
        return tuple((a.dtype.str, a.tobytes()) if isinstance(a, np.ndarray) else a for a in self._arguments)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key() if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def _params(self, params: tuple[Any, ...]) -> tuple[npt.NDArray[Any], ...]:
        """The arrays of a call, checked and in the types that the compiled part takes."""
        if len(params) != len(self.missing):
            needed = ", ".join(self.missing) or "none"
            raise ParameterError(f"{self!r} needs {len(self.missing)} parameters ({needed}), got {len(params)}")
        arrays = []
        for name, values in zip(self.missing, params, strict=True):
            if name == "probabilities":
                arrays.append(as_probabilities(values, 2))
            elif name == "size":
                arrays.append(as_int32s(name, values))
            else:
                arrays.append(as_reals(name, values))
        self._same_lengths(arrays)
        return tuple(arrays)

    @staticmethod
    def _same_lengths(arrays: list[npt.NDArray[Any]]) -> None:
        if len({len(array) for array in arrays}) > 1:
            raise ParameterError(f"parameters have different lengths: {', '.join(str(len(a)) for a in arrays)}")


class Categorical(Model):
    """Probabilities of the symbols 0, 1, ..., n - 1.

    Parameters
    ----------
    probabilities
        An array of n float32 or float64, not negative; they need not sum to 1.  Without it, a family: calls of a
        coder then take an array of two dimensions, a row per symbol.
    lazy
        Accepted because constriction has it; it changes when work is done there, and nothing here.
    perfect
        Whether to round so that the expected length of the code is the least (slow for a large n) rather than in
        proportion.  Both ends of a stream must agree.  If neither it nor `lazy` is given it is True, as in
        constriction 0.5.

    Raises
    ------
    ParameterError
        For negative probabilities, sums that are infinite or so small that a share of them overflows, less than 2
        symbols or more than the precision allows for (2^24, or 2^12 with small coders; two less if not `perfect`), or
        if both `lazy` and `perfect` are True.
    """

    def __init__(
        self, probabilities: npt.ArrayLike | None = None, lazy: bool | None = None, perfect: bool | None = None
    ) -> None:
        if lazy and perfect:
            raise ParameterError("lazy and perfect cannot both be True")
        if lazy is None and perfect is None:
            perfect = True
        self._shown = f"perfect={bool(perfect)}"
        if probabilities is None:
            self._arguments = (None, None, bool(perfect))
            self._open(_coders.CATEGORICAL, ("probabilities",), perfect=bool(perfect))
            return
        array = as_probabilities(probabilities, 1).copy()
        array.setflags(write=False)
        self._arguments = (array, None, bool(perfect))
        self._shown = f"{len(array)} probabilities, {self._shown}"
        f32 = array.dtype.itemsize == 4
        self._open(_coders.CATEGORICAL, (), rows=array, f32=f32, perfect=bool(perfect))

    def __repr__(self) -> str:
        array, _, perfect = self._arguments
        if array is None or len(array) > _MOST_SHOWN:
            return super().__repr__()
        shown = f"[{', '.join(map(str, array))}]"
        if array.dtype.itemsize == 4:  # which is another model
            shown = f'np.array({shown}, "f4")'
        return f"{type(self).__name__}({shown}, perfect={perfect})"


class Frequencies(Model):
    """Integer probabilities of the symbols 0, 1, ..., n - 1, as they are: what other models are rounded to.

    Parameters
    ----------
    frequencies
        Positive integers whose sum is a power of two, 2^P.  Only coders with probabilities in units of 2^-P take the
        model: P is 24 or, with the small preset, 12; of `LaneAnsCoder` it is a parameter.

    Raises
    ------
    ParameterError
        If a frequency is not positive, or the sum is not a power of two from 2 to 2^24.
    """

    def __init__(self, frequencies: npt.ArrayLike) -> None:
        array = as_int32s("frequencies", frequencies).copy()
        wrong = np.flatnonzero(array <= 0)
        if wrong.size:
            raise ParameterError(f"frequencies must be positive; that of symbol {wrong[0]} is {array[wrong[0]]}")
        total = int(array.sum(dtype=np.int64))
        self.precision = total.bit_length() - 1
        if not 1 <= self.precision <= 24 or total != 1 << self.precision:
            raise ParameterError(f"frequencies must sum to a power of two from 2 to 2^24; they sum to {total}")
        self._shown = f"{len(array)} frequencies of sum 2^{self.precision}"
        array.setflags(write=False)
        self.frequencies = array
        self._arguments = (array,)
        self._open(_coders.FREQUENCIES, (), frequencies=array)

    def __repr__(self) -> str:
        if len(self.frequencies) > _MOST_SHOWN:
            return super().__repr__()
        return f"{type(self).__name__}({self.frequencies.tolist()})"


class Bernoulli(Model):
    """1 with probability `p`, 0 otherwise.

    Parameters
    ----------
    p
        In 0 .. 1.  Without it, a family: calls take an array of them.
    perfect
        As of `Categorical`; True by default.

    Raises
    ------
    ParameterError
        If `p` is not in 0 .. 1.
    """

    def __init__(self, p: float | None = None, perfect: bool | None = None) -> None:
        exact = perfect is None or bool(perfect)
        p = None if p is None else as_real("p", p)
        self._shown = f"p={p}, perfect={exact}"
        self._arguments = (p, exact)
        if p is None:
            self._open(_coders.BERNOULLI, ("p",), hi=1, perfect=exact)
        else:
            self._open(_coders.BERNOULLI, (), hi=1, a=p, perfect=exact)


class Uniform(Model):
    """Symbols 0 .. size - 1 with the same probability, but for the last, which takes what division leaves.

    Parameters
    ----------
    size
        Number of symbols, 2 or more.  Without it, a family: calls take an integer array of sizes.

    Raises
    ------
    ParameterError
        If `size` is below 2 or too large for the precision.
    """

    def __init__(self, size: int | None = None) -> None:
        size = None if size is None else as_integer("size", size)
        self._shown = f"size={size}"
        self._arguments = (size,)
        if size is None:
            self._open(_coders.UNIFORM, ("size",))
        else:
            self._open(_coders.UNIFORM, (), size=size)


def _support(low: Any, high: Any) -> tuple[int, int]:
    low, high = as_integer("min_symbol_inclusive", low), as_integer("max_symbol_inclusive", high)
    if not 0 < high - low < 1 << 24:
        raise ParameterError(f"a support has 2 .. 2^24 symbols; {low} .. {high} has {high - low + 1}")
    return low, high


class _Quantized(Model):
    _kind: int
    _names: tuple[str, str]

    def _set(self, low: int, high: int, location: float | None, scale: float | None) -> None:
        low, high = _support(low, high)
        named = zip(self._names, (location, scale), strict=True)
        given = [(name, None if value is None else as_real(name, value)) for name, value in named]
        self._shown = ", ".join([str(low), str(high), *(f"{name}={value}" for name, value in given)])
        self._arguments = (low, high, *(value for _, value in given))
        missing = tuple(name for name, value in given if value is None)
        a, b = (0.0 if value is None else value for _, value in given)
        if not isfinite(a):
            raise ParameterError(f"{given[0][0]} must be finite; it is {a}")
        if scale is not None and not 0 < b < inf:
            raise ParameterError(f"{given[1][0]} must be positive and finite; it is {b}")
        self._open(self._kind, missing, lo=low, hi=high, a=a, b=b)


class QuantizedGaussian(_Quantized):
    """A normal distribution on the integers of a support: each has the mass of the unit interval around it.

    Parameters
    ----------
    min_symbol_inclusive, max_symbol_inclusive
        The support, of 2 .. 2^24 symbols (2^12 with small coders).  No symbol of it has probability 0.
    mean, std
        Mean and standard deviation.  Those that are left out come as arrays in calls, in this order.

    Raises
    ------
    ParameterError
        If `std` is not positive, a parameter is not finite, or the support is not as above.
    """

    _kind = _coders.GAUSSIAN
    _names = ("mean", "std")

    def __init__(
        self,
        min_symbol_inclusive: int,
        max_symbol_inclusive: int,
        mean: float | None = None,
        std: float | None = None,
    ) -> None:
        self._set(min_symbol_inclusive, max_symbol_inclusive, mean, std)


class QuantizedLaplace(_Quantized):
    """A Laplace distribution on the integers of a support, like `QuantizedGaussian`.

    Parameters
    ----------
    min_symbol_inclusive, max_symbol_inclusive
        The support, of 2 .. 2^24 symbols (2^12 with small coders).
    mean, scale
        Where the density has its peak, and its scale (the standard deviation over the root of 2).

    Raises
    ------
    ParameterError
        If `scale` is not positive, a parameter is not finite, or the support is not as above.
    """

    _kind = _coders.LAPLACE
    _names = ("mean", "scale")

    def __init__(
        self,
        min_symbol_inclusive: int,
        max_symbol_inclusive: int,
        mean: float | None = None,
        scale: float | None = None,
    ) -> None:
        self._set(min_symbol_inclusive, max_symbol_inclusive, mean, scale)


class QuantizedCauchy(_Quantized):
    """A Cauchy distribution on the integers of a support, like `QuantizedGaussian`.

    Parameters
    ----------
    min_symbol_inclusive, max_symbol_inclusive
        The support, of 2 .. 2^24 symbols (2^12 with small coders).
    loc, scale
        Where the density has its peak, and half of its width at half of its height.

    Raises
    ------
    ParameterError
        If `scale` is not positive, a parameter is not finite, or the support is not as above.
    """

    _kind = _coders.CAUCHY
    _names = ("loc", "scale")

    def __init__(
        self,
        min_symbol_inclusive: int,
        max_symbol_inclusive: int,
        loc: float | None = None,
        scale: float | None = None,
    ) -> None:
        self._set(min_symbol_inclusive, max_symbol_inclusive, loc, scale)


class CustomModel(Model):
    """A distribution given by Python functions, on the integers of a support.

    Parameters
    ----------
    cdf
        ``cdf(x, *params)``: cumulative distribution function, not decreasing, of numbers half way between integers.
    approximate_inverse_cdf
        ``approximate_inverse_cdf(p, *params)``: where about `cdf` is p.  It makes decoding faster if it is close;
        nothing else depends on it.
    min_symbol_inclusive, max_symbol_inclusive
        The support, of 2 .. 2^24 symbols (2^12 with small coders).

    Notes
    -----
    Any number of arrays of parameters may be passed to calls of a coder; the functions get an item of each.  What the
    functions raise is passed on, and the coder is as it was.
    Both ends of a stream need functions that give the same bits.

    Models are equal if their functions are, and can be pickled if these can.

    Raises
    ------
    ParameterError
        If a function cannot be called, or the support is not as above.
    """

    def __init__(
        self,
        cdf: Callable[..., float],
        approximate_inverse_cdf: Callable[..., float],
        min_symbol_inclusive: int,
        max_symbol_inclusive: int,
    ) -> None:
        low, high = _support(min_symbol_inclusive, max_symbol_inclusive)
        for function in (cdf, approximate_inverse_cdf):
            if not callable(function):
                raise ParameterError(f"{function!r} is not a function")
        self._shown = f"{low}, {high}"
        self._arguments = (cdf, approximate_inverse_cdf, low, high)
        self._open(_coders.CUSTOM, (), lo=low, hi=high, cdf=cdf, ppf=approximate_inverse_cdf)

    def _params(self, params: tuple[Any, ...]) -> tuple[npt.NDArray[Any], ...]:
        arrays = [as_reals(f"parameter {i}", values) for i, values in enumerate(params)]
        self._same_lengths(arrays)
        return tuple(arrays)


class ScipyModel(CustomModel):
    """A distribution of `scipy.stats`, or any object with methods ``cdf`` and ``ppf``; see `CustomModel`.

    Parameters
    ----------
    scipy_model
        A frozen distribution, or a family of them such as ``scipy.stats.cauchy``.
    min_symbol_inclusive, max_symbol_inclusive
        The support.
    """

    def __init__(self, scipy_model: Any, min_symbol_inclusive: int, max_symbol_inclusive: int) -> None:
        cdf, ppf = (getattr(scipy_model, name, None) for name in ("cdf", "ppf"))
        if not (callable(cdf) and callable(ppf)):
            raise ParameterError(f"{scipy_model!r} has no methods cdf and ppf")
        super().__init__(cdf, ppf, min_symbol_inclusive, max_symbol_inclusive)
        self._arguments = (scipy_model, *self._arguments[2:])
