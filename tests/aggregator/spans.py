"""What the tests of periods share: saying something at a time, and reading what was stored."""

from __future__ import annotations

from typing import Any

from stats_aggregator_api import PeriodSummaries
from tests.aggregator.clocks import SECOND_NS, START_NS
from tests.aggregator.peers import Core, Worker


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def say(core: Core, worker: Worker, value: float, t_s: float, **changed: Any) -> None:
    core.handle(worker.batch("c", [("x", 0, [value])], at(t_s), **changed))


def told(core: Core) -> list[tuple[int, list[float]]]:
    """Return step and values of each stored period of category c."""
    return [
        (each.period.step, list(each["x"].full_dist) if "x" in each else []) for each in core.periods("c")
    ]


def sums(core: Core) -> list[tuple[int, int, float, int]]:
    """Return start and end in seconds after START_NS, the sum and how much of it was late."""
    return [
        (
            (each.period.start - START_NS) // SECOND_NS,
            (each.period.end - START_NS) // SECOND_NS,
            each["x"].sum,
            each.period.late,
        )
        for each in core.periods("c")
    ]


def only(core: Core) -> PeriodSummaries:
    (found,) = core.periods("c")
    return found
