"""RunOptions and its parts, as ML-Agents' plugins know them: plain, and changeable."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class CheckpointSettings:
    """Where the run's results go."""

    run_id: str = "ppo"
    initialize_from: str | None = None
    load_model: bool = False
    resume: bool = False
    force: bool = False
    train_model: bool = False
    inference: bool = False
    results_dir: str = "results"

    @property
    def write_path(self) -> str:
        """The directory of the run's results."""
        return os.path.join(self.results_dir, self.run_id)

    @property
    def maybe_init_path(self) -> str | None:
        """The directory of the run that this one was initialised from, if any."""
        if self.initialize_from is None:
            return None
        return os.path.join(self.results_dir, self.initialize_from)

    @property
    def run_logs_dir(self) -> str:
        """The directory of the run's own logs."""
        return os.path.join(self.write_path, "run_logs")


@dataclass
class EnvironmentSettings:
    """ML-Agents' defaults: the daemon knows nothing of the environments."""

    env_path: str | None = None
    env_args: list[str] | None = None
    base_port: int = 5005
    num_envs: int = 1
    num_areas: int = 1
    timeout_wait: int = 60
    seed: int = -1
    max_lifetime_restarts: int = 10
    restarts_rate_limit_n: int = 1
    restarts_rate_limit_period_s: int = 60


@dataclass
class EngineSettings:
    """ML-Agents' defaults."""

    width: int = 84
    height: int = 84
    quality_level: int = 5
    time_scale: float = 20
    target_frame_rate: int = -1
    capture_frame_rate: int = 60
    no_graphics: bool = False
    no_graphics_monitor: bool = False


@dataclass
class TorchSettings:
    """ML-Agents' defaults."""

    device: str | None = None


@dataclass
class RunOptions:
    """The run that writers are made for. `behaviors` is empty: the trainers' configuration is with them."""

    default_settings: Any = None
    behaviors: dict[str, Any] = field(default_factory=dict)
    env_settings: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    engine_settings: EngineSettings = field(default_factory=EngineSettings)
    environment_parameters: dict[str, Any] | None = None
    checkpoint_settings: CheckpointSettings = field(default_factory=CheckpointSettings)
    torch_settings: TorchSettings = field(default_factory=TorchSettings)
    debug: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries."""
        return asdict(self)
