"""Liveness: when to speak, when the daemon is taken for gone, and when that is worth a word."""

from __future__ import annotations

SECOND = 1_000_000_000
HEARTBEAT_NS = 5 * SECOND
SILENCE_NS = 10 * SECOND
"""How long an answer may take. With a heartbeat every 5 s, a silent daemon is found out after 15 s."""
FORGOTTEN_NS = 7 * 24 * 3600 * SECOND
"""How long a daemon keeps a session that it does not hear of."""
NOTICE_NS = 5 * SECOND
_MAX_PATIENCE_NS = 60 * SECOND


class Liveness:
    """Timers of one session, all on the monotonic clock; the time is handed in.

    Silence is counted from what we sent last without an answer, so a process that was stopped for a while
    does not take its own absence for the daemon's.
    """

    def __init__(self, now_ns: int, ack_timeout_ns: int) -> None:
        self.heartbeat_at = 0
        self._ack_timeout_ns = self._patience_ns = ack_timeout_ns
        self._unanswered_ns: int | None = None
        self._heard_ns = self._absent_ns = self._progress_ns = now_ns
        self._warned = False

    def spoke(self, now_ns: int) -> None:
        """Something that asks for an answer went out; a HEARTBEAT is due when nothing else does."""
        self.heartbeat_at = now_ns + HEARTBEAT_NS
        if self._unanswered_ns is None:
            self._unanswered_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """Something came in."""
        self._heard_ns, self._unanswered_ns = now_ns, None

    def opened(self, now_ns: int) -> bool:
        """The daemon welcomed us; return whether its absence had been spoken of."""
        self._progress_ns = now_ns
        warned, self._warned = self._warned, False
        return warned

    def closed(self, now_ns: int, *, was_open: bool) -> None:
        """The socket is gone, or a new one begins."""
        self._unanswered_ns = None
        if was_open:
            self._absent_ns = now_ns

    def progressed(self, now_ns: int) -> None:
        """The daemon stored something, or there was nothing to store until now."""
        self._progress_ns = now_ns
        self._patience_ns = self._ack_timeout_ns

    def forgotten(self, now_ns: int) -> bool:
        """Whether the daemon has forgotten the session by now."""
        return now_ns - self._heard_ns > FORGOTTEN_NS

    def overdue(self, now_ns: int, *, waits_for_ack: bool) -> str | None:
        """Return why the socket must be replaced, if it must. Each wait for an ACK takes twice as long."""
        if self._unanswered_ns is not None and now_ns - self._unanswered_ns > SILENCE_NS:
            return f"nothing was heard for {SILENCE_NS // SECOND} s"
        if waits_for_ack and now_ns - self._progress_ns > self._patience_ns:
            patience_ns = self._patience_ns
            self._patience_ns = min(2 * patience_ns, max(_MAX_PATIENCE_NS, self._ack_timeout_ns))
            return f"nothing was acknowledged for {patience_ns / SECOND:g} s"
        return None

    def notice_due(self, now_ns: int) -> bool:
        """Whether the daemon's absence is worth a word now; True once an absence."""
        if self._warned or now_ns - self._absent_ns < NOTICE_NS:
            return False
        self._warned = True
        return True

    def deadline_ns(self, now_ns: int, *, is_open: bool, is_missed: bool, waits_for_ack: bool) -> int:
        """Return when to look again if nothing happens until then. A daemon that refused us is not missed."""
        times = [self.heartbeat_at if is_open else now_ns + HEARTBEAT_NS]
        if waits_for_ack:
            times.append(self._progress_ns + self._patience_ns + 1)
        if is_missed and not self._warned:
            times.append(self._absent_ns + NOTICE_NS)
        if self._unanswered_ns is not None:
            times.append(self._unanswered_ns + SILENCE_NS + 1)
        return min(times)
