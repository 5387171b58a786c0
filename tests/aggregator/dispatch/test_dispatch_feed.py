"""The writers' processes: raw values for `on_add_stat`."""

from array import array

import pytest
import zmq

from stats_aggregator_client import wire
from tests.aggregator.writers_process import put, site_at, until

TAP = """
    class Tapping(Recorder):
        def on_add_stat(self, category, key, value, aggregation):
            if value == 13:
                raise ValueError("unlucky")
            self.note("value", category, key, value, int(aggregation))
    def writers(options):
        return [Tapping(options)]
"""


@pytest.fixture
def site(tmp_path):
    with site_at(tmp_path) as site:
        site.install("tap", TAP)
        yield site


@pytest.fixture
def feed(site):
    """The server's end: a bound XPUB, to which batches and ends of periods are sent."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
        publisher.bind(f"ipc://{site.data}/feed")
        yield publisher


def frame(category, columns):
    """Return the frame of a BATCH with these values by key."""
    series = wire.encode_series([(key, 2) for key in columns])
    counts = array("I", [len(values) for values in columns.values()]).tobytes()
    values = array("d", [value for column in columns.values() for value in column]).tobytes()
    return wire.encode(wire.Batch(bytes(16), 1, category, 0, None, 0, 0, 1, series, counts, values, 0, 0))


def send(feed, run, category, ordinal, *batches, closed=True):
    for batch in batches:
        feed.send_multipart([b"V", run.encode(), category.encode(), b"%d" % ordinal, frame(category, batch)])
    if closed:
        feed.send_multipart([b"C", run.encode(), category.encode(), b"%d" % ordinal])


def begin(site, process, feed):
    """Let the run begin, so that its writers are there, and listen, before its values."""
    site.store.touch_run("r", site.store.clock())
    assert process.event("writers")["tap"] is True
    assert feed.poll(10_000)
    assert feed.recv() == b"\x01", "it subscribes to all"


def test_values_come_in_order_of_arrival_each_before_its_period(site, feed):
    with site.process() as process:
        begin(site, process, feed)
        send(feed, "r", "3DBall", 1, {"loss": [1.0, 2.0], "reward": [3.0]}, {"loss": [4.0]})
        send(feed, "other", "3DBall", 1, {"loss": [99.0]})
        put(site.store, "r", "3DBall", 1, [1.0, 2.0, 3.0, 4.0])
        send(feed, "r", "3DBall", 2, {"loss": [5.0]})
        put(site.store, "r", "3DBall", 2, [5.0])
        assert process.drain() == (0, 0)
    calls = site.calls("tap", "value", "period")
    assert [call[1:] for call in calls if call[0] == "value"] == [
        ["3DBall", "loss", 1.0, 2], ["3DBall", "loss", 2.0, 2], ["3DBall", "reward", 3.0, 2],
        ["3DBall", "loss", 4.0, 2], ["3DBall", "loss", 5.0, 2],
    ]  # fmt: skip
    for ordinal, value in ((1, 4.0), (2, 5.0)):
        shown = next(n for n, call in enumerate(calls) if call[0] == "value" and call[3] == value)
        assert shown < next(n for n, call in enumerate(calls) if call[0] == "period" and call[3] == ordinal)
    assert [call[6] for call in calls if call[0] == "period"] == [0, 0], "all were shown"


def test_what_a_writer_was_not_shown_is_counted_for_it(site, feed):
    with site.process() as process:
        begin(site, process, feed)
        send(feed, "r", "3DBall", 1, {"loss": [1.0, 13.0]})
        put(site.store, "r", "3DBall", 1, [1.0, 13.0, 3.0])
        assert process.drain() == (0, 0)
    ((*_, unseen, _),) = site.calls("tap", "period")
    assert unseen == 2, "one raised, one never came"


def test_a_period_waits_for_its_values_and_not_for_ever(site, feed):
    with site.process() as process:
        begin(site, process, feed)
        put(site.store, "r", "3DBall", 1, [1.0])
        process.wake()
        send(feed, "r", "3DBall", 1, {"loss": [1.0]})
        until(lambda: site.periods("tap") == [1], "the period whose values came a little later")
        put(site.store, "r", "3DBall", 2, [1.0])
        until(lambda: site.periods("tap") == [1, 2], "the period whose values never came")
        # What comes after its period is not shown any more.
        send(feed, "r", "3DBall", 2, {"loss": [2.0]})
        send(feed, "r", "3DBall", 3, {"loss": [3.0]})
        put(site.store, "r", "3DBall", 3, [3.0])
        process.drain()
    assert [call[2] for call in site.calls("tap", "value")] == [1.0, 3.0]
    assert [call[5] for call in site.calls("tap", "period")] == [0, 1, 0]


def test_a_backlog_does_not_wait_for_values_that_are_gone(site, feed):
    for ordinal in range(1, 31):
        put(site.store, "r", "3DBall", ordinal)
    with site.process() as process:
        until(lambda: len(site.periods("tap")) == 30, "thirty periods, of which no value comes again")
        assert {call[5] for call in site.calls("tap", "period")} == {2}
        process.drain()


def test_two_plugins_are_shown_all_values_each(site, feed):
    site.install("other", TAP)
    with site.processes() as processes:
        for name in ("tap", "other"):
            begin(site, processes[name], feed)
        send(feed, "r", "3DBall", 1, {"loss": [1.0]}, {"loss": [2.0]})
        put(site.store, "r", "3DBall", 1, [1.0, 2.0])
        assert processes.drain() == 0
    for name in ("tap", "other"):
        assert [call[2] for call in site.calls(name, "value")] == [1.0, 2.0]


def test_a_plugin_that_does_not_override_on_add_stat_asks_for_no_values_and_misses_none(site, feed):
    site.install("plain")
    with site.process("plain") as process:
        site.store.touch_run("r", site.store.clock())
        assert process.event("writers")["tap"] is False
        put(site.store, "r", "3DBall", 1)
        process.ask_to_drain()
        assert process.wait() == 0
    assert [call[5] for call in site.calls("plain", "period")] == [0]
