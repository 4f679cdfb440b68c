"""Helpers for tests that need programs which may not be installed."""

import os
import shutil

import pytest


@pytest.fixture
def tool():
    """A function: the path of a program; skips the test without it, or fails if ARRAYCODEC_REQUIRE_TOOLS=1."""

    def find(name):
        path = shutil.which(name)
        if path is None:
            missing = pytest.fail if os.environ.get("ARRAYCODEC_REQUIRE_TOOLS") == "1" else pytest.skip
            missing(f"{name} is not installed")
        return path

    return find
