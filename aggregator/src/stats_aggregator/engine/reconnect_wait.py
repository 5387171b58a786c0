"""ReconnectWait: for how long, after a start, the clock ends no period since workers still come back."""

from __future__ import annotations

from collections.abc import Iterable

from .sessions import LOST_AFTER_NS, Session

MOST_NS = 15_000_000_000
"""A worker that was alive before the start, and is not back by then, is waited for no longer."""


class ReconnectWait:
    """Waits for the sessions that the journal has as alive, and until all have sent what they held.

    That comes behind a session's HELLO, with a HEARTBEAT behind it, and shall find its windows open: the wait
    ends `grace_ns` after the last HELLO, and the last of these messages. Where the journal has nobody the
    first HELLO is waited for. It takes at most 15 s in all.
    """

    def __init__(self, sessions: Iterable[Session], now_ns: int, grace_ns: int) -> None:
        """Begin to wait at `now_ns` for those of `sessions` that were heard within the last minutes."""
        self._grace_ns = grace_ns
        self._most_ns = now_ns + MOST_NS
        self._last_ns: int | None = None
        self._returning: set[bytes] = set()
        """Those that have said HELLO, and may still send what they held."""
        # Recovery counts whoever spoke in the journal as heard a minute before the start.
        self._awaited = {
            session.id
            for session in sessions
            if not session.said_bye and now_ns - session.heard_ns < LOST_AFTER_NS + MOST_NS
        }
        self._is_over = False

    def hello(self, session_id: bytes, now_ns: int) -> None:
        """Note the HELLO of a session."""
        if self._is_over:
            return
        if session_id in self._awaited:
            self._awaited.discard(session_id)
            self._returning.add(session_id)
            self._last_ns = now_ns
        elif self._last_ns is None:
            self._last_ns = now_ns

    def took(self, session_id: bytes, now_ns: int) -> None:
        """Note a message with a seq: the session may have more of them."""
        if session_id in self._returning and not self._is_over:
            self._last_ns = now_ns

    def heartbeat(self, session_id: bytes) -> None:
        """Note a HEARTBEAT: what was held is sent."""
        self._returning.discard(session_id)

    def pause(self, now_ns: int) -> None:
        """Wait again, for `grace_ns`: nobody listened until now."""
        self._is_over = False
        self._awaited.clear()
        self._last_ns, self._most_ns = now_ns, now_ns + MOST_NS

    def is_over(self, now_ns: int) -> bool:
        """Return whether the clock may end periods again."""
        last_ns = self._last_ns
        is_back = not self._awaited and last_ns is not None and now_ns >= last_ns + self._grace_ns
        self._is_over = self._is_over or is_back or now_ns >= self._most_ns
        return self._is_over
