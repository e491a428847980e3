"""The HTTP face: the application, the gate every request passes, strict JSON, callers, health and metrics."""
