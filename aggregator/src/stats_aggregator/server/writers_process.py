"""WritersProcess: starts the process in which writers run, and keeps it alive."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..dispatch.control import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_DRAIN_RETRY_S = 0.05


class WritersProcess:
    """The server's end of the writers' process; a thread restarts it when it dies.

    `on_event` is called, on that thread, with each thing the process says; see `control`.
    """

    def __init__(self, settings: Settings, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._settings = settings
        self._on_event = on_event
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._keep_alive, name="writers", daemon=True)
        self.restarts = 0
        self.left: int | None = None
        self.refused: list[str] = []

    def start(self) -> None:
        """Start the process."""
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the process knows its plugins, or has refused to run; return whether it runs."""
        return self._ready.wait(timeout_s) and not self.refused

    def _keep_alive(self) -> None:
        settings, pause_s = self._settings, _FIRST_PAUSE_S
        while not self._stopping.is_set():
            code = self._run_once(settings)
            if self._stopping.is_set() or self.refused:
                return
            log.error("the writers' process ended (%s); starting it again in %.1f s", _how(code), pause_s)
            self.restarts += 1
            settings = replace(settings, restarted=True)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _run_once(self, settings: Settings) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "stats_aggregator.dispatch",
                        "--control-fd",
                        str(theirs.fileno()),
                    ],
                    pass_fds=[theirs.fileno()],
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
        if event["event"] == "drained":
            self.left = event["left"]
        if event["event"] == "refused":
            self.refused = list(event["why"])
        if event["event"] in ("ready", "refused"):
            self._ready.set()
        self._on_event(event)

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

    def drain(self, timeout_s: float) -> int | None:
        """Let the writers take what is stored; return how many entries are left, None where none can tell.

        After `timeout_s` the process is killed: what is left is delivered after the next start.
        """
        self._stopping.set()
        deadline_s = time.monotonic() + timeout_s
        while not self._say("drain") and self._thread.is_alive() and time.monotonic() < deadline_s:
            self._thread.join(_DRAIN_RETRY_S)  # it does not read: a plugin may hold its interpreter
        self._thread.join(max(deadline_s - time.monotonic(), 0.0))
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        return self.left


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
