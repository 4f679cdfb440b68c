"""Fuzzing (tests/fuzz.c) with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer; needs clang with their
runtimes (Debian: clang, libclang-rt-14-dev).

    python tests/fuzz.py build                  the program, in build/fuzz
    python tests/fuzz.py run TARGET [MINUTES]   from the inputs of tests/corpus and the vectors (default: 30 minutes)
    python tests/fuzz.py keep TARGET            of what reaches new places, the smallest goes to tests/corpus/TARGET.zip

What it finds is in build/fuzz/TARGET-crash-...; tests/test_fuzz.py replays tests/corpus with the ordinary tests.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import native

TARGETS = ("any", "mended", "round", "tables", "parts")
CORPUS = native.ROOT / "tests/corpus"
VECTORS = native.ROOT / "tests/vectors"
FOLDER = native.ROOT / "build/fuzz"
PROGRAM = FOLDER / "fuzz"
LARGEST = {"any": 4096, "mended": 4096, "round": 512, "tables": 512, "parts": 512}  # bytes of an input
# bytes in tests/corpus, before packing
KEPT = {"any": 160_000, "mended": 160_000, "round": 40_000, "tables": 160_000, "parts": 40_000}


def build():
    flags = ["-g1", "-O2", "-fno-omit-frame-pointer", *native.SANITIZE, "-fsanitize=fuzzer"]
    sources = [native.ROOT / "tests/fuzz.c", *native.CORE]
    native.link(native.compile_all(sources, FOLDER, "clang", *flags), PROGRAM, "clang", *flags)


def unpack(target, folder):
    """The inputs that were kept, as files of a folder."""
    path = CORPUS / f"{target}.zip"
    if path.exists():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return sorted(Path(folder).iterdir())


def fuzz(target, folder, *arguments):
    options = [f"-max_len={LARGEST[target]}", "-print_final_stats=1", f"-artifact_prefix={FOLDER}/{target}-"]
    return subprocess.run(
        [PROGRAM, *options, *arguments],
        env={**os.environ, "FUZZ_TARGET": target}, stderr=subprocess.PIPE, text=True, errors="replace", cwd=folder,
    )  # fmt: skip


def run(target, minutes):
    corpus = FOLDER / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    unpack(target, corpus)
    limits = ["-timeout=60", "-rss_limit_mb=2000", "-malloc_limit_mb=64"]
    done = fuzz(target, FOLDER, *limits, f"-max_total_time={60 * minutes}", corpus, VECTORS)
    units = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    result = "FAILED" if done.returncode else "clean"
    print(f"{target}: {units[1] if units else '?'} executions in {minutes:g} minutes, {result}")
    if done.returncode:
        sys.exit(done.stderr[-5000:])


def keep(target):
    with tempfile.TemporaryDirectory() as folder:
        grown, merged, wanted = (Path(folder) / name for name in ("grown", "merged", "wanted"))
        grown.mkdir(), merged.mkdir(), wanted.mkdir()
        for path in (FOLDER / "corpus" / target).iterdir():
            with contextlib.suppress(FileNotFoundError):  # a fuzzer at work replaces inputs by shorter ones
                shutil.copy(path, grown)
        done = fuzz(target, folder, "-merge=1", merged, grown)
        if done.returncode:
            sys.exit(done.stderr[-5000:])
        kept = {path.name for path in unpack(target, wanted)}
        room = KEPT[target] - sum((wanted / name).stat().st_size for name in kept)
        for path in sorted(merged.iterdir(), key=lambda path: path.stat().st_size):
            name = path.name[:12]  # of the SHA-1 of its content
            room -= path.stat().st_size if name not in kept else 0
            if room < 0:
                break
            shutil.copy(path, wanted / name)
        CORPUS.mkdir(exist_ok=True)
        with zipfile.ZipFile(CORPUS / f"{target}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(wanted.iterdir()):
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
        print(f"{target}: {len(list(wanted.iterdir()))} inputs of {len(list(merged.iterdir()))}")


def main(command="", target=None, minutes="30"):
    if command in ("run", "keep") and target not in TARGETS:
        sys.exit(f"no target {target}: {', '.join(TARGETS)}")
    if command == "build":
        start = time.time()
        build()
        print(f"{PROGRAM} in {time.time() - start:.0f} s")
    elif command == "run":
        run(target, float(minutes))
    elif command == "keep":
        keep(target)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
