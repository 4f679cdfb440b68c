"""HDF5: where the filter plugin is, making it known to the HDF5 libraries of this process, fast reads and writes.

The filter itself (`ext/hdf5/h5z_arraycodec.c`) is a shared library of its own; programs that know
nothing of this package need only ``HDF5_PLUGIN_PATH`` set to `plugin_path`.  There its parameters are
typed as a list of items, each a number and what belongs to it, in any order:

==========================  ========================================================================
``2,k`` or ``3,m,e``        absolute tolerance 2^-k or m * 10^-e; ``3,0,0`` is lossless
``1,low,high``              the same by the two 32-bit words of a double
``6,k``, ``7,m,e``,         relative tolerance, likewise; less than 1
``5,low,high``
``11,low,high``             fill value, by the words of a double
``12,s,low,high``           fill value, an integer: its sign (1: negative) and its absolute value
``13,low,high,low,high``    fill value, a complex number
``8,n,`` n words            fill value, by its bits as an element (n = 1, 2 or 4 words, the lowest first)
``9``                       uint16 elements are bfloat16
``14,level``                how hard the encoder looks: 1 (fast) to 9 (smallest)
``15,predictor``            what values are predicted from: 1 nothing, 2 what is best of all ("auto"), 3 the
                            values before (Lorenzo), 4 coarser grids (interpolation), 5 many values before in
                            a row (linear)
``16,coder``                how integers are stored: 1 by rANS, 2 as varints (`VarintQuant`)
``17,w,bucket,low,high``    values are rounded at random (`StochasticQuant`): w = bits + 256 method + 65536 norm +
                            16777216 packing (method: 0 QSGD, 1 dither; norm: 0 L2, 1 the largest magnitude;
                            packing: 0 rANS, 1 fixed), values that share a norm (0: all of a chunk), and the words
                            of the seed
``18,`` 6 words             matrices as products (`LowRankQuant`), which `write` makes; not to be typed
==========================  ========================================================================

::

    export HDF5_PLUGIN_PATH=$(python -c "import arraycodec; print(arraycodec.hdf5.plugin_path())")
    h5repack -f var:UD=35117,0,2,2,17 in.h5 out.h5              # 2 values: item 2, k = 17
    h5repack -f var:UD=35117,0,6,6,10,12,1,9999,0 in.h5 out.h5  # 6 values: rtol 2^-10, fill value -9999
    nccopy -F "var,35117,3,1,3,14,9" in.nc out.nc               # tolerance 1e-3, level 9
    h5repack -f var:UD=35117,0,4,2,17,15,2 in.h5 out.h5         # tolerance 2^-17, predictor "auto"

With a dataset the filter stores items 1, 5, 8, 9, and 14 to 18, as far as they were given, and item 10, which says
type and chunks.  A finite fill value of the dataset itself becomes item 8 where none is given: it comes back
exactly.  (Zarr does not tell a codec the array's fill value.)  Enumerations, like bool and dates, are stored
without loss, whatever the tolerance.

Here are no codecs and no h5py: the module is imported with the package and costs next to nothing.
What `read` and `write` do is in `hdf5io`, imported when they are called.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import config
from ._core import PREDICTORS

if TYPE_CHECKING:
    from .hosted import HostedCodec, StoredConfig

#: The filter's number, also in `ext/hdf5/h5z_arraycodec.c`.  From the range that HDF5 leaves to
#: unregistered filters.
FILTER_ID = 35117

#: Bits of item 10, as in `ext/hdf5/h5_items.h`.
TYPE_CODE = 0xFF
TYPE_BIG_ENDIAN = 1 << 8
TYPE_EXACT = 1 << 9
TYPE_OWN_FILL = 1 << 10
TYPE_UNIT_SHIFT = 16

_KNOWN_VALUES = 16  # h5py knows no more of a filter's values; old ones fill up with garbage
_VARIABLE = "HDF5_PLUGIN_PATH"
_PLUGIN = "libh5arraycodec" + (".dylib" if sys.platform == "darwin" else ".so")


def plugin_path() -> str:
    """The folder of the filter plugin, for ``HDF5_PLUGIN_PATH``."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugins")


def register() -> list[str]:
    """Make the filter known to HDF5; `import arraycodec` has already done so.

    HDF5 libraries loaded later, and programs started from here, find the plugin through the
    environment variable ``HDF5_PLUGIN_PATH``; in libraries already loaded (by h5py, netCDF4, ...)
    it is registered directly.  Calling it again is harmless, and useful where a library was loaded
    in between after the variable had been overwritten.

    Returns
    -------
    list of str
        The loaded HDF5 libraries that now have the filter.

    Notes
    -----
    It never raises: what cannot be done (no plugin built, no ``/proc``) is left out, and HDF5 then
    reports the filter as missing when it is used.  Neither h5py nor netCDF4 is imported.
    """
    if not os.path.isfile(os.path.join(plugin_path(), _PLUGIN)):
        return []
    done: list[str] = []
    for step in (_extend_plugin_path, lambda: _register_in_loaded(done), lambda: _register_in_h5py(done)):
        # a broken environment must not break `import arraycodec` for those who never use HDF5
        with contextlib.suppress(Exception):
            step()
    return done


def _extend_plugin_path() -> None:
    """Put our folder first in ``HDF5_PLUGIN_PATH`` unless it is there, and lose nobody else's.

    Setting the variable replaces what applies without it: HDF5 has default folders, and netCDF4 sets
    it to its own folder only if it finds none, and looks for its own plugins nowhere else.  But the
    HDF5 of h5py would take netCDF4's Blosc for that of hdf5plugin, which then registers none, and it
    does not work there.  So where both are installed, netCDF4's folder is added when it is imported.
    """
    old = os.environ.get(_VARIABLE, "")
    parts = old.split(os.pathsep) if old else _default_folders()
    new = [] if plugin_path() in parts else [plugin_path()]
    theirs = _netcdf4_folder()
    if theirs is None and _plugins_beside(_spec("netCDF4")):
        if "netCDF4" not in sys.modules and _NetCDF4Finder not in sys.meta_path:
            sys.meta_path.insert(0, _NetCDF4Finder)
    last = [theirs] if theirs and theirs not in parts else []
    if new or last:
        os.environ[_VARIABLE] = os.pathsep.join(new + parts + last)


class _NetCDF4Finder:
    """Adds netCDF4's folder to the plugin path at the last moment before it is imported."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "netCDF4":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                with contextlib.suppress(Exception):
                    parts = [folder for folder in os.environ.get(_VARIABLE, "").split(os.pathsep) if folder]
                    folder = _plugins_beside(spec)
                    if parts and folder is not None and folder not in parts:  # if it is not set, netCDF4 does it
                        os.environ[_VARIABLE] = os.pathsep.join([*parts, folder])
                execute(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # who only looks for netCDF4 does not get that far
        return spec


def _spec(name: str) -> Any:
    """Where a package is, if it is installed."""
    from importlib.util import find_spec

    with contextlib.suppress(Exception):  # find_spec raises for half-initialized modules
        return find_spec(name)
    return None


def _plugins_beside(spec: Any) -> str | None:
    folder = os.path.join(os.path.dirname(spec.origin), "plugins") if spec and spec.origin else ""
    return folder if os.path.isdir(folder) else None


def _netcdf4_folder() -> str | None:
    """netCDF4's folder of plugins, where it does no harm."""
    return None if _spec("hdf5plugin") else _plugins_beside(_spec("netCDF4"))


def _default_folders() -> list[str]:
    """The folders, where they exist, that HDF5 builds look into while the variable is not set."""
    multiarch = getattr(sys.implementation, "_multiarch", "")
    folders = [
        "/usr/local/hdf5/lib/plugin",  # HDF5's own default
        "/usr/local/lib/plugin",  # the wheels of h5py
        "/usr/local/lib/hdf5/plugin",  # the wheels of netCDF4
        os.path.join(sys.prefix, "lib", "hdf5", "plugin"),  # conda
        f"/usr/lib/{multiarch}/hdf5/serial/plugins",  # Debian
    ]
    return [folder for folder in folders if os.path.isdir(folder)]


def _loaded_libraries() -> list[str]:
    """Paths of the HDF5 libraries mapped into this process."""
    if not sys.platform.startswith("linux"):
        return []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        text = maps.read()
    if "libhdf5" not in text:
        return []
    paths = {line.split(None, 5)[5] for line in text.splitlines() if "/" in line}
    return sorted(p for p in paths if "libhdf5" in os.path.basename(p) and "_hl" not in os.path.basename(p))


def _filter_class() -> int:
    """Load the plugin; the address of its filter class."""
    import ctypes

    plugin = ctypes.CDLL(os.path.join(plugin_path(), _PLUGIN))  # stays loaded: HDF5 keeps pointers into it
    plugin.H5PLget_plugin_info.restype = ctypes.c_void_p
    return plugin.H5PLget_plugin_info()


def _register_in_loaded(done: list[str]) -> None:
    paths = _loaded_libraries()
    if not paths:
        return
    import ctypes

    filter_class = _filter_class()
    # h5py's lock around its library; without it a thread inside HDF5 might meet us there
    objects = sys.modules.get("h5py._objects")
    with getattr(objects, "phil", None) or contextlib.nullcontext():
        for path in paths:
            with contextlib.suppress(OSError, AttributeError):  # file replaced since; not HDF5 after all
                library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
                library.H5Zregister.argtypes = [ctypes.c_void_p]
                # Not asked first: H5Zfilter_avail would search the plugin folders.  Registering
                # again replaces the entry by an equal one.
                if library.H5open() >= 0 and library.H5Zregister(filter_class) >= 0:
                    done.append(path)


def _register_in_h5py(done: list[str]) -> None:
    """For an h5py whose HDF5 was not found above (linked statically, or no ``/proc``)."""
    h5z = sys.modules.get("h5py.h5z")
    if h5z is not None and not h5z.filter_avail(FILTER_ID):
        h5z.register_filter(_filter_class())
        done.append(str(h5z.__file__))


def info(dataset: Any) -> dict[str, Any] | None:
    """What the filter was told about a dataset.

    h5py itself shows ``dataset.compression == "unknown"`` for filters it does not contain.

    Parameters
    ----------
    dataset : h5py.Dataset

    Returns
    -------
    dict or None
        None if the dataset does not use this filter.  Otherwise

        - ``filter_id``, ``name``
        - ``tol``: the absolute tolerance; 0 is lossless (or `rtol` alone), None if the parameters are not readable
        - ``rtol``: the relative tolerance, None without one
        - ``fill_value``: what comes back bit for bit, as a number; None without one.  It may be that of the dataset
        - ``dtype``: ``"bfloat16"`` if that is what uint16 elements are, else None
        - ``level``: how hard the encoder looks, 1 to 9; None where the default is left to the writer
        - ``predictor``: what values are predicted from, by its name; None likewise
        - ``coder``: ``"varint"`` if integers are stored as varints, else None
        - ``parameters``: those of `StochasticQuant` or `LowRankQuant`, by their names, where one of them writes the
          chunks; else None
        - ``cd_values``: the filter's parameters as stored, which h5py may cut short

        They apply to what was written through the filter; `arraycodec.peek` says what a single chunk was encoded
        with.  bool, enumerations and dates are stored without loss, whatever the tolerance.
    """
    plist = dataset.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        filter_id, _, values, name = plist.get_filter(i)
        if filter_id == FILTER_ID:
            name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
            items = read_items(values) or Items()
            return {
                "filter_id": filter_id,
                "name": name,
                "tol": None if items.method and not items.tol else items.tol,
                "rtol": items.rtol,
                "fill_value": items.fill_value,
                "dtype": items.dtype,
                "level": items.level,
                "predictor": items.predictor,
                "coder": items.coder,
                "parameters": _parameters(items),
                "cd_values": tuple(values),
            }
    return None


def _parameters(items: Items) -> dict[str, Any] | None:
    """Of a codec that is no quantizer; None also where they are not valid."""
    try:
        return items.parameters.to_json() if items.method else None
    except ValueError:
        return None


def codec_of(dataset: Any) -> HostedCodec | None:
    """The codec that a dataset's filter is: what `create_dataset` takes to make another one like it.

    Parameters
    ----------
    dataset : h5py.Dataset

    Returns
    -------
    AnsQuant, VarintQuant, StochasticQuant, LowRankQuant or None
        None if the dataset does not use this filter, or its parameters are not readable.
    """
    from .codecs import of_parameters

    plist = dataset.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        filter_id, _, values, _ = plist.get_filter(i)
        items = read_items(values) if filter_id == FILTER_ID else None
        if items is not None:
            with contextlib.suppress(ValueError):  # made up by a program without the filter
                return of_parameters(items.parameters)
    return None


def missing_filters(dataset: Any) -> str:
    """What to do about filters of a dataset that its HDF5 library does not find; "" if there are none."""
    import h5py

    plist = dataset.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        number, _, _, name = plist.get_filter(i)
        if h5py.h5z.filter_avail(number):
            continue
        if number == FILTER_ID:
            return (
                f"{dataset.name} needs the HDF5 filter {number} of this package, which h5py's HDF5 does not find: call "
                f"arraycodec.hdf5.register(), or set {_VARIABLE}=$(arraycodec plugin-path) before Python starts"
            )
        called = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        return (
            f"{dataset.name} needs the HDF5 filter {number}{f' ({called})' if called else ''}, which is not of this "
            f"package and which h5py's HDF5 does not find: install and import hdf5plugin, or add the folder of the "
            f"filter's plugin to {_VARIABLE} before Python starts"
        )
    return ""


@contextlib.contextmanager
def explained(dataset: Any) -> Iterator[None]:
    """What HDF5 raises in the block, for the want of a filter, says so."""
    try:
        yield
    except OSError as error:
        text = missing_filters(dataset)
        if not text:
            raise
        raise OSError(text) from error


def read(dataset: Any, selection: Any = None, threads: int = 1, out: Any = None) -> Any:
    """Read ``dataset[selection]``, decoding in several threads.

    HDF5 runs filters one chunk after the other and under a lock.  Here the stored chunks are taken
    out of the file as they are and decoded around it.  Of large chunks only the blocks (up to
    2**18 values) that the selection touches are decoded.

    Parameters
    ----------
    dataset : h5py.Dataset
        Any.  What is not stored in chunks by this filter alone is read by h5py itself.
    selection : optional
        Whatever h5py takes between the brackets; None is all.  Integers and slices are read
        directly, other selections (lists, masks, region references, ...) by h5py.
    threads : int
        How many threads decode, this one included.  Only this one talks to HDF5.  At most two
        stored chunks per thread are in memory, or those of 8 MiB of values if that is more.
    out : numpy.ndarray, optional
        Where to put the values: dtype (byte order included) and shape of ``dataset[selection]``, any
        strides.  Memory that is used again is faster than new one, which the system first has to clear.

    Returns
    -------
    numpy.ndarray or numpy scalar
        `out`, or as ``dataset[selection]``: dtype (byte order included), shape, and the fill value for
        what was never written.  Values still in HDF5's chunk cache are written out first, so they have been
        through the codec.

    Raises
    ------
    DecodeError
        If a chunk is damaged or is not one of the dataset; the message says where it is.  `out` may
        then have been written in part.
    TypeError
        If `dataset` is not an h5py dataset, `threads` not an integer, or `out` not an array.
    ParameterError
        If `threads` is less than 1, or `out` is read-only or of another shape or dtype.
    IndexError, TypeError, ValueError, OSError
        As h5py raises them for selections and files; where a filter of the dataset is missing, the OSError says which,
        and what to do.
    """
    from . import hdf5io

    return hdf5io.read(dataset, selection, threads, out)


def write(dataset: Any, values: Any, selection: Any = None, threads: int = 1) -> None:
    """Do ``dataset[selection] = values``, encoding in several threads.

    The stored chunks are those that the filter would write, with the parameters of the dataset.  Values
    that are not selected stay within the tolerance of what they were, also where their chunk is written again (by
    `StochasticQuant` and `LowRankQuant`, which would move them, whole chunks alone are written).

    Parameters
    ----------
    dataset : h5py.Dataset
        Any.  What is not stored in chunks by this filter alone is written by h5py itself.
    values : array_like
        Converted and broadcast as by h5py.  (Lists and Python numbers become values of the dataset's
        dtype; where NumPy and HDF5 would convert an array differently, h5py writes it.)
    selection : optional
        Whatever h5py takes between the brackets; None is all.  Integers and slices are written
        directly, other selections by h5py.
    threads : int
        How many threads encode, this one included.  Only this one talks to HDF5.  At most two
        stored chunks per thread are in memory, or those of 8 MiB of values if that is more.

    Raises
    ------
    TypeError
        If `values` is a masked array or does not broadcast, `dataset` is not an h5py dataset, or
        `threads` not an integer.
    ParameterError
        If `threads` is less than 1, the dataset's parameters are not readable, or its codec cannot write a part of a
        chunk, or one that HDF5 has stored without the filter.
    DecodeError
        If a chunk is damaged of which other values have to be kept; the message says where it is.
    IndexError, TypeError, ValueError, OSError
        As h5py raises them for selections, values and files.

    Warns
    -----
    ChunkSizeWarning
        If the dataset has more than 1 MiB of values in chunks of less than 4 KiB.

    Notes
    -----
    Arguments are checked before anything is written.  After an error in between (a damaged chunk, a
    full disk, an interrupt) some chunks are new and the others old, as with h5py.
    """
    from . import hdf5io

    hdf5io.write(dataset, values, selection, threads)


def references(file: Any, url: str | None = None) -> dict[str, Any]:
    """Where the chunks of an HDF5 file are, for readers of Zarr: a virtual store.

    Parameters
    ----------
    file : str, path, h5py.File or h5py.Group
    url : str, optional
        What the references say of where the file is; its path without it.

    Returns
    -------
    dict
        References of kerchunk's version 1, ready for JSON: a Zarr v2 store whose chunks are byte ranges of the file.
        Chunks of this filter, of deflate, shuffle and fletcher32, and contiguous datasets are among them; attributes
        and the names of dimensions (netCDF-4) are there for xarray.  Arrays are under all their names: hard and soft
        links are followed within the file.

    Raises
    ------
    ParameterError
        If a dataset has a filter for which Zarr has no codec here, or its values in other files.

    Warns
    -----
    UserWarning
        For what is left out: datasets of a type that Zarr has not (strings, compounds, references), links that lead
        to other files or nowhere, and second names of groups.

    Examples
    --------
    ``refs = arraycodec.hdf5.references("w.h5")``, then
    ``xr.open_zarr("reference://", storage_options={"fo": refs}, consolidated=False, zarr_format=2)``.
    """
    from .references import references

    return references(file, url)


class Items(NamedTuple):
    """What the filter's values say.

    Attributes
    ----------
    tol, rtol, fill_value, dtype
        As of `info`.
    type : tuple of int
        The operands of item 10, maybe cut short; empty where the filter has not completed the values.
    level
        As of `info`.
    predictor
        As of `info`; its number where this version has no name for it.
    coder
        Likewise.
    method : tuple of int
        Item 17 or 18, with its operands; empty where there is none.
    """

    tol: float | None = None
    rtol: float | None = None
    fill_value: int | float | complex | None = None
    dtype: str | None = None
    type: tuple[int, ...] = ()
    level: int | None = None
    predictor: str | None = None
    coder: str | None = None
    method: tuple[int, ...] = ()

    @property
    def parameters(self) -> config.Config | StoredConfig:
        """What encodes as the filter does; ParameterError for what no codec of this version has."""
        match self.method:
            case (config.CD_STOCHASTIC, *operands):
                from . import stochasticconfig

                return stochasticconfig.of_cd_values(self.tol or 0.0, *operands)
            case (config.CD_LOW_RANK, *operands):
                from . import lowrankconfig

                return lowrankconfig.of_cd_values(self.tol or 0.0, *operands)
            case _:
                tol = self.tol or None if self.rtol else self.tol  # 0 beside a relative one says nothing
                values = (tol, self.rtol, self.fill_value, self.dtype, self.level, self.predictor, self.coder)
                return config.Config(*values)


def read_items(values: Sequence[int]) -> Items | None:
    """The filter's values taken apart; None if they are not readable.

    Only what set_local of the filter has completed is stored where the plugin was at hand, so this does not check
    everything that the plugin does.
    """
    rest = list(values[:_KNOWN_VALUES])
    found: dict[str, Any] = {}
    bits: list[int] = []

    def take(n: int) -> list[int]:
        taken = rest[:n]
        del rest[:n]
        if len(taken) < n:
            raise ValueError("values end within an item")
        return taken

    def put(name: str, value: Any) -> None:
        if name in found:
            raise ValueError("an item is given twice")
        found[name] = value

    try:
        while rest:
            match take(1)[0]:
                case config.CD_TOLERANCE:
                    put("tol", _double(take(2)))
                case 2:
                    put("tol", _power(*take(1)))
                case 3:
                    put("tol", _decimal(*take(2)))
                case config.CD_RELATIVE:
                    put("rtol", _double(take(2)))
                case 6:
                    put("rtol", _power(*take(1)))
                case 7:
                    put("rtol", _decimal(*take(2)))
                case config.CD_FILL:
                    bits = take(*take(1))
                    put("fill_value", None)
                case config.CD_FILL_DOUBLE:
                    put("fill_value", _double(take(2)))
                case config.CD_FILL_INTEGER:
                    negative, low, high = take(3)
                    put("fill_value", -(low | high << 32) if negative else low | high << 32)
                case config.CD_FILL_COMPLEX:
                    put("fill_value", complex(_double(take(2)), _double(take(2))))
                case config.CD_BFLOAT16:
                    put("dtype", "bfloat16")
                case config.CD_LEVEL:
                    put("level", *take(1))
                case config.CD_PREDICTOR:
                    put("predictor", _predictor(*take(1)))
                case config.CD_CODER:
                    put("coder", _coder(*take(1)))
                case config.CD_STOCHASTIC:
                    put("method", (config.CD_STOCHASTIC, *take(4)))
                case config.CD_LOW_RANK:
                    put("method", (config.CD_LOW_RANK, *take(6)))
                case 10:
                    put("type", tuple(rest))  # the last
                    rest.clear()
                case _:
                    return None
    except ValueError:
        return None
    if "tol" not in found and "rtol" not in found and "method" not in found:
        return None
    if bits:  # four words are complex128, whose type is beyond what h5py knows where all other items are there
        code = found["type"][0] & TYPE_CODE if found.get("type") else _COMPLEX128 if len(bits) == 4 else 0
        found["fill_value"] = _number(bits, code)
    found.setdefault("tol", 0.0)
    return Items(**found)


def _double(words: Sequence[int]) -> float:
    return struct.unpack("<d", struct.pack("<II", *words))[0]


def _power(k: int) -> float:
    if k > 1022:
        raise ValueError(f"2^-{k}")
    return 2.0**-k


def _predictor(code: int) -> str:
    return next((name for name, number in PREDICTORS.items() if number == code), str(code))


def _coder(code: int) -> str | None:
    return None if code == 1 else next((name for name, number in config.CODERS.items() if number == code), str(code))


def _decimal(m: int, e: int) -> float:
    if e > 22:
        raise ValueError(f"{m}*10^-{e}")
    return m / 10**e  # correctly rounded


_COMPLEX128 = 6
#: How `struct` calls elements, by their codes in docs/format.md; bfloat16 (4) is the upper half of a float32.
_STRUCT = {1: "f", 2: "d", 3: "e", 4: "f", 5: "ff", 6: "dd", 16: "b", 17: "h", 18: "i", 19: "q", 20: "B", 21: "H",
           22: "I", 23: "Q"}  # fmt: skip


def _number(words: Sequence[int], code: int) -> int | float | complex | None:
    """A fill value from its bits."""
    form = _STRUCT.get(code)
    if form is None:
        return None
    size = struct.calcsize(f"<{form}")
    data = struct.pack(f"<{len(words)}I", *words)
    if code == 4:
        data = bytes(2) + data[:2]
    if len(data) < size:
        return None
    parts = struct.unpack(f"<{form}", data[:size])
    return complex(*parts) if len(parts) == 2 else parts[0]
