"""A session that was forgotten and comes back begins anew, in a replay as it did live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stats_aggregator.journal.journal import Durability
from tests.aggregator.peers import SERVER_ID, Core, Worker, seq_acked

NUM = 200
"""Values a batch: a few batches fill a segment."""
WEEK_S = 7 * 86400
BACK = {"first_unacked": 5, "server": SERVER_ID}


def begun(directory: Path) -> tuple[Core, Worker, Worker, list[tuple[bytes, bytes]]]:
    """Return a core that forgot a worker, that worker, another one, and what the first had sent."""
    core = Core(
        directory,
        "manual",
        overrides=[("filler", "10ms")],
        segment_bytes=1 << 12,
        durability=Durability.FULL,
    )
    worker, other = Worker("w", "run"), Worker("o", "run")
    core.handle(worker.hello())
    sent = [worker.batch("c", [("x", 0, [1.0] * NUM)]) for _ in range(6)]
    for batch in sent:
        core.handle(batch)
    core.pass_s(WEEK_S + 1)
    assert not list(core.state.sessions)
    core.handle(other.hello())
    return core, worker, other, sent


def roll(core: Core, other: Worker, category: str = "c") -> None:
    """Let the journal begin a segment, whose snapshot tells the state."""
    number = core.journal._current.number
    while core.journal._current.number == number:
        core.handle(other.batch(category, [("x", 0, [2.0] * NUM)], core.clock.now_ns()))
        core.pass_s(3)


def check_replay(core: Core, directory: Path, worker: Worker) -> None:
    """Crash: what is there again is what was there."""
    (period,) = [period for period in core.state.open_periods() if period.key.category == "c"]
    with core.crashed(directory) as core:
        (again,) = [period for period in core.state.open_periods() if period.key.category == "c"]
        assert again.accumulator.num_values == period.accumulator.num_values
        assert (again.lost, again.taken, core.replay.gone) == (0, period.taken, {})
        core.handle(worker.hello())
        assert seq_acked(core, worker.heartbeat()) == worker.seq


def come_back(
    core: Core, worker: Worker, sent: list[tuple[bytes, bytes]], between: Callable[[], None]
) -> None:
    """Say HELLO and send again what the daemon had, as who did not hear its last acknowledgements."""
    core.handle(worker.hello(**BACK))
    between()
    core.handle(*sent[4:])
    core.handle(worker.batch("c", [("x", 0, [1.0] * NUM)]))


def nothing() -> None:
    pass


def test_what_it_sends_again_is_there_after_a_crash_though_a_snapshot_forgot_it_before(
    tmp_path: Path,
) -> None:
    core, worker, other, sent = begun(tmp_path / "a")
    roll(core, other)
    come_back(core, worker, sent, nothing)
    roll(core, other)
    check_replay(core, tmp_path / "b", worker)


def test_what_it_sends_again_is_there_after_a_crash_though_no_snapshot_forgot_it(tmp_path: Path) -> None:
    core, worker, other, sent = begun(tmp_path / "a")
    segments = core.journal.segments
    come_back(core, worker, sent, nothing)
    assert core.journal.segments <= segments + 1
    roll(core, other)
    check_replay(core, tmp_path / "b", worker)


def test_what_it_sends_again_is_there_after_a_crash_though_only_a_snapshot_tells_of_its_return(
    tmp_path: Path,
) -> None:
    core, worker, other, sent = begun(tmp_path / "a")
    roll(core, other, "filler")

    def fill() -> None:
        number = core.journal._current.number
        while number in {core.journal._current.number, *core.journal._finished}:
            roll(core, other, "filler")

    # Where its HELLO stands, all else is stored: that segment goes.
    come_back(core, worker, sent, fill)
    roll(core, other)
    check_replay(core, tmp_path / "b", worker)
