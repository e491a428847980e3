"""Real btcd and lnd, built from their Go modules (pinned in go.mod and go.sum) once a machine; for tests."""
