"""Under pressure what waits gets smaller, rung by rung, the oldest first; only then anything is lost."""

from __future__ import annotations

import random
import tracemalloc
from array import array

import pytest

from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.fold import Fold, fold_bytes
from stats_aggregator_client.folding import fold_chunk
from stats_aggregator_client.lane import Item, Lane, Note
from stats_aggregator_client.shipment import Room, load
from stats_aggregator_client.wire import Kind
from tests.worker_client.boxes import MIB, Box, Play, check_late, check_order
from tests.worker_client.folds import Content, chunk, done


def nums(items: list[Item]) -> list[int | Kind]:
    return [item.kind if isinstance(item, Note) else item.num_values for item in items]


def kinds(items: list[Item]) -> list[object]:
    return [item.kind if isinstance(item, Note) else type(item) for item in items]


def test_first_values_fold_and_windows_stay_apart() -> None:
    box = Box()
    for window in range(20):
        box.now_s = 10.0 * window
        for value in range(3):
            box.put([float(value)] * 2000)
    assert box.out.unsent_bytes > MIB * 7 // 8
    box.press(MIB * 3 // 4)
    items = box.waiting()
    assert nums(items) == [6000] * 20
    assert kinds(items)[0] is Fold
    assert kinds(items)[-1] is Chunk  # only so many as need be
    assert MIB // 2 < box.out.unsent_bytes <= MIB * 3 // 4
    assert box.counts.folded == 6000 * kinds(items).count(Fold)
    assert box.counts.lost == 0


def test_then_steps_and_then_windows_join_the_oldest_first() -> None:
    box = Box()
    for second in range(400):
        box.now_s = float(second)
        box.put([float(second)] * 100, steps=1)
    box.press(60_000)
    steps = [item.steps for item in box.waiting() if not isinstance(item, Note)]
    assert sum(steps) == 400
    assert steps[0] == 10  # one window
    assert max(steps) == 10
    box.press(35_000)
    items = [item for item in box.waiting() if not isinstance(item, Note)]
    assert sum(nums(items)) == 40_000  # type: ignore[arg-type]
    assert items[0].steps == 20
    assert items[-1].steps == 10
    assert sum(item.steps for item in items) == 400


def test_few_values_are_joined_and_stay_as_they_are() -> None:
    box = Box(windows=None)
    for second in range(2000):
        box.now_s = float(second)
        box.put({(f"k{index}", 0): [float(second)] for index in range(20)})
    box.press(900_000)
    assert set(kinds(box.waiting())) == {Chunk}
    assert box.counts.folded == box.counts.lost == 0
    assert sum(nums(box.waiting())) == 40_000  # type: ignore[arg-type]


def test_a_write_that_another_follows_gives_it_its_values_and_a_rewind_parts() -> None:
    box = Box()
    for step in range(1, 9):
        box.put([float(step)] * 100)
        box.note(Kind.WRITE, step)
        if step == 4:
            box.note(Kind.REWIND, 2)
    box.press()
    items = box.waiting()
    assert nums(items) == [400, Kind.WRITE, Kind.REWIND, 400, Kind.WRITE]
    assert [item.step for item in items if isinstance(item, Note)] == [4, 2, 8]
    assert box.counts.notes_lost == 6
    first, second = (item for item in items if isinstance(item, Fold))
    assert (first.late, second.late) == (300, 300), "all but those of the WRITE that stayed"
    assert (first.part(0).moments.min, first.part(0).moments.max) == (1.0, 4.0)
    assert (second.part(0).moments.min, second.part(0).moments.max) == (5.0, 8.0)


def test_bits_go_before_a_write_does_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    box = Box()
    for step in range(1, 5):
        box.put([1.02**index for index in range(-300, 300)])
        box.note(Kind.WRITE, step)
    before = box.out.unsent_bytes
    while box.counts.notes_lost == 0:
        bits = {item.mantissa_bits for item in box.waiting() if isinstance(item, Fold)}
        box.press(box.out.unsent_bytes - 1)
        assert box.out.unsent_bytes < before
    assert bits == {0}
    box.press()
    (fold, write) = box.waiting()
    assert isinstance(fold, Fold)
    assert (fold.late, fold.num_values, kinds([write])) == (1800, 2400, [Kind.WRITE])
    assert sum("write_stats" in line for line in caplog.messages) == 1


def test_few_values_whose_write_was_dropped_stay_values_until_they_are_sent() -> None:
    box = Box()
    for step in range(1, 5):
        box.put([float(step)] * 3)
        box.note(Kind.WRITE, step)
    box.press()
    (chunk, _) = box.waiting()
    assert isinstance(chunk, Chunk)
    assert (chunk.num_values, chunk.late) == (12, 9)
    box.put([9.0])
    (fold, _, raw) = box.taken()
    assert isinstance(fold, Fold)
    assert (fold.num_values, fold.late) == (12, 9)
    assert isinstance(raw, Chunk)
    assert raw.num_values == 1
    assert box.counts.folded == 12


def test_a_write_whose_values_were_sent_in_part_is_not_dropped() -> None:
    box = Box()
    box.put([1.0])
    assert box.out.take(MIB, MIB, alone=True) is not None
    for step in range(1, 5):
        box.put([float(step)] * 3)
        box.note(Kind.WRITE, step)
    box.press()
    assert nums(box.waiting()) == [3, Kind.WRITE, 9, Kind.WRITE]


def test_what_of_a_period_does_not_join_is_late_all_the_same() -> None:
    box = Box()
    for step in range(1, 3):
        for closing in (0, 1):
            box.put([1.0] * 3, closing=closing)
        box.note(Kind.WRITE, step)
    box.press()
    items = [item for item in box.waiting() if not isinstance(item, Note)]
    assert [(item.closing, item.num_values, item.late) for item in items] == [
        (0, 3, 3), (1, 3, 3), (0, 3, 0), (1, 3, 0),
    ]  # fmt: skip


def test_nothing_joins_over_a_rewind() -> None:
    box = Box()
    for step in range(4):
        box.put([float(step)] * 100)
        box.note(Kind.REWIND, step)
    box.press()
    assert nums(box.waiting()) == [100, Kind.REWIND] * 4
    assert box.counts.notes_lost == 0


def test_empty_periods_join_too() -> None:
    box = Box()
    for step in range(5):
        box.note(Kind.WRITE, step)
    box.press()
    assert [(item.kind, item.step) for item in box.waiting() if isinstance(item, Note)] == [(Kind.WRITE, 4)]


def test_a_fact_is_told_once_and_last_where_it_was_last() -> None:
    box = Box()
    for value in ("a", "b", "a", 1, True, "b"):
        box.put([1.0] * 100)
        box.note(Kind.PROPERTY, value=value)
    box.press()
    facts = [item.value for item in box.waiting() if isinstance(item, Note)]
    assert facts == ["a", 1, True, "b"]
    assert [type(fact) for fact in facts] == [str, int, bool, str]
    assert nums(box.waiting())[0] == 600  # values join over facts
    assert box.counts.notes_lost == 0


def test_what_ends_by_time_and_by_write_stays_apart() -> None:
    box = Box()
    for closing in (0, 0, 1, 1):
        box.put([1.0] * 100, closing=closing)
    box.press()
    assert [(item.closing, item.num_values) for item in box.waiting() if not isinstance(item, Note)] == [
        (0, 200),
        (1, 200),
    ]


def test_then_bits_go_and_only_then_the_oldest_values() -> None:
    box = Box()
    spread = [1.02**index for index in range(-300, 300)]
    wide: Content = {(f"k{index}", 0): spread for index in range(200)}
    box.put(wide)
    box.put(wide)
    box.press(300_000)
    assert sum(nums(box.waiting())) == 2 * 200 * 600  # type: ignore[arg-type]
    bits = {item.mantissa_bits for item in box.waiting() if isinstance(item, Fold)}
    assert min(bits) < 7
    assert box.counts.lost == 0
    box.press()
    (fold,) = box.waiting()
    assert isinstance(fold, Fold)
    assert (fold.mantissa_bits, fold.num_values) == (0, 2 * 200 * 600)
    assert box.counts.lost == 0
    box.out.unacked_bytes = MIB - fold.cost_bytes // 2
    box.put([1.0])
    lane = box.out.lane("c")
    assert 0 < box.counts.lost < 2 * 200 * 600  # some series, not all
    assert lane.lost == box.counts.lost
    assert box.counts.lost + box.out.unsent_values() == 2 * 200 * 600 + 1


def test_a_series_too_long_for_a_message_loses_bits_until_it_fits() -> None:
    values = [sign * 1.008**index for index in range(-44_000, 44_000) for sign in (1.0, -1.0)]
    whole = done(fold_chunk(chunk({("k", 0): values})))
    assert isinstance(whole, Fold)
    assert fold_bytes(whole) > MIB
    lane = Lane("c")
    lane.push(whole)
    room = Room(256 << 10, MIB)
    shipment = load(lane, room, MIB, lambda left, right: True)
    assert shipment is not None
    assert isinstance(shipment.item, Fold)
    assert fold_bytes(shipment.item) <= MIB
    assert 0 < shipment.item.mantissa_bits < 7
    assert shipment.item.num_values == len(values)
    assert shipment.freed_bytes == whole.cost_bytes
    assert not lane


def test_a_long_outage_stays_bounded_and_keeps_every_value() -> None:
    box = Box()
    keys = [(f"k{index}", 0) for index in range(10)]
    sent, steps = 0, 0
    tracemalloc.start()
    for second in range(3000):
        box.now_s = float(second)
        box.put({key: [float(second + index)] * 5 for index, key in enumerate(keys)}, steps=3)
        box.note(Kind.WRITE, second)
        sent, steps = sent + 50, steps + 3
        for _ in range(4):
            box.out.relieve()
        assert box.out.unsent_bytes <= MIB
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * MIB  # with what is worked on, and what Python keeps for itself
    items = box.taken()
    assert box.counts.lost == 0
    assert sum(item.num_values for item in items if not isinstance(item, Note)) == sent
    assert sum(item.steps for item in items if not isinstance(item, Note)) == steps
    writes = [item.step for item in items if isinstance(item, Note)]
    assert writes == sorted(set(writes))
    assert writes[-1] == 2999
    assert box.counts.notes_lost == 3000 - len(writes)
    assert len(writes) > 100  # the outage is still resolved


@pytest.mark.parametrize("error", [ValueError("bug")])
def test_what_cannot_be_folded_is_dropped_and_raises_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise error

    box = Box()
    monkeypatch.setattr("stats_aggregator_client.folding.pooled", fails)
    for _ in range(40):
        box.put([1.0] * 10_000)
    assert box.out.unsent_bytes <= MIB
    assert box.counts.lost > 0


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_in_between_each_value_and_step_leaves_once_and_in_order(seed: int) -> None:
    play = Play(random.Random(seed))
    for number in range(300):
        play.act(f"c{number % 2}")
    while play.takes(5000):
        pass
    assert play.box.out.unsent_bytes == 0
    assert play.box.counts.folded > 0
    assert play.box.counts.notes_lost > 0
    check_order(play.out, play.put, play.steps)
    assert check_late(play.out, play.ended) > 0


def test_values_in_flight_are_not_folded_and_the_arrivals_keep_their_order() -> None:
    box = Box()
    box.put([1.0] * 100)
    assert box.out.take(MIB, MIB, alone=True) is not None
    for window in range(5):
        box.now_s = 10.0 * window
        box.put(list(array("d", range(1000))))
        box.note(Kind.PROPERTY, value=window)
    box.press()
    arrivals = [item.arrival for item in box.waiting()]
    assert arrivals == sorted(arrivals)
    assert not box.out.wait_settled(0)
    box.out.landed(1)
    for _ in box.taken():
        assert not box.out.wait_settled(0)
        box.out.landed(1)
    assert box.out.wait_settled(0)
