"""PeriodKeeper: decides when periods begin and end, and leaves each decision in the group's records."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from stats_aggregator_client.wire import Batch, Partial, Rewind, Write

from ..journal.decisions import Closed, Entry
from ..periods.periods import Category, OpenPeriod
from ..pooling.contents import is_empty
from ..pooling.series import OVERFLOW
from .group import Group
from .sayings import Sayings
from .sessions import Session
from .state import EndedPeriod, State
from .totals import Totals

_CROWDED_WINDOWS = 20_000
"""Windows of all categories together that may be open; more values are late, as past those of one."""
_WAITS_FOR_WRITE_NS = 300 * 1_000_000_000
_MAX_NAMED = 20
"""So many of the workers that are missing in a period are named."""


class PeriodKeeper:
    """The rules of periods over all categories of a state; `totals` counts what it took."""

    def __init__(self, state: State, grace_ns: int, sayings: Sayings) -> None:
        self._state = state
        self._grace_ns = grace_ns
        self._sayings = sayings
        self._is_crowded = False
        self.totals = Totals()

    def values(
        self, group: Group, session: Session, message: Batch | Partial, num: int, frame: bytes
    ) -> None:
        """Take a batch or PARTIAL of `num` values into the period it belongs to."""
        category, overflows = self._category(group, session, message.category)
        if message.closing and not category.written_by_producer:
            self._hand_over(group, category)
        period, start_ns, late = category.find(message.t_last, group.now_ns, self._is_crowded)
        self.totals.take(message, num, late)
        if message.steps:
            self._say_what_counts_nothing(session, category)
        if period is None:
            if category.by_time and is_empty(message):
                category.pass_by(message, session.worker)
                group.add_passing(Entry(0, False, frame, overflows))
                return
            period = self._open(group, category, start_ns)
        category.admit(message, num, session.worker, period, late)
        entry = Entry(period.key.ordinal, late, frame, overflows)
        group.add_values(entry, period, message, session.worker)
        if category.crosses_boundary():
            self.close(group, category, period, "steps")

    def _category(self, group: Group, session: Session, name: str) -> tuple[Category, bool]:
        """Return the category, and whether it is another one that stands in for want of room."""
        category = self._state.categories.get((session.run, name))
        overflows = category is None and not self._state.has_room(session.run, name)
        if overflows:
            self._sayings.once(
                ("categories", session.run),
                "there are %d categories, and no room for %s of run %s: it goes with others into %s",
                len(self._state.categories),
                name,
                session.run,
                OVERFLOW,
            )
        if category is None:
            category = self._state.category(session.run, OVERFLOW if overflows else name)
        category.heard_ns = group.now_ns
        return category, overflows

    def _hand_over(self, group: Group, category: Category) -> None:
        """Let WRITE end the category's periods from now on: a producer says so."""
        windows = category.take_over()
        for period in windows[:-1]:
            self.close(group, category, period, "write")
        for period in windows[-1:]:
            # The newest window goes on as the period that the first WRITE ends.
            start_ns = min(period.start_ns, group.now_ns)  # a window may begin a little ahead of the time
            group.open(category.open(period.key.ordinal, start_ns, 0, period.accumulator))

    def _open(self, group: Group, category: Category, start_ns: int) -> OpenPeriod:
        window_ns = category.window_ns if category.by_time else 0
        accumulator = self._state.accumulator()
        period = category.open(category.next_ordinal, start_ns, window_ns, accumulator)
        group.open(period)
        return period

    def write(self, group: Group, session: Session, write: Write, frame: bytes) -> None:
        """Take a WRITE; where it ends a period without values, that one is closed too: the step moved."""
        category, overflows = self._category(group, session, write.category)
        if overflows:
            group.add_passing(Entry(0, False, frame, overflows))
            return
        is_live, round_ = self._state.sessions.is_live, category.round
        late = round_.is_late(write.session, write.step <= category.axis.last, is_live)
        if not late and write.session not in round_.writers:
            self._say_who_begins_behind(session, category, write.step)
        self._hand_over(group, category)
        repeats = category.take_write(write, late, group.now_ns)
        closes = repeats or (not late and round_.is_complete(is_live))
        period, _, _ = category.find(group.now_ns, group.now_ns)
        group.add_control(Entry(0, late, frame), period)
        if closes and category.by_write:
            period = period or self._open(group, category, group.now_ns)
            period.step = max(period.step, write.step)
            self.close(group, category, period, "write")
        elif period is not None and category.crosses_boundary():
            self.close(group, category, period, "steps")

    def _say_who_begins_behind(self, session: Session, category: Category, step: int) -> None:
        """Say once that a training is drawn at the end of another one, as where a script is run again.

        It is logged, and the worker that begins hears of it: its user may never look at the daemon's log.
        """
        if step >= category.axis.last:
            return
        text = (
            f"worker {session.worker} begins at step {step} of {category.name}, which is at "
            f"{category.axis.last} in run {session.run}: until it is further, its values are drawn there. "
            "Another training needs another STATS_AGGREGATOR_RUN_ID or category; one that goes on from a "
            "checkpoint calls rewind(step)"
        )
        self._notify(session, ("behind", session.run, category.name), text)

    def _say_what_counts_nothing(self, session: Session, category: Category) -> None:
        """Say once a session that its increments move no step, since somebody told an absolute one."""
        if session.counts_nothing or category.axis.absolute < 0:
            return
        session.counts_nothing = True
        text = (
            f"add_steps of worker {session.worker} counts nothing in {category.name}: the step is absolute "
            f"there, {category.axis.absolute} by write_stats or set_step, and absolute steps win"
        )
        self._notify(session, ("absolute", session.run, category.name), text)

    def _notify(self, session: Session, what: Hashable, text: str) -> None:
        """Send `text` to the worker with its next answer, and log it once for `what`."""
        session.notices.append(text)
        self._sayings.once(what, "%s", text)

    def rewind(self, group: Group, session: Session, rewind: Rewind, frame: bytes) -> None:
        """End the category's periods and let its axis go back."""
        category, overflows = self._category(group, session, rewind.category)
        if overflows:
            group.add_passing(Entry(0, False, frame, overflows))
            return
        for period in list(category.periods.values()):
            self.close(group, category, period, "rewind")
        category.rewind(rewind.step)
        group.add_control(Entry(0, False, frame), None)

    def close(self, group: Group, category: Category, period: OpenPeriod, cause: str) -> None:
        """End a period."""
        sessions = self._state.sessions
        reporting = {*period.accumulator.workers, *group.workers_in(period)}
        if cause in ("write", "patience"):
            reporting |= sessions.workers_of(category.round.written)
        missing = (self._expected_workers(group, category.run) & category.senders) - reporting
        owed = category.round.missing(sessions.is_live) if cause == "patience" else []
        start_ns, end_ns = category.span_of(period, group.now_ns)
        if category.axis.position < 0:
            name = category.name
            self._sayings.once(("no step", *period.key[:2]), "%s reports no step: periods count", name)
        closed = Closed(
            *period.key,
            end_ns=end_ns,
            window_ns=period.window_ns,
            step=category.step_of(period, cause),
            workers_expected=len(reporting) + len(missing),
            duplicates=period.duplicates,
            cause=cause,
            owed=owed,
            start_ns=start_ns,
            workers_reporting=len(reporting),
            missing=sorted(missing)[:_MAX_NAMED],
        )
        category.finish(closed)
        self.totals.periods_closed += 1
        ended = EndedPeriod(period, closed)
        self._state.unstored[period.key] = ended
        group.close(ended)

    def _expected_workers(self, group: Group, run: str) -> set[str]:
        """Return the workers expected in the run; worked out once a group, in which 1,000 periods may end."""
        found = group.expected_workers.get(run)
        if found is None:
            found = self._state.sessions.expected_workers(run, group.now_ns)
            group.expected_workers[run] = found
        return found

    def due(self, now_ns: int) -> Iterator[tuple[Category, OpenPeriod, str]]:
        """Yield what ends by the clock, and why; the caller closes it before it asks for the next."""
        for category in list(self._state.categories.values()):
            if category.periods:
                is_live = self._state.sessions.is_live
                for period, cause in list(category.due(now_ns, self._grace_ns, is_live)):
                    yield category, period, cause

    def ending(self, now_ns: int, close_all: bool) -> Iterator[tuple[Category, OpenPeriod, str]]:
        """Yield what ends with the daemon, and why: what time ends, what was written or is left, or all.

        A round of WRITEs that has begun waits for nobody any more.
        """
        self._look_who_is_left(now_ns)
        for category, period in self.open_periods():
            if period in category.written_periods():
                yield category, period, "patience"
            elif period in category.left_periods():
                yield category, period, "left"
            elif close_all or period.window_ns > 0:
                yield category, period, "stop"

    def open_periods(self) -> list[tuple[Category, OpenPeriod]]:
        """Return every open period, those of a category in order of time."""
        return [
            (category, period)
            for category in self._state.categories.values()
            for period in sorted(category.periods.values(), key=lambda period: period.start_ns)
        ]

    def look_round(self, now_ns: int) -> None:
        """Do what is enough once a second: make room for categories, count windows, and say who waits."""
        self._state.forget_idle(now_ns)
        windows = sum(len(category.windows) for category in self._state.categories.values())
        self._is_crowded = windows > _CROWDED_WINDOWS
        self._look_who_is_left(now_ns)
        self._say_who_waits(now_ns)

    def _look_who_is_left(self, now_ns: int) -> None:
        """Note of each category that WRITE ends whether anybody is there that may write."""
        sessions = self._state.sessions
        for category in self._state.categories.values():
            if category.waits_for_producers:
                may_write = category.may_write | category.round.writers
                category.note_present(any(sessions.is_present(each, now_ns) for each in may_write), now_ns)

    def _say_who_waits(self, now_ns: int) -> None:
        """Say once of a category that has values and nobody who writes them."""
        for category in self._state.categories.values():
            if category.by_time or not category.by_write or category.round.written:
                continue
            for period in category.periods.values():
                if (
                    now_ns - period.start_ns > _WAITS_FOR_WRITE_NS
                    and now_ns - category.heard_ns < _WAITS_FOR_WRITE_NS
                ):
                    self._sayings.once(
                        ("write", *period.key),
                        "%s of run %s has waited 5 minutes for write_stats(step); its values are kept",
                        category.name,
                        category.run,
                    )
