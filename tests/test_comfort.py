"""What objects are in Python: types, reprs, copies, pickles, equality, tables for notebooks."""

import ast
import copy
import os
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from unittest.mock import ANY

import numcodecs
import numpy as np
import pytest

import arraycodec
from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, coders, errors, names, tolerance

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "typed_program.py"
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def copies(thing):
    """An object through everything that copies objects."""
    return [*(pickle.loads(pickle.dumps(thing, p)) for p in PROTOCOLS), copy.copy(thing), copy.deepcopy(thing)]


# ---- types ----
def mypy(tmp_path_factory, module, *arguments):
    pytest.importorskip("mypy")
    # of the checkout: editable installations are found by import hooks, which mypy does not call
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    folder = tmp_path_factory.mktemp("types")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_and_program_are_typed(tmp_path_factory, request):
    pytest.importorskip("xarray")
    pytest.importorskip("zarr", minversion="3")
    cache = request.config.cache.mkdir("mypy")
    how = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", cache)
    mypy(tmp_path_factory, "mypy", *how, PROGRAM, ROOT / "arraycodec")


def test_stubs_of_compiled_modules(tmp_path_factory, tmp_path):
    config = tmp_path / "mypy.ini"  # without the types of other packages it is quicker
    config.write_text("[mypy]\nfollow_imports = skip\nignore_missing_imports = true\n")
    how = ("--mypy-config-file", config, "--allowlist", ROOT / "tests" / "stubtest.txt")
    mypy(tmp_path_factory, "mypy.stubtest", "arraycodec._core", "arraycodec._coders", *how)


def test_program_runs_and_has_every_public_name():
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    tree = ast.parse(PROGRAM.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    of_xarray = {"annotate", "encoding", "restore"}
    assert {*arraycodec.__all__, *coders.__all__, *tolerance.__all__, *of_xarray} <= used


def test_names_for_type_checkers_are_those_that_are_taken():
    from arraycodec import _core
    from arraycodec.backends import BACKENDS

    assert set(get_args(names.Predictor)) == set(_core.PREDICTORS)
    assert set(get_args(names.Backend)) == set(BACKENDS)
    assert set(get_args(names.Rounding)) == set(_core.METHODS) and set(get_args(names.Norm)) == set(_core.NORMS)
    assert set(get_args(names.Packing)) == set(_core.PACKINGS)
    assert set(get_args(names.Factorization)) == set(_core.FACTORS)


def test_targets_for_type_checkers():
    pytest.importorskip("xarray")
    assert get_args(names.Target) == arraycodec.xarray.TARGETS


def test_there_is_no_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Ansquant'"):
        arraycodec.Ansquant  # noqa: B018


# ---- codecs ----
CODECS = [
    AnsQuant(), AnsQuant(tol=0), AnsQuant(2**-17, 1e-3, fill_value=-9999, level=9, predictor="lorenzo"),
    AnsQuant(rtol=0.1, fill_value=1 - 2j, threads=3), AnsQuant(tol=np.float32(0.1), dtype="bfloat16"),
    VarintQuant(1e-3), VarintQuant(1e-3, backend="zstd", level=19),
    StochasticQuant(), StochasticQuant(3, "max", None, "qsgd", packing="fixed", seed=2**64 - 1),
    LowRankQuant(), LowRankQuant(8), LowRankQuant(bits_per_value=0.5, level=2),
    LowRankQuant(rel_error=0.01, row_axes=2), LowRankQuant(4, method="lplr", bits=[4, 5], seed=7),
    LowRankQuant(tol=0.5, threads=2),
]  # fmt: skip


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_codecs_are_values(codec):
    for other in (*copies(codec), eval(repr(codec)), numcodecs.get_codec(codec.get_config())):
        assert type(other) is type(codec) and other == codec and not other != codec and hash(other) == hash(codec)
        assert dict(other) == dict(codec)
    assert all(other.threads == codec.threads and repr(other) == repr(codec) for other in copies(codec))
    assert eval(repr(codec)).threads == codec.threads
    # what Zarr v3 sees of it
    for mapping in (*copies(dict(codec)), *copies([codec["configuration"]])):
        assert mapping in (dict(codec), [codec["configuration"]])
    with pytest.raises(TypeError, match="immutable"):
        copy.deepcopy(dict(codec))["configuration"]["tol"] = 5


def test_codecs_differ_from_everything_else():
    for i, a in enumerate(CODECS):
        assert [b == a for b in CODECS] == [j == i for j in range(len(CODECS))]
        assert a != dict(a) and dict(a) != a and a != 1 and a != "auto" and a is not None
        assert a == ANY and ANY == a  # others may have their say
    assert len(set(CODECS)) == len(CODECS)
    assert AnsQuant(1) != VarintQuant(1) and AnsQuant(1, threads=2) == AnsQuant(1.0)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_serializers_are_values(codec):
    pytest.importorskip("zarr", minversion="3")
    from arraycodec import zarr3

    kind = getattr(zarr3, type(codec).__name__ + "Serializer")
    serializer = kind.from_dict(codec)
    for other in (*copies(serializer), eval(repr(serializer), vars(zarr3)), kind.from_dict(serializer.to_dict())):
        assert type(other) is kind and other == serializer and hash(other) == hash(serializer)
        assert zarr3.codec_of(other) == codec
    assert all(other.threads == codec.threads for other in copies(serializer))
    assert serializer != codec and codec != serializer and serializer != dict(codec) and codec != serializer.to_dict()
    assert serializer != zarr3.VarintQuantSerializer(tol=12.5)


# ---- results ----
def chunks():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 50)).astype("f4")
    walk = np.cumsum(rng.normal(size=(600, 900)), 1).astype("f4")
    walk[:5] = np.nan
    waves = np.sin(np.arange(30))[:, None] * np.cos(np.arange(40))
    return {
        "predicted": arraycodec.encode(walk, 0.01), "relative": arraycodec.encode(noise, rtol=0.01),
        "fortran": arraycodec.encode(np.asfortranarray(noise), 0.1), "empty": arraycodec.encode(noise[:0], 0.0),
        "scalar": arraycodec.encode(np.int16(5), 0), "varints": VarintQuant(0.01).encode(noise),
        "backend": VarintQuant(0.01, backend="zlib").encode(noise), "stochastic": StochasticQuant(seed=1).encode(noise),
        "low rank": LowRankQuant(rank=1).encode(waves), "within": LowRankQuant(tol=0.01).encode(waves),
        "bfloat16": arraycodec.encode(noise.view("u4").astype("u2"), 0.1, dtype="bfloat16"),
    }  # fmt: skip


CHUNKS = chunks()


@pytest.mark.parametrize("name", CHUNKS)
def test_results_are_values(name):
    space = {**vars(arraycodec.codec), "dtype": np.dtype}
    try:
        from ml_dtypes import bfloat16

        space["bfloat16"] = bfloat16
    except ImportError:
        pass
    info = arraycodec.inspect(CHUNKS[name])
    for result in (info, info.header, *info.blocks[:1]):
        for other in (*copies(result), eval(repr(result), dict(space))):
            assert other == result and hash(other) == hash(result)
    assert info == arraycodec.inspect(CHUNKS[name]) and info != arraycodec.inspect(arraycodec.encode(np.ones(3), 0.5))


def test_checks_are_values():
    x = np.array([1, np.nan, 3.0])
    broken, held = arraycodec.verify(x, x[::-1].copy(), 1.0), arraycodec.verify(x, x, 1.0)
    for check in (broken, held):
        for other in (*copies(check), eval(repr(check), vars(arraycodec.codec))):
            assert other == check and hash(other) == hash(check) and bool(other) is bool(check)
    assert broken != held


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)])
def test_exceptions_travel(kind):
    error = kind("chunk at (0, 5): of 3 bytes")
    error.add_note("in w.zarr")
    error.where = (0, 5)
    for other in copies(error):
        assert type(other) is kind and other.args == error.args and str(other) == str(error)
        assert other.__notes__ == ["in w.zarr"] and other.where == (0, 5)


# ---- tables for notebooks ----
class Text(HTMLParser):
    """The text of a page, whose elements must all be closed, and tags with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.tags = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())


@pytest.mark.parametrize("name", CHUNKS)
def test_tables_of_chunks(name):
    info = arraycodec.inspect(CHUNKS[name])
    page = Text(info._repr_html_())
    rows = dict(zip(page.text[1::2], page.text[2::2], strict=False))
    assert page.text[0].startswith(f"Chunk of {'bfloat16' if name == 'bfloat16' else info.header.dtype} values")
    assert rows["codec"] == info.header.codec and rows["size"].startswith(f"{info.size:,} bytes")
    label = "largest error" if info.header.codec in ("stochastic", "low rank") else "tol"
    assert float(rows[label]) == pytest.approx(info.header.tol, rel=1e-5)
    # every byte is in the bar, which is as wide as bytes are many
    legend = [re.fullmatch(r"(.+): ([\d,]+) bytes, ([\d.]+)%", text) for text in page.text]
    parts = {found[1]: int(found[2].replace(",", "")) for found in legend if found}
    assert sum(parts.values()) == info.size and parts["header"] == info.header.header_size
    widths = [int(a["style"].split()[0].split(":")[1]) for _, a in page.tags if a.get("style", "").startswith("flex")]
    assert widths == list(parts.values())
    assert "<" not in page.text and {tag for tag, _ in page.tags} <= {"div", "table", "tr", "th", "td", "span"}
    # of the page: its colours and fonts, and nothing from elsewhere
    assert not re.search(r"[; \"]color:(?!inherit)|font-family|url\(|href|src=|<style|<script", info._repr_html_())
    header = Text(info.header._repr_html_())
    assert header.text[0].startswith("Header of a chunk of ") and "codec" in header.text


def test_tables_of_checks():
    x = np.array([1, np.nan, 3.0])
    assert Text(arraycodec.verify(x, x, 0.0)._repr_html_()).text[:3] == ["The bound holds", "violations", "0"]
    broken = Text(arraycodec.verify(x, np.array([1.5, 2, 3]), 0.25)._repr_html_()).text
    assert broken == ["The bound is broken", "violations", "2", "NaN and infinities lost", "1", "largest error", "0.5"]


def test_tables_escape_what_they_show():
    from dataclasses import replace

    info = arraycodec.inspect(CHUNKS["stochastic"])
    evil = "<script>alert('\"&')</script>"
    header = replace(info.header, codec=evil, element=evil)
    block = replace(info.blocks[0], mode=evil)
    for result in (
        header, replace(info, header=header, details={evil: evil}), replace(info, blocks=(block,), details=None)
    ):  # fmt: skip
        page = result._repr_html_()
        assert "<script" not in page and "&lt;script&gt;alert(&#x27;&quot;&amp;&#x27;)" in page
        assert evil in "".join(Text(page).text)


# ---- entropy models and coders ----
def half(x):
    return min(max(x / 10 + 0.5, 0.0), 1.0)


def back(p):
    return 10 * (p - 0.5)


MODELS = [
    coders.Categorical(), coders.Categorical(perfect=False), coders.Categorical([0.1, 0.7, 0.2]),
    coders.Categorical(np.array([0.1, 0.7, 0.2], "f4")), coders.Categorical([0.1, 0.7, 0.2], perfect=False),
    coders.Frequencies([1, 3, 4]), coders.Bernoulli(), coders.Bernoulli(0.3), coders.Bernoulli(0.3, perfect=False),
    coders.Uniform(), coders.Uniform(7), coders.QuantizedGaussian(-9, 9), coders.QuantizedGaussian(-9, 9, std=2),
    coders.QuantizedGaussian(-9, 9, 1 / 3, 2), coders.QuantizedLaplace(-9, 9, 1 / 3, 2),
    coders.QuantizedCauchy(-9, 9, 1 / 3, 2),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_models_are_values(model):
    for other in (*copies(model), eval(repr(model), {**vars(coders), "np": np})):
        assert type(other) is type(model) and other == model and hash(other) == hash(model)
    assert [other == model for other in MODELS].count(True) == 1 and model != str(model)
    if not model.missing and not isinstance(model, coders.Frequencies):
        symbols = [0, 1, 0, 0, 1]
        coder = coders.AnsCoder()
        coder.encode_reverse(symbols, model)
        assert coder.decode(pickle.loads(pickle.dumps(model)), 5).tolist() == symbols


def test_models_of_functions():
    model = coders.CustomModel(half, back, -4, 4)
    for other in copies(model):
        assert other == model and hash(other) == hash(model)
    assert model != coders.CustomModel(half, back, -4, 5) and str(model) == "CustomModel(-4, 4)"
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(coders.CustomModel(lambda x: 0.5, back, -4, 4))
    stats = pytest.importorskip("scipy.stats")
    model = coders.ScipyModel(stats.norm(0, 3), -9, 9)
    coder = coders.AnsCoder()
    coder.encode_reverse([1, -2, 3], model)
    assert coder.decode(pickle.loads(pickle.dumps(model)), 3).tolist() == [1, -2, 3]


def test_large_models_have_short_reprs():
    p = np.ones(1001) / 1001
    assert repr(coders.Categorical(p)) == "Categorical(1001 probabilities, perfect=True)"
    assert repr(coders.Frequencies([1] * 2048)) == "Frequencies(2048 frequencies of sum 2^11)"
    assert eval(repr(coders.Categorical(p[1:])), vars(coders)) == coders.Categorical(p[1:])
    assert coders.Categorical(p) == coders.Categorical(p.copy())


@pytest.mark.parametrize("preset", ["default", "small"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 333])
def test_coders_go_on_where_they_were(preset, n):
    rng = np.random.default_rng(n)
    model = coders.QuantizedGaussian(-100, 100, 3.0, 20.0)
    symbols = rng.integers(-100, 101, n).astype("i4")
    queue = coders.RangeEncoder(preset=preset)
    queue.encode(symbols, model)
    stack = coders.AnsCoder(preset=preset)
    stack.encode_reverse(symbols, model)
    reader = queue.get_decoder()
    reader.decode(model, n // 2)
    data = rng.integers(0, 1 << 16, 500).astype("u2" if preset == "small" else "u4")
    chain = coders.ChainCoder(data, seal=True, preset=preset)
    chain.decode(model, n)
    more = [5, -6, 7]
    for other in copies(queue):
        other.encode(more, model)
        assert other.get_decoder().decode(model, n + 3).tolist() == [*symbols, *more]
    for other in copies(stack):
        other.encode_reverse(more, model)
        assert other.decode(model, n + 3).tolist() == [*more, *symbols]
        assert np.array_equal(other.get_compressed(), coders.AnsCoder(preset=preset).get_compressed())
    for other in copies(reader):
        assert other.pos() == reader.pos()
        assert other.decode(model, n - n // 2).tolist() == symbols[n // 2 :].tolist() and other.maybe_exhausted()
    expected = chain.clone().decode(model, 9)
    for other in copies(chain):
        assert np.array_equal(other.clone().decode(model, 9), expected)
        other.encode_reverse(coders.ChainCoder(data, seal=True, preset=preset).decode(model, n), model)
        assert np.array_equal(other.get_data(unseal=True)[1], data)
    for coder in (queue, stack, reader, chain):  # compared by identity, and so hashable
        assert coder == coder and coder != coder.clone() and len({coder, coder.clone()}) == 2
        assert re.fullmatch(rf"<{type(coder).__name__}: \d+ words, preset {preset}>", repr(coder))


@pytest.mark.parametrize("word_size", [16, 32])
def test_lanes_go_on_where_they_were(word_size):
    model = coders.Frequencies([1, 2, 5])
    lanes = coders.LaneAnsCoder(50, precision=3, word_size=word_size)
    matrices = np.random.default_rng(0).integers(0, 3, (40, 50))
    for matrix in matrices:
        lanes.push(matrix, model)
    for other in copies(lanes):
        assert (other.precision, other.word_size) == (3, word_size)
        assert all(np.array_equal(other.pop(model), matrix) for matrix in matrices[::-1]) and other.is_empty()
    assert repr(lanes) == f"<LaneAnsCoder of 50 lanes with {lanes.num_shared_words()} words>"


def test_an_encoder_whose_words_wait_for_a_carry():
    """Intervals across a multiple of the top word's weight, as random symbols rarely have them."""
    waited = 0
    model = coders.Bernoulli(0.5)
    for seed in range(20):
        encoder = coders.RangeEncoder(preset="small")
        symbols = [0] + [1] * (60 + seed)
        encoder.encode(symbols, coders.Frequencies([2047, 1, 2048]))
        encoder.encode([2, 0, 1], coders.Frequencies([2047, 1, 2048]))
        waited += encoder._state()[4] > 0
        for other in copies(encoder):
            other.encode([seed % 2] * 40, model)
            expected = encoder.clone()
            expected.encode([seed % 2] * 40, model)
            assert np.array_equal(other.get_compressed(), expected.get_compressed())
    assert waited


STATES = [
    (coders.AnsCoder, 1, (5, 0, 0, 0, 0)),  # words, but less than one in the state
    (coders.AnsCoder, 1, (-1, 0, 0, 0, 0)),
    (coders.ChainCoder, 1, (1 << 30, 0, 0, 0, 0)),  # no head
    (coders.ChainCoder, 1, (1 << 30, 1 << 32, 0, 0, 0)),
    (coders.ChainCoder, 1, (1, 1, 0, 0, 0)),
    (coders.ChainCoder, 1, (1 << 40, 1, 0, 0, 0)),
    (coders.RangeEncoder, 0, (0, 0, 0, 0, 0)),  # an interval without width: a division by zero
    (coders.RangeEncoder, 0, (0, 1 << 40, 0, 5, 0)),  # nothing to wait for
    (coders.RangeEncoder, 0, ((1 << 64) - 1, 1 << 40, 0, 1 << 60, 0)),  # words without end
    (coders.RangeEncoder, 0, ((1 << 64) - 1, 1 << 40, 0, 0, 0)),
    (coders.RangeDecoder, 0, (0, 0, 0, 0, 0)),
    (coders.RangeDecoder, 0, (0, 1 << 40, 1 << 60, 0, 0)),
]


@pytest.mark.parametrize("kind, n, state", STATES)
def test_states_that_no_coder_has_are_refused(kind, n, state):
    restored = coders.streams._restored
    with pytest.raises(errors.ParameterError, match=f"no {kind.__name__} is ever in the state"):
        restored(kind, "default", np.ones(n, "u4"), np.empty(0, "u4"), *state)
    for preset, words in (("large", np.empty(0, "u4")), ("small", np.empty(0, "u4")), ("default", b"abcd")):
        with pytest.raises(errors.ParameterError):
            restored(kind, preset, words, words, *state)
