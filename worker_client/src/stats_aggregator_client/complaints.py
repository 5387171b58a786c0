"""Complaints: log lines that are worth saying once, not once a value."""

from __future__ import annotations

from collections.abc import Hashable

from .log import LOGGER

MAX_TOPICS = 1000
"""Past so many different complaints further ones are only counted, so that they cost no memory."""


class Complaints:
    """Logs a warning the first time its topic comes up."""

    def __init__(self) -> None:
        self._topics: set[Hashable] = set()

    def once(self, topic: Hashable, text: str, *args: object) -> bool:
        """Log `text` unless `topic` was complained of before; return whether it was logged."""
        if topic in self._topics or len(self._topics) >= MAX_TOPICS:
            return False
        self._topics.add(topic)
        LOGGER.warning(text, *args)
        return True

    def forget(self, topic: Hashable) -> None:
        """Let `topic` be said again: what it was about has passed."""
        self._topics.discard(topic)


def shown(value: object) -> str:
    """Return `value` as a log line may show it, whatever its `repr` does."""
    try:
        return f"{value!r:.80}"
    except Exception:  # noqa: BLE001 - a foreign repr may raise anything
        return f"a {type(value).__name__}"
