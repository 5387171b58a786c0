"""One script with the import line of ML-Agents' StatsReporter, and with ours in its place."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, random, sys, warnings
warnings.simplefilter("ignore")
from mlagents.trainers.stats import StatsAggregationMethod, StatsPropertyType
from {module} import StatsReporter

M = StatsAggregationMethod
random.seed(4)
seen = []
def look(reporter, key):
    s = reporter.get_stats_summaries(key)
    figures = [float(x) for x in (s.num, s.mean, s.std, s.sum, s.aggregated_value)]
    seen.append([figures, [float(x) for x in s.full_dist], s.aggregation_method.name])

reporters = [StatsReporter("one"), StatsReporter(category="two"), StatsReporter("one")]
reporters[0].add_property(StatsPropertyType.HYPERPARAMETERS, {{"gamma": 0.99}})
reporters[1].add_property(property_type=StatsPropertyType.SELF_PLAY, value=True)
for step in range(40):
    methods = {{f"key{{i}}": random.choice(list(M)) for i in range(6)}}
    for _ in range(60):
        reporter, key = random.choice(reporters), random.choice(list(methods))
        value, method = random.gauss(5, 3), methods[key]
        if method is M.MOST_RECENT:
            reporter.set_stat(key, value)
        elif method is M.AVERAGE:
            reporter.add_stat(key, value)
        else:
            reporter.add_stat(key=key, value=value, aggregation=method)
        if random.random() < 0.2:
            look(random.choice(reporters), random.choice(list(methods)))
    for reporter in reporters:
        for key in (*methods, "unknown"):
            look(reporter, key)
    for reporter in reporters[:2]:
        reporter.write_stats(step=step)
        look(reporter, "key0")
print(json.dumps([seen, [reporter.category for reporter in reporters]]))
"""


def run(python: str, module: str, directory: Path) -> Any:
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": f"ipc://{directory}/nobody"}
    done = subprocess.run(
        [python, "-c", SCRIPT.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_calls_have_the_same_results(tmp_path: Path, real_python: str) -> None:
    theirs, categories = run(real_python, "mlagents.trainers.stats", tmp_path)
    ours, our_categories = run(real_python, "stats_aggregator_client", tmp_path)
    assert our_categories == categories
    assert len(theirs) > 1000
    for (figures, *values), (expected, *their_values) in zip(ours, theirs, strict=True):
        assert values == their_values
        assert figures == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
