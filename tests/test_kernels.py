"""Every kernel table by itself against the plain C one (tests/kernels.c): natively, by other compilers and at other
levels of optimization, with sanitizers, and for AArch64 under emulation."""

import os
import shutil

import pytest
from native import CORE, ROOT, compile_all, link, run

SOURCES = [ROOT / "tests/kernels.c", *CORE]
CROSS, QEMU, CROSS_ROOT = "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"


def build(folder, compiler, *flags):
    return link(compile_all(SOURCES, folder, compiler, *flags), folder / "kernels", compiler)


def results(output):
    return dict(line.split(": ", 1) for line in output.splitlines())


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    """The program for this machine, as the package is compiled; tests skip where nothing compiles it."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    return build(tmp_path_factory.mktemp("native"), compiler, "-O3")


def test_native(native):
    tables = results(run(native, "2"))["tables"].split()
    assert tables[0] == "scalar"


def test_another_compiler_gives_the_same_bytes_and_floats(native, tmp_path):
    """Nothing is contracted, reordered or left to a library, whatever compiles it."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    assert results(run(build(tmp_path, "clang", "-O2"), "0")) == results(run(native, "0"))


def test_sanitizers(native, sanitized):
    """Few sizes, every kernel: no access outside an array, no undefined behaviour; and the same results with -O1."""
    assert results(run(sanitized(ROOT / "tests/kernels.c"), "0")) == results(run(native, "0"))


def test_aarch64_gives_the_same_bytes_and_floats(native, tmp_path):
    """The tables for AArch64, under emulation: equal among each other, and to those of this machine."""
    for program in (CROSS, QEMU):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    checked = [ROOT / "ext/simd/neon.c"]  # the rest is checked natively
    undefined = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    objects = compile_all([s for s in SOURCES if s not in checked], tmp_path, CROSS, "-O2")
    objects += compile_all(checked, tmp_path, CROSS, "-O2", "-g1", *undefined)
    program = link(objects, tmp_path / "kernels", CROSS, *undefined)
    emulated, here = results(run(QEMU, "-L", CROSS_ROOT, program, "0")), results(run(native, "0"))
    assert "neon" in emulated["tables"].split()
    assert emulated["hash"] == here["hash"]
