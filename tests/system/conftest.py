"""Fixtures of more than one module."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from stats_aggregator.cli import main
from tests.system.damages import Sentence, make_template


@pytest.fixture
def sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sentence:
    """What starts on a directory, and returns the exit code and the one line that says why it cannot."""

    def sentence(directory: Path, *options: str) -> tuple[int, str]:
        command = ["stats-aggregator", "serve", "--bind", "tcp://127.0.0.1:0", "--writer", "jsonl"]
        command += ["--config", str(directory / "damage.toml"), "--data-dir", str(directory / "data")]
        command += ["--results-dir", str(directory / "results"), *options]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        return int(str(ended.value.code)), line

    return sentence


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a `kill -9` left: three periods stored, one open, and several segments."""
    return make_template(tmp_path_factory.mktemp("damage") / "template")


@pytest.fixture
def left(template: Path, tmp_path: Path) -> Path:
    """A copy of what the crash left, to be damaged."""
    return Path(shutil.copytree(template, tmp_path / "left"))
