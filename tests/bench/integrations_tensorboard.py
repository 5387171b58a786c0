"""What `add_scalar` costs a script, beside what it costs with PyTorch's own SummaryWriter.

Run by `make bench` in the environment that has PyTorch, where there is one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).parents[2] / ".venv-integrations" / "bin" / "python"
_ROUNDS, _STEPS, _TAGS = 7, 300, 10


def measure_tensorboard() -> list[dict[str, Any]]:
    """Return the cost of one call, ten tags a step, its share of the period's end among it."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    done = subprocess.run([PYTHON, __file__], capture_output=True, text=True, check=True, env=environment)
    theirs_ns, ours_ns = json.loads(done.stdout)
    return [
        {
            "what": "one add_scalar of TensorBoard's shape, ten tags a step",
            "figure": ours_ns,
            "unit": "ns",
            "beside": f"{theirs_ns:.0f} ns with PyTorch's own, {ours_ns / theirs_ns:.0%}",
        }
    ]


def _main() -> None:
    warnings.simplefilter("ignore")
    from torch.utils.tensorboard import SummaryWriter as Theirs

    from stats_aggregator_client.integrations.tensorboard import SummaryWriter as Ours

    tags = [f"losses/{tag}" for tag in range(_TAGS)]

    def cost_ns(writer: Any, first: int) -> float:
        began = time.perf_counter()
        for step in range(first, first + _STEPS):
            for tag in tags:
                writer.add_scalar(tag, 1.5, step)
        return (time.perf_counter() - began) / (_STEPS * _TAGS) * 1e9

    costs: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        writers = (Theirs(directory), Ours("bench"))
        for round_ in range(_ROUNDS):  # in turns: a machine is not as fast as a moment ago
            for writer, found in zip(writers, costs, strict=True):
                found.append(cost_ns(writer, round_ * _STEPS))
        writers[0].close()
    print(json.dumps([statistics.median(found) for found in costs]), flush=True)
    os._exit(0)  # nobody listens to what was logged


if __name__ == "__main__":
    _main()
