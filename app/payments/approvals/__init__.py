"""Approvals: a payout above APPROVAL_THRESHOLD_MSAT leaves only after a second person's word."""
