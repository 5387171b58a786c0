"""Registration: the making of a plugin's writers for a run, until it succeeds."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from stats_aggregator_api import RunOptions, StatSummary, StatsWriter

from ..store.outbox import Outbox, WriterKey
from ..store.store import Store
from .failures import Failures
from .feed import FeedQueue
from .outlet import Entries, Outlet, Surroundings
from .plugins import Plugin, make_writers
from .tap import Tap, overrides_on_add_stat
from .terms import Terms


class _Nothing(StatsWriter):
    """Stands for a plugin that has no writer for a run, so that nothing waits for it."""

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Take it nowhere."""


class Made(NamedTuple):
    """The writers of a run, ready to be fed."""

    outlets: list[Outlet]
    tap: Tap


class Registration:
    """Calls a plugin's registration function for a run, with backoff until it succeeds once."""

    def __init__(
        self, plugin: Plugin, options: RunOptions, queue: FeedQueue, failures: Failures, terms: Terms
    ) -> None:
        self._plugin = plugin
        self._key = plugin.entry.key
        self._options = options
        self._run = options.checkpoint_settings.run_id
        self._queue = queue
        self._failures = failures
        self._terms = terms
        self._writers: list[StatsWriter] | None = None
        self._attempts = 0
        self._due_s = 0.0

    @property
    def wants_values(self) -> bool:
        """Whether a writer overrides `on_add_stat`, or none is made yet and one may."""
        return self._writers is None or any(map(overrides_on_add_stat, self._writers))

    @property
    def wait_s(self) -> float:
        """How long until the next attempt."""
        return max(0.0, self._due_s - self._terms.now_s())

    def make(self, store: Store, outbox: Outbox, *, hurrying: bool) -> Made | None:
        """Return the writers; None where that failed, or the next attempt is neither due nor hurried."""
        if self._writers is None:
            if self.wait_s > 0 and not hurrying:
                return None
            first = WriterKey(self._key, self._run, 0)
            if not self._attempts:
                # From here on the plugin has a place in this run, whether it succeeds or not.
                outbox.open_writer(first, "")
            try:
                with self._terms.calling(self._run):
                    self._writers = make_writers(self._plugin, self._options) or [_Nothing()]
            except BaseException as error:  # noqa: BLE001 - SystemExit too is the plugin's failure
                self._failed(error, first, outbox)
                return None
            self._terms.on_writers(self._run, self._writers)
        return self._outlets(self._writers, store, outbox)

    def _failed(self, error: BaseException, first: WriterKey, outbox: Outbox) -> None:
        self._attempts += 1
        delay_s = self._terms.retry.delay_s(self._attempts, random.random())
        self._due_s = self._terms.now_s() + delay_s
        text = self._failures.say("its registration", error, f"next attempt in {delay_s:.1f} s")
        due_ns = self._terms.now_ns() + int(delay_s * 1e9)
        outbox.retries(first, self._attempts, due_ns, text, state="not made")

    def _outlets(self, writers: list[StatsWriter], store: Store, outbox: Outbox) -> Made:
        tap = Tap(self._run, self._queue, writers, self._failures, self._terms)
        around = Surroundings(Entries(store, self._run), outbox, tap, self._failures, self._terms)
        keys = [WriterKey(self._key, self._run, place) for place in range(len(writers))]
        return Made([Outlet(writer, key, around) for writer, key in zip(writers, keys, strict=True)], tap)
