"""`python -m stats_aggregator` is `stats-aggregator`."""

from .cli import main

main()
