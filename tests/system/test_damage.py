"""A start on a damaged data directory: where it stops, it does so with one sentence, and deletes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.system import damages
from tests.system.damages import Damage, Sentence, files_in

STOPS: list[tuple[Damage, str]] = [
    (damages.remove_first_segment, r"/data/journal: \d+ values of 1 periods are in none of"),
    (damages.remove_middle_segment, r"/data/journal: \d+ values of 1 .*are: 5, 6, 8.*--accept-loss"),
    (damages.remove_last_segment, r"/data/journal: the newest segment .*, 0+\d+.journal, is not there"),
    (damages.remove_journal, r"/data/journal: the newest segment of the journal, .*put back"),
    (damages.swap_segments, r"/0+5.journal: .* belongs in 0+6.journal; give it that name"),
    (damages.copy_segment, r"0099.journal: .* belongs in 0+5.journal; .*or move it away"),
    (damages.directory_as_segment, r"0099.journal: Is a directory; .*move that away"),
    (damages.file_as_journal, r"/data/journal: Not a directory; .*move that away"),
    (damages.empty_store, r"store.sqlite: \d periods are not in it that were stored there.*--accept-loss"),
    (damages.remove_store, r"store.sqlite: \d periods are not in it that were stored there.*put back"),
    (damages.remove_store_but_its_log, r"store.sqlite: is missing or empty, and its log .*-wal is not"),
    (damages.empty_store_but_its_log, r"store.sqlite: is missing or empty, and its log .*-wal is not"),
    (damages.garbage_store, r"store.sqlite: file is not a database; put back a sound one"),
    (damages.cut_store_by_a_page, r"store.sqlite: database disk image is malformed; put back"),
    (damages.cut_store_by_a_byte, r"store.sqlite: ends in the middle of a page, it was cut off; put back"),
    (damages.log_of_another_store, r"store.sqlite: it and its log .* do not belong together"),
    (damages.directory_as_store, r"store.sqlite: is a directory, and a file is expected; move it away"),
    (damages.store_of_another_directory, r"store.sqlite: belongs to .* whose server-id is 00, and"),
    (damages.store_of_another_program, r"store.sqlite: is a database of another program; move it away"),
    (
        damages.damaged_server_id,
        r"has a damaged file server-id; .*printf '%s.n' [0-9a-f]{32} > /.*/server-id",
    ),
    (damages.lost_server_id, r"has lost its file server-id; .*printf '%s.n' [0-9a-f]{32} > /.*/server-id"),
    (damages.directory_as_server_id, r"server-id: Is a directory; something else stands in its place"),
    (damages.damaged_run_id, r"has a damaged file run-id: it .*control characters; write the name"),
    (damages.emptied_run_id, r"has a damaged file run-id: it is empty; write"),
    (damages.directory_as_lock, r"lock: Is a directory; something else stands in its place"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("damage", "says"), STOPS, ids=[stop[0].__name__ for stop in STOPS])
def test_it_stops_with_one_sentence_and_deletes_nothing(
    left: Path, sentence: Sentence, damage: Damage, says: str
) -> None:
    data = left / "data"
    damage(data)
    before = files_in(data)
    for _ in range(2 if damage is damages.remove_middle_segment else 1):  # asked again, the same
        found = sentence(left)
        assert found[0] == 1, found
        assert re.search(says, found[1]), found
    after = files_in(data)
    changing = {"lock", "writers.lock", "store.sqlite", "store.sqlite-wal", "store.sqlite-shm"}
    assert {name: after.get(name) for name in before if name not in changing} == {
        name: content for name, content in before.items() if name not in changing
    }
    assert set(before) - set(after) <= {"store.sqlite-wal", "store.sqlite-shm"}
