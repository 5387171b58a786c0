"""The code on a page of worker_client/docs, and what a daemon has of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.system.daemons import Daemon

DOCS = Path(__file__).parents[2] / "worker_client" / "docs"
MAX_LINES = 60


def snippets(page: str) -> list[str]:
    """Return the blocks of Python on a page, which is no longer than a screen."""
    text = (DOCS / page).read_text()
    assert text.count("\n") <= MAX_LINES
    found = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert found
    return found


def summaries_of(code: str, directory: Path) -> list[dict[str, Any]]:
    """Run code as a user does, with a daemon; return the summaries of its run."""
    script = directory / "train.py"
    script.write_text(code)
    with Daemon(directory, "--writer", "jsonl", "--close-on-stop") as daemon:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STATS_AGGREGATOR_")}
        environment = {"STATS_AGGREGATOR_ADDRESS": daemon.address, "STATS_AGGREGATOR_RUN_ID": "run"}
        done = subprocess.run(
            [sys.executable, script],
            cwd=directory,
            env=kept | environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert "stats_aggregator" not in done.stderr, done.stderr
        assert daemon.stop() == 0
        return daemon.summaries("run")
