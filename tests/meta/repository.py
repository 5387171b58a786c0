"""Where the repository's parts are, for the tests of its structure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DISTRIBUTIONS = sorted(
    path.parent for path in (*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml"))
)
WAIT_S = 60.0


def user_environment(directory: Path, **more: str) -> dict[str, str]:
    """What a user's shell has, with a daemon's data and port kept to this test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STATS_AGGREGATOR_")}
    return {
        **kept,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "STATS_AGGREGATOR_BIND": "tcp://127.0.0.1:0",
        "STATS_AGGREGATOR_DATA_DIR": str(directory / "data"),
        **more,
    }
