"""A writer of stats-aggregator: each run is one run of Weights & Biases."""

__version__ = "0.1.0"
