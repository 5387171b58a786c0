"""Watch: a plugin that does not return is said once, and so is that it has."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from stats_aggregator.server.watch import Watch
from stats_aggregator.store.outbox import Outbox
from stats_aggregator.store.store import Store


def test_a_long_call_and_its_end_are_said_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds: dict[str, float] = {}
    store = Store(tmp_path / "store.sqlite")
    watch = Watch(Outbox(store.database), lambda: seconds)
    for now in (1.0, 31.0, 32.0, 3600.0, 0.0, 1.0):
        seconds.update(slow=now, quick=0.1)
        watch.look()
    assert [record.getMessage() for record in caplog.records] == [
        "writer slow has not returned for 31 s; it delays nobody else",
        "writer slow has returned",
    ]
    store.close()
