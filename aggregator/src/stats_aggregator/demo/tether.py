"""Tether: runs a module as `python -m` does, and ends it when its parent lets go.

    python -m stats_aggregator.demo.tether MODULE [ARGUMENT ...]

The parent holds the other end of standard input. When it closes it, or dies in whatever way, the module gets
a SIGTERM: no orphan is left behind, and nobody has to look for one.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_STANDARD_INPUT = 0


def _end_when_released() -> None:
    while os.read(_STANDARD_INPUT, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the module that the arguments name."""
    threading.Thread(target=_end_when_released, name="tether", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
