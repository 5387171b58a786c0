"""Recovery: a disk without room, damaged files, and a closer that never came to it."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stats_aggregator.journal.decisions import unpack_group
from stats_aggregator.journal.journal import Durability
from stats_aggregator.journal.segment import RecordKind
from stats_aggregator.journal.segment_reader import read_segment, segment_paths
from stats_aggregator_client.wire import Ack, Nack, Reject, Welcome, decode
from tests.aggregator.clocks import SECOND_NS, START_NS, ManualClock
from tests.aggregator.peers import Core, Worker, joined
from tests.aggregator.pictures import picture

FILE_BYTES = 1 << 20
LARGE = [("x", 0, [1.0] * 100_000)]


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Yield what limits the size of files, so that a large append finds no room; -1 lifts it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes if size_bytes >= 0 else before[0], before[1]))

    yield limit
    limit(-1)


def stalled(core: Core, limit: Callable[[int], None]) -> tuple[Worker, Worker, tuple[bytes, bytes]]:
    """Return two workers of a core whose group, of two large batches of the first one, waits for room."""
    first, second = joined(core, "w1", "w2")
    core.handle(first.batch("c", [("x", 0, [0.0])]))
    core.settle()
    limit(FILE_BYTES)
    large = [first.batch("c", LARGE), first.batch("c", LARGE)]
    assert core.handle(*large) == []
    assert core.engine.stalled
    return first, second, large[0]


def test_while_the_disk_is_full_nothing_is_acknowledged_and_nobody_is_forgotten(tmp_path, limit):
    with Core(tmp_path / "core", "manual", segment_bytes=1 << 16) as core:
        first, second, large = stalled(core, limit)
        # What is new, comes again, leaves a gap or makes no sense gets no answer that could not be kept.
        assert core.handle(second.batch("c", [("x", 0, [2.0])]), large, first.batch("c", (), seq=9)) == []
        assert core.handle(second.batch("bad\n")) == []
        assert core.handle(Worker("new").hello()) == []
        assert core.handle(second.hello(first_unacked=1000)) == []
        for worker, seq in ((first, 1), (second, 0)):
            ((_, beat),) = core.handle(worker.heartbeat())
            ((_, welcome),) = core.handle(worker.hello(first_unacked=seq + 1))
            assert isinstance(beat, Ack)
            assert isinstance(welcome, Welcome)
            assert (beat.durable_seq, beat.credit) == (welcome.durable_seq, welcome.credit) == (seq, 0)
        assert core.engine.tick() == []
        limit(-1)
        replies = [decode(frame) for _, frame in core.engine.tick()]
        assert [(reply.session, reply.durable_seq) for reply in replies] == [(first.session, 3)]
        second.seq = 0
        assert [type(reply) for _, reply in core.handle(second.hello())] == [Welcome]
        assert core.handle(second.batch("c", [("x", 0, [2.0])]))[0][1].durable_seq == 1
        (found,) = core.close_all()
        assert (found["x"].num, found["x"].sum) == (200_002, 200_002.0)


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.PROCESS])
def test_a_crash_while_the_disk_is_full_loses_nothing_and_counts_nothing_twice(tmp_path, limit, durability):
    core = Core(tmp_path / "a", "manual", segment_bytes=1 << 16, durability=durability)
    first, second, large = stalled(core, limit)
    core.handle(second.hello(), Worker("new").hello(), first.hello(), first.heartbeat())
    limit(-1)
    with core.crashed(tmp_path / "b") as core:
        ((_, welcome),) = core.handle(first.hello(first_unacked=2))
        assert isinstance(welcome, Welcome)
        assert welcome.durable_seq == 1
        core.handle(large)
        first.seq = 2
        core.handle(first.batch("c", LARGE), second.hello())
        (found,) = core.close_all()
    assert (found["x"].num, found["x"].sum) == (200_001, 200_000.0)


def test_time_goes_on_closing_periods_once_there_is_room(tmp_path, limit):
    with Core(tmp_path / "core", "10s", segment_bytes=1 << 16) as core:
        (worker,) = joined(core, "w")
        core.handle(worker.batch("c", [("x", 0, [0.0])], START_NS))
        core.settle()
        limit(FILE_BYTES)
        core.handle(worker.batch("c", LARGE, START_NS), worker.batch("c", LARGE, START_NS))
        core.pass_s(60)
        assert core.periods() == []
        limit(-1)
        core.pass_s(1)
        (found,) = core.periods()
        assert (found["x"].num, found.period.end) == (200_001, START_NS + 10 * SECOND_NS)


def test_a_stop_without_room_leaves_what_it_could_not_close_to_the_next_start(tmp_path, limit):
    core = Core(tmp_path / "a", "10s", segment_bytes=1 << 16)
    workers = joined(core, *(f"w{number}" for number in range(4)))
    for worker in workers:
        core.handle(worker.batch("c", [("x", 0, [1.0])], START_NS))
    core.settle()
    limit(core.journal.size_bytes)
    assert core.engine.stop(close_all=False) == 4
    limit(-1)
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
        assert found["x"].num == 4


def damage(directory: Path, kind: RecordKind, place: int = 0) -> int:
    """Flip a bit in the body of a record of that kind; return how many values stood in it."""
    for path in segment_paths(directory):
        records = [each for each in read_segment(path).records if each.record.kind is kind]
        if len(records) > place:
            data = bytearray(path.read_bytes())
            data[records[place].end - 1] ^= 1
            path.write_bytes(data)
            if kind is not RecordKind.GROUP:
                return 0
            entries = unpack_group(bytes(records[place].record.body[0]))
            batches = [decode(entry.frame) for entry in entries]
            return sum(len(batch.values) // 8 for batch in batches if hasattr(batch, "values"))
    raise AssertionError(f"no record {place} of {kind}")


@pytest.mark.parametrize("every", ["10s", "manual"])
def test_a_damaged_record_costs_itself_alone(tmp_path, every, caplog):
    core = Core(tmp_path / "a", every, segment_bytes=1 << 20)
    first, second = joined(core, "w1", "w2")
    for number in range(10):
        for worker in (first, second):
            core.handle(worker.batch("c", [("x", 0, [1.0])], START_NS + number))
    lost = damage(core.directory / "journal", RecordKind.GROUP, 7)
    with core.crashed(tmp_path / "b") as core:
        assert core.damaged_bytes > 0
        assert "damaged record" in caplog.text
        assert len(list((core.directory / "damaged").iterdir())) == 1
        (_, welcome), *_ = core.handle(second.hello())
        assert (welcome.durable_seq, lost) == (10, 1)
        (found,) = core.close_all()
    assert found["x"].num == 19


@pytest.mark.parametrize(("every", "start_ns"), [("10s", START_NS), ("manual", START_NS + 3)])
def test_a_damaged_open_costs_no_values(tmp_path, every, start_ns):
    core = Core(tmp_path / "a", every, segment_bytes=1 << 20)
    (worker,) = joined(core, "w")
    core.clock.pass_s(1)
    for number in range(5):
        core.handle(worker.batch("c", [("x", 0, [1.0])], START_NS + 3 + number))
    damage(core.directory / "journal", RecordKind.OPEN)
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
    assert (found["x"].num, found.period.start) == (5, start_ns)


def test_a_damaged_session_costs_its_batches_which_the_next_hello_tells(tmp_path, caplog):
    core = Core(tmp_path / "a", "manual", segment_bytes=1 << 20)
    first, second = joined(core, "w1", "w2")
    for worker in (first, second):
        core.handle(worker.batch("c", [("x", 0, [1.0])]), worker.batch("c", [("x", 0, [1.0])]))
    damage(core.directory / "journal", RecordKind.SESSION)
    with core.crashed(tmp_path / "b") as core:
        core.handle(first.hello(), second.hello())
        assert "2 batches of w1 were acknowledged, but are not in this data directory" in caplog.text
        assert core.handle(first.batch("c", [("x", 0, [5.0])]))[0][1].durable_seq == 3
        (found,) = core.close_all()
    assert found["x"].sum == 7.0


def test_another_data_directory_takes_the_next_batch_and_asks_for_none_of_the_old(tmp_path):
    with Core(tmp_path / "a", "manual") as core:
        (worker,) = joined(core, "w")
        core.handle(*(worker.batch("c", [("x", 0, [1.0])]) for _ in range(5)))
    with Core(tmp_path / "b", "manual") as core:
        replies = core.handle(worker.hello(), worker.batch("c", [("x", 0, [2.0])]))
        assert not any(isinstance(reply, Nack | Reject) for _, reply in replies)
        (found,) = core.close_all()
    assert found["x"].sum == 2.0


def test_recovery_is_repeatable_and_leaves_one_segment_of_what_is_open(tmp_path):
    core = Core(tmp_path / "0", "manual", segment_bytes=1 << 14)
    (worker,) = joined(core, "w")
    for number in range(100):
        core.handle(worker.batch("c", [("x", 0, [float(number)] * 30)]))
    before, sizes = picture(core.state), []
    for crash in range(1, 5):
        core = core.crashed(tmp_path / str(crash))
        assert picture(core.state) == before
        sizes.append((core.journal.segments, core.journal.size_bytes))
    assert len(set(sizes[1:])) == 1
    core.close()


def test_a_torn_last_append_is_as_if_it_had_not_been(tmp_path):
    core = Core(tmp_path / "a", "manual", segment_bytes=1 << 20)
    (worker,) = joined(core, "w")
    for _ in range(5):
        core.handle(worker.batch("c", [("x", 0, [1.0])]))
    (path,) = segment_paths(core.directory / "journal")
    end = read_segment(path).records[-1].end
    data = path.read_bytes()
    path.write_bytes(data[: end - 5] + bytes(len(data) - end + 5))
    with core.crashed(tmp_path / "b") as core:
        ((_, welcome),) = core.handle(worker.hello(first_unacked=5))
        assert welcome.durable_seq == 4
        core.handle(worker.batch("c", [("x", 0, [1.0])], seq=5))
        (found,) = core.close_all()
    assert found["x"].num == 5


class HastyClock(ManualClock):
    """Four seconds pass between any two looks at it."""

    def now_ns(self) -> int:
        self.pass_s(4)
        return super().now_ns()


def test_a_long_recovery_says_how_far_it_is(tmp_path, caplog):
    core = Core(tmp_path / "a", "manual", segment_bytes=1 << 20)
    (worker,) = joined(core, "w")
    for _ in range(4):
        core.handle(worker.batch("c", LARGE))
    core.clock = HastyClock()
    caplog.set_level(logging.INFO)
    with core.crashed(tmp_path / "b"):
        said = [line for line in caplog.messages if line.startswith("recovering: ")]
    megabytes = [int(line.split()[1]) for line in said]
    assert len(megabytes) > 1
    assert megabytes == sorted(megabytes)
    assert said[-1] == f"recovering: {megabytes[-1]} of {megabytes[-1]} MB read"
