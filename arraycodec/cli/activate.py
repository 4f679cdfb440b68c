"""HDF5_PLUGIN_PATH for every program of a shell, an environment or a kernel, written where its owner asks for it.

A target is planned first, as changes of files, then shown or made.  Whatever is written can be recognized as ours, and
undoing takes exactly that away: a marked block in a file of others, a file of its own, two entries of a kernel's JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import hdf5
from .console import Console
from .model import CommandError

VARIABLE = "HDF5_PLUGIN_PATH"
SHELLS = ("bash", "zsh", "fish")
TARGETS = ("shell", "venv", "conda", "jupyter", "module", "env")

_BEGIN, _END = "# >>> arraycodec{} >>>", "# <<< arraycodec <<<"
_BLOCK = re.compile(rb"# >>> arraycodec( \([a-z ]+\))? >>>\n.*?# <<< arraycodec <<<\n", re.S)
#: What is said in the first line of a block, so that what was there before can be made again.
_NEW_FILE, _NEW_LINE = " (new file)", " (new line)"
_OWN = "# written by `arraycodec activate {}`, and removed by `arraycodec activate {} --undo`\n"
_MADE = "# folders made for it: "


@dataclass
class Folders:
    """What the variable consists of."""

    ours: str
    defaults: list[str]  # where HDF5 looks while the variable is not set
    others: list[str]  # netCDF4's own, which it adds only while the variable is not set

    @property
    def value(self) -> str:
        """For where nothing is known of an earlier value."""
        return os.pathsep.join([self.ours, *self.defaults, *self.others])

    def after(self, old: str) -> str:
        """What an earlier value becomes."""
        parts = [part for part in old.split(os.pathsep) if part] or self.defaults
        before = [] if self.ours in parts else [self.ours]
        return os.pathsep.join([*before, *parts, *(folder for folder in self.others if folder not in parts)])


@dataclass
class Change:
    """A file as it is to be; None: it is to go."""

    path: Path
    content: bytes | None
    folders: tuple[Path, ...] = ()  # with it, if they are empty then


def activate(target: str, undo: bool, dry_run: bool, shell: str | None, console: Console) -> None:
    """Do what the command is asked for.

    Parameters
    ----------
    target : {"shell", "venv", "conda", "jupyter", "module", "env"}
    undo : bool
        Take it away again.
    dry_run : bool
        Only show the changes.
    shell : str, optional
        One of `SHELLS`, for the target "shell"; without it the user's.
    console : Console

    Raises
    ------
    CommandError
        If there is no such shell, environment or kernel, or a file is not as we left it; nothing has been written then.
    """
    if shell is not None and target != "shell":
        raise CommandError(f"--shell {shell} is for `activate shell`, not for {target}")
    folders = find_folders()
    if target in ("module", "env"):
        if undo or dry_run:
            raise CommandError(f"`activate {target}` writes nothing: it prints, and takes neither --undo nor --dry-run")
        console.say(_module(folders) if target == "module" else f"{VARIABLE}={folders.value}")
        return
    plan: dict[str, Callable[[Folders, bool], list[Change]]] = {
        "shell": lambda folders, undo: _shell(folders, undo, shell),
        "venv": _venv,
        "conda": _conda,
        "jupyter": _jupyter,
    }
    changes = plan[target](folders, undo)
    if not changes:
        console.say("nothing to undo" if undo else "nothing to do: it is there already")
    for change in changes:
        _show(change, dry_run, console)
        if not dry_run:
            _apply(change)
    if changes and not undo and not dry_run:
        console.say(f"new programs find the plugin; `arraycodec activate {target} --undo` takes this back")


def find_folders() -> Folders:
    """The folders of this installation, by the rules of `import arraycodec`."""
    found = hdf5._netcdf4_folder()
    folders = Folders(hdf5.plugin_path(), hdf5._default_folders(), [found] if found else [])
    for folder in folders.value.split(os.pathsep):
        if not os.path.isdir(folder):
            raise CommandError(f"{folder!r} cannot be in {VARIABLE}: no folder, or its name has a {os.pathsep!r} in it")
    if "\n" in folders.value:
        raise CommandError(f"{folders.value!r} cannot be written into a script: it has a line break")
    return folders


# ---- files ----
def _show(change: Change, dry_run: bool, console: Console) -> None:
    would = "would " if dry_run else ""
    if change.content is None:
        console.say(f"{would}remove {change.path}")
        return
    old = _read(change.path)
    console.say(f"{would}{'write' if old is None else 'change'} {change.path}")
    if dry_run:
        lines = [(text or b"").decode(errors="replace").splitlines() for text in (old, change.content)]
        for line in list(difflib.unified_diff(*lines, lineterm="", n=0))[2:]:
            if line[0] in "+-":
                console.say(f"    {line}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise CommandError(f"cannot read {path}: {e}") from None


def _apply(change: Change) -> None:
    path = Path(os.path.realpath(change.path))  # a symbolic link stays
    try:
        if change.content is None:
            path.unlink(missing_ok=True)
            for folder in change.folders:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            temporary.write_bytes(change.content)
            if path.exists():
                shutil.copymode(path, temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as e:
        raise CommandError(f"cannot write {path}: {e}") from None


def _with_block(path: Path, lines: Iterable[str] | None) -> list[Change]:
    """A file of others with a block of ours at its end, or where it was; without it if there are no lines."""
    old = _read(path)
    content = old or b""
    blocks = list(_BLOCK.finditer(content))
    rest = _BLOCK.sub(b"", content)
    if len(blocks) > 1 or b"# >>> arraycodec" in rest or _END.encode() in rest:
        raise CommandError(f"{path} has marks of arraycodec that are not a pair: look there, and remove them")
    if not blocks:
        if lines is None:
            return []
        how = _NEW_FILE if old is None else _NEW_LINE if content and not content.endswith(b"\n") else ""
        start = len(content)
        end = start
    else:
        start, end = blocks[0].span()
        how = (blocks[0][1] or b"").decode()
    if lines is None:
        is_last = end == len(content)
        new = content[: start - 1] if how == _NEW_LINE and is_last else content[:start] + content[end:]
        return [Change(path, None if how == _NEW_FILE and not new else new)]
    text = "".join([_BEGIN.format(how), "\n", *(line + "\n" for line in lines), _END, "\n"])
    between = b"\n" if how == _NEW_LINE and not blocks else b""
    new = content[:start] + between + text.encode() + content[end:]
    return [] if new == old else [Change(path, new)]


def _own_file(path: Path, target: str, text: str | None) -> list[Change]:
    """A file that is ours alone; removed if there is no text."""
    mark = _OWN.format(target, target)
    old = _read(path)
    if old is not None and not old.startswith(mark.encode()):
        raise CommandError(f"{path} is not of arraycodec: it is left alone")
    made = [parent for parent in path.parents if not parent.is_dir()]
    if old is not None:
        line = old.decode(errors="surrogateescape").splitlines()[1:2]
        made = [Path(p) for p in json.loads(line[0][len(_MADE) :])] if line and line[0].startswith(_MADE) else []
    if text is None:
        return [] if old is None else [Change(path, None, tuple(made))]
    names = f"{_MADE}{json.dumps([str(folder) for folder in made])}\n"
    new = (mark + names + text).encode(errors="surrogateescape")
    return [] if new == old else [Change(path, new)]


# ---- in the language of shells ----
def _sh(folders: Folders) -> list[str]:
    """For sh, bash and zsh: what was there is kept, and said once."""
    defaults = shlex.quote(os.pathsep.join(folders.defaults)) if folders.defaults else ""
    lines = [f"_arraycodec_path=${{{VARIABLE}:-{defaults}}}"]
    ours = shlex.quote(folders.ours)
    lines += [
        f'case ":$_arraycodec_path:" in *:{ours}:*) ;; '
        f"*) _arraycodec_path={ours}${{_arraycodec_path:+:$_arraycodec_path}} ;; esac"
    ]
    for folder in map(shlex.quote, folders.others):
        lines += [
            f'case ":$_arraycodec_path:" in *:{folder}:*) ;; *) _arraycodec_path=$_arraycodec_path:{folder} ;; esac'
        ]
    return [*lines, f'export {VARIABLE}="$_arraycodec_path"', "unset _arraycodec_path"]


# An environment may be activated twice before it is deactivated.
_SH_SAVE = [
    'if [ -z "${_arraycodec_was-}" ]; then',
    f"    _arraycodec_was=${{{VARIABLE}+set}}",
    "    _arraycodec_was=${_arraycodec_was:-unset}",
    f"    _arraycodec_old=${{{VARIABLE}-}}",
    "fi",
]
_SH_RESTORE = [
    f'if [ "${{_arraycodec_was-}}" = set ]; then export {VARIABLE}="$_arraycodec_old"; else unset {VARIABLE}; fi',
    "unset _arraycodec_was _arraycodec_old",
]


def _fish(folders: Folders) -> list[str]:
    def quoted(folder: str) -> str:
        return "'" + folder.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [f'set -l _arraycodec_path (string split -n : -- "${VARIABLE}")']  # quoted, or it might read the input
    if folders.defaults:
        lines += [f'test -n "$_arraycodec_path"; or set _arraycodec_path {" ".join(map(quoted, folders.defaults))}']
    ours = quoted(folders.ours)
    lines += [f"contains -- {ours} $_arraycodec_path; or set _arraycodec_path {ours} $_arraycodec_path"]
    for folder in map(quoted, folders.others):
        lines += [f"contains -- {folder} $_arraycodec_path; or set _arraycodec_path $_arraycodec_path {folder}"]
    return [*lines, f"set -gx {VARIABLE} (string join : -- $_arraycodec_path)"]


_FISH_SAVE = [
    "if not set -q _arraycodec_was",
    f"    set -g _arraycodec_was (set -q {VARIABLE}; and echo set; or echo unset)",
    f'    set -g _arraycodec_old "${VARIABLE}"',
    "end",
]
_FISH_RESTORE = [
    f'if test "$_arraycodec_was" = set; set -gx {VARIABLE} $_arraycodec_old; else; set -e {VARIABLE}; end',
    "set -e _arraycodec_was",
    "set -e _arraycodec_old",
]


def _module(folders: Folders) -> str:
    """A modulefile, which Environment Modules and Lmod read."""

    def quoted(text: str) -> str:
        return "{" + text + "}" if re.fullmatch(r"[^\\{}]*", text) else re.sub(r"([^\w/.:-])", r"\\\1", text)

    kept = [f"append-path {VARIABLE} {quoted(folder)}" for folder in [*folders.defaults, *folders.others]]
    return "\n".join([
        "#%Module1.0",
        "module-whatis {the HDF5 filter of arraycodec, for programs that use HDF5 or netCDF}",
        f"prepend-path {VARIABLE} {quoted(folders.ours)}",
        *kept,
    ])  # fmt: skip


# ---- targets ----
def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as e:
        raise CommandError(f"where is your home folder? {e}") from None


def _shell(folders: Folders, undo: bool, shell: str | None) -> list[Change]:
    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in SHELLS:
        raise CommandError(f"for {', '.join(SHELLS)}, not for {name or 'an unknown shell'}: give --shell, or set "
                           f"{VARIABLE}={folders.value}")  # fmt: skip
    if name == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")
        text = "".join(line + "\n" for line in _fish(folders))
        return _own_file(config / "fish" / "conf.d" / "arraycodec.fish", "shell", None if undo else text)
    home = Path(os.environ.get("ZDOTDIR") or _home()) if name == "zsh" else _home()
    return _with_block(home / f".{name}rc", None if undo else _sh(folders))


def _venv(folders: Folders, undo: bool) -> list[Change]:
    """The scripts that activate a virtual environment; they also make what deactivates it."""
    if sys.prefix == sys.base_prefix:
        raise CommandError(f"{sys.executable} is in no virtual environment: run the arraycodec of one")
    sh = [
        *_SH_SAVE, *_sh(folders), 'if [ -n "${BASH_VERSION-}${ZSH_VERSION-}" ]; then',
        '    eval "_arraycodec_$(declare -f deactivate)"', "    deactivate () {",
        *("        " + line for line in _SH_RESTORE), '        _arraycodec_deactivate "$@"',
        "        unset -f _arraycodec_deactivate", "    }", "fi",
    ]  # fmt: skip
    fish = [
        *_FISH_SAVE, *_fish(folders), "functions -e _arraycodec_deactivate",
        "functions -c deactivate _arraycodec_deactivate",
        "function deactivate", *("    " + line for line in _FISH_RESTORE), "    _arraycodec_deactivate $argv",
        "    functions -e _arraycodec_deactivate", "end",
    ]  # fmt: skip
    scripts = Path(sys.prefix) / "bin"
    found = [(scripts / name, lines) for name, lines in (("activate", sh), ("activate.fish", fish))
             if (scripts / name).is_file()]  # fmt: skip
    if not found:
        raise CommandError(f"{scripts} has no activate: was the environment made by venv or virtualenv?")
    return [change for path, lines in found for change in _with_block(path, None if undo else lines)]


def _conda(folders: Folders, undo: bool) -> list[Change]:
    prefix = os.environ.get("CONDA_PREFIX")
    if not prefix or not os.path.isdir(prefix):
        raise CommandError("no conda environment is active (CONDA_PREFIX): conda activate NAME first")
    scripts = {
        "activate.d/arraycodec.sh": [*_SH_SAVE, *_sh(folders)],
        "deactivate.d/arraycodec.sh": _SH_RESTORE,
        "activate.d/arraycodec.fish": [*_FISH_SAVE, *_fish(folders)],
        "deactivate.d/arraycodec.fish": _FISH_RESTORE,
    }
    return [
        change
        for name, lines in scripts.items()
        for change in _own_file(
            Path(prefix) / "etc" / "conda" / name, "conda", None if undo else "".join(line + "\n" for line in lines)
        )
    ]


# ---- Jupyter ----
def _kernels() -> list[tuple[Path, dict[str, Any], bytes]]:
    """The kernels that run the Python of this environment: where they are, and what they say."""
    own = Path(sys.prefix) / "share" / "jupyter" / "kernels"
    usual = "Library/Jupyter" if sys.platform == "darwin" else ".local/share/jupyter"
    user = Path(os.environ.get("JUPYTER_DATA_DIR") or _home() / usual) / "kernels"
    found = []
    for folder in (own, user):
        for path in sorted(folder.glob("*/kernel.json")):
            text = _read(path) or b""
            try:
                spec = json.loads(text)
                program = str(spec["argv"][0])
                if not isinstance(spec.get("env", {}), dict) or not isinstance(spec.get("metadata", {}), dict):
                    continue
            except (ValueError, LookupError, TypeError, AttributeError):
                continue  # Jupyter cannot use it, either
            is_bare = folder == own and re.fullmatch(r"python[0-9.]*", program)
            if is_bare or Path(program).parent == Path(sys.prefix) / "bin":
                found.append((path, spec, text))
    return found


def _jupyter(folders: Folders, undo: bool) -> list[Change]:
    kernels = _kernels()
    if not kernels and not undo:
        raise CommandError(f"no kernel runs {sys.prefix}: python -m ipykernel install --sys-prefix makes one")
    changes = []
    for path, spec, text in kernels:
        new = _without(spec) if undo else _with(spec, folders)
        if new != spec:
            changes.append(Change(path, _as_written(new, spec, text)))
    return changes


def _with(spec: dict[str, Any], folders: Folders) -> dict[str, Any]:
    """A kernel with the variable, and in its metadata what was there before."""
    spec = _without(spec)
    old = spec.get("env", {}).get(VARIABLE)
    was = {VARIABLE: old, "made": [name for name in ("env", "metadata") if name not in spec]}
    base = os.environ.get(VARIABLE, "") if old is None else str(old)
    return {
        **spec,
        "env": {**spec.get("env", {}), VARIABLE: folders.after(base)},
        "metadata": {**spec.get("metadata", {}), "arraycodec": was},
    }


def _without(spec: dict[str, Any]) -> dict[str, Any]:
    was = spec.get("metadata", {}).get("arraycodec")
    if not isinstance(was, dict):
        return spec
    metadata = {key: value for key, value in spec["metadata"].items() if key != "arraycodec"}
    env = dict(spec.get("env", {}))
    if was.get(VARIABLE) is None:
        env.pop(VARIABLE, None)
    else:
        env[VARIABLE] = was[VARIABLE]
    new = {**spec, "env": env, "metadata": metadata}
    for name in was.get("made", []):
        if name in new and not new[name]:
            del new[name]
    return new


def _as_written(new: dict[str, Any], old: dict[str, Any], text: bytes) -> bytes:
    """JSON in the form of what was there."""
    end = text[len(text.rstrip()) :]
    for indent in (1, 2, 4, "\t", None):
        for ascii_only in (True, False):
            if json.dumps(old, indent=indent, ensure_ascii=ascii_only).encode() == text.rstrip():
                return json.dumps(new, indent=indent, ensure_ascii=ascii_only).encode() + end
    return json.dumps(new, indent=1).encode() + b"\n"
