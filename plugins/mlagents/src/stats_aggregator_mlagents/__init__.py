"""Runs the StatsWriter plugins of ML-Agents in stats-aggregator's daemon, unmodified.

Importing this provides no names: that happens in a plugin's own process, when the daemon loads it.
"""
