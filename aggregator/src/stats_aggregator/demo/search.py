"""PolicySearch: augmented random search over the weights of a policy, in numpy alone.

Mania, Guy and Recht, "Simple random search provides a competitive approach to reinforcement learning", 2018:
try the policy with random perturbations and their opposites, and step along those that were better, scaled by
the standard deviation of all returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]

DIRECTIONS = 8
"""Perturbations an update; each is tried with its opposite."""
STEP_SIZE = 0.5
NOISE = 0.1
"""The standard deviation of a perturbation."""
HYPERPARAMETERS: Mapping[str, object] = {
    "algorithm": "augmented random search",
    "directions": DIRECTIONS,
    "step_size": STEP_SIZE,
    "noise": NOISE,
}


class Update(NamedTuple):
    """What one update did: how far the policy moved, how far it is from zero, how far the returns spread."""

    norm: float
    weight_norm: float
    reward_spread: float


class PolicySearch:
    """A search that begins at zero; `seed` decides its perturbations."""

    def __init__(self, num_weights: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._directions: Weights = np.empty((0, num_weights))
        self.weights: Weights = np.zeros(num_weights)

    def candidates(self) -> Weights:
        """Draw the policies to try before the next update, one a row: perturbed, then the opposites."""
        shape = (DIRECTIONS, len(self.weights))
        self._directions = NOISE * self._random.standard_normal(shape)
        return np.concatenate([self.weights + self._directions, self.weights - self._directions])

    def update(self, rewards: Sequence[float]) -> Update:
        """Step towards what was better, given the return of each candidate."""
        there, opposite = np.split(np.asarray(rewards), 2)
        spread = float(np.std(rewards))
        step = STEP_SIZE / DIRECTIONS * ((there - opposite) @ self._directions) / max(spread, 1e-9)
        self.weights = self.weights + step
        return Update(float(np.linalg.norm(step)), float(np.linalg.norm(self.weights)), spread)
