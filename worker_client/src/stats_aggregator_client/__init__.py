"""Push raw stats from any worker process to one stats-aggregator daemon."""
