"""The outbox: what must happen after a commit is a row of the same transaction; the relay turns rows into jobs."""
