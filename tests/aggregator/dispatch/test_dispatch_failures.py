"""The writers' process: one bad plugin hurts nobody, and gets what it missed."""

import os
import time

import pytest

from stats_aggregator.dispatch.plugins import Selection
from stats_aggregator.dispatch.retry import Retry
from tests.aggregator.writers_process import put, site_at, until


@pytest.fixture
def site(tmp_path):
    with site_at(tmp_path) as site:
        site.install("good")
        yield site


@pytest.mark.parametrize(
    "error", ["ValueError('no')", "SystemExit(3)", "KeyboardInterrupt()", "MemoryError()"]
)
def test_a_period_that_a_writer_cannot_take_is_set_aside_after_five_attempts(site, error, capfd):
    site.install(
        "bad",
        f"""
        def fault(writer, period):
            if period.ordinal == 2:
                raise {error}
        """,
    )
    for ordinal in (1, 2, 3):
        put(site.store, "r", "3DBall", ordinal)
    with site.process() as process:
        until(lambda: site.periods("bad") == [1, 3], "the periods around the bad one")
        assert process.drain() == (0, 0)
    assert [call[2] for call in site.calls("bad", "try")] == [1, 2, 2, 2, 2, 2, 3]
    assert site.periods("good") == [1, 2, 3]
    state = site.state("bad")
    assert (state.delivered, state.set_aside, state.backlog) == (2, 1, 0)
    with site.store.database.reading() as connection:
        ((what, text),) = connection.execute("SELECT what, error FROM set_aside").fetchall()
    assert what == "period 3DBall #2 (r-3DBall-2)"
    assert text.startswith(error.split("(")[0])
    # Said once, with what one needs to know.
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "period 3DBall #2" in line]
    assert "bad (bad-plugin 1.0), run r" in line
    assert text in line


def test_an_oserror_is_retried_for_ever_by_the_same_writer(site):
    site.install(
        "down",
        """
        def fault(writer, period):
            writer.failed = getattr(writer, "failed", 0) + 1
            if writer.failed < 12:
                raise ConnectionRefusedError("the service is down")
        """,
    )
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        until(lambda: site.periods("down") == [1], "the period after all")
        assert process.drain() == (0, 0)
    assert len(site.calls("down", "try")) == 12
    assert len(site.calls("down", "make")) == 1
    assert (site.state("down").state, site.state("down").set_aside) == ("closed", 0)


def test_at_the_end_a_writer_that_is_down_keeps_its_place_and_nobody_waits_for_it(site):
    site.install("down", "def fault(writer, period): raise OSError('the service is down')")
    put(site.store, "r", "3DBall", 1)
    with site.process(retry=Retry(first_s=600, limit_s=600)) as process:
        until(lambda: site.state("down") and site.state("down").state == "retrying", "the failure")
        assert process.drain() == (1, 0)
    assert len(site.calls("down", "try")) == 2, "one more attempt at the end"
    site.install("down")  # mended
    with site.process() as process:
        assert process.drain() == (0, 0)
    assert site.periods("down") == [1]


def test_a_writer_that_hangs_delays_only_itself_and_does_not_keep_the_process(site):
    site.install("hung", "def fault(writer, period): threading.Event().wait()")
    for ordinal in (1, 2):
        put(site.store, "r", "3DBall", ordinal)
    with site.process() as process:
        until(lambda: site.periods("good") == [1, 2], "what the others get")
        until(lambda: site.calls("hung", "try"), "the call that hangs")
        gone_s = time.monotonic()
        process.leave()
        assert time.monotonic() - gone_s < 10, "it ends, although a call never returns"
    assert site.calls("good", "close") == [["r"]], "the others were closed"


def test_an_output_that_nobody_reads_does_not_keep_the_process(site):
    site.install("chatty", "def fault(writer, period): print('x' * (1 << 20), flush=True)")
    put(site.store, "r", "3DBall", 1)
    unread, output = os.pipe()
    with site.process(stdout=output) as process:
        os.close(output)
        until(lambda: site.calls("chatty", "try"), "the call that prints")
        until(lambda: site.periods("good") == [1], "what the others get")
        assert process.leave() == 1
    os.close(unread)


def test_a_plugin_that_hangs_while_it_is_imported_does_not_keep_the_process(site):
    site.install_source(
        "hung", "import threading, pathlib\nopen(__file__ + '.in', 'w')\nthreading.Event().wait()"
    )
    with site.process() as process:
        until(lambda: list(site.plugins.glob("*.in")), "the import")
        assert process.leave() == 1


@pytest.mark.parametrize("where", ["fault", "import"])
def test_a_plugin_that_kills_the_process_three_times_is_left_out(site, where):
    if where == "fault":
        site.install("deadly", "def fault(writer, period): os._exit(9)")
    else:
        site.install_source("deadly", "import os\nos._exit(9)")
    for ordinal in (1, 2, 3):
        put(site.store, "r", "3DBall", ordinal)
    for death in range(3):
        with site.process(restarted=death > 0) as process:
            assert process.wait() == 9
    with site.process(restarted=True) as process:
        states = {plugin["name"]: plugin for plugin in process.event("ready")["plugins"]}
        process.drain()
    assert states["deadly"]["state"] == "set aside"
    assert "died" in states["deadly"]["why"]
    assert states["good"]["state"] == "loaded"
    assert site.periods("good")[-1:] == [3]
    (row,) = [row for row in site.outbox.plugins() if row.plugin == "deadly"]
    assert row.state == "set aside"


def test_whoever_was_in_a_call_by_chance_when_another_kills_the_process_is_not_blamed(site):
    site.install("deadly", "def fault(writer, period): os._exit(9)")
    site.install("hung", "def fault(writer, period): threading.Event().wait()")
    site.install("slow", "def fault(writer, period): time.sleep(0.2)")
    put(site.store, "r", "3DBall", 1)
    for death in range(3):
        with site.process(restarted=death > 0) as process:
            assert process.wait() == 9
    with site.process(restarted=True) as process:
        states = {plugin["name"]: plugin["state"] for plugin in process.event("ready")["plugins"]}
    assert {name: states[name] for name in ("deadly", "hung", "slow", "good")} == {
        "deadly": "set aside", "hung": "loaded", "slow": "loaded", "good": "loaded",
    }  # fmt: skip


def test_a_start_of_the_daemon_gives_a_plugin_that_was_left_out_another_chance(site):
    site.install("deadly", "def fault(writer, period): os._exit(9)")
    put(site.store, "r", "3DBall", 1)
    for death in range(3):
        with site.process(restarted=death > 0) as process:
            process.wait()
    site.install("deadly")  # mended
    with site.process() as process:
        assert process.drain() == (0, 0)
    assert site.periods("deadly") == [1]


def test_a_signal_to_the_whole_group_does_not_end_it(site):
    with site.process() as process:
        process.event("ready")
        os.kill(process.pid, 2)
        os.kill(process.pid, 15)
        put(site.store, "r", "3DBall", 1)
        assert process.drain() == (0, 0)
    assert site.periods("good") == [1]


def test_a_registration_that_fails_is_repeated_and_misses_nothing(site):
    site.install(
        "late",
        """
        def writers(options):
            attempts = Path(options.checkpoint_settings.results_dir, "attempts")
            with attempts.open("a") as file:
                file.write("x")
            if attempts.stat().st_size < 7:
                raise SystemExit("not yet")
            return [Recorder(options)]
        """,
    )
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        until(lambda: site.periods("late") == [1], "the period after all")
        process.drain()
    assert site.periods("good") == [1]


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [("None", "returned None, no list of StatsWriter"), ("[7]", "with 7, which is no StatsWriter")],
)
def test_a_registration_that_returns_something_else_is_told_so(site, returned, complaint):
    site.install("wrong", f"def writers(options): return {returned}")
    put(site.store, "r", "3DBall", 1)
    with site.process():
        until(lambda: site.state("wrong") and site.state("wrong").state == "failed", "the failure")
        assert complaint in site.state("wrong").last_error
        until(lambda: site.periods("good") == [1], "what the others get")


BROKEN = "raise TypeError('made for another version')"


def test_a_plugin_that_cannot_be_loaded_is_reported_and_left_out(site):
    site.install_source("broken", BROKEN)
    put(site.store, "r", "3DBall", 1)
    with site.process() as process:
        (entry,) = [plugin for plugin in process.event("ready")["plugins"] if plugin["name"] == "broken"]
        process.drain()
    assert (entry["state"], entry["why"]) == ("failed", "TypeError: made for another version")
    assert entry["distribution"] == "broken-plugin"
    assert site.periods("good") == [1]


def test_strict_makes_it_fatal(site):
    site.install_source("broken", BROKEN)
    with site.process(strict=True) as process:
        assert process.event("refused")["why"] == [
            "broken (broken-plugin 1.0): TypeError: made for another version"
        ]
        assert process.wait() == 2


def test_a_name_that_is_not_installed_is_refused_with_the_nearest(site):
    with site.process(selection=Selection(("goood",))) as process:
        (why,) = process.event("refused")["why"]
        assert process.wait() == 2
    assert why.startswith("--writer 'goood' is no installed writer; did you mean 'good'? installed: ")


def test_a_wrong_setting_of_the_queue_is_refused_by_name(site):
    with site.process(options={"good": {"max_backlog": 0}}) as process:
        (why,) = process.event("refused")["why"]
    assert "writers.good.max_backlog is 0" in why
