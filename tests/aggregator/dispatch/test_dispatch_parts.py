"""Small parts of a writer's process, each by itself."""

import os
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator.dispatch import feed
from stats_aggregator.dispatch.calls import CallRecord, calls_under_way, tag
from stats_aggregator.dispatch.control import Settings
from stats_aggregator.dispatch.feed import FeedQueue, RawBatch
from stats_aggregator.dispatch.plugins import Selection
from stats_aggregator.dispatch.retry import Retry
from stats_aggregator.dispatch.table import Table
from stats_aggregator.errors import SettingError


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_grows_to_its_limit_and_never_past_it(failures, jitter):
    retry = Retry(first_s=0.5, limit_s=60.0)
    delay_s = retry.delay_s(failures, jitter)
    full_s = min(60.0, 0.5 * 2.0 ** min(failures - 1, 100))
    assert full_s / 2 <= delay_s <= full_s


def test_settings_come_over_the_wire_as_they_were():
    settings = Settings(
        "csv", "store", "results", "ipc://feed", True, 5.0, 6.0, Selection(("a",), ("b",), ("c",)),
        Retry(1.0, 2.0, 3), {"replay": True},
    )  # fmt: skip
    assert Settings.decode(settings.encode()) == settings


@pytest.mark.parametrize(
    ("table", "right"),
    [
        ({"replay": "yes"}, "true or false"),
        ({"max_backlog": -1}, "at least 1"),
        ({"max_backlog": True}, "at least 1"),
        ({"max_backlog_age": "a week"}, "such as"),
        ({"max_memory_bytes": 1000}, "at least 67108864, or 0"),
        ({"max_memory_bytes": -1}, "at least 67108864, or 0"),
        ({"max_memory_bytes": "1GiB"}, "a number of bytes"),
    ],
)
def test_a_wrong_setting_of_the_daemons_is_named_with_what_is_right(table, right):
    (name,) = table
    with pytest.raises(SettingError, match=rf"writers\.csv\.{name} is .*{right}"):
        Table.split("csv", table)


def test_a_full_queue_drops_its_oldest_batches_and_keeps_the_ends_of_periods(monkeypatch):
    monkeypatch.setattr(feed, "QUEUE_BYTES", 10)
    puts = []
    queue = FeedQueue(lambda: puts.append(1))
    end = RawBatch("c", 1, b"")
    for batch in (RawBatch("c", 1, b"aaaa"), end, RawBatch("c", 2, b"bbbb"), RawBatch("c", 3, b"c" * 10)):
        queue.put(batch)
    assert [queue.take() for _ in range(3)] == [end, RawBatch("c", 3, b"c" * 10), None]
    assert len(puts) == 4


class Deaths:
    """Processes of a plugin that die in a row, each in a call or not."""

    def __init__(self, path):
        self.path = path
        self._restarted = False
        self._cut_off = []  # calls that never return

    def die(self, *, in_call):
        record = self.begin()
        if in_call:
            call = record.during()
            call.__enter__()
            self._cut_off.append(call)
        return record

    def begin(self):
        record = CallRecord(self.path, restarted=self._restarted)
        self._restarted = True
        return record


def test_three_deaths_in_a_row_in_calls_are_fatal_until_the_daemon_starts_anew(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    for _ in range(3):
        assert not deaths.die(in_call=True).is_fatal
    assert deaths.begin().is_fatal
    assert deaths.begin().is_fatal, "also after a process that had nothing to do"
    assert not Deaths(tmp_path / "calls").begin().is_fatal


def test_a_death_outside_of_a_call_ends_the_row(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    for in_call in (True, True, False, True, True):
        deaths.die(in_call=in_call)
    assert deaths.begin().deaths == 2


def test_a_call_that_returned_or_raised_is_not_blamed(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    for _ in range(4):
        record = deaths.begin()
        with pytest.raises(ValueError, match="no"), record.during():
            raise ValueError("no")
    assert deaths.begin().deaths == 0


def test_a_call_of_one_run_is_noted_while_another_run_is_in_one(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    record = deaths.begin()
    call = record.during("one")
    call.__enter__()
    with record.during("other"):
        both = calls_under_way(deaths.path, os.getpid())
    assert both[tag("one")] > both[tag("other")] > 0
    after = calls_under_way(deaths.path, os.getpid())
    assert list(after) == [tag("one")]
    assert after[tag("one")] > both[tag("one")]
    assert deaths.begin().deaths == 1


def test_more_calls_at_once_than_can_be_noted_do_no_harm(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    record = deaths.begin()
    with ExitStack() as stack:
        for number in range(100):
            stack.enter_context(record.during(f"run {number}"))
        noted = calls_under_way(deaths.path, os.getpid())
        assert 1 < len(noted) < 100
        assert tag("run 0") in noted
    assert calls_under_way(deaths.path, os.getpid()) == {}
    assert deaths.begin().deaths == 0


def test_calls_of_a_process_that_is_gone_are_under_way_no_more(tmp_path):
    deaths = Deaths(tmp_path / "calls")
    deaths.die(in_call=True)
    assert calls_under_way(deaths.path, os.getpid())
    assert calls_under_way(deaths.path, os.getpid() + 1) == {}, "asked for the one that follows"


def test_who_is_in_no_call_has_none_under_way(tmp_path):
    with Deaths(tmp_path / "calls").begin().during():
        pass
    assert calls_under_way(tmp_path / "calls", os.getpid()) == {}
    assert calls_under_way(tmp_path / "missing", os.getpid()) == {}


def test_a_record_that_cannot_be_read_blames_nobody(tmp_path):
    (tmp_path / "calls").write_bytes(b"\x00\xff garbage")
    assert CallRecord(tmp_path / "calls", restarted=True).deaths == 0
    assert calls_under_way(tmp_path / "calls", os.getpid()) == {}
