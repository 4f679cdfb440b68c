"""What the chunks of a store say of their errors, for ``arraycodec verify`` without a tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoints.views import LINEAR16
from ..codec import Header, peek
from ..errors import DecodeError
from . import interrupt
from .codecs import fill_of
from .formats import input_format
from .model import ArrayInfo, Box, CommandError
from .stored import StoredArray, stored_arrays


@dataclass(frozen=True)
class Same:
    """The same bound everywhere in an array; as `Claim`."""

    arguments: dict[str, Any]
    largest: float
    unit: tuple[int, ...] | None = None

    def at(self, box: Box) -> dict[str, Any]:
        """The arguments of `verify` for a box."""
        return self.arguments


class Claim:
    """Of one array: every chunk has a bound of its own, and what is not coded is exact.

    Attributes
    ----------
    unit : tuple of int or None
        The shape of a chunk, where bounds differ.
    largest : float
        The largest absolute tolerance.
    """

    def __init__(self, array: StoredArray) -> None:
        self._bounds: dict[tuple[int, ...], dict[str, Any]] = {}
        fill, n_chunks = fill_of(array.parameters), 0
        for chunk in array.chunks(True):
            interrupt.check()
            n_chunks += 1
            label = array.name or "the array"
            if chunk.problem:
                raise CommandError(f"{label}: damaged chunk at {chunk.corner}: {chunk.problem}")
            if chunk.data is None:
                continue
            if not array.direct:
                raise CommandError(f"{label}: other codecs change what ours is given; say --tol or --rtol")
            try:
                self._bounds[chunk.corner] = _bound(peek(chunk.data), fill)
            except DecodeError as e:
                raise CommandError(f"{label}: damaged chunk at {chunk.corner}: {e}") from None
        bounds = list(self._bounds.values())
        same = len(bounds) == array.n_chunks and all(bound == bounds[0] for bound in bounds)
        self.unit = None if same else array.chunk_shape
        self.largest = max((bound["tol"] for bound in bounds), default=0.0)
        self._common = bounds[0] if same and bounds else None
        self._widest = max(bounds, key=lambda bound: (bound["tol"], bound["rtol"] or 0), default=None)

    def at(self, box: Box) -> dict[str, Any] | None:
        """The arguments of `verify` for a box, of a chunk if there is a `unit`; None to compare bit for bit."""
        bound = self._common if self.unit is None else self._bounds.get(tuple(s.start for s in box))
        return bound if bound is not None and (bound["tol"] or bound["rtol"]) else None

    def of_tensor(self, info: ArrayInfo) -> Same | Claim | None:
        """Of a tensor in the array; None to compare bit for bit."""
        is_floats = info.view is not None and info.view.kind == LINEAR16
        if not is_floats and (info.host is None or info.host[1] is None):
            return self
        bound = self._widest  # all chunks of a pack were made by one codec
        if bound is None or not (bound["tol"] or bound["rtol"]):
            return None
        if is_floats:
            bound = {**bound, "tol": info.view.bound(int(bound["tol"]))}
        return Same(bound, bound["tol"])


def _bound(header: Header, fill: Any) -> dict[str, Any]:
    integer = header.dtype.kind in "iu" and header.element != "bfloat16"
    return {
        "tol": float(header.whole) if integer else header.tol,
        "rtol": header.rtol or None,
        "fill_value": fill,
        "dtype": "bfloat16" if header.element == "bfloat16" else None,
    }


class Claims:
    """Of all arrays of a store.

    Raises
    ------
    CommandError
        If there is no chunk of ours, or one is damaged.
    """

    def __init__(self, path: Path) -> None:
        kind = input_format(path)
        self._path = path
        self._arrays: dict[str, Claim] = {}
        if kind in ("hdf5", "arrc") or kind is not None and kind.startswith("zarr"):
            self._arrays = {array.name: Claim(array) for array in stored_arrays(path) if array.ours}
        if not self._arrays:
            raise CommandError(f"verify needs a tolerance (--tol T, --rtol R or both): no chunks of {path} say one")

    @property
    def said(self) -> str:
        """For messages."""
        return f"what the chunks of {self._path} say"

    def of(self, info: ArrayInfo) -> Same | Claim | None:
        """Of an array of the store; None to compare bit for bit."""
        claim = self._arrays.get(info.host[0] if info.host is not None else info.same_as or info.name)
        return None if claim is None else claim.of_tensor(info)
