"""``arraycodec tune`` and `arraycodec.tuning`: samples, curves, the knee, targets."""

import csv
import functools
import json
import math
import re
import shlex

import numpy as np
import pytest

from arraycodec import AnsQuant, ParameterError, VarintQuant, decode, encode, tolerance, tuning, verify
from arraycodec.__main__ import main
from arraycodec.cli import samples


@pytest.fixture(scope="module")
def field():
    return samples.vorticity(64, 8)


def noisy(sigma, shape=(256, 256), seed=0):
    """A smooth wave, and noise."""
    i, j = np.indices(shape)
    wave = 100 * np.sin(i / 40) * np.cos(j / 50)
    return (wave + np.random.default_rng(seed).normal(0, sigma, shape)).astype("f4")


def run(capsys, *args):
    """Exit code, standard output and the last line of standard error."""
    status = main(["tune", *map(str, args)])
    out, err = capsys.readouterr()
    return status, out, err


# --- Samples ---


def test_small_arrays_are_taken_whole():
    boxes = tuning.sample_boxes((10, 7), (4, 4), 4, 10 * 7 * 4)
    seen = np.zeros((10, 7), int)
    for box in boxes:
        seen[box] += 1
    assert len(boxes) == 6 and (seen == 1).all()
    assert tuning.sample_boxes((10, 0), None, 4, 100) == []
    assert tuning.sample_boxes((), None, 4, 100) == [()]


def test_samples_are_whole_chunks_spread_over_the_array():
    shape, chunks = (1000, 64, 64), (10, 64, 32)
    boxes = tuning.sample_boxes(shape, chunks, 4, 1 << 20)
    unit = math.prod(chunks) * 4
    assert len(boxes) == (1 << 20) // unit > 8
    for box in boxes:
        assert all(s.start % c == 0 and s.stop - s.start == c for s, c in zip(box, chunks, strict=True))
    places = [box[0].start // 10 * 2 + box[2].start // 32 for box in boxes]
    edges = [200 * i // len(boxes) for i in range(len(boxes) + 1)]
    assert all(a <= p < b for a, p, b in zip(edges, places, edges[1:], strict=False))
    assert boxes == tuning.sample_boxes(shape, chunks, 4, 1 << 20, seed=0)
    assert boxes != tuning.sample_boxes(shape, chunks, 4, 1 << 20, seed=1)


@pytest.mark.parametrize("chunks", [None, (4096, 4096), (5, 30)])
def test_large_chunks_are_cut_and_the_size_is_kept(chunks):
    boxes = tuning.sample_boxes((4096, 4096), chunks, 8, 4 << 20)
    taken = sum(math.prod(s.stop - s.start for s in box) for box in boxes) * 8
    assert 0.8 * (4 << 20) < taken <= 4 << 20 and len(boxes) >= 8


def test_small_samples_of_large_chunks_keep_their_neighbours():
    (box,) = tuning.sample_boxes((64, 128, 128), (64, 128, 128), 4, 1 << 16)
    assert sorted(s.stop - s.start for s in box) == [1, 128, 128]
    two = tuning.sample_boxes((64, 128, 128), (64, 128, 128), 4, 1 << 19)
    assert [math.prod(s.stop - s.start for s in box) for box in two] == [1 << 16] * 2


def test_sample_reads_only_what_it_takes():
    class Array:
        shape, dtype, chunks = (512, 512, 512), np.dtype("f4"), (64, 64, 64)
        read = 0

        def __getitem__(self, box):
            part = np.ones([s.stop - s.start for s in box[:-1]], "f4")
            self.read += part.nbytes
            return part

    array = Array()
    sample = tuning.sample(array, 8 << 20)
    assert array.read == sample.nbytes == 8 << 20
    assert sample.share == 1 / 64


def test_what_counts():
    x = np.array([[1, np.nan, np.inf, -9999], [2, 2, 2, 5]], "f4")
    sample = tuning.sample(x, missing=[-9999])
    assert (sample.low, sample.high, sample.extent, sample.values) == (1, 5, 4, 8)
    assert sample.counting(0).tolist() == [True, False, False, False, True, True, True, True]
    assert sample.bits_per_halving == 2 / 8  # five count, three of them are the commonest
    back = decode(encode(x, 0.5, fill_value=-9999))
    here = np.array([[1, 0, 0, 0], [1, 1, 1, 1]], bool)
    assert np.array_equal(sample.errors(0, back), back[here] - x[here])


def test_complex_numbers_are_two_values_each():
    x = np.array([1 + 10j, 3 - 2j, complex(np.nan, 0)], "c16")
    sample = tuning.sample(x)
    assert (sample.low, sample.high, sample.values) == (-2, 10, 3)
    assert sample.bits_per_halving == 5 / 3
    point = sample.measure(AnsQuant(0.25))
    assert point.max_error <= 0.25 and point.violations == 0


def test_bfloat16_in_uint16():
    values = np.random.default_rng(0).normal(size=1000).astype("f4")
    bits = (values.view("u4") >> 16).astype("u2")
    exact = (bits.astype("u4") << 16).view("f4")
    sample = tuning.sample(bits, dtype="bfloat16")
    assert (sample.low, sample.high) == (exact.min(), exact.max())
    point = sample.measure(AnsQuant(0.1, dtype="bfloat16"))
    assert 0.05 < point.max_error <= 0.1 and point.violations == 0


@pytest.mark.parametrize("dtype, tol", [("i1", 7), ("u1", 200), ("i4", 1e9), ("i8", 7), ("u8", 7), ("u8", 1e18)])
def test_errors_of_integers_at_the_ends_of_their_type(dtype, tol):
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.min + 1, limits.max - 1, limits.max] * 50, dtype)
    sample = tuning.sample(x)
    point = sample.measure(AnsQuant(tol))
    back = decode(encode(x, tol))
    wanted = [float(int(b) - int(a)) for a, b in zip(x, back, strict=True)]
    assert sample.errors(0, back).tolist() == wanted
    assert point.max_error == max(map(abs, wanted)) <= tol and point.violations == 0


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_errors_neither_overflow_nor_vanish(scale):
    x = np.random.default_rng(0).normal(size=4000)
    plain = tuning.sample(x).measure(AnsQuant(1e-3))
    scaled = tuning.sample(x * scale).measure(AnsQuant(1e-3 * scale))
    assert scaled.psnr == pytest.approx(plain.psnr, abs=0.5)


def test_wrong_samples():
    with pytest.raises(ParameterError, match="nothing to measure"):
        tuning.sample(np.zeros((0, 3)))
    with pytest.raises(TypeError, match="not bool"):
        tuning.sample(np.zeros(3, bool))
    with pytest.raises(TypeError, match="mask would be lost"):
        tuning.sample(np.ma.masked_less(np.arange(5.0), 2))
    with pytest.raises(ParameterError, match="nbytes must be positive, not 0"):
        tuning.sample(np.zeros(3), 0)


# --- Curves ---


@pytest.mark.parametrize("codec", [AnsQuant, functools.partial(AnsQuant, level=9), VarintQuant])
def test_points_are_what_encoding_says(field, codec):
    sample = tuning.sample(field)
    (part,) = sample.parts
    assert np.array_equal(part, field)
    for point in tuning.curve(sample, [0.5, 1e-3, 0.0], codec):
        chunk = codec(point.tol).encode(field)
        error = codec(point.tol).decode(chunk).astype("f8") - field
        assert point.stored == len(chunk) and point.nbytes == field.nbytes
        assert point.ratio == field.nbytes / len(chunk)
        assert point.bits_per_value == 8 * len(chunk) / field.size
        assert point.max_error == np.abs(error).max() <= point.tol
        assert point.rmse == pytest.approx(np.sqrt(np.mean(error**2)))
        if point.tol:
            assert point.psnr == pytest.approx(20 * np.log10(np.ptp(field.astype("f8")) / point.rmse))
        else:
            assert point.psnr == math.inf
        assert point.violations == 0 and point.encode_speed > 0 and point.decode_speed > 0


def test_several_parts_are_added_up(field):
    parts = [field[:3], field[3:4], field[4:]]
    point = tuning.Sample(parts).measure(AnsQuant(0.01))
    assert point.stored == sum(len(encode(p, 0.01)) for p in parts)
    errors = np.concatenate([(decode(encode(p, 0.01)).astype("f8") - p).ravel() for p in parts])
    assert point.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_ladders():
    sample = tuning.sample(np.linspace(0, 40, 1000, dtype="f4"))
    assert tuning.ladder(sample) == [1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5]
    assert tuning.ladder(sample, (1, 2, 5))[:6] == [2.0, 1.0, 0.5, 0.2, 0.1, 0.05]  # not 5: above a tenth
    assert min(tuning.ladder(sample, (1, 2, 5))) >= sample.precision == 40 * 2.0**-24
    assert tuning.ladder(tuning.sample(np.arange(100))) == [1.0]
    assert tuning.ladder(tuning.sample(np.arange(5000))) == [100.0, 10.0, 1.0]
    assert len(tuning.ladder(tuning.sample(np.linspace(0, 1e-200, 100)))) == 9
    for flat in (np.ones(5), np.full(5, np.nan)):
        assert tuning.ladder(tuning.sample(flat)) == []


def curve_of(bits, tols=None):
    """Points of a synthetic curve; by halvings from 1 on."""
    tols = [2.0**-i for i in range(len(bits))] if tols is None else tols
    return [tuning.Point(t, 1000, 4000, int(125 * b), 1.0, t, t / 2, 0, 1.0, 1.0)
            for t, b in zip(tols, bits, strict=True)]  # fmt: skip


def test_knee_of_synthetic_curves():
    #        .2   .4   .6   .8    1    1    1     then the floats have no more
    bits = [0.8, 1.04, 1.44, 2.08, 2.88, 3.88, 4.88, 5.88]
    assert tuning.knee(curve_of(bits)) == 4
    assert tuning.knee(curve_of([*bits, 5.88, 5.88])) == 4
    steep = curve_of([*bits, 8.88])  # floats without a lattice: a jump that is no noise
    assert tuning.knee(steep) == 4 and tuning.knee(steep, most=10) == 7
    assert tuning.knee([*steep[::-1], *curve_of([9.0], [0.0])]) == 4  # of nine, from the other end
    assert tuning.knee(curve_of([b / 2 for b in bits]), 0.5) == 4  # half of the values are missing
    assert tuning.knee(curve_of([1, 2, 3, 4, 5])) == 0  # noise from the beginning
    assert tuning.knee(curve_of([1, 2, 3])) is None  # too few
    assert tuning.knee(curve_of([1, 1, 1, 1.001, 1.001])) is None  # precision is free
    assert tuning.knee(curve_of([0.8, 1.04, 1.44, 1.44], [1, 1, 1, 1])) is None


@pytest.mark.parametrize("sigma", [1.0, 0.01])
def test_knee_is_where_noise_begins(sigma):
    sample = tuning.sample(noisy(sigma))
    points = tuning.curve(sample, tuning.ladder(sample, (1, 2, 5)))
    assert sigma / 4 < points[tuning.knee(points, sample.bits_per_halving)].tol < 4 * sigma


def test_knee_does_not_mind_missing_values():
    x = noisy(0.1)
    gaps = x.copy()
    gaps[:, 100:] = np.nan
    tols = []
    for values in (x, gaps):
        sample = tuning.sample(values)
        points = tuning.curve(sample, tuning.ladder(sample, (1, 2, 5)))
        tols.append(points[tuning.knee(points, sample.bits_per_halving)].tol)
    assert 0.4 < tols[0] / tols[1] < 2.6


# --- Targets ---


@pytest.mark.parametrize("ratio", [3, 5.5, 20])
def test_ratios_are_reached_and_no_more(field, ratio):
    sample = tuning.sample(field)
    point = tuning.for_ratio(sample, ratio)
    assert point.ratio == field.nbytes / len(encode(field, point.tol)) >= ratio
    assert float(f"{point.tol:.3g}") == point.tol
    finer = float(f"{point.tol * 0.99:.3g}")
    assert field.nbytes / len(encode(field, finer)) < ratio


@pytest.mark.parametrize("decibels", [30, 62.5, 110])
def test_psnrs_are_kept_and_no_more(field, decibels):
    def measured(tol):
        error = decode(encode(field, tol)).astype("f8") - field
        return 20 * np.log10(np.ptp(field.astype("f8")) / np.sqrt(np.mean(error**2)))

    point = tuning.for_psnr(tuning.sample(field), decibels)
    assert measured(point.tol) == pytest.approx(point.psnr) and point.psnr >= decibels
    assert measured(float(f"{point.tol * 1.02:.3g}")) < decibels
    assert point.tol >= tolerance.from_psnr(field, decibels, worst_case=True) * 0.99


def test_targets_that_lossless_meets():
    x = np.round(np.random.default_rng(0).normal(0, 3, 5000)).astype("f4")
    assert tuning.for_ratio(tuning.sample(x), 4).tol == 0
    y = np.random.default_rng(0).normal(size=1000).astype("f4")
    point = tuning.for_psnr(tuning.sample(y), 300)
    assert point.tol == 0 and point.psnr == math.inf
    assert tuning.for_psnr(tuning.sample(np.ones(100)), 60).tol == 0
    assert tuning.for_psnr(tuning.sample(np.arange(1000)), 90).tol == 0  # less than 1


def test_targets_of_integers():
    x = np.random.default_rng(0).integers(-20000, 20000, 5000).astype("i4")
    sample = tuning.sample(x)
    for point in (tuning.for_ratio(sample, 6), tuning.for_psnr(sample, 40)):
        assert point.tol == int(point.tol) > 10 and 0 < point.max_error <= point.tol
    assert tuning.for_ratio(sample, 6).ratio >= 6 and tuning.for_psnr(sample, 40).psnr >= 40


@pytest.mark.parametrize("scale", [1e-290, 1e-30, 1e30, 1e290, 1e307])
def test_targets_at_any_scale(scale):
    x = np.random.default_rng(0).normal(size=2000) * scale
    sample = tuning.sample(x)
    assert tuning.for_ratio(sample, 8).ratio >= 8
    assert 50 <= tuning.for_psnr(sample, 50).psnr < 51


def test_targets_out_of_reach():
    sample = tuning.sample(np.random.default_rng(0).normal(size=1000).astype("f4"))
    with pytest.raises(ParameterError, match=r"a ratio of 1e\+06 is out of reach: a tolerance of .*, as large as the"):
        tuning.for_ratio(sample, 1e6)
    with pytest.raises(ParameterError, match="storing it without loss gives"):
        tuning.for_ratio(tuning.sample(np.zeros(10)), 1e6)
    for wrong in (0, -1, math.inf, math.nan):
        with pytest.raises(ParameterError, match="ratio must be positive and finite"):
            tuning.for_ratio(sample, wrong)
    with pytest.raises(TypeError, match="ratio must be a number, not 'x'"):
        tuning.for_ratio(sample, "x")
    with pytest.raises(ParameterError, match="decibels must be finite"):
        tuning.for_psnr(sample, -1)


# --- The command ---


def table_of(out):
    """The lines of the first table, as lists of words; tolerances repeated."""
    lines = out.split("\n\n")[1].splitlines()
    assert lines[0].split() == [
        "tol", "tol/range", "codec", "bits/value", "ratio", "max", "error", "RMSE", "PSNR", "enc", "MB/s", "dec", "MB/s"
    ]  # fmt: skip
    rows, tol = [], None
    for line in lines[1:]:
        words = line.removeprefix("knee").split()
        if words[0] not in ("ansquant", "varint"):
            tol = float(words[0])
            words = words[2 if tol else 1 :]
        rows.append((tol, words))
    return rows


def test_table(field, tmp_path, capsys):
    np.save(tmp_path / "f.npy", field)
    status, out, err = run(capsys, tmp_path / "f.npy")
    assert (status, err) == (0, "")
    assert out.startswith("f.npy: float32 8x64x64, 0.125 MiB\nvalues from ")
    rows = table_of(out)
    tols = sorted({tol for tol, _ in rows}, reverse=True)
    assert tols[-1] == 0 and set(tuning.ladder(tuning.sample(field))) < set(tols)
    assert len(rows) == 4 * len(tols)
    for tol, words in rows:
        codec = VarintQuant(tol) if words[0] == "varint" else AnsQuant(tol, level=int(words.pop(1)))
        chunk = codec.encode(field)
        assert float(words[1]) == pytest.approx(8 * len(chunk) / field.size, abs=6e-4)
        assert float(words[2]) == pytest.approx(field.nbytes / len(chunk), abs=6e-3)
        assert float(words[3]) == pytest.approx(np.abs(codec.decode(chunk).astype("f8") - field).max(), rel=6e-3)
    knee = float(re.search(r"^knee +(\S+)", out, re.M).group(1))
    fine = tuning.curve(tuning.sample(field), tuning.ladder(tuning.sample(field), (1, 2, 5)))
    assert knee == fine[tuning.knee(fine)].tol
    assert f"--tol {knee:g}\n" in out


def test_chosen_tolerances_and_codecs(field, tmp_path, capsys):
    np.save(tmp_path / "f.npy", field)
    status, out, _ = run(capsys, tmp_path / "f.npy", "--tols", "2**-3,0.5", "--levels", "1,2", "--no-varint")
    assert status == 0 and "no knee: there are fewer than four tolerances" in out
    assert [(tol, words[:2]) for tol, words in table_of(out)] == [
        (tol, ["ansquant", level]) for tol in (0.5, 0.125, 0) for level in "12"
    ]


def test_suggested_commands_work(field, tmp_path, capsys, monkeypatch):
    pytest.importorskip("zarr", minversion="3")
    zarr = pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    np.savez("many.npz", a=field, b=field[0] * 2)
    status, out, _ = run(capsys, "many.npz", "--target-ratio", 9, "--target-psnr", 45, "--levels", 2,
                         "--predictor", "lorenzo", "--no-varint")  # fmt: skip
    assert status == 0 and out.count("both targets are met") == 2
    commands = [shlex.split(line) for line in out.splitlines() if line.startswith("    arraycodec compress")]
    assert len(commands) == 6 and {c[c.index("--name") + 1] for c in commands} == {"a", "b"}
    answer = r"^(ratio 9|PSNR 45 dB): tol (\S+) gives ratio (\S+), \S+ bits per value, PSNR (\S+) dB"
    said = re.findall(answer, out, re.M)
    for i, (target, tol, ratio, psnr) in enumerate(said):
        command = [c for c in commands if c[c.index("--tol") + 1] == tol][0]
        name, values = ("a", field) if i < 2 else ("b", field[0] * 2)
        assert command[command.index("--name") + 1] == name
        assert main([*command[1:], "--force", "-q"]) == 0
        back = zarr.open("OUT.zarr", mode="r")[name][...]
        assert verify(values, back, float(tol))
        error = back.astype("f8") - values
        found = 20 * np.log10(np.ptp(values.astype("f8")) / np.sqrt(np.mean(error**2)))
        assert found == pytest.approx(float(psnr), abs=0.01) and float(ratio) >= 9
        assert found >= 45 or target == "ratio 9"


def test_targets_that_exclude_each_other(field, tmp_path, capsys):
    np.save(tmp_path / "f.npy", field)
    status, out, _ = run(capsys, tmp_path / "f.npy", "--target-ratio", 50, "--target-psnr", 90, "--tols", "1")
    assert status == 1 and re.search(r"no tolerance meets both targets: the ratio needs \S+ or more, the PSNR ", out)


def test_a_target_out_of_reach_comes_last(field, tmp_path, capsys):
    np.savez(tmp_path / "f.npz", a=np.random.default_rng(0).normal(size=10), b=field)
    status, out, err = run(
        capsys, tmp_path / "f.npz", "--target-ratio", 20, "--tols", "1", "--csv", tmp_path / "t.csv", "--no-varint"
    )
    assert status == 2 and err.startswith("arraycodec: error: a: a ratio of 20 is out of reach")
    assert "ratio 20: tol" in out  # of b
    assert {line["array"] for line in read(tmp_path / "t.csv")} == {"a", "b"}


def read(path):
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


def test_csv(field, tmp_path, capsys):
    np.save(tmp_path / "f.npy", field)
    status, out, _ = run(capsys, tmp_path / "f.npy", "--csv", tmp_path / "t.csv", "-q", "--levels", 5)
    assert (status, out) == (0, "")
    rows = read(tmp_path / "t.csv")
    assert {row["codec"] for row in rows} == {"ansquant", "varint"} and {row["level"] for row in rows} == {"5", ""}
    for row in rows:
        codec = VarintQuant(float(row["tol"])) if row["codec"] == "varint" else AnsQuant(float(row["tol"]), level=5)
        chunk = codec.encode(field)
        assert float(row["ratio"]) == pytest.approx(field.nbytes / len(chunk))
        assert float(row["max_error"]) == pytest.approx(np.abs(codec.decode(chunk).astype("f8") - field).max())
        assert float(row["psnr"]) == math.inf if row["tol"] == "0.0" else float(row["psnr"]) > 10
    assert {row["violations"] for row in rows} == {"0"}
    assert len({row["tol"] for row in rows if row["knee"] == "True"}) == 1


def test_sampled_files_say_so(tmp_path, capsys):
    np.save(tmp_path / "f.npy", noisy(1.0, (1024, 1024)))
    arguments = (tmp_path / "f.npy", "--sample", "2MiB", "--tols", "1", "--levels", "1", "--no-varint")
    status, out, _ = run(capsys, *arguments)
    assert status == 0 and "2 MiB of 4 MiB measured, 8 chunks spread over it" in out
    stripped = [words[:7] for _, words in table_of(out)]  # without speeds
    assert stripped == [words[:7] for _, words in table_of(run(capsys, *arguments)[1])]
    assert stripped != [words[:7] for _, words in table_of(run(capsys, *arguments, "--seed", "1")[1])]
    assert "measured" not in run(capsys, *arguments[:1], "--sample", "all", *arguments[3:])[1]


def test_fill_values_are_those_of_compress(tmp_path, capsys):
    h5py = pytest.importorskip("h5py")
    x = noisy(0.1, (64, 64))
    x[:20] = -9999
    with h5py.File(tmp_path / "t.h5", "w") as f:
        f.create_dataset("t", data=x, chunks=(32, 64)).attrs["_FillValue"] = np.float32(-9999)
        f.create_dataset("lat", data=np.linspace(0, 1, 64)).make_scale("lat")  # kept without loss
    status, out, _ = run(capsys, tmp_path / "t.h5", "--tols", "0.1", "--levels", "5", "--no-varint")
    assert status == 0 and "t: float32 64x64" in out and "lat:" not in out
    assert f"range {np.ptp(x[20:]):g}; 31.2 % missing or not finite" in out
    parts = [x[:32], x[32:]]
    ours = sum(len(encode(part, 0.1, level=5, fill_value=-9999)) for part in parts)
    _, words = table_of(out)[0]
    assert float(words[2]) == pytest.approx(8 * ours / x.size, abs=6e-4)
    status, _, err = run(capsys, tmp_path / "t.h5", "--name", "lat")
    assert status == 2 and "'lat': a coordinate, flags or labels: kept without loss" in err


def test_integers_and_bfloat16_are_asked_for(tmp_path, capsys):
    np.save(tmp_path / "i.npy", np.arange(1000, dtype="u2"))
    status, _, err = run(capsys, tmp_path / "i.npy")
    assert status == 2 and "uint16 is kept without loss, unless --lossy-integers is given" in err
    status, out, _ = run(capsys, tmp_path / "i.npy", "--lossy-integers", "--target-psnr", 40, "--tols", "3")
    assert status == 0 and re.search(r"compress \S+ OUT.zarr --tol \d+ --lossy-integers\n", out)
    status, out, _ = run(capsys, tmp_path / "i.npy", "--dtype", "bfloat16", "--tols", "3", "--levels", "5")
    assert status == 0 and out.startswith("i.npy: bfloat16 1000")


def test_metadata_that_warn_once(field, tmp_path, capsys):
    zarr = pytest.importorskip("zarr", minversion="3")
    a = zarr.create_array(tmp_path / "z.zarr", shape=field.shape, dtype="f4", chunks=(4, 64, 64),
                          serializer=AnsQuant(0.01), compressors=None)  # fmt: skip
    a[...] = field
    status, out, err = run(capsys, tmp_path / "z.zarr", "--levels", "1,5")
    assert status == 0 and err.count("was already coded with tol=0.01; the errors add up") == 1
    assert json.loads((tmp_path / "z.zarr" / "zarr.json").read_text())["shape"] == [8, 64, 64]  # untouched


@pytest.mark.parametrize("arguments, message", [
    (["none.npy"], "no such file or folder: none.npy"),
    (["f.npy", "--sample", "3 apples"], "not a size: '3 apples'"),
    (["f.npy", "--sample", "0"], "not a size: '0'"),
    (["f.npy", "--tols", "1,x"], "not a tolerance: 'x'"),
    (["f.npy", "--levels", "0"], "a level is 1 (fast) to 9 (smallest), not '0'"),
    (["f.npy", "--target-ratio", "0"], "a target must be above 0, not '0'"),
    (["f.npy", "--csv", "no/t.csv"], "--csv no/t.csv: no such folder: no"),
    (["f.npz", "--name", "c"], "has no array named 'c'"),
    (["e.npy"], "it has no values"),
])  # fmt: skip
def test_errors(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.ones(3))
    np.save("e.npy", np.ones(0))
    np.savez("f.npz", a=np.ones(3), b=np.ones(3))
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "") and message in err
