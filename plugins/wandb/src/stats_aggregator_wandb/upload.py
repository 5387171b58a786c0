"""What an earlier process left on disk: whether it was uploaded, and the upload."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from .errors import NotUploadedError

_LIMIT_S = 600.0
_LAST_WORD_S = 2.0
_TORN = "ends with an incomplete record"


def is_uploaded(path: str) -> bool:
    """Return whether the `.wandb` file at `path` bears the mark that `wandb sync` leaves beside it."""
    return os.path.exists(path + ".synced")


def mark_uploaded(path: str) -> None:
    """Leave the mark of `wandb sync`, so that nobody uploads the file again."""
    with open(path + ".synced", "wb"):
        pass


def was_taken(path: str) -> bool:
    """Return whether the server took all of an online run that has finished.

    `Run.finish` returns without a word where uploading was given up. W&B's own log beside the file tells: the
    last request says that the run is complete, and was answered well.
    """
    requests = [entry for entry in _log(path) if str(entry.get("msg", "")).startswith("filestream: ")]
    if len(requests) < 2:
        return False
    sent, answer = requests[-2:]
    return bool(sent.get("complete")) and str(answer.get("status", "")).startswith("200")


def wait_for_end(path: str) -> None:
    """Wait a moment for W&B's process to write its last word of a finished run, beside the file at `path`."""
    deadline_s = time.monotonic() + _LAST_WORD_S
    while time.monotonic() < deadline_s:
        if any(entry.get("msg") == "stream: all finished" for entry in _log(path)):
            return
        time.sleep(0.005)


def upload(path: str) -> None:
    """Upload the `.wandb` file at `path` with `wandb sync`; raise NotUploadedError where that cannot be."""
    path = os.path.abspath(path)
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", path]
    directory = os.path.dirname(
        os.path.dirname(os.path.dirname(path))
    )  # else its logs lie where the daemon is
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            cwd=directory,
            env={name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
            | {"WANDB_SILENT": "false", "WANDB_DIR": directory},
        )
    except subprocess.TimeoutExpired:
        raise NotUploadedError(f"wandb sync {path} did not end within {_LIMIT_S:g} s") from None
    said = done.stdout.decode(errors="replace").strip()
    if is_uploaded(path):
        return
    if _TORN in said:  # by a crash: all that was whole is there, and there will never be more
        mark_uploaded(path)
        return
    raise NotUploadedError(f"wandb sync {path} failed: {said[-500:]}")


def _log(path: str) -> list[dict[str, object]]:
    try:
        with open(
            os.path.join(os.path.dirname(path), "logs", "debug-internal.log"), encoding="utf-8"
        ) as file:
            return [entry for line in file if (entry := _entry(line))]
    except FileNotFoundError:
        return []


def _entry(line: str) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
