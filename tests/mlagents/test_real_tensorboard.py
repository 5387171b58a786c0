"""What TensorBoard reads of ours, against what ML-Agents' own TensorboardWriter writes of the same stats."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_api.testing import summarize
from stats_aggregator_client import StatsClient, StatsReporter
from tests.mlagents.real import RealMLAgents, ReportedPeriod
from tests.mlagents.wild import period, write
from tests.system.daemons import Daemon

HIDDEN = ["Is Training", "Step"]
DRAWER = f"""
def writers(options):
    return [TensorboardWriter(options.checkpoint_settings.write_path, hidden_keys={HIDDEN})]
"""


def rewards(period: int) -> list[float]:
    return [math.sin(period + index) * 100 for index in range(50)]


PERIODS: list[ReportedPeriod] = [
    (
        category,
        step,
        [
            ("Environment/Cumulative Reward", "AVERAGE", rewards(step)),
            ("Environment/Episodes", "SUM", [1.0] * 7),
            ("Policy/Learning Rate", "MOST_RECENT", [3e-4, 2e-4, 1e-4]),
            ("Environment/Spread", "HISTOGRAM", [*rewards(step), 0.0, 1e6]),
            ("Is Training", "AVERAGE", [1.0]),
            ("Step", "MOST_RECENT", [float(step)]),
        ],
    )
    for step in (1000, 2000, 50_000)
    for category in ("3DBall", "Hard 3D-Ball_v2")
]


def read(directory: Path) -> dict[str, Any]:
    """Return the points that TensorBoard reads, by directory and tag; of a histogram what no bins change."""
    found: dict[str, Any] = {}
    for where in {str(file.parent.relative_to(directory)) for file in directory.rglob("events.out*")}:
        sizes = {"histograms": 0, "scalars": 0, "tensors": 0}
        events = EventAccumulator(str(directory / where), sizes).Reload()
        tags = events.Tags()
        points = {
            tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]
        }
        for tag in tags["histograms"]:
            points[tag] = [(event.step, *moments(event.histogram_value)) for event in events.Histograms(tag)]
        assert not tags["images"] + tags["audio"] + tags["tensors"]
        found[where] = points
    return found


def moments(histogram: Any) -> list[float]:
    assert sum(histogram.bucket) == histogram.num
    return [histogram.num, histogram.min, histogram.max, histogram.sum, histogram.sum_squares]


def expect_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare to the last bit of a scalar, and of a histogram's sums but for their rounding."""
    assert {where: sorted(tags) for where, tags in ours.items()} == {
        where: sorted(tags) for where, tags in theirs.items()
    }
    for where, tags in theirs.items():
        for tag, points in tags.items():
            if tag.endswith("_hist"):
                for mine, expected in zip(ours[where][tag], points, strict=True):
                    assert mine == pytest.approx(expected, rel=1e-12), (where, tag)
            else:
                assert ours[where][tag] == points, (where, tag)


@pytest.fixture(scope="module")
def theirs(real_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ML-Agents' writer writes of PERIODS."""
    directory = tmp_path_factory.mktemp("theirs")
    with RealMLAgents(real_python) as real:
        real.report(PERIODS, directory)
    found = read(directory)
    assert sorted(found) == ["3DBall", "Hard 3D-Ball_v2"]
    assert found["3DBall"].keys().isdisjoint(HIDDEN)
    return found


def test_the_daemons_writer_writes_the_same(tmp_path: Path, theirs: dict[str, Any]) -> None:
    with Daemon(tmp_path, "--writer", "tensorboard") as daemon:
        with StatsClient(daemon.address, run="run") as client:
            reporters = {category: StatsReporter(category, client) for category, _, _ in PERIODS}
            for category, step, series in PERIODS:
                reporter = reporters[category]
                for key, method, values in series:
                    for value in values:
                        reporter.add_stat(key, value, StatsAggregationMethod[method])
                reporter.write_stats(step)
            assert client.flush(30)
        assert daemon.stop() == 0
    expect_same(read(daemon.results / "run"), theirs)


def test_the_provided_tensorboard_writer_writes_the_same(
    tmp_path: Path, make: Any, theirs: dict[str, Any]
) -> None:
    (writer,), _ = make(DRAWER)
    for category, step, series in PERIODS:
        values = {key: summarize(values, StatsAggregationMethod[method]) for key, method, values in series}
        write(writer, period(values, step, category))
    expect_same(read(tmp_path / "results" / "run"), theirs)
