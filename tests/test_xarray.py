"""arraycodec.xarray: tolerances for each variable, in Zarr v2 and v3 and through h5netcdf."""

from contextlib import nullcontext

import numpy as np
import pytest

xr = pytest.importorskip("xarray")
pytest.importorskip("zarr", minversion="3")
pytest.importorskip("h5netcdf")

from arraycodec import AnsQuant, LowRankQuant, ParameterError, VarintQuant, inspect  # noqa: E402
from arraycodec.xarray import TARGETS, annotate, encoding, restore  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
MORE = {"zarr3": {"consolidated": False}, "zarr2": {"zarr_format": 2}, "h5netcdf": {"engine": "h5netcdf"}}


def dataset():
    rng = np.random.default_rng(0)
    t = rng.normal(280, 5, (4, 30, 40)).astype("f4")
    t[0, 0, :5] = np.nan
    ds = xr.Dataset(
        {
            "t2m": (("time", "y", "x"), t, {"units": "K", "standard_name": "air_temperature"}),
            "psl": (("y", "x"), rng.normal(1e5, 100, (30, 40)), {"units": "Pa"}),
            "z": (("y", "x"), rng.normal(0, 1, (30, 40)) + 1j),
            "mask": (("y", "x"), rng.integers(0, 2, (30, 40)), {"units": "1"}),
        },
        coords={"time": np.arange(4), "x": np.linspace(0, 1, 40)},
    )
    return ds


def write(ds, path, target, **kwargs):
    if target == "h5netcdf":
        ds.to_netcdf(path, engine="h5netcdf", **kwargs)
    else:
        ds.to_zarr(path, **MORE[target], **kwargs)


def read(path, target):
    engine = {"engine": "h5netcdf"} if target == "h5netcdf" else {"engine": "zarr", "consolidated": False}
    with xr.open_dataset(path, **engine) as opened:
        return opened.load()


@pytest.mark.parametrize("target", TARGETS)
def test_one_tolerance(tmp_path, target):
    ds = dataset().drop_vars("z")
    found = encoding(ds, 0.01, target=target, level=3, predictor="none")
    assert set(found) == {"t2m", "psl"}  # no coordinates, no integers
    write(ds, tmp_path / "a", target, encoding=found)
    back = read(tmp_path / "a", target)
    for name in ds.variables:
        assert back[name].dtype == ds[name].dtype and back[name].dims == ds[name].dims
    assert np.array_equal(np.isnan(back.t2m), np.isnan(ds.t2m))
    assert 0 < abs(back.t2m - ds.t2m).max() <= 0.01 and 0 < abs(back.psl - ds.psl).max() <= 0.01
    assert back.mask.equals(ds.mask) and back.x.equals(ds.x)


@pytest.mark.parametrize("target", TARGETS)
def test_read_modify_write(tmp_path, target):
    """The codec goes the whole way, and what was moved does not move again."""
    ds = dataset().drop_vars("z")
    write(ds, tmp_path / "a", target, encoding=encoding(ds, {"t2m": 0.01, "psl": VarintQuant(tol=1)}, target=target))
    once = read(tmp_path / "a", target)
    once["t2m"][1, 2, 3] += 1.5
    write(restore(once), tmp_path / "b", target)
    twice = restore(read(tmp_path / "b", target))
    assert twice.psl.equals(once.psl) and twice.t2m.isel(time=0).equals(once.t2m.isel(time=0))
    assert abs(twice.t2m - once.t2m).max() <= 0.01
    again = annotate(twice, {name: twice[name].encoding for name in twice.variables})
    assert again.t2m.attrs["lossy_absolute_tolerance"] == 0.01 and again.psl.attrs["lossy_absolute_tolerance"] == 1
    assert again.psl.attrs["lossy_compression"] == "arraycodec.varintquant" and "lossy_compression" not in again.x.attrs


def test_keys_of_a_mapping():
    ds = dataset()
    floats = [name for name, v in ds.data_vars.items() if v.dtype.kind in "fc"]
    for tol, names in (
        ({"t2m": 1.0}, ["t2m"]), ({"*": 1.0}, floats), ({"units=K": 1.0}, ["t2m"]),
        ({"units=*a": 1.0, "t*m": 2.0}, ["psl", "t2m"]), ({"standard_name=air_*": 1.0, "x": 0}, ["t2m", "x"]),
        ({"psl": None, "units=*": 1.0}, ["t2m"]), ({"mask": 1, "time": 0, "*": 1.0}, [*floats, "mask", "time"]),
    ):  # fmt: skip
        assert sorted(encoding(ds, tol)) == sorted(names), tol
    assert encoding(ds, {"*": 1.0, "t2m": 2.0})["t2m"]["serializer"] == AnsQuant(tol=2)  # names before patterns
    assert encoding(ds, {"t*": 1.0, "*": 2.0})["t2m"]["serializer"] == AnsQuant(tol=1)
    codec = LowRankQuant(tol=0.5)
    assert encoding(ds, {"psl": codec})["psl"]["serializer"] is codec
    with pytest.raises(ParameterError, match="no variable is, or .* has, 'units=m', 'tas'"):
        encoding(ds, {"units=m": 1.0, "tas": 1.0, "psl": 1.0})
    with pytest.raises(TypeError, match="tol of the variable 't2m' must be a number, not '0.1'"):
        encoding(ds, {"t2m": "0.1"})
    with pytest.raises(TypeError, match="a Dataset or DataTree is needed, not a DataArray"):
        encoding(ds.t2m, 0.1)
    with pytest.raises(ParameterError, match="no variable 'tas': there are"):
        annotate(ds, {"tas": {"serializer": codec}})


def test_callables_and_relative_tolerances():
    ds = dataset()
    found = encoding(ds, lambda name, v: float(v.std()) * 1e-3 if v.dtype.kind == "f" and name != "x" else None)
    assert set(found) == {"t2m", "psl"} and 0.004 < found["t2m"]["serializer"].tol < 0.006
    found = encoding(ds, rtol=1e-3)
    assert set(found) == {"t2m", "psl", "z"} and found["z"]["serializer"] == AnsQuant(tol=0, rtol=1e-3)
    assert encoding(ds, {"psl": 0.5}, rtol=1e-3)["psl"]["serializer"] == AnsQuant(0.5, 1e-3)
    attributes = annotate(ds, found).t2m.attrs
    assert attributes["lossy_relative_tolerance"] == 1e-3 and "lossy_absolute_tolerance" not in attributes
    assert "lossy_relative_tolerance" not in ds.t2m.attrs  # a copy
    for bad in ({"target": "zarr"}, {"tol": -1.0}, {"tol": None}, {"level": 10}):
        with pytest.raises(ParameterError):
            encoding(ds, **{"tol": 1.0, **bad})
    ds["name"] = ("y", np.array(["a"] * 30))
    with pytest.raises(TypeError, match="variable 'name'"):
        encoding(ds, {"name": 1.0})


@pytest.mark.parametrize("target", TARGETS)
def test_fill_values(tmp_path, target):
    ds = dataset().drop_vars("z")
    ds.t2m.encoding["_FillValue"] = np.float32(-9999)
    ds.psl[3, 3] = -1e30
    ds.psl.attrs["missing_value"] = -1e30
    found = encoding(ds, 0.01, target=target)
    key = {"zarr3": "serializer", "zarr2": "compressors", "h5netcdf": "compression"}[target]
    assert found["t2m"][key].fill_value == -9999 and found["psl"][key].fill_value == -1e30
    write(ds, tmp_path / "a", target, encoding=found)
    opener = {"engine": "h5netcdf"} if target == "h5netcdf" else {"engine": "zarr", "consolidated": False}
    with xr.open_dataset(tmp_path / "a", mask_and_scale=False, **opener) as raw:
        assert (raw.t2m[0, 0, :5] == -9999).all() and raw.psl[3, 3] == -1e30
    assert np.array_equal(np.isnan(read(tmp_path / "a", target).t2m), np.isnan(ds.t2m))
    ds.psl.attrs["missing_value"] = [1.0, 2.0]
    with pytest.raises(ParameterError, match="missing_value of 'psl' has 2 values"):
        encoding(ds, 0.01)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("tol, units", [(2.0, 3), (0.25, 0), (0.1, 0)])
def test_packed_variables(tmp_path, target, tol, units):
    """Integers when they are stored: the tolerance is what packing has left of it."""
    ds = dataset()[["psl"]]
    ds.psl[0, 0] = np.nan
    ds.psl.encoding.update(dtype="i2", scale_factor=0.5, add_offset=1e5, _FillValue=-32768)
    with pytest.warns(UserWarning, match="rounds by up to 0.25, more than tol=0.1") if tol < 0.25 else nullcontext():
        found = encoding(ds, tol, target=target)
    codec = next(v for v in found["psl"].values() if isinstance(v, AnsQuant))
    assert codec == AnsQuant(tol=units, fill_value=-32768)
    write(annotate(ds, found), tmp_path / "a", target, encoding=found)
    back = read(tmp_path / "a", target)
    assert abs(back.psl - ds.psl).max() <= max(tol, 0.25) and np.isnan(back.psl[0, 0])
    assert back.psl.encoding["dtype"] == np.dtype("i2") and ("lossy_compression" in back.psl.attrs) == bool(units)
    if units:
        assert back.psl.attrs["lossy_absolute_tolerance"] == (units + 0.5) / 2


@pytest.mark.parametrize("target", TARGETS)
def test_variables_that_are_scaled_floats(tmp_path, target):
    ds = dataset()[["psl"]]
    ds.psl.encoding.update(scale_factor=100.0, dtype="f8")
    found = encoding(ds, 1.0, target=target)
    write(annotate(ds, found), tmp_path / "a", target, encoding=found)
    back = read(tmp_path / "a", target)
    assert 0.5 < abs(back.psl - ds.psl).max() <= 1 + 1e-9 and back.psl.attrs["lossy_absolute_tolerance"] == 1


def test_slices_of_netcdf(tmp_path):
    ds = dataset()[["t2m"]]
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"t2m": {"chunksizes": (4, 30, 40)}})
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        part = opened.isel(x=slice(0, 7))
        part.to_netcdf(tmp_path / "b.nc", engine="h5netcdf", encoding=encoding(part, 0.1, target="h5netcdf"))
    assert read(tmp_path / "b.nc", "h5netcdf").t2m.encoding["chunksizes"] == (4, 30, 7)


@pytest.mark.parametrize("target", ["zarr3", "zarr2"])
def test_dask(tmp_path, target):
    pytest.importorskip("dask")
    ds = dataset().drop_vars("z").chunk({"time": 1, "y": 15})
    ds.t2m.encoding["chunks"] = (4, 30, 40)  # of the file that it was read from
    write(ds, tmp_path / "a", target, encoding=encoding(ds, 0.01, target=target))
    with xr.open_zarr(tmp_path / "a", consolidated=False) as back:
        assert back.t2m.encoding["chunks"] == (1, 15, 40)
        assert abs(back.t2m - ds.t2m).max() <= 0.01


def test_chunks_of_netcdf(tmp_path):
    import h5py

    ds = xr.Dataset({"a": (("t", "y", "x"), np.zeros((50, 200, 300), "f4"))})
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding(ds, 0.01, target="h5netcdf"))
    with h5py.File(tmp_path / "a.nc") as f:
        assert f["a"].chunks == (4, 200, 300)  # a MiB or less
        assert inspect(f["a"].id.read_direct_chunk((0, 0, 0))[1]).header.tol == 0.01
    ds.a.encoding["chunksizes"] = (1, 20, 300)
    assert encoding(ds, 0.01, target="h5netcdf")["a"]["chunksizes"] == (1, 20, 300)


def test_restore_leaves_others_alone(tmp_path):
    ds = dataset().drop_vars("z")
    gzip = {"psl": {"compression": "gzip", "compression_opts": 4}}
    both = {**encoding(ds, {"t2m": 1.0}, target="h5netcdf"), **gzip}
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=both)
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        restored = restore(opened)
        assert restored.t2m.encoding["compression"] == AnsQuant(tol=1)
        assert restored.psl.encoding == opened.psl.encoding and restored.psl.encoding["zlib"]
        assert opened.t2m.encoding.get("compression") in ("unknown", None)  # a copy


# ---- trees and groups ----
def tree():
    ds = dataset().drop_vars("z")
    return xr.DataTree.from_dict(
        {"/": ds[["psl"]], "/a": ds[["t2m"]], "/a/b": ds[["t2m", "mask"]].drop_vars("x")}, name="model"
    )


def read_tree(path, target, **kwargs):
    engine = {"engine": "h5netcdf"} if target == "h5netcdf" else {"engine": "zarr", "consolidated": False}
    with xr.open_datatree(path, **engine, **kwargs) as opened:
        return opened.load()


@pytest.mark.parametrize("target", TARGETS)
def test_trees(tmp_path, target):
    dt = tree()
    how = encoding(dt, {"/a/t2m": 0.01, "t2m": 0.5, "psl": 1.0}, target=target)
    assert {path: set(slots) for path, slots in how.items()} == {"/": {"psl"}, "/a": {"t2m"}, "/a/b": {"t2m"}}
    marked = annotate(dt, how)
    assert marked.name == "model" and marked["a/t2m"].attrs["lossy_absolute_tolerance"] == 0.01
    assert "lossy_compression" not in dt["a/t2m"].attrs
    write(marked, tmp_path / "one", target, encoding=how)
    once = read_tree(tmp_path / "one", target)
    assert [node.path for node in once.subtree] == [node.path for node in dt.subtree]
    for name, tol in (("psl", 1.0), ("a/t2m", 0.01), ("a/b/t2m", 0.5)):
        assert tol / 2 < abs(once[name] - dt[name]).max() <= tol, name
    assert once["a/b/mask"].equals(dt["a/b/mask"])
    once["a/t2m"][0, 1, 2] += 1
    write(restore(once), tmp_path / "two", target)
    twice = restore(read_tree(tmp_path / "two", target))
    assert twice["a/b/t2m"].equals(once["a/b/t2m"]) and twice.psl.equals(once.psl)
    assert abs(twice["a/t2m"] - once["a/t2m"]).max() <= 0.01
    codecs = {name: annotate(twice, {node.path: {n: v.encoding for n, v in node.variables.items()}
                                     for node in twice.subtree})[name].attrs["lossy_absolute_tolerance"]
              for name in ("psl", "a/t2m", "a/b/t2m")}  # fmt: skip
    assert codecs == {"psl": 1.0, "a/t2m": 0.01, "a/b/t2m": 0.5}
    assert twice.name == once.name and twice["a"].encoding == read_tree(tmp_path / "two", target)["a"].encoding


def test_keys_of_trees():
    dt = tree()
    for tol, names in (
        ({"t2m": 1.0}, {"/a": ["t2m"], "/a/b": ["t2m"]}), ({"/a/b/t2m": 1.0}, {"/a/b": ["t2m"]}),
        ({"/psl": 1.0}, {"/": ["psl"]}), ({"/a/*": 0, "psl": None}, {"/a": ["t2m"], "/a/b": ["t2m"]}),
        ({"units=Pa": 1.0}, {"/": ["psl"]}), (1.0, {"/": ["psl"], "/a": ["t2m"], "/a/b": ["t2m"]}),
        (lambda name, v: 1.0 if v.ndim == 3 else None, {"/a": ["t2m"], "/a/b": ["t2m"]}),
    ):  # fmt: skip
        assert {path: sorted(slots) for path, slots in encoding(dt, tol).items()} == names, tol  # no inherited ones
    assert encoding(dt, {"t2m": 1.0, "/a/b/t2m": 2.0})["/a/b"]["t2m"]["serializer"] == AnsQuant(tol=2)
    with pytest.raises(ParameterError, match="no variable is, or .* has, 'tas': there are .*'/psl'.*'/a/t2m'"):
        encoding(dt, {"tas": 1.0})
    part = encoding(dt["a"], 1.0)  # a part of a tree is a tree
    assert set(part) == {"/", "/b"} and annotate(dt["a"], part)["b/t2m"].attrs["lossy_absolute_tolerance"] == 1


def test_restore_of_groups(tmp_path):
    dt = tree()
    how = encoding(dt, {"/a/t2m": 0.01, "t2m": 0.5}, target="h5netcdf")
    dt.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=how)
    for group, tol in (("a", 0.01), ("/a/b/", 0.5)):
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf", group=group) as part:
            assert restore(part, group).t2m.encoding["compression"] == AnsQuant(tol=tol)
            with pytest.raises(ParameterError, match=r"has no variable /t2m of the shape \(4, 30, 40\): say group="):
                restore(part)
            with pytest.raises(ParameterError, match="/a/renamed"):
                restore(part.rename(t2m="renamed"), "a")
    if xr.__version__ < "2026":  # some before cannot open a tree from a group on
        return
    part = restore(read_tree(tmp_path / "a.nc", "h5netcdf", group="a"), group="a")
    assert part.t2m.encoding["compression"] == AnsQuant(tol=0.01)
    assert part["b/t2m"].encoding["compression"] == AnsQuant(tol=0.5)
