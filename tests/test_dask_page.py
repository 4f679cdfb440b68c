"""docs/dask.md, from top to bottom: its code, its commands, and its jobs, with stand-ins for Slurm's programs."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr", minversion="3")
pytest.importorskip("distributed")

from arraycodec.__main__ import main  # noqa: E402

PAGE = (Path(__file__).parents[1] / "docs/dask.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.S)

SBATCH = """\
#!/bin/sh
# runs the job here and now, as Slurm would on a node
[ "$1" = --parsable ] && shift
cp "$1" job.copy
setsid bash job.copy >job.log 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = "#!/bin/sh\nkill -- -$1\n"
SRUN = '#!/bin/sh\nexec "$@"\n'

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def python(what):
    (block,) = (b for b in PYTHON if what in b)
    return compile(block, "dask.md", "exec")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with input, programs of Slurm's names, and ours."""
    monkeypatch.chdir(tmp_path)
    x = np.cumsum(np.random.default_rng(0).normal(size=(64, 4096)), axis=1).astype("f4")
    np.save("big.npy", x)
    np.save("more.npy", x)
    with h5py.File("big.nc", "w") as f:
        f["t"] = x
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL), ("srun", SRUN)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return x


def test_nothing_is_left_out():
    assert len(PYTHON) == 4 and len(SHELL) == 2


def test_dask_array(folder):
    exec(python("x.to_zarr"), {})
    assert zarr.open("t2.zarr", mode="r").chunks == (50, 300, 300)


def test_xarray(folder):
    pytest.importorskip("xarray")
    exec(python("xr.Dataset"), {})
    assert zarr.open("ds.zarr", mode="r")["t"].chunks == (10, 300, 300)


def test_commands(folder):
    commands = [shlex.split(line, comments=True) for line in SHELL[0].splitlines()]
    assert len(commands) == 3
    for command in commands:
        assert command[0] == "arraycodec" and main([*command[1:], "--quiet"]) == 0
    assert np.abs(zarr.open("plain.zarr", mode="r")["t"][...] - folder).max() <= 0.01


def test_slurm_by_jobqueue(folder):
    pytest.importorskip("dask_jobqueue")
    block = next(b for b in PYTHON if "SLURMCluster" in b)
    Path("job.py").write_text(block)
    done = subprocess.run([sys.executable, "job.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert np.abs(zarr.open("slurm.zarr", mode="r")[...] - folder).max() <= 0.01


def test_slurm_by_itself(folder):
    Path("job.sh").write_text(SHELL[1])
    Path("scheduler.json").write_text('{"address": "tcp://127.0.0.1:1"}')  # of a job that was killed
    done = subprocess.run(["bash", "-e", "job.sh"], capture_output=True, text=True, timeout=120)
    assert "job.zarr: 1 array" in done.stdout, done.stderr
    assert np.abs(zarr.open("job.zarr", mode="r")[...] - folder).max() <= 0.01


def test_kubernetes(folder):
    dask_kubernetes = pytest.importorskip("dask_kubernetes")
    yaml = pytest.importorskip("yaml")
    jsonschema = pytest.importorskip("jsonschema")
    exec(python("make_cluster_spec"), {})
    crd = next(Path(dask_kubernetes.__file__).parent.rglob("crds/daskcluster.yaml"))
    schema = yaml.safe_load(crd.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    text = Path("cluster.json").read_text()
    # Kubernetes leaves out what is null
    cluster = json.loads(text, object_hook=lambda d: {k: v for k, v in d.items() if v is not None})
    jsonschema.validate(cluster, schema)
    for part in ("worker", "scheduler"):
        pod = cluster["spec"][part]["spec"]
        assert pod["containers"][0]["volumeMounts"][0]["name"] == pod["volumes"][0]["name"]
    job = json.loads(Path("job.json").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    name, port = container["command"][-1].removeprefix("tcp://").split(":")
    service = cluster["spec"]["scheduler"]["service"]
    assert name == f"{cluster['metadata']['name']}-scheduler" and int(port) in {p["port"] for p in service["ports"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster | {"spec": {"worker": 3}}, schema)
