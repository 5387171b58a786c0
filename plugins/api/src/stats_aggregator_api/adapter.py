"""Adapter: how plugins of another system are run as ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from .options import RunOptions
from .writer import StatsWriter

if TYPE_CHECKING:
    # Workers import this package too, and that module brings with it half as much as all of theirs.
    from importlib.metadata import EntryPoint


class Adapter(ABC):
    """What an entry point of ADAPTER_GROUP names: a class that is made without arguments.

    The entry point's name is the group of the plugins that it adapts.
    """

    @abstractmethod
    def load(self, entry_point: EntryPoint) -> Callable[[RunOptions], list[StatsWriter]]:
        """Import a plugin of the group, and return a registration function by our contract.

        Whatever is raised is the plugin's failure to load.
        """

    @abstractmethod
    def build_path(self) -> str | None:
        """Return a directory of modules that plugins may import while pip builds them, or None."""
