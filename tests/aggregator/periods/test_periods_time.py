"""Periods of time: windows, grace, what is late, and a start after a long night."""

from __future__ import annotations

from stats_aggregator.periods import periods as periods_module
from tests.aggregator.clocks import SECOND_NS, START_NS
from tests.aggregator.peers import Core, joined
from tests.aggregator.spans import at, only, say, sums, told

WINDOW_S = 10


def test_a_time_period_is_the_window_of_the_batch_and_closes_after_grace(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 12)
    say(core, worker, 2.0, 19.999)
    core.pass_s(11.9)
    assert core.periods("c") == []
    core.pass_s(0.1)
    assert sums(core) == [(10, 20, 3.0, 0)]


def test_values_on_the_boundary_belong_to_the_window_that_begins_there(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 19.999999999)
    say(core, worker, 2.0, 20)
    core.pass_s(30)
    assert sums(core) == [(10, 20, 1.0, 0), (20, 30, 2.0, 0)]


def test_a_batch_within_grace_still_finds_its_window(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 15)
    core.pass_s(11)
    say(core, worker, 2.0, 18)
    core.pass_s(1)
    assert sums(core) == [(10, 20, 3.0, 0)]


def test_a_batch_for_a_closed_window_joins_the_open_one_as_late(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 15)
    core.pass_s(12)
    say(core, worker, 2.0, 22)
    say(core, worker, 4.0, 18)
    core.pass_s(20)
    assert sums(core) == [(10, 20, 1.0, 0), (20, 30, 6.0, 1)]


def test_a_late_batch_opens_the_current_window_where_none_is_open(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 15)
    core.pass_s(25)
    say(core, worker, 4.0, 11)
    core.pass_s(20)
    assert sums(core) == [(10, 20, 1.0, 0), (30, 40, 4.0, 1)]


def test_one_window_ahead_is_taken_as_it_is_and_more_counts_as_late(begin):
    core = begin()
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 29)
    say(core, worker, 2.0, 30)
    say(core, worker, 4.0, 2**62 / SECOND_NS - START_NS / SECOND_NS)
    core.pass_s(40)
    # The open window is the newest one, since none is open for the present.
    assert sums(core) == [(20, 30, 7.0, 2)]


def test_an_hours_backlog_lands_in_its_own_windows(begin):
    core = begin()
    core.pass_s(3600)
    first, second = joined(core, "w1", "w2")
    for worker in (first, second):
        for window in range(360):
            say(core, worker, 1.0 + window, 10 + window * WINDOW_S)
    core.pass_s(20)
    assert sums(core) == [(10 + 10 * at, 20 + 10 * at, 2.0 * (1 + at), 0) for at in range(360)]
    assert [each.period.workers_reporting for each in core.periods("c")] == [2] * 360


def test_open_windows_are_bounded_and_what_has_none_is_late(begin, monkeypatch):
    monkeypatch.setattr(periods_module, "MAX_OPEN_WINDOWS", 5)
    core = begin()
    core.pass_s(3600)
    (worker,) = joined(core, "w")
    core.handle(*(worker.batch("c", [("x", 0, [1.0])], at(10 * number)) for number in range(20)))
    assert len(core.state.categories["run", "c"].periods) == 5
    core.pass_s(20)
    assert [each[2:] for each in sums(core)] == [(1.0, 0)] * 4 + [(16.0, 15)]


def test_after_a_start_a_window_waits_for_all_workers_that_were_alive(tmp_path):
    with Core(tmp_path / "a") as core:
        first, second, done = joined(core, "w1", "w2", "done")
        for worker in (first, second, done):
            say(core, worker, 1.0, 0)
        core.handle(done.bye())
        core.clock.pass_s(60)  # nobody is there for a minute
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        core.pass_s(3)
        core.handle(first.hello())
        core.pass_s(5)
        assert core.periods() == []
        core.handle(second.hello(), second.heartbeat())
        core.pass_s(1.9)
        say(core, second, 2.0, 5)
        assert core.periods() == []
        core.pass_s(0.1)
        assert sums(core) == [(0, 10, 5.0, 0)]


def test_after_a_start_a_window_waits_15_s_at_most_for_a_worker_that_does_not_come_back(tmp_path):
    with Core(tmp_path / "a") as core:
        first, _ = workers = joined(core, "w1", "w2")
        for worker in workers:
            say(core, worker, 1.0, 0)
        core.clock.pass_s(60)
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        core.handle(first.hello())
        core.pass_s(14.9)
        assert core.periods() == []
        core.pass_s(0.1)
        assert sums(core) == [(0, 10, 2.0, 0)]


def test_empty_time_periods_are_not_written_and_their_step_counts(begin):
    core = begin()
    (worker,) = joined(core, "w")
    core.handle(worker.batch("c", (), at(12), step=500))
    core.pass_s(50)
    assert core.periods("c") == []
    say(core, worker, 1.0, 62)
    core.pass_s(20)
    assert told(core) == [(500, [1.0])]


def test_a_loss_alone_is_written(begin):
    core = begin()
    (worker,) = joined(core, "w")
    core.handle(worker.batch("c", (), at(12), lost=7, uncertain=3))
    core.pass_s(20)
    assert (len(only(core)), only(core).period.lost, only(core).period.uncertain) == (0, 7, 3)


def test_claimed_losses_never_outgrow_the_store(begin):
    core = begin()
    (worker,) = joined(core, "w")
    most = 2**63 - 1
    for _ in range(3):
        core.handle(worker.batch("c", (), at(12), lost=most, uncertain=most, steps=most))
    core.pass_s(20)
    period = only(core).period
    assert (period.lost, period.uncertain, period.step) == (most, most, most)


def test_a_write_says_the_step_where_time_ends_periods(begin):
    core = begin("10s")
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 1)
    core.handle(worker.write(100))
    core.pass_s(13)
    assert told(core) == [(100, [1.0])]


def test_parts_of_a_window_and_what_waited_long_do_not_overlap(tmp_path):
    with Core(tmp_path / "a") as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 1)
        core.clock.pass_s(4)
        core.engine.stop(close_all=False)
        core.settle()
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        core.handle(worker.hello())
        say(core, worker, 2.0, 2)  # the same window, whose first part ended at 4 s
        core.pass_s(20)
        assert sums(core) == [(0, 4, 1.0, 0), (4, 10, 2.0, 0)]


def test_a_period_that_write_ends_begins_no_earlier_than_the_last_one_ended(begin):
    core = begin("manual")
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 10)
    core.pass_s(5)
    core.handle(worker.write(1))
    say(core, worker, 2.0, 3)  # it waited in the worker since before the first WRITE
    core.pass_s(5)
    core.handle(worker.write(2))
    core.settle()
    assert sums(core) == [(10, 15, 1.0, 0), (15, 20, 2.0, 0)]


def test_who_is_missing_in_a_window_is_named(begin):
    core = begin()
    first, *others = joined(core, "w", *(f"other {number:02}" for number in range(25)))
    for worker in (first, *others):
        say(core, worker, 1.0, 12)
    core.pass_s(12)
    say(core, first, 2.0, 23)
    say(core, others[3], 2.0, 23)
    core.handle(others[0].bye())
    core.pass_s(12)
    ended = [each.period for each in core.periods("c")]
    assert [(each.workers_reporting, each.workers_expected) for each in ended] == [(26, 26), (2, 25)]
    names = [f"other {number:02}" for number in range(25) if number not in (0, 3)]
    assert [list(each.missing) for each in ended] == [[], names[:20]]


def test_after_a_start_a_window_waits_until_what_was_held_is_sent(tmp_path):
    with Core(tmp_path / "a") as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 0)
        core.clock.pass_s(60)
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        core.handle(worker.hello())
        for second in range(1, 5):  # it held much, which takes longer than grace
            core.pass_s(1.5)
            say(core, worker, 1.0, second)
            assert core.periods() == []
        core.handle(worker.heartbeat())
        core.pass_s(1.5)
        say(core, worker, 1.0, 62)  # what it adds by and by holds up nothing
        core.pass_s(0.5)
        assert sums(core) == [(0, 10, 5.0, 0)]
