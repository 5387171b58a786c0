"""Whether a bad writer slows down what the daemon takes in: the same workers, without it and with it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.aggregator.writers_process import install
from tests.bench.intake import take
from tests.bench.raw_session import Shape
from tests.bench.row import Row

_ROUNDS, _SECONDS, _SHAPE = 3, 4.0, Shape(50, 20)
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
        environment = {"PYTHONPATH": str(site)}
        taken = take("raw", _SHAPE, _SECONDS, *options, environment=environment, exit_code=3)
        return taken.values_per_s


def measure_bad_writers() -> Iterator[Row]:
    """Yield values a second beside each kind of bad writer, and the ratio to those without it."""
    for kind, be_bad in _KINDS.items():
        ratios, figures = [], []
        for _ in range(_ROUNDS):
            # Each beside one without, since a machine is not as fast as a minute ago.
            without = take("raw", _SHAPE, _SECONDS, *_OPTIONS).values_per_s
            figures.append(_beside(be_bad))
            ratios.append(figures[-1] / without)
        yield Row(
            f"{_SHAPE}, full, beside a writer that {kind}",
            statistics.median(figures) / 1e6,
            "million values/s",
            "without it",
            statistics.median(ratios),
            higher_is_better=True,
        )
