"""``arraycodec verify``: the bound checked exactly between two files of any formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import automatic_chunks, box_shape, boxes
from ..checkpoints.views import LINEAR16
from ..codec import verify
from ..dtypes import BFLOAT16, fill_bytes, is_supported
from ..errors import ParameterError
from ..rules import Rules
from . import interrupt
from .claims import Claims, Same
from .codecs import said
from .console import Console
from .formats import open_source
from .model import ArrayInfo, Box, CommandError, Source, plain_dtype


@dataclass(frozen=True)
class Promise:
    """What is to hold: as of `arraycodec.verify`; integers must be equal unless `lossy_integers`.

    `tol` may be rules, by the names of the arrays of the second file.
    """

    tol: float | Rules | None = None
    rtol: float | None = None
    fill_value: int | float | complex | None = None
    dtype: str | None = None
    lossy_integers: bool = False

    @property
    def said(self) -> str:
        """For messages."""
        return said(None if self.tol is None else Rules.of(self.tol), self.rtol)

    def of(self, info: ArrayInfo) -> Same | None:
        """What holds for an array; None to compare it bit for bit."""
        arguments = self._arguments(info)
        if arguments is None or self.tol is None:
            return None if arguments is None else Same(arguments, 0.0)
        rule = Rules.of(self.tol).of_tensor(info.name)
        return None if rule.keep else Same(arguments | {"tol": rule.tol}, rule.tol)

    def _arguments(self, info: ArrayInfo) -> dict[str, Any] | None:
        """The arguments of `verify` but the absolute tolerance; None to compare bit for bit."""
        dtype = info.dtype.newbyteorder("=")
        if info.view is not None:
            lossy = {"tol": None, "rtol": self.rtol, "fill_value": self.fill_value, "dtype": bfloat16_of(info)}
            return lossy if info.view.is_lossy else None
        view = self.dtype if self.dtype is not None and dtype == np.uint16 else None
        kind = "f" if view else dtype.kind
        if not is_supported(dtype) or kind not in ("fciu" if self.lossy_integers else "fc"):
            return None
        fill = self.fill_value
        if kind in "iu":
            try:
                fill_bytes(fill, dtype)
            except ParameterError:
                fill = None  # none of its values is that one
        return {"tol": None, "rtol": self.rtol, "fill_value": fill, "dtype": view}


def bfloat16_of(info: ArrayInfo) -> str | None:
    """What `verify` has to know of an array's elements."""
    return BFLOAT16 if info.view is not None and info.view.kind == BFLOAT16 else None


def verify_paths(
    original: Path, decoded: Path, promise: Promise | Claims, name: str | None, console: Console,
    formats: Any = (None, None),
) -> bool:  # fmt: skip
    """Compare all arrays; True if every one keeps the promise.

    Floats and complex numbers must agree within the tolerances, all others exactly.  Arrays are matched
    by name; a single array on each side is matched whatever the names.
    """
    with open_source(original, formats[0]) as a, open_source(decoded, formats[1]) as b:
        pairs = _pairs(_arrays(a), _arrays(b), name, original, decoded)
        console.start(sum(x.nbytes for _, x, _ in pairs if x is not None))
        try:
            results = [_compare(label, x, y, a, b, promise, console) for label, x, y in pairs]
        finally:
            console.stop()
    failed = results.count(False)
    if failed:
        console.say(f"FAILED: {failed} of {len(results)} arrays")
    else:
        arrays = f"{len(results)} array{'s' if len(results) != 1 else ''}"
        console.say(f"ok: {arrays} within {promise.said}")
    return not failed


def _arrays(source: Source) -> dict[str, ArrayInfo]:
    return {i.name: i for i in source.items() if isinstance(i, ArrayInfo) and not i.hidden}


def _pairs(
    a: dict[str, ArrayInfo], b: dict[str, ArrayInfo], name: str | None, path_a: Path, path_b: Path
) -> list[tuple[str, ArrayInfo | None, ArrayInfo | None]]:
    if name is not None:
        key = name.strip("/")
        for arrays, path in ((a, path_a), (b, path_b)):
            if key not in arrays and len(arrays) != 1:
                raise CommandError(f"{path} has no array named {name!r}")
        return [(key, a.get(key) or next(iter(a.values())), b.get(key) or next(iter(b.values())))]
    if len(a) == len(b) == 1:
        (x,), (y,) = a.values(), b.values()
        return [(x.name or y.name, x, y)]
    return [(key, a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys())]


def _compare(
    label: str, x: ArrayInfo | None, y: ArrayInfo | None, a: Source, b: Source, promise: Promise | Claims,
    console: Console,
) -> bool:  # fmt: skip
    label = label or "array"
    if x is None or y is None:
        console.say(f"{label}: missing in {'the first' if x is None else 'the second'} file")
        return False
    if (x.shape, x.null) != (y.shape, y.null):
        console.say(f"{label}: shape {x.shape} against {y.shape}")
        return False
    bounded = promise.of(y)
    if _native(x) != _native(y):
        console.say(f"{label}: dtype {x.dtype} against {y.dtype}")
        return False
    violations, lost, max_error = 0, 0, 0.0
    unit = y.shards or y.chunks or automatic_chunks(y.shape)
    step = box_shape(x.shape, unit, x.chunks) if bounded is None or bounded.unit is None else bounded.unit
    for box in boxes(x.shape, step) if not x.null else ():
        interrupt.check()
        p, q = _values(a, x, box), _values(b, y, box)
        console.advance(p.nbytes, label)
        arguments = None if bounded is None else bounded.at(box)
        if arguments is not None:
            check = verify(p, q, **arguments)
            violations += check.violations
            lost += check.lost
            max_error = max(max_error, check.max_error)
        else:
            violations += _different(p, q)
    if bounded is not None:
        part = f" ({max_error / bounded.largest:.9g} tol)" if bounded.largest else ""
        which = "NaN or Inf" if getattr(promise, "fill_value", None) is None else "NaN, Inf or fill values"
        lost_part = f" ({lost} of them {which})" if lost else ""
        console.say(f"{label}: {violations} violations{lost_part}, max error {max_error:.6g}{part}")
    else:
        console.say(f"{label}: {violations} values differ ({x.dtype}, compared exactly)")
    return violations == 0


def _values(source: Source, info: ArrayInfo, box: Box) -> np.ndarray:
    """The values in a box; integers that stand for floats as these."""
    values = source.read(info, box)
    return info.view.values(values) if info.view is not None and info.view.kind == LINEAR16 else values


def _native(info: ArrayInfo) -> Any:
    """The dtype without byte order; texts of all kinds are the same."""
    if info.text or info.dtype.kind == "U":
        return "text"
    if info.view is not None and info.view.kind == LINEAR16:
        return info.view.dtype
    native = info.dtype.newbyteorder("=")
    return native if native.hasobject else plain_dtype(native)


def _different(p: np.ndarray, q: np.ndarray) -> int:
    """How many values differ; by their bits, so that NaN equals itself and -0.0 is not 0.0."""
    return int(np.count_nonzero(_differs(p, q)))


def _differs(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Where values differ, flat."""
    if p.dtype.names is not None:
        result = np.zeros(p.size, bool)
        for name in p.dtype.names:  # not the padding between fields; a field may itself be an array
            result |= _differs(p[name], q[name]).reshape(p.size, -1).any(axis=1)
        return result
    if p.dtype.hasobject or p.dtype.kind == "U" or q.dtype.kind == "U":
        pairs = zip(p.reshape(-1).tolist(), q.reshape(-1).tolist(), strict=True)
        return np.array([not np.array_equal(u, v) for u, v in pairs], bool)
    native = p.dtype.newbyteorder("=")
    rows = [np.ascontiguousarray(x, native).reshape(-1).view(np.uint8).reshape(x.size, -1) for x in (p, q) if x.size]
    return (rows[0] != rows[1]).any(axis=1) if rows else np.zeros(0, bool)
