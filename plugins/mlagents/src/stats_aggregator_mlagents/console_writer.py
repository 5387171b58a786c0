"""ConsoleWriter: a line for each period, as ML-Agents prints it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .aggregation import StatsPropertyType
from .loggers import get_logger
from .stats_summary import StatsSummary
from .stats_writer import StatsWriter

REWARD_KEY = "Environment/Cumulative Reward"
GROUP_REWARD_KEY = "Environment/Group Cumulative Reward"
ELO_KEY = "Self-play/ELO"
TRAINING_KEY = "Is Training"


class ConsoleWriter(StatsWriter):
    """ML-Agents' writer of this name; `rank` is that of a distributed trainer, and None here."""

    def __init__(self) -> None:
        """Count the time from now."""
        self.training_start_time = time.time()
        self.self_play = False
        self.self_play_team = -1
        self.rank: int | None = None
        self._logger = get_logger("mlagents.trainers.stats")

    def write_stats(self, category: str, values: dict[str, StatsSummary], step: int) -> None:
        """Print reward, its spread, and whether the behavior trains."""
        sentences = [category, f"Step: {step}"]
        sentences.append(f"Time Elapsed: {time.time() - self.training_start_time:0.3f} s")
        sentences += self._reward(values)
        training = values.get(TRAINING_KEY)
        active = training is not None and training.aggregated_value > 0.0
        sentences.append("Training" if active else "Not Training")
        if REWARD_KEY in values and ELO_KEY in values and self.self_play:
            sentences.append(f"ELO: {values[ELO_KEY].mean:0.3f}")
        self._logger.info("%s.", ". ".join(sentences))

    def _reward(self, values: dict[str, StatsSummary]) -> Iterator[str]:
        reward = values.get(REWARD_KEY)
        if reward is None:
            yield "No episode was completed since last summary"
            return
        if self.rank is not None:
            yield f"Rank: {self.rank}"
        yield f"Mean Reward: {reward.mean:0.3f}"
        group = values.get(GROUP_REWARD_KEY)
        if group is None:
            yield f"Std of Reward: {reward.std:0.3f}"
        else:
            yield f"Mean Group Reward: {group.mean:0.3f}"

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Print hyperparameters, and note whether this is self-play."""
        if property_type.name == "HYPERPARAMETERS":
            text = "\n".join(property_lines(value))
            self._logger.info("Hyperparameters for behavior name %s: \n%s", category, text)
        elif property_type.name == "SELF_PLAY":
            self.self_play = bool(value)


def property_lines(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield nested mappings as lines of `name: value`, indented by depth; what is none is one line."""
    if not isinstance(value, dict):
        yield str(value)
        return
    for name, part in value.items():
        start = f"\t{'  ' * depth}{name}:\t"
        if isinstance(part, dict):
            yield start
            yield from property_lines(part, depth + 1)
        else:
            yield f"{start}{part}"
