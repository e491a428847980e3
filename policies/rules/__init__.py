"""The rules, one a file: id, what, risk, fix, reference, and the function that looks."""

from policies.rules import (
    loopback_only,
    payment_ceilings,
    postgres_version,
    process_is_watched,
    secrets_in_files,
)

RULES = (
    loopback_only.RULE,
    secrets_in_files.RULE,
    payment_ceilings.RULE,
    postgres_version.RULE,
    process_is_watched.RULE,
)
