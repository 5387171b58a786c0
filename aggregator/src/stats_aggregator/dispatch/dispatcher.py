"""Dispatcher: sees to it that the plugin has a delivery for each run that has something for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
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


class Dispatcher:
    """Starts deliveries as runs come and go, and wakes them when the store has something new."""

    def __init__(
        self, plugin: Plugin, options: Mapping[str, Any], store: Store, results_dir: str, terms: Terms
    ) -> None:
        self._plugin = plugin
        self._options = options
        self._store = store
        self._outbox = Outbox(store.database, terms.now_ns)
        self._results_dir = results_dir
        self._terms = terms
        self._deliveries: dict[str, Delivery] = {}
        self._seen: dict[str, RunRow] = {}
        self._store_error = ""

    def tick(self) -> None:
        """Look at the store, and start or wake the deliveries of runs that have changed since."""
        try:
            for row in self._store.runs():
                if self._seen.get(row.run) != row and self._attend(row):
                    self._seen[row.run] = row
        except StoreError as error:
            if str(error) != self._store_error:
                log.error("plugin %s waits: %s", self._plugin.entry, error)
            self._store_error = str(error)
            return
        self._store_error = ""

    def _attend(self, row: RunRow) -> bool:
        delivery = self._deliveries.get(row.run)
        if delivery and delivery.tell(run_closed=row.closed):
            return True
        if delivery and not delivery.join(0):
            return False  # it is closing its writers; the next ones are made when it is done
        heard_s = (self._terms.now_ns() - row.touched_ns) / 1e9
        alive = not row.closed and heard_s < self._terms.idle_s
        if not alive and row.run not in self._outbox.behind(self._plugin.entry.key):
            self._deliveries.pop(row.run, None)
            return True
        settings = CheckpointSettings(run_id=row.run, results_dir=self._results_dir)
        options = RunOptions(checkpoint_settings=settings, plugin_options=self._options)
        delivery = self._deliveries[row.run] = Delivery(self._plugin, options, self._terms)
        delivery.tell(run_closed=row.closed)
        delivery.start()
        return True

    def queues_of(self, run: str) -> list[FeedQueue]:
        """Return where the raw values of `run` go; any thread may ask."""
        delivery = self._deliveries.get(run)
        return [delivery.queue] if delivery and delivery.wants_values else []

    def drain(self) -> None:
        """Ask all deliveries to take what is stored, to close their writers, and to end."""
        self.tick()
        for delivery in self._deliveries.values():
            delivery.drain()

    def join(self, timeout_s: float) -> bool:
        """Wait until all deliveries have ended, and return whether they have; one that hangs never does."""
        over_s = time.monotonic() + timeout_s
        return all(
            delivery.join(max(0.0, over_s - time.monotonic()))
            for delivery in tuple(self._deliveries.values())
        )

    def stop(self, timeout_s: float) -> None:
        """End all deliveries after the call that they are in, and wait for them until the time is over."""
        for delivery in tuple(self._deliveries.values()):
            delivery.stop()
        self.join(timeout_s)
