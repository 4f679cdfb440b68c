"""What the documents show is what the code does."""

import csv
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from arraycodec import encode
from arraycodec.__main__ import main

ROOT = Path(__file__).parents[1]


def test_worked_example_of_the_format():
    text = (ROOT / "docs" / "format.md").read_text()
    listing = re.search(r"```hex\n(.*?)```", text, re.S).group(1)
    example = b"".join(
        bytes.fromhex(re.match(r"((?:[0-9a-f]{2} )+) ", line + "  ").group(1)) for line in listing.splitlines()
    )
    assert example == encode(np.array([0, 1, 2, 3, 1, 1, 0, 2], "f4"), tol=0.5)


def benchmark_table(isa):
    """A table of docs/benchmarks.md, made from its CSV."""
    with open(ROOT / "docs" / "benchmarks" / f"epyc-milan-{isa}.csv", newline="") as f:
        rows = [r for r in csv.DictReader(f) if r["codec"] != "memcpy"]
    lines = ["| array | tol | codec | bits | enc GB/s | dec GB/s | violations |", "|---|---|---|---|---|---|---|"]
    for r in rows:
        tol, bits = f"{float(r['tol']):.3g}", f"{float(r['bits_per_value']):.2f}"
        speeds = (f"{float(r[k]):.2f}" for k in ("encode_best", "decode_best"))
        lines.append("| " + " | ".join((r["array"], tol, r["codec"], bits, *speeds, r["violations"])) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("isa", ["avx2", "scalar"])
def test_benchmark_tables_are_those_of_their_csv(isa):
    assert benchmark_table(isa) in (ROOT / "docs" / "benchmarks.md").read_text()


def test_readme_python(tmp_path, monkeypatch):
    """Every Python block of the README, one after the other, in an empty folder."""
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) >= 4
    scope = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    assert {"w2.zarr", "w3.zarr", "w.h5"} <= {p.name for p in tmp_path.iterdir()}


def test_usage_python(tmp_path, monkeypatch):
    """The Python blocks of docs/usage.md; those for packages that are not installed are left out."""
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "usage.md").read_text(), re.S)
    assert len(blocks) == 3
    for block in blocks:
        if "xarray" in block and not (find_spec("xarray") and find_spec("h5netcdf")):
            continue
        exec(compile(block, "usage.md", "exec"), {})


def test_readme_shell(tmp_path, monkeypatch):
    """The README's commands, in a folder with the file that they start from."""
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.random.default_rng(0).normal(0, 0.05, (100, 600)).astype("f4"))
    (block,) = re.findall(r"```sh\n(arraycodec compress.*?)```", (ROOT / "README.md").read_text(), re.S)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [c[1] for c in commands] == ["compress", "inspect", "decompress", "verify"]
    for command in commands:
        assert command[0] == "arraycodec" and main(command[1:]) == 0


def test_links_between_documents():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), (document.name, target)
