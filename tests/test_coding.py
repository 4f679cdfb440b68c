"""`arraycodec bench --coders` and `--literature`: what they count and write, with few symbols and small matrices."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from arraycodec import coders
from arraycodec.__main__ import main
from arraycodec.cli.bench import coding, csvfile, literature


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
    assert run(tmp_path, "--literature", "--repeat", "2") == 0
    rows = csvfile.read(tmp_path / "o-literature.csv", literature.LiteratureRow)[1]
    original, lanes, *chunks = (row for row in rows if row.system.startswith("5 matrices of 32x32"))
    assert original.values == 5 * 256 and {row.values for row in (lanes, *chunks)} == {5 * 1024}
    assert abs(original.bits_per_value - lanes.bits_per_value) < 0.5
    assert all(row.bits_per_value < lanes.bits_per_value for row in chunks)
    names = [row.variant for row in rows if row.system.startswith("bits-back")]
    assert names == ["original: constriction", "arraycodec.coders"][find_spec("constriction") is None :]
    assert len({row.bits_per_value for row in rows if row.system.startswith("bits-back")}) == 1
    assert all(row.wrong == 0 and row.encode > 0 and row.decode > 0 for row in rows)
    assert "LaneAnsCoder" in capsys.readouterr().out


def test_values_that_are_wrong_are_counted(tmp_path, monkeypatch, capsys):
    pytest.importorskip("zarr", minversion="3")
    row = literature.LiteratureRow("a", "b", 1, 1.0, wrong=1)
    monkeypatch.setattr(literature, "literature_rows", lambda repeat: iter([row]))
    assert run(tmp_path, "--literature") == 1


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
