"""`arraycodec bench --torture`: what is tried is the same every time, and whatever a codec does to it is counted."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arraycodec.__main__ import main
from arraycodec.cli import adversarial
from arraycodec.cli.adversarial import KINDS, mutation, mutations
from arraycodec.cli.bench import csvfile, torturecases
from arraycodec.cli.bench import torture as tortures
from arraycodec.cli.bench.protocol import ChildFailed
from arraycodec.cli.bench.torture import MutationRow, Report, TortureRow, torture
from arraycodec.cli.bench.torturetables import array_lines, array_table, mutation_lines, mutation_table

FLOATS, INTEGERS = ("f2", "f4", "f8"), ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """`fake_peers` is importable in child processes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def same(a, b):
    return (a.dtype, a.shape, a.strides, a.tobytes()) == (b.dtype, b.shape, b.strides, b.tobytes())


# ---- what is tried ----
@pytest.mark.parametrize("make, dtypes", [
    (adversarial.floats, FLOATS), (adversarial.integers, INTEGERS), (adversarial.layouts, (*FLOATS, *INTEGERS)),
])  # fmt: skip
def test_arrays_are_the_same_every_time(make, dtypes):
    for dtype in dtypes:
        first, second = make(dtype), make(dtype)
        assert list(first) == list(second) and all(same(first[name], second[name]) for name in first)
        assert all(x.dtype.newbyteorder("=") == np.dtype(dtype) for x in first.values())
        assert list(first) == list(make(dtypes[0]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("tol", [1e-3, 2**-17, 1.0])
def test_floats(dtype, tol):
    x = adversarial.floats(dtype, tol=tol)
    assert all(a.shape == (1000,) for a in x.values())
    special = {name for name, a in x.items() if not np.isfinite(a).all()}
    assert special == {"all nan", "all inf", "nan", "specials", "only specials", "random bits"}
    assert len(set(x["only specials"].view(f"u{x['nan'].itemsize}").tolist())) == 7
    near = x["beside one tolerance"].astype("f8")
    assert np.count_nonzero((near != 0) & (abs(near) < 1e-7)) > 400


def test_integers_reach_both_ends():
    for dtype in INTEGERS:
        x, info = adversarial.integers(dtype), np.iinfo(dtype)
        assert (x["both ends"].min(), x["both ends"].max()) == (info.min, info.max)
        assert set(x["in turns"][:2].tolist()) == {info.min, info.max}
        assert x["near the ends"].min() == info.min and x["near the ends"].max() == info.max


def test_layouts():
    x = adversarial.layouts("f4")
    assert sorted({a.ndim for a in x.values()}) == [0, 1, 2, 3, 4, 5]
    assert all(np.isfinite(a).all() for a in x.values())
    assert x["Fortran 2-d"].flags.f_contiguous and not x["Fortran 2-d"].flags.c_contiguous
    assert x["reversed"].strides[0] < 0 and x["broadcast"].strides[0] == 0
    assert not x["read-only"].flags.writeable and not x["unaligned"].flags.aligned
    assert x["big-endian"].dtype == np.dtype(">f4") and x["empty 2-d"].shape == (4, 0)


def test_targets():
    of = list(torturecases.targets(("f4", "i8"), lossless=False))
    assert {(t.group, t.dtype) for t in of} == {("floats", "f4"), ("integers", "i8"), ("layouts", "f4")}
    assert {t.group: t.tols for t in of} == {
        "floats": (1e-3, 2**-17, 1.0), "integers": (1e-3, 1.0), "layouts": (1e-3,)
    }  # fmt: skip
    assert {t.tols for t in torturecases.targets(("f4", "u1"), lossless=True)} == {(0.0,)}
    for target in torturecases.targets((*FLOATS, *INTEGERS), lossless=True):
        assert target.array in torturecases.arrays(*target[::2], 0.0)


@pytest.mark.parametrize("data", [b"", b"a", b"ab", bytes(5), bytes(1000), bytes(range(256)) * 20])
def test_mutations_are_the_same_every_time_and_damage(data):
    found = list(mutations(data, 200, seed=3))
    assert len(found) == 200 and all(isinstance(x, bytes) and x != data for x in found)
    assert found == list(mutations(data, 200, seed=3)) and found[150] == mutation(data, 150, 3)
    assert len(data) < 5 or found != list(mutations(data, 200, seed=4))


def test_kinds_of_damage():
    data = bytes(range(1, 251)) * 20
    found = {kind: [] for kind in KINDS}
    for i, changed in enumerate(mutations(data, 1000)):
        found[KINDS[i % len(KINDS)]].append(changed)

    def bits(x):
        return int.from_bytes(x, "little") ^ int.from_bytes(data, "little")

    def places(x):
        return [i for i in range(len(data)) if x[i] != data[i]]

    assert all(bits(x).bit_count() == 1 for x in found["one bit"])
    assert all(1 <= bits(x).bit_count() <= 16 for x in found["bits"])
    assert {len(places(x)) for x in found["byte"]} == {1}
    assert {0, 255} < {x[i] for x in found["byte"] for i in places(x)}
    for x in found["swapped"]:
        i, j = places(x)
        assert (x[i], x[j]) == (data[j], data[i])
    assert all(data.startswith(x) for x in found["truncated"])
    assert {len(data) - len(x) < 17 for x in found["truncated"]} == {True, False}
    assert all(x.startswith(data) and len(x) > len(data) for x in found["extended"])
    for x in found["zeroed"]:
        where = places(x)
        assert where == list(range(where[0], where[-1] + 1)) and not any(x[i] for i in where)
    for kind in ("overwritten", "copied"):
        assert min(map(len, map(places, found[kind]))) < 10 and max(map(len, map(places, found[kind]))) > 500
    assert {len(places(x)) for x in found["integer"]} <= set(range(1, 9))
    assert any(b"\xff" * 8 in x for x in found["integer"]) and any(bytes(8) in x for x in found["integer"])
    same_size = set(KINDS) - {"truncated", "extended"}
    assert all(len(x) == len(data) for kind in same_size for x in found[kind])


# ---- what is counted ----
PEERS = (
    "Honest", "Checked", "CrashesOnDamage", "HangsOnDamage", "BreaksBound", "LosesNan", "Misplaces", "DecodesNothing",
)  # fmt: skip


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    """One run against codecs that fail, and what it wrote."""
    folder = tmp_path_factory.mktemp("torture")
    peers = ",".join(f"fake_peers:{name}" for name in PEERS)
    args = ["bench", "--torture", "--no-codecs", "--mutations", "20", "--timeout", "5", "--peers", peers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        status = main([*args, "--csv", str(folder / "o.csv")])
    assert sorted(p.name for p in folder.iterdir()) == ["o-mutations.csv", "o-torture.csv"]
    header, rows = csvfile.read(folder / "o-torture.csv", TortureRow)
    assert header["command"].startswith("arraycodec bench --torture") and header["numpy"] == np.__version__
    return status, rows, csvfile.read(folder / "o-mutations.csv", MutationRow)[1]


def test_failures_of_peers_are_no_failure(tortured):
    assert tortured[0] == 0


def specials():
    """Values that are not finite: arrays and tolerances, values in these."""
    counts = []
    for dtype in ("f4", "f8"):
        for tol in (1e-3, 2**-17, 1.0):
            counts += [np.count_nonzero(~np.isfinite(x)) for x in adversarial.floats(dtype, tol=tol).values()]
    return [sum(map(bool, counts)), sum(counts)]


def infinities():
    return sum(np.isinf(x).any() for dtype in ("f4", "f8") for x in adversarial.floats(dtype).values())


@pytest.mark.parametrize("codec, expected", [
    # refused, broken and values, NaN lost and values, wrong, crashes, hangs, bad tolerances
    ("arraycodec", lambda: [0, 0, 0, 0, 0, 0, 0, 0, "0 of 3"]),
    ("honest", lambda: [0, 0, 0, 0, 0, 0, 0, 0, "3 of 3"]),
    ("checked", lambda: [0, 0, 0, 0, 0, 0, 0, 0, "0 of 3"]),
    ("breaks bound", lambda: [0, 6, 6000, 0, 0, 0, 0, 0, "3 of 3"]),
    ("loses NaN", lambda: [0, 0, 0, *specials(), 0, 0, 0, "3 of 3"]),
    ("misplaces", lambda: [3 * infinities(), 0, 0, 0, 0, 4, 0, 0, "3 of 3"]),
    ("decodes nothing", lambda: [0, 0, 0, 0, 0, 6, 0, 0, "3 of 3"]),
])  # fmt: skip
def test_arrays_are_counted(tortured, codec, expected):
    lines = {line.codec: line.cells for line in array_lines(tortured[1])}
    kinds = (*FLOATS, *INTEGERS) if codec == "arraycodec" else ("f4", "f8")
    cases = sum(len(target.tols) for target in torturecases.targets(kinds, False))
    assert lines[codec] == [str(cases), *map(str, expected())]


@pytest.mark.parametrize("codec, expected", [
    # clean, same, other, crashes, hangs, memory, exceptions
    ("arraycodec", [20, 0, 0, 0, 0, 0, None]),
    ("honest", [4, 0, 16, 0, 0, 0, "ValueError 4"]),
    ("checked", [20, 0, 0, 0, 0, 0, "ValueError 20"]),
    ("crashes on damage", [16, 0, 0, 2, 0, 2, "KeyError 16, MemoryError 2, signal 6 2"]),
    ("hangs on damage", [3, 0, 16, 0, 1, 0, "Panic 2, ValueError 1"]),
])  # fmt: skip
def test_damage_is_counted(tortured, codec, expected):
    line = {line.codec: line.cells for line in mutation_lines(tortured[2])}[codec]
    *counts, exceptions = line
    assert counts == ["20", *map(str, expected[:-1])]
    assert expected[-1] is None or exceptions == expected[-1]


def test_rows_say_what_happened(tortured):
    rows = {(row.codec, row.group, row.array, row.dtype): row for row in tortured[1]}
    row = rows["breaks bound", "floats", "constant", "float32"]
    assert (row.cases, row.broken, row.not_ok_at) == (3, 3, "0.001 7.62939e-06 1")
    assert row.status == "1000 out of bounds" and row.error_in_tol == pytest.approx(2**18)
    assert rows["misplaces", "layouts", "Fortran 3-d", "float64"].status == "values stand elsewhere"
    assert rows["misplaces", "floats", "all inf", "float32"].status == "refused: OverflowError"
    assert rows["loses NaN", "floats", "all nan", "float32"].status == "1000 NaN or Inf lost"
    assert rows["honest", "tolerances", "tol nan", ""].status == "accepted"
    found = {a: rows["decodes nothing", "layouts", a, "float32"].status for a in ("3-d", "4-d", "5-d")}
    assert found == {
        "3-d": "input changed", "4-d": "not decoded: IndexError", "5-d": "decoded to float32 (719,)",
    }  # fmt: skip
    assert all(row.held for row in (*tortured[1], *tortured[2]) if row.is_ours)


def test_kinds_are_counted_by_themselves(tortured):
    rows = {row.kind: row for row in tortured[2] if row.codec == "hangs on damage"}
    assert [rows[kind].mutations for kind in KINDS] == [2] * len(KINDS)
    assert rows["extended"].hangs == rows["extended"].clean == 1
    assert rows["truncated"].clean == rows["zeroed"].other == 2


def test_tables(tortured):
    arrays, damage = array_table(tortured[1]).split("\n"), mutation_table(tortured[2]).split("\n")
    assert len(arrays) == len(damage) == 2 + len(PEERS) and max(map(len, arrays + damage)) <= 120
    assert arrays[0].split()[:3] == ["codec", "cases", "refused"] and damage[0].split()[-2:] == ["memory", "exceptions"]
    many = ", ".join(f"{name}Error {9 - i}" for i, name in enumerate("Some Other Strange Unusual Unheard".split()))
    row = MutationRow("a codec with a long name", "unchecked", "bits", mutations=35, clean=35, exceptions=many)
    text = mutation_table([row]).split("\n")[1]
    assert len(text) <= 120 and text.endswith("SomeError 9, OtherError 8, ...")
    assert mutation_lines([row, replace(row, kind="byte", exceptions="SomeError 1")])[0].cells[-1].startswith(
        "SomeError 10, Oth"
    )


# ---- what is a failure ----
@pytest.mark.parametrize("peer", ["Impostor", "UncleanImpostor"])
def test_exit_code_if_we_fail(peer, capsys):
    args = ["bench", "--torture", "--no-codecs", "--mutations", "10", "--peers", f"fake_peers:{peer}"]
    assert main(args) == 1
    assert "arraycodec: 372 cases, 10 mutations\narraycodec: 184 cases" in capsys.readouterr().out


def test_every_level_and_lossless(tmp_path, capsys):
    args = ["bench", "--torture", "--no-codecs", "--no-peers", "--mutations", "3"]
    assert main([*args, "--level", "1", "--level", "9", "--lossless", "--csv", str(tmp_path / "o.csv")]) == 0
    rows = csvfile.read(tmp_path / "o-torture.csv", TortureRow)[1]
    assert {row.codec for row in rows} == {"arraycodec level 1", "arraycodec level 9"}
    assert all(row.is_ours and row.error_in_tol == 0 for row in rows if row.group != "tolerances")
    text = capsys.readouterr().out
    assert "Torture: " in text and "ratio" not in text and "not installed" not in text


ROW = TortureRow("arraycodec level 9", "bounded", "floats", "zeros", "float32", cases=3)
BAD = TortureRow("arraycodec", "bounded", "tolerances", "tol nan", "", cases=1)
DAMAGE = MutationRow("arraycodec", "bounded", "bits", mutations=3, clean=2, same=1)


@pytest.mark.parametrize("rows, damage, notes, held", [
    ([ROW], [DAMAGE], [], True),
    ([ROW, replace(BAD, refused=1, status="refused: ParameterError")], [DAMAGE], [], True),
    ([ROW, replace(BAD, accepted=1, status="accepted")], [DAMAGE], [], False),
    ([replace(ROW, status="refused: ValueError")], [DAMAGE], [], False),
    ([ROW], [replace(DAMAGE, same=0, other=1)], [], False), ([ROW], [replace(DAMAGE, same=0, memory=1)], [], False),
    ([ROW], [DAMAGE], ["left out"], False), ([], [DAMAGE], [], False), ([ROW], [], [], False),
])  # fmt: skip
def test_we_hold_only_if_all_is_well(rows, damage, notes, held):
    assert Report("arraycodec", rows, damage, notes).held == held
    assert Report("SZ3", rows, damage, notes).held


class Stub:
    """A codec as the parent sees it."""

    adapter, info = "stub", {"family": "bounded", "kinds": ("f4",)}

    def __init__(self, ends):
        self.ends, self.asked = ends, Counter()

    def request(self, timeout, do, **message):
        self.asked[do] += 1
        if do in self.ends:
            raise ChildFailed(self.ends[do])
        return {"prepare": {}, "mutate": {"raised": "ValueError", "ours": False}}.get(do, {"refused": "no"})


def test_after_many_hangs_the_rest_is_left_out():
    stub = Stub({"case": "timeout (1 s)", "mutate": "timeout (1 s)"})
    report = torture(stub, "stub", lossless=True, mutations=50, timeout=1)
    assert stub.asked == {"case": tortures._PATIENCE, "tolerance": 3, "prepare": 1, "mutate": tortures._PATIENCE}
    assert [note.split(", ")[1] for note in report.notes] == [
        "the other arrays were left out", "the other mutations were left out",
    ]  # fmt: skip
    assert sum(row.hangs for row in report.rows) == sum(row.hangs for row in report.mutations) == tortures._PATIENCE
    assert tortures.progress(report).startswith("stub: 10 cases, 10 mutations; after 10 hangs, ")


def test_crashes_where_nothing_is_decoded():
    stub = Stub({"case": "exited with status 0", "tolerance": "crashed (signal 8)", "prepare": "crashed (signal 11)"})
    report = torture(stub, "stub", lossless=True, mutations=5, timeout=1)
    assert not report.mutations and report.notes == ["no chunk to damage: crashed (signal 11)"]
    assert {row.status for row in report.rows} == {"exited with status 0", "crashed (signal 8)"}
    assert all(row.crashes == row.cases == 1 for row in report.rows)
    stub = Stub({"mutate": "exited with status 3"})
    (row,) = torture(stub, "stub", lossless=False, mutations=1, timeout=1).mutations
    assert (row.crashes, row.exceptions) == (1, "exited with status 3 1")


def test_words_for_exceptions_of_ours():
    (row,) = torture(Stub({}), "arraycodec", lossless=False, mutations=1, timeout=1).mutations
    assert (row.unclean, row.clean, row.held, row.exceptions) == (1, 0, False, "ValueError 1")
