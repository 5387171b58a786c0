"""CallRecord: which plugin was in a call when the writers' process died.

A plugin may take the whole process with it: a segfault, `os._exit`, the memory of the machine. The next
process reads here whose call it was, and leaves out the plugin that was there at three deaths in a row.

The file is a line of JSON and then a byte for each plugin, written through a memory map, which costs next to
nothing and outlives the process (not the machine, whose failure is no plugin's).
"""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEATHS = 3
ROW_S = 600.0
"""A process that lived longer begins a new row of deaths."""
_STUCK_S = 1.0
_OUT, _IN, _STUCK = 0, 1, 2


@dataclass(frozen=True, slots=True)
class _Past:
    """What the processes before left behind: deaths in a row by plugin, and which plugins are left out."""

    deaths: dict[str, int] = field(default_factory=dict)
    set_aside: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, now_s: float) -> _Past:
        try:
            line, _, marks = path.read_bytes().partition(b"\n")
            past = json.loads(line)
        except (OSError, ValueError):
            return cls()  # without a record of the past nobody is to blame
        in_call = {plugin: mark for plugin, mark in zip(past["plugins"], marks, strict=False) if mark != _OUT}
        # One that hangs is in a call at every death: it is blamed only where nobody else was.
        suspects = [plugin for plugin, mark in in_call.items() if mark == _IN] or list(in_call)
        before = past["deaths"] if now_s - past["started_s"] < ROW_S else {}
        deaths = {plugin: before.get(plugin, 0) + 1 for plugin in suspects}
        blamed = {plugin for plugin, count in deaths.items() if count >= DEATHS}
        return cls(deaths, frozenset(past["set_aside"]) | blamed)


class CallRecord:
    """Notes who is in a call, and knows who was when earlier processes died.

    After a death the plugins take turns for ROW_S, so that the next one has a single suspect: one that is in
    a call for longer than a second is taken to hang, and lets the others pass.
    """

    def __init__(self, path: Path, plugins: Sequence[str], *, restarted: bool) -> None:
        """Begin a record for `plugins`; unless `restarted`, the past does not count."""
        now_s = time.time()
        past = _Past.read(path, now_s) if restarted else _Past()
        self.set_aside = past.set_aside
        """The plugins that are left out."""
        self._slots = {plugin: slot for slot, plugin in enumerate(plugins)}
        self._calls: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._turns_until_s = time.monotonic() + ROW_S if past.deaths else 0.0
        head = {"plugins": list(plugins), "deaths": past.deaths, "set_aside": sorted(past.set_aside),
                "started_s": now_s}  # fmt: skip
        self._marks = _mapped(path, json.dumps(head).encode() + b"\n", len(plugins))

    @contextmanager
    def during(self, plugin: str) -> Iterator[None]:
        """Surround a call of `plugin`'s code."""
        with self._changed:
            if self._turns_until_s > time.monotonic():
                self._await_turn(plugin)
            self._calls[plugin] += 1
            self._marks[self._slots[plugin]] = _IN
        try:
            yield
        finally:
            with self._changed:
                self._calls[plugin] -= 1
                if not self._calls[plugin]:
                    self._marks[self._slots[plugin]] = _OUT
                self._changed.notify_all()

    def _await_turn(self, plugin: str) -> None:
        def others() -> list[int]:
            return [slot for name, slot in self._slots.items() if name != plugin and self._marks[slot] == _IN]

        if not self._changed.wait_for(lambda: not others(), _STUCK_S):
            for slot in others():
                self._marks[slot] = _STUCK


class _Marks:
    """The bytes after the head of a mapped file."""

    def __init__(self, view: mmap.mmap, offset: int) -> None:
        self._view, self._offset = view, offset

    def __getitem__(self, slot: int) -> int:
        return self._view[self._offset + slot]

    def __setitem__(self, slot: int, mark: int) -> None:
        self._view[self._offset + slot] = mark


def _mapped(path: Path, head: bytes, size: int) -> _Marks:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(head + bytes(size))
    os.replace(fresh, path)  # a death in between leaves the old record or the new one
    with path.open("r+b") as file:
        return _Marks(mmap.mmap(file.fileno(), 0), len(head))
