"""Status: however many workers and however long their names, the answer is one message."""

from __future__ import annotations

from pathlib import Path

from stats_aggregator.dispatch.calls import tag
from stats_aggregator.journal.journal import Durability
from stats_aggregator.server.status import ProcessState, describe, describe_writers
from stats_aggregator.store.outbox import Outbox, PluginRow, WriterKey
from stats_aggregator_client.wire import MAX_MESSAGE_BYTES, StatusReply, decode, encode
from tests.aggregator.clocks import SECOND_NS, START_NS
from tests.aggregator.peers import Core, Worker


def test_a_crowd_with_long_names_fits_into_one_message(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        workers = [Worker("w" * 500 + str(number), "r" * 500 + str(number)) for number in range(1500)]
        core.handle(*(worker.hello() for worker in workers))
        core.settle()
        core.handle(*(worker.batch("c" * 500, [("x", 0, [1.0])]) for worker in workers))
        outbox = Outbox(core.store.database, core.clock.now_ns)
        rows = [PluginRow("p" * 200 + str(n), "d", "1", "loaded", "w" * 500, 1, 1) for n in range(500)]
        outbox.begin(rows, 0)
        for row in rows:
            outbox.open_writer(WriterKey(row.plugin, "r" * 500, 0), "Writer")
        found = describe(core.engine, "tcp://127.0.0.1:1", START_NS, core.clock.now_ns())
        found |= describe_writers(outbox, {}, core.clock.now_ns())
        frame = encode(StatusReply(found))
        assert len(frame) < MAX_MESSAGE_BYTES
        assert isinstance(decode(frame), StatusReply)
        assert all(len(found[name]) > 100 for name in ("runs", "workers", "categories", "writers"))


def test_what_is_told_of_a_worker_and_a_category(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        worker = Worker("w", "run")
        core.handle(worker.hello(info={"host": "node1", "pid": 7, "colour": "red"}))
        batch = worker.batch("c", [("x", 0, [1.0, 2.0, 3.0])], core.clock.now_ns(), step=40)
        core.handle(batch, batch)
        core.pass_s(20)
        found = describe(core.engine, "tcp://127.0.0.1:1", START_NS, core.clock.now_ns())
    (told,) = found["workers"]
    assert {name: told[name] for name in ("run", "worker", "state", "batches", "values", "duplicates")} == {
        "run": "run", "worker": "w", "state": "silent", "batches": 1, "values": 3, "duplicates": 1,
    }  # fmt: skip
    assert (told["host"], told["pid"], told["heard_s_ago"]) == ("node1", "7", 20.0)
    assert "colour" not in told
    assert found["categories"] == [
        {"run": "run", "category": "c", "ends_by": "time", "step": 40, "periods_closed": 1, "open_periods": 0,
         "waiting_values": 0, "series": 0}
    ]  # fmt: skip
    assert (found["state"], found["uptime_s"]) == ("running", 20 * SECOND_NS / 1e9)
    assert found["runs"][0]["workers"] == {"alive": 0, "silent": 1, "lost": 0, "gone": 0}


def test_the_totals_count_all_that_was_taken_since_the_start(tmp_path: Path) -> None:
    with Core(tmp_path / "core", durability=Durability.FULL) as core:
        one, other = Worker("w", "run"), Worker("v", "another")
        core.handle(one.hello(), other.hello())
        now_ns = core.clock.now_ns()
        batch = one.batch("c", [("x", 0, [1.0, 2.0, 3.0])], now_ns, lost=4, uncertain=1)
        core.handle(batch, batch, other.batch("c", [("x", 0, [1.0]), ("y", 0, [1.0])], now_ns), (b"?", b"?"))
        found = describe(core.engine, "tcp://127.0.0.1:1", START_NS, now_ns)
        assert found["open"] == {"categories": 2, "periods": 2, "series": 3, "waiting_values": 5}
        core.pass_s(20)
        core.handle(one.batch("c", [("x", 0, [9.0])], now_ns))
        found = describe(core.engine, "tcp://127.0.0.1:1", START_NS, core.clock.now_ns())
    assert found["totals"] == {
        "batches": 3, "values": 6, "late": 1, "lost": 4, "uncertain": 1, "periods_closed": 2
    }  # fmt: skip
    assert (found["received"]["duplicate"], sum(found["rejected"].values())) == (1, 1)
    assert found["sessions"] == {"alive": 0, "silent": 2, "lost": 0, "gone": 0}
    journal, counts = found["journal"], [count for _, count in found["journal"]["syncs_by_s"]]
    assert journal["syncs"] >= counts[-1] >= counts[0] >= 0
    assert counts == sorted(counts)
    assert journal["syncs"] > 0


def test_what_is_told_of_a_plugin_its_process_and_its_writer(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        outbox = Outbox(core.store.database, core.clock.now_ns)
        outbox.begin([PluginRow("csv", "d", "1", "loaded", "", 1000, 10**15)], 0)
        outbox.open_writer(WriterKey("csv", "run", 0), "Csv")
        retry_ns = core.clock.now_ns() + 3 * SECOND_NS
        outbox.retries(WriterKey("csv", "run", 0), 4, retry_ns, "OSError: no")
        process = ProcessState("loaded", "", 7, 2, {tag("another run"): 40.0})
        found = describe_writers(outbox, {"csv": process}, core.clock.now_ns())
    (plugin,), (writer,) = found["plugins"], found["writers"]
    told = {"state": "loaded", "why": "", "pid": 7, "restarts": 2, "in_call_s": 40.0}
    assert {name: plugin[name] for name in told} == told
    told = {name: writer[name] for name in ("state", "failures", "retry_in_s", "last_error", "backlog")}
    assert told == {
        "state": "retrying", "failures": 4, "retry_in_s": 3.0, "last_error": "OSError: no", "backlog": 0
    }  # fmt: skip


def test_the_state_of_a_writer_says_what_it_is_doing(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        outbox = Outbox(core.store.database, core.clock.now_ns)
        outbox.begin([PluginRow("p", "d", "1", "loaded", "", 1000, 10**15)], 0)
        key = WriterKey("p", "run", 0)
        outbox.open_writer(key, "P")

        def state(process_state: str = "loaded", **calls: float) -> str:
            process = ProcessState(process_state, "", 7, 0, {tag(run): s for run, s in calls.items()})
            (writer,) = describe_writers(outbox, {"p": process}, core.clock.now_ns())["writers"]
            return str(writer["state"])

        assert state() == "up to date"
        core.store.add_property("run", "c", "hyperparameters", {"lr": 1.0}, b"s" * 16, 1)
        assert state() == "delivering"
        assert (state(run=4.0), state(run=6.0), state(other=6.0)) == ("delivering", "in a call", "delivering")
        assert (state("failed"), state("set aside"), state("starting")) == (
            "not loaded", "set aside", "starting"
        )  # fmt: skip
        outbox.retries(key, 1, 0, "no", state="not made")
        assert (state(), state(run=6.0)) == ("not made", "in a call")
        outbox.closed(key)
        assert state() == "closed"


def test_writers_of_runs_that_have_ended_are_told_last(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        outbox = Outbox(core.store.database, core.clock.now_ns)
        outbox.begin([PluginRow("p", "d", "1", "loaded", "", 1000, 10**15)], 0)
        for run in ("a", "b", "c"):
            outbox.open_writer(WriterKey("p", run, 0), "P")
        outbox.closed(WriterKey("p", "a", 0))
        found = describe_writers(outbox, {}, core.clock.now_ns())["writers"]
    assert [writer["run"] for writer in found] == ["b", "c", "a"]
