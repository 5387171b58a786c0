"""The process that serves /metrics, /healthz and /readyz."""
