"""PARTIALs: values that were folded elsewhere count like the values themselves."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling.accumulators import Accumulator, Limits, NotFinite
from stats_aggregator.pooling.series import SeriesCache
from stats_aggregator_api import Buckets
from tests.aggregator.oracle import (
    AVERAGE,
    MOST_RECENT,
    WORKERS,
    buckets_of,
    check_moments,
    columns,
    summaries,
)
from tests.aggregator.partials import partial

# Who sends, its t_last, whether it is folded, the columns by key; "m" is MOST_RECENT.
messages = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3),
        st.booleans(),
        st.dictionaries(st.sampled_from("abm"), columns, min_size=1),
    ),
    min_size=1,
    max_size=12,
)


def sent_as_told(sent):
    """Return each message with its worker's name, the order of its values, and the columns."""
    seqs, told = [0, 0, 0], []
    for place, t_last, is_folded, series in sent:
        seqs[place] += 1
        triples = [(key, MOST_RECENT if key == "m" else AVERAGE, values) for key, values in series.items()]
        make = partial if is_folded else WORKERS[place].record
        arguments = (WORKERS[place], "c", triples, t_last) if is_folded else ("c", triples, t_last)
        message = make(*arguments, seq=seqs[place])
        told.append((message, WORKERS[place].name, (t_last, WORKERS[place].session, seqs[place]), series))
    return told


def accumulated(told, cuts=(), retain_values=1000, max_series=1000) -> Accumulator:
    accumulator, begin = Accumulator(Limits(retain_values, max_series), SeriesCache()), 0
    for end in [*sorted(cuts), len(told)]:
        accumulator.add([(message, worker) for message, worker, *_ in told[begin:end]])
        begin = max(begin, end)
    return accumulator


@settings(max_examples=200, deadline=None)
@given(messages, st.data())
def test_any_split_into_batches_and_partials_in_any_order_and_grouping_gives_the_same(sent, data):
    told = data.draw(st.permutations(sent_as_told(sent)))
    cuts = data.draw(st.sets(st.integers(0, len(told))))
    found = summaries(accumulated(told, cuts, data.draw(st.sampled_from([1, 4, 1000]))))
    assert set(found) == {key for *_, series in sent for key in series}
    for key, summary in found.items():
        carrying = [(order, worker, series[key]) for _, worker, order, series in told if key in series]
        everything = [value for *_, values in carrying for value in values]
        finite = [
            (order, worker, [v for v in values if math.isfinite(v)]) for order, worker, values in carrying
        ]
        newest = {}
        for _, worker, values in sorted(finite):
            if values:
                newest[worker] = values[-1]
                last = values[-1]
        counted = list(newest.values()) if key == "m" else [v for *_, values in finite for v in values]
        assert summary.num_nan == sum(map(math.isnan, everything))
        assert summary.num_inf == sum(map(math.isinf, everything))
        check_moments(summary, counted)
        assert buckets_of(summary) == Buckets.of(counted)
        if newest:
            assert summary.last == last
            senders = [worker for _, worker, values in finite if summary.min in values]
            assert summary.min_worker in senders
        is_folded = any(key in series and folded for _, _, folded, series in sent)
        if key == "m":
            assert summary.exact
        elif is_folded and any(
            math.isfinite(v) for _, _, folded, series in sent if folded for v in series.get(key, ())
        ):
            assert not summary.exact
            assert summary.percentile_error == 1 / 256
            assert tuple(summary.full_dist) == ()


@settings(max_examples=60, deadline=None)
@given(messages, st.integers(0, 12))
def test_what_is_dumped_and_loaded_goes_on_to_the_same_bits(sent, cut):
    told = sent_as_told(sent)
    straight = accumulated(told, [cut], retain_values=4, max_series=2)
    first = accumulated(told[:cut], retain_values=4, max_series=2)
    second = Accumulator.load(first.dump(), SeriesCache())
    assert second.dump() == first.dump()
    second.add([(message, worker) for message, worker, *_ in told[cut:]])
    # How much is sorted into buckets by now is a matter of when; what comes of it is not.
    assert repr(summaries(second)) == repr(summaries(straight))


@settings(max_examples=60, deadline=None)
@given(messages, st.integers(0, 12), st.integers(0, 7))
def test_a_fold_keeps_all_but_the_values(sent, cut, bits):
    told = sent_as_told(sent)
    kept = summaries(accumulated(told, [cut]))
    folded = accumulated(told[:cut])
    folded.fold(bits)
    folded.add([(message, worker) for message, worker, *_ in told[cut:]])
    for key, summary in summaries(folded).items():
        whole = kept[key]
        assert summary.num == whole.num
        assert repr((summary.mean, summary.std, summary.sum, summary.last)) == repr(
            (whole.mean, whole.std, whole.sum, whole.last)
        )
        assert buckets_of(summary) == buckets_of(whole).merge(Buckets((), (), bits))
        if key != "m" and whole.num:
            assert not summary.exact
            assert summary.percentile_error == 2.0 ** -(bits + 1)


def test_one_coarse_partial_makes_the_buckets_of_its_period_coarse():
    fine = partial(WORKERS[0], "c", [("x", AVERAGE, [1.0, 1.01, 2.0])], 1, seq=1)
    coarse = partial(WORKERS[1], "c", [("x", AVERAGE, [1.0, 3.0])], 1, seq=1, bits=2)
    for order in ([fine, coarse], [coarse, fine]):
        accumulator = Accumulator(Limits(10, 10), SeriesCache())
        for message in order:
            accumulator.add([(message, "w")])
        found = summaries(accumulator)["x"]
        assert buckets_of(found) == Buckets.of([1.0, 1.01, 2.0, 1.0, 3.0], 2)
        assert (found.percentile_error, found.num, found.sum) == (1 / 8, 5, 8.01)


def test_a_partial_stands_for_the_workers_that_it_names():
    message = partial(WORKERS[0], "c", [("x", AVERAGE, [1.0, 9.0])], 1, seq=1, workers=("a", "b"))
    (fields,) = message.parts
    named = message._replace(parts=(fields._replace(min_worker="a", max_worker="b"),))
    accumulator = Accumulator(Limits(10, 10), SeriesCache())
    accumulator.add([(named, "relay")])
    found = summaries(accumulator)["x"]
    assert (found.min_worker, found.max_worker) == ("a", "b")
    assert set(accumulator.workers) >= {"a", "b"}


def test_keys_past_the_limit_share_one_series_so_that_totals_stay_right():
    limit, keys = 5, [f"k{number}" for number in range(40)]
    batches = [
        (WORKERS[0].record("c", [(key, AVERAGE, [1.0, 2.0]) for key in keys], 1, seq=1), "w0"),
        (partial(WORKERS[1], "c", [(key, AVERAGE, [4.0]) for key in reversed(keys)], 1, seq=1), "w1"),
        (WORKERS[2].record("c", [("k39", MOST_RECENT, [8.0]), ("k0", AVERAGE, [8.0])], 1, seq=1), "w2"),
    ]
    accumulator = Accumulator(Limits(1000, limit), SeriesCache())
    for message in batches:
        accumulator.add([message])
    (odd,) = accumulator.take_oddities()
    assert (odd.key, odd.worker) == ("k5", "w0")
    found = summaries(accumulator)
    assert set(found) == {*keys[:limit], "_overflow"}
    assert found["k0"].num == 4
    rest = [1.0, 2.0, 4.0] * (len(keys) - limit) + [8.0]
    check_moments(found["_overflow"], rest)
    assert sum(summary.num for summary in found.values()) == 3 * len(keys) + 2


def test_the_first_nan_that_was_folded_is_told_with_who_sent_it():
    message = partial(WORKERS[0], "c", [("x", AVERAGE, [1.0, math.nan, math.inf])], 1, seq=1, step=7)
    accumulator = Accumulator(Limits(10, 10), SeriesCache())
    accumulator.add([(message, "w0")])
    assert accumulator.take_oddities() == [NotFinite("x", "w0", 7, 2)]
