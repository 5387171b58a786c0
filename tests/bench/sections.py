"""Sections: what `make bench` measures, by name and in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from tests.bench.bad_writers import measure_bad_writers
from tests.bench.closing import measure_closing
from tests.bench.end_to_end import measure_end_to_end
from tests.bench.fan_in import measure_fan_in
from tests.bench.forwarding import measure_forwarding
from tests.bench.growth import measure_growth
from tests.bench.integrations_gymnasium import measure_gymnasium
from tests.bench.integrations_lightning import measure_lightning
from tests.bench.integrations_stable_baselines3 import measure_stable_baselines3
from tests.bench.integrations_tensorboard import measure_tensorboard
from tests.bench.integrations_torchrl import measure_torchrl
from tests.bench.integrations_wandb import measure_wandb
from tests.bench.overflow import measure_overflow
from tests.bench.paused import measure_paused
from tests.bench.recovery import measure_recovery
from tests.bench.row import Row
from tests.bench.scraping import measure_scraping
from tests.bench.worker import measure_worker_calls
from tests.bench.worker_import import measure_worker_import
from tests.bench.worker_sender import measure_worker_sender
from tests.bench.writer_wandb import measure_wandb_writer

Measure = Callable[[], Iterable[Row]]


class Section(NamedTuple):
    """What measures a section: whole, and in seconds where that says something."""

    whole: Measure
    short: Measure | None = None


def _both(*measures: Callable[[bool], Iterable[Row]]) -> Section:
    """Return the section of measures that are told whether to be short."""
    return Section(*(_all_of(*(partial(each, short) for each in measures)) for short in (False, True)))


def _all_of(*measures: Measure) -> Measure:
    return lambda: (row for measure in measures for row in measure())


SECTIONS = {
    "worker": _both(measure_worker_calls, measure_worker_sender, measure_worker_import),
    "end-to-end": _both(measure_end_to_end),
    "fan-in": _both(measure_fan_in),
    "closing": _both(measure_closing),
    "recovery": _both(measure_recovery),
    "growth": _both(measure_growth),
    "bad-writers": Section(measure_bad_writers),
    "paused": Section(measure_paused),
    "overflow": Section(measure_overflow),
    "forwarding": Section(measure_forwarding),
    "prometheus": Section(measure_scraping),
    "integrations": Section(
        _all_of(
            measure_gymnasium,
            measure_stable_baselines3,
            measure_tensorboard,
            measure_wandb,
            measure_lightning,
            measure_torchrl,
        )
    ),
    "wandb-writer": Section(measure_wandb_writer),
}
