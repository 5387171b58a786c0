"""The demo's worker: trains CartPole by policy search, and pushes what it measures.

    python -m stats_aggregator.demo.worker [--seed N] [--episodes-per-second X]

It runs until SIGTERM or Ctrl-C, delivers what waits, and prints its own totals as one JSON object. Where the
daemon is and what the worker is called is read from STATS_AGGREGATOR_ADDRESS and STATS_AGGREGATOR_WORKER.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys

from stats_aggregator_client import StatsAggregationMethod, StatsClient, StatsPropertyType, StatsReporter

from ..clock import Clock
from . import search, series
from .cartpole import NUM_WEIGHTS, CartPole, Episode
from .pace import Pace

_DELIVER_WITHIN_S = 5.0


class Worker:
    """One environment, one policy, and the reporters of both; it counts what it did."""

    def __init__(self, client: StatsClient, seed: int, pace: Pace) -> None:
        self._pace = pace
        self._cartpole = CartPole(seed)
        self._search = search.PolicySearch(NUM_WEIGHTS, seed)
        self._environment = client.reporter(series.CARTPOLE)
        self._learner = client.reporter(series.SEARCH)
        self._learner.add_property(StatsPropertyType.HYPERPARAMETERS, search.HYPERPARAMETERS)
        self.episodes = 0
        self.steps = 0

    def train(self) -> None:
        """Update the policy until the pace is stopped."""
        while not self._pace.stopped:
            self._update()
        self._cartpole.close()

    def _update(self) -> None:
        steps_before = self.steps
        with self._learner.timer(series.ROLLOUT_SECONDS):
            rewards = [self._play(weights) for weights in self._search.candidates()]
        update = self._search.update(rewards)
        _report_update(self._learner, update, self.steps - steps_before)

    def _play(self, weights: search.Weights) -> float:
        self._pace.wait()
        episode = self._cartpole.play(weights)
        self.episodes += 1
        self.steps += episode.length
        _report_episode(self._environment, episode)
        return episode.reward


def _report_episode(reporter: StatsReporter, episode: Episode) -> None:
    reporter.add_stat(series.REWARD, episode.reward)
    reporter.add_stat(series.BEST_REWARD, episode.reward, StatsAggregationMethod.MAX)
    reporter.add_stat(series.EPISODE_LENGTH, float(episode.length), StatsAggregationMethod.HISTOGRAM)
    reporter.add_stat(series.EPISODES, 1.0, StatsAggregationMethod.SUM)
    reporter.add_steps(episode.length)


def _report_update(reporter: StatsReporter, update: search.Update, steps: int) -> None:
    reporter.add_stat(series.UPDATES, 1.0, StatsAggregationMethod.SUM)
    reporter.add_stat(series.UPDATE_NORM, update.norm)
    reporter.add_stat(series.REWARD_SPREAD, update.reward_spread)
    reporter.set_stat(series.WEIGHT_NORM, update.weight_norm)
    reporter.add_steps(steps)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stats_aggregator.demo.worker")
    parser.add_argument("--seed", type=int, default=secrets.randbits(31), help="default: another each time")
    parser.add_argument("--episodes-per-second", type=float, default=25.0, help="default: 25")
    return parser.parse_args()


def main() -> None:
    """Train until told to stop."""
    arguments = _arguments()
    pace = Pace(arguments.episodes_per_second, Clock())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pace.stop)
    client = StatsClient()
    worker = Worker(client, arguments.seed, pace)
    worker.train()
    acknowledged = client.close(_DELIVER_WITHIN_S)
    totals = {"episodes": worker.episodes, "steps": worker.steps, "acknowledged": acknowledged}
    sys.stdout.write(json.dumps(totals) + "\n")


if __name__ == "__main__":
    main()
