"""What an environment puts into `info` may be of any shape: its episodes are reported all the same."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper

from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations.episodes import LENGTH, RETURN, SECONDS
from stats_aggregator_client.integrations.gymnasium import ReportEpisodes, ReportVectorEpisodes
from tests.integrations.counting import Counting
from tests.worker_client.peer import Peer


class Says(VectorWrapper):
    """Adds to what a vector says, as vectors that are no sum of parts do."""

    def __init__(self, env: Any, infos: Any) -> None:
        super().__init__(env)
        self._infos = infos

    def step(self, actions: Any) -> Any:
        *answer, infos = self.env.step(actions)
        return *answer, None if self._infos is None else {**infos, **self._infos}


class SaysOne(gymnasium.Wrapper):
    """Says something else than its environment."""

    def __init__(self, env: Any, info: Any) -> None:
        super().__init__(env)
        self._info = info

    def step(self, action: Any) -> Any:
        return *self.env.step(action)[:4], self._info


class Evil(dict[str, Any]):
    """Cannot be asked."""

    def __contains__(self, key: object) -> bool:
        raise RuntimeError("ask somebody else")


ODD = {
    "none": None,
    "no number": {"key": None},
    "text": {"key": np.array(["a", "b"])},
    "nested": {"key": {"a": np.ones(2)}},
    "ragged": {"key": [[1.0], [2.0, 3.0]]},
    "another mask": {"key": np.ones(2), "_key": np.ones(5, bool)},
    "no mask": {"key": np.ones(2), "_key": None},
    "no last one": {"final_info": None},
}


@pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)
@pytest.mark.parametrize("infos", ODD.values(), ids=ODD)
def test_a_vectors_episodes_are_reported_whatever_its_infos_are(
    peer: Peer, client: StatsClient, mode: AutoresetMode, infos: Any
) -> None:
    vector = SyncVectorEnv([lambda: Counting(3)] * 2, autoreset_mode=mode)
    keys = ["key", "name"]
    envs = ReportVectorEpisodes(Says(vector, infos), "play", client=client, step_keys=keys, episode_keys=keys)
    envs.reset()
    for _ in range(3):
        _, _, done, *_ = envs.step(np.zeros(2, int))
    if mode is AutoresetMode.DISABLED:
        envs.reset(options={"reset_mask": done})
    for _ in range(3 + (mode is AutoresetMode.NEXT_STEP)):
        envs.step(np.zeros(2, int))
    assert client.flush(20)
    values = peer.stored.values("play")
    assert values.pop(SECONDS)
    assert values == {RETURN: [3.0] * 4, LENGTH: [3.0] * 4}
    assert sum(batch.steps for batch in peer.stored.batches("play")) == 12
    envs.close()
    envs.close()


def test_what_a_vector_says_of_itself_counts_once_a_step(peer: Peer, client: StatsClient) -> None:
    vector = Says(SyncVectorEnv([lambda: Counting(3)] * 2), {"level": 7, "mean": np.float32(0.5)})
    envs = ReportVectorEpisodes(vector, "play", client=client, step_keys=["level"], episode_keys=["mean"])
    envs.reset()
    for _ in range(4):  # the last of them is the reset of both
        envs.step(np.zeros(2, int))
    assert client.flush(20)
    values = peer.stored.values("play")
    assert (values["Info/level"], values["Info/mean"]) == ([7.0] * 3, [0.5])


@pytest.mark.parametrize("info", [None, Evil(), {"key": None}, {"key": np.ones(3)}, {"key": {"a": 1}}])
def test_an_envs_episodes_are_reported_whatever_its_info_is(
    peer: Peer, client: StatsClient, info: Any, caplog: pytest.LogCaptureFixture
) -> None:
    env = ReportEpisodes(
        SaysOne(Counting(3), info), "play", client=client, step_keys=["key"], episode_keys=["key"]
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            env.reset()
            for _ in range(3):
                env.step(0)
    env.close()
    env.close()
    assert client.flush(20)
    values = peer.stored.values("play")
    assert (values[RETURN], values[LENGTH], "Info/key" in values) == ([3.0] * 2, [3.0] * 2, False)
    assert len(caplog.records) == 1


def test_a_reward_may_be_an_array_of_one(peer: Peer, client: StatsClient) -> None:
    env = ReportEpisodes(Counting(3, reward=np.array([2.0])), "play", client=client)
    env.reset()
    for _ in range(3):
        env.step(0)
    assert client.flush(20)
    assert peer.stored.values("play")[RETURN] == [6.0]
