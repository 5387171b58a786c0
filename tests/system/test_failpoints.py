"""Promise 1 at every edge of durability: the daemon dies exactly there, starts again, and nothing is amiss.

Values are the oracle's; periods end every few batches, segments are small, so that all edges are come to.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stats_aggregator.failpoints import NAMES
from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredPeriod, StoredProperty
from stats_aggregator_client import StatsClient
from tests.oracle import Oracle, stored_periods
from tests.system.daemons import WAIT_S, Daemon, wait_until
from tests.system.raw_workers import CATEGORY, Crew

SCRIPTS = ("p" + "b" * 11, "pb" + "x" + "b" * 9, "pbb" + "--" + "b" * 9)
"""A property each, then batches; one that is refused, and two seqs that are given up."""
NUM_VALUES = 600
OPTIONS = ("--every", "7 steps", "--close-on-stop", "--no-writer", "console", "--no-writer", "tensorboard")
SMALL_SEGMENTS = {"STATS_AGGREGATOR_SEGMENT_BYTES": str(1 << 16)}

# Which time the edge is come to: one at which something was acknowledged before, and more follows.
WHILE_IT_RUNS = {
    "journal.write": 7,
    "journal.sync": 7,
    "journal.append.session": 2,
    "journal.append.group": 5,
    "journal.append.open": 2,
    "journal.append.close": 1,
    "journal.append.tombstone": 1,
    "journal.append.gap": 1,
    "segment.create": 2,
    "segment.rename": 2,
    "segment.unlink": 1,
    "engine.apply": 6,
    "engine.reply": 8,
    "store.commit": 2,
}
ONCE_STORED = ("store.commit", "segment.unlink")
"""Edges of the closer's, which may come to them when all is acknowledged."""
BEFORE_A_PERIOD_ENDS = ("journal.checkpoint",)
"""Edges that are come to where open periods hold more than the journal may."""
AT_THE_NEXT_START = ("recovery.rewrite", "recovery.unlink")
IN_A_WRITERS_PROCESS = ("writers.call", "writers.cursor")
LATE_ENOUGH = "journal.append.group.after"
"""Where it dies when the next start is to be tested: what it has taken is kept, and nobody was told."""


def _both(edges: object) -> list[str]:
    return [f"{edge}.{when}" for edge in edges for when in ("before", "after")]  # type: ignore[attr-defined]


def test_every_failpoint_has_a_test() -> None:
    tested = _both((*WHILE_IT_RUNS, *BEFORE_A_PERIOD_ENDS, *AT_THE_NEXT_START, *IN_A_WRITERS_PROCESS))
    assert sorted(tested) == sorted(NAMES)


def _dies(daemon: Daemon, failpoint: str) -> None:
    """Show that it died there, by SIGKILL."""
    assert wait_until(lambda: daemon.poll() is not None and daemon.poll(), "the death of the daemon") == -9
    daemon.kill()
    assert f"failpoint {failpoint}: the process ends here" in daemon.log.read_text()


def _properties(data: Path) -> set[int]:
    store, found, position = Store(data / "store.sqlite", durability="none"), set(), 0
    while (entry := store.next_entry("run", position)) is not None:
        position = entry.position
        if isinstance(entry, StoredProperty):
            found.add(entry.value["worker"])
    store.close()
    return found


def _check(daemon: Daemon, oracle: Oracle, num_values: int = NUM_VALUES) -> None:
    """Compare what is stored with what was sent: all was acknowledged, all is there, once."""
    data = daemon.directory / "data"
    periods = stored_periods(data, CATEGORY)
    rows = oracle.check(periods)
    batches = [script.count("b") for script in SCRIPTS]
    assert [(row.sent, row.acked, row.counted) for row in rows] == [(num_values * b,) * 3 for b in batches]
    ordinals = [period.period.ordinal for period in periods]
    assert ordinals == list(range(1, len(ordinals) + 1))
    assert _properties(data) == set(range(len(SCRIPTS)))
    assert "damaged record" not in daemon.log.read_text()
    # What is stored needs no segment any more: all are gone but the current one.
    assert len(list((data / "journal").iterdir())) == 1, sorted((data / "journal").iterdir())


def _go_on(daemon: Daemon, crew: Crew, oracle: Oracle, num_values: int = NUM_VALUES) -> None:
    """Start once more, let all that is left arrive, and compare."""
    daemon.start()
    crew.connect(daemon.address)
    assert crew.work(daemon.poll)
    assert daemon.stop() == 0
    _check(daemon, oracle, num_values)


@pytest.fixture
def daemon(tmp_path: Path):  # type: ignore[no-untyped-def]
    daemon = Daemon(tmp_path, *OPTIONS, environment=SMALL_SEGMENTS)
    yield daemon
    daemon.kill()


@pytest.mark.parametrize("failpoint", _both(WHILE_IT_RUNS))
def test_it_dies_while_it_runs_and_nothing_is_lost_or_counted_twice(failpoint: str, daemon: Daemon) -> None:
    oracle = Oracle()
    turn = WHILE_IT_RUNS[failpoint.rpartition(".")[0]]
    with Crew(oracle, SCRIPTS, NUM_VALUES) as crew:
        daemon.start(f"{failpoint}=die@{turn}")
        crew.connect(daemon.address)
        all_acked = crew.work(daemon.poll)
        assert not all_acked or failpoint.startswith(ONCE_STORED), "all was acknowledged, and it lives"
        _dies(daemon, failpoint)
        assert any(worker.durable_seq for worker in crew.workers), "nothing was acknowledged before it died"
        _go_on(daemon, crew, oracle)


@pytest.mark.parametrize(("failpoint", "num_stored"), [("before", 1), ("after", 300)])
def test_it_dies_while_many_periods_wait_and_each_is_stored_once(
    failpoint: str, num_stored: int, tmp_path: Path
) -> None:
    go_on, other = tmp_path / "go-on", "after" if failpoint == "before" else "before"
    daemon = Daemon(tmp_path / "daemon", "--every", "manual", *OPTIONS[2:])
    # What ends while the first one is being stored waits, and is stored together: there it dies.
    daemon.start(f"store.commit.{other}=pause({go_on})@1;store.commit.{failpoint}=die@2")
    try:
        with StatsClient(daemon.address, worker="w", run="run") as client:
            _write(client, 0)
            wait_until(go_on.with_name("go-on.reached").exists, "the first commit")
            for number in range(1, 300):
                _write(client, number)
            assert client.flush(WAIT_S), "not all is acknowledged while the closer waits"
            go_on.touch()
            _dies(daemon, f"store.commit.{failpoint}")
            assert len(_written(daemon)) == num_stored
            daemon.start()
            assert client.flush(WAIT_S)
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert _written(daemon) == [(number + 1, f"c{number}", 1, float(number)) for number in range(300)]


def _write(client: StatsClient, number: int) -> None:
    reporter = client.reporter(f"c{number}")
    reporter.add_stat("x", float(number))
    reporter.write_stats(number)


def _written(daemon: Daemon) -> list[tuple[int, str, int, float]]:
    """Return position, category, num and sum of each stored period."""
    store = Store(daemon.directory / "data" / "store.sqlite", durability="none")
    found, position = [], 0
    while (entry := store.next_entry("run", position)) is not None:
        assert isinstance(entry, StoredPeriod)
        position, summary = entry.position, entry.summaries["x"]
        found.append((position, entry.summaries.period.category, summary.num, summary.sum))
    store.close()
    return found


@pytest.mark.parametrize("failpoint", _both(BEFORE_A_PERIOD_ENDS))
def test_it_dies_where_it_makes_old_segments_dispensable(failpoint: str, tmp_path: Path) -> None:
    oracle, num_values = Oracle(), 5000
    limits = {"STATS_AGGREGATOR_JOURNAL_BYTES": str(1 << 20), **SMALL_SEGMENTS}
    daemon = Daemon(tmp_path, "--every", "manual", *OPTIONS[2:], environment=limits)
    with Crew(oracle, SCRIPTS, num_values) as crew:
        try:
            daemon.start(f"{failpoint}=die")
            crew.connect(daemon.address)
            assert not crew.work(daemon.poll), "all was acknowledged, and it lives"
            _dies(daemon, failpoint)
            _go_on(daemon, crew, oracle, num_values)
        finally:
            daemon.kill()


@pytest.mark.parametrize("failpoint", _both(AT_THE_NEXT_START))
def test_it_dies_while_it_recovers_and_nothing_is_lost_or_counted_twice(
    failpoint: str, daemon: Daemon
) -> None:
    oracle = Oracle()
    with Crew(oracle, SCRIPTS, NUM_VALUES) as crew:
        daemon.start(f"{LATE_ENOUGH}=die@8")
        crew.connect(daemon.address)
        assert not crew.work(daemon.poll), "all was acknowledged, and it lives"
        _dies(daemon, LATE_ENOUGH)
        with pytest.raises(AssertionError, match="the daemon ended: -9"):
            daemon.start(f"{failpoint}=die")
        _dies(daemon, failpoint)
        _go_on(daemon, crew, oracle)
        oracle.sometimes("kept without a word")


@pytest.mark.parametrize("failpoint", _both(IN_A_WRITERS_PROCESS))
def test_a_writers_process_dies_and_each_period_is_written_once(failpoint: str, tmp_path: Path) -> None:
    oracle = Oracle()
    options = ("--every", "7 steps", "--close-on-stop", "--writer", "jsonl")
    with Crew(oracle, SCRIPTS, NUM_VALUES) as crew:
        daemon = Daemon(tmp_path, *options, environment=SMALL_SEGMENTS)
        try:
            daemon.start(f"{failpoint}=die@4")
            crew.connect(daemon.address)
            assert crew.work(daemon.poll), "the daemon died with its writers"
            wait_until(lambda: "writer jsonl ended" in daemon.log.read_text(), "the writer's death")
            wait_until(lambda: len(daemon.summaries("run")) == 4, "the periods of all 28 steps so far")
            assert daemon.stop() == 0
        finally:
            daemon.kill()
    log = daemon.log.read_text()
    assert re.findall("writer jsonl ended (.*);", log) == ["(killed by signal 9)"]
    assert f"failpoint {failpoint}: the process ends here" in log
    _check(daemon, oracle)
    written = [line["id"] for line in daemon.summaries("run")]
    assert written == [period.period.id for period in stored_periods(tmp_path / "data", CATEGORY)]
