"""Arrays in, arrays out: dtypes, shapes, strides, memory order, `out`, parameters, determinism."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from arrays import DTYPES, NATIVE, bits, numbers, torture

import arraycodec
from arraycodec import (
    AnsQuant,
    ArraycodecError,
    ParameterError,
    SizeError,
    _core,
    decode,
    encode,
    inspect,
    peek,
    verify,
)
from arraycodec.config import Config

TOL = 2**-10


def sample(shape, dtype="f4", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1, 1), (7,), (5, 13), (2, 3, 4, 5, 6), (1, 999)])
def test_shape_dtype_and_byte_order_come_back(dtype, shape):
    x = sample(shape, dtype)
    back = decode(encode(x, TOL))
    assert back.dtype == dtype and back.shape == shape
    assert x.size == 0 or np.abs(back - x).max() <= TOL
    header = peek(encode(x, TOL))
    assert (header.dtype, header.shape, header.tol, header.count) == (dtype, shape, TOL, x.size)


def test_memory_orders_and_strides():
    x = sample((30, 40, 5))
    expected = decode(encode(x, TOL))
    strided = np.zeros((60, 40, 10), "f4")[::2, :, ::2]
    strided[...] = x
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view("f4").reshape(x.shape)
    assert not unaligned.flags.aligned
    readonly = x.copy()
    readonly.flags.writeable = False
    for same in (strided, unaligned, readonly, x[::-1][::-1]):
        assert encode(same, TOL) == encode(x, TOL)
    f = np.asfortranarray(x)
    back = decode(encode(f, TOL))
    assert back.flags.f_contiguous and np.array_equal(back, expected)
    assert peek(encode(f, TOL)).order == "F"
    assert np.array_equal(decode(encode(x.T, TOL)), expected.T)
    assert np.array_equal(decode(encode(x[::-1], TOL)), expected[::-1])


def test_same_input_same_bytes():
    x = sample(100_000)
    assert len({encode(x.copy(), TOL) for _ in range(3)}) == 1
    assert encode(x.astype(">f4"), TOL) != encode(x, TOL)  # the byte order is part of the chunk
    assert np.array_equal(decode(encode(x.astype(">f4"), TOL)), decode(encode(x, TOL)))


@pytest.mark.parametrize("order", "CF")
def test_decode_into_out(order):
    x = np.asarray(sample((50, 60)), order=order)
    chunk = encode(x, TOL)
    expected = decode(chunk)
    for out in (
        np.empty((50, 60), "f4"),
        np.empty((50, 60), "f4", order="F"),
        np.empty((50, 60), ">f4"),
        np.empty((50, 60), "f8"),
        np.empty((100, 120), "f4")[::2, ::2],
    ):
        assert decode(chunk, out) is out
        assert np.array_equal(out, expected)
    memory = expected.tobytes(order="A")
    for out in (bytearray(x.nbytes), np.empty(x.nbytes, "u1"), np.empty(3000, "f4"), memoryview(bytearray(x.nbytes))):
        decode(chunk, out)
        assert bytes(out) == memory
    shifted = np.empty(x.nbytes + 1, "u1")[1:]  # not aligned to an element
    decode(chunk, shifted)
    assert shifted.tobytes() == memory


def test_out_of_the_wrong_kind_is_refused():
    chunk = encode(sample((10, 10)), TOL)
    readonly = np.empty((10, 10), "f4")
    readonly.flags.writeable = False
    for out in (np.empty(99, "f4"), bytearray(401), readonly, np.empty((10, 20), "f2")[:, ::2][:, :9]):
        with pytest.raises(ValueError):
            decode(chunk, out)


def test_decode_range():
    x = sample((100, 1000))
    chunk = encode(x, TOL)
    small = _core.encode(x.reshape(-1).view("u1"), 1, False, False, x.shape, TOL, block_len=999)
    flat = decode(chunk).ravel()
    for first, count in [(0, 0), (0, 1), (998, 3), (1500, 50_000), (99_999, 1), (0, 100_000), (100_000, 0)]:
        assert np.array_equal(arraycodec.decode_range(chunk, first, count), flat[first : first + count])
        assert np.array_equal(arraycodec.decode_range(small, first, count), flat[first : first + count])
    for first, count in [(-1, 2), (0, 100_001), (100_001, 0), (5, -1)]:
        with pytest.raises(ParameterError):
            arraycodec.decode_range(chunk, first, count)


def test_a_range_reads_only_its_blocks():
    """Damage elsewhere in the chunk goes unnoticed; damage in the range does not."""
    x = sample(10_000)
    chunk = bytearray(_core.encode(x.view("u1"), 1, False, False, x.shape, TOL, block_len=1000))
    blocks = inspect(bytes(chunk)).blocks
    chunk[blocks[7].offset + 5] ^= 1
    arraycodec.decode_range(chunk, 2000, 5000)
    with pytest.raises(arraycodec.ChecksumError):
        arraycodec.decode_range(chunk, 7999, 1)


def test_max_output_is_decided_before_allocation():
    x = np.zeros(1 << 22, "f8")
    chunk = encode(x, 0)
    assert len(chunk) < 500
    with pytest.raises(SizeError, match="33554432"):
        decode(chunk, max_output=1 << 20)
    assert decode(chunk, max_output=1 << 25).nbytes == 1 << 25
    # a short chunk cannot claim much: its index has 8 bytes for every 2**18 values
    assert peek(chunk).nbytes / len(chunk) < 8 * 2**18 / 8


@pytest.mark.parametrize(
    "tol", [-1e-3, float("nan"), float("inf"), -float("inf"), 10**400], ids=["negative", "nan", "inf", "-inf", "1e400"]
)
def test_bad_tolerances(tol):
    for make in (AnsQuant, lambda tol: encode(np.zeros(3), tol)):
        with pytest.raises(ValueError) as error:
            make(tol)
        assert str(tol)[:20] in str(error.value)


@pytest.mark.parametrize("tol", ["1e-3", b"1", [1e-3], 1j, True, np.array([1.0, 2.0])])
def test_tolerances_that_are_no_numbers(tol):
    with pytest.raises(TypeError, match="tol must be a number"):
        AnsQuant(tol=tol)


def test_tolerances_between_two_doubles_are_rounded_down():
    tenth = Fraction(1, 10)
    assert Fraction(AnsQuant(tol=tenth).tol) <= tenth < Fraction(0.1)


def test_tolerances_of_numpy_types():
    x = sample(1000)
    for tol in (np.float32(0.5), np.float64(0.5), np.int64(1), 1):
        assert isinstance(AnsQuant(tol=tol).tol, float)
        assert np.abs(decode(encode(x, tol)) - x).max() <= float(tol)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([None]),
        b"bytes",
        np.zeros(3, np.longdouble),
        np.zeros(3, np.clongdouble),
        np.zeros(3, "V4"),
        np.zeros(3, [("a", "f4")]),
    ],
    ids=lambda a: str(getattr(a, "dtype", type(a))),
)
def test_unsupported_dtypes(array):
    with pytest.raises(TypeError, match="float, complex, integer, bool, datetime64 and timedelta64 arrays, not"):
        encode(array, 1)


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="mask"):
        encode(np.ma.masked_invalid([1.0, np.nan]), 1)


def test_too_many_dimensions():
    assert decode(encode(np.ones((1,) * 32), 1)).shape == (1,) * 32
    with pytest.raises(ParameterError, match="33"):
        encode(np.ones((1,) * 33), 1)


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_no_input_grows_by_more_than_the_stated_bound(dtype):
    for n in (0, 1, 2, 100, 5000):
        for name, x in torture(dtype, max(n, 1)).items():
            x = x[:n]
            for tol in (0, 2**-20, 1.0):
                size = len(encode(x, tol))
                assert size <= x.nbytes + 24 + 10 * 2 + 9 + 4, (name, n, tol)
                assert size <= _core.bound(1 if dtype.itemsize == 4 else 2, x.shape)


def test_modes():
    rng = np.random.default_rng(0)

    def mode(x, tol=1e-3):
        return inspect(encode(np.asarray(x, "f4"), tol)).mode

    assert mode(np.full(1000, np.nan)) == "constant"
    assert mode(np.full(1000, 1.5), 0) == "constant"
    assert mode(rng.integers(0, 2**32, 1000, "u4").view("f4"), 0) == "raw"
    assert mode(rng.normal(size=1000), 0) == "exact"
    assert mode(rng.normal(0, 1e30, 1000)) == "exact"  # a lattice that no value lies on
    assert mode(rng.normal(size=1000)) == "uniform"
    assert inspect(encode(rng.normal(size=1000), rtol=1e-3)).mode == "lattice"
    assert inspect(encode(np.arange(1000), 5)).mode == "lattice"
    assert mode([]) == "empty"
    packed = inspect(encode(rng.integers(0, 256, 4000).astype("f4"), 0.5)).blocks[0]
    assert (packed.mode, packed.lanes, packed.classes) == ("uniform", 0, 1)  # bit-packing: no tokens
    assert packed.size < 4000 + 20
    nearly = inspect(encode(rng.normal(0, 1e-6, 100_000).astype("f4"), 1.0))
    assert nearly.size < 80 and nearly.mode == "uniform"  # one token, no bits


def test_bits_per_value_of_simple_sources():
    """Near the entropy: uniform, Laplace, sparse."""
    rng = np.random.default_rng(0)
    n = 1 << 18
    assert inspect(encode(rng.uniform(0, 1, n).astype("f4"), 2**-11)).bits_per_value < 10.04
    laplace = np.round(rng.laplace(0, 3, n)).astype("f4")
    _, counts = np.unique(laplace, return_counts=True)
    entropy = -(counts / n * np.log2(counts / n)).sum()
    assert inspect(encode(laplace, 0.5)).bits_per_value < entropy + 0.02


def test_config_round_trips():
    more = AnsQuant(0.1, level=9), AnsQuant(0.1, predictor="auto")
    for q in (AnsQuant(), AnsQuant(tol=0), AnsQuant(tol=2**-17), AnsQuant(0.1), *more):
        assert eval(repr(q)) == q
        assert AnsQuant(**{k: v for k, v in json.loads(json.dumps(q.get_config())).items() if k != "id"}) == q
        assert pickle.loads(pickle.dumps(q)) == q
        assert copy.copy(q) == copy.deepcopy(q) == q
        assert len({q, pickle.loads(pickle.dumps(q))}) == 1
        assert dict(q) == json.loads(json.dumps(q))
    assert AnsQuant(tol=1) != AnsQuant(tol=2) and AnsQuant(tol=1) != AnsQuant()
    assert AnsQuant(tol=1) == AnsQuant(tol=1.0) and AnsQuant(tol=-0.0).tol == 0
    assert dict(AnsQuant(tol=0.5)) == {"name": "arraycodec.ansquant", "configuration": {"tol": 0.5}}


# ---- levels ----
LEVELS = range(_core.MIN_LEVEL, _core.MAX_LEVEL + 1)


def test_the_level_is_part_of_the_configuration():
    q = AnsQuant(tol=0.5, level=np.int8(7))
    assert type(q.level) is int and q.level == 7 and AnsQuant(tol=0.5).level is None
    assert repr(q) == "AnsQuant(tol=0.5, level=7)"
    assert q.get_config() == {"id": "ansquant", "tol": 0.5, "level": 7}
    assert dict(q)["configuration"] == {"tol": 0.5, "level": 7}
    assert len({q, AnsQuant(tol=0.5, level=7), AnsQuant(tol=0.5, level=5), AnsQuant(tol=0.5)}) == 3
    assert pickle.loads(pickle.dumps(AnsQuant(tol=0.5, level=7, threads=2))).level == 7
    with pytest.raises(AttributeError):
        q.level = 1
    # tol and level alone go the short way, whether the level is given or not
    assert Config(0.5).is_plain and Config(0.5, level=7).is_plain
    assert not Config(0.5, 0.1, level=7).is_plain and not Config(level=7).is_plain


@pytest.mark.parametrize("level", [True, False, 5.0, "5", 1j, [5]])
def test_levels_that_are_no_integers(level):
    for call in (lambda: AnsQuant(tol=1, level=level), lambda: encode(np.ones(3), 1, level=level)):
        with pytest.raises(TypeError, match="level must be an integer, not "):
            call()


@pytest.mark.parametrize("level", [0, -1, 10, 256, 2**70])
def test_levels_out_of_range(level):
    for call in (lambda: AnsQuant(tol=1, level=level), lambda: encode(np.ones(3), 1, level=level)):
        with pytest.raises(ParameterError, match=rf"level must be 1 \(fast\) to 9 \(smallest\), not {level}$"):
            call()


def test_the_default_level():
    for x in (sample(5000), sample((50, 50), ">f8"), np.arange(5000), numbers("c8", 5000)):
        chunks = {encode(x, TOL), encode(x, TOL, level=None), encode(x, TOL, level=_core.DEFAULT_LEVEL)}
        chunks |= {AnsQuant(tol=TOL).encode(x), AnsQuant(tol=TOL, level=_core.DEFAULT_LEVEL).encode(x)}
        assert len(chunks) == 1


def test_every_way_to_encode_takes_the_level():
    """The short way and the long one make the same chunks."""
    x = sample(70_000).cumsum().astype("f4")
    for level in LEVELS:
        chunk = encode(x, TOL, level=level)
        assert AnsQuant(tol=TOL, level=level).encode(x) == encode(x, TOL, 2, level=level) == chunk
        assert encode(x, TOL, level=level, block_len=0) == chunk
        assert encode(x, TOL, level=level, fill_value=np.nan) == chunk


def test_the_predictor_is_part_of_the_configuration():
    q = AnsQuant(tol=0.5, predictor=np.str_("auto"))
    assert type(q.predictor) is str and q.predictor == "auto" and AnsQuant(tol=0.5).predictor is None
    assert repr(q) == "AnsQuant(tol=0.5, predictor='auto')"
    assert q.get_config() == {"id": "ansquant", "tol": 0.5, "predictor": "auto"}
    assert dict(q)["configuration"] == {"tol": 0.5, "predictor": "auto"}
    assert len({q, AnsQuant(0.5, predictor="auto"), AnsQuant(0.5, predictor="none"), AnsQuant(0.5)}) == 3
    assert pickle.loads(pickle.dumps(AnsQuant(tol=0.5, level=7, predictor="lorenzo", threads=2))).predictor == "lorenzo"
    with pytest.raises(AttributeError):
        q.predictor = "none"
    assert Config(0.5, predictor="auto").is_plain and Config(0.5, level=7, predictor="none").is_plain
    assert not Config(0.5, 0.1, predictor="auto").is_plain and not Config(predictor="auto").is_plain
    for name in _core.PREDICTORS:
        assert json.loads(json.dumps(AnsQuant(predictor=name).get_config()))["predictor"] == name


@pytest.mark.parametrize("predictor", [True, 2, 1.0, b"auto", ["auto"], np.arange(3)])
def test_predictors_that_are_no_names(predictor):
    for call in (lambda: AnsQuant(tol=1, predictor=predictor), lambda: encode(np.ones(3), 1, predictor=predictor)):
        with pytest.raises(TypeError, match="predictor must be a name, not "):
            call()


@pytest.mark.parametrize("predictor", ["", "Auto", "spline", "default"])
def test_unknown_predictors(predictor):
    message = f'predictor must be "none", "auto", "lorenzo", "interpolation" or "linear", not {predictor!r}$'
    for call in (lambda: AnsQuant(tol=1, predictor=predictor), lambda: encode(np.ones(3), 1, predictor=predictor)):
        with pytest.raises(ParameterError, match=message):
            call()


@pytest.mark.parametrize("code", [-1, 6, 255, 256])
def test_unknown_codes_of_predictors(code):
    x = sample(100)
    assert _core.encode_plain(x, TOL, 1, 0, code) is None
    with pytest.raises(ParameterError):
        _core.encode(x.view("u1"), 1, False, False, x.shape, TOL, predictor=code)


def waves(shape, dtype="f4"):
    """Something to predict."""
    return sum(np.sin(i / 9).astype(dtype) for i in np.indices(shape))


def test_the_default_predictor():
    for x in (waves((5000,)), waves((50, 60), ">f8"), sample((50, 50)), np.arange(5000)):
        chunks = {encode(x, TOL), encode(x, TOL, predictor=None), encode(x, TOL, predictor="auto")}
        chunks |= {AnsQuant(tol=TOL).encode(x), AnsQuant(tol=TOL, predictor="auto").encode(x)}
        assert len(chunks) == 1


def test_every_way_to_encode_takes_the_predictor():
    """The short way and the long one make the same chunks."""
    x = waves((300, 250))
    sizes = {}
    for predictor in _core.PREDICTORS:
        chunk = encode(x, TOL, predictor=predictor)
        assert AnsQuant(tol=TOL, predictor=predictor).encode(x) == encode(x, TOL, 2, predictor=predictor) == chunk
        assert encode(x, TOL, predictor=predictor, block_len=0) == chunk
        assert encode(x, TOL, predictor=predictor, fill_value=np.nan) == chunk
        assert verify(x, decode(chunk), TOL)
        assert {block.mode for block in inspect(chunk).blocks} == {"uniform" if predictor == "none" else "predicted"}
        sizes[predictor] = len(chunk)
    assert max(sizes["auto"], sizes["lorenzo"], sizes["interpolation"], sizes["linear"]) < 0.7 * sizes["none"]
    assert sizes["auto"] <= 1.01 * min(sizes.values())


@pytest.mark.parametrize(
    ("dtype", "parameters"),
    [("f8", {"rtol": 0.01}), ("f4", {"tol": 0.1, "rtol": 0.01}), ("?", {"tol": 1}), ("M8[s]", {"tol": 0})],
)  # fmt: skip
def test_what_is_never_predicted(dtype, parameters):
    x = (100 * waves((60, 70), "f8")).astype("i8" if dtype[0] == "M" else "f8").astype(dtype)
    for predictor in ("auto", "lorenzo", "interpolation", "linear"):
        assert encode(x, **parameters, predictor=predictor) == encode(x, **parameters, predictor="none")


@pytest.mark.parametrize(("dtype", "parameters"), [("f4", {"tol": 0}), ("f8", {"tol": 0}), ("i4", {"tol": 3})])
def test_what_is_predicted_too(dtype, parameters):
    x = (100 * waves((60, 70), "f8")).astype(dtype)
    assert len(encode(x, **parameters)) < len(encode(x, **parameters, predictor="none"))


def check_levels(x, parameters):
    """Within the bound at every level; and encoded again, at any, what has moved once stays where it is."""
    for level in LEVELS:
        y = decode(encode(x, level=level, **parameters))
        assert verify(x, y, **parameters), level
        for other in LEVELS:
            z = decode(encode(y, level=other, **parameters))
            moved = bits(z) != bits(y)
            # only what had been stored exactly, as a whole block or by a mask, may still go onto the lattice
            assert np.array_equal(bits(y)[moved], bits(x)[moved]), (level, other)
            assert verify(x, z, **parameters), (level, other)
    y = x
    for level in [*LEVELS, *reversed(LEVELS)]:
        before, y = y, decode(encode(y, level=level, **parameters))
        moved = bits(y) != bits(before)
        assert np.array_equal(bits(before)[moved], bits(x)[moved]), level
    assert verify(x, y, **parameters)


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
@pytest.mark.parametrize("name", torture("f4"))
def test_rewrites_never_drift_across_levels(dtype, name):
    x = torture(dtype)[name]
    for parameters in ({"tol": 2**-7}, {"rtol": 1e-2}, {"tol": 1e-2, "rtol": 1e-3}, {"tol": 0}):
        check_levels(x, parameters)


@pytest.mark.parametrize("dtype", ["?", "i1", ">i2", "u4", "i8", "f2", ">f4", "c8", ">c16", "M8[s]"])
def test_levels_of_other_types(dtype):
    x = numbers(dtype, (40, 50))
    fill = {} if x.dtype.kind in "bmM" else {"fill_value": 27}
    for parameters in ({"tol": 3}, {"rtol": 2**-6, **fill}, {"tol": 0}):
        check_levels(x, parameters)
    if dtype == "u4":
        check_levels((numbers("f4", (40, 50)).view("u4") >> 16).astype("u2"), {"tol": 0.5, "dtype": "bfloat16"})


@pytest.mark.parametrize("dtype, tol", [("f4", 1e-2), ("f8", 1e-2), ("f8", 0), ("i4", 5)])
def test_levels_of_several_blocks(dtype, tol):
    rng = np.random.default_rng(0)
    x = (1000 * np.sin(np.arange(300_000) / 500) + rng.normal(size=300_000)).astype(dtype)
    for first, second in ((1, 9), (9, 1), (5, 7)):
        y = decode(encode(x, tol, level=first))
        assert verify(x, y, tol)
        assert np.array_equal(bits(decode(encode(y, tol, level=second))), bits(y))


def test_the_object_is_immutable():
    q = AnsQuant(tol=1)
    with pytest.raises(AttributeError):
        q.tol = 2
    for change in (
        lambda: q["configuration"].update(tol=2),
        lambda: q.update(tol=2),
        lambda: q.pop("name"),
        lambda: q.clear(),
        lambda: q.__setitem__("name", 1),
    ):
        with pytest.raises(TypeError):
            change()


def test_without_a_tolerance_it_decodes_only():
    x = sample(100)
    assert np.array_equal(AnsQuant().decode(AnsQuant(tol=TOL).encode(x)), decode(encode(x, TOL)))
    with pytest.raises(ValueError, match="tolerance"):
        AnsQuant().encode(x)


def test_buffers_that_decode_accepts():
    x = sample(100)
    chunk = encode(x, TOL)
    expected = decode(chunk)
    for buf in (
        bytearray(chunk),
        memoryview(chunk),
        np.frombuffer(chunk, "u1"),
        np.frombuffer(chunk, "i1"),
        memoryview(b"-" + chunk)[1:],
    ):
        assert np.array_equal(decode(buf), expected)
    with pytest.raises(ValueError):
        decode(np.frombuffer(chunk + b"\0" * (len(chunk) % 2), "u1")[::2])


def test_errors_are_value_errors():
    for name in ("FormatError", "TruncatedError", "ChecksumError", "VersionError", "SizeError", "ParameterError"):
        assert issubclass(getattr(arraycodec, name), ArraycodecError)
    assert issubclass(ArraycodecError, ValueError)


IMPORTS = """
import sys, arraycodec
heavy = [m for m in ("zarr", "h5py", "netCDF4", "numcodecs") if m in sys.modules]
arraycodec.AnsQuant(tol=1)
print(heavy, "numcodecs" in sys.modules)
"""


def test_import_is_light():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"


@pytest.mark.parametrize("name", ["scalar", "sse4.2", "avx2", "avx512", "neon", "nonsense"])
def test_isa_can_be_forced(name):
    code = "import arraycodec, numpy; print(arraycodec.isa()); arraycodec.encode(numpy.zeros(3), 1)"
    env = {**os.environ, "ARRAYCODEC_ISA": name}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    if done.returncode == 0:
        assert done.stdout.strip() == name != "nonsense"
    else:
        assert "ARRAYCODEC_ISA" in done.stderr and name != "scalar"


def test_an_out_that_values_cannot_go_into_is_refused():
    chunk = encode(sample((10, 10)), TOL)
    for shape, dtype in (((10, 10), "i4"), ((5, 20), "f8"), ((5, 20), ">f4"), ((10, 10), "M8[s]")):
        out = np.empty(shape, dtype)
        with pytest.raises(ParameterError, match="out"):
            decode(chunk, out)
    with pytest.raises(TypeError, match="masked"):
        decode(chunk, np.ma.zeros((10, 10), "f4"))
    for buffer in (np.asfortranarray(np.zeros((4, 5), "u1")), np.array([None, 1])):
        with pytest.raises(ValueError, match="contiguous"):
            decode(buffer)
    with pytest.raises(TypeError, match="chunk"):
        decode("text")
    with pytest.raises(TypeError):
        arraycodec.decode_range(chunk, 0.5, 3)
    with pytest.raises(TypeError, match="None"):
        arraycodec.verify(sample(3), sample(3), None)


def test_subclasses_are_refused():
    with pytest.raises(TypeError, match="subclass"):

        class Mine(AnsQuant):
            pass


def test_rare_outliers_do_not_coarsen_the_rest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1 << 17)
    plain = inspect(encode(x, 0.005)).bits_per_value
    x[rng.random(x.size) < 1 / 128] *= 1e5
    assert inspect(encode(x, 0.005)).bits_per_value < plain + 0.5  # an exception every 128 values


def test_missing_values_in_runs_are_cheap():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=60_000)).astype("f4")
    dense = len(encode(x, 0.01))
    for hole in (np.nan, 9.97e36):
        y = np.insert(x, 20_000, np.full(40_000, hole, "f4"))
        assert len(encode(y, 0.01)) < dense + 600


def test_fast_math_is_refused_by_the_build(tmp_path):
    compiler = shutil.which("cc")
    header = Path(__file__).parents[1] / "ext" / "core" / "quantize.h"
    if not compiler or not header.exists():
        pytest.skip("no compiler or no sources")
    source = tmp_path / "x.c"
    source.write_text(f'#include "{header}"\n')
    for flags, fine in (["-O2"], True), (["-O2", "-ffast-math"], False), (["-Ofast", "-fno-fast-math"], True):
        done = subprocess.run([compiler, *flags, "-fsyntax-only", source], capture_output=True, text=True)
        assert (done.returncode == 0) == fine, done.stderr


def test_public_names():
    assert set(arraycodec.__all__) <= set(dir(arraycodec))
    for name in arraycodec.__all__:
        assert getattr(arraycodec, name) is not None
    assert arraycodec.tolerance.keeping(0.25, [-9999.0]) == 0.25
    with pytest.raises(AttributeError, match="nothing"):
        arraycodec.nothing  # noqa: B018
