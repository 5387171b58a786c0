"""Fixtures: ML-Agents' names in this process for a test, plugins installed on disk, environments."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stats_aggregator.dispatch.plugins import Plugin, discover, load, make_writers
from stats_aggregator_api import (
    ADAPTER_GROUP,
    ML_AGENTS_STATS_WRITER,
    CheckpointSettings,
    RunOptions,
    StatsWriter,
)
from stats_aggregator_mlagents.provision import NamesFinder, provide
from tests.aggregator.writers_process import install
from tests.environments import new_environment
from tests.meta.repository import ROOT
from tests.mlagents.wild import HEAD, Load

PACKAGES = ("mlagents", "mlagents_envs")
PARTS = ("plugins/api", "worker_client", "plugins/standard", "plugins/mlagents", "aggregator")


def forget() -> None:
    """Take the provided names out of this process."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, NamesFinder)]
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]


@pytest.fixture
def names() -> Iterator[NamesFinder]:
    """Provide the names for the time of a test."""
    yield provide()
    forget()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path where the adapter and plugins are installed."""
    directory = tmp_path / "site"
    target = "stats_aggregator_mlagents.adapter:MLAgentsAdapter"
    install(directory, ML_AGENTS_STATS_WRITER, "", group=ADAPTER_GROUP, distribution="adapter", target=target)
    monkeypatch.syspath_prepend(directory)
    before = set(sys.modules)
    yield directory
    forget()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(directory) in str(sys.modules[name].__file__):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def loaded(site: Path) -> Callable[..., Plugin]:
    """Return what installs a plugin of this source in ML-Agents' group, and loads it as the daemon does."""

    def loaded(source: str, name: str = "theirs", **where: Any) -> Plugin:
        install(site, name, source, group=ML_AGENTS_STATS_WRITER, **where)
        importlib.invalidate_caches()
        (found,) = [plugin for plugin in discover() if plugin.entry.key == name]
        return load(found)

    return loaded


@pytest.fixture(scope="session")
def beside_the_daemon(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a new environment with the daemon and the adapter, installed by pip."""
    return new_environment(tmp_path_factory.mktemp("mlagents") / "venv", PARTS, shared=True)


@pytest.fixture(scope="session")
def real_python() -> str:
    """A Python whose environment has ML-Agents itself; without one, the test is skipped."""
    found = (
        Path(os.environ.get("STATS_AGGREGATOR_TESTS_MLAGENTS", ROOT / ".venv-mlagents")) / "bin" / "python"
    )
    if not found.exists():
        pytest.skip("no ML-Agents here: `make .venv-mlagents` installs it where pip finds PyTorch for CPUs")
    return str(found)


@pytest.fixture
def make(loaded: Load, tmp_path: Path) -> Callable[..., tuple[list[StatsWriter], list[Any]]]:
    """Return what makes the writers of a source; beside them comes the module's list SEEN."""

    def make(source: str, **options: Any) -> tuple[list[StatsWriter], list[Any]]:
        plugin = loaded(HEAD + dedent(source))
        assert plugin.entry.state == "loaded", plugin.entry.why
        settings = CheckpointSettings(run_id="run", results_dir=str(tmp_path / "results"))
        run_options = RunOptions(checkpoint_settings=settings, plugin_options=options)
        writers = make_writers(plugin, run_options)
        return writers, __import__("theirs_plugin_theirs").SEEN

    return make
