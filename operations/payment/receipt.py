"""What a payment leaves in the customer's hands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """One payment made.

    Attributes:
        rail: "lightning" or "x402".
        amount: in minor units of `asset`.
        asset: "msat", or "USDC" in millionths.
        reference: the payment hash, or the transaction's signature.
        proof: the preimage, or the payer's address.
        fee: what the customer paid on top, in minor units of `asset`.
        status: what the service says of it.
        seconds: from asking for the invoice (or for the terms) to the service's word that it is paid.
    """

    rail: str
    amount: int
    asset: str
    reference: str
    proof: str
    fee: int
    status: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": round(self.seconds, 3)}

    @property
    def price(self) -> str:
        """The amount as people write it."""
        if self.asset == "msat":
            sats, rest = divmod(self.amount, 1_000)
            return f"{sats:,} sat" if not rest else f"{self.amount:,} msat"
        return f"{self.amount / 1_000_000:,.6f} {self.asset}"
