"""Error-bounded compression of arrays, for Zarr, HDF5 and NumPy.

>>> from arraycodec import AnsQuant
>>> q = AnsQuant(tol=2**-17)   # Zarr v2: compressors=q; Zarr v3: serializer=q; h5py: compression=q

Importing the package makes the HDF5 filter known: it puts the plugin's folder into the environment
variable HDF5_PLUGIN_PATH (for HDF5 libraries loaded later, and for programs started from here) and
registers the filter in HDF5 libraries already loaded; see `arraycodec.hdf5.register`.  Nothing else
happens, and neither h5py nor zarr nor numcodecs is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import hdf5
from ._core import isa
from .codec import decode, decode_range, encode, inspect, peek, verify
from .errors import (
    ArraycodecError,
    ChecksumError,
    ChunkSizeWarning,
    DecodeError,
    FormatError,
    NotFiniteError,
    ParameterError,
    SizeError,
    TruncatedError,
    VersionError,
)

if TYPE_CHECKING:
    from . import tolerance, tuning
    from . import xarray as xarray
    from .ansquant import AnsQuant
    from .checkpoints.saving import save
    from .checkpoints.stores import load
    from .lowrankquant import LowRankQuant
    from .stochasticquant import StochasticQuant
    from .varintquant import VarintQuant

__version__ = "0.1.0.dev0"

__all__ = [
    "AnsQuant", "ArraycodecError", "ChecksumError", "ChunkSizeWarning", "DecodeError", "FormatError", "LowRankQuant",
    "NotFiniteError", "ParameterError", "SizeError", "StochasticQuant", "TruncatedError", "VarintQuant",
    "VersionError", "decode", "decode_range", "encode", "hdf5", "inspect", "isa", "load", "peek", "save", "tolerance",
    "tuning", "verify",
]

_LAZY = {name: f".{name.lower()}" for name in ("AnsQuant", "LowRankQuant", "StochasticQuant", "VarintQuant")}
_LAZY |= {"load": ".checkpoints.stores", "save": ".checkpoints.saving"}

hdf5.register()

if not TYPE_CHECKING:  # for type checkers every name would be there, with any type

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in _LAZY:  # numcodecs is imported only when it is wanted
            found = getattr(import_module(_LAZY[name], __name__), name)
            globals()[name] = found
            return found
        if name in ("tolerance", "tuning", "xarray"):  # the last needs the package of that name
            return import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
