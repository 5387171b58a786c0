"""A `multiprocessing.Queue` with the same batches in it: what people build who have no daemon."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

from tests.bench.intake import WORKERS, Intake
from tests.bench.raw_session import ReadyBatch, Shape

_SLOTS, _PATIENCE_S = 256, 60.0


def through_queue(shape: Shape, seconds: float) -> Intake:
    """Return what one process takes out of a queue that the workers fill for so long."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(_SLOTS)
    workers = [context.Process(target=_fill, args=(queue, shape, seconds)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    took, running, batches = [], WORKERS, 0
    while running:
        found = queue.get(timeout=_PATIENCE_S)
        if isinstance(found, float):
            running -= 1
            took.append(found)
        else:
            batches += 1
    for worker in workers:
        worker.join()
    return Intake(batches * shape.num_values, max(took))


def _fill(queue: Any, shape: Shape, seconds: float) -> None:
    batch, seq = ReadyBatch(bytes(16), shape), 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        queue.put(bytes(batch.frame(seq := seq + 1)))
    queue.put(time.monotonic() - began)
