"""The package: every public name is there, and its module is imported when it is first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import stats_aggregator_api
from stats_aggregator_api import _MODULES, __all__


@pytest.mark.parametrize("name", __all__)
def test_every_public_name_is_there_and_listed(name):
    assert hasattr(stats_aggregator_api, name)
    assert name in dir(stats_aggregator_api)


@pytest.mark.parametrize("name", _MODULES)
def test_a_name_is_the_same_object_as_in_its_module(name):
    value = getattr(stats_aggregator_api, name)
    assert value is getattr(import_module(value.__module__), name)
    assert value is getattr(stats_aggregator_api, name)
    assert name in __all__


def test_a_name_that_is_none_is_said_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'stats_aggregator_api' has no attribute 'Nothing'"):
        stats_aggregator_api.Nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from stats_aggregator_api import Nothing  # noqa: F401


def test_a_name_brings_its_module_and_no_name_none():
    script = (
        "import sys, stats_aggregator_api\n"
        "assert set(stats_aggregator_api.__all__) <= set(dir(stats_aggregator_api))\n"
        "names = 'adapter', 'buckets', 'options', 'period', 'summary', 'values', 'writer'\n"
        "modules = {f'stats_aggregator_api.{name}' for name in names}\n"
        "assert not modules & set(sys.modules), sorted(sys.modules)\n"
        "from stats_aggregator_api import *\n"
        "assert modules <= set(sys.modules)\n"
        "assert StatSummary.__module__ == 'stats_aggregator_api.summary'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
