"""The verdict of the soak: the oracle's, and whether store, axis and the writers' file agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from stats_aggregator_api import PeriodSummaries
from tests.oracle import Oracle, Row, stored_periods
from tests.soak.crew import Crew
from tests.soak.target import Target
from tests.soak.worker import PIECE


def judge(oracle: Oracle, crew: Crew, target: Target) -> list[Row]:
    """Return the oracle's rows, or raise AssertionError with what is wrong."""
    crew.tell(oracle)
    periods = stored_periods(target.data)
    rows = oracle.check(periods)
    gave_up = [row for row in rows if row.given_up]
    assert not gave_up, f"clients gave up values, and nothing forced them to: {gave_up}"
    _check_axes(periods)
    _check_steps(periods, crew, rows)
    _check_file(periods, target)
    return rows


def _check_axes(periods: Sequence[PeriodSummaries]) -> None:
    found = defaultdict(list)
    for each in periods:
        found[each.period.category].append(each.period)
    for category, of_category in found.items():
        ordered = sorted(of_category, key=lambda period: period.ordinal)
        ordinals = [period.ordinal for period in ordered]
        assert ordinals == list(range(1, len(ordinals) + 1)), f"{category}: ordinals {ordinals}"
        for before, after in pairwise(ordered):
            assert before.step <= after.step, f"{category}: step {before.step}, and then {after.step}"
    troubled = [p for of_category in found.values() for p in of_category if p.lost or p.uncertain]
    assert not troubled, f"periods that say of values that they are lost: {troubled}"


def _check_steps(periods: Sequence[PeriodSummaries], crew: Crew, rows: Sequence[Row]) -> None:
    """A worker of the category counts as many steps as values: they were counted once too."""
    reached = max((each.period.step for each in periods if each.period.category == "soak steps"), default=0)
    streams = {stream for stream, kind in crew.kinds.items() if kind == "steps"}
    counted = sum(row.counted for row in rows if row.worker in streams)
    apart = PIECE * len(streams & crew.killed)  # values whose steps died with the worker
    assert abs(counted - reached) <= apart, f"{counted} values, and {reached} steps"


def _check_file(periods: Sequence[PeriodSummaries], target: Target) -> None:
    lines = target.summaries(target.run)
    times = Counter(line["id"] for line in lines)
    twice = [period for period, number in times.items() if number > 1]
    assert not twice, f"summaries.jsonl has periods twice: {twice}"
    missing = [each.period for each in periods if each.period.id not in times]
    assert not missing, f"summaries.jsonl lacks {len(missing)} periods: {missing[:3]}"
    nums = {line["id"]: {key: stat["num"] for key, stat in line["stats"].items()} for line in lines}
    for each in periods:
        assert nums[each.period.id] == {key: summary.num for key, summary in each.items()}, each.period
