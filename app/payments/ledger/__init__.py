"""The double-entry ledger. Its rules are enforced in PostgreSQL; here are posting and reading."""
