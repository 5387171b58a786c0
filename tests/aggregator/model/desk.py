"""Writers of a data directory: the real deliveries, step by step, to writers that fail when told to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from stats_aggregator.clock import Clock
from stats_aggregator.dispatch.failures import Failures
from stats_aggregator.dispatch.feed import FeedQueue
from stats_aggregator.dispatch.plugins import Plugin, PluginEntry
from stats_aggregator.dispatch.registration import Made, Registration
from stats_aggregator.dispatch.retry import Retry
from stats_aggregator.dispatch.terms import Terms
from stats_aggregator.store.outbox import Outbox, PluginRow
from stats_aggregator.store.store import Store
from stats_aggregator_api import CheckpointSettings, PeriodSummaries, RunOptions, StatSummary, StatsWriter

PLUGIN = "pens"
PLACES = 2
_LOOKS = 10_000


class Taken(NamedTuple):
    """A period that a writer took; `cut_off` where everything died before it could say so."""

    period: str
    cut_off: bool


class Paper:
    """What the writers at one place have written, and how they fare; it outlives every process."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.properties: list[Any] = []
        self.troubles: list[type[Exception]] = []
        """What the next calls raise."""
        self.copy_within: tuple[Path, Path] | None = None
        """Where from and where to the files are copied within the next call: there a crash goes on."""


class Pen(StatsWriter):
    """Writes to its paper."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        assert isinstance(values, PeriodSummaries)
        assert (values.period.category, values.period.step) == (category, step)
        self._fail()
        copy = self._paper.copy_within
        self._paper.taken.append(Taken(values.period.id, cut_off=copy is not None))
        if copy is not None:
            self._paper.copy_within = None
            shutil.copytree(*copy)

    def add_property(self, category: str, property_type: Any, value: Any) -> None:
        self._fail()
        self._paper.properties.append((category, property_type.value, value["number"]))

    def _fail(self) -> None:
        if self._paper.troubles:
            raise self._paper.troubles.pop(0)("no")


class Desk:
    """The writers' process of a data directory, without its threads."""

    def __init__(self, papers: list[Paper], store_path: Path, clock: Clock, fired: Counter[str]) -> None:
        self._papers, self._fired = papers, fired
        self.store = Store(store_path, durability="process", clock=clock.now_ns)
        self.outbox = Outbox(self.store.database, clock.now_ns)
        self.outbox.begin([PluginRow(PLUGIN, "model", "1", "loaded", "", 1 << 40, 1 << 62)], 0)
        terms: Any = Terms(
            store=store_path,
            retry=Retry(),
            idle_s=1e9,
            calling=lambda *_: nullcontext(),
            on_writers=lambda *_: None,
            now_s=lambda: clock.now_ns() / 1e9,
            now_ns=clock.now_ns,
        )
        options = RunOptions(checkpoint_settings=CheckpointSettings(run_id="run", results_dir="results"))
        entry = PluginEntry(PLUGIN, PLUGIN, "group", "model", "1", "model:pens", "loaded")
        plugin = Plugin(entry, None, register=lambda _: [Pen(paper) for paper in papers])  # type: ignore[arg-type]
        self._registration = Registration(plugin, options, FeedQueue(lambda: None), Failures("pens"), terms)
        self._made: Made | None = None

    def look(self, times: int) -> bool:
        """Let every writer take what it can, at most so many times; return whether all are done."""
        self._made = self._made or self._registration.make(self.store, self.outbox, hurrying=True)
        assert self._made is not None
        for _ in range(times):
            steps = [outlet.step() for outlet in self._made.outlets]
            self._fired["writer failed"] += any(step.failing for step in steps)
            if all(step.wait_s > 0 for step in steps):
                return not any(step.failing for step in steps)
        return False

    def look_at(self, place: int) -> None:
        """Let the writer at one place take its next entry."""
        self.look(0)
        self._made.outlets[place].step()

    def finish(self) -> None:
        """Let every writer take all that there is."""
        for paper in self._papers:
            paper.troubles.clear()
        for outlet in self._made.outlets if self._made else ():
            outlet.hurry()
        assert self.look(_LOOKS), "writers do not come to an end"

    def check(self) -> None:
        """Each writer got every period in order, and again only what it was in when everything died."""
        self.finish()
        with self.store.database.reading() as connection:
            stored = [row[0] for row in connection.execute("SELECT id FROM periods ORDER BY position")]
            aside = connection.execute(
                "SELECT idx, id FROM set_aside JOIN periods USING (position)"
            ).fetchall()
        self._fired["set aside"] += len(aside)
        for place, paper in enumerate(self._papers):
            got: list[str] = []
            for before, each in zip([None, *paper.taken], paper.taken, strict=False):
                if before is not None and before.cut_off and before.period == each.period:
                    self._fired["delivered again"] += 1
                    continue
                got.append(each.period)
            left_out = {period for where, period in aside if where == place}
            right = [period for period in stored if period not in left_out]
            assert [period for period in got if period not in left_out] == right, (
                f"writer {place} got other periods"
            )

    def close(self) -> None:
        self.store.close()
