"""Reception: who may speak, and whether what they say comes in its turn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from stats_aggregator_api import name_fault
from stats_aggregator_client.wire import (
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Nack,
    Partial,
    Property,
    Reject,
    RejectCode,
    Rewind,
    WireError,
    Write,
)  # fmt: skip

from ..journal.decisions import Entry, SessionOpened, Skipped
from .group import Group
from .reconnect_wait import ReconnectWait
from .sayings import Sayings
from .sessions import Liveness, Refused, Session
from .state import State
from .validity import Validator

log = logging.getLogger(__name__)

MAX_SESSIONS = 50_000
"""So many, each with the longest names, fit into the snapshot that begins a segment of the journal."""
_MAX_INFO_ENTRIES = 8
_MAX_INFO_CHARACTERS = 200
_MAX_REFUSAL_CHARACTERS = 200

Sequenced = Batch | Partial | Property | Write | Rewind


class Reception:
    """Keeps the sessions' side of the protocol: HELLO, sequence, duplicates, gaps and refusals.

    `received` counts messages by kind, `rejected` by reason. While `stalled`, nothing is taken: what comes is
    dropped without a word, and sent again by the clients when there is room. `is_reached` says whether the
    connection of a session still stands.
    """

    def __init__(
        self,
        state: State,
        server_id: bytes,
        run: str,
        sayings: Sayings,
        reconnect_wait: ReconnectWait,
        is_reached: Callable[[Session], bool],
    ) -> None:
        self.received: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.stalled = False
        self.reconnect_wait = reconnect_wait
        self._state = state
        self._server_id = server_id
        self._is_reached = is_reached
        self._run = run
        self._joined: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._back: Counter[str] = Counter()
        self._sayings = sayings
        self._validator = Validator(state.series_cache)

    def hello(self, group: Group, peer: bytes, hello: Hello) -> None:
        """Take a HELLO; WELCOME follows when the group is stored."""
        run = hello.run if hello.run is not None else self._run
        known = self._state.sessions.get(hello.session)
        fault = _names_fault(hello.worker, run)
        if fault:
            self._turn_away(group, peer, hello, RejectCode.NAME, fault)
            return
        if known is None and not self._state.sessions.make_room(MAX_SESSIONS):
            text = f"there are {MAX_SESSIONS} sessions of the last seven days, and no room for more"
            self._turn_away(group, peer, hello, RejectCode.FORBIDDEN, text)
            return
        if self.stalled and (known is None or hello.first_unacked > known.taken_seq + 1):
            return  # its answer would need a record, and there is no room for one: it asks again
        self.reconnect_wait.hello(hello.session, group.now_ns)
        session = self._session(group, hello, run)
        session.info = _bounded(hello)
        session.nacked_seq = -1
        session.hear(group.now_ns)
        self._state.sessions.connect(session, peer)
        if hello.server in (None, self._server_id):
            # Of another daemon's session nothing is missing here: the client begins a new one.
            self._skip_gap(group, session, hello.first_unacked)
        # In case it never heard of them: the WELCOME behind them acknowledges their seqs.
        missed = (refused for refused in session.refused if refused.seq >= hello.first_unacked)
        group.replies.extend((peer, Reject(session.id, *refused)) for refused in missed)
        group.welcomes[peer] = session

    def _turn_away(self, group: Group, peer: bytes, hello: Hello, code: RejectCode, text: str) -> None:
        self.rejected[code.name.lower()] += 1
        self._sayings.limited("turned a worker away: %s", text)
        group.replies.append((peer, Reject(hello.session, 0, code, text)))

    def _session(self, group: Group, hello: Hello, run: str) -> Session:
        sessions = self._state.sessions
        session = sessions.get(hello.session)
        if session is not None:
            if session.liveness in (Liveness.LOST, Liveness.GONE):
                self._back[run] += 1
                if _is_worth_saying(self._back[run]):
                    log.info("worker %s of run %s is back (%d so far)", session.worker, run, self._back[run])
            session.liveness = Liveness.ALIVE
            return session
        worker = sessions.name_for(hello.worker, run, hello.process, group.now_ns, self._is_reached)
        session = Session(hello.session, worker, run, hello.process)
        sessions.add(session)
        group.open_session(SessionOpened(session.id, worker, run, hello.process, group.now_ns))
        self._joined[run] += 1
        if _is_worth_saying(self._joined[run]):
            log.info("worker %s joins run %s (%d so far)", worker, run, self._joined[run])
        return session

    def _skip_gap(self, group: Group, session: Session, first_unacked: int) -> None:
        missing = first_unacked - 1 - session.taken_seq
        if missing <= 0:
            return
        text = f"{missing} batches of {session.worker} were acknowledged, but are not in this data directory"
        log.error("%s: its journal was damaged, or it is another one", text)
        self.received["gap"] += 1
        session.taken_seq = first_unacked - 1
        group.taken[session.id] = session
        group.skip_gap(Skipped(session.id, session.taken_seq, 0, text))

    def life(self, group: Group, peer: bytes, message: Heartbeat | Bye, frame: bytes) -> None:
        """Take a HEARTBEAT, answered by ACK, or a BYE."""
        session = self._known(group, peer, message.session)
        if session is None:
            return
        if isinstance(message, Heartbeat):
            self.reconnect_wait.heartbeat(session.id)
            group.acks[peer] = session
            return
        session.said_bye = True
        session.liveness = Liveness.GONE
        if not self.stalled:
            # Journaled, so that who has finished does not count as lost after a restart.
            group.add_passing(Entry(0, False, frame))
        self._done[session.run] += 1
        if _is_worth_saying(self._done[session.run]):
            done = self._done[session.run]
            log.info("worker %s of run %s is done (%d so far)", session.worker, session.run, done)

    def admit(self, group: Group, peer: bytes, message: Sequenced) -> Session | None:
        """Return the message's session where it is its next and makes sense; answer it where not."""
        session = self._known(group, peer, message.session)
        if session is None or not self._is_next(group, peer, session, message.seq):
            if session is not None and message.seq <= session.taken_seq:
                self._note_duplicate(session, message)
            return None
        try:
            self._validator.check(message)
            self._check_room(session, message)
        except WireError as error:
            self._refuse(group, peer, session, message.seq, error)
            return None
        session.taken_seq = message.seq
        self.reconnect_wait.took(session.id, group.now_ns)
        group.taken[session.id] = session
        group.acks[peer] = session
        return session

    def _check_room(self, session: Session, message: Sequenced) -> None:
        # Each run past the limit has one category that takes all of its further ones.
        if not self._state.may_take(session.run, message.category):
            text = f"there are {len(self._state.categories)} categories, and no room for more"
            raise WireError(RejectCode.FORBIDDEN, text)

    def _known(self, group: Group, peer: bytes, session_id: bytes) -> Session | None:
        session = self._state.sessions.on(peer)
        if session is None or session.id != session_id:
            if peer not in group.strangers:
                group.strangers.add(peer)
                group.replies.append((peer, Nack(session_id, 0)))
            return None
        session.hear(group.now_ns)
        return session

    def _is_next(self, group: Group, peer: bytes, session: Session, seq: int) -> bool:
        """Return whether `seq` is the session's next; say so where it is an earlier or a later one."""
        expected = session.taken_seq + 1
        if self.stalled:
            return False
        if seq == expected:
            session.nacked_seq = -1
            return True
        if seq < expected:
            group.acks[peer] = session
        elif session.nacked_seq != expected:
            # Once for each expected seq: a whole window behind a gap would ask a hundred times.
            session.nacked_seq = expected
            group.replies.append((peer, Nack(session.id, expected)))
        return False

    def _note_duplicate(self, session: Session, message: Sequenced) -> None:
        if self.stalled:
            return
        self.received["duplicate"] += 1
        session.duplicates += 1
        category = self._state.categories.get((session.run, message.category))
        if category is not None and category.periods:
            category.periods[max(category.periods)].duplicates += 1

    def refuse_frame(self, group: Group, peer: bytes, error: WireError) -> None:
        """Answer a frame that does not decode."""
        session = self._state.sessions.on(peer)
        if session is not None and error.seq and session.id == error.session:
            session.hear(group.now_ns)
            if self._is_next(group, peer, session, error.seq):
                self._refuse(group, peer, session, error.seq, error)
            return
        self.drop(error.code.name.lower(), error.text)
        session_id = error.session or (session.id if session is not None else None)
        if session_id is not None:
            # Without its seq: a stranger says HELLO first, and then sends it again.
            group.replies.append((peer, Reject(session_id, 0, error.code, error.text)))

    def _refuse(self, group: Group, peer: bytes, session: Session, seq: int, error: WireError) -> None:
        """Refuse a session's next message for good: its seq counts as consumed."""
        self.rejected[error.code.name.lower()] += 1
        self._sayings.limited("refused a message of worker %s: %s", session.worker, error.text)
        session.taken_seq = seq
        group.taken[session.id] = session
        refused = Refused(seq, error.code, error.text[:_MAX_REFUSAL_CHARACTERS])
        session.refused.append(refused)
        group.refuse(Skipped(session.id, *refused))
        group.acks[peer] = session
        group.replies.append((peer, Reject(session.id, *refused)))

    def drop(self, reason: str, text: str) -> None:
        """Count a message that is dropped, and say so at most once a second."""
        self.rejected[reason] += 1
        self._sayings.limited("dropped a message: %s", text)

    def drop_many(self, reason: str, num: int) -> None:
        """Count messages that were dropped before they could be read."""
        self.rejected[reason] += num
        self._sayings.limited("dropped %d messages that were no single frame", num)


def _names_fault(worker: str, run: str) -> str | None:
    for name, value in (("worker", worker), ("run", run)):
        fault = name_fault(value)
        if fault:
            return f"{name} {fault}"
    return None


def _is_worth_saying(number: int) -> bool:
    # A thousand workers that come at once are a dozen lines, not a thousand; `status` lists them all.
    return number <= 8 or number.bit_count() == 1


def _bounded(hello: Hello) -> dict[str, str]:
    return {
        str(name)[:_MAX_INFO_CHARACTERS]: str(value)[:_MAX_INFO_CHARACTERS]
        for name, value in list(hello.info.items())[:_MAX_INFO_ENTRIES]
        if isinstance(value, str | int | float)
    }
