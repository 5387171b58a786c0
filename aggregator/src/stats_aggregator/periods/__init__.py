"""When a period begins and ends."""
