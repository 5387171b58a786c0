"""Who is alive, silent, lost and gone, and what each period says of them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from stats_aggregator import failpoints
from stats_aggregator_client.wire import Welcome
from tests.aggregator.clocks import SECOND_NS
from tests.aggregator.peers import SERIES, Core, Worker, answer, joined


def states(core: Core) -> dict[str, str]:
    return {session.worker: session.liveness.value for session in core.state.sessions}


def told(core: Core) -> list[tuple[int, int]]:
    """Return who reported and who was expected, in each period."""
    return [(each.period.workers_reporting, each.period.workers_expected) for each in core.periods()]


def send(core: Core, *workers: Worker) -> None:
    core.handle(*(worker.batch("c", SERIES, core.clock.now_ns()) for worker in workers))


def test_the_states_by_the_clock_and_a_line_when_one_is_lost_and_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Core(tmp_path / "core") as core:
        beats, quiet, done = joined(core, "beats", "quiet", "done")
        core.handle(done.bye())
        seen = []
        for _ in range(6):
            core.pass_s(5)
            core.handle(beats.heartbeat())
            seen.append(states(core)["quiet"])
        assert seen == ["alive", "alive", "silent", "silent", "silent", "silent"]
        for _ in range(6):
            core.pass_s(5)
            core.handle(beats.heartbeat())
        assert states(core) == {"beats": "alive", "quiet": "lost", "done": "gone"}
        core.pass_s(5)
        core.handle(quiet.hello())
        assert states(core)["quiet"] == "alive"
    lines = [line for line in caplog.messages if "lost" in line or "back" in line]
    assert lines == [
        "worker quiet of run run is lost: unheard for a minute",
        "worker quiet of run run is back (1 so far)",
    ]


def test_who_was_only_silent_is_expected_again_when_it_speaks(tmp_path: Path) -> None:
    with Core(tmp_path / "core", "10s") as core:
        a, b = joined(core, "a", "b")
        send(core, a, b)
        core.pass_s(20)
        core.handle(a.heartbeat(), b.heartbeat())
        core.pass_s(1)
        send(core, a)
        core.pass_s(13)
        assert told(core) == [(2, 2), (1, 2)]


def test_a_period_expects_those_who_have_sent_to_its_category_until_they_say_bye(tmp_path: Path) -> None:
    with Core(tmp_path / "core", "10s") as core:
        sends, beats, quiet, done, other = joined(core, "sends", "beats", "quiet", "done", "other")
        core.handle(other.batch("another", SERIES, core.clock.now_ns()))
        for window in range(8):
            send(core, *((sends, beats, quiet, done) if window == 0 else (sends,)))
            if window == 1:
                core.handle(done.bye())
            beating = (beats, other, quiet) if window == 1 else (beats, other)
            core.handle(*(worker.heartbeat() for worker in beating))
            core.pass_s(3)
            core.pass_s(7)
        core.pass_s(3)
        found = [(p.period.workers_reporting, p.period.workers_expected) for p in core.periods("c")]
        # All four; then without who said BYE, but with the silent ones.
        assert found == [(4, 4)] + [(1, 3)] * 7


def test_who_has_said_bye_is_gone_after_a_restart_too_and_expected_by_nobody(tmp_path: Path) -> None:
    with Core(tmp_path / "a", "10s") as core:
        stays, done = joined(core, "stays", "done")
        send(core, stays, done)
        core.handle(done.bye())
        core = core.crashed(tmp_path / "b")
    with core:
        core.handle(stays.hello())
        core.tick()
        assert states(core) == {"stays": "alive", "done": "gone"}
        core.pass_s(13)
        send(core, stays)
        core.pass_s(13)
        assert told(core) == [(2, 2), (1, 1)]


def test_a_snapshot_tells_who_has_said_bye(tmp_path: Path) -> None:
    with Core(tmp_path / "a", "10s", segment_bytes=1 << 16) as core:
        stays, done = joined(core, "stays", "done")
        core.handle(done.bye())
        for _ in range(4):
            core.handle(stays.batch("c", [("x", 0, [1.0] * 5000)], core.clock.now_ns()))
        core.pass_s(13)
        core.tick()
        assert core.journal.segments == 1, "the one that began with a snapshot, and is not the first"
        core = core.crashed(tmp_path / "b")
    with core:
        core.tick()
        assert states(core)["done"] == "gone"


def test_who_speaks_again_after_a_bye_is_alive_after_a_restart(tmp_path: Path) -> None:
    with Core(tmp_path / "a") as core:
        (worker,) = joined(core, "w")
        core.handle(worker.bye())
        core.handle(worker.hello())
        send(core, worker)
        core = core.crashed(tmp_path / "b")
    with core:
        assert [session.said_bye for session in core.state.sessions] == [False]


def test_a_bye_on_a_full_disk_is_taken_and_asks_for_no_room(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        stays, done = joined(core, "stays", "done")
        failpoints.arm("journal.write.before=error(ENOSPC)")
        try:
            assert core.handle(stays.batch("c", SERIES)) == []
            core.handle(done.bye())
            assert states(core)["done"] == "gone"
        finally:
            failpoints.arm("")
        assert {peer for peer, _ in core.tick()} == {stays.peer}


def test_nobodys_silence_counts_while_nobody_listened(tmp_path: Path) -> None:
    with Core(tmp_path / "core", "10s") as core:
        (worker,) = joined(core, "w")
        send(core, worker)
        sent_ns = core.clock.now_ns()
        core.clock.pass_s(3600)
        core.engine.was_away(3600 * SECOND_NS)
        core.tick()
        assert states(core) == {"w": "alive"}
        # What waited in the sockets has time to come into its own windows.
        assert told(core) == []
        core.handle(worker.batch("c", SERIES, sent_ns))
        core.pass_s(3)
        assert [(each.period.late, each["x"].num) for each in core.periods()] == [(0, 4)]


@pytest.mark.parametrize(("is_connected", "name"), [(True, "w#2"), (False, "w")])
def test_a_name_is_kept_by_the_successor_of_one_whose_connection_has_ended(
    tmp_path: Path, is_connected: bool, name: str
) -> None:
    probed = []

    def reaches(peer: bytes, frame: bytes) -> bool:
        probed.append(peer)
        return is_connected

    with Core(tmp_path / "core", reaches=reaches) as core:
        (killed,) = joined(core, "w")
        core.clock.pass_s(3)
        welcome = answer(core, Worker("w").hello())
        assert isinstance(welcome, Welcome)
        assert (welcome.worker, probed) == (name, [killed.peer])
