"""The process of the pages: `python -m stats_aggregator.metrics --listen-fd N --control-fd M`.

The server listens on the one socket, starts this process with it, and starts it again where it dies: the
address stays, and who connects meanwhile waits. Over the other one it sends Settings, a line; when that
closes, the daemon is gone, and this process ends. It asks the daemon as anybody may, over its own socket, and
reads its store without writing: a scrape costs the engine's thread one STATUS.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from ..dispatch.restraint import bound_memory, give_way
from ..printable import log_printably
from .chosen import Chosen
from .desk import Desk
from .figures import PREFIX, figures
from .pages import Pages, PageServer
from .settings import Settings


def _pages(settings: Settings) -> Pages:
    desk = Desk(settings.daemon)
    # Of the daemon, not of this process: its memory, its share of the cores, its open files.
    daemon = ProcessCollector(PREFIX, pid=os.getppid, registry=None)
    chosen = Chosen(Path(settings.store), settings.gauges) if settings.gauges.keys else None

    def collect() -> Iterator[Metric]:
        yield from figures(desk.answer())
        yield from daemon.collect()
        if chosen is not None:
            yield from chosen.collect()

    return Pages(desk, collect)


def _end_with(control: BinaryIO) -> None:
    try:
        control.read()
    except OSError:
        pass  # a reset says the same as the end of the stream
    os._exit(0)


def _ignore(signum: int, frame: object) -> None:
    """Leave it to the daemon, which gets the signals of a service manager too, to end this."""


def main() -> None:
    """Serve the pages until the daemon is gone."""
    parser = argparse.ArgumentParser(prog="python -m stats_aggregator.metrics")
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGTERM, _ignore)
    log_printably(logging.INFO, "%(name)s: %(message)s")
    bound_memory(0)
    give_way()
    control = socket.socket(fileno=arguments.control_fd).makefile("rb")
    settings = Settings.decode(control.readline())
    threading.Thread(target=_end_with, args=(control,), name="control", daemon=True).start()
    with PageServer(socket.socket(fileno=arguments.listen_fd), _pages(settings)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
