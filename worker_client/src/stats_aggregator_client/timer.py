"""Timer: how long something takes, as a stat in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from .clock import stopwatch_ns

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Timer:
    """Adds the seconds that a `with` block or a decorated function took, also where it raised.

    Decorated, it may be called from several threads and from within itself.
    """

    def __init__(self, add: Callable[[float], None]) -> None:
        self._add = add
        self._began_ns = 0

    def __enter__(self) -> Timer:
        self._began_ns = stopwatch_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._add((stopwatch_ns() - self._began_ns) / 1e9)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return `function`, timed at each call."""

        @wraps(function)
        def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with Timer(self._add):
                return function(*args, **kwargs)

        return timed
