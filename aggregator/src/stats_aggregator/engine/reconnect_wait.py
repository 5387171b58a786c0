"""ReconnectWait: for how long, after a start, the clock ends no period since workers still come back."""

from __future__ import annotations

from collections.abc import Iterable

from .sessions import LOST_AFTER_NS, Session

MOST_NS = 15_000_000_000
"""A worker that was alive before the start, and is not back by then, is waited for no longer."""


class ReconnectWait:
    """Waits for the sessions that the journal has as alive, and then for `grace_ns` after the last HELLO.

    What they held while there was no daemon comes behind their HELLO, and shall find its windows open. Where
    the journal has nobody the first HELLO is waited for. It takes at most 15 s in all.
    """

    def __init__(self, sessions: Iterable[Session], now_ns: int, grace_ns: int) -> None:
        """Begin to wait at `now_ns` for those of `sessions` that were heard within the last minutes."""
        self._grace_ns = grace_ns
        self._most_ns = now_ns + MOST_NS
        self._last_hello_ns: int | None = None
        # Recovery counts whoever spoke in the journal as heard a minute before the start.
        self._awaited = {
            session.id
            for session in sessions
            if not session.said_bye and now_ns - session.heard_ns < LOST_AFTER_NS + MOST_NS
        }
        self._is_over = False

    def heard(self, session_id: bytes, now_ns: int) -> None:
        """Note the HELLO of a session."""
        if self._is_over:
            return
        if self._last_hello_ns is None or session_id in self._awaited:
            self._last_hello_ns = now_ns
        self._awaited.discard(session_id)

    def pause(self, now_ns: int) -> None:
        """Wait again, for `grace_ns`: nobody listened until now."""
        self._is_over = False
        self._awaited.clear()
        self._last_hello_ns, self._most_ns = now_ns, now_ns + MOST_NS

    def is_over(self, now_ns: int) -> bool:
        """Return whether the clock may end periods again."""
        hello_ns = self._last_hello_ns
        is_back = not self._awaited and hello_ns is not None and now_ns >= hello_ns + self._grace_ns
        self._is_over = self._is_over or is_back or now_ns >= self._most_ns
        return self._is_over
