"""What plugins of ML-Agents do with what they are given; each is installed and loaded as by the daemon."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stats_aggregator_api import (
    StatsPropertyType,
)
from stats_aggregator_api.testing import summarize
from tests.mlagents.wild import METHOD, REWARD, period, points, write


def test_figures_are_the_pooled_ones_also_past_the_retained_values(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                for key, s in values.items():
                    SEEN.append((key, s.num, s.mean, s.std, s.sum, s.aggregated_value,
                                 s.aggregation_method.name, len(s.full_dist),
                                 isinstance(s, StatsSummary), isinstance(s.mean, np.float64)))
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    many = summarize([1e15 + i % 7 for i in range(70_000)], METHOD.SUM, exact=False)
    few = summarize([3.0, 1.0, 8.0], METHOD.MAX)
    write(writer, period({"many": many, "few": few}))
    assert seen == [
        ("many", 70_000, many.mean, many.std, many.sum, many.sum, "SUM", 4096, True, True),
        ("few", 3, 4.0, few.std, 12.0, 8.0, "AVERAGE", 3, True, True),
    ]


def test_a_distribution_past_the_retained_values_is_a_sample_that_keeps_its_shape(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                for s in values.values():
                    if not s.full_dist:
                        continue
                    SEEN.append((min(s.full_dist), max(s.full_dist), s.full_dist[-1],
                                 [float(np.percentile(s.full_dist, q)) for q in (5, 50, 95)]))
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    values = np.random.default_rng(0).lognormal(size=70_000)
    write(writer, period({"k": summarize(values.tolist(), exact=False), "none": summarize([math.nan])}))
    ((least, greatest, last, percentiles),) = seen
    assert (least, greatest, last) == (values.min(), values.max(), values[-1])
    assert percentiles == pytest.approx(np.percentile(values, (5, 50, 95)), rel=0.01)


def test_the_enum_is_the_one_that_the_plugin_imports(make: Any) -> None:
    source = """
        TABLE = {StatsAggregationMethod.AVERAGE: "a", StatsAggregationMethod.SUM: "s",
                 StatsAggregationMethod.MOST_RECENT: "r", FromTheChannel.HISTOGRAM: "h"}
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                SEEN.append("".join(TABLE[s.aggregation_method] for s in values.values()))
                SEEN.append(str(next(iter(values.values())).aggregation_method))
            def on_add_stat(self, category, key, value, aggregation=StatsAggregationMethod.AVERAGE):
                SEEN.append(aggregation is StatsAggregationMethod.SUM)
            def add_property(self, category, property_type, value):
                SEEN.append(property_type == StatsPropertyType.SELF_PLAY)
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    write(
        writer,
        period(
            {name: summarize([1.0], METHOD[name]) for name in ("AVERAGE", "MOST_RECENT", "SUM", "HISTOGRAM")}
        ),
    )
    writer.on_add_stat("c", "k", 1.0, METHOD.SUM)
    writer.add_property("c", StatsPropertyType.SELF_PLAY, True)
    assert seen == ["arsh", "StatsAggregationMethod.AVERAGE", True, True]


def test_a_subclass_that_calls_its_base_hides_keys_and_writes_the_pooled_figures(
    make: Any, tmp_path: Path
) -> None:
    source = """
        class Writer(TensorboardWriter):
            def write_stats(self, category, values, step):
                super().write_stats(category, values, step)
        def writers(options): return [Writer(options.checkpoint_settings.write_path, hidden_keys=["Step"])]
    """
    (writer,), _ = make(source)
    many = summarize([float(i) for i in range(70_000)], METHOD.HISTOGRAM, exact=False)
    write(writer, period({"k": many, "best": summarize([2.0, 9.0], METHOD.MAX), "Step": summarize([1.0])}))
    directory = tmp_path / "results" / "run" / "3DBall"
    assert points(directory) == {"k": [(100, 34999.5)], "best": [(100, 9.0)]}
    (event,) = EventAccumulator(str(directory)).Reload().Histograms("k_hist")
    assert event.histogram_value.num == 70_000


def test_full_dist_may_be_tested_indexed_sliced_and_summaries_unpacked(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                for key, summary in values.items():
                    if not summary.full_dist:
                        SEEN.append(key)
                        continue
                    values_, method = summary
                    dist = summary.full_dist
                    SEEN.append((dist[0], dist[-1], dist[1:3], values_ == summary[0],
                                 method.value, sum(dist) / len(dist), type(dist)))
                    SEEN.append((summary == StatsSummary(summary.full_dist, method), summary._asdict()))
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    write(writer, period({"empty": summarize([math.nan]), "k": summarize([1.0, 2.0, 6.0], METHOD.SUM)}))
    assert seen[:2] == ["empty", (1.0, 6.0, [2.0, 6.0], True, 2, 3.0, list)]
    assert seen[2][0] is True
    assert list(seen[2][1]) == ["full_dist", "aggregation_method"]


def test_figures_may_be_rounded_formatted_and_dumped_as_json(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                summary = values["Environment/Cumulative Reward"]
                SEEN.append(json.dumps({
                    "mean": summary.mean, "std": summary.std, "num": summary.num, "sum": summary.sum,
                    "dist": summary.full_dist, "method": summary.aggregation_method.value,
                }))
                SEEN.append((round(summary.mean, 6), f"{summary.std:.3f}", str(summary.mean),
                             summary.mean.item(), int(summary.sum)))
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    write(writer, period({REWARD: summarize([1.0, 2.0, 4.0])}))
    read = json.loads(seen[0])
    assert read["mean"] == pytest.approx(7 / 3)
    assert (read["num"], read["sum"], read["dist"], read["method"]) == (3, 7.0, [1.0, 2.0, 4.0], 0)
    assert seen[1] == (2.333333, "1.247", str(7 / 3), 7 / 3, 7)


def test_what_one_mutates_another_does_not_see(make: Any) -> None:
    source = """
        class Vandal(StatsWriter):
            def write_stats(self, category, values, step):
                for key in list(values):
                    values[key].full_dist.clear()
                    values[key].full_dist.append(-1.0)
                    SEEN.append((values[key].num, float(values[key].mean)))
                    del values[key]
                values["mine"] = None
            def add_property(self, category, property_type, value):
                value["layers"].append("x"); value.clear()
        class Witness(StatsWriter):
            def write_stats(self, category, values, step):
                SEEN.append({key: (list(s.full_dist), float(s.mean)) for key, s in values.items()})
            def add_property(self, category, property_type, value):
                SEEN.append(value)
        def writers(options):
            options.checkpoint_settings.run_id = "vandalised"
            options.plugin_options["nested"].append(1)
            return [Vandal(), Witness()]
    """
    nested: list[int] = []
    (vandal, witness), seen = make(source, nested=nested)
    values = period({"k": summarize([1.0, 2.0])})
    hyperparameters = {"layers": [1]}
    for writer in (vandal, vandal, witness):
        write(writer, values)
        writer.add_property("c", StatsPropertyType.HYPERPARAMETERS, hyperparameters)
    # What it changed, it sees itself: figures follow the list.
    assert seen == [(1, -1.0), (1, -1.0), {"k": ([1.0, 2.0], 1.5)}, {"layers": [1]}]
    assert list(values) == ["k"]
    assert (hyperparameters, nested) == ({"layers": [1]}, [])


def test_reporting_inside_the_daemon_is_refused_with_what_to_do(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step): StatsReporter(category).add_stat("k", 1.0)
        def writers(options): return [Writer()]
    """
    (writer,), _ = make(source)
    with pytest.raises(NotImplementedError, match=r"StatsReporter.add_stat .* stats_aggregator_client"):
        write(writer, period({}))


def test_a_summary_travels_to_another_process_with_its_figures(make: Any) -> None:
    source = """
        import pickle, copy
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                sent = pickle.loads(pickle.dumps(values["k"]))
                for s in (sent, copy.deepcopy(values["k"]), copy.copy(values["k"])):
                    SEEN.append((s.num, float(s.sum), isinstance(s, StatsSummary)))
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    write(writer, period({"k": summarize([1.0] * 5000, exact=False)}))
    assert seen == [(5000, 5000.0, True)] * 3
