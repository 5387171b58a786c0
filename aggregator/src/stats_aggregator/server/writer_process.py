"""WriterProcess: starts the process of one plugin, and keeps it alive."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..dispatch.control import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_LONG_LIFE_S = 600.0
"""A process that lived longer is started again as fast as the first time."""
_DRAIN_RETRY_S = 0.05


class WriterProcess:
    """The server's end of a plugin's process; a thread restarts it when it dies.

    `on_event` is called, on that thread, with each thing the process says; see `control`. `state` and `why`
    are of the plugin, as in a PluginEntry; `refused` is why it does not run as configured.
    """

    def __init__(self, settings: Settings, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.plugin = settings.plugin
        self._settings = settings
        self._on_event = on_event
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._keep_alive, name=self.plugin, daemon=True)
        self.state, self.why = "starting", ""
        self.restarts = 0
        self.refused: str | None = None
        self._nothing_to_do = False

    def start(self) -> None:
        """Start the process."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        with self._lock:
            process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is known what became of the plugin, and return whether it is."""
        return self._ready.wait(timeout_s)

    def _keep_alive(self) -> None:
        settings, pause_s = self._settings, _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            code = self._run_once(settings)
            if self._stopping.is_set() or self._nothing_to_do:
                return
            if time.monotonic() - began_s > _LONG_LIFE_S:
                pause_s = _FIRST_PAUSE_S
            log.error(
                "the process of writer %s ended (%s); starting it again in %.1f s",
                self.plugin, _how(code), pause_s,
            )  # fmt: skip
            self.state = "starting"
            self.restarts += 1
            settings = replace(settings, restarted=True)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _run_once(self, settings: Settings) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                number = theirs.fileno()
                process = subprocess.Popen(
                    [sys.executable, "-m", "stats_aggregator.dispatch", "--control-fd", str(number)],
                    pass_fds=[number],
                    stdin=subprocess.DEVNULL,
                    # A terminal's Ctrl-C is for the server, which drains this process in its turn.
                    start_new_session=True,
                )
            with self._lock:
                self._process = process
            try:
                ours.sendall(settings.encode())
                with self._lock:
                    # Only now: the first line are the settings.
                    self._connection = ours
                for line in ours.makefile("rb"):
                    self._take(json.loads(line))
            except OSError:
                pass  # it died; its exit code says how
            finally:
                with self._lock:
                    self._connection = None
            return process.wait()

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            self.state, self.why = event["plugin"]["state"], event["plugin"]["why"]
        elif event["event"] == "refused":
            self.state, self.why = "failed", event["why"]
            self.refused = self.why
        self._nothing_to_do = self.state != "loaded"
        self._on_event(event)
        if event["event"] in ("ready", "refused"):
            self._ready.set()

    def wake(self) -> None:
        """Say that something new is stored; where that cannot be said at once, it is found a second later."""
        self._say("wake")

    def _say(self, what: str) -> bool:
        """Say it without waiting; return whether that went, whole."""
        line = json.dumps({"do": what}).encode() + b"\n"
        with self._lock:
            if self._connection is None:
                return False
            try:
                return self._connection.send(line, socket.MSG_DONTWAIT) == len(line)
            except OSError:
                return False  # a full buffer has wakes enough; a dead process is started again

    def ask_to_drain(self) -> bool:
        """Ask it to deliver what is stored and to end; return whether it could be told."""
        self._stopping.set()
        return self._say("drain")

    def join(self, deadline_s: float) -> None:
        """Let the plugin take what is stored, and end, until that moment of the monotonic clock."""
        while not self.ask_to_drain() and self._thread.is_alive() and time.monotonic() < deadline_s:
            self._thread.join(_DRAIN_RETRY_S)  # it does not read: its plugin may hold its interpreter
        self._thread.join(max(deadline_s - time.monotonic(), 0.0))

    def end(self) -> None:
        """Kill the process if there is one still; what it has not taken is delivered after the next start."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            # It may have died, and been waited for, since it was asked.
            with suppress(ProcessLookupError):
                # With what the plugin has started: the session is its own.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
