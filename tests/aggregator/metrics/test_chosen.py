"""Chosen: the latest summary of each chosen key of the open runs, and never too many."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.errors import StoreFailed
from stats_aggregator.metrics.chosen import Chosen
from stats_aggregator.metrics.settings import Gauges
from stats_aggregator.store.newest import Newest
from stats_aggregator.store.store import Store
from stats_aggregator_api import Period
from tests.aggregator.writers_process import row


class Shown:
    """A store and what is shown of it."""

    def __init__(self, path: Path, *keys: str, max_gauges: int = 1000) -> None:
        self.store = Store(path)
        self.gauges = Gauges(keys, max_gauges)
        self.chosen = Chosen(path, self.gauges)
        self._ordinal = 0

    def put(self, keys: dict[str, list[float]], run: str = "r", category: str = "c", **changes: Any) -> None:
        self._ordinal += 1
        period = Period(
            run, category, self._ordinal, f"{self._ordinal}", 0, self._ordinal * 10**9,
            step=100 * self._ordinal, workers_reporting=3, workers_expected=4, late=5, lost=6,
        )  # fmt: skip
        rows = [row(key, values, **changes) for key, values in keys.items()]
        assert self.store.close_period(period, 1, rows)

    def now(self, name: str = "mean", chosen: Chosen | None = None) -> dict[tuple[str, ...], float]:
        """Return the samples of a gauge by the values of their labels."""
        return {
            tuple(sample.labels.values()): sample.value
            for metric in (chosen or self.chosen).collect()
            for sample in metric.samples
            if metric.name.removeprefix("stats_aggregator_").removeprefix("stat_") == name
        }

    def again(self) -> Chosen:
        """Return what another process would show."""
        return Chosen(self.store.database.path, self.gauges)


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Any]:
    made: list[Shown] = []

    def show(*keys: str, **settings: Any) -> Shown:
        made.append(Shown(tmp_path / "a #%20?store.sqlite", *keys, **settings))
        return made[-1]

    yield show
    for each in made:
        each.chosen.close()
        each.chosen.close()
        each.store.close()


def test_the_fields_of_a_summary_and_of_its_period(show):
    shown = show("Env/*")
    shown.put({"Env/Reward": [1.0, 2.0, 6.0], "Losses/Value": [1.0]}, aggregation=2, num_nan=7, std=0.5)
    expected = {
        "value": 9.0, "num": 3.0, "mean": 3.0, "std": 0.5, "sum_of_values": 9.0, "min": 1.0, "max": 6.0,
        "last": 6.0, "nan": 7.0, "inf": 0.0, "step": 100.0, "end_timestamp_seconds": 1.0,
    }  # fmt: skip
    assert {name: shown.now(name) for name in expected} == {
        name: {("r", "c", "Env/Reward"): value} for name, value in expected.items()
    }
    of_period = {"workers_reporting": 3.0, "workers_expected": 4.0, "late": 5.0, "lost": 6.0}
    assert {name: shown.now(f"period_{name}") for name in of_period} == {
        name: {("r", "c"): value} for name, value in of_period.items()
    }


def test_percentiles_are_those_of_the_buckets_whatever_is_released(show):
    shown = show("*")
    values = [float(number) for number in range(1, 201)]
    shown.put({"x": values, "none": [1.0]})
    shown.put({"released": values}, exact=False, full_dist=b"")
    for name, value in {"p50": 100.0, "p95": 190.0}.items():
        found = shown.now(name)
        assert found["r", "c", "x"] == found["r", "c", "released"] == pytest.approx(value, rel=1 / 256)
        assert found["r", "c", "none"] == 1.0


def test_a_key_without_any_finite_value_is_nan(show):
    shown = show("*")
    shown.put({"x": [1.0]}, mean=None)
    assert math.isnan(shown.now()["r", "c", "x"])


def test_the_latest_summary_counts_also_of_a_key_that_the_newest_period_lacks(show):
    shown = show("x", "y")
    shown.put({"x": [1.0], "y": [2.0], "z": [3.0]})
    assert shown.now() == {("r", "c", "x"): 1.0, ("r", "c", "y"): 2.0}
    shown.put({"x": [5.0]})
    shown.put({})
    found = {("r", "c", "x"): 5.0, ("r", "c", "y"): 2.0}
    assert shown.now() == found
    # Whoever begins now sees the same.
    other = shown.again()
    assert shown.now(chosen=other) == found
    other.close()


def test_a_run_that_is_closed_takes_its_gauges_with_it_and_brings_them_back(show):
    shown = show("*")
    shown.put({"x": [1.0]}, run="one")
    shown.put({"x": [2.0]}, run="two")
    assert len(shown.now()) == 2
    shown.store.close_run("one")
    assert shown.now() == {("two", "c", "x"): 2.0}
    assert shown.now("period_late") == {("two", "c"): 5.0}
    shown.put({"y": [3.0]}, run="one")
    assert shown.now() == {("one", "c", "x"): 1.0, ("one", "c", "y"): 3.0, ("two", "c", "x"): 2.0}


def test_past_the_limit_new_keys_are_left_out_counted_and_said_once(show, caplog):
    shown = show("*", max_gauges=3)
    shown.put({"a": [1.0], "b": [1.0]}, run="one")
    shown.put({"a": [2.0], "b": [2.0], "c": [2.0]}, run="two")
    shown.put({"a": [3.0], "b": [3.0], "c": [3.0]}, run="two")
    assert shown.now() == {("one", "c", "a"): 1.0, ("one", "c", "b"): 1.0, ("two", "c", "a"): 3.0}
    assert shown.now("stats_left_out") == {(): 2.0}
    assert [record.getMessage() for record in caplog.records] == [
        "more than max_gauges = 3 series are chosen by keys in [http]: the others are left out"
    ]
    shown.store.close_run("one")
    shown.put({"a": [4.0], "b": [4.0], "c": [4.0]}, run="two")
    assert len(shown.now()) == 3
    assert shown.now("stats_left_out") == {(): 0.0}


def test_a_store_that_cannot_be_read_now_shows_what_it_had(show, caplog):
    shown = show("*")
    shown.put({"x": [1.0]})
    assert shown.now() == {("r", "c", "x"): 1.0}
    shown.chosen.close()
    assert shown.now() == {("r", "c", "x"): 1.0}
    assert "the latest summaries cannot be read now" in caplog.text


def test_reading_makes_no_store_and_writes_nothing(show, tmp_path):
    with pytest.raises(StoreFailed):
        Newest(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    shown = show("*")
    shown.put({"x": [1.0]})
    newest = Newest(shown.store.database.path)
    assert list(newest.open_runs()) == ["r"]
    with pytest.raises(StoreFailed, match="readonly"), newest._database.transaction() as connection:
        connection.execute("DELETE FROM periods")
    newest.close()
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreFailed, match="another program"):
        Newest(other)
