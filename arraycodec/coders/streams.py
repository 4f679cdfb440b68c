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

All errors are `ValueError`; a call that fails leaves the coder as it was.

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

from collections.abc import Callable
from operator import index
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from arraycodec import _coders
from arraycodec.errors import ParameterError

__all__ = [
    "AnsCoder",
    "Bernoulli",
    "Categorical",
    "ChainCoder",
    "CustomModel",
    "Model",
    "QuantizedCauchy",
    "QuantizedGaussian",
    "QuantizedLaplace",
    "RangeDecoder",
    "RangeEncoder",
    "ScipyModel",
    "Uniform",
]

Preset = Literal["default", "small"]
Symbols = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32] | npt.NDArray[np.uint16]

_INT32 = np.iinfo(np.int32)


def _integer(name: str, value: Any, low: int = _INT32.min, high: int = _INT32.max) -> int:
    try:
        number = index(value)
    except TypeError:
        raise ParameterError(f"{name} must be an integer, not {value!r}") from None
    if not low <= number <= high:
        raise ParameterError(f"{name} must be in {low} .. {high}; it is {number}")
    return number


def _real(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be a number, not {value!r}") from None


def _int32s(name: str, values: Any) -> Symbols:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ParameterError(f"{name} must be integers in one dimension, not {array.dtype} of shape {array.shape}")
    if array.dtype != np.int32 and array.size:
        outside = np.flatnonzero((array < _INT32.min) | (array > _INT32.max))
        if outside.size:
            raise ParameterError(f"{name} must fit 32 bits; {array[outside[0]]} at position {outside[0]} does not")
    return np.ascontiguousarray(array, np.int32)


def _reals(name: str, values: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ParameterError(f"{name} must be numbers in one dimension, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, np.float64)


def _probabilities(values: Any, ndim: int) -> npt.NDArray[Any]:
    """In the type that they have: float and double make different models."""
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype not in (np.float32, np.float64):
        raise ParameterError(
            f"probabilities must be float32 or float64 in {ndim} dimension{'s' * (ndim > 1)}, "
            f"not {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _words(name: str, words: Any, preset: int) -> Words:
    dtype = np.dtype(np.uint16 if preset else np.uint32)
    array = np.asarray(words)
    if array.dtype != dtype or array.ndim != 1:
        raise ParameterError(f"{name} must be {dtype} in one dimension, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, dtype)


def _preset(preset: str) -> int:
    code = _coders.PRESETS.get(preset) if isinstance(preset, str) else None
    if code is None:
        raise ParameterError(f"preset must be one of {', '.join(_coders.PRESETS)}; it is {preset!r}")
    return code


class Model(_coders.Model):
    """Base class of entropy models; not to be used itself."""

    _shown: str

    def __init__(self) -> None:
        raise TypeError("Model cannot be instantiated; use one of the classes that derive from it")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown})"

    def _params(self, params: tuple[Any, ...]) -> tuple[npt.NDArray[Any], ...]:
        """The arrays of a call, checked and in the types that the compiled part takes."""
        if len(params) != len(self.missing):
            needed = ", ".join(self.missing) or "none"
            raise ParameterError(f"{self!r} needs {len(self.missing)} parameters ({needed}), got {len(params)}")
        arrays = []
        for name, values in zip(self.missing, params, strict=True):
            if name == "probabilities":
                arrays.append(_probabilities(values, 2))
            elif name == "size":
                arrays.append(_int32s(name, values))
            else:
                arrays.append(_reals(name, values))
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
        For negative probabilities, sums that are zero or infinite, less than 2 symbols or more than the precision
        allows for (2^24 - 2, or 2^12 - 2 with small coders), or if both `lazy` and `perfect` are True.
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
            self._open(_coders.CATEGORICAL, ("probabilities",), perfect=bool(perfect))
            return
        array = _probabilities(probabilities, 1).copy()
        self._shown = f"{len(array)} probabilities, {self._shown}"
        f32 = array.dtype.itemsize == 4
        self._open(_coders.CATEGORICAL, (), rows=array, f32=f32, perfect=bool(perfect))


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
        self._shown = f"p={p}, perfect={exact}"
        if p is None:
            self._open(_coders.BERNOULLI, ("p",), hi=1, perfect=exact)
        else:
            self._open(_coders.BERNOULLI, (), hi=1, a=_real("p", p), perfect=exact)


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
        self._shown = f"size={size}"
        if size is None:
            self._open(_coders.UNIFORM, ("size",))
        else:
            self._open(_coders.UNIFORM, (), size=_integer("size", size))


def _support(low: Any, high: Any) -> tuple[int, int]:
    low, high = _integer("min_symbol_inclusive", low), _integer("max_symbol_inclusive", high)
    if not 0 < high - low < 1 << 24:
        raise ParameterError(f"a support has 2 .. 2^24 symbols; {low} .. {high} has {high - low + 1}")
    return low, high


class _Quantized(Model):
    _kind: int
    _names: tuple[str, str]

    def _set(self, low: int, high: int, location: float | None, scale: float | None) -> None:
        low, high = _support(low, high)
        given = tuple(zip(self._names, (location, scale), strict=True))
        self._shown = ", ".join([str(low), str(high), *(f"{name}={value}" for name, value in given)])
        missing = tuple(name for name, value in given if value is None)
        a, b = (0.0 if value is None else _real(name, value) for name, value in given)
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
    Any number of arrays of parameters may be passed to calls of a coder; the functions get an item of each.
    Both ends of a stream need functions that give the same bits.

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
        self._open(_coders.CUSTOM, (), lo=low, hi=high, cdf=cdf, ppf=approximate_inverse_cdf)

    def _params(self, params: tuple[Any, ...]) -> tuple[npt.NDArray[Any], ...]:
        arrays = [_reals(f"parameter {i}", values) for i, values in enumerate(params)]
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
        super().__init__(scipy_model.cdf, scipy_model.ppf, min_symbol_inclusive, max_symbol_inclusive)


class _Coder(_coders.Coder):
    @property
    def _word_bits(self) -> int:
        return 16 if self.preset == "small" else 32

    def clone(self) -> Self:
        """A copy that does not depend on this coder."""
        copy = type(self).__new__(type(self))
        copy._copy_from(self)
        return copy

    def __copy__(self) -> Self:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.clone()

    def _put(self, symbols: Any, model: Model, params: tuple[Any, ...]) -> None:
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        if np.ndim(symbols) == 0:
            if params:
                raise ParameterError("a single symbol needs a concrete model; parameters come with arrays of symbols")
            symbols = [_integer("symbol", symbols)]
        array, arrays = _int32s("symbols", symbols), model._params(params)
        if arrays and len(arrays[0]) != len(array):
            raise ParameterError(f"{len(array)} symbols, but parameters of {len(arrays[0])}")
        self._encode(array, model, arrays)

    def _take(self, model: Model, params: tuple[Any, ...]) -> Any:
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        if not params:
            return int(self._decode(model, 1, model._params(()))[0])
        if len(params) == 1 and np.ndim(params[0]) == 0:
            return self._decode(model, _integer("amount", params[0], 0, 2**48), model._params(()))
        arrays = model._params(params)
        if not arrays:
            raise ParameterError(f"{model!r} takes no parameters")
        return self._decode(model, len(arrays[0]), arrays)


class AnsCoder(_Coder):
    """A stack of symbols: the last that was encoded is the first that is decoded.

    Encoding and decoding may be mixed.  Arrays are encoded from their last symbol to their first, so that decoding
    gives them in order.

    Parameters
    ----------
    compressed
        Words to decode from or to go on with, as `get_compressed` returned them.
    seal
        Whether `compressed` are words from elsewhere, which may end in zeros: a bit is set above them, and
        ``get_compressed(unseal=True)`` removes it.
    preset
        ``"default"``: words are uint32; ``"small"``: uint16.

    Raises
    ------
    ParameterError
        If words are of another type, end in a zero without `seal`, or there is nothing to seal.

    References
    ----------
    J. Duda, arXiv:1311.2540; R. Bamler, arXiv:2201.01741.
    """

    def __init__(self, compressed: Words | None = None, seal: bool = False, *, preset: Preset = "default") -> None:
        code = _preset(preset)
        if compressed is None and seal:
            raise ParameterError("seal needs compressed words")
        words = None if compressed is None else _words("compressed", compressed, code)
        if not self._open(_coders.STACK, code, words, bool(seal)):
            raise ParameterError("compressed words never end in a zero, unless they are sealed")

    def encode_reverse(self, symbols: npt.ArrayLike, model: Model, *params: npt.ArrayLike) -> None:
        """Push a symbol, or an array of symbols from the last to the first.

        Parameters
        ----------
        symbols
            An integer or an array of them.
        model
            A concrete model for all symbols, or a family.
        *params
            For a family: for each parameter that it misses an array, with an item per symbol.

        Raises
        ------
        ParameterError
            For a symbol outside of the support or a parameter out of range, with its position and value.
        """
        self._put(symbols, model, params)

    def decode(self, model: Model, *amt_or_params: Any) -> Any:
        """Pop symbols.

        Parameters
        ----------
        model
            A concrete model, or a family.
        *amt_or_params
            Nothing: one symbol, as an int.  An integer: as many symbols with one model.  Arrays: a symbol for each
            item, with a family.

        Returns
        -------
        int or ndarray of int32
            An empty coder goes on giving symbols: of each model that whose probabilities come first.
        """
        return self._take(model, amt_or_params)

    def get_compressed(self, unseal: bool = False) -> Words:
        """All words; the coder keeps them.

        Parameters
        ----------
        unseal
            Whether to leave out the bit that `seal` set.

        Raises
        ------
        ParameterError
            If `unseal` and the coder is not in a state in which sealing leaves it.
        """
        words = self._words(False, _coders.SEALED if unseal else _coders.PLAIN)
        if words is None:
            raise ParameterError("not sealed, or not with all that was decoded encoded again: not whole words")
        return words

    def num_words(self) -> int:
        """Length of `get_compressed`."""
        words, state, *_ = self._state()
        return words + -(-state.bit_length() // self._word_bits)

    def num_bits(self) -> int:
        """Size of `get_compressed` in bits."""
        return self._word_bits * self.num_words()

    def num_valid_bits(self) -> int:
        """Bits of information: less than `num_bits` by what the last word has above its highest bit, and that bit."""
        words, state, *_ = self._state()
        return self._word_bits * words + max(state.bit_length(), 1) - 1

    def is_empty(self) -> bool:
        """Whether nothing is on the stack; symbols that cost nothing leave no trace."""
        return self._state()[1] == 0

    def clear(self) -> None:
        """Remove everything."""
        self._seek_stack(0, 0)

    reset = clear

    def pos(self) -> tuple[int, int]:
        """Number of words and state, for `seek`."""
        return self._state()[:2]

    def seek(self, position: int, state: int) -> None:
        """Drop words and take a state that `pos` returned when there were fewer of them.

        Parameters
        ----------
        position, state
            From `pos`.

        Raises
        ------
        ParameterError
            If there are fewer words than that (a stack cannot seek to what it has dropped), or no coder has the state.
        """
        words, bits = self._state()[0], self._word_bits
        position = _integer("position", position, 0, words)
        state = _integer("state", state, 1 << bits if position else 0, (1 << 2 * bits) - 1)
        self._seek_stack(position, state)


class ChainCoder(_Coder):
    """A coder for bits-back coding in which models act on their own symbols only.

    Decoding takes a fixed number of bits (24, or 12 with the small preset) of compressed words per symbol and puts
    what the symbol did not need onto the *remainders*; encoding takes it back from there.

    Parameters
    ----------
    data
        Compressed words if you are going to decode, remainders if you are going to encode.
    is_remainders
        Whether `data` are remainders (both arrays of `get_remainders` in a row, or the second only).
    seal
        As of `AnsCoder`; only for compressed words.
    preset
        ``"default"``: words are uint32; ``"small"``: uint16.

    Raises
    ------
    ParameterError
        If words are of another type, too few, or end in a zero without `seal`; or remainders are to be sealed.

    References
    ----------
    R. Bamler, arXiv:2201.01741.
    """

    def __init__(
        self, data: Words, is_remainders: bool = False, seal: bool = False, *, preset: Preset = "default"
    ) -> None:
        code = _preset(preset)
        if is_remainders and seal:
            raise ParameterError("remainders cannot be sealed")
        how = _coders.REMAINDERS if is_remainders else _coders.SEALED if seal else _coders.PLAIN
        words = _words("data", data, code)
        if not self._open(_coders.CHAIN, code, words, how):
            raise ParameterError(f"data: {len(words)} words are too few, or the last is zero and seal is not set")

    def encode_reverse(self, symbols: npt.ArrayLike, model: Model, *params: npt.ArrayLike) -> None:
        """Encode a symbol, or an array of symbols from the last to the first.

        Parameters
        ----------
        symbols, model, *params
            As of `AnsCoder.encode_reverse`.

        Raises
        ------
        ParameterError
            Also if the remainders do not suffice; then nothing was encoded.
        """
        self._put(symbols, model, params)

    def decode(self, model: Model, *amt_or_params: Any) -> Any:
        """Decode symbols.

        Parameters
        ----------
        model, *amt_or_params
            As of `AnsCoder.decode`.

        Returns
        -------
        int or ndarray of int32

        Raises
        ------
        DecodeError
            If the compressed words do not suffice; then nothing was decoded.
        """
        return self._take(model, amt_or_params)

    def get_remainders(self) -> tuple[Words, Words]:
        """Compressed words that are left, and remainders.

        Returns
        -------
        tuple of two arrays
            Together, or the second alone, they make a coder that can encode what was decoded.
        """
        return self._words(False), self._words(True, _coders.REMAINDERS)

    def get_data(self, unseal: bool = False) -> tuple[Words, Words]:
        """Remainders that are left, and compressed words, after encoding.

        Parameters
        ----------
        unseal
            Whether to leave out the bit that `seal` set.

        Raises
        ------
        ParameterError
            If the compressed bits are not whole words: other symbols were decoded than encoded again.
        """
        words = self._words(False, _coders.SEALED if unseal else _coders.PLAIN)
        if words is None:
            raise ParameterError("the compressed bits are not whole words")
        return self._words(True), words


class RangeEncoder(_Coder):
    """Encodes symbols for a `RangeDecoder`, which gives them in the same order.

    Parameters
    ----------
    preset
        ``"default"``: words are uint32; ``"small"``: uint16.

    References
    ----------
    G. N. N. Martin, "Range encoding: an algorithm for removing redundancy from a digitised message", 1979.
    """

    def __init__(self, *, preset: Preset = "default") -> None:
        self._open(_coders.ENCODER, _preset(preset), None, 0)

    def encode(self, symbols: npt.ArrayLike, model: Model, *params: npt.ArrayLike) -> None:
        """Encode a symbol, or an array of symbols from the first to the last.

        Parameters
        ----------
        symbols, model, *params
            As of `AnsCoder.encode_reverse`.

        Raises
        ------
        ParameterError
            For a symbol outside of the support or a parameter out of range, with its position and value.
        """
        self._put(symbols, model, params)

    def get_compressed(self) -> Words:
        """The words so far with an ending; encoding may go on, with words as if they had not been asked for."""
        words, ending = self._words(False), self._ending()
        return np.concatenate([words, np.array(ending, words.dtype)])

    def get_decoder(self) -> "RangeDecoder":
        """A decoder of what was encoded so far."""
        return RangeDecoder(self.get_compressed(), preset=self.preset)

    def num_words(self) -> int:
        """Length of `get_compressed`."""
        return self._state()[0] + len(self._ending())

    def num_bits(self) -> int:
        """Size of `get_compressed` in bits."""
        return self._word_bits * self.num_words()

    def is_empty(self) -> bool:
        """Whether nothing was encoded."""
        words, _, width, *_ = self._state()
        return not words and width == (1 << 2 * self._word_bits) - 1

    def clear(self) -> None:
        """Remove everything."""
        self._open(_coders.ENCODER, _preset(self.preset), None, 0)

    reset = clear

    def pos(self) -> tuple[int, tuple[int, int]]:
        """Number of words that were settled or are about to be, and (lower end, width) of the interval."""
        words, low, width, _, waiting = self._state()
        return words + waiting, (low, width)


class RangeDecoder(_Coder):
    """Decodes what a `RangeEncoder` wrote.

    Parameters
    ----------
    compressed
        Words of `RangeEncoder.get_compressed`.
    preset
        That of the encoder.

    Raises
    ------
    ParameterError
        If words are of another type.
    """

    def __init__(self, compressed: Words, *, preset: Preset = "default") -> None:
        code = _preset(preset)
        self._open(_coders.DECODER, code, _words("compressed", compressed, code), 0)

    def decode(self, model: Model, *amt_or_params: Any) -> Any:
        """Decode symbols.

        Parameters
        ----------
        model, *amt_or_params
            As of `AnsCoder.decode`.

        Returns
        -------
        int or ndarray of int32

        Raises
        ------
        DecodeError
            If no encoder writes such words; the end of the words alone is not seen (`maybe_exhausted`).
        """
        return self._take(model, amt_or_params)

    def maybe_exhausted(self) -> bool:
        """Whether all symbols may have been decoded; False means for certain that there are more."""
        return self._exhausted()

    def pos(self) -> tuple[int, tuple[int, int]]:
        """Number of words that were left behind and (lower end, width): what the encoder's `pos` was here."""
        _, low, width, position, _ = self._state()
        return position, (low, width)

    def seek(self, position: int, state: tuple[int, int]) -> None:
        """Go on from a position of either `pos`.

        Parameters
        ----------
        position, state
            From `pos`.

        Raises
        ------
        ParameterError
            If the position is beyond the words, or no coder has the state.
        """
        bits = self._word_bits
        low, width = state
        low = _integer("lower", low, 0, (1 << 2 * bits) - 1)
        width = _integer("range", width, 1 << bits, (1 << 2 * bits) - 1)
        self._seek_decoder(_integer("position", position, 0, self._state()[0]), low, width)
