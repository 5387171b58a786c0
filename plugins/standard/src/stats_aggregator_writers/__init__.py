"""The standard writers of stats-aggregator: console, TensorBoard, CSV and JSON lines.

Each module registers itself as a plugin of the same name; nothing here is meant to be imported by others.
"""

__version__ = "0.1.0"
