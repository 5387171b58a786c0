"""Flight: frames that have a seq and no acknowledgement yet."""

from __future__ import annotations

from collections import deque

from .counts import Counts
from .lane import Note, Taken
from .wire import Kind

MIN_CREDIT_BYTES = 10_000
"""What a daemon promises each session at least, unless it takes nothing new at all."""


class Sent:
    """One frame, frozen until it is acknowledged, and what it answers for: what was taken to make it."""

    __slots__ = (
        "frame", "lane", "lost", "note", "rejected", "sent_ns", "seq", "step", "steps", "uncertain", "values"
    )  # fmt: skip

    def __init__(self, seq: int, frame: bytes, taken: Taken) -> None:
        self.seq = seq
        self.frame = frame
        self.sent_ns = 0
        self.rejected = False
        self.lane, item, owed = taken
        self.note = item if isinstance(item, Note) else None
        if isinstance(item, Note):
            self.values = self.lost = self.uncertain = self.steps = 0
            self.step: int | None = None
        else:
            self.values, self.lost, self.uncertain = item.num_values, owed.lost, owed.uncertain
            self.step = owed.step if item.step is None else item.step
            self.steps = owed.steps + item.steps

    def give_up(self, counts: Counts) -> None:
        """Nobody can tell whether it was counted: its lane owes to say so, and its latest step again."""
        counts.uncertain += self.values
        counts.steps_uncertain += self.steps
        counts.notes_uncertain += self.note is not None and self.note.kind is not Kind.PROPERTY
        self.lane.uncertain += self.values + self.uncertain
        self.lane.lost += self.lost
        self.lane.step = self.step if self.lane.step is None else self.lane.step


class Flight:
    """Gives seqs, keeps the frames, and knows which one goes out next.

    The credit is an absolute window: so many bytes may be unacknowledged. One frame may always be in flight,
    unless the credit is 0, which permits re-sends only.
    """

    def __init__(self) -> None:
        self.next_seq = 1
        self.durable_seq = 0
        self.credit_bytes = 0
        self.unacked_bytes = 0
        self._frames: deque[Sent] = deque()
        self._position = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def used(self) -> bool:
        """Whether any seq was given."""
        return self.next_seq > 1

    @property
    def waiting(self) -> bool:
        """Whether a frame that has its seq is still to be sent, or sent again."""
        return self._position < len(self._frames)

    def room_bytes(self) -> int:
        """Return how long the next new frame may be; 0 where none may be made.

        A quarter of the whole window is waited for, so that a crumb of it does not make small batches.
        """
        if not self._frames:
            return max(self.credit_bytes, MIN_CREDIT_BYTES) if self.credit_bytes else 0
        room = self.credit_bytes - self.unacked_bytes
        return room if room >= max(self.credit_bytes // 4, 1) else 0

    def batch_bytes(self) -> int:
        """Return how long a batch should be at most: several fit the window, so that none waits."""
        return max(self.credit_bytes // 4, MIN_CREDIT_BYTES)

    def launch(self, sent: Sent) -> None:
        """Take a frame that was made with `next_seq`."""
        self._frames.append(sent)
        self.next_seq += 1
        self.unacked_bytes += len(sent.frame)

    def next(self) -> Sent:
        """Return the frame that goes out next; there is one while `waiting`."""
        return self._frames[self._position]

    def advance(self) -> None:
        """The next frame went out."""
        self._position += 1

    def acknowledge(self, durable_seq: int) -> list[Sent]:
        """Return the frames that the daemon has stored now, and keep them no longer."""
        done: list[Sent] = []
        while self._frames and self._frames[0].seq <= durable_seq:
            sent = self._frames.popleft()
            self.unacked_bytes -= len(sent.frame)
            done.append(sent)
        self._position = max(self._position - len(done), 0)
        if done:
            self.durable_seq = done[-1].seq
        return done

    def send_again_from(self, seq: int) -> bool:
        """Send from `seq` on again; return False where that frame is not here any more or never was."""
        index = seq - self.durable_seq - 1
        if not 0 <= index <= len(self._frames):
            return False
        self._position = min(self._position, index)
        return True

    def find(self, seq: int) -> Sent | None:
        """Return the frame of `seq` if it is in flight."""
        index = seq - self.durable_seq - 1
        return self._frames[index] if 0 <= index < len(self._frames) else None

    def frames(self) -> list[Sent]:
        """Return all frames in flight, oldest first."""
        return list(self._frames)
