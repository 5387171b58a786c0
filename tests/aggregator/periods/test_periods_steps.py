"""Periods that steps end, and REWIND."""

from __future__ import annotations

import itertools

from tests.aggregator.peers import joined
from tests.aggregator.spans import say, told


def test_the_batch_that_crosses_the_boundary_belongs_to_the_period_it_closes(begin):
    core = begin("100 steps")
    (worker,) = joined(core, "w")
    for value, step in ((1.0, 40), (2.0, 99), (3.0, 100), (4.0, 120), (5.0, 350), (6.0, 399)):
        say(core, worker, value, 10, step=step)
    core.settle()
    assert told(core) == [(100, [1.0, 2.0, 3.0]), (350, [4.0, 5.0])]
    assert core.close_all()[-1].period.step == 399


def test_increments_are_summed_over_all_workers(begin):
    core = begin("100 steps")
    workers = joined(core, "w1", "w2", "w3")
    for number, worker in zip(range(9), itertools.cycle(workers)):
        say(core, worker, float(number), 10, steps=20)
    core.settle()
    assert told(core) == [(100, [0.0, 1.0, 2.0, 3.0, 4.0])]
    assert core.close_all()[-1].period.step == 180


def test_a_boundary_that_a_write_crossed_is_not_crossed_again(begin):
    core = begin("100 steps")
    (worker,) = joined(core, "w")
    core.handle(worker.write(250))
    say(core, worker, 1.0, 10, step=260)
    say(core, worker, 2.0, 10, step=299)
    core.settle()
    assert core.periods("c") == []
    say(core, worker, 3.0, 10, step=300)
    core.settle()
    assert told(core) == [(300, [1.0, 2.0, 3.0])]


def test_a_step_is_never_less_than_the_one_before(begin):
    core = begin("manual")
    (worker,) = joined(core, "w")
    for step in (100, 40, 120):
        core.handle(worker.write(step))
    core.settle()
    assert [each.period.step for each in core.periods("c")] == [100, 100, 120]


def test_the_ordinal_stands_for_a_step_that_nobody_reports(begin):
    core = begin()
    (worker,) = joined(core, "w")
    for number in range(3):
        say(core, worker, 1.0, 10 + 10 * number)
        core.pass_s(10)
    core.pass_s(10)
    assert [(each.period.step, each.period.ordinal) for each in core.periods("c")] == [(1, 1), (2, 2), (3, 3)]


# REWIND.


def test_rewind_ends_the_period_and_the_axis_goes_back(begin):
    core = begin("100 steps")
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 10, step=90)
    say(core, worker, 2.0, 10, step=540)
    say(core, worker, 3.0, 10, step=560)
    core.handle(worker.rewind(120))
    for value, step in ((4.0, 130), (5.0, 199), (6.0, 200)):
        say(core, worker, value, 10, step=step)
    core.settle()
    assert told(core) == [(540, [1.0, 2.0]), (560, [3.0]), (200, [4.0, 5.0, 6.0])]


def test_counted_steps_go_on_counting_from_where_they_were_rewound_to(begin):
    core = begin("100 steps")
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 10, steps=350)
    core.handle(worker.rewind(250))
    say(core, worker, 2.0, 10, steps=40)
    say(core, worker, 3.0, 10, steps=20)
    core.settle()
    assert told(core) == [(350, [1.0]), (310, [2.0, 3.0])]
