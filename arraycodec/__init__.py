"""Error-bounded compression of float arrays, for Zarr, HDF5 and NumPy.

>>> from arraycodec import AnsQuant
>>> q = AnsQuant(tol=2**-17)   # Zarr v2: compressors=q; Zarr v3: serializer=q; h5py: compression=q

Importing the package makes the HDF5 filter known to the HDF5 libraries of this process and to
programs it starts (through HDF5_PLUGIN_PATH); nothing else happens, and neither h5py nor zarr is
imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import isa
from .codec import decode, decode_range, encode, inspect, peek, verify
from .errors import (
    ArraycodecError, ChecksumError, DecodeError, FormatError, ParameterError, SizeError, TruncatedError,
    VersionError,
)

if TYPE_CHECKING:
    from .ansquant import AnsQuant

__version__ = "0.1.0.dev0"

__all__ = [
    "AnsQuant", "ArraycodecError", "ChecksumError", "DecodeError", "FormatError", "ParameterError", "SizeError",
    "TruncatedError", "VersionError", "decode", "decode_range", "encode", "inspect", "isa", "peek", "verify",
]


def __getattr__(name: str) -> Any:
    if name == "AnsQuant":  # numcodecs is imported only when it is wanted
        from .ansquant import AnsQuant

        globals()["AnsQuant"] = AnsQuant
        return AnsQuant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
