"""ChildProcess: starts a process of the daemon's, and keeps it alive."""

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
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_LONG_LIFE_S = 600.0
"""A process that lived longer is started again as fast as the first time."""


class ChildProcess:
    """`python -m MODULE --control-fd N` with one end of a socket pair; a thread restarts it when it dies.

    `first_line(restarted)` is what it is told first. `on_event` is called, on that thread, with each thing
    that the process says, a JSON object a line; `on_death` when it is about to be started again. `name` is
    what the log calls it; `arguments` follow, and `inherited` are the files that it gets.
    """

    def __init__(
        self,
        name: str,
        module: str,
        first_line: Callable[[bool], bytes],
        on_event: Callable[[dict[str, Any]], None],
        on_death: Callable[[], None] = lambda: None,
        *,
        arguments: Sequence[str] = (),
        inherited: Sequence[int] = (),
    ) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._first_line = first_line
        self._on_event, self._on_death = on_event, on_death
        self._inherited = tuple(inherited)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._keep_alive, name=name, daemon=True)
        self.restarts = 0

    def start(self) -> None:
        """Start the process."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        with self._lock:
            process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_kept(self) -> bool:
        """Whether it runs, or will be started again."""
        return self._thread.is_alive()

    def _keep_alive(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - began_s > _LONG_LIFE_S:
                pause_s = _FIRST_PAUSE_S
            log.error(
                "the process of %s ended (%s); starting it again in %.1f s", self._name, _how(code), pause_s
            )
            self._on_death()
            self.restarts += 1
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _run_once(self) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                number = theirs.fileno()
                process = subprocess.Popen(
                    [*self._command, "--control-fd", str(number)],
                    pass_fds=[number, *self._inherited],
                    stdin=subprocess.DEVNULL,
                    # A terminal's Ctrl-C is for the server, which ends this process in its turn.
                    start_new_session=True,
                )
            with self._lock:
                self._process = process
            try:
                ours.sendall(self._first_line(self.restarts > 0))
                with self._lock:
                    # Only now: nothing comes before the first line.
                    self._connection = ours
                for line in ours.makefile("rb"):
                    self._on_event(json.loads(line))
            except OSError:
                pass  # it died; its exit code says how
            finally:
                with self._lock:
                    self._connection = None
            return process.wait()

    def say(self, what: str) -> bool:
        """Say it without waiting; return whether that went, whole."""
        line = json.dumps({"do": what}).encode() + b"\n"
        with self._lock:
            if self._connection is None:
                return False
            try:
                return self._connection.send(line, socket.MSG_DONTWAIT) == len(line)
            except OSError:
                return False  # a full buffer has been told enough; a dead process is started again

    def let_end(self) -> None:
        """Do not start it again when it ends."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended for good, or the time is over."""
        self._thread.join(timeout_s)

    def end(self) -> None:
        """Kill the process if there is one still; ending twice is fine."""
        self.let_end()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            # It may have died, and been waited for, since it was asked.
            with suppress(ProcessLookupError):
                # With what it has started: the session is its own.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
