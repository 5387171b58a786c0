"""The crew of the soak: its worker processes, who lives, and what they reported."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import Oracle
from tests.soak.family import CHILD_VALUES, CHILDREN
from tests.soak.worker import FLUSH_S, STREAM_VALUES, read_report
from tests.system.daemons import wait_until

CARELESS = "careless"
"""The kind of a worker that speaks the wire by itself."""


@dataclass(slots=True)
class Member:
    """A worker process; its stream is its own, its name that of the one it follows."""

    kind: str
    name: str
    address: str
    stream: int
    process: subprocess.Popen[bytes]
    paused: bool = False


class Crew:
    """Starts, kills and replaces workers; every one of them reports to `directory`."""

    def __init__(self, directory: Path) -> None:
        self.members: list[Member] = []
        self.kinds: dict[int, str] = {}
        """What ended the periods of each stream there ever was."""
        self.killed: set[int] = set()
        self._reports = directory / "reports"
        self._reports.mkdir()
        self._log = (directory / "workers.log").open("ab")
        self._numbers = itertools.count(1)
        self._families: list[tuple[str, range, subprocess.Popen[bytes]]] = []

    def hire(self, kind: str, name: str, address: str) -> Member:
        """Start a worker, and wait until it works."""
        stream = next(self._numbers)
        self.kinds[stream] = kind
        if kind == CARELESS:
            process = self._run("careless", address, str(stream), name)
        else:
            process = self._run("worker", kind, address, str(stream), name)
        member = Member(kind, name, address, stream, process)
        self.members.append(member)
        wait_until(lambda: self.report(stream) or process.poll() is not None, f"worker {name} to begin")
        return member

    def kill(self, member: Member) -> None:
        """End a worker as a crash would; another takes its name."""
        self._check(member)
        member.process.kill()
        member.process.wait()
        self.members.remove(member)
        self.killed.add(member.stream)
        self.hire(member.kind, member.name, member.address)

    def burster(self, member: Member) -> Member:
        """Return a worker that can push a burst: this one, or its successor where it has pushed enough."""
        self._check(member)
        if self.report(member.stream)["sent"] < STREAM_VALUES // 2:
            return member
        self._end(member)
        return self.hire(member.kind, member.name, member.address)

    def burst(self, member: Member) -> None:
        """Let a worker push more than its buffer holds."""
        self._check(member)
        member.process.send_signal(signal.SIGUSR1)

    def start_family(self, method: str, address: str) -> None:
        """Start children that live shortly; `finish` waits for them."""
        first = next(self._numbers)
        streams = range(first, first + CHILDREN)
        for _ in streams[1:]:
            next(self._numbers)
        self.kinds.update(dict.fromkeys(streams, "time"))
        self._families.append((method, streams, self._run("family", method, address, str(first))))

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"tests.soak.{module}", *arguments, str(self._reports)]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def report(self, stream: int) -> dict[str, int]:
        return read_report(self._reports, stream)

    def total(self, word: str) -> int:
        """Return the sum of what all streams reported last."""
        return sum(self.report(stream).get(word, 0) for stream in self.kinds)

    def _check(self, member: Member) -> None:
        code = member.process.poll()
        assert code is None, f"worker {member.name} ended by itself with {code}; workers.log says why"

    def _end(self, member: Member) -> None:
        self.members.remove(member)
        member.process.terminate()
        code = member.process.wait(FLUSH_S)
        assert code == 0, f"worker {member.name} (stream {member.stream}) ended with {code}"

    def finish(self) -> None:
        """Let everybody deliver all they have, and end."""
        for member in self.members:
            self._check(member)
            member.process.terminate()
        for member in list(self.members):
            self._end(member)
        for method, _, process in self._families:
            code = process.wait(FLUSH_S)
            assert code == 0, f"children by {method} ended with {code}; workers.log says why"

    def tell(self, oracle: Oracle) -> None:
        """Tell the oracle what was sent, acknowledged and given up."""
        for stream in self.kinds:
            said = self.report(stream)
            oracle.sent(stream, said["sent"])
            oracle.acked(stream, said.get("acked", 0))
            oracle.gave_up(stream, said.get("gave_up", 0))
            if said.get("delivered"):
                oracle.acked(stream, said["sent"] - said.get("gave_up", 0))
        for method, streams, _ in self._families:
            for stream in streams:
                sent = self.report(stream).get("sent")
                assert sent == CHILD_VALUES, f"a child by {method} sent {sent}, not {CHILD_VALUES}"
                oracle.acked(stream, sent)

    def close(self) -> None:
        """End whoever is left."""
        for process in [m.process for m in self.members] + [family[2] for family in self._families]:
            process.kill()
            process.wait()
        self._log.close()
