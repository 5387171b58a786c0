"""Journal: the truth of what came in, in append-only segments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from itertools import groupby
from pathlib import Path

from .. import failpoints
from ..clock import Clock
from ..errors import JournalFailed, JournalFull, journal_error
from .finished import FinishedSegments
from .newest import newest_number, note_newest
from .null_journal import NullJournal
from .segment import SUFFIX, Record, RecordKind, segment_number
from .segment_reader import SegmentContents, all_segment_paths, read_header, segment_paths
from .segment_writer import UNPUBLISHED, SegmentWriter, sync_directory
from .sync_times import SyncTimes

SEGMENT_BYTES = 64 << 20
"""How large a segment grows before the next is begun."""
BESIDE_BYTES = 128 << 10
"""An append of so many bytes is written and synced by a thread beside, which a smaller one is not worth."""


class Durability(Enum):
    """What an acknowledged value survives."""

    FULL = "full"
    """Also the loss of power: every append is synced."""
    PROCESS = "process"
    """The death of the process: nothing waits for the disk."""
    NONE = "none"
    """Nothing: no journal is kept."""


def _rest() -> None:
    """Do nothing while the disk works."""


class Journal:
    """Appends records; keeps each segment until all that pins it is released. For one thread.

    It has another one of its own, which writes and syncs: the system calls copy and wait without the
    interpreter's lock. Whoever appends has done so when the call returns.
    """

    def __init__(
        self,
        directory: Path,
        durability: Durability,
        *,
        snapshot: Callable[[], bytes],
        clock: Clock,
        first_number: int = 1,
        rewrite: SegmentContents | None = None,
        renew: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Begin segment `first_number` in `directory`, which is made where it is missing.

        `snapshot` returns the body of the SNAPSHOT that a new segment begins with. It is called here, and at
        the end of an `append`: it must tell the state after all that was appended, that append included.

        With `rewrite` the segment begins instead with all that was read of that one, which it replaces, and
        is synced under any durability: what stands in the page cache after a crash may not be on the disk.
        With `renew` it ends with the snapshot: what was found damaged there shows in it no more.

        Raises JournalFull where there is no room for a segment, JournalFailed on any other fault of the disk.
        """
        if durability is Durability.NONE:
            raise ValueError("durability is none: that is a NullJournal")
        self._directory = directory
        self._sync = durability is Durability.FULL
        self._snapshot = snapshot
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._finished = FinishedSegments()
        self._pins: set[Hashable] = set()
        self._failure: JournalFailed | None = None
        self.checkpoints = 0
        """How many times older segments were made dispensable."""
        self.sync_times = SyncTimes()
        """Of the appends that were synced."""
        self._beside = ThreadPoolExecutor(1, "journal")
        self._make_directory()
        self._current = self._rewrite(first_number, rewrite, renew) if rewrite else self._begin(first_number)
        self._roll_at_bytes = segment_bytes

    @classmethod
    def resume(
        cls,
        directory: Path,
        durability: Durability,
        *,
        snapshot: Callable[[], bytes],
        clock: Clock,
        pins_of: Mapping[int, Iterable[Hashable]],
        rewrite: SegmentContents | None = None,
        renew: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Journal:
        """Go on after recovery, in an empty directory too.

        `pins_of` tells, by number, what still pins each segment that was read; a segment without any is
        removed. `rewrite` is what was read of the last one, None where there was none; a rewritten segment
        has the pins of the old one, and the journal goes on in it, or, with `renew`, in one more. `snapshot`
        tells the recovered state. A file whose header is unreadable is left alone. Raises as the constructor.
        """
        number = max([newest_number(directory), *map(segment_number, all_segment_paths(directory))]) + 1
        readable = rewrite if rewrite and rewrite.header else None
        if readable:
            first = readable.records[0].record.kind if readable.records else None
            # Its snapshot is damaged, or tells of what is lost: the segments before could never go.
            renew = renew or first is not RecordKind.SNAPSHOT
        journal = cls(
            directory,
            durability,
            snapshot=snapshot,
            clock=clock,
            first_number=number,
            rewrite=readable,
            renew=renew,
            segment_bytes=segment_bytes,
        )
        if readable and readable.header:
            journal._pins.update(pins_of.get(readable.header.number, ()))
            if renew:
                journal._go_on_in(journal._begin(number + 1))
        journal._adopt(pins_of)
        return journal

    @property
    def size_bytes(self) -> int:
        """How many bytes all segments hold."""
        return self._current.size_bytes + self._finished.size_bytes

    @property
    def segments(self) -> int:
        """How many segments there are, the current one among them."""
        return len(self._finished) + 1

    def append(
        self, records: Sequence[Record], pins: Iterable[Hashable] = (), meanwhile: Callable[[], None] = _rest
    ) -> None:
        """Write `records`, whole or not at all, and sync them where durability is full.

        `pins` are the periods of which these records tell anything; the segment stays until each is
        released. `meanwhile` is called while the disk is at work, if that is worth it, else before or after.
        Raises JournalFull where there is no room: nothing was appended, though `meanwhile` may have been
        called, and the same append may be tried again later. Raises JournalFailed on any other fault of the
        disk, and from then on always.
        """
        if self._failure:
            raise self._failure
        failpoints.reach_each("journal.append", (record.kind.name.lower() for record in records), "before")
        try:
            encoded = self._current.encoded(records)
            if sum(map(len, encoded)) < BESIDE_BYTES:
                self._write(encoded)
                meanwhile()
            else:
                writing = self._beside.submit(self._write, encoded)
                meanwhile()
                writing.result()
            self._pins.update(pins)
            failpoints.reach_each("journal.append", (record.kind.name.lower() for record in records), "after")
            if self._current.size_bytes >= self._roll_at_bytes:
                self._roll()
        except JournalFailed as failure:
            self._failure = failure
            raise

    def _write(self, encoded: list[bytes | memoryview]) -> None:
        self._current.write(encoded)
        if self._sync:
            began_ns = self._clock.now_ns()
            self._current.sync()
            self.sync_times.note((self._clock.now_ns() - began_ns) / 1e9)

    def checkpoint(self, records: Iterable[Record], pins: Collection[Hashable]) -> None:
        """Begin a segment with `records`, which tell all there is of `pins`: older ones need not keep these.

        Raises as `append`; after JournalFull all is as before.
        """
        if self._failure:
            raise self._failure
        failpoints.reach("journal.checkpoint.before")
        try:
            self._go_on_in(self._begin(self._current.number + 1, records))
            self._pins.update(pins)
            self._finished.release(pins)
            self.checkpoints += 1
            failpoints.reach("journal.checkpoint.after")
            self._finished.remove_unpinned()
        except JournalFailed as failure:
            self._failure = failure
            raise

    def release(self, pin: Hashable) -> None:
        """Forget `pin`, whose period is stored; segments that nothing pins any more are removed.

        Raises JournalFailed where one cannot be removed.
        """
        self._pins.discard(pin)
        self._finished.release((pin,))
        self._finished.remove_unpinned()

    def close(self) -> None:
        """Close the file; all segments stay. Closing twice is fine."""
        self._beside.shutdown()
        self._current.close()

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._sync:
                sync_directory(self._directory.parent)
        except OSError as error:
            raise journal_error(self._directory, error) from error

    def _begin(self, number: int, records: Iterable[Record] = ()) -> SegmentWriter:
        failpoints.reach("segment.create.before")
        segment = SegmentWriter(self._directory, number, preallocated_bytes=self._segment_bytes)
        try:
            snapshot = Record(RecordKind.SNAPSHOT, [self._snapshot()])
            for record in (snapshot, snapshot, *records):
                segment.append([record])
            segment.publish(sync=self._sync)
        except BaseException:
            segment.discard()
            raise
        if self._sync:
            note_newest(self._directory, number)
        failpoints.reach("segment.create.after")
        return segment

    def _rewrite(self, number: int, old: SegmentContents, renew: bool) -> SegmentWriter:
        failpoints.reach("recovery.rewrite.before")
        replaces = segment_number(old.path)
        segment = SegmentWriter(
            self._directory, number, replaces=replaces, preallocated_bytes=self._segment_bytes
        )
        try:
            for _, append in groupby(old.records, key=lambda stored: stored.append_start):
                segment.append([stored.record for stored in append])
            if renew:
                segment.append([Record(RecordKind.SNAPSHOT, [self._snapshot()])])
            segment.publish(sync=True)
        except BaseException:
            segment.discard()
            raise
        note_newest(self._directory, number)
        failpoints.reach("recovery.rewrite.after")
        return segment

    def _roll(self) -> None:
        try:
            self._go_on_in(self._begin(self._current.number + 1))
        except JournalFull:
            # The current one may still have room; a new one is tried again when it has grown somewhat.
            self._roll_at_bytes = self._current.size_bytes + self._segment_bytes // 16
        else:
            self._finished.remove_unpinned()

    def _go_on_in(self, segment: SegmentWriter) -> None:
        old, self._current = self._current, segment
        old.close()
        self._finished.keep(old.number, old.path, old.size_bytes, self._pins)
        self._pins = set()
        self._roll_at_bytes = segment.size_bytes + self._segment_bytes

    def _adopt(self, pins_of: Mapping[int, Iterable[Hashable]]) -> None:
        """Take over the segments of an earlier process."""
        live = set(segment_paths(self._directory))
        known = {self._current.path, *self._finished.paths}
        try:
            for path in all_segment_paths(self._directory):
                if path not in live:
                    failpoints.reach("recovery.unlink.before")
                    path.unlink()
                    failpoints.reach("recovery.unlink.after")
                elif path not in known and read_header(path):
                    number = segment_number(path)
                    self._finished.keep(number, path, path.stat().st_size, pins_of.get(number, ()))
            for path in self._directory.glob(f"*{SUFFIX}{UNPUBLISHED}"):
                path.unlink()
        except OSError as error:
            raise journal_error(self._directory, error) from error
        self._finished.remove_unpinned()


AnyJournal = Journal | NullJournal
