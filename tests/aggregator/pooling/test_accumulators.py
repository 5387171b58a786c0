"""Accumulators: exact over any split into batches, groups and workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling.accumulators import Accumulator, Limits, NotFinite
from stats_aggregator.pooling.series import Disagreement, SeriesCache
from stats_aggregator.pooling.summaries import SummaryRows
from stats_aggregator_api import Buckets, StatSummary
from stats_aggregator_client.wire import Batch
from tests.aggregator.oracle import (
    AVERAGE,
    MOST_RECENT,
    WORKERS,
    accumulated,
    batches_of,
    buckets_of,
    check_moments,
    messages,
    pooled,
    summaries,
)
from tests.aggregator.peers import Worker


def order_of(batch: Batch) -> tuple[int, bytes, int]:
    return batch.t_last, batch.session, batch.seq


def columns_of(batches: Sequence[tuple[Batch, str]], key: str) -> list[tuple[Batch, str, list[float]]]:
    """Return, an arrival, the values of `key`."""
    found = []
    for batch, worker in batches:
        cache, at = SeriesCache(), 0
        values = np.frombuffer(batch.values).tolist()
        pairs = cache.get(batch.series) if batch.series else ()
        for (name, _), count in zip(pairs, np.frombuffer(batch.counts, "<u4").tolist(), strict=True):
            if name == key:
                found.append((batch, worker, values[at : at + count]))
            at += count
    return found


@settings(max_examples=150, deadline=None)
@given(messages, st.data())
def test_any_split_in_any_order_gives_what_the_pooled_values_give(sent, data):
    batches = batches_of(sent)
    shuffled = data.draw(st.permutations(batches))
    cuts = data.draw(st.sets(st.integers(0, len(batches))))
    retain_values = data.draw(st.sampled_from([1, 4, 1000]))
    found = summaries(accumulated(shuffled, cuts, retain_values))
    assert set(found) == {key for _, _, series in sent for key in series}
    for key, summary in found.items():
        arrived = columns_of(shuffled, key)
        everything = [value for _, _, values in arrived for value in values]
        assert summary.num_nan == sum(map(math.isnan, everything))
        assert summary.num_inf == sum(map(math.isinf, everything))
        newest: dict[str, tuple[tuple[int, bytes, int], float]] = {}
        for batch, worker, values in arrived:
            for value in filter(math.isfinite, values):
                newest[worker] = max(newest.get(worker, ((-1, b"", 0), 0.0)), (order_of(batch), value),
                                     key=lambda held: held[0])  # fmt: skip
                if newest[worker][0] == order_of(batch):
                    newest[worker] = order_of(batch), value
        counted = [value for value in everything if math.isfinite(value)]
        if key == "m":
            counted = [value for _, value in newest.values()]
        check_moments(summary, counted)
        if newest:
            assert summary.last == max(newest.values())[1]
        assert buckets_of(summary) == Buckets.of(counted)
        check_extreme_workers(summary, arrived, newest if key == "m" else None)


def check_extreme_workers(
    summary: StatSummary,
    arrived: Sequence[tuple[Batch, str, list[float]]],
    newest: dict[str, tuple[Any, float]] | None,
) -> None:
    """Whoever is named sent the extreme; of several it is the first, where all values count."""
    for extreme, named in ((summary.min, summary.min_worker), (summary.max, summary.max_worker)):
        if newest is not None:
            senders = [worker for worker, (_, value) in newest.items() if value == extreme]
            assert named in senders if senders else named == ""
        else:
            senders = [worker for _, worker, values in arrived if extreme in values]
            assert named == (senders[0] if senders else "")


@settings(max_examples=60, deadline=None)
@given(messages)
def test_the_same_groups_give_the_same_bits(sent):
    batches = batches_of(sent)
    cuts = range(0, len(batches), 2)
    first, again = (list(SummaryRows(accumulated(batches, cuts, 4))) for _ in range(2))
    assert repr(first) == repr(again)  # repr, since NaN is not equal to itself


@settings(max_examples=60, deadline=None)
@given(messages)
def test_rows_are_the_same_each_time_they_are_gone_through(sent):
    batches = batches_of(sent)
    rows = SummaryRows(accumulated(batches, range(0, len(batches), 2), 4))
    first = list(rows)
    assert repr(first) == repr(list(rows))
    assert len(rows) == len(first)


def test_a_thousand_series_have_a_row_each_with_their_own_values():
    series = [(f"key {number}", AVERAGE, [float(number)] * (1 + number % 3)) for number in range(1000)]
    accumulator = Accumulator(Limits(1000, 1000), SeriesCache())
    accumulator.add([(Worker().record("c", series), "w")])
    rows = SummaryRows(accumulator)
    assert [(row.key, row.aggregation, np.frombuffer(row.full_dist).tolist()) for row in rows] == series
    assert [np.frombuffer(row.bucket_counts, "<i8").tolist() for row in rows] == [
        [len(values)] for _, _, values in series
    ]


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e8, 1e15])
def test_a_small_spread_at_a_large_offset_keeps_all_its_digits(offset):
    rng = np.random.default_rng(7)
    columns = [(offset + rng.standard_normal(257)).tolist() for _ in range(40)]
    check_moments(pooled(columns), [value for column in columns for value in column])


@pytest.mark.parametrize("value", [0.1, -0.1, 1e300, 1e-320, 5e-324, 1 / 3, 123456789.123])
@pytest.mark.parametrize("num", [1, 3, 1000])
def test_equal_values_have_no_spread_and_are_their_own_mean(value, num):
    found = pooled([[value] * num, [value]])
    assert (found.mean, found.std, found.min, found.max, found.last) == (value, 0.0, value, value, value)


def test_a_mean_of_values_too_far_apart_for_a_double_is_right_or_not_a_number():
    big = 1.7e308
    for values in ([big, -big], [big, big, -big], [-big, big, big, -big]):
        for columns in ([values], [[value] for value in values]):
            found = pooled(columns)
            right = math.fsum(value / len(values) for value in values)
            assert math.isnan(found.mean) or found.mean == pytest.approx(right), columns
            assert (found.min, found.max) == (-big, big)
    latest = [
        (worker.record("c", [("m", MOST_RECENT, [value])], 1), worker.name)
        for worker, value in zip(WORKERS, (big, -big, big), strict=True)
    ]
    assert math.isnan(summaries(accumulated(latest, [], 10))["m"].mean)


def test_zeros_of_either_sign_are_zero():
    found = pooled([[-0.0], [0.0, -0.0]])
    assert (found.num, found.mean, found.std, found.sum, found.min, found.max) == (3, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert buckets_of(found) == Buckets((0,), (3,))


def test_a_sum_past_the_largest_double_is_infinite_and_the_mean_is_not():
    found = pooled([[1.7e308, 1.6e308], [1.5e308]])
    assert found.sum == math.inf
    assert found.mean == pytest.approx(1.6e308, rel=1e-12)
    assert (found.min, found.max, found.last, found.num) == (1.5e308, 1.7e308, 1.5e308, 3)


def test_a_spread_past_what_a_double_can_square_is_infinite_not_wrong():
    for found in (pooled([[1.7e308, -1.7e308]]), pooled([[1e200], [-1e200]])):
        assert found.std == math.inf
        assert (found.num, found.mean) == (2, 0.0)


def test_denormals_are_counted_and_bucketed():
    values = [5e-324, 1e-310, -5e-324, 2.2e-308]
    found = pooled([values])
    assert (found.num, found.min, found.max) == (4, -5e-324, 2.2e-308)
    assert found.sum == math.fsum(values)
    assert buckets_of(found) == Buckets.of(values)


def test_a_series_with_nan_alone_has_no_figures_but_its_count():
    found = pooled([[math.nan, math.inf], [math.nan]])
    assert (found.num, found.num_nan, found.num_inf, found.sum) == (0, 2, 1, 0.0)
    assert all(map(math.isnan, (found.mean, found.std, found.min, found.max, found.last)))
    assert (found.min_worker, found.max_worker, found.exact) == ("", "", True)
    assert math.isnan(found.percentile(50))


def test_a_segment_of_nan_between_others_leaves_its_neighbours_alone():
    batch = WORKERS[0].record(
        "c", [("a", AVERAGE, [1.0, 2.0]), ("b", AVERAGE, [math.nan] * 3), ("c", AVERAGE, [5.0])], 1
    )
    found = summaries(accumulated([(batch, "w0")]))
    assert (found["a"].sum, found["b"].num, found["b"].num_nan, found["c"].sum) == (3.0, 0, 3, 5.0)
    assert (found["c"].min, found["c"].last) == (5.0, 5.0)


@pytest.mark.parametrize("is_single", [True, False])
def test_a_run_of_many_pieces_is_pooled_as_a_whole_though_one_of_them_is_all_nan(is_single):
    values = 1e15 + np.random.default_rng(6).normal(size=110_000)
    values[32_768:65_536] = math.nan
    values[5], values[100_001] = -math.inf, math.nan
    columns = [[1.0], values.tolist(), [math.nan]]
    batches = [
        (WORKERS[0].record("c", list(zip("abc", [AVERAGE] * 3, part, strict=True)), 1), "w0")
        for part in (
            [columns] if is_single else [[[1.0], piece.tolist(), [2.0]] for piece in np.split(values, 11)]
        )
    ]
    found = summaries(accumulated(batches))
    finite = values[np.isfinite(values)]
    assert (found["b"].num_nan, found["b"].num_inf) == (32_769, 1)
    check_moments(found["b"], finite.tolist())
    assert found["b"].last == values[-1]
    assert buckets_of(found["b"]) == Buckets.of(finite.tolist())
    assert found["a"].mean == 1.0


def test_a_batch_whose_series_are_an_empty_array_changes_nothing():
    # Not the same bytes as no series, and legal all the same.
    batch = WORKERS[0].record("c")._replace(series=b"\x90")
    accumulator = accumulated([(batch, "w0")])
    assert (accumulator.num_values, summaries(accumulator), accumulator.workers) == (0, {}, [])


def test_keys_that_come_and_go_keep_their_own_figures():
    batches = [
        (
            WORKERS[0].record("c", [(f"k{(at * 7 + offset) % 90}", AVERAGE, [at]) for offset in range(5)], 1),
            "w0",
        )
        for at in range(200)
    ]
    found = summaries(accumulated(batches, range(0, 200, 9)))
    assert len(found) == 90
    for key, summary in found.items():
        check_moments(summary, [value for _, _, values in columns_of(batches, key) for value in values])
        assert tuple(summary.full_dist) == tuple(
            value for *_, values in columns_of(batches, key) for value in values
        )


def test_the_first_aggregation_of_a_key_stands_and_the_disagreement_is_told_once():
    batches = [
        (WORKERS[0].record("c", [("x", AVERAGE, [1.0])], 1), "w0"),
        (WORKERS[1].record("c", [("x", MOST_RECENT, [3.0]), ("y", AVERAGE, [0.0])], 1), "w1"),
        (WORKERS[2].record("c", [("x", 2, [5.0])], 1), "w2"),
    ]
    accumulator = accumulated(batches)
    (told,) = accumulator.take_oddities()
    assert isinstance(told, Disagreement)
    assert (told.key, told.worker, told.other_worker) == ("x", "w0", "w1")
    assert accumulator.take_oddities() == []
    found = summaries(accumulator)["x"]
    assert (int(found.aggregation_method), found.mean) == (AVERAGE, 3.0)


def test_the_first_nan_of_each_series_is_told_once_with_who_sent_it():
    columns = [("x", AVERAGE, [1.0]), ("y", AVERAGE, [math.nan, math.inf])]
    batches = [(worker.record("c", columns, 1, step=9), worker.name) for worker in WORKERS]
    accumulator = accumulated(batches)
    assert accumulator.take_oddities() == [NotFinite("y", "w0", 9, 2)]
    accumulator.add(batches)
    assert accumulator.take_oddities() == []


def test_what_is_first_not_finite_is_told_of_many_series_in_one_group_in_order_of_arrival():
    nan, inf = math.nan, math.inf
    sent = [
        (0, [("a", AVERAGE, [1.0]), ("b", AVERAGE, [nan, 2.0, inf])]),
        (1, [("b", AVERAGE, [nan]), ("a", AVERAGE, [1.0, nan]), ("d", AVERAGE, [nan])]),
        (2, [("d", AVERAGE, [inf] * 3), ("c", AVERAGE, [3.0, inf, inf]), ("a", AVERAGE, [nan])]),
    ]
    batches = [(WORKERS[at].record("c", columns, 1), f"w{at}") for at, columns in sent]
    told = [(each.key, each.worker, each.num) for each in accumulated(batches).take_oddities()]
    assert told == [("b", "w0", 2), ("a", "w1", 1), ("d", "w1", 1), ("c", "w2", 2)]


def test_most_recent_pools_the_latest_value_of_each_worker():
    sent = [(0, 1, {"m": [9.0, 1.0]}), (1, 2, {"m": [2.0]}), (0, 3, {"m": [4.0]}), (2, 3, {"m": [8.0]}),
            (1, 1, {"m": [100.0]})]  # fmt: skip
    found = summaries(accumulated(batches_of(sent), [1, 3]))["m"]
    assert (found.num, found.sum, found.min, found.max) == (3, 14.0, 2.0, 8.0)
    assert (found.last, found.aggregated_value) == (8.0, 8.0)  # of two at time 3 the greater session
    assert (found.min_worker, found.max_worker) == ("w1", "w2")
    assert sorted(found.full_dist) == [2.0, 4.0, 8.0]


def test_the_latest_value_survives_compaction():
    many = 1500
    batches = [
        (WORKERS[at % 3].record("c", [("m", MOST_RECENT, [at])], at), f"w{at % 3}") for at in range(many)
    ]
    found = summaries(accumulated(batches, range(many)))["m"]
    assert sorted(found.full_dist) == [many - 3, many - 2, many - 1]
