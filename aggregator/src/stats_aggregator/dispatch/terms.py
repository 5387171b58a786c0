"""Terms: what all deliveries of a writer's process have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from stats_aggregator_api import StatsWriter

from .retry import Retry


@dataclass(frozen=True, slots=True)
class Terms:
    """Where the store is, how failures are retried, and when a run without news is let go.

    `calling(run)` surrounds every call of the plugin's code; `on_writers(run, writers)` hears of the writers
    of a run when they are made.
    """

    store: Path
    retry: Retry
    idle_s: float
    calling: Callable[[str], AbstractContextManager[None]]
    on_writers: Callable[[str, Sequence[StatsWriter]], None]
    now_s: Callable[[], float] = time.monotonic
    now_ns: Callable[[], int] = time.time_ns
