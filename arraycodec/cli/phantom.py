"""The Shepp-Logan phantom: the test picture of tomography, ten ellipses in a head."""

from __future__ import annotations

import numpy as np

# L. A. Shepp and B. F. Logan, "The Fourier reconstruction of a head section", IEEE Trans. Nucl. Sci. 21 (1974), with
# the grey values of P. A. Toft, "The Radon transform" (1996), who made the inner ellipses visible.
# Columns: grey value added, semi-axis along x, along y, centre x, centre y, angle in degrees.
_ELLIPSES = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.605, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)


def shepp_logan(size: int) -> np.ndarray:
    """The phantom with Toft's grey values.

    Parameters
    ----------
    size : int
        Pixels along each side; their centres are from -1 to 1, both included.

    Returns
    -------
    numpy.ndarray
        float64, (size, size), mapped to [0, 1]; the top of the head is the first row.
    """
    axis = np.linspace(-1, 1, size)
    x, y = axis[None, :], axis[::-1, None]
    picture = np.zeros((size, size))
    for grey, a, b, x0, y0, degrees in _ELLIPSES:
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        along = (x - x0) * cos + (y - y0) * sin
        across = (x - x0) * sin - (y - y0) * cos
        picture[(along / a) ** 2 + (across / b) ** 2 <= 1] += grey
    return np.interp(picture, (picture.min(), picture.max()), (0, 1))
