"""LateReporter: a reporter that is only there once somebody reports."""

from __future__ import annotations

from typing import Any, SupportsFloat

from ..client import StatsClient
from ..reporter import StatsReporter
from ..settings import check_name
from .shared import default_client


class LateReporter:
    """Connects in the process that first reports, and not before.

    What other libraries wrap is made in one process, perhaps only to be looked at, and used in another;
    it is copied and pickled. A copy reports where the first one does.
    """

    def __init__(self, category: str, client: StatsClient | None, *, writes: bool = False) -> None:
        """Report to `client`, or the default one; say whether periods end by `write_stats`, else by time.

        Raises SettingError where `category` is no name.
        """
        self.category = check_name("category", category)
        self._given, self._writes = client, writes
        self._client: StatsClient | None = None
        self._reporter: StatsReporter | None = None

    @property
    def stats(self) -> StatsReporter:
        """The reporter; where the environment's settings are wrong, that is logged and it does nothing."""
        if self._reporter is None:
            client = self._client = self._given or default_client()
            self._reporter = (
                StatsReporter(self.category, client) if self._writes else client.reporter(self.category)
            )
        return self._reporter

    def deliver(self, timeout: SupportsFloat) -> bool:
        """Wait until all is acknowledged that was reported; return whether it is.

        At most `timeout` seconds, and one second where no daemon is.
        """
        return self._client is None or self._client.deliver(float(timeout))

    def __deepcopy__(self, memo: dict[int, Any]) -> LateReporter:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Elsewhere there is another default client; one that was given cannot go there.
        if self._given is not None:
            raise TypeError(
                f"what reports {self.category!r} was given a client, which stays in its process: set "
                "STATS_AGGREGATOR_ADDRESS instead, or make it there"
            )
        return {**self.__dict__, "_client": None, "_reporter": None}
