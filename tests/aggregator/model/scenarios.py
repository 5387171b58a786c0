"""Scenarios: short stories on the world, each of something that must have happened at least once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.aggregator.model.machine import TIGHT, Deed


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done, and what it must bring about."""

    name: str
    fires: Sequence[str]
    deeds: Sequence[Deed]
    settings: dict[str, Any] = field(default_factory=dict)


def _sent(worker: int, category: str, num: int = 3) -> list[Deed]:
    return [("add", worker, category, "mean", num), ("act", worker)]


def _written(worker: int, category: str = "trained") -> list[Deed]:
    return [*_sent(worker, category), ("write", worker, category, 1), ("act", worker)]


_ALL = ("deliver", [(0, 9), (1, 9), (2, 9)])

SCENARIOS = [
    Scenario("the last ACK is lost", ["answer lost"], [*_sent(0, "auto"), _ALL, ("lose_down", 0, 9)]),
    Scenario("a frame comes twice", ["duplicate"], [*_sent(0, "auto"), ("repeat", 0, 0, 0), _ALL]),
    Scenario("a connection comes back in silence", ["nack 0"], [("reconnect", 0), *_sent(0, "auto"), _ALL]),
    Scenario(
        "a frame is lost before others", ["nack"],
        [*_sent(0, "auto"), ("write", 0, "auto", 1), *_sent(0, "auto"), ("lose_up", 0, 0), _ALL],
    ),
    Scenario(
        "an unfit batch stands among good ones", ["reject"],
        [*_sent(0, "auto"), ("say_nonsense", 0), *_sent(0, "auto"), _ALL],
    ),
    Scenario(
        "a batch waits for longer than its window", ["late", "closed by time"],
        [*_sent(1, "auto"), ("exchange", 1), *_sent(0, "auto"), ("pass_s", 13), _ALL],
    ),
    Scenario("a clock is far ahead", ["late"], [("jump", 0, 30), *_sent(0, "auto"), _ALL]),
    Scenario(
        "a round is complete, one waits for grace, and one writes twice",
        ["closed by write", "closed by patience"],
        [
            *_written(0), *_written(1), ("exchange", 1), ("pass_s", 3),
            *_written(0), *_written(1), ("exchange", 1),
            *_written(0), ("exchange", 1), ("pass_s", 3), ("write", 1, "trained", 0), ("exchange", 1),
            *_written(0), *_written(0), ("exchange", 2),
        ],
    ),
    Scenario(
        "all that could write have ended", ["closed by left"],
        [
            *_written(0), ("exchange", 1), *_sent(0, "trained"), ("stop_worker", 0, True, 0.0),
            ("exchange", 1), ("pass_s", 2), ("pass_s", 2), *_sent(1, "trained"), ("exchange", 1),
        ],
    ),
    Scenario(
        "training goes back to a checkpoint", ["closed by rewind", "rewind"],
        [*_written(0), *_sent(0, "trained"), ("rewind", 0, "trained", 5), *_written(0), ("exchange", 1)],
    ),
    Scenario(
        "steps end a period", ["closed by steps"],
        [
            ("count_steps", 0, "steps", 70), *_sent(0, "steps"), ("count_steps", 1, "steps", 70),
            ("exchange", 1),
        ],
    ),
    Scenario(
        "the daemon is restarted in the middle of a window", ["window in parts"],
        [*_sent(0, "auto"), ("exchange", 1), ("stop", False), *_sent(0, "auto"), ("exchange", 2)],
    ),
    Scenario(
        "it is restarted with another every", ["closed by every"],
        [*_sent(0, "steps"), ("exchange", 1), ("change_every", 1), *_sent(0, "steps"), ("exchange", 2)],
    ),
    Scenario(
        "it is killed before it could store, with its clock set back",
        ["crash with unstored periods", "replayed record", "clock set back"],
        [("stop_storing",), *_written(0), ("exchange", 3), ("crash", 3600), ("pass_s", 3)],
    ),
    Scenario(
        "it is killed within an append", ["torn append"],
        [*_sent(0, "auto", 40), ("crash_within", [(0, 9)], 0.5)],
    ),
    Scenario(
        "the disk is full for a while", ["disk full", "room again"],
        [("fill_disk",), *_sent(0, "auto"), _ALL, ("pass_s", 1), *_sent(1, "auto"), _ALL, ("free_disk",),
         ("pass_s", 1)],
    ),
    Scenario(
        "it is killed while the disk is full, and does not start",
        ["crash while stalled", "died at its start"],
        [("fill_disk",), *_sent(0, "auto"), _ALL, *_sent(1, "auto"), _ALL, ("crash", 0)],
    ),
    Scenario(
        "it dies between journal and state", ["died at an edge"],
        [("break_edge", "engine.apply.before", 1), *_sent(0, "auto"), _ALL],
    ),
    Scenario(
        "it goes on with another data directory, and comes back to the first",
        ["another directory", "uncertain"],
        [
            *_sent(0, "auto"), _ALL, ("move", 9), ("pass_s", 5), ("exchange", 3),
            *_sent(0, "auto"), _ALL, ("move", 0), ("pass_s", 5), ("exchange", 3),
        ],
    ),
    Scenario(
        "everybody is forgotten", ["forgotten", "uncertain"],
        [*_sent(0, "auto"), ("exchange", 1), *_sent(0, "auto"), ("pass_a_week",), ("exchange", 2)],
    ),
    Scenario(
        "a writer fails, and takes it up again; another cannot take one period",
        ["writer failed", "set aside"],
        [*_written(0), ("exchange", 1), ("trouble_writer", 0, 0, 2), ("trouble_writer", 1, 5, 0),
         *(("write_out", 3), ("pass_s", 60)) * 6],
    ),
    Scenario(
        "everything dies while a writer is in a call", ["crash within a writer's call", "delivered again"],
        [*_written(0), ("exchange", 1), ("crash_within_call", 0), ("write_out", 3)],
    ),
    Scenario(
        "there is too little of everything", ["partial", "fold", "checkpoint", "_overflow"],
        [
            *(("add", 0, category, key, 300) for key in ("mean", "sum", "gauge", "hist")
              for category in ("manual", "auto")),
            ("pass_s", 1), *_sent(1, "manual", 300), ("exchange", 3), *(_sent(0, "manual", 300) * 6),
            ("exchange", 3), ("crash", 0), *(_sent(2, "manual", 300) * 6), ("exchange", 3),
        ],
        TIGHT,
    ),
    Scenario(
        "a worker has more notes than memory, and loses the oldest", ["lost"],
        [*(("tell_property", 0, "manual", number) for number in range(4)),
         *(deed for _ in range(60) for deed in (("add", 0, "auto", "mean", 40), ("rewind", 0, "auto", 1))),
         ("exchange", 3)],
        TIGHT,
    ),
]  # fmt: skip
