"""Recovery: from a data directory as a crash left it to a state that goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple

from ..clock import Clock
from ..errors import SettingError
from ..journal.journal import SEGMENT_BYTES, AnyJournal, Durability, Journal
from ..journal.null_journal import NullJournal
from ..journal.segment_reader import (
    TORN,
    UNREADABLE,
    SegmentContents,
    move_aside,
    read_segments,
    segment_paths,
    set_aside,
    size_bytes,
)
from ..periods.periods import PeriodKey
from ..store.store import Store
from .losses import check_newest, check_stored, check_values, unstored
from .replay import Replay
from .state import State

log = logging.getLogger(__name__)

_SAY_EVERY_NS = 3_000_000_000


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
    *,
    accept_loss: bool = False,
) -> Recovered:
    """Rebuild `state` from the journal in `directory`, and begin the journal's next segment.

    Damage is set aside and said, never deleted, and costs what it hit alone. Raises JournalError where the
    directory cannot be read or written, and AcknowledgedGone where whole files are gone that held what was
    acknowledged, unless `accept_loss` says to go on without it, or less than full durability was wanted
    anyway: then it counts as lost.
    """
    is_strict = durability is Durability.FULL and not accept_loss
    check_newest(directory, is_strict=is_strict)
    read = _Reading(directory, Replay(state, _is_closed(store)), clock)
    replay = read.replay
    found = unstored(store, state, replay)
    if is_strict:
        check_stored(store, found)
    if is_strict and not read.is_damaged:
        check_values(directory, replay)
    owed: set[Hashable] = {*state.unstored, *(period.key for period in state.open_periods())}
    if durability is Durability.NONE:
        _refuse_to_forget(directory, len(owed))
        return Recovered(NullJournal(), replay, read.damaged_bytes)
    for each in found:
        store.give_up(each.run, each.category, each.ranges)
    clock.not_before(replay.last_ns)
    replay.freshen(clock.now_ns())
    owed.update((message.session, message.seq) for _, message in replay.properties)
    journal = Journal.resume(
        directory,
        durability,
        snapshot=state.snapshot,
        clock=clock,
        pins_of={number: pins & owed for number, pins in read.pins.items()},
        rewrite=read.last,
        renew=bool(replay.gone),
        segment_bytes=segment_bytes,
    )
    read.move_unreadable()
    if read.is_damaged:
        _say_messages(replay)
    _say(replay, sum(each.claimed for each in found), sum(1 for _ in state.open_periods()))
    return Recovered(journal, replay, read.damaged_bytes)


class _Progress:
    """Says every few seconds how far a long recovery has come: nobody else can tell that it goes on."""

    def __init__(self, clock: Clock, total_bytes: int) -> None:
        self._clock, self._total_bytes = clock, total_bytes
        self._read_bytes = 0
        self._said_ns = clock.now_ns()

    def passed(self, size_bytes: int) -> None:
        """Note so many bytes more."""
        self._read_bytes += size_bytes
        now_ns = self._clock.now_ns()
        if now_ns - self._said_ns >= _SAY_EVERY_NS:
            self._said_ns = now_ns
            log.info("recovering: %d of %d MB read", self._read_bytes // 10**6, self._total_bytes // 10**6)


class _Reading:
    """The journal, read into a replay: what damage there is, and what each segment is kept for."""

    def __init__(self, directory: Path, replay: Replay, clock: Clock) -> None:
        self.replay = replay
        self.pins: dict[int, set[Hashable]] = {}
        self.damaged_bytes = 0
        self.is_damaged = False
        """Whether a file is damaged otherwise than by a write that broke off."""
        self.last: SegmentContents | None = None
        self._directory = directory
        self._unreadable: list[Path] = []
        paths = segment_paths(directory)
        progress = _Progress(clock, sum(map(size_bytes, paths)))
        for self.last in read_segments(paths):
            self._set_aside(self.last)
            self._look_at_length(self.last)
            if self.last.header is not None:
                self._apply(self.last.header.number, self.last)
            progress.passed(size_bytes(self.last.path))
        replay.count_missing()

    def _apply(self, number: int, contents: SegmentContents) -> None:
        found = self.pins[number] = set()
        for stored in contents.records:
            found.update(self.replay.apply(stored.record))
            for key in self.replay.restored:
                # A checkpoint tells all of a period: earlier segments are needed for it no more.
                for pins in self.pins.values():
                    if pins is not found:
                        pins.discard(key)
            self.replay.restored.clear()

    def _set_aside(self, contents: SegmentContents) -> None:
        """Copy what is damaged to where a person can look at it, and say so."""
        for damage in contents.damage:
            self.damaged_bytes += damage.length
            self.is_damaged = self.is_damaged or damage.reason != TORN
            if damage.reason == UNREADABLE:
                self._unreadable.append(contents.path)
                continue
            kept = set_aside(self._directory, contents.path, damage)
            log.warning(
                "%s: %s, %d bytes at %d; the bytes are kept in %s, and reading goes on behind them",
                contents.path,
                damage.reason,
                damage.length,
                damage.offset,
                kept,
            )

    def _look_at_length(self, contents: SegmentContents) -> None:
        """Tell what can be no write that broke off, though no bytes are there that could be damaged."""
        if contents.missing_bytes:
            self.is_damaged = True
            text = "%s is cut off where it begins, %d bytes too early: what it held is not known"
            log.error(text, contents.path, contents.missing_bytes)

    def move_unreadable(self) -> None:
        """Move what is no segment at all out of the journal, once that goes on without it."""
        for path in self._unreadable:
            kept = move_aside(self._directory, path)
            log.error("%s is damaged where it begins, or no segment at all; it is kept in %s", path, kept)


def _is_closed(store: Store) -> Callable[[PeriodKey], bool]:
    closed = store.closed_ordinals()
    return lambda key: key.ordinal in closed.get(key[:2], ())


def _refuse_to_forget(directory: Path, num_periods: int) -> None:
    if num_periods:
        raise SettingError(
            "durability",
            "none",
            f"full or process: the journal in {directory} holds {num_periods} periods that are not stored",
        )


def _say(replay: Replay, lost_periods: int, open_periods: int) -> None:
    if replay.records:
        log.info("recovered %d records: %d open periods", replay.records, open_periods)
    for key, missing in replay.gone.items():
        text = "%s #%d: %d values are lost, with parts of the journal that are damaged or gone"
        log.error(text, key.category, key.ordinal, missing)
    if lost_periods:
        log.error("%d periods that were closed are in no file any more: they are given up", lost_periods)


def _say_messages(replay: Replay) -> None:
    for worker, missing in replay.jumped.items():
        log.error("%d messages of worker %s are lost with what is damaged", missing, worker)
    if replay.strays:
        text = "%d messages are of sessions whose beginning is damaged: they are lost"
        log.error(text, replay.strays)
