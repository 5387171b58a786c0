"""ML-Agents' names, provided by stats-aggregator-mlagents."""
