"""A journal damaged at every byte: it costs what was hit, never more, and never in silence."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stats_aggregator.engine.recovery import recover
from stats_aggregator.engine.state import Cut, State
from stats_aggregator.journal.journal import Durability
from stats_aggregator.journal.segment import HEADER_BYTES, RecordKind
from stats_aggregator.journal.segment_reader import read_segment, segment_paths
from stats_aggregator.periods.every import Every
from stats_aggregator.pooling.accumulators import Limits
from stats_aggregator.pooling.summaries import SummaryRows
from stats_aggregator.store.store import Store
from tests.aggregator.clocks import ManualClock
from tests.aggregator.peers import Core, joined

WORKERS, ROUNDS = 2, 2
SEGMENT_BYTES = 1 << 14


class Found(NamedTuple):
    """What a recovery found: which batches (a bit each), and how often; what damage it said."""

    batches: int
    num: int
    damaged_bytes: int
    durable: dict[str, int]


class Journals:
    """One store, and a journal that is replaced before each recovery."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._stores = directory, 0
        self._new_store()

    def _new_store(self) -> None:
        self._stores += 1
        self.store = Store(self._directory / f"{self._stores}.sqlite", durability="none")

    def recover(self, name: str, data: bytes) -> Found:
        """Start on a journal of this one segment."""
        directory = self._directory / "journal"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / name).write_bytes(data)
        state = State(Cut((), Every.parse("manual")), 1 << 20, Limits(100, 100), 100)
        recovered = recover(directory, Durability.PROCESS, state, self.store, ManualClock(), SEGMENT_BYTES)
        recovered.journal.close()
        if self.store.closed_ordinals():  # what is gone for good is noted there
            self.store.close()
            self._new_store()
        rows = [row for period in state.open_periods() for row in SummaryRows(period.accumulator)]
        durable = {session.worker: session.durable_seq for session in state.sessions}
        batches, num = sum(int(row.sum or 0) for row in rows), sum(row.num for row in rows)
        return Found(batches, num, recovered.damaged_bytes, durable)


@pytest.fixture
def journals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Journals]:
    caplog.set_level(logging.CRITICAL, "stats_aggregator")
    # In memory where that is a file system too: it is a thousand starts, each with its syncs.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        found = Journals(Path(directory))
        yield found
        found.store.close()


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """A segment of two sessions with three batches each: batch number n has the one value 2 ** n."""
    with Core(tmp_path / "core", "manual", segment_bytes=SEGMENT_BYTES) as core:
        workers = joined(core, *(f"w{number}" for number in range(WORKERS)))
        for place in range(ROUNDS):
            for number, worker in enumerate(workers):
                core.handle(worker.batch("c", [("x", 0, [2.0 ** (WORKERS * place + number)])]))
        (path,) = segment_paths(core.directory / "journal")
        kept = tmp_path / path.name
        kept.write_bytes(path.read_bytes()[: core.journal.size_bytes])
    return kept


ALL = 2 ** (WORKERS * ROUNDS) - 1


def test_a_flipped_byte_costs_the_record_that_it_is_in(journals: Journals, segment: Path) -> None:
    data, records = segment.read_bytes(), read_segment(segment).records
    last_append = records[-1].append_start
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= 0x55
        found = journals.recover(segment.name, bytes(broken))
        assert found.num == found.batches.bit_count(), position
        hit = next((each for each in records if each.start <= position < each.end), None)
        if hit is None or hit.record.kind not in (RecordKind.GROUP, RecordKind.SESSION):
            # The header and the snapshot stand twice, and values tell of their period's OPEN.
            assert found.batches == ALL, position
        elif hit.record.kind is RecordKind.SESSION:
            assert (ALL & ~found.batches).bit_count() == ROUNDS, position
        else:
            assert (ALL & ~found.batches).bit_count() == 1, position
        assert bool(found.damaged_bytes) == (hit is not None), position
        if hit is not None and hit.append_start == last_append:
            # It may never have been whole: whoever was told that it is says so in the next HELLO.
            assert found.durable["w1"] == ROUNDS - 1, position


def test_a_cut_costs_what_stood_behind_it(journals: Journals, segment: Path) -> None:
    data, records = segment.read_bytes(), read_segment(segment).records
    groups = [each for each in records if each.record.kind is RecordKind.GROUP]
    for length in range(len(data)):
        found = journals.recover(segment.name, data[:length])
        whole = sum(each.append_end <= length for each in groups)
        assert found.batches == 2**whole - 1, length
        assert found.num == whole, length
        torn = length not in (HEADER_BYTES, *(each.append_end for each in records))
        readable = length >= HEADER_BYTES // 2
        assert bool(found.damaged_bytes) == (torn and readable and length > HEADER_BYTES) or not readable
