"""The daemon that pools raw stats and hands their summaries to writers."""

__version__ = "0.1.0"
