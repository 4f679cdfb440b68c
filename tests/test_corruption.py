"""Two thousand seeded corruptions on every front: no crash, no hang, no silent change, clean exceptions, little memory.

Raw ones must be refused.  Behind checksums that were made right again nothing can know of them: then an array of the
shape and type that the header says may come back, or a DecodeError.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import vectors
from handmade import crc32c, reseal

import arraycodec
from arraycodec import AnsQuant, DecodeError, LowRankQuant, StochasticQuant, decode, inspect, peek
from arraycodec.cli.adversarial import KINDS, mutation

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

N = 2000
NAMES = sorted(vectors.listed())
MOST = 1 << 22  # bytes of an array; no vector has more
rng = np.random.default_rng(0)
LATTICE = rng.normal(size=(40, 50)).astype("f4")
SMOOTH = np.add.outer(np.sin(np.arange(40) / 5), np.cos(np.arange(50) / 7)).astype("f4")
SPECIAL = np.where(rng.random((40, 50)) < 0.1, np.nan, LATTICE * 10.0 ** rng.integers(-30, 30, (40, 50))).astype("f4")
FRONTS = [
    (LATTICE, AnsQuant(tol=2**-9)), (SMOOTH, AnsQuant(tol=1e-3)), (SMOOTH, AnsQuant(tol=0)),
    (SPECIAL, AnsQuant(tol=1e-3, rtol=1e-2)), (LATTICE, StochasticQuant(3, seed=1)),
    (LATTICE, StochasticQuant(2, packing="fixed", bucket=None, seed=1)), (SMOOTH, LowRankQuant(tol=1e-3)),
]  # fmt: skip


def mend(chunk, header_size):
    """A chunk (which had a header of that size) with right checksums, and sizes that fit, as far as its index goes."""
    try:
        n = peek(chunk[: header_size - 4] + crc32c(chunk[: header_size - 4]).to_bytes(4, "little")).n_blocks
    except DecodeError:
        n = 0
    sizes = np.frombuffer(chunk, "<u4", 2 * n, header_size - 4 - 8 * n)[::2].tolist()
    blocks, at = [], header_size
    for size in sizes:
        blocks.append(chunk[at : at + size])
        at += size
    if blocks:
        blocks[-1] += chunk[at:]
        return reseal(chunk[:header_size], *blocks)
    return chunk[: header_size - 4] + crc32c(chunk[: header_size - 4]).to_bytes(4, "little") + chunk[header_size:]


def mended(chunk, i):
    """Damage number i behind right checksums: to the blocks, or, one of four, to the header."""
    at = peek(chunk).header_size
    if i % 4:
        return mend(chunk[:at] + mutation(chunk[at:], i), at)
    head = mutation(chunk[4 : at - 4], i)
    return mend(chunk[:4] + head + bytes(4) + chunk[at:], len(head) + 8)


def test_raw():
    for i in range(N):
        chunk = vectors.read(NAMES[i % len(NAMES)])
        bad = mutation(chunk, i)
        for call in (decode, inspect, AnsQuant().decode):
            with pytest.raises(DecodeError):
                call(bad)


# Under a limit of memory, which is why it is another process: what it had before, the largest array, and 64 MiB.
MENDED = r"""
import resource, sys
from collections import Counter
from test_corruption import MOST, N, NAMES, DecodeError, decode, inspect, mended, peek, vectors

chunks = [vectors.read(name) for name in NAMES]
for chunk in chunks:
    decode(chunk, max_output=MOST)
if sys.argv[1] == "limit":
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST + (64 << 20),) * 2)
found = Counter()
for i in range(N):
    bad = mended(chunks[i % len(chunks)], i)
    try:
        x = decode(bad, max_output=MOST)
    except DecodeError as e:
        found[type(e).__name__] += 1
        continue
    finally:
        try:
            inspect(bad)
        except DecodeError:
            pass
    header = peek(bad)
    assert x.shape == header.shape and x.dtype == header.dtype
    found["array"] += 1
print(*(f"{name} {n}" for name, n in sorted(found.items())))
"""


def test_behind_right_checksums_in_little_memory():
    sanitized = "libasan" in os.environ.get("LD_PRELOAD", "")  # which reserves all addresses there are
    limit = "limit" if os.path.exists("/proc/self/statm") and not sanitized else "none"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MENDED, limit], capture_output=True, text=True, timeout=600,
        cwd=os.path.dirname(os.path.abspath(__file__)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    words = done.stdout.split()
    found = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert sum(found.values()) == N
    assert found["FormatError"] > N // 4 and found["array"] > N // 20, found  # it gets behind the checksums
    assert set(found) <= {"FormatError", "TruncatedError", "VersionError", "SizeError", "ChecksumError", "array"}


def test_through_h5py(tmp_path):
    path = tmp_path / "x.h5"
    expected, chunks = [], []
    with h5py.File(path, "w") as f:
        for k, (x, quant) in enumerate(FRONTS):
            d = f.create_dataset(str(k), data=np.concatenate([x, x]), chunks=x.shape, compression=quant)
            d.flush()
            chunks.append(quant.encode(x))
            if not isinstance(quant, LowRankQuant):  # of which HDF5 itself writes none
                assert chunks[-1] == d.id.read_direct_chunk((0, 0))[1]
            expected.append(decode(d.id.read_direct_chunk((40, 0))[1]))
    refused = 0
    with h5py.File(path, "a", rdcc_nbytes=0) as f:
        for i in range(2 * N):
            k = i // len(KINDS) % len(FRONTS)
            bad = mutation(chunks[k], i) if i < N else mended(chunks[k], i)
            f[str(k)].id.write_direct_chunk((0, 0), bad)
            try:
                x = f[str(k)][:40]
            except OSError as e:
                assert "arraycodec: " in str(e)
                refused += 1
            else:
                assert i >= N and x.shape == (40, 50)
            if i % 50 == 0:
                assert np.array_equal(f[str(k)][40:], expected[k], equal_nan=True)
    assert refused > N + N // 4


@pytest.mark.parametrize("version", [2, 3])
def test_through_zarr(version):
    store = zarr.storage.MemoryStore()
    for k, (x, quant) in enumerate(FRONTS):
        options = {"compressors": quant} if version == 2 else {"serializer": quant, "compressors": None}
        options |= {"shape": x.shape, "chunks": x.shape, "dtype": "f4", "zarr_format": version}
        zarr.create_array(store, name=str(k), **options)[...] = x
    arrays = [zarr.open_array(store, path=str(k), mode="r", zarr_format=version) for k in range(len(FRONTS))]
    keys = [f"{k}/0.0" if version == 2 else f"{k}/c/0/0" for k in range(len(FRONTS))]
    chunks = [store._store_dict[key].to_bytes() for key in keys]
    refused = 0
    for i in range(2 * N):
        k = i // len(KINDS) % len(FRONTS)
        bad = mutation(chunks[k], i) if i < N else mended(chunks[k], i)
        store._store_dict[keys[k]] = zarr.core.buffer.cpu.Buffer.from_bytes(bad)
        try:
            x = arrays[k][...]
        except DecodeError:
            refused += 1
        except ValueError:  # zarr 2 finds that a chunk of other values does not fit
            assert version == 2 and i >= N
        else:
            assert i >= N and x.shape == (40, 50)
    assert refused > N + N // 4


def test_mending_is_what_makes_chunks_valid():
    """Without damage it changes nothing; damage to a table that is mended is not found by a checksum."""
    for name in NAMES:
        chunk = vectors.read(name)
        assert mend(chunk, peek(chunk).header_size) == chunk
    # parts have checksums of their own
    whole = [chunk for chunk in map(vectors.read, NAMES) if peek(chunk).codec == "quantized"]
    found = {type(error_of(mended(chunk, i))) for chunk in whole for i in (1, 2, 3)}
    assert arraycodec.FormatError in found and arraycodec.ChecksumError not in found


def error_of(chunk):
    try:
        decode(chunk, max_output=MOST)
    except DecodeError as e:
        return e
