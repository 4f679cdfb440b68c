"""VarintQuant: the same guarantee, in bytes that a few lines of any language read."""

from __future__ import annotations

from typing import Any

from .config import Config
from .hosted import Quantizer
from .names import Backend, View


class VarintQuant(Quantizer):
    """Error-bounded codec for arrays of numbers: quantization, zigzag codes, varints (LEB128).

    What it promises is what `AnsQuant` does, with the same lattice: values are rounded to the nearest multiple of
    (nearly) ``2 * tol``.  The integers are stored one after the other, seven bits a byte, without prediction or models:
    chunks are larger, and a reader is a loop.  Compressors that the host has can follow (``compressors=`` of Zarr v3,
    filters behind this one in HDF5).

    Parameters
    ----------
    tol, rtol, fill_value, dtype, threads
        As of `AnsQuant`.
    backend : {None, "bz2", "lzma", "zlib", "zstd"}
        What compresses the chunk of varints once more: half of a codec for weights as a few lines of Python write it.
        Chunks that it does not make smaller are stored without.  None for the HDF5 filter, where filters of HDF5 can
        follow.
    level : int, optional
        The backend's level: 1 to 9 (bz2), 0 to 9 (lzma, zlib), 1 to 22 (zstd); None is its default (9, 6, 6, 3).

    Raises
    ------
    TypeError, ParameterError
        As `AnsQuant`; also for another backend, a level that it does not have, or one without a backend.

    Examples
    --------
    ``zarr.create_array(..., zarr_format=2, compressors=VarintQuant(tol=2**-17))``,
    ``zarr.create_array(..., serializer=VarintQuant(tol=2**-17), compressors=zarr.codecs.ZstdCodec())``,
    ``h5file.create_dataset(..., compression=VarintQuant(tol=2**-17))``.

    Notes
    -----
    Both codecs write chunks of one format (``docs/format.md``, *Varints*), and each reads what the other wrote.

    References
    ----------
    LEB128: DWARF 5, section 7.6.  Quantization, zigzag and varints for the weights of Leela Chess Zero: "Variable bit
    length lossy floating point compression", codereview.stackexchange.com, question 205131.
    """

    codec_id = "varintquant"
    zarr3_name = "arraycodec.varintquant"
    _names = ("tol", "rtol", "fill_value", "dtype", "backend", "level")

    def __init__(
        self,
        tol: float | None = None,
        rtol: float | None = None,
        *,
        fill_value: Any = None,
        dtype: View | None = None,
        backend: Backend | None = None,
        level: int | None = None,
        threads: int = 1,
    ) -> None:
        config = Config(tol, rtol, fill_value, dtype, coder="varint", backend=backend, backend_level=level)
        self._open(config, threads)

    @property
    def backend(self) -> str | None:
        """What compresses the chunk once more, or None."""
        return self._config.backend

    @property
    def level(self) -> int | None:
        """The level of the backend, or None for its default."""
        return self._config.backend_level
