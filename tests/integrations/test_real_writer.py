"""What is no number goes to a real SummaryWriter, where one is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations.tensorboard import SummaryWriter


def test_what_is_no_number_goes_to_a_real_writer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with StatsClient("off") as client, SummaryWriter(tmp_path / "files", client=client) as writer:
        assert not (tmp_path / "files").exists(), "only where it is needed"
        writer.add_image("frame", torch.zeros(3, 4, 4), 7)
        writer.flush()
    events = EventAccumulator(str(tmp_path / "files")).Reload()
    assert [event.step for event in events.Images("frame")] == [7]


THREADS = """
import sys, threading, numpy
from stats_aggregator_client.integrations.tensorboard import SummaryWriter
writer = SummaryWriter(sys.argv[1], purge_step=3)
barrier = threading.Barrier(4)
def work(number):
    barrier.wait()
    writer.add_image(f"frame{number}", numpy.zeros((3, 4, 4)), 7)
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
writer.close()
"""


def test_threads_share_one_real_writer_that_purges_from_the_same_step(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    done = subprocess.run(
        [sys.executable, "-c", THREADS, tmp_path / "files"],
        env={**os.environ, "STATS_AGGREGATOR_ADDRESS": "off"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "left out" in done.stderr) == (0, False), done.stderr
    (path,) = (tmp_path / "files").iterdir()
    events = list(EventFileLoader(str(path)).Load())
    assert sorted(v.tag for event in events for v in event.summary.value) == [f"frame{n}" for n in range(4)]
    assert [event.step for event in events if event.HasField("session_log")] == [3]


WITHOUT = """
import logging, sys
logging.basicConfig(format="%(message)s")
sys.modules["torch"] = sys.modules["tensorboardX"] = None
from stats_aggregator_client.integrations.tensorboard import SummaryWriter
with SummaryWriter("x") as writer:
    for step in range(3):
        assert writer.add_image("frame", object(), step) is None
        assert writer.add_graph(object()) is None
"""


def test_without_one_it_is_left_out_with_one_clear_line_each(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={**os.environ, "STATS_AGGREGATOR_ADDRESS": "off"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    reason = "a daemon takes numbers, and no torch.utils.tensorboard or tensorboardX is there for it"
    said = [f"{name} is left out: {reason}" for name in ("add_image", "add_graph")]
    assert done.stderr.splitlines() == said
