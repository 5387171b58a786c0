"""The process of a writer: stored summaries to one plugin, a thread for each run."""
