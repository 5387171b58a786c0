"""A start on a damaged data directory: where it goes on, what is lost is said, and stands as lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from tests import oracle
from tests.system.daemons import wait_until
from tests.system.damages import (
    NUM_CLOSED,
    NUM_OPEN,
    Damage,
    Sentence,
    counted,
    daemon_in,
    empty_segment,
    goes_on,
    kill,
    push,
    remove_first_segment,
    remove_last_segment,
    remove_middle_segment,
    remove_store,
    segments,
    zero_header,
)


def test_without_damage_all_is_there(left: Path) -> None:
    assert counted(goes_on(left)) == [NUM_CLOSED, NUM_OPEN]


def test_after_put_back_all_is_there(left: Path, sentence: Sentence) -> None:
    data = left / "data"
    for taken in (segments(data)[1], segments(data)[-1], data / "journal", data / "server-id"):
        shutil.move(taken, left / "taken")
        assert sentence(left)[0] in (1, 2)
        if taken.is_dir():
            shutil.rmtree(taken)  # what the start made in its place
        shutil.move(left / "taken", taken)
    assert counted(goes_on(left)) == [NUM_CLOSED, NUM_OPEN]


@pytest.mark.parametrize("damage", [remove_first_segment, remove_middle_segment])
def test_the_accepted_loss_of_a_segment_stands_in_the_period_and_is_accepted_for_good(
    left: Path, damage: Damage
) -> None:
    damage(left / "data")
    with daemon_in(left, "--accept-loss") as daemon:
        kill(daemon)
    whole, rest = goes_on(left)
    assert (whole.counted, rest.counted + rest.given_up) == (NUM_CLOSED, NUM_OPEN)
    assert 0 < rest.counted < NUM_OPEN
    assert f"{rest.given_up} values are lost" in (left / "serve.log").read_text()


@pytest.mark.parametrize("damage", [zero_header, empty_segment])
def test_a_segment_that_cannot_be_read_is_moved_aside_and_its_values_stand_as_lost(
    left: Path, damage: Damage
) -> None:
    data = left / "data"
    name = segments(data)[1].name
    damage(data)
    content = (data / "journal" / name).read_bytes()
    with daemon_in(left) as daemon:
        kill(daemon)
    assert (data / "damaged" / name).read_bytes() == content
    assert f"{name} is damaged where it begins" in (left / "serve.log").read_text()
    (left / "serve.log").write_text("")
    whole, rest = goes_on(left)
    assert (whole.counted, rest.counted + rest.given_up) == (NUM_CLOSED, NUM_OPEN)
    assert 0 < rest.counted < NUM_OPEN
    assert "damaged" not in (left / "serve.log").read_text()  # it is said once, not at each start


def test_the_accepted_loss_of_the_newest_segment_is_told_by_the_workers(left: Path) -> None:
    remove_last_segment(left / "data")
    with daemon_in(left, "--accept-loss") as daemon:
        kill(daemon)
    whole, rest = goes_on(left)
    assert (whole.counted, rest.given_up) == (NUM_CLOSED, 0)
    assert 0 < rest.counted < NUM_OPEN


def test_the_accepted_loss_of_the_store_costs_what_was_closed_and_no_ordinal_comes_twice(left: Path) -> None:
    remove_store(left / "data")
    with daemon_in(left, "--accept-loss") as daemon:
        kill(daemon)
    with daemon_in(left) as daemon:
        with StatsClient(daemon.address, worker="w", run="run") as client:
            push(client, "closed", 1, 0, 1)
        assert daemon.stop() == 0
    periods = [each.period for each in oracle.stored_periods(left / "data")]
    assert [period.ordinal for period in periods if period.category == "closed"][-1] == 4
    (found,) = [each for each in oracle.stored_periods(left / "data") if each.period.category == "open"]
    assert found[oracle.key(2)].num == NUM_OPEN


def test_without_its_log_the_store_is_made_up_for_by_the_journal(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        with StatsClient(daemon.address, worker="w", run="run") as client:
            for step in (1, 2, 3):
                push(client, "closed", 1, 100 * step - 100, 100)
                client.reporter("closed").write_stats(step)
        wait_until(lambda: len(daemon.summaries("run")) == 3, "three periods, stored and written")
        kill(daemon)
    assert (tmp_path / "data" / "store.sqlite-wal").stat().st_size
    (tmp_path / "data" / "store.sqlite-wal").unlink()
    told = oracle.Oracle()
    told.acked(1, 300)
    with daemon_in(tmp_path) as daemon:
        assert daemon.stop() == 0
        assert [line["ordinal"] for line in daemon.summaries("run")] == [1, 2, 3]
    assert counted(told.check(oracle.stored_periods(tmp_path / "data"))) == [300]


def test_what_is_no_segment_stays_and_does_not_matter(left: Path) -> None:
    journal = left / "data" / "journal"
    (journal / "notes.txt").write_text("mine")
    (journal / "backup").mkdir()
    assert counted(goes_on(left)) == [NUM_CLOSED, NUM_OPEN]
    assert (journal / "notes.txt").read_text() == "mine"
    assert (journal / "backup").is_dir()
