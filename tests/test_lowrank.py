"""Low-rank factors: the contract, the targets, the published figures, and matrices at the edges."""

import math
import struct
import zlib

import numpy as np
import pytest

from arraycodec import ParameterError, decode, encode
from arraycodec.__main__ import main
from arraycodec.cli.greyimage import lettering, sheet, write_png
from arraycodec.cli.phantom import shepp_logan
from arraycodec.lowrank import METHODS, Factors, factorize, predictor, randomized_svd

PHANTOM = shepp_logan(1000)


def decaying(m, n, dtype="f8", seed=0, power=1.0):
    """Singular values 1, 2**-power, 3**-power, ..."""
    rng = np.random.default_rng(seed)
    k = min(m, n)
    u, v = (np.linalg.qr(rng.standard_normal((side, k)))[0] for side in (m, n))
    return ((u / np.arange(1, k + 1) ** power) @ v.T).astype(dtype)


def error(matrix, factors):
    """Relative, of the product in the dtype of the matrix and its range, computed where nothing overflows."""
    largest = np.finfo(matrix.dtype).max
    product = np.clip(factors.product(), -float(largest), float(largest)).astype(matrix.dtype)
    exponent = -int(np.frexp(np.abs(matrix).max())[1])
    a, b = (np.ldexp(x.astype("f8"), exponent) for x in (matrix, product))
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def check(factors, matrix):
    """What the format asks for; returns the relative error."""
    m, n = matrix.shape
    r = factors.rank
    assert factors.rows.shape == (r, m) and factors.columns.shape == (r, n) and factors.shape == (m, n)
    assert factors.rows.dtype == factors.columns.dtype == np.int32 and factors.weights.dtype == np.int64
    assert ((factors.weights >= 1) & (factors.weights < 2**31)).all()
    assert type(factors.scale) is float and 0 < factors.scale < math.inf
    highest = [np.abs(f.astype(object)).max(1) if r else np.empty(0, object) for f in (factors.rows, factors.columns)]
    assert sum(factors.weights.astype(object) * highest[0] * highest[1]) < 2**53
    for f in (factors.rows, factors.columns):
        assert np.array_equal(decode(encode(f, tol=0)), f)
    return error(matrix, factors) if matrix.any() else 0.0


def test_the_phantom_is_that_of_others():
    naive = np.linalg.norm(np.floor(PHANTOM + 0.5) - PHANTOM) / np.linalg.norm(PHANTOM)
    assert naive == pytest.approx(0.5322897045324687, abs=1e-10)  # as the authors of LPLR measured it
    assert PHANTOM.shape == (1000, 1000) and PHANTOM.min() == 0 and PHANTOM.max() == 1
    assert PHANTOM[300, 500] > PHANTOM[700, 500]  # the large ellipse is in the upper half


@pytest.mark.parametrize(
    "method, published, tolerance", [("dsvd", 0.349, 0.01), ("lplr", 0.165, 0.01), ("lsvd", 0.163, 0.015)]
)
def test_published_figures(method, published, tolerance):
    found = factorize(PHANTOM, bits_per_value=2, method=method, bits=(4, 8), seed=1)
    assert found.rank == 166 + 2  # and two for the offsets of the levels
    assert check(found, PHANTOM) == pytest.approx(published, abs=tolerance)
    assert 8 * found.nbytes() / PHANTOM.size < 1


@pytest.mark.parametrize("bits, most", [(2.0, 0.0140), (1.0, 0.0395), (0.5, 0.08)])
def test_the_phantom_by_bits(bits, most):
    found = factorize(PHANTOM, bits_per_value=bits)
    assert found.nbytes(5) <= bits * PHANTOM.size / 8
    assert check(found, PHANTOM) < most


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(60, 90), (300, 40), (540, 520)])
def test_targets(shape, dtype):
    a = decaying(*shape, dtype)
    for rel_error in (0.3, 0.03):
        found = factorize(a, rel_error=rel_error)
        assert 0.9 * rel_error < check(found, a) <= rel_error
    sizes = [factorize(a, rel_error=e).nbytes() for e in (0.3, 0.1, 0.03)]
    assert sizes == sorted(sizes)
    for bits in (1.0, 3.0):
        found = factorize(a, bits_per_value=bits)
        assert 0.9 * bits * a.size / 8 < found.nbytes() <= bits * a.size / 8
    errors = [check(factorize(a, bits_per_value=b), a) for b in (0.6, 1.0, 3.0)]
    assert errors == sorted(errors, reverse=True)
    for rank in (1, 7):
        found = factorize(a, rank=rank)
        s = np.linalg.svd(a.astype("f8"), compute_uv=False)
        assert found.rank == rank
        assert check(found, a) < 1.01 * np.linalg.norm(s[rank:]) / np.linalg.norm(s)


def test_fits_beat_rounding_alone():
    a = decaying(200, 200, power=0.5)
    errors = [check(factorize(a, bits_per_value=2.0, level=level), a) for level in (1, 5, 9)]
    assert errors[1] < 0.93 * errors[0] and errors[2] < errors[1]


def test_the_same_seed_gives_the_same_factors():
    a = decaying(700, 600, "f4")
    one, two = (factorize(a, rank=20, seed=3) for _ in range(2))
    assert np.array_equal(one.rows, two.rows) and one.scale == two.scale


def test_randomized_svd():
    a = decaying(1500, 1200)
    u, s, vt = randomized_svd(a, 30, seed=1)
    assert u.shape == (1500, 30) and s.shape == (30,) and vt.shape == (30, 1200)
    assert np.allclose(s, 1 / np.arange(1, 31), rtol=0.01) and np.allclose(u.T @ u, np.eye(30))
    assert np.linalg.norm(a - (u * s) @ vt) < 1.01 * np.linalg.norm(1 / np.arange(31, 1201))
    complete = randomized_svd(a, 1100)
    assert np.allclose(complete[1], 1 / np.arange(1, 1101))


@pytest.mark.parametrize(
    "dtype, unit", [("f8", 1e-300), ("f8", 1e300), ("f8", 1e-318), ("f4", 1e-38), ("f4", 1e38), ("f2", 1)]
)
def test_magnitudes(dtype, unit):
    a = (decaying(40, 50) / np.abs(decaying(40, 50)).max() * unit).astype(dtype)
    for target in ({"rank": 3}, {"bits_per_value": 4.0}, {"rel_error": 0.2}):
        assert check(factorize(a, **target), a) < 0.7
    assert check(factorize(a, rel_error=0.2), a) <= 0.2
    largest = np.full((3, 4), np.finfo(dtype).max, dtype)
    assert np.isfinite(factorize(largest, rank=1).product()).all()


@pytest.mark.parametrize("a", [
    np.full((30, 40), 3.7), np.ones((1, 1)), np.arange(1.0, 51).reshape(1, 50), np.arange(-50.0, 0).reshape(50, 1),
    np.eye(20), np.outer(np.arange(30.0), np.arange(40.0)), np.pad([[1e9]], 30), np.eye(5, 8) * 1e-7 + 1,
])  # fmt: skip
def test_simple_matrices(a):
    rank = np.linalg.matrix_rank(a)
    for target in ({"rank": int(rank)}, {"bits_per_value": 2000.0}, {"rel_error": 1e-5}):
        assert check(factorize(a, **target), a) < 1e-5
    for method in METHODS[1:]:
        for bits in ((8, 8), (1, 3), (16, 16)):
            found = check(factorize(a, rank=2, method=method, bits=bits), a)
            assert found < 1e-2 or bits != (16, 16) or rank > 2


def test_zero():
    a = np.zeros((20, 30), "f4")
    for target in ({"rank": 2}, {"bits_per_value": 3.0}, {"rel_error": 0.1}):
        found = factorize(a, **target)
        assert found.rank == 0 and not found.product().any() and check(found, a) == 0
    for method in METHODS[1:]:
        assert not factorize(a, rank=2, method=method).product().any()
    assert predictor(a, 0.1).rank == 0


def test_errors():
    a = decaying(30, 40)
    for target, message in (
        ({}, "give one of .* not none"),
        ({"rank": 2, "rel_error": 0.1}, "give one of .* not rank=2, rel_error=0.1"),
        ({"rank": 0}, "not 0"),
        ({"bits_per_value": -1.0}, "not -1.0"),
        ({"bits_per_value": math.nan}, "not nan"),
        ({"bits_per_value": 0.5}, r"bits_per_value=0.5 is 75 bytes .* the least is 1\d\d bytes, bits_per_value="),
        ({"rel_error": 0.0}, "not 0.0"),
        ({"rel_error": 1.0}, "not 1.0"),
        ({"rel_error": 1e-16}, "rel_error=1e-16 cannot be reached"),
        ({"rank": 1, "method": "qr"}, "svd, lplr, lsvd, dsvd, not 'qr'"),
        ({"rel_error": 0.1, "method": "lplr"}, "not 'lplr'"),
        ({"rank": 1, "method": "lplr", "bits": (0, 4)}, r"not \(0, 4\)"),
        ({"bits_per_value": 0.1, "method": "lplr"}, "bits_per_value=0.1 is less than"),
    ):
        with pytest.raises(ParameterError, match=message):
            factorize(a, **target)
    with pytest.raises(ParameterError, match=r"bits_per_value=0.1 is 8 bytes"):
        factorize(np.zeros((20, 30)), bits_per_value=0.1)
    for bad, what in ((math.nan, "nan"), (math.inf, "inf")):
        b = a.copy()
        b[3, 4] = bad
        with pytest.raises(ParameterError, match=rf"not {what} \(at \(3, 4\)\)"):
            factorize(b, rank=1)
    for b in (a[0], a[None], a[:0]):
        with pytest.raises(ParameterError, match="not for shape"):
            factorize(b, rank=1)
    with pytest.raises(TypeError, match="not int64"):
        factorize(np.ones((3, 3), "i8"), rank=1)
    with pytest.raises(ParameterError, match="tol must be positive, not 0"):
        predictor(a, 0)


def test_predictor():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 300)) * 10
    noise = rng.standard_normal(a.shape)
    for matrix, tol in ((a, 0.01), (a + 0.1 * noise, 0.1)):
        found = predictor(matrix, tol)
        check(found, matrix)
        residuals = np.rint((matrix - found.product()) / (2 * tol)).astype("i4")
        assert 3 <= found.rank < 10
        assert found.nbytes() + len(encode(residuals, tol=0)) < 0.6 * len(encode(matrix, tol=tol))
    assert predictor(noise, 0.1).rank == 0
    field = np.sin(np.arange(64)[:, None, None] / 9 + np.arange(40)[:, None] / 7 + np.arange(50) / 8)
    field += 0.01 * rng.standard_normal(field.shape)
    found = predictor(field.reshape(64, -1), 0.02, shape=field.shape)
    residuals = np.rint((field - found.product().reshape(field.shape)) / 0.04).astype("i4")
    assert found.rank and found.nbytes() + len(encode(residuals, tol=0)) < len(encode(field, tol=0.02))
    with pytest.raises(ParameterError, match=r"shape \(3, 5\) has not"):
        predictor(a, 0.1, shape=(3, 5))


def test_factors_by_hand():
    found = Factors(np.array([[1, 2], [0, -1]], "i4"), np.array([[3, 0, 1], [1, 1, 1]], "i4"), np.array([2, 5]), 0.5)
    assert np.array_equal(found.product(), [[3, 0, 1], [3.5, -2.5, -0.5]])
    assert found.nbytes() > found.nbytes(9) - 10 > 60


def test_the_picture(tmp_path, capsys):
    path = tmp_path / "phantom.png"
    assert main(["demo", "--low-rank", str(path), "--level", "1"]) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "method" and last == f"the pictures are in {path}"
    assert [row.split()[0] for row in rows] == ["naive", "DSVD", "LPLR", "LSVD"] + 3 * ["LowRankQuant"]
    errors = [float(row.split()[-1]) for row in rows]
    assert errors[:4] == pytest.approx([0.312, 0.349, 0.165, 0.163], abs=0.015)
    assert errors[4] < 0.02 and errors[5] < 0.05 and errors[6] < 0.1
    image = read_png(path)
    assert image.shape[1] > 2000 and image[0, 0] == 255 and image.min() == 0
    for arguments in (["x.npy"], ["--tol", "1"], ["--dir", "x"], ["--predictor", "auto"]):
        assert main(["demo", *arguments, "--low-rank", str(path)]) == 2
        assert "takes --level, but not" in capsys.readouterr().err
    assert main(["demo", "--low-rank", "x.jpg"]) == 2
    assert "write .png, not '.jpg'" in capsys.readouterr().err


def read_png(path):
    """A picture that `write_png` wrote, with all its checksums checked."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        parts[name] = data[at + 8 : at + 8 + size]
        assert zlib.crc32(name + parts[name]) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        at += 12 + size
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert rest == [8, 0, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_lettering(tmp_path):
    letters = lettering("Lx?")
    assert letters.shape == (9, 18) and (letters[1:8, 0] == 0).all() and (letters[7, :5] == 0).all()
    assert (letters[:, 5] == 255).all() and (letters[:, 12:] == 255).all()
    assert lettering("L", 3).shape == (27, 18)
    panels = [(np.full((20, 60), 9, np.uint8), ("a", "too long for its picture"))] * 3
    image = sheet(panels, across=2, zoom=1)
    write_png(tmp_path / "x.png", image)
    assert np.array_equal(read_png(tmp_path / "x.png"), image) and (image == 9).sum() == 3 * 1200
