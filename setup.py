"""Build: one C core, compiled once into the Cython module and once into the HDF5 filter plugin.

Metadata is in pyproject.toml.  The plugin is a plain shared library without Python symbols and
without a link to libhdf5; HDF5 finds it by its name (lib*.so) in arraycodec/plugins.
"""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = sorted(glob("ext/core/*.c") + glob("ext/simd/*.c"))
HEADERS = sorted(glob("ext/*.h") + glob("ext/*/*.h") + glob("ext/python/*.pxd"))

# The guarantee rests on IEEE arithmetic as written: no contraction into FMA, never -ffast-math,
# and no -march=native (instruction sets are chosen at run time).  -fno-fast-math and its parts undo
# what CFLAGS of the environment may have put before them; quantize.h refuses what is left.
CFLAGS = [
    *("-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off"),
    *("-fno-fast-math", "-fno-finite-math-only", "-fsigned-zeros", "-fno-associative-math", "-fno-reciprocal-math"),
    # elements are moved as integers of their size, whatever they are
    *("-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-pthread"),
]

# HDF5 unloads its plugins.  Ours stays mapped: its threads keep scratch (ext/core/scratch.c).  Apple's
# linker has no such option.
NEVER_UNLOADED = [] if sys.platform == "darwin" else ["-Wl,-z,nodelete"]

PLUGIN = "libh5arraycodec"

core = Extension(
    "arraycodec._core",
    ["ext/python/_core.pyx", *CORE],
    include_dirs=["ext", "ext/python"],
    depends=HEADERS,
    extra_compile_args=CFLAGS,
    extra_link_args=["-pthread"],
)
plugin = Extension(
    f"arraycodec.plugins.{PLUGIN}",
    [*sorted(glob("ext/hdf5/*.c")), *CORE],
    include_dirs=["ext"],
    depends=HEADERS,
    extra_compile_args=[*CFLAGS, "-Wall", "-Wextra"],
    extra_link_args=["-pthread", *NEVER_UNLOADED],
    libraries=["dl"] if sys.platform.startswith("linux") else [],
)


class BuildExt(build_ext):
    """Gives the plugin the name HDF5 looks for, and no Python entry point."""

    def run(self):
        if self.inplace:  # also an editable install; setuptools copies into it without making it
            os.makedirs("arraycodec/plugins", exist_ok=True)
        super().run()

    def get_ext_filename(self, fullname):
        filename = super().get_ext_filename(fullname)
        if fullname.rpartition(".")[2] != PLUGIN:  # setuptools may pass the last part only
            return filename
        return os.path.join(os.path.dirname(filename), PLUGIN + (".dylib" if sys.platform == "darwin" else ".so"))

    def get_export_symbols(self, ext):
        if ext.name.endswith(PLUGIN):
            return ["H5PLget_plugin_type", "H5PLget_plugin_info"]
        return super().get_export_symbols(ext)


setup(
    ext_modules=[*cythonize([core], include_path=["ext/python"]), plugin],
    cmdclass={"build_ext": BuildExt},
)
