"""The demo as a newcomer runs it: whole, interrupted, and killed."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROGRAM = Path(sys.executable).with_name("stats-aggregator")
DEADLINE_S = 60.0


class Demo:
    """A demo of 3 seconds or more, started in a directory of its own."""

    def __init__(self, directory, seconds):
        self.directory = directory
        self.process = subprocess.Popen(
            [PROGRAM, "demo", "--seconds", str(seconds), "--workers", "3"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.descendants = {}

    def wait_for_first_period(self):
        """Wait until a line of a period is printed; note every process that there is by then."""
        line = self.process.stdout.readline()
        assert "reward" in line, self.process.communicate()[1]
        self.descendants = {pid: os.pidfd_open(pid) for pid in descendants_of(self.process.pid)}
        # the daemon, its three writers, and three workers
        assert len(self.descendants) == 7

    def finish(self):
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err

    def assert_no_process_is_left(self):
        deadline_s = time.monotonic() + DEADLINE_S
        for pid, descriptor in self.descendants.items():
            # A descriptor of a process is readable once it has ended.
            ended, _, _ = select.select([descriptor], [], [], max(deadline_s - time.monotonic(), 0))
            assert ended, f"{Path(f'/proc/{pid}/cmdline').read_text()!r} outlived the demo"

    @property
    def run_dir(self):
        (found,) = self.directory.glob("results/demo-*")
        return found

    def close(self):
        for descriptor in self.descendants.values():
            os.close(descriptor)
        self.process.kill()
        self.process.communicate()


def descendants_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    # A process may have been started by another thread than the first.
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name != str(pid):
            children += (task / "children").read_text().split()
    return [found for child in map(int, children) for found in (child, *descendants_of(child))]


@pytest.fixture
def start(tmp_path):
    started = []

    def start(seconds):
        started.append(Demo(tmp_path, seconds))
        return started[-1]

    yield start
    for demo in started:
        demo.close()


def lines_of(demo, category):
    lines = map(json.loads, (demo.run_dir / "summaries.jsonl").read_text().splitlines())
    return [line for line in lines if line["category"] == category]


def test_the_reward_rises_and_every_episode_is_counted_once(start):
    demo = start(8)
    demo.wait_for_first_period()
    code, out, err = demo.finish()
    assert (code, err) == (0, "")

    cartpole = lines_of(demo, "CartPole")
    rewards = [line["stats"]["Environment/Cumulative Reward"] for line in cartpole]
    assert rewards[-1]["mean"] > 3 * rewards[0]["mean"]
    assert max(line["workers_reporting"] for line in cartpole) == 3

    counted, played = re.search(r"counted ([\d,]+) of ([\d,]+) episodes", out).groups()
    pooled = sum(line["stats"]["Environment/Episodes"]["sum"] for line in cartpole)
    assert counted == played == f"{pooled:,.0f}"
    assert sum(reward["num"] for reward in rewards) == pooled
    # CartPole pays 1 a step, and steps are summed over all workers into the axis.
    assert sum(reward["sum"] for reward in rewards) == cartpole[-1]["step"]
    demo.assert_no_process_is_left()

    events = EventAccumulator(str(demo.run_dir / "CartPole"), size_guidance={"scalars": 0}).Reload()
    points = events.Scalars("Environment/Cumulative Reward")
    assert [point.step for point in points] == [line["step"] for line in cartpole]
    assert [point.value for point in points] == pytest.approx([reward["mean"] for reward in rewards])
    assert (demo.run_dir / "CartPole.csv").exists()
    assert (demo.run_dir / "Search.csv").exists()

    command = re.search(r"^  (\S*tensorboard) --logdir (\S+)$", out, re.MULTILINE)
    assert os.access(demo.directory / command[1], os.X_OK)
    assert (demo.directory / command[2]).samefile(demo.run_dir)


def test_an_interrupt_ends_all_processes_and_still_says_what_was_counted(start):
    demo = start(60)
    demo.wait_for_first_period()
    demo.process.send_signal(signal.SIGINT)
    code, out, err = demo.finish()
    assert (code, err) == (128 + signal.SIGINT, "")
    counted, played = re.search(r"counted ([\d,]+) of ([\d,]+) episodes", out).groups()
    assert counted == played
    assert "tensorboard --logdir" in out
    demo.assert_no_process_is_left()


def test_a_demo_that_is_killed_leaves_no_process_behind(start):
    demo = start(60)
    demo.wait_for_first_period()
    demo.process.kill()
    demo.assert_no_process_is_left()


@pytest.mark.parametrize(
    ("module", "name"),
    [(b"stats_aggregator.demo.worker", r"worker env-\d"), (b"stats_aggregator\0serve", "the daemon")],
)
def test_a_process_that_dies_ends_the_demo_and_is_said(start, module, name):
    demo = start(60)
    demo.wait_for_first_period()
    victim = next(pid for pid in demo.descendants if module in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(victim, signal.SIGKILL)
    code, out, _ = demo.finish()
    assert code == 1
    assert re.search(rf"^error: {name} was killed by signal 9", out, re.MULTILINE)
    demo.assert_no_process_is_left()


def test_without_gymnasium_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['gymnasium'] = None; from stats_aggregator.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: the demo trains in Gymnasium, which is missing: pip install 'stats-aggregator[demo]'\n"
    )
    assert list(tmp_path.iterdir()) == []
