"""What the daemon and the bare client bring along: these distributions and no others, and who imports what.

A new line here is a decision; each adapter's library belongs to an extra, or to a plugin of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environments import new_environment
from tests.system.daemons import Daemon

OF_THE_CLIENT = {"stats-aggregator-api", "stats-aggregator-client", "msgpack", "pyzmq"}
OF_THE_DAEMON = OF_THE_CLIENT | {
    "stats-aggregator",
    "stats-aggregator-writers",
    "numpy",
    "prometheus-client",
    # Its summaries as TensorBoard's files.
    "tensorboard", "absl-py", "grpcio", "markdown", "markupsafe", "packaging", "pillow", "protobuf",
    "setuptools", "tensorboard-data-server", "typing-extensions", "werkzeug",
    # Its command line and its console.
    "typer", "annotated-doc", "markdown-it-py", "mdurl", "pygments", "rich", "shellingham",
    *(["tomli"] if sys.version_info < (3, 11) else []),
}  # fmt: skip
IMPORTED_BY_THE_CLIENT = {"msgpack", "stats_aggregator_api", "stats_aggregator_client", "zmq"}
# prometheus_client is for the process of the pages, tensorboard for that of its writer.
IMPORTED_BY_SERVE = {
    *IMPORTED_BY_THE_CLIENT, "numpy", "stats_aggregator", "typer", "annotated_doc", "rich", "shellingham",
    *(["tomli"] if sys.version_info < (3, 11) else []),
}  # fmt: skip

# Python runs a module of this name at its start, where one is found.
SITECUSTOMIZE = """
import atexit, json, os, sys
at_start = set(sys.modules)
def tell():
    if os.environ["TOLD_OF"] in sys.argv:
        new = [(name, module) for name, module in list(sys.modules.items()) if name not in at_start]
        found = {name.partition(".")[0] for name, module in new
                 if name[:2] != "__" and "site-packages" in (getattr(module, "__file__", None) or "")}
        with open(os.environ["TOLD"], "w") as file:
            json.dump(sorted(found), file)
atexit.register(tell)
"""


def needed(distribution: str) -> set[str]:
    """Return what pip installs for a distribution, without any extra."""
    found: set[str] = set()
    waiting = [(distribution, "")]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        found.add(canonicalize_name(name))
        for requirement in map(Requirement, requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                more = {(requirement.name, each) for each in ("", *requirement.extras)} - seen
                seen |= more
                waiting += more
    return found


@pytest.mark.parametrize(
    ("distribution", "known"),
    [("stats-aggregator-client", OF_THE_CLIENT), ("stats-aggregator", OF_THE_DAEMON)],
)
def test_what_is_installed_with_it(distribution: str, known: set[str]) -> None:
    assert needed(distribution) == known


@pytest.fixture
def telling(tmp_path: Path) -> dict[str, str]:
    """An environment in which the process with an argument tells in a file what it imported."""
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return {"PYTHONPATH": str(tmp_path), "TOLD": str(tmp_path / "told.json"), "TOLD_OF": "serve"}


def told(telling: dict[str, str]) -> set[str]:
    return set(json.loads(Path(telling["TOLD"]).read_text()))


def test_what_the_bare_client_imports(tmp_path: Path, telling: dict[str, str]) -> None:
    python = new_environment(tmp_path / "venv", ("plugins/api", "worker_client"), shared=True)
    command = [python, "-c", "import stats_aggregator_client", "serve"]
    subprocess.run(command, check=True, timeout=60, env=telling)
    assert told(telling) == IMPORTED_BY_THE_CLIENT


def test_the_client_leaves_alone_what_is_heavy() -> None:
    heavy = {
        "argparse", "ast", "asyncio", "dataclasses", "hashlib", "importlib.metadata", "inspect", "logging",
        "multiprocessing", "numpy", "subprocess", "tempfile", "tokenize", "traceback", "unittest", "uuid",
        *(f"stats_aggregator_api.{name}" for name in ("options", "period", "summary", "writer")),
    }  # fmt: skip
    # What pyzmq and msgpack import is theirs.
    code = "import sys, zmq, msgpack; old = {*sys.modules}; import stats_aggregator_client"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*{{*sys.modules}} - old)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "stats_aggregator_api.names" in found.stdout.split()
    assert not heavy & set(found.stdout.split())


def test_what_the_daemons_own_process_imports(tmp_path: Path, telling: dict[str, str]) -> None:
    parts = ("plugins/api", "worker_client", "plugins/standard", "aggregator")
    python = new_environment(tmp_path / "venv", parts, shared=True)
    options = ("--http", "127.0.0.1:0")
    with Daemon(tmp_path / "daemon", *options, python=python, environment=telling) as daemon:
        assert daemon.stop() == 0
    assert told(telling) == IMPORTED_BY_SERVE
