"""Promise 1 after a loss of power: no answer leaves before what it says is on the disk.

A `kill -9` cannot show it, the kernel writes what it holds. So a real daemon runs under strace, twice with a
kill between, and what its system calls left on the disk is judged as of any moment: with all that was not
synced gone, or any part of it. The daemon's core starts on that, and the oracle finds every value that was
acknowledged.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator_client.wire import Ack, Welcome
from tests.aggregator.peers import Core
from tests.oracle import Oracle
from tests.system.daemons import Daemon
from tests.system.disks import SECTOR_BYTES, Disk, Fate, NameChange, Write, deletions_alone, nothing
from tests.system.raw_workers import Crew
from tests.system.traces import Call, calls_of, messages_sent, traced_python

SCRIPTS = ("p" + "b" * 12, "pb" + "x" + "b" * 10, "pbb" + "--" + "b" * 10)
SEGMENT_BYTES = 1 << 16


class Life(NamedTuple):
    """What a daemon is to live through."""

    every: str
    num_values: int
    journal_bytes: int


MANY_PERIODS = Life("7 steps", 600, 1 << 30)
"""Segments go when their periods are stored."""
ONE_LARGE_PERIOD = Life("manual", 5000, 1 << 20)
"""Segments go at a checkpoint."""


class Said(NamedTuple):
    """An answer: at what place in the trace it began to leave, and all up to which seq it says is safe."""

    place: int
    session: bytes
    seq: int
    is_welcome: bool


@dataclass(frozen=True, repr=False)
class Traced:
    """A daemon's life: its files, its system calls, and what it said to its workers."""

    life: Life
    directory: Path
    calls: list[Call]
    said: list[Said]
    crew: Crew

    @property
    def run_ended(self) -> int:
        """From where on the id of the run is not needed any more."""
        unlinks = (call for call in self.calls if call.name == "unlink")
        return next(call.start for call in unlinks if call.path.endswith("run-id"))


@pytest.fixture(scope="module", params=[MANY_PERIODS, ONE_LARGE_PERIOD], ids=["many", "large"])
def traced(request: pytest.FixtureRequest) -> Iterator[Traced]:
    life: Life = request.param
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        daemon = Daemon(
            directory,
            *("--every", life.every, "--close-on-stop", "--writer", "jsonl"),
            python=traced_python(directory),
            environment={
                "STATS_AGGREGATOR_SEGMENT_BYTES": str(SEGMENT_BYTES),
                "STATS_AGGREGATOR_JOURNAL_BYTES": str(life.journal_bytes),
            },
        )
        pids = []
        with Crew(Oracle(), SCRIPTS, life.num_values) as crew:
            for enough in (crew.is_half_done, daemon.poll):
                daemon.kill()
                daemon.start()
                pids.append(daemon.pid)
                crew.connect(daemon.address)
                crew.work(enough)
            assert daemon.stop() == 0
            calls = calls_of(directory, pids)
            said = [
                Said(place, message.session, message.durable_seq, isinstance(message, Welcome))
                for place, message in messages_sent(calls)
                if isinstance(message, Ack | Welcome)
            ]
            yield Traced(life, directory, calls, said, crew)


def _segment(path: str) -> str | None:
    return path.removesuffix(".new") if path.removesuffix(".new").endswith(".journal") else None


def _is_synced(calls: list[Call], part: bytes, place: int) -> bool:
    """Return whether a segment holds `part`, written and synced before `place`."""
    writes = [call for call in calls if _segment(call.path) and part in call.data and call.end < place]
    return any(
        _segment(sync.path) == _segment(write.path) and write.end < sync.start and sync.end < place
        for write in writes
        for sync in calls
        if sync.name in ("fsync", "fdatasync")
    )


def test_every_answer_leaves_after_the_sync_of_what_it_says_is_stored(traced: Traced) -> None:
    asked = 0
    for worker, script in zip(traced.crew.workers, SCRIPTS, strict=True):
        said = [each for each in traced.said if each.session == worker.session]
        assert sum(each.is_welcome for each in said) >= 2
        assert said[-1].seq == len(script)
        for each in said:
            assert _is_synced(traced.calls, worker.session, each.place), "welcomed, and not noted"
            taken = [seq for seq in range(1, each.seq + 1) if script[seq - 1] in "pb"]
            for seq in taken:
                asked += 1
                assert _is_synced(traced.calls, worker.frame(seq), each.place), f"{each}: not {seq}"
    assert asked > 100


def _after_power_loss(traced: Traced, place: int, fate: Fate) -> None:
    """Start on what is left, and compare it with what was said before."""
    acked: dict[bytes, int] = {}
    for each in traced.said:
        if each.place <= place:
            acked[each.session] = max(each.seq, acked.get(each.session, 0))
    with tempfile.TemporaryDirectory() as name:
        left = Path(name)
        Disk(traced.directory).run(traced.calls, place).crash(left, fate)
        if acked:
            kept = traced.directory / "data" / "server-id"
            assert (left / "data" / "server-id").read_text() == kept.read_text()
            assert (left / "data" / "run-id").is_file() or place >= traced.run_ended
        with Core(left / "data", traced.life.every, segment_bytes=SEGMENT_BYTES) as core:
            _compare(traced, core, acked)


def _compare(traced: Traced, core: Core, acked: dict[bytes, int]) -> None:
    oracle, properties = Oracle(), set()
    num_values = traced.life.num_values
    for worker, script in zip(traced.crew.workers, SCRIPTS, strict=True):
        oracle.sent(worker.number, script.count("b") * num_values)
        if worker.session not in acked:
            continue
        session, seq = core.state.sessions.get(worker.session), acked[worker.session]
        assert session is not None, f"worker {worker.number} was welcomed, and is not known"
        assert session.durable_seq >= seq, f"worker {worker.number}"
        oracle.acked(worker.number, script[:seq].count("b") * num_values)
        if "p" in script[:seq]:
            properties.add(worker.number)
    oracle.check(core.close_all())
    assert {value["worker"] for _, _, value in core.properties()} >= properties


def _turning_points(traced: Traced) -> list[int]:
    """Return where an answer left that says something new, and where names went or came."""
    newest: dict[bytes, int] = {}
    places = set()
    for each in traced.said:
        if each.seq > newest.get(each.session, -1):
            newest[each.session] = each.seq
            places.add(each.place)
    places |= {call.end for call in traced.calls if call.name in ("unlink", "rename") and "data" in call.path}
    return sorted(places)


@pytest.mark.parametrize("fate", [nothing, deletions_alone])
def test_at_each_answer_and_deletion_what_was_synced_is_enough(fate: Fate, traced: Traced) -> None:
    places = _turning_points(traced)
    assert len(places) > 30
    for place in places:
        _after_power_loss(traced, place, fate)


def test_segments_went_while_it_was_traced(traced: Traced) -> None:
    """Otherwise the tests above would not show that what a segment holds is safe elsewhere before it goes."""
    gone = [call.path for call in traced.calls if call.name == "unlink" and _segment(call.path)]
    assert len(gone) >= 2
    assert any("sqlite-wal" in call.path for call in traced.calls if call.name == "fdatasync")


class _Lot:
    """A fate by lot: of each change all, nothing, or a part."""

    def __init__(self, random: random.Random) -> None:
        self._random = random

    def __call__(self, change: Write | NameChange) -> object:
        if isinstance(change, NameChange) or not change.data:
            return self._random.random() < 0.5
        kind = self._random.randrange(3)
        if kind < 2:
            return bool(kind)
        first, last = change.offset // SECTOR_BYTES, (change.offset + len(change.data)) // SECTOR_BYTES
        return {sector for sector in range(first, last + 1) if self._random.random() < 0.5}


@settings(max_examples=30, deadline=None)
@given(part=st.floats(0, 1), random=st.randoms(use_true_random=False))
def test_at_any_moment_any_part_of_what_was_not_synced_may_be_gone(
    traced: Traced, part: float, random: random.Random
) -> None:
    begin = next(call.start for call in traced.calls if "data" in call.path and call.name.startswith("mkdir"))
    place = begin + round(part * (traced.calls[-1].end - begin))
    _after_power_loss(traced, place, _Lot(random))
