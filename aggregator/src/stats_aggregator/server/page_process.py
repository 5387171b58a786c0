"""PageProcess: the address of the pages, and the process that serves them there."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from ..errors import BindError
from ..metrics.settings import Settings
from .addresses import host_and_port
from .child_process import ChildProcess

_BACKLOG = 64
_FREE_WITHIN_S = 3.0
"""How long the process of a daemon that was killed a moment ago may still have the address."""
_RETRY_S = 0.05


class PageProcess:
    """Listens from the start on, so that an address in use is said at once; the process answers there.

    Raises BindError where the address cannot be had. `address` has the port that was taken for port 0.
    """

    def __init__(self, address: str) -> None:
        host, port = host_and_port("--http", address)
        self._child: ChildProcess | None = None
        try:
            self._socket = _listening(host, port)
        except socket.gaierror as error:
            raise BindError(address, f"{error.strerror}; choose another --http") from error
        except OSError as error:
            raise BindError(address, f"{os.strerror(error.errno or 0)}; choose another --http") from error
        self.address = f"{host}:{self._socket.getsockname()[1]}"

    def start(self, settings: Settings) -> None:
        """Start the process."""
        number = self._socket.fileno()
        self._child = ChildProcess(
            "the pages",
            "stats_aggregator.metrics",
            lambda restarted: settings.encode(),
            lambda event: None,
            arguments=["--listen-fd", str(number)],
            inherited=[number],
        )
        self._child.start()

    def describe(self) -> Mapping[str, Any]:
        """Return what `status` tells of it."""
        child = self._child
        return {
            "address": self.address,
            "pid": child.pid if child is not None else None,
            "restarts": child.restarts if child is not None else 0,
        }

    def close(self) -> None:
        """End the process, and listen no more; closing twice is fine."""
        if self._child is not None:
            self._child.end()
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    # As for workers, localhost is that of IPv4 where there are both.
    family, *_, where = min(found, key=lambda each: each[0] != socket.AF_INET)
    deadline_s = time.monotonic() + _FREE_WITHIN_S
    while True:
        try:
            return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)
