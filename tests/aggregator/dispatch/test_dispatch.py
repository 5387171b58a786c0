"""A writer's process: what its plugin gets, in which order, and how often."""

from pathlib import Path

import pytest

from stats_aggregator.server.watch import Watch
from tests.aggregator.writers_process import put, site_at, until

SESSION = bytes(16)


@pytest.fixture
def site(tmp_path):
    with site_at(tmp_path) as site:
        yield site


def test_a_writer_gets_every_period_in_order_with_its_summaries(site):
    site.install("rec")
    for ordinal in range(1, 4):
        put(site.store, "r", "3DBall", ordinal, [1.0, 2.0, ordinal])
    with site.process() as process:
        found = process.event("ready")["plugin"]
        assert (found["state"], found["distribution"], found["version"]) == ("loaded", "rec-plugin", "1.0")
        assert process.event("writers") == {
            "event": "writers", "plugin": "rec", "run": "r", "tap": False,
            "writers": [{"class": "Recorder", "destination": None}],
        }  # fmt: skip
        assert process.drain() == (0, 0)
    assert site.calls("rec", "period") == [
        ["r", "3DBall", n, n * 100, f"r-3DBall-{n}", 0, {"loss": [3, (3.0 + n) / 3, [1.0, 2.0, n]]}]
        for n in range(1, 4)
    ]
    assert site.calls("rec", "make", "close") == [["make", "r", {}], ["close", "r"]]


def test_what_is_stored_later_comes_with_a_wake_and_without(site):
    site.install("rec")
    with site.process() as process:
        process.event("ready")
        put(site.store, "r", "3DBall", 1)
        process.wake()
        until(lambda: site.periods("rec") == [1], "the period after a wake")
        put(site.store, "r", "3DBall", 2)
        until(lambda: site.periods("rec") == [1, 2], "the period that nobody announced")


def test_the_cursor_outlives_the_process_and_nothing_comes_twice(site):
    site.install("rec")
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        process.drain()
    put(site.store, "r", "3DBall", 2)
    with site.process() as process:
        process.drain()
    assert [call[2] for call in site.calls("rec", "try")] == [1, 2]


def test_a_period_whose_call_was_cut_off_by_kill_comes_again(site):
    site.install(
        "rec",
        """
        def fault(writer, period):
            if not Path(writer.file.parent, "second").exists():
                threading.Event().wait()
        """,
    )
    put(site.store, "r", "3DBall", 1)
    with site.process():
        until(lambda: site.calls("rec", "try"), "the first call")
    (site.results / "second").touch()
    with site.process() as process:
        assert process.drain() == (0, 0)
    assert [call[2] for call in site.calls("rec", "try")] == [1, 1]
    assert site.periods("rec") == [1]


def test_a_new_writer_starts_at_the_start_of_the_daemon_and_gets_all_of_later_runs(site):
    site.install("old")
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        process.drain()
    start = site.store.end()
    # Stored between the daemon's start and those of its writers.
    put(site.store, "r", "3DBall", 2)
    site.install("new")
    with site.processes(start=start) as processes:
        processes.drain()
    put(site.store, "later", "3DBall", 1)
    put(site.store, "later", "3DBall", 2)
    with site.processes(start=site.store.end()) as processes:
        processes.drain()
    assert site.periods("old") == [1, 2]
    assert site.periods("new") == [2]
    assert site.periods("new", "later") == [1, 2]


def test_a_new_writer_with_replay_gets_all_that_is_stored_and_does_not_see_the_setting(site):
    site.install("new")
    put(site.store, "r", "3DBall", 1)
    options = {"new": {"replay": True, "max_backlog": 10, "max_backlog_age": "1d", "colour": "red"}}
    with site.process(start=site.store.end(), options=options) as process:
        process.drain()
    assert site.periods("new") == [1]
    assert site.calls("new", "make") == [["r", {"colour": "red"}]]


def test_each_run_has_writers_of_its_own(site):
    site.install("rec")
    for ordinal in (1, 2):
        put(site.store, "a", "3DBall", ordinal)
        put(site.store, "b", "3DBall", ordinal)
    with site.process() as process:
        process.drain()
    assert sorted(call[0] for call in site.calls("rec", "make")) == ["a", "b"]
    assert site.periods("rec", "a") == site.periods("rec", "b") == [1, 2]


def test_a_property_comes_once_in_its_place_and_again_first_thing_to_a_fresh_writer(site):
    site.install("rec")
    put(site.store, "r", "3DBall", 1)
    for seq, rate in enumerate((0.1, 0.1, 0.2)):
        site.store.add_property("r", "3DBall", "hyperparameters", {"rate": rate}, SESSION, seq)
    with site.process() as process:
        process.drain()
    put(site.store, "r", "3DBall", 2)
    with site.process() as process:
        process.drain()
    rates = [["property", "r", "3DBall", "hyperparameters", {"rate": rate}] for rate in (0.1, 0.2)]
    kinds = [call if call[0] == "property" else call[0] for call in site.calls("rec") if call[0] != "try"]
    assert kinds == ["make", "period", *rates, "close", "make", *rates, "period", "close"]


def test_the_writers_of_one_plugin_have_a_place_each_in_the_queue(site):
    site.install(
        "rec",
        """
        class Failing(Recorder):
            def write_stats(self, category, values, step):
                raise OSError("the service is down")
        def writers(options):
            return [Failing(options), Recorder(options)]
        """,
    )
    for ordinal in (1, 2):
        put(site.store, "r", "3DBall", ordinal)
    with site.process() as process:
        assert process.drain() == (2, 0)
    assert site.periods("rec") == [1, 2]
    assert [site.state("rec", place=place).backlog for place in (0, 1)] == [2, 0]


def test_a_plugin_without_a_writer_for_a_run_waits_for_nothing(site):
    site.install("rec", "def writers(options): return []")
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        assert process.drain() == (0, 0)
    assert site.state("rec").backlog == 0


def test_writers_are_made_when_a_run_begins_and_closed_when_it_is(site):
    site.install("rec")
    with site.process() as process:
        process.event("ready")
        site.store.touch_run("r", site.store.clock())
        process.event("writers")
        site.store.close_run("r")
        until(lambda: site.calls("rec", "close"), "the end of the closed run")
        put(site.store, "r", "3DBall", 1)
        until(lambda: site.periods("rec") == [1], "the run that goes on")
    assert len(site.calls("rec", "make")) == 2


def test_a_run_without_news_lets_its_writers_go_and_takes_them_up_again(site):
    site.install("rec")
    put(site.store, "r", "3DBall", 1)
    with site.process(idle_s=0.2) as process:
        until(lambda: site.calls("rec", "close"), "the end of the idle run")
        until(lambda: site.state("rec").state == "closed", "that it is noted, which follows the call")
        put(site.store, "r", "3DBall", 2)
        process.wake()
        until(lambda: site.periods("rec") == [1, 2], "the run that goes on")


def test_a_backlog_beyond_its_bound_loses_its_oldest_and_says_so(site, caplog):
    site.install("rec", "def fault(writer, period): threading.Event().wait()")
    for ordinal in range(1, 11):
        put(site.store, "r", "3DBall", ordinal)
    with site.process(options={"rec": {"max_backlog": 2}}):
        until(lambda: site.calls("rec", "try"), "a call that does not return")
        Watch(site.outbox, dict).trim()
    assert site.state("rec").skipped == 8
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "writer 0 of plugin rec skips 8 periods of run r: more was waiting for it than max_backlog or "
        "max_backlog_age allow"
    ]
    site.install("rec")  # mended
    with site.process() as process:
        assert process.drain() == (0, 0)
    assert site.periods("rec") == [9, 10]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="shows who waits for a lock; Linux has it")
def test_the_next_process_waits_for_the_end_of_the_one_before(site):
    site.install("rec")
    put(site.store, "r", "3DBall", 1)
    with site.process() as first:
        first.event("writers")
        with site.process() as second:
            waiting = f"POSIX  ADVISORY  WRITE {second.pid} "
            until(lambda: f"-> {waiting}" in Path("/proc/locks").read_text(), "the second waits for the lock")
            first.drain()
            second.event("writers")
            second.drain()
    assert [call[0] for call in site.calls("rec", "make", "close")] == ["make", "close"] * 2
