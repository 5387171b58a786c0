"""Real environments in real worker processes: what they report is what the same seeds give again."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.system.daemons import Daemon
from tests.system.exact import exact

NUM_WORKERS, NUM_EPISODES = 4, 25


def episodes(worker: int) -> list[float]:
    """Play CartPole at random and return each episode's return; a worker's seed decides all."""
    environment = gymnasium.make("CartPole-v1")
    environment.action_space.seed(worker)
    returns = []
    for episode in range(NUM_EPISODES):
        environment.reset(seed=1000 * worker + episode)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    environment.close()
    return returns


def work(address: str, worker: int) -> None:
    """A worker process: plays, and reports each episode."""
    with StatsClient(address, worker=f"env-{worker}", run="run") as client:
        reporter = client.reporter("CartPole")
        for episode_return in episodes(worker):
            reporter.add_stat("return", episode_return)
            reporter.add_stat("episodes", 1, StatsAggregationMethod.SUM)
            reporter.add_steps(int(episode_return))


def test_environment_workers_pool_into_what_their_seeds_give(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl") as daemon:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=work, args=(daemon.address, worker)) for worker in range(NUM_WORKERS)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0] * NUM_WORKERS
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    returns = [value for worker in range(NUM_WORKERS) for value in episodes(worker)]
    expected, found = exact(returns), line["stats"]["return"]
    assert (found["num"], found["sum"], found["min"], found["max"]) == (
        expected.num,
        expected.sum,
        expected.min,
        expected.max,
    )
    assert found["mean"] == pytest.approx(expected.mean, rel=1e-12)
    assert found["p95"] == np.percentile(returns, 95, method="inverted_cdf")
    assert line["stats"]["episodes"]["value"] == NUM_WORKERS * NUM_EPISODES
    # CartPole rewards every step with 1: the fleet's steps are the sum of the returns.
    assert (line["step"], line["workers_reporting"]) == (int(expected.sum), NUM_WORKERS)
