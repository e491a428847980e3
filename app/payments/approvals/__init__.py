"""Approvals: a payout above its asset's threshold leaves only after a second person's word."""
