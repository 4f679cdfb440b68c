"""Coders of one stream of words: a stack, a queue, and one for bits-back coding; see `arraycodec.coders`."""

import contextlib
from typing import Any, ClassVar, Self, overload

import numpy as np
import numpy.typing as npt

from arraycodec import _coders
from arraycodec.coders.arguments import Preset, Symbols, Words, as_int32s, as_integer, as_words, preset_code
from arraycodec.coders.models import Model
from arraycodec.errors import ParameterError


class _Coder(_coders.Coder):
    _kind: ClassVar[int]

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

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), *self._save())

    def __repr__(self) -> str:
        try:
            said = self._said()
        except ParameterError:  # another thread, or a callback, is at it
            said = "in use"
        return f"<{type(self).__name__}: {said}, preset {self.preset}>"

    def _said(self) -> str:
        return f"{self._state()[0]} words"

    def _put(self, symbols: Any, model: Model, params: tuple[Any, ...]) -> None:
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        if np.ndim(symbols) == 0:
            if params:
                raise ParameterError("a single symbol needs a concrete model; parameters come with arrays of symbols")
            symbols = [as_integer("symbol", symbols)]
        array, arrays = as_int32s("symbols", symbols), model._params(params)
        if arrays and len(arrays[0]) != len(array):
            raise ParameterError(f"{len(array)} symbols, but parameters of {len(arrays[0])}")
        self._encode(array, model, arrays)

    def _take(self, model: Model, params: tuple[Any, ...]) -> Any:
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        if not params:
            return int(self._decode(model, 1, model._params(()))[0])
        if len(params) == 1 and np.ndim(params[0]) == 0:
            return self._decode(model, as_integer("amount", params[0], 0, 2**48), model._params(()))
        arrays = model._params(params)
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
        If words are of another type, end in a zero without `seal`, or `seal` is set without `compressed`.

    References
    ----------
    J. Duda, arXiv:1311.2540; R. Bamler, arXiv:2201.01741.
    """

    _kind = _coders.STACK

    def __init__(self, compressed: Words | None = None, seal: bool = False, *, preset: Preset = "default") -> None:
        code = preset_code(preset)
        if compressed is None and seal:
            raise ParameterError("seal needs compressed words")
        words = None if compressed is None else as_words("compressed", compressed, code)
        if not self._open(self._kind, code, words, bool(seal)):
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

    @overload
    def decode(self, model: Model) -> int: ...

    @overload
    def decode(self, model: Model, amt_or_param: npt.ArrayLike, /, *params: npt.ArrayLike) -> Symbols: ...

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
        both = self._words(_coders.SEALED if unseal else _coders.PLAIN)
        if both is None:
            raise ParameterError("not sealed, or not with all that was decoded encoded again: not whole words")
        return both[0]

    def _said(self) -> str:
        return f"{self.num_words()} words"

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
        bits = self._word_bits
        position = as_integer("position", position, 0, 1 << 48)
        state = as_integer("state", state, 1 << bits if position else 0, (1 << 2 * bits) - 1)
        if not self._seek_stack(position, state):
            raise ParameterError(f"position {position} is behind the end of the words")


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

    _kind = _coders.CHAIN

    def __init__(
        self, data: Words, is_remainders: bool = False, seal: bool = False, *, preset: Preset = "default"
    ) -> None:
        code = preset_code(preset)
        if is_remainders and seal:
            raise ParameterError("remainders cannot be sealed")
        how = _coders.REMAINDERS if is_remainders else _coders.SEALED if seal else _coders.PLAIN
        words = as_words("data", data, code)
        if not self._open(self._kind, code, words, how):
            if len(words) and not words[-1]:
                raise ParameterError("data never ends in a zero, unless it is sealed")
            raise ParameterError(f"data: {len(words)} words are too few")

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

    @overload
    def decode(self, model: Model) -> int: ...

    @overload
    def decode(self, model: Model, amt_or_param: npt.ArrayLike, /, *params: npt.ArrayLike) -> Symbols: ...

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
        return self._words(_coders.REMAINDERS)

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
        both = self._words(_coders.SEALED if unseal else _coders.PLAIN)
        if both is None:
            raise ParameterError("not sealed, or not with all that was decoded encoded again: not whole words")
        return both[1], both[0]


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

    _kind = _coders.ENCODER

    def __init__(self, *, preset: Preset = "default") -> None:
        self._open(self._kind, preset_code(preset), None, 0)

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
        return self._finished()

    def get_decoder(self) -> "RangeDecoder":
        """A decoder of what was encoded so far."""
        return RangeDecoder(self.get_compressed(), preset=self.preset)

    def _said(self) -> str:
        return f"{self.num_words()} words"

    def num_words(self) -> int:
        """Length of `get_compressed`."""
        return self._finished_length()

    def num_bits(self) -> int:
        """Size of `get_compressed` in bits."""
        return self._word_bits * self.num_words()

    def is_empty(self) -> bool:
        """Whether nothing was encoded."""
        words, _, width, *_ = self._state()
        return not words and width == (1 << 2 * self._word_bits) - 1

    def clear(self) -> None:
        """Remove everything."""
        self._open(self._kind, preset_code(self.preset), None, 0)

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

    _kind = _coders.DECODER

    def __init__(self, compressed: Words, *, preset: Preset = "default") -> None:
        code = preset_code(preset)
        self._open(self._kind, code, as_words("compressed", compressed, code), 0)

    @overload
    def decode(self, model: Model) -> int: ...

    @overload
    def decode(self, model: Model, amt_or_param: npt.ArrayLike, /, *params: npt.ArrayLike) -> Symbols: ...

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
        position = as_integer("position", position, 0, 1 << 48)
        try:
            low, width = state
        except (TypeError, ValueError):
            raise ParameterError(f"state must be two integers, lower end and width, not {state!r}") from None
        low = as_integer("lower", low, 0, (1 << 2 * bits) - 1)
        width = as_integer("range", width, 1 << bits, (1 << 2 * bits) - 1)
        if not self._seek_decoder(position, low, width):
            raise ParameterError(f"position {position} is behind the end of the words")


def _restored(cls: type[_Coder], preset: Preset, words: Words, rest: Words, *state: int) -> _Coder:
    """A coder from a pickle."""
    code = preset_code(preset)
    coder, arrays = cls.__new__(cls), (as_words("words", words, code), as_words("rest", rest, code))
    with contextlib.suppress(OverflowError):
        if coder._restore(cls._kind, code, *arrays, *state):
            return coder
    raise ParameterError(f"no {cls.__name__} is ever in the state {state}")
