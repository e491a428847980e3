"""What waits for a person: outcomes that stay unknown, amounts in suspense, and what rail and books disagree about."""
