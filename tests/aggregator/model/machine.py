"""The machine: all that may happen to the world, in any order."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from stats_aggregator.failpoints import NAMES
from tests.aggregator.model.ending import finish
from tests.aggregator.model.worker import KEYS
from tests.aggregator.model.world import CATEGORIES, OVERRIDES, World

ROOMY: dict[str, Any] = {}
TIGHT: dict[str, Any] = {
    "buffer_bytes": 12_000,
    "ingress_bytes": 30_000,
    "journal_bytes": 20_000,
    "max_series": 3,
    "retain_bytes": 2_000,
    "retain_values": 8,
    "segment_bytes": 4096,
}
"""Too little of everything: what does not fit is folded, in the workers and in the daemon."""

EDGES = sorted(
    name for name in NAMES if name.startswith(("journal.", "segment.", "engine.apply", "recovery."))
)

Deed = tuple[Any, ...]
"""The name of a method of World, and its arguments."""

workers = st.integers(0, 2)
categories = st.sampled_from(CATEGORIES)
small = st.integers(0, 3)
picks = st.lists(st.tuples(small, st.integers(1, 4)), min_size=1, max_size=4)
seconds = st.sampled_from([0.05, 0.6, 1, 2, 3, 6, 11])


def deed(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Deed]:
    """Return deeds of one name."""
    return st.tuples(st.just(name), *arguments)


additions = deed(
    "add", workers, categories, st.sampled_from(list(KEYS)), st.sampled_from([1, 2, 3, 5, 40, 300])
)
utterances = st.one_of(
    additions,
    additions,
    deed("write", workers, categories, st.integers(-1, 1)),
    deed("report_step", workers, categories, st.integers(0, 300)),
    deed("count_steps", workers, st.just("steps"), st.integers(0, 70)),
    deed("tell_property", workers, categories, small),
    deed("rewind", workers, categories, st.integers(0, 100)),
    deed("say_nonsense", workers),
)
troubles = st.one_of(
    deed("lose_up", workers, small),
    deed("lose_down", workers, st.integers(1, 3)),
    deed("repeat", workers, small, small),
    deed("reconnect", workers),
    deed("disconnect", workers),
    deed("jump", workers, st.sampled_from([-30, -3, 3, 8, 30])),
)
accidents = st.one_of(
    deed("crash", st.sampled_from([0, 0, 0, 5, 3600])),
    deed("crash_within", picks, st.floats(0, 1)),
    deed("stop_storing"),
    deed("store_all"),
    deed("stop", st.booleans()),
    deed("change_every", st.integers(0, len(OVERRIDES) - 1)),
    deed("move", st.integers(0, 2)),
    deed("pass_a_week"),
    deed("pass_s", st.sampled_from([16, 61, 301, 3600])),
    deed("stop_worker", workers, st.booleans(), st.sampled_from([0, -3600, 30, 3600])),
    deed("fill_disk"),
    deed("free_disk"),
    deed("break_edge", st.sampled_from(EDGES), st.integers(1, 3)),
)
deliveries = st.one_of(
    deed("write_out", st.sampled_from([1, 3, 20])),
    deed("trouble_writer", st.integers(0, 1), st.sampled_from([1, 4, 7]), small),
    deed("crash_within_call", st.integers(0, 1)),
)


class Machine(RuleBasedStateMachine):
    """A world, and whatever may happen to it; when it is over all must be as it should."""

    settings: ClassVar[dict[str, Any]] = ROOMY
    fired: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self._directory = Path(tempfile.mkdtemp(prefix="model-"))
        self._world = World(self._directory, self.fired, **self.settings)

    def teardown(self) -> None:
        """Check everything, unless something has failed already."""
        try:
            if sys.exc_info()[0] is None:
                finish(self._world)
        finally:
            self._world.close()
            shutil.rmtree(self._directory)

    @initialize()
    def begin(self) -> None:
        """Let everybody say HELLO."""
        self._world.exchange(2)

    @rule(
        said=st.lists(utterances, min_size=1, max_size=8),
        found=st.lists(troubles, max_size=3),
        picks=picks,
        deaf=st.sets(workers),
    )
    def talk(self, said: list[Deed], found: list[Deed], picks: list[tuple[int, int]], deaf: set[int]) -> None:
        """Let workers say something, of which some arrives, and the answers to some."""
        for deed in said:
            self._world.do([deed, ("act", deed[1])])
        self._world.do(found)
        self._world.deliver(picks)
        for worker in {0, 1, 2} - deaf:
            self._world.hear(worker, 4)

    @rule(said=st.lists(utterances, min_size=1, max_size=8))
    def hold_back(self, said: list[Deed]) -> None:
        """Let workers say something that is not sent yet."""
        self._world.do(said)

    @rule(found=st.lists(troubles, min_size=1, max_size=3), picks=picks)
    def trouble(self, found: list[Deed], picks: list[tuple[int, int]]) -> None:
        """Let something go wrong on the way."""
        self._world.do(found)
        self._world.deliver(picks)

    @rule(rounds=st.integers(1, 2), seconds=seconds)
    def exchange(self, rounds: int, seconds: float) -> None:
        """Let all go well for a while."""
        self._world.exchange(rounds)
        self._world.pass_s(seconds)

    @rule(seconds=seconds)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._world.pass_s(seconds)

    @rule(accident=accidents)
    def meet_accident(self, accident: Deed) -> None:
        """Let something happen to a machine."""
        self._world.do([accident])

    @rule(deeds=st.lists(deliveries, min_size=1, max_size=3))
    def deliver_out(self, deeds: Iterable[Deed]) -> None:
        """Let the writers do something, or fail."""
        self._world.do(deeds)
