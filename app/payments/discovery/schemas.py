"""Discovered endpoints in the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class PayeeEndpoint(BaseModel):
    """A way to pay a payee."""

    method: str = Field(description="Identifier as the payee publishes it: btc-lightning-bolt11, btc-bitcoin-p2tr.")
    app: str = Field("", description='The app that publishes it; "" where the payee publishes without one.')
    endpoint: str = Field(description="Payment request, offer or address: the payload's `value`, or all of it.")
    details: dict[str, Any] = Field(description="What else the payload says, as `min` and `max` in major units.")


class PayeeEndpoints(BaseModel):
    """What a payee publishes."""

    publicKey: str  # noqa: N815
    endpoints: list[PayeeEndpoint]
    discoveredAt: str  # noqa: N815
    isCached: bool = Field(description="Whether it comes from the cache, where it is kept for 300 s unless set.")  # noqa: N815
