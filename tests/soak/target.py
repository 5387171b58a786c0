"""The daemon of the soak: it is killed and stopped in every way, and what it did is summed over its lives."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from stats_aggregator.cli.status import ask
from tests.soak.worker import RUN
from tests.system.daemons import Daemon, wait_until

CONFIG = """
[serve]
segment_bytes = 1048576
[periods]
"soak time" = "2s"
"soak steps" = "20000 steps"
"soak manual" = "manual"
"""
_ASK_S = 5.0
_RECOVERED = re.compile(r"recovered (\d+) records")


class Target(Daemon):
    """A daemon whose process, writers' process, or both are killed without waiting for what they leave."""

    def __init__(self, directory: Path) -> None:
        config = directory / "soak.toml"
        config.write_text(CONFIG)
        super().__init__(
            directory, "--config", str(config), "--writer", "jsonl", "--grace", "1s", "--close-on-stop",
            "--drain-timeout", "60s",
        )  # fmt: skip
        self.run = RUN
        self.received: Counter[str] = Counter()
        """What all lives together took in, by kind; what came between the last look and a kill is missing."""
        self.kills = 0
        self._before: Counter[str] = Counter()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def writers(self) -> list[int]:
        """Return the writers' process, or what there is of it."""
        found = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                found += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                pass  # a thread that has just ended
        return found

    def wait_for_writers(self) -> None:
        """Wait until the writers' process takes what is stored."""
        wait_until(self._writes, "the writers' process at work")

    def _writes(self) -> bool:
        found = ask(self.address, _ASK_S)
        return found is not None and any(plugin["state"] == "loaded" for plugin in found["plugins"])

    def look(self) -> None:
        """Note what this life has taken in so far."""
        found = ask(self.address, _ASK_S)
        if found is not None:
            self.received = self._before + Counter(found["received"]) + Counter(found["rejected"])

    def check(self) -> None:
        """Fail where the daemon has ended by itself."""
        code = self._process.poll() if self._process is not None else None
        assert code is None, f"the daemon ended by itself with {code}:\n{self.log.read_text()[-2000:]}"

    def kill_only(self) -> None:
        """Kill the daemon alone; its writers' process may still be there when the next one starts."""
        self.check()
        self.look()
        process, self._process = self._process, None
        assert process is not None
        assert process.stdout is not None
        process.kill()
        process.stdout.close()
        process.wait()
        self._before = self.received
        self.kills += 1

    def kill_writers(self) -> None:
        """Kill the writers' process alone."""
        _kill(self.writers())

    def kill_both(self) -> None:
        """Kill the daemon and its writers' process at once, as a machine would."""
        writers = self.writers()
        self.kill_only()
        _kill(writers)

    def recovered_records(self) -> int:
        """Return how many records all starts together have read from journals."""
        return sum(int(number) for number in _RECOVERED.findall(self.log.read_text()))


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was about to end by itself
