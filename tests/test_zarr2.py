"""Zarr format 2 through numcodecs, on zarr-python 2.18 and 3."""

import json
import subprocess
import sys

import numcodecs
import numpy as np
import pytest
from arrays import assert_within, check_rewrites, payload_nans

from arraycodec import AnsQuant, decode, encode, verify

zarr = pytest.importorskip("zarr")
IS_V3 = int(zarr.__version__.split(".")[0]) >= 3
FORMAT = {"zarr_format": 2} if IS_V3 else {}
TOL = 2**-12


def create(path, x, chunks, q, **kwargs):
    z = zarr.open(str(path), mode="w", shape=x.shape, chunks=chunks, dtype=x.dtype, compressor=q, **FORMAT, **kwargs)
    z[...] = x
    return z


def data(shape=(70, 90), dtype="f4", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", "CF")
def test_round_trip(tmp_path, dtype, order):
    x = data(dtype=dtype)
    create(tmp_path / "a.zarr", x, (30, 40), AnsQuant(tol=TOL), order=order)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    assert z.dtype == dtype
    assert verify(x, z[...], TOL)
    assert np.array_equal(z[3:50:7, 11], z[...][3:50:7, 11])


def test_metadata(tmp_path):
    create(tmp_path / "a.zarr", data(), (30, 40), AnsQuant(tol=TOL))
    meta = json.loads((tmp_path / "a.zarr" / ".zarray").read_text())
    assert meta["compressor"] == {"id": "ansquant", "tol": TOL}
    assert numcodecs.get_codec(meta["compressor"]) == AnsQuant(tol=TOL)
    assert numcodecs.get_codec({"id": "ansquant"}) == AnsQuant()


def test_level(tmp_path):
    x, q = data(), AnsQuant(tol=TOL, level=9)
    create(tmp_path / "a.zarr", x, (30, 40), q)
    meta = json.loads((tmp_path / "a.zarr" / ".zarray").read_text())
    assert meta["compressor"] == {"id": "ansquant", "tol": TOL, "level": 9}
    assert numcodecs.get_codec(meta["compressor"]) == q
    assert (tmp_path / "a.zarr" / "0.1").read_bytes() == encode(x[:30, 40:80], TOL, level=9)
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r+")
    assert verify(x, z[...], TOL)
    z[:30, 40:80] = x[30:60, 40:80]
    assert (tmp_path / "a.zarr" / "0.1").read_bytes() == encode(x[30:60, 40:80], TOL, level=9)
    with pytest.raises(ValueError, match=r"level must be 1 .* not 12"):
        numcodecs.get_codec({"id": "ansquant", "tol": 1, "level": 12})
    # whoever writes again at another level moves nothing
    before = z[...]
    for level in (None, 1, 5, 9):
        again = create(tmp_path / f"{level}.zarr", before, (30, 40), AnsQuant(tol=TOL, level=level))
        assert np.array_equal(again[...], before)


def waves(shape=(70, 90), dtype="f4"):
    """Something to predict."""
    return sum(np.sin(i / 9) for i in np.indices(shape)).astype(dtype)


def test_predictor(tmp_path):
    x, q = waves(), AnsQuant(tol=TOL, predictor="auto")
    create(tmp_path / "a.zarr", x, (30, 40), q)
    file = tmp_path / "a.zarr" / ".zarray"
    meta = json.loads(file.read_text())
    assert meta["compressor"] == {"id": "ansquant", "tol": TOL, "predictor": "auto"}
    assert numcodecs.get_codec(meta["compressor"]) == q
    assert (tmp_path / "a.zarr" / "0.1").read_bytes() == encode(x[:30, 40:80], TOL, predictor="auto")
    z = zarr.open(str(tmp_path / "a.zarr"), mode="r+")
    assert verify(x, z[...], TOL)
    z[:30, 40:80] = x[30:60, 40:80]
    assert (tmp_path / "a.zarr" / "0.1").read_bytes() == encode(x[30:60, 40:80], TOL, predictor="auto")
    with pytest.raises(ValueError, match=r"predictor must be .* not 'spline'"):
        numcodecs.get_codec({"id": "ansquant", "tol": 1, "predictor": "spline"})
    # written with a predictor, read by who knows of none
    before = z[...]
    del meta["compressor"]["predictor"], meta["compressor"]["tol"]
    file.write_text(json.dumps(meta))
    assert np.array_equal(zarr.open(str(tmp_path / "a.zarr"), mode="r")[...], before)


def test_stored_bytes_are_the_chunk(tmp_path):
    x = data()
    create(tmp_path / "a.zarr", x, (30, 40), AnsQuant(tol=TOL))
    stored = (tmp_path / "a.zarr" / "0.1").read_bytes()
    assert stored == encode(x[:30, 40:80], TOL)
    create(tmp_path / "f.zarr", x, (30, 40), AnsQuant(tol=TOL), order="F")
    stored = (tmp_path / "f.zarr" / "0.1").read_bytes()
    assert stored == encode(np.asfortranarray(x[:30, 40:80]), TOL)


def test_as_a_filter(tmp_path):
    x = data()
    path = tmp_path / "a.zarr"
    z = zarr.open(
        str(path),
        mode="w",
        shape=x.shape,
        chunks=(30, 40),
        dtype="f4",
        compressor=None,
        filters=[AnsQuant(tol=TOL)],
        **FORMAT,
    )
    z[...] = x
    assert verify(x, zarr.open(str(path), mode="r")[...], TOL)


def test_read_in_a_process_that_imports_only_zarr(tmp_path):
    x = data()
    create(tmp_path / "a.zarr", x, (30, 40), AnsQuant(tol=TOL))
    code = "import numpy as np, zarr; np.save('b.npy', zarr.open('a.zarr', mode='r')[...])"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert verify(x, np.load(tmp_path / "b.npy"), TOL)


def test_nan_and_infinities(tmp_path):
    x = data()
    x[::7, ::3] = np.resize(payload_nans("f4"), x[::7, ::3].shape)
    create(tmp_path / "a.zarr", x, (30, 40), AnsQuant(tol=TOL), fill_value=np.nan)
    assert_within(x, zarr.open(str(tmp_path / "a.zarr"), mode="r")[...], TOL)


def test_scalar_and_empty(tmp_path):
    for shape, chunks in [((), ()), ((0, 5), (1, 5))]:
        x = np.full(shape, 1.25, "f4")
        create(tmp_path / f"{len(shape)}.zarr", x, chunks, AnsQuant(tol=TOL))
        assert np.array_equal(zarr.open(str(tmp_path / f"{len(shape)}.zarr"), mode="r")[...], x)


def test_rewriting_slices_never_drifts(tmp_path):
    x = np.cumsum(data((64, 64)), axis=1)
    z = create(tmp_path / "a.zarr", x, (64, 32), AnsQuant(tol=1e-2))
    check_rewrites(z, x, 1e-2)


def test_other_dtypes_are_refused_before_anything_is_stored(tmp_path):
    z = zarr.open(
        str(tmp_path / "a.zarr"), mode="w", shape=(10,), chunks=(5,), dtype="S3", compressor=AnsQuant(tol=1), **FORMAT
    )
    with pytest.raises(TypeError, match="float, complex, integer"):
        z[...] = np.array([b"abc"] * 10)
    assert not (tmp_path / "a.zarr" / "0").exists()


def test_numcodecs_contract():
    """What numcodecs' own tests ask of a codec."""
    q = AnsQuant(tol=TOL)
    x = data()
    enc = q.encode(x)
    assert np.array_equal(q.decode(enc), decode(enc))
    out = np.empty_like(x)
    assert q.decode(enc, out=out) is out
    out = bytearray(x.nbytes)
    q.decode(enc, out)
    assert bytes(out) == decode(enc).tobytes()
    config = json.loads(json.dumps(q.get_config()))
    assert numcodecs.get_codec(config) == q
    assert numcodecs.registry.codec_registry["ansquant"] is AnsQuant
    assert numcodecs.abc.Codec in AnsQuant.__mro__
