"""What reporting costs a step of an environment, beside what Gymnasium's own statistics cost it.

Run by `make bench` in a process of its own: nobody listens to what it reports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bench.row import Row

_ROUNDS, STEPS, _NUM_ENVS = 100, 1_000, 8


def measure_gymnasium() -> list[Row]:
    """Return the cost of a step of one CartPole, and of a vector of eight."""
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    command = [sys.executable, "-m", "tests.bench.integrations_gymnasium"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [
        Row(
            f"to report one step of {what}",
            ours_ns,
            "ns",
            "RecordEpisodeStatistics",
            ours_ns / theirs_ns,
            note=f"the step itself: {plain_ns:.0f} ns",
        )
        for what, plain_ns, ours_ns, theirs_ns in json.loads(done.stdout)
    ]


def _cost_ns(env: Any, actions: list[Any], steps: int, resets: bool) -> float:
    env.reset(seed=0)
    began = time.perf_counter()
    for step in range(steps):
        _, _, terminated, truncated, _ = env.step(actions[step & 1])
        if resets and (terminated or truncated):
            env.reset()
    return (time.perf_counter() - began) / steps * 1e9


def compared(make: Callable[[], Any], wraps: list[Callable[[Any], Any]], *play: Any) -> list[float]:
    """Return the nanoseconds of a step, and how many more it takes in each of `wraps`."""
    envs = [make(), *(wrap(make()) for wrap in wraps)]
    rounds = [[_cost_ns(env, *play) for env in envs] for _ in range(_ROUNDS)]  # in turns
    plain_ns, *others = map(min, zip(*rounds, strict=True))  # what disturbs a machine only adds
    return [plain_ns, *(cost_ns - plain_ns for cost_ns in others)]


def _main() -> None:
    import gymnasium
    import numpy as np
    from gymnasium.wrappers import RecordEpisodeStatistics, vector

    from stats_aggregator_client.integrations.gymnasium import ReportEpisodes, ReportVectorEpisodes

    single = compared(
        lambda: gymnasium.make("CartPole-v1"),
        [lambda env: ReportEpisodes(env, "CartPole"), RecordEpisodeStatistics],
        [0, 1], STEPS, True,
    )  # fmt: skip
    several = compared(
        lambda: gymnasium.make_vec("CartPole-v1", _NUM_ENVS, "sync"),
        [lambda envs: ReportVectorEpisodes(envs, "CartPole"), vector.RecordEpisodeStatistics],
        [np.zeros(_NUM_ENVS, int), np.ones(_NUM_ENVS, int)], STEPS // _NUM_ENVS, False,
    )  # fmt: skip
    print(json.dumps([["CartPole", *single], [f"a vector of {_NUM_ENVS} CartPoles", *several]]), flush=True)
    os._exit(0)  # nobody listens to what was reported


if __name__ == "__main__":
    _main()
