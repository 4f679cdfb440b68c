"""hdf5.references: HDF5 files read by Zarr, without HDF5."""

import json

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr", "3")
pytest.importorskip("fsspec")

from arraycodec import AnsQuant, LowRankQuant, ParameterError, StochasticQuant, VarintQuant, hdf5  # noqa: E402

X = np.random.default_rng(0).normal(size=(50, 70)).astype("f4")


def opened(refs):
    json.dumps(refs)
    options = {"fo": refs, "remote_protocol": "file", "asynchronous": True}
    return zarr.open_group(zarr.storage.FsspecStore.from_url("reference://", storage_options=options), mode="r")


@pytest.mark.parametrize("as_path", [True, False])
def test_codecs_of_ours(tmp_path, as_path):
    path = tmp_path / "a.h5"
    codecs = {
        "ans": AnsQuant(tol=0.01), "relative": AnsQuant(rtol=0.01, level=2), "varint": VarintQuant(tol=0.01),
        "random": StochasticQuant(5, "max"), "low": LowRankQuant(5),
    }  # fmt: skip
    with h5py.File(path, "w") as f:
        for name, codec in codecs.items():
            hdf5.write(f.create_dataset(f"g/{name}", X.shape, "f4", chunks=(20, 30), compression=codec), X)
        f["g"].attrs["title"] = "some arrays"
    with h5py.File(path) as f:
        root = opened(hdf5.references(path if as_path else f))
        assert root["g"].attrs["title"] == "some arrays"
        for name, codec in codecs.items():
            assert np.array_equal(root["g"][name][...], f["g"][name][...])
            (stored,) = (filter.get_config() for filter in root["g"][name].filters)
            assert stored == codec.get_config() or name == "random" and stored["id"] == "stochasticquant"
        group = opened(hdf5.references(f["g"]))
        assert np.array_equal(group["ans"][3:30, 5], f["g/ans"][3:30, 5])


@pytest.mark.parametrize("dtype", ["i2", ">f8", "u1", "c16", "?", "f2"])
def test_layouts(tmp_path, dtype):
    x = (10 * X).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("ours", data=x, chunks=(20, 30), compression=AnsQuant(tol=0), fletcher32=True)
        f.create_dataset("gzip", data=x, chunks=(20, 30), compression="gzip", shuffle=True)
        f.create_dataset("contiguous", data=x)
        f.create_dataset("scalar", data=x[0, 0])
        one = x.dtype.type(1)
        f.create_dataset("sparse", x.shape, dtype, chunks=(20, 30), compression=AnsQuant(tol=0), fillvalue=one)
        f["sparse"][3, 4] = x[1, 1]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((2, 3))
        h5py.Dataset(h5py.h5d.create(f.id, b"compact", h5py.h5t.py_create(x.dtype), space, plist))[...] = x[:2, :3]
    with h5py.File(tmp_path / "a.h5") as f:
        root = opened(hdf5.references(f))
        for name in f:
            assert np.array_equal(root[name][...], f[name][...]), name
            assert root[name].dtype == f[name].dtype


def test_chunks_without_the_filter(tmp_path):
    broken = X.copy()
    broken[1, 1] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=broken, chunks=(20, 30), compression=StochasticQuant(5))
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["x"].id.get_chunk_info(0).filter_mask == 1
        assert np.array_equal(opened(hdf5.references(f))["x"][...], f["x"][...], equal_nan=True)


def test_what_zarr_has_not(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["name"] = "text"
        f["x"] = X
        with pytest.warns(UserWarning, match="name is left out: Zarr has no type for object"):
            refs = hdf5.references(f, "https://example.org/a.h5")
        assert refs["refs"]["x/0.0"][0] == "https://example.org/a.h5" and "name/.zarray" not in refs["refs"]
        f.create_dataset("lzf", data=X, chunks=(20, 30), compression="lzf")
        with pytest.raises(ParameterError, match=r"/lzf has filter 32000 \(lzf\)"):
            hdf5.references(f)


def test_xarray_reads_a_netcdf_file(tmp_path):
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    from arraycodec.xarray import encoding

    ds = xr.Dataset(
        {"t": (("time", "y", "x"), np.random.default_rng(0).normal(280, 5, (3, 30, 40)), {"units": "K"})},
        coords={"time": ("time", [0, 6, 12], {"units": "hours since 2000-01-01"}), "x": np.linspace(0, 1, 40)},
    )
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding(ds, 0.01, target="h5netcdf"))
    options = {"fo": hdf5.references(tmp_path / "a.nc"), "remote_protocol": "file"}
    with xr.open_zarr("reference://", storage_options=options, consolidated=False, zarr_format=2) as virtual:
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as real:
            xr.testing.assert_equal(virtual, real)
            assert virtual.t.attrs["units"] == "K" and virtual.time.dtype.kind == "M"


def test_links(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = X
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("g/x", data=X, chunks=(20, 30), compression=AnsQuant(tol=0.01))
        f["hard"] = f["g/x"]
        f["g/also"] = f["g/x"]
        f["soft"] = h5py.SoftLink("/g/x")
        f["g/relative"] = h5py.SoftLink("x")
        f["chain"] = h5py.SoftLink("soft")
        f["type"] = np.dtype("f4")  # no array
    with h5py.File(tmp_path / "a.h5") as f:
        refs = hdf5.references(f)
        root = opened(refs)
        for name in ("g/x", "hard", "g/also", "soft", "g/relative", "chain"):
            assert np.array_equal(root[name][...], f["g/x"][...]), name
        assert sorted(root) == ["chain", "g", "hard", "soft"] and refs["refs"]["hard/0.0"] == refs["refs"]["g/x/0.0"]
        assert sorted(opened(hdf5.references(f["g"]))) == ["also", "relative", "x"]
    for name, link, message in (
        ("dangling", h5py.SoftLink("/nothing"), "dangling is left out: the link to /nothing leads nowhere"),
        ("round", h5py.SoftLink("/round"), "round is left out: the link to /round leads nowhere"),
        ("external", h5py.ExternalLink("other.h5", "/x"), "external is left out: it is in another file, other.h5"),
        ("missing", h5py.ExternalLink("no.h5", "/x"), "missing is left out: it is in another file, no.h5"),
        ("groups", h5py.SoftLink("/g"), "groups is left out: it is another name of the group /g"),
    ):
        with h5py.File(tmp_path / "a.h5", "a") as f:
            f[name] = link
            with pytest.warns(UserWarning, match=message):
                assert np.array_equal(opened(hdf5.references(f))["hard"][...], f["g/x"][...])
            del f[name]
    with h5py.File(tmp_path / "a.h5", "a") as f:
        f["external"] = h5py.ExternalLink("other.h5", "/")
        f["through"] = h5py.SoftLink("/external/x")
        with pytest.warns(UserWarning) as warned:
            assert sorted(opened(hdf5.references(f))) == ["chain", "g", "hard", "soft"]
        assert any("through is left out: it is in another file, " in str(w.message) for w in warned)
        assert {w.filename for w in warned if "left out" in str(w.message)} == {__file__}
        del f["external"], f["through"]
        f["g/parent"] = f["/"]  # for ever
        f["h"] = f["g"]
        with pytest.warns(UserWarning) as warned:
            refs = hdf5.references(f)["refs"]
        assert {key.rpartition("/")[0] for key in refs if key.startswith(("g", "h/"))} == {
            "g", "g/also", "g/relative", "g/x"
        }  # fmt: skip
        assert {str(w.message) for w in warned} == {
            "g/parent is left out: it is another name of the group /",
            "h is left out: it is another name of the group /g",
        }
