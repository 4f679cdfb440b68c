"""arraycodec activate: HDF5_PLUGIN_PATH in real shells, environments and kernels, and nothing left behind by --undo."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from programs import environment

from arraycodec import hdf5
from arraycodec.__main__ import main
from arraycodec.cli import activate

VARIABLE = "HDF5_PLUGIN_PATH"
RC = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/conf.d/arraycodec.fish"}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Names that have to be quoted, in the place of this installation's folders."""
    names = ("our $folder's \"plugins\" \\", "default *one", "default two", "their; plugins")
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir()
    ours, one, two, theirs = map(str, made)
    monkeypatch.setattr(hdf5, "plugin_path", lambda: ours)
    monkeypatch.setattr(hdf5, "_default_folders", lambda: [one, two])
    monkeypatch.setattr(hdf5, "_netcdf4_folder", lambda: theirs)
    return activate.Folders(ours, [one, two], [theirs])


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME", "JUPYTER_DATA_DIR", "CONDA_PREFIX", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return folder


def shell(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def printed(name, script, *, old=None, startup=False):
    """The values of the variable that a script prints (as [value], or [] where it is not set)."""
    options = {"bash": ["--noprofile"], "zsh": ["-d"], "fish": []}[name]
    if not startup:
        options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    options += ["-i"] if startup else []
    show = f'"{sys.executable}" -c "import os; print([v for k, v in os.environ.items() if k == \'{VARIABLE}\'])"'
    command = [shell(name), *options, "-c", script.replace("SHOW", show)]
    env = environment(old)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert all("job control" in line or "process group" in line for line in done.stderr.splitlines()), done.stderr
    return [eval(line) for line in done.stdout.splitlines() if line.startswith("[")]


def tree(folder):
    return {
        str(path.relative_to(folder)): None if path.is_dir() else (path.read_bytes(), path.stat().st_mode)
        for path in Path(folder).rglob("*")
    }


# ---- shells ----
@pytest.mark.parametrize("name", RC)
def test_shells(home, folders, name, capsys):
    shell(name)
    before = tree(home)
    assert main(["activate", "shell", "--shell", name]) == 0
    assert f"write {home / RC[name]}" in capsys.readouterr().out
    other = os.pathsep.join(["/a b", folders.defaults[1]])
    for old, expected in (
        (None, folders.value),  # HDF5's own folders are kept
        (other, os.pathsep.join([folders.ours, other, *folders.others])),
        (folders.value, folders.value),
        (folders.after("/x"), folders.after("/x")),
    ):
        assert printed(name, "SHOW", old=old, startup=True) == [[expected]], old
        assert folders.after(old or "") == expected
    done = subprocess.run([name, "-i"], input=b"echo input is left alone\n", capture_output=True, timeout=60)
    assert b"input is left alone" in done.stdout
    after = tree(home)
    assert main(["activate", "shell", "--shell", name]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {k: v for k, v in tree(home).items() if "arraycodec" in k or "rc" in k} == {
        k: v for k, v in after.items() if "arraycodec" in k or "rc" in k
    }
    assert main(["activate", "shell", "--shell", name, "--undo"]) == 0
    for made in set(tree(home)) - set(before):  # what the shells made themselves
        assert "arraycodec" not in made and RC[name] not in made


@pytest.mark.parametrize("name", ["bash", "zsh"])
@pytest.mark.parametrize("text", [b"", b"alias x=y\n", b"alias x=y", b"\xff\xfe latin\r\n\n\n", b"\n"])
def test_undo_is_exact(home, folders, name, text):
    rc = home / RC[name]
    rc.write_bytes(text)
    rc.chmod(0o640)
    before = tree(home)
    arguments = ["activate", "shell", "--shell", name]
    assert main([*arguments, "--undo"]) == 0 and tree(home) == before
    assert main([*arguments, "--dry-run"]) == 0 and tree(home) == before
    assert main(arguments) == 0
    assert rc.read_bytes().startswith(text) and rc.stat().st_mode & 0o777 == 0o640
    after = tree(home)
    assert main(arguments) == 0 and tree(home) == after
    assert main([*arguments, "--undo", "--dry-run"]) == 0 and tree(home) == after
    assert main([*arguments, "--undo"]) == 0 and tree(home) == before


@pytest.mark.parametrize("name", RC)
def test_files_that_were_not_there_go(home, folders, name):
    assert main(["activate", "shell", "--shell", name]) == 0 and (home / RC[name]).is_file()
    assert main(["activate", "shell", "--shell", name, "--undo"]) == 0 and tree(home) == {}


def test_what_others_write_later_stays(home, folders, monkeypatch):
    rc = home / ".bashrc"
    for first in (None, b"one"):
        if first:
            rc.write_bytes(first)
        main(["activate", "shell", "--shell", "bash"])
        rc.write_bytes(rc.read_bytes() + b"two\n")
        monkeypatch.setattr(hdf5, "_netcdf4_folder", lambda: None)  # an update in its place
        main(["activate", "shell", "--shell", "bash"])
        assert rc.read_bytes().endswith(b"<<<\ntwo\n") and folders.others[0].encode() not in rc.read_bytes()
        main(["activate", "shell", "--shell", "bash", "--undo"])
        assert rc.read_bytes() == (b"one\n" if first else b"") + b"two\n"
        rc.unlink()


def test_links_stay(home, folders):
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "bashrc").write_text("x=1\n")
    (home / ".bashrc").symlink_to("dotfiles/bashrc")
    main(["activate", "shell", "--shell", "bash"])
    assert (home / ".bashrc").is_symlink() and "arraycodec" in (home / "dotfiles" / "bashrc").read_text()
    main(["activate", "shell", "--shell", "bash", "--undo"])
    assert (home / ".bashrc").is_symlink() and (home / "dotfiles" / "bashrc").read_text() == "x=1\n"


def test_the_users_shell(home, folders, monkeypatch, capsys):
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    monkeypatch.setenv("ZDOTDIR", str(home / "z"))
    (home / "z").mkdir()
    assert main(["activate", "shell"]) == 0 and (home / "z" / ".zshrc").is_file()
    for name in ("/bin/tcsh", ""):
        monkeypatch.setenv("SHELL", name)
        assert main(["activate", "shell"]) == 2
        assert f"bash, zsh, fish, not for {'tcsh' if name else 'an unknown shell'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "# >>> arraycodec >>>\nx\n", "x\n# <<< arraycodec <<<\n",
        2 * "# >>> arraycodec >>>\n# <<< arraycodec <<<\n",
    ],
)  # fmt: skip
def test_broken_marks_are_left_alone(home, folders, text, capsys):
    (home / ".bashrc").write_text(text)
    for more in ([], ["--undo"]):
        assert main(["activate", "shell", "--shell", "bash", *more]) == 2
        assert "marks of arraycodec that are not a pair" in capsys.readouterr().err
        assert (home / ".bashrc").read_text() == text


def test_files_of_others_are_left_alone(home, folders, capsys):
    path = home / RC["fish"]
    path.parent.mkdir(parents=True)
    path.write_text("set x 1\n")
    for more in ([], ["--undo"]):
        assert main(["activate", "shell", "--shell", "fish", *more]) == 2
        assert "is not of arraycodec" in capsys.readouterr().err
    assert path.read_text() == "set x 1\n"


def test_folders_that_cannot_be_in_it(home, folders, tmp_path, monkeypatch, capsys):
    for name, message in (("a:b", "has a ':' in it"), ("a\nb", "it has a line break")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(hdf5, "plugin_path", lambda name=name: str(tmp_path / name))
        assert main(["activate", "shell", "--shell", "bash"]) == 2
        assert message in capsys.readouterr().err and tree(home) == {}


def test_what_cannot_be_written(home, folders, capsys):
    (home / ".bashrc").mkdir()
    assert main(["activate", "shell", "--shell", "bash"]) == 2
    assert "cannot read" in capsys.readouterr().err


# ---- environments ----
@pytest.fixture
def environment_of(tmp_path, monkeypatch):
    """A virtual environment, which this Python believes to be its own."""
    folder = tmp_path / "an environment"
    venv.create(folder, symlinks=True, with_pip=False)
    monkeypatch.setattr(sys, "prefix", str(folder))
    return folder


@pytest.mark.parametrize("name", RC)
@pytest.mark.parametrize("old", [None, "/x y"])
def test_venv(home, folders, environment_of, name, old, capsys):
    before = tree(environment_of)
    assert main(["activate", "venv"]) == 0
    assert main(["activate", "venv"]) == 0 and "nothing to do" in capsys.readouterr().out
    script = f'. "{environment_of}/bin/activate{".fish" if name == "fish" else ""}"'
    was, now = ([] if old is None else [old]), [folders.after(old or "")]
    steps = ["SHOW", script, "SHOW", script, "SHOW", "deactivate", "SHOW", script, "SHOW", "deactivate", "SHOW"]
    found = printed(name, "; ".join(steps), old=old)
    assert found == [was, now, now, was, now, was]
    assert main(["activate", "venv", "--undo"]) == 0 and tree(environment_of) == before


def test_venv_in_plain_sh(home, folders, environment_of):
    """Whatever it is, it has no functions to copy: the variable is set, and stays."""
    main(["activate", "venv"])
    script = f'. "{environment_of}/bin/activate"; printf %s "${VARIABLE}"'
    done = subprocess.run(["/bin/sh", "-c", script], env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (folders.value, "")


def test_no_venv(home, folders, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert main(["activate", "venv"]) == 2 and "in no virtual environment" in capsys.readouterr().err
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert main(["activate", "venv"]) == 2 and "has no activate" in capsys.readouterr().err


@pytest.mark.parametrize("name", RC)
@pytest.mark.parametrize("old", [None, "/x y"])
def test_conda(home, folders, tmp_path, monkeypatch, name, old):
    """What `conda activate` and `conda deactivate` source."""
    prefix = tmp_path / "conda environment"
    (prefix / "etc").mkdir(parents=True)
    before = tree(prefix)
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    assert main(["activate", "conda"]) == 0
    after = tree(prefix)
    assert main(["activate", "conda"]) == 0 and tree(prefix) == after
    suffix = "fish" if name == "fish" else "sh"
    on, off = (f'. "{prefix}/etc/conda/{folder}.d/arraycodec.{suffix}"' for folder in ("activate", "deactivate"))
    was, now = ([] if old is None else [old]), [folders.after(old or "")]
    assert printed(name, f"{on}; SHOW; {off}; SHOW; {on}; SHOW; {off}; SHOW", old=old) == [now, was, now, was]
    assert main(["activate", "conda", "--undo"]) == 0 and tree(prefix) == before


def test_no_conda(home, folders, capsys):
    assert main(["activate", "conda"]) == 2 and "conda activate NAME first" in capsys.readouterr().err


# ---- Jupyter ----
def kernel(folder, name, spec, **style):
    path = folder / "share" / "jupyter" / "kernels" / name / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(spec if isinstance(spec, str) else json.dumps(spec, **style))
    return path


def test_jupyter(home, folders, environment_of, monkeypatch, tmp_path):
    argv = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    ours = {
        kernel(environment_of, "python3", {"argv": ["python", *argv], "display_name": "P", "language": "p"}, indent=1),
        kernel(environment_of, "other", {"metadata": {"debugger": True}, "argv": [f"{environment_of}/bin/python3.11"],
                                         "env": {"A": "b", VARIABLE: "/k"}}, indent=4),
        kernel(environment_of, "short", '{"argv": ["python"], "env": {}, "display_name": "\u00e9"}\n'),
        kernel(home / ".local", "mine", {"argv": [f"{environment_of}/bin/python", *argv], "env": {"C": "d"}}),
    }  # fmt: skip
    kernel(environment_of, "R", {"argv": ["R"]})
    kernel(home / ".local", "system", {"argv": ["/usr/bin/python3"]})
    kernel(home / ".local", "bare", {"argv": ["python"]})
    kernel(home / ".local", "broken", '{"argv": [')
    kernel(home / ".local", "odd", '{"argv": [], "env": 5}')
    kernel(environment_of, "strange", '{"argv": ["python"], "env": 5}')
    before = tree(tmp_path)
    assert main(["activate", "jupyter", "--dry-run"]) == 0 and tree(tmp_path) == before
    assert main(["activate", "jupyter"]) == 0
    after = tree(tmp_path)
    assert {tmp_path / name for name in after if after[name] != before[name]} == ours
    for path in ours:
        old = json.loads(before[str(path.relative_to(tmp_path))][0])
        new = json.loads(path.read_text())
        expected = folders.after("/k") if path.parent.name == "other" else folders.value
        assert new["env"] == {**old.get("env", {}), VARIABLE: expected}
        same = ("argv", "display_name", "language")
        assert {k: new.get(k) for k in same} == {k: old.get(k) for k in same}
        assert new["metadata"].get("debugger") == old.get("metadata", {}).get("debugger")
    assert main(["activate", "jupyter"]) == 0 and tree(tmp_path) == after
    monkeypatch.setenv(VARIABLE, "/server")  # an update forgets nothing
    assert main(["activate", "jupyter"]) == 0
    new = {path.parent.name: json.loads(path.read_text())["env"][VARIABLE] for path in ours}
    assert new["python3"] == folders.after("/server") and new["other"] == folders.after("/k")
    assert main(["activate", "jupyter", "--undo"]) == 0 and tree(tmp_path) == before
    assert main(["activate", "jupyter", "--undo"]) == 0 and tree(tmp_path) == before


def test_a_kernel_that_was_changed_since(home, folders, environment_of):
    path = kernel(environment_of, "python3", {"argv": ["python"]})
    main(["activate", "jupyter"])
    spec = json.loads(path.read_text())
    spec["env"]["NEW"] = "1"
    path.write_text(json.dumps(spec))
    main(["activate", "jupyter", "--undo"])
    assert json.loads(path.read_text()) == {"argv": ["python"], "env": {"NEW": "1"}}


def test_no_kernels(home, folders, environment_of, capsys):
    assert main(["activate", "jupyter"]) == 2 and "ipykernel install --sys-prefix" in capsys.readouterr().err
    assert main(["activate", "jupyter", "--undo"]) == 0 and "nothing to undo" in capsys.readouterr().out


def test_a_kernel_starts_with_it(home, folders, environment_of, monkeypatch):
    """By Jupyter's own reader of kernels."""
    manager = pytest.importorskip("jupyter_client.kernelspec").KernelSpecManager
    kernel(environment_of, "python3", {"argv": ["python"], "display_name": "P", "language": "python"}, indent=1)
    main(["activate", "jupyter"])
    specs = manager(kernel_dirs=[str(environment_of / "share" / "jupyter" / "kernels")])
    assert specs.get_kernel_spec("python3").env == {VARIABLE: folders.value}


# ---- what is only printed ----
def test_module(home, folders, capsys):
    """The modulefile in the words of Tcl, by Tcl where there is one."""
    assert main(["activate", "module"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#%Module")
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()
    calls = []
    tcl.createcommand("prepend-path", lambda *words: calls.append(("prepend", *words)))
    tcl.createcommand("append-path", lambda *words: calls.append(("append", *words)))
    tcl.createcommand("module-whatis", lambda *words: None)
    tcl.eval(text)
    assert calls == [("prepend", VARIABLE, folders.ours)] + [
        ("append", VARIABLE, folder) for folder in [*folders.defaults, *folders.others]
    ]


def test_env(home, folders, capsys):
    assert main(["activate", "env"]) == 0
    assert capsys.readouterr().out == f"{VARIABLE}={folders.value}\n"
    for target in ("env", "module"):
        for option in ("--undo", "--dry-run"):
            assert main(["activate", target, option]) == 2 and "writes nothing" in capsys.readouterr().err
    assert main(["activate", "venv", "--shell", "bash"]) == 2 and "--shell bash is for" in capsys.readouterr().err
    assert main(["activate", "windows"]) == 2 and tree(home) == {}


def test_folders_of_this_installation():
    found = activate.find_folders()
    assert found.ours == hdf5.plugin_path() and os.path.isfile(os.path.join(found.ours, hdf5._PLUGIN))
    assert found.defaults == hdf5._default_folders()
