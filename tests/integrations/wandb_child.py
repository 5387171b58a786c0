"""A process with a W&B writer, as the daemon's: `DIRECTORY MODE ORDINALS END`; END is close or kill."""

from __future__ import annotations

import os
import signal
import sys
import threading

from stats_aggregator_api import PeriodSummaries, StatsPropertyType
from stats_aggregator_api.testing import example_period, summarize

RUN, CATEGORY = "run-1", "3DBall"


def period(ordinal: int) -> PeriodSummaries:
    values = {"reward": summarize([float(ordinal), ordinal + 2.0])}
    return PeriodSummaries(example_period(CATEGORY, ordinal, run=RUN, step=10 * ordinal), values)


def main(directory: str, mode: str, ordinals: str, end: str) -> None:
    from stats_aggregator_wandb.options import WandbOptions
    from stats_aggregator_wandb.writer import WandbWriter

    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    streams = sys.stdout, sys.stderr

    def work() -> None:
        writer = WandbWriter(RUN, directory, WandbOptions(mode=mode))
        writer.add_property(CATEGORY, StatsPropertyType.HYPERPARAMETERS, {"lr": 1e-3})
        for ordinal in map(int, ordinals.split(",")):
            writer.write_stats(CATEGORY, period(ordinal), 10 * ordinal)
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        writer.close()

    thread = threading.Thread(target=work)  # as in the daemon, never the main one
    thread.start()
    thread.join()
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert (sys.stdout, sys.stderr) == streams


if __name__ == "__main__":
    main(*sys.argv[1:])
