"""`make bench`: the first figures, each beside a reference measured in the same run.

Machines are shared and noisy: read the ratios, and medians of several runs.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from tests.bench.add_stat import measure_add_stat
from tests.bench.bad_writers import measure_bad_writers
from tests.bench.forwarding import measure_forwarding
from tests.bench.intake import measure_client, measure_intake
from tests.bench.integrations_gymnasium import measure_gymnasium
from tests.bench.integrations_lightning import measure_lightning
from tests.bench.integrations_stable_baselines3 import measure_stable_baselines3
from tests.bench.integrations_tensorboard import measure_tensorboard
from tests.bench.integrations_torchrl import measure_torchrl
from tests.bench.integrations_wandb import measure_wandb
from tests.bench.overflow import measure_overflow
from tests.bench.paused import measure_paused
from tests.bench.scraping import measure_scraping
from tests.bench.writer_wandb import measure_wandb_writer

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    measured = {
        "add_stat": measure_add_stat,
        "intake": measure_intake,
        "client": measure_client,
        "bad writers": measure_bad_writers,
        "paused daemon": measure_paused,
        "full buffer": measure_overflow,
        "ML-Agents as a source": measure_forwarding,
        "Prometheus": measure_scraping,
        "Gymnasium as a source": measure_gymnasium,
        "Stable-Baselines3 as a source": measure_stable_baselines3,
        "W&B writer": measure_wandb_writer,
        "TensorBoard's shape": measure_tensorboard,
        "W&B's shape": measure_wandb,
        "a logger of Lightning": measure_lightning,
        "a logger of TorchRL": measure_torchrl,
    }
    figures = {title: measure() for title, measure in measured.items()}
    for title, rows in figures.items():
        print(title)
        for row in rows:
            print(f"  {row['what']:<58} {row['figure']:>12,.1f} {row['unit']:<20} {row['beside']}")
        print()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"as JSON in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")


if __name__ == "__main__":
    main()
