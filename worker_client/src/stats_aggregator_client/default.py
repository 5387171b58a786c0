"""The default client: one a process, configured by the environment, made when it is first needed."""

from __future__ import annotations

from .client import StatsClient
from .hooks import PROCESS

_client: StatsClient | None = None


def default_client() -> StatsClient:
    """Return the client that `StatsReporter(category)` uses.

    STATS_AGGREGATOR_ADDRESS, STATS_AGGREGATOR_WORKER and STATS_AGGREGATOR_RUN_ID are read when it is made.
    Raises SettingError where one of them cannot be right.
    """
    global _client
    with PROCESS.lock:
        if _client is None:
            _client = StatsClient()
        return _client
