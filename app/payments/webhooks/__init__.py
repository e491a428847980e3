"""Webhooks out: endpoints of users, signed deliveries that are retried for 72 hours, dead letters and replay."""
