"""SyncTimes: each sync is counted once, by its length."""

from __future__ import annotations

from stats_aggregator.journal.sync_times import LIMITS_S, SyncTimes


def test_a_limit_counts_all_that_took_no_longer():
    times = SyncTimes()
    for seconds in (0.0001, LIMITS_S[0], 0.004, 99.0):
        times.note(seconds)
    found = dict(times.up_to())
    assert (found[LIMITS_S[0]], found[0.0025], found[0.005], found[LIMITS_S[-1]]) == (2, 2, 3, 3)
    assert list(found) == list(LIMITS_S)
    assert times.sum_s == 0.0001 + LIMITS_S[0] + 0.004 + 99.0
