"""The blocks of code on an adapter's page, to be run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.meta.repository import ROOT, user_environment
from tests.system.daemons import Daemon

_WAIT_S = 100.0  # PyTorch is imported in each process

_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


def snippets(page: str) -> list[str]:
    """Return the Python blocks of `page`; each block must say that it is run, or why not."""
    found = []
    for block in _BLOCK.finditer((ROOT / page).read_text()):
        mark = block["mark"] or ""
        assert re.fullmatch(r"test: .+|does not run: .+", mark), block["code"]
        if mark.startswith("test: "):
            assert block["language"] == "python"
            found.append(block["code"])
    return found


def run_snippet(code: str, directory: Path) -> list[dict[str, object]]:
    """Run it against a daemon; return the summaries that it came to."""
    script = directory / "train.py"
    script.write_text(code)
    with Daemon(directory, "--writer", "jsonl", "--run-id", "run", "--close-on-stop") as daemon:
        environment = user_environment(
            directory, STATS_AGGREGATOR_ADDRESS=daemon.address, OMP_NUM_THREADS="1"
        )
        done = subprocess.run(
            [sys.executable, script],
            env=environment,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert daemon.stop() == 0
        return daemon.summaries("run")
