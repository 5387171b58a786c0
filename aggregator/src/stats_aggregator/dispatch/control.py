"""Control: what the server and its writers' process say to each other over a socket pair.

JSON objects, one a line. The server sends Settings first, then `{"do": "wake"}` when there is something new
in the store, and `{"do": "drain"}` at the end: deliver what is stored, close, exit. The writers' process
says:

- `{"event": "ready", "plugins": [...]}`: which plugins there are, the fields of PluginEntry each.
- `{"event": "refused", "why": [...]}`: it cannot run as configured, and exits.
- `{"event": "writers", "plugin", "run", "writers": [{"class", "destination"}], "tap"}`: the writers of a run
  are made; `tap` asks for the raw values, for `on_add_stat`.
- `{"event": "drained", "left"}`: how many entries wait for the next start; it exits.

When the server's end closes, the writers' process ends.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .plugins import Selection
from .retry import Retry


@dataclass(frozen=True, slots=True)
class Settings:
    """What the writers' process is told first.

    `start` is the store's end when the daemon started: a new writer gets what comes after it. `restarted`
    says that an earlier writers' process of the same daemon died. `options` are the plugins' tables of the
    configuration file. `feed` is the endpoint of the raw values.
    """

    store: str
    results_dir: str
    start: int
    feed: str
    restarted: bool = False
    strict: bool = False
    idle_s: float = 3600.0
    selection: Selection = field(default_factory=Selection)
    retry: Retry = field(default_factory=Retry)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the line that the server sends."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Settings:
        """Return the settings of such a line."""
        fields = json.loads(line)
        selection = {name: tuple(names) for name, names in fields.pop("selection").items()}
        return cls(selection=Selection(**selection), retry=Retry(**fields.pop("retry")), **fields)


class Control:
    """The writers' end of the socket pair, read by a thread of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._sending = threading.Lock()
        self._news = threading.Event()
        self._draining = threading.Event()

    def settings(self) -> Settings:
        """Wait for the first line."""
        return Settings.decode(self._lines.readline())

    def start(self, on_gone: Callable[[], None]) -> None:
        """Begin to read; `on_gone` is called on the reading thread when the server is gone."""
        threading.Thread(target=self._read, args=(on_gone,), name="control", daemon=True).start()

    def _read(self, on_gone: Callable[[], None]) -> None:
        try:
            for line in self._lines:
                if json.loads(line)["do"] == "drain":
                    self._draining.set()
                self._news.set()
        except OSError:
            pass  # a reset says the same as the end of the stream
        on_gone()

    def wait(self, timeout_s: float) -> None:
        """Wait until the server has said something since the last wait, or the time is over."""
        self._news.wait(timeout_s)
        self._news.clear()

    @property
    def draining(self) -> bool:
        """Whether the server asked to finish."""
        return self._draining.is_set()

    def say(self, event: str, **fields: Any) -> None:
        """Tell the server; where it is gone, the reading thread ends the process."""
        line = json.dumps({"event": event, **fields}).encode() + b"\n"
        try:
            with self._sending:
                self._connection.sendall(line)
        except OSError:
            pass  # the reading thread sees it too
