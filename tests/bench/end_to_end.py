"""End to end: real worker processes to stored summaries, by the shape of the batches and by durability."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from tests.bench.bare_queue import through_queue
from tests.bench.bare_router import BareRouter
from tests.bench.intake import WORKERS, Intake, push, take
from tests.bench.raw_session import Shape
from tests.bench.row import Row
from tests.bench.table import number

_SHAPES = (Shape(50, 1), Shape(50, 20), Shape(50, 200), Shape(10, 10_000), Shape(2_000, 1))
_SHORT_SHAPES = (Shape(50, 20),)
_DURABILITIES = ("none", "process", "full")
_PATIENTLY = ("--drain-timeout", "25s")
"""What was taken in the last second may be much to store for a machine that is busy."""
_UNIT = "million values/s"


def measure_end_to_end(short: bool) -> Iterator[Row]:
    """Yield what is taken of each shape, beside a bare ROUTER that the same workers push to."""
    rounds, seconds = (1, 0.2) if short else (3, 3.0)
    for shape in _SHORT_SHAPES if short else _SHAPES:
        found = [_round(shape, seconds) for _ in range(rounds)]  # in turns, so that all meet the same noise
        yield from _rows(shape, {name: [each[name] for each in found] for name in found[0]})
    yield _real_clients(seconds)


def _round(shape: Shape, seconds: float) -> dict[str, Intake]:
    with BareRouter() as router:
        bare = push("raw", router.address, shape, seconds)
    queue = through_queue(shape, seconds)
    ours = {level: take("raw", shape, seconds, "--durability", level, *_PATIENTLY) for level in _DURABILITIES}
    return {"router": bare, "queue": queue, **ours}


def _rows(shape: Shape, found: dict[str, list[Intake]]) -> Iterator[Row]:
    rates = {name: statistics.median(each.values_per_s for each in taken) for name, taken in found.items()}
    millions = {name: rate / 1e6 for name, rate in rates.items()}
    yield Row(f"{shape}, a bare ROUTER with acks", millions["router"], _UNIT, higher_is_better=True)
    yield Row(f"{shape}, multiprocessing.Queue", millions["queue"], _UNIT, higher_is_better=True)
    for level in _DURABILITIES:
        yield Row(
            f"{shape}, {level}",
            millions[level],
            _UNIT,
            "the bare ROUTER",
            rates[level] / rates["router"],
            higher_is_better=True,
            note=_note(shape, level, rates),
            counts=_counts(found[level]),
        )


def _note(shape: Shape, level: str, rates: dict[str, float]) -> str:
    queue, none = (number(rates[level] / rates[name]) for name in ("queue", "none"))
    return f"{rates[level] / shape.num_values:,.0f} batches/s, {queue} x the Queue, {none} x none"


def _real_clients(seconds: float) -> Row:
    shape = Shape(50, 20)
    with BareRouter() as router:
        bare = push("client", router.address, shape, seconds)
    ours = take("client", shape, seconds, *_PATIENTLY)
    return Row(
        f"{WORKERS} real clients, add_stats of 20 values to 50 keys, full",
        ours.values_per_s / 1e6,
        _UNIT,
        "the same to a bare ROUTER",
        ours.values_per_s / bare.values_per_s,
        higher_is_better=True,
        counts=_counts([ours]),
    )


def _counts(taken: list[Intake]) -> dict[str, int]:
    return {
        "acknowledged": sum(each.num_values for each in taken),
        "stored": sum(each.num_stored for each in taken),
    }
