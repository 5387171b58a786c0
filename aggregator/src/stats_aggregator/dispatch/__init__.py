"""The writers' process: stored summaries to plugins, a thread each."""
