"""CartPole: Gymnasium's CartPole-v1, played by a linear policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium

from .search import Weights

NUM_WEIGHTS = 5
"""One for each of the four observations, and a bias."""


class Episode(NamedTuple):
    """One episode from reset to end: its return, and how many steps it took."""

    reward: float
    length: int


class CartPole:
    """One environment; `seed` decides all of its episodes."""

    def __init__(self, seed: int) -> None:
        self._environment: Any = gymnasium.make("CartPole-v1")
        self._environment.reset(seed=seed)

    def play(self, weights: Weights) -> Episode:
        """Play one episode with the policy that pushes right where its weighted sum is positive."""
        environment, slope, bias = self._environment, weights[:-1], weights[-1]
        observation, _ = environment.reset()
        total, length, over = 0.0, 0, False
        while not over:
            action = int(slope @ observation + bias > 0)
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, length, over = total + float(reward), length + 1, terminated or truncated
        return Episode(total, length)

    def close(self) -> None:
        """Give the environment back."""
        self._environment.close()
