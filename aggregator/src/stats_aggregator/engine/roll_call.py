"""RollCall: who is heard and who is not, once a second."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .sayings import Sayings
from .sessions import Liveness, Session, Sessions

log = logging.getLogger(__name__)

_EVERY_NS = 1_000_000_000


class RollCall:
    """Judges the sessions, and says of a worker that it is lost."""

    def __init__(self, sessions: Sessions, sayings: Sayings, is_reached: Callable[[Session], bool]) -> None:
        """`is_reached` says whether the connection of a session still stands."""
        self._sessions = sessions
        self._is_reached = is_reached
        self._sayings = sayings
        self._called_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Return whether it is time again."""
        return now_ns - self._called_ns >= _EVERY_NS

    def call(self, now_ns: int) -> None:
        """Judge every session anew, and measure what it sends."""
        elapsed_s, self._called_ns = (now_ns - self._called_ns) / 1e9, now_ns
        for session in self._sessions:
            session.measure(elapsed_s)
        for session in self._sessions.judge_all(now_ns, self._is_reached):
            if session.liveness is Liveness.LOST:
                text = "worker %s of run %s is lost: unheard for a minute"
                self._sayings.limited(text, session.worker, session.run)

    def forgive(self, away_ns: int) -> None:
        """Hold nobody's silence against them while nobody listened."""
        log.warning("the daemon did not run for %.0f s", away_ns / 1e9)
        self._sessions.forgive(away_ns)
