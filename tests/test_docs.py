"""What the documents show is what the code does."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from arraycodec import AnsQuant, encode
from arraycodec.__main__ import main

ROOT = Path(__file__).parents[1]


def test_worked_example_of_the_format():
    text = (ROOT / "docs" / "format.md").read_text()
    listing = re.search(r"```hex\n(.*?)```", text, re.S).group(1)
    example = b"".join(
        bytes.fromhex(re.match(r"((?:[0-9a-f]{2} )+) ", line + "  ").group(1)) for line in listing.splitlines()
    )
    assert example == encode(np.array([0, 1, 2, 3, 1, 1, 0, 2], "f4"), tol=0.5)


@pytest.fixture(scope="module")
def tables():
    """docs/benchmarks/tables.py as a module."""
    spec = spec_from_file_location("benchmark_tables", ROOT / "docs" / "benchmarks" / "tables.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_benchmark_tables_are_those_of_their_csv(tables):
    """`python docs/benchmarks/tables.py` would change nothing, and every measurement of ours held its bound."""
    for path in tables.DOCUMENTS:
        text = path.read_text()
        assert tables.BEGIN in text and tables.render(text) == text, path.name
    for file in tables.HERE.glob("*.csv"):
        is_listing = file.name in (*tables.LISTINGS, "levels.csv")
        if is_listing or file.stem.endswith(("-hosts", "-stages", "-memory", "-workers")):
            continue
        if file.stem.endswith("-checkpoint"):
            rows = tables.read(file.name, tables.KINDS["checkpoint"])
            assert rows and not any(row.value for row in rows if row.what == "violations")
            continue
        if file.stem.endswith(("-coders", "-literature", "-stochastic")):
            rows = tables.read(file.name, tables.KINDS[file.stem.rpartition("-")[2]])
            assert rows and not any(getattr(row, "different", 0) or getattr(row, "wrong", 0) for row in rows)
            continue
        if file.stem.endswith(("-torture", "-mutations")):
            ours = [r for r in tables.read(file.name, tables.KINDS[file.stem.rpartition("-")[2]]) if r.is_ours]
            assert ours and all(row.held for row in ours)
            continue
        header, rows = tables.csvfile.read(file, tables.Row)
        assert {"machine", "cores", "python", "arraycodec", "numpy", "command"} <= header.keys()
        assert rows and all(row.violations == 0 for row in rows if row.is_ours)


def test_every_kind_of_benchmark_table(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "HERE", tmp_path)
    (tmp_path / "arrays.csv").write_text("file,tol,kind,title\na.npy,1e-3,weights,some weights\n")
    for name in tables.LISTINGS[1:]:
        (tmp_path / name).write_text("file,tol,kind,title\n")
    common = ("a", "weights", "float32", 10, 1e-3)
    rows = [
        tables.Row(*common, codec, "bounded", "", 1, mode, 4, status, 8, 5.0, 6.4, *speeds, 0.5, 0, 0)
        for codec, status in (("arraycodec", "ok"), ("other", "ok"), ("third", "crashed (signal 11)"))
        for mode, speeds in (("cache", (2000.0, 900.0, 3, 4000.0, 3000.0, 3)), ("stream", (50.0, 40.0, 3, 9.5, 9.0, 3)))
    ]
    tables.csvfile.write(tmp_path / "m.csv", {"machine": "one"}, rows)
    sizes = [
        tables.Row("a", "weights", "float32", 10, 0.5, codec, "bounded", "", 1, "sizes", 0, "ok", size, 5.0, 0.8 * size,
                   violations=broken, nan_lost=0, rel=0.01, **more)
        for codec, size, broken, more in (
            ("arraycodec", 8, 0, {}), ("arraycodec", 6, 0, {"level": 9}), ("SZ3", 7, 0, {}),
            ("SZ3 x", 5, 0, {"slices": 2, "filled": 3}), ("SPERR", 4, 1, {}),
        )
    ]  # fmt: skip
    tables.csvfile.write(tmp_path / "s.csv", {}, sizes)
    host = tables.HostRow("zarr2", "memory", "none", "1", "a", "float32", "4x4", "2x4", 1e-3, "ok", 64, 1.0,
                          9.0, 8.0, 7.0, 6.0, 2, 1.0, 1.0, 0)  # fmt: skip
    tables.csvfile.write(tmp_path / "m-hosts.csv", {}, [host])
    row = tables.scaling.ScalingRow(2, "a", "float32", "4x4", "2x4", 0.5, 8_000_000, 1, 2.0, 2.5, 3, 1.75)
    tables.csvfile.write(tmp_path / "m-workers.csv", {}, [row])
    figures = [("size", 8.8125), ("cosine, least", 0.5), ("cosine, mean", 0.75),
               ("similarity of two, largest change", 0.25)]  # fmt: skip
    figures = [tables.checkpoint.CheckpointRow(what, "arrc", 2**-12, value, "") for what, value in figures]
    figures += [tables.checkpoint.CheckpointRow(f"9 tensors of 7, {how}: size", "hdf5", 2**-12, value, "bits a value")
                for how, value in (("in packs", 8.5), ("an array each", 30.0))]  # fmt: skip
    tables.csvfile.write(tmp_path / "m-checkpoint.csv", {}, figures)
    stage = tables.StageRow("a", 1e-3, "avx2", 10, "encode.rans", 0.5, 0.4)
    tables.csvfile.write(tmp_path / "m-stages.csv", {}, [stage])
    array = tables.TortureRow("SZ3", "bounded", "floats", "nan", "float32", cases=3, broken=2, broken_values=70)
    tables.csvfile.write(tmp_path / "m-torture.csv", {"machine": "two"}, [array])
    damage = tables.MutationRow("SZ3", "bounded", "bits", mutations=5, clean=4, crashes=1, exceptions="KeyError 4")
    tables.csvfile.write(tmp_path / "m-mutations.csv", {}, [damage])
    coder = tables.coding.CoderRow("AnsCoder", "Uniform", "one", 100, 2.0, 4.0, 3.0, 10.0)
    alone = tables.coding.CoderRow("ChainCoder", "Uniform", "one", 100, 2.0, 4.0)
    tables.csvfile.write(tmp_path / "m-coders.csv", {"machine": "three"}, [coder, alone])
    published = tables.published.LiteratureRow("a system", "original", 9, 5.25, 1.5, 0.25)
    other = tables.published.LiteratureRow("another", "ours", 9, 5.0, error=0.25)
    tables.csvfile.write(tmp_path / "m-literature.csv", {}, [published, other])
    kinds = [("original", 0), ("qsgd", 512), ("dither", 512)]
    rounded = [tables.published.StochasticRow("a", 9, 4, kind, "l2", n, 6.4, 2, 1.5, 1.25, 0.5) for kind, n in kinds]
    tables.csvfile.write(tmp_path / "m-stochastic.csv", {"machine": "four"}, rounded)
    markers = ("origin m.csv", "arrays m.csv", "sizes m.csv", "curve m.csv", "summary m.csv stream",
               "fields s.csv", "fields s.csv weights SZ3", "fields s.csv integers", "means s.csv", "firsts s.csv",
               "firsts s.csv arraycodec", "versus m.csv other a",
               "hosts m-hosts.csv", "workers m-workers.csv", "checkpoint m-checkpoint.csv",
               "checkpoint m-checkpoint.csv small", "stages m-stages.csv",
               "origin m-torture.csv", "torture m-torture.csv", "mutations m-mutations.csv",
               "origin m-coders.csv", "coders m-coders.csv", "literature m-literature.csv",
               "literature m-literature.csv other", "origin m-stochastic.csv",
               "stochastic m-stochastic.csv a l2 512")  # fmt: skip
    text = "".join(f"{tables.BEGIN}{marker} -->\nold\n{tables.END}\n" for marker in markers)
    new = tables.render(text)
    assert "old" not in new and tables.render(new) == new
    for expected in (
        "| some weights | 1e-3 | 6.400 | 6.400 |  |", "mean (worst)** |  | 1.0000 (1.0000) | 1.0000 (1.0000) |  |",
        "| 5 | 1.0000 | 2000 | 1.0 | 4000 |", "- machine: one",
        "| some weights | 1e-3 | arraycodec | 6.40 | 2000 | 4000 | 50.0 | 9.50 | 0 |",
        "| some weights | 1e-3 | third | crashed (signal 11) |", "| other | 5.00 | 50.0 | 9.50 | 1.00 |",
        "| some weights | 1e-3 | **6.40** | 2000 / 4000 | 6.40 |", "| zarr2 | memory | none | 1 | 1.00 | 9.00 | 7.00 |",
        "| 2 | 2.00 | (2.50) | 4.00 | 1.75 |", "| 2^-12 | 8.81 | 0.500000 | 0.750000 | 0.25 |",
        "| HDF5 | 8.50 | 30.00 |", "| encode.rans | 0.50 |", "| SZ3 | 3 | 0 | 2 (70) | 0 | 0 | 0 | 0 |  |",
        "| SZ3 | 5 | 4 | 0 | 0 | 1 | 0 | 0 | KeyError 4 |", "- machine: two", "- machine: three",
        "| AnsCoder | Uniform | one | 100 | 2 | 4 | 3 | 10 | 1.5 | 2.5 |",
        "| ChainCoder | Uniform | one | 100 | 2 | 4 |  |", "| a system | original | 9 | 5.2500 | 1.5 | 0.25 | 0 |",
        "| system | variant | values | bits a value | wrong | error |", "| another | ours | 9 | 5.0000 | 0 | 0.25 |",
        "- machine: four", "| 4 | 6.400 | 2.000 | 1.500 | 1.250 | 1.250 | 0.5 | 0.5 | 0.5 |",
        "| array | tol | arraycodec | arraycodec level 9 | best SZ3 | SPERR |",
        "| some weights | 1e-2 of the range | 6.400 | 4.800 | 4.000 (x, 2-D, filled) | 3.200* |",
        "| some weights | 1e-2 of the range | 6.400 | 4.800 | 5.600 |",
        "| array | tol | best SZ3 |\n| --- | --- | --- |\n<",
        "| weights | 1e-2 | 1 | 1.6000 (1.600) | 1.2000 (1.200) | 2.0000 (2.000) | 1.5000 (1.500) |",
        "| arrays | tol / range | cells | SZ3 x |\n| --- | --- | --- | --- |\n| weights | 1e-2 | 1 | 1 |",
    ):  # fmt: skip
        assert expected in new, expected
    with pytest.raises(ValueError, match="no <!-- end -->"):
        tables.render(f"{tables.BEGIN}origin m.csv -->\n")


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
    pytest.importorskip("zarr", minversion="3")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "usage.md").read_text(), re.S)
    assert len(blocks) == 9
    for block in blocks:
        if "xarray" in block and not (find_spec("xarray") and find_spec("h5netcdf") and find_spec("fsspec")):
            continue
        exec(compile(block, "usage.md", "exec"), {})


@pytest.mark.parametrize("page", ["bits-back.md", "fields.md", "literature.md", "stochastic.md"])
def test_pages_print_what_stands_below_their_code(page, capsys, tmp_path, monkeypatch):
    """Each Python block, one after the other, and the text block behind it."""
    if page == "fields.md":
        pytest.importorskip("xarray")
        pytest.importorskip("h5netcdf")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", (ROOT / "docs" / page).read_text(), re.S)
    assert len(blocks) >= 2
    scope = {}
    for code, text in blocks:
        if "import zarr" in code:
            pytest.importorskip("zarr", minversion="3")
        exec(compile(code, page, "exec"), scope)
        assert capsys.readouterr().out == (text or "")


def test_checkpoints_page(tmp_path, monkeypatch, capsys):
    """Its blocks print what stands below them, but for what depends on the machine's linear algebra."""
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", page, re.S)
    assert len(blocks) == 5
    scope, number = {}, r"\d+\.?\d*(?:e[-+]\d+)?"
    for code, text in blocks:
        exec(compile(code, "checkpoints.md", "exec"), scope)
        printed = capsys.readouterr().out
        assert re.sub(number, "#", printed) == re.sub(number, "#", text)
        assert np.allclose(*([float(x) for x in re.findall(number, t)] for t in (printed, text)), rtol=0.05, atol=0.05)


def test_checkpoints_shell(tmp_path, monkeypatch):
    """Its commands, with the file that they start from."""
    safetensors = pytest.importorskip("safetensors.numpy")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    w = {f"{i}.{name}": rng.normal(0, 0.05, (30, 40)).astype("f4") for i in range(3) for name in ("weight", "bias")}
    safetensors.save_file(w, "model.safetensors")
    (block,) = re.findall(r"```sh\n(arraycodec compress.*?)```", (ROOT / "docs" / "checkpoints.md").read_text(), re.S)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [c[1] for c in commands] == ["compress", "verify", "decompress"]
    for command in commands:
        assert command[0] == "arraycodec" and main(command[1:]) == 0


def test_low_rank_page(capsys):
    """Its block prints what stands below it, but for what depends on the machine's linear algebra."""
    page = (ROOT / "docs" / "low-rank.md").read_text()
    code, text = re.search(r"```python\n(.*?)```\n```text\n(.*?)```", page, re.S).groups()
    exec(compile(code, "low-rank.md", "exec"), {})
    number = r"\d+\.?\d*(?:e[-+]\d+)?"
    printed = capsys.readouterr().out
    assert re.sub(number, "#", printed) == re.sub(number, "#", text)
    assert np.allclose(*([float(x) for x in re.findall(number, t)] for t in (printed, text)), rtol=0.3, atol=0.003)


def test_choosing_page(tmp_path, monkeypatch, capsys):
    """Python blocks and commands in their order, in an empty folder; the table is what the command prints."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "choosing.md").read_text()
    blocks = re.findall(r"```(python|sh)\n(.*?)```", text, re.S)
    assert [kind for kind, _ in blocks] == ["python", "sh", "sh", "python", "sh"]
    scope, printed = {}, []
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, "choosing.md", "exec"), scope)
            continue
        (command,) = (shlex.split(line) for line in block.splitlines())
        if command[1] == "plot":
            pytest.importorskip("matplotlib")
            command.append("--no-peers")  # those that are installed are others everywhere
        assert command[0] == "arraycodec" and main(command[1:]) == 0
        printed.append(capsys.readouterr().out)
    (table,) = re.findall(r"```text\n(.*?)```", text, re.S)
    for line in table.splitlines():
        words = line.split()
        if words and words != ["..."]:
            found = [other.split() for other in printed[0].splitlines()]
            assert any(same(words, other[: len(words)]) for other in found), line
    assert (tmp_path / "choosing.png").stat().st_size < 200_000
    assert (ROOT / "docs" / "choosing.png").stat().st_size < 200_000


def same(words, others):
    """Numbers to 1 %: Fourier transforms are not the same everywhere."""
    if len(words) != len(others):
        return False
    for word, other in zip(words, others, strict=True):
        try:
            if float(word) != pytest.approx(float(other), rel=0.01):
                return False
        except ValueError:
            if word.rstrip(",") != other.rstrip(","):
                return False
    return True


def test_readme_shell(tmp_path, monkeypatch):
    """The README's commands, in a folder with the file that they start from."""
    pytest.importorskip("zarr", minversion="3")
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.random.default_rng(0).normal(0, 0.05, (100, 600)).astype("f4"))
    (block,) = re.findall(r"```sh\n(arraycodec tune.*?)```", (ROOT / "README.md").read_text(), re.S)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [c[1] for c in commands] == [
        "tune", "compress", "inspect", "decompress", "verify", "verify", "compress", "plot", "prove",
    ]  # fmt: skip
    for command in commands:
        if "--workers" in command and not find_spec("distributed") or "plot" in command and not find_spec("matplotlib"):
            continue
        assert command[0] == "arraycodec" and main(command[1:]) == 0


@pytest.fixture
def programs_page(tmp_path, monkeypatch):
    """docs/hdf5-tools.md, in a folder with the files that its commands start from."""
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(280, 10, (50, 70)).astype("f4")
    for name, codec in (("in.h5", None), ("in.nc", None), ("w.h5", AnsQuant(tol=2**-10)), ("w.nc", AnsQuant(tol=0.01))):
        with h5py.File(name, "w", track_order=True) as f:
            d = f.create_dataset("t", data=x, chunks=(25, 70), compression=codec)
            if name.endswith("nc"):
                for axis, (dimension, n) in enumerate(zip("yx", x.shape, strict=True)):
                    f[dimension] = np.arange(n, dtype="f8")
                    f[dimension].make_scale(dimension)
                    d.dims[axis].attach_scale(f[dimension])
    return (ROOT / "docs" / "hdf5-tools.md").read_text()


def test_programs_page_shell(programs_page, tool, tmp_path):
    """Every block of commands, one after the other in one shell."""
    h5py = pytest.importorskip("h5py")
    for name in ("h5dump", "h5ls", "h5diff", "h5repack", "ncdump", "nccopy", "ncgen", "bash"):
        tool(name)
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "arraycodec").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arraycodec "$@"\n')
    (scripts / "arraycodec").chmod(0o755)
    (tmp_path / "home").mkdir()
    blocks = re.findall(r"```sh\n(.*?)```", programs_page, re.S)
    assert len(blocks) == 6
    env = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
    env |= {"PATH": f"{scripts}{os.pathsep}{env['PATH']}", "HOME": str(tmp_path / "home")}
    command = ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stderr.splitlines() if "job control" not in line and "process group" not in line]
    assert (done.returncode, lines) == (0, []), done.stdout[-2000:]
    assert not list((tmp_path / "home").iterdir())
    with h5py.File("out.nc") as f:
        assert f["t"].chunks == (10, 70)
    with h5py.File("small.nc") as f, h5py.File("plain.h5") as plain:
        assert (f["t"][0] == [1, 2, 3, 4]).all() and not plain["t"].compression


def test_programs_page_python(programs_page):
    """In a process for each block: HDF5 and netCDF read their variables once."""
    pytest.importorskip("netCDF4")
    pytest.importorskip("zarr", minversion="3")
    blocks = re.findall(r"```python\n(.*?)```", programs_page, re.S)
    assert len(blocks) == 3
    env = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
    for block in blocks:
        if "/proc/" in block and not os.path.exists("/proc/self/maps"):
            continue
        done = subprocess.run([sys.executable, "-c", block], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert json.loads(Path("cloud.json").read_text())["version"] == 1


def test_links_between_documents():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), (document.name, target)


def test_no_page_with_python_is_forgotten():
    """Each is named by a test, which runs it."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    pages = [p for p in (ROOT / "docs").rglob("*.md") if "```python" in p.read_text()]
    assert len(pages) > 8 and [p.name for p in pages if f"{p.name}" not in tests and p.name != "readme.md"] == []


def test_site(tmp_path):
    """Sphinx has nothing to complain about, and every page is in the table of contents."""
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    options = ["-q", "-W", "--keep-going", "-d", tmp_path / "trees"]
    command = [sys.executable, "-m", "sphinx", *options, ROOT / "docs", tmp_path / "site"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in ("fields", "reference/python", "reference/commands"):
        assert (tmp_path / "site" / f"{page}.html").stat().st_size > 10000
