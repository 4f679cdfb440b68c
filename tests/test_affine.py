"""Affine lattices: arrays that were packed before are found, come back bit for bit, and never drift."""

import numpy as np
import pytest
import reference
from test_data import FOLDER, MANIFEST

from arraycodec import _core, decode, inspect, verify
from arraycodec import encode as encode_any

CODES = {"f4": 1, "f8": 2, "c8": 5}


def encode(x, tol, **how):
    """Without a predictor, which may be smaller."""
    return encode_any(x, tol, **{"predictor": "none"} | how)


def force(x, tol, **tuning):
    """The same by the core."""
    x = np.ascontiguousarray(x)
    tuning.setdefault("predictor", _core.PREDICTORS["none"])
    return _core.encode(x.reshape(-1).view("u1"), CODES[x.dtype.str[1:]], False, False, x.shape, tol, **tuning)


def walk(n, seed=0, step=20, most=4000):
    """Integers as a field has them: near their neighbours."""
    steps = np.random.default_rng(seed).integers(-step, step + 1, n)
    return np.abs((np.cumsum(steps) + most) % (4 * most) - 2 * most) - most


def packed(x, levels, centred):
    """Integers of 16 bits, with the scale and offset that an unpacker needs."""
    least, most = float(x.min()), float(x.max())
    scale = (most - least) / levels
    offset = (most + least) / 2 if centred else least
    return np.rint((x - offset) / scale), scale, offset


def linear16(x):
    """As lc0 stores and reads its weights, in float32 arithmetic."""
    least, most = np.float32(x.min()), np.float32(x.max())
    k = np.rint((x - least) / (most - least) * 65535).astype("f4")
    return k / np.float32(65535) * (most - least) + least


NORMAL = np.random.default_rng(1).normal(size=30_000)
K, SCALE, OFFSET = packed(NORMAL, 65534, True)
U, USCALE, UOFFSET = packed(NORMAL, 65535, False)
F4 = np.float32
#: values, tolerance well below their step, and how many may be stored bit for bit
ARRAYS = {
    "celsius f8": (walk(30_000) * 0.01 + 273.15, 1e-3, 0.01),
    "celsius f4, double": ((walk(30_000) * 0.01 + 273.15).astype("f4"), 1e-3, 0.001),
    "celsius f4, single": (walk(30_000).astype("f4") * F4(0.01) + F4(273.15), 1e-3, 0.01),
    "decimals f8": (walk(30_000) / 100, 1e-3, 0),
    "decimals f4": ((walk(30_000) / 100).astype("f4"), 1e-3, 0),
    "product f8": (walk(30_000) * 0.01, 1e-3, 0),
    "single in f8": ((walk(30_000).astype("f4") * F4(0.00247) + F4(-5.3)).astype("f8"), 1e-4, 0.001),
    "radar f4": (walk(30_000).astype("f4") * F4(0.00247) + F4(-5.3), 1e-4, 0.001),
    "netcdf f8": (K * SCALE + OFFSET, 1e-5, 0),
    "netcdf f4, double": ((K * SCALE + OFFSET).astype("f4"), 1e-5, 0.003),
    "netcdf f4, single": (K.astype("f4") * F4(SCALE) + F4(OFFSET), 1e-5, 0.001),
    "unsigned f8": (U * USCALE + UOFFSET, 1e-5, 0),
    "linear16": (linear16(NORMAL), 1e-5, 0),
    "large steps": (walk(30_000) * 2500.0 + 1e6, 100, 0),
    "large steps f4": (walk(30_000).astype("f4") * F4(40) + F4(12.5), 1, 0),
    "bytes": (np.rint(NORMAL * 30).astype("f4") * F4(1 / 64) + F4(0), 1e-4, 0),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_packed_arrays_are_found(name):
    x, tol, exceptions = ARRAYS[name]
    plain = force(x, tol, level=1)
    assert inspect(plain).mode in ("uniform", "exact")
    for level in (0, 9):
        chunk = force(x, tol, level=level)
        info = inspect(chunk)
        assert info.mode == "affine" and len(chunk) < 0.97 * len(plain)
        back = decode(chunk)
        assert verify(x, back, tol) and np.count_nonzero(back != x) <= exceptions * x.size
        assert sum(block.raw_exceptions for block in info.blocks) <= exceptions * x.size
    # once the step is wider than the uniform lattice's, a smaller tolerance costs nothing
    assert len(encode(x, tol / 16)) <= 1.02 * len(encode(x, tol))


@pytest.mark.parametrize("name", ARRAYS)
def test_masked_and_big_endian(name):
    x, tol, _ = ARRAYS[name]
    x = x.copy().reshape(100, 300)
    x[20:50, 100:200] = np.nan
    x[::7, 5] = np.inf
    for y in (x, x.astype(x.dtype.newbyteorder(">")), np.asfortranarray(x)):
        chunk = encode(y, tol)
        assert inspect(chunk).mode == "affine" and inspect(chunk).masked > 3000
        assert verify(y, decode(chunk), tol)


@pytest.mark.parametrize("name", ["celsius f8", "radar f4", "linear16", "netcdf f4, double"])
def test_the_other_decoder_agrees(name):
    x, tol, _ = ARRAYS[name]
    x = x[:3000].copy()
    x[1000:1400] += np.sin(np.arange(400)).astype(x.dtype)  # nothing of a lattice
    x[2000:2003] = np.nan
    for level in (5, 9):
        chunk = force(x, tol, level=level)
        found = reference.decode(chunk)
        assert found.tobytes() == decode(chunk).tobytes() and verify(x, found, tol)


def test_complex_values():
    x = ARRAYS["radar f4"][0].view("c8")
    chunk = encode(x, 1e-4)
    assert inspect(chunk).mode == "affine" and decode(chunk).tobytes() == x.tobytes()


def test_without_a_tolerance():
    """Lossless too, where it is smaller."""
    for name in ("celsius f4, single", "decimals f8", "netcdf f8", "linear16"):
        x = ARRAYS[name][0]
        plain, chunk = force(x, 0, level=1), encode(x, 0)
        assert inspect(chunk).mode == "affine" and len(chunk) < 0.95 * len(plain)
        assert decode(chunk).tobytes() == x.tobytes()


def mixed(seed=0):
    """Tensors of several lattices one after the other, and one of none."""
    rng = np.random.default_rng(seed)
    tensors = ((9000, 1.0), (200, 3.0), (8000, 0.7), (64, 9.0), (7000, 1.3))
    parts = [linear16(rng.normal(size=n) * scale) for n, scale in tensors]
    return np.concatenate([*parts, rng.normal(size=5000).astype("f4")])


def test_several_lattices():
    x, tol = mixed(), 2e-5
    chunk, plain = force(x, tol, level=9), force(x, tol, level=1)
    assert inspect(chunk).mode == "affine" and len(chunk) < 0.96 * len(plain)
    back = decode(chunk)
    assert verify(x, back, tol)
    same = back == x
    assert same[:8900].all() and same[9300:17100].all() and not same[-4000:].all()


# ---- what there is nothing of ----
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-7])
def test_nothing_is_found_in_random_values(dtype, tol):
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=70_000), rng.uniform(1, 2, 70_000), rng.standard_t(2, 70_000)]
    arrays.append(np.cumsum(rng.normal(size=70_000)) * max(tol, 1e-6))  # else float32 is a lattice itself
    for x in arrays:
        x = x.astype(dtype)
        plain = force(x, tol, level=1)
        assert inspect(plain).mode != "affine"
        assert all(inspect(force(x, tol, level=level)).mode == inspect(plain).mode for level in (0, 2, 9))


def test_a_coarse_tolerance_needs_no_lattice():
    """Where the uniform lattice is no finer, it is smaller."""
    for name in ("celsius f8", "radar f4", "linear16"):
        x, tol, _ = ARRAYS[name]
        step = np.diff(np.unique(x.astype("f8"))).max() if name != "linear16" else 2e-4
        assert inspect(force(x, step, level=9)).mode == "uniform"


def test_small_and_odd_arrays():
    x = ARRAYS["celsius f8"][0]
    for n in (1, 2, 63, 64, 65, 255, 256, 257, 300, 511, 512, 513, 1000, 1023, 1025, 2049):
        for level in (1, 5, 9):
            assert verify(x[:n], decode(force(x[:n], 1e-3, level=level)), 1e-3)
    assert inspect(encode(x[:1000], 1e-3)).mode == "affine"
    for x in (np.full(3000, 1e308), np.tile([1e308, -1e308], 1500), np.arange(3000) * 5e-324, np.arange(3000) * 1e304):
        for tol in (0, 1e-300, 1e-3, 1e300):
            for level in (5, 9):
                assert verify(x, decode(force(x, tol, level=level)), tol)


# ---- the promise ----
@pytest.mark.parametrize("name", [*ARRAYS, "mixed"])
def test_thirty_rewrites(name):
    """Chunks with neighbours that come and go, and lattices with them: nothing moves beyond tol of the original, what
    was decoded once on the uniform lattice never again, and other values once, onto it."""
    x, tol = (mixed(), 2e-5) if name == "mixed" else ARRAYS[name][:2]
    x = np.resize(x, 6000) if name != "mixed" else x[6000:18_000]
    rng = np.random.default_rng(len(name))
    original, now, moves = x.copy(), x.copy(), np.zeros(x.size, int)
    modes = set()
    for i in range(30):
        start, stop = np.sort(rng.integers(0, x.size, 2)) if i else (0, x.size)
        part = now[start:stop]
        others = rng.normal(size=int(rng.integers(1, 3000))) * 3
        neighbours = [others.astype(x.dtype), linear16(rng.normal(size=2500)).astype(x.dtype)]
        n, level = (rng.integers(3), int(rng.choice([1, 5, 9]))) if i else (0, 9)
        chunk = force(np.concatenate([*neighbours[:n], part]), tol, level=level)
        modes.add(inspect(chunk).mode)
        after = decode(chunk)[-len(part) :] if len(part) else part
        moves[start:stop] += after != part
        now[start:stop] = after
        assert verify(original, now, tol)
    assert moves.max() <= 1 and modes >= {"affine", "uniform"}


def test_values_on_the_uniform_lattice_stay_among_affine_ones():
    """Decoded values of a chunk without lattices, put beside a packed array, come back unchanged; so do edges."""
    rng = np.random.default_rng(2)
    lattice = ARRAYS["radar f4"][0]
    for tol in (1e-4, 3e-4, 2.0**-12):
        for scale in (1, 300, 20_000):
            once = decode(encode((rng.normal(size=4000) * scale).astype("f4"), tol))
            for level in (5, 9):
                chunk = force(np.concatenate([lattice, once]), tol, level=level)
                back = decode(chunk)
                assert inspect(chunk).mode == "affine"
                assert np.array_equal(back[:29_952], lattice[:29_952]) and np.array_equal(back[lattice.size :], once)
                assert verify(lattice, back[: lattice.size], tol)


# ---- real arrays ----
@pytest.mark.skipif(not MANIFEST, reason=f"no data in {FOLDER}")
def test_real_lattices():
    weights = np.load(FOLDER / "w_lc0_maia1500_f32.npy")
    chunk = force(weights, 2**-17, level=9)
    assert 8 * len(chunk) / weights.size < 9.6 and verify(weights, decode(chunk), 2**-17)
    field = np.load(FOLDER / "f_tcco2_packed_f32.npy")
    sizes = [len(encode(field, tol)) for tol in (3e-4, 1e-4, 1e-5)]
    assert max(sizes) < 1.07 * min(sizes) and 8 * max(sizes) / field.size < 12.6
    assert inspect(encode(field, 7e-4)).mode == "uniform"


@pytest.mark.skipif(not MANIFEST, reason=f"no data in {FOLDER}")
def test_other_real_arrays_have_none():
    for name, entry in MANIFEST.items():
        if not name.endswith(".npy") or "lc0" in name or "packed" in name:
            continue
        x = np.load(FOLDER / name).ravel()[: 1 << 17]
        for tol in entry["tolerances"]:
            assert "affine" not in {block.mode for block in inspect(encode(x, tol)).blocks}, (name, tol)
