"""The demo: real workers that train, one daemon that pools their stats, and a view of both."""
