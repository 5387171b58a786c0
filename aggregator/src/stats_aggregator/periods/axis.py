"""Axis and rounds: where a category stands on its x axis, and whose WRITE closes a period."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from stats_aggregator_client.wire import INT64_MAX


@dataclass(slots=True)
class Axis:
    """The training step of a category: absolute where anyone reports it so, else counted over all workers.

    `last` is the step of the period closed last, or -1; a period's step is never less, except by a rewind.
    """

    absolute: int = -1
    counted: int = 0
    last: int = -1

    def report(self, step: int | None, steps: int) -> int:
        """Take a batch's step (absolute) or steps (an increment); return the step it speaks of, or -1."""
        if step is not None:
            self.absolute = max(self.absolute, step)
            return step
        if steps:
            self.counted = min(self.counted + steps, INT64_MAX)
            return self.position
        return -1

    @property
    def position(self) -> int:
        """The greatest step so far, or -1 where there is none."""
        if self.absolute >= 0:
            return self.absolute
        return self.counted or -1

    def rewind(self, step: int) -> None:
        """Go back to `step`; what is counted goes on counting from there."""
        if self.absolute >= 0:
            self.absolute = step
        else:
            self.counted = step
        self.last = step

    def step_for(self, reported: int, ordinal: int) -> int:
        """Return the step of a period within which `reported`, or -1, was the greatest."""
        if reported < 0 and self.last < 0:
            return ordinal  # nobody counts steps: the periods themselves are counted
        return max(reported, self.last)


@dataclass(slots=True)
class WriteRound:
    """Which of a category's writing sessions have said WRITE for the open period.

    `owed` are those whose round was closed by grace before they wrote: their next WRITE closes nothing.
    """

    writers: set[bytes] = field(default_factory=set)
    written: set[bytes] = field(default_factory=set)
    owed: set[bytes] = field(default_factory=set)
    straggler: bool = False
    """Whether a late WRITE waits for a round to join; it ends the period where none begins."""
    began_ns: int = 0

    def is_late(self, session: bytes, is_past: bool, is_live: Callable[[bytes], bool]) -> bool:
        """Return whether a WRITE is for a round that was closed without it.

        It is where its step `is_past` and the session owes one, or others write too: taken for this round,
        the session would stay a round behind them for ever. So too where it has written before and the
        others have since ended: what it has left to say would be a heap of points at their last step.
        A step that is new is for this round always.
        """
        others = self.writers - {session}
        if not is_past or not others:
            return False
        return session in self.writers or session in self.owed or any(map(is_live, others))

    def take(self, session: bytes, late: bool, now_ns: int) -> bool:
        """Take a WRITE; return whether the session has written in this round before."""
        self.writers.add(session)
        if session in self.owed:
            self.owed.discard(session)
            if late:
                return False
        if session in self.written:
            return True
        if not (self.written or self.straggler):
            self.began_ns = now_ns
        if late:
            self.straggler = True
        else:
            self.written.add(session)
        return False

    def is_complete(self, is_live: Callable[[bytes], bool]) -> bool:
        """Return whether every live writing session has written."""
        return bool(self.written) and not self.missing(is_live)

    def is_due(self, now_ns: int, grace_ns: int) -> bool:
        """Return whether grace has passed since the round's first WRITE."""
        return (bool(self.written) or self.straggler) and now_ns >= self.began_ns + grace_ns

    def missing(self, is_live: Callable[[bytes], bool]) -> list[bytes]:
        """Return the live writing sessions that have not written in the round that others began."""
        if not self.written:
            return []
        return sorted(writer for writer in self.writers - self.written if is_live(writer))

    def forget_all_but(self, known: Container[bytes]) -> None:
        """Forget the sessions that are not `known` any more; they are waited for by nobody."""
        for sessions in (self.writers, self.owed):
            for session in [session for session in sessions if session not in known]:
                sessions.discard(session)

    def reset(self) -> None:
        """Forget who has written and who owes: the axis went back."""
        self.close(())
        self.owed.clear()

    def close(self, owed: Iterable[bytes]) -> None:
        """End the round."""
        self.owed.update(owed)
        self.written.clear()
        self.straggler = False
