"""Lightning's `Logger`, that reports to a daemon: from every rank, not rank 0 alone.

All that is logged at one step of the trainer makes one point, of all ranks. Where the process has
`pytorch_lightning` and not `lightning`, it is a logger of that.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from ..client import StatsClient
from .shared import facts_of, flat, script_name
from .tensorboard import SummaryWriter

_is_older = "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules
_Logger: Any = import_module(
    f"{'pytorch_lightning' if _is_older else 'lightning.pytorch'}.loggers.logger"
).Logger


class StatsLogger(_Logger):  # type: ignore[misc] # of a package that a client need not have
    """Give it to `Trainer(logger=StatsLogger("mnist"))`; `name` is the category, else the script's name."""

    def __init__(self, name: str | None = None, client: StatsClient | None = None) -> None:
        super().__init__()
        self._name = str(name or script_name())
        self._client = client
        self._writer: SummaryWriter | None = None

    @property
    def name(self) -> str:
        """The category, and the folder of checkpoints."""
        return self._name

    @property
    def version(self) -> str:
        """The run where the environment names one, and the folder of checkpoints in that of the name."""
        return os.environ.get("STATS_AGGREGATOR_RUN_ID") or "version_0"

    @property
    def experiment(self) -> SummaryWriter:
        """What takes `add_scalar`, `add_histogram` and the like; each process has its own."""
        if self._writer is None:
            self._writer = SummaryWriter(
                os.path.join(self.name, self.version), category=self.name, client=self._client
            )
        return self._writer

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Add each number at `step`."""
        for key, value in flat(metrics):
            self.experiment.add_scalar(key, value, step)

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Tell hyperparameters."""
        self.experiment.add_hparams(facts_of(params), {})

    def finalize(self, status: str) -> None:
        """End the step, so that its point is drawn."""
        if self._writer is not None:
            self._writer.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writer": None, "_client": None}  # another process has its own
