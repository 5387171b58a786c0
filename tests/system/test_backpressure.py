"""A daemon slower than its workers: the credit runs out, memory stays bounded, and everything arrives."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from stats_aggregator_client.wire import Ack, Batch, Heartbeat, Hello, Welcome, decode, encode, encode_series
from tests.system.daemons import Daemon, wait_until

WORKERS, BATCHES, VALUES = 500, 25, 1000
INGRESS_BYTES = 32 << 20
SLACK_BYTES = 64 << 20
"""The group being written, buffers of the sockets, and what the allocator keeps."""
SERIES, COUNTS = encode_series([("x", 0)]), struct.pack("<I", VALUES)


class Eager:
    """A worker that always has more to send, and keeps to its credit."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, number: int) -> None:
        self.session = struct.pack(">QQ", 5, number)
        self._column = struct.pack(f"<{VALUES}d", *range(number, number + VALUES))
        self._credit = self._sent = self.durable_seq = 0
        self.welcomed = self.knows_its_share = self.may_send = False
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(address)
        self.socket.send(encode(Hello(self.session, f"w{number}", "run", self.session, {}, 1, None)))

    def ask_for_its_share(self) -> None:
        """Have the credit told anew, now that all others are there."""
        self.socket.send(encode(Heartbeat(self.session)))

    def hear(self) -> None:
        """Take an answer, and send what the credit permits."""
        reply = decode(self.socket.recv())
        if isinstance(reply, Welcome):
            self.welcomed = True
        elif isinstance(reply, Ack):
            self.knows_its_share = True
            self.durable_seq, self._credit = reply.durable_seq, reply.credit
            self.send()

    @property
    def done(self) -> bool:
        """Whether all is acknowledged."""
        return self.durable_seq == BATCHES

    def send(self) -> None:
        """Send what the credit permits."""
        while self.may_send and self._sent < BATCHES:
            columns = (SERIES, COUNTS, self._column)
            batch = Batch(self.session, self._sent + 1, "c", 0, None, 0, 0, 0, *columns, 0, 0)
            frame = encode(batch)
            if (self._sent - self.durable_seq + 1) * len(frame) > self._credit:
                return
            self.socket.send(frame)
            self._sent += 1


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


def _rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def _steady(pid: int) -> int:
    """Return the memory of a process once it has not grown for a second."""
    seen = [_rss_bytes(pid)]

    def is_steady() -> bool:
        seen.append(_rss_bytes(pid))
        return len(seen) > 100 and max(seen[-100:]) - min(seen[-100:]) < 1 << 18

    wait_until(is_steady, "a steady memory")
    return max(seen)


def _until(workers: list[Eager], poller: zmq.Poller, name: str) -> None:
    by_socket = {worker.socket: worker for worker in workers}

    def all_are() -> bool:
        for socket, _ in poller.poll(10):
            by_socket[socket].hear()
        return all(getattr(worker, name) for worker in workers)

    wait_until(all_are, f"{name} of all workers", 60)


def test_memory_is_bounded_while_the_disk_does_not_answer_and_everything_arrives_when_it_does(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    config = tmp_path / "serve.toml"
    config.write_text(f'[serve]\ningress_bytes = {INGRESS_BYTES}\nevery = "manual"\n')
    go, reached = tmp_path / "go", tmp_path / "go.reached"
    daemon = Daemon(tmp_path, "--config", str(config), "--writer", "jsonl", "--close-on-stop")
    daemon.start(failpoints=f"journal.append.group.before=pause({go})")
    workers: list[Eager] = []
    try:
        workers.extend(Eager(context, daemon.address, number) for number in range(WORKERS))
        poller = zmq.Poller()
        for worker in workers:
            poller.register(worker.socket, zmq.POLLIN)
        _until(workers, poller, "welcomed")
        for worker in workers:
            worker.ask_for_its_share()
        _until(workers, poller, "knows_its_share")
        before_bytes = _rss_bytes(daemon.pid)
        for worker in workers:
            worker.may_send = True
            worker.send()
        wait_until(reached.exists, "the disk that does not answer")
        held_bytes = _steady(daemon.pid) - before_bytes
        assert INGRESS_BYTES // 4 < held_bytes < INGRESS_BYTES + SLACK_BYTES
        go.touch()
        _until(workers, poller, "done")
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        for worker in workers:
            worker.socket.close()
    (line,) = daemon.summaries("run")
    found, num = line["stats"]["x"], WORKERS * BATCHES * VALUES
    assert (found["num"], line["workers_reporting"], line["lost"]) == (num, WORKERS, 0)
    assert found["sum"] == BATCHES * sum(sum(range(n, n + VALUES)) for n in range(WORKERS))
