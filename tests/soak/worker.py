"""The soak's workers: they push values that the oracle can compute, and report what became of them.

Run as `python -m tests.soak.worker KIND ADDRESS STREAM NAME DIRECTORY`. A stream is a worker of the oracle:
the values of one process in one category. What it reports stands in a file of its own, line by line, so that
what a killed one had said is known. SIGTERM: deliver all that is left, and end. SIGUSR1: a burst.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from array import array
from pathlib import Path

from stats_aggregator_client import StatsClient, StatsReporter
from tests import oracle

RUN = "soak"
KINDS = ("time", "write", "steps", "manual")
"""The categories, by what ends their periods."""
BURST_VALUES = 300_000
"""More than twice of what the smallest buffer holds."""
STREAM_VALUES = 990_000
"""Past a million a stream's values would repeat."""
FLUSH_S = 300.0
BUFFER_BYTES = 1 << 20
PIECE = 20

_BURST_PIECE = 10_000
_PAUSE_S = 0.05


class Report:
    """A stream's file of lines `WORD NUMBER`; each is whole once `say` returns, also if the process dies."""

    def __init__(self, directory: Path, stream: int) -> None:
        self._fd = os.open(directory / f"{stream}.report", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def say(self, **numbers: int) -> None:
        os.write(self._fd, "".join(f"{word} {number}\n" for word, number in numbers.items()).encode())


def read_report(directory: Path, stream: int) -> dict[str, int]:
    """Return the latest number of each word that a stream reported."""
    path = directory / f"{stream}.report"
    lines = path.read_text().splitlines() if path.exists() else []
    return {word: int(number) for word, _, number in (line.partition(" ") for line in lines)}


class Stream:
    """One process's values in one category."""

    def __init__(self, client: StatsClient, kind: str, stream: int, directory: Path) -> None:
        self.sent = 0
        self._client = client
        self._kind, self._stream = kind, stream
        self._report = Report(directory, stream)
        category = f"soak {kind}"
        self._reporter = StatsReporter(category, client) if kind == "write" else client.reporter(category)
        self._pieces = 0

    def push(self, num: int) -> None:
        """Say that the values may be sent, add them, and say what was acknowledged by now."""
        num = min(num, STREAM_VALUES - self.sent)
        self._report.say(sent=self.sent + num)
        if num > 0:
            numbers = range(self.sent, self.sent + num)
            values = array("d", [oracle.value(self._stream, number) for number in numbers])
            self._reporter.add_stats(oracle.key(self._stream), values)
        self.sent += num
        self._pieces += 1
        if self._kind == "steps":
            self._reporter.add_steps(num)
        elif self._pieces % 40 == 0 and self._kind in ("write", "manual"):
            self._reporter.write_stats(self._pieces * PIECE)
        self.tell()

    def tell(self) -> None:
        """Report what the client knows."""
        known = self._client.statistics()
        self._report.say(
            acked=known.values_acked,
            gave_up=known.values_lost + known.values_uncertain + known.values_rejected,
            folded=known.values_folded,
            resent=known.batches_resent,
            connections=known.connections,
        )

    def finish(self) -> bool:
        """Deliver all that is left; return whether that went."""
        delivered = self._client.close(FLUSH_S)
        self.tell()
        self._report.say(delivered=int(delivered))
        return delivered


def main(kind: str, address: str, stream: int, name: str, directory: Path) -> bool:
    """Push until SIGTERM."""
    # Before any thread is there: one that does not block them would let the process die of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    client = StatsClient(
        address, name, RUN, buffer_bytes=BUFFER_BYTES, flush_interval_s=0.05, ack_timeout_s=3.0
    )
    pushing = Stream(client, kind, stream, directory)
    while signal.SIGTERM not in (pending := signal.sigpending()):
        pushing.push(PIECE)
        if signal.SIGUSR1 in pending:
            signal.sigwait({signal.SIGUSR1})
            for _ in range(BURST_VALUES // _BURST_PIECE):
                pushing.push(_BURST_PIECE)
        time.sleep(_PAUSE_S)
    return pushing.finish()


if __name__ == "__main__":
    kind, address, stream, name, directory = sys.argv[1:]
    sys.exit(0 if main(kind, address, int(stream), name, Path(directory)) else 1)
