"""The audit log's sealer: a chain of roots that tells afterwards whether a row was changed, removed or slipped in."""
