"""EventFile: a TensorBoard event file that only grows.

The `tensorboard` package's own RecordWriter makes the records, in memory. Its EventFileWriter is not used:
that writes in a thread of its own, opens the file anew for each event, never syncs, fails for ever after one
error, and imports TensorFlow where that is installed.
"""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Iterable

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from .durable import append, make_directory, sync_directory

_START = "events.out.tfevents."


class EventFile:
    """Appends events, each call in one write and one sync. After an OSError, begin a new file.

    TensorBoard reads the files of a directory in the order of their names, and never goes back, so a new name
    comes after those that are there. Files of another `kind`, a word, are numbered apart and come last, so
    that the start of a session in the daemon's own does not make TensorBoard forget what stands in them.
    """

    def __init__(self, directory: str, time_ns: int, kind: str = "") -> None:
        """Begin a new file in `directory`, which is made if missing; it is named by the time in seconds."""
        make_directory(directory)
        start = f"{_START}{kind}"
        name = re.compile(rf"{re.escape(start)}(\d+)")
        numbers = [int(found[1]) for file in os.listdir(directory) if (found := name.match(file))]
        number = max(time_ns // 1_000_000_000, max(numbers, default=0) + 1)
        self._directory = directory
        self._path = os.path.join(directory, f"{start}{number:010d}.{socket.gethostname()}")
        self._begun = False
        self._time_s = time_ns / 1e9

    def append(self, events: Iterable[event_pb2.Event]) -> None:
        """Write the events and return when they are durable. Raises OSError where that cannot be."""
        found = list(events)
        if not self._begun:
            version = event_pb2.Event(
                wall_time=self._time_s,
                file_version="brain.Event:2",
                source_metadata=event_pb2.SourceMetadata(writer="stats-aggregator"),
            )
            found.insert(0, version)
        records = io.BytesIO()
        writer = RecordWriter(records)
        for event in found:
            writer.write(event.SerializeToString())
        # "x" the first time: a file that somebody else began meanwhile is not ours to write to.
        with open(self._path, "ab" if self._begun else "xb", buffering=0) as file:
            append(file.fileno(), records.getvalue())
        if not self._begun:
            sync_directory(self._directory)
        self._begun = True
