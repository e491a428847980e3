"""Rate limits: sliding windows in Redis, one call a request, and what holds while Redis is down; client addresses."""
