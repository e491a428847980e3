"""A customer of the payment service: pays a Lightning invoice from its own node, and by x402 from its own wallet."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operations.outputs import Outputs
    from operations.payment.receipt import Receipt
    from operations.service import PaymentService


class Rail(StrEnum):
    """How to pay."""

    LIGHTNING = "lightning"
    X402 = "x402"
    ALL = "all"


# What a payment is when nobody says: 1,000 sat, and one cent.
DEFAULT_SAT = 1_000
DEFAULT_MICRO_USDC = 10_000


def pay(service: PaymentService, outputs: Outputs, rail: Rail, *, pay_to: str, amount: int | None) -> Iterator[Receipt]:
    """Pay on one rail or on all, one receipt after the other.

    Args:
        pay_to: the merchant's Solana wallet.
        amount: satoshi on Lightning, millionths of a USDC by x402; None for a small one.
    """
    if rail in (Rail.LIGHTNING, Rail.ALL):
        from operations.payment import lightning

        yield lightning.pay(
            service, outputs.counterparts.lightning, amount_sat=amount or DEFAULT_SAT, memo="paid by ./railyard"
        )
    if rail in (Rail.X402, Rail.ALL):
        from operations.payment import x402

        yield x402.pay(service, outputs.counterparts.solana, pay_to=pay_to, amount=amount or DEFAULT_MICRO_USDC)
