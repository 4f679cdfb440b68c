"""AnsQuant: the codec of this package."""

from __future__ import annotations

from typing import Any

from .config import Config
from .hosted import Quantizer
from .names import Predictor, View


class AnsQuant(Quantizer):
    """Error-bounded codec for arrays of numbers: quantization, class windows, interleaved rANS.

    Parameters
    ----------
    tol : float, optional
        Absolute tolerance in the units of the data: every finite value comes back within it, NaN
        and infinities bit for bit.  0 is lossless.  Of complex numbers it bounds each part, of integers
        its whole part counts; bool, datetime64 and timedelta64 are always lossless.
    rtol : float, optional
        Pointwise relative tolerance, 0 <= rtol < 1, of floats and complex numbers.  With both,
        abs(x - x') <= max(tol, rtol * abs(x)).  With neither the object decodes anything (chunks are
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
    zarr3_name = "arraycodec.ansquant"
    _names = ("tol", "rtol", "fill_value", "dtype", "level", "predictor")

    def __init__(
        self,
        tol: float | None = None,
        rtol: float | None = None,
        *,
        fill_value: Any = None,
        dtype: View | None = None,
        level: int | None = None,
        predictor: Predictor | None = None,
        threads: int = 1,
    ) -> None:
        self._open(Config(tol, rtol, fill_value, dtype, level, predictor), threads)

    @property
    def level(self) -> int | None:
        """How hard the encoder looks, or None for the default."""
        return self._config.level

    @property
    def predictor(self) -> str | None:
        """What values are predicted from, or None for the default."""
        return self._config.predictor
