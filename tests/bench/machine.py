"""Machine: where figures were taken, and how busy that was with other things."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_BUSY = 0.5


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on."""

    cores: int
    cpu: str
    system: str
    python: str
    numpy: str

    @classmethod
    def this(cls) -> Machine:
        """Return the one that this runs on."""
        return cls(os.cpu_count() or 1, _cpu(), platform.system(), platform.python_version(), np.__version__)

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.cpu}), {self.system}, Python {self.python}, numpy {self.numpy}"


def load() -> float:
    """Return how many processes wanted a core, on average over the last minute."""
    return os.getloadavg()[0]


def is_busy(at_start: float) -> bool:
    """Return whether others were at work before the benchmark was: its figures are no good then."""
    return at_start > _BUSY


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
