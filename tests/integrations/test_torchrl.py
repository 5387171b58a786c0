"""TorchRL's real Trainer with our logger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from stats_aggregator_client.wire import decode_series
from tests.integrations.pages import snippets, summaries_of
from tests.worker_client.peer import Peer

pytest.importorskip("torchrl")

TRAINING = """
import torch
from tensordict.nn import TensorDictModule
from torchrl.collectors import Collector
from torchrl.envs import GymEnv
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss
from torchrl.trainers import LogScalar, Trainer
from stats_aggregator_client.integrations.torchrl import StatsLogger

environment = GymEnv("CartPole-v1", categorical_action_encoding=False)
network = torch.nn.Linear(4, 2)
actor = QValueActor(network, in_keys=["observation"], spec=environment.action_spec)
loss = DQNLoss(actor, action_space="one-hot", delay_value=False)
trainer = Trainer(
    collector=Collector(environment, actor, frames_per_batch=100, total_frames=500),
    total_frames=500, frame_skip=1, optim_steps_per_batch=1, loss_module=loss,
    optimizer=torch.optim.Adam(loss.parameters()), logger=StatsLogger("CartPole-v1"), log_interval=1,
    progress_bar=False,
)
trainer.register_op("post_steps_log", lambda batch: {"x": 1.0})
trainer.register_op("pre_steps_log", LogScalar(("next", "reward"), logname="r_training"))
trainer.train()
"""


def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (code,) = snippets("torchrl.md")
    lines = summaries_of(code, tmp_path)
    assert [(line["category"], line["step"]) for line in lines] == [
        ("CartPole-v1", n) for n in range(0, 5000, 1000)
    ]
    nums = {"train/reward": 1, "train/returns": 8, "train/loss": 1, "weights": 100}
    assert all({key: stat["num"] for key, stat in line["stats"].items()} == nums for line in lines)


def test_a_trainer_logs_by_frames(tmp_path: Path) -> None:
    lines = summaries_of(TRAINING, tmp_path)
    rewards = {line["step"]: line["stats"]["r_training"] for line in lines if "r_training" in line["stats"]}
    assert sorted(rewards) == [100, 200, 300, 400, 500]
    assert {stat["value"] for stat in rewards.values()} == {1.0}, "CartPole rewards each step with 1"


def test_videos_and_images_go_to_a_real_writer(tmp_path: Path) -> None:
    import torch

    from stats_aggregator_client import StatsClient
    from stats_aggregator_client.integrations.torchrl import StatsLogger

    with StatsClient("off") as client:
        logger = StatsLogger("x", str(tmp_path / "files"), client)
        assert repr(logger) == "StatsLogger(category='x')"
        logger.log_video("play", torch.zeros((1, 2, 3, 4, 4), dtype=torch.uint8), 1, fps=2)
        logger.experiment.add_image("frame", torch.zeros(3, 2, 2), 1)
        logger.close()
    assert list((tmp_path / "files").glob("events.out.tfevents*"))


def test_several_values_are_a_distribution_and_one_is_a_number() -> None:
    import torch

    from stats_aggregator_client.integrations.torchrl import StatsLogger

    with Peer() as peer:
        with StatsClient(peer.address) as client:
            logger = StatsLogger("rl", client=client)
            for several in (torch.rand(3), np.ones(3), [1.0, 2.0, 3.0]):
                logger.log_scalar("several", several, step=1)
            for one in (torch.ones(1, 1), torch.ones(()), np.ones(1), 1):
                logger.log_scalar("one", one, step=1)
            logger.log_scalar("none", None, step=1)
        (batch,) = peer.stored.batches("rl")
        assert dict(decode_series(batch.series)) == {
            "several": StatsAggregationMethod.HISTOGRAM,
            "one": StatsAggregationMethod.AVERAGE,
        }
        assert {key: len(values) for key, values in peer.stored.values("rl").items()} == {
            "several": 9,
            "one": 4,
        }
