"""The truth of what goes out: SQLite."""
