"""LateReporter: a reporter that is only there once somebody reports."""

from __future__ import annotations

from typing import Any

from ..client import StatsClient
from ..complaints import LOGGER
from ..default import default_client
from ..errors import SettingError
from ..null import NullBuffer
from ..reporter import StatsReporter
from ..settings import check_name

_NEVER_REACHED_S = 1.0


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
            try:
                client = self._client = self._given or default_client()
                found = (
                    StatsReporter(self.category, client) if self._writes else client.reporter(self.category)
                )
                self._reporter = found
            except SettingError as error:
                LOGGER.error("the stats of %r are not reported: %s", self.category, error)
                self._reporter = StatsReporter.over(self.category, NullBuffer())
        return self._reporter

    def deliver(self, timeout: float) -> bool:
        """Wait until all is acknowledged that was reported; return whether it is.

        At most `timeout` seconds, and one second where no daemon is.
        """
        if self._client is None:
            return True
        first = min(timeout, _NEVER_REACHED_S)
        if self._client.flush(first):
            return True
        # Somebody who takes a greeting may only be slow to answer.
        there = self._client.statistics().state in ("connected", "greeting")
        return there and self._client.flush(timeout - first)

    def __deepcopy__(self, memo: dict[int, Any]) -> LateReporter:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Elsewhere there is another default client; one that was given cannot go there, and says so.
        return {**self.__dict__, "_client": None, "_reporter": None}
