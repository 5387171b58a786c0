"""The faults of the soak: each is a method, and is counted when it has come."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.soak.crew import CARELESS, Crew, Member
from tests.soak.target import Target
from tests.system.proxy import Proxy

SILENT_S = 15.0
"""A worker unheard for so long counts as silent; so long libzmq waits for a heartbeat."""


class Faults:
    """Does harm to daemon, workers and the lines between them, by chance and repeatably."""

    def __init__(self, target: Target, crew: Crew, proxy: Proxy, random: Random) -> None:
        self.fired: Counter[str] = Counter()
        self._target, self._crew, self._proxy, self._random = target, crew, proxy, random
        self._later: list[tuple[float, Callable[[], None]]] = []

    def do(self, name: str) -> None:
        """Let one fault come, and count it; `name` is a method's."""
        self._target.check()
        getattr(self, name)()
        self.fired[name] += 1

    # Of the daemon.

    def kill_daemon(self) -> None:
        self._target.kill_only()
        self._start_again()

    def kill_daemon_and_writers(self) -> None:
        self._target.kill_both()
        self._start_again()

    def kill_daemon_in_a_burst(self) -> None:
        self._crew.burst(self._burster())
        self.rest(self._random.uniform(0.02, 0.4))
        self._target.kill_only()
        self._start_again()

    def kill_daemon_at_its_start(self) -> None:
        self._target.kill_only()
        self._target.start()
        self._target.kill_both()
        self._start_again()

    def kill_writers(self) -> None:
        self._target.kill_writers()

    def pause_daemon(self) -> None:
        """Long enough for a burst to fill a client's memory."""
        self._pause_daemon(self._random.uniform(1.5, 3.0))

    def pause_daemon_past_heartbeats(self) -> None:
        self._pause_daemon(SILENT_S + self._random.uniform(1.0, 4.0))

    def _pause_daemon(self, seconds: float) -> None:
        burster = self._burster()  # found before: it may have to deliver first
        os.kill(self._target.pid, signal.SIGSTOP)
        try:
            self._crew.burst(burster)
            self.rest(seconds)
        finally:
            os.kill(self._target.pid, signal.SIGCONT)

    def pause_writers(self) -> None:
        self._target.wait_for_writers()
        pids = self._target.writers()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.rest(self._random.uniform(0.5, 2.0))
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _start_again(self) -> None:
        self.rest(self._random.choice([0.0, 0.3, 1.5]))
        self._target.start()

    # Of the workers.

    def kill_worker(self) -> None:
        member = self._random.choice(self._crew.members)
        self._resume(member)
        self._crew.kill(member)

    def pause_worker(self) -> None:
        self._pause_worker(self._random.uniform(0.5, 3.0))

    def pause_worker_past_heartbeats(self) -> None:
        self._pause_worker(SILENT_S + self._random.uniform(0.5, 3.0))

    def _pause_worker(self, seconds: float) -> None:
        member = self._random.choice([member for member in self._crew.members if not member.paused])
        member.paused = True
        member.process.send_signal(signal.SIGSTOP)
        self._later.append((time.monotonic() + seconds, lambda: self._resume(member)))

    def _resume(self, member: Member) -> None:
        member.paused = False
        member.process.send_signal(signal.SIGCONT)

    def children_by_fork(self) -> None:
        self._crew.start_family("fork", self._proxy.address)

    def children_by_spawn(self) -> None:
        self._crew.start_family("spawn", self._target.address)

    def children_by_forkserver(self) -> None:
        self._crew.start_family("forkserver", self._proxy.address)

    def children_by_os_fork(self) -> None:
        self._crew.start_family("os.fork", self._target.address)

    def _burster(self) -> Member:
        able = [
            member
            for member in self._crew.members
            if member.kind not in ("steps", CARELESS) and not member.paused
        ]
        return self._crew.burster(self._random.choice(able))

    # Of the lines.

    def delay(self) -> None:
        self._proxy.delay(self._random.uniform(0.05, 0.5))
        self._later.append((time.monotonic() + 2.0, lambda: self._proxy.delay(0.0)))

    def close_connections(self) -> None:
        self._hit(self._proxy.close_all)

    def half_close_connections(self) -> None:
        self._hit(self._proxy.half_close)

    def cut_in_a_message(self) -> None:
        """The lines end within a message, and none is taken for a while."""
        num_bytes = self._random.randrange(1, 3000)
        self._hit(lambda: self._proxy.cut_after(num_bytes))
        self._proxy.refuse(True)
        self._later.append((time.monotonic() + 1.0, lambda: self._proxy.refuse(False)))

    def _hit(self, fault: Callable[[], int]) -> None:
        # Workers may be on their way back from the last one.
        deadline = time.monotonic() + 10.0
        while not fault():
            assert time.monotonic() < deadline, "no connection runs through the proxy"
            self.rest(0.05)

    # Between them.

    def rest(self, seconds: float) -> None:
        """Let time pass, and end what was to end by then."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for due in [entry for entry in self._later if entry[0] <= now]:
                self._later.remove(due)
                due[1]()
            if now >= deadline:
                return
            time.sleep(min(0.02, deadline - now))

    def mend(self) -> None:
        """End all that still lasts."""
        for _, end in self._later:
            end()
        self._later.clear()
        self._proxy.refuse(False)
