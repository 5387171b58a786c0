"""Desk: asks the daemon how it is, seldom, for however many want to know."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..inquiry import ask

_KEPT_S = 1.0
_TIMEOUT_S = 3.0


class Answer(NamedTuple):
    """A daemon's status, None where it did not answer, and how long that took."""

    status: Mapping[str, Any] | None
    took_s: float


class Desk:
    """Asks at most once a second; who comes meanwhile gets the same answer.

    So the engine, which takes its time from training values, is not slowed by how often pages are read.
    """

    def __init__(self, daemon: str, timeout_s: float = _TIMEOUT_S) -> None:
        self._daemon = daemon
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._answer = Answer(None, 0.0)
        self._ended_s = -_KEPT_S

    def answer(self) -> Answer:
        """Return what the daemon says, or said within the last second."""
        with self._lock:
            if time.monotonic() - self._ended_s >= _KEPT_S:
                began_s = time.monotonic()
                status = ask(self._daemon, self._timeout_s)
                self._ended_s = time.monotonic()
                self._answer = Answer(status, self._ended_s - began_s)
            return self._answer
