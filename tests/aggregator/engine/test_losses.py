"""What a start finds gone is said and refused, or accepted and counted; nothing else is taken for gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stats_aggregator import failpoints
from stats_aggregator.errors import AcknowledgedGone, SettingError
from stats_aggregator.journal.journal import Durability
from stats_aggregator.journal.segment import HEADER_BYTES, RecordKind
from stats_aggregator.journal.segment_reader import read_header, read_segment, segment_paths
from stats_aggregator.store.ordinals import ClosedOrdinals
from stats_aggregator_client.wire import Welcome
from tests.aggregator.peers import Core, Worker, joined

NUM, ROUNDS = 200, 12
FULL = Durability.FULL


def push(core: Core, worker: Worker, category: str, rounds: int = ROUNDS) -> None:
    for _ in range(rounds):
        core.handle(worker.batch(category, [("x", 0, [1.0] * NUM)]))


def left(directory: Path, durability: Durability = FULL, storing: bool = True) -> tuple[Core, Worker]:
    """Return a core with a period over several segments."""
    core = Core(directory, "manual", segment_bytes=1 << 12, durability=durability, storing=storing)
    (worker,) = joined(core, "w")
    push(core, worker, "long")
    assert core.journal.segments > 4
    return core, worker


def lose(core: Core, place: int) -> None:
    segment_paths(core.directory / "journal")[place].unlink()


@pytest.mark.parametrize("place", [0, 2])
def test_a_segment_that_is_gone_stops_a_start_and_accepted_its_values_stand_as_lost(
    tmp_path: Path, place: int
) -> None:
    core, _ = left(tmp_path / "a")
    lose(core, place)
    with pytest.raises(AcknowledgedGone, match=r"\d00 values of 1 periods .*--accept-loss"):
        core.crashed(tmp_path / "b")
    with Core(tmp_path / "b", "manual", segment_bytes=1 << 12, durability=FULL, accept_loss=True) as core:
        lost = sum(core.replay.gone.values())
    assert lost % NUM == 0 < lost
    for start in ("c", "d"):  # once is enough: the journal knows of it from then on
        with Core(tmp_path / "b", "manual", segment_bytes=1 << 12, durability=FULL) as core:
            assert core.replay.gone == {}, start
            (period,) = core.state.open_periods()
            assert (period.lost, period.accumulator.num_values) == (lost, NUM * ROUNDS - lost)


def test_the_newest_segment_is_missed(tmp_path: Path) -> None:
    core, _ = left(tmp_path / "a")
    lose(core, -1)
    with pytest.raises(AcknowledgedGone, match=r"the newest segment of the journal, 0+\d+\.journal, is not"):
        core.crashed(tmp_path / "b")


def test_where_less_than_full_durability_is_wanted_a_loss_is_said_and_counted_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core, _ = left(tmp_path / "a", Durability.PROCESS)
    lose(core, 0)
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
    assert (found.period.lost + found["x"].num, found.period.lost % NUM) == (NUM * ROUNDS, 0)
    assert f"{found.period.lost} values are lost" in caplog.text


def test_an_ended_period_that_was_not_stored_and_is_gone_from_the_journal_is_stored_with_its_loss(
    tmp_path: Path,
) -> None:
    core, worker = left(tmp_path / "a", storing=False)
    core.handle(worker.write(7, "long"))
    push(core, worker, "other")
    for path in segment_paths(core.directory / "journal")[:-1]:
        path.unlink()
    core.start_storing = lambda: None  # type: ignore[method-assign] # nothing of it was ever stored
    with pytest.raises(AcknowledgedGone, match="2 periods"):
        core.crashed(tmp_path / "b")
    with Core(tmp_path / "b", "manual", segment_bytes=1 << 12, durability=FULL, accept_loss=True) as core:
        core.settle()
        (found,) = core.periods("long")
        assert (found.period.lost, found.period.step, dict(found)) == (NUM * ROUNDS, 7, {})


def test_segments_that_went_since_all_in_them_is_stored_are_not_missed(tmp_path: Path) -> None:
    core, worker = left(tmp_path / "0")
    for crash in range(1, 4):
        for step in range(3):
            push(core, worker, "short")
            core.handle(worker.write(10 * crash + step, "short"))
            core.tick()
        numbers = [int(path.stem) for path in segment_paths(core.directory / "journal")]
        assert numbers[-1] - numbers[0] >= len(numbers)  # some between them went
        core = core.crashed(tmp_path / str(crash))
        assert core.replay.gone == {}
        core.handle(worker.hello())
    found = {each.period.category: each for each in core.close_all()}
    assert found["long"]["x"].num == NUM * ROUNDS
    assert [each.period.lost for each in core.periods()] == [0] * len(core.periods())
    core.close()


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_snapshot_costs_nothing_while_its_copy_tells_whose_the_values_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: int
) -> None:
    core, worker = left(tmp_path / "a")
    core.handle(worker.write(1, "long"))
    core.tick()
    push(core, worker, "open", 3)
    for path in segment_paths(core.directory / "journal"):  # where the session began has gone
        data = bytearray(path.read_bytes())
        for record in read_segment(path).records[:damaged]:
            assert record.record.kind is RecordKind.SNAPSHOT
            data[record.end - 1] ^= 1
        path.write_bytes(data)
    with core.crashed(tmp_path / "b") as core:
        ((_, welcome),) = core.handle(worker.hello())
        assert isinstance(welcome, Welcome)
        assert welcome.durable_seq == worker.seq
        core.close_all()
        nums = [each["x"].num for each in core.periods("open") if "x" in each]
    # Without any snapshot nobody knows whose they are: it is said, and the worker's HELLO says how many.
    assert nums == ([NUM * 3] if damaged == 1 else [])
    assert ("messages are of sessions whose beginning is damaged" in caplog.text) == (damaged == 2)
    assert ("were acknowledged, but are not in this data directory" in caplog.text) == (damaged == 2)


def test_a_segment_that_is_put_back_from_long_ago_is_not_counted_again(tmp_path: Path) -> None:
    core, worker = Core(tmp_path / "a", "manual", durability=FULL), Worker("w")
    core.handle(worker.hello())
    push(core, worker, "c")
    (old,) = segment_paths(core.directory / "journal")
    kept = old.read_bytes()
    for start in ("b", "c"):  # what replaces it is itself replaced, and tells of it no more
        core = core.crashed(tmp_path / start)
    (core.directory / "journal" / old.name).write_bytes(kept)
    with core.crashed(tmp_path / "d") as core:
        (found,) = core.close_all()
    assert found["x"].num == NUM * ROUNDS


def with_checkpoint(directory: Path) -> tuple[Core, Worker]:
    """Return a core whose journal is one segment, which a checkpoint has just begun."""
    core = Core(directory, "manual", segment_bytes=1 << 12, journal_bytes=1 << 14, durability=FULL)
    (worker,) = joined(core, "w")
    while not core.journal.checkpoints:
        push(core, worker, "long", 1)
    return core, worker


def damage_checkpoint(core: Core) -> None:
    (path,) = segment_paths(core.directory / "journal")
    data = bytearray(path.read_bytes())
    (checkpoint,) = [
        stored for stored in read_segment(path).records if stored.record.kind is RecordKind.CHECKPOINT
    ]
    data[checkpoint.end - 1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("more", [0, 2])
def test_a_damaged_checkpoint_is_damage_wherever_it_stands_and_its_values_stand_as_lost(
    tmp_path: Path, more: int
) -> None:
    core, worker = with_checkpoint(tmp_path / "a")
    before = worker.seq * NUM
    push(core, worker, "long", more)
    damage_checkpoint(core)
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
    assert found.period.lost == before
    assert [summary.num for summary in found.values()] == [NUM * more] * bool(more)


def test_a_start_that_dies_while_it_makes_up_for_damage_is_not_refused_at_the_next(tmp_path: Path) -> None:
    core, worker = with_checkpoint(tmp_path / "a")
    before = worker.seq * NUM
    push(core, worker, "long", 2)
    damage_checkpoint(core)
    failpoints.arm("segment.create.before=error(EIO)")
    try:
        with pytest.raises(OSError, match="Input/output error"):
            core.crashed(tmp_path / "b")
    finally:
        failpoints.arm("")
    (path,) = [path for path in segment_paths(tmp_path / "b" / "journal") if read_header(path).replaces]
    assert not read_segment(path).damage  # nothing in it tells of the damage any more
    with Core(tmp_path / "b", "manual", segment_bytes=1 << 12, durability=FULL) as core:
        (found,) = core.close_all()
    assert (found.period.lost, found["x"].num) == (before, NUM * 2)


@pytest.mark.parametrize("size", [0, HEADER_BYTES // 2, HEADER_BYTES, HEADER_BYTES + 40])
def test_a_newest_segment_that_is_cut_where_it_begins_is_an_error_and_no_torn_tail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    core, worker = left(tmp_path / "a")
    push(core, worker, "long", 1)
    newest = segment_paths(core.directory / "journal")[-1]
    os.truncate(newest, size)
    with core.crashed(tmp_path / "b") as core:
        (period,) = core.state.open_periods()
        assert 0 < period.accumulator.num_values <= NUM * ROUNDS
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [text for text in said if newest.name in text and "where it begins" in text], caplog.text


def test_a_torn_tail_right_behind_the_head_of_a_segment_excuses_no_other_that_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core, worker = left(tmp_path / "a")
    number = core.journal.segments
    while core.journal.segments == number:
        push(core, worker, "long", 1)
    newest = segment_paths(core.directory / "journal")[-1]
    head = read_segment(newest)
    assert head.header is not None
    assert head.header.head_bytes == head.records[-1].end
    with newest.open("r+b") as file:
        file.seek(head.header.head_bytes)
        file.write(b"\1\2\3\4" * 10)
    sent = worker.seq * NUM
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    with core.crashed(tmp_path / "b") as core:
        (period,) = core.state.open_periods()
        assert (period.accumulator.num_values, period.lost) == (sent, 0)
        assert (core.damaged_bytes, core.replay.gone) == (40, {})
    assert "torn tail, 40 bytes" in caplog.text
    segment_paths(tmp_path / "c" / "journal")[1].unlink()
    with pytest.raises(AcknowledgedGone, match=r"\d00 values of 1 periods .*--accept-loss"):
        Core(tmp_path / "c", "manual", segment_bytes=1 << 12, durability=FULL)


def test_a_segment_whose_head_is_zeros_is_damaged_and_no_torn_tail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core, worker = with_checkpoint(tmp_path / "a")
    before = worker.seq * NUM
    (path,) = segment_paths(core.directory / "journal")
    checkpoint = read_segment(path).records[-1]
    with path.open("r+b") as file:
        file.seek(checkpoint.start)
        file.write(bytes(checkpoint.end - checkpoint.start))
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
    assert (found.period.lost, dict(found)) == (before, {})
    assert "damaged record" in caplog.text


def test_without_a_journal_a_start_does_not_forget_what_one_holds(tmp_path: Path) -> None:
    core, _ = left(tmp_path / "a")
    core.close()
    with pytest.raises(SettingError, match=r"durability is 'none'; .* holds 1 periods that are not stored"):
        Core(tmp_path / "a", "manual", durability=Durability.NONE)
    with Core(tmp_path / "a", "manual", durability=FULL) as core:
        core.close_all()
    with Core(tmp_path / "a", "manual", durability=Durability.NONE) as core:
        (worker,) = joined(core, "w")
        core.handle(worker.batch("long", [("x", 0, [1.0])]))
        assert [each.period.ordinal for each in core.close_all()] == [1, 2]


@pytest.mark.parametrize(
    ("closed", "below", "known", "gaps"),
    [
        ([], 1, [], []),
        ([], 4, [], [(1, 3)]),
        ([], 4, [2], [(1, 1), (3, 3)]),
        ([(1, 3)], 4, [], []),
        ([(1, 3), (5, 6)], 9, [7], [(4, 4), (8, 8)]),
        ([(1, 9)], 4, [], []),
        ([(3, 5)], 8, [4, 6, 7], [(1, 2)]),
    ],
)
def test_the_gaps_between_closed_ordinals(
    closed: list[tuple[int, int]], below: int, known: list[int], gaps: list[tuple[int, int]]
) -> None:
    assert ClosedOrdinals(tuple(closed)).gaps(below, known) == gaps
