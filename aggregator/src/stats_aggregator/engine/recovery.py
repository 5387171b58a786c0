"""Recovery: from a data directory as a crash left it to a state that goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from ..clock import Clock
from ..journal.journal import SEGMENT_BYTES, AnyJournal, Durability, Journal, NullJournal
from ..journal.segment_reader import SegmentContents, read_segment, segment_paths, set_aside
from ..store.store import Store
from .state import Replay, State

log = logging.getLogger(__name__)


class Recovered(NamedTuple):
    """What recovery gives: the journal to go on with, and what it still owes the store."""

    journal: AnyJournal
    replay: Replay
    damaged_bytes: int


def recover(
    directory: Path,
    durability: Durability,
    state: State,
    store: Store,
    clock: Clock,
    segment_bytes: int = SEGMENT_BYTES,
) -> Recovered:
    """Rebuild `state` from the journal in `directory`, and begin the journal's next segment.

    Damage is set aside and said, never deleted, and costs what it hit alone. Raises JournalError where the
    directory cannot be read or written.
    """
    closed = store.closed_ordinals()
    replay = Replay(state, lambda key: key.ordinal in closed.get(key[:2], ()))
    if durability is Durability.NONE:
        return Recovered(NullJournal(), replay, 0)
    pins: dict[int, set[Hashable]] = {}
    damaged_bytes = 0
    contents: SegmentContents | None = None
    paths = segment_paths(directory)
    for path in paths:
        contents = read_segment(path, last=path == paths[-1])
        damaged_bytes += _set_aside(directory, contents)
        if contents.header is not None:
            found = pins[contents.header.number] = set()
            for stored in contents.records:
                found.update(replay.apply(stored.record))
    ended = {period.key for period, _ in replay.ended}
    open_keys = {p.key for category in state.categories.values() for p in category.periods.values()}
    owed = ended | open_keys | {(message.session, message.seq) for _, message in replay.properties}
    clock.not_before(replay.last_ns)
    replay.freshen(clock.now_ns())
    journal = Journal.resume(
        directory,
        durability,
        snapshot=state.snapshot,
        clock=clock,
        pins_of={number: found & owed for number, found in pins.items()},
        rewrite=contents,
        segment_bytes=segment_bytes,
    )
    if replay.records:
        log.info("recovered %d records: %d open periods", replay.records, len(open_keys))
    return Recovered(journal, replay, damaged_bytes)


def _set_aside(directory: Path, contents: SegmentContents) -> int:
    """Copy what is damaged to where a person can look at it, say so, and return how many bytes it is."""
    for damage in contents.damage:
        kept = set_aside(directory, contents.path, damage)
        log.warning(
            "%s: %s, %d bytes at %d; the bytes are kept in %s, and reading goes on behind them",
            contents.path,
            damage.reason,
            damage.length,
            damage.offset,
            kept,
        )
    return sum(damage.length for damage in contents.damage)
