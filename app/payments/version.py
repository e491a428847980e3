"""What the service calls itself; /health answers these words literally (the x402 guide)."""

SERVICE = "402pay-facilitator"
VERSION = "0.1.0"
# Versions of the API by date, oldest first; the last is what a request without Api-Version gets.
API_VERSIONS = ("2026-11-25",)
