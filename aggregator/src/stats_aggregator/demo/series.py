"""Series: what the demo's workers measure, by name."""

from __future__ import annotations

CARTPOLE = "CartPole"
"""The category of the environment: a value an episode."""
SEARCH = "Search"
"""The category of the learner: a value an update of the policy."""

REWARD = "Environment/Cumulative Reward"
EPISODE_LENGTH = "Environment/Episode Length"
EPISODES = "Environment/Episodes"
BEST_REWARD = "Environment/Best Reward"

UPDATES = "Policy/Updates"
UPDATE_NORM = "Policy/Update Norm"
WEIGHT_NORM = "Policy/Weight Norm"
REWARD_SPREAD = "Policy/Reward Spread"
ROLLOUT_SECONDS = "Time/Rollout Seconds"

HIGHEST_REWARD = 500.0
"""The return of a CartPole-v1 episode in which the pole never fell."""
