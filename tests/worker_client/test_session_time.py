"""When a session speaks, waits and gives up: the time is handed in."""

from __future__ import annotations

from array import array
from typing import Any

from stats_aggregator_client.session import State
from stats_aggregator_client.wire import (
    Batch,
    Heartbeat,
    Hello,
    Reject,
    RejectCode,
    Write,
)
from tests.worker_client.bench import DAY, Bench, S


def sent_kinds(bench: Bench) -> list[type]:
    return [type(message) for message in bench.sends_all()]


def test_a_heartbeat_goes_when_nothing_went_for_five_seconds_and_silence_is_found_out_after_fifteen() -> None:
    bench = Bench()
    bench.open()
    assert sent_kinds(bench) == [Heartbeat], "nothing was held"
    for _ in range(3):
        bench.now += 5 * S - 1
        assert sent_kinds(bench) == []
        bench.now += 1
        assert sent_kinds(bench) == [Heartbeat]
        bench.ack(0)
        assert bench.session.overdue(bench.now) is None
    for seq in range(1, 4):
        bench.now += 4 * S
        bench.add(1.0)
        assert sent_kinds(bench) == [Batch], "no other sign of life is needed"
        bench.ack(seq)
    bench.now += 5 * S
    assert sent_kinds(bench) == [Heartbeat]
    bench.now += 10 * S
    assert bench.session.overdue(bench.now) is None
    bench.now += 1
    assert "nothing was heard" in str(bench.session.overdue(bench.now))


def test_a_heartbeat_follows_all_that_was_held_and_nothing_that_was_not() -> None:
    bench = Bench()
    for value in range(30):
        bench.add(*[float(value)] * 500)
        bench.buffer.write(value)
    bench.open(credit=12_000)
    sent: list[Any] = []
    turns = 0
    while Heartbeat not in map(type, sent):
        found = bench.sends_all()
        turns += 1
        sent += found
        if found:
            bench.add(-1.0)  # more comes meanwhile
            bench.buffer.write(99)
        bench.ack(max(message.seq for message in sent if not isinstance(message, Heartbeat)), credit=12_000)
    assert turns > 5, "the credit was used up some times"
    kinds = [type(message) for message in sent]
    assert kinds.count(Heartbeat) == 1
    held = sent[: kinds.index(Heartbeat)]
    values = [value for batch in held if isinstance(batch, Batch) for value in array("d", batch.values)]
    assert values == [float(value) for value in range(30) for _ in range(500)]
    assert bench.outbox.unsettled
    while more := sent_kinds(bench):
        assert Heartbeat not in more
        bench.ack(bench.session.flight.next_seq - 2, credit=12_000)
    bench.session.lose(bench.now)
    bench.open(durable=bench.session.flight.next_seq - 2)
    assert sent_kinds(bench) == [Write, Heartbeat], "what is sent again comes first"


def test_a_heartbeat_keeps_a_session_alive_that_may_send_nothing_and_another_follows_what_was_held() -> None:
    bench = Bench()
    bench.add(1.0)
    bench.open(credit=0)
    assert sent_kinds(bench) == []
    bench.now += 5 * S
    assert sent_kinds(bench) == [Heartbeat]
    bench.ack(0)
    assert sent_kinds(bench) == [Batch, Heartbeat]


def test_a_process_that_was_stopped_does_not_blame_the_daemon() -> None:
    bench = Bench()
    bench.open()
    bench.sends()
    bench.ack(0)
    bench.now += 3600 * S
    assert bench.session.overdue(bench.now) is None
    assert sent_kinds(bench) == [Heartbeat]


def test_without_acknowledgements_the_socket_is_replaced_with_growing_patience() -> None:
    bench = Bench(ack_timeout_s=10)
    bench.open()
    bench.add(1.0)
    bench.sends()
    waits = []
    for _ in range(5):
        since = bench.now
        while bench.session.overdue(bench.now) is None:
            bench.now += S
            bench.sends()
            bench.ack(0)  # it lives, and stores nothing
        waits.append((bench.now - since) // S)
        bench.session.lose(bench.now)
        bench.open()
    assert waits == [11, 21, 41, 61, 61]


def test_a_refused_hello_is_tried_again_ever_more_slowly() -> None:
    bench = Bench()
    bench.session.begin(0)
    waits = []
    for _ in range(8):
        assert [type(message) for message in bench.sends()] == [Hello]
        since = bench.now
        bench.hears(Reject(bench.session.id, 0, RejectCode.NAME, "no"))
        assert bench.session.state is State.REFUSED
        while bench.session.next_frame(bench.now) is None:
            bench.now += S
        waits.append((bench.now - since) // S)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_week_away_begins_another_session() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    before = bench.session.id
    bench.session.lose(bench.now)
    bench.now += 6 * DAY
    bench.session.begin(bench.now)
    (hello,) = bench.sends()
    assert hello.session == before
    bench.session.lose(bench.now)
    bench.now += 2 * DAY
    bench.session.begin(bench.now)
    (hello,) = bench.sends()
    assert hello.session != before
    assert bench.counts.uncertain == 1


def test_the_next_deadline_is_never_behind_and_never_far() -> None:
    bench = Bench()
    for _ in range(40):
        if bench.session.state is State.ABSENT:
            bench.session.begin(bench.now)
        bench.sends()
        if bench.session.overdue(bench.now):
            bench.session.lose(bench.now)
        bench.session.liveness.notice_due(bench.now)
        deadline = bench.session.deadline_ns(bench.now)
        assert bench.now <= deadline <= bench.now + 15 * S
        bench.now = max(deadline, bench.now + 1)


def test_what_waited_for_the_first_daemon_lands_in_the_windows_in_which_it_was_added() -> None:
    bench = Bench()
    window = 10 * S
    for _ in range(27):
        bench.now += 3 * S  # some of these cuts span a boundary, of which nobody knows yet
        bench.add(float(bench.now // S))
    bench.open(windows=(window,))
    batches = [message for message in bench.sends() if isinstance(message, Batch)]
    assert all(batch.t_first // window == batch.t_last // window for batch in batches)
    added = {batch.t_last // window: list(array("d", batch.values)) for batch in batches}
    seconds = [5000 + second for values in added.values() for second in values]
    assert seconds == [5000.0 + second for second in range(3, 82, 3)]
    for number, values in added.items():
        assert all((5000 + second) // 10 == number for second in values)


def test_late_at_a_boundary_a_cut_is_of_the_window_before() -> None:
    bench = Bench()
    bench.now = 5 * S
    bench.open(windows=(10 * S,))
    bench.now = 10 * S + 3_000_000
    bench.add(1.0)
    bench.now = 12 * S
    bench.add(2.0)
    first, second = (message for message in bench.sends() if isinstance(message, Batch))
    assert (first.t_first, first.t_last) == (5000 * S, 5010 * S - 1)
    assert (second.t_first, second.t_last) == (5010 * S + 3_000_000, 5012 * S)
