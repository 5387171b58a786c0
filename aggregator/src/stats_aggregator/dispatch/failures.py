"""Failures: what a plugin's code raised, said once each."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_SAID_KEPT = 1000


class Failures:
    """Logs each distinct failure of a plugin in a run once, and its traceback at level debug."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._said: set[str] = set()

    def say(self, what: str, error: BaseException, then: str) -> str:
        """Log that `what` raised `error` and what happens `then`; return the error as text."""
        text = _described(error)
        if text not in self._said and len(self._said) < _SAID_KEPT:
            self._said.add(text)
            log.error("%s: %s raised %s; %s (said once)", self._who, what, text, then)
        log.debug("%s: %s raised %s; %s", self._who, what, text, then, exc_info=error)
        return text


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except Exception:  # noqa: BLE001 - an error whose text cannot be made is still an error
        return type(error).__name__
