"""AnsQuant: one object for every host.

It is a numcodecs codec (Zarr v2), a mapping ``{"name": ..., "configuration": ...}`` (which every
Zarr v3 slot accepts and resolves to `arraycodec.zarr3`), and a registered h5py filter reference.
"""

from __future__ import annotations

import sys
from typing import Any

from numcodecs.abc import Codec

from . import codec, hdf5
from .config import Config

ZARR3_NAME = "arraycodec.ansquant"


class _Frozen(dict):
    """A mapping that nobody changes: the fronts must not disagree about a configuration."""

    def _immutable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("AnsQuant objects are immutable")

    __setitem__ = __delitem__ = __ior__ = _immutable
    clear = pop = popitem = setdefault = update = _immutable


class AnsQuant(Codec, _Frozen):
    """Error-bounded codec for float arrays: quantization, class windows, interleaved rANS.

    Parameters
    ----------
    tol : float, optional
        Absolute tolerance in the units of the data: every finite value comes back within it, NaN
        and infinities bit for bit.  0 is lossless.  Without it the object decodes anything (chunks
        are self-describing) but cannot encode.

    Raises
    ------
    TypeError
        If `tol` is not a number.
    ParameterError
        (a ValueError) if `tol` is negative, NaN or infinite.

    Examples
    --------
    ``zarr.create_array(..., zarr_format=2, compressors=AnsQuant(tol=2**-17))``,
    ``zarr.create_array(..., serializer=AnsQuant(tol=2**-17), compressors=None)``,
    ``h5file.create_dataset(..., compression=AnsQuant(tol=2**-17))``.

    Notes
    -----
    Zarr and HDF5 rewrite whole chunks when a part of one is assigned; values that were decoded and
    encoded again do not move.
    """

    codec_id = "ansquant"

    def __init_subclass__(cls) -> None:
        raise TypeError("AnsQuant cannot be subclassed: stored chunks name it, not the subclass")

    def __init__(self, tol: float | None = None) -> None:
        self._config = Config(tol)
        dict.__init__(self, name=ZARR3_NAME, configuration=_Frozen(self._config.to_json()))

    @property
    def tol(self) -> float | None:
        """The absolute tolerance, or None."""
        return self._config.tol

    # ---- numcodecs (Zarr v2) ----
    def encode(self, buf: Any) -> bytes:
        """Encode an array; see `arraycodec.encode`."""
        return codec.encode(buf, self._config.require_tol())

    def decode(self, buf: Any, out: Any = None, *, selection: Any = None, max_output: int | None = None) -> Any:
        """Decode a chunk, or a part of it; see `arraycodec.decode`."""
        return codec.decode(buf, out, selection=selection, max_output=max_output)

    def get_config(self) -> dict[str, Any]:
        """The Zarr v2 metadata of this object."""
        return {"id": self.codec_id, **self._config.to_json()}

    # ---- h5py ----
    filter_id = hdf5.FILTER_ID

    @property
    def filter_options(self) -> tuple[int, ...]:
        """The HDF5 filter's `cd_values`."""
        return self._config.to_cd_values()

    @property
    def __class__(self) -> type:
        # isinstance() against an abstract base class asks here first.  h5py recognizes filters by
        # isinstance(x, FilterRefBase); registering at this moment works whichever of the two
        # packages was imported first, and never imports h5py.
        filters = sys.modules.get("h5py._hl.filters")
        if filters is not None:
            filters.FilterRefBase.register(AnsQuant)
        return AnsQuant

    # ---- value semantics: immutable, compared and hashed by configuration ----
    def __repr__(self) -> str:
        return "AnsQuant()" if self.tol is None else f"AnsQuant(tol={self.tol!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is AnsQuant and self._config == other._config

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((AnsQuant, self._config))

    def __reduce__(self) -> tuple[Any, ...]:
        return AnsQuant, (self.tol,)

    def __copy__(self) -> AnsQuant:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> AnsQuant:
        return self
