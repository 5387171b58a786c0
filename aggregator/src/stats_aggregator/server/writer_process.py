"""WriterProcess: the process of one plugin, as the server sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..dispatch.control import Settings
from .child_process import ChildProcess

_DRAIN_RETRY_S = 0.05


class WriterProcess:
    """The server's end of a plugin's process, which is started again when it dies.

    `on_event` is called, on a thread of its own, with each thing the process says; see `control`. `state` and
    `why` are of the plugin, as in a PluginEntry; `refused` is why it does not run as configured.
    """

    def __init__(self, settings: Settings, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.plugin = settings.plugin
        self._on_event = on_event
        self._ready = threading.Event()
        self._child = ChildProcess(
            f"writer {settings.plugin}",
            "stats_aggregator.dispatch",
            lambda restarted: replace(settings, restarted=restarted).encode(),
            self._take,
            self._died,
        )
        self.state, self.why = "starting", ""
        self.refused: str | None = None

    def start(self) -> None:
        """Start the process."""
        self._child.start()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._child.pid

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._child.restarts

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is known what became of the plugin, and return whether it is."""
        return self._ready.wait(timeout_s)

    def _died(self) -> None:
        self.state = "starting"

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            self.state, self.why = event["plugin"]["state"], event["plugin"]["why"]
        elif event["event"] == "refused":
            self.state, self.why = "failed", event["why"]
            self.refused = self.why
        if self.state != "loaded":
            self._child.let_end()  # it has nothing to do
        self._on_event(event)
        if event["event"] in ("ready", "refused"):
            self._ready.set()

    def wake(self) -> None:
        """Say that something new is stored; where that cannot be said at once, it is found a second later."""
        self._child.say("wake")

    def ask_to_drain(self) -> bool:
        """Ask it to deliver what is stored and to end; return whether it could be told."""
        self._child.let_end()
        return self._child.say("drain")

    def join(self, deadline_s: float) -> None:
        """Let the plugin take what is stored, and end, until that moment of the monotonic clock."""
        while not self.ask_to_drain() and self._child.is_kept and time.monotonic() < deadline_s:
            self._child.join(_DRAIN_RETRY_S)  # it does not read: its plugin may hold its interpreter
        self._child.join(max(deadline_s - time.monotonic(), 0.0))

    def end(self) -> None:
        """Kill the process if there is one still; what it has not taken is delivered after the next start."""
        self._child.end()
