"""Many processes: dask.distributed under `arraycodec compress`, with real processes that are killed and limited."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")
distributed = pytest.importorskip("distributed")

import zarr  # noqa: E402

from arraycodec import AnsQuant, verify  # noqa: E402
from arraycodec.__main__ import main  # noqa: E402
from arraycodec.cli import cluster, interrupt, journal, output  # noqa: E402
from arraycodec.cli.codecs import Choice  # noqa: E402
from arraycodec.cli.console import Console  # noqa: E402
from arraycodec.cli.model import CommandError  # noqa: E402
from arraycodec.cli.plan import Job  # noqa: E402
from arraycodec.errors import ParameterError  # noqa: E402

# of tornado and asyncio, when processes at the other end of a connection are killed
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def walk(*shape):
    return np.cumsum(np.random.default_rng(0).normal(size=shape), axis=-1).astype("f4")


def processes(workers, threads=1):
    """A scheduler, and so many processes that work for it."""
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=threads, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
    )


@pytest.fixture(scope="module")
def workers():
    """A scheduler with two worker processes, and a client of it."""
    with processes(2) as local, distributed.Client(local) as client:
        yield client


@pytest.fixture
def scheduler(workers):
    return workers.scheduler.address


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Groups, text, integers, dates, coordinates, and arrays that are empty, small and large."""
    path = tmp_path_factory.mktemp("source") / "all.h5"
    with h5py.File(path, "w") as f:
        f.attrs["title"] = "all"
        g = f.create_group("a/b")
        g.create_dataset("walk", data=walk(300, 7000), chunks=(100, 3000))
        g["walk"].attrs["units"] = "K"
        f["noise"] = np.random.default_rng(1).normal(size=(50, 60))
        f["labels"] = np.arange(100)
        f["text"] = ["one", "two", "three"]
        f["scalar"] = 1.5
        f["empty"] = np.empty((0, 5), "f4")
        f["time"] = np.arange(300.0)
        f["time"].make_scale("time")
        g["walk"].dims[0].attach_scale(f["time"])
    return path


def files(store):
    return {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["zarr2", "zarr3"])
@pytest.mark.parametrize(
    "options",
    [
        ["--tol", "0.01"],
        ["--rtol", "0.01", "--codec", "varint"],
        ["--codec", "stochastic", "--seed", "5"],
        ["--codec", "lowrank", "--rank", "3"],
    ],
    ids=lambda o: o[-1],
)
def test_the_same_store_as_by_one_process(source, scheduler, tmp_path, capsys, monkeypatch, kind, options):
    monkeypatch.setattr(cluster, "_TASK_VALUES", 1 << 18)
    moved = []
    original = cluster._Ledger._add

    def add(self, key, done):
        moved.append(key)
        original(self, key, done)

    monkeypatch.setattr(cluster._Ledger, "_add", add)
    common = [str(source), "--format", kind, *options]
    assert main(["compress", *common[:1], str(tmp_path / "one.zarr"), *common[1:]]) == 0
    one = capsys.readouterr()
    assert main(["compress", *common[:1], str(tmp_path / "many.zarr"), *common[1:], "--scheduler", scheduler]) == 0
    many = capsys.readouterr()
    assert max(box for _, box in moved) > 3
    many_files, one_files = files(tmp_path / "many.zarr"), files(tmp_path / "one.zarr")
    assert many_files.keys() == one_files.keys()
    if "lowrank" in options:  # linear algebra may have other threads in other processes
        return
    assert many_files == one_files
    assert many.out.replace("many.zarr", "one.zarr") == one.out
    assert sorted(many.err.splitlines()) == sorted(one.err.splitlines())
    assert sorted(os.listdir(tmp_path)) == ["many.zarr", "one.zarr"]


def test_decompress(source, scheduler, tmp_path):
    assert main(["compress", str(source), str(tmp_path / "c.zarr"), "--tol", "0.01"]) == 0
    assert main(["decompress", str(tmp_path / "c.zarr"), str(tmp_path / "d.zarr"), "--scheduler", scheduler]) == 0
    assert main(["verify", str(source), str(tmp_path / "d.zarr"), "--tol", "0.01"]) == 0
    assert "arraycodec" not in (tmp_path / "d.zarr/a/b/walk/zarr.json").read_text()


def test_shards_names_and_workers_of_this_machine(tmp_path):
    x = walk(64, 9000)
    z = zarr.create_array(str(tmp_path / "x.zarr"), shape=x.shape, chunks=(8, 1000), shards=(16, 3000), dtype="f4")
    z[...] = x
    command = ["compress", str(tmp_path / "x.zarr"), str(tmp_path / "y.zarr"), "--tol", "0.5", "--name", "given"]
    assert main([*command, "--workers", "2", "--memory-limit", "1GiB"]) == 0
    y = zarr.open(str(tmp_path / "y.zarr"), mode="r")["given"]
    assert y.shards == (16, 3000) and y.chunks == (8, 1000)
    assert verify(x, y[...], 0.5)


class Watched(Console):
    """Calls something when so many boxes are done."""

    def __init__(self, boxes, then):
        super().__init__(quiet=True)
        self.left, self.then, self.done = boxes, then, []

    def advance(self, nbytes, name=""):
        self.done.append(nbytes)
        self.left -= 1
        if self.left == 0:
            self.then()


@pytest.fixture
def large(tmp_path, monkeypatch):
    """Twenty boxes."""
    monkeypatch.setattr(cluster, "_TASK_VALUES", 1 << 20)
    x = walk(20, 1 << 20)
    np.save(tmp_path / "x.npy", x)
    choice = Choice("ansquant", {"tol": 0.01})
    return Job(tmp_path / "x.npy", tmp_path / "x.zarr", 0.01, choice=choice, chunks=(1, 1 << 18)), x


def test_a_worker_killed_in_mid_job(large):
    job, x = large
    with processes(2) as local, distributed.Client(local) as client:
        before = client.run(os.getpid)
        victim = next(iter(before.values()))
        console = Watched(3, lambda: os.kill(victim, signal.SIGKILL))
        cluster.convert_on_cluster(job, cluster.Workers(scheduler=client.scheduler.address), console)
        assert sum(console.done) == x.nbytes and len(console.done) == 20
        client.wait_for_workers(2, timeout=60)
        assert victim not in client.run(os.getpid).values()
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)
    assert not list(job.target.parent.glob(".*"))


def interrupted():
    raise interrupt.Interrupted(signal.SIGINT)


def test_a_job_goes_on_where_it_was_interrupted(large, scheduler, monkeypatch):
    job, x = large
    many = cluster.Workers(scheduler=scheduler)
    with pytest.raises(interrupt.Interrupted):
        cluster.convert_on_cluster(job, many, Watched(7, interrupted))
    assert not job.target.exists()
    folder = job.target.parent / ".x.zarr.partial"
    journal = folder / "done.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 7
    journal.write_text("\n".join([*lines, '[0, 19, 4194']))  # killed within a line
    recorded = {json.loads(line)[1] for line in lines}
    lost = min(recorded)
    time.sleep(0.5)  # what workers had begun
    (store,) = folder.glob("store-*")
    chunks = {b: store / f"c/{b}/0" for b in recorded}
    before = {b: p.stat().st_mtime_ns for b, p in chunks.items()}

    (store / f"c/{lost}/0").write_bytes(b"")  # and its disk lost what was not there yet
    moved, after = [], {}
    original = cluster._Pool.run

    def run(self, function, tasks):
        for key, result in original(self, function, tasks):
            moved.append(key)
            yield key, result
        after.update({b: p.stat().st_mtime_ns for b, p in chunks.items()})

    monkeypatch.setattr(cluster._Pool, "run", run)
    console = Watched(0, interrupted)
    cluster.convert_on_cluster(job, many, console)
    assert sorted(box for _, box in moved) == sorted(set(range(20)) - recorded | {lost})
    assert [b for b in recorded if after[b] != before[b]] == [lost]
    assert sum(console.done) == x.nbytes
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)
    assert sorted(os.listdir(job.target.parent)) == ["x.npy", "x.zarr"]


@pytest.fixture
def long(tmp_path):
    """A command that takes its time, in sixty tasks; its journal."""
    arrays = {f"a{i:02}": walk(1 << 17) + i for i in range(60)}
    np.savez(tmp_path / "x.npz", **arrays)
    command = ["compress", str(tmp_path / "x.npz"), str(tmp_path / "x.zarr"), "--tol", "0.01", "--level", "9"]
    return [*command, "--workers", "1"], arrays, tmp_path / ".x.zarr.partial/done.jsonl"


@contextlib.contextmanager
def in_mid_job(command, journal):
    """The command in a process group of its own, when three boxes are complete."""
    command = [sys.executable, "-m", "arraycodec", *command]
    how = {"start_new_session": True, "stderr": subprocess.PIPE, "text": True}
    # what a shell starts in the background ignores the signal, and so would this
    with subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **how) as process:
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            time.sleep(0.01)
        yield process


def test_a_process_that_is_killed_is_gone_on_with(long, tmp_path):
    command, arrays, journal_file = long
    with in_mid_job(command, journal_file) as process:
        os.killpg(process.pid, signal.SIGKILL)
    done = journal_file.read_bytes().count(b"\n")
    assert 3 <= done < 60 and not (tmp_path / "x.zarr").exists()
    assert main([*command, "--quiet"]) == 0
    store = zarr.open(str(tmp_path / "x.zarr"), mode="r")
    assert all(verify(x, store[name][...], 0.01) for name, x in arrays.items())
    assert not journal_file.parent.exists()


def test_what_another_job_has_left(large, scheduler, capsys):
    job, x = large
    many = cluster.Workers(scheduler=scheduler)
    with pytest.raises(interrupt.Interrupted):
        cluster.convert_on_cluster(job, many, Watched(2, interrupted))
    command = ["compress", str(job.source), str(job.target), "--scheduler", scheduler, "--tol", "0.5", "-q"]
    assert main(command) == 2
    assert "its codecs differ" in capsys.readouterr().err
    np.save(job.source, x)
    with pytest.raises(CommandError, match="its input differ"):
        cluster.convert_on_cluster(job, many, Console(quiet=True))
    assert main([*command, "--restart"]) == 0
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.5)
    assert sorted(os.listdir(job.target.parent)) == ["x.npy", "x.zarr"]


def test_an_old_output_is_nothing_to_go_on_with(large, scheduler, monkeypatch):
    """The outputs change places; then the run is ended, and begun again."""
    job, x = large
    many = cluster.Workers(scheduler=scheduler)
    rough = Job(job.source, job.target, 0.5, choice=Choice("ansquant", {"tol": 0.5}), chunks=job.chunks)
    cluster.convert_on_cluster(rough, many, Console(quiet=True))
    fine = Job(job.source, job.target, 0.01, choice=job.choice, chunks=job.chunks, force=True)
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "remove", lambda self: interrupted())
        with pytest.raises(interrupt.Interrupted):
            cluster.convert_on_cluster(fine, many, Console(quiet=True))
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)
    console = Watched(0, interrupted)
    cluster.convert_on_cluster(fine, many, console)
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)
    assert sorted(os.listdir(job.target.parent)) == ["x.npy", "x.zarr"]


def test_an_output_that_appears_meanwhile(large, scheduler):
    """What is done is not lost."""
    job, x = large
    many = cluster.Workers(scheduler=scheduler)
    with pytest.raises(ParameterError, match="has appeared in the meantime"):
        cluster.convert_on_cluster(job, many, Watched(3, lambda: job.target.write_text("of somebody else")))
    assert job.target.read_text() == "of somebody else"
    job.target.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "move", None)  # nobody has to move anything again
        patch.setattr(cluster._Pool, "run", lambda self, function, tasks: iter(list(tasks)))
        cluster.convert_on_cluster(job, many, Console(quiet=True))
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)


def test_an_input_that_changes_meanwhile(large, scheduler):
    job, _ = large

    def change():
        with open(job.source, "r+b") as f:
            f.seek(-4, os.SEEK_END)
            f.write(b"\0\0\0\0")

    with pytest.raises(CommandError, match="has changed while it was read"):
        cluster.convert_on_cluster(job, cluster.Workers(scheduler=scheduler), Watched(3, change))
    assert not job.target.exists()


def test_fingerprints(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a/x", "a/y"):
        (tmp_path / name).write_bytes(b"12345")
    first = output.fingerprint(tmp_path)
    os.utime(tmp_path / "a/x", ns=(1, 1))  # older, and no larger
    assert output.fingerprint(tmp_path) != first
    (tmp_path / "dangling").symlink_to("nowhere")
    assert output.disk_usage(tmp_path) >= 10 and output.fingerprint(tmp_path) != first


def test_groups_are_a_part_of_the_job(source, scheduler, tmp_path, capsys):
    command = ["compress", str(source), str(tmp_path / "x.zarr"), "--tol", "0.01", "--scheduler", scheduler, "-q"]
    job = Job(source, tmp_path / "x.zarr", 0.01, choice=Choice("ansquant", {"tol": 0.01}))
    with pytest.raises(interrupt.Interrupted):
        cluster.convert_on_cluster(job, cluster.Workers(scheduler=scheduler), Watched(2, interrupted))
    assert main([*command, "--name", "a/b/walk"]) == 2
    assert "its items, arrays, codecs differ" in capsys.readouterr().err


def test_folders_of_others_stay(large, scheduler, capsys):
    job, _ = large
    folder = job.target.parent / ".x.zarr.partial"
    folder.mkdir()
    (folder / "precious").write_text("")
    command = ["compress", str(job.source), str(job.target), "--tol", "0.01", "--scheduler", scheduler]
    assert main(command) == 2 and "no folder of a run that was interrupted" in capsys.readouterr().err
    assert (folder / "precious").exists()


def test_file_systems_without_locks(large, scheduler, monkeypatch, capsys):
    job, x = large

    def flock(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(journal.fcntl, "flock", flock)
    cluster.convert_on_cluster(job, cluster.Workers(scheduler=scheduler), Console(quiet=True))
    assert "there are no locks in" in capsys.readouterr().err
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)


def test_a_lock_on_a_file_that_has_gone(tmp_path, monkeypatch):
    """Between opening and locking it, the run before removes all."""
    folder = tmp_path / ".x.partial"
    first = journal.Journal(folder)
    original = journal.fcntl.flock

    def flock(file, how):
        monkeypatch.setattr(journal.fcntl, "flock", original)
        first.remove()
        original(file, how)

    monkeypatch.setattr(journal.fcntl, "flock", flock)
    second = journal.Journal(folder)
    with pytest.raises(CommandError, match="another run is writing"):
        journal.Journal(folder)
    second.remove()
    assert not folder.exists()


def test_workers_that_come_later_get_tasks(large, monkeypatch):
    job, _ = large
    with processes(1) as local, distributed.Client(local) as client:
        place = cluster._Place(str(job.source), None, str(job.source), 3, "t", cluster.__version__)
        pool = cluster._Pool(client, place)
        assert pool._limit() == 3
        local.scale(3)
        client.wait_for_workers(3, timeout=60)
        pool._counted = 0.0  # a second later
        assert pool._limit() == 9
        monkeypatch.setattr(pool, "_limit", lambda: 7)
        tasks = ((i, ("x", (slice(i % 20, i % 20 + 1), slice(0, 10)), [])) for i in range(30))
        assert sorted(key for key, _ in pool.run(cluster._count, tasks)) == list(range(30))


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups")
def test_ctrl_c(long, tmp_path):
    command, _, journal_file = long
    with in_mid_job(command, journal_file) as process:
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    *kept, last = said.splitlines()
    assert process.returncode == 130 and last == "arraycodec: interrupted", said
    assert len(kept) == 1 and "the same command goes on with it" in kept[0]
    assert not (tmp_path / "x.zarr").exists() and journal_file.exists()
    assert main([*command[:-2], "-q"]) == 0  # by one process, which leaves that alone
    assert journal_file.exists() and (tmp_path / "x.zarr").exists()


def test_two_runs_at_once(large, scheduler):
    job, _ = large
    many = cluster.Workers(scheduler=scheduler)
    refused = []

    def again():
        try:
            cluster.convert_on_cluster(job, many, Console(quiet=True))
        except CommandError as e:
            refused.append(str(e))

    cluster.convert_on_cluster(job, many, Watched(2, again))
    assert len(refused) == 1 and "another run is writing" in refused[0]


def test_an_array_larger_than_the_memory_of_the_workers(tmp_path, capsys):
    with open(tmp_path / "x.npy", "wb") as f:  # 1 GiB of zeros, and a few values; the file system stores those only
        header = {"descr": "<f4", "fortran_order": False, "shape": (1024, 1 << 18)}
        np.lib.format.write_array_header_1_0(f, header)
        f.write(np.linspace(-1, 1, 1 << 18, dtype="f4").tobytes())
        f.truncate(f.tell() + (1023 << 20))
    command = ["compress", str(tmp_path / "x.npy"), str(tmp_path / "x.zarr"), "--tol", "1e-3"]
    command += ["--workers", "2", "--memory-limit", "256MiB"]
    assert main([*command, "--chunks", "1024x262144"]) == 2  # one chunk: the limit is a limit
    assert "too little memory" in capsys.readouterr().err
    assert main([*command, "--chunks", "1x262144", "--restart"]) == 0
    z = zarr.open(str(tmp_path / "x.zarr"), mode="r")
    assert verify(np.linspace(-1, 1, 1 << 18, dtype="f4"), z[0], 1e-3)
    assert not z[1023].any()


IMPORTED = "'arraycodec' in __import__('sys').modules"  # a function of this module would import it


def test_workers_that_never_imported_the_package(tmp_path):
    array = pytest.importorskip("dask.array")
    pytest.importorskip("dask", minversion="2026.1")  # before, to_zarr passes no parameters on in this way
    x = walk(64, 3000)
    with processes(1, 2) as local, distributed.Client(local) as client:
        source = array.from_array(x, chunks=(16, 1000))
        assert not any(client.run(eval, IMPORTED).values())
        source.to_zarr(str(tmp_path / "2.zarr"), zarr_format=2, compressors=AnsQuant(tol=0.1))
        source.to_zarr(str(tmp_path / "3.zarr"), serializer=AnsQuant(tol=0.1), compressors=None)
        for name in ("2.zarr", "3.zarr"):
            assert verify(x, array.from_zarr(str(tmp_path / name)).compute(), 0.1)
            assert "ansquant" in "".join(p.read_text() for p in (tmp_path / name).glob("*z*r*") if p.is_file())
        assert all(client.run(eval, IMPORTED).values())


@pytest.mark.parametrize("target", ["zarr2", "zarr3"])
def test_xarray_through_workers(workers, tmp_path, target):
    xr = pytest.importorskip("xarray")
    from arraycodec.xarray import encoding

    x = walk(64, 3000)
    ds = xr.Dataset({"t": (("y", "x"), x)}).chunk({"y": 16, "x": 1000})
    options = {"zarr_format": int(target[-1]), "consolidated": False}
    ds.to_zarr(str(tmp_path / "x.zarr"), encoding=encoding(ds, 0.1, target=target), **options)
    with xr.open_zarr(str(tmp_path / "x.zarr"), consolidated=False) as back:
        assert back.t.chunks == ((16,) * 4, (1000,) * 3)
        assert verify(x, back.t.values, 0.1)
        mean = float(back.t.mean())
    assert abs(mean - float(x.mean())) <= 0.2


def test_schedulers(large, workers, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT", 1.0)
    job, x = large
    command = ["compress", str(job.source), str(job.target), "--tol", "0.01", "--scheduler"]
    (tmp_path / "scheduler.json").write_text(json.dumps(workers.scheduler_info() | {"workers": {}}))
    assert main([*command, str(tmp_path / "scheduler.json"), "-q"]) == 0
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)
    capsys.readouterr()
    assert main([*command, "tcp://127.0.0.1:1", "--force"]) == 2
    assert "no scheduler at tcp://127.0.0.1:1" in capsys.readouterr().err
    assert main([*command, "nowhere.json", "--force"]) == 2
    assert "no such scheduler file: nowhere.json" in capsys.readouterr().err
    monkeypatch.setattr(cluster, "__version__", "0.0")
    assert main([*command, workers.scheduler.address, "--force"]) == 2
    assert "has arraycodec 0.1" in capsys.readouterr().err
    place = cluster._Place("/nowhere/x.npy", None, str(job.target), 3, "t", cluster.__version__)
    assert "there is no /nowhere/x.npy here" in cluster._look(place)
    place = cluster._Place(str(job.source), None, "/nowhere/x/store", 3, "t", cluster.__version__)
    assert "cannot write to /nowhere/x" in cluster._look(place)


def test_waiting_for_the_first_worker(large, capsys, monkeypatch):
    job, x = large
    monkeypatch.setattr(cluster, "_PATIENCE", 0.1)
    with processes(0) as local:
        threading.Timer(1.0, lambda: local.scale(1)).start()
        cluster.convert_on_cluster(job, cluster.Workers(scheduler=local.scheduler_address), Console(quiet=True))
    assert "has no workers yet" in capsys.readouterr().err
    assert verify(x, zarr.open(str(job.target), mode="r")[...], 0.01)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--workers", "0"], "at least 1"),
        (["--workers", "x"], "not a whole number"),
        (["--workers", "1", "--scheduler", "a"], "not allowed with"),
        (["--restart"], "are for --workers"),
        (["--scheduler", "a", "--memory-limit", "1GB"], "limits of their own"),
        (["--workers", "1", "--format", "hdf5"], "only Zarr"),
    ],
)
def test_refusals(tmp_path, capsys, options, message):
    np.save(tmp_path / "x.npy", np.ones(10))
    assert main(["compress", str(tmp_path / "x.npy"), str(tmp_path / "x.zarr"), "--tol", "1", *options]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["x.npy"]


def test_what_a_worker_cannot_code_is_said(scheduler, tmp_path, capsys):
    x = walk(4, 1000)
    job = Job(tmp_path / "x.npy", tmp_path / "x.zarr", choice=Choice("stochastic", {"bits": 1}))
    with pytest.MonkeyPatch.context() as patch:  # as if nobody had looked for NaN
        x[0, 0] = np.nan
        np.save(tmp_path / "x.npy", x)
        patch.setattr(cluster._Pool, "survey", lambda self, info, marks: cluster.Special())
        with pytest.raises(CommandError, match="cannot code the array: StochasticQuant.*is nan"):
            cluster.convert_on_cluster(job, cluster.Workers(scheduler=scheduler), Console(quiet=True))
    assert os.listdir(tmp_path) == ["x.npy"]
