"""The soak: real processes, faults for as long as it lasts, and a verdict at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.oracle import Oracle, Row, table
from tests.soak.crew import CARELESS, Crew
from tests.soak.faults import Faults
from tests.soak.target import Target
from tests.soak.verdict import judge
from tests.soak.worker import KINDS
from tests.system.proxy import Proxy

OFTEN = (
    *("kill_daemon",) * 4, *("kill_daemon_and_writers",) * 2, "kill_daemon_in_a_burst",
    "kill_daemon_at_its_start", "kill_writers", "pause_daemon", "pause_writers", *("kill_worker",) * 2,
    "pause_worker", "delay", "close_connections", "half_close_connections", "cut_in_a_message",
)  # fmt: skip
"""The faults that come again and again, each round in another order."""
SELDOM = (
    "pause_daemon_past_heartbeats", "pause_worker_past_heartbeats", "children_by_fork", "children_by_spawn",
    "children_by_forkserver", "children_by_os_fork",
)  # fmt: skip
"""Those that take long: two of them a round."""
_PROGRESS_S = 5.0


class Plan(NamedTuple):
    """What a soak does: rounds of faults for `seconds`, but at least `rounds`.

    In each come all that are `often`, and the next `seldom_each` of `seldom`, in any order.
    """

    seconds: float
    seed: int
    workers: int = 8
    rounds: int = 3
    often: Sequence[str] = OFTEN
    seldom: Sequence[str] = SELDOM
    seldom_each: int = 2
    longest_rest_s: float = 1.5


class Soak:
    """One soak in a directory of its own; `run` returns the oracle's table."""

    def __init__(self, directory: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self._directory, self._plan, self._say = directory, plan, say
        self._random = Random(plan.seed)
        self.oracle = Oracle()

    def run(self) -> str:
        """Run it all; raise AssertionError where a promise does not hold, or a fault never came."""
        began = time.monotonic()
        target = Target(self._directory)
        crew = Crew(self._directory)
        with target, Proxy(target.port) as proxy:
            try:
                faults = Faults(target, crew, proxy, self._random)
                for number in range(self._plan.workers):
                    address = proxy.address if number % 2 else target.address
                    crew.hire(KINDS[number // 2 % len(KINDS)], f"worker-{number}", address)
                crew.hire(CARELESS, "careless", proxy.address)
                self._harm(faults, target, crew)
                faults.mend()
                crew.finish()
                target.look()
                code = target.stop()
                assert code == 0, f"the daemon stopped with {code}; {target.log} says why"
            finally:
                crew.close()
        self.oracle.fired.update(faults.fired)
        rows = judge(self.oracle, crew, target)
        return self._table(rows, crew, target, time.monotonic() - began)

    def _harm(self, faults: Faults, target: Target, crew: Crew) -> None:
        began = said = time.monotonic()
        rounds = 0
        while rounds < self._plan.rounds or time.monotonic() - began < self._plan.seconds:
            deck = [*self._plan.often, *self._seldom(rounds)]
            self._random.shuffle(deck)
            for name in deck:
                faults.rest(self._random.uniform(0.1, self._plan.longest_rest_s))
                faults.do(name)
                if time.monotonic() - said > _PROGRESS_S:
                    said = time.monotonic()
                    self._say(
                        f"{said - began:5.0f} s: {sum(faults.fired.values())} faults, {target.kills} kills, "
                        f"{len(crew.kinds)} streams, {crew.total('sent'):,} values, "
                        f"{crew.total('acked'):,} acknowledged; last: {name}"
                    )
            rounds += 1

    def _seldom(self, round_number: int) -> list[str]:
        num, seldom = self._plan.seldom_each, self._plan.seldom
        return [seldom[(round_number * num + i) % len(seldom)] for i in range(num)]

    def _table(self, rows: Sequence[Row], crew: Crew, target: Target, elapsed_s: float) -> str:
        fired, faults = self.oracle.fired, {*self._plan.often, *self._plan.seldom}
        figures: dict[str, object] = {
            "duplicates refused": target.received["duplicate"],
            "batches": target.received["batch"],
            "partials": target.received["partial"],
            "values folded by clients": crew.total("folded"),
            "NACKs": crew.total("nacks"),
            "batches sent again": crew.total("resent"),
            "connections of clients": crew.total("connections"),
            "records recovered": target.recovered_records(),
            "kills of the daemon": target.kills,
            "workers killed": len(crew.killed),
            **{f"  {name}": fired[name] for name in sorted(faults)},
            "seconds": round(elapsed_s),
        }
        for name in ("duplicates refused", "partials", "NACKs", "records recovered"):
            fired[name] += int(str(figures[name]))
        # Values fold where an outage is long for the buffer: in a short run it may not come to that.
        folds = ["partials"] if self._plan.seconds else []
        self.oracle.sometimes(*faults, *folds, "duplicates refused", "NACKs", "records recovered")
        return table(rows, figures)
