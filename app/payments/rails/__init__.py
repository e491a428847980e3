"""The payment rails, a package each, behind the protocols of `payments.rails.protocol`.

A rail knows its network and nothing of PostgreSQL, HTTP callers or the ledger. A rail's package exposes
`build(settings, role) -> Rail | None` (None: not configured); `payments.rail_registry` names the packages.
"""
