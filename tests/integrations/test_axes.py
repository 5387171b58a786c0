"""Several counters in one script: none ends another's periods, and every value counts to its own step."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations import axes as module
from stats_aggregator_client.integrations.axes import Axes
from stats_aggregator_client.wire import Property
from tests.worker_client.peer import Peer
from tests.worker_client.periods import periods_of


def logged(*values: tuple[str, Any, float], begins: Any = None) -> dict[str, list[Any]]:
    """Return what is written where (tag, step, value) are logged in this order."""
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            axes = Axes(client, "c", begins)
            for tag, step, value in values:
                axes.at(tag, step).add_stat(tag, value)
        return periods_of(peer.stored)


def test_values_of_one_step_are_one_period_whatever_their_tags() -> None:
    assert logged(("a", 1, 1.0), ("b", 1, 2.0), ("a", 1, 3.0), ("b", 4, 4.0)) == {
        "c": [(1, {"a": [1.0, 3.0], "b": [2.0]}), (4, {"b": [4.0]})]
    }


def test_a_counter_that_is_behind_goes_on_in_a_category_of_its_section() -> None:
    found = logged(
        *(
            entry
            for epoch in range(3)
            for entry in (
                ("train/loss", 100 * epoch + 100, 1.0),
                ("eval/return", epoch, 2.0),
                ("train/loss", 100 * epoch + 100, 3.0),
                ("eval/length", epoch, 4.0),
            )
        )
    )
    assert found == {
        "c": [(step, {"train/loss": [1.0, 3.0]}) for step in (100, 200, 300)],
        "c/eval": [(epoch, {"eval/return": [2.0], "eval/length": [4.0]}) for epoch in range(3)],
    }


def test_two_counters_in_a_section_part_too() -> None:
    per_update = (("x/steps", 1000, 1.0), ("x/updates", 10, 2.0), ("x/epochs", 1, 3.0))
    found = logged(
        *((tag, scale * update, value) for update in range(1, 4) for tag, scale, value in per_update)
    )
    assert found == {
        "c": [(1000 * update, {"x/steps": [1.0]}) for update in range(1, 4)],
        "c/x": [(10 * update, {"x/updates": [2.0]}) for update in range(1, 4)],
        "c/x/epochs": [(update, {"x/epochs": [3.0]}) for update in range(1, 4)],
    }


def test_the_counter_that_was_first_is_the_one_that_goes_where_it_is_behind() -> None:
    found = logged(
        ("epoch", 0, 1.0), ("loss", 50, 2.0), ("epoch", 1, 3.0), ("loss", 60, 4.0), ("epoch", 2, 5.0)
    )
    assert found == {
        "c": [(0, {"epoch": [1.0]}), (50, {"loss": [2.0]}), (60, {"loss": [4.0]})],
        "c/epoch": [(1, {"epoch": [3.0]}), (2, {"epoch": [5.0]})],
    }


@pytest.mark.parametrize("seed", range(20))
def test_every_value_counts_to_its_own_step_however_counters_mix(seed: int) -> None:
    source = np.random.default_rng(seed)
    counters = {f"{source.choice(['a', 'b'])}/{name}": int(source.integers(0, 1000)) for name in range(5)}
    values = []
    for value in range(200):
        tag = str(source.choice(list(counters)))
        counters[tag] += int(source.integers(0, 3))
        values.append((tag, counters[tag], float(value)))
    drawn: dict[float, int] = {}
    for periods in logged(*values).values():
        steps = [step for step, _ in periods]
        assert steps == sorted(set(steps)), "no period is cut"
        drawn |= {value: step for step, keys in periods for column in keys.values() for value in column}
    assert drawn == {value: step for _, step, value in values}


def test_a_tag_that_is_behind_itself_stays_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = logged(
            ("a", 1, 0.0), ("a", 8, 1.0), ("a", 7, 2.0), ("a", 8, 3.0), ("a", 6, 4.0), ("a", 9, 5.0)
        )
    assert found == {"c": [(1, {"a": [0.0]}), (8, {"a": [1.0, 2.0, 3.0, 4.0]}), (9, {"a": [5.0]})]}
    (said,) = [record.message for record in caplog.records if "went back" in record.message]
    assert said.startswith("a went back from step 8 to 7: until it is further again")


def test_a_training_that_begins_again_in_the_process_is_drawn_again() -> None:
    again = [(tag, step, value) for value in (1.0, 2.0) for step in (10, 20, 30) for tag in ("a", "b")]
    found = logged(*((tag, step, value) for tag, step, value in again))
    assert found == {
        "c": [
            *((step, {"a": [1.0], "b": [1.0]}) for step in (10, 20, 30)),
            ("back to", 10),
            *((step, {"a": [2.0], "b": [2.0]}) for step in (10, 20, 30)),
        ]
    }


def left(*writers: tuple[tuple[str, int, float], ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the periods that writers one after the other come to, and the latest number told by category."""
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            for number, values in enumerate(writers):
                axes = Axes(client, "c")
                axes.tell({"number": number})
                for tag, step, value in values:
                    axes.at(tag, step).add_stat(tag, value)
                axes.leave()
        told = [(m.category, m.value["number"]) for m in peer.stored.messages if isinstance(m, Property)]
        return periods_of(peer.stored), dict(told)


def test_a_writer_that_begins_behind_one_that_was_closed_is_of_another_training() -> None:
    seeds = [[(tag, step, seed) for step in (1, 2) for tag in ("loss", "eval/x")] for seed in (0.0, 1.0, 2.0)]
    found, told = left(*map(tuple, seeds))
    curves = [[(step, {"loss": [seed], "eval/x": [seed]}) for step in (1, 2)] for seed in (0.0, 1.0, 2.0)]
    assert found == {"c": curves[0], "c/2": curves[1], "c/3": curves[2]}
    assert told == {"c": 0, "c/2": 1, "c/3": 2}


def test_a_writer_that_begins_further_goes_on_with_what_the_one_before_it_knew() -> None:
    def epoch(number: int) -> tuple[tuple[str, int, float], ...]:
        return ("a", 100 * number, 1.0), ("epoch/x", number, 2.0)

    found, told = left(epoch(1), epoch(2), (*epoch(3)[::-1],), (("new/x", 1, 3.0),))
    assert found == {
        "c": [(100 * number, {"a": [1.0]}) for number in (1, 2, 3)],
        "c/epoch": [(number, {"epoch/x": [2.0]}) for number in (1, 2, 3)],
        "c/new": [(1, {"new/x": [3.0]})],
    }
    assert told == {"c": 3}


def test_a_resumed_training_goes_on_from_its_step_and_so_does_each_counter() -> None:
    found = logged(("a", 501, 1.0), ("b/x", 5, 2.0), ("b/x", 6, 3.0), ("a", 502, 4.0), begins=500)
    assert found == {
        "c": [("back to", 500), (501, {"a": [1.0]}), (502, {"a": [4.0]})],
        "c/b": [("back to", 5), (5, {"b/x": [2.0]}), (6, {"b/x": [3.0]})],
    }


def test_a_value_without_a_step_counts_to_the_step_at_hand() -> None:
    found = logged(("a", 3, 1.0), ("b", None, 2.0), ("a", 4, 3.0))
    assert found == {"c": [(3, {"a": [1.0], "b": [2.0]}), (4, {"a": [3.0]})]}


def test_without_any_step_periods_end_by_time() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            axes = Axes(client, "c")
            axes.at("a", None).add_stat("a", 1.0)
            axes.end()
        (batch,) = peer.stored.batches()
        assert (len(peer.stored.messages), batch.closing, batch.step) == (1, 0, None)


@pytest.mark.parametrize("step", [np.int64(3), np.array(3), np.float32(3.0), "3", True + 2])
def test_a_step_may_be_of_any_integer_type(step: Any) -> None:
    assert logged(("a", step, 1.0), ("a", 4, 2.0)) == {"c": [(3, {"a": [1.0]}), (4, {"a": [2.0]})]}


@pytest.mark.parametrize("step", [-1, "x", np.zeros(3), float("nan"), 1 << 63])
def test_what_is_no_step_is_said_and_its_value_kept(step: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert logged(("a", 2, 1.0), ("a", step, 2.0)) == {"c": [(2, {"a": [1.0, 2.0]})]}
    assert "is no step: a counts without one" in caplog.text


def test_what_is_no_tag_is_counted() -> None:
    with StatsClient("tcp://127.0.0.1:9", close_timeout_s=0) as client:
        axes = Axes(client, "c")
        for tag in (None, 3, ["a"], "", "a\n"):
            axes.at(tag, 1).add_stat(tag, 1.0)
        assert client.statistics().bad_names == 5


def test_tags_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAGS", 10)
    monkeypatch.setattr(module, "MAX_AXES", 3)
    found = logged(("loss", 1000, 1.0), *((f"s{place}/x", place, 2.0) for place in range(30)))
    assert set(found) == {"c", "c/s0", "c/s1"}
    assert (
        sum(len(column) for periods in found.values() for _, keys in periods for column in keys.values())
        == 31
    )


def test_threads_lose_nothing_and_end_no_period_twice() -> None:
    tags = [f"t{number}/x" for number in range(4)]

    def work(axes: Axes, tag: str) -> None:
        for value in range(3000):
            axes.at(tag, value // 30).add_stat(tag, float(value))

    with Peer() as peer:
        with StatsClient(peer.address) as client:
            axes = Axes(client, "c")
            threads = [threading.Thread(target=work, args=(axes, tag)) for tag in tags]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found = periods_of(peer.stored)
    for periods in found.values():
        steps = [step for step, _ in periods]
        assert steps == sorted(set(steps))
    for tag in tags:
        values = [v for periods in found.values() for _, keys in periods for v in keys.get(tag, [])]
        assert sorted(values) == [float(value) for value in range(3000)]


FORKS = """
import os, sys
from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations.axes import Axes

client = StatsClient(sys.argv[1])
axes = Axes(client, "c")
axes.at("a", 3).add_stat("a", 1.0)
axes.at("b/x", 1).add_stat("b/x", 2.0)
if not os.fork():
    axes.at("a", 4).add_stat("a", 3.0)
    axes.at("b/x", 2).add_stat("b/x", 4.0)
    sys.exit()
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on_where_its_parent_was() -> None:
    with Peer() as peer:
        done = subprocess.run(
            [sys.executable, "-c", FORKS, peer.address], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        peer.wait(lambda: peer.byes == 2)
        found = {category: sorted(periods) for category, periods in periods_of(peer.stored).items()}
    assert found == {
        "c": [(3, {"a": [1.0]}), (4, {"a": [3.0]})],
        "c/b": [(1, {"b/x": [2.0]}), (2, {"b/x": [4.0]})],
    }
