"""Vectors: small chunks whose values every later decoder must give back, bit for bit.

Each is a file of tests/vectors/, named after what it was made for; vectors.json says what it decodes to. They are
added, never replaced, but for those of format version 0, which is experimental: `python tests/vectors.py` adds what
is missing, of random chunks as many as have all features; with a word, as many as have the features with that word in
their names, which is what a new feature needs.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from arraycodec import decode, peek

FOLDER = Path(__file__).parent / "vectors"
LIST = FOLDER / "vectors.json"
LARGEST = 6000  # bytes


def meaning(chunk, x):
    """What a vector decodes to: element type, shape, and the SHA-256 of the values in C order.

    The element is what the header says: bfloat16 has no numpy dtype but with ml_dtypes.
    """
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
    return {"element": peek(chunk).element, "shape": list(x.shape), "sha256": digest}


def listed():
    return json.loads(LIST.read_text()) if LIST.exists() else {}


def read(name):
    return (FOLDER / f"{name}.chunk").read_bytes()


def add(vectors, name, chunk, x):
    if name in vectors or len(chunk) > LARGEST:
        return
    (FOLDER / f"{name}.chunk").write_bytes(chunk)
    vectors[name] = meaning(chunk, x)
    LIST.write_text(json.dumps(vectors, indent=1) + "\n")  # each time: a run may be interrupted


def main(word=""):
    """What the encoder writes, of every kind; then chunks as no encoder writes them, until they have every feature."""
    from random_chunks import FEATURES, random_chunk
    from test_frame import CHUNKS
    from test_reference_parts import GOOD

    FOLDER.mkdir(exist_ok=True)
    vectors = listed()
    for name, chunk in CHUNKS.items():
        add(vectors, name.replace(", ", "-").replace(" ", "-"), chunk, decode(chunk))
    for name, chunk in GOOD.items():
        add(vectors, f"parts-{name.replace(', ', '-').replace(' ', '-')}", chunk, decode(chunk))
    missing = {feature for feature in FEATURES if word in feature}
    for seed in range(100000):
        seen = set()
        chunk, x = random_chunk([seed, 20261130], seen=seen)
        if len(chunk) <= LARGEST and len(seen & missing) > len(chunk) // 1500:
            add(vectors, f"random-{seed}", chunk, x)
            missing -= seen
        if not missing:
            break
    print(len(vectors), "vectors; without:", sorted(missing) or "nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
