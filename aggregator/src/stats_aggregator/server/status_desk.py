"""StatusDesk: answers STATUS, without letting the store's disk hold up the thread that takes values."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stats_aggregator_client.wire import StatusReply, encode

log = logging.getLogger(__name__)

_MAX_WAITING = 100
"""Answers that may be under way; who asks past them is not answered, and asks again."""

Reply = tuple[bytes, bytes]


class StatusDesk:
    """A thread that completes what the engine told of itself with what the store knows of the writers.

    `outgoing` returns that part; `on_answer` is called, on the desk's thread, when `answers` has something.
    """

    def __init__(self, outgoing: Callable[[], Mapping[str, Any]], on_answer: Callable[[], None]) -> None:
        self._outgoing = outgoing
        self._on_answer = on_answer
        self._asked: deque[tuple[Sequence[bytes], Mapping[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)
        self.answers: deque[Reply] = deque()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask(self, peers: Sequence[bytes], engines_part: Mapping[str, Any]) -> None:
        """Have `peers` answered; never waits."""
        with self._changed:
            if len(self._asked) < _MAX_WAITING and len(self.answers) < _MAX_WAITING:
                self._asked.append((peers, engines_part))
                self._changed.notify()

    def close(self) -> None:
        """End the thread; closing twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                if self._closed:
                    return
                asked, self._asked = self._asked, deque()
            # All who wait are told the same of the writers.
            outgoing = self._outgoing()
            for peers, engines_part in asked:
                try:
                    frame = encode(StatusReply({**engines_part, **outgoing}))
                except (ValueError, OverflowError, TypeError):
                    log.exception("a status cannot be told")
                    continue
                self.answers.extend((peer, frame) for peer in peers)
            self._on_answer()
