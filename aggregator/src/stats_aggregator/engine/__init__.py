"""From messages to decisions: the one thread that owns journal and state, and the closer behind it."""
