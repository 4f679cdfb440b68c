"""docs/questions.md: each answer has tests, and they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/questions.md").read_text()
ROWS = re.findall(r"^\| (\d+)\. (.*)$", PAGE, re.M)


def functions(module):
    return set(re.findall(r"^def (test_\w+)", (ROOT / "tests" / f"test_{module}.py").read_text(), re.M))


def test_all_rows():
    assert [int(number) for number, _ in ROWS] == list(range(1, 16))


@pytest.mark.parametrize("text", [text for _, text in ROWS] + [PAGE.rpartition("\n\n")[2]], ids=lambda t: t[:20])
def test_answers_are_tested(text):
    named = re.findall(r"`(\w+)::(test_\w+)`", text)
    assert named
    for module, function in named:
        assert function in functions(module), (module, function)
