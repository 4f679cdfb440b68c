"""The process of the end-to-end rows: one write and one read of a whole array through a host."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ... import hdf5
from ...ansquant import AnsQuant
from ...codec import verify
from .hosts import HDF5_DIRECT, LZ4, NONE, OURS, ZSTD
from .protocol import pin, serve

_BLOSC = {LZ4: "lz4", ZSTD: "zstd"}
_LEVEL = 5


class HostWorker:
    """The state between requests."""

    def setup(self, path: str, tol: float, chunks: list[int], folder: str, single: bool, cpus: list[int]) -> None:
        """Take the array; `single` sets what hosts know of threads to one, before they start any."""
        if cpus:
            pin(cpus)
        warnings.simplefilter("ignore")  # numcodecs' codecs have no Zarr v3 specification
        self._x, self._tol, self._chunks = np.load(path), tol, tuple(chunks)
        self._folder = folder
        import numcodecs
        import zarr

        self._numcodecs, self._zarr = numcodecs, zarr
        if single:
            zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
            numcodecs.blosc.set_nthreads(1)

    def round(
        self, host: str, store: str, codec: str, threads: str, level: int | None, predictor: str, check: bool
    ) -> dict[str, Any]:
        """Write and read once; the seconds of each, the bytes stored, and violations if `check`."""
        self._codec = AnsQuant(tol=self._tol, level=level, predictor=predictor or None)
        scratch = tempfile.mkdtemp(dir=self._folder)
        try:
            if host.startswith("zarr"):
                write, read, size, back = self._zarr_round(int(host[-1]), store, codec, Path(scratch, "z"))
            else:
                own = int(threads) if host == HDF5_DIRECT else 0
                write, read, size, back = self._hdf5_round(store, codec, Path(scratch, "f.h5"), own)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        tol = self._tol if codec == OURS else 0.0
        violations = verify(self._x, back, tol).violations if check else None
        return {"write": write, "read": read, "bytes": size, "violations": violations}

    def _zarr_round(self, version: int, store: str, codec: str, path: Path) -> tuple[float, float, int, np.ndarray]:
        where: Any = self._zarr.storage.MemoryStore() if store == "memory" else self._zarr.storage.LocalStore(path)
        x = self._x
        z = self._zarr.create_array(
            where, shape=x.shape, chunks=self._chunks, dtype=x.dtype, zarr_format=version, filters=None,
            config={"write_empty_chunks": True}, **self._zarr_codec(version, codec),
        )  # fmt: skip
        start = time.perf_counter()
        z[...] = x
        write = time.perf_counter() - start
        if store == "memory":
            size = sum(len(value) for value in where._store_dict.values())
        else:
            size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        z = self._zarr.open_array(where, mode="r", zarr_format=version)
        start = time.perf_counter()
        back = z[...]
        return write, time.perf_counter() - start, size, back

    def _zarr_codec(self, version: int, codec: str) -> dict[str, Any]:
        if codec == NONE:
            return {"compressors": None}
        if codec == OURS:
            return {"compressors": self._codec} if version == 2 else {"serializer": self._codec, "compressors": None}
        if version == 2:
            return {"compressors": self._numcodecs.Blosc(cname=_BLOSC[codec], clevel=_LEVEL, shuffle=1)}
        return {"compressors": self._zarr.codecs.BloscCodec(cname=_BLOSC[codec], clevel=_LEVEL, shuffle="shuffle")}

    def _hdf5_round(self, store: str, codec: str, path: Path, threads: int) -> tuple[float, float, int, np.ndarray]:
        import h5py

        options: dict[str, Any] = {"driver": "core", "backing_store": False} if store == "memory" else {}
        x = self._x
        with h5py.File(path, "w", **options) as f:
            d = f.create_dataset("x", shape=x.shape, dtype=x.dtype, chunks=self._chunks, **self._hdf5_filter(codec))
            start = time.perf_counter()
            if threads:
                hdf5.write(d, x, threads=threads)
            else:
                d[...] = x
            f.flush()
            write = time.perf_counter() - start
            size = d.id.get_storage_size()
            image = f.id.get_file_image() if store == "memory" else None
        # reopened, since HDF5's chunk cache holds what was written as it was before encoding
        with h5py.File(path if image is None else h5py.h5f.open_file_image(image), "r") as f:
            d = f["x"]
            start = time.perf_counter()
            back = hdf5.read(d, threads=threads) if threads else d[...]
            return write, time.perf_counter() - start, size, back

    def _hdf5_filter(self, codec: str) -> dict[str, Any]:
        if codec == NONE:
            return {}
        if codec == OURS:
            return {"compression": self._codec}
        import hdf5plugin

        # HDF5 may have found another package's Blosc before, which works with that one's HDF5 only
        hdf5plugin.register("blosc", force=True)
        return {"compression": hdf5plugin.Blosc(cname=_BLOSC[codec], clevel=_LEVEL, shuffle=hdf5plugin.Blosc.SHUFFLE)}


if __name__ == "__main__":
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    worker = HostWorker()
    serve({"setup": worker.setup, "round": worker.round})
