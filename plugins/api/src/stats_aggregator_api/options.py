"""RunOptions: what a plugin's registration function is told about the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .names import path_part


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """ML-Agents' settings of this name, as far as a daemon can know them.

    `resume` is always True: plugins delete old files where it is not, and whether a run's directory may be
    reused is the daemon's decision alone.
    """

    run_id: str = "default"
    initialize_from: str | None = None
    load_model: bool = False
    resume: bool = True
    force: bool = False
    train_model: bool = False
    inference: bool = False
    results_dir: str = "results"

    @property
    def write_path(self) -> str:
        """The directory of this run's results; a writer keeps all its files below it."""
        return os.path.join(self.results_dir, path_part(self.run_id))

    @property
    def maybe_init_path(self) -> str | None:
        """The directory of the run that this one was initialised from, if any."""
        if self.initialize_from is None:
            return None
        return os.path.join(self.results_dir, path_part(self.initialize_from))

    @property
    def run_logs_dir(self) -> str:
        """The directory of this run's own logs."""
        return os.path.join(self.write_path, "run_logs")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The run that a plugin's writers are made for.

    The attributes of ML-Agents' class of this name, and `plugin_options`: the plugin's own table of the
    daemon's configuration file, `[writers.NAME]`.
    """

    default_settings: Mapping[str, Any] | None = None
    behaviors: Mapping[str, Any] = field(default_factory=dict)
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    engine_settings: Mapping[str, Any] = field(default_factory=dict)
    environment_parameters: Mapping[str, Any] | None = None
    checkpoint_settings: CheckpointSettings = CheckpointSettings()
    torch_settings: Mapping[str, Any] = field(default_factory=dict)
    debug: bool = False
    plugin_options: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries."""
        return asdict(self)
