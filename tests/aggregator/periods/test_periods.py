"""Periods: what they are called, who is in them, and what a restart changes."""

from __future__ import annotations

from stats_aggregator.engine.sessions import LOST_AFTER_NS
from tests.aggregator.clocks import SECOND_NS
from tests.aggregator.peers import Core, Worker, joined
from tests.aggregator.spans import at, only, say, told


def test_ordinals_are_never_reused_and_ids_are_distinct(tmp_path):
    core, worker = Core(tmp_path / "0", "manual"), Worker("w")
    for start in range(3):
        core.handle(worker.hello())
        for number in range(3):
            say(core, worker, float(number), 10)
            core.handle(worker.write(10 * start + number))
        core.settle()
        core = core.crashed(tmp_path / str(start + 1))
    with core:
        found = [each.period for each in core.periods("c")]
    assert [period.ordinal for period in found] == list(range(1, 10))
    assert len({period.id for period in found}) == 9


def test_a_period_says_who_reported_and_who_was_expected(begin):
    core = begin("manual")
    first, second, third, stranger = joined(core, "w1", "w2", "w3", "w4")
    for worker in (first, second, third):
        say(core, worker, 1.0, 10)
    core.handle(third.bye())
    core.handle(first.write(1))
    core.settle()
    # w4 has never sent to this category.
    assert (only(core).period.workers_reporting, only(core).period.workers_expected) == (3, 3)
    core.pass_s(2)
    core.handle(stranger.heartbeat(), first.heartbeat(), second.heartbeat())
    say(core, first, 1.0, 10)
    core.handle(first.write(2))
    core.settle()
    period = core.periods("c")[-1].period
    assert (period.workers_reporting, period.workers_expected) == (1, 2)


def test_runs_and_categories_do_not_mix(begin):
    core = begin("manual", overrides=[("timed/*", "1s")])
    one, other = joined(core, "w", run="one") + joined(core, "w", run="other")
    assert one.session != other.session
    say(core, one, 1.0, 10)
    say(core, other, 2.0, 10)
    core.handle(other.batch("timed/x", [("x", 0, [5.0])], at(10)))
    core.pass_s(4)
    assert [each.period.category for each in core.periods()] == ["timed/x"]
    found = {(each.period.run, each.period.category): each["x"].sum for each in core.close_all()}
    assert found == {("one", "c"): 1.0, ("other", "c"): 2.0, ("other", "timed/x"): 5.0}


def test_a_client_with_a_clock_in_the_far_future_does_not_move_the_daemons(tmp_path):
    with Core(tmp_path / "a", "manual") as core:
        (worker,) = joined(core, "w")
        core.handle(worker.batch("c", [("x", 0, [1.0])], 2**63 - 1))
        now_ns = core.clock.now_ns()
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        assert core.clock.now_ns() == now_ns
        (found,) = core.close_all()
        assert (found.period.start, found.period.end) == (now_ns, now_ns)


def test_a_window_ahead_of_the_time_that_write_takes_over_does_not_move_it_either(tmp_path):
    with Core(tmp_path / "a") as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 15)
        core.handle(worker.write(7))
        core.settle()
        now_ns = core.clock.now_ns()
        assert (only(core).period.start, only(core).period.end) == (now_ns, now_ns)
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        assert core.clock.now_ns() == now_ns


def test_another_every_after_a_restart_ends_what_nothing_would_end(tmp_path):
    with Core(tmp_path / "a", "manual") as core:
        (worker,) = joined(core, "w")
        say(core, worker, 1.0, 0)
        restarted = core.crashed(tmp_path / "b", every="10s")
    with restarted as core:
        core.settle()
        assert told(core) == [(1, [1.0])]


def test_a_lost_workers_window_closes_without_it_and_names_it_for_an_hour(begin):
    core = begin()
    first, second = joined(core, "w1", "w2")
    say(core, first, 1.0, 12)
    say(core, second, 1.0, 12)
    core.pass_s(12)
    core.pass_s(LOST_AFTER_NS / SECOND_NS)
    core.handle(first.hello())
    say(core, first, 2.0, 80)
    core.pass_s(12)
    core.pass_s(3600)
    core.handle(first.hello())
    say(core, first, 3.0, 3700)
    core.pass_s(30)
    counts = [each.period.workers_reporting for each in core.periods("c")]
    assert counts == [2, 1, 1]
    assert [each.period.workers_expected for each in core.periods("c")] == [2, 2, 1]
