"""The soak in short: the same code as `make soak`, and each fault at least once but the very long ones."""

from __future__ import annotations

from pathlib import Path

from tests.soak.soak import OFTEN, SELDOM, Plan, Soak

TOO_LONG = ("pause_daemon_past_heartbeats", "pause_worker_past_heartbeats")
SHORT = Plan(
    seconds=0.0,
    seed=3,
    workers=4,
    rounds=1,
    often=[name for name in dict.fromkeys((*OFTEN, *SELDOM)) if name not in TOO_LONG],
    seldom_each=0,
    seldom=(),
    longest_rest_s=0.4,
)


def test_nothing_is_lost_and_nothing_counted_twice_whatever_is_killed_paused_or_cut(tmp_path: Path) -> None:
    said: list[str] = []
    table = Soak(tmp_path, SHORT, said.append).run()
    print(table)
    assert "acknowledged and lost                    0" in table
