"""Watch: sees what no plugin says of itself, that it does not return or that too much waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from ..errors import StoreError
from ..store.outbox import Outbox

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_TRIM_EVERY_S = 60.0
_LONG_CALL_S = 30.0


class Watch:
    """A thread that says once of each long call, and keeps every backlog within its plugin's bounds.

    `calls` tells of each plugin that runs the id of its process, and for how many seconds that has been in a
    call. It runs in the daemon, since a plugin may hold up all threads of its own process.
    """

    def __init__(self, outbox: Outbox, calls: Callable[[], Mapping[str, tuple[int, float]]]) -> None:
        self._outbox = outbox
        self._calls = calls
        self._long: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; closing twice is fine."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_LOOK_EVERY_S)

    def _work(self) -> None:
        next_trim_s = 0.0
        while not self._ended.is_set():
            self.look()
            if next_trim_s <= 0:
                self.trim()
                next_trim_s = _TRIM_EVERY_S
            self._ended.wait(_LOOK_EVERY_S)
            next_trim_s -= _LOOK_EVERY_S

    def look(self) -> None:
        """Say of each plugin that it does not return, and that it has."""
        calls = self._calls()
        # Who ended the process, or started it again, has said so: it did not return.
        self._long = {
            plugin: pid for plugin, pid in self._long.items() if calls.get(plugin, (0, 0))[0] == pid
        }
        for plugin, (pid, seconds) in calls.items():
            if seconds >= _LONG_CALL_S and plugin not in self._long:
                self._long[plugin] = pid
                log.warning("writer %s has not returned for %.0f s; it delays nobody else", plugin, seconds)
            elif seconds < _LONG_CALL_S and plugin in self._long:
                del self._long[plugin]
                log.info("writer %s has returned", plugin)

    def trim(self) -> None:
        """Skip what is beyond the bounds of a backlog, and say so."""
        try:
            skipped = self._outbox.trim()
        except StoreError as error:
            log.debug("no backlog is trimmed now: %s", error)
            return
        for key, periods in skipped:
            log.error(
                "writer %s of plugin %s skips %d periods of run %s: more was waiting for it than max_backlog "
                "or max_backlog_age allow", key.place, key.plugin, periods, key.run,
            )  # fmt: skip
