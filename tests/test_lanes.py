"""Lanes of stacks: the notebook's stream bit for bit, a plain reference, the container, errors that change nothing."""

import copy
import ctypes
import hashlib
from pathlib import Path

import numpy as np
import pytest
from native import library

from arraycodec.coders import (
    AnsCoder,
    Categorical,
    CustomModel,
    Frequencies,
    LaneAnsCoder,
    QuantizedGaussian,
    RangeDecoder,
    RangeEncoder,
    Uniform,
    pack_matrices,
    unpack_matrices,
)
from arraycodec.errors import DecodeError, ParameterError

# What the notebook "Mock Data for Compressed Matrices" prints, or writes to files; its `argsort` is not stable, so that
# the order of symbols (tests/mock_matrices.npz: for each matrix its values by their index) is an input, too.
SHA256_OF_VALUES = "abaa5a450490f216565118e0952fa02b4d8f56478fd16b96d278eb1d94bcd16f"
SHA256_OF_STREAM = "0f989da0e0551072f87743274666fd7a5e67d3e8e00319b1ace7adc052278380"
WORDS, CONTAINER_BYTES = 34_691_303, 69_398_672
CHECKSUMS = (
    55445785, 15163511, 6664559, 15747500, 5573655, 27711411, 20047205, 10641525, 64606195, 65232545, 51903642,
    57475160, 54761909, 30428408, 22313942, 33179881, 37189258, 16278593, 56573661, 41121083, 55929650, 43756132,
    28003007, 56424187, 28589585, 37515944, 58783295, 57634150, 6008159, 16510335, 64138918,
)  # fmt: skip
SIZES = {0: 78, 1: 332241, 2: 331060, 50: 331853, 97: 792229, 98: 250265, 99: 6522}

CHECKSUM = """
#include <stddef.h>
#include <stdint.h>
uint32_t checksum(const int32_t *symbols, size_t n) {
  uint32_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum = (((sum & 0x001fffff) << 5 | sum >> 21) ^ (uint32_t)symbols[i]) * 0x03220a95 & 0x03ffffff;
  return sum;
}
"""


def mock_matrices():
    """For each of the 100 matrices: symbols, values by symbol, frequencies."""
    with np.load(Path(__file__).parent / "mock_matrices.npz") as stored:
        ends = np.cumsum(stored["n"].astype(int))[:-1]
        vocabularies, frequencies = np.split(stored["v"], ends), np.split(stored["c"].astype(np.int32), ends)
    rng = np.random.RandomState(202404151)
    values = hashlib.sha256()
    symbols = []
    for vocabulary in vocabularies:
        matrix = np.round(rng.randn(1024, 1024) * 8).astype(np.int8)
        values.update(matrix)
        inverse = np.zeros(256, np.int8)
        inverse[vocabulary.view(np.uint8)] = np.arange(len(vocabulary))
        symbols.append(inverse[matrix.view(np.uint8)])
    assert values.hexdigest() == SHA256_OF_VALUES
    return symbols, frequencies


def test_the_notebook(tmp_path):
    """100 million entries: the published stream, container and checksums."""
    symbols, frequencies = mock_matrices()
    models = [Frequencies(each) for each in frequencies]
    coder = LaneAnsCoder(1 << 20)
    for matrix, model in zip(reversed(symbols), reversed(models), strict=True):
        coder.push(matrix, model)
    stream = coder.get_compressed()
    assert len(stream) == coder.num_words() == WORDS
    assert hashlib.sha256(stream.astype("<u2")).hexdigest() == SHA256_OF_STREAM
    coder = LaneAnsCoder(1 << 20, 12, 16, compressed=stream)
    del stream
    container = pack_matrices(symbols, frequencies)
    assert container.nbytes == CONTAINER_BYTES
    sizes = container[2 << 20 : (2 << 20) + 200].astype(np.int64).reshape(-1, 2) @ [1, 1 << 16]
    assert {i: sizes[i] for i in SIZES} == SIZES and sizes.sum() + (2 << 20) + 200 == len(container)
    checksum = library(CHECKSUM, tmp_path).checksum
    checksum.argtypes = ctypes.c_void_p, ctypes.c_size_t
    checksum.restype = ctypes.c_uint32
    unpacked = unpack_matrices(container, 100, (1024, 1024))
    for i, (matrix, model) in enumerate(zip(symbols, models, strict=True)):
        popped = coder.pop(model, (1024, 1024))
        assert np.array_equal(popped, matrix)
        if i < len(CHECKSUMS):
            assert checksum(popped.ctypes.data, popped.size) == CHECKSUMS[i]
        read, its_frequencies = next(unpacked)
        assert np.array_equal(read, matrix) and np.array_equal(its_frequencies, frequencies[i])
    assert coder.is_empty() and next(unpacked, None) is None


class Lane:
    """One lane as the notebook has it."""

    def __init__(self, precision, word_size):
        self.precision, self.word_size = precision, word_size
        self.head = 1 << word_size | 1

    def push(self, symbol, cdf, words):
        size = cdf[symbol + 1] - cdf[symbol]
        if self.head >> (2 * self.word_size - self.precision) >= size:
            words.append(self.head & ((1 << self.word_size) - 1))
            self.head >>= self.word_size
        self.head = self.head // size << self.precision | (self.head % size + cdf[symbol])


@pytest.mark.parametrize("word_size", [16, 32])
@pytest.mark.parametrize("precision", [1, 5, 12, 16, 24])
def test_lanes_are_those_of_a_plain_reference(word_size, precision):
    if precision > word_size:
        with pytest.raises(ParameterError, match="precision"):
            LaneAnsCoder(1, precision, word_size)
        return
    rng = np.random.default_rng(precision)
    for n_lanes in (1, 2, 63, 400):
        coder = LaneAnsCoder(n_lanes, precision, word_size)
        lanes, words = [Lane(precision, word_size) for _ in range(n_lanes)], []
        assert coder.is_empty()
        pushed = []
        for _ in range(30):
            n = int(rng.integers(1, min(1 << precision, 300) + 1))
            cuts = np.sort(rng.choice((1 << precision) - 1, n - 1, replace=False)) + 1
            cdf = [0, *cuts.tolist(), 1 << precision]
            model = Frequencies(np.diff(cdf))
            matrix = rng.integers(0, n, n_lanes)
            for j in reversed(range(n_lanes)):
                lanes[j].push(int(matrix[j]), cdf, words)
            coder.push(matrix, model)
            pushed.append((matrix, model))
        expected = list(words)
        for lane in reversed(lanes):
            expected += [lane.head & ((1 << word_size) - 1), lane.head >> word_size]
        compressed = coder.get_compressed()
        assert compressed.tolist() == expected and compressed.dtype == f"u{word_size // 8}"
        assert coder.heads.tolist() == [lane.head for lane in lanes]
        assert coder.num_words() == len(expected) and coder.num_bits() == word_size * len(expected)
        assert coder.num_shared_words() == len(words)
        for other in (coder, coder.clone(), copy.copy(coder), copy.deepcopy(coder)):
            for matrix, model in reversed(pushed):
                assert np.array_equal(other.pop(model), matrix)
            assert other.is_empty() and other.n_lanes == n_lanes and other.word_size == word_size


def test_any_model_that_has_its_parameters():
    symbols = np.random.default_rng(1).normal(3, 9, (20, 30)).round().clip(-50, 50).astype(np.int16)
    models = [QuantizedGaussian(-50, 50, 3, 9), QuantizedGaussian(-4000, 4000, 0, 800.0), Uniform(77),
              Categorical(np.arange(1.0, 60), perfect=False)]  # fmt: skip
    for word_size, precision in ((16, 14), (32, 20), (32, 24), (16, 16)):
        coder = LaneAnsCoder(600, precision, word_size)
        for model in models:
            coder.push(symbols.clip(0, 50) if not isinstance(model, QuantizedGaussian) else symbols, model)
        for model in reversed(models):
            expected = symbols.clip(0, 50) if not isinstance(model, QuantizedGaussian) else symbols
            assert np.array_equal(coder.pop(model, (20, 30)), expected)
        assert coder.is_empty()


def state(coder):
    return coder.get_compressed().tolist(), coder.heads.tolist()


@pytest.mark.parametrize("word_size", [16, 32])
def test_bad_calls_change_nothing(word_size):
    model = Uniform(10)
    coder = LaneAnsCoder(4, 12, word_size)
    for _ in range(6):
        coder.push([1, 2, 3, 4], model)
    before = state(coder)
    bad = [
        (([1, 2, 10, 3], model), "symbol 10 at position 2"),
        (([1, 2, 3], model), "3 symbols for 4 lanes"),
        (([1, 2, 3, 0.5], model), "integers, not float64"),
        (([1, 2, 3, 1 << 40], model), "at position 3"),
        (([1, 2, 3, 4], None), "not an entropy model"),
        (([1, 2, 3, 4], Uniform()), "all of its parameters"),
        (([1, 2, 3, 4], CustomModel(float, float, 0, 9)), "not of functions"),
        (([1, 2, 3, 4], Frequencies([1] * 8)), r"sum to 2\^12"),
        (([1, 2, 3, 4], Uniform(5000)), r"2 .. 2\^12"),
    ]
    for arguments, message in bad:
        with pytest.raises(ParameterError, match=message):
            coder.push(*arguments)
        if message not in ("integers, not float64", "3 symbols for 4 lanes") and "position" not in message:
            with pytest.raises(ParameterError, match=message):
                coder.pop(arguments[1])
        assert state(coder) == before
    shapes = {(2, 3): "6 entries", (-2, -2): "dimension", (2.0, 2.0): "dimension", 4: "tuple", (4, "x"): "dimension"}
    for shape, message in shapes.items():
        with pytest.raises(ParameterError, match=message):
            coder.pop(model, shape)
        assert state(coder) == before
    with pytest.raises(ParameterError, match="opened once"):
        coder._open(int(word_size == 16), 12, coder.heads, coder.get_compressed())
    assert state(coder) == before


@pytest.mark.parametrize("word_size", [16, 32])
def test_popping_too_much_changes_nothing(word_size):
    """Whatever lane runs out of words, and with words taken by those before."""
    rng = np.random.default_rng(2)
    seen = set()
    for n_lanes in (1, 5, 40):
        for stored in (0, 3, 9, 30):
            dtype = np.uint16 if word_size == 16 else np.uint32
            words = rng.integers(1, np.iinfo(dtype).max, stored + 2 * n_lanes, dtype)
            coder = LaneAnsCoder(n_lanes, 12, word_size, compressed=words)
            for _ in range(200):
                before = state(coder)
                try:
                    coder.pop(Uniform(3000))
                except DecodeError as error:
                    assert state(coder) == before
                    seen.add(int(str(error).split()[-1]))
                    break
            else:
                raise AssertionError("words without an end")
    assert len(seen) > 4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LaneAnsCoder(0), "n_lanes"),
        (lambda: LaneAnsCoder(1.5), "n_lanes"),
        (lambda: LaneAnsCoder(1, 17), "precision"),
        (lambda: LaneAnsCoder(1, 0), "precision"),
        (lambda: LaneAnsCoder(1, 25, 32), "precision"),
        (lambda: LaneAnsCoder(1, 12, 8), "word_size"),
        (lambda: LaneAnsCoder(2, compressed=np.ones(3, np.uint16)), "at least 4 words; there are 3"),
        (lambda: LaneAnsCoder(2**31 - 1, compressed=np.ones(3, np.uint16)), "there are 3"),
        (lambda: LaneAnsCoder(2, compressed=np.ones(4, np.uint32)), "uint16"),
        (lambda: LaneAnsCoder(2, compressed=np.array([1, 0, 1, 1], np.uint16)), "lane 1 has a head of 1"),
        (lambda: Frequencies([2, 0, 2]), "symbol 1 is 0"),
        (lambda: Frequencies([2, 1]), "they sum to 3"),
        (lambda: Frequencies([1]), "power of two from 2"),
        (lambda: Frequencies([1 << 24, 1 << 24]), "power of two"),
        (lambda: Frequencies([]), "power of two"),
        (lambda: Frequencies([0.5, 0.5]), "integers"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_frequencies_in_other_coders():
    rng = np.random.default_rng(3)
    for preset, total in (("default", 1 << 24), ("small", 1 << 12)):
        for sizes in ([total], [total - 1, 1], [1, total // 2, total // 2 - 1], [total // 64] * 64):
            model = Frequencies(sizes)
            symbols = rng.integers(0, len(sizes), 1000).astype(np.int32)
            coder = AnsCoder(preset=preset)
            coder.encode_reverse(symbols, model)
            words = coder.get_compressed()
            assert np.array_equal(coder.decode(model, 1000), symbols) and coder.is_empty()
            encoder = RangeEncoder(preset=preset)
            encoder.encode(symbols, model)
            assert np.array_equal(RangeDecoder(encoder.get_compressed(), preset=preset).decode(model, 1000), symbols)
            if len(sizes) > 1:  # the same integers found as the best for these probabilities
                coder = AnsCoder(preset=preset)
                coder.encode_reverse(symbols, Categorical(np.array(sizes) / total, perfect=True))
                assert np.array_equal(coder.get_compressed(), words)
    with pytest.raises(ParameterError, match=r"does not sum to 2\^24"):
        AnsCoder().encode_reverse([0], Frequencies([2048, 2048]))


def some_matrices(rng, n_matrices=7, shape=(9, 11), precision=12):
    matrices, frequencies = [], []
    for _ in range(n_matrices):
        n = int(rng.integers(1, 40))
        cuts = np.sort(rng.choice((1 << precision) - 1, n - 1, replace=False)) + 1
        frequencies.append(np.diff([0, *cuts, 1 << precision]).astype(np.int32))
        matrices.append(rng.choice(n, shape, p=frequencies[-1] / (1 << precision)))
    return matrices, frequencies


@pytest.mark.parametrize("precision", [8, 12, 15])
def test_containers(precision):
    rng = np.random.default_rng(precision)
    for n_matrices in (1, 2, 7):
        matrices, frequencies = some_matrices(rng, n_matrices, precision=precision)
        words = pack_matrices(matrices, frequencies, precision)
        read = list(unpack_matrices(words, n_matrices, (9, 11)))
        assert len(read) == n_matrices
        for (matrix, its), expected, given in zip(read, matrices, frequencies, strict=True):
            assert np.array_equal(matrix, expected) and np.array_equal(its, given)
        models = [Frequencies(each) for each in frequencies]
        assert np.array_equal(pack_matrices(matrices, models, precision), words)


def test_damaged_containers():
    """Errors of ours, or the same matrices (where frequencies moved between symbols that do not occur)."""
    rng = np.random.default_rng(4)
    matrices, frequencies = some_matrices(rng)
    words = pack_matrices(matrices, frequencies)
    refused = 0
    for _ in range(3000):
        damaged = words.copy()
        place = rng.integers(len(words))
        kind = rng.integers(4)
        if kind == 0:
            damaged[place] ^= np.uint16(1 << rng.integers(16))
        elif kind == 1:
            damaged[place] = rng.integers(1 << 16)
        elif kind == 2:
            damaged = damaged[:place]
        else:
            damaged = np.insert(damaged, place, rng.integers(1 << 16, dtype=np.uint16))
        if np.array_equal(damaged, words):
            continue
        try:
            read = list(unpack_matrices(damaged, 7, (9, 11)))
        except DecodeError:
            refused += 1
        else:
            assert all(np.array_equal(one, other) for (one, _), other in zip(read, matrices, strict=True))
    assert refused > 2800
    for n_matrices, shape in ((6, (9, 11)), (8, (9, 11)), (7, (9, 10)), (7, (9, 12)), (1 << 20, (1, 1))):
        with pytest.raises(DecodeError):
            list(unpack_matrices(words, n_matrices, shape))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: pack_matrices([], []), "0 matrices"),
        (lambda: pack_matrices([[1]], []), "0 frequencies"),
        (lambda: pack_matrices([[0], [0, 1]], [[2, 2]] * 2, 2), "1 symbols for 2 lanes|2 symbols for 1 lanes"),
        (lambda: pack_matrices([[2]], [[2, 2]], 2), "matrix 0: symbol 2 at position 0"),
        (lambda: pack_matrices([[1], [1]], [[2, 2], [0, 4]], 2), "matrix 1: frequencies must be positive"),
        (lambda: unpack_matrices(np.ones(9, np.uint16), 1, (-1, -2)), "dimension"),
        (lambda: unpack_matrices(np.ones(9, np.uint16), 1, 2), "tuple"),
        (lambda: pack_matrices([[1]], [[2, 2]], 16), "precision"),
        (lambda: pack_matrices([[1]], [[2, 2]]), r"does not sum to 2\^12"),
        (lambda: unpack_matrices(np.ones(9, np.uint32), 1, (1,)), "uint16"),
        (lambda: unpack_matrices(np.ones(9, np.uint16), 0, (1,)), "n_matrices"),
        (lambda: unpack_matrices(np.ones(9, np.uint16), 1, (0,)), "shape"),
    ],
)
def test_bad_matrices(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
