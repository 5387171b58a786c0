"""A data directory and the daemon on it: what it promised, and what must be true of it at any time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stats_aggregator import failpoints
from stats_aggregator.engine.sessions import FORGOTTEN_AFTER_NS
from stats_aggregator.errors import JournalError, JournalFailed
from stats_aggregator.periods.periods import PeriodKey
from stats_aggregator_client.wire import Ack, Nack, Reject, Welcome, encode
from tests.aggregator.clocks import ManualClock
from tests.aggregator.model.desk import PLACES, Desk, Paper
from tests.aggregator.model.ledger import Ledger
from tests.aggregator.peers import Core
from tests.aggregator.pictures import picture

Frames = Sequence[tuple[bytes, bytes]]
GRACE_NS = 2_000_000_000


class Site:
    """One data directory through all its crashes; `fired` counts what came to pass."""

    def __init__(
        self,
        directory: Path,
        server_id: bytes,
        clock: ManualClock,
        fired: Counter[str],
        settings: dict[str, Any],
    ) -> None:
        self.ledger = Ledger(fired)
        self.told: dict[bytes, int] = {}
        """The highest seq of each session that was ever said to be stored."""
        self._floors: dict[bytes, int] = {}
        """The same of the sessions that are not forgotten: it never goes back."""
        self._duplicates = 0
        self.directory = directory / "0"
        self.server_id = server_id
        self.papers = [Paper() for _ in range(PLACES)]
        self._root, self._starts = directory, 0
        self._failed = self._died_at_start = False
        self.fired = fired
        self._settings = settings | {"server_id": server_id}
        self.start(clock)

    def start(self, clock: ManualClock) -> None:
        """Start a daemon on the directory."""
        self._failed = self._died_at_start = False
        try:
            self._open(clock)
        except (JournalError, OSError):
            # It could not even start: it is started once more, when the disk is well again.
            self._died_at_start = True
            self.fired["died at its start"] += 1
            failpoints.arm("")
            self._open(clock)
        self.ledger.read(self.directory / "journal")
        self.ledger.listen(self.core.journal)
        self.desk = Desk(self.papers, self.directory / "store.sqlite", clock, self.fired)
        self._settle()

    def _open(self, clock: ManualClock) -> None:
        self.core = Core(self.directory, clock=clock, **self._settings)

    def _settle(self) -> None:
        if self.core._storing:
            self.core.settle()

    # What a daemon does.

    def handle(self, messages: Frames) -> list[tuple[bytes, bytes]]:
        """Take a group; return the replies. Raises JournalFailed where the daemon must die of it."""
        stalled = self.core.engine.stalled
        try:
            replies = self.core.handle(*messages)
        except (JournalFailed, OSError):
            self._failed = True
            raise
        self.fired["disk full"] += self.core.engine.stalled and not stalled
        return self._noted(replies)

    def tick(self) -> list[tuple[bytes, bytes]]:
        """Let the daemon see the time; return what it says."""
        stalled = self.core.engine.stalled
        try:
            replies = self._noted(self.core.tick())
        except (JournalFailed, OSError):
            self._failed = True
            raise
        self.fired["room again"] += stalled and not self.core.engine.stalled
        self._check_due()
        return replies

    def _noted(self, replies: list[tuple[bytes, Any]]) -> list[tuple[bytes, bytes]]:
        self._settle()
        for _, reply in replies:
            if isinstance(reply, Ack | Welcome):
                self._promised(reply.session, reply.durable_seq)
                self.fired["no credit"] += reply.credit == 0
            elif isinstance(reply, Nack):
                self.fired["nack 0" if reply.expected_seq == 0 else "nack"] += 1
            elif isinstance(reply, Reject):
                self.fired["reject"] += 1
        return [(peer, encode(reply)) for peer, reply in replies]

    def _promised(self, session: bytes, seq: int) -> None:
        floor = self._floors.get(session, 0)
        assert seq >= floor, f"the durable seq of a session went back from {floor} to {seq}"
        missing = [each for each in range(floor + 1, seq + 1) if not self.ledger.is_taken(session, each)]
        assert not missing, f"acknowledged, and not in the journal: {missing}"
        if seq:
            self._floors[session] = seq
            self.told[session] = max(self.told.get(session, 0), seq)

    def _check_due(self) -> None:
        engine = self.core.engine
        now_ns = self.core.clock.now_ns()
        is_back = engine.reception.reconnect_wait.is_over(now_ns)
        if engine.stalled or self.core.closer.waiting or not is_back:
            return
        overdue = [
            period.key
            for category in self.core.state.categories.values()
            for period in category.windows.values()
            if period.window_end_ns + GRACE_NS <= now_ns
        ]
        assert not overdue, f"their time is over, and they are open: {overdue}"

    def close(self) -> None:
        """Close the files."""
        new = self.core.engine.reception.received["duplicate"]
        self._duplicates += new
        self.fired["duplicate"] += new
        self.desk.close()
        self.core.close()

    @property
    def duplicates(self) -> int:
        """How many messages came again, to all daemons of the directory."""
        return self._duplicates + self.core.engine.reception.received["duplicate"]

    def forget(self) -> None:
        """Forget how far sessions were: the daemon forgets them too."""
        self._floors.clear()

    def store_all(self) -> None:
        """Let the closer work, and wait until it is done."""
        if not self.core._storing:
            self.core.start_storing()
        self.core.settle()

    # The ends of a daemon.

    def crash(self, clock: ManualClock, **changed: Any) -> None:
        """Lose all that is in memory, and start on the files; `changed` are settings from then on."""
        core = self.core
        is_whole = not (core.engine.stalled or self._failed)
        before = picture(core.state) if is_whole and not changed.keys() - {"storing"} else None
        unstored = self.unstored() if is_whole else None
        self.fired["crash with unstored periods"] += bool(unstored)
        self.fired["crash while stalled"] += core.engine.stalled
        forgotten = self._forgotten()
        fresh = self._next_directory()
        shutil.copytree(self.directory, fresh)
        self._restart(fresh, clock, changed)
        if before is not None:
            self._check_replayed(before, forgotten)
        if unstored is not None:
            ended = {ended.period.key for ended in self.core.replay.ended}
            assert unstored <= ended
            assert self._died_at_start or ended == unstored

    def _forgotten(self) -> set[bytes]:
        week_ago_ns = self.core.clock.now_ns() - FORGOTTEN_AFTER_NS
        return {each.id for each in self.core.state.sessions if each.heard_ns < week_ago_ns}

    def _check_replayed(self, before: dict[str, Any], forgotten: set[bytes]) -> None:
        after = picture(self.core.state)
        # Who was forgotten may come back for as long as the journal has words of theirs.
        known = before["sessions"].keys() - forgotten
        before["sessions"] = {name: before["sessions"][name] for name in known}
        after["sessions"] = {name: after["sessions"].get(name) for name in known}
        for name, category in before["categories"].items():
            # Of periods that time did not end, the store alone knows until when they went.
            if self._had_untimed(name):
                category["closed_through_ns"] = after["categories"][name]["closed_through_ns"]
        assert after == before, f"a replay gives another state: {list(_differences(before, after))}"

    def _had_untimed(self, category: tuple[str, str]) -> bool:
        return any(key[:2] == category and not closed.window_ns for key, closed in self.ledger.closed.items())

    def crash_within(self, clock: ManualClock, messages: Frames, share: float) -> None:
        """Die while a group is appended, when so much of it has come to the disk."""
        core = self.core
        fresh = self._next_directory()
        shutil.copytree(self.directory, fresh)
        begun, size_bytes = core.journal._current.path.name, core.journal._current.size_bytes
        del core.journal.append  # the ledger hears of it only if it is still there after the crash
        try:
            core.engine.handle(messages)
        except (JournalFailed, OSError):
            self.fired["died at an edge"] += 1
        current = core.journal._current
        if current.path.name == begun:
            kept_bytes = size_bytes + round(share * (current.size_bytes - size_bytes))
            torn = (self.directory / "journal" / begun).read_bytes()[:kept_bytes]
            (fresh / "journal" / begun).write_bytes(torn)
            self.fired["torn append"] += size_bytes < kept_bytes < current.size_bytes
        self._restart(fresh, clock, {})

    def crash_within_call(self, clock: ManualClock, place: int) -> None:
        """Die while a writer is in its next call; nothing happens where it has none before it."""
        fresh = self._next_directory()
        self.papers[place].copy_within = self.directory, fresh
        self.desk.look_at(place)
        self.papers[place].copy_within = None
        if fresh.exists():
            self.fired["crash within a writer's call"] += 1
            self._restart(fresh, clock, {})

    def stop(self, clock: ManualClock, *, close_all: bool, **changed: Any) -> None:
        """Stop as at a SIGTERM, and start again on the same directory."""
        try:
            self.core.engine.stop(close_all)
        except (JournalFailed, OSError):
            self._failed = True
            raise
        self.store_all()
        self._restart(self.directory, clock, changed)

    def _restart(self, directory: Path, clock: ManualClock, changed: dict[str, Any]) -> None:
        known = {session.id for session in self.core.state.sessions}
        self.close()
        self.directory = directory
        self._settings |= changed
        self.start(clock)
        self.fired["crash"] += 1
        self.fired["replayed record"] += self.core.replay.records
        for session, floor in self._floors.items():
            if session in known:
                found = self.core.state.sessions.get(session)
                assert found is not None, "a session that was told something is forgotten"
                assert found.durable_seq >= floor, f"a restart goes back from {floor} to {found.durable_seq}"

    def _next_directory(self) -> Path:
        self._starts += 1
        return self._root / str(self._starts)

    def unstored(self) -> set[PeriodKey]:
        """Return the periods that are closed and not stored."""
        stored = self.core.store.closed_ordinals()
        return {key for key in self.ledger.closed if key.ordinal not in stored.get(key[:2], ())}


def _differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield where two pictures differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            yield from _differences(before.get(name), after.get(name), f"{path}/{name}")
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _differences(*pair, f"{path}/{index}")
    elif before != after:
        yield f"{path}: {before!r:.200} became {after!r:.200}"
