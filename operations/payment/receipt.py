"""What a payment leaves in the customer's hands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# What the service says of an invoice that needs no more money.
PAID = frozenset({"settled", "paid", "overpaid"})
SATS_PER_BITCOIN = 100_000_000


@dataclass(frozen=True)
class Receipt:
    """One payment made.

    Attributes:
        rail: "lightning", "x402", "onchain" or "river".
        amount: in minor units of `asset`.
        asset: "msat", or "USDC" in millionths.
        reference: the payment hash, the transaction's signature or its id.
        proof: the preimage, the payer's address or ours.
        fee: what the customer paid on top, in minor units of `asset`.
        status: what the service says of it.
        seconds: from asking for the invoice (or for the terms) to the service's word that it is paid.
        note: what else there is to say, for people.
    """

    rail: str
    amount: int
    asset: str
    reference: str
    proof: str
    fee: int
    status: str
    seconds: float
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": round(self.seconds, 3)}

    @property
    def price(self) -> str:
        """The amount as people write it."""
        if self.rail == "onchain":
            whole, sats = divmod(self.amount // 1_000, SATS_PER_BITCOIN)
            return f"{whole:,}.{f'{sats:08d}'.rstrip('0') or '0'} BTC"
        if self.asset == "msat":
            sats, rest = divmod(self.amount, 1_000)
            return f"{sats:,} sat" if not rest else f"{self.amount:,} msat"
        return f"{self.amount / 1_000_000:,.6f} {self.asset}"
