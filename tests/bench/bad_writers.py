"""Whether a bad writer slows down what the daemon takes in: the same workers, without it and with it."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.aggregator.writers_process import install
from tests.bench.intake import values_per_s

_ROUNDS, _KEYS, _VALUES = 3, 50, 20
_OPTIONS = ("--every", "1s")
_SOURCE = """
import re, threading
from stats_aggregator_api import StatsWriter

class Bad(StatsWriter):
    def write_stats(self, category, values, step):
        BE_BAD

def writers(options):
    return [Bad()]
"""
_KINDS = {
    "hangs": "threading.Event().wait()",
    "spins in Python": "while True: pass",
    "holds its interpreter": "re.match('(a+)+$', 'a' * 64 + 'b')",
}


def _beside(be_bad: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        site = Path(directory) / "site"
        install(site, "bad", _SOURCE.replace("BE_BAD", be_bad))
        options = (*_OPTIONS, "--writer", "bad")
        return values_per_s(
            "raw", _KEYS, _VALUES, *options, environment={"PYTHONPATH": str(site)}, exit_code=3
        )


def measure_bad_writers() -> list[dict[str, Any]]:
    """Return values a second beside each kind of bad writer, and the ratio to those without it."""
    rows = []
    for kind, be_bad in _KINDS.items():
        ratios, figures = [], []
        for _ in range(_ROUNDS):
            # Each beside one without, since a machine is not as fast as a minute ago.
            without = values_per_s("raw", _KEYS, _VALUES, *_OPTIONS)
            figures.append(_beside(be_bad))
            ratios.append(figures[-1] / without)
        rows.append(
            {
                "what": f"batches of {_KEYS} keys x {_VALUES}, beside a writer that {kind}",
                "figure": statistics.median(figures) / 1e6,
                "unit": "million values/s",
                "beside": f"{statistics.median(ratios):.0%} of without it",
            }
        )
    return rows
