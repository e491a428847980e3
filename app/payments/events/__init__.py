"""What happened, for its owner: GET /v1/events."""
