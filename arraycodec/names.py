"""The names that parameters take, for type checkers; what they mean is said where they are parameters."""

from typing import Literal

Predictor = Literal["none", "auto", "lorenzo", "interpolation", "linear"]
Backend = Literal["bz2", "lzma", "zlib", "zstd"]
Rounding = Literal["dither", "qsgd"]
Norm = Literal["l2", "max"]
Packing = Literal["rans", "fixed"]
Factorization = Literal["svd", "lplr", "lsvd", "dsvd"]
Target = Literal["zarr3", "zarr2", "h5netcdf"]
View = Literal["bfloat16"]
