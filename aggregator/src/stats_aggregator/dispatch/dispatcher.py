"""Dispatcher: sees to it that each plugin has a delivery for each run that has something for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stats_aggregator_api import CheckpointSettings, RunOptions

from ..errors import StoreError
from ..store.outbox import Outbox
from ..store.store import RunRow, Store
from .delivery import Delivery
from .feed import FeedQueue
from .plugins import Plugin
from .terms import Terms

log = logging.getLogger(__name__)

_TRIM_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Post:
    """A loaded plugin with its own options."""

    plugin: Plugin
    options: Mapping[str, Any] = field(default_factory=dict)


class Dispatcher:
    """Starts deliveries as runs come and go, and wakes them when the store has something new."""

    def __init__(self, posts: Sequence[Post], store: Store, results_dir: str, terms: Terms) -> None:
        self._posts = posts
        self._store = store
        self._outbox = Outbox(store.database, terms.now_ns)
        self._results_dir = results_dir
        self._terms = terms
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._seen: dict[str, RunRow] = {}
        self._trim_at_s = 0.0
        self._store_error = ""

    def tick(self) -> None:
        """Look at the store, and start or wake the deliveries of runs that have changed since."""
        try:
            self._trim()
            for row in self._store.runs():
                if self._seen.get(row.run) == row:
                    continue
                attended = [self._attend(post, row) for post in self._posts]
                if all(attended):
                    self._seen[row.run] = row
        except StoreError as error:
            if str(error) != self._store_error:
                log.error("the writers wait: %s", error)
            self._store_error = str(error)
            return
        self._store_error = ""

    def _attend(self, post: Post, row: RunRow) -> bool:
        name = post.plugin.entry.key, row.run
        delivery = self._deliveries.get(name)
        if delivery and delivery.tell(run_closed=row.closed):
            return True
        if delivery and not delivery.join(0):
            return False  # it is closing its writers; the next ones are made when it is done
        heard_s = (self._terms.now_ns() - row.touched_ns) / 1e9
        alive = not row.closed and heard_s < self._terms.idle_s
        if not alive and row.run not in self._outbox.behind(post.plugin.entry.key):
            return True
        settings = CheckpointSettings(run_id=row.run, results_dir=self._results_dir)
        options = RunOptions(checkpoint_settings=settings, plugin_options=post.options)
        delivery = self._deliveries[name] = Delivery(post.plugin, options, self._terms)
        delivery.tell(run_closed=row.closed)
        delivery.start()
        return True

    def _trim(self) -> None:
        if self._terms.now_s() < self._trim_at_s:
            return
        self._trim_at_s = self._terms.now_s() + _TRIM_EVERY_S
        for key, periods in self._outbox.trim():
            log.error(
                "writer %s of plugin %s skips %d periods of run %s: more was waiting for it than max_backlog "
                "or max_backlog_age allow", key.place, key.plugin, periods, key.run,
            )  # fmt: skip
        for name, delivery in list(self._deliveries.items()):
            if delivery.join(0):
                del self._deliveries[name]

    def queues_of(self, run: str) -> list[FeedQueue]:
        """Return where the raw values of `run` go; any thread may ask."""
        return [
            delivery.queue
            for delivery in tuple(self._deliveries.values())
            if delivery.run == run and delivery.wants_values
        ]

    def drain(self) -> int:
        """Deliver what is stored, close all writers, and return how many entries are left undelivered.

        A writer that hangs holds it up for ever.
        """
        self.tick()
        for delivery in self._deliveries.values():
            delivery.drain()
        for delivery in self._deliveries.values():
            delivery.join()
        return self._outbox.left()

    def stop(self, timeout_s: float) -> None:
        """End all deliveries after the call that they are in, and wait for them until the time is over."""
        deliveries = tuple(self._deliveries.values())
        for delivery in deliveries:
            delivery.stop()
        over_s = time.monotonic() + timeout_s
        for delivery in deliveries:
            delivery.join(max(0.0, over_s - time.monotonic()))
