"""A training with PPO as a user writes it: sb3_training DIRECTORY START_METHOD NUM_ENVS close|leave"""

import sys
from collections.abc import Callable

import gymnasium
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import CSVOutputFormat, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import SubprocVecEnv

from stats_aggregator_client.integrations.gymnasium import ReportEpisodes
from stats_aggregator_client.integrations.stable_baselines3 import StatsCallback, StatsKVWriter

ROLLOUTS, ROLLOUT_STEPS = 4, 40


class Difficult(gymnasium.Wrapper):
    """Says at each step which environment it is, and at the end whether it went well."""

    def __init__(self, env: gymnasium.Env, difficulty: float) -> None:
        super().__init__(env)
        self.difficulty = difficulty

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        info["speed"] = self.difficulty
        info["is_success"] = truncated
        return observation, reward, terminated, truncated, info


def maker(directory: str, index: int) -> Callable[[], gymnasium.Env]:
    def make() -> gymnasium.Env:
        env = Difficult(gymnasium.make("CartPole-v1", max_episode_steps=30), float(index))
        return ReportEpisodes(Monitor(env, f"{directory}/{index}"), "CartPole")

    return make


def main(directory: str, start_method: str, num_envs: int, end: str) -> None:
    torch.set_num_threads(1)
    envs = SubprocVecEnv([maker(directory, index) for index in range(num_envs)], start_method=start_method)
    model = PPO("MlpPolicy", envs, n_steps=ROLLOUT_STEPS, batch_size=num_envs * 10, n_epochs=1, seed=3)
    model.set_logger(Logger(directory, [CSVOutputFormat(f"{directory}/progress.csv"), StatsKVWriter("PPO")]))
    callback = StatsCallback(
        "Custom", step_keys=["speed"], episode_keys=["is_success"], attributes=["difficulty"]
    )
    model.learn(ROLLOUTS * ROLLOUT_STEPS * num_envs, callback=callback if end == "leave" else None)
    if end == "close":
        envs.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
