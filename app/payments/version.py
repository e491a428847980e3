"""What the service calls itself; /health answers these words literally (the x402 guide)."""

SERVICE = "402pay-facilitator"
VERSION = "0.1.0"
