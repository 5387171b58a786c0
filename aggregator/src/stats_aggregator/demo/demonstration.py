"""Demonstration: starts a daemon and its workers, shows them at work, and ends them."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from ..clock import Clock
from . import series
from .crew import Crew, Member
from .history import History
from .report import Outcome, print_report
from .view import Moment, View, make_view

EPISODES = 600
"""How many each worker is given time for: enough for the search to get good."""

_LOOK_EVERY_S = 0.1
_FIRST_PERIOD_WITHIN_S = 60.0
_WORKERS_END_WITHIN_S = 15.0
_DAEMON_ENDS_WITHIN_S = 15.0


@dataclass(frozen=True)
class Plan:
    """What to show: for how long, with how many workers, and where the results go."""

    seconds: float
    workers: int
    results_dir: Path


class Demonstration:
    """One run of the demo."""

    def __init__(self, plan: Plan, console: Console, clock: Clock) -> None:
        self._plan = plan
        self._console = console
        self._clock = clock
        self._run = time.strftime("demo-%Y%m%d-%H%M%S")
        self._run_dir = plan.results_dir / self._run
        self._history = History(self._run_dir / "summaries.jsonl")
        self._signal = 0

    def show(self) -> int:
        """Run all of it; return the exit code: 0, 1 where something failed, 128 + N after signal N."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with (
            tempfile.TemporaryDirectory(prefix="stats-aggregator-demo-") as scratch,
            Crew(Path(scratch)) as crew,
        ):
            outcome = self._perform(crew, Path(scratch))
        print_report(self._console, outcome)
        return 128 + self._signal if self._signal else 0 if outcome.good else 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            raise KeyboardInterrupt  # once more: end at once
        self._signal = number

    def _perform(self, crew: Crew, scratch: Path) -> Outcome:
        daemon = self._start_daemon(crew, scratch)
        workers = [self._start_worker(crew, scratch, number) for number in range(self._plan.workers)]
        with make_view(self._console) as view:
            faults = self._watch(crew, view)
            for member in workers:
                member.release()
            faults += [fault for member in workers if (fault := _end(member, _WORKERS_END_WITHIN_S))]
            daemon.release()
            if fault := _end(daemon, _DAEMON_ENDS_WITHIN_S):
                faults.append(fault)
            self._look(view)
        return Outcome(self._history, self._run_dir, *_account(workers, faults))

    def _start_daemon(self, crew: Crew, scratch: Path) -> Member:
        return crew.start(
            "the daemon", "stats_aggregator", "serve",
            "--bind", "tcp://127.0.0.1:0",
            "--address-file", str(scratch / "address"),
            "--data-dir", str(scratch / "data"),
            "--results-dir", str(self._plan.results_dir),
            "--run-id", self._run,
            "--every", "1s", "--grace", "500ms",
            "--writer", "tensorboard", "--writer", "csv", "--writer", "jsonl",
            environment={},
        )  # fmt: skip

    def _start_worker(self, crew: Crew, scratch: Path, number: int) -> Member:
        return crew.start(
            f"worker env-{number}", "stats_aggregator.demo.worker",
            "--seed", str(number),
            "--episodes-per-second", str(EPISODES / self._plan.seconds),
            environment={
                "STATS_AGGREGATOR_ADDRESS": f"@{scratch / 'address'}",
                "STATS_AGGREGATOR_WORKER": f"env-{number}",
            },
        )  # fmt: skip

    def _watch(self, crew: Crew, view: View) -> list[str]:
        """Show the training until its time is over; return what failed, which ends it."""
        began_ns = self._clock.now_ns()
        while not self._signal:
            elapsed_s = self._look(view)
            if elapsed_s >= self._plan.seconds:
                break
            if faults := [fault for member in crew.members if (fault := _ended_early(member))]:
                return faults
            waited_s = (self._clock.now_ns() - began_ns) / 1e9
            if not self._history.periods and waited_s > _FIRST_PERIOD_WITHIN_S:
                return [f"nothing was summarised within {_FIRST_PERIOD_WITHIN_S:.0f} s"]
            time.sleep(_LOOK_EVERY_S)
        return []

    def _look(self, view: View) -> float:
        """Show what is new; return for how many seconds the workers have trained."""
        news = self._history.read()
        lines = self._history.periods.get(series.CARTPOLE)
        elapsed_s = (self._clock.now_ns() - lines[0].start) / 1e9 if lines else 0.0
        view.show(Moment(elapsed_s, self._plan.seconds, self._history, news))
        return elapsed_s


def _account(workers: list[Member], faults: list[str]) -> tuple[int | None, list[str]]:
    """Return how many episodes the workers counted, where all could say, and what failed."""
    totals = {member.name: member.output() for member in workers}
    # Where something failed before, undelivered values are its consequence.
    faults = faults or [
        f"{name} could not deliver all that it had"
        for name, total in totals.items()
        if total and not total["acknowledged"]
    ]
    episodes = None if faults else sum(total.get("episodes", 0) for total in totals.values())
    return episodes, list(dict.fromkeys(faults))


def _ended_early(member: Member) -> str | None:
    if member.process.poll() is None:
        return None
    return member.fault() or f"{member.name} ended before its time"


def _end(member: Member, timeout_s: float) -> str | None:
    """Wait for a process that was let go; return what went wrong, if anything did."""
    try:
        member.process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        member.process.kill()
        member.process.wait()
        return f"{member.name} did not end within {timeout_s:.0f} s, and was killed"
    return member.fault()
