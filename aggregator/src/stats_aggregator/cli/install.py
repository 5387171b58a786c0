"""`stats-aggregator plugins install`: pip, with what plugins of another system import while built."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from ..dispatch.plugins import build_path
from ..errors import PluginError


def install(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The directory of a plugin, or its archive.")],
    editable: Annotated[
        bool, typer.Option("--editable", "-e", help="Run it from PATH, where it may still be changed.")
    ] = False,
    no_deps: Annotated[
        bool,
        typer.Option(
            "--no-deps",
            help="Leave out what it requires, such as ML-Agents itself, which it does not need here.",
        ),
    ] = False,
) -> None:
    """Install a plugin into the daemon's environment by pip.

    Without build isolation: what its setup.py imports of ML-Agents is provided here alone. Exit code: pip's.
    """
    if find_spec("pip") is None:
        raise PluginError(f"{sys.executable} has no pip; make it one by `{sys.executable} -m ensurepip`")
    if editable and not os.path.isdir(path):
        raise PluginError(
            f"--editable {path!r} is no directory; right would be that of the plugin's setup.py"
        )
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation"]
    command += ["--no-deps"] if no_deps else []
    command += ["--editable", path] if editable else [path]
    provided = build_path()
    environment = dict(os.environ)
    if provided is not None:
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([provided, before] if before else [provided])
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
