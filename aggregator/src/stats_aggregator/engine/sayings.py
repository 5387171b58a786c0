"""Sayings: log lines that a bad peer or a long night must not turn into a flood."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

_MAX_REMEMBERED = 10_000
_ONCE_A_SECOND = 50


class Sayings:
    """Says some things once, and others at most once a second with a count of what was not said."""

    def __init__(self, log: logging.Logger, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic_s = monotonic_s
        self._said: set[Hashable] = set()
        self._second_ends_s = 0.0
        self._said_in_second = 0
        self._next_s = 0.0
        self._unsaid = 0

    def once(self, what: Hashable, text: str, *args: object) -> None:
        """Warn of `what` the first time; past 50 warnings a second, the next time it comes up."""
        if what in self._said:
            return
        now_s = self._monotonic_s()
        if now_s >= self._second_ends_s:
            self._second_ends_s, self._said_in_second = now_s + 1.0, 0
        self._said_in_second += 1
        if self._said_in_second > _ONCE_A_SECOND:
            return
        if len(self._said) >= _MAX_REMEMBERED:
            self._said.clear()
        self._said.add(what)
        self._log.warning(text, *args)

    def limited(self, text: str, *args: object) -> None:
        """Warn at most once a second over all that is said this way."""
        now_s = self._monotonic_s()
        if now_s < self._next_s:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} like it)" if self._unsaid else ""
        self._next_s, self._unsaid = now_s + 1.0, 0
        self._log.warning(text + "%s", *args, more)
