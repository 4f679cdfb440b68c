"""`arraycodec prove`: what it runs, that everything holds, that hashes depend on nothing else, and that it can fail."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from arraycodec import _core, encode
from arraycodec.__main__ import main
from arraycodec.cli import proofs, prove
from arraycodec.cli.console import Console


def command(*args, before="", **environment):
    """The report of a process of its own, without what may differ."""
    code = f"{before}\nimport sys\nfrom arraycodec.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "prove", "--json", *args], capture_output=True, text=True,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    for line in report["lines"]:
        del line["seconds"]
    return report


@pytest.fixture(scope="module")
def quick():
    return command()


def test_everything_holds(quick):
    assert len(quick["lines"]) == len(list(proofs.runs(False))) and quick["isa"] == _core.isa()
    for line in quick["lines"]:
        assert line["ok"] and line["violations"] == line["changed"] == line["moved"] == 0, line
    assert {line["dtype"] for line in quick["lines"]} == {
        "float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
        "uint64",
    }  # fmt: skip


def test_powers_of_two_need_no_exceptions(quick):
    found = [e for e in quick["lines"] if e["tolerance"] in ("tol=2^-17", "tol=2^-14", "tol=2^-10", "tol=0.5", "tol=1")]
    assert len(found) == 2 * 2 + 2 * 4 + 2 + 4  # float32, the 16-bit floats, float64, wide integers
    for line in found:
        assert line["in_range"] or "int" in line["dtype"]
        assert line["needless"] == 0, line


def test_instruction_sets_and_threads_change_nothing(quick):
    scalar = command("--threads", "3", ARRAYCODEC_ISA="scalar")
    assert (scalar["isa"], scalar["threads"]) == ("scalar", 3) and scalar["lines"] == quick["lines"]


HOSTILE = """
import ctypes
import arraycodec.cli.proofs  # numpy looks at the environment when it is imported
libm = ctypes.CDLL("libm.so.6")
assert libm.fesetround(0x400) == 0  # downward
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the number of a rounding mode is the system's")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a rounding mode is the processor's")
def test_the_rounding_mode_changes_nothing(quick):
    args = ("--only", "float16, all patterns, tol=0.1", "--only", "bfloat16, all patterns, rtol")
    found = command(*args, before=HOSTILE)["lines"]
    assert len(found) > 3 and all(line in quick["lines"] for line in found)


def test_all_of_it_is_what_it_says():
    full = list(proofs.runs(True))
    assert len({run.name for run in full}) == len(full)
    whole = [run for run in full if run.dtype == "float32"]
    assert all(run.values == 1 << 32 for run in whole) and len(whole) == len(proofs.FLOAT32)
    assert sum(run.values for run in full if run.what == "beside half steps") >= 10**9
    out = np.empty(proofs.CHUNK, "u4")
    for i in (0, 1023):
        whole[0].make(i, out)
        assert out[0] == i << 22 and out[-1] == (i << 22) + (1 << 22) - 1 and (np.diff(out) == 1).all()


def test_bins_are_where_the_codec_has_them():
    """Beside their beginnings there are two reconstructions, and centres are their own."""
    for rtol in (0.1, 1e-3, 1e-5):
        units = proofs._bins(rtol, 1000, np.random.default_rng(0))
        bits = (np.uint64(1023 << 52) + units)[:, None] + np.arange(-1, 2).astype("u8")
        x = bits.view("f8")
        y = np.empty_like(x)
        prove.decode(encode(x, rtol=rtol), y)
        starts = (y[:, 0] != y[:, 1]) | (units == 0)
        assert (starts | (y[:, 1] == x[:, 1])).all() and 300 < starts.sum() < 700, rtol


def some_run(**changes):
    def make(i, out):
        out.view("f4")[...] = np.linspace(0, 9, len(out), dtype="f4") + i

    given = {"dtype": "float32", "what": "w", "tolerances": (proofs.Tolerance(0.01),), "shown": "s", "chunks": 3}
    return proofs.Run(**given | {"size": 1000, "make": make} | changes)


def test_failures_are_counted(monkeypatch, capsys):
    honest = prove.run_one(some_run())
    assert honest.ok and honest.values == 3000 and honest.bytes < 3000 and honest.in_range == 3000

    def decode(chunk, out):
        real(chunk, out)
        out[5] += 1
        out[7] = np.nan

    real = prove.decode
    monkeypatch.setattr(prove, "decode", decode)
    broken = prove.run_one(some_run())
    assert (broken.violations >= 6, broken.changed >= 3, broken.ok) == (True, True, False)
    assert broken.decoded_sha256 != honest.decoded_sha256 and broken.chunks_sha256 == honest.chunks_sha256
    monkeypatch.setattr(prove, "runs", lambda full: [some_run()])
    args = SimpleNamespace(full=False, only=[], threads=1, level=None, predictor=None, json=False, output=None)
    assert not prove.prove(args, Console())
    assert "FAILED: 3000 values" in capsys.readouterr().out


def test_moved_is_not_settled():
    worker = prove._Worker(some_run())
    x = np.array([1.0, 2.0, 3.0, 4.0], "f4")
    y = np.array([1.0, 2.01, 3.0, 4.0], "f4")  # 2 had changed
    z = np.array([1.01, 2.0, 3.0, 4.0], "f4")
    counts = prove.Counts()
    worker._count_moved(x, y, z, proofs.Tolerance(0.1), counts)
    assert (counts.moved, counts.settled, counts.violations) == (1, 1, 0)
    worker._count_moved(x, y, z, proofs.Tolerance(0.001), counts)
    assert counts.violations == 1


def test_needless_exceptions_are_counted():
    worker = prove._Worker(some_run())
    x = np.linspace(0, 9, 1000, dtype="f4")
    x[10] = 1e30
    x[20:30] = np.nan
    counts = prove.Counts()
    worker._count_needless(encode(x, 0.01), x, proofs.Tolerance(0.01), counts)
    assert (counts.in_range, counts.needless, counts.exact) == (989, 0, 0)
    # the steps of float32 come near that of the lattice
    x = np.random.default_rng(0).uniform(0, 1e5, 100_000).astype("f4")
    worker._count_needless(encode(x, 0.1), x, proofs.Tolerance(0.1), counts)
    assert counts.needless > 0


def test_table_and_options(tmp_path, capsys):
    out = tmp_path / "proof.md"
    assert main(["prove", "--only", "int8", "--only", "uint8", "--output", str(out)]) == 0
    text = out.read_text()
    assert text.count("\n| int8, all values |") == text.count("\n| uint8, all values |") == 1
    assert f"isa {_core.isa()}" in text and "every bound held: 616448 values, 0 violations" in text
    assert "every bound held" in capsys.readouterr().out
    for level in (1, 9):
        assert main(["prove", "--only", "float16, all patterns", "--level", str(level), "--output", str(out)]) == 0
        assert f"level {level}" in out.read_text() and "every bound held" in capsys.readouterr().out
    assert main(["prove", "--only", "float16, all patterns", "--predictor", "auto", "--output", str(out)]) == 0
    assert "predictor auto" in out.read_text() and "every bound held" in capsys.readouterr().out
    for args, message in (
        (["--only", "float8"], "--only 'float8'"), (["--output", str(tmp_path)], "cannot be a file"),
        (["--threads", "0"], "threads"), (["--level", "0"], "level must be 1"),
        (["--predictor", "spline"], "'spline'"), (["--quick", "--full"], "not allowed"),
    ):  # fmt: skip
        assert main(["prove", *args]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1, err
