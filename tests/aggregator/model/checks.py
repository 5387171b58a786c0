"""What must be true of a data directory in the end, compared with all that workers sent and were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest

from stats_aggregator.journal.decisions import Closed, Opened
from stats_aggregator.periods.periods import PeriodKey
from stats_aggregator.store.store import period_id
from stats_aggregator_api import PeriodSummaries, StatSummary
from stats_aggregator_api.bucket import bucket_key
from stats_aggregator_client.wire import Partial, Property, Rewind, Write
from tests.aggregator.model.ledger import Ledger, Placed
from tests.aggregator.model.site import Site
from tests.aggregator.model.worker import KEYS, UNFIT, Launched, SimWorker

_AVERAGE = 0


class Sent(NamedTuple):
    """A value in a batch; `order` is what MOST_RECENT goes by."""

    value: float
    worker: str
    order: tuple[int, bytes, int, int]


def check_site(site: Site, launched: Mapping[tuple[bytes, int], Launched]) -> list[PeriodSummaries]:
    """Check all that is stored; every period is closed. Return the periods."""
    ledger, periods = site.ledger, site.core.periods()
    check_acknowledged(site, launched)
    stored = {PeriodKey(each.period.run, each.period.category, each.period.ordinal): each for each in periods}
    assert len(stored) == len(periods), "an ordinal is stored twice"
    assert len({each.period.id for each in periods}) == len(periods), "an id is stored twice"
    assert set(stored) == set(ledger.closed), "closed is not what is stored"
    assert set(ledger.closed) == set(ledger.opened), "a period was opened and never closed"
    starts = Counter(
        (key[:2], ledger.opened[key][-1].start_ns) for key in stored if ledger.closed[key].window_ns
    )
    site.fired["window in parts"] += any(parts > 1 for parts in starts.values())
    for key, found in stored.items():
        check_period(site, key, found, launched)
    assert sum(each.period.duplicates for each in periods) <= site.duplicates
    check_spans(stored)
    for category, story in ledger.story.items():
        axis = AxisModel()
        for each in story:
            axis.take(each)
        check_windows(story)
        if category[1] == "auto":  # which no other `every` ends
            check_sole_writer(story)
        check_order(ledger, category)
    check_properties(site)
    return periods


def check_acknowledged(site: Site, launched: Mapping[tuple[bytes, int], Launched]) -> None:
    """Acknowledged is a part of counted, counted a part of sent, each bit for bit and once."""
    ledger = site.ledger
    for session, seq in site.told.items():
        for each in range(1, seq + 1):
            assert ledger.is_taken(session, each), f"seq {each} was acknowledged, and is not there"
    for name, placed in ledger.placed.items():
        assert launched[name].frame == placed.frame, "what is counted was never sent"
    for name in ledger.refused:
        assert launched[name].message.category == UNFIT, "what is fit was refused"  # type: ignore[union-attr]
    assert not ledger.gaps
    values = Counter(
        value for name in ledger.placed for column in launched[name].values.values() for value in column
    )
    twice = [value for value, times in values.items() if times > 1]
    assert not twice, f"counted twice: {twice[:5]}"


def check_period(
    site: Site, key: PeriodKey, found: PeriodSummaries, launched: Mapping[tuple[bytes, int], Launched]
) -> None:
    """Compare a stored period with the frames that the journal has for it."""
    ledger, period = site.ledger, found.period
    closed, opened = ledger.closed[key], ledger.opened[key]
    frames = [(each, launched[each.message.session, each.message.seq]) for each in ledger.in_period(key)]
    assert period.id == period_id(site.server_id, *key)
    assert (period.start, period.end, period.step) == (closed.start_ns, closed.end_ns, closed.step)
    assert period.start >= opened[-1].start_ns
    assert (period.duplicates, period.workers_expected) == (closed.duplicates, closed.workers_expected)
    assert period.start <= period.end
    # A PARTIAL says itself how many of its values were moved over a WRITE that was dropped.
    late = (sent.num_values if each.late else getattr(each.message, "late", 0) for each, sent in frames)
    assert period.late == sum(late)
    assert period.lost == sum(each.message.lost for each, _ in frames)
    assert period.uncertain == sum(each.message.uncertain for each, _ in frames)
    reporting = {each.worker for each, sent in frames if sent.values}
    # Who only wrote is there too.
    assert len(reporting) <= period.workers_reporting <= period.workers_expected
    assert len(closed.missing) == min(period.workers_expected - period.workers_reporting, 20)
    assert not reporting & set(closed.missing)
    pooled: dict[str, list[Sent]] = defaultdict(list)
    for each, sent in frames:
        for name, column in sent.values.items():
            # What has no room of its own is pooled in one series.
            pooled[name if name in found else "_overflow"] += sent_values(each, column)
    assert set(found) == set(pooled)
    site.fired["_overflow"] += "_overflow" in found
    for name, summary in found.items():
        check_summary(summary, KEYS.get(name, _AVERAGE), pooled[name])


def sent_values(placed: Placed, column: Sequence[float]) -> Iterator[Sent]:
    """Yield the values of a frame; of folded ones only the last has a place in the order of all."""
    message = placed.message
    for index, value in enumerate(column):
        place = index
        if isinstance(message, Partial):
            place = 0 if index == len(column) - 1 else -1
        yield Sent(value, placed.worker, (message.t_last, message.session, message.seq, place))


def check_summary(summary: StatSummary, aggregation: int, sent: list[Sent]) -> None:
    """Compare a summary with numpy over the values that were sent for it."""
    assert summary.aggregation_method == aggregation
    assert summary.last == max(sent, key=lambda each: each.order).value
    if aggregation == KEYS["gauge"]:
        latest: dict[str, Sent] = {}
        for each in sent:
            if each.worker not in latest or each.order > latest[each.worker].order:
                latest[each.worker] = each
        sent = list(latest.values())
    pooled = np.array([each.value for each in sent])
    assert (summary.num, summary.num_nan, summary.num_inf) == (len(pooled), 0, 0)
    # All are integers far below 2**53: a sum that differs at all has other values in it.
    assert (summary.sum, summary.min, summary.max) == (pooled.sum(), pooled.min(), pooled.max())
    assert summary.mean == pytest.approx(pooled.mean(), rel=1e-12)
    assert summary.std == pytest.approx(pooled.std(), rel=1e-9)
    assert summary.min_worker in {each.worker for each in sent if each.value == summary.min}
    assert summary.max_worker in {each.worker for each in sent if each.value == summary.max}
    if summary.exact:
        assert sorted(summary.full_dist) == sorted(pooled.tolist())
    else:
        bits = summary.buckets.mantissa_bits
        right = Counter(bucket_key(value, bits) for value in pooled.tolist())
        assert dict(zip(summary.buckets.keys, summary.buckets.counts, strict=True)) == right


class AxisModel:
    """Where a category stands on its axis, as its story tells it."""

    def __init__(self) -> None:
        self.absolute, self.counted, self.last = -1, 0, -1
        self.open: dict[int, tuple[int, int]] = {}
        """Start of the window, or -1, and the greatest step so far, by ordinal."""
        self._before: list[Any] = []

    @property
    def position(self) -> int:
        return self.absolute if self.absolute >= 0 else self.counted or -1

    def take(self, each: Placed | Opened | Closed) -> None:
        """Go on by one event; fail where a period has another step."""
        if isinstance(each, Opened):
            start_ns = each.start_ns if each.window_ns else -1
            self.open[each.ordinal] = start_ns, self.open.get(each.ordinal, (0, -1))[1]
        elif isinstance(each, Closed):
            if [type(event) for event in self._before[-2:]] == [Placed, Opened] and each.cause == "write":
                # A WRITE for a period without values: it is opened to be closed.
                self._report(each.ordinal, getattr(self._before[-2].message, "step", -1))
            reported = self.open.pop(each.ordinal)[1]
            right = each.ordinal if reported < 0 and self.last < 0 else max(reported, self.last)
            if each.cause == "left" and 0 <= right == self.last:
                right += 1  # what was left over hides no written point
            assert each.step == right, f"{each} should be at step {right}"
            if self.position >= 0:
                self.last = each.step
        elif isinstance(each.message, Rewind):
            assert not self.open, "a rewind ends all periods"
            self.last = each.message.step
            if self.absolute >= 0:
                self.absolute = each.message.step
            else:
                self.counted = each.message.step
        elif isinstance(each.message, Write):
            self.absolute = max(self.absolute, each.message.step)
            untimed = [ordinal for ordinal, (start_ns, _) in self.open.items() if start_ns < 0]
            newest = max(self.open, key=lambda ordinal: (self.open[ordinal][0], ordinal), default=None)
            for ordinal in untimed or ([] if newest is None else [newest]):
                self._report(ordinal, each.message.step)
        else:
            self._take_batch(each)

        self._before = [*self._before[-1:], each]

    def _take_batch(self, each: Placed) -> None:
        message, step = each.message, -1
        if message.step is not None:
            step = message.step
            self.absolute = max(self.absolute, step)
        elif message.steps:
            self.counted += message.steps
            step = self.position
        if each.key is None:
            self.last = max(self.last, step)
        else:
            self._report(each.key.ordinal, step)

    def _report(self, ordinal: int, step: int) -> None:
        start_ns, greatest = self.open[ordinal]
        self.open[ordinal] = start_ns, max(greatest, step)


def check_order(ledger: Ledger, category: tuple[str, str]) -> None:
    """Where time ends no period, what a session sends first is in no later period than what follows."""
    newest: dict[bytes, int] = {}
    for each in ledger.story[category]:
        if isinstance(each, Placed) and each.key is not None and ledger.opened[each.key][0].window_ns == 0:
            session = each.message.session
            assert each.key.ordinal >= newest.get(session, 0), f"{each.key} is before {newest[session]}"
            newest[session] = each.key.ordinal


def check_spans(stored: Mapping[PeriodKey, PeriodSummaries]) -> None:
    """The periods of a category do not overlap, parts of a window included."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for key, found in stored.items():
        spans[key[:2]].append((found.period.start, found.period.end))
    for of_category in spans.values():
        of_category.sort()
        for before, after in pairwise(of_category):
            assert before[1] <= after[0], f"{before} and {after} overlap"


def check_properties(site: Site) -> None:
    """Every property that was taken is stored, once for each category and value."""
    told = {
        (placed.category[1], placed.message.type, placed.message.value["number"])
        for placed in site.ledger.placed.values()
        if isinstance(placed.message, Property)
    }
    stored = [(category, kind, value["number"]) for category, kind, value in site.core.properties()]
    assert sorted(stored) == sorted(told)


def check_windows(story: Sequence[Placed | Opened | Closed]) -> None:
    """A time period holds only values of its window, or says that they are late."""
    windows: dict[int, tuple[int, int]] = {}
    for each in story:
        if isinstance(each, Opened):
            windows[each.ordinal] = each.start_ns, each.window_ns
        elif isinstance(each, Placed) and each.key is not None and not each.late:
            start_ns, window_ns = windows[each.key.ordinal]
            t_last = each.message.t_last
            assert not window_ns or start_ns <= t_last < start_ns + window_ns, f"{each} is of another window"


def check_sole_writer(story: Sequence[Placed | Opened | Closed]) -> None:
    """Where one session alone writes, each of its WRITEs ends a period."""
    writes = [index for index, each in enumerate(story) if _is_write(each)]
    if len({story[index].message.session for index in writes}) == 1:  # type: ignore[union-attr]
        for index in writes:
            after = [each for each in story[index + 1 : index + 3] if not isinstance(each, Placed)]
            assert any(isinstance(each, Closed) for each in after), "a WRITE ended nothing"


def _is_write(each: Placed | Opened | Closed) -> bool:
    return isinstance(each, Placed) and isinstance(each.message, Write)


def check_counts(
    crew: Sequence[SimWorker], sites: Sequence[Site], launched: Mapping[tuple[bytes, int], Launched]
) -> None:
    """What each living worker says of its values adds up, and is what the daemons have."""
    counted, refused, confessed = Counter[int](), Counter[int](), Counter[int]()
    for site in sites:
        for counter, names in ((counted, site.ledger.placed), (refused, site.ledger.refused)):
            for name in names:
                counter[launched[name].worker.number] += launched[name].num_values
    for sent in launched.values():
        confessed[sent.worker.number] += getattr(sent.message, "uncertain", 0)
    for worker in crew:
        counts, number = worker.counts, worker.number
        assert worker.values == counts.acked + counts.lost + counts.uncertain + counts.rejected
        # Whose REJECT is lost takes the ACK that covers it for all.
        assert counts.acked + counts.rejected <= counted[number] + refused[number]
        assert counted[number] <= counts.acked + counts.uncertain
        assert confessed[number] >= counts.uncertain
