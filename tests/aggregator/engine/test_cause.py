"""Why a period ended is stored with it."""

from __future__ import annotations

from stats_aggregator_api import Cause
from tests.aggregator.peers import joined
from tests.aggregator.spans import at, say


def test_a_period_that_its_workers_wrote_and_one_whose_time_was_over_say_so(begin):
    core = begin("manual", overrides=[("timed", "1s")])
    (worker,) = joined(core, "w")
    say(core, worker, 1.0, 10)
    core.handle(worker.write(1), worker.batch("timed", [("x", 0, [5.0])], at(10)))
    core.pass_s(4)
    causes = {each.period.category: each.period.cause for each in core.periods()}
    assert causes == {"c": Cause.WRITE, "timed": Cause.TIME}
