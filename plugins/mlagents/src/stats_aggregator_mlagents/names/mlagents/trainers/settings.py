"""What a registration function is told about the run."""

from stats_aggregator_mlagents.settings import (
    CheckpointSettings,
    EngineSettings,
    EnvironmentSettings,
    RunOptions,
    TorchSettings,
)

__all__ = ["CheckpointSettings", "EngineSettings", "EnvironmentSettings", "RunOptions", "TorchSettings"]
