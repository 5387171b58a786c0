"""What the tests of the writers' processes share: plugins on disk, a filled store, and the processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from array import array
from contextlib import contextmanager
from textwrap import dedent

from stats_aggregator.dispatch.control import Settings
from stats_aggregator.dispatch.plugins import Selection
from stats_aggregator.dispatch.retry import Retry
from stats_aggregator.dispatch.table import Table
from stats_aggregator.store.outbox import Outbox, PluginRow
from stats_aggregator.store.store import Store, SummaryRow
from stats_aggregator_api import STATS_WRITER_GROUP, Buckets, Period

DEADLINE_S = 20.0

# A writer that notes every call in a file of its plugin, a JSON array a line. `fault(call)` may raise.
RECORDER = """
import json, os, threading, time
from pathlib import Path
from stats_aggregator_api import StatsWriter

class Recorder(StatsWriter):
    def __init__(self, options):
        self.run = options.checkpoint_settings.run_id
        self.file = Path(options.checkpoint_settings.results_dir, NAME + ".calls")
        self.note("make", self.run, dict(options.plugin_options))
    def note(self, *call):
        with self.file.open("a") as file:
            file.write(json.dumps(call) + "\\n")
    def write_stats(self, category, values, step):
        period = values.period
        self.note("try", self.run, category, period.ordinal)
        fault(self, period)
        self.note("period", self.run, category, period.ordinal, step, period.id, period.unseen,
                  {key: [s.num, s.mean, list(s.full_dist)] for key, s in values.items()})
    def add_property(self, category, property_type, value):
        self.note("property", self.run, category, property_type.value, value)
    def close(self):
        self.note("close", self.run)

def fault(writer, period):
    pass

def writers(options):
    return [Recorder(options)]
"""


def until(found, what, deadline_s=DEADLINE_S):
    """Return what `found()` returns once it is true; fail with `what` past the deadline."""
    end_s = time.monotonic() + deadline_s
    while not (result := found()):
        assert time.monotonic() < end_s, f"after {deadline_s} s still not: {what}"
        time.sleep(0.01)  # between two looks at another process's files
    return result


def install(site, name, source, *, group=STATS_WRITER_GROUP, distribution=None, target=None):
    """Put a real distribution with one entry point on disk: `name = name_module:writers`."""
    distribution = distribution or f"{name}-plugin"
    module = f"{distribution}_{name}".replace("-", "_").replace(".", "_")
    site.mkdir(exist_ok=True)
    shutil.rmtree(site / "__pycache__", ignore_errors=True)  # a source of the same second is not read anew
    (site / f"{module}.py").write_text(dedent(source).replace("NAME", repr(name)))
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target or module + ':writers'}\n")


def row(key, values, **changes):
    """Return the stored form of a series."""
    buckets, total = Buckets.of(values), sum(values)
    moments = (len(values), total / len(values), 0.0, total, min(values), max(values), values[-1])
    columns = (array("i", buckets.keys), array("q", buckets.counts), array("d", values))
    found = SummaryRow(key, 0, *moments, 0, 0, "w1", "w2", True, 7, *(column.tobytes() for column in columns))
    return found._replace(**changes)


def put(store, run, category, ordinal, values=(1.0, 2.0)):
    """Store one period with one series."""
    period = Period(run, category, ordinal, f"{run}-{category}-{ordinal}", 0, 1, step=ordinal * 100)
    assert store.close_period(period, len(values), [row("loss", list(values))])


class Site:
    """A data directory, a results directory and a directory of plugins; and processes over them."""

    def __init__(self, tmp_path, data=None):
        self.plugins = tmp_path / "site"
        self.results = tmp_path / "results"
        self.data = data or tmp_path / "data"
        for directory in (self.plugins, self.results, self.data):
            directory.mkdir()
        self.store = Store(self.data / "store.sqlite")
        self.outbox = Outbox(self.store.database)
        self.installed = []

    def install(self, name, extra=""):
        """Install a recorder called `name`, with `extra` source after it."""
        self.install_source(name, RECORDER + dedent(extra))

    def install_source(self, name, source):
        """Install a plugin of this source."""
        install(self.plugins, name, source)
        self.installed = [*dict.fromkeys([*self.installed, name])]

    def calls(self, name, *kinds):
        """Return the calls of these kinds of the recorder, without their kind where it is only one."""
        file = self.results / f"{name}.calls"
        if not file.exists():
            return []
        calls = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("]")]
        return [call[1:] if len(kinds) == 1 else call for call in calls if not kinds or call[0] in kinds]

    def periods(self, name, run="r"):
        """Return the ordinals that the recorder took in this run."""
        return [call[2] for call in self.calls(name, "period") if call[0] == run]

    def state(self, plugin, run="r", place=0):
        """Return the stored state of a writer, or None."""
        for state in self.outbox.writer_states():
            if (state.plugin, state.run, state.place) == (plugin, run, place):
                return state
        return None

    def plugin(self, name):
        """Return the stored row of a plugin."""
        (row,) = [row for row in self.outbox.plugins() if row.plugin == name]
        return row

    @contextmanager
    def processes(self, **changes):
        """Run a process of each plugin that is installed, until they are told to drain or the block ends."""
        common = {
            "store": str(self.store.database.path),
            "results_dir": str(self.results),
            "feed": f"ipc://{self.data}/feed",
            "retry": Retry(first_s=0.01, limit_s=0.05),
            "selection": Selection(tuple(self.installed)),
        }
        start, tables = changes.pop("start", 0), changes.pop("options", {})
        only, stdout = changes.pop("only", self.installed), changes.pop("stdout", None)
        self.outbox.begin([_row(name, tables.get(name, {})) for name in self.installed], start)
        running = [
            WriterProcess(
                self, stdout, **{**common, "plugin": name, "options": tables.get(name, {}), **changes}
            )
            for name in only
        ]
        try:
            yield Processes(self, running)
        finally:
            for process in running:
                process.end()

    @contextmanager
    def process(self, name=None, **changes):
        """Run the process of one plugin, the first that is installed unless it is named."""
        with self.processes(only=[name or self.installed[0]], **changes) as running:
            yield running.all[0]


def _row(name, table):
    ours, _ = Table.split(name, table)
    return PluginRow(
        name, f"{name}-plugin", "1.0", "starting", "", ours.max_backlog, ours.max_backlog_age_ns, ours.replay
    )


class Processes:
    """The processes of several plugins."""

    def __init__(self, site, running):
        self._site = site
        self.all = running

    def __getitem__(self, plugin):
        (process,) = [process for process in self.all if process.plugin == plugin]
        return process

    def wake(self):
        for process in self.all:
            process.wake()

    def drain(self):
        """Ask all to finish; return how many entries they left."""
        for process in self.all:
            process.ask_to_drain()
        for process in self.all:
            assert process.wait() == 0
        return self._site.outbox.left()


class WriterProcess:
    """The process of a plugin, and the server's end of its control socket."""

    def __init__(self, site, stdout, **settings):
        self.plugin = settings["plugin"]
        self._site = site
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stats_aggregator.dispatch", "--control-fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": str(site.plugins), "PYTHONUNBUFFERED": ""},
                stdout=stdout,
            )
        self._control = ours
        self._lines = ours.makefile("rb")
        ours.settimeout(DEADLINE_S)
        ours.sendall(Settings(**settings).encode())

    @property
    def pid(self):
        return self._process.pid

    def event(self, name):
        """Return the next event of this name."""
        for line in self._lines:
            event = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"the process ended without {name}")

    def wake(self):
        self._control.sendall(b'{"do": "wake"}\n')

    def ask_to_drain(self):
        self._control.sendall(b'{"do": "drain"}\n')

    def drain(self):
        """Ask it to finish; return how many entries are left, and its exit code."""
        self.ask_to_drain()
        code = self.wait()
        return self._site.outbox.left(), code

    def leave(self):
        """Close the server's end, as its death would; return the exit code."""
        self._lines.close()
        self._control.close()
        return self._process.wait(DEADLINE_S)

    def wait(self):
        return self._process.wait(DEADLINE_S)

    def end(self):
        self._lines.close()
        self._control.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextmanager
def site_at(tmp_path):
    """Give a Site, and close its store afterwards."""
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.store.close()
