"""Small parts of the writers' process, each by itself."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator.dispatch import feed
from stats_aggregator.dispatch.backlog import Backlog
from stats_aggregator.dispatch.calls import CallRecord
from stats_aggregator.dispatch.control import Settings
from stats_aggregator.dispatch.feed import FeedQueue, RawBatch
from stats_aggregator.dispatch.plugins import Selection
from stats_aggregator.dispatch.retry import Retry
from stats_aggregator.errors import SettingError


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_grows_to_its_limit_and_never_past_it(failures, jitter):
    retry = Retry(first_s=0.5, limit_s=60.0)
    delay_s = retry.delay_s(failures, jitter)
    full_s = min(60.0, 0.5 * 2.0 ** min(failures - 1, 100))
    assert full_s / 2 <= delay_s <= full_s


def test_settings_come_over_the_wire_as_they_were():
    settings = Settings(
        "store", "results", 7, "ipc://feed", True, True, 5.0, Selection(("a",), ("b",), ("c",)),
        Retry(1.0, 2.0, 3), {"csv": {"replay": True}},
    )  # fmt: skip
    assert Settings.decode(settings.encode()) == settings


@pytest.mark.parametrize(
    ("table", "right"),
    [
        ({"replay": "yes"}, "true or false"),
        ({"max_backlog": -1}, "at least 1"),
        ({"max_backlog": True}, "at least 1"),
        ({"max_backlog_age": "a week"}, "such as"),
    ],
)
def test_a_wrong_backlog_setting_is_named_with_what_is_right(table, right):
    (name,) = table
    with pytest.raises(SettingError, match=rf"writers\.csv\.{name} is .*{right}"):
        Backlog.split("csv", table)


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
    """Writers' processes that die in a row, each with some plugins in a call."""

    def __init__(self, path):
        self._path = path
        self._restarted = False
        self._cut_off = []  # calls that never return

    def die(self, *in_call):
        record = self.begin()
        for plugin in in_call:
            call = record.during(plugin)
            call.__enter__()
            self._cut_off.append(call)

    def begin(self):
        record = CallRecord(self._path, ["a", "b", "c"], restarted=self._restarted)
        self._restarted = True
        return record


def test_three_deaths_in_a_row_in_calls_of_one_plugin_set_it_aside_for_good(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    deaths.die("a")
    deaths.die("a")
    assert deaths.begin().set_aside == frozenset()
    deaths = Deaths(tmp_path / "in-call")
    for _ in range(3):
        deaths.die("a")
    assert deaths.begin().set_aside == {"a"}
    assert deaths.begin().set_aside == {"a"}, "also after a process that died of something else"


def test_deaths_of_which_one_was_in_a_call_of_another_are_no_row(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    for plugin in ("a", "a", "b", "a", "a"):
        deaths.die(plugin)
    assert deaths.begin().set_aside == frozenset()


def test_a_call_that_returned_or_raised_is_not_blamed(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    for _ in range(4):
        record = deaths.begin()
        with pytest.raises(ValueError, match="no"), record.during("a"):
            raise ValueError("no")
    assert deaths.begin().set_aside == frozenset()


def test_a_call_of_one_run_is_noted_while_another_run_of_the_plugin_is_in_one(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    calls = []
    for _ in range(3):
        record = deaths.begin()
        calls.append(record.during("a"))
        calls[-1].__enter__()
        with record.during("a"):
            pass
    assert deaths.begin().set_aside == {"a"}


def test_a_record_that_cannot_be_read_blames_nobody(tmp_path):
    (tmp_path / "in-call").write_bytes(b"\x00\xff garbage")
    assert CallRecord(tmp_path / "in-call", ["a"], restarted=True).set_aside == frozenset()


@pytest.fixture
def careful(tmp_path):
    """The record of a process that follows a death, of which two may be to blame."""
    deaths = Deaths(tmp_path / "in-call")
    deaths.die("a", "b")
    return deaths.begin()


def in_thread(record, plugin, body):
    """Start a thread that calls `body` in a call of `plugin`."""

    def call():
        with record.during(plugin):
            body()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_after_a_death_plugins_take_turns(careful):
    inside, leave, order = threading.Event(), threading.Event(), []

    def first():
        inside.set()
        leave.wait()
        order.append("a leaves")

    thread = in_thread(careful, "a", first)
    assert inside.wait(10)
    second = in_thread(careful, "b", lambda: order.append("b enters"))
    leave.set()
    thread.join(10)
    second.join(10)
    assert order == ["a leaves", "b enters"]


def hang_and_pass(record, *, cut_off):
    """Let a hang until b has passed it; where `cut_off`, b never returns either."""
    inside, passed, never = threading.Event(), threading.Event(), threading.Event()

    def hang():
        inside.set()
        never.wait()

    def go():
        passed.set()
        if cut_off:
            never.wait()

    in_thread(record, "a", hang)
    assert inside.wait(10)
    second = in_thread(record, "b", go)
    assert passed.wait(10), "b waits for ever"
    if not cut_off:
        second.join(10)


def test_of_one_that_hangs_and_one_that_was_let_pass_the_second_is_blamed(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    deaths.die("a", "b")
    for _ in range(2):
        hang_and_pass(deaths.begin(), cut_off=True)
    assert deaths.begin().set_aside == {"b"}


def test_one_that_hangs_is_blamed_where_nobody_else_was_in_a_call(tmp_path):
    deaths = Deaths(tmp_path / "in-call")
    deaths.die("a", "b")
    for _ in range(2):
        hang_and_pass(deaths.begin(), cut_off=False)
    assert deaths.begin().set_aside == {"a"}
