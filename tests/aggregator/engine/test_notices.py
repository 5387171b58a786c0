"""Notices: what a person at the worker should read travels with the next answer, once."""

from __future__ import annotations

from stats_aggregator_client.wire import Ack, Closing
from tests.aggregator.peers import Core, Worker, answer, joined

WRITE = int(Closing.WRITE)


def notices(core: Core, *messages: tuple[bytes, bytes]) -> list[str]:
    reply = answer(core, *messages)
    assert isinstance(reply, Ack)
    return list(reply.notices)


def test_a_training_that_begins_again_is_told_to_the_worker_that_begins_it(begin):
    core = begin()
    (first,) = joined(core, "first")
    core.handle(first.write(5000), first.bye())
    core.settle()
    (again,) = joined(core, "again")
    (text,) = notices(core, again.write(1000))
    assert "again begins at step 1000 of c, which is at 5000" in text
    assert "rewind(step)" in text
    assert notices(core, again.write(2000)) == []


def test_a_worker_that_counts_steps_where_they_are_absolute_is_told_once(begin):
    core = begin("10s")
    counts, writes = joined(core, "counts", "writes")
    assert notices(core, counts.batch("c", (), steps=10)) == []
    core.handle(writes.write(0))
    (text,) = notices(core, counts.batch("c", (), steps=10))
    assert "add_steps of worker counts counts nothing in c" in text
    assert notices(core, counts.batch("c", (), steps=10)) == []


def test_a_resumed_training_says_nothing(begin):
    core = begin()
    (first,) = joined(core, "first")
    core.handle(first.write(5000), first.bye())
    core.settle()
    resumed = Worker("resumed")
    core.handle(resumed.hello())
    assert notices(core, resumed.rewind(1000)) == []
    assert notices(core, resumed.write(2000)) == []
