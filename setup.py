"""Build: one C core, compiled once, in parallel, and linked into the Cython module and into the HDF5 filter plugin,
which has small libraries beside it; and the entropy coders, a library of their own, linked into a second Cython module.

Metadata is in pyproject.toml.  The plugin is a plain shared library without Python symbols and
without a link to libhdf5; HDF5 finds it by its name (lib*.so) in arraycodec/plugins.
"""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = sorted(glob("ext/core/*.c") + glob("ext/simd/*.c"))
CODERS = sorted(glob("ext/coders/*.c"))
HEADERS = sorted(glob("ext/*.h") + glob("ext/*/*.h") + glob("ext/python/*.pxd"))

# The guarantee rests on IEEE arithmetic as written: no contraction into FMA, never -ffast-math,
# and no -march=native (instruction sets are chosen at run time).  -fno-fast-math and its parts undo
# what CFLAGS of the environment may have put before them; quantize.h refuses what is left.
CFLAGS = [
    *("-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off"),
    *("-fno-fast-math", "-fno-finite-math-only", "-fsigned-zeros", "-fno-associative-math", "-fno-reciprocal-math"),
    # elements are moved as integers of their size, whatever they are
    *("-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-pthread"),
    *("-Wall", "-Wextra"),
]
# of what Cython makes, where no time is spent
WRAPPER_CFLAGS = ["-std=gnu11", "-O1", "-fvisibility=hidden", "-pthread"]

# ARRAYCODEC_SANITIZE=1: with AddressSanitizer and UndefinedBehaviorSanitizer, for the tests (docs/contributing.md)
SANITIZE = []
if os.environ.get("ARRAYCODEC_SANITIZE") == "1":
    SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1"]
    CFLAGS += ["-O1", *SANITIZE]

# HDF5 unloads its plugins.  Ours stays mapped: its threads keep scratch (ext/core/scratch.c).  Apple's
# linker has no such option.
NEVER_UNLOADED = [] if sys.platform == "darwin" else ["-Wl,-z,nodelete"]

PLUGIN = "libh5arraycodec"

# One wheel for all versions of CPython from 3.11 on, by its stable ABI; builds without the GIL have none yet.
IS_STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")
STABLE = {"py_limited_api": True, "define_macros": [("Py_LIMITED_API", "0x030B0000")]} if IS_STABLE else {}

core = Extension(
    "arraycodec._core",
    ["ext/python/_core.pyx"],
    include_dirs=["ext", "ext/python"],
    depends=[*HEADERS, *CORE],
    extra_compile_args=WRAPPER_CFLAGS,
    extra_link_args=["-pthread", *SANITIZE],
    **STABLE,
)
coders = Extension(
    "arraycodec._coders",
    ["ext/python/_coders.pyx"],
    include_dirs=["ext"],
    depends=[*HEADERS, *CODERS],
    extra_compile_args=WRAPPER_CFLAGS,
    extra_link_args=["-pthread", *SANITIZE],
    **STABLE,
)
plugin = Extension(
    f"arraycodec.plugins.{PLUGIN}",
    sorted(glob("ext/hdf5/*.c")),
    include_dirs=["ext"],
    depends=[*HEADERS, *CORE],
    extra_compile_args=CFLAGS,
    extra_link_args=["-pthread", *SANITIZE, *NEVER_UNLOADED],
    libraries=["dl"] if sys.platform.startswith("linux") else [],
)
# the plugin by other names, which netCDF's NCZarr wants in libraries of their own (ext/hdf5/ncz_sibling.h)
siblings = [
    Extension(
        f"arraycodec.plugins.{PLUGIN}_{os.path.basename(source)[:-2]}",
        [source],
        depends=HEADERS,
        extra_compile_args=CFLAGS,
        extra_link_args=["-pthread", *SANITIZE],
        libraries=["dl"] if sys.platform.startswith("linux") else [],
    )
    for source in sorted(glob("ext/hdf5/siblings/*.c"))
]


class BuildExt(build_ext):
    """Compiles core and coders, and gives the plugin the name HDF5 looks for, and no Python entry point."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count() or 1

    def run(self):
        if self.inplace:  # also an editable install; setuptools copies into it without making it
            os.makedirs("arraycodec/plugins", exist_ok=True)
        super().run()

    def build_extensions(self):
        with ThreadPoolExecutor(int(self.parallel)) as threads:
            largest_first = sorted([*CORE, *CODERS], key=os.path.getsize, reverse=True)
            objects = dict(zip(largest_first, threads.map(self.compile_core, largest_first), strict=True))
        linked = {core.name: CORE, plugin.name: CORE, coders.name: CODERS}
        for extension in self.extensions:
            extension.extra_objects = [objects[source] for source in linked.get(extension.name, [])]
        super().build_extensions()

    def compile_core(self, source):
        """The object of a C file; what stands there, if it is newer than all that it is made of."""
        [target] = self.compiler.object_filenames([source], output_dir=self.build_temp)
        made_of = [source, __file__, *HEADERS]
        if self.force or not os.path.exists(target) or max(map(os.path.getmtime, made_of)) >= os.path.getmtime(target):
            self.compiler.compile([source], self.build_temp, include_dirs=["ext"], extra_postargs=CFLAGS)
        return target

    def get_ext_filename(self, fullname):
        filename = super().get_ext_filename(fullname)
        name = fullname.rpartition(".")[2]  # setuptools may pass the last part only
        if not name.startswith(PLUGIN):
            return filename
        return os.path.join(os.path.dirname(filename), name + (".dylib" if sys.platform == "darwin" else ".so"))

    def get_export_symbols(self, ext):
        if PLUGIN in ext.name:
            return ["H5PLget_plugin_type", "H5PLget_plugin_info", "NCZ_get_codec_info"]
        return super().get_export_symbols(ext)


setup(
    ext_modules=[*cythonize([core, coders], include_path=["ext/python"]), plugin, *siblings],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if IS_STABLE else {},
)
