"""`make soak`: faults for SOAK_MINUTES (10), and the oracle's table; exit code 1 where a promise broke.

SOAK_SEED repeats the order of an earlier one's faults. Where it fails, everything is kept.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Plan, Soak


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES") or 10)
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(1 << 32))
    directory = Path(tempfile.mkdtemp(prefix="soak-"))
    _say(f"{minutes:g} minutes of faults in {directory}; SOAK_SEED={seed} repeats their order")
    try:
        _say(Soak(directory, Plan(minutes * 60.0, seed), _say).run())
    except BaseException as error:
        _say(f"FAILED: {error}\neverything is kept in {directory}")
        if isinstance(error, AssertionError):
            return 1
        raise
    shutil.rmtree(directory)
    _say("nothing lost, nothing twice")
    return 0


if __name__ == "__main__":
    sys.exit(main())
