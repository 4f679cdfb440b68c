"""PyTorch: its tensors as arrays."""

from __future__ import annotations

import numpy as np
import torch

from . import views
from .views import View


def form(tensor: torch.Tensor) -> tuple[np.dtype, View | None]:
    """The dtype as which a tensor is stored, and what its elements are.

    Raises
    ------
    TypeError
        If it has no values side by side in memory (sparse, quantized, of the device "meta"), or another type.
    """
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise TypeError(f"a tensor of {tensor.layout}, {tensor.dtype}, on {tensor.device} has no array of values")
    name = str(tensor.dtype).removeprefix("torch.")
    if name == views.BFLOAT16 or name in views.BYTES:
        return View(name).stored, View(name)
    try:
        return np.dtype(name), None
    except TypeError:
        raise TypeError(f"NumPy has nothing for {tensor.dtype}") from None


def stored(tensor: torch.Tensor) -> np.ndarray:
    """The elements of a tensor as they are stored; its own memory where that is possible."""
    dtype, view = form(tensor)
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if view is None:
        return plain.numpy()
    return plain.reshape(-1).view(torch.uint8).numpy().view(dtype).reshape(tuple(tensor.shape))
