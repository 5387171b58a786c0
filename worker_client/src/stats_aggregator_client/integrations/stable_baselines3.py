"""Stable-Baselines3 as a source: its logger's values, and what every environment of a training says.

`ReportEpisodes` of the adapter for Gymnasium wraps its environments, also in the workers of SubprocVecEnv.
"""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import HParam, KVWriter

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType

from ..arguments import to_step
from ..client import StatsClient
from ..complaints import Complaints
from .allowance import Allowance
from .episodes import EpisodeReporter, Keys
from .gymnasium import ReportEpisodes
from .late import LateReporter

FORMAT = "stats_aggregator"
_DELIVER_S = 5.0


class StatsKVWriter(KVWriter):  # type: ignore[misc] # of a package that mypy does not see
    """An output format of Stable-Baselines3's logger: each `dump(step)` ends a period at its step.

    A number of `record` or `record_mean` is a value, an array or tensor a histogram, `HParam` the
    hyperparameters. A step that goes back is a training begun anew, but for 0, which `dump()` says that was
    told none. Trainings of one run that share a category are pooled. `exclude="stats_aggregator"` keeps a
    key from here.
    """

    def __init__(self, category: str, *, client: StatsClient | None = None) -> None:
        """Report to `client`, or the default one. Raises SettingError where `category` is no name."""
        self._late = LateReporter(category, client, writes=True)
        self._step = 0
        self._complaints = Complaints()

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Report the values of one dump, and end the period."""
        said = to_step(step) or 0
        if 0 < said < self._step:
            self._late.stats.rewind(said)
            self._step = 0
        for key, value in key_values.items():
            try:
                if FORMAT not in (key_excluded.get(key) or ()):
                    self._add(key, value)
            except Exception as error:  # noqa: BLE001 - whatever was recorded, the training goes on
                text = "%s was not reported: %s: %s"
                self._complaints.once(key, text, key, type(error).__name__, error)
        self._step = max(self._step, said)
        self._late.stats.write_stats(self._step)

    def close(self) -> None:
        """Do nothing: what waits is delivered in the background, and at the end of the process."""

    def _add(self, key: str, value: Any) -> None:
        stats = self._late.stats
        if isinstance(value, HParam):
            stats.add_property(StatsPropertyType.HYPERPARAMETERS, value.hparam_dict)
        elif getattr(value, "shape", ()):
            stats.add_stats(key, value, StatsAggregationMethod.HISTOGRAM)
        else:
            stats.add_stat(key, value)


class StatsCallback(BaseCallback):  # type: ignore[misc] # of a package that mypy does not see
    """Reports custom values from every environment of a training, and has the last ones delivered.

    The scalars that the environments' `info` has under `step_keys` at any step, or `episode_keys` at the
    last one of an episode, as `Info/KEY`; and, at the end of each rollout, the `attributes` of every
    environment, as `Env/NAME`. When the training ends, environments in `ReportEpisodes` deliver what they
    have, in their processes: a script that ends without `env.close()` has those terminated.
    """

    def __init__(
        self,
        category: str,
        *,
        client: StatsClient | None = None,
        step_keys: Keys = (),
        episode_keys: Keys = (),
        attributes: tuple[str, ...] | list[str] = (),
    ) -> None:
        """Report to `client`, or the default one. Raises SettingError."""
        super().__init__()
        self._episodes = EpisodeReporter(category, client, step_keys, episode_keys)
        self._attributes = tuple(attributes)

    def _on_step(self) -> bool:
        self._episodes.attempt(self._add_infos)
        return True

    def _on_rollout_end(self) -> None:
        for name in self._attributes:
            self._episodes.attempt(self._add_attribute, name)

    def _on_training_end(self) -> None:
        self._episodes.attempt(self._deliver)

    def _add_infos(self) -> None:
        episodes = self._episodes
        for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True):
            episodes.add_infos(episodes.step_keys, info)
            if done:
                episodes.add_infos(episodes.episode_keys, info)

    def _add_attribute(self, name: str) -> None:
        # Asked before: the process of an environment that has no such attribute would die of get_attr.
        if not self.training_env.has_attr(name):
            raise AttributeError(f"not every environment has {name!r}")
        for value in self.training_env.get_attr(name):
            self._episodes.stats.add_stat(f"Env/{name}", value)

    def _deliver(self) -> None:
        env, timeout = self.training_env, Allowance(_DELIVER_S)
        wrapped = [index for index, is_ours in enumerate(env.env_is_wrapped(ReportEpisodes)) if is_ours]
        if wrapped:
            # Those of one process wait one after the other, all together for as long as one.
            env.env_method("deliver_stats", timeout, indices=wrapped)
        self._episodes.deliver(timeout)
