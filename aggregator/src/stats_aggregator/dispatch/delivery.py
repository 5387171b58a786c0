"""Delivery: the thread of one plugin in one run."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from contextlib import closing

from stats_aggregator_api import RunOptions

from ..errors import StoreError
from ..store.outbox import Outbox
from ..store.store import Store
from .failures import Failures
from .feed import FeedQueue
from .plugins import Plugin
from .registration import Made, Registration
from .step import Step
from .terms import Terms

log = logging.getLogger(__name__)

_STORE_RETRY = Step(1.0, failing=True)


class Delivery:
    """Makes the writers of a plugin for a run, feeds them from the store, and closes them, on one thread.

    It ends when it is told to, when the run is closed and all is delivered, or when nothing came for
    `idle_s`. What the plugin does, this thread alone suffers.
    """

    def __init__(self, plugin: Plugin, options: RunOptions, terms: Terms) -> None:
        self.run = options.checkpoint_settings.run_id
        self.queue = FeedQueue(self._wake)
        """Where the raw values of the run go while `wants_values`."""
        self._terms = terms
        self._who = f"plugin {plugin.entry}, run {self.run}"
        self._registration = Registration(plugin, options, self.queue, Failures(self._who), terms)
        self._made: Made | None = None
        self._store_error = ""
        self._changed = threading.Condition()
        self._news = True
        self._last_news_s = terms.now_s()
        self._run_closed = self._stopping = self._draining = self._hurrying = self._ended = False
        self._thread = threading.Thread(
            target=self._work, name=f"{plugin.entry.key} of {self.run}"[:80], daemon=True
        )

    @property
    def wants_values(self) -> bool:
        """Whether a writer overrides `on_add_stat`, or none is made yet and one may."""
        return self._registration.wants_values

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self, *, run_closed: bool) -> bool:
        """Say that the run's row in the store has changed; False where this delivery has ended."""
        with self._changed:
            self._run_closed = run_closed
            self._wake()
            return not self._ended

    def drain(self) -> None:
        """Ask it to deliver what is stored, and to end; a writer that fails gets one more attempt."""
        with self._changed:
            self._draining = self._hurrying = True
            self._wake()

    def stop(self) -> None:
        """Ask it to end after the call that it is in."""
        with self._changed:
            self._stopping = True
            self._wake()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended, and return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:
        with self._changed:
            self._news = True
            self._last_news_s = self._terms.now_s()
            self._changed.notify_all()

    def _work(self) -> None:
        steps: Sequence[Step] = [Step(0.0)]
        while not self._over(steps):
            try:
                with closing(Store(self._terms.store, durability="process")) as store:
                    self._deliver(store, Outbox(store.database, self._terms.now_ns))
                return
            except Exception:
                # No plugin's failure, those end in its outlet: the store is gone, or this code is wrong.
                log.exception("%s: delivery broke off, and begins anew", self._who)
                self._made, steps = None, [_STORE_RETRY]

    def _deliver(self, store: Store, outbox: Outbox) -> None:
        while not self._over(self._look(store, outbox)):
            pass
        for outlet in self._made.outlets if self._made else ():
            outlet.close()

    def _look(self, store: Store, outbox: Outbox) -> Sequence[Step]:
        """Do what there is to do at once, a step for each writer."""
        with self._changed:
            self._news = False
            hurrying, self._hurrying = self._hurrying, False
        try:
            self._made = self._made or self._registration.make(store, outbox, hurrying=hurrying)
            if self._made is None:
                return [Step(self._registration.wait_s, failing=True)]
            for outlet in self._made.outlets if hurrying else ():
                outlet.hurry()
            values = self._made.tap.show()
            steps = [values, *(outlet.step() for outlet in self._made.outlets)]
        except StoreError as error:
            if str(error) != self._store_error:
                log.error("%s waits: %s", self._who, error)
            self._store_error = str(error)
            return [_STORE_RETRY]
        self._store_error = ""
        return steps

    def _over(self, steps: Sequence[Step]) -> bool:
        """Wait until there is something to do; return whether it is time to end instead."""
        wait_s = min(step.wait_s for step in steps)
        due_s = self._terms.now_s() + wait_s
        busy = any(not step.failing and step.wait_s < math.inf for step in steps)
        with self._changed:
            while not self._stopping:
                now_s, idle_at_s = self._terms.now_s(), self._last_news_s + self._terms.idle_s
                if self._news or now_s >= due_s:
                    return False
                if self._draining and not busy:
                    break
                if wait_s == math.inf and (self._run_closed or now_s >= idle_at_s):
                    break
                self._changed.wait((idle_at_s if wait_s == math.inf else due_s) - now_s)
            self._ended = True
            return True
