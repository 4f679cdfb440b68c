"""numcodecs' own checks of codecs, run on ours.

They are in `numcodecs.tests`, which came with numcodecs up to 0.16.  `check_max_buffer_size` has nothing to check: our
codecs have no `max_buffer_size`, as chunks may have any size.
"""

import numpy as np
import pytest

from arraycodec import AnsQuant, LowRankQuant, ParameterError, StochasticQuant, VarintQuant

common = pytest.importorskip("numcodecs.tests.common", reason="this numcodecs comes without its tests")
from numcodecs import compat  # noqa: E402

RNG = np.random.default_rng(0)
DATES = RNG.integers(0, 2**60, 1000, dtype="u8")
#: Of the kinds that numcodecs tests its compressors with, but strings; and what they have not.
FLOATS = [
    np.linspace(1000, 1001, 1000, dtype="f8"),
    RNG.normal(1000, 1, (100, 10)),
    RNG.normal(size=(10, 10, 10)).astype("f4"),
    np.asfortranarray(RNG.normal(size=(2, 5, 10, 10)).astype("f2")),
]
ARRAYS = [
    *FLOATS,
    np.arange(1000, dtype="i4"),
    (RNG.random(1000) < 0.5).reshape((100, 10), order="F"),
    DATES.view("M8[ns]"),
    DATES.view("m8[ns]"),
    (DATES // 1000).view("M8[m]"),
    RNG.normal(size=(20, 2)).view("c16"),
    RNG.normal(size=30).astype(">f4"),
    RNG.integers(-(2**63), -(2**63) + 20, (10, 10, 10), dtype="i8"),
]
EXACT = [
    AnsQuant(tol=0),
    AnsQuant(tol=0, level=1, predictor="none"),
    VarintQuant(tol=0),
    VarintQuant(tol=0, backend="zlib"),
]
#: Codecs, and the decimals to which all of FLOATS come back.
LOSSY = [
    (AnsQuant(tol=1e-5), 5),
    (AnsQuant(rtol=1e-9), 5),
    (VarintQuant(tol=1e-5, backend="bz2"), 5),
    (LowRankQuant(tol=1e-5), 5),
    (LowRankQuant(rel_error=1e-7), 2),
    (StochasticQuant(9, "max", 64), 0),
]
CODECS = [*EXACT, *(q for q, _ in LOSSY)]


class Buffers:
    """A codec that takes bytes as numcodecs' own do: for numbers of 8 bits, which go into any memory of their size.

    Ours refuse `bytes`, which may hold anything: they could not keep a tolerance for it.
    """

    def __init__(self, codec):
        self.codec = codec

    def encode(self, buf):
        return self.codec.encode(compat.ensure_ndarray(buf))

    def decode(self, buf, out=None):
        if out is None:
            return self.codec.decode(buf)
        return self.codec.decode(buf, compat.ensure_contiguous_ndarray(out).view("u1"))


def small(arrays):
    """What every lossy codec takes: floats, at least two axes."""
    return [a for a in arrays if a.ndim > 1 and a.dtype.kind == "f"]


@pytest.mark.parametrize("codec", EXACT, ids=repr)
def test_exact(codec):
    for array in ARRAYS:
        common.check_encode_decode(array, Buffers(codec))
        common.check_encode_decode_array(array, codec)


@pytest.mark.parametrize(("codec", "decimals"), LOSSY[:3], ids=repr)
def test_with_a_tolerance(codec, decimals):
    for array in FLOATS:
        common.check_encode_decode(array, Buffers(codec), precision=decimals)


@pytest.mark.parametrize(("codec", "decimals"), LOSSY[3:], ids=repr)
def test_floats_alone(codec, decimals):
    """check_encode_decode encodes bytes, too, which have no floats for these codecs: the rest of what it does."""
    for array in small(FLOATS):
        chunk = codec.encode(array)
        out, memory = np.empty_like(array), bytearray(array.nbytes)
        codec.decode(chunk, out=out)
        codec.decode(chunk, out=memory)
        for decoded in (out, memory, *map(codec.decode, (chunk, bytearray(chunk), np.frombuffer(chunk, "u1")))):
            common.compare_arrays(array, decoded, precision=decimals)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_config_and_repr(codec, monkeypatch):
    common.check_config(codec)
    monkeypatch.setattr(common, type(codec).__name__, type(codec), raising=False)  # where it evaluates the repr
    common.check_repr(repr(codec))


def test_fixtures_of_one_run_are_read_by_the_next(tmp_path, monkeypatch):
    """numcodecs keeps such files for good, as this project does in tests/vectors; here they live for two runs."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        common.check_backwards_compatibility("exact", ARRAYS, EXACT)
        codecs, decimals = zip(*LOSSY, strict=True)
        common.check_backwards_compatibility("lossy", small(FLOATS), codecs, decimals)
    assert len(list(tmp_path.glob("fixture/*/codec.*/encoded.*.dat"))) == len(ARRAYS) * len(EXACT) + 3 * len(LOSSY)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_objects(codec):
    common.check_err_encode_object_buffer(codec)
    with pytest.raises(TypeError):
        codec.encode(["foo", "bar", "baz"])
    if not isinstance(codec, LowRankQuant | StochasticQuant):  # it encodes integers in one axis, which these refuse
        common.check_err_decode_object_buffer(codec)
    chunk = codec.encode(FLOATS[1])
    for what, out in (({}, np.empty(FLOATS[1].shape, object)), ({"selection": np.s_[3]}, np.empty(10, object))):
        with pytest.raises(TypeError, match="array of Python objects"):
            codec.decode(chunk, out=out, **what)
        assert not any(out.flat)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_bytes_are_refused(codec):
    for buf in (b"abc", np.array([b"abc", b"d"])):
        with pytest.raises((TypeError, ParameterError)):
            codec.encode(buf)
