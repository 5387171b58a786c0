"""Decisions: what the journal's records say comes back as it was."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator.journal.decisions import (
    Checkpointed,
    Closed,
    Entry,
    Folded,
    Opened,
    SessionOpened,
    Skipped,
    pack,
    pack_group,
    unpack,
    unpack_group,
)
from stats_aggregator.journal.segment import RecordKind

int64 = st.integers(0, 2**63 - 1)
entries = st.lists(
    st.builds(Entry, int64, st.booleans(), st.binary(max_size=5000), st.booleans()), max_size=8
)
names = st.text(min_size=1, max_size=9)
ids = st.binary(min_size=16, max_size=16)


@given(entries)
def test_a_group_gives_back_its_frames(given_entries):
    record = pack_group(given_entries)
    assert record.kind is RecordKind.GROUP
    assert unpack_group(b"".join(record.body)) == given_entries


@pytest.mark.parametrize(
    ("kind", "bodies"),
    [
        (RecordKind.SESSION, st.builds(SessionOpened, ids, names, names, ids, int64)),
        (RecordKind.GAP, st.builds(Skipped, ids, int64, int64, names)),
        (RecordKind.OPEN, st.builds(Opened, names, names, int64, int64, int64, int64, int64)),
        (RecordKind.FOLD, st.builds(Folded, names, names, int64, int64)),
        (
            RecordKind.CHECKPOINT,
            st.builds(Checkpointed, names, names, int64, int64, int64, int64, st.binary(max_size=99)),
        ),
        (
            RecordKind.CLOSE,
            st.builds(
                Closed,
                names,
                names,
                int64,
                int64,
                int64,
                int64,
                int64,
                int64,
                names,
                st.tuples(ids, ids),
                int64,
                int64,
                st.tuples(names, names),
            ),
        ),
    ],
)
def test_every_other_body_comes_back(kind, bodies):
    @given(bodies)
    def check(body):
        record = pack(kind, body)
        assert record.kind is kind
        assert unpack(type(body), b"".join(record.body)) == body

    check()


def test_a_close_of_a_journal_of_before_is_read():
    body = msgpack.packb(("run", "c", 1, 20, 10, 7, 2, 0, "time", ()))
    closed = unpack(Closed, body)
    assert (closed.cause, closed.start_ns, closed.workers_reporting, closed.missing) == ("time", -1, -1, ())
