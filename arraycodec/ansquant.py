"""AnsQuant: one object for every host.

It is a numcodecs codec (Zarr v2), a mapping ``{"name": ..., "configuration": ...}`` (which every
Zarr v3 slot accepts and resolves to `arraycodec.zarr3`), and a registered h5py filter reference.
"""

from __future__ import annotations

import sys
from typing import Any

from numcodecs.abc import Codec

from . import codec, hdf5
from .config import Config, check_threads

ZARR3_NAME = "arraycodec.ansquant"


class _Frozen(dict):
    """A mapping that nobody changes: the fronts must not disagree about a configuration."""

    def _immutable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("AnsQuant objects are immutable")

    __setitem__ = __delitem__ = __ior__ = _immutable
    clear = pop = popitem = setdefault = update = _immutable


class AnsQuant(Codec, _Frozen):
    """Error-bounded codec for arrays of numbers: quantization, class windows, interleaved rANS.

    Parameters
    ----------
    tol : float, optional
        Absolute tolerance in the units of the data: every finite value comes back within it, NaN
        and infinities bit for bit.  0 is lossless.  Of complex numbers it bounds each part, of integers
        its whole part counts; bool, datetime64 and timedelta64 are always lossless.
    rtol : float, optional
        Pointwise relative tolerance, 0 <= rtol < 1, of floats and complex numbers.  With both,
        |x - x'| <= max(tol, rtol * |x|).  With neither the object decodes anything (chunks are
        self-describing) but cannot encode.
    fill_value : number, optional
        What stands for missing values: they come back bit for bit and cost a bitmap, as NaN does.
    dtype : {None, "bfloat16"}
        What uint16 arrays hold, for hosts that have no bfloat16.
    level : int, optional
        How hard the encoder looks for the smallest chunk: 1 is fast, 9 the smallest; None is the default, 5.
        The bound does not depend on it, every decoder reads all levels, and rewrites at another one move nothing.
    predictor : {None, "none", "auto", "lorenzo", "interpolation", "linear"}
        What integers and floats (but with a relative bound) are predicted from: nothing, what is best of all, values
        before (Lorenzo), coarser grids, or many values before in a row.  None is the default, "auto".  As the
        level, it is of the encoder alone: the bound does not depend on it, every decoder reads all of it, and
        rewrites with another one move nothing.
    threads : int, optional
        How many threads this object may use for one chunk, the calling one included; see
        `arraycodec.encode`.  It belongs to this object and its pickles, never to what is stored: no
        metadata have it, and objects that differ in it only are equal.

    Raises
    ------
    TypeError
        If `tol`, `rtol` or `fill_value` is not a number, `level` or `threads` no integer, or `predictor` no
        string.
    ParameterError
        (a ValueError) if `tol` or `rtol` is negative, NaN or infinite, `rtol` 1 or more, `dtype` another
        name, `level` outside 1 to 9, `predictor` another name, or `threads` below 1.

    Examples
    --------
    ``zarr.create_array(..., zarr_format=2, compressors=AnsQuant(tol=2**-17))``,
    ``zarr.create_array(..., serializer=AnsQuant(tol=2**-17), compressors=None)``,
    ``h5file.create_dataset(..., compression=AnsQuant(tol=2**-17))``.

    Notes
    -----
    Zarr and HDF5 rewrite whole chunks when a part of one is assigned; a value that was moved within the tolerance
    does not move again.
    """

    codec_id = "ansquant"

    def __init_subclass__(cls) -> None:
        raise TypeError("AnsQuant cannot be subclassed: stored chunks name it, not the subclass")

    def __init__(
        self,
        tol: float | None = None,
        rtol: float | None = None,
        *,
        fill_value: Any = None,
        dtype: str | None = None,
        level: int | None = None,
        predictor: str | None = None,
        threads: int = 1,
    ) -> None:
        self._config = Config(tol, rtol, fill_value, dtype, level, predictor)
        self._threads = check_threads(threads)
        dict.__init__(self, name=ZARR3_NAME, configuration=_Frozen(self._config.to_json()))

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

    @property
    def level(self) -> int | None:
        """How hard the encoder looks, or None for the default."""
        return self._config.level

    @property
    def predictor(self) -> str | None:
        """What values are predicted from, or None for the default."""
        return self._config.predictor

    @property
    def threads(self) -> int:
        """How many threads may work on one chunk."""
        return self._threads

    # ---- numcodecs (Zarr v2) ----
    def encode(self, buf: Any) -> bytes:
        """Encode an array; see `arraycodec.encode`."""
        return codec.encode_with(self._config, buf, self._threads)

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

    @property
    def __class__(self) -> type:
        # isinstance() against an abstract base class asks here first.  h5py recognizes filters by
        # isinstance(x, FilterRefBase); registering at this moment works whichever of the two
        # packages was imported first, and never imports h5py.
        filters = sys.modules.get("h5py._hl.filters")
        if filters is not None:
            filters.FilterRefBase.register(AnsQuant)
        return AnsQuant

    # ---- value semantics: immutable, compared and hashed by what is stored ----
    def __repr__(self) -> str:
        names = ("tol", "rtol", "fill_value", "dtype", "level", "predictor")
        arguments = [f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name) is not None]
        if self._threads != 1:
            arguments.append(f"threads={self._threads}")
        return f"AnsQuant({', '.join(arguments)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is AnsQuant and self._config == other._config

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((AnsQuant, self._config))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._config, self._threads)

    def __copy__(self) -> AnsQuant:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> AnsQuant:
        return self


def _make(config: Config, threads: int) -> AnsQuant:
    return AnsQuant(
        config.tol, config.rtol, fill_value=config.fill_value, dtype=config.dtype, level=config.level,
        predictor=config.predictor, threads=threads,
    )  # fmt: skip
