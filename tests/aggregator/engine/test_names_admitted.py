"""Names are checked where a message is admitted: once, and never again of what was acknowledged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.engine import validity
from stats_aggregator_api import name_fault, names
from stats_aggregator_client.wire import Message, Reject, RejectCode, encode
from tests.aggregator.partials import partial
from tests.aggregator.peers import Core, Worker, answer, joined, seq_acked

HIDDEN = "\u202e"


def frame_with(worker: Worker, where: str, seq: int) -> tuple[bytes, bytes]:
    """Return a message of two values that has a name with a format character."""
    series = [("x", 0, [1.0, 2.0])]
    folded = partial(worker, "c", series, 1, seq=seq)
    (part,) = folded.parts

    def changed(**fields: Any) -> Message:
        return folded._replace(parts=(part._replace(**fields),))

    messages: dict[str, Message] = {
        "key": worker.record("c", [(HIDDEN, 0, [1.0, 2.0])], seq=seq),
        "category": worker.record(HIDDEN, series, seq=seq),
        "key of a partial": partial(worker, "c", [(HIDDEN, 0, [1.0, 2.0])], 1, seq=seq),
        "workers": folded._replace(workers=("a", HIDDEN)),
        **{name: changed(**{name: HIDDEN}) for name in ("min_worker", "max_worker")},
        **{name: changed(**{name: HIDDEN}) for name in ("nan_worker", "inf_worker")},
        "latest": changed(latest=((HIDDEN, 2.0, 1, worker.session, seq, 0),)),
    }
    return worker.peer, encode(messages[where])


PLACES = [
    "key", "category", "key of a partial", "workers", "min_worker", "max_worker", "nan_worker", "inf_worker",
    "latest",
]  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
def test_what_an_earlier_build_took_under_a_name_is_there_and_the_next_of_that_name_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    core = Core(tmp_path / "a", "manual")
    (worker,) = joined(core, "w")
    with monkeypatch.context() as earlier:
        earlier.setattr(names, "UNSEEN", re.compile("(?!)"))  # there was no such rule
        assert seq_acked(core, frame_with(worker, where, 1)) == 1
    worker.seq = 1
    for start in ("b", "c"):
        core = core.crashed(tmp_path / start)
        (period,) = core.state.open_periods()
        assert period.accumulator.num_values == 2
    core.handle(worker.hello())
    reply = {type(reply): reply for _, reply in core.handle(frame_with(worker, where, 2))}[Reject]
    assert isinstance(reply, Reject)
    assert (reply.code, reply.seq) == (RejectCode.NAME, 2)
    assert f"{HIDDEN!r} has format characters" in reply.text
    (found,) = core.close_all()
    assert [summary.num for summary in found.values()] == [2]
    core.close()


def test_a_worker_that_joined_under_a_name_of_an_earlier_build_keeps_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(tmp_path / "a", "manual")
    with monkeypatch.context() as earlier:
        earlier.setattr(names, "UNSEEN", re.compile("(?!)"))
        (worker,) = joined(core, HIDDEN)
        core.handle(worker.batch("c", [("x", 0, [1.0])]))
    with core.crashed(tmp_path / "b") as core:
        assert isinstance(answer(core, worker.hello()), Reject)
        (found,) = core.close_all()
        assert found["x"].min_worker == HIDDEN


@pytest.mark.parametrize("folded", [False, True])
def test_names_are_not_checked_with_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folded: bool
) -> None:
    checked: list[str] = []

    def noted(name: str) -> str | None:
        checked.append(name)
        return name_fault(name)

    monkeypatch.setattr(validity, "name_fault", noted)
    series = [(f"key {number}", 0, [1.0]) for number in range(20)]
    with Core(tmp_path / "a", "manual") as core:
        workers = joined(core, "v", "w")
        for _ in range(10):
            for worker in workers:
                told = partial(worker, "c", series, 1) if folded else worker.record("c", series)
                core.handle((worker.peer, encode(told)))
        assert sorted(checked) == sorted(["c", *(key for key, _, _ in series)])
