"""TorchRL's `Logger`, that reports to a daemon: all that is logged at one step makes one point."""

from __future__ import annotations

from typing import Any

from torchrl.record.loggers.common import Logger

from ..client import StatsClient
from .shared import facts_of, flat, is_several
from .tensorboard import SummaryWriter


class StatsLogger(Logger):  # type: ignore[misc] # of a package that a client need not have
    """Give it where TorchRL takes a logger; `exp_name` is the category."""

    def __init__(self, exp_name: str, log_dir: str | None = None, client: StatsClient | None = None) -> None:
        self._client = client
        super().__init__(exp_name=exp_name, log_dir=log_dir or exp_name)

    def _create_experiment(self) -> SummaryWriter:
        return SummaryWriter(self.log_dir, category=self.exp_name, client=self._client)

    def log_scalar(self, name: str, value: Any, step: int | None = None) -> None:
        """Add one number; several, as of a tensor, to a distribution."""
        if is_several(value):
            self.log_histogram(name, value, step=step)
        else:
            self.experiment.add_scalar(name, value, step)

    def log_histogram(self, name: str, data: Any, **others: Any) -> None:
        """Add values to a distribution, at `step`."""
        self.experiment.add_histogram(name, data, others.get("step"))

    def log_video(self, name: str, video: Any, step: int | None = None, **others: Any) -> None:
        """Give a video to a real SummaryWriter, in `log_dir`."""
        self.experiment.add_video(name, video, step, **others)

    def log_hparams(self, cfg: Any) -> None:
        """Tell hyperparameters."""
        self.experiment.add_hparams(dict(flat(facts_of(cfg))), {})

    def __repr__(self) -> str:
        return f"StatsLogger(category={self.exp_name!r})"
