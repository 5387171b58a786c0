"""Door: lets one thread in at a time, and nobody into what that thread has left half done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast


class Door:
    """A lock for what takes several steps.

    A signal handler or a finalizer runs between any two steps of its own thread, and may call the client too:
    `lock` cannot keep it out, since its thread has that already. So a call first asks `postpones`, and is
    made again when the thread has come out, in the order in which such calls came.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """For a look, or a wait, that leaves nothing half done."""
        self._depth = 0
        self._postponed: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    @property
    def is_entered(self) -> bool:
        """Whether this thread is inside, for one that holds `lock`."""
        return self._depth > 0

    def postpones(self, call: Callable[..., Any], *arguments: Any) -> bool:
        """Return whether this thread is inside; then `call` is made when it has come out."""
        with self.lock:
            if not self._depth:
                return False
            self._postponed.append((call, arguments))
            return True

    def __enter__(self) -> None:
        self.lock.acquire()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        self.lock.release()
        if self._postponed:
            self._catch_up()

    def enter(self, call: Callable[..., None], method: Callable[..., None], *arguments: Any) -> None:
        """Make `method` inside; where this thread is there already, make `call` when it has come out.

        The same as `postpones` and a `with`, in half the time.
        """
        try:
            with self.lock:
                if self._depth:
                    self._postponed.append((call, arguments))
                    return
                self._depth = 1
                try:
                    method(*arguments)
                finally:
                    self._depth = 0
        finally:
            if self._postponed:
                self._catch_up()

    def _catch_up(self) -> None:
        # Where a thread is inside, be it this one, it does so when it comes out.
        while self._postponed and not self._depth:
            try:
                call, arguments = self._postponed.popleft()
            except IndexError:
                return  # another thread was quicker
            call(*arguments)


_Method = TypeVar("_Method", bound=Callable[..., None])


def whole(method: _Method) -> _Method:
    """Let a method go through the `_door` of its object: at once, or when its thread has come out."""

    @wraps(method)
    def call(self: Any, *arguments: Any) -> None:
        self._door.enter(call, method, self, *arguments)

    return cast(_Method, call)
