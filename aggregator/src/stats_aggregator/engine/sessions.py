"""Sessions: who is connected, under which name, how far each has been heard and stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

_SECOND_NS = 1_000_000_000
SILENT_AFTER_NS = 15 * _SECOND_NS
LOST_AFTER_NS = 60 * _SECOND_NS
GONE_AFTER_NS = 600 * _SECOND_NS
"""After so long a lost session counts as ended, though its connection stands."""
EXPECTED_FOR_NS = 3600 * _SECOND_NS
"""So long a worker that is not heard of, and has not said BYE, is expected in each period."""
FORGOTTEN_AFTER_NS = 7 * 86400 * _SECOND_NS
_MAX_REFUSED = 32
_MAX_NOTICES = 8
MIN_CREDIT_BYTES = 10_000
MAX_CREDIT_BYTES = 8 << 20


class Liveness(Enum):
    """What is known of a worker by when it was last heard."""

    ALIVE = "alive"
    SILENT = "silent"
    LOST = "lost"
    GONE = "gone"


class Refused(NamedTuple):
    """A seq that was refused for good, with the code and text of its REJECT."""

    seq: int
    code: int
    text: str


@dataclass(slots=True)
class Session:
    """One client object in one process.

    `taken_seq` is the last seq that the engine decided on, `durable_seq` the last one that is stored; they
    differ only while a group is being written. `refused` are the last seqs that were: a REJECT that is lost
    on its way would read as an acknowledgement.
    """

    id: bytes
    worker: str
    run: str
    process: bytes
    taken_seq: int = 0
    durable_seq: int = 0
    heard_ns: int = 0
    said_bye: bool = False
    is_cut_off: bool = False
    """Whether its connection was found to have ended when it was lost."""
    peer: bytes | None = None
    granted_bytes: int = 0
    nacked_seq: int = -1
    liveness: Liveness = Liveness.ALIVE
    info: Mapping[str, Any] = field(default_factory=dict)
    batches: int = 0
    values: int = 0
    duplicates: int = 0
    values_per_s: float = 0.0
    counted_values: int = 0
    counts_nothing: bool = False
    """Whether it was told that its increments count nothing where steps are absolute."""
    refused: deque[Refused] = field(default_factory=lambda: deque(maxlen=_MAX_REFUSED))
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_NOTICES))
    """What a person at the worker should read, until an answer takes it there."""

    def measure(self, elapsed_s: float) -> None:
        """Take the rate of values since the last measurement into the moving average."""
        rate, self.counted_values = (self.values - self.counted_values) / elapsed_s, self.values
        self.values_per_s += 0.3 * (rate - self.values_per_s)

    def take_notices(self) -> tuple[str, ...]:
        """Return the notices that wait, and keep them no longer."""
        if not self.notices:  # most often
            return ()
        taken = tuple(self.notices)
        self.notices.clear()
        return taken

    def hear(self, now_ns: int) -> None:
        """Note that the worker spoke."""
        self.heard_ns = now_ns
        self.said_bye = self.is_cut_off = False

    def judge(self, now_ns: int) -> Liveness:
        """Return what is known of the worker now."""
        if self.said_bye:
            return Liveness.GONE
        silence_ns = now_ns - self.heard_ns
        if silence_ns < SILENT_AFTER_NS:
            return Liveness.ALIVE
        return Liveness.SILENT if silence_ns < LOST_AFTER_NS else Liveness.LOST


class Sessions:
    """All sessions heard within seven days, by id and by the connection they speak on."""

    def __init__(self, ingress_bytes: int) -> None:
        self._ingress_bytes = ingress_bytes
        self._by_id: dict[bytes, Session] = {}
        self._by_peer: dict[bytes, Session] = {}
        self._granted_bytes = 0
        self._by_name: dict[tuple[str, str], Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._by_id

    def get(self, session_id: bytes) -> Session | None:
        """Return the session with this id."""
        return self._by_id.get(session_id)

    def connected(self) -> list[tuple[bytes, Session]]:
        """Return every connection with the session that speaks on it."""
        return list(self._by_peer.items())

    def on(self, peer: bytes) -> Session | None:
        """Return the session that said HELLO on this connection."""
        return self._by_peer.get(peer)

    def add(self, session: Session) -> None:
        """Take in a session; it holds its worker's name from now on."""
        self._by_id[session.id] = session
        self._by_name[session.run, session.worker] = session

    def make_room(self, most: int) -> bool:
        """Return whether there is room for one more; the one that said BYE longest ago makes it."""
        if len(self._by_id) < most:
            return True
        gone = [session for session in self if session.liveness is Liveness.GONE]
        if gone:
            self._forget(min(gone, key=lambda session: session.heard_ns))
        return bool(gone)

    def connect(self, session: Session, peer: bytes) -> None:
        """Note the connection on which the session speaks; an earlier one of its is forgotten."""
        self._disconnect(session)
        earlier = self._by_peer.get(peer)
        if earlier is not None:
            self._disconnect(earlier)
        session.peer = peer
        self._by_peer[peer] = session

    def name_for(
        self, wished: str, run: str, process: bytes, now_ns: int, is_reached: Callable[[Session], bool]
    ) -> str:
        """Return the worker's name: as wished, or with a suffix where another live process has it.

        Live is who was heard of late, on a connection that still stands: so the successor of one that was
        killed a moment ago keeps its name.
        """
        name, number = wished, 1
        while (holder := self._by_name.get((run, name))) is not None:
            is_live = holder.peer is not None and holder.judge(now_ns) is Liveness.ALIVE
            if holder.process == process or not is_live:
                break
            if not is_reached(holder):
                self._disconnect(holder)
                break
            number += 1
            name = f"{wished}#{number}"
        return name

    def grant_bytes(self, session: Session) -> int:
        """Return the window of unacknowledged bytes that the session has from now on.

        Those who came early keep theirs until they are told again: a newcomer gets its share of all as far as
        half of what is left allows, so that all windows together stay within the limit at every moment.
        """
        share = self._ingress_bytes // max(1, len(self._by_peer))
        left = self._ingress_bytes - (self._granted_bytes - session.granted_bytes)
        granted = max(min(share, left // 2, MAX_CREDIT_BYTES), MIN_CREDIT_BYTES)
        if session.peer is not None:
            self._granted_bytes += granted - session.granted_bytes
            session.granted_bytes = granted
        return granted

    def expected_workers(self, run: str, now_ns: int) -> set[str]:
        """Return the workers of a run that have not said BYE and were heard within the hour."""
        return {
            session.worker
            for session in self
            if session.run == run and not session.said_bye and now_ns - session.heard_ns < EXPECTED_FOR_NS
        }

    def workers_of(self, session_ids: Iterable[bytes]) -> set[str]:
        """Return the workers of these sessions, but for those that are forgotten."""
        return {self._by_id[session_id].worker for session_id in session_ids if session_id in self._by_id}

    def is_live(self, session_id: bytes) -> bool:
        """Return whether the session was heard of late, by the last judgement."""
        session = self._by_id.get(session_id)
        return session is not None and session.liveness is Liveness.ALIVE

    def is_present(self, session_id: bytes, now_ns: int) -> bool:
        """Return whether the session may still speak: it has not said BYE, and is not lost for good.

        Lost for good is who is unheard for a minute on a connection that has ended, or else for ten minutes:
        a laptop's lid and a debugger are no end.
        """
        session = self._by_id.get(session_id)
        if session is None or session.said_bye:
            return False
        silence_ns = now_ns - session.heard_ns
        return silence_ns < (LOST_AFTER_NS if session.is_cut_off else GONE_AFTER_NS)

    def forgive(self, away_ns: int) -> None:
        """Hold nobody's silence against them while nobody listened."""
        for session in self:
            if session.liveness in (Liveness.ALIVE, Liveness.SILENT):
                session.heard_ns += away_ns

    def judge_all(self, now_ns: int, is_reached: Callable[[Session], bool]) -> list[Session]:
        """Judge every session anew, forget the ones unheard for seven days, and return what changed."""
        changed = []
        for session in list(self._by_id.values()):
            was, session.liveness = session.liveness, session.judge(now_ns)
            if was is not session.liveness:
                changed.append(session)
            if was is not session.liveness is Liveness.LOST:
                session.is_cut_off = session.peer is None or not is_reached(session)
            if session.liveness in (Liveness.GONE, Liveness.LOST):
                # A lost worker that comes back on the same connection is asked for HELLO.
                self._disconnect(session)
            if now_ns - session.heard_ns > FORGOTTEN_AFTER_NS:
                self._forget(session)
        return changed

    def forget_all_but(self, known: Container[bytes]) -> None:
        """Forget every session whose id is not among `known`."""
        for session in [session for session in self if session.id not in known]:
            self._forget(session)

    def _disconnect(self, session: Session) -> None:
        if session.peer is not None:
            self._by_peer.pop(session.peer, None)
            session.peer = None
            self._granted_bytes -= session.granted_bytes
            session.granted_bytes = 0

    def _forget(self, session: Session) -> None:
        # Its connection too: what it said there would be taken, and no snapshot would know of it.
        self._disconnect(session)
        del self._by_id[session.id]
        if self._by_name.get((session.run, session.worker)) is session:
            del self._by_name[session.run, session.worker]
