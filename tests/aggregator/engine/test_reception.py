"""Reception: who is let in under which name, and what comes in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stats_aggregator.engine import reception
from stats_aggregator_client.wire import (
    Nack,
    Reject,
    RejectCode,
    Welcome,
)
from tests.aggregator.peers import SERIES, SERVER_ID, Core, Worker, answer, joined, pooled, seq_acked

MOST = 2**63 - 1


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with Core(tmp_path / "core", "manual") as core:
        yield core


def test_welcome_says_who_is_who_and_how_far_the_session_is(core):
    worker = Worker("w", None)
    reply = answer(core, worker.hello())
    assert isinstance(reply, Welcome)
    assert (reply.session, reply.server, reply.worker) == (worker.session, SERVER_ID, "w")
    assert (reply.run, reply.durable_seq, reply.time) == ("default", 0, core.clock.now_ns())
    core.handle(worker.batch("c", SERIES))
    again = answer(core, worker.hello())
    assert isinstance(again, Welcome)
    assert (again.durable_seq, again.worker) == (1, "w")


def named(core: Core, worker: Worker) -> str:
    reply = answer(core, worker.hello())
    assert isinstance(reply, Welcome)
    return reply.worker


def test_a_live_duplicate_of_a_name_gets_a_suffix_within_its_run(core):
    assert named(core, Worker("w")) == "w"
    assert [named(core, Worker("w")) for _ in range(2)] == ["w#2", "w#3"]
    assert named(core, Worker("w", "another run")) == "w"


def test_the_same_process_keeps_the_name(core):
    first = Worker("w")
    named(core, first)
    assert named(core, Worker("w", process=first.process)) == "w"


def test_the_successor_of_a_silent_worker_has_its_name(core):
    named(core, Worker("w"))
    core.pass_s(14.9)
    assert named(core, Worker("w")) == "w#2"
    core.pass_s(0.1)
    assert named(core, Worker("w")) == "w"


def test_the_successor_of_one_that_said_bye_has_its_name(core):
    first = Worker("w")
    core.handle(first.hello(), first.bye())
    assert named(core, Worker("w")) == "w"


def test_a_worker_that_died_with_the_daemon_leaves_its_name_to_its_successor(tmp_path):
    with Core(tmp_path / "a") as core:
        named(core, Worker("w"))
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        assert named(core, Worker("w")) == "w"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"worker": ""}, "worker is empty"),
        ({"run": ""}, "run is empty"),
        ({"worker": "é" * 257}, "514 bytes"),
        ({"run": "a\nb"}, "control characters"),
        ({"worker": "a\u2028b"}, "control characters"),
        ({"worker": "a\u2066b"}, "format characters"),
    ],
)
def test_a_hello_with_an_unfit_name_is_refused_with_a_text(core, changed, text):
    reply = answer(core, Worker().hello(**changed))
    assert isinstance(reply, Reject)
    assert reply.code == RejectCode.NAME
    assert text in reply.text
    assert len(core.state.sessions) == 0


def test_a_connection_belongs_to_the_session_that_said_hello_on_it_last(core):
    first, second = Worker("one"), Worker("two")
    second.peer = first.peer
    core.handle(first.hello(), second.hello())
    assert answer(core, first.batch("c", SERIES)) == Nack(first.session, 0)
    assert seq_acked(core, second.batch("c", SERIES)) == 1
    # The first one, unheard, takes nothing of the second with it.
    for _ in range(8):
        core.clock.pass_s(10)
        core.handle(second.heartbeat())
        core.engine.tick()
    assert seq_acked(core, second.batch("c", SERIES)) == 2


def test_hello_past_what_is_known_skips_the_gap_and_nothing_else(core, caplog):
    worker = Worker("w")
    worker.seq = 41
    reply = answer(core, worker.hello())
    assert isinstance(reply, Welcome)
    assert reply.durable_seq == 41
    assert "41 batches of w" in caplog.text
    assert seq_acked(core, worker.batch("c", SERIES)) == 42
    assert pooled(core) == [1.0, 2.0]


# The sequence.


def test_a_duplicate_is_acknowledged_again_and_not_counted_again(core):
    (worker,) = joined(core, "w")
    batch = worker.batch("c", SERIES)
    assert seq_acked(core, batch) == 1
    assert seq_acked(core, batch, batch) == 1
    assert core.engine.reception.received["duplicate"] == 2
    assert pooled(core) == [1.0, 2.0]
    assert core.periods()[0].period.duplicates == 2


def test_a_gap_is_nacked_once_for_each_expected_seq(core):
    (worker,) = joined(core, "w")
    first, missing, third, fourth = (worker.batch("c", SERIES) for _ in range(4))
    core.handle(first)
    assert [reply for _, reply in core.handle(third, fourth)] == [Nack(worker.session, 2)]
    assert core.handle(fourth) == []
    assert seq_acked(core, missing, third) == 3
    sixth = worker.batch("c", SERIES, seq=6)
    assert answer(core, sixth) == Nack(worker.session, 4)
    assert seq_acked(core, fourth) == 4
    assert pooled(core) == [1.0, 2.0] * 4


def test_a_stranger_is_asked_for_hello_once_a_group(core):
    worker = Worker()
    assert answer(core, *(worker.batch("c", SERIES) for _ in range(5))) == Nack(worker.session, 0)
    assert answer(core, worker.heartbeat()) == Nack(worker.session, 0)


def test_a_session_is_taken_on_its_newest_connection_alone(core):
    (worker,) = joined(core, "w")
    old = worker.peer
    worker.peer = b"new"
    core.handle(worker.hello())
    _, frame = worker.batch("c", SERIES)
    assert answer(core, (old, frame)) == Nack(worker.session, 0)
    assert seq_acked(core, (b"new", frame)) == 1


def test_heartbeat_is_answered_by_ack(core):
    (worker,) = joined(core, "w")
    core.handle(worker.batch("c", SERIES))
    assert seq_acked(core, worker.heartbeat()) == 1


def test_a_whole_group_is_acknowledged_with_one_ack_a_connection(core):
    first, second = joined(core, "w1", "w2")
    group = [worker.batch("c", SERIES) for worker in (first, second) for _ in range(10)]
    replies = core.handle(*group)
    assert [(peer, reply.durable_seq) for peer, reply in replies] == [(first.peer, 10), (second.peer, 10)]


def test_past_the_most_sessions_a_stranger_is_turned_away_and_the_known_are_not(core, monkeypatch):
    monkeypatch.setattr(reception, "MAX_SESSIONS", 2)
    first, second, third = Worker("a"), Worker("b"), Worker("c")
    assert [named(core, worker) for worker in (first, second)] == ["a", "b"]
    reply = answer(core, third.hello())
    assert isinstance(reply, Reject)
    assert (reply.seq, reply.code, "no room" in reply.text) == (0, RejectCode.FORBIDDEN, True)
    assert named(core, first) == "a"
    # Who said BYE makes room, and is asked for HELLO where it speaks again.
    core.handle(second.bye())
    assert named(core, third) == "c"
    assert answer(core, second.batch("c", SERIES)) == Nack(second.session, 0)
