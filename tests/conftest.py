"""Helpers for tests that need programs which may not be installed."""

import os
import shutil
import subprocess

# NumPy's linear algebra waits for its threads by spinning: on a machine that is busy, with other tests say, small
# matrices take many times as long with several.  Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import native  # noqa: E402
import pytest  # noqa: E402


def _missing(what):
    (pytest.fail if os.environ.get("ARRAYCODEC_REQUIRE_TOOLS") == "1" else pytest.skip)(what)


@pytest.fixture
def tool():
    """A function: the path of a program; skips the test without it, or fails if ARRAYCODEC_REQUIRE_TOOLS=1.

    Programs with which AddressSanitizer is preloaded may hang when they end, in a destructor of p11-kit, which comes
    with their libcurl: the test is skipped then.
    """

    def find(name):
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            pytest.skip(f"{name} with AddressSanitizer may never end")
        path = shutil.which(name)
        if path is None:
            _missing(f"{name} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def sanitizing(tmp_path_factory):
    """A C compiler, its flags for AddressSanitizer and UndefinedBehaviorSanitizer, and a folder for what it makes.

    Tests skip where the compiler or the machine has none, and where this Python has AddressSanitizer preloaded, which
    the compiler would inherit.
    """
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("programs with sanitizers of their own run without them in Python")
    folder = tmp_path_factory.mktemp("sanitized")
    flags = ["-O1", "-g1", *native.SANITIZE]
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, *flags, probe, "-o", folder / "probe"], capture_output=True).returncode:
        _missing("the compiler has no sanitizers here")
    if subprocess.run([folder / "probe"], capture_output=True).returncode:
        _missing("sanitizers do not run here")
    return compiler, flags, folder


@pytest.fixture(scope="session")
def sanitized(sanitizing):
    """A function: a program of one source (and flags for it) and the core, with sanitizers."""
    compiler, flags, folder = sanitizing
    core = native.compile_all(native.CORE, folder, compiler, *flags)

    def build(source, *more):
        objects = native.compile_all([source], folder, compiler, *flags, *more)
        return native.link([*objects, *core], folder / source.stem, compiler, *flags)

    return build


@pytest.fixture(params=["batched", "fused"])
def pipeline(request):
    """Both codec pipelines of zarr-python 3, where it has both."""
    if request.param == "batched":
        yield
        return
    try:
        from zarr.core.codec_pipeline import FusedCodecPipeline  # noqa: F401
    except ImportError:
        pytest.skip("this zarr has no fused pipeline")
    import zarr

    with zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.FusedCodecPipeline"}):
        yield
