"""Many stacks in step, one per entry of a matrix, and a container for the matrices; see `arraycodec.coders`."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from arraycodec import _coders
from arraycodec.coders.arguments import Words, as_int32s, as_integer, as_words
from arraycodec.coders.models import Frequencies, Model
from arraycodec.errors import DecodeError, ParameterError

_PRESETS = {16: _coders.PRESETS["small"], 32: _coders.PRESETS["default"]}


class LaneAnsCoder(_coders.Lanes):
    """A stack of matrices: an `AnsCoder` for each entry, all of which share one stream of words.

    Matrices are pushed and popped whole, each with one model.  What a lane holds depends on its own entries only,
    so that a thousand threads can decode a thousand lanes in step: of words they need to know only which lanes of
    those before them took one.  The price is the state that each lane ends with, two words of which one is full.

    Parameters
    ----------
    n_lanes
        Number of entries of a matrix.
    precision
        Probabilities of models are in units of 2^-precision: 1 .. 16, or 1 .. 24 with words of 32 bits.
    word_size
        Bits of a word, 16 or 32; a lane's state has two words.
    compressed
        Words of `get_compressed`, to go on with.

    Raises
    ------
    ParameterError
        If `n_lanes`, `precision` or `word_size` is out of range, or `compressed` is of another type, too short, or has
        heads that no coder has.

    See Also
    --------
    pack_matrices : matrices with their models.

    References
    ----------
    J. Duda, arXiv:1311.2540.  R. Bamler, "Mock Data for Compressed Matrices", a notebook: this is its Compression 1.
    """

    def __init__(
        self, n_lanes: int, precision: int = 12, word_size: int = 16, *, compressed: Words | None = None
    ) -> None:
        n_lanes = as_integer("n_lanes", n_lanes, 1)
        preset = _PRESETS.get(as_integer("word_size", word_size))
        if preset is None:
            raise ParameterError(f"word_size must be 16 or 32; it is {word_size}")
        most = 16 if word_size == 16 else 24
        precision = as_integer(f"precision with words of {word_size} bits", precision, 1, most)
        heads: npt.NDArray[Any]
        words: npt.NDArray[Any]
        if compressed is None:
            heads = np.full(n_lanes, (1 << word_size) + 1, np.uint32 if word_size == 16 else np.uint64)
            words = np.empty(0, np.uint16 if word_size == 16 else np.uint32)
        else:
            words = as_words("compressed", compressed, preset)
            if len(words) < 2 * n_lanes:
                raise ParameterError(f"{n_lanes} lanes have at least {2 * n_lanes} words; there are {len(words)}")
            heads = _heads_of(words[-2 * n_lanes :])
            low = np.flatnonzero(heads >> word_size == 0)
            if low.size:
                raise ParameterError(f"lane {low[0]} has a head of {heads[low[0]]}, which no coder leaves")
            words = words[: -2 * n_lanes]
        self._open(preset, precision, heads, words)
        self._n_lanes, self._word_size = n_lanes, word_size

    @property
    def n_lanes(self) -> int:
        """Number of entries of a matrix."""
        return self._n_lanes

    @property
    def word_size(self) -> int:
        """Bits of a word."""
        return self._word_size

    @property
    def heads(self) -> npt.NDArray[Any]:
        """A copy of the states of all lanes: uint32, or uint64 with words of 32 bits."""
        return self._heads()

    def push(self, matrix: npt.ArrayLike, model: Model) -> None:
        """Encode a matrix.

        Parameters
        ----------
        matrix
            Integers of any shape with `n_lanes` entries.
        model
            A model with all of its parameters.

        Raises
        ------
        ParameterError
            For a symbol outside of the support of the model, with its position in the flattened matrix, another
            number of entries, or a model that has no probabilities of this precision.  Nothing was encoded then.
        """
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        array = np.asarray(matrix)
        if array.dtype.kind not in "iu":
            raise ParameterError(f"a matrix must be of integers, not {array.dtype}")
        self._push(as_int32s("matrix", array.ravel()), model)

    def pop(self, model: Model, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.int32]:
        """Decode the matrix that was pushed last.

        Parameters
        ----------
        model
            The model that it was encoded with.
        shape
            Of the matrix; one dimension by default.

        Raises
        ------
        ParameterError
            If `shape` has another number of entries.
        DecodeError
            If there are no words left for a lane.  Nothing was decoded then.
        """
        if not isinstance(model, Model):
            raise ParameterError(f"not an entropy model: {model!r}")
        shape = (self.n_lanes,) if shape is None else _shape(shape)
        if prod(shape) != self.n_lanes:
            raise ParameterError(f"a shape of {prod(shape)} entries, {shape}, for {self.n_lanes} lanes")
        return self._pop(model).reshape(shape)

    def get_compressed(self) -> Words:
        """All words: those that lanes share, then heads from the last lane to the first, low words first."""
        return np.concatenate([self._words(), _words_of(self._heads())])

    def num_words(self) -> int:
        """Length of `get_compressed`."""
        return self.num_shared_words() + 2 * self.n_lanes

    def num_shared_words(self) -> int:
        """Words that lanes share: `num_words` without those of heads."""
        return self._count()

    def num_bits(self) -> int:
        """Size of `get_compressed` in bits."""
        return self.word_size * self.num_words()

    def is_empty(self) -> bool:
        """Whether all lanes are as they were in the beginning; matrices that cost nothing leave no trace."""
        return not self._count() and bool((self._heads() == (1 << self.word_size) + 1).all())

    def clone(self) -> Self:
        """A copy that does not depend on this coder."""
        return type(self)(self.n_lanes, self.precision, self.word_size, compressed=self.get_compressed())

    def __copy__(self) -> Self:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.n_lanes, self.precision, self.word_size, self.get_compressed())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.n_lanes} lanes with {self.num_shared_words()} words>"


def _restored(cls: type[LaneAnsCoder], n_lanes: int, precision: int, word_size: int, words: Words) -> LaneAnsCoder:
    """A coder from a pickle."""
    return cls(n_lanes, precision, word_size, compressed=words)


def _shape(shape: Any) -> tuple[int, ...]:
    try:
        return tuple(as_integer("a dimension", n, 0) for n in shape)
    except TypeError:
        raise ParameterError(f"shape must be a tuple of integers, not {shape!r}") from None


def _words_of(heads: npt.NDArray[Any]) -> Words:
    bits = 4 * heads.dtype.itemsize
    words: npt.NDArray[Any] = np.stack([heads[::-1] & ((1 << bits) - 1), heads[::-1] >> bits], axis=1)
    return np.asarray(words.ravel(), np.uint16) if bits == 16 else np.asarray(words.ravel(), np.uint32)


def _heads_of(words: Words) -> npt.NDArray[Any]:
    bits = 8 * words.dtype.itemsize
    pairs: npt.NDArray[Any] = words.astype(np.uint32 if bits == 16 else np.uint64).reshape(-1, 2)[::-1]
    return pairs[:, 0] | pairs[:, 1] << bits


def _model(frequencies: Any) -> Frequencies:
    return frequencies if isinstance(frequencies, Frequencies) else Frequencies(frequencies)


def pack_matrices(
    matrices: Sequence[npt.ArrayLike], frequencies: Sequence[Frequencies | npt.ArrayLike], precision: int = 12
) -> npt.NDArray[np.uint16]:
    """Matrices of one shape, and the frequencies of their symbols, as one array of words of 16 bits.

    Parameters
    ----------
    matrices
        Arrays of symbols 0 .. n - 1, of one shape.
    frequencies
        For each matrix, positive integers that sum to 2^precision, or a model of them.
    precision
        1 .. 15.

    Returns
    -------
    ndarray of uint16
        To be stored in little-endian order.

    Raises
    ------
    ParameterError
        If there is no matrix, their numbers of entries differ, symbols have no frequency, or a size does not fit.

    Examples
    --------
    >>> words = pack_matrices([[[0, 1], [1, 1]], [[0, 0], [1, 0]]], [[1, 3], [3, 1]], precision=2)
    >>> [matrix.tolist() for matrix, frequencies in unpack_matrices(words, 2, (2, 2))]
    [[[0, 1], [1, 1]], [[0, 0], [1, 0]]]

    Notes
    -----
    The layout is that of the notebook of `LaneAnsCoder`, which is made for reading in order: heads from the first lane
    to the last, high words first; for each matrix its size in words (low word first); for each matrix the place of its
    data (n + 2), cumulated frequencies (n + 1 numbers), and the words that decoding the matrix before it takes, in the
    order in which they are taken.  How many lanes and matrices there are, and what symbols mean, is not in it.
    """
    precision = as_integer("precision", precision, 1, 15)
    if len(matrices) != len(frequencies) or not len(matrices):
        raise ParameterError(f"{len(matrices)} matrices, {len(frequencies)} frequencies of their symbols")
    coder = LaneAnsCoder(int(np.size(matrices[0])), precision)
    ends = []
    for i in reversed(range(len(matrices))):
        try:
            coder.push(matrices[i], _model(frequencies[i]))
        except ParameterError as error:
            raise ParameterError(f"matrix {i}: {error}") from None
        ends.append(coder.num_shared_words())
    words = coder.get_compressed()
    parts = [words[ends[-1] :][::-1], np.empty(0, np.uint16)]
    sizes = []
    # Nothing stands before ends[0]: a new lane's head has room for any symbol of less than 16 bits.
    starts, stop = ends[::-1], ends[-1]
    for each, start in zip(frequencies, starts, strict=True):
        cdf = np.concatenate([[0], np.cumsum(_model(each).frequencies)])
        parts.append(np.concatenate([[len(cdf) + 1], cdf]).astype(np.uint16))
        parts.append(words[start:stop][::-1])
        sizes.append(len(cdf) + 1 + stop - start)
        stop = start
    if max(sizes) >> 32:
        raise ParameterError(f"a matrix takes {max(sizes)} words, more than 32 bits can tell")
    parts[1] = np.array([[size & 0xFFFF, size >> 16] for size in sizes], np.uint16).ravel()
    return np.concatenate(parts)


def unpack_matrices(
    words: npt.NDArray[np.uint16], n_matrices: int, shape: tuple[int, ...]
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """Matrices of `pack_matrices` in their order, one after the other.

    Parameters
    ----------
    words
        What `pack_matrices` returned.
    n_matrices
        How many matrices there are.
    shape
        Shape of each of them.

    Yields
    ------
    matrix : ndarray of int32
        Symbols, in the shape.
    frequencies : ndarray of int32
        Of the symbols; read-only.

    Raises
    ------
    ParameterError
        If `words` are of another type.
    DecodeError
        If they are not what `pack_matrices` writes for such matrices.  Their layout is checked before the first
        matrix; that all lanes end as they began, before the last.
    """
    checked = as_words("words", words, _PRESETS[16])
    shape = _shape(shape)
    n_matrices, n_lanes = as_integer("n_matrices", n_matrices, 1), as_integer("entries of shape", prod(shape), 1)
    return _unpack(checked, n_lanes, shape, *_segments(checked, n_matrices, n_lanes))


def _segments(words: Words, n_matrices: int, n_lanes: int) -> tuple[list[Frequencies], list[Words]]:
    start = 2 * n_lanes + 2 * n_matrices
    if len(words) < start:
        raise DecodeError(f"{len(words)} words are too few for {n_lanes} lanes and {n_matrices} matrices")
    pairs = words[2 * n_lanes : start].astype(np.int64).reshape(-1, 2)
    sizes = (pairs[:, 0] | pairs[:, 1] << 16).tolist()
    if sum(sizes) != len(words) - start:
        raise DecodeError(
            f"matrices of {sum(sizes)} words in all, where {len(words) - start} are: "
            f"these are not {n_matrices} matrices of {n_lanes} entries"
        )
    models, data = [], []
    for i, size in enumerate(sizes):
        part = words[start : start + size]
        start += size
        n = int(part[0]) - 2 if size else 0
        if not 0 < n <= size - 2 or part[1] != 0:
            raise DecodeError(f"matrix {i}: no cumulated frequencies in its {size} words")
        try:
            models.append(Frequencies(np.diff(part[1 : n + 2].astype(np.int32))))
        except ParameterError as error:
            raise DecodeError(f"matrix {i}: {error}") from None
        data.append(part[n + 2 :])
    if len({model.precision for model in models}) > 1 or models[0].precision > 15:
        raise DecodeError(f"frequencies of more than one precision, {sorted({m.precision for m in models})}")
    if len(data[0]):
        raise DecodeError(f"{len(data[0])} words before the first matrix")
    return models, data


def _unpack(
    words: Words, n_lanes: int, shape: tuple[int, ...], models: list[Frequencies], data: list[Words]
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    try:
        coder = LaneAnsCoder(
            n_lanes,
            models[0].precision,
            compressed=np.concatenate([*(part[::-1] for part in reversed(data)), words[: 2 * n_lanes][::-1]]),
        )
    except ParameterError as error:
        raise DecodeError(str(error)) from None
    for i, model in enumerate(models):
        taken = coder.num_shared_words()
        matrix = coder.pop(model, shape)
        taken -= coder.num_shared_words()
        stored = len(data[i + 1]) if i + 1 < len(data) else 0
        if taken != stored:
            raise DecodeError(f"matrix {i} takes {taken} words, not {stored}")
        if i + 1 == len(models) and not coder.is_empty():
            raise DecodeError("lanes do not end as they began")
        yield matrix, model.frequencies
