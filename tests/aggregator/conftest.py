"""Fixtures of more than one module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aggregator.clocks import SECOND_NS, START_NS
from tests.aggregator.peers import Core, Worker


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Any]:
    """Yield what makes a core whose first HELLO is long past."""
    cores = []

    def begin(every: str = "auto", **settings: Any) -> Core:
        core = Core(tmp_path / str(len(cores)), every, **settings)
        cores.append(core)
        core.handle(Worker("early", "other").hello())
        core.pass_s(10)
        assert core.clock.now_ns() == START_NS + 10 * SECOND_NS
        return core

    yield begin
    for core in cores:
        core.close()
