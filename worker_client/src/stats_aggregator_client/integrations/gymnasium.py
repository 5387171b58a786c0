"""Gymnasium as a source: wrappers that report each finished episode, of one environment or of a vector.

A vector environment says in its metadata when it begins the next episode of an environment that is done,
and the two wrappers count the same whichever it is:

NextStep   the step after is no step but the reset; its reward is 0 and its info the reset's
SameStep   within the step; `info` is the reset's, and the last step's stands in `info["final_info"]`
Disabled   not before `reset(options={"reset_mask": ...})`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.wrappers import Autoreset

from ..client import StatsClient
from ..clock import stopwatch_ns
from ..complaints import shown
from ..floats import to_float
from .episodes import LOOK_EVERY, SILENCE_S, EpisodeReporter, InfoKey, Keys

if TYPE_CHECKING:
    _VectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:  # which Gymnasium 1.0 cannot subscript
    _VectorWrapper = VectorWrapper


class ReportEpisodes(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Reports each finished episode of an environment, and counts its steps.

    To `category`: the return, length and seconds of an episode, and the scalars that `info` has under
    `step_keys` at any step, or `episode_keys` at an episode's last one, as `Info/KEY`. Either may be a
    mapping to how a key is aggregated. Nothing that the environment returns is changed.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        category: str,
        *,
        client: StatsClient | None = None,
        step_keys: Keys = (),
        episode_keys: Keys = (),
        silence_s: float = SILENCE_S,
    ) -> None:
        """Report to `client`, or the default one, from the process that plays. Raises SettingError.

        An environment that finishes no episode for `silence_s` seconds is said once.
        """
        RecordConstructorArgs.__init__(
            self, category=category, step_keys=step_keys, episode_keys=episode_keys, silence_s=silence_s
        )
        gymnasium.Wrapper.__init__(self, env)
        self._episodes = EpisodeReporter(category, client, step_keys, episode_keys, silence_s)
        self._autoreset = _resets_itself(env)
        self._silent_steps, self._silent_since_ns = 0, stopwatch_ns()
        self._begin()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Reset the environment; an episode that was not finished is not reported."""
        answer = self.env.reset(seed=seed, options=options)
        self._begin()
        return answer

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and report."""
        answer = self.env.step(action)
        self._episodes.attempt(self._watch, *answer[1:])
        return answer

    def deliver_stats(self, timeout: SupportsFloat = 5.0) -> bool:
        """Wait at most `timeout` seconds until all that was reported is stored; return whether it is."""
        return self._episodes.deliver(timeout)

    def _begin(self) -> None:
        self._return, self._length, self._over = 0.0, 0, False
        self._began_ns = stopwatch_ns()

    def _watch(self, reward: Any, terminated: bool, truncated: bool, info: Mapping[str, Any]) -> None:
        episodes = self._episodes
        if self._over:  # only one that resets itself may be stepped then: that is what this step did
            if self._autoreset:
                self._begin()
            return
        self._return += _number(reward)
        self._length += 1
        episodes.stats.add_steps(1)
        if terminated or truncated:
            self._over, now_ns = True, stopwatch_ns()
            episodes.finished(self._return, self._length, now_ns - self._began_ns)
            self._silent_steps, self._silent_since_ns = 0, now_ns
            episodes.add_infos(episodes.episode_keys, info)
        else:
            self._silent_steps += 1
            if not self._silent_steps % LOOK_EVERY:
                episodes.mind_silence("an environment", self._silent_steps, self._silent_since_ns)
        episodes.add_infos(episodes.step_keys, info)


class ReportVectorEpisodes(_VectorWrapper, RecordConstructorArgs):
    """Reports each finished episode of a vector environment: as `ReportEpisodes` around each of its parts."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        category: str,
        *,
        client: StatsClient | None = None,
        step_keys: Keys = (),
        episode_keys: Keys = (),
        silence_s: float = SILENCE_S,
    ) -> None:
        """Report as `ReportEpisodes` does. Raises SettingError."""
        RecordConstructorArgs.__init__(
            self, category=category, step_keys=step_keys, episode_keys=episode_keys, silence_s=silence_s
        )
        VectorWrapper.__init__(self, env)
        self._episodes = EpisodeReporter(category, client, step_keys, episode_keys, silence_s)
        # By its name: Gymnasium 1.0 has no such class, and knows only the first.
        mode = env.metadata.get("autoreset_mode")
        self._mode = getattr(mode, "value", mode) or "NextStep"
        num = env.num_envs
        self._over, self._returns, self._lengths = np.zeros(num, bool), np.zeros(num), np.zeros(num, int)
        self._silent_steps, self._num_steps = np.zeros(num, int), 0
        self._silent_since_ns = np.full(num, stopwatch_ns())
        self._began_ns = self._silent_since_ns.copy()

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environments, all or those of `options["reset_mask"]`."""
        # Read before: the environment takes it out of its options.
        which = np.copy(options["reset_mask"]) if options and "reset_mask" in options else np.True_
        answer = self.env.reset(seed=seed, options=options)
        self._begin(which, stopwatch_ns())
        return answer

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments, and report."""
        answer = self.env.step(actions)
        self._episodes.attempt(self._watch, *answer[1:])
        return answer

    def _begin(self, which: Any, now_ns: int) -> None:
        self._returns[which], self._lengths[which], self._over[which] = 0.0, 0, False
        self._began_ns[which] = now_ns

    def _watch(self, rewards: Any, terminated: Any, truncated: Any, infos: Mapping[str, Any]) -> None:
        episodes, playing = self._episodes, ~self._over
        done = np.logical_or(terminated, truncated) & playing
        self._returns += np.where(playing, rewards, 0.0)
        self._lengths += playing
        self._silent_steps += playing
        self._num_steps += 1
        episodes.stats.add_steps(int(np.count_nonzero(playing)))
        if self._mode == "NextStep" and not playing.all():
            self._begin(~playing, stopwatch_ns())
        if done.any():
            self._finish(done)
            self._add_infos(episodes.episode_keys, infos, done, done)
            if self._mode == "SameStep":
                self._begin(done, stopwatch_ns())
            else:
                self._over[done] = True
        if not self._num_steps % LOOK_EVERY:
            index = int(self._silent_steps.argmax())
            since_ns = int(self._silent_since_ns[index])
            episodes.mind_silence(f"environment {index}", int(self._silent_steps[index]), since_ns)
        self._add_infos(episodes.step_keys, infos, playing, done)

    def _finish(self, done: Any) -> None:
        now_ns = stopwatch_ns()
        for index in done.nonzero()[0].tolist():
            duration_ns = now_ns - int(self._began_ns[index])
            self._episodes.finished(self._returns[index], self._lengths[index], duration_ns)
        self._silent_steps[done], self._silent_since_ns[done] = 0, now_ns

    def _add_infos(self, keys: tuple[InfoKey, ...], infos: Mapping[str, Any], which: Any, done: Any) -> None:
        for key in keys:
            self._episodes.attempt(self._add_key, key, infos, which, done)

    def _add_key(self, entry: InfoKey, infos: Mapping[str, Any], which: Any, done: Any) -> None:
        key, series, aggregation = entry
        sources = [(infos, which)]
        if self._mode == "SameStep":
            sources = [(infos, which & ~done), (infos.get("final_info", {}), which & done)]
        for found, mask in sources:
            if key not in found:
                continue
            values, said = np.asarray(found[key]), found.get(f"_{key}", True)
            if not values.ndim:  # what a vector says of itself, and not of each environment
                values, mask, said = values.reshape(1), mask.any(keepdims=True), True
            # One by one: what is no scalar shall be said, and not be taken apart.
            for value in values[mask & said]:
                self._episodes.stats.add_stat(series, value, aggregation)


def _number(reward: Any) -> float:
    number = to_float(reward)  # also of an array of one element, as some environments return it
    if number is None:
        raise ValueError(f"{shown(reward)} is no reward")
    return number


def _resets_itself(env: Any) -> bool:
    while isinstance(env, gymnasium.Wrapper) and not isinstance(env, Autoreset):
        env = env.env
    return isinstance(env, Autoreset)
