"""CallRecord: whether a plugin was in a call when its process died, and since when it is in one now.

A plugin may take its process with it: a segfault, `os._exit`, all the memory. The next process reads here
whether that was in a call, and after three such deaths in a row the plugin is set aside.

The file is a line of JSON and then eight bytes, the moment at which the longest call under way began or 0,
written through a memory map: that costs next to nothing, outlives the process (not the machine, whose failure
is no plugin's), and the server can read it, whatever the plugin does to its interpreter.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEATHS = 3
ROW_S = 600.0
"""A process that lived longer begins a new row of deaths."""
_SINCE = struct.Struct("<q")


class CallRecord:
    """Notes when a plugin is in a call, and knows whether it was when earlier processes died."""

    def __init__(self, path: Path, *, restarted: bool) -> None:
        """Begin a record; unless `restarted`, the past does not count."""
        now_s = time.time()
        self.deaths = _deaths(path, now_s) if restarted else 0
        self._calls: dict[object, int] = {}
        self._changed = threading.Lock()
        head = json.dumps({"deaths": self.deaths, "started_s": now_s}).encode() + b"\n"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(head + bytes(_SINCE.size))
        os.replace(fresh, path)  # a death in between leaves the old record or the new one
        self._offset = len(head)
        with path.open("r+b") as file:
            self._view = mmap.mmap(file.fileno(), 0)

    @property
    def is_fatal(self) -> bool:
        """Whether the plugin was in a call at so many deaths in a row that it is set aside."""
        return self.deaths >= DEATHS

    @contextmanager
    def during(self) -> Iterator[None]:
        """Surround a call of the plugin's code; runs have a thread each, so several may be under way."""
        call = object()
        with self._changed:
            self._calls[call] = time.monotonic_ns()
            self._note()
        try:
            yield
        finally:
            with self._changed:
                del self._calls[call]
                self._note()

    def _note(self) -> None:
        _SINCE.pack_into(self._view, self._offset, min(self._calls.values(), default=0))


def in_call_s(path: Path) -> float:
    """Return for how long the plugin of a record has been in the longest call under way; 0 where in none.

    Any process may ask: the monotonic clock is the machine's.
    """
    since_ns = _read(path)[1]
    return max(0, time.monotonic_ns() - since_ns) / 1e9 if since_ns else 0.0


def _deaths(path: Path, now_s: float) -> int:
    past, since_ns = _read(path)
    deaths = int(past.get("deaths", 0))
    if deaths >= DEATHS:
        return deaths  # what was set aside stays so until the daemon is started anew
    if not since_ns:
        return 0  # it died of something else
    return 1 + (deaths if now_s - past["started_s"] < ROW_S else 0)


def _read(path: Path) -> tuple[dict[str, float], int]:
    try:
        line, _, rest = path.read_bytes().partition(b"\n")
        past = json.loads(line)
        return past, _SINCE.unpack_from(rest)[0]
    except (OSError, ValueError, struct.error):
        return {}, 0  # without a record of the past nobody is to blame
