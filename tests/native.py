"""The C core with a program that tests it (tests/kernels.c, tests/fuzz.c), as any compiler compiles it."""

import ctypes
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAGS = "-std=gnu11 -fno-strict-aliasing -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
FLAGS += ["-pthread", "-Wall", "-Wextra"]
CORE = [
    *sorted((ROOT / "ext/core").glob("*.c")),
    *sorted(set((ROOT / "ext/simd").glob("*.c")) - {ROOT / "ext/simd/dispatch.c"}),  # which the programs include
]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def run(*command, **options):
    """What a program prints; an error with all of it if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-20000:]}{done.stderr[-20000:]}"
    return done.stdout


def compile_all(sources, folder, compiler, *flags):
    """Object files of sources, compiled at once in a folder."""

    def compile_one(source):
        target = folder / f"{source.stem}.o"
        run(compiler, *FLAGS, *flags, "-c", source, "-o", target)
        return target

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def link(objects, program, compiler, *flags):
    """A program of object files."""
    run(compiler, *FLAGS, *flags, *objects, "-o", program, "-lm")
    return program


def library(source, folder):
    """Functions of a few lines of C, for loops that Python is too slow for."""
    (folder / "library.c").write_text(source)
    run("cc", "-O2", "-fPIC", "-shared", folder / "library.c", "-o", folder / "library.so")
    return ctypes.CDLL(str(folder / "library.so"))
