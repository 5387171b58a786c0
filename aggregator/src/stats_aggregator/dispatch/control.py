"""Control: what the server and a writer's process say to each other over a socket pair.

JSON objects, one a line. The server sends Settings first, then `{"do": "wake"}` when there is something new
in the store, and `{"do": "drain"}` at the end: deliver what is stored, close, exit. The process says:

- `{"event": "ready", "plugin": {...}}`: what became of the plugin, the fields of its PluginEntry. Where that
  is not "loaded" there is nothing to do, and it exits.
- `{"event": "refused", "why"}`: the plugin cannot run as configured, and the process exits.
- `{"event": "writers", "plugin", "run", "writers": [{"class", "destination"}], "tap"}`: the writers of a run
  are made; `tap` asks for the raw values, for `on_add_stat`.

When the server's end closes, the writer's process ends.
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
    """What a writer's process is told first.

    `plugin` is the key of the one that it runs. `restarted` says that an earlier process of it and of the
    same daemon died. `options` is the plugin's table of the configuration file. `feed` is the endpoint of the
    raw values. A plugin that keeps its interpreter to itself for `frozen_s` ends the process.
    """

    plugin: str
    store: str
    results_dir: str
    feed: str
    restarted: bool = False
    idle_s: float = 3600.0
    frozen_s: float = 30.0
    selection: Selection = field(default_factory=Selection)
    retry: Retry = field(default_factory=Retry)
    options: Mapping[str, Any] = field(default_factory=dict)

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

    def settings(self) -> Settings | None:
        """Wait for the first line; None where the server has gone before it said a word."""
        try:
            line = self._lines.readline()
        except OSError:
            return None
        return Settings.decode(line) if line.endswith(b"\n") else None

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
