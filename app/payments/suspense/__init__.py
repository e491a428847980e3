"""Suspense: what arrived and was credited to nobody, until a person or a rule accepts it; refunds are next door."""
