"""Session: one W&B run while this process has it open."""

from __future__ import annotations

import glob
import logging
import os
import shutil
from collections import OrderedDict
from typing import Any

import wandb

from .errors import NotOpenedError
from .options import WandbOptions, wandb_id
from .rows import STEP_KEY, prefix
from .service import Service
from .transaction_log import TransactionLog
from .upload import is_uploaded, mark_uploaded, upload, wait_for_end, was_taken

_LOG = logging.getLogger(__name__)

REMEMBERED_PERIODS = 10_000
"""How many of the newest period ids are known by heart."""
_FLUSH_S = 0.02

# W&B's own figures of its own errors: threads and connections that a daemon has no use for.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
os.environ.setdefault("WANDB_SILENT", "true")

# It logs each failure with its traceback, which the daemon would show at each attempt; its files have it too.
logging.getLogger("wandb").propagate = False
logging.getLogger("wandb").addHandler(logging.NullHandler())


def settings(options: WandbOptions) -> wandb.Settings:
    """Return the settings that keep W&B out of the daemon's terminal, machine and code."""
    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        label_disable=True,
        save_code=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=_FLUSH_S,
        reinit="create_new",
        mode=options.mode,
        init_timeout=options.timeout_s,
    )


class Session:
    """Appends rows to a W&B run; a period whose id a file of the run holds is not appended again."""

    def __init__(self, run: str, directory: str, options: WandbOptions) -> None:
        """Begin or resume the W&B run of `run`, its files below `directory`; raise WandbWriterError.

        Online, what earlier processes left on disk is uploaded first, so that the order stays.
        """
        self._timeout_s = options.timeout_s
        self._online = options.mode == "online"
        earlier = log_files(directory, run)
        self._ids = _ids_in(earlier)
        for path in earlier if self._online else ():
            if not is_uploaded(path) and any(TransactionLog(path).period_ids()):
                upload(path)
        self._defined: set[str] = set()
        os.makedirs(directory, exist_ok=True)
        self._service = _open(run, directory, options)
        self._run = self._service.run
        self._log = TransactionLog(self._run.settings.sync_file)
        _unlink_shared_log(os.path.join(os.path.dirname(self._log.path), "logs", "debug-core.log"))

    def append(self, category: str, period_id: str, row: dict[str, Any]) -> None:
        """Log the row unless it was, and return when it stands in the run's file; raise UnconfirmedError."""
        if period_id in self._ids:
            return
        self._define(category)
        self._run.log(row)
        self._log.confirm(period_id, self._timeout_s)
        _remember(self._ids, period_id)

    def configure(self, category: str, value: dict[str, Any]) -> None:
        """Put hyperparameters of a category into the run's config."""
        self._run.config.update({category: value}, allow_val_change=True)

    def close(self) -> None:
        """Finish the run: online, this returns when all is uploaded."""
        self._run.finish()
        wait_for_end(self._log.path)
        if self._online and was_taken(self._log.path):
            mark_uploaded(self._log.path)
        self._service.end()

    def abandon(self) -> None:
        """End it after a failure, so that no row is written late; the next session finds what stands."""
        self._service.kill()

    def _define(self, category: str) -> None:
        if category not in self._defined:
            # Here, and not in rows, a dot leads into what is nested; prefixes have no backslash of their own.
            start = prefix(category).replace(".", r"\.")
            self._run.define_metric(start + STEP_KEY, hidden=True)
            self._run.define_metric(start + "*", step_metric=start + STEP_KEY)
            self._defined.add(category)


def log_files(directory: str, run: str) -> list[str]:
    """Return the `.wandb` files of a run, oldest first: one for each time that it was opened."""
    pattern = os.path.join(
        glob.escape(directory), "wandb", "*run-*", f"run-{glob.escape(wandb_id(run))}.wandb"
    )
    return sorted(glob.glob(pattern), key=lambda path: os.stat(path).st_mtime_ns)


def _open(run: str, directory: str, options: WandbOptions) -> Service:
    there = _entries(directory)
    try:
        return Service(
            lambda: wandb.init(
                project=options.project,
                entity=options.entity,
                group=options.group,
                id=wandb_id(run),
                name=run,
                dir=directory,
                resume="allow",
                settings=settings(options),
            )
        )
    except Exception as error:
        # Nothing was logged: a long outage shall not leave a directory for each attempt.
        for entry in _entries(directory) - there:
            shutil.rmtree(entry, ignore_errors=True)
        raise NotOpenedError(f"W&B run {wandb_id(run)}: {type(error).__name__}: {error}") from error


def _entries(directory: str) -> set[str]:
    return set(glob.glob(os.path.join(glob.escape(directory), "wandb", "*run-*")))


def _unlink_shared_log(path: str) -> None:
    # A link to the log of W&B's process in the user's cache: what other runs write would show up here.
    if os.path.islink(path):
        os.unlink(path)


def _ids_in(paths: list[str]) -> OrderedDict[str, None]:
    # The newest file that has any: what may come again is what came last.
    ids: OrderedDict[str, None] = OrderedDict()
    for path in reversed(paths):
        for period_id in TransactionLog(path).period_ids():
            _remember(ids, period_id)
        if ids:
            break
    return ids


def _remember(ids: OrderedDict[str, None], period_id: str) -> None:
    ids[period_id] = None
    if len(ids) > REMEMBERED_PERIODS:
        ids.popitem(last=False)
