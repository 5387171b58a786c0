"""An environment whose every episode is known: its length, its rewards, what it puts into info."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Counting(gymnasium.Env):
    """Rewards each step with 1, and terminates after `length` steps."""

    def __init__(self, length: int, reward: Any = 1.0) -> None:
        self.observation_space = gymnasium.spaces.Discrete(1 << 40)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._length, self._reward, self._steps = length, reward, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return np.int64(0), {"speed": -1.0, "success": False, "name": "reset"}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._steps += 1
        info = {"speed": float(self._steps), "name": "step"}
        if self._steps == 2:
            info["sometimes"] = np.float32(2.0)
        over = self._steps >= self._length
        if over:
            info["success"] = bool(self._length % 2)
        return np.int64(self._steps), self._reward, over, False, info
