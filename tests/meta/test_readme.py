"""The README's blocks run as they stand, and what it names exists."""

import json
import re
import subprocess
import sys
from typing import NamedTuple

import pytest
import typer.main

from stats_aggregator.cli import app
from stats_aggregator.demo.report import FIVE_LINES
from tests.meta.repository import ROOT, WAIT_S, user_environment
from tests.meta.serving import Serving
from tests.system.daemons import Daemon

README = (ROOT / "README.md").read_text()
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("plugins/*/*.md")))
# A cluster's `srun`: each task is a process that knows its rank.
SRUN = """#!/bin/bash
for rank in 0 1 2 3; do SLURM_PROCID=$rank "$@" & tasks="$tasks $!"; done
for task in $tasks; do wait "$task" || exit 1; done
"""


class Block(NamedTuple):
    """A fenced block, and the comment before it: what a test expects, or why none runs it."""

    mark: str
    language: str
    code: str
    line: int


def blocks():
    pattern = re.compile(
        r"(?:<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S
    )
    for found in pattern.finditer(README):
        yield Block(
            found["mark"] or "", found["language"], found["code"], README.count("\n", 0, found.start()) + 1
        )


def marked(language, mark):
    found = [
        block
        for block in blocks()
        if block.language == language and re.fullmatch(f"test: {mark}", block.mark)
    ]
    assert found, f"no {language} block says `test: {mark}`"
    return pytest.mark.parametrize("block", found, ids=[f"line-{block.line}" for block in found])


def values_in(results):
    lines = [line for path in results.glob("*/summaries.jsonl") for line in path.read_text().splitlines()]
    periods = [json.loads(line) for line in lines]
    assert sum(period["lost"] + period["uncertain"] for period in periods) == 0
    return sum(stat["num"] for period in periods for stat in period["stats"].values())


def test_every_block_of_code_is_run_or_says_why_not():
    unmarked = [
        block.line
        for block in blocks()
        if block.language and not re.fullmatch(r"test: (\d+ values|ends|serves)|does not run: .+", block.mark)
    ]
    assert unmarked == []


@marked("python", r"\d+ values")
def test_the_values_of_a_python_block_arrive_each_once(block, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(block.code)
    with Daemon(tmp_path, "--writer", "jsonl", "--close-on-stop") as daemon:
        environment = user_environment(tmp_path, STATS_AGGREGATOR_ADDRESS=daemon.address)
        done = subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True, timeout=WAIT_S
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert daemon.stop() == 0
        assert values_in(daemon.results) == int(block.mark.split()[1])


@marked("python", "ends")
def test_a_python_block_runs(block, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block.code], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S
    )
    assert (done.returncode, done.stderr) == (0, "")


@marked("bash", "ends")
def test_a_shell_block_runs(block, tmp_path):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=tmp_path,
        env=user_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")


@marked("bash", "serves")
def test_a_block_that_serves_listens_and_stops_clean(block, tmp_path):
    command = block.code.strip().replace(":5757", ":0")  # a test takes any free port
    with Serving(["bash", "-c", f"exec {command}"], tmp_path, user_environment(tmp_path)) as serving:
        status = ["stats-aggregator", "status", "--address", serving.address.replace("0.0.0.0", "127.0.0.1")]
        assert subprocess.run(status, env=user_environment(tmp_path), timeout=WAIT_S).returncode == 0
        code, log = serving.stop()
    assert (code, "ERROR" in log) == (0, False)


@marked("bash", r"\d+ values")
def test_the_slurm_script_delivers_what_its_tasks_push(block, tmp_path):
    (tmp_path / "train.py").write_text(FIVE_LINES)
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    environment = user_environment(tmp_path, SLURM_JOB_ID="4711", STATS_AGGREGATOR_ADD_WRITER="jsonl")
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert values_in(tmp_path / "results") == int(block.mark.split()[1])
    assert (tmp_path / "results" / "4711" / "CartPole").is_dir()


def test_the_demo_ends_with_the_readmes_five_lines():
    assert FIVE_LINES in [block.code for block in blocks()]
    assert FIVE_LINES.count("\n") == 5


def test_every_option_that_is_named_exists():
    commands = typer.main.get_command(app).commands
    known = {
        option for command in commands.values() for parameter in command.params for option in parameter.opts
    }
    # Of the tools in the recipes.
    known |= {"--build", "--scale", "--ntasks", "--time", "--help"}
    text = README.replace("<!--", "").replace("-->", "")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named
    assert named - known == set()


def test_the_modules_that_the_daemons_page_names_exist():
    page = (ROOT / "aggregator" / "README.md").read_text()
    package = ROOT / "aggregator" / "src" / "stats_aggregator"
    house = page[page.index("```\ncli") + 4 : page.rindex("```")]
    floors = {name for line in house.splitlines() for name in re.findall(r"[a-z]+", line[:20])}
    way = set(re.findall(r"`([a-z]+/[a-z]+)`", page))
    assert len(floors) > 8
    assert len(way) > 6
    assert [name for name in floors | way if not list(package.glob(f"{name}*"))] == []


def test_it_is_short_enough_to_be_read():
    read = [line for line in README.splitlines() if line and not line.startswith("<!--")]
    assert len(read) <= 220


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text())
    broken = [target for target in targets if not page.parent.joinpath(target).exists()]
    assert broken == []
