"""ML-Agents' names, provided by stats-aggregator-mlagents."""

__version__ = "1.1.0"
