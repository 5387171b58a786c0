"""Provision: ML-Agents' module names, in a process where the real packages cannot be imported."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from .errors import NotProvided

log = logging.getLogger(__name__)

NAMES_PATH = str(Path(__file__).parent / "names")
"""The directory of the provided packages, laid out as ML-Agents' own are."""

_PACKAGES: Mapping[str, Sequence[str]] = {
    "mlagents_envs": ("side_channel.stats_side_channel", "logging_util", "timers"),
    "mlagents": ("plugins", "trainers.settings", "trainers.stats"),
}
"""The packages, and the modules that have to be importable for the real one to be used."""


class NamesFinder(MetaPathFinder):
    """Finds the modules of the packages that are provided, and names those that are not."""

    def __init__(self, packages: frozenset[str]) -> None:
        """Answer for `packages` alone."""
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a provided module. Raises NotProvided for others of its package."""
        package, _, inner = fullname.partition(".")
        if package not in self.packages:
            return None
        spec = PathFinder.find_spec(fullname, path if inner else [NAMES_PATH], target)
        if spec is None:
            raise NotProvided(fullname)
        return spec

    def has(self, module: str | None) -> bool:
        """Return whether the module of this name is one that is provided."""
        return module is not None and module.partition(".")[0] in self.packages


def provide() -> NamesFinder:
    """Provide the packages that cannot be imported, from now on in this process; the finder says which.

    They stay: plugins import in the middle of a call too, and a plugin has its process to itself. A package
    that is installed but fails to import is replaced, and that is said.
    """
    for finder in sys.meta_path:
        if isinstance(finder, NamesFinder):
            return finder
    made = NamesFinder(missing_packages())
    # First, since a package that is installed and broken would be found before it.
    sys.meta_path.insert(0, made)
    return made


def missing_packages() -> frozenset[str]:
    """Return which packages cannot be imported; those that can be are imported."""
    return frozenset(package for package, modules in _PACKAGES.items() if not _imports(package, modules))


def _imports(package: str, modules: Sequence[str]) -> bool:
    try:
        for module in modules:
            import_module(f"{package}.{module}")
    except Exception as error:  # noqa: BLE001 - a foreign package may raise anything while it is imported
        if PathFinder.find_spec(package) is not None:
            log.warning(
                "%s is installed but does not import (%s: %s); its names are provided instead",
                package,
                type(error).__name__,
                error,
            )
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        return False
    return True
