"""The `random` package offline: passwords, identifiers and bytes, made once and kept in the state."""
