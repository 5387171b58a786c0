"""EpisodeReporter: what all that watch environments have in common, whatever library these are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stats_aggregator_api import StatsAggregationMethod

from ..client import StatsClient
from ..clock import stopwatch_ns
from ..complaints import LOGGER, Complaints
from ..default import default_client
from ..errors import SettingError
from ..null import NullBuffer
from ..reporter import AVERAGE, StatsReporter
from ..settings import check_name

RETURN = "Environment/Cumulative Reward"
LENGTH = "Environment/Episode Length"
SECONDS = "Environment/Episode Seconds"
INFO = "Info/"

Keys = Iterable[str] | Mapping[str, StatsAggregationMethod]
LOOK_EVERY = 256
"""At every so many steps somebody looks whether an environment is silent: a power of two."""
_SILENT_STEPS = 1000  # one that is stepped now and then is not silent, however long ago its last episode was


class InfoKey(NamedTuple):
    """One entry of `info` that is reported, and as what."""

    key: str
    series: str
    aggregation: StatsAggregationMethod


class EpisodeReporter:
    """Reports episodes to one category, from the process that first reports one.

    Not before: an environment may be made in one process only to be looked at, and be played in another.
    """

    def __init__(
        self, category: str, client: StatsClient | None, step_keys: Keys, episode_keys: Keys, silence_s: float
    ) -> None:
        """Report to `client`, or the default one. Raises SettingError."""
        self.category = check_name("category", category)
        self.step_keys = _info_keys("step_keys", step_keys)
        self.episode_keys = _info_keys("episode_keys", episode_keys)
        self._client = client
        self._silence_ns = int(silence_s * 1e9)
        self._reporter: StatsReporter | None = None
        self._complaints = Complaints()

    @property
    def stats(self) -> StatsReporter:
        """The reporter of the category; one that does nothing where the environment's settings are wrong."""
        if self._reporter is None:
            try:
                client = self._client or default_client()
                self._reporter = client.reporter(self.category)
            except SettingError as error:
                LOGGER.error("episodes of %r are not reported: %s", self.category, error)
                self._reporter = StatsReporter.over(self.category, NullBuffer())
        return self._reporter

    def finished(self, total: float, length: int, duration_ns: int) -> None:
        """Report an episode: its return, its number of steps, how long it took."""
        stats = self.stats
        stats.add_stat(RETURN, float(total))
        stats.add_stat(LENGTH, float(length))
        stats.add_stat(SECONDS, duration_ns / 1e9)

    def add_infos(self, keys: tuple[InfoKey, ...], info: Mapping[str, Any]) -> None:
        """Report what one environment put into `info`."""
        for key, series, aggregation in keys:
            if key in info:
                self.stats.add_stat(series, info[key], aggregation)

    def mind_silence(self, who: str, steps: int, since_ns: int) -> None:
        """Say once that an environment has finished no episode in so many steps, and for so long."""
        silent_ns = stopwatch_ns() - since_ns
        if steps >= _SILENT_STEPS and silent_ns >= self._silence_ns:
            self._complaints.once(
                "silence",
                "%s of %r has finished no episode in %.0f minutes and %d steps: it has no return to report "
                "before one is terminated or truncated",
                who,
                self.category,
                silent_ns / 60e9,
                steps,
            )

    def failed(self, error: Exception) -> None:
        """Say once what kept an environment's step from being reported; the training goes on."""
        self._complaints.once(
            "failed", "a step of %r was not reported: %s: %s", self.category, type(error).__name__, error
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> EpisodeReporter:
        return self  # a copy of an environment reports where the environment does

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reporter": None}


def _info_keys(setting: str, keys: Keys) -> tuple[InfoKey, ...]:
    if isinstance(keys, str):
        raise SettingError(setting, keys, f"several keys are expected, as in [{keys!r}]")
    methods = keys if isinstance(keys, Mapping) else dict.fromkeys(keys, AVERAGE)
    return tuple(
        InfoKey(key, check_name(setting, f"{INFO}{key}"), StatsAggregationMethod(method))
        for key, method in methods.items()
    )
