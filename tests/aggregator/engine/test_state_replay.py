"""Replay: whatever was acknowledged, a crash at any point gives the same state again, bit for bit."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.journal.journal import Durability
from stats_aggregator_client.wire import Ack, Closing, encode
from tests.aggregator.clocks import SECOND_NS
from tests.aggregator.partials import partial
from tests.aggregator.peers import Core, Worker, pooled, seq_acked
from tests.aggregator.pictures import picture, told

WRITE = int(Closing.WRITE)
CATEGORIES = ["auto", "timed", "steps", "manual"]
OVERRIDES = [("timed", "5s"), ("steps", "100 steps"), ("manual", "manual")]
VALUES = [0.0, -0.0, 1.5, -7.25, 1e300, -1e300, 1e-320, math.nan, math.inf, 1e15, 1e15 + 1]


class Crew:
    """Workers that say whatever a random number generator tells them, to one core or to several alike."""

    def __init__(self, seed: int, core: Core) -> None:
        self.rng = random.Random(seed)
        self.core = core
        self.workers = [Worker(name, run) for run in ("one", "two") for name in ("a", "b", "a")]

    def hello(self) -> list[tuple[bytes, bytes]]:
        return [worker.hello() for worker in self.workers]

    def group(self) -> list[tuple[bytes, bytes]]:
        """Return the messages of one group; some are refused, some come twice."""
        return list(itertools.chain.from_iterable(self._say() for _ in range(self.rng.randint(1, 8))))

    def _say(self) -> list[tuple[bytes, bytes]]:
        rng = self.rng
        worker, category = rng.choice(self.workers), rng.choice(CATEGORIES)
        kind = rng.choices(
            ["batch", "twice", "write", "rewind", "property", "refused", "mute"], [12, 2, 2, 0.4, 0.7, 1, 1]
        )[0]
        if kind == "write":
            return [worker.write(rng.randint(0, 500), category)]
        if kind == "rewind":
            return [worker.rewind(rng.randint(0, 300), category)]
        if kind == "property":
            return [worker.property({"number": rng.randint(0, 3)}, category)]
        if kind == "refused":
            return [worker.batch("control\n")]
        batch = self._batch(worker, category, mute=kind == "mute")
        return [batch, batch] if kind == "twice" else [batch]

    def _batch(self, worker: Worker, category: str, mute: bool) -> tuple[bytes, bytes]:
        rng = self.rng
        keys = [] if mute else rng.sample(["a", "b", "c", "gauge"], rng.randint(1, 4))
        series = [
            (key, 1 if key == "gauge" else rng.choice([0, 0, 2]), rng.choices(VALUES, k=rng.randint(1, 9)))
            for key in keys
        ]
        t = self.core.clock.now_ns() - round(rng.choice([0, 0, 0, 2, 7, 40, -6, -90]) * SECOND_NS)
        step = rng.choice([None, None, rng.randint(0, 600)]) if category != "timed" else None
        lost, uncertain = rng.choice([0, 0, 3]), rng.choice([0, 0, 5])
        if series and rng.random() < 0.2:
            bits, late = rng.choice([7, 7, 7, 3]), rng.choice([0, 2])
            folded = partial(worker, category, series, t, bits=bits, late=late, lost=lost, step=step)
            return worker.peer, encode(folded)
        return worker.batch(
            category, series, t, closing=WRITE if category == "auto" and rng.random() < 0.05 else 0,
            step=step, steps=rng.choice([0, 7]), lost=lost, uncertain=uncertain,
        )  # fmt: skip


def check_acks(replies: list[tuple[bytes, Any]], crew: Crew) -> None:
    seqs = {worker.session: worker.seq for worker in crew.workers}
    for _, reply in replies:
        if isinstance(reply, Ack):
            assert reply.durable_seq <= seqs[reply.session]


@pytest.mark.parametrize(
    "limits",
    [
        {"segment_bytes": 4096},
        {"segment_bytes": 1 << 20},
        {"segment_bytes": 4096, "retain_bytes": 3000, "journal_bytes": 12_000, "max_series": 3},
        {"segment_bytes": 1 << 20, "retain_bytes": 1500, "max_series": 2, "max_categories": 5},
    ],
    ids=lambda limits: " ".join(f"{name}={value}" for name, value in limits.items()),
)
@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_point_gives_the_same_state_again(
    tmp_path: Path, seed: int, limits: dict[str, int]
) -> None:
    core = Core(tmp_path / "0", overrides=OVERRIDES, retain_values=20, **limits)
    crew = Crew(seed, core)
    folds = checkpoints = 0
    for crash in range(1, 9):
        core.handle(*crew.hello())
        for _ in range(crew.rng.randint(1, 25)):
            check_acks(core.handle(*crew.group()), crew)
            if crew.rng.random() < 0.5:
                core.pass_s(crew.rng.choice([0.1, 1, 3]))
        core.settle()
        folds, checkpoints = folds + core.engine.memory.folds, checkpoints + core.journal.checkpoints
        before = picture(core.state)
        core = crew.core = core.crashed(tmp_path / str(crash))
        assert picture(core.state) == before
        assert core.replay.ended == []
    core.close()
    assert (folds > 0, checkpoints > 0) == ("retain_bytes" in limits, "journal_bytes" in limits)


@pytest.mark.parametrize("seed", range(8))
def test_an_engine_that_crashed_gives_the_summaries_of_one_that_did_not(tmp_path: Path, seed: int) -> None:
    lives = Core(tmp_path / "lives", overrides=OVERRIDES, retain_values=20)
    # The one that dies also writes checkpoints all the time, the other none.
    dies = Core(
        tmp_path / "dies", overrides=OVERRIDES, retain_values=20, segment_bytes=8192, journal_bytes=10_000
    )
    crew = Crew(100 + seed, lives)
    for crash in range(6):
        hellos = crew.hello()
        for core in (lives, dies):
            core.handle(*hellos)
            core.pass_s(2)  # past the grace that a start gives
        for _ in range(crew.rng.randint(1, 15)):
            group, seconds = crew.group(), crew.rng.choice([0, 0, 0.1, 1, 3])
            for core in (lives, dies):
                core.handle(*group)
                core.settle()
                core.pass_s(seconds)
        # Rounds of WRITEs that wait go by the clock of their first WRITE, which no record has: let them end.
        for core in (lives, dies):
            core.pass_s(2)
        assert picture(dies.state) == picture(lives.state)
        dies = dies.crashed(tmp_path / str(crash))
    assert sorted(map(told, dies.close_all())) == sorted(map(told, lives.close_all()))
    assert dies.properties() == lives.properties()
    for core in (lives, dies):
        core.close()


@pytest.mark.parametrize("seed", range(4))
def test_what_ended_and_was_not_stored_is_stored_after_the_crash(tmp_path: Path, seed: int) -> None:
    stored = Core(tmp_path / "stored", overrides=OVERRIDES)
    core = Core(tmp_path / "0", overrides=OVERRIDES, storing=False, segment_bytes=4096)
    crew = Crew(200 + seed, core)
    hellos = crew.hello()
    for each in (core, stored):
        each.handle(*hellos)
        each.clock.pass_s(3)
    for _ in range(12):
        group = crew.group()
        core.handle(*group)
        stored.handle(*group)
    stored.settle()
    unstored = sorted(p.key for p, _ in _ended(core))
    core = core.crashed(tmp_path / "1", storing=False)
    assert sorted(ended.period.key for ended in core.replay.ended) == unstored
    core = core.crashed(tmp_path / "2", storing=True)  # once more, before anything was stored
    core.settle()
    assert sorted(map(told, core.periods())) == sorted(map(told, stored.periods()))
    assert core.properties() == stored.properties()
    for each in (core, stored):
        each.close()


def _ended(core: Core) -> list[Any]:
    jobs = core.closer._jobs
    found = [jobs.get() for _ in range(jobs.qsize())]
    for job in found:
        jobs.put(job)
    return [job for job, _ in found if hasattr(job, "closed")]


def test_segments_go_when_all_in_them_is_stored_and_nothing_is_lost_by_it(tmp_path: Path) -> None:
    with Core(tmp_path / "a", "10s", segment_bytes=4096) as core:
        worker = Worker("w", "run")
        core.handle(worker.hello())
        for number in range(200):
            core.handle(worker.batch("c", [("x", 0, [float(number)] * 50)], core.clock.now_ns()))
            core.pass_s(1)
            assert core.journal.segments < 12
        before = picture(core.state)
        core = core.crashed(tmp_path / "b")
        assert picture(core.state) == before
        found = core.close_all()
    assert [value for each in found for value in each["x"].full_dist] == [
        float(number) for number in range(200) for _ in range(50)
    ]


def test_a_session_that_is_silent_for_long_and_spoke_in_the_journal_is_not_forgotten_at_a_start(
    tmp_path: Path,
) -> None:
    core, worker = Core(tmp_path / "a", "manual"), Worker("w", "run")
    core.handle(worker.hello())
    for _ in range(10):
        core.clock.pass_s(86400)
        core.handle(worker.hello(), worker.batch("c", [("x", 0, [1.0])], core.clock.now_ns()))
    with core.crashed(tmp_path / "b") as core:
        core.tick()
        # All but the last batch were acknowledged as far as the worker knows; it sends that one again.
        again = worker.batch("c", [("x", 0, [1.0])], core.clock.now_ns(), seq=worker.seq)
        core.handle(worker.hello(first_unacked=worker.seq), again)
        (found,) = core.close_all()
    assert found["x"].num == 10


def test_a_session_that_was_forgotten_and_came_back_keeps_its_newest_name(tmp_path: Path) -> None:
    core = Core(tmp_path / "a", "manual")
    first, second = Worker("w", "run"), Worker("w", "run")
    core.handle(first.hello(), second.hello())
    core.pass_s(8 * 86400)  # both are forgotten: the name is free
    core.handle(second.hello(), second.batch("c", [("x", 0, [1.0])]))
    with core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
        assert found["x"].min_worker == "w"


def test_with_durability_none_the_store_alone_goes_on(tmp_path: Path) -> None:
    with Core(tmp_path / "a", "manual", durability=Durability.NONE) as core:
        worker = Worker("w", "run")
        core.handle(worker.hello(), worker.batch("c", [("x", 0, [1.0])]), worker.write(70))
        core.settle()
        core = core.crashed(tmp_path / "b")
    with core:
        core.handle(worker.hello(), worker.write(60))
        core.settle()
        assert [(each.period.ordinal, each.period.step) for each in core.periods()] == [(1, 70), (2, 70)]


def test_a_write_that_waits_for_its_round_survives_two_crashes_in_its_own_segment(tmp_path: Path) -> None:
    core = Core(tmp_path / "0", "auto", overrides=[("filler", "10ms")], segment_bytes=4096, grace_s=10_000)
    first, second = Worker("w1", "run"), Worker("w2", "run")

    def fill(core: Core) -> None:
        segments = max(core.journal._finished, default=0)
        while max(core.journal._finished, default=0) == segments:
            core.handle(first.batch("filler", [("x", 0, [1.0] * 60)], core.clock.now_ns()))
            core.handle(first.batch("c", (), core.clock.now_ns(), closing=WRITE))
            core.settle()

    core.handle(first.hello(), second.hello(), second.write(1), first.write(2))
    core.handle(first.batch("c", [("x", 0, [1.0])], core.clock.now_ns(), closing=WRITE))
    fill(core)
    core.handle(second.write(777), second.batch("d", [("x", 0, [1.0])]))
    fill(core)
    for crash in "ab":
        core = core.crashed(tmp_path / crash)
        core.handle(first.hello(), second.hello())
    with core:
        assert [each.period.step for each in core.close_all() if each.period.category == "c"][-1] == 777


def test_a_folded_period_stays_folded_after_two_crashes(tmp_path: Path) -> None:
    overrides = [("filler", "10ms")]
    core = Core(tmp_path / "0", "manual", overrides=overrides, segment_bytes=4096, retain_bytes=4000)
    worker = Worker("w", "run")

    def fill(core: Core) -> None:
        number = core.journal._current.number
        while core.journal._current.number == number:
            core.handle(worker.batch("filler", [("x", 0, [1.0])], core.clock.now_ns()))
            core.pass_s(3)

    core.handle(worker.hello(), worker.batch("c", [("x", 0, [1.0] * 300)], core.clock.now_ns()))
    fill(core)
    assert core.engine.memory.folds == 0
    for _ in range(2):  # the second finds that the first was too much: of c, that segment has only the FOLD
        core.handle(worker.batch("filler", [("x", 0, [2.0] * 200)], core.clock.now_ns()))
    assert core.engine.memory.folds == 1
    fill(core)
    before = picture(core.state)["categories"]["run", "c"]
    for crash in "ab":
        core = core.crashed(tmp_path / crash)
        core.handle(worker.hello())
        fill(core)
        assert picture(core.state)["categories"]["run", "c"] == before
    core.close()


def test_a_session_is_as_forgotten_after_a_crash_as_before_so_that_what_it_sends_then_stays(
    tmp_path: Path,
) -> None:
    core = Core(tmp_path / "0", "manual", overrides=[("filler", "10ms")], segment_bytes=4096)
    sleeper, other = Worker("sleeper", "run"), Worker("other", "run")
    core.handle(sleeper.hello(), sleeper.batch("c", [("x", 0, [1.0])], core.clock.now_ns()))
    core.pass_s(8 * 86400)
    core.handle(other.hello())
    while core.journal.segments < 2:
        core.handle(other.batch("filler", [("x", 0, [1.0])], core.clock.now_ns()))
        core.pass_s(3)
    core = core.crashed(tmp_path / "a")
    # It slept, its clock too, and goes on where it was; what it said before is stored, and its segment gone.
    core.handle(other.hello(), other.write(1, "c"))
    core.settle()
    core.tick()
    core.handle(sleeper.hello(), sleeper.batch("d", [("x", 0, [2.0])], core.clock.now_ns()))
    assert seq_acked(core, sleeper.heartbeat()) == 2
    with core.crashed(tmp_path / "b") as core:
        assert pooled(core, "d") == [2.0]
