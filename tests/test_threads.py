"""Several threads for one chunk: the same bytes, values and errors; signals, forks, and threads that cannot be had."""

import copy
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading

import numcodecs
import numpy as np
import pytest
from arrays import DTYPES, bits, torture
from handmade import crc32c

from arraycodec import (
    AnsQuant,
    ChecksumError,
    FormatError,
    ParameterError,
    _core,
    decode,
    encode,
    inspect,
)
from arraycodec.cli import memory

TOL = 2**-9
BLOCK = 1 << 18
THREADS = [2, 3, 8, 1000]


def mixed(n, dtype="f4", seed=0):
    """Stretches of every kind, so that blocks differ in size and time."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    kinds = rng.integers(0, 4, -(-n // 500))
    for i, kind in enumerate(kinds):
        part = slice(500 * i, 500 * (i + 1))
        if kind == 0:
            x[part] = 0.5
        elif kind == 1:
            x[part] *= 1e30
        elif kind == 2:
            x[part] = np.nan
    return x.astype(dtype)


def small_blocks(x, threads, block_len=500, tol=TOL):
    native = np.dtype(x.dtype).newbyteorder("=")
    code = _core.DTYPES["float32"] if native.itemsize == 4 else _core.DTYPES["float64"]
    return _core.encode(x.view("u1"), code, x.dtype != native, False, x.shape, tol, threads, block_len)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [0, 1, 499, 500, 501, 1000, 4_321, 50_000, 50_001])
def test_bytes_and_values_are_those_of_one_thread(dtype, n):
    x = mixed(n, dtype)
    chunk = small_blocks(x, 1)
    expected = decode(chunk)
    for threads in THREADS:
        for _ in range(3):
            assert small_blocks(x, threads) == chunk
        assert np.array_equal(bits(decode(chunk, threads=threads)), bits(expected))
        out = np.empty_like(x)
        assert decode(chunk, out, threads=threads) is out
        assert np.array_equal(bits(out), bits(expected))


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 5 * BLOCK + 7])
def test_blocks_of_full_size(n):
    x = np.random.default_rng(0).normal(size=n).astype("f4")
    x[BLOCK : 2 * BLOCK] = np.nan  # a block that is done at once
    q = AnsQuant(tol=TOL)
    chunk = q.encode(x)
    for threads in THREADS:
        several = AnsQuant(tol=TOL, threads=threads)
        assert several.encode(x) == encode(x, TOL, threads) == encode(x, TOL, threads=threads) == chunk
        assert np.array_equal(bits(several.decode(chunk)), bits(q.decode(chunk)))
        out = np.empty_like(x)
        several.decode(chunk, out)
        assert np.array_equal(bits(out), bits(q.decode(chunk)))


@pytest.mark.parametrize("order", "CF")
def test_other_ways_in_and_out(order):
    x = np.asarray(mixed(600_000, ">f8").reshape(600, 1000), order=order)
    chunk = encode(x, TOL)
    assert encode(x, TOL, 3) == chunk
    for out in (np.empty(x.shape, "f4"), bytearray(x.nbytes), np.empty(x.shape, ">f8", order="F")):
        decode(chunk, out, threads=3)
        values = np.frombuffer(out, ">f8").reshape(x.shape, order=order) if isinstance(out, bytearray) else out
        assert np.array_equal(values, decode(chunk).astype(values.dtype), equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES[::2], ids=str)
def test_adversarial_arrays(dtype):
    for name, x in torture(dtype, 3000).items():
        for tol in (0, 1e-3):
            assert small_blocks(x, 4, 128, tol) == small_blocks(x, 1, 128, tol), name


@pytest.mark.parametrize("box_len", [0, 500])
def test_the_first_damaged_block_gives_the_error(box_len):
    x = np.random.default_rng(0).normal(size=50_000).astype("f4")
    chunk = bytearray(encode(x.reshape(50, 1000), TOL, box_len=box_len) if box_len else small_blocks(x, 1))
    header = inspect(bytes(chunk)).header
    blocks = inspect(bytes(chunk)).blocks
    index = header.header_size - 4 - 8 * len(blocks)

    def damage(i, valid_checksum):
        b = blocks[i]
        chunk[b.offset] = 99  # no mode
        if valid_checksum:
            crc = crc32c(chunk[b.offset : b.offset + b.size])
            chunk[index + 8 * i + 4 : index + 8 * i + 8] = crc.to_bytes(4, "little")
            chunk[header.header_size - 4 : header.header_size] = crc32c(chunk[: header.header_size - 4]).to_bytes(
                4, "little"
            )

    damage(90, False)
    for first, valid_checksum, error in (60, True, FormatError), (50, False, ChecksumError):
        damage(first, valid_checksum)
        for threads in (1, *THREADS):
            for _ in range(5):
                with pytest.raises(error):
                    decode(chunk, threads=threads)


@pytest.mark.parametrize("threads", [0, -1, -(10**30)])
def test_numbers_below_one(threads):
    chunk = encode(np.zeros(3), 1)
    for call in (
        lambda: AnsQuant(tol=1, threads=threads),
        lambda: encode(np.zeros(3), 1, threads),
        lambda: decode(chunk, threads=threads),
    ):
        with pytest.raises(ParameterError, match=f"threads must be at least 1, not {threads}"):
            call()


@pytest.mark.parametrize("threads", [True, 1.0, "2", None, [1]], ids=str)
def test_what_is_no_number_of_threads(threads):
    chunk = encode(np.zeros(3), 1)
    for call in (
        lambda: AnsQuant(tol=1, threads=threads),
        lambda: encode(np.zeros(3), 1, threads),
        lambda: decode(chunk, threads=threads),
    ):
        with pytest.raises(TypeError, match="threads must be an integer"):
            call()


def test_numbers_of_all_sizes():
    x = mixed(3000)
    for threads in (np.int64(2), np.uint8(3), 10**30):
        assert encode(x, TOL, threads) == encode(x, TOL)
        assert AnsQuant(tol=TOL, threads=threads).threads == threads


def test_threads_are_not_stored():
    q, several = AnsQuant(tol=0.1), AnsQuant(tol=0.1, threads=3)
    assert several == q and hash(several) == hash(q)
    assert several.get_config() == q.get_config() and several.filter_options == q.filter_options
    assert json.dumps(several) == json.dumps(q)
    assert numcodecs.get_codec(several.get_config()).threads == 1
    assert repr(several) == "AnsQuant(tol=0.1, threads=3)" and repr(AnsQuant(threads=2)) == "AnsQuant(threads=2)"
    assert repr(q) == "AnsQuant(tol=0.1)"
    for same in (eval(repr(several)), pickle.loads(pickle.dumps(several)), copy.copy(several), copy.deepcopy(several)):
        assert same == several and same.threads == 3
    with pytest.raises(AttributeError):
        several.threads = 2


def test_threads_inside_threads():
    arrays = [mixed(20_000, "f4", seed) for seed in range(8)]
    expected = [small_blocks(x, 1) for x in arrays]
    wrong = []

    def work(x, chunk):
        values = bits(decode(chunk))
        for _ in range(20):
            if small_blocks(x, 2) != chunk or not np.array_equal(bits(decode(chunk, threads=2)), values):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(arrays, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
fork_warns = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(x):
    return small_blocks(x, 3)


@needs_fork
@fork_warns
def test_multiprocessing_by_fork_after_use():
    x = mixed(30_000)
    chunk = small_blocks(x, 3)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(in_child, [x] * 6) == [chunk] * 6
    assert small_blocks(x, 3) == chunk


@needs_fork
@fork_warns
def test_fork_while_other_threads_encode():
    x = mixed(30_000)
    chunk = small_blocks(x, 1)
    values = bits(decode(chunk))
    stop = threading.Event()

    def work():
        while not stop.is_set():
            decode(small_blocks(x, 3), threads=3)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:  # no pytest here: only an exit code
                same = small_blocks(x, 3) == chunk and np.array_equal(bits(decode(chunk, threads=3)), values)
                os._exit(0 if same else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


LIMITED = """
import _thread, resource
import numpy as np
from arraycodec import _core, decode
x = np.random.default_rng(0).normal(size=5000).astype("f4")
encode = lambda threads: _core.encode(x.view("u1"), 1, False, False, x.shape, 1e-3, threads, 500)
chunk = encode(1)
values = decode(chunk)
# no room for the stack of another thread
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20),) * 2)
try:
    _thread.start_new_thread(print, ())
except RuntimeError:
    print("no thread")
assert encode(4) == chunk
assert np.array_equal(decode(chunk, threads=4), values)
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are the system's")
def test_the_caller_does_it_where_no_thread_can_be_had():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    assert done.stdout.split() == ["no", "thread", "done"], done.stderr


def test_signals_go_to_the_main_thread():
    """A handler of Python runs, and only where Python's own rules say."""
    seen = []
    x = np.random.default_rng(0).normal(size=8 * BLOCK).astype("f4")
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(threading.current_thread()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        chunks = {encode(x, TOL, 4) for _ in range(5)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert chunks == {encode(x, TOL)}
    assert seen and set(seen) == {threading.main_thread()}


@pytest.mark.skipif(not memory.available(), reason="no high-water mark of memory to reset")
@pytest.mark.parametrize("threads", [2, 4])
def test_peak_memory(threads):
    size = 64 << 20
    for shape in (-1,), (16, -1):
        peak = memory.peak(size, "f4", TOL, threads, shape=shape)
        assert max(peak.encode, peak.decode) <= size / 4 + (4 << 20)
