"""Sender: the one thread that owns the socket; it cuts, encodes, sends and listens."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from enum import Enum

import zmq

from .connection import Connection
from .cut_timer import CutTimer
from .liveness import FORGOTTEN_NS, SECOND
from .log import LOGGER
from .outbox import Outbox
from .session import Session, State
from .settings import resolve

_MESSAGES_A_TURN = 64
_LEAST_BACKOFF_S, _MOST_BACKOFF_S = 0.1, 2.0
_ERROR_PAUSE_NS = SECOND
_BLOCKED_NS = SECOND // 20
_FOLD_PAUSE_NS = SECOND // 500
"""After each piece that is folded, the other threads of the process get the interpreter for so long."""


class _Result(Enum):
    DONE = "all is sent that may be"
    MORE = "there is more to send"
    BLOCKED = "the socket takes no more for now"


class Sender:
    """Runs from `start` to `stop`; `wake` may be called from any thread and costs little."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        address: str,
        flush_interval_ns: int,
        cut_all: Callable[[], None],
        waiting_values: Callable[[], int],
    ) -> None:
        self.session = session
        self._outbox = outbox
        self._clock = outbox.clock
        self._address = address
        self._timer = CutTimer(outbox, flush_interval_ns)
        self._cut_all = cut_all
        self._waiting_values = waiting_values
        self._random = random.Random()  # of our own: training's stays as it was seeded
        self._stopping = threading.Event()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._rung = False
        self._connection: Connection | None = None
        self._failures = self._connections = 0
        self._connect_at = self._clock.now()
        self._thread = threading.Thread(target=self._run, name="stats-aggregator-sender", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Let the thread look at once."""
        if not self._rung:
            self._rung = True
            try:
                self._bell.send(b"\0")
            except OSError:
                pass  # full: it will look; closed: there is nobody to look

    def stop(self, timeout_s: float) -> bool:
        """Say goodbye and end the thread; return whether it ended in time. Stopping twice is fine."""
        self._stopping.set()
        self._rung = False
        self.wake()
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Close what a forked child has of it: the thread and libzmq's sockets stay the parent's."""
        self._bell.close()
        self._ear.close()

    # The thread.

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            while not self._stopping.is_set():
                try:
                    self._turn(context)
                except Exception as error:  # noqa: BLE001 - whatever happens here, values must go on flowing
                    self._outbox.complaints.once(
                        ("sender", type(error)), "the sender met %r and begins anew", error
                    )
                    LOGGER.debug("the sender's error", exc_info=True)
                    self._disconnect(self._clock.now(), linger=False)
                    self._connect_at = self._clock.now() + _ERROR_PAUSE_NS
                    self._poll(self._connect_at)
        finally:
            self._say_goodbye()
            context.term()
            self._bell.close()
            self._ear.close()

    def _turn(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        now_ns = self._clock.now()
        if now_ns >= self._timer.due_ns:
            self._cut()
            self._follow_address(now_ns)
        if self.session.is_missed:
            self._notice(now_ns)
        if self._connection is None and now_ns >= self._connect_at:
            self._connect(context, now_ns)
        connection = self._connection
        if connection is None:
            self._poll(min(self._timer.due_ns, self._connect_at, self._fold_at()))
            return
        result = self._exchange(connection)
        now_ns = self._clock.now()
        deadline_ns = min(self._timer.due_ns, self.session.deadline_ns(now_ns))
        if result is _Result.MORE or self._connection is None:
            deadline_ns = now_ns
        elif (fold_at := self._fold_at()) < deadline_ns:
            deadline_ns = fold_at
        elif result is _Result.BLOCKED:
            # What is due cannot go out: the socket says when it can.
            deadline_ns = max(deadline_ns, now_ns + _BLOCKED_NS)
        self._poll(deadline_ns, wants_to_send=result is _Result.BLOCKED)

    def _exchange(self, connection: Connection) -> _Result:
        """Receive what has come and send what may go."""
        session = self.session
        for _ in range(_MESSAGES_A_TURN):
            frame = connection.receive()
            if frame is None:
                break
            session.receive(frame, self._clock.now())
        if session.state is State.OPEN:
            self._failures = 0
            self._cut_at_welcome()
        now_ns = self._clock.now()
        reason = "the connection was lost" if connection.lost() else session.overdue(now_ns)
        if reason:
            LOGGER.info("replacing the socket to %s: %s", connection.address, reason)
            self._disconnect(now_ns, linger=False)
            return _Result.DONE
        self._timer.follow()
        for _ in range(_MESSAGES_A_TURN):
            now_ns = self._clock.now()
            outgoing = session.next_frame(now_ns)
            if outgoing is None:
                return _Result.DONE
            if not connection.send(outgoing):
                return _Result.BLOCKED
            session.sent(now_ns)
        return _Result.MORE

    def _cut_at_welcome(self) -> None:
        """Cut what is held when a daemon has welcomed the session: its stamps are of the time before."""
        connections = self._outbox.counts.connections
        if connections != self._connections:
            self._connections = connections
            self._cut()

    def _cut(self) -> None:
        self._timer.begin_cut()
        self._cut_all()

    def _fold_at(self) -> int:
        """Fold a piece if memory is short; return when the next one is due, after a week if none is."""
        more = self._outbox.relieve()
        return self._clock.now() + (_FOLD_PAUSE_NS if more else FORGOTTEN_NS)

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]], now_ns: int) -> None:
        address = resolve(self._address)
        if address is None:
            self._back_off(now_ns)
            return
        self._connection = Connection(context, address)
        self.session.begin(now_ns)

    def _disconnect(self, now_ns: int, *, linger: bool) -> None:
        if self._connection is not None:
            self._connection.close(linger=linger)
            self._connection = None
        self.session.lose(now_ns)
        self._back_off(now_ns)

    def _back_off(self, now_ns: int) -> None:
        delay_s = min(_LEAST_BACKOFF_S * 2**self._failures, _MOST_BACKOFF_S) * self._random.uniform(0.5, 1.5)
        self._failures = min(self._failures + 1, 10)
        self._connect_at = now_ns + int(delay_s * SECOND)

    def _notice(self, now_ns: int) -> None:
        if self.session.liveness.notice_due(now_ns):
            LOGGER.warning(
                "no stats-aggregator daemon answers at %s; %d values wait in memory and training goes on. "
                "Start one with `stats-aggregator serve`, or set STATS_AGGREGATOR_ADDRESS",
                self._address,
                self._waiting_values(),
            )

    def _follow_address(self, now_ns: int) -> None:
        # The file may name another address by now: the daemon was started again elsewhere.
        connection = self._connection
        if connection is None or self.session.state is State.OPEN:
            return
        if resolve(self._address) not in (connection.address, None):
            self._disconnect(now_ns, linger=False)

    def _poll(self, deadline_ns: int, *, wants_to_send: bool = False) -> None:
        poller = zmq.Poller()
        poller.register(self._ear, zmq.POLLIN)
        if self._connection is not None:
            events = zmq.POLLIN | (zmq.POLLOUT if wants_to_send else 0)
            poller.register(self._connection.socket, events)
            poller.register(self._connection.monitor, zmq.POLLIN)
        wait_ns = deadline_ns - self._clock.now()
        poller.poll(max(0, -(-wait_ns // 1_000_000)))
        try:
            while self._ear.recv(64):
                pass
        except (BlockingIOError, InterruptedError):
            pass
        # Only now: who rings between is silent, but what it rings for is seen in the turn that follows.
        self._rung = False

    def _say_goodbye(self) -> None:
        bye = self.session.bye()
        try:
            if self._connection is not None and bye is not None:
                self._connection.send(bye)
        finally:
            self._disconnect(self._clock.now(), linger=True)
