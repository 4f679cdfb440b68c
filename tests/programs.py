"""Programs that know nothing of this package, and find the HDF5 plugin by HDF5_PLUGIN_PATH alone."""

import importlib.util
import os
import subprocess
import sys

import pytest


def environment(plugin_path=None):
    """Our environment with HDF5_PLUGIN_PATH as given (None: not set), and without Python's warnings."""
    env = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
    return {**env, "PYTHONWARNINGS": "ignore", **({"HDF5_PLUGIN_PATH": plugin_path} if plugin_path else {})}


def need_netcdf4():
    if importlib.util.find_spec("netCDF4") is None:
        pytest.skip("netCDF4 is not installed")


def run(*command, cwd, plugin_path=None):
    """Run a program; its output.  It must succeed and print nothing on stderr."""
    done = subprocess.run(command, cwd=cwd, env=environment(plugin_path), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), f"{command[0]}: {done.returncode}\n{done.stderr[-5000:]}"
    return done.stdout


def python(code, *args, cwd, plugin_path=None):
    return run(sys.executable, "-c", code, *map(str, args), cwd=cwd, plugin_path=plugin_path)
