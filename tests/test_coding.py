"""`arraycodec bench --coders` and `--literature`: what they count and write, with few symbols and small matrices."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from arraycodec import coders
from arraycodec.__main__ import main
from arraycodec.cli.bench import coding, csvfile, literature, quantizers


def run(tmp_path, *options):
    return main(["bench", "--no-codecs", *options, "--csv", str(tmp_path / "o.csv")])


def test_coders(tmp_path, capsys):
    assert run(tmp_path, "--coders", "--symbols", "320", "--repeat", "2") == 0
    header, rows = csvfile.read(tmp_path / "o-coders.csv", coding.CoderRow)
    assert header["command"].startswith("arraycodec bench --no-codecs --coders") and len(rows) == 38
    assert {row.coder for row in rows} == {"AnsCoder", "RangeEncoder, RangeDecoder", "ChainCoder"}
    assert all(row.encode > 0 and row.decode > 0 and row.rounds == 2 and row.different == 0 for row in rows)
    peer = find_spec("constriction") is not None
    assert all((row.encode_ratio == row.encode_peer / row.encode and row.decode_ratio > 0) == peer for row in rows)
    assert ("version of constriction" in header) == peer
    assert "Categorical 256, perfect" in capsys.readouterr().out


def test_coders_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "constriction", None)
    assert len(coding._libraries()) == 1
    rows = list(coding.measure_coders(32, 1, 1.0))
    assert all(row.encode_peer != row.encode_peer for row in rows)
    assert "nan" not in coding.coder_table(rows)


def test_a_coder_that_is_wrong_is_seen(tmp_path, monkeypatch, capsys):
    class Wrong(coders.AnsCoder):
        def decode(self, *args):
            symbols = super().decode(*args)
            symbols[-1] ^= 1
            return symbols

    ours = coding._libraries()[0]
    monkeypatch.setattr(coding, "_libraries", lambda: [ours._replace(ans=Wrong)])
    assert run(tmp_path, "--coders", "--symbols", "32", "--repeat", "3") == 1
    rows = csvfile.read(tmp_path / "o-coders.csv", coding.CoderRow)[1]
    assert {(row.coder, row.different) for row in rows} == {(name, 3 * (name == "AnsCoder")) for name in coding._CODERS}
    # and words that are not those of a peer
    monkeypatch.setattr(coding, "_libraries", lambda: [ours, ours._replace(ans=Wrong)])
    assert {row.different for row in coding.measure_coders(32, 1, 1.0)} == {0, 1}


def test_literature(tmp_path, monkeypatch, capsys):
    pytest.importorskip("zarr", minversion="3")
    whole = literature.matrices, literature.chain_coder
    monkeypatch.setattr(literature, "matrices", lambda repeat: whole[0](repeat, 5, 32))
    monkeypatch.setattr(literature, "chain_coder", lambda repeat: whole[1](repeat, 200))
    quantized = quantizers.stochastic, quantizers.low_rank
    monkeypatch.setattr(quantizers, "stochastic", lambda repeat, arrays: quantized[0](repeat, arrays, (3, 4)))
    monkeypatch.setattr(quantizers, "low_rank", lambda repeat: quantized[1](repeat, 120, (2,)))
    small = np.random.default_rng(0).normal(0, 0.1, (40, 100)).astype("f4")
    monkeypatch.setattr(quantizers, "WEIGHTS", [("made", lambda: small)])
    monkeypatch.setattr(quantizers, "GRADIENTS", [("made", lambda: small)])
    for name in ("mine", "steep"):
        np.save(tmp_path / f"{name}.npy", small[:20])
    files = ("--weights", str(tmp_path / "mine.npy"), "--gradients", str(tmp_path / "steep.npy"))
    assert run(tmp_path, "--literature", "--repeat", "2", *files) == 0
    rows = csvfile.read(tmp_path / "o-literature.csv", literature.LiteratureRow)[1]
    original, lanes, *chunks = (row for row in rows if row.system.startswith("5 matrices of 32x32"))
    assert original.values == 5 * 256 and {row.values for row in (lanes, *chunks)} == {5 * 1024}
    assert abs(original.bits_per_value - lanes.bits_per_value) < 0.5
    assert all(row.bits_per_value < lanes.bits_per_value for row in chunks)
    names = [row.variant for row in rows if row.system.startswith("bits-back")]
    assert names == ["original: constriction", "arraycodec.coders"][find_spec("constriction") is None :]
    assert len({row.bits_per_value for row in rows if row.system.startswith("bits-back")}) == 1
    assert all(row.wrong == 0 for row in rows)
    untimed = ("original", "QSGD", "AnsQuant, tol for")  # where sizes and errors are all there is
    timed = [r for r in rows if not ("4 bits" in r.system or "pixel" in r.system) or not r.variant.startswith(untimed)]
    assert len(timed) == 2 * 6 + 2 * 3 + 4 + 4 + len(names) and all(r.encode > 0 and r.decode > 0 for r in timed)
    for system, values in (("made, within", 4000), ("mine, within", 2000)):
        original, plain, *others = (row for row in rows if row.system.startswith(system))
        assert original.values == values and 0.9 < original.error < 1 and 0.9 < plain.error <= 1
        assert all(row.bits_per_value < original.bits_per_value for row in others) and len(others) == 4
    for system in ("made, 4 bits", "steep, 4 bits"):
        original, whole, packed, elias, _, qsgd, dither, nearest = (r for r in rows if r.system.startswith(system))
        assert original.bits_per_value > 6.4 and packed.bits_per_value > elias.bits_per_value > qsgd.bits_per_value
        assert original.error > whole.error > qsgd.error > dither.error > nearest.error
    naive, *published, ours = (row for row in rows if row.system.startswith("Shepp-Logan phantom, 120x120, 2 bits"))
    assert len(published) == 6 and naive.bits_per_value == 2
    assert all(row.error > 2 * ours.error for row in (naive, *published)) and ours.bits_per_value <= 2
    assert all(coded.error == row.error for row, coded in zip(published[:3], published[3:], strict=True))
    rows = csvfile.read(tmp_path / "o-stochastic.csv", literature.StochasticRow)[1]
    assert len(rows) == 2 * 2 * 8 and {row.array for row in rows} == {"made", "steep"}
    for row in rows:
        assert row.wrong == 0 and row.packed > 5
        assert row.method == "original" or row.mean_mse < row.mse / 10 and row.nearest_mse < row.mse
    printed = capsys.readouterr().out
    assert "LaneAnsCoder" in printed and "mean of 16" in printed


def test_arrays_of_the_literature(tmp_path, capsys):
    pytest.importorskip("zarr", minversion="3")
    np.save(tmp_path / "i.npy", np.arange(9))
    assert run(tmp_path, "--weights", "i.npy") == 2
    assert run(tmp_path, "--literature", "--gradients", str(tmp_path / "i.npy")) == 2
    printed = capsys.readouterr().err
    assert "go with --literature" in printed and "i: not an array of floats" in printed


def test_published_varints():
    x = np.concatenate([np.arange(-9, 10), [63.5, 64, -64.5, 127, 128, -8191, 16384, 2.0**20 - 1]]) * 2**-17
    x = np.concatenate([x, np.random.default_rng(0).normal(0, 0.5, 2000)]).astype("f4")
    copy = quantizers.from_published_varints(quantizers.published_varints(x))
    assert np.array_equal(copy, np.trunc(x * 2**17) / 2**17)


def test_what_the_notebook_rounds():
    """To the further neighbour, and the norm itself to nothing."""
    one = np.zeros(30, "f4")
    one[3] = 2
    copy, words = quantizers.notebook_qsgd(one, 3, np.random.RandomState(0))
    assert not copy.any() and words == 3
    x = np.random.default_rng(0).uniform(0.1, 1, 50)
    rng = np.random.RandomState(0)
    mean = np.mean([quantizers.notebook_qsgd(x, 2, rng)[0] for _ in range(500)], axis=0)
    step = np.linalg.norm(x) / 3
    fraction = x / step % 1
    expected = (np.floor(x / step) + 1 - fraction) * step
    assert np.abs(mean - expected).max() < 0.15 * step and np.abs(mean - x).max() > 0.5 * step


def test_sizes_of_levels():
    lengths = [1, 3, 3, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 11]
    assert quantizers.omega_lengths(np.arange(1, 17)).tolist() == lengths
    # a distance of 3, a sign, a level of 2; or four levels, one of them with a sign
    assert quantizers.elias(np.array([0, 0, -2, 0])) == min(3 + 1 + 3, 3 * 1 + 3 + 1) / 4
    assert quantizers.entropy(np.array([0, 1, 2, 3, 3, 2, 1, 0])) == 2
    assert quantizers.packed(9) == 12.8 and quantizers.packed(2) == 4


def test_values_that_are_wrong_are_counted(tmp_path, monkeypatch, capsys):
    pytest.importorskip("zarr", minversion="3")
    row = literature.LiteratureRow("a", "b", 1, 1.0, wrong=1)
    good = literature.StochasticRow("a", 1, 1, "qsgd", "l2", 0, 3.0)
    for rows, measured, code in (([row], [], 1), ([], [], 0), ([], [good], 0), ([], [replace(good, wrong=1)], 1)):
        monkeypatch.setattr(quantizers, "stochastic", lambda repeat, arrays, result=measured: iter(result))
        monkeypatch.setattr(literature, "literature_rows", lambda repeat, weights, m, result=rows: iter(result))
        assert run(tmp_path, "--literature") == code


def test_the_original_has_the_words_of_our_lanes():
    """The notebook's coder, lane by lane."""
    _, symbols, frequencies = literature.mock_matrices(6, 16)
    ours = coders.LaneAnsCoder(256)
    lanes = [literature.NotebookCoder(12, 16, 0x10001) for _ in range(256)]
    for matrix, model in zip(reversed(symbols), reversed(frequencies), strict=True):
        ours.push(matrix, coders.Frequencies(model))
        for lane, symbol in zip(lanes, matrix.ravel().tolist(), strict=True):
            lane.push(symbol, model.tolist())
    assert [lane.head for lane in lanes] == ours.heads.tolist()
    assert sum(len(lane.bulk) for lane in lanes) == ours.num_shared_words()


@pytest.mark.parametrize("counts", [[1 << 20], [700_000, 348_576], [349_526, 349_525, 349_525]])
def test_frequencies_sum_up(counts):
    counts = np.sort(np.array(counts))[::-1]
    assert literature.frequencies_of(counts).sum() == 1 << 12 and literature.frequencies_of(counts).min() >= 1
