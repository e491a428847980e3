"""Refunds: money given back, out of suspense or out of its owner's balance. Each is sent as a payment."""
