"""`stats-aggregator demo`: placeholder while the command is written."""


def demo() -> None:
    """Watch."""
