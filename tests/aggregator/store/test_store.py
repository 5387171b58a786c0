"""The store: what goes in comes out, once, whole or not at all."""

import itertools
import math
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.errors import StoreFailed, StoreFull
from stats_aggregator.store import database
from stats_aggregator.store.newest import Newest
from stats_aggregator.store.store import (
    ClosedOrdinals,
    ClosedPeriod,
    HeardRun,
    LastPeriod,
    NewProperty,
    Store,
    StoredPeriod,
    StoredProperty,
    period_id,
)
from stats_aggregator_api import Cause, Period, StatsAggregationMethod
from tests.aggregator.writers_process import put, row

SESSION = bytes(16)
SCHEMA_1 = Path(__file__).with_name("schema_1.sql").read_text(encoding="utf-8")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    yield store
    store.close()


def test_a_period_comes_out_as_it_went_in(store):
    told = {"missing": ('env "4"', "雪, env"), "cause": Cause.LEFT}
    period = Period("r", "3DBall", 7, "abc", 10, 20, 5000, 3, 4, 5, 6, 7, 8, **told)
    values = [0.1, -2.5, 1e300]
    rows = [row("reward", values, aggregation=2, num_nan=1, num_inf=2), row("loss", [1.0])]
    assert store.close_period(period, 7, rows) is True
    entry = store.next_entry("r", 0)
    assert isinstance(entry, StoredPeriod)
    assert entry.summaries.period == period
    assert (entry.position, entry.num_values) == (store.end(), 7)
    assert list(entry.summaries) == ["reward", "loss"]
    summary = entry.summaries["reward"]
    assert summary.aggregation_method is StatsAggregationMethod.SUM
    assert summary.full_dist == tuple(values)
    assert (summary.sum, summary.min, summary.max, summary.last) == (sum(values), -2.5, 1e300, 1e300)
    assert (summary.num, summary.num_nan, summary.num_inf) == (3, 1, 2)
    assert (summary.min_worker, summary.max_worker, summary.exact) == ("w1", "w2", True)
    assert sum(summary.buckets.counts) == 3
    assert summary.percentile(50) == 0.1
    assert store.next_entry("r", entry.position) is None


def test_what_a_writer_gets_can_go_to_another_process(store):
    put(store, "r", "3DBall", 1, [1.0, 2.0])
    summary = store.next_entry("r", 0).summaries["loss"]
    again = pickle.loads(pickle.dumps(summary))
    assert again.full_dist == (1.0, 2.0)
    assert again.histogram() == summary.histogram()


def test_a_series_without_a_finite_value_comes_out_with_nan(store):
    none = dict.fromkeys(("mean", "std", "min", "max", "last"), math.nan)
    empty = dict.fromkeys(("full_dist", "bucket_keys", "bucket_counts"), b"")
    nothing = row("loss", [1.0], num=0, sum=0.0, num_nan=5, **none, **empty)
    store.close_period(Period("r", "3DBall", 1, "a", 0, 1, 0), 5, [nothing])
    summary = store.next_entry("r", 0).summaries["loss"]
    assert all(map(math.isnan, (summary.mean, summary.std, summary.min, summary.max, summary.last)))
    assert (summary.num, summary.sum, summary.num_nan, summary.exact) == (0, 0.0, 5, True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_every_double_survives(tmp_path_factory, values):
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite", durability="none")
    store.close_period(
        Period("r", "c", 1, "a", 0, 1, 0), 1, [row("k", values, sum=values[0], mean=values[-1])]
    )
    summary = store.next_entry("r", 0).summaries["k"]
    store.close()
    assert np.asarray(summary.full_dist).tobytes() == np.asarray(values).tobytes()
    assert (summary.sum, summary.mean, summary.min, summary.max) == (
        values[0], values[-1], min(values), max(values),
    )  # fmt: skip


def test_an_empty_period_is_an_empty_mapping(store):
    store.close_period(Period("r", "3DBall", 1, "a", 0, 1, 0), 0, [])
    assert dict(store.next_entry("r", 0).summaries) == {}


def test_a_period_is_stored_once(store):
    put(store, "r", "3DBall", 1)
    assert store.close_period(Period("r", "3DBall", 1, "x", 0, 1, 0), 1, [row("other", [9.0])]) is False
    entry = store.next_entry("r", 0)
    assert list(entry.summaries) == ["loss"]
    assert store.next_entry("r", entry.position) is None


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(1, 12)), st.integers(0, 11))
def test_closed_ordinals_in_any_order_are_the_ones_that_were_closed(tmp_path_factory, order, stop):
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite", durability="none")
    for ordinal in order[:stop]:
        put(store, "r", "c", ordinal)
    put(store, "r", "other", 40)
    closed = store.closed_ordinals().get(("r", "c"), ClosedOrdinals())
    answers = [store.is_closed("r", "c", ordinal) for ordinal in range(13)]
    last = store.last_period("r", "c")
    store.close()
    assert answers == [ordinal in order[:stop] for ordinal in range(13)]
    assert [ordinal in closed for ordinal in range(13)] == answers
    highest = max(order[:stop], default=None)
    assert closed.highest == highest
    assert last == (highest and LastPeriod(highest, highest * 100, 1))


def test_a_long_row_of_periods_is_one_range(store):
    for ordinal in range(1, 101):
        put(store, "r", "c", ordinal)
    assert store.closed_ordinals() == {("r", "c"): ClosedOrdinals(((1, 100),))}


def test_properties_and_periods_of_a_run_come_in_the_order_of_storing(store):
    store.add_property("r", "3DBall", "hyperparameters", {"rate": 0.1}, SESSION, 1)
    put(store, "r", "3DBall", 1)
    put(store, "other", "3DBall", 1)
    store.add_property("r", "3DBall", "selfplay", [1, None, "x"], SESSION, 2)
    entries, position = [], 0
    while entry := store.next_entry("r", position):
        entries.append(entry)
        position = entry.position
    assert entries[0] == StoredProperty(1, "3DBall", "hyperparameters", {"rate": 0.1})
    assert str(entries[1]) == "period 3DBall #1 (r-3DBall-1)"
    assert entries[2] == StoredProperty(4, "3DBall", "selfplay", [1, None, "x"])
    assert store.properties_until("r", 3) == entries[:1]


def test_a_property_is_stored_once_whoever_says_it_how_often(store):
    said = [store.add_property("r", "c", "hyperparameters", {"a": 1}, bytes([n] * 16), n) for n in range(3)]
    said.append(store.add_property("r", "other", "hyperparameters", {"a": 1}, SESSION, 9))
    assert said == [True, False, False, True]


def test_a_run_is_open_until_it_is_closed_and_again_with_new_data(store):
    store.touch_run("r", 100)
    store.touch_run("r", 50)
    (run,) = store.runs()
    assert (run.run, run.started_ns, run.touched_ns, run.closed, run.last_position) == ("r", 100, 100, 0, 0)
    store.close_run("r")
    assert store.runs()[0].closed
    put(store, "r", "c", 1)
    assert not store.runs()[0].closed
    assert store.runs()[0].last_position == store.end() == 1


def test_a_full_disk_is_said_and_changes_nothing_and_the_same_call_succeeds_later(store):
    put(store, "r", "c", 1)
    with store.database.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    store.database._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = [row(f"key {n}", [float(n)] * 1000) for n in range(50)]
    period = Period("r", "c", 2, "b", 0, 1, 0)
    with pytest.raises(StoreFull, match="make room"):
        store.close_period(period, 50_000, big)
    assert not store.is_closed("r", "c", 2)
    assert store.end() == 1
    store.database._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.close_period(period, 50_000, big) is True
    assert len(store.next_entry("r", 1).summaries) == 50


def test_rows_that_fail_midway_leave_nothing(store):
    def rows():
        yield row("a", [1.0])
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        store.close_period(Period("r", "c", 1, "a", 0, 1, 0), 1, rows())
    assert (store.end(), store.runs(), store.is_closed("r", "c", 1)) == (0, [], False)


def closed(category, ordinal, *values):
    """Return an entry: a period of the run r that is stored with others."""
    period = Period("r", category, ordinal, f"{category}-{ordinal}", 0, 1, step=ordinal * 100)
    return ClosedPeriod(period, len(values), [row("loss", list(values))])


def test_many_entries_are_stored_together_each_with_the_next_position(store):
    put(store, "r", "c", 1)
    entries = [
        closed("c", 3, 1.0), NewProperty("r", "c", "t", {"lr": 1}, SESSION, 1), closed("d", 1, 2.0, 3.0),
        HeardRun("other", 7), NewProperty("r", "c", "t", {"lr": 1}, SESSION, 2), closed("c", 2, 4.0),
        closed("c", 3, 9.0), closed("c", 1, 9.0),
    ]  # fmt: skip
    assert store.store(entries) == [True, True, True, True, False, True, False, False]
    found, position = [], 1
    while (entry := store.next_entry("r", position)) is not None:
        position = entry.position
        kind = entry.type if isinstance(entry, StoredProperty) else entry.summaries["loss"].full_dist
        found.append((position, kind))
    assert found == [(2, (1.0,)), (3, "t"), (4, (2.0, 3.0)), (5, (4.0,))]
    assert store.end() == 5
    assert store.closed_ordinals()["r", "c"] == ClosedOrdinals(((1, 3),))
    assert store.last_period("r", "c") == LastPeriod(3, 300, 1)
    runs = {run.run: run for run in store.runs()}
    assert (runs["other"].started_ns, runs["other"].last_position, runs["r"].last_position) == (7, 0, 5)


def test_entries_that_fail_midway_leave_nothing_of_those_before_them(store):
    entries = [closed("c", 1, 1.0), NewProperty("r", "c", "t", 1, SESSION, 1),
               NewProperty("r", "c", "t", object(), SESSION, 2)]  # fmt: skip
    with pytest.raises(TypeError):
        store.store(entries)
    assert (store.end(), store.runs(), store.is_closed("r", "c", 1)) == (0, [], False)
    assert store.store(entries[:2]) == [True, True]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 12), max_size=6), max_size=6))
def test_closed_ordinals_are_those_that_were_stored_however_they_came_together(tmp_path_factory, sets):
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite", durability="none")
    known: set[int] = set()
    for ordinals in sets:
        new = store.store([closed("c", ordinal, 1.0) for ordinal in ordinals])
        for ordinal, is_new in zip(ordinals, new, strict=True):
            assert is_new is (ordinal not in known)
            known.add(ordinal)
    ranges = store.closed_ordinals().get(("r", "c"), ClosedOrdinals()).ranges
    assert [ordinal for first, last in ranges for ordinal in range(first, last + 1)] == sorted(known)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(ranges)), "they are joined"
    store.close()


CLOSE_AND_DIE = """
import os, sys
from pathlib import Path
from stats_aggregator.store.store import Store
from stats_aggregator_api import Period
from tests.aggregator.writers_process import row
store = Store(Path(sys.argv[1]))
def rows():
    yield row("a", [1.0])
    if sys.argv[2] == "within":
        os.kill(os.getpid(), 9)
store.close_period(Period("r", "c", 1, "a", 0, 1, 0), 1, rows())
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("when", "stored"), [("within", False), ("after", True)])
def test_kill_leaves_a_period_whole_or_not_at_all(tmp_path, when, stored):
    path = tmp_path / "store.sqlite"
    died = subprocess.run([sys.executable, "-c", CLOSE_AND_DIE, path, when], check=False)
    assert died.returncode == -9
    store = Store(path)
    assert store.is_closed("r", "c", 1) is stored
    assert (store.next_entry("r", 0) is not None) is stored
    store.close()


def test_any_sqlite_tool_reads_it_meanwhile(store):
    put(store, "r", "3DBall", 1, [1.0, 3.0])
    other = sqlite3.connect(store.database.path)
    joined = "SELECT category, ordinal, key, num, mean FROM periods JOIN summaries ON period = position"
    assert other.execute(joined).fetchall() == [("3DBall", 1, "loss", 2, 2.0)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database, but somebody's notes" * 100)
    with pytest.raises(StoreFailed, match=r"store\.sqlite: .*move it away") as raised:
        Store(path)
    assert raised.value.path == path
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_of_another_program_is_left_as_it_is(tmp_path):
    path = tmp_path / "store.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="another program"):
        Store(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["store.sqlite"]


def test_a_newer_schema_is_refused_with_what_to_do(store):
    path = store.database.path
    store.database._connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreFailed, match=r"schema 99.*install the stats-aggregator that wrote it"):
        Store(path)


def test_a_cause_of_another_version_is_unknown_and_costs_nothing_else(store):
    put(store, "r", "c", 1)
    with store.database.transaction() as connection:
        connection.execute("UPDATE periods SET cause = 'grace'")
    assert store.next_entry("r", 0).summaries.period == Period("r", "c", 1, "r-c-1", 0, 1, 100)


@pytest.fixture
def schema_1(tmp_path):
    """Return the path of a store that the earlier schema left: one period and one property of the run r."""
    path = tmp_path / "schema_1.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_1)
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def columns_of(path):
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()
        return version, connection.execute("PRAGMA table_info(periods)").fetchall()


def test_a_store_of_the_earlier_schema_is_read_and_written_on(schema_1, store):
    for _ in range(2):
        again = Store(schema_1)
        entry = again.next_entry("r", 0)
        assert entry.summaries.period == Period(
            "r", "3DBall", 1, "r-3DBall-1", 1767225600 * 10**9, 1767225610 * 10**9, 1000, 3, 4, 5, 6, 7, 8
        )
        assert entry.summaries["loss"].full_dist == (1.0, 3.0)
        assert again.next_entry("r", 1).value == {"lr": 0.1}
        new = Period("r", "3DBall", 2, "b", 10, 20, 2000, 3, 4, missing=("env-1",), cause=Cause.PATIENCE)
        again.close_period(new, 1, [row("loss", [1.0])])
        assert again.next_entry("r", 2).summaries.period == new
        again.close()
    store.close()
    assert columns_of(schema_1) == columns_of(store.database.path)


def test_a_migration_that_breaks_off_leaves_the_store_as_it_was(schema_1, monkeypatch):
    before = columns_of(schema_1)
    with monkeypatch.context() as broken:
        broken.setitem(database._MIGRATIONS, 1, (*database._MIGRATIONS[1], "no statement"))
        with pytest.raises(StoreFailed, match="syntax error"):
            Store(schema_1)
    assert columns_of(schema_1) == before
    Store(schema_1).close()
    assert columns_of(schema_1) != before


def test_who_only_reads_a_store_of_the_earlier_schema_leaves_it_as_it_is(schema_1):
    before = columns_of(schema_1)
    newest = Newest(schema_1)
    (period,) = newest.periods("r", 0, 5)
    newest.close()
    assert (period.category, period.step, period.workers_expected) == ("3DBall", 1000, 4)
    assert columns_of(schema_1) == before


def test_ids_of_periods_are_stable_and_differ_in_every_part():
    server = bytes(range(16))
    assert period_id(server, "r", "3DBall", 1) == "76a2dd0ff6e024eb15b79f13d9b84d7d"
    others = {
        period_id(*parts)
        for parts in (
            (server, "r", "3DBall", 1),
            (server, "r", "3DBall", 2),
            (server, "r", "3DBall1", 1),
            (server, "r3", "DBall", 1),
            (server, "r", "3DBal", 11),
            (bytes(16), "r", "3DBall", 1),
        )
    }
    assert len(others) == 6
