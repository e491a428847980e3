"""Webhooks in: what providers tell us, verified over the raw body, taken once, worked on by the worker."""
