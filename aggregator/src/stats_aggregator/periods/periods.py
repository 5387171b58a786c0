"""Periods: when one begins and ends, for one category of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from stats_aggregator_client.wire import INT64_MAX, Batch, Closing, Partial, Write

from ..journal.decisions import Closed
from ..pooling.accumulators import Accumulator
from .axis import Axis, WriteRound
from .every import AUTO_WINDOW_NS, Every, Mode

_BY_WRITE = ("write", "patience", "grace")
"""Causes that end a round of WRITEs; "grace" is what patience is called in journals of before."""
LEFT_AFTER_NS = 2_000_000_000
"""So long, at the most, a period waits once nobody is left that could write: another may just begin."""
MAX_OPEN_WINDOWS = 10_000
"""Windows of a category that may be open at once, as after hours without a daemon; more values are late."""


class PeriodKey(NamedTuple):
    """Names a period within a data directory."""

    run: str
    category: str
    ordinal: int


@dataclass(slots=True)
class OpenPeriod:
    """A period that takes values; `window_ns` is 0 where time does not end it."""

    key: PeriodKey
    start_ns: int
    window_ns: int
    accumulator: Accumulator
    step: int = -1
    late: int = 0
    lost: int = 0
    uncertain: int = 0
    duplicates: int = 0
    taken: int = 0
    """Values that were decided to be in it; the accumulator has them when their group is stored."""

    @property
    def window_end_ns(self) -> int:
        """Where the window ends, for a period that time ends."""
        return self.start_ns + self.window_ns


@dataclass(slots=True)
class Category:
    """One category of one run: its open periods, its axis, and who writes it.

    What is decided here is journaled by the engine; `admit`, `open` and `close` only carry out decisions, so
    that a replay can call them too.
    """

    run: str
    name: str
    every: Every
    next_ordinal: int = 1
    closed_through_ns: int = 0
    written_by_producer: bool = False
    axis: Axis = field(default_factory=Axis)
    round: WriteRound = field(default_factory=WriteRound)
    periods: dict[int, OpenPeriod] = field(default_factory=dict)
    windows: dict[tuple[int, int], OpenPeriod] = field(default_factory=dict)
    """Those of `periods` that time ends, by start and length."""
    senders: set[str] = field(default_factory=set)
    may_write: set[bytes] = field(default_factory=set)
    """Sessions that said that WRITE ends the category's periods, whether they have written yet or not."""
    left_ns: int = 0
    """Since when none of `may_write` is there any more; 0 while one is."""
    heard_ns: int = 0
    boundary: int = -1
    """The step that closes the open period, where steps do."""

    @property
    def by_time(self) -> bool:
        """Whether time ends this category's periods, as far as its producers have said."""
        mode = self.every.mode
        return mode is Mode.TIME or (mode is Mode.AUTO and not self.written_by_producer)

    @property
    def by_write(self) -> bool:
        """Whether WRITE ends this category's periods."""
        return self.every.mode in (Mode.MANUAL, Mode.AUTO)

    @property
    def window_ns(self) -> int:
        """The length of a time period."""
        return self.every.window_ns if self.every.mode is Mode.TIME else AUTO_WINDOW_NS

    def go_on_after(self, ordinal: int, step: int, end_ns: int) -> None:
        """Go on behind a period that the store has as closed."""
        self.next_ordinal = ordinal + 1
        self.closed_through_ns = end_ns
        if step != ordinal:  # else nobody counted steps, and the ordinal stood for them
            self.axis.last = step

    def take_over(self) -> list[OpenPeriod]:
        """Note that a producer says WRITE; return the time periods still open where that is new."""
        if self.written_by_producer:
            return []
        self.written_by_producer = True
        if self.every.mode is not Mode.AUTO:
            return []
        return self._sorted_windows()

    def find(self, t_last: int, now_ns: int, is_crowded: bool = False) -> tuple[OpenPeriod | None, int, bool]:
        """Return the open period for values up to `t_last`; where there is none, None and its start.

        No window but the current one is opened where it `is_crowded`.

        The third of the three says whether the values are late, or too far ahead, for their own window.
        """
        if not self.by_time:
            untimed = (period for period in self.periods.values() if not period.window_ns)
            newest = max(untimed, key=lambda period: period.key.ordinal, default=None)
            return newest, min(t_last, now_ns), False
        width = self.window_ns
        start = t_last - t_last % width
        found = self.windows.get((start, width))
        if found is not None:  # most often
            return found, start, False
        current = now_ns - now_ns % width
        is_far = start + width <= self.closed_through_ns or start > current + width
        late = is_far or len(self.windows) >= MAX_OPEN_WINDOWS or (is_crowded and start != current)
        if late:
            start = current
            newest = max(self.windows.values(), key=lambda period: period.start_ns, default=None)
            found = self.windows.get((start, width)) or newest
        return found, start, late

    def _sorted_windows(self) -> list[OpenPeriod]:
        return sorted(self.windows.values(), key=lambda period: period.start_ns)

    def open(self, ordinal: int, start_ns: int, window_ns: int, accumulator: Accumulator) -> OpenPeriod:
        """Begin a period, or change what ends one that is open."""
        self.next_ordinal = max(self.next_ordinal, ordinal + 1)
        period = self.periods.get(ordinal)
        if period is None:
            key = PeriodKey(self.run, self.name, ordinal)
            period = self.periods[ordinal] = OpenPeriod(key, start_ns, window_ns, accumulator)
            if self.every.mode is Mode.STEPS:
                self.boundary = self._next_boundary()
        self.windows.pop((period.start_ns, period.window_ns), None)
        period.start_ns, period.window_ns = start_ns, window_ns
        if window_ns:
            self.windows[period.start_ns, window_ns] = period
        return period

    def _next_boundary(self) -> int:
        return (max(self.axis.position, 0) // self.every.steps + 1) * self.every.steps

    def put(self, period: OpenPeriod, boundary: int) -> None:
        """Take in a period as a checkpoint has it, in place of what was rebuilt of it."""
        ordinal = period.key.ordinal
        self.next_ordinal = max(self.next_ordinal, ordinal + 1)
        replaced = self.periods.get(ordinal)
        if replaced is not None:
            self.windows.pop((replaced.start_ns, replaced.window_ns), None)
        self.periods[ordinal] = period
        if period.window_ns:
            self.windows[period.start_ns, period.window_ns] = period
        if self.every.mode is Mode.STEPS and (boundary < 0 or boundary % self.every.steps):
            boundary = self._next_boundary()  # it began under another `every`
        self.boundary = boundary

    def admit(
        self, batch: Batch | Partial, num: int, worker: str, period: OpenPeriod | None, late: bool
    ) -> None:
        """Take the step, losses and sender of a message of `num` values; these follow when it is stored.

        `period` is None in a replay whose period the store has as closed.
        """
        step = self.axis.report(batch.step, batch.steps)
        self._hear(batch, worker)
        if period is None:
            return
        if step > period.step:
            period.step = step
        # Whatever a client claims, the sums fit the store.
        period.taken = min(period.taken + num, INT64_MAX)
        if batch.lost or batch.uncertain:
            period.lost = min(period.lost + batch.lost, INT64_MAX)
            period.uncertain = min(period.uncertain + batch.uncertain, INT64_MAX)
        if late:
            period.late = min(period.late + num, INT64_MAX)
        elif isinstance(batch, Partial):
            period.late = min(period.late + batch.late, INT64_MAX)

    def rewind(self, step: int) -> None:
        """Let the axis go back; its periods have ended."""
        self.axis.rewind(step)
        self.round.reset()

    def pass_by(self, batch: Batch | Partial, worker: str) -> None:
        """Take the step of an empty batch for which no period opens, as if an empty one had ended with it."""
        self.axis.last = max(self.axis.last, self.axis.report(batch.step, batch.steps))
        self._hear(batch, worker)

    def _hear(self, batch: Batch | Partial, worker: str) -> None:
        self.senders.add(worker)
        if batch.closing == Closing.WRITE:
            self._expect_write(batch.session)

    def _expect_write(self, session: bytes) -> None:
        self.written_by_producer = True
        self.may_write.add(session)
        self.left_ns = 0

    def take_write(self, write: Write, late: bool, now_ns: int) -> bool:
        """Take a WRITE, `late` for a round closed without it; return whether it repeats within one."""
        self._expect_write(write.session)
        self.axis.report(write.step, 0)
        # Where time ends periods, a WRITE still says the step: of the newest window.
        untimed = [period for period in self.periods.values() if not period.window_ns]
        for period in untimed or self._sorted_windows()[-1:]:
            period.step = max(period.step, write.step)
        return self.round.take(write.session, late, now_ns)

    def crosses_boundary(self) -> bool:
        """Return whether the step has reached the end of the open period, where steps end it."""
        return 0 <= self.boundary <= self.axis.position and self.every.mode is Mode.STEPS

    def due(
        self, now_ns: int, grace_ns: int, is_live: Callable[[bytes], bool]
    ) -> Iterator[tuple[OpenPeriod, str]]:
        """Yield the periods that end by the clock, the earliest first, and why.

        So does the period whose round of WRITEs is complete since the last of those it waited for is gone.
        """
        for period in self._sorted_windows():
            if now_ns >= period.window_end_ns + grace_ns:
                yield period, "time"
        if self.by_write and (self.round.is_due(now_ns, grace_ns) or self.round.is_complete(is_live)):
            for period in self.written_periods():
                yield period, "patience"
        elif self.left_ns and now_ns >= self.left_ns + min(grace_ns, LEFT_AFTER_NS):
            for period in self.left_periods():
                yield period, "left"

    def written_periods(self) -> list[OpenPeriod]:
        """Return the periods that a WRITE was said for, and that wait for the other writers."""
        begun = bool(self.round.written) or self.round.straggler
        return [period for period in self.periods.values() if not period.window_ns] if begun else []

    @property
    def waits_for_producers(self) -> bool:
        """Whether its periods end by WRITE because its producers say so, and by time once these are gone."""
        return self.every.mode is Mode.AUTO and self.written_by_producer

    def note_present(self, is_present: bool, now_ns: int) -> None:
        """Note whether any session is there that may write."""
        self.left_ns = 0 if is_present else self.left_ns or now_ns

    def left_periods(self) -> list[OpenPeriod]:
        """Return the periods that a WRITE would end, where nobody is left to write."""
        is_left = self.waits_for_producers and self.left_ns > 0
        return [period for period in self.periods.values() if is_left and not period.window_ns]

    def step_of(self, period: OpenPeriod, cause: str) -> int:
        """Return the step of a period that ends now; what was left over is drawn behind the last one."""
        step = self.axis.step_for(period.step, period.key.ordinal)
        return step + 1 if cause == "left" and 0 <= step == self.axis.last < INT64_MAX else step

    def misfits(self) -> list[OpenPeriod]:
        """Return the periods that an earlier `every` left open and that nothing would end now."""
        return [period for period in self.periods.values() if self.by_time and not period.window_ns]

    def span_of(self, period: OpenPeriod, now_ns: int) -> tuple[int, int]:
        """Return start and end of a period that is closed now; it begins where the last one ended, or later.

        So periods of a category do not overlap, be they parts of a window or of values that waited long.
        """
        start_ns = max(period.start_ns, self.closed_through_ns)
        end_ns = min(period.window_end_ns, now_ns) if period.window_ns else now_ns
        return start_ns, max(start_ns, end_ns)

    def _fall_back_to_time(self) -> None:
        """Let time end periods until a producer says WRITE again."""
        self.written_by_producer, self.left_ns = False, 0
        self.may_write.clear()
        self.round.writers.clear()
        self.round.reset()

    def finish(self, closed: Closed) -> OpenPeriod | None:
        """End a period; return it, or None in a replay that did not build it."""
        period = self.periods.pop(closed.ordinal, None)
        self.next_ordinal = max(self.next_ordinal, closed.ordinal + 1)
        if closed.cause in _BY_WRITE:
            self.round.close(closed.owed)
        elif closed.cause == "left":
            self._fall_back_to_time()
        if self.axis.position >= 0:
            self.axis.last = closed.step
        self.closed_through_ns = max(self.closed_through_ns, closed.end_ns)
        if period is not None:
            self.windows.pop((period.start_ns, period.window_ns), None)
        return period
