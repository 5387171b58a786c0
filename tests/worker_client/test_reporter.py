"""What training code may call; calls that make no sense are counted and said once, and never raise."""

from __future__ import annotations

import logging
import math
import sys
import threading
from array import array
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType
from stats_aggregator_client import SettingError, StatsClient, StatsReporter
from stats_aggregator_client.columns import HOT_LIMIT, Columns
from stats_aggregator_client.wire import Closing, Write
from tests.worker_client.peer import Peer

M = StatsAggregationMethod


@pytest.fixture
def client(tmp_path: Path) -> Any:
    made = StatsClient(f"ipc://{tmp_path}/nobody", flush_interval_s=60)
    yield made
    made.close(0)


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


def test_no_call_raises_whatever_it_is_given(client: StatsClient, caplog: pytest.LogCaptureFixture) -> None:
    reporter = client.reporter("c")
    strange = [None, "", "a\nb", "x" * 600, "\ud800", 5, b"k", [], {}, Hostile(), float("nan"), 1 << 70]
    for thing in strange:
        reporter.add_stat(thing, 1.0)  # type: ignore[arg-type]
        reporter.add_stat("k", thing)  # type: ignore[arg-type]
        reporter.add_stat("k", 1.0, thing)  # type: ignore[arg-type]
        reporter.set_stat(thing, thing)  # type: ignore[arg-type]
        reporter.add_stats("k", thing)
        reporter.add_stats(thing, [1.0])  # type: ignore[arg-type]
        reporter.add_property(thing, thing)  # type: ignore[arg-type]
        reporter.set_step(thing)  # type: ignore[arg-type]
        reporter.add_steps(thing)  # type: ignore[arg-type]
        reporter.rewind(thing)  # type: ignore[arg-type]
        reporter.write_stats(thing)  # type: ignore[arg-type]
    statistics = client.statistics()
    assert statistics.not_numbers > 10
    assert statistics.bad_names > 10
    assert statistics.bad_calls > 10
    assert len(caplog.messages) < 60


def test_what_is_no_number_is_counted_and_said_once_with_its_key(
    client: StatsClient, caplog: pytest.LogCaptureFixture
) -> None:
    reporter = client.reporter("3DBall")
    for _ in range(100):
        reporter.add_stat("Reward", "1.0")  # type: ignore[arg-type]
        reporter.add_stats("Reward", [1.0, None])
    assert client.statistics().not_numbers == 200
    assert client.statistics().values_added == 100
    assert len(caplog.messages) == 1
    assert "'Reward' in '3DBall'" in caplog.messages[0]


def test_a_bad_key_is_counted_and_said_once(client: StatsClient, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        client.reporter("c").add_stat("a\nb", 1.0)
    assert client.statistics().bad_names == 100
    assert len(caplog.messages) == 1
    assert "control characters" in caplog.messages[0]


def test_complaints_take_no_memory_without_bound(
    client: StatsClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    reporter = client.reporter("c")
    for index in range(5000):
        reporter.add_stat(f"key {index}\n", 1.0)
    assert client.statistics().bad_names == 5000
    assert len(client._complaints._topics) <= 1000


def test_arrays_that_are_used_again_do_not_change_what_was_added(client: StatsClient) -> None:
    numpy = pytest.importorskip("numpy")
    reporter = client.reporter("c")
    reward, rewards = numpy.zeros(1), numpy.zeros(3)
    for value in range(3):
        reward[0], rewards[:] = value, value
        reporter.add_stat("one", reward)
        reporter.add_stats("many", rewards)
    assert list(reporter.get_stats_summaries("one").full_dist) == [0.0, 1.0, 2.0]
    assert list(reporter.get_stats_summaries("many").full_dist) == [0.0] * 3 + [1.0] * 3 + [2.0] * 3


def test_aggregations_of_other_libraries_are_understood(client: StatsClient) -> None:
    from enum import Enum

    class Theirs(Enum):  # as ML-Agents'
        AVERAGE = 0
        SUM = 2

    reporter = client.reporter("c")
    reporter.add_stat("a", 1.0, Theirs.AVERAGE)  # type: ignore[arg-type]
    reporter.add_stat("s", 1.0, Theirs.SUM)  # type: ignore[arg-type]
    reporter.add_stat("s", 2.0, 2)  # type: ignore[arg-type]
    assert reporter.get_stats_summaries("a").aggregation_method is M.AVERAGE
    assert reporter.get_stats_summaries("s").aggregated_value == 3.0


def test_the_own_summary_is_over_the_values_since_the_last_write(client: StatsClient) -> None:
    reporter = client.reporter("c")
    reporter.add_stats("k", [1.0, 2.0, math.nan, math.inf, 6.0])
    found = reporter.get_stats_summaries("k")
    assert (found.num, found.mean, found.sum, found.min, found.max, found.last) == (
        3,
        3.0,
        9.0,
        1.0,
        6.0,
        6.0,
    )
    assert (found.num_nan, found.num_inf, found.percentile(50)) == (1, 1, 2.0)
    assert found.std == pytest.approx(math.sqrt(14 / 3), rel=1e-15)
    client.flush(0)  # what was cut still counts
    reporter.add_stat("k", 9.0)
    assert reporter.get_stats_summaries("k").num == 4
    reporter.write_stats(1)
    assert reporter.get_stats_summaries("k").num == 0
    assert reporter.get_stats_summaries("unknown").num == 0
    reporter.set_stat("s", 1.0)
    reporter.set_stat("s", 5.0)
    assert reporter.get_stats_summaries("s").aggregated_value == 5.0
    assert reporter.get_stats_summaries("s").num == 1


def test_the_own_summary_of_a_key_whose_aggregation_changes_is_that_of_its_values(
    client: StatsClient,
) -> None:
    reporter = client.reporter("c")
    reporter.add_stat("k", 1.0)
    reporter.write_stats(1)
    empty = reporter.get_stats_summaries("k")
    assert (empty.num, empty.sum, empty.aggregation_method) == (0, 0.0, M.AVERAGE)
    reporter.set_stat("k", 2.0)
    reporter.set_stat("k", 7.0)
    found = reporter.get_stats_summaries("k")
    assert (found.num, found.aggregated_value, found.aggregation_method) == (1, 7.0, M.MOST_RECENT)
    reporter.write_stats(2)
    reporter.add_stat("k", 3.0)
    reporter.add_stat("k", 4.0, M.SUM)  # as the daemon: the key is the series, its first aggregation counts
    found = reporter.get_stats_summaries("k")
    assert (found.num, found.sum, found.aggregation_method) == (2, 7.0, M.AVERAGE)


def test_the_own_summary_keeps_the_newest_values(client: StatsClient) -> None:
    reporter = client.reporter("c")
    reporter.add_stats("k", range(200_000))
    found = reporter.get_stats_summaries("k")
    assert (found.num, found.min, found.last) == (65_536, 200_000.0 - 65_536, 199_999.0)


@pytest.mark.parametrize("number", [float, int])
def test_the_callers_make_values_compact_even_if_the_sender_never_runs(
    client: StatsClient, number: type[float]
) -> None:
    reporter = client.reporter("c")
    for value in range(20_000):
        reporter.add_stat("k", number(value))
        assert len(client._buffers["c"].columns.tables[0]["k"]) <= HOT_LIMIT
    assert client.statistics().values_pending == 20_000
    assert client.statistics().pending_bytes < 400_000


def test_a_timer_adds_seconds_as_a_block_and_as_a_decorator(client: StatsClient) -> None:
    reporter = client.reporter("c")

    @reporter.timer("recursive")
    def countdown(number: int) -> int:
        """Counts down."""
        return number if number == 0 else countdown(number - 1)

    with reporter.timer("block"):
        pass
    with pytest.raises(KeyError), reporter.timer("block"):
        raise KeyError
    assert countdown(4) == 0
    assert countdown.__doc__ == "Counts down."
    assert reporter.get_stats_summaries("block").num == 2
    times = list(reporter.get_stats_summaries("recursive").full_dist)
    assert len(times) == 5
    assert times == sorted(times)  # the inner calls end first and are within the outer ones
    assert 0.0 <= times[-1] < 60.0


@pytest.mark.parametrize("flush_interval_s", [0.001, 60.0])
def test_threads_that_add_at_once_lose_and_double_nothing(flush_interval_s: float) -> None:
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with Peer() as peer, StatsClient(peer.address, flush_interval_s=flush_interval_s) as client:
            reporter = client.reporter("c")

            def add(index: int) -> None:
                for value in range(5000):
                    reporter.add_stat("shared", float(value))
                    reporter.add_stat(f"own {index}", float(value))
                    if value % 10 == 0:
                        reporter.add_stats("arrays", array("d", [1.0, 2.0, 3.0]))
                    if value % 500 == 0:
                        reporter.write_stats(value)

            threads = [threading.Thread(target=add, args=(index,)) for index in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert client.flush(30)
            values = peer.stored.values()
            statistics = client.statistics()
    finally:
        sys.setswitchinterval(switch)
    assert sorted(values["shared"]) == sorted([float(value) for value in range(5000)] * 4)
    assert len(values["arrays"]) == 4 * 500 * 3
    for index in range(4):
        assert values[f"own {index}"] == [float(value) for value in range(5000)]
    assert sum(isinstance(message, Write) for message in peer.stored.messages) == 40
    assert statistics.values_added == statistics.values_acked == 40_000 + 6000


def test_series_that_come_and_go_take_no_memory_without_bound() -> None:
    columns = Columns()
    for index in range(3000):
        columns.add(f"key {index}", 0).append(1.0)
        columns.settle()
        for column in columns.all:
            column.cold = array("d")
        columns.retire(max_columns=100, max_idle=5)
    assert len(columns.all) <= 120
    assert set(columns.tables[0]) == {column.name[0] for column in columns.all}


def test_a_value_that_reaches_a_retired_column_is_not_lost() -> None:
    columns = Columns()
    for index in range(11):
        columns.add(f"key {index}", 0)
    held = columns.tables[0]["key 3"]
    while "key 3" in columns.tables[0]:
        columns.retire(max_columns=10, max_idle=2)
    held.append(5.0)
    assert columns.settle() == 1
    assert columns.tables[0]["key 3"].cold == array("d", [5.0])


def test_a_default_reporter_says_write_and_one_of_a_client_time(client: StatsClient) -> None:
    time, write = client.reporter("a"), StatsReporter("b", client)
    time.add_stat("k", 1.0)
    write.add_stat("k", 1.0)
    assert client._buffers["a"]._closing is Closing.TIME
    assert client._buffers["b"]._closing is Closing.WRITE
    StatsReporter("a", client)
    assert client._buffers["a"]._closing is Closing.WRITE


@pytest.mark.parametrize("category", ["", "a\x00", "x" * 513, None, 5])
def test_a_category_that_is_no_name_raises_where_the_reporter_is_made(
    client: StatsClient, category: Any
) -> None:
    with pytest.raises(SettingError, match="category is"):
        client.reporter(category)


def test_random_numbers_of_the_training_are_left_alone(client: StatsClient) -> None:
    import random

    random.seed(1)
    before = random.getstate()
    client.reporter("c").add_stat("k", 1.0)
    client.flush(0.05)
    assert random.getstate() == before


def test_off_does_nothing_and_opens_nothing() -> None:
    threads = threading.active_count()
    with StatsClient("off") as client:
        reporter = client.reporter("c")
        reporter.add_stat("k", 1.0)
        reporter.add_stat("k", "no number")  # type: ignore[arg-type]
        reporter.add_stat([], 1.0, M.SUM)  # type: ignore[arg-type]
        reporter.set_stat("k", 1.0)
        reporter.add_stats("k", [1.0])
        reporter.add_property(StatsPropertyType.HYPERPARAMETERS, {})
        reporter.set_step(1)
        reporter.add_steps(1)
        reporter.write_stats(1)
        reporter.rewind(0)
        with reporter.timer("t"):
            pass
        assert reporter.get_stats_summaries("k").num == 0
        assert client.flush(0)
        assert threading.active_count() == threads
        assert client.statistics().state == "off"
        assert client.statistics().values_added == 0
