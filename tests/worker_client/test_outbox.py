"""The outbox joins within windows, keeps its memory and loses the oldest first, counted."""

from __future__ import annotations

from array import array

from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.clock import Clock
from stats_aggregator_client.complaints import Complaints
from stats_aggregator_client.counts import Counts
from stats_aggregator_client.lane import Note
from stats_aggregator_client.outbox import Outbox
from stats_aggregator_client.shipment import BATCH_BYTES
from stats_aggregator_client.wire import Kind

S = 1_000_000_000
PLENTY = 1 << 20


def make(buffer_bytes: int = 1 << 22) -> Outbox:
    """Return an outbox that drops the oldest when it is full."""
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 0)
    return Outbox(buffer_bytes, clock, Counts(), Complaints(), lambda: None, folds=False)


def put(
    outbox: Outbox,
    values: list[float],
    at_s: float = 0.0,
    key: str = "k",
    category: str = "c",
    **fields: object,
) -> None:
    at_ns = int(at_s * S)
    chunk = Chunk(
        outbox.arrival(), 0, None, 0, at_ns, at_ns, ((key, 0),), array("I", [len(values)]),
        array("d", values).tobytes(),
    )  # fmt: skip
    outbox.put(outbox.lane(category), chunk._replace(**fields))


def write(outbox: Outbox, category: str = "c") -> None:
    outbox.put(outbox.lane(category), Note(outbox.arrival(), Kind.WRITE, 1))


def taken(outbox: Outbox, room: int = PLENTY) -> list[object]:
    found: list[object] = []
    while (item := outbox.take(room, room, alone=not found)) is not None:
        chunk = item[1]
        found.append(list(array("d", chunk.values)) if isinstance(chunk, Chunk) else chunk.kind)
    return found


def test_chunks_of_one_window_are_joined_and_of_two_are_not() -> None:
    outbox = make()
    outbox.windows = (10 * S,)
    for second in range(0, 25, 5):
        put(outbox, [float(second)], second)
    assert taken(outbox) == [[0.0, 5.0], [10.0, 15.0], [20.0]]


def test_what_came_before_the_windows_were_known_is_joined_once_they_are() -> None:
    outbox = make()
    for second in range(0, 25, 5):
        put(outbox, [float(second)], second)
    outbox.windows = (10 * S,)
    assert taken(outbox) == [[0.0, 5.0], [10.0, 15.0], [20.0]]


def test_nothing_is_joined_over_a_note_a_step_or_another_closing() -> None:
    outbox = make()
    outbox.windows = ()
    put(outbox, [1.0])
    write(outbox)
    put(outbox, [2.0], step=5)
    put(outbox, [3.0])
    put(outbox, [4.0], closing=1)
    put(outbox, [5.0], closing=1, steps=1)
    put(outbox, [6.0], closing=1)
    assert taken(outbox) == [[1.0], Kind.WRITE, [2.0], [3.0], [4.0, 5.0], [6.0]]


def test_categories_are_served_by_age_and_keep_their_own_order() -> None:
    outbox = make()
    for value in range(4):
        put(outbox, [float(value)], category="ab"[value % 2])
        write(outbox, "ab"[value % 2])
    assert taken(outbox) == [[0.0], Kind.WRITE, [1.0], Kind.WRITE, [2.0], Kind.WRITE, [3.0], Kind.WRITE]


def test_what_does_not_fit_waits_in_its_place() -> None:
    outbox = make()
    put(outbox, [float(value) for value in range(10_000)])
    pieces = taken(outbox, 10_000)
    assert [value for piece in pieces for value in piece] == [float(value) for value in range(10_000)]  # type: ignore[attr-defined]
    assert len(pieces) == 9
    assert outbox.unsent_bytes == 0


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    outbox = make(1 << 20)
    for value in range(3000):
        put(outbox, [float(value)] * 100, value)
    assert outbox.unsent_bytes <= 1 << 20
    lost = outbox.lane("c").lost
    kept = taken(outbox)
    assert kept[-1] == [2999.0] * 100
    assert lost == outbox.counts.lost == (3000 - len(kept)) * 100
    assert kept == [[float(value)] * 100 for value in range(3000 - len(kept), 3000)]


def test_days_of_outage_are_joined_into_windows_once_these_are_known() -> None:
    outbox = make(64 << 20)
    outbox.windows = (10 * S,)
    for tick in range(20_000):
        put(outbox, [float(tick)], tick / 2)
    # 20 values a window share one chunk's overhead.
    assert outbox.unsent_bytes < 20_000 * 60
    assert outbox.counts.lost == 0


def test_the_steps_of_what_was_dropped_are_kept() -> None:
    outbox = make(1 << 20)
    for value in range(20):
        put(outbox, [float(value)] * 30_000, steps=2, step=value)
    steps = lost = 0
    while (item := outbox.take(PLENTY, PLENTY, alone=True)) is not None:
        assert isinstance(item.item, Chunk)
        steps += item.item.steps + item.owed.steps
        lost += item.owed.lost
    assert lost > 0
    assert steps == 40


def test_what_is_owed_is_carried_even_if_everything_was_dropped() -> None:
    outbox = make(1 << 20)
    outbox.unacked_bytes = 1 << 20
    put(outbox, [1.0, 2.0])
    lane = outbox.lane("c")
    assert lane.lost == 2
    assert taken(outbox) == [[]]


def test_what_is_owed_goes_before_the_write_that_ends_its_period() -> None:
    outbox = make(1 << 20)
    put(outbox, [1.0] * 1000)
    write(outbox)
    outbox.unacked_bytes = (1 << 20) - 2000
    put(outbox, [2.0], category="other")
    assert taken(outbox) == [[], Kind.WRITE, [2.0]]


def test_a_batch_is_never_longer_than_the_limit() -> None:
    outbox = make(64 << 20)
    put(outbox, [1.0] * 1_000_000)
    while (item := outbox.take(PLENTY, PLENTY, alone=True)) is not None:
        assert isinstance(item[1], Chunk)
        assert len(item[1].values) <= BATCH_BYTES
