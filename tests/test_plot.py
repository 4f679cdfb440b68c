"""``arraycodec plot``: what is in the panels, by the figure; the files."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from arraycodec import AnsQuant, decode, encode, tuning
from arraycodec.__main__ import main
from arraycodec.cli import samples
from arraycodec.cli.console import Console
from arraycodec.cli.formats import open_source
from arraycodec.cli.plot import Options, _measured, draw
from arraycodec.cli.ratecurve import own_curves, peer_curves
from arraycodec.cli.subject import Wanted, one_subject
from arraycodec.cli.view import spectrum, view

pytest.importorskip("matplotlib")

PANELS = {"original", "decoded", "error", "histogram", "spectrum", "rate"}


@pytest.fixture(scope="module")
def field():
    return samples.vorticity(64, 8)


@pytest.fixture
def peers(monkeypatch):
    """`fake_peers` is importable in child processes."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


def saved(tmp_path, array, name="a.npy"):
    np.save(tmp_path / name, array)
    return tmp_path / name


def drawn(path, tol, **options):
    """The picture's numbers, the figure, and its panels by name."""
    wanted = Wanted(path, **{name: options.pop(name) for name in ("dtype", "lossy_integers") if name in options})
    options = Options(wanted, tol, path.with_suffix(".png"), peers=[], **options)
    with open_source(path) as source:
        picture, missing = _measured(one_subject(source, wanted, Console(True)), options)
    assert missing == []
    figure = draw(picture)
    panels = {axes.get_label(): axes for axes in figure.axes if axes.get_label() in PANELS}
    assert panels.keys() == PANELS
    return picture, figure, panels


def image_of(axes):
    (image,) = axes.get_images()
    return image


def lines(axes):
    """By their labels."""
    return {line.get_label(): line for line in axes.get_lines()}


# --- The picture ---


def test_planes(field, tmp_path):
    picture, figure, panels = drawn(saved(tmp_path, field), 0.05)
    back = decode(encode(field, 0.05))
    shown = {"original": field[4], "decoded": back[4], "error": back[4].astype("f8") - field[4]}
    for name, values in shown.items():
        assert np.array_equal(image_of(panels[name]).get_array(), values)
    assert image_of(panels["original"]).get_clim() == image_of(panels["decoded"]).get_clim()
    assert image_of(panels["error"]).get_clim() == (-0.05, 0.05)
    assert image_of(panels["error"]).get_cmap().name == "RdBu_r"
    assert panels["original"].get_title() == "original  [4, 0:64, 0:64]"
    assert (panels["original"].get_xlabel(), panels["original"].get_ylabel()) == ("axis 2", "axis 1")
    assert panels["original"].get_ylim() == (63.5, -0.5)  # as images are
    title = figure.get_suptitle()
    error = back.astype("f8") - field
    assert title.startswith("a.npy    float32, 8 × 64 × 64\ntol 0.05 = ")
    for text in (
        f"{8 * len(encode(field, 0.05)) / field.size:.3f} bits per value",
        f"ratio {field.nbytes / len(encode(field, 0.05)):.2f}",
        f"PSNR {20 * np.log10(np.ptp(field.astype('f8')) / np.sqrt(np.mean(error**2))):.1f} dB",
        f"max error {np.abs(error).max():.4g}",
    ):
        assert text in title
    assert np.array_equal(np.sort(picture.errors), np.sort(error.ravel() / 0.05))


def test_histogram_is_that_of_the_errors(field, tmp_path):
    picture, _, panels = drawn(saved(tmp_path, field), 0.05)
    stairs = panels["histogram"].patches[0]
    counts, edges, _ = stairs.get_data()
    error = (decode(encode(field, 0.05)).astype("f8") - field) / 0.05
    assert edges[0] == -1 and edges[-1] == 1
    assert np.allclose(counts, np.histogram(error, edges, density=True)[0])
    assert np.sum(counts * np.diff(edges)) == pytest.approx(1)
    marked = [line.get_xdata()[0] for line in panels["histogram"].get_lines() if len(line.get_xdata()) == 2]
    assert marked == [-1, 1]
    notes = panels["histogram"].texts[0].get_text()
    assert f"RMSE {np.sqrt(np.mean(error**2)):.3f} tol" in notes


@pytest.mark.parametrize("tol", [0, 1, 2.5, 40, 1000])
def test_bins_of_integers_have_the_same_number_each(tmp_path, tol, capsys):
    x = np.random.default_rng(0).integers(-3000, 3000, (60, 70))
    if not tol:
        assert main(["plot", str(saved(tmp_path, x)), "--tol", "0", "-o", str(tmp_path / "o.png"),
                     "--lossy-integers"]) == 2  # fmt: skip
        assert "without loss there is no error to draw" in capsys.readouterr().err
        return
    _, _, panels = drawn(saved(tmp_path, x), tol, lossy_integers=True)
    counts, edges, _ = panels["histogram"].patches[0].get_data()
    integers = np.diff(edges) * tol
    assert np.allclose(integers, np.rint(integers)) and np.allclose(integers[:-1], integers[0])
    assert edges[0] * tol == pytest.approx(-int(tol) - 0.5) and edges[-1] * tol == pytest.approx(int(tol) + 0.5)
    assert np.sum(counts * np.diff(edges)) == pytest.approx(1)


def test_lines(tmp_path):
    x = np.cumsum(np.random.default_rng(0).normal(size=4000))
    picture, figure, panels = drawn(saved(tmp_path, x), 0.01)
    back = decode(encode(x, 0.01))
    detail = lines(panels["decoded"])
    assert np.array_equal(detail["original"].get_ydata(), x[1900:2100])
    assert np.array_equal(detail["decoded"].get_ydata(), back[1900:2100])
    assert np.array_equal(detail["decoded"].get_xdata(), np.arange(1900, 2100))
    rms = lines(panels["error"])["root mean square"].get_ydata()
    each = 4000 // len(rms) + 1
    assert rms[7] == pytest.approx(np.sqrt(np.mean((back - x)[7 * each : 8 * each] ** 2)))
    assert panels["error"].get_ylim() == (-0.0125, 0.0125)
    assert not any(axes.get_images() for axes in figure.axes)


def test_short_lines_are_drawn_value_by_value(tmp_path):
    x = np.arange(12.0) ** 2
    _, _, panels = drawn(saved(tmp_path, x), 0.3)
    (line,) = [line for line in panels["original"].get_lines()]
    assert np.array_equal(line.get_ydata(), x)


def test_missing_values_are_gaps(tmp_path):
    h5py = pytest.importorskip("h5py")
    x = samples.vorticity(64, 3)
    x[:, :20, 5:30] = -9999
    x[0] = -9999  # nothing to see there
    x[1, 30, 30] = np.nan
    with h5py.File(tmp_path / "t.nc", "w") as f:
        d = f.create_dataset("t", data=x, chunks=(1, 64, 64))
        d.attrs["_FillValue"], d.attrs["units"] = np.float32(-9999), "s$^{-1}"
        for axis, (name, values) in enumerate(
            {"time": [0, 1, 2], "lat": np.linspace(-8, 8, 64), "lon": np.arange(64)}.items()
        ):
            f.create_dataset(name, data=values).make_scale(name)
            d.dims[axis].attach_scale(f[name])
    picture, figure, panels = drawn(tmp_path / "t.nc", 0.05)
    values = image_of(panels["original"]).get_array()
    gone = (x[1] == -9999) | np.isnan(x[1])
    assert np.array_equal(np.ma.getmaskarray(np.ma.masked_invalid(values)), gone)
    assert image_of(panels["original"]).get_clim()[0] > -100
    assert picture.errors.size == np.count_nonzero((x != -9999) & ~np.isnan(x))
    assert panels["original"].get_xlabel() == "lon"
    assert panels["original"].get_ylim() == (-0.5, 63.5)  # latitudes grow upward
    figure.savefig(io.BytesIO())  # no mathematics in the units


def test_a_plane_with_something_in_it_is_chosen(tmp_path):
    x = np.full((8, 30, 30), np.nan)
    x[2] = 1 + np.random.default_rng(0).normal(size=(30, 30))
    assert drawn(saved(tmp_path, x), 0.1)[0].view.index == (2, slice(0, 30), slice(0, 30))


def test_complex_arrays_show_the_real_part(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 50)) + 1j * rng.normal(size=(40, 50))
    picture, _, panels = drawn(saved(tmp_path, z), 0.01)
    assert np.array_equal(image_of(panels["original"]).get_array(), z.real)
    assert "real part" in panels["error"].get_title()
    assert picture.errors.size == 2 * z.size and np.abs(picture.errors).max() <= 1
    error = lines(panels["spectrum"])["error"].get_ydata()
    assert 0.4 < np.median(error) < 0.9  # of both parts: 2/3


def test_bfloat16(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 40)).astype("f4")
    bits = (values.view("u4") >> 16).astype("u2")
    _, figure, panels = drawn(saved(tmp_path, bits), 0.1, dtype="bfloat16")
    assert np.array_equal(image_of(panels["original"]).get_array(), (bits.astype("u4") << 16).view("f4"))
    assert "bfloat16" in figure.get_suptitle()


@pytest.mark.parametrize("values, shape", [
    (0.0, (50, 60)), (3.5, (1,)), (np.nan, (50, 60)), (np.nan, (30,)), ("noise", (2, 3)), ("noise", (3, 2, 9, 9)),
    ("huge", (20, 30)), ("huge", (300,)), ("tiny", (1, 300)),
])  # fmt: skip
def test_degenerate_arrays_can_be_drawn(values, shape, tmp_path):
    noise = np.random.default_rng(0).normal(size=shape)
    scale = {"huge": 1e307, "tiny": 1e-300}.get(values, 1)
    x = noise * scale if isinstance(values, str) else np.full(shape, values)
    _, figure, _ = drawn(saved(tmp_path, x), 0.01 * scale)
    figure.savefig(io.BytesIO(), dpi=30)


def test_nothing_overlaps(field, tmp_path):
    """Titles, labels and legends of all panels, as they are drawn."""
    for tol in (0.05, 5):
        _, figure, panels = drawn(saved(tmp_path, field), tol)
        figure.draw_without_rendering()
        boxes = [(axes.get_label(), axes.get_tightbbox()) for axes in panels.values()]
        page = figure.bbox
        for i, (name, box) in enumerate(boxes):
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1, name
            for other, that in boxes[:i]:
                apart = box.x1 <= that.x0 or that.x1 <= box.x0 or box.y1 <= that.y0 or that.y1 <= box.y0
                assert apart, (name, other)


# --- What is shown ---


def viewed(path, index=None, tol=0.1):
    with open_source(path) as source:
        subject = one_subject(source, Wanted(path), Console(True))
        return view(subject, subject.codec(tol), index)


def test_slices_can_be_chosen(field, tmp_path, capsys):
    path = saved(tmp_path, field)
    shown = viewed(path, (slice(1, 7), -4, slice(None, 30)), 0.01)
    assert np.array_equal(shown.original, field[1:7, 60, :30]) and shown.said == "1:7, 60, 0:30"
    assert np.array_equal(shown.decoded, decode(encode(field, 0.01))[1:7, 60, :30])
    arguments = ["plot", str(path), "--tol", "0.01", "-o", str(tmp_path / "o.png"), "--no-peers"]
    for text, message in (
        ("1,2", "--slice 1,2 has 2 axes, the array has 3"),
        ("8,:,:", "--slice 8,:,:: 8 is beyond an axis of 8 values"),
        ("1,2,3", "one range makes a line and two a plane, not 0"),
        (":,:,:", "one range makes a line and two a plane, not 3"),
        ("0,5:5,:", "nothing is in 5:5 of an axis of 64 values"),
        ("0,1:2:3,:", "not a slice"), ("a,:,:", "not a slice"), ("", "not a slice"),
    ):  # fmt: skip
        assert main([*arguments, f"--slice={text}"]) == 2 and message in capsys.readouterr().err
    assert main([*arguments, "--slice=-1,:,3:20", "-q"]) == 0


def test_chunks_of_the_view_are_those_that_are_stored(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    x = np.random.default_rng(0).normal(size=(50, 60)).cumsum(1)
    a = zarr.create_array(tmp_path / "z.zarr", shape=x.shape, dtype="f8", chunks=(16, 25))
    a[...] = x
    shown = viewed(tmp_path / "z.zarr", (slice(10, 40), slice(20, 55)), 0.01)
    assert np.array_equal(shown.original, x[10:40, 20:55])
    wanted = np.empty_like(x)
    for i in range(0, 50, 16):
        for j in range(0, 60, 25):
            wanted[i : i + 16, j : j + 25] = decode(encode(x[i : i + 16, j : j + 25], 0.01))
    assert np.array_equal(shown.decoded, wanted[10:40, 20:55])


@pytest.mark.parametrize("shape, index", [
    ((5000, 3000), (slice(1476, 3524), slice(476, 2524))),
    ((40, 500, 3), (slice(0, 40), slice(0, 500), 1)),
    ((2, 300), (1, slice(0, 300))),
    ((400000,), (slice(68928, 331072),)),
    ((3, 2), (slice(0, 3), 1)),
])  # fmt: skip
def test_what_is_chosen(shape, index, tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "f4", shape)
    x[...] = 1
    x.flush()
    assert viewed(tmp_path / "a.npy").index == index


# --- Spectra ---


@pytest.mark.parametrize("shape", [(4096,), (128, 200)])
def test_white_noise_has_its_variance_everywhere(shape):
    noise = np.random.default_rng(0).normal(5, 3, shape)
    frequency, power = spectrum(noise)
    assert (np.diff(frequency) > 0).all() and frequency[-1] <= 0.5
    assert np.median(power) == pytest.approx(9, rel=0.25)
    noise[np.random.default_rng(1).random(shape) < 0.4] = np.nan
    assert np.median(spectrum(noise)[1]) == pytest.approx(9, rel=0.25)
    assert np.median(spectrum(noise + 1j * noise)[1]) == pytest.approx(18, rel=0.25)


@pytest.mark.parametrize("angle", [0, 0.7])
def test_waves_are_found_at_their_frequency(angle):
    i, j = np.indices((128, 128))
    wave = np.sin(2 * np.pi * 0.1 * (np.cos(angle) * i + np.sin(angle) * j))
    frequency, power = spectrum(wave)
    assert frequency[np.argmax(power)] == pytest.approx(0.1, rel=0.08)
    elsewhere = np.abs(np.log(frequency / 0.1)) > 0.4
    assert power[elsewhere].max() < power.max() / 100  # the window keeps it together
    assert np.array_equal(spectrum(np.zeros((9, 9)))[1], np.zeros_like(spectrum(wave[:9, :9])[1]))


# --- Curves ---


def test_curves_of_levels(field, tmp_path):
    path = saved(tmp_path, field)
    picture, _, panels = drawn(path, 0.05, level=3)
    assert [c.level for c in picture.curves] == [1, 3, 5, 9]
    for curve in picture.curves:
        assert 0.05 in [p.tol for p in curve.points]
        for point in curve.points:
            q = AnsQuant(point.tol, level=curve.level)
            assert point.bits == 8 * len(q.encode(field)) / field.size and point.held
    star = lines(panels["rate"])["tol 0.05"]
    assert star.get_xdata()[0] == 8 * len(encode(field, 0.05, level=3)) / field.size
    fine = tuning.curve(tuning.sample(field), tuning.ladder(tuning.sample(field), (1, 2, 5)),
                        lambda tol: AnsQuant(tol, level=3))  # fmt: skip
    assert f"knee, tol {fine[tuning.knee(fine)].tol:.4g}" in lines(panels["rate"])
    lossless = 8 * len(encode(field, 0, level=3)) / field.size
    assert lines(panels["rate"])[f"lossless, {lossless:.2f}"].get_xdata()[0] == lossless


def test_curves_of_peers(tmp_path, peers):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 40)).cumsum(0)
    x[3:7, 2:9] = np.nan
    filled = x.copy()
    filled[3:7, 2:9] = filled[3:7, 1:2]
    names = ["fake_peers:Rounds", "fake_peers:Violates", "fake_peers:Raises", "fake_peers:Honest"]
    sample = tuning.sample(x)
    curves, missing = peer_curves(sample, [0.1, 0.01], names)
    assert [c.name for c in curves] == ["rounds", "violates"]
    for point in curves[0].points:
        error = np.rint(filled / (2 * point.tol)) * (2 * point.tol) - filled
        assert point.bits == 8 * len(zlib.compress(np.rint(filled / (2 * point.tol)).astype("i4"))) / x.size
        rmse = np.sqrt(np.mean(error[~np.isnan(x)] ** 2))
        assert point.psnr == pytest.approx(20 * np.log10(sample.extent / rmse)) and point.held
    assert not any(p.held for p in curves[1].points)
    assert len(missing) == 2 and missing[0].startswith("raises (error: ")
    assert missing[1] == "honest (no errors to compare)"  # it has none
    with pytest.raises(ValueError, match="--peers fake_peers:Missing"):
        peer_curves(sample, [0.1], ["fake_peers:Missing"])
    assert peer_curves(sample, [0.1], []) == ([], [])


def test_missing_integers_for_peers(tmp_path):
    """Marks are filled as NaN are, so that they cost no peer anything."""
    from arraycodec.cli.ratecurve import _input

    x = np.array([[5, -99, -99, 7], [-99, 8, 9, -99]], "i4")
    path, values = _input(tuning.sample(x, missing=[-99]), 0, tmp_path / "x.npy")
    assert values.tolist() == [[5, 5, 5, 7], [7, 8, 9, 9]] and np.array_equal(np.load(path), values)


def test_complex_numbers_for_peers(peers):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20, 30)) + 1j * rng.normal(size=(20, 30))
    sample = tuning.sample(z)
    curves, _ = peer_curves(sample, [0.1, 0.01], ["fake_peers:Rounds"])
    parts = np.stack([z.real, z.imag])
    for point in curves[0].points:
        steps = np.rint(parts / (2 * point.tol))
        assert point.bits == 8 * len(zlib.compress(steps.astype("i4"))) / z.size
        rmse = np.sqrt(np.mean((steps * (2 * point.tol) - parts) ** 2))
        assert point.psnr == pytest.approx(20 * np.log10(sample.extent / rmse))


def test_points_without_errors_are_on_no_curve(tmp_path):
    path = saved(tmp_path, np.arange(100.0))
    with open_source(path) as source:
        subject = one_subject(source, Wanted(path), Console(True))
        (curve,) = own_curves(subject, subject.sample(None), [10.0, 1e-300], [5], None)
    assert [p.tol for p in curve.points] == [10.0]


# --- Files ---


def test_png(field, tmp_path, capsys):
    path, out = saved(tmp_path, field), tmp_path / "o.png"
    arguments = ["plot", str(path), "--tol", "0.05", "-o", str(out), "--no-peers", "--dpi", "40"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{out}: ") and {p.name for p in tmp_path.iterdir()} == {"a.npy", "o.png"}
    data = out.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    assert struct.unpack(">I", data[16:20])[0] == 15.5 * 40
    assert main(arguments) == 2 and "exists (--force replaces it)" in capsys.readouterr().err
    out.write_bytes(b"old")
    assert main([*arguments, "--force", "-q"]) == 0
    assert out.read_bytes()[:4] == b"\x89PNG" and capsys.readouterr().out == ""


@pytest.mark.parametrize("suffix, magic", [(".pdf", b"%PDF-"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_formats(suffix, magic, tmp_path):
    path, out = saved(tmp_path, np.random.default_rng(0).normal(size=(20, 30))), tmp_path / f"o{suffix}"
    assert main(["plot", str(path), "--tol", "0.05", "-o", str(out), "--no-peers", "-q", "--dpi", "30"]) == 0
    assert out.read_bytes().startswith(magic)


def test_peers_of_the_command(tmp_path, peers, capsys):
    path = saved(tmp_path, np.random.default_rng(0).normal(size=(20, 30)))
    command = ["plot", str(path), "--tol", "0.05", "-o", str(tmp_path / "o.png"), "--dpi", "30"]
    assert main([*command, "--peers", "fake_peers:Rounds,fake_peers:Raises"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("no curve of raises (error: ") and "rounds" not in out


@pytest.mark.parametrize("arguments, message", [
    (["a.npy", "--tol", "1", "-o", "o.jpg"], "-o o.jpg: write .png, .svg or .pdf, not '.jpg'"),
    (["a.npy", "--tol", "1", "-o", "no/o.png"], "no such folder"),
    (["a.npy", "--tol", "1", "-o", "o.png", "--peers", "none"], "no peer 'none'"),
    (["a.npy", "--tol", "1", "-o", "o.png", "--dpi", "3"], "dpi are 20 to 1000, not '3'"),
    (["many.npz", "--tol", "1", "-o", "o.png"], "has 2 arrays (a, b): choose one with --name"),
    (["s.npy", "--tol", "1", "-o", "o.png"], "a single value: there is nothing to draw"),
    (["i.npy", "--tol", "1", "-o", "o.png"], "unless --lossy-integers is given"),
])  # fmt: skip
def test_errors(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.ones((9, 9)))
    np.save("s.npy", np.float64(1))
    np.save("i.npy", np.ones((9, 9), "i4"))
    np.savez("many.npz", a=np.ones(9), b=np.ones(9))
    before = set(os.listdir())
    assert main(["plot", *arguments]) == 2 and message in capsys.readouterr().err
    assert set(os.listdir()) == before


def test_no_display_is_touched(field, tmp_path, monkeypatch):
    """Neither pyplot nor a backend of windows is imported."""
    import subprocess
    import sys

    script = (
        "import sys; from arraycodec.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tkinter' not in sys.modules"
    )
    path = saved(tmp_path, field[0])
    command = ["plot", str(path), "--tol", "0.1", "-o", str(tmp_path / "o.png"), "--no-peers", "-q"]
    subprocess.run([sys.executable, "-c", script, *command], check=True)


def test_matplotlib_may_be_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    path = saved(tmp_path, np.ones((9, 9)))
    assert main(["plot", str(path), "--tol", "1", "-o", str(tmp_path / "o.png")]) == 2
    assert 'plot needs matplotlib: pip install "arraycodec[plot]"' in capsys.readouterr().err
