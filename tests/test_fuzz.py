"""Inputs that fuzzing (tests/fuzz.py) kept, replayed by every kernel table with AddressSanitizer and
UndefinedBehaviorSanitizer; what the fuzzer found once stays found."""

import fuzz
import pytest
from native import ROOT, run


@pytest.fixture(scope="module")
def replay(sanitized):
    return sanitized(ROOT / "tests/fuzz.c", "-DREPLAY")


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_kept_inputs(replay, tmp_path, target):
    inputs = fuzz.unpack(target, tmp_path)
    assert len(inputs) > 50
    assert run(replay, target, *inputs) == f"{len(inputs)} inputs\n"


@pytest.mark.parametrize("target", ["any", "mended"])
def test_vectors(replay, target):
    inputs = sorted(fuzz.VECTORS.glob("*.chunk"))
    assert run(replay, target, *inputs) == f"{len(inputs)} inputs\n"


def test_a_replay_can_fail(replay, tmp_path):
    """Of unknown targets and missing files."""
    for arguments in (["other"], ["any", tmp_path / "missing"]):
        with pytest.raises(AssertionError, match="no target other|no such file"):
            run(replay, *arguments)
