"""What the tests of accumulators share: batches without an engine, and their summaries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import strategies as st

from stats_aggregator.pooling.accumulators import Accumulator, Limits
from stats_aggregator.pooling.series import SeriesCache
from stats_aggregator.pooling.summaries import SummaryRows
from stats_aggregator.store.stored import summary_of
from stats_aggregator_api import Buckets, StatSummary
from stats_aggregator_client.wire import Batch
from tests.aggregator.peers import Worker
from tests.system.exact import exact

AVERAGE, MOST_RECENT = 0, 1
WORKERS = [Worker(f"w{number}") for number in range(3)]

moderate = st.floats(1e-20, 1e150) | st.floats(-1e150, -1e-20) | st.just(0.0) | st.just(-0.0)
anything = moderate | st.sampled_from([math.nan, math.inf, -math.inf])
columns = st.lists(anything, min_size=1, max_size=6)
# Who sends, its t_last, the columns by key.
messages = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.dictionaries(st.sampled_from("abm"), columns)),
    min_size=1,
    max_size=12,
)


def batches_of(sent: Sequence[tuple[int, int, dict[str, list[float]]]]) -> list[tuple[Batch, str]]:
    """Return the batches; the series m is MOST_RECENT."""
    seqs = [0, 0, 0]
    batches = []
    for place, t_last, series in sent:
        seqs[place] += 1
        triples = [(key, MOST_RECENT if key == "m" else AVERAGE, values) for key, values in series.items()]
        record = WORKERS[place].record("c", triples, t_last, seq=seqs[place])
        batches.append((record, WORKERS[place].name))
    return batches


def accumulated(
    batches: Sequence[tuple[Batch, str]], cuts: Iterable[int] = (), retain_values: int = 1000
) -> Accumulator:
    """Return an accumulator that took the batches in groups that end at `cuts`."""
    accumulator, begin = Accumulator(Limits(retain_values, 1000), SeriesCache()), 0
    for end in [*sorted(cuts), len(batches)]:
        accumulator.add(batches[begin:end])
        begin = max(begin, end)
    return accumulator


def summaries(accumulator: Accumulator) -> dict[str, StatSummary]:
    return {row.key: summary_of(row) for row in SummaryRows(accumulator)}


def pooled(values_of: Sequence[Sequence[float]], retain_values: int = 1000) -> StatSummary:
    """Return the summary of the one series x, a group for each column."""
    batches = [(WORKERS[0].record("c", [("x", AVERAGE, values)], 1), "w0") for values in values_of]
    return summaries(accumulated(batches, range(len(batches)), retain_values))["x"]


def buckets_of(summary: StatSummary) -> Buckets:
    found = summary.buckets
    return Buckets(tuple(found.keys), tuple(found.counts), found.mantissa_bits)


def check_moments(summary: StatSummary, values: Sequence[float]) -> None:
    """Compare with rational arithmetic over `values`, which are finite."""
    if not values:
        assert (summary.num, summary.sum) == (0, 0.0)
        assert all(map(math.isnan, (summary.mean, summary.std, summary.min, summary.max)))
        return
    right = exact(values)
    assert (summary.num, summary.min, summary.max) == (right.num, right.min, right.max)
    assert summary.mean == pytest.approx(right.mean, rel=1e-12, abs=1e-12 * right.magnitude / right.num)
    assert summary.std == pytest.approx(right.std, rel=1e-12, abs=0.0)
    assert summary.sum == pytest.approx(right.sum, rel=0.0, abs=1e-12 * right.magnitude)
