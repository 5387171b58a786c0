"""The world of the model: workers, a network, a daemon with its data directories, and what may happen."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator import failpoints
from stats_aggregator.errors import JournalFailed
from tests.aggregator.clocks import SECOND_NS, START_NS, ManualClock
from tests.aggregator.model.network import Network
from tests.aggregator.model.site import Site
from tests.aggregator.model.worker import UNFIT, Launched, SimWorker, number_sessions

CATEGORIES = ["auto", "trained", "timed", "steps", "manual"]
OVERRIDES = [
    [("timed", "5s"), ("steps", "100 steps"), ("manual", "manual")],
    [("timed", "manual"), ("steps", "5s"), ("manual", "100 steps")],
    [("timed", "7s"), ("steps", "40 steps"), ("trained", "10s")],
]
NAMES = ["ann", "bob", "bob"]
"""Two of the workers wish for the same name."""

_ROUND_S = 1 / 6


class World:
    """Everything, and a method for each thing that may happen; `fired` counts what really did."""

    def __init__(
        self, directory: Path, fired: Counter[str], *, buffer_bytes: int = 1 << 22, **settings: Any
    ) -> None:
        self.fired = fired
        self._patch = pytest.MonkeyPatch()
        number_sessions(self._patch)
        self._directory = directory
        self._settings: dict[str, Any] = {"overrides": OVERRIDES[0], "segment_bytes": 8192} | settings
        self._buffer_bytes = buffer_bytes
        self.mono_ns = 0
        self.clock = ManualClock()
        self.network = Network()
        self.launched: dict[tuple[bytes, int], Launched] = {}
        self.workers: list[SimWorker] = []
        self.crew: list[SimWorker] = []
        """Those of `workers` that live."""
        self.rounds: Counter[str] = Counter()
        self.sites: list[Site] = []
        self.site = self.new_site()
        for name in NAMES:
            self.crew.append(self.hire(name))

    def new_site(self) -> Site:
        number = len(self.sites)
        site = Site(
            self._directory / f"site {number}",
            struct.pack(">QQ", 5, number),
            self.clock,
            self.fired,
            self._settings,
        )
        self.sites.append(site)
        return site

    def hire(self, name: str, wall_off_s: float = 0) -> SimWorker:
        """Return a new process of a worker, whose host's wall clock is off by so much."""
        wall_ns = START_NS + self.mono_ns + round(wall_off_s * SECOND_NS)
        number = len(self.workers) + 1
        worker = SimWorker(
            number, name, self.network, lambda: self.mono_ns, self.launched, wall_ns=wall_ns,
            buffer_bytes=self._buffer_bytes,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """Close the files; nothing is checked."""
        failpoints.arm("")
        self.site.close()
        self._patch.undo()

    def do(self, deeds: Iterable[tuple[Any, ...]]) -> None:
        """Do things one after the other: each the name of a method, and its arguments."""
        for name, *arguments in deeds:
            getattr(self, name)(*arguments)

    # Workers.

    def add(self, worker: int, category: str, key: str, num: int) -> None:
        self.crew[worker].add(category, key, num)

    def report_step(self, worker: int, category: str, step: int) -> None:
        self.crew[worker].buffer(category).set_step(step)

    def count_steps(self, worker: int, category: str, steps: int) -> None:
        self.crew[worker].buffer(category).add_steps(steps)

    def write(self, worker: int, category: str, ahead: int) -> None:
        """Say write_stats, at the step of a round that is so much ahead of the newest."""
        self.rounds[category] = max(self.rounds[category] + ahead, 1) if ahead > 0 else self.rounds[category]
        self.crew[worker].buffer(category).write(max(10 * (self.rounds[category] + min(ahead, 0)), 0))

    def rewind(self, worker: int, category: str, step: int) -> None:
        self.fired["rewind"] += 1
        self.crew[worker].buffer(category).rewind(step)

    def tell_property(self, worker: int, category: str, number: int) -> None:
        self.crew[worker].buffer(category).add_property("hyperparameters", {"number": number})

    def say_nonsense(self, worker: int) -> None:
        """Send a batch that is no daemon's to take, in the middle of good ones."""
        self.crew[worker].add(UNFIT, "mean", 2)

    def act(self, worker: int) -> None:
        """Let a worker's sender do its part."""
        self.crew[worker].cut()
        self.crew[worker].turn()

    def stop_worker(self, worker: int, politely: bool, wall_off_s: float) -> None:
        """End a worker's process; another one of its name begins."""
        old = self.crew[worker]
        if politely:
            old.cut()
            old.turn()
        old.leave(politely=politely)
        self.crew[worker] = self.hire(old.name, wall_off_s)

    def jump(self, worker: int, seconds: float) -> None:
        """Let a worker's clock jump against the daemon's: one of the hosts slept."""
        self.fired["clock jump"] += 1
        self.crew[worker].skew_ns += round(seconds * SECOND_NS)

    # The network.

    def deliver(self, picks: Sequence[tuple[int, int]]) -> None:
        """Deliver frames as one group: of the connection picked so many, and so on."""
        self._handle(self.network.take(picks))

    def _handle(self, messages: list[tuple[bytes, bytes]]) -> None:
        try:
            self._answer(self.site.handle(messages))
        except (JournalFailed, OSError):
            self.fired["died at an edge"] += 1
            self.crash()

    def _answer(self, replies: list[tuple[bytes, bytes]]) -> None:
        for peer, frame in replies:
            self.network.answer(peer, frame)

    def hear(self, worker: int, num: int) -> None:
        self.crew[worker].hear(num)

    def lose_up(self, pick: int, place: int) -> None:
        """Lose a frame on its way to the daemon."""
        self.fired["frame lost"] += self.network.lose_up(pick, place)

    def lose_down(self, pick: int, num: int) -> None:
        """Lose answers; after the last one only heartbeats remain."""
        self.fired["answer lost"] += self.network.lose_down(pick, num)

    def repeat(self, pick: int, place: int, behind: int) -> None:
        """Let a frame arrive once more, after some others."""
        self.network.repeat(pick, place, behind)

    def reconnect(self, pick: int) -> None:
        """Let a connection be another one, without a word to the worker."""
        self.network.reconnect(pick)
        self.fired["silent reconnect"] += 1

    def disconnect(self, worker: int) -> None:
        self.crew[worker].disconnect()

    def exchange(self, rounds: int = 1) -> None:
        """Let everybody do their part, and everything arrive, in a sixth of a second."""
        for _ in range(rounds):
            for worker in self.crew:
                worker.cut()
                worker.turn()
            self.deliver([(number, 1 << 20) for number in range(len(self.network.loaded()))])
            self.network.ghosts.clear()
            for worker in self.crew:
                worker.hear(1 << 20)
            self.pass_s(_ROUND_S)

    # Time.

    def pass_s(self, seconds: float) -> None:
        """Let time pass; the daemon looks at it once."""
        self.mono_ns += round(seconds * SECOND_NS)
        self.clock.pass_s(seconds)
        self.tick()

    def tick(self) -> None:
        try:
            self._answer(self.site.tick())
        except (JournalFailed, OSError):
            self.fired["died at an edge"] += 1
            self.crash()

    def pass_a_week(self) -> None:
        """Let the daemon forget everybody, and everybody know that it did."""
        # No disk stays full for that long: who waited for it would be forgotten with words in the journal.
        self.free_disk()
        self.tick()
        self.network.lose_all()
        self.pass_s(7 * 86400 + 120)
        for site in self.sites:
            site.forget()
        self.fired["forgotten"] += 1

    # The daemon's machine.

    def crash(self, clock_back_s: float = 0, **changed: Any) -> None:
        """Kill the daemon; another one starts on its files, perhaps with a clock that was set back."""
        if clock_back_s:
            self.clock = ManualClock(self.clock.now_ns() - round(clock_back_s * SECOND_NS))
            self.fired["clock set back"] += 1
        self._end_connections()
        self.site.crash(self.clock, **changed)

    def crash_within(self, picks: Sequence[tuple[int, int]], share: float) -> None:
        """Kill the daemon while it appends a group, when so much of that has come to the disk."""
        for worker in range(len(self.crew)):
            self.act(worker)
        messages = self.network.take(picks)
        self._end_connections()
        self.site.crash_within(self.clock, messages, share)

    def fill_disk(self) -> None:
        """Let the journal find no room."""
        failpoints.arm("journal.write.before=error(ENOSPC)")

    def free_disk(self) -> None:
        """Let there be room again."""
        failpoints.arm("")

    def break_edge(self, edge: str, time: int) -> None:
        """Let the daemon die when it comes to a failpoint for so many times."""
        failpoints.arm(f"{edge}=error(EIO)@{time}")

    def stop_storing(self) -> None:
        """Crash, and let the closer of the next daemon not come to its work."""
        self.crash(storing=False)

    def store_all(self) -> None:
        """Let the closer work."""
        self.site.store_all()

    def stop(self, close_all: bool, **changed: Any) -> None:
        self._end_connections()
        try:
            self.site.stop(self.clock, close_all=close_all, **changed)
        except (JournalFailed, OSError):
            self.fired["died at an edge"] += 1
            self.crash()

    # Writers.

    def write_out(self, times: int) -> None:
        """Let the writers take what is stored, so many entries each at most."""
        self.site.desk.look(times)

    def trouble_writer(self, place: int, faults: int, errors: int) -> None:
        """Let the next calls of a writer fail: first by faults of its own, then by those of the world."""
        self.site.papers[place].troubles += [ValueError] * faults + [OSError] * errors

    def crash_within_call(self, place: int) -> None:
        """Kill everything while a writer is in a call."""
        self._end_connections()
        self.site.crash_within_call(self.clock, place)

    def _end_connections(self) -> None:
        """Let every connection end with the daemon; who was not there to see it comes back in silence."""
        self.network.break_all()

    def change_every(self, number: int) -> None:
        """Crash, and restart with another `every` for some categories."""
        self.fired["another every"] += 1
        self.crash(overrides=OVERRIDES[number])

    def move(self, number: int) -> None:
        """Let the daemon go on with another data directory: one of those before, or a new one."""
        self.fired["another directory"] += 1
        self._end_connections()
        old = self.site
        old.close()
        if number < len(self.sites) and self.sites[number] is not old:
            self.site = self.sites[number]
            self.site.start(self.clock)
        else:
            self.site = self.new_site()
