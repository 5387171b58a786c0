"""The outbox and what the store lets go of: cursors, backlogs, retention."""

import sqlite3
from contextlib import closing

import pytest

from stats_aggregator.errors import StoreBusy
from stats_aggregator.store.outbox import Outbox, PluginRow, WriterKey
from stats_aggregator.store.store import Store
from tests.aggregator.writers_process import put

DAY_NS = 86_400 * 10**9


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.now_ns = 100 * DAY_NS

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def store(tmp_path, clock):
    store = Store(tmp_path / "store.sqlite", durability="none", clock=clock)
    yield store
    store.close()


@pytest.fixture
def outbox(store, clock):
    return Outbox(store.database, clock)


def plugin(name, **changes):
    row = PluginRow(name, f"{name}-plugin", "1.0", "loaded", "", 1000, 7 * DAY_NS)
    return row._replace(**changes)


def writer(outbox, name, run="r", place=0):
    key = WriterKey(name, run, place)
    outbox.open_writer(key, "Writer")
    return key


def full_dists(store):
    with store.database.reading() as connection:
        rows = connection.execute(
            "SELECT run, ordinal, length(full_dist) > 0 FROM periods JOIN summaries ON period = position"
        ).fetchall()
    return {(run, ordinal): bool(there) for run, ordinal, there in rows}


def test_a_cursor_moves_forward_only(store, outbox):
    outbox.begin([plugin("csv")], 0)
    key = writer(outbox, "csv")
    outbox.delivered(key, 5)
    outbox.delivered(key, 3)
    assert outbox.position(key) == 5


def test_a_plugin_that_was_away_goes_on_where_it_stood(store, outbox):
    outbox.begin([plugin("csv")], 0)
    put(store, "r", "c", 1)
    outbox.delivered(writer(outbox, "csv"), 1)
    outbox.begin([], 1)
    put(store, "r", "c", 2)
    outbox.begin([plugin("csv")], 2)
    assert outbox.behind("csv") == ["r"]
    assert outbox.position(writer(outbox, "csv")) == 1


def test_a_further_writer_of_a_plugin_starts_where_the_first_stands(store, outbox):
    outbox.begin([plugin("csv")], 0)
    for ordinal in (1, 2):
        put(store, "r", "c", ordinal)
    outbox.delivered(writer(outbox, "csv"), 1)
    assert outbox.position(writer(outbox, "csv", place=1)) == 1


def test_the_state_tells_what_is_before_each_writer(store, outbox, clock):
    outbox.begin([plugin("csv")], 0)
    for ordinal in (1, 2, 3):
        put(store, "r", "c", ordinal)
    store.add_property("r", "c", "hyperparameters", 1, bytes(16), 1)
    key = writer(outbox, "csv")
    outbox.delivered(key, 1)
    outbox.set_aside(key, 2, "period c #2", "ValueError: no")
    (state,) = outbox.writer_states()
    assert (state.delivered, state.set_aside, state.backlog, state.position) == (1, 1, 2, 2)
    assert (state.class_name, state.state, state.last_error) == ("Writer", "ok", "ValueError: no")
    assert state.last_delivery_ns == clock.now_ns
    assert outbox.left() == 2


def test_an_error_whose_text_is_no_text_is_kept_all_the_same(store, outbox):
    outbox.begin([plugin("csv")], 0)
    key = writer(outbox, "csv")
    outbox.retries(key, 1, 0, "bad \ud800 name" + "x" * 10_000)
    (state,) = outbox.writer_states()
    assert state.last_error.startswith(r"bad \ud800 name")
    assert len(state.last_error) < 3000


def test_retained_values_go_when_the_last_writer_has_passed(store, outbox):
    outbox.begin([plugin("csv"), plugin("console"), plugin("broken", state="failed")], 0)
    for run in ("a", "b"):
        put(store, run, "c", 1)
    csv, console = writer(outbox, "csv", "a"), writer(outbox, "console", "a")
    outbox.delivered(csv, 1)
    assert store.tidy() == 0, "console has not passed"
    outbox.delivered(console, 1)
    assert store.tidy() == 1
    assert full_dists(store) == {("a", 1): False, ("b", 1): True}
    summary = store.next_entry("a", 0).summaries["loss"]
    assert (summary.exact, summary.num, len(summary.full_dist)) == (False, 2, 0)
    assert summary.percentile(0) == pytest.approx(1.0, rel=1 / 256)


def test_nothing_is_released_before_it_is_known_who_the_writers_are(store):
    put(store, "r", "c", 1)
    assert store.tidy() == 0


def test_a_writer_holds_what_it_has_not_taken_until_it_is_too_old(store, outbox, clock):
    outbox.begin([plugin("csv")], 0)
    put(store, "r", "c", 1)
    clock.now_ns += 6 * DAY_NS
    assert store.tidy() == 0
    clock.now_ns += 2 * DAY_NS
    assert store.tidy() == 1
    assert full_dists(store) == {("r", 1): False}


def test_old_periods_go_and_what_is_closed_stays_known(store, outbox, clock):
    outbox.begin([plugin("csv", max_backlog_age_ns=365 * DAY_NS)], 0)
    put(store, "r", "c", 1)
    key = writer(outbox, "csv")
    clock.now_ns += 31 * DAY_NS
    put(store, "r", "c", 2)
    assert store.tidy() == 0, "the writer has not passed it"
    outbox.delivered(key, 2)
    assert store.tidy() == 2, "one is removed, one released"
    assert store.next_entry("r", 0).summaries.period.ordinal == 2
    assert store.is_closed("r", "c", 1)
    assert store.close_period(store.next_entry("r", 0).summaries.period, 0, []) is False


def test_a_run_that_ended_long_ago_leaves_only_what_is_closed(store, outbox, clock):
    outbox.begin([plugin("csv")], 0)
    put(store, "r", "c", 1)
    store.add_property("r", "c", "hyperparameters", 1, bytes(16), 1)
    outbox.delivered(writer(outbox, "csv"), 2)
    store.close_run("r")
    clock.now_ns += 31 * DAY_NS
    while store.tidy():
        pass
    assert (outbox.writer_states(), store.next_entry("r", 0)) == ([], None)
    assert store.is_closed("r", "c", 1)
    assert store.last_period("r", "c").step == 100
    put(store, "r", "c", 2)
    assert outbox.behind("csv") == ["r"], "the run may go on"


def test_tidying_takes_small_steps(store, outbox):
    outbox.begin([plugin("csv")], 0)
    for ordinal in range(1, 6):
        put(store, "r", "c", ordinal)
    outbox.delivered(writer(outbox, "csv"), 5)
    assert [store.tidy(2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_backlog_is_bounded_by_number(store, outbox):
    outbox.begin([plugin("csv", max_backlog=3)], 0)
    key = writer(outbox, "csv")
    for ordinal in range(1, 11):
        put(store, "r", "c", ordinal)
    assert outbox.trim() == [(key, 7)]
    assert outbox.trim() == []
    (state,) = outbox.writer_states()
    assert (state.skipped, state.backlog, state.position) == (7, 3, 7)


def test_a_backlog_is_bounded_by_age(store, outbox, clock):
    outbox.begin([plugin("csv")], 0)
    key = writer(outbox, "csv")
    put(store, "r", "c", 1)
    clock.now_ns += 5 * DAY_NS
    put(store, "r", "c", 2)
    assert outbox.trim() == []
    clock.now_ns += 3 * DAY_NS
    assert outbox.trim() == [(key, 1)]
    assert outbox.position(key) == 1


def test_what_is_left_counts_a_plugin_that_never_made_a_writer_and_none_that_does_not_run(store, outbox):
    put(store, "r", "c", 1)
    outbox.begin([plugin("csv"), plugin("dead", state="starting"), plugin("off", state="disabled")], 1)
    put(store, "r", "c", 2)
    put(store, "other", "c", 1)
    store.add_property("other", "c", "hyperparameters", 1, bytes(16), 1)
    outbox.delivered(writer(outbox, "csv"), 2)
    # Of run r csv has all and dead none; of the other run both have none.
    assert outbox.left() == (0 + 1) + (2 + 2)
    outbox.note_plugin("dead", "set aside", "it died")
    assert outbox.left() == 2


def test_a_failing_writer_says_how_often_and_when_it_is_called_again(store, outbox):
    outbox.begin([plugin("csv")], 0)
    put(store, "r", "c", 1)
    key = writer(outbox, "csv")
    outbox.retries(key, 3, 77, "OSError: no")
    (state,) = outbox.writer_states()
    assert (state.state, state.failures, state.retry_ns, state.last_error) == (
        "retrying", 3, 77, "OSError: no"
    )  # fmt: skip
    outbox.delivered(key, 1)
    (state,) = outbox.writer_states()
    assert (state.state, state.failures, state.retry_ns, state.last_error) == ("ok", 0, 0, "")


def test_what_is_set_aside_again_after_a_crash_is_listed_once(store, outbox):
    outbox.begin([plugin("csv")], 0)
    put(store, "r", "c", 1)
    key = writer(outbox, "csv")
    for _ in range(2):
        outbox.set_aside(key, 1, "period c #1", "ValueError: no")
    with store.database.reading() as connection:
        assert connection.execute("SELECT position, what FROM set_aside").fetchall() == [(1, "period c #1")]


def test_a_start_with_nothing_new_writes_nothing(store, outbox):
    rows = [plugin("csv", state="starting"), plugin("off", state="disabled", why="not named")]
    outbox.begin(rows, 0)
    outbox.note_plugin("csv", "loaded", "")
    store.database.write("PRAGMA busy_timeout = 1", ())
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        outbox.begin(rows, 5)
        with pytest.raises(StoreBusy, match="another program is in the middle of writing"):
            outbox.begin([*rows, plugin("new", state="starting")], 5)
    outbox.begin(rows[1:], 5)
    assert [(row.plugin, row.state) for row in outbox.plugins()] == [("csv", "disabled"), ("off", "disabled")]
