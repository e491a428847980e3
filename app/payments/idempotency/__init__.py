"""Idempotency keys: one effect a key, the stored answer replayed byte for byte (design section 4, rule 5)."""
