"""What clients have written, period by period, as a Peer has it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from stats_aggregator_client.wire import Batch, Rewind, Write
from tests.worker_client.peer import Stored, columns

OPEN = "open"


def periods_of(stored: Stored) -> dict[str, list[Any]]:
    """Return the periods of each category in order: (step, values by key), and ("back to", step).

    A value belongs to the WRITE that ends it in its own session, whatever came of others meanwhile.
    """
    found: dict[str, list[Any]] = defaultdict(list)
    values: dict[tuple[bytes, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for message in stored.messages:
        if isinstance(message, Batch):
            for key, column in columns(message):
                values[message.session, message.category][key] += column
        elif isinstance(message, Write):
            written = values.pop((message.session, message.category), {})
            found[message.category].append((message.step, dict(written)))
        elif isinstance(message, Rewind):
            found[message.category].append(("back to", message.step))
    for (_, category), rest in values.items():
        found[category].append((OPEN, dict(rest)))
    return dict(found)
