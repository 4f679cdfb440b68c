"""docs/c-api.md: its commands compile its program, which prints what stands there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/c-api.md").read_text()


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_the_example(tmp_path):
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    (program,) = re.findall(r"```c\n(.*?)```", PAGE, re.S)
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE, re.S)
    os.symlink(ROOT / "ext", tmp_path / "ext")
    (tmp_path / "example.c").write_text(program)
    quick = commands.replace("-O3", "-O0 -Wall -Wextra -Werror")  # the program, not its speed
    assert quick != commands
    done = subprocess.run(["bash", "-euc", quick], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True).stdout == printed
