"""The conformance kit: test a writer without a daemon.

`check_writer` drives a plugin through everything the daemon will ask of it; `example_summaries`, `summarize`
and `MemoryWriter` are for tests of your own.
"""

from .conformance import check_writer
from .examples import example_period, example_summaries
from .memory import MemoryWriter
from .summarize import summarize

__all__ = ["check_writer", "example_period", "example_summaries", "MemoryWriter", "summarize"]
