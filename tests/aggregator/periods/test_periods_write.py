"""Periods that WRITE ends: rounds, grace, and who does not hold them up."""

from __future__ import annotations

import pytest

from stats_aggregator_client.wire import Closing
from tests.aggregator.peers import Core, Worker, joined
from tests.aggregator.spans import at, say, told

WRITE = int(Closing.WRITE)


def test_each_write_of_the_only_writer_closes_also_an_empty_period(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 10, closing=WRITE)
    core.handle(worker.write(100), worker.write(200))
    core.handle(worker.batch("c", [("x", 0, [2.0])], at(10), closing=WRITE), worker.write(300))
    core.settle()
    assert told(core) == [(100, [1.0]), (200, []), (300, [2.0])]


def test_a_round_closes_when_every_live_writer_has_written(begin):
    core = begin(grace_s=14)
    first, second, third = workers = joined(core, "w1", "w2", "w3")
    for worker in workers:
        say(core, worker, 1.0, 10, closing=WRITE)
    core.handle(*(worker.write(10) for worker in workers))  # who writes becomes known here
    core.pass_s(14)
    core.handle(*(worker.heartbeat() for worker in workers))
    before = len(core.periods("c"))
    core.handle(first.write(20), third.write(20))
    core.settle()
    assert len(core.periods("c")) == before
    core.handle(second.write(20))
    core.settle()
    assert len(core.periods("c")) == before + 1


def round_of_two(core: Core) -> tuple[Worker, Worker]:
    """Return two workers that have both written in one round, closed at step 10."""
    first, second = joined(core, "w1", "w2")
    say(core, first, 1.0, 10, closing=WRITE)
    core.handle(first.write(5))
    core.handle(second.write(6))
    core.pass_s(5)  # grace ends the newcomer's round, which the first one owes
    core.handle(first.write(6))
    core.handle(first.write(10), second.write(10))
    core.settle()
    assert not core.state.categories["run", "c"].round.written
    return first, second


def test_grace_closes_a_round_and_the_late_write_closes_nothing(begin):
    core = begin()
    first, second = round_of_two(core)
    before = len(core.periods("c"))
    say(core, first, 1.0, 20, closing=WRITE)
    core.handle(first.write(20))
    core.pass_s(1.9)
    assert len(core.periods("c")) == before
    core.pass_s(0.1)
    assert told(core)[before:] == [(20, [1.0])]
    core.handle(second.write(20))
    core.pass_s(10)
    assert len(core.periods("c")) == before + 1
    say(core, first, 2.0, 20, closing=WRITE)
    core.handle(first.write(30), second.write(30))
    core.settle()
    assert told(core)[before + 1 :] == [(30, [2.0])]


def test_a_write_that_repeats_within_a_round_closes_at_once(begin):
    core = begin()
    first, _ = round_of_two(core)
    before = len(core.periods("c"))
    core.handle(first.write(20))
    core.handle(first.write(21))
    core.settle()
    assert told(core)[before:] == [(21, [])]


@pytest.mark.parametrize("parting", ["bye", "silence"])
def test_a_dead_writer_does_not_hold_the_round(begin, parting):
    core = begin(grace_s=10_000)
    first, second = joined(core, "w1", "w2")
    core.state.categories.clear()
    say(core, first, 1.0, 10, closing=WRITE)
    core.handle(first.write(5))
    core.handle(second.write(6))
    core.handle(first.write(6))
    core.settle()
    before = len(core.periods("c"))
    if parting == "bye":
        core.handle(second.bye())
    else:
        for _ in range(4):
            core.clock.pass_s(5)
            core.handle(first.heartbeat())
            core.tick()
    core.pass_s(1)
    core.handle(first.write(30))
    core.settle()
    assert len(core.periods("c")) == before + 1


def test_write_takes_over_from_time_and_keeps_the_open_window(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 12)
    say(core, worker, 2.0, 22)
    core.handle(worker.write(100))
    core.settle()
    assert told(core) == [(1, [1.0]), (100, [2.0])]
    say(core, worker, 4.0, 23, closing=WRITE)
    core.pass_s(3600)
    assert len(core.periods("c")) == 2  # time ends nothing any more
    core.handle(worker.hello())
    core.handle(worker.write(200))
    core.settle()
    assert told(core)[2:] == [(200, [4.0])]


def test_manual_ends_by_write_alone(begin):
    core = begin("manual")
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 12)
    core.pass_s(100_000)
    assert core.periods("c") == []
    core.handle(worker.hello())
    core.handle(worker.write(7))
    core.settle()
    assert told(core) == [(7, [1.0])]


def one_round(core: Core, workers: tuple[Worker, ...], step: int) -> None:
    for number, worker in enumerate(workers):
        say(core, worker, step + number / 10, 1, closing=WRITE)
        core.handle(worker.write(step))
        core.pass_s(0.1)


def steps_mixed(core: Core) -> list[int]:
    """Return the steps of the periods that hold values of several steps."""
    core.settle()
    return [step for step, values in told(core) if len({int(value) for value in values}) > 1]


def test_a_restart_between_two_writers_mixes_one_step_at_the_most(begin, tmp_path):
    core = begin()
    workers = joined(core, "w1", "w2")
    for step in (1, 2, 3):
        one_round(core, workers, step)
    with core.crashed(tmp_path / "crashed") as restarted:
        for worker in workers:
            # Each comes back with its next step, the first one well before the second.
            restarted.handle(worker.hello())
            one_round(restarted, (worker,), 4)
        for step in range(5, 12):
            one_round(restarted, workers, step)
        assert len(steps_mixed(restarted)) <= 2  # the first round of all, and the one after the restart
        assert [step for step, _ in told(restarted)][-6:] == [6, 7, 8, 9, 10, 11]


def test_a_rewind_forgets_the_round_that_had_begun(begin):
    core = begin()
    first, second = workers = joined(core, "w1", "w2")
    one_round(core, workers, 1)
    one_round(core, workers, 2)
    say(core, first, 3.0, 1, closing=WRITE)
    core.handle(first.write(3))
    core.handle(second.rewind(2), first.rewind(2))
    for step in (3, 4, 5):
        one_round(core, workers, step)
    core.settle()
    assert told(core)[-3:] == [(3, [3.0, 3.1]), (4, [4.0, 4.1]), (5, [5.0, 5.1])]


def test_a_writer_behind_others_that_have_ended_adds_no_point_a_write_at_their_last_step(begin):
    core = begin()
    ahead, behind = round_of_two(core)
    before = len(core.periods("c"))
    for step in range(20, 50, 10):
        say(core, ahead, float(step), 20, closing=WRITE)
        core.handle(ahead.write(step))
    core.handle(ahead.bye())
    for step in range(20, 70, 10):
        say(core, behind, float(-step), 20, closing=WRITE)
        core.handle(behind.write(step))
    core.settle()
    assert told(core)[before:] == [
        (30, [20.0, 30.0]),
        (40, [40.0, -20.0, -30.0, -40.0]),
        (50, [-50.0]),
        (60, [-60.0]),
    ]


def test_a_training_that_begins_where_another_has_ended_is_said_once(begin, caplog):
    core = begin()
    (first,) = joined(core, "w1")
    core.handle(first.write(100), first.bye())
    (again,) = joined(core, "w2")
    core.handle(again.write(10), again.write(20))
    (line,) = [record.getMessage() for record in caplog.records if "w2" in record.getMessage()]
    assert line == (
        "worker w2 begins at step 10 of c, which is at 100 in run run: until it is further, its values are "
        "drawn there. Another training needs another STATS_AGGREGATOR_RUN_ID or category; one that goes on "
        "from a checkpoint calls rewind(step)"
    )


def test_a_training_that_goes_on_from_its_checkpoint_is_not_taken_for_another(begin, caplog):
    core = begin()
    (first,) = joined(core, "w1")
    core.handle(first.write(100), first.bye())
    (again,) = joined(core, "w2")
    core.handle(again.rewind(50), again.write(60))
    assert not [record for record in caplog.records if "begins at step" in record.getMessage()]


def test_where_all_that_could_write_have_ended_what_they_left_is_written_behind_the_last_step(begin):
    core = begin()
    first, second = joined(core, "w1", "w2")
    say(core, first, 1.0, 10, closing=WRITE)
    core.handle(first.write(100))
    core.settle()
    say(core, first, 2.0, 10, closing=WRITE)
    say(core, second, 3.0, 10, closing=WRITE)
    core.handle(first.bye())
    core.pass_s(5)
    core.handle(second.heartbeat())
    assert told(core) == [(100, [1.0])]
    core.handle(second.bye())
    core.pass_s(1)
    core.pass_s(2)
    assert told(core) == [(100, [1.0]), (101, [2.0, 3.0])]


def test_a_pool_that_never_writes_is_written_once_it_has_ended(begin):
    core = begin()
    workers = joined(core, *(f"w{number}" for number in range(4)))
    for worker in workers:
        say(core, worker, 1.0, 10, closing=WRITE)
        core.handle(worker.bye())
    core.pass_s(1)
    core.pass_s(2)
    assert told(core) == [(1, [1.0] * 4)]


def test_time_ends_periods_again_once_the_one_that_said_write_has_ended(begin):
    core = begin()
    stray, *others = joined(core, "stray", "w1", "w2")
    say(core, stray, 1.0, 12, closing=WRITE)
    core.handle(stray.bye())
    core.pass_s(1)
    core.pass_s(2)
    for worker in others:
        say(core, worker, 2.0, 25)
    core.pass_s(20)
    assert told(core) == [(1, [1.0]), (2, [2.0, 2.0])]


@pytest.mark.parametrize(("is_connected", "after_s"), [(False, 60), (True, 600)])
def test_a_lost_writer_has_ended_with_its_connection_or_after_ten_minutes(tmp_path, is_connected, after_s):
    with Core(tmp_path / "core", reaches=lambda peer, frame: is_connected) as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 0, closing=WRITE)
        for _ in range(after_s // 20 - 1):
            core.pass_s(20)
        core.pass_s(18)
        assert told(core) == []
        core.pass_s(2)
        core.pass_s(2)
        assert told(core) == [(1, [1.0])]


def test_a_stop_writes_what_nobody_is_left_to_write(tmp_path):
    with Core(tmp_path / "core") as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 0, closing=WRITE)
        core.handle(worker.bye())
        assert core.engine.stop(close_all=False) == 0
        core.settle()
        assert told(core) == [(1, [1.0])]
