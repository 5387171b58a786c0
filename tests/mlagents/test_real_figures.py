"""Our figures against those of ML-Agents' own StatsReporter, on the same calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredPeriod
from stats_aggregator_api import PeriodSummaries, StatsAggregationMethod, StatSummary
from stats_aggregator_client import StatsClient, StatsReporter
from stats_aggregator_mlagents.aggregation import StatsAggregationMethod as TheirMethod
from stats_aggregator_mlagents.pooled_summary import pooled_summary
from stats_aggregator_mlagents.stats_summary import StatsSummary
from tests.mlagents.real import RealMLAgents, ReportedPeriod
from tests.mlagents.reporting import add_all
from tests.system.daemons import Daemon, wait_until

METHODS = ("AVERAGE", "SUM", "HISTOGRAM", "MOST_RECENT")
SERIES_PER_EXAMPLE = 20
EXAMPLES = 50
"""So that each method has a thousand series."""
RELATIVE = 1e-12

# Their squares are no infinity: numpy's std is one past that, and ours is not.
numbers = st.floats(-1e100, 1e100, allow_subnormal=False)
like_rewards = st.floats(-1000, 1000, allow_subnormal=False)
series = st.lists(numbers, min_size=1, max_size=30) | st.lists(like_rewards, min_size=1, max_size=60)
many_series = st.lists(series, min_size=SERIES_PER_EXAMPLE, max_size=SERIES_PER_EXAMPLE)


@pytest.fixture(scope="module")
def real(real_python: str) -> Iterator[RealMLAgents]:
    with RealMLAgents(real_python) as found:
        yield found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, real: RealMLAgents) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("figures")
    with Daemon(directory, "--writer", "jsonl", "--durability", "process") as started:
        yield started


def report(reporter: StatsReporter, period: ReportedPeriod) -> None:
    _, step, all_series = period
    add_all(reporter, all_series, StatsAggregationMethod)
    reporter.write_stats(step)


class Closed:
    """The periods that the daemon has closed, as its writers read them from its store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = -1

    def next(self) -> PeriodSummaries:
        """Return the next one, in the order of closing."""
        entry = wait_until(lambda: self._store.next_entry("r", self._position), "the next period is closed")
        assert isinstance(entry, StoredPeriod)
        self._position = entry.position
        return entry.summaries


def tolerance(name: str, values: Sequence[float], method: str) -> float:
    """How far figures may be apart: relative to the values, since numpy loses digits where they cancel."""
    used = values[-1:] if method == "MOST_RECENT" else values
    total = math.fsum(abs(value) for value in used)
    largest = max(abs(value) for value in used)
    by_sum = name == "sum" or (name == "aggregated_value" and method == "SUM")
    return RELATIVE * (total if by_sum else largest)


@pytest.mark.timeout(300)
def test_every_figure_of_every_method_is_that_of_ml_agents(real: RealMLAgents, daemon: Daemon) -> None:
    steps = iter(range(10**6))
    with (
        StatsClient(daemon.address, run="r", flush_interval_s=0.005) as client,
        closing(Store(daemon.directory / "data" / "store.sqlite", durability="process")) as store,
    ):
        reporters = {method: StatsReporter(method, client) for method in METHODS}
        closed = Closed(store)

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(many_series)
        def agree(drawn: list[list[float]]) -> None:
            step = next(steps)
            periods: list[ReportedPeriod] = [
                (method, step, [(f"k{place}", method, values) for place, values in enumerate(drawn)])
                for method in METHODS
            ]
            for period in periods:
                report(reporters[period[0]], period)
            theirs = dict(zip(METHODS, real.report(periods), strict=True))
            for _ in METHODS:
                ours = closed.next()
                method = ours.period.category
                assert ours.period.step == step
                for key, expected in theirs[method].items():
                    compare(ours[key], expected, drawn[int(key[1:])])

        agree()
        assert next(steps) >= EXAMPLES


def compare(ours: StatSummary, expected: dict[str, float], values: Sequence[float]) -> None:
    """Compare the daemon's figures, and the same as a plugin is given them."""
    method = ours.aggregation_method
    given = pooled_summary(StatsSummary, TheirMethod[method.name], ours)
    for name, figure in expected.items():
        allowed = tolerance(name, values, method.name)
        for summary in (ours, given):
            assert getattr(summary, name) == pytest.approx(figure, rel=RELATIVE, abs=allowed), (name, values)
