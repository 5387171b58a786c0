"""CallRecord: whether a plugin was in a call when its process died, and since when it is in one now.

A plugin may take its process with it: a segfault, `os._exit`, all the memory. The next process reads here
whether that was in a call, and after three such deaths in a row the plugin is set aside.

The file is a line of JSON and then a place for each call under way: the moment at which it began, or 0 where
the place is free, and the tag of its run. Written through a memory map: that costs next to nothing, outlives
the process (not the machine, whose failure is no plugin's), and the server can read it, whatever the plugin
does to its interpreter.
"""

from __future__ import annotations

import hashlib
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
_PLACES = 64
"""A call beyond so many at once is not noted: any of those says that the plugin is in one."""
_CALL = struct.Struct("<q8s")
_FREE = _CALL.pack(0, b"")


class CallRecord:
    """Notes when a plugin is in a call, and knows whether it was when earlier processes died."""

    def __init__(self, path: Path, *, restarted: bool) -> None:
        """Begin a record; unless `restarted`, the past does not count."""
        now_s = time.time()
        self.deaths = _deaths(path, now_s) if restarted else 0
        self._changed = threading.Lock()
        head = json.dumps({"deaths": self.deaths, "started_s": now_s, "pid": os.getpid()}).encode() + b"\n"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(head + _FREE * _PLACES)
        os.replace(fresh, path)  # a death in between leaves the old record or the new one
        self._free = [
            slice(start, start + _CALL.size)
            for start in range(len(head), len(head) + len(_FREE) * _PLACES, _CALL.size)
        ]
        with path.open("r+b") as file:
            self._view = mmap.mmap(file.fileno(), 0)

    @property
    def is_fatal(self) -> bool:
        """Whether the plugin was in a call at so many deaths in a row that it is set aside."""
        return self.deaths >= DEATHS

    @contextmanager
    def during(self, run: str = "") -> Iterator[None]:
        """Surround a call of the plugin's code for a run, or for none: when it is loaded.

        Runs have a thread each, so several may be under way.
        """
        with self._changed:
            place = self._free.pop() if self._free else None
        if place is not None:
            self._view[place] = _CALL.pack(time.monotonic_ns(), tag(run))
        try:
            yield
        finally:
            if place is not None:
                self._view[place] = _FREE  # needs no memory: the plugin may have filled it
                with self._changed:
                    self._free.append(place)


def tag(run: str) -> bytes:
    """Return what stands for a run in a record: names are too long for it."""
    return hashlib.blake2b(run.encode(), digest_size=8).digest()


def calls_under_way(path: Path, pid: int) -> dict[bytes, float]:
    """Return, by the tag of its run, for how many seconds the process `pid` has been in a call.

    Any process may ask: the monotonic clock is the machine's.
    """
    past, calls = _read(path)
    if past.get("pid") != pid:
        return {}  # the process has only begun, and the record is of the one before it
    now_ns = time.monotonic_ns()
    return {run: max(0, now_ns - since_ns) / 1e9 for since_ns, run in calls}


def _deaths(path: Path, now_s: float) -> int:
    past, calls = _read(path)
    deaths = int(past.get("deaths", 0))
    if deaths >= DEATHS:
        return deaths  # what was set aside stays so until the daemon is started anew
    if not calls:
        return 0  # it died of something else
    return 1 + (deaths if now_s - past["started_s"] < ROW_S else 0)


def _read(path: Path) -> tuple[dict[str, float], list[tuple[int, bytes]]]:
    try:
        line, _, rest = path.read_bytes().partition(b"\n")
        past = json.loads(line)
        return past, [(since_ns, run) for since_ns, run in _CALL.iter_unpack(rest) if since_ns]
    except (OSError, ValueError, struct.error):
        return {}, []  # without a record of the past nobody is to blame
