"""A custodial Lightning provider in the manner of River: an account behind an API key, invoices, payments, webhooks.

River publishes how callers authenticate and how webhooks are signed, and not its paths: they are this program's own
and the rail's configuration. Never in the image.
"""
