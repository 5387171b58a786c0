"""Calls from signal handlers: at whatever point of another call one comes, each value counts once."""

from __future__ import annotations

import signal
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import stats_aggregator_client
from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_client import StatsClient
from stats_aggregator_client.buffer import CategoryBuffer
from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.clock import Clock
from stats_aggregator_client.columns import HOT_LIMIT
from stats_aggregator_client.complaints import Complaints
from stats_aggregator_client.counts import Counts
from stats_aggregator_client.door import Door
from stats_aggregator_client.lane import Note
from stats_aggregator_client.outbox import Outbox
from stats_aggregator_client.wire import Closing, Kind

AVERAGE = StatsAggregationMethod.AVERAGE
PACKAGE = str(Path(stats_aggregator_client.__file__).parent)


class Site:
    """A client's buffers and outbox, without a sender."""

    def __init__(self, folds: bool, buffer_bytes: int) -> None:
        self.counts = Counts()
        self.outbox = Outbox(buffer_bytes, Clock(), self.counts, Complaints(), lambda: None, folds=folds)
        self.main, self.other = (CategoryBuffer(name, Closing.TIME, self.outbox) for name in "ab")
        self.put = 0

    def add(self, buffer: CategoryBuffer, key: str, num: int) -> None:
        self.put += num
        buffer.extend(key, [1.0] * num, AVERAGE)

    def handle(self) -> None:
        """What a signal handler may do: a key that is known, a new one, another category, steps, a WRITE."""
        self.add(self.main, "x", 3)
        self.add(self.main, "new", 2)
        self.main.add("new too", 1, AVERAGE)
        self.put += 1
        self.add(self.other, "x", 4)
        self.main.add_steps(5)
        self.other.write(7)
        self.main.write(8)

    def taken(self) -> tuple[int, int, Counter[int]]:
        """Return how many values and steps are sent, those said to be lost too, and the notes by step."""
        values = steps = 0
        notes: Counter[int] = Counter()
        while (taken := self.outbox.take(1 << 19, 1 << 19, alone=True)) is not None:
            if isinstance(taken.item, Note):
                notes[taken.item.step] += taken.item.kind is Kind.WRITE
                continue
            if isinstance(taken.item, Chunk):
                assert sum(taken.item.counts) * 8 == len(taken.item.values)
                assert all(taken.item.counts)
            values += taken.item.num_values + taken.owed.lost
            steps += taken.item.steps + taken.owed.steps
        return values, steps, notes


def interrupted(call: Callable[[], None], handle: Callable[[], None], place: int) -> bool:
    """Make `call`, and `handle` at its line number `place`; return whether there was such a line."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            lines += 1
            if lines == place:
                sys.settrace(None)
                frame.f_trace = None
                handle()
        return trace if lines < place else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines >= place


@pytest.mark.parametrize(("folds", "buffer_bytes"), [(True, 1 << 20), (True, 6000), (False, 6000)])
@pytest.mark.parametrize("call", ["write", "extend", "cut", "add", "add to many"])
def test_a_handler_at_any_line_of_a_call_doubles_and_loses_nothing(
    call: str, folds: bool, buffer_bytes: int
) -> None:
    place = 0
    while True:
        place += 1
        site = Site(folds, buffer_bytes)
        site.add(site.main, "x", 700)
        site.main.add_steps(1)
        calls = {
            "write": lambda site=site: site.main.write(9),
            "extend": lambda site=site: site.add(site.main, "y", 800),
            "cut": site.main.cut,
            "add": lambda site=site: site.main.add("z", 1, AVERAGE),
            "add to many": lambda site=site: site.main.add("hot", 1, AVERAGE),
        }
        for _ in range(HOT_LIMIT if call == "add to many" else 0):
            site.main.add("hot", 1, AVERAGE)
            site.put += 1
        site.put += call.startswith("add")
        is_hit = interrupted(calls[call], site.handle, place)
        if not is_hit:
            break
        site.main.cut()
        site.other.cut()
        values, steps, notes = site.taken()
        assert (values, site.counts.added, steps) == (site.put, site.put, 6), place
        if buffer_bytes > 6000:
            assert notes == Counter([7, 8, 9] if call == "write" else [7, 8]), place
    assert place > 10


def test_what_a_handler_asks_for_is_done_when_its_thread_is_out_though_that_raised() -> None:
    door, done = Door(), []

    def ask(what: str) -> None:
        if not door.postpones(ask, what):
            done.append(what)

    def be_interrupted() -> None:
        with door, door:
            ask("first")
            ask("second")
            assert done == []
            raise KeyError

    with pytest.raises(KeyError):
        be_interrupted()
    assert done == ["first", "second"]
    ask("third")
    assert done == ["first", "second", "third"]


def test_a_real_signal_in_the_middle_of_a_cut_counts_nothing_twice() -> None:
    client = StatsClient("tcp://127.0.0.1:9", flush_interval_s=3600, close_timeout_s=0.2)
    reporter = client.reporter("c")
    keep, flushed, sender = client._outbox.history.keep, [], client._sender

    def handle(*_: object) -> None:
        reporter.write_stats(1)
        flushed.extend([client.flush(5), client.close()])  # neither can wait here

    def interrupted_keep(*arguments: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # the sender cuts too, at its start
            client._outbox.history.keep = keep  # type: ignore[method-assign]
            signal.raise_signal(signal.SIGUSR1)
        keep(*arguments)

    client._outbox.history.keep = interrupted_keep  # type: ignore[method-assign]
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        reporter.add_stats("x", array("d", [1.0] * 100))
        reporter.write_stats(2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert flushed == [False, False]
    # Where the sender stood waiting to come in, it is the one who closes the client: who comes out last does
    # what was put off.
    assert sender is not None
    sender._thread.join(20)
    found = client.statistics()
    assert (found.values_added, found.values_lost + found.values_uncertain) == (100, 100)
    assert found.state == "closed"
