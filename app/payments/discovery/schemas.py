"""Discovered endpoints in the API."""

from __future__ import annotations

from pydantic import BaseModel, Field


class PayeeEndpoint(BaseModel):
    """A way to pay a payee."""

    method: str = Field(description="lightning, onchain, lnurl and so on, as the payee publishes it.")
    endpoint: str = Field(description="Payment request, address or URL of the method.")


class PayeeEndpoints(BaseModel):
    """What a payee publishes."""

    publicKey: str  # noqa: N815
    endpoints: list[PayeeEndpoint]
    discoveredAt: str  # noqa: N815
    isCached: bool = Field(description="Whether it comes from the cache, where it is kept for 300 s unless set.")  # noqa: N815
