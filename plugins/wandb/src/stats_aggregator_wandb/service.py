"""Service: W&B's own process, one for each run."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import wandb
from wandb.sdk import wandb_setup

_LOG = logging.getLogger(__name__)
_STARTING = threading.Lock()


class Service:
    """The process that writes and uploads what a run logs.

    By itself wandb has one for all runs, and a run that could not be opened, or did not finish, keeps its id
    in use there for as long as that lives. Such a process is killed; so it must be no other run's.
    """

    def __init__(self, begin: Callable[[], wandb.Run]) -> None:
        """Have `begin`, which calls wandb.init, begin the run in a process of its own."""
        with _STARTING:
            _let_go()
            try:
                self.run = begin()
            except BaseException:
                self._setup = wandb_setup.singleton()
                self.kill()
                raise
            else:
                self._setup = wandb_setup.singleton()
            finally:
                _let_go()

    def kill(self) -> None:
        """End the process as it stands: what it has not written yet will never be."""
        connection = self._setup._connection
        if connection is not None and connection._proc is not None:
            connection._proc._process.kill()
            connection._proc.join()
        self.end()

    def end(self) -> None:
        """Let the process end, its run being finished or lost; ending twice is fine."""
        try:
            self._setup._teardown()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it exits as the process that was killed did
            _LOG.debug("W&B's process is gone: %s", error)
        finally:
            self._setup.asyncer.join()  # its thread


def _let_go() -> None:
    """Let the next wandb.init start a process; runs that have one keep it."""
    wandb_setup._singleton = None
    os.environ.pop("WANDB_SERVICE", None)
