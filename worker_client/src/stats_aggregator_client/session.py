"""Session: one side of the protocol, without a socket. Frames and the time go in, frames come out.

    ABSENT --a new socket--> GREETING --WELCOME--> OPEN --the socket is lost--> ABSENT
                                | REJECT             | NACK 0
                             REFUSED --later--> GREETING

PROTOCOL.md says what the messages mean.
"""

from __future__ import annotations

from enum import Enum

from .flight import Flight, Sent
from .frames import FrameMaker
from .liveness import SECOND, Liveness
from .log import LOGGER
from .naming import Identity, new_id
from .outbox import Outbox
from .wire import (
    Ack,
    Bye,
    Heartbeat,
    Hello,
    Kind,
    Message,
    Nack,
    Reject,
    RejectCode,
    Welcome,
    WireError,
    decode,
    encode,
)

_AGAIN_NS = SECOND // 10
_MAX_REFUSED_S = 60


class State(Enum):
    """Where a session is in its life."""

    ABSENT = "no daemon"
    GREETING = "greeting"
    OPEN = "connected"
    REFUSED = "refused"


class Session:
    """The protocol's state; it belongs to the sender's thread."""

    def __init__(
        self, outbox: Outbox, identity: Identity, address: str, *, ack_timeout_ns: int, max_unacked_bytes: int
    ) -> None:
        self.id = new_id()
        self.state = State.ABSENT
        self.worker, self.run = identity.worker, identity.run
        self.server: bytes | None = None
        self.flight = Flight()
        self.liveness = Liveness(outbox.clock.now(), ack_timeout_ns)
        self._outbox = outbox
        self._frames = FrameMaker(outbox.timeline)
        self._identity = identity
        self._address = address
        self._max_unacked_bytes = max_unacked_bytes
        self._offered: Kind | Sent | None = None
        self._hello_at: int | None = None
        self._hello_sent_ns = 0
        self._refusals = 0
        self._is_catching_up = False
        self._held: int | None = None
        """The last arrival in the outbox that was there when the daemon welcomed the session."""

    # The socket's life.

    def begin(self, now_ns: int) -> None:
        """A new socket was made: HELLO goes first."""
        self.liveness.closed(now_ns, was_open=self.state is State.OPEN)
        self.state = State.GREETING
        self._hello_at = now_ns

    def lose(self, now_ns: int) -> None:
        """The socket is gone."""
        self.liveness.closed(now_ns, was_open=self.state is State.OPEN)
        self.state = State.ABSENT
        self._hello_at = None

    def overdue(self, now_ns: int) -> str | None:
        """Return why the socket must be replaced, if it must."""
        return self.liveness.overdue(now_ns, waits_for_ack=self._waits_for_ack)

    def deadline_ns(self, now_ns: int) -> int:
        """Return when to look again if nothing happens until then."""
        deadline = self.liveness.deadline_ns(
            now_ns,
            is_open=self.state is State.OPEN,
            is_missed=self.is_missed,
            waits_for_ack=self._waits_for_ack,
        )
        return deadline if self._hello_at is None else min(deadline, max(self._hello_at, now_ns))

    @property
    def has_greeted(self) -> bool:
        """Whether a HELLO ever went out: it waits for a connection, so somebody was there to take it."""
        return self._hello_sent_ns > 0

    @property
    def is_missed(self) -> bool:
        """Whether a daemon should be there and has not spoken."""
        return self.state in (State.ABSENT, State.GREETING)

    @property
    def _waits_for_ack(self) -> bool:
        return self.state is State.OPEN and len(self.flight) > 0

    # What goes out.

    def next_frame(self, now_ns: int) -> bytes | None:
        """Return the frame to send now, if any; `sent` says that it went out, else it is offered again."""
        if self._hello_at is not None:
            return self._hello(now_ns) if now_ns >= self._hello_at else None
        if self.state is not State.OPEN:
            return None
        if self.flight.waiting or (not self._has_caught_up() and self._launch(now_ns)):
            self._offered = self.flight.next()
            return self._offered.frame
        if self._has_caught_up() or now_ns >= self.liveness.heartbeat_at:
            self._offered = Kind.HEARTBEAT
            return encode(Heartbeat(self.id))
        return None

    def sent(self, now_ns: int) -> None:
        """The frame that `next_frame` gave last went out."""
        self.liveness.spoke(now_ns)
        if isinstance(self._offered, Sent):
            if self._offered.sent_ns:
                self._outbox.counts.batches_resent += 1
            else:
                self._outbox.counts.sent += self._offered.values
                self._offered.sent_ns = now_ns
            self.flight.advance()
        elif self._offered is Kind.HELLO:
            self._hello_at, self._hello_sent_ns = None, now_ns
            self.state = State.GREETING
        elif self._has_caught_up():
            self._is_catching_up = False

    def _has_caught_up(self) -> bool:
        """Return whether all that was held at WELCOME was sent, and no HEARTBEAT has followed it yet."""
        if not self._is_catching_up or self.flight.waiting:
            return False
        if self._held is None:  # not before the sender has cut what was there
            self._held = self._outbox.newest_arrival
        return self._outbox.oldest_waiting > self._held

    def bye(self) -> bytes | None:
        """Return the frame that ends the session, if anybody would hear it."""
        return encode(Bye(self.id)) if self.state is State.OPEN else None

    def _hello(self, now_ns: int) -> bytes:
        if self.flight.used and self.liveness.forgotten(now_ns):
            self._renew()
        self._offered = Kind.HELLO
        return encode(
            Hello(
                session=self.id,
                worker=self._identity.worker,
                run=self._identity.run,
                process=self._identity.process,
                info=self._identity.info,
                first_unacked=self.flight.durable_seq + 1,
                server=self.server,
            )
        )

    def _launch(self, now_ns: int) -> bool:
        """Make the next new frame if the credit lets it be sent."""
        flight = self.flight
        room = flight.room_bytes()
        taken = self._outbox.take(room, flight.batch_bytes(), alone=not flight) if room else None
        if taken is None:
            return False
        if not flight:
            self.liveness.progressed(now_ns)
        try:
            frame = self._frames.frame(*taken, self.id, flight.next_seq, self._outbox.windows or ())
        except Exception:
            self._outbox.give_up(taken)
            raise
        flight.launch(Sent(flight.next_seq, frame, taken))
        self._outbox.unacked_bytes = flight.unacked_bytes
        return True

    # What comes in.

    def receive(self, frame: bytes, now_ns: int) -> None:
        """Take a frame from the daemon."""
        try:
            message = decode(frame)
        except WireError as error:
            self._outbox.complaints.once(
                ("wire", error.code), "dropped a message from %s: %s", self._address, error
            )
            return
        # What was meant for the session before this one is of no use.
        if getattr(message, "session", None) == self.id:
            if isinstance(message, Nack) and self.flight.used and self.liveness.forgotten(now_ns):
                # A process that was stopped for a week, on a connection that came back in silence.
                self._renew()
            self._dispatch(message, now_ns)
            if self.state is not State.GREETING or self._hello_at is not None:
                self.liveness.heard(now_ns)  # else only WELCOME is the answer that is waited for

    def _dispatch(self, message: Message, now_ns: int) -> None:
        if isinstance(message, Ack):
            # The daemon's time in an ACK was read after the newest frame that it covers was sent first.
            answered = self.flight.find(message.durable_seq)
            self._told(message, now_ns, answered.sent_ns if answered else None)
            self._acknowledge(message.durable_seq, now_ns)
        elif isinstance(message, Welcome):
            self._welcome(message, now_ns)
        elif isinstance(message, Nack):
            self._nack(message, now_ns)
        elif isinstance(message, Reject):
            self._reject(message, now_ns)

    def _welcome(self, welcome: Welcome, now_ns: int) -> None:
        if self.server not in (None, welcome.server):
            self._outbox.clock.forget()
            if self.flight.used:
                # What was sent may be in the other daemon's summaries or nowhere: nobody can tell.
                self._renew()
                self.server, self._hello_at = welcome.server, now_ns
                self.state = State.GREETING
                return
        self.server, self.worker, self.run = welcome.server, welcome.worker, welcome.run
        self.state = State.OPEN
        self._refusals = 0
        self._outbox.counts.connections += 1
        self._told(welcome, now_ns, self._hello_sent_ns)
        self._acknowledge(welcome.durable_seq, now_ns)
        self.flight.send_again_from(self.flight.durable_seq + 1)
        self._is_catching_up, self._held = True, None
        if self.liveness.opened(now_ns):
            LOGGER.warning("connected to the stats-aggregator daemon at %s as %r", self._address, self.worker)

    def _told(self, message: Welcome | Ack, now_ns: int, sent_ns: int | None) -> None:
        self.flight.credit_bytes = min(message.credit, self._max_unacked_bytes)
        self._outbox.take_answer(
            sent_ns, now_ns, message.time, tuple(message.windows), begins=isinstance(message, Welcome)
        )
        for notice in message.notices:
            self._outbox.complaints.once(("notice", notice), "the daemon at %s: %s", self._address, notice)

    def _acknowledge(self, durable_seq: int, now_ns: int) -> None:
        done = self.flight.acknowledge(durable_seq)
        if not done:
            return
        self.liveness.progressed(now_ns)
        counts = self._outbox.counts
        for sent in done:
            if sent.rejected:
                counts.rejected += sent.values
            else:
                counts.acked += sent.values
        counts.batches_acked += len(done)
        self._outbox.unacked_bytes = self.flight.unacked_bytes
        self._outbox.landed(len(done))

    def _nack(self, nack: Nack, now_ns: int) -> None:
        if self.state is not State.OPEN:
            return  # HELLO is on its way already
        if nack.expected_seq and self.flight.send_again_from(nack.expected_seq):
            return
        # The daemon does not know us, or wants what it acknowledged once: HELLO settles both.
        self.state = State.GREETING
        self._hello_at = max(now_ns, self._hello_sent_ns + _AGAIN_NS)

    def _reject(self, reject: Reject, now_ns: int) -> None:
        code = _code_name(reject.code)
        self._outbox.complaints.once(
            ("reject", code), "the daemon at %s refused (%s): %s", self._address, code, reject.text
        )
        sent = self.flight.find(reject.seq)
        if sent is not None:
            sent.rejected = True  # its seq is consumed: the ACK that covers it ends it
        elif self.state is State.GREETING and not reject.seq:
            self.state = State.REFUSED
            self._hello_at = now_ns + min(2**self._refusals, _MAX_REFUSED_S) * SECOND
            self._refusals += 1

    def _renew(self) -> None:
        """Begin another session: what was sent in this one and not acknowledged is uncertain."""
        frames = self.flight.frames()
        self.id, self.flight = new_id(), Flight()
        with self._outbox.door:
            self._outbox.unacked_bytes = 0
            for sent in reversed(frames):
                sent.give_up(self._outbox.counts)
                if sent.note is not None and sent.note.kind is Kind.PROPERTY:
                    self._outbox.put_back(sent.lane, sent.note)  # a fact that comes twice is told once
            for lane in {id(sent.lane): sent.lane for sent in frames}.values():
                self._outbox.carry(lane, self._outbox.timeline.stamp_at(lane.last_ns))
            self._outbox.begin_session()
        self._outbox.landed(len(frames))


def _code_name(code: int) -> str:
    try:
        return RejectCode(code).name
    except ValueError:
        return str(code)
