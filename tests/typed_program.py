"""A program as users write them, with every public name; test_comfort.py runs it, and has mypy --strict check it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import numpy.typing as npt

import arraycodec
from arraycodec import AnsQuant, LowRankQuant, StochasticQuant, VarintQuant, coders, errors, hdf5, tolerance, tuning
from arraycodec.hosted import HostedCodec

Array = npt.NDArray[Any]


def chunks(x: npt.NDArray[np.float32]) -> None:
    assert_type(arraycodec.isa(), str)
    chunk = arraycodec.encode(x, 0.01, level=9, predictor="auto")
    assert_type(chunk, bytes)
    assert_type(arraycodec.decode(chunk), Array)
    assert_type(arraycodec.decode(memoryview(chunk), selection=np.s_[1:3]), Array)
    out = np.empty_like(x)
    assert_type(arraycodec.decode(chunk, out), npt.NDArray[np.float32])
    assert_type(arraycodec.decode(chunk, bytearray(x.nbytes)), bytearray)
    assert_type(arraycodec.decode_range(chunk, 0, 2), Array)
    header = arraycodec.peek(chunk)
    assert_type(header.shape, tuple[int, ...])
    assert_type(header.tol, float)
    info = arraycodec.inspect(chunk)
    assert_type(info.bits_per_value, float)
    assert_type([block.mode for block in info.blocks], list[str])
    check = arraycodec.verify(x, out, tol=0.01)
    assert_type(check.max_error, float)
    assert check


def codecs(x: npt.NDArray[np.float32]) -> None:
    q = AnsQuant(tol=0.01, predictor="none", level=1)
    assert_type(q.tol, float | None)
    assert_type(q.encode(x), bytes)
    assert_type(q.decode(q.encode(x)), Array)
    assert_type(q.decode(q.encode(x), np.empty_like(x)), npt.NDArray[np.float32])
    assert_type(q.get_config(), dict[str, Any])
    assert_type(q.filter_options, tuple[int, ...])
    assert_type(q == VarintQuant(0.01), bool)
    assert_type({q: 1}, dict[AnsQuant, int])
    assert_type(AnsQuant.from_config({"tol": 0.01}), AnsQuant)
    assert_type(VarintQuant(0.01, backend="zstd").backend, str | None)
    assert_type(StochasticQuant(bits=4, norm="max").bits, int)
    assert_type(LowRankQuant(rank=2).rank, int | None)
    every: list[HostedCodec] = [q, VarintQuant(0.01), StochasticQuant(), LowRankQuant(rank=2)]
    slots: list[dict[str, Any]] = [*every]  # Zarr v3 takes them as mappings
    assert [slot["name"] for slot in slots] == [codec.zarr3_name for codec in every]


def checkpoints(folder: Path, x: npt.NDArray[np.float32]) -> None:
    arraycodec.save(folder / "a.arrc", {"w": x, "b": x[0]}, {"b": "keep", "*": 0.01}, threads=2)
    with arraycodec.load(folder / "a.arrc") as store:
        assert_type(list(store), list[str])
        assert_type(store["w"].shape, tuple[int, ...])
        assert_type(store["w"].tol, float | None)
        assert_type(store["w"].read(np.s_[1:]), Array)
        assert np.abs(store["w"][[0, 2]] - x[[0, 2]]).max() <= 0.01


def failures(chunk: bytes) -> list[str]:
    kinds: list[type[errors.ArraycodecError]] = [
        arraycodec.ArraycodecError, arraycodec.ChecksumError, arraycodec.DecodeError, arraycodec.FormatError,
        arraycodec.NotFiniteError, arraycodec.ParameterError, arraycodec.SizeError, arraycodec.TruncatedError,
        arraycodec.VersionError,
    ]  # fmt: skip
    try:
        arraycodec.decode(chunk[:-1])
    except arraycodec.DecodeError as error:
        return [str(error), *(kind.__name__ for kind in kinds)]
    return [arraycodec.ChunkSizeWarning.__name__]


def tolerances(x: npt.NDArray[np.float32]) -> list[float]:
    return [
        tolerance.from_range(x, 1e-3), tolerance.from_rmse(x, 1e-3), tolerance.from_psnr(x, 60.0),
        tolerance.from_keepbits(x, 7), tolerance.parse_tolerance("2**-17"),
        tolerance.keeping(0.1, [-9999.0], np.dtype("f4")),
    ]  # fmt: skip


def tuned(x: npt.NDArray[np.float32]) -> list[tuning.Point]:
    sample = tuning.sample(x, 1 << 20)
    point = sample.measure(AnsQuant(tol=0.1))
    assert_type(point, tuning.Point)
    assert_type(point.ratio, float)
    return [point]


def files(dataset: Any, path: Path) -> HostedCodec | None:
    assert_type(hdf5.plugin_path(), str)
    assert_type(hdf5.register(), list[str])
    assert_type(hdf5.info(dataset), dict[str, Any] | None)
    hdf5.write(dataset, np.ones(3), np.s_[:3], threads=2)
    hdf5.read(dataset, threads=2)
    assert_type(hdf5.references(path), dict[str, Any])
    return hdf5.codec_of(dataset)


def entropy(symbols: npt.NDArray[np.int32]) -> None:
    model = coders.QuantizedGaussian(-10, 10, 0.0, 3.0)
    models: list[coders.Model] = [
        model, coders.QuantizedLaplace(-10, 10), coders.QuantizedCauchy(-10, 10), coders.Bernoulli(0.5),
        coders.Uniform(5), coders.Categorical([0.5, 0.5]), coders.Frequencies([1, 1]),
        coders.CustomModel(lambda x: 1.0 if x > 0 else 0.0, lambda p: 0.0, -1, 1),
    ]  # fmt: skip
    stack = coders.AnsCoder()
    stack.encode_reverse(symbols, model)
    assert_type(stack.clone(), coders.AnsCoder)
    assert_type(stack.decode(model), int)
    assert_type(stack.decode(model, 2), npt.NDArray[np.int32])
    queue = coders.RangeEncoder(preset="small")
    queue.encode(symbols, model)
    reader: coders.RangeDecoder = queue.get_decoder()
    assert_type(reader.decode(model, len(symbols)), npt.NDArray[np.int32])
    chain = coders.ChainCoder(np.ones(20, np.uint32))
    assert_type(chain.decode(model), int)
    lanes = coders.LaneAnsCoder(2, precision=1)
    lanes.push([0, 1], models[6])
    assert_type(lanes.pop(models[6]), npt.NDArray[np.int32])
    words = coders.pack_matrices([[0, 1]], [[1, 1]], precision=1)
    assert_type([m for m, _ in coders.unpack_matrices(words, 1, (2,))], list[npt.NDArray[np.int32]])
    if TYPE_CHECKING:  # of scipy.stats
        coders.ScipyModel(models, 0, 1)


def datasets() -> None:
    import xarray as xr

    ds = xr.Dataset({"t": ("x", np.ones(5, "f4"))})
    how = arraycodec.xarray.encoding(ds, 0.01, target="zarr2")
    assert_type(arraycodec.xarray.annotate(ds, how), xr.Dataset)
    assert_type(arraycodec.xarray.restore(ds), xr.Dataset)


if TYPE_CHECKING:  # mistakes that a type checker finds; were they none, strict mypy would call the comments unused
    print(arraycodec.Ansquant)  # type: ignore[attr-defined]
    AnsQuant(tol="0.1")  # type: ignore[arg-type]
    AnsQuant(tol=0.1, predictor="lorentz")  # type: ignore[arg-type]
    AnsQuant(tolerance=0.1)  # type: ignore[call-arg]
    print(AnsQuant(tol=0.1).tolerance)  # type: ignore[attr-defined]
    VarintQuant(tol=0.1, backend="gzip")  # type: ignore[arg-type]
    StochasticQuant(norm="l1")  # type: ignore[arg-type]
    LowRankQuant(rank="8")  # type: ignore[arg-type]
    arraycodec.save("a", {}, "loose")  # type: ignore[arg-type]
    arraycodec.encode([1.0], dtype="f4")  # type: ignore[arg-type]
    arraycodec.encode([1.0], tolerance=0.1)  # type: ignore[arg-type]
    print(arraycodec.peek(b"").dtyp)  # type: ignore[attr-defined]
    coders.AnsCoder(preset="large")  # type: ignore[arg-type]
    coders.Uniform(5).encode([1])  # type: ignore[attr-defined]


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 5)).astype(np.float32)
    chunks(x + 0 * x)
    codecs(x)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints(Path(folder), x)
    assert len(failures(arraycodec.encode(x, 0.01))) == 10
    assert all(tol >= 0 for tol in tolerances(x))
    assert tuned(x)[0].ratio > 1
    entropy(rng.integers(-10, 11, 50, dtype=np.int32))


if __name__ == "__main__":
    main()
