"""The options of the W&B writer, and what a run is called there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import wandb

from stats_aggregator_writers.errors import OptionError
from stats_aggregator_writers.options import expect_names

from .rows import EXTRAS

MODES = ("online", "offline")

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_SAFE_ID = 64


@dataclass(frozen=True)
class WandbOptions:
    """The table `[writers.wandb]`. The server and the key are W&B's own settings, WANDB_API_KEY and so on."""

    project: str = "stats-aggregator"
    entity: str | None = None
    group: str | None = None
    mode: Literal["online", "offline"] = "online"
    extra: Sequence[str] = ()
    """What is drawn for each key beside its headline value, as `KEY/NAME`; see rows.EXTRAS."""
    timeout_s: float = 60.0
    """How long W&B may take to open a run, and to take a row, in seconds, before that counts as failed."""

    def __post_init__(self) -> None:
        for name in ("project", "entity", "group"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value) and (value is not None or name == "project"):
                raise OptionError(f"[writers.wandb] {name} = {value!r} is not a name")
        try:
            wandb.Settings(project=self.project)
        except wandb.errors.UsageError as error:
            raise OptionError(f"[writers.wandb] project = {self.project!r}: {error}") from None
        if self.mode not in MODES:
            raise OptionError(f"[writers.wandb] mode = {self.mode!r}; it may be {' or '.join(MODES)}")
        for name in expect_names("[writers.wandb] extra", self.extra):
            if name not in EXTRAS:
                raise OptionError(f"[writers.wandb] extra has {name!r}; it may have {', '.join(EXTRAS)}")
        if isinstance(self.timeout_s, bool) or not isinstance(self.timeout_s, int | float):
            raise OptionError(f"[writers.wandb] timeout_s = {self.timeout_s!r} is not a number of seconds")
        if not 0 < self.timeout_s < float("inf"):
            raise OptionError(f"[writers.wandb] timeout_s = {self.timeout_s!r} is not above 0")


def wandb_id(run: str) -> str:
    """Return the W&B id of a run: the same at each start, different for different runs."""
    safe = _UNSAFE.sub("-", run)
    if safe == run and len(run) <= _MAX_SAFE_ID:
        return run
    digest = hashlib.sha256(run.encode()).hexdigest()[:16]
    return f"{safe[: _MAX_SAFE_ID - 17]}-{digest}"
