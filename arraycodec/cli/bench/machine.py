"""Where and how something was measured: the header of every CSV."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ... import __version__
from ..._core import isa


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe(command: list[str], versions: dict[str, str]) -> dict[str, str]:
    """Machine, system, versions, date and command line, by name.

    Parameters
    ----------
    command : list of str
        Arguments of ``arraycodec``.
    versions : dict
        Codec to version; empty values are left out.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    header = {
        "machine": processor(),
        "cores": str(cores),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "arraycodec": f"{__version__}, {isa()}",
        "numpy": np.__version__,
        "date": date.today().isoformat(),
        "command": shlex.join(["arraycodec", *(command or sys.argv[1:])]),
    }
    return header | {f"version of {codec}": text for codec, text in versions.items() if text}


def installed(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
