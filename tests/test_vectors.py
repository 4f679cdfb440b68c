"""Chunks that were written before decode to the same bits, by the library and by the reference decoder."""

import pytest
import reference
import vectors

from arraycodec import decode, inspect

VECTORS = vectors.listed()


def test_the_list_is_whole():
    assert {path.stem for path in vectors.FOLDER.glob("*.chunk")} == set(VECTORS) and len(VECTORS) > 100


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name):
    chunk = vectors.read(name)
    for x in (decode(chunk), reference.decode(chunk)):
        assert vectors.meaning(chunk, x) == VECTORS[name]


def test_modes():
    modes = {block.mode for name in VECTORS for block in inspect(vectors.read(name)).blocks}
    assert modes == {"raw", "constant", "uniform", "exact", "lattice", "affine", "predicted", "split"} | {
        "backend", "stochastic", "low rank"
    }  # fmt: skip
