"""What every call to another system shares: connection pools, circuit breakers, and tries that are bounded."""
