"""EpisodeReporter: what all that watch environments have in common, whatever library these are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from stats_aggregator_api import StatsAggregationMethod

from ..client import StatsClient
from ..clock import stopwatch_ns
from ..complaints import Complaints
from ..errors import SettingError
from ..reporter import AVERAGE
from ..settings import check_name
from .late import LateReporter

RETURN = "Environment/Cumulative Reward"
LENGTH = "Environment/Episode Length"
SECONDS = "Environment/Episode Seconds"
INFO = "Info/"

Keys = Iterable[str] | Mapping[str, StatsAggregationMethod]
SILENCE_S = 600.0
LOOK_EVERY = 256
"""At every so many steps somebody looks whether an environment is silent: a power of two."""
_SILENT_STEPS = 1000  # one that is stepped now and then is not silent, however long ago its last episode was


class InfoKey(NamedTuple):
    """One entry of `info` that is reported, and as what."""

    key: str
    series: str
    aggregation: StatsAggregationMethod


class EpisodeReporter(LateReporter):
    """Reports the episodes of one category's environments."""

    def __init__(
        self,
        category: str,
        client: StatsClient | None,
        step_keys: Keys,
        episode_keys: Keys,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Report to `client`, or the default one. Raises SettingError."""
        super().__init__(category, client)
        self.step_keys = _info_keys("step_keys", step_keys)
        self.episode_keys = _info_keys("episode_keys", episode_keys)
        self._silence_ns = int(silence_s * 1e9)
        self._complaints = Complaints()

    def finished(self, total: float, length: int, duration_ns: int) -> None:
        """Report an episode: its return, its number of steps, how long it took."""
        stats = self.stats
        stats.add_stat(RETURN, float(total))
        stats.add_stat(LENGTH, float(length))
        stats.add_stat(SECONDS, duration_ns / 1e9)

    def add_infos(self, keys: tuple[InfoKey, ...], info: Mapping[str, Any]) -> None:
        """Report what one environment put into `info`."""
        if keys:
            self.attempt(self._add_infos, keys, info)

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

    def attempt(self, watch: Callable[..., None], *answer: Any) -> None:
        """Have `watch` look at what an environment answered; where it cannot, that is said once."""
        try:
            watch(*answer)
        except Exception as error:  # noqa: BLE001 - an environment may answer anything; its training goes on
            text = "a step of %r was not reported: %s: %s"
            self._complaints.once("failed", text, self.category, type(error).__name__, error)

    def _add_infos(self, keys: tuple[InfoKey, ...], info: Mapping[str, Any]) -> None:
        for key, series, aggregation in keys:
            if key in info:
                self.stats.add_stat(series, info[key], aggregation)


def _info_keys(setting: str, keys: Keys) -> tuple[InfoKey, ...]:
    if isinstance(keys, str):
        raise SettingError(setting, keys, f"several keys are expected, as in [{keys!r}]")
    methods = keys if isinstance(keys, Mapping) else dict.fromkeys(keys, AVERAGE)
    return tuple(
        InfoKey(key, check_name(setting, f"{INFO}{key}"), _method(setting, method))
        for key, method in methods.items()
    )


def _method(setting: str, method: Any) -> StatsAggregationMethod:
    try:
        return StatsAggregationMethod(method)
    except ValueError:
        names = ", ".join(each.name for each in StatsAggregationMethod)
        raise SettingError(setting, method, f"it may be StatsAggregationMethod's {names}") from None
