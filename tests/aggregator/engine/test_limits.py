"""Limits of memory and disk: what is past them is folded, pooled or rewritten, and totals stay right."""

from __future__ import annotations

import logging
import math
import random
import shutil
from collections.abc import Iterator

import pytest

from stats_aggregator import failpoints
from stats_aggregator.engine import checkpoints
from stats_aggregator.journal.segment import RecordKind
from stats_aggregator.journal.segment_reader import read_segment, segment_paths
from stats_aggregator_api import Buckets
from stats_aggregator_client.wire import Ack, encode
from tests.aggregator.oracle import buckets_of, check_moments
from tests.aggregator.partials import partial
from tests.aggregator.peers import Core, Worker, joined
from tests.aggregator.pictures import picture, told


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def values(seed: int, num: int) -> list[float]:
    return [random.Random(seed * 1000 + at).gauss(100, 10) for at in range(num)]


def test_past_retain_bytes_the_heaviest_period_gives_up_its_values_and_nothing_else(tmp_path, caplog):
    with Core(tmp_path / "a", "manual", retain_bytes=100_000, retain_values=10**6) as core:
        (worker,) = joined(core, "w")
        small, large = values(0, 10), []
        core.handle(worker.batch("small", [("x", 0, small)]))
        for group in range(100):
            chunk = values(group, 1000)
            large += chunk
            core.handle(worker.batch("large", [("x", 0, chunk)]))
            assert sum(sum(p.accumulator.weight) for p in core.state.open_periods()) < 150_000
        found = {each.period.category: each["x"] for each in core.close_all()}
    assert found["small"].exact
    assert tuple(found["small"].full_dist) == tuple(small)
    check_moments(found["large"], large)
    assert (found["large"].exact, found["large"].percentile_error) == (False, 1 / 256)
    assert buckets_of(found["large"]) == Buckets.of(large)
    said = [record.message for record in caplog.records if "retain_bytes" in record.message]
    assert len(said) == 1
    assert "large" in said[0]


def test_where_buckets_alone_are_too_much_they_become_coarser(tmp_path):
    with Core(tmp_path / "a", "manual", retain_bytes=20_000) as core:
        (worker,) = joined(core, "w")
        everything = []
        for group in range(60):
            chunk = [random.Random(group * 99 + at).lognormvariate(0, 20) for at in range(500)]
            everything += chunk
            core.handle(worker.batch("c", [("x", 0, chunk)]))
        (found,) = core.close_all()
    bits = found["x"].buckets.mantissa_bits
    assert bits < 7
    assert buckets_of(found["x"]) == Buckets.of(everything, bits)
    check_moments(found["x"], everything)
    assert found["x"].percentile_error == 2.0 ** -(bits + 1)


def push_long(core: Core, worker, groups: range) -> None:
    for group in groups:
        core.handle(worker.batch("long", [("x", 0, values(group, 200)), ("m", 1, [float(group)])]))


def test_past_journal_bytes_a_checkpoint_stands_for_all_that_came_before(tmp_path):
    limits = {"every": "manual", "segment_bytes": 20_000, "retain_values": 10**6}
    with (
        Core(tmp_path / "whole", **limits) as whole,
        Core(tmp_path / "short", **limits, journal_bytes=100_000, retain_bytes=50_000) as short,
    ):
        for core in (whole, short):
            (worker,) = joined(core, "w")
            for at in range(0, 300, 10):
                push_long(core, worker, range(at, at + 10))
                if core is short:
                    assert core.journal.size_bytes < 250_000
        assert short.journal.checkpoints > 2
        assert whole.journal.size_bytes > 400_000
        before = picture(short.state)
        short = short.crashed(tmp_path / "again")
        assert picture(short.state) == before
        (found,), (right,) = short.close_all(), whole.close_all()
        short.close()
    check_moments(found["x"], [value for group in range(300) for value in values(group, 200)])
    assert (found["x"].sum, found["x"].last, found["m"].last) == (right["x"].sum, right["x"].last, 299.0)


def test_a_crash_before_the_older_segments_are_gone_counts_nothing_twice(tmp_path):
    core = Core(tmp_path / "a", "manual", segment_bytes=20_000, journal_bytes=60_000, retain_values=10**6)
    (worker,) = joined(core, "w")
    kept = tmp_path / "kept"
    kept.mkdir()
    group = 0
    while not core.journal.checkpoints:
        for path in segment_paths(core.directory / "journal"):
            shutil.copy(path, kept)
        push_long(core, worker, range(group, group + 1))
        group += 1
    before = picture(core.state)
    for path in kept.iterdir():
        if not (core.directory / "journal" / path.name).exists():
            shutil.copy(path, core.directory / "journal")
    with core.crashed(tmp_path / "b") as core:
        assert picture(core.state) == before
        assert core.journal.segments == 1  # they are dispensable still
        (found,) = core.close_all()
    assert found["x"].num == 200 * group


def test_a_period_larger_than_a_record_comes_back_from_its_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PIECE_BYTES", 5000)
    core = Core(tmp_path / "a", "manual", segment_bytes=20_000, journal_bytes=60_000, retain_values=10**6)
    (worker,) = joined(core, "w")
    push_long(core, worker, range(60))
    core.handle(worker.batch("other", [("x", 0, [1.0])]))
    assert core.journal.checkpoints
    before = picture(core.state)
    with core.crashed(tmp_path / "b") as core:
        assert picture(core.state) == before
        assert sorted(each["x"].num for each in core.close_all()) == [1, 200 * 60]


def test_a_damaged_checkpoint_costs_its_values_which_are_said_and_stand_as_lost(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(checkpoints, "PIECE_BYTES", 5000)
    core = Core(tmp_path / "a", "manual", segment_bytes=20_000, journal_bytes=60_000, retain_values=10**6)
    (worker,) = joined(core, "w")
    push_long(core, worker, range(60))
    (path, *_) = segment_paths(core.directory / "journal")
    stored = read_segment(path).records
    pieces = [each for each in stored if each.record.kind is RecordKind.CHECKPOINT]
    behind = sum(each.record.kind is RecordKind.GROUP for each in stored)
    assert len(pieces) > 2
    data = bytearray(path.read_bytes())
    data[pieces[1].end - 1] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR), core.crashed(tmp_path / "b") as core:
        (found,) = core.close_all()
    missing = (60 - behind) * 201
    assert (found.period.lost, found["x"].num) == (missing, behind * 200)
    assert f"{missing} values are lost" in caplog.text


def test_where_there_is_no_room_for_a_checkpoint_the_journal_stays_long_and_all_goes_on(tmp_path, caplog):
    with Core(tmp_path / "a", "manual", segment_bytes=20_000, journal_bytes=60_000) as core:
        (worker,) = joined(core, "w")
        failpoints.arm("segment.rename.before=error(ENOSPC)")
        push_long(core, worker, range(60))
        assert core.journal.checkpoints == 0
        assert "no room to shorten the journal" in caplog.text
        failpoints.arm("")
        push_long(core, worker, range(60, 120))
        assert core.journal.checkpoints > 0
        (found,) = core.close_all()
    assert found["x"].num == 120 * 200


def test_categories_past_the_limit_share_one_that_time_ends(tmp_path, caplog):
    with Core(tmp_path / "a", "manual", max_categories=3) as core:
        (worker,) = joined(core, "w")
        for number in range(6):
            core.handle(
                worker.batch(f"c{number}", [("x", 0, [float(number)])], core.clock.now_ns()),
                worker.write(number, f"c{number}"),
            )
        core.handle(worker.rewind(0, "c4"))
        before = picture(core.state)
        core = core.crashed(tmp_path / "b")
        assert picture(core.state) == before
        core.handle(worker.hello())
        core.pass_s(20)
        found = {each.period.category: each["x"] for each in core.periods()}
        assert {name: list(each.full_dist) for name, each in found.items()} == {
            "c0": [0.0], "c1": [1.0], "c2": [2.0], "_overflow": [3.0, 4.0, 5.0],
        }  # fmt: skip
        core.close()
    assert [r.message for r in caplog.records if "no room for c3" in r.message]


def test_runs_past_the_limit_of_categories_are_refused_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("stats_aggregator.engine.state._MAX_OVERFLOWING_RUNS", 1)
    with Core(tmp_path / "a", "manual", max_categories=1) as core:
        workers = [joined(core, "w", run=f"run {number}")[0] for number in range(3)]
        for worker in workers:
            replies = [reply for _, reply in core.handle(worker.batch("c", [("x", 0, [1.0])], 1))]
            assert len(replies) == (1 if worker is not workers[2] else 2)
            assert isinstance(replies[-1], Ack)
        assert sorted((each.period.run, each.period.category) for each in core.close_all()) == [
            ("run 0", "c"), ("run 1", "_overflow"),
        ]  # fmt: skip


def test_a_period_of_another_every_that_a_checkpoint_holds_ends_by_steps_all_the_same(tmp_path):
    core = Core(tmp_path / "a", "manual", segment_bytes=20_000, journal_bytes=60_000)
    (worker,) = joined(core, "w")
    push_long(core, worker, range(60))
    assert core.journal.checkpoints
    with core.crashed(tmp_path / "b", every="100 steps") as core:
        core.handle(worker.hello())
        core.handle(worker.batch("long", [("x", 0, [1.0])], steps=60))
        assert core.periods() == []
        core.handle(worker.batch("long", [("x", 0, [1.0])], steps=60))
        core.settle()
        assert [(each.period.step, each["x"].num) for each in core.periods()] == [(120, 60 * 200 + 2)]


def test_categories_of_runs_that_are_long_over_make_room_for_others(tmp_path):
    with Core(tmp_path / "a", "10s", max_categories=10) as core:
        for number in range(30):
            worker = Worker("w", f"run {number}")
            core.handle(worker.hello())
            core.handle(worker.batch("c", [("x", 0, [float(number)])], core.clock.now_ns()))
            core.pass_s(20)
            core.handle(worker.bye())
            core.pass_s(3700)
        assert len(core.state.categories) <= 10
        # The first run goes on: its ordinals too.
        again = Worker("w", "run 0")
        core.handle(again.hello())
        core.handle(again.batch("c", [("x", 0, [99.0])], core.clock.now_ns()))
        core.pass_s(20)
        found = [(each.period.run, each.period.category, each.period.ordinal) for each in core.periods()]
        assert {category for _, category, _ in found} == {"c"}
        assert [ordinal for run, _, ordinal in found if run == "run 0"] == [1, 2]
        before = picture(core.state)
        core = core.crashed(tmp_path / "b")
        assert picture(core.state)["sessions"] == before["sessions"]
        core.close()


def test_no_partial_brings_figures_past_what_the_store_holds(tmp_path):
    with Core(tmp_path / "a", "manual") as core:
        (worker,) = joined(core, "w")
        huge = partial(worker, "c", [("x", 0, [math.nan])], 1)
        (fields,) = huge.parts
        huge = huge._replace(parts=(fields._replace(num_nan=2**48),))
        core.handle((worker.peer, encode(huge)))
        (period,) = core.state.open_periods()
        period.accumulator.num_values = period.taken = 2**63 - 5  # as thousands more would bring it
        core.handle((worker.peer, encode(huge._replace(seq=worker.next_seq()))))
        assert (period.taken, period.accumulator.num_values) == (2**63 - 1, 2**63 - 1)
        assert core.state.snapshot()
        (found,) = core.close_all()
        assert found["x"].num_nan == 2**49


def test_folds_and_checkpoints_change_no_total(tmp_path):
    cores = [
        Core(tmp_path / "plain", "manual"),
        Core(tmp_path / "folds", "manual", retain_bytes=20_000),
        Core(tmp_path / "both", "manual", retain_bytes=20_000, journal_bytes=50_000, segment_bytes=10_000),
    ]
    for core in cores:
        (worker,) = joined(core, "w")
        worker.session = b"s" * 16
        core.handle(worker.hello())
        push_long(core, worker, range(80))
    figures = [
        [
            (period.period.category, repr(told(period)[-1]["x"]).split("num_nan")[0])
            for period in core.close_all()
        ]
        for core in cores
    ]
    assert figures[0] == figures[1] == figures[2]
    for core in cores:
        core.close()
