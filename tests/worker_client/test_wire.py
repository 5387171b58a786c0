"""The wire: what is encoded decodes to the same, and what is no message raises WireError and nothing else."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_client.wire import (
    ID_BYTES,
    INT64_MAX,
    MAX_MESSAGE_BYTES,
    VERSION,
    Ack,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Kind,
    Message,
    Nack,
    Partial,
    PartialSeries,
    Property,
    Reject,
    RejectCode,
    Rewind,
    Status,
    StatusReply,
    Welcome,
    WireError,
    Write,
    decode,
    decode_series,
    encode,
    encode_series,
)
from tests.worker_client.samples import SAMPLES, SESSION, SHOWN, WHOLE, golden

KINDS = list(Kind)

ids = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
counts = st.integers(0, INT64_MAX)
seqs = st.integers(1, INT64_MAX)
texts = st.text(max_size=20)
floats = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | floats | texts,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(texts, plain, max_size=4)
windows = st.lists(seqs, max_size=3).map(tuple)
notices = st.lists(texts, max_size=2).map(tuple)
spans = st.tuples(counts, counts).map(sorted)
words = st.integers(0, 5)

parts = st.builds(
    PartialSeries, counts, floats, floats, floats, floats, floats, floats, st.none() | texts,
    st.none() | texts, floats, st.tuples(counts, ids, seqs, counts), counts, st.none() | texts, counts,
    st.none() | texts, st.binary(max_size=16), st.binary(max_size=16),
    st.lists(st.tuples(texts, floats, counts, ids, seqs, counts), max_size=2).map(tuple),
).map(tuple)  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    t_first, t_last = draw(spans)
    return Batch(
        draw(ids), draw(seqs), draw(texts), draw(st.integers(0, 1)), draw(st.none() | counts), draw(counts),
        t_first, t_last, draw(st.binary(max_size=30)), bytes(4 * draw(words)), bytes(8 * draw(words)),
        draw(counts), draw(counts),
    )  # fmt: skip


@st.composite
def partials(draw: st.DrawFn) -> Partial:
    t_first, t_last = draw(spans)
    return Partial(
        draw(ids), draw(seqs), draw(texts), draw(st.integers(0, 1)), draw(st.none() | counts), draw(counts),
        t_first, t_last, draw(counts), draw(counts), draw(counts),
        tuple(draw(st.lists(texts, max_size=3))), draw(st.integers(0, 52)), draw(st.binary(max_size=30)),
        tuple(draw(st.lists(parts, max_size=2))),
    )  # fmt: skip


MESSAGES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.HELLO: st.builds(Hello, ids, texts, st.none() | texts, ids, maps, seqs, st.none() | ids),
    Kind.BATCH: batches(),
    Kind.PARTIAL: partials(),
    Kind.PROPERTY: st.builds(Property, ids, seqs, texts, texts, plain),
    Kind.WRITE: st.builds(Write, ids, seqs, texts, counts),
    Kind.REWIND: st.builds(Rewind, ids, seqs, texts, counts),
    Kind.HEARTBEAT: st.builds(Heartbeat, ids),
    Kind.BYE: st.builds(Bye, ids),
    Kind.STATUS: st.just(Status()),
    Kind.WELCOME: st.builds(
        Welcome, ids, ids, texts, texts, counts, counts, counts, windows, windows, notices
    ),
    Kind.ACK: st.builds(Ack, ids, counts, counts, counts, windows, windows, notices),
    Kind.NACK: st.builds(Nack, ids, counts),
    Kind.REJECT: st.builds(Reject, ids, counts, counts, texts),
    Kind.STATUS_REPLY: st.builds(StatusReply, maps),
}
any_message = st.one_of(*MESSAGES.values())


def test_there_is_a_sample_and_a_strategy_of_every_kind() -> None:
    assert set(SAMPLES) == set(MESSAGES) == set(Kind)


@pytest.mark.parametrize("name", list(SHOWN))
def test_the_bytes_are_those_of_version_1(name: str) -> None:
    assert encode(SHOWN[name]) == golden(name)
    assert decode(golden(name)) == SHOWN[name]
    assert type(decode(golden(name))) is type(SHOWN[name])


@pytest.mark.parametrize("name", list(WHOLE))
def test_fields_that_were_added_are_left_out_where_they_are_empty_and_may_be_missing(name: str) -> None:
    whole: Any = WHOLE[name]
    before: Any = whole._replace(widths=(), notices=())
    sizes = [
        len(msgpack.unpackb(encode(each)))
        for each in (before, before._replace(widths=(7,)), before._replace(notices=("a",)), whole)
    ]
    assert sizes == [sizes[0], sizes[0] + 1, sizes[0] + 2, sizes[0] + 2]
    assert decode(msgpack.packb([VERSION, int(Kind[name.removesuffix("_WHOLE")]), *before])) == before
    assert decode(encode(before._replace(notices=("a",)))) == before._replace(notices=("a",))


@given(MESSAGES[Kind.BATCH], st.integers(8188, 8196), counts, counts)
def test_a_large_batch_has_the_bytes_that_messagepack_gives_it(
    batch: Batch, length: int, lost: int, uncertain: int
) -> None:
    values = struct.pack(f"{length}d", *range(length))
    batch = batch._replace(counts=struct.pack("<I", length), values=values, lost=lost, uncertain=uncertain)
    assert encode(batch) == msgpack.packb((VERSION, Kind.BATCH, *batch))


@given(any_message)
def test_what_is_encoded_decodes_to_the_same(message: Message) -> None:
    found = decode(encode(message))
    assert found == message
    assert type(found) is type(message)


@given(any_message, st.lists(plain, min_size=1, max_size=3))
def test_unknown_fields_at_the_end_are_ignored(message: Message, more: list[Any]) -> None:
    kind = msgpack.unpackb(encode(message))[1]
    frame = msgpack.packb([VERSION, kind, *message, *more])
    assert decode(frame) == message


@given(st.binary(max_size=200))
def test_bytes_at_random_raise_wire_error_or_decode(frame: bytes) -> None:
    _decodes_or_raises(frame)


@given(any_message, st.data())
def test_a_message_changed_anywhere_raises_wire_error_or_decodes(
    message: Message, data: st.DataObject
) -> None:
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    _decodes_or_raises(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    _decodes_or_raises(bytes(frame))


@given(plain | st.lists(plain | st.binary(max_size=20), max_size=18))
def test_any_messagepack_raises_wire_error_or_decodes(fields: Any) -> None:
    _decodes_or_raises(msgpack.packb(fields))


@given(st.sampled_from(KINDS), st.lists(plain | ids, max_size=18))
def test_any_fields_of_a_kind_raise_wire_error_or_decode(kind: Kind, fields: list[Any]) -> None:
    _decodes_or_raises(msgpack.packb([1, int(kind), *fields]))


def _decodes_or_raises(frame: bytes) -> None:
    try:
        found: Message | WireError = decode(frame)
    except WireError as error:
        found = error
    if isinstance(found, WireError):
        assert found.text
        assert found.code in RejectCode
        assert found.session is None or len(found.session) == ID_BYTES
        assert 0 <= found.seq <= INT64_MAX
    else:
        assert type(decode(encode(found))) is type(found)  # whatever decodes can be passed on


def test_a_stranger_of_another_version_can_be_told() -> None:
    frame = msgpack.packb([2, 1, SESSION, "a", "field", "nobody", "knows"])
    with pytest.raises(WireError, match="version 2; this side speaks 1") as caught:
        decode(frame)
    assert (caught.value.code, caught.value.session) == (RejectCode.VERSION, SESSION)


def test_a_kind_from_the_future_is_refused_with_its_seq() -> None:
    with pytest.raises(WireError, match="kind 20") as caught:
        decode(msgpack.packb([1, 20, SESSION, 9]))
    assert (caught.value.code, caught.value.session, caught.value.seq) == (RejectCode.KIND, SESSION, 9)


def test_a_frame_past_the_limit_is_not_even_unpacked() -> None:
    with pytest.raises(WireError) as caught:
        decode(b"\xc1" * (MAX_MESSAGE_BYTES + 1))
    assert caught.value.code is RejectCode.TOO_LARGE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session": b"short"}, "session has 5 bytes"),
        ({"seq": 0}, "seq is 0"),
        ({"seq": 1 << 63}, "seq is"),
        ({"closing": 2}, "closing is 2"),
        ({"closing": -1}, "closing is -1"),
        ({"step": -1}, "not from 0"),
        ({"steps": -1}, "not from 0"),
        ({"t_first": -1}, "not from 0"),
        ({"t_last": 5}, "t_first is after t_last"),
        ({"lost": 1 << 63}, "not from 0"),
        ({"counts": b"abc"}, "not whole uint32"),
        ({"values": b"1234567"}, "not whole float64"),
        ({"closing": True}, "other types"),
        ({"category": b"bytes"}, "other types"),
        ({"step": 1.5}, "other types"),
    ],
)
def test_a_batch_out_of_range_is_refused_and_says_why(changes: dict[str, Any], words: str) -> None:
    batch = SAMPLES[Kind.BATCH]._replace(**changes)  # type: ignore[union-attr]
    with pytest.raises(WireError, match=words) as caught:
        decode(encode(batch))
    assert caught.value.code is RejectCode.MALFORMED


@pytest.mark.parametrize(
    "message",
    [
        Property(SESSION, 1, "c", "hyperparameters", b"bytes"),
        Property(SESSION, 1, "c", "hyperparameters", {"a": (1, b"deep")}),
        Property(SESSION, 1, "c", "hyperparameters", msgpack.Timestamp(1)),
        Hello(SESSION, "w", None, b"short", {}, 1, None),
        Hello(SESSION, "w", None, SESSION, {}, 0, None),
        Hello(SESSION, "w", None, SESSION, {"a": b"bytes"}, 1, None),
        Ack(SESSION, 1, 1, 1, (0,)),
        Ack(SESSION, 1, 1, 1, ("10s",)),  # type: ignore[arg-type]
        Ack(SESSION, 1, 1, 1, (), (0,)),
        Ack(SESSION, 1, 1, 1, (), (1.5,)),  # type: ignore[arg-type]
        Ack(SESSION, 1, 1, 1, (), (), (5,)),  # type: ignore[arg-type]
        Write(SESSION, 1, "c", -1),
        Nack(SESSION, -1),
        Welcome(SESSION, b"short", "w", "r", 0, 1, 1, ()),
    ],
    ids=repr,
)
def test_other_messages_out_of_range_are_refused(message: Message) -> None:
    with pytest.raises(WireError):
        decode(encode(message))


def test_a_property_may_be_a_negative_number() -> None:
    fact = Property(SESSION, 1, "c", "hyperparameters", -5)
    assert decode(encode(fact)) == fact


def test_a_message_cut_short_is_refused_wherever_it_is_cut() -> None:
    frame = encode(SAMPLES[Kind.BATCH])
    for end in range(len(frame)):
        with pytest.raises(WireError):
            decode(frame[:end])


@given(st.lists(st.tuples(texts, st.integers(0, 5)), max_size=5, unique_by=lambda pair: pair[0]).map(tuple))
def test_series_decode_to_what_was_encoded(series: tuple[tuple[str, int], ...]) -> None:
    assert decode_series(encode_series(series)) == series


@pytest.mark.parametrize(
    "packed",
    [b"\xc1", msgpack.packb(5), msgpack.packb([["k"]]), msgpack.packb([["k", "0"]]), msgpack.packb(["k0"]),
     msgpack.packb([["k", True]]), msgpack.packb([["k", 0], ["k", 1]]), struct.pack("<I", 7)],
)  # fmt: skip
def test_what_is_no_series_is_refused(packed: bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode_series(packed)
    assert caught.value.code is RejectCode.SERIES


def test_no_series_at_all_is_empty() -> None:
    assert decode_series(b"") == ()
