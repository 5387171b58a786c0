"""The truth of what came in: append-only segments."""
