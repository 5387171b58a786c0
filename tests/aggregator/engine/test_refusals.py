"""Refusals: whatever comes, the engine lives, and says what was wrong."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stats_aggregator_client import wire
from stats_aggregator_client.wire import (
    MAX_MESSAGE_BYTES,
    Ack,
    Partial,
    Reject,
    RejectCode,
    Status,
    Welcome,
    encode,
    encode_series,
)
from tests.aggregator.partials import partial
from tests.aggregator.peers import SERIES, Core, Worker, answer, joined, pooled, seq_acked

MOST = 2**63 - 1
PARTIAL = partial(Worker(), "c", SERIES, 1)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with Core(tmp_path / "core", "manual") as core:
        yield core


def hostile(worker: Worker) -> dict[str, tuple[bytes, RejectCode, str]]:
    """Return frames that are refused for good, by what is wrong with them."""
    record = worker.record("c", SERIES, seq=1)
    series = encode_series([("x", 0)])
    good = partial(worker, "c", [("x", 0, [1.0, 5.0])], 1, seq=1)
    fields = good.parts[0]

    def bad(**changed: Any) -> Partial:
        return good._replace(parts=(fields._replace(**changed),))

    plain = {
        "category empty": (record._replace(category=""), RejectCode.NAME, "category is empty"),
        "category long": (record._replace(category="c" * 513), RejectCode.NAME, "513 bytes"),
        "category control": (record._replace(category="a\x07"), RejectCode.NAME, "control characters"),
        "category format": (record._replace(category="a\u202eb"), RejectCode.NAME, "format characters"),
        "key empty": (record._replace(series=encode_series([("", 0)])), RejectCode.NAME, "key is empty"),
        "key long": (record._replace(series=encode_series([("k" * 513, 0)])), RejectCode.NAME, "513 bytes"),
        "key control": (record._replace(series=encode_series([("a\n", 0)])), RejectCode.NAME, "control"),
        "aggregation": (record._replace(series=encode_series([("x", 6)])), RejectCode.SERIES, "tion 6"),
        "twice": (record._replace(series=encode_series([("x", 0), ("x", 0)])), RejectCode.SERIES, "twice"),
        "no array": (record._replace(series=b"\x01"), RejectCode.SERIES, "not an array"),
        "half": (record._replace(series=series[:-1]), RejectCode.SERIES, "not a MessagePack array"),
        "count 0": (record._replace(counts=b"\0\0\0\0", values=b""), RejectCode.COLUMN, "a count is 0"),
        "counts": (record._replace(counts=record.counts * 2), RejectCode.COLUMN, "1 series, but 2 counts"),
        "sum": (record._replace(values=record.values[8:]), RejectCode.COLUMN, "add up to 2"),
        "huge count": (record._replace(counts=b"\xff" * 4), RejectCode.COLUMN, "add up to 4294967295"),
        "time": (record._replace(t_first=2, t_last=1), RejectCode.MALFORMED, "t_first"),
        "step": (record._replace(step=-1), RejectCode.MALFORMED, "2**63 - 1"),
        "closing": (record._replace(closing=2), RejectCode.MALFORMED, "closing is 2"),
        "partial without series": (good._replace(series=b"", parts=()), RejectCode.COLUMN, "without a ser"),
        "partial parts": (good._replace(parts=good.parts * 2), RejectCode.COLUMN, "1 series, but 2 parts"),
        "partial bits": (good._replace(mantissa_bits=8), RejectCode.COLUMN, "8 bits of mantissa"),
        "partial worker": (good._replace(workers=("",)), RejectCode.NAME, "worker of a PARTIAL is empty"),
        "partial min worker": (bad(min_worker="a\n"), RejectCode.NAME, "control characters"),
        "partial count": (bad(num=2**48 + 1), RejectCode.COLUMN, "not from 0 to"),
        "partial total": (
            bad(num_nan=2**47, num_inf=2**47), RejectCode.COLUMN, "at most 281474976710656 are allowed"
        ),
        "partial negative": (bad(num_nan=-1), RejectCode.COLUMN, "not from 0 to"),
        "partial empty": (
            bad(num=0, bucket_keys=b"", bucket_counts=b""), RejectCode.COLUMN, "a series without a value"
        ),
        "partial origin": (bad(origin=math.nan), RejectCode.COLUMN, "not finite"),
        "partial min": (bad(min=-math.inf), RejectCode.COLUMN, "not finite"),
        "partial last": (bad(last=6.0), RejectCode.COLUMN, "from min to max"),
        "partial m2": (bad(m2=-1.0), RejectCode.COLUMN, "M2"),
        "partial sum": (bad(sum=math.nan), RejectCode.COLUMN, "NaN"),
        "partial order": (bad(last_order=(1, b"", 1, 0)), RejectCode.COLUMN, "[time, session, seq, index]"),
        "partial buckets": (bad(bucket_keys=fields.bucket_keys[:-1]), RejectCode.COLUMN, "int32 keys"),
        "partial bucket sum": (bad(num=3), RejectCode.COLUMN, "add up to num"),
        "partial bucket order": (
            bad(bucket_keys=fields.bucket_keys[4:] + fields.bucket_keys[:4]), RejectCode.COLUMN, "ascend"
        ),
        "partial bucket key": (
            bad(bucket_keys=fields.bucket_keys[:4] + b"\xff\xff\xff\x7f"), RejectCode.COLUMN, "no double"
        ),
        "partial bucket count": (
            bad(bucket_counts=struct.pack("<2Q", 0, 2)), RejectCode.COLUMN, "count that is 0"
        ),
        "partial latest": (bad(latest=(("", 1),)), RejectCode.COLUMN, "latest"),
        "property type": (wire.Property(worker.session, 1, "c", "odd", 1), RejectCode.PROPERTY, "odd"),
    }  # fmt: skip
    frames = {name: (encode(message), code, text) for name, (message, code, text) in plain.items()}
    deep: Any = 1
    for _ in range(40):
        deep = (deep,)
    for name, value in (("bytes", (b"x",)), ("time", (msgpack.Timestamp(1),)), ("key", {b"x": 1})):
        frame = encode(wire.Property(worker.session, 1, "c", "hyperparameters", value))
        frames[f"property {name}"] = frame, RejectCode.MALFORMED, "plain JSON types"
    frame = encode(wire.Property(worker.session, 1, "c", "hyperparameters", deep))
    return {**frames, "property deep": (frame, RejectCode.PROPERTY, "32 deep")}


@pytest.mark.parametrize("name", hostile(Worker()))
def test_what_makes_no_sense_is_refused_for_good_and_its_seq_consumed(core, name):
    (worker,) = joined(core, "w")
    frame, code, text = hostile(worker)[name]
    replies = {type(reply): reply for _, reply in core.handle((worker.peer, frame))}
    assert set(replies) == {Reject, Ack}
    assert (replies[Reject].seq, replies[Reject].code, replies[Ack].durable_seq) == (1, code, 1)
    assert text in replies[Reject].text
    worker.seq = 1
    assert seq_acked(core, worker.batch("c", [("x", 0, [5.0])])) == 2
    assert seq_acked(core, (worker.peer, frame)) == 2  # a duplicate now, like any other
    assert seq_acked(core, worker.batch("c", ())) == 3
    assert pooled(core) == [5.0]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "malformed"),
        (b"\xc1", "malformed"),
        (b"\x93\x01", "malformed"),
        (b"\x80", "malformed"),
        (msgpack.packb([2, 2, b"s" * 16]), "version"),
        (msgpack.packb([1, 200, b"s" * 16]), "kind"),
        (msgpack.packb([1, 2, b"s" * 16, 1]), "malformed"),
        (msgpack.packb([1, 2, b"s" * 15, 1]), "malformed"),
        (b"\0" * (MAX_MESSAGE_BYTES + 1), "too_large"),
        (b"\x92" + b"\x91" * 1020 + b"\x01\x01", "version"),
        (b"\x92\x01" + b"\x91" * 1020 + b"\x01", "kind"),
        (b"\x91" * 100_000, "malformed"),
        *((encode(PARTIAL._replace(parts=(part,))), "malformed") for part in (5, None, {"a": 1}, (), "text")),
        (encode(Ack(b"s" * 16, 1, 1, 1, ())), "kind"),
    ],
)
def test_a_frame_that_is_no_message_is_dropped_and_counted_by_reason(core, frame, reason):
    (worker,) = joined(core, "w")
    replies = core.handle((worker.peer, frame), (b"stranger", frame))
    assert sum(core.engine.reception.rejected.values()) == 2
    assert core.engine.reception.rejected[reason] + core.engine.reception.rejected["malformed"] >= 2
    assert all(isinstance(reply, Reject) and reply.seq == 0 for _, reply in replies)
    assert worker.peer in [peer for peer, _ in replies]  # who has a session is told
    assert seq_acked(core, worker.batch("c", SERIES)) == 1


def test_a_large_hello_info_is_cut_short_and_a_deep_one_is_no_message(core):
    worker = Worker()
    assert isinstance(answer(core, worker.hello(info={"pid": 7, "long": "x" * 9999, "n": (1,)})), Welcome)
    session = core.state.sessions.get(worker.session)
    assert session is not None
    assert session.info == {"pid": "7", "long": "x" * 200}
    _, frame = worker.hello(info={"pid": 7})
    deep = frame.replace(msgpack.packb("pid") + b"\x07", msgpack.packb("pid") + b"\x91" * 1000 + b"\x01")
    assert len(deep) > 1000
    assert isinstance(answer(core, (worker.peer, deep)), Reject)


def seeds(worker: Worker) -> list[bytes]:
    """Return a valid frame of each kind."""
    step = worker.record("c", SERIES, step=5, steps=3, lost=1, uncertain=2, seq=1)
    frames = [worker.hello()[1], worker.heartbeat()[1], worker.bye()[1], encode(step), encode(Status())]
    frames += [encode(wire.Write(worker.session, 1, "c", 4)), encode(wire.Rewind(worker.session, 1, "c", 4))]
    frames += [encode(wire.Property(worker.session, 1, "c", "hyperparameters", {"a": [1, None]}))]
    return [*frames, *(frame for frame, _, _ in hostile(worker).values())]


PREY = Worker("prey")
SEEDS = seeds(PREY)
mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]), st.integers(0, 10_000), st.binary(max_size=9)
    ),
    max_size=4,
)


def mutated(frame: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, extra in changes:
        at = place % (len(frame) + 1)
        if kind == "flip":
            frame = frame[:at] + extra + frame[at + len(extra) :]
        elif kind == "cut":
            frame = frame[:at]
        elif kind == "insert":
            frame = frame[:at] + extra + frame[at:]
        else:
            frame = frame[:at] + frame[at // 2 :]
    return frame


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(SEEDS), mutations), min_size=1, max_size=5))
def test_no_frame_whatever_makes_handle_raise_or_acknowledge_what_it_did_not_take(core, drawn):
    """The core lives on from one example to the next, so that whatever they did to it must not matter."""
    session = core.state.sessions.get(PREY.session)
    before = session.durable_seq if session else 0
    frames = [mutated(frame, changes) for frame, changes in drawn]
    replies = core.handle(*((PREY.peer, frame) for frame in frames))
    core.tick()
    session = core.state.sessions.get(PREY.session)
    for _, reply in replies:
        if isinstance(reply, Ack) and reply.session == PREY.session:
            assert session is not None
            assert reply.durable_seq == session.durable_seq == session.taken_seq
            assert before <= reply.durable_seq
    witness = Worker("witness")
    replies = core.handle(witness.hello(), witness.batch("w", [("x", 0, [1.0])]))
    assert [type(reply) for _, reply in replies] == [Welcome]
    assert core.failures == []


def test_numbers_at_the_edge_of_int64_hurt_nobody(core):
    workers = [Worker(f"w{number}") for number in range(4)]
    for worker in workers:
        worker.seq = MOST - 2
    core.handle(*(worker.hello() for worker in workers))
    for worker in workers:
        core.handle(
            worker.batch("c", SERIES, MOST, step=MOST, lost=MOST, uncertain=MOST),
            worker.batch("d", SERIES, MOST, steps=MOST),
        )
        core.handle(worker.hello(first_unacked=MOST))
    core.handle(workers[0].heartbeat(), (b"?", encode(Status())))
    first, last = core.close_all()
    assert (first.period.step, first.period.lost, last.period.step) == (MOST, MOST, MOST)
    restarted = core.crashed(core.directory.with_name("again"))
    with restarted:
        assert len(restarted.state.sessions) == 4


@pytest.mark.parametrize("kind", ["series", "series of nothing"])
def test_a_batch_without_values_is_legal(core, kind):
    (worker,) = joined(core, "w")
    record = worker.record("c", (), step=5)._replace(series=b"" if kind == "series" else b"\x90")
    assert seq_acked(core, (worker.peer, encode(record))) == 1
    restarted = core.crashed(core.directory.with_name("again"))
    with restarted:
        (found,) = restarted.close_all()
    assert (len(found), found.period.step) == (0, 5)


def test_a_refusal_that_was_lost_on_its_way_is_told_again_before_the_welcome(tmp_path):
    core = Core(tmp_path / "a", "manual")
    (worker,) = joined(core, "w")
    core.handle(worker.batch("control\n"), worker.batch("c", SERIES), worker.batch("control\n"))
    again = worker.hello(first_unacked=2)
    for restart in (False, True):
        core = core.crashed(tmp_path / "b") if restart else core
        replies = [reply for _, reply in core.handle(again)]
        assert [type(reply) for reply in replies] == [Reject, Welcome]
        assert (replies[0].seq, replies[0].code, replies[1].durable_seq) == (3, RejectCode.NAME, 3)
    core.close()
