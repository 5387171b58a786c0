"""Engine: credit, durability, and what the log and the store are told."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from stats_aggregator import failpoints
from stats_aggregator.engine import closer
from stats_aggregator.engine.sessions import MAX_CREDIT_BYTES, MIN_CREDIT_BYTES
from stats_aggregator.journal.journal import Durability, Journal
from stats_aggregator_client.wire import (
    Ack,
    Status,
    Welcome,
    decode,
    encode,
)
from tests.aggregator.clocks import SECOND_NS
from tests.aggregator.peers import SERIES, Core, Worker, answer, joined, seq_acked

MOST = 2**63 - 1


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with Core(tmp_path / "core", "manual") as core:
        yield core


# Credit.


def credit(core: Core) -> int:
    reply = answer(core, Worker(f"asks {len(core.state.sessions)}").hello())
    assert isinstance(reply, Welcome)
    return reply.credit


def test_all_windows_together_stay_under_the_limit(tmp_path):
    with Core(tmp_path / "core", ingress_bytes=1 << 20) as core:
        given = []
        for _ in range(60):
            given.append(credit(core))
            assert MIN_CREDIT_BYTES <= given[-1] <= MAX_CREDIT_BYTES
            # Those who came first were not told anything since.
            assert sum(given) <= (1 << 20) + MIN_CREDIT_BYTES * given.count(MIN_CREDIT_BYTES)
        for _ in range(100):
            last = credit(core)
        assert last == MIN_CREDIT_BYTES


def test_windows_become_equal_as_workers_hear_again(tmp_path):
    with Core(tmp_path / "core", ingress_bytes=1 << 20) as core:
        workers = [Worker(f"w{number}") for number in range(20)]
        core.handle(*(worker.hello() for worker in workers))
        for _ in range(12):
            told = [answer(core, worker.heartbeat()).credit for worker in workers]
            assert sum(told) <= 1 << 20
        assert min(told) > 0.9 * (1 << 20) / 21
        assert max(told) < 1.1 * (1 << 20) / 21


def test_the_window_of_one_that_is_gone_is_for_others(tmp_path):
    with Core(tmp_path / "core", ingress_bytes=1 << 20) as core:
        for _ in range(60):
            worker = Worker("w")
            assert answer(core, worker.hello()).credit == 1 << 19
            core.handle(worker.bye())
            core.pass_s(2)


@pytest.mark.parametrize("up_s", [0, 10])
def test_credit_is_zero_while_the_closer_is_behind_and_comes_back(tmp_path, monkeypatch, up_s):
    monkeypatch.setattr(closer, "_BEHIND_JOBS", 2)
    with Core(tmp_path / "core", "manual", storing=False) as core:
        (worker,) = joined(core, "w")
        core.clock.pass_s(up_s)  # past the grace of a start, time may close periods
        for number in range(4):
            reply = answer(core, worker.batch("c", SERIES), worker.write(number))
        assert isinstance(reply, Ack)
        assert reply.credit == 0
        assert core.engine.tick() == []
        core.start_storing()
        core.settle()
        replies = [decode(frame) for peer, frame in core.engine.tick() if peer == worker.peer]
        assert [(reply.durable_seq, reply.credit > 0) for reply in replies] == [(8, True)]


def test_credit_is_zero_while_large_periods_wait_for_the_closer(tmp_path, monkeypatch):
    monkeypatch.setattr(closer, "_BEHIND_BYTES", 1 << 20)
    with Core(tmp_path / "core", "manual", storing=False, retain_values=100_000) as core:
        (worker,) = joined(core, "w")
        small, large = [("x", 0, [1.0])], [("x", 0, [1.0] * 40_000)]
        for series, waits in ((small, False), (large, False), (small, False), (large, False), (large, False),
                              (large, True)):  # fmt: skip
            number = core.closer.waiting
            reply = answer(core, worker.batch("c", series), worker.write(number))
            assert isinstance(reply, Ack)
            assert (reply.credit == 0) is waits, number
        assert 1 << 20 < core.closer.waiting_bytes < 3 << 19
        core.start_storing()
        core.settle()
        assert core.closer.waiting_bytes == 0
        assert [decode(frame).credit > 0 for peer, frame in core.engine.tick()] == [True]


def test_after_a_start_credit_stays_while_many_windows_that_are_due_have_not_waited_long(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(closer, "_SET_JOBS", 2)
    with Core(tmp_path / "core", "1s") as core:
        (worker,) = joined(core, "w")
        for _ in range(9):  # nothing is due before a worker's HELLO has had its time
            core.handle(worker.batch("c", SERIES, core.clock.now_ns()))
            core.clock.pass_s(1)
        with core.crashed(tmp_path / "again", storing=False) as core:
            core.handle(worker.hello())
            for ticks, is_given in ((21, True), (8, True), (3, False)):
                for _ in range(ticks):
                    core.clock.pass_s(0.1)
                    core.engine.tick()
                assert core.closer.waiting == 2, "all else waits for these"
                reply = answer(core, worker.heartbeat())
                assert isinstance(reply, Ack)
                assert (reply.credit > 0) == is_given, ticks


def test_who_ignores_the_credit_fills_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(closer, "_FAR_BEHIND_JOBS", 1024)
    with Core(tmp_path / "core", "manual", storing=False) as core:
        (worker,) = joined(core, "w")
        for _ in range(300):
            core.handle(*(worker.write(1) for _ in range(10)))
        assert core.closer.waiting < 1100
        session = core.state.sessions.get(worker.session)
        assert session is not None
        assert core.handle(worker.write(1)) == []
        assert seq_acked(core, worker.heartbeat()) == session.durable_seq
        core.start_storing()
        core.settle()
        core.tick()
        worker.seq = session.durable_seq
        assert seq_acked(core, worker.write(2)) == session.durable_seq


# Durability.


def test_nothing_is_acknowledged_before_it_is_synced(tmp_path):
    with Core(tmp_path / "core", durability=Durability.FULL) as core:
        journal, worker = core.journal, Worker("w")
        assert isinstance(journal, Journal)
        for message in (worker.hello(), worker.batch("c", SERIES), worker.write(1), worker.batch("")):
            before = journal.sync_times.num
            assert core.handle(message) != []
            assert journal.sync_times.num == before + 1
        synced = journal.sync_times.num
        core.handle(worker.heartbeat())
        assert journal.sync_times.num == synced  # nothing to keep, nothing to sync


def test_a_group_is_synced_once(tmp_path):
    with Core(tmp_path / "core", durability=Durability.FULL) as core:
        workers = joined(core, *"abcdefgh")
        before = core.journal.sync_times.num
        core.handle(*(worker.batch(f"c{number % 3}", SERIES) for number in range(20) for worker in workers))
        assert core.journal.sync_times.num == before + 1


# The log, and the end.


def test_the_log_of_bad_messages_is_one_line_a_second(core, caplog):
    (worker,) = joined(core, "w")
    with caplog.at_level(logging.WARNING):
        for number in range(50):
            core.handle((worker.peer, b"\xc1"), worker.batch(f"bad\n{number}"))
    assert len(caplog.records) <= 2


def test_nan_and_a_disagreement_are_said_once_with_their_workers(core, caplog):
    first, second = joined(core, "w1", "w2")
    for number in range(3):
        core.handle(first.batch("c", [("x", 0, [float("nan")])], step=number))
        core.handle(second.batch("c", [("x", 2, [1.0])]))
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [
        "x of c is NaN or infinite, first from worker w1 (step 0); such values are counted apart",
        "x of c came as AVERAGE from worker w1 and as SUM from worker w2; the first stands for the period",
    ]


def test_of_a_nan_no_step_is_said_that_nobody_told(core, caplog):
    (worker,) = joined(core, "w1")
    core.handle(worker.batch("c", [("x", 0, [float("nan")])]))
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line == "x of c is NaN or infinite, first from worker w1; such values are counted apart"


def test_stopping_closes_what_time_ends_and_tells_what_waits(tmp_path):
    with Core(tmp_path / "core", overrides=[("m", "manual")]) as core:
        (worker,) = joined(core, "w")
        core.handle(worker.batch("c", SERIES, core.clock.now_ns()), worker.batch("m", SERIES * 1))
        assert core.engine.stop(close_all=False) == 2
        core.settle()
        assert [each.period.category for each in core.periods()] == ["c"]
        reply = answer(core, worker.heartbeat())
        assert isinstance(reply, Ack)
        assert reply.credit == 0


def test_a_property_is_stored_once_and_before_the_period_that_follows_it(core):
    first, second = joined(core, "w1", "w2")
    core.handle(first.property({"lr": 0.1, "layers": [1, 2]}), second.property({"lr": 0.1, "layers": [1, 2]}))
    core.handle(first.batch("c", SERIES), first.write(1))
    core.handle(second.property("x"))
    core.settle()
    kinds = [type(entry).__name__ for entry in core.entries()]
    assert kinds == ["StoredProperty", "StoredPeriod", "StoredProperty"]
    assert core.properties()[0] == ("c", "hyperparameters", {"lr": 0.1, "layers": [1, 2]})


def test_who_asks_for_the_status_is_passed_on_and_holds_up_nobody(core):
    worker = Worker()
    replies = core.handle(worker.hello(), (b"anybody", encode(Status())))
    assert [peer for peer, _ in replies] == [worker.peer]
    assert core.askers == [b"anybody"]


def test_names_may_be_as_long_as_promised(core):
    longest = "é" * (256)
    worker = Worker(longest, longest)
    core.handle(worker.hello(), worker.batch(longest, [(longest, 0, [1.0])]))
    (found,) = core.close_all()
    assert (found.period.run, found.period.category, list(found)) == (longest, longest, [longest])


def test_a_session_is_forgotten_after_seven_days_unheard_and_not_before(core):
    (worker,) = joined(core, "w")
    core.handle(worker.batch("c", SERIES))
    core.clock.pass_s(7 * 86400)
    core.tick()
    assert core.state.sessions.get(worker.session) is not None
    core.clock.pass_s(1)
    core.tick()
    assert len(core.state.sessions) == 0


def test_windows_and_time_are_told_with_each_reply(core):
    (worker,) = joined(core, "w")
    core.clock.pass_s(3)
    reply = answer(core, worker.heartbeat())
    assert isinstance(reply, Ack)
    assert (reply.time, list(reply.windows)) == (core.clock.now_ns(), [10 * SECOND_NS])
    assert struct.pack("<q", reply.time)


@pytest.mark.parametrize("beside_bytes", [0, 1 << 30])
def test_a_group_that_waits_for_room_counts_once_when_there_is_room(tmp_path, monkeypatch, beside_bytes):
    # Written by a thread beside, it is pooled before it is known that there is no room.
    monkeypatch.setattr("stats_aggregator.journal.journal.BESIDE_BYTES", beside_bytes)
    with Core(tmp_path / "core", "manual", durability=Durability.FULL) as core:
        (worker,) = joined(core, "w")
        failpoints.arm("journal.write.before=error(ENOSPC)")
        try:
            assert core.handle(worker.batch("c", [("x", 0, [1.0, 2.0])])) == []
            assert core.tick() == []
        finally:
            failpoints.arm("")
        assert [type(reply) for _, reply in core.tick()] == [Ack]
        (found,) = core.close_all()
        assert (found["x"].num, found["x"].sum) == (2, 3.0)


def test_no_answer_has_a_time_before_its_frame_was_sent(tmp_path):
    with Core(tmp_path / "core") as core:
        worker, late = Worker("w"), Worker("late")

        def received() -> Iterator[tuple[bytes, bytes]]:
            yield worker.hello()
            core.clock.pass_s(0.11)  # a group is drained for as long as frames come
            yield late.hello()

        sent_ns = core.clock.now_ns() + round(0.11 * SECOND_NS)
        times = [decode(frame).time for _, frame in core.engine.handle(received())]
        assert len(times) == 2
        assert min(times) >= sent_ns
