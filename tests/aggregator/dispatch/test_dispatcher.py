"""Dispatcher in this process, with a clock that the test moves: a writer that is away for an hour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.metadata import EntryPoint
from pathlib import Path

from stats_aggregator.dispatch.dispatcher import Dispatcher
from stats_aggregator.dispatch.plugins import Plugin, PluginEntry
from stats_aggregator.dispatch.retry import Retry
from stats_aggregator.dispatch.terms import Terms
from stats_aggregator.store.outbox import Outbox, PluginRow
from stats_aggregator.store.store import Store
from stats_aggregator_api import RunOptions, StatSummary, StatsWriter
from tests.aggregator.clocks import SECOND_NS, ManualClock
from tests.aggregator.writers_process import put

WAIT_S = 30.0


class Notes(StatsWriter):
    """Notes the steps that it took, and calls `before` in front of each."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.steps: list[int] = []
        self.changed = threading.Condition()
        self.closed = False
        self._before = before

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        self._before()
        with self.changed:
            self.steps.append(step)
            self.changed.notify_all()

    def close(self) -> None:
        self.closed = True

    def wait_for(self, steps: list[int]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.steps == steps, WAIT_S), self.steps


class Bench:
    """A store, and a dispatcher for each writer."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.store = Store(directory / "store.sqlite", durability="none", clock=self.clock.now_ns)
        self.outbox = Outbox(self.store.database, self.clock.now_ns)
        self.dispatchers: list[Dispatcher] = []

    def dispatch(self, **writers: StatsWriter) -> None:
        self.outbox.begin([PluginRow(name, "d", "1", "loaded", "", 1000, 10**18) for name in writers], 0)
        terms = Terms(
            self.store.database.path, Retry(), 3600.0, nullcontext, lambda run, made: None,
            now_s=lambda: self.clock.now_ns() / SECOND_NS, now_ns=self.clock.now_ns,
        )  # fmt: skip
        for name, writer in writers.items():
            self.dispatchers.append(Dispatcher(_plugin(name, writer), {}, self.store, "results", terms))

    def tick(self) -> None:
        for dispatcher in self.dispatchers:
            dispatcher.tick()

    def end(self) -> None:
        for dispatcher in self.dispatchers:
            dispatcher.drain()
            assert dispatcher.join(WAIT_S)
        self.store.close()


def _plugin(name: str, writer: StatsWriter) -> Plugin:
    def register(options: RunOptions) -> list[StatsWriter]:
        return [writer]

    entry = PluginEntry(name, name, "group", "d", "1", "module:function", "loaded")
    return Plugin(entry, EntryPoint(name, "module:function", "group"), register=register)


def test_a_writer_that_returns_after_an_hour_gets_the_rest_in_order_and_once(tmp_path: Path) -> None:
    inside, go = threading.Event(), threading.Event()

    def away() -> None:
        inside.set()
        assert go.wait(WAIT_S)

    slow, quick, bench = Notes(away), Notes(), Bench(tmp_path)
    bench.dispatch(slow=slow, quick=quick)
    put(bench.store, "r", "c", 1)
    bench.tick()
    assert inside.wait(WAIT_S)
    for ordinal in range(2, 61):
        bench.clock.pass_s(61)
        put(bench.store, "r", "c", ordinal)
        bench.tick()
    everything = [100 * ordinal for ordinal in range(1, 61)]
    quick.wait_for(everything)
    assert slow.steps == []
    (state,) = [state for state in bench.outbox.writer_states() if state.plugin == "slow"]
    assert (state.state, state.backlog, state.skipped) == ("ok", 60, 0)
    go.set()
    slow.wait_for(everything)
    assert not slow.closed, "an hour in a call is no hour without news"
    bench.end()
    assert slow.steps == everything
