"""Watch: a plugin that does not return is said once, and so is that it has."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from stats_aggregator.server.watch import Watch
from stats_aggregator.store.outbox import Outbox
from stats_aggregator.store.store import Store


def test_a_long_call_and_its_end_are_said_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls: dict[str, tuple[int, float]] = {}
    store = Store(tmp_path / "store.sqlite")
    watch = Watch(Outbox(store.database), lambda: calls)
    for now in (1.0, 31.0, 32.0, 3600.0, 0.0, 1.0):
        calls.update(slow=(1, now), quick=(2, 0.1))
        watch.look()
    assert [record.getMessage() for record in caplog.records] == [
        "writer slow has not returned for 31 s; it delays nobody else",
        "writer slow has returned",
    ]
    store.close()


@pytest.mark.parametrize("after", [{}, {"slow": (2, 0.0)}], ids=["is ended", "is started again"])
def test_a_writer_whose_process_is_gone_has_not_returned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, after: dict[str, tuple[int, float]]
) -> None:
    caplog.set_level(logging.INFO)
    calls = iter([{"slow": (1, 31.0)}, after, {"slow": (2, 0.0)}, {"slow": (2, 31.0)}, {"slow": (2, 0.0)}])
    with closing(Store(tmp_path / "store.sqlite")) as store:
        watch = Watch(Outbox(store.database), lambda: next(calls))
        for _ in range(5):
            watch.look()
    long = "writer slow has not returned for 31 s; it delays nobody else"
    assert [record.getMessage() for record in caplog.records] == [long, long, "writer slow has returned"]
