"""Integrations: what brings the stats of other libraries here. Each is imported only when asked for."""
