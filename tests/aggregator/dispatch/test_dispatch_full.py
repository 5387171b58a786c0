"""A writer's process on a full disk: nothing comes twice, and it goes on when there is room."""

import os
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.aggregator.writers_process import Site, put, until


@pytest.fixture
def small_disk():
    """A file system of 4 MiB."""
    # Not in tmp_path: a mount that a killed run left behind would be in the way of pytest's own tidying.
    point = Path(tempfile.mkdtemp(prefix="small-disk-"))
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", str(point)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a small disk cannot be mounted here")
        yield point
        subprocess.run(["umount", "-l", str(point)], check=True)
    finally:
        point.rmdir()


def test_a_writer_whose_cursor_cannot_move_is_not_called_again_for_the_same_period(
    small_disk, tmp_path, capfd
):
    site = Site(tmp_path, data=small_disk / "data")
    site.install(
        "rec",
        """
        def fault(writer, period):
            while not Path(writer.file.parent, "go").exists():
                time.sleep(0.01)
        """,
    )
    with closing(site.store), site.process() as process:
        put(site.store, "r", "3DBall", 1)
        until(lambda: site.calls("rec", "try"), "the call")
        room = os.statvfs(small_disk)
        filler = small_disk / "filler"
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize))
        (site.results / "go").touch()
        said = []
        until(
            lambda: said.append(capfd.readouterr().err) or "the disk is full" in "".join(said),
            "what is wrong",
        )
        filler.unlink()
        until(lambda: site.state("rec").delivered == 1, "the cursor moves after all")
        assert process.drain() == (0, 0)
    assert [call[2] for call in site.calls("rec", "try")] == [1]
