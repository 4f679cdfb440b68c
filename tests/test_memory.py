"""Memory: what a call needs beyond its input and result, and what threads and unloaded libraries keep."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from arraycodec import AnsQuant, decode, encode, hdf5
from arraycodec.cli import memory

needs_marks = pytest.mark.skipif(not memory.available(), reason="no high-water mark of memory to reset")
MIB = 1 << 20


@needs_marks
@pytest.mark.parametrize("size", [256 << 10, 64 * MIB], ids=["256 KiB", "64 MiB"])
@pytest.mark.parametrize("dtype, tol, rtol", [
    ("f4", 2**-9, 0), ("f8", 2**-9, 0), ("f4", 1e-7, 0), (">f8", 2**-9, 0), ("f4", 0, 0), ("f4", 0, 1e-3), ("f8", 0, 0),
    ("f2", 2**-9, 0), ("i2", 0, 0), ("i8", 2, 0), ("u1", 0, 0),
])  # fmt: skip
def test_peak_beyond_input_and_result(size, dtype, tol, rtol):
    peak = memory.peak(size, dtype, tol, rtol=rtol)
    scratch = 5 if dtype == "u1" else 4  # for the 2**18 values of a block, whatever they weigh
    assert peak.encode <= size / 4 + scratch * MIB
    assert peak.decode <= size / 4 + 4 * MIB


@needs_marks
@pytest.mark.parametrize("shape", [(2, -1), (64, 512, -1), (9, 10, 11, 20, -1)], ids=str)
@pytest.mark.parametrize("dtype, tol", [("f4", 2**-9), (">f8", 2**-9), ("f8", 0)])
def test_peak_with_boxes(shape, dtype, tol):
    """Which are brought together in scratch first."""
    size = 64 * MIB // np.prod(shape[:-1]) // 8 * np.prod(shape[:-1]) * 8
    peak = memory.peak(int(size), dtype, tol, shape=shape)
    assert peak.encode <= size / 4 + 4 * MIB
    assert peak.decode <= size / 4 + 4 * MIB


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_threads_that_end_leave_nothing():
    x = np.random.default_rng(0).normal(size=1 << 18).astype("f4")

    def work():
        decode(encode(x, 2**-9))

    def run(n):
        for _ in range(n):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    run(5)
    before = resident()
    run(50)
    assert resident() < before + 20 * MIB  # each encoded with 3 MiB of scratch


# The filter as HDF5 calls it, in several threads, with the library closed and opened in between.
UNLOAD = r"""
import ctypes, os, sys, threading
from _ctypes import dlclose

class Filter(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int), ("id", ctypes.c_int), ("encoder", ctypes.c_uint), ("decoder", ctypes.c_uint),
        ("name", ctypes.c_char_p), ("can_apply", ctypes.c_void_p), ("set_local", ctypes.c_void_p),
        ("filter", ctypes.CFUNCTYPE(
            ctypes.c_size_t, ctypes.c_uint, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint), ctypes.c_size_t,
            ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_void_p))),
    ]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
# as the filter stores them: of float32 in chunks of 65536 values, and of 4
values, tiny = ((ctypes.c_uint * (text.count(",") + 1))(*map(int, text.split(","))) for text in sys.argv[2:])

def work(filter):
    size, data = ctypes.c_size_t(1 << 18), ctypes.c_void_p(libc.malloc(1 << 18))
    floats = (ctypes.c_float * (1 << 16)).from_address(data.value)
    floats[:] = SAMPLE
    for flags in 0, 0x100:
        length = filter(flags, len(values), values, size.value, size, data)
        assert length
        size.value = length
    assert (ctypes.c_float * 4).from_address(data.value)[:] == [0, 0.5, 1, 1.5]
    libc.free(data)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def load():
    library = ctypes.CDLL(sys.argv[1])
    library.H5PLget_plugin_info.restype = ctypes.POINTER(Filter)
    return library, library.H5PLget_plugin_info().contents.filter

SAMPLE = [i % 1000 / 2 for i in range(1 << 16)]
for round in range(6):  # a thread that outlives the library
    library, filter = load()
    used, unloaded = threading.Event(), threading.Event()
    def outlives():
        try:
            work(filter)
        finally:
            used.set()
        unloaded.wait()
    thread = threading.Thread(target=outlives)
    thread.start()
    used.wait()
    work(filter)
    dlclose(library._handle)
    unloaded.set()
    thread.join()
before = resident()
SAMPLE = SAMPLE[:4] * (1 << 14)
for round in range(1200):  # more than a process has keys
    library, filter = load()
    if round % 20 == 0:
        work(filter)
    else:
        size, data = ctypes.c_size_t(16), ctypes.c_void_p(libc.malloc(16))
        assert filter(0, len(tiny), tiny, 16, size, data)
        libc.free(data)
    dlclose(library._handle)
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how libraries unload is the system's")
def test_the_plugin_can_be_closed_while_threads_have_scratch():
    h5py = pytest.importorskip("h5py")
    plugin = os.path.join(hdf5.plugin_path(), hdf5._PLUGIN)
    options = []
    with h5py.File("x", "w", driver="core", backing_store=False) as f:
        for n in (1 << 16, 4):
            d = f.create_dataset(str(n), (n,), "f4", chunks=(n,), compression=AnsQuant(tol=2**-9))
            options.append(",".join(map(str, d.id.get_create_plist().get_filter(0)[2])))
    done = subprocess.run([sys.executable, "-c", UNLOAD, plugin, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 10 * MIB


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_after_use_and_while_threads_encode():
    x = np.random.default_rng(0).normal(size=50_000).astype("f4")
    chunk = encode(x, 2**-9)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            decode(encode(x, 2**-9))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:  # no pytest here: only an exit code
                os._exit(0 if encode(x, 2**-9) == chunk and np.abs(decode(chunk) - x).max() <= 2**-9 else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
