"""Closer: in order, once, and never silently."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from stats_aggregator.engine import closer as closer_module
from stats_aggregator.engine.closer import Closer
from stats_aggregator.errors import StoreFull
from stats_aggregator.store import database
from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredProperty
from stats_aggregator_client.wire import Property
from tests.aggregator.clocks import START_NS
from tests.aggregator.peers import SERVER_ID, WAIT_S, Core, joined


def limit_pages(store: Store, num: int) -> None:
    """Let SQLite find its disk full past so many pages."""
    with store.database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {num}")


class Finished:
    """What the closer reports, and an event for each."""

    def __init__(self) -> None:
        self.stored = threading.Event()
        self.failed = threading.Event()
        self.error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.failed.set()


def fact(number: int, value: object) -> tuple[str, Property]:
    return "run", Property(b"s" * 16, number, "c", "hyperparameters", value)


def test_jobs_are_stored_in_order_and_their_pins_come_back_in_it(tmp_path: Path) -> None:
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    for number in range(1, 101):
        closer.submit(fact(number, number))
    assert closer.waiting == 100
    closer.start()
    assert closer.stop(WAIT_S)
    assert list(closer.stored) == [(b"s" * 16, number) for number in range(1, 101)]
    assert [entry.value for entry in store.properties_until("run", 1000)] == list(range(1, 101))
    assert finished.error is None
    store.close()


def test_any_error_but_a_full_disk_is_reported_and_nothing_follows(tmp_path: Path) -> None:
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    closer.start()
    closer.submit(fact(1, 1))
    assert finished.stored.wait(WAIT_S)
    closer.submit(fact(2, object()))
    closer.submit(fact(3, 3))
    assert finished.failed.wait(WAIT_S)
    assert isinstance(finished.error, TypeError)
    assert not closer.stop(WAIT_S)
    assert (closer.waiting, list(closer.stored)) == (2, [(b"s" * 16, 1)])
    assert [entry.value for entry in store.properties_until("run", 1000)] == [1]
    store.close()


def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    limit_pages(store, 50)
    closer.start()
    closer.submit(fact(1, "x" * (1 << 20)))
    assert not closer._stopping.wait(0)
    assert closer.waiting == 1
    limit_pages(store, 1 << 20)
    assert finished.stored.wait(WAIT_S)
    assert closer.stop(WAIT_S)
    assert (list(closer.stored), closer.waits_for) == ([(b"s" * 16, 1)], "")
    store.close()


def test_a_store_that_another_program_writes_to_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        closer.start()
        closer.submit(fact(1, 1))
        deadline_s = time.monotonic() + WAIT_S
        while closer.waits_for != "the lock of the store":
            assert time.monotonic() < deadline_s, "it does not say what it waits for"
            time.sleep(0.01)  # between two looks at another thread's word
        somebody.execute("COMMIT")
    assert finished.stored.wait(WAIT_S)
    assert closer.stop(WAIT_S)
    assert (closer.waits_for, finished.error) == ("", None)
    assert "another program is in the middle of writing to it" in caplog.text
    store.close()


def test_a_stop_does_not_wait_for_another_program(tmp_path: Path) -> None:
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        closer.start()
        closer.submit(fact(1, 1))
        assert not closer.stop(0.2)
        store.close()
        assert closer._thread.is_alive(), "the closer is in a call of the store, and nobody waits for that"
        assert (closer.waiting, finished.error) == (1, None)
    closer._thread.join(WAIT_S)
    store.close()


def test_a_stop_while_the_disk_is_full_says_that_something_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished, store = Finished(), Store(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    limit_pages(store, 50)
    closer.start()
    closer.submit(fact(1, "x" * (1 << 20)))
    assert not closer.stop(0.5)
    closer._thread.join(WAIT_S)
    assert (closer.waiting, list(closer.stored), finished.error) == (1, [], None)
    assert "waiting for room on the disk" in caplog.text
    store.close()


def test_a_period_is_stored_once_even_where_it_is_submitted_again(tmp_path: Path) -> None:
    with Core(tmp_path / "a", "10s") as core:
        (worker,) = joined(core, "w")
        core.handle(worker.batch("c", [("x", 0, [1.0, 2.0])], START_NS))
        (period,) = core.state.categories["run", "c"].periods.values()
        core.pass_s(12)
        (first,) = core.periods()
        restarted = core.crashed(tmp_path / "b")
    with restarted as core:
        assert core.replay.ended == []
        (again,) = core.periods()
        assert (again.period, repr(again["x"])) == (first.period, repr(first["x"]))
        assert again.period.ordinal == period.key.ordinal


def ended(core: Core, count: int, values: Sequence[float] = (1.0,)) -> None:
    """Let so many categories end a period each; the closer does not work yet."""
    (worker,) = joined(core, "w")
    for number in range(count):
        name = f"c{number}"
        core.handle(worker.batch(name, [("x", 0, [*values, float(number)])]), worker.write(number, name))


def commits(core: Core) -> list[str]:
    """Return the statements that end transactions, as they are run."""
    found: list[str] = []
    core.store.database._connection.set_trace_callback(
        lambda statement: found.append(statement) if statement in ("COMMIT", "ROLLBACK") else None
    )
    return found


def test_all_that_waits_is_stored_in_one_commit_in_its_order(tmp_path: Path) -> None:
    with Core(tmp_path, "manual", storing=False) as core:
        ended(core, 300)
        assert core.closer.waiting == 301, "the run and its periods"
        found = commits(core)
        core.start_storing()
        core.settle()
        assert found == ["COMMIT"]
        entries = list(core.entries("run"))
        assert [entry.position for entry in entries] == list(range(1, 301))
        assert [period.period.category for period in core.periods()] == [f"c{n}" for n in range(300)]
        assert [period["x"].full_dist for period in core.periods()] == [(1.0, float(n)) for n in range(300)]
        assert core.closer.waiting_bytes == 0


def test_properties_keep_their_place_between_periods(tmp_path: Path) -> None:
    with Core(tmp_path, "manual", storing=False) as core:
        (worker,) = joined(core, "w")
        for number in range(1, 6):
            core.handle(worker.batch("c", [("x", 0, [1.0])]), worker.write(number))
            core.handle(worker.property(number))
            core.handle(worker.property(1))  # said again, it is nothing new
        found = commits(core)
        core.start_storing()
        core.settle()
        assert found == ["COMMIT"]
        told = [
            entry.value if isinstance(entry, StoredProperty) else -entry.summaries.period.step
            for entry in core.entries("run")
        ]
        assert told == [-1, 1, -2, 2, -3, 3, -4, 4, -5, 5]
        assert [entry.position for entry in core.entries("run")] == list(range(1, 11))


def test_a_commit_has_a_bounded_weight_and_at_least_one_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closer_module, "_SET_BYTES", 1 << 16)
    with Core(tmp_path, "manual", storing=False) as core:
        ended(core, 4, [1.0] * 20_000)
        found = commits(core)
        core.start_storing()
        core.settle()
        assert found == ["COMMIT"] * 4, "the run goes with the first"
        assert [period["x"].num for period in core.periods()] == [20_001] * 4


def test_a_full_disk_in_the_middle_of_a_set_is_waited_out_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    with Core(tmp_path, "manual", storing=False) as core:
        ended(core, 50, [0.5] * 900)
        with core.store.database.reading() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        limit_pages(core.store, pages + 10)  # of about thirty
        core.start_storing()
        deadline_s = time.monotonic() + WAIT_S
        while core.closer.waits_for != "room on the disk":
            assert time.monotonic() < deadline_s, "it does not say what it waits for"
            time.sleep(0.01)  # between two looks at another thread's word
        assert (core.periods(), core.store.end(), core.closer.waiting) == ([], 0, 51)
        limit_pages(core.store, 1 << 20)
        core.settle()
        assert [period["x"].last for period in core.periods()] == [float(number) for number in range(50)]
        assert [entry.position for entry in core.entries("run")] == list(range(1, 51))


def test_an_ended_period_is_freed_once_it_is_stored(tmp_path: Path) -> None:
    with Core(tmp_path, "manual", storing=False) as core:
        ended(core, 20)
        held = [weakref.ref(ended.period.accumulator) for ended in core.state.unstored.values()]
        core.start_storing()
        core.settle()
        core.engine.tick()
        # Its thread may still be about to let go of them when what is stored is told.
        core.closer.submit(fact(1000, 1))
        core.settle()
        gc.collect()
        assert [ref() for ref in held] == [None] * 20


class NoRoomToTidy(Store):
    """A store on a disk that is full whenever it tidies."""

    def tidy(self, limit: int = 200) -> int:
        raise StoreFull(self.database.path)


def test_tidying_that_finds_no_room_ends_nothing(tmp_path: Path) -> None:
    finished, store = Finished(), NoRoomToTidy(tmp_path / "store.sqlite")
    closer = Closer(store, SERVER_ID, finished.stored.set, finished.fail)
    closer.start()
    for number in range(1, 100):
        closer.submit(fact(number, number))
    assert closer.stop(WAIT_S)
    assert (closer.waiting, finished.error) == (0, None)
    store.close()
