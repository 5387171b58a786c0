"""The writers' processes: one bad plugin hurts nobody, and gets what it missed."""

import os
import time

import pytest

from stats_aggregator.dispatch.calls import calls_under_way, tag
from stats_aggregator.dispatch.process_files import ProcessFiles
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
    with site.processes() as processes:
        until(lambda: site.periods("bad") == [1, 3], "the periods around the bad one")
        assert processes.drain() == 0
    assert [call[2] for call in site.calls("bad", "try")] == [1, 2, 2, 2, 2, 2, 3]
    assert site.periods("good") == [1, 2, 3]
    state = site.state("bad")
    assert (state.delivered, state.set_aside, state.backlog, state.failures) == (2, 1, 0, 0)
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
    with site.process("down") as process:
        until(lambda: site.periods("down") == [1], "the period after all")
        process.ask_to_drain()
        assert process.wait() == 0
    assert len(site.calls("down", "try")) == 12
    assert len(site.calls("down", "make")) == 1
    assert (site.state("down").state, site.state("down").set_aside) == ("closed", 0)


def test_at_the_end_a_writer_that_is_down_keeps_its_place_and_nobody_waits_for_it(site):
    site.install("down", "def fault(writer, period): raise OSError('the service is down')")
    put(site.store, "r", "3DBall", 1)
    with site.processes(retry=Retry(first_s=600, limit_s=600)) as processes:
        until(lambda: site.state("down") and site.state("down").state == "retrying", "the failure")
        state = site.state("down")
        assert (state.failures, state.last_error) == (1, "OSError: the service is down")
        assert 200e9 < state.retry_ns - time.time_ns() <= 600e9, "when it is called again"
        assert processes.drain() == 1
    assert len(site.calls("down", "try")) == 2, "one more attempt at the end"
    site.install("down")  # mended
    with site.processes() as processes:
        assert processes.drain() == 0
    assert site.periods("down") == [1]
    assert (site.state("down").failures, site.state("down").retry_ns) == (0, 0)


def test_a_writer_that_hangs_delays_only_itself_and_does_not_keep_the_process(site):
    site.install("hung", "def fault(writer, period): threading.Event().wait()")
    for ordinal in (1, 2):
        put(site.store, "r", "3DBall", ordinal)
    with site.processes() as processes:
        until(lambda: site.periods("good") == [1, 2], "what the others get")
        until(lambda: site.calls("hung", "try"), "the call that hangs")
        assert processes["hung"].leave() == 1, "it ends, although a call never returns"
        assert processes["good"].leave() == 1
    assert site.calls("good", "close") == [["r"]], "the others were closed"


def test_an_output_that_nobody_reads_does_not_keep_the_process(site):
    site.install("chatty", "def fault(writer, period): print('x' * (1 << 20), flush=True)")
    put(site.store, "r", "3DBall", 1)
    unread, output = os.pipe()
    with site.process("chatty", stdout=output) as process:
        os.close(output)
        until(lambda: site.calls("chatty", "try"), "the call that prints")
        assert process.leave() == 1
    os.close(unread)


def test_a_plugin_that_hangs_while_it_is_imported_does_not_keep_the_process(site):
    site.install_source(
        "hung", "import threading, pathlib\nopen(__file__ + '.in', 'w')\nthreading.Event().wait()"
    )
    with site.process("hung") as process:
        until(lambda: list(site.plugins.glob("*.in")), "the import")
        assert process.leave() == 1


@pytest.mark.parametrize("where", ["fault", "import"])
def test_a_plugin_that_kills_the_process_three_times_is_left_out(site, where):
    if where == "fault":
        site.install("deadly", "def fault(writer, period): os._exit(9)")
    else:
        site.install_source("deadly", "import os\nos._exit(9)")
    put(site.store, "r", "3DBall", 1)
    for death in range(3):
        with site.process("deadly", restarted=death > 0) as process:
            assert process.wait() == 9
    with site.process("deadly", restarted=True) as process:
        found = process.event("ready")["plugin"]
        assert process.wait() == 0, "there is nothing for it to do"
    assert found["state"] == "set aside"
    assert "died" in found["why"]
    row = site.plugin("deadly")
    assert (row.state, row.why) == ("set aside", found["why"])


def test_a_process_that_died_outside_of_a_call_does_not_cost_its_plugin_anything(site):
    for death in range(4):
        with site.process(restarted=death > 0) as process:
            assert process.event("ready")["plugin"]["state"] == "loaded"
            os.kill(process.pid, 9)
            process.wait()


# It holds the interpreter's lock for longer than anybody waits.
FROZEN = """
def fault(writer, period):
    import re
    re.match("(a+)+$", "a" * 64 + "b")
"""


def test_a_call_that_holds_the_interpreter_for_ever_ends_its_process_with_a_traceback(site, capfd):
    site.install("frozen", FROZEN)
    put(site.store, "r", "3DBall", 1)
    with site.process("frozen", frozen_s=1.0) as process:
        assert process.wait() == 1
    said = capfd.readouterr().err
    assert "Timeout" in said
    assert "in fault" in said, "where the plugin is"


def test_a_process_whose_interpreter_is_held_ends_after_the_daemon(site):
    site.install("frozen", FROZEN)
    put(site.store, "r", "3DBall", 1)
    with site.process("frozen", frozen_s=2.0) as process:
        until(lambda: site.calls("frozen", "try"), "the call")
        assert process.leave() == 1


def test_the_longest_call_under_way_can_be_seen_from_outside(site):
    site.install("frozen", FROZEN)
    calls = ProcessFiles(site.data, "frozen").calls
    put(site.store, "r", "3DBall", 1)
    with site.process("frozen") as process:
        until(
            lambda: calls_under_way(calls, process.pid).get(tag("r"), 0) > 0.3,
            "that it is in a call, whatever it does to its interpreter",
        )
        os.kill(process.pid, 9)
        process.wait()


def test_a_plugin_that_fills_its_memory_is_stopped_by_its_bound(site):
    site.install(
        "greedy",
        """
        def fault(writer, period):
            hoard = []
            while True:
                hoard.append(bytearray(1 << 24))
        """,
    )
    put(site.store, "r", "3DBall", 1)
    with site.process("greedy", options={"greedy": {"max_memory_bytes": 256 << 20}}) as process:
        until(lambda: site.state("greedy") and site.state("greedy").set_aside, "that it fails, as any other")
        assert site.state("greedy").last_error.startswith("MemoryError")
        assert process.drain()[1] == 0


def test_a_start_of_the_daemon_gives_a_plugin_that_was_left_out_another_chance(site):
    site.install("deadly", "def fault(writer, period): os._exit(9)")
    put(site.store, "r", "3DBall", 1)
    for death in range(3):
        with site.process("deadly", restarted=death > 0) as process:
            process.wait()
    site.install("deadly")  # mended
    with site.process("deadly") as process:
        process.ask_to_drain()
        assert process.wait() == 0
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
    with site.process("late") as process:
        until(lambda: site.periods("late") == [1], "the period after all")
        process.drain()


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [("None", "returned None, no list of StatsWriter"), ("[7]", "with 7, which is no StatsWriter")],
)
def test_a_registration_that_returns_something_else_is_told_so(site, returned, complaint):
    site.install("wrong", f"def writers(options): return {returned}")
    put(site.store, "r", "3DBall", 1)
    with site.process("wrong"):
        until(lambda: site.state("wrong") and site.state("wrong").failures > 1, "the failures")
        assert site.state("wrong").state == "not made"
        assert complaint in site.state("wrong").last_error


BROKEN = "raise TypeError('made for another version')"


def test_a_plugin_that_cannot_be_loaded_is_reported_and_left_out(site):
    site.install_source("broken", BROKEN)
    put(site.store, "r", "3DBall", 1)
    with site.process("broken") as process:
        entry = process.event("ready")["plugin"]
        assert process.wait() == 0, "there is nothing for it to do"
    assert (entry["state"], entry["why"]) == ("failed", "TypeError: made for another version")
    assert entry["distribution"] == "broken-plugin"
    assert site.outbox.left() == 1, "what good has before it; the broken one holds nothing"


def test_options_that_a_standard_writer_does_not_know_are_refused_before_a_run_begins(site):
    site.installed.append("csv")
    with site.process("csv", options={"csv": {"colour": "red"}}) as process:
        why = process.event("refused")["why"]
        assert process.wait() == 2
    assert why.startswith("writer csv refuses its options: ")
    assert "colour" in why
