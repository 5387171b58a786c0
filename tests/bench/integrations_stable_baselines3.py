"""What a dump of Stable-Baselines3 and a step in `ReportEpisodes` cost, beside its own formats and Monitor.

Run by `make bench` in the environment of the integrations, where there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.row import Row

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-integrations" / "bin" / "python"
_ROUNDS, _DUMPS, _KEYS = 50, 20, 20


def measure_stable_baselines3() -> list[Row]:
    """Return the cost of a dump, and of a step of CartPole."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    command = [PYTHON, "-m", "tests.bench.integrations_stable_baselines3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=_ROOT)
    dump, (plain_ns, ours_ns, theirs_ns) = json.loads(done.stdout)
    return [
        Row(
            f"one dump of {_KEYS} keys of Stable-Baselines3, to us alone",
            dump["ours"] / 1e3,
            "us",
            "to its TensorBoard",
            dump["ours"] / dump["board"],
            note=f"{dump['csv'] / 1e3:.0f} us to its CSV",
        ),
        Row(
            "to report one step of CartPole, Stable-Baselines3",
            ours_ns,
            "ns",
            "Monitor",
            ours_ns / theirs_ns,
            note=f"the step itself: {plain_ns:.0f} ns",
        ),
    ]


def _dump_ns(output: Any) -> float:
    from stable_baselines3.common.logger import Logger

    logger = Logger(None, [output])
    began = time.perf_counter()
    for step in range(_DUMPS):
        for key in range(_KEYS):
            logger.record(f"train/{key}", 1.5)
        logger.dump(step + 1)
    return (time.perf_counter() - began) / _DUMPS * 1e9


def _main() -> None:
    import gymnasium
    from stable_baselines3.common.logger import CSVOutputFormat, TensorBoardOutputFormat
    from stable_baselines3.common.monitor import Monitor

    from stats_aggregator_client.integrations.gymnasium import ReportEpisodes
    from stats_aggregator_client.integrations.stable_baselines3 import StatsKVWriter
    from tests.bench.integrations_gymnasium import STEPS, compared

    with tempfile.TemporaryDirectory() as directory:
        outputs = {
            "ours": StatsKVWriter("PPO"),
            "csv": CSVOutputFormat(f"{directory}/progress.csv"),
            "board": TensorBoardOutputFormat(directory),
        }
        rounds = [{name: _dump_ns(output) for name, output in outputs.items()} for _ in range(_ROUNDS)]
        dump = {name: min(found[name] for found in rounds) for name in outputs}
        step = compared(
            lambda: gymnasium.make("CartPole-v1"),
            [lambda env: ReportEpisodes(env, "CartPole"), Monitor],
            [0, 1], STEPS, True,
        )  # fmt: skip
        print(json.dumps([dump, step]), flush=True)
    os._exit(0)  # nobody listens to what was reported


if __name__ == "__main__":
    _main()
