"""What our codec objects have in common: one object for every host.

It is a numcodecs codec (Zarr v2), a mapping ``{"name": ..., "configuration": ...}`` (which every
Zarr v3 slot accepts and resolves to `arraycodec.zarr3`), and a registered h5py filter reference.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, overload

import numpy as np

from . import codec, hdf5
from .config import Config, check_threads

if TYPE_CHECKING:

    class Codec:
        """What users see of `numcodecs.abc.Codec`, which has no types."""

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Self: ...
else:
    from numcodecs.abc import Codec


_Out = TypeVar("_Out")


class _Frozen(dict[str, Any]):
    """A mapping that nobody changes: the fronts must not disagree about a configuration."""

    def _immutable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{type(self).__name__} objects are immutable")

    __setitem__ = __delitem__ = __ior__ = _immutable
    clear = pop = popitem = setdefault = update = _immutable

    def __reduce__(self) -> tuple[Any, ...]:  # dict's own way fills an empty one
        return type(self), (dict(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class StoredConfig(codec.Encoder, Protocol):
    """Parameters of a codec as hosts store them."""

    @property
    def keeps_rewrites(self) -> bool:
        """Whether parts of chunks can be written again and again without a value leaving its bound."""

    def check_array(self, dtype: np.dtype, ndim: int) -> None:
        """A TypeError or ParameterError if arrays of this dtype, or of so few axes, cannot be encoded."""

    def to_json(self) -> dict[str, Any]:
        """Keyword arguments that make an equal object."""

    def to_cd_values(self) -> tuple[int, ...]:
        """The values of the HDF5 filter."""


class HostedCodec(Codec, _Frozen):
    """Base class; not to be used itself."""

    codec_id: ClassVar[str]  # of numcodecs
    zarr3_name: ClassVar[str]
    _names: ClassVar[tuple[str, ...]]  # of parameters, but threads

    def __init_subclass__(cls) -> None:
        named = [base.__name__ for base in cls.__bases__ if getattr(base, "codec_id", None)]
        if named:
            raise TypeError(f"{named[0]} cannot be subclassed: stored chunks name it, not the subclass")

    def _open(self, config: Config | StoredConfig, threads: int) -> None:
        self._config = config
        self._threads = check_threads(threads)
        dict.__init__(self, name=self.zarr3_name, configuration=_Frozen(config.to_json()))

    @property
    def threads(self) -> int:
        """How many threads may work on one chunk."""
        return self._threads

    # ---- numcodecs (Zarr v2) ----
    def encode(self, buf: Any) -> bytes:
        """Encode an array; see `arraycodec.encode`."""
        return codec.encode_with(self._config, buf, self._threads)

    @overload
    def decode(
        self, buf: Any, out: None = None, *, selection: Any = None, max_output: int | None = None
    ) -> np.ndarray: ...

    @overload
    def decode(self, buf: Any, out: _Out, *, selection: Any = None, max_output: int | None = None) -> _Out: ...

    def decode(self, buf: Any, out: Any = None, *, selection: Any = None, max_output: int | None = None) -> Any:
        """Decode a chunk, or a part of it; see `arraycodec.decode`."""
        return codec.decode(buf, out, selection=selection, max_output=max_output, threads=self._threads)

    def get_config(self) -> dict[str, Any]:
        """The Zarr v2 metadata of this object."""
        return {"id": self.codec_id, **self._config.to_json()}

    # ---- h5py ----
    filter_id = hdf5.FILTER_ID

    @property
    def filter_options(self) -> tuple[int, ...]:
        """The HDF5 filter's `cd_values`."""
        return self._config.to_cd_values()

    @property  # type: ignore[misc]  # nobody assigns it
    def __class__(self) -> type:
        # isinstance() against an abstract base class asks here first.  h5py recognizes filters by
        # isinstance(x, FilterRefBase); registering at this moment works whichever of the two
        # packages was imported first, and never imports h5py.
        filters = sys.modules.get("h5py._hl.filters")
        if filters is not None:
            filters.FilterRefBase.register(type(self))
        return type(self)

    # ---- value semantics: immutable, compared and hashed by what is stored ----
    def __repr__(self) -> str:
        arguments = [f"{name}={getattr(self, name)!r}" for name in self._names if name in self._config.to_json()]
        if self._threads != 1:
            arguments.append(f"threads={self._threads}")
        return f"{type(self).__name__}({', '.join(arguments)})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, HostedCodec):
            return type(other) is type(self) and self._config == other._config
        return False if isinstance(other, dict) else NotImplemented  # a dict would compare the items

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # unlike a dict it does not change
        return hash((type(self), self._config))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (type(self), self.get_config(), self._threads)


class Quantizer(HostedCodec):
    """Base class of what rounds to a lattice; not to be used itself."""

    _config: Config

    @property
    def tol(self) -> float | None:
        """The absolute tolerance, or None."""
        return self._config.tol

    @property
    def rtol(self) -> float | None:
        """The pointwise relative tolerance, or None."""
        return self._config.rtol

    @property
    def fill_value(self) -> int | float | complex | None:
        """What stands for missing values, or None."""
        return self._config.fill_value

    @property
    def dtype(self) -> str | None:
        """What uint16 arrays hold, or None."""
        return self._config.dtype


def _make(cls: type[HostedCodec], config: dict[str, Any], threads: int) -> HostedCodec:
    return cls(**{name: value for name, value in config.items() if name != "id"}, threads=threads)
