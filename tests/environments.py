"""Fresh environments with our own wheels in them, built and installed by pip.

What others publish is not fetched again: an environment may look into that of the tests for it.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def new_environment(path: Path, parts: Iterable[str], *, with_pip: bool = False, shared: bool = False) -> str:
    """Make an environment with the wheels of `parts`, which are folders of the tree, and return its Python.

    With `shared` it finds what others publish where the tests do; our own packages are its own.
    """
    venv.create(path, with_pip=with_pip)
    python = str(path / "bin" / "python")
    if shared:
        scheme = sysconfig.get_path("purelib", "venv", {"base": str(path), "platbase": str(path)})
        # A plain path: the links to the tree that stand there too are not followed.
        (Path(scheme) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheels = path / "wheels"
    folders = [str(ROOT / part) for part in parts]
    build = [*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)]
    subprocess.run([*build, *folders], check=True, timeout=100)
    install = [
        *_PIP, "--python", python, "install", "--no-deps", "--no-index", "--no-compile",
    ]  # fmt: skip
    subprocess.run([*install, *map(str, wheels.iterdir())], check=True, timeout=100)
    return python
