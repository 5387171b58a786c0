"""Answers: what is said to the workers of a group once it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stats_aggregator_client.wire import Ack, Welcome, encode

from .group import Group
from .sessions import Session

Credit = Callable[[Session], int]
"""The window of unacknowledged bytes that a session is given now."""


class Answers:
    """Encodes replies; all tell the credit in bytes, the daemon's time, and the lengths of time periods."""

    def __init__(self, server_id: bytes, windows_ns: Sequence[int]) -> None:
        self._server_id = server_id
        self._windows_ns = tuple(windows_ns)

    def to_group(self, group: Group, credit: Credit, now_ns: int) -> list[tuple[bytes, bytes]]:
        """Return `(peer, frame)` for all that a group answers; a refusal goes before the ACK behind it.

        `now_ns` is read when the group is answered: a time before a frame was sent would pull back the
        estimate of the daemon's time that its sender has.
        """
        answers = [(peer, encode(reply)) for peer, reply in group.replies]
        for peer, session in group.welcomes.items():
            answers.append((peer, self._welcome(session, credit(session), now_ns)))
        for peer, session in group.acks.items():
            if peer not in group.welcomes:
                answers.append((peer, self.ack(session, credit(session), now_ns)))
        return answers

    def ack(self, session: Session, credit_bytes: int, now_ns: int) -> bytes:
        """Return the ACK of all that the session has stored."""
        notices = session.take_notices()
        return encode(
            Ack(session.id, session.durable_seq, credit_bytes, now_ns, self._windows_ns, notices=notices)
        )

    def _welcome(self, session: Session, credit_bytes: int, now_ns: int) -> bytes:
        return encode(
            Welcome(
                session.id,
                self._server_id,
                session.worker,
                session.run,
                session.durable_seq,
                credit_bytes,
                now_ns,
                self._windows_ns,
                notices=session.take_notices(),
            )
        )
