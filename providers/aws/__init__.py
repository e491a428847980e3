"""The `aws` package offline, over boto3 against an emulated account: `services/` is the table, the rest reads it."""
