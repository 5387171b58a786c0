"""Beside: rows that are made together are those that each period has alone, bit for bit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling.accumulators import Accumulator, Limits
from stats_aggregator.pooling.beside import summaries_of
from stats_aggregator.pooling.series import SeriesCache
from stats_aggregator.pooling.summaries import SummaryRows
from tests.aggregator.oracle import AVERAGE, MOST_RECENT, accumulated, batches_of, messages
from tests.aggregator.peers import Worker

LIMITS = Limits(1000, 10_000)


def filled(number: int, num_series: int, num_values: int = 1, worker: str = "w") -> Accumulator:
    accumulator = Accumulator(LIMITS, SeriesCache())
    series = [(f"key {at}", AVERAGE, [number + 0.25] * num_values) for at in range(num_series)]
    if series:
        accumulator.add([(Worker().record("c", series), worker)])
    return accumulator


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, min_size=1, max_size=5), st.sampled_from([1, 4, 1000]), st.sets(st.integers(0, 4)))
def test_together_or_alone_the_rows_are_the_same_bits(sent, retain_values, folded):
    def accumulators() -> list[Accumulator]:
        found = []
        for number, each in enumerate(sent):
            batches = batches_of(each)
            found.append(accumulated(batches, range(0, len(batches), 2), retain_values))
            if number in folded:
                found[-1].fold(7 - number)
        return found

    alone = [list(SummaryRows(accumulator)) for accumulator in accumulators()]
    together = summaries_of(accumulators())
    # repr, since NaN is not equal to itself
    assert [repr(list(rows)) for rows in together] == [repr(rows) for rows in alone]
    assert [len(rows) for rows in together] == [len(rows) for rows in alone]


def test_many_periods_of_every_size_each_have_their_own_rows_in_their_order():
    sizes = [1, 0, 65, 1, 40, 2000, 1, 3] * 40
    accumulators = [filled(number, size, worker=f"w{number}") for number, size in enumerate(sizes)]
    found = [list(rows) for rows in summaries_of(accumulators)]
    assert [len(rows) for rows in found] == sizes
    for number, rows in enumerate(found):
        assert [row.key for row in rows] == [f"key {at}" for at in range(sizes[number])]
        assert {(row.mean, row.min_worker) for row in rows} <= {(number + 0.25, f"w{number}")}


def test_rows_may_be_passed_over_and_gone_through_again():
    first, second, third = summaries_of([filled(number, 2) for number in range(3)])
    assert [row.mean for row in third] == [2.25, 2.25], "the two before it were passed over"
    assert [row.mean for row in first] == [0.25, 0.25]
    half = iter(second)
    assert next(half).mean == 1.25
    assert [row.mean for row in second] == [1.25, 1.25], "as where the disk was full in their middle"


def test_latest_values_of_workers_stay_with_their_period():
    accumulators = []
    for number in range(3):
        accumulator = Accumulator(LIMITS, SeriesCache())
        for name in ("a", "b")[: number + 1]:
            record = Worker().record("c", [("m", MOST_RECENT, [9.0, number + len(accumulators) + 1.0])])
            accumulator.add([(record, name)])
        accumulators.append(accumulator)
    found = [row for rows in summaries_of(accumulators) for row in rows]
    assert [(row.num, row.sum, row.min_worker) for row in found] == [
        (1, 1.0, "a"),
        (2, 6.0, "a"),
        (2, 10.0, "a"),
    ]
