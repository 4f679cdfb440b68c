"""Hosts under faults: writers that are killed, full disks, several processes and threads on one store."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from arrays import torture

from arraycodec import AnsQuant, hdf5, verify
from arraycodec.__main__ import main

zarr = pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")

TOL = 2**-9
SHAPE = (60, 60)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def python(code, *arguments):
    """What a script prints, as JSON."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


# ---- writers that are killed ----
# Children write parts of the same values again and again until they are killed; whatever is stored after that has to
# be whole, and every value the original within its tolerance, or the fill value.  What imports zarr only forks: its
# threads would not be there in a child.
KILLED = r"""
import itertools, json, os, random, signal, sys, time
import h5py, numpy as np, zarr
from arraycodec import AnsQuant
from arraycodec.__main__ import main

kind, path, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
TOL, SHAPE, CHUNK = 2**-9, (60, 60), (20, 20)
rng = np.random.default_rng(0)
x = rng.normal(3, 0.1, SHAPE).astype("f4")
x[::7] = rng.integers(1, 3, (9, 60))  # chunks of different sizes
q = AnsQuant(tol=TOL)

def target(mode):
    if kind.startswith("hdf5"):
        swmr = kind == "hdf5-swmr"
        file = h5py.File(path, mode, libver="latest" if swmr else None)
        if mode == "w":
            file.create_dataset("x", SHAPE, "f4", chunks=CHUNK, compression=q)
        elif swmr:
            file.swmr_mode = True
        return file["x"]
    if mode == "r+":
        return zarr.open_array(path, mode="r+")
    options = {
        "zarr2": {"zarr_format": 2, "compressors": q}, "zarr3": {"serializer": q, "compressors": None},
        "shards": {"serializer": q, "compressors": None, "shards": (40, 40), "chunks": (10, 10)},
    }[kind]
    return zarr.create_array(path, shape=SHAPE, dtype="f4", overwrite=True, **{"chunks": CHUNK, **options})

def write(seed):
    random.seed(seed)
    z = target("r+")
    os.write(ready, b"x")
    while True:
        i, j = random.randrange(0, 60, 10), random.randrange(0, 60, 10)
        a, b = random.choice([10, 20, 37]), random.choice([10, 20, 37])
        z[i : i + a, j : j + b] = x[i : i + a, j : j + b]
        if kind.startswith("hdf5"):
            z.flush()

def create():
    z = target("w")
    if kind.startswith("hdf5"):
        z.file.close()

def in_child(function):
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
    finally:
        os._exit(0)

def stored():
    if not kind.startswith("hdf5"):
        pid = in_child(lambda: np.save(path + ".npy", zarr.open_array(path, mode="r")[...]))
        os.waitpid(pid, 0)
        return np.load(path + ".npy")
    file = h5py.File(path, "r", **({"libver": "latest", "swmr": True} if kind == "hdf5-swmr" else {}))
    with file:
        return file["x"][...]

def wrong_in(y, x):
    return int(np.count_nonzero(~(np.abs(y.astype("f8") - x) <= TOL) & (y != 0)))

def wrong_in_chunks():
    found = 0
    try:
        with h5py.File(path) as file:
            for i, j in itertools.product(range(0, 60, 20), repeat=2):
                part = slice(i, i + 20), slice(j, j + 20)
                try:
                    found += wrong_in(file["x"][part], x[part]) > 0
                except OSError:
                    pass
    except (OSError, KeyError):  # it does not open
        pass
    return found

statuses, wrong, fresh = [], 0, True
random.seed(1)
for k in range(kills):
    if fresh:
        os.waitpid(in_child(create), 0)
    began, ready = os.pipe()
    pid = in_child(lambda: write(k))
    os.close(ready)
    assert os.read(began, 1) == b"x"  # nothing if it has failed
    time.sleep(random.random() ** 2 * 0.06)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(began)
    status = main(["verify", "--scan", path, "-q"]) if kind != "hdf5-swmr" else 0  # read below as it has to be
    statuses.append(status)
    fresh = status != 0 or kind == "hdf5-swmr"  # such a file cannot be opened for writing again
    if status == 0:
        wrong += wrong_in(stored(), x)
    elif kind == "hdf5":  # what can be read of it, chunk by chunk
        pid = in_child(lambda: os._exit(wrong_in_chunks()))
        result = os.waitpid(pid, 0)[1]
        wrong += os.WEXITSTATUS(result) if os.WIFEXITED(result) else 1000
print(json.dumps({"statuses": statuses, "wrong": wrong}))
"""


@needs_fork
@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "shards", "hdf5-swmr"])
def test_killed_writers_leave_whole_chunks(tmp_path, kind):
    path = tmp_path / ("s.h5" if kind.startswith("hdf5") else "s.zarr")
    found = python(KILLED, kind, path, 25)
    assert found == {"statuses": [0] * 25, "wrong": 0}


@needs_fork
def test_killed_writers_of_hdf5(tmp_path):
    """Without SWMR, HDF5 promises nothing for a file that was not closed: but what is read is right, or an error.

    Chunks of broken files are read in a process of their own, which may not crash either.
    """
    found = python(KILLED, "hdf5", tmp_path / "s.h5", 25)
    assert found["wrong"] == 0 and set(found["statuses"]) <= {0, 1, 2}


@needs_fork
@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_a_killed_command_leaves_no_output(tmp_path, suffix):
    """The output has its name only when it is complete."""
    source, target = tmp_path / "x.npy", tmp_path / f"out.{suffix}"
    x = np.random.default_rng(0).normal(size=(400, 1000)).astype("f4")
    np.save(source, x)
    code = """if True:
        import json, os, shutil, signal, sys, time
        import h5py, zarr
        from pathlib import Path
        from arraycodec.__main__ import main
        source, target = sys.argv[1], Path(sys.argv[2])

        def compress():
            pid = os.fork()
            if not pid:
                os._exit(main(["compress", source, str(target), "--tol", "2**-9", "--chunks", "20x100", "-q"]))
            return pid

        def remove():
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)

        def is_right():
            pid = os.fork()
            if not pid:
                os._exit(main(["verify", source, str(target), "--tol", "2**-9", "-q"]))
            return os.waitpid(pid, 0)[1] == 0

        start = time.monotonic()
        assert os.waitpid(compress(), 0)[1] == 0
        whole = time.monotonic() - start
        assert is_right()
        killed = complete = 0
        for k in range(10):
            remove()
            pid = compress()
            time.sleep(whole * (k + 0.5) / 10)
            os.kill(pid, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
            if target.exists():
                complete += 1
                assert is_right()
        remove()
        assert os.waitpid(compress(), 0)[1] == 0 and is_right()  # whatever the others left lying about
        print(json.dumps([killed, complete]))"""
    killed, complete = python(code, source, target)
    assert killed >= 3 and killed + complete >= 10


# ---- full disks ----
# Files of at most so many bytes, which any process may demand of itself; and a file system that is full, where a
# user may mount one.
LIMITED = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " \
          "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"  # fmt: skip


def small_disk(tmp_path):
    """A command that runs another with a file system of 100 KiB at a folder, and that; skips where it cannot be."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["sh", "-c", f'mount -t tmpfs -o size=100k none "{folder}" && exec "$@"', "sh"]
    for command in (["unshare", "-m", *mount], ["unshare", "-rm", *mount]):
        try:
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command, folder
        except OSError:
            break
    pytest.skip("no file system can be mounted here")


@pytest.mark.parametrize("suffix", ["zarr", "h5", "npy", "npz"])
@pytest.mark.parametrize("disk", ["limit", "mount"])
def test_a_full_disk_is_a_clear_error(tmp_path, suffix, disk):
    x = np.random.default_rng(0).normal(size=(300, 500)).astype("f4")
    compresses = suffix in ("zarr", "h5")
    if compresses:
        np.save(tmp_path / "x", x)
        (tmp_path / "x.npy").rename(tmp_path / "x")
    else:
        with h5py.File(tmp_path / "x", "w") as f:
            f["x"] = x
    prefix, folder = ([], tmp_path) if disk == "limit" else small_disk(tmp_path)
    code = (LIMITED if disk == "limit" else "") + """if True:
        import json, os, sys
        from arraycodec.__main__ import main
        folder, *arguments = sys.argv[1:]
        status = main(arguments)
        print(json.dumps([status, sorted(os.listdir(folder))]))"""
    arguments = ["compress" if compresses else "decompress", tmp_path / "x", folder / f"out.{suffix}"]
    arguments += ["--tol", "1e-6", "--chunks", "100x100"] if compresses else []
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, folder, *arguments], capture_output=True, text=True, timeout=300
    )  # fmt: skip
    status, left = json.loads(done.stdout.splitlines()[-1])
    assert status == 2, done
    assert left == (["x"] if disk == "limit" else [])
    lines = [line for line in done.stderr.splitlines() if line.startswith("arraycodec: error: ")]
    assert len(lines) == 1
    text = "File too large" if disk == "limit" else "No space left on device"
    assert text in lines[0], lines


def test_a_full_disk_leaves_whole_chunks(tmp_path):
    """What was written before the error is readable."""
    code = LIMITED + """if True:
        import json, sys
        import numpy as np, zarr
        from arraycodec import AnsQuant
        x = np.full((100, 1000), 3, "f4")
        x[5] = np.random.default_rng(0).normal(size=1000)  # the only row that takes more than the limit
        z = zarr.create_array(sys.argv[1], shape=x.shape, chunks=(1, 1000), dtype="f4", serializer=AnsQuant(tol=1e-6),
                              compressors=None)
        message = ""
        try:
            for i in range(len(x)):
                z[i] = x[i]
        except OSError as e:
            message = str(e)
        print(json.dumps([i, message, z[:5].tolist() == x[:5].tolist()]))"""
    i, message, equal = python(code, tmp_path / "s.zarr")
    assert (i, equal) == (5, True) and "File too large" in message
    assert main(["verify", "--scan", str(tmp_path / "s.zarr")]) == 0


# ---- several processes, several threads ----
WRITER = r"""
import sys, threading
import h5py, numpy as np, zarr
from arraycodec import hdf5
path, part, parts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = np.load(path + ".npy")
z = zarr.open_array(path, mode="r+")
errors = []

def work(k):
    try:
        for i in range(20 * (8 * part + k), x.shape[0], 20 * 8 * parts):
            for _ in range(5):
                z[i : i + 20] = x[i : i + 20]
                assert np.abs(z[i : i + 20] - x[i : i + 20]).max() <= 2**-9
    except BaseException as e:
        errors.append(repr(e))

threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
print(errors or "[]")
"""


@pytest.mark.parametrize("options", [{"zarr_format": 2}, {"zarr_format": 3}, {"shards": (20, 100)}], ids=str)
def test_two_processes_of_eight_threads_write_one_zarr_store(tmp_path, options):
    x = np.random.default_rng(0).normal(size=(800, 100)).astype("f4")
    path = str(tmp_path / "s.zarr")
    np.save(path + ".npy", x)
    q = AnsQuant(tol=TOL)
    codec = {"compressors": q} if options.get("zarr_format") == 2 else {"serializer": q, "compressors": None}
    zarr.create_array(path, shape=x.shape, chunks=(10, 50), dtype="f4", **codec, **options)
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, path, str(part), "2"], stdout=subprocess.PIPE)
        for part in range(2)
    ]
    assert [p.communicate(timeout=300)[0].strip() for p in started] == [b"[]", b"[]"]
    assert verify(x, zarr.open_array(path, mode="r")[...], TOL)
    assert main(["verify", "--scan", path]) == 0


READER = r"""
import sys, threading
import h5py, numpy as np
from arraycodec import hdf5
path, threads = sys.argv[1], 8
x = np.load(path + ".npy")
errors = []
with h5py.File(path) as f:
    d = f["x"]
    def work(k):
        try:
            for i in range(10 * k, x.shape[0], 80):
                for _ in range(5):
                    for y in (d[i : i + 10], hdf5.read(d, np.s_[i : i + 10], threads=2)):
                        assert np.abs(y - x[i : i + 10]).max() <= 2**-9
        except BaseException as e:
            errors.append(repr(e))
    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
print(errors or "[]")
"""


def test_two_processes_of_eight_threads_read_one_hdf5_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(800, 100)).astype("f4")
    path = str(tmp_path / "s.h5")
    np.save(path + ".npy", x)
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", x.shape, "f4", chunks=(10, 50), compression=AnsQuant(tol=TOL))
        hdf5.write(d, x, threads=8)
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", READER, path], stdout=subprocess.PIPE) for _ in range(2)
    ]
    assert [p.communicate(timeout=300)[0].strip() for p in started] == [b"[]", b"[]"]


# ---- the filter never fails on write ----
SHAPES = [  # of arrays and chunks
    ((1000,), (1000,)), ((1, 1000), (1, 1000)), ((1000, 1), (7, 1)), ((2, 5, 4, 5, 5), (1, 3, 2, 5, 2)),
    ((25, 40), (1, 40)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_no_floats_fail(tmp_path, dtype):
    """HDF5 loses the file, or the process, where a filter fails late."""
    native = np.dtype(dtype).newbyteorder("=")
    with np.errstate(all="ignore"):
        arrays = {name: x.astype(native) for name, x in torture("f8" if native.itemsize == 8 else "f4", 1000).items()}
    parameters = [{"tol": t} for t in (0, 5e-324, 1e-42, TOL, 1.0, 1e300)]
    parameters += [{"rtol": 1e-3}, {"tol": TOL, "fill_value": 1}]
    with h5py.File(tmp_path / "x.h5", "w") as f:
        for i, (name, x) in enumerate(arrays.items()):
            shape, chunks = SHAPES[i % len(SHAPES)]
            for j, kwargs in enumerate(parameters):
                q = AnsQuant(**kwargs, level=(1, 5, 9)[(i + j) % 3])
                f.create_dataset(f"{name}/{j}", data=x.reshape(shape).astype(dtype), chunks=chunks, compression=q)
    with h5py.File(tmp_path / "x.h5") as f:
        for i, (name, x) in enumerate(arrays.items()):
            shape, chunks = SHAPES[i % len(SHAPES)]
            for j, kwargs in enumerate(parameters):
                assert verify(x.reshape(shape).astype(dtype), f[f"{name}/{j}"][...], **kwargs), (name, kwargs)


@pytest.mark.parametrize("code", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "c8", "c16"])
def test_no_bits_fail(tmp_path, code):
    """Random bits of every other type, and its extremes."""
    rng = np.random.default_rng(0)
    for k, tol in enumerate((0, 0.5, 3, 1e300)):
        x = rng.integers(0, 2 if code == "?" else 256, (10, 30, np.dtype(code).itemsize), dtype="u1").view(code)[..., 0]
        x[k] = x.flat[0]
        with h5py.File(tmp_path / f"{k}.h5", "w") as f:
            f.create_dataset("x", data=x, chunks=(3, 7), compression=AnsQuant(tol=tol))
        with h5py.File(tmp_path / f"{k}.h5") as f:
            assert verify(x, f["x"][...], tol)
            assert code != "?" or np.array_equal(f["x"][...], x)
