"""Tolerances from what is said of a whole array: exact where they are exact, measured where not, host by host."""

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from arrays import torture

from arraycodec import ParameterError, decode, encode, inspect, parts, ranges
from arraycodec.tolerance import from_keepbits, from_psnr, from_range, from_rmse

RNG = np.random.default_rng(5)
FIELD = RNG.normal(280, 12, (70, 90)).astype("f4")


def is_floor(value, exact):
    """Whether a double is the largest one that is at most a fraction."""
    return Fraction(value) <= exact and (value == sys.float_info.max or Fraction(math.nextafter(value, 9e999)) > exact)


def mean_square(x, tol, pieces=1):
    """Of what comes back, exactly, over finite values; encoded in so many chunks."""
    errors = []
    for part in np.array_split(x.ravel(), pieces):
        finite = np.isfinite(part)
        back = decode(encode(part, tol, predictor="none"))
        errors += [Fraction(a) - Fraction(b) for a, b in zip(part[finite].tolist(), back[finite].tolist(), strict=True)]
    return sum(e * e for e in errors) / max(1, len(errors))


# ---- Exact ----
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "u2", ">i4", "<c8", ">c16"])
@pytest.mark.parametrize("relative", [1e-3, Fraction(1, 3), 1, np.float32(0.1), 1e-320])
def test_range_is_rounded_down(dtype, relative):
    x = (RNG.normal(size=1000) * 50).astype("f8").astype("i1").astype(dtype)
    if x.dtype.kind in "fc":
        x[3:900] /= 7
    if x.dtype.kind == "c":
        x[7] = 3 - 1000j
    values = [v for z in x.tolist() for v in ((z.real, z.imag) if x.dtype.kind == "c" else (z,))]
    exact = Fraction(*relative.as_integer_ratio()) * (Fraction(max(values)) - Fraction(min(values)))
    assert is_floor(from_range(x, relative), exact)


def test_range_beyond_a_double():
    huge = sys.float_info.max
    assert from_range([-huge, huge], 0.25) == huge / 2
    assert from_range([-huge, huge], 1) == huge
    x = np.array([-(2**63), 2**63 - 1], "i8")
    assert is_floor(from_range(x, 1), Fraction(2**64 - 1)) and from_range(x, 1) < 2**64
    assert from_range(np.array([2**64 - 1, 2**64 - 2], "u8"), 1) == 1.0  # equal as doubles
    assert from_range(np.array([1.0, 1.0 + 2**-52]), 0.5) == 2**-53


@pytest.mark.parametrize("x", [[], np.zeros((3, 0), "f4"), [np.nan, np.inf], np.full(9, 7.5, "f4"), [-0.0, 0.0], 3])
def test_nothing_to_take_the_range_of_is_lossless(x):
    assert from_range(x, 0.1) == from_psnr(x, 20) == from_psnr(x, 20, worst_case=True) == 0.0


def test_missing_values():
    x = np.array([1, 3, 1e20, np.nan, -np.inf], "f4")
    assert from_range(x, 0.5, fill_value=1e20) == 1.0  # the float32 nearest to it
    assert from_range(x, 0.5, fill_value=np.array([1e20], "f4")) == 1.0
    assert from_range(x.astype(">f4"), 0.5, fill_value=3) > 1e18
    assert from_range(np.ma.masked_greater(x, 1e10), 0.5) == 1.0
    assert from_range(np.ma.array(7.0, mask=True, dtype="f4"), 0.5) == 0.0
    assert from_range(np.array([-9999, 2, 4], ">i2"), 1, fill_value=-9999.0) == 2.0
    assert from_range(np.array([9 + 9j, 1 + 2j]), 1, fill_value=9 + 9j) == 1.0
    assert from_keepbits(x, 3, fill_value=1e20) == 2.0 ** (1 - 4)
    assert from_rmse(x, 0.5, fill_value=1e20) <= 0.87
    for bad in (True, "1", [1, 2], 1j):
        with pytest.raises(TypeError, match="fill_value"):
            from_range(x, 1, fill_value=bad)
    for bad in (-9999, 1.5, np.nan):
        with pytest.raises(ParameterError, match="fill_value"):
            from_range(np.zeros(2, "u2"), 1, fill_value=bad)


def test_signalling_nans_are_only_left_out():
    x = np.array([0x7F800001, 0x3F800000, 0], "u4").view("f4")
    assert from_range(x, 1) == 1.0 and from_range(x, 1, fill_value=1) == 0.0
    assert from_range(np.array([0x7C01, 0x3C00, 0], "u2").view("f2"), 1) == 1.0


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "c8"])
def test_keepbits_is_the_error_of_bit_rounding(dtype):
    bitround = pytest.importorskip("numcodecs").BitRound
    real = np.dtype(dtype).newbyteorder("=") if dtype != "c8" else np.dtype("f4")
    for k in (1, 4, 9):
        for largest in (7.0, 4.0, float(np.finfo(real).tiny) / 4):
            x = np.array([largest, largest * (1 + 2.0 ** -(k + 1)), -largest / 8, 0, np.nan, np.inf], real)
            tol = from_keepbits(x.astype(dtype), k)
            back = np.frombuffer(bitround(k).encode(x), real)
            errors = np.abs(back[:4].astype("f8") - x[:4])
            assert errors.max() <= tol
            if largest == 4:  # the second value is in the middle between two that are kept
                assert errors.max() == tol
    all_bits = np.finfo(real).nmant
    assert from_keepbits(np.ones(3, dtype), all_bits) == 0.0 == from_keepbits(np.zeros(3, dtype), 1)
    with pytest.raises(ParameterError, match=f"not {all_bits + 1}"):
        from_keepbits(np.ones(3, dtype), all_bits + 1)


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([-3.0, 5.0, np.nan, 100], ml_dtypes.bfloat16)
    assert from_range(x, 0.25, fill_value=100) == from_range(x, 0.25, fill_value=x[3]) == 2.0
    assert from_keepbits(x, 3, fill_value=100) == 2.0 ** (2 - 4)
    assert from_keepbits(x, 7) == 0.0
    assert 0.1 <= from_rmse(x, 0.1) <= 0.1733
    with pytest.raises(TypeError):
        from_range(x.astype(ml_dtypes.float8_e5m2), 1)


# ---- Measured ----
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("rmse", [1e-3, 0.3, 2.0**-17])
def test_rmse_holds_on_hard_arrays(dtype, rmse):
    """In exact arithmetic; with smaller chunks, too, in which other blocks are stored exactly."""
    limit = Fraction(rmse) ** 2
    for name, x in torture(dtype, 600, rmse).items():
        tol = from_rmse(x, rmse)
        assert rmse <= tol <= rmse * 1.733, name
        for pieces in (1, 7):
            assert mean_square(x, tol, pieces) <= limit, name


def test_rmse_gains_on_smooth_values():
    x = RNG.normal(size=200_000)
    for dtype in ("f4", "f8"):
        assert 1.70e-3 < from_rmse(x.astype(dtype), 1e-3) < 1.733e-3


def test_error_is_that_of_the_codec():
    """Value by value, where the block is not stored exactly: hence all the zeros."""
    hard = RNG.normal(size=2000).astype("f4") * np.float32(10.0) ** RNG.integers(-6, 12, 2000).astype("f4")
    for dtype in ("f4", "f8"):
        for tol in (1e-3, 0.37, 1e5, 1e30, 1e-40):
            x = np.concatenate([hard, np.zeros(20_000)]).astype(dtype)
            chunk = encode(x, tol)
            assert inspect(chunk).mode == "uniform" or tol == 1e-40 and dtype == "f4"
            with np.errstate(all="ignore"):
                assert np.array_equal(ranges._float_error(x, tol), np.abs(x.astype("f8") - decode(chunk)))


@pytest.mark.parametrize("dtype", ["f2", "bfloat16", "i2", "i4", "i8", "u8"])
def test_error_is_that_of_the_codec_for_other_dtypes(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = np.concatenate([RNG.normal(size=3000) * 1000, RNG.normal(size=3000)])
    is_float = np.dtype(dtype).kind not in "iu"
    x = (x / 100 if is_float else np.abs(x)).astype(dtype)
    for tol in (1e-2, 0.37, 2**-8) if is_float else (3.0, 7.9, 100.0):
        chunk = encode(x, tol)
        assert inspect(chunk).mode == ("uniform" if is_float else "lattice")
        error = ranges._float_error(x, tol) if is_float else ranges._integer_error(x, tol)
        assert np.array_equal(error, np.abs(x.astype("f8") - decode(chunk).astype("f8")))


def test_blocks_that_are_constant_here_do_not_count_as_exact():
    """0.4 alone in a chunk comes back exactly, beside other values not."""
    constant, other = np.full(1 << 20, 0.4, "f4"), np.zeros(10, "f4")
    tol = from_rmse(constant, 0.3)
    assert mean_square(constant[:100], 0.5) == 0
    assert mean_square(np.append(constant[:1000], other), 0.5) > Fraction(0.3) ** 2
    assert mean_square(np.append(constant[:1000], other), tol) <= Fraction(0.3) ** 2


def test_rmse_of_integers():
    x = np.array([-(2**63), -(2**63) + 1, -7, 0, 8, 2**63 - 1], "i8")
    for tol, step in ((3.9, 7), (1e18, 2 * 10**18 + 1), (2.0**63, 2**64 - 1)):
        expected = [float(min(abs(v) % step, step - abs(v) % step)) for v in x.tolist()]
        assert ranges._integer_error(x, tol).tolist() == expected
    assert from_rmse(x, 0.4) == pytest.approx(0.4 * 3**0.5) and from_rmse(np.arange(10), 5.0) >= 5.0
    assert ranges._integer_error(np.array([2**64 - 1], "u8"), 4.0).tolist() == [3.0]  # 2**64 - 1 = 6 (mod 9)


def test_psnr_holds():
    for decibels in (20, 47.5, 90, Fraction(100, 3)):
        tol = from_psnr(FIELD, decibels)
        span = Fraction(float(FIELD.max())) - Fraction(float(FIELD.min()))
        ratio = 10 * math.log10(span**2 / mean_square(FIELD, tol))
        assert float(decibels) <= ratio < float(decibels) + 0.3
        worst = from_psnr(FIELD, decibels, worst_case=True)
        assert worst < tol and worst == pytest.approx(float(span) * 10 ** (-float(decibels) / 20), rel=1e-14)
    assert 1 - 2**-52 <= from_psnr([0.0, 10.0], 20, worst_case=True) < 1
    assert from_psnr(FIELD, 1e9) == from_psnr(FIELD, 1e308) == 0.0
    assert is_floor(from_rmse(FIELD, Fraction(1, 3), worst_case=True), Fraction(1, 3))


# ---- Refused ----
class Unreadable:
    """An array of which only shape and dtype may be asked."""

    shape, chunks, dtype = (10, 10), (5, 5), np.dtype("f4")

    def __getitem__(self, selection):
        raise AssertionError("data were read")


@pytest.mark.parametrize("helper", [from_range, from_rmse, from_psnr, from_keepbits])
def test_bad_parameters_are_refused_before_data_are_read(helper):
    for bad in ("1e-3", None, True, np.True_, 1j, [1]):
        with pytest.raises(TypeError, match="must be a") as e:
            helper(Unreadable(), bad)
        assert repr(bad) in str(e.value)
    for bad in (-1,) if helper is from_keepbits else (-1e-9, Fraction(-1, 2), math.nan, math.inf, np.float32("inf")):
        with pytest.raises(ParameterError) as e:
            helper(Unreadable(), bad)
        assert repr(bad) in str(e.value)
    for bad in (0, 24, 1 << 80) if helper is from_keepbits else ():
        with pytest.raises(ParameterError, match=str(bad)):
            helper(Unreadable(), bad)
    others = [np.zeros(2, bool), ["a"], np.zeros(2, "M8[s]"), np.zeros(2, "V3"), np.zeros(2, "f4,f4"), [None], {}]
    for x in [*others, np.zeros(2, "g"), np.zeros(2, "G")]:
        with pytest.raises(TypeError, match="tolerance is for arrays of"):
            helper(x, 1)
    with pytest.raises(AssertionError, match="data were read"):
        helper(Unreadable(), 1)


def test_keepbits_are_not_for_integers():
    with pytest.raises(TypeError, match="int64"):
        from_keepbits([1, 2, 3], 4)
    with pytest.raises(TypeError, match="keepbits"):
        from_keepbits([1.0], 4.0)


# ---- Hosts ----
def answers(x):
    return from_range(x, 1e-3), from_psnr(x, 60), from_rmse(x, 0.01), from_keepbits(x, 6)


EXPECTED = answers(FIELD)


def test_layouts_of_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "BOX_VALUES", 500)  # several parts
    wide = np.zeros((140, 180), "f4")
    wide[::2, ::-2] = FIELD
    np.save(tmp_path / "f.npy", np.asfortranarray(FIELD))
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    twice = np.broadcast_to(FIELD, (2, 70, 90))
    for x in (wide[::2, ::-2], mapped, FIELD.T.astype(">f4"), FIELD.reshape(7, 10, 90), twice):
        assert answers(x) == pytest.approx(EXPECTED, rel=1e-12)
    assert from_range(FIELD.tolist(), 1e-3) == EXPECTED[0]


def test_no_part_is_larger_than_a_chunk():
    class Spy:
        shape, dtype = (3000, 3000), np.dtype("f4")
        read = []

        def __init__(self, chunks):
            self.chunks = chunks

        def __getitem__(self, selection):
            part = np.broadcast_to(np.float32(1), self.shape)[selection]
            self.read.append(part.size)
            return part

    for chunks, most in ((None, 1 << 20), ((100, 100), 1 << 20), ((1500, 3000), 1500 * 3000), ((4000, 1), 1 << 20)):
        Spy.read.clear()
        assert from_range(Spy(chunks), 1) == 0.0
        assert sum(Spy.read) == 9_000_000 and max(Spy.read) <= most


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr(zarr_format):
    zarr = pytest.importorskip("zarr", minversion="3")
    for chunks, shards in (((16, 30), None), ((100, 7), None)) + ((((10, 30), (40, 60)),) if zarr_format == 3 else ()):
        z = zarr.create_array({}, shape=FIELD.shape, chunks=chunks, shards=shards, dtype="f4", zarr_format=zarr_format)
        z[...] = FIELD
        assert answers(z) == pytest.approx(EXPECTED, rel=1e-12)
    z = zarr.create_array({}, shape=(), dtype="f8", zarr_format=zarr_format)
    z[...] = 6.0
    assert from_range(z, 1) == 0.0 and from_keepbits(z, 1) == 1.0
    assert from_range(zarr.create_array({}, shape=(0, 3), dtype="i4", zarr_format=zarr_format), 1) == 0.0


def test_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as f:
        for chunks, dtype in ((None, "f4"), ((16, 90), "f4"), (True, ">f4")):
            d = f.create_dataset(f"{chunks}", data=FIELD, chunks=chunks, dtype=dtype)
            assert answers(d) == pytest.approx(EXPECTED, rel=1e-12)
        assert from_range(f.create_dataset("null", data=h5py.Empty("f4")), 1) == 0.0
        assert from_keepbits(f.create_dataset("scalar", data=np.float32(6)), 1) == 1.0
        assert from_range(f.create_dataset("ints", data=np.arange(10), chunks=(3,)), 1) == 9.0
        with pytest.raises(TypeError):
            from_range(f.create_dataset("text", data="x"), 1)


def test_dask_and_xarray(tmp_path):
    da = pytest.importorskip("dask.array")
    x = da.from_array(FIELD, chunks=((50, 20), (30, 45, 15)))
    assert answers(x) == pytest.approx(EXPECTED, rel=1e-12)
    assert from_range(x[x > 280], 1) == from_range(FIELD[FIELD > 280], 1)  # dask does not know how many these are
    assert from_range(da.ma.masked_greater(x, 300), 1) == from_range(FIELD[FIELD <= 300], 1)
    assert from_keepbits(da.from_array(np.float32(6)), 1) == 1.0
    xr = pytest.importorskip("xarray")
    for array in (xr.DataArray(x, dims=("y", "x")), xr.DataArray(FIELD, dims=("y", "x"))):
        assert answers(array) == pytest.approx(EXPECTED, rel=1e-12)
    pytest.importorskip("h5netcdf")
    xr.Dataset({"t": array}).to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "t.nc", engine="h5netcdf") as lazy:
        assert answers(lazy.t) == pytest.approx(EXPECTED, rel=1e-12)
        assert not lazy.t._in_memory


def test_masked_netcdf_variables(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "x.nc", "w") as f:
        f.createDimension("n", 4)
        v = f.createVariable("v", "f4", ("n",), fill_value=-9999.0)
        v[:3] = [1.0, 2.0, 5.0]
        assert from_range(v, 1) == 4.0
