"""The daemon's core without a socket, and workers that speak to it frame by frame."""

from __future__ import annotations

import itertools
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stats_aggregator.engine.closer import Closer
from stats_aggregator.engine.engine import Engine
from stats_aggregator.engine.recovery import recover
from stats_aggregator.engine.state import Cut, State
from stats_aggregator.journal.journal import Durability
from stats_aggregator.periods.every import Every
from stats_aggregator.pooling.accumulators import Limits
from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredPeriod, StoredProperty
from stats_aggregator_api import PeriodSummaries
from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Message,
    Property,
    Rewind,
    Write,
    decode,
    encode,
    encode_series,
)
from tests.aggregator.clocks import SECOND_NS, ManualClock

SERVER_ID = bytes(range(16))
WAIT_S = 30.0

Series = Sequence[tuple[str, int, Sequence[float]]]
"""Key, aggregation and values of each series of a batch."""


class NoFeed:
    """Nobody wants raw values."""

    wanted = False

    def batch(self, run: str, category: str, ordinal: int, frame: bytes) -> None:
        raise AssertionError("nobody wants raw values")

    def closed(self, run: str, category: str, ordinal: int) -> None:
        pass


class Core:
    """Engine, journal, store and closer of one data directory, with a clock that the test moves.

    With `storing` false the closer does not work: what ended waits. `askers` are those who asked for STATUS.
    """

    def __init__(
        self,
        directory: Path,
        every: str = "auto",
        *,
        clock: ManualClock | None = None,
        overrides: Sequence[tuple[str, str]] = (),
        durability: Durability = Durability.PROCESS,
        grace_s: float = 2.0,
        retain_values: int = 1000,
        retain_bytes: int = 64 << 20,
        journal_bytes: int = 1 << 40,
        max_series: int = 1000,
        max_categories: int = 10_000,
        ingress_bytes: int = 64 << 20,
        segment_bytes: int = 1 << 20,
        server_id: bytes = SERVER_ID,
        accept_loss: bool = False,
        storing: bool = True,
        reaches: Callable[[bytes, bytes], bool] = lambda peer, frame: True,
    ) -> None:
        self.directory = directory
        self.clock = clock or ManualClock()
        self._settings: dict[str, Any] = {
            "every": every,
            "overrides": overrides,
            "durability": durability,
            "grace_s": grace_s,
            "retain_values": retain_values,
            "retain_bytes": retain_bytes,
            "journal_bytes": journal_bytes,
            "max_series": max_series,
            "max_categories": max_categories,
            "ingress_bytes": ingress_bytes,
            "segment_bytes": segment_bytes,
            "server_id": server_id,
        }
        directory.mkdir(parents=True, exist_ok=True)
        self.failures: list[BaseException] = []
        self.askers: list[bytes] = []
        self._news = threading.Event()
        self.store = Store(directory / "store.sqlite", durability="none", clock=self.clock.now_ns)
        names = self.store.closed_ordinals()
        last = {name: found for name in names if (found := self.store.last_period(*name))}
        cut = Cut(tuple((glob, Every.parse(spec)) for glob, spec in overrides), Every.parse(every))
        self.state = State(cut, ingress_bytes, Limits(retain_values, max_series), max_categories, last)
        recovered = recover(
            directory / "journal",
            durability,
            self.state,
            self.store,
            self.clock,
            segment_bytes,
            accept_loss=accept_loss,
        )
        self.journal, self.replay = recovered.journal, recovered.replay
        self.damaged_bytes = recovered.damaged_bytes
        self.closer = Closer(self.store, server_id, self._news.set, self._failed)
        self.engine = Engine(
            self.state,
            self.journal,
            self.closer,
            self.clock,
            NoFeed(),
            self.askers.append,
            server_id=server_id,
            run="default",
            grace_ns=round(grace_s * SECOND_NS),
            windows_ns=[10 * SECOND_NS],
            retain_bytes=retain_bytes,
            journal_bytes=journal_bytes,
            reaches=reaches,
        )
        for ended in recovered.replay.ended:
            self.closer.submit(ended)
        for named in recovered.replay.properties:
            self.closer.submit(named)
        self.engine.close_misfits()
        self._storing = False
        if storing:
            self.start_storing()

    def _failed(self, error: BaseException) -> None:
        self.failures.append(error)
        self._news.set()

    def start_storing(self) -> None:
        self._storing = True
        self.closer.start()

    def settle(self) -> None:
        """Wait until all that ended is stored."""
        deadline_s = time.monotonic() + WAIT_S
        while self.closer.waiting and not self.failures:
            self._news.wait(0.01)
            self._news.clear()
            assert time.monotonic() < deadline_s, "the closer does not come to an end"
        assert self.failures == []

    def handle(self, *messages: tuple[bytes, bytes]) -> list[tuple[bytes, Message]]:
        """Take messages as one group."""
        return [(peer, decode(frame)) for peer, frame in self.engine.handle(messages)]

    def tick(self) -> list[tuple[bytes, Message]]:
        """Let the engine see the time, and store what it ends, until nothing more is due."""
        # Where a group waited for room, the first tick does nothing else.
        replies, before = self.engine.tick(), -1
        while before != self.closer._submitted:
            if self._storing:
                self.settle()
            before = self.closer._submitted
            replies += self.engine.tick()
        return [(peer, decode(frame)) for peer, frame in replies]

    def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.tick()

    def close_all(self) -> list[PeriodSummaries]:
        """End every period; return all that is stored."""
        self.engine.stop(close_all=True)
        if not self._storing:
            self.start_storing()
        self.settle()
        return self.periods()

    def entries(self, run: str | None = None) -> Iterable[StoredPeriod | StoredProperty]:
        for name in [run] if run else [row.run for row in self.store.runs()]:
            position = 0
            while (entry := self.store.next_entry(name, position)) is not None:
                yield entry
                position = entry.position

    def periods(self, category: str | None = None) -> list[PeriodSummaries]:
        """Return what is stored, in the order in which it was."""
        found = [entry.summaries for entry in self.entries() if isinstance(entry, StoredPeriod)]
        return [each for each in found if category in (None, each.period.category)]

    def properties(self) -> list[tuple[str, str, Any]]:
        found = [entry for entry in self.entries() if isinstance(entry, StoredProperty)]
        return [(entry.category, entry.type, entry.value) for entry in found]

    def close(self) -> None:
        if self._storing:
            assert self.closer.stop(WAIT_S)
        self.journal.close()
        self.store.close()

    def crashed(self, directory: Path, **changed: Any) -> Core:
        """Return a core that starts on what a crash would leave now; this one is closed.

        The files are copied as they stand, so nothing that closing does can help.
        """
        shutil.copytree(self.directory, directory)
        self.close()
        return Core(directory, clock=self.clock, **{**self._settings, **changed})

    def __enter__(self) -> Core:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


SERIES: Series = [("x", 0, [1.0, 2.0])]
_numbers = itertools.count(1)


class Worker:
    """One session; it counts its seqs and puts its frames together."""

    def __init__(self, name: str = "w", run: str | None = "run", *, process: bytes | None = None) -> None:
        self.number = next(_numbers)
        self.name, self.run = name, run
        self.session = struct.pack(">QQ", 7, self.number)
        self.process = process or struct.pack(">QQ", 8, self.number)
        self.peer = b"peer-%d" % self.number
        self.seq = 0

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def hello(self, **changed: Any) -> tuple[bytes, bytes]:
        hello = Hello(self.session, self.name, self.run, self.process, {"pid": 1}, self.seq + 1, None)
        return self.peer, encode(hello._replace(**changed))

    def batch(
        self, category: str = "c", series: Series = (), t: int = 0, **changed: Any
    ) -> tuple[bytes, bytes]:
        """Return the next batch; `t` is its t_first and t_last."""
        return self.peer, encode(self.record(category, series, t, **changed))

    def record(self, category: str = "c", series: Series = (), t: int = 0, **changed: Any) -> Batch:
        if "seq" not in changed:
            changed["seq"] = self.next_seq()
        values = [value for _, _, column in series for value in column]
        batch = Batch(
            self.session, 0, category, 0, None, 0, t, t,
            encode_series([(key, aggregation) for key, aggregation, _ in series]) if series else b"",
            struct.pack(f"<{len(series)}I", *(len(column) for _, _, column in series)),
            struct.pack(f"<{len(values)}d", *values),
            0, 0,
        )  # fmt: skip
        return batch._replace(**changed)

    def write(self, step: int, category: str = "c") -> tuple[bytes, bytes]:
        return self.peer, encode(Write(self.session, self.next_seq(), category, step))

    def rewind(self, step: int, category: str = "c") -> tuple[bytes, bytes]:
        return self.peer, encode(Rewind(self.session, self.next_seq(), category, step))

    def property(self, value: Any, category: str = "c", kind: str = "hyperparameters") -> tuple[bytes, bytes]:
        return self.peer, encode(Property(self.session, self.next_seq(), category, kind, value))

    def heartbeat(self) -> tuple[bytes, bytes]:
        return self.peer, encode(Heartbeat(self.session))

    def bye(self) -> tuple[bytes, bytes]:
        return self.peer, encode(Bye(self.session))


def joined(core: Core, *names: str, run: str | None = "run") -> list[Worker]:
    """Return workers that have said HELLO."""
    workers = [Worker(name, run) for name in names]
    core.handle(*(worker.hello() for worker in workers))
    return workers


def answer(core: Core, *messages: tuple[bytes, bytes]) -> Message:
    """Return the one reply to a group."""
    ((_, reply),) = core.handle(*messages)
    return reply


def seq_acked(core: Core, *messages: tuple[bytes, bytes]) -> int:
    reply = answer(core, *messages)
    assert isinstance(reply, Ack)
    return reply.durable_seq


def pooled(core: Core, category: str = "c") -> list[float]:
    """End all periods; return all values of series x."""
    found = [each for each in core.close_all() if each.period.category == category and "x" in each]
    return [value for each in found for value in each["x"].full_dist]
