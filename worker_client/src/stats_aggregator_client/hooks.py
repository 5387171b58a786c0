"""Hooks: what must happen when the process forks and when it ends."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Protocol

from . import multiprocess
from .naming import new_id


class Client(Protocol):
    """What the hooks know of a client."""

    def after_fork_in_child(self) -> None:
        """Begin anew: nothing of the parent's is the child's."""

    def finish(self) -> None:
        """Deliver what waits, within a bound, and close."""


class Process:
    """This process: its random id, and the clients that live in it."""

    def __init__(self) -> None:
        self.id = new_id()
        self.lock = threading.Lock()
        """Guards what there is one of in a process; a forked child has another."""
        self.is_forked = False
        """Whether this process began as a fork of one that had the client already."""
        self._clients: dict[int, Client] = {}
        self._at_exit = False

    def add(self, client: Client) -> None:
        """Have `client` told of forks."""
        self._clients[id(client)] = client

    def remove(self, client: Client) -> None:
        """Tell `client` nothing more."""
        self._clients.pop(id(client), None)

    def arm(self) -> None:
        """Have all clients finish when this process ends; called at the first use in a process.

        Not before: children of multiprocessing begin by clearing what was registered with it.
        """
        if not self._at_exit:
            self._at_exit = True
            atexit.register(self._finish)
            multiprocess.call_at_end(self._finish)

    def after_fork_in_child(self) -> None:
        """Be another process."""
        self.id = new_id()
        self.lock = threading.Lock()
        self.is_forked = True
        self._at_exit = False
        for client in list(self._clients.values()):
            client.after_fork_in_child()

    def _finish(self) -> None:
        for client in list(self._clients.values()):
            client.finish()


PROCESS = Process()

# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.after_fork_in_child)
