"""Real arrays, where a folder of them is at hand: bounds and sizes.

The folder is the one that ARRAYCODEC_DATA names, else `shared/data` beside the checkout; its
manifest.json gives every array's tolerances.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from arraycodec import decode, encode, inspect, verify

FOLDER = Path(os.environ.get("ARRAYCODEC_DATA", Path(__file__).parents[2] / "shared" / "data"))
MANIFEST = json.loads((FOLDER / "manifest.json").read_text()) if (FOLDER / "manifest.json").exists() else {}
ARRAYS = [(name, tol) for name, entry in MANIFEST.items() if name.endswith(".npy") for tol in entry["tolerances"]]
CHUNK = 1 << 18

pytestmark = pytest.mark.skipif(not ARRAYS, reason=f"no data in {FOLDER}")


def chunked(x):
    return [x.ravel()[i : i + CHUNK] for i in range(0, x.size, CHUNK)]


@pytest.mark.parametrize(("name", "tol"), ARRAYS)
def test_bound_on_real_arrays(name, tol):
    x = np.load(FOLDER / name)
    size = 0
    for part in chunked(x):
        chunk = encode(part, tol)
        size += len(chunk)
        assert verify(part, decode(chunk), tol)
    assert size < x.nbytes
    whole = encode(x, tol)
    assert verify(x, decode(whole), tol)


@pytest.mark.parametrize("rtol", [0.03, 1e-3])
@pytest.mark.parametrize("name", sorted({name for name, _ in ARRAYS if np.load(FOLDER / name, "r").dtype.kind == "f"}))
def test_relative_bound_on_real_arrays(name, rtol):
    x = np.load(FOLDER / name)
    chunk = encode(x, rtol=rtol)
    assert verify(x, decode(chunk), rtol=rtol)
    assert len(chunk) < x.nbytes


@pytest.mark.parametrize("name", sorted({name for name, _ in ARRAYS}))
def test_lossless_on_real_arrays(name):
    x = np.load(FOLDER / name)
    back = decode(encode(x, 0))
    assert back.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("w_lc0_maia1500_f32.npy", 10.3),
        ("w_minilm_l0_ffn_in_f32.npy", 10.40),
        ("w_minilm_word_emb_f32.npy", 10.46),
    ],
)
def test_sizes_on_weights(name, bits):
    x = np.load(FOLDER / name)
    size = sum(len(encode(part, MANIFEST[name]["tolerances"][0])) for part in chunked(x))
    assert 8 * size / x.size <= bits


def test_quantized_normal_matrices():
    """Matrices round(8 N(0,1)) of 1024 x 1024 as float32, one a chunk: 0.34 % above their entropy."""
    rng = np.random.RandomState(202404151)
    for _ in range(2):
        x = np.round(rng.randn(1024, 1024) * 8).astype("f4")
        chunk = encode(x, 0.5)
        assert inspect(chunk).bits_per_value <= 5.065
        assert np.array_equal(decode(chunk), x)
