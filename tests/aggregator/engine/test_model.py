"""The daemon's core and the client's session against a model, under anything that may happen to them.

What is true at any time and in the end: tests/aggregator/model/checks.py. `make fuzz` looks for longer.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.aggregator.model.ending import finish
from tests.aggregator.model.machine import ROOMY, TIGHT, Machine
from tests.aggregator.model.scenarios import SCENARIOS, Scenario
from tests.aggregator.model.world import World

SOMETIMES = [
    "answer lost", "closed by patience", "closed by time", "closed by write", "crash",
    "crash with unstored periods", "duplicate", "late", "nack", "nack 0", "reject", "replayed record",
    "rewind", "silent reconnect", "torn append", "uncertain", "writer failed",
]  # fmt: skip
"""What must have come to pass while anything might."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_is_lost_and_nothing_counted_twice_when(scenario: Scenario, tmp_path: Path) -> None:
    fired: Counter[str] = Counter()
    world = World(tmp_path, fired, **scenario.settings)
    try:
        world.do([("exchange", 2), *scenario.deeds])
        finish(world)
    finally:
        world.close()
    assert [name for name in scenario.fires if not fired[name]] == [], f"it did not happen: {fired}"


@pytest.mark.timeout(600)  # where it fails, hypothesis looks for the shortest way there
@pytest.mark.parametrize("scarcity", [ROOMY, TIGHT], ids=["roomy", "tight"])
def test_nothing_is_lost_and_nothing_counted_twice_whatever_happens(scarcity: dict[str, int]) -> None:
    fired: Counter[str] = Counter()
    machine = type("Machine", (Machine,), {"settings": scarcity, "fired": fired})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, database=None, derandomize=True,
            print_blob=True, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    assert [name for name in SOMETIMES if not fired[name]] == [], f"it did not happen: {fired}"
