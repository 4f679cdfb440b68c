"""What the documents show is what the code does."""

import re
from pathlib import Path

import numpy as np

from arraycodec import encode

ROOT = Path(__file__).parents[1]


def test_worked_example_of_the_format():
    text = (ROOT / "docs" / "format.md").read_text()
    listing = re.search(r"```hex\n(.*?)```", text, re.S).group(1)
    example = b"".join(bytes.fromhex(re.match(r"((?:[0-9a-f]{2} )+) ", line + "  ").group(1)) for line in listing.splitlines())
    assert example == encode(np.array([0, 1, 2, 3, 1, 1, 0, 2], "f4"), tol=0.5)
