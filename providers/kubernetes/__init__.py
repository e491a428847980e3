"""The `kubernetes` package offline: server-side apply to an API server on loopback, and `emulated/`, which runs one."""
