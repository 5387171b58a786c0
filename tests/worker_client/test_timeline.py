"""The window of a value is decided once, when it is cut, whatever the estimate of the daemon's time does."""

from __future__ import annotations

import random
from array import array

import pytest

from stats_aggregator_client.cut_timer import CutTimer
from stats_aggregator_client.session import State
from stats_aggregator_client.windows import last_boundary
from stats_aggregator_client.wire import Batch
from tests.worker_client.bench import A, Bench, S

TICK = S // 10


class Day:
    """A worker that adds a value each tenth of a second, numbered, and is cut when the sender would cut it.

    `made` has the daemon's time at which each value was made, as far as the worker could know. That time
    never runs backwards while one daemon answers.
    """

    def __init__(self, windows: tuple[int, ...]) -> None:
        self.bench = Bench()
        self.windows = windows
        self.timer = CutTimer(self.bench.outbox, S // 2)
        self.made: list[int] = []
        self.sent: list[Batch] = []
        self._known_ahead = 0
        self._known = 0
        self._taken = 0
        self._values_sent = 0

    def connect(self, server: bytes = A) -> None:
        """Find the daemon there, with its clock as it is now."""
        bench, change = self.bench, self.bench.ahead_ns - self._known_ahead
        if self._known_ahead:
            unit = max(self.windows)
            carried = round(change / unit) * unit
            self.made[self._taken :] = [made + carried for made in self.made[self._taken :]]
            self._known += carried
        self._known_ahead = bench.ahead_ns
        if server != (bench.session.server or server):
            self._known = 0
        durable = self.sent[-1].seq if self.sent and self.sent[-1].session == bench.session.id else 0
        bench.session.begin(bench.now)
        bench.sends()
        for _ in range(2):  # the second answers the HELLO of the session that another daemon begins
            bench.welcome(server=server, durable=durable, windows=self.windows)
            if bench.session.state is State.OPEN:
                break
            bench.sends()
        self._cut()

    def lose(self) -> None:
        """Lose the daemon."""
        self.bench.session.lose(self.bench.now)

    def live(self, ticks: int) -> None:
        """Add values, cut them when that is due, and send what may go."""
        for _ in range(ticks):
            next_ns = self.bench.now // TICK * TICK + TICK
            while self.timer.due_ns <= next_ns:
                self.bench.now = max(self.timer.due_ns, self.bench.now)
                self._cut()
                self._send()
            self.bench.now = next_ns
            self._known = max(self._known, self.bench.now + self._known_ahead)
            self.bench.buffer.extend("k", [float(len(self.made))], 0)
            self.made.append(self._known)
            self._send()

    def _cut(self) -> None:
        self.timer.begin_cut()
        self.bench.buffer.cut()

    def _send(self) -> None:
        if self.bench.session.state is State.OPEN:
            batches = [message for message in self.bench.sends() if isinstance(message, Batch)]
            self.sent += batches
            self._taken += sum(len(batch.values) // 8 for batch in batches)
            if batches:
                self.bench.ack(batches[-1].seq)
            self.timer.follow()

    def finish(self) -> None:
        """Send all that is left."""
        self.bench.buffer.cut()
        self._send()

    def check(self) -> None:
        """Each value is sent once, in its order, in the window in which it was made, and no batch spans two.

        Where one is from before the time of one that was sent before, in this session, it is in the window of
        that: times do not go back.
        """
        values: list[int] = []
        session, latest, last_sent = b"", 0, 0
        for batch in self.sent:
            if batch.session != session:
                session, latest, last_sent = batch.session, 0, 0
            assert last_sent <= batch.t_last, "times go back"
            last_sent = batch.t_last
            window = last_boundary(batch.t_last, self.windows)
            assert window <= batch.t_first <= batch.t_last
            for value in map(int, array("d", batch.values)):
                latest = max(latest, self.made[value])
                assert last_boundary(latest, self.windows) == window, f"value {value} of {latest} in {batch}"
                values.append(value)
        assert values == list(range(len(self.made)))


@pytest.mark.parametrize("change_ns", [-5_000_000, -1, 0, 1, 5_000_000, 400_000_000])
@pytest.mark.parametrize("begin_ns", [0, 1, TICK // 2, TICK - 1, 630_000_000])
def test_a_daemon_that_comes_back_with_its_clock_a_little_off_moves_no_value(
    change_ns: int, begin_ns: int
) -> None:
    day = Day((S,))
    day.bench.ahead_ns += begin_ns
    day.connect()
    day.live(32)
    day.lose()
    day.live(50)
    day.bench.ahead_ns += change_ns
    day.connect()
    day.live(32)
    day.finish()
    day.check()
    assert len({batch.t_last // S for batch in day.sent}) >= 11
    # Also by the daemon's clock of before and of now, where these are one.
    if not change_ns:
        made = [5000 * S + begin_ns + (value + 1) * TICK for value in range(len(day.made))]
        assert day.made == made


@pytest.mark.parametrize("change_s", [3600.0, -3600.0, 0.6, 2.4, -2.6])
def test_a_clock_that_jumps_carries_along_what_waits_by_whole_windows(change_s: float) -> None:
    day = Day((S,))
    day.connect()
    day.live(1)
    day.finish()
    (first,) = day.sent
    assert first.t_last == 5000 * S + TICK
    day.lose()
    day.live(50)
    now = day.bench.now
    day.bench.ahead_ns += int(change_s * S)
    day.connect(b"b" * 16)  # in the same session the time that was sent could not go back
    day.live(1)
    day.finish()
    day.check()
    assert len(day.sent) > 5
    for batch in day.sent[1:]:
        last_value = array("d", batch.values)[-1]
        age_ns = now - int(last_value + 1) * TICK
        assert now + day.bench.ahead_ns - batch.t_last == pytest.approx(age_ns, abs=S // 2 + TICK)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_to_the_connection_and_the_clock_each_value_stays_in_its_window(seed: int) -> None:
    source = random.Random(seed)
    windows = source.choice([(S,), (S, 4 * S), (3 * S,), (7 * S // 3,), (S // 2, 10 * S)])
    day = Day(windows)
    day.bench.ahead_ns += source.randrange(10 * S)
    server = A
    day.connect(server)
    for _ in range(source.randrange(2, 9)):
        day.live(source.randrange(1, 60))
        day.lose()
        day.live(source.randrange(0, 60))
        jitter = source.choice([1, 1000, 5_000_000, 400_000_000]) * source.choice([-1, 0, 1])
        jump = source.choice([0, 0, source.randrange(100 * S)])
        if source.random() < 0.3:
            server = source.randbytes(16)
            jump *= source.choice([-1, 1])  # one daemon's time does not run backwards
        day.bench.ahead_ns += jitter + jump
        day.connect(server)
    day.live(5)
    day.finish()
    day.check()
