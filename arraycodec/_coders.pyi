"""Types of the compiled module; see `ext/python/_coders.pyx`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

PRESETS: dict[str, int]
STACK: int
CHAIN: int
ENCODER: int
DECODER: int
CATEGORICAL: int
FREQUENCIES: int
BERNOULLI: int
UNIFORM: int
GAUSSIAN: int
LAPLACE: int
CAUCHY: int
CUSTOM: int
PLAIN: int
SEALED: int
REMAINDERS: int

@disjoint_base
class Model:
    missing: tuple[str, ...]
    def _open(
        self,
        kind: int,
        missing: tuple[str, ...],
        *,
        lo: int = 0,
        hi: int = 0,
        a: float = 0.0,
        b: float = 0.0,
        size: int = 0,
        rows: npt.NDArray[Any] | None = None,
        f32: bool = False,
        perfect: bool = False,
        frequencies: npt.NDArray[np.int32] | None = None,
        cdf: Callable[..., float] | None = None,
        ppf: Callable[..., float] | None = None,
    ) -> None: ...

@disjoint_base
class Coder:
    @property
    def preset(self) -> Any: ...
    def _open(self, kind: int, preset: int, words: npt.NDArray[Any] | None, how: int) -> bool: ...
    def _copy_from(self, other: Coder) -> None: ...
    def _save(self) -> tuple[Any, ...]: ...
    def _restore(
        self,
        kind: int,
        preset: int,
        words: npt.NDArray[Any],
        rest: npt.NDArray[Any],
        state: int,
        head: int,
        pos: int,
        waiting: int,
        first_waiting: int,
    ) -> bool: ...
    def _encode(self, symbols: npt.NDArray[np.int32], model: Model, params: tuple[npt.NDArray[Any], ...]) -> None: ...
    def _decode(self, model: Model, n: int, params: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[np.int32]: ...
    def _words(self, tail: int = -1) -> Any: ...
    def _finished(self) -> Any: ...
    def _finished_length(self) -> int: ...
    def _state(self) -> tuple[int, int, int, int, int]: ...
    def _seek_stack(self, position: int, state: int) -> bool: ...
    def _seek_decoder(self, position: int, low: int, width: int) -> bool: ...
    def _exhausted(self) -> bool: ...

@disjoint_base
class Lanes:
    precision: int
    def _open(self, preset: int, precision: int, heads: npt.NDArray[Any], words: npt.NDArray[Any]) -> None: ...
    def _push(self, symbols: npt.NDArray[np.int32], model: Model) -> None: ...
    def _pop(self, model: Model) -> npt.NDArray[np.int32]: ...
    def _heads(self) -> npt.NDArray[Any]: ...
    def _words(self) -> npt.NDArray[Any]: ...
    def _count(self) -> int: ...
