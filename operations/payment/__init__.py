"""A customer of the payment service: pays a Lightning invoice from its own node, by x402 from its own wallet, on the
Bitcoin chain from a faucet, and over Lightning at a custodian."""

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
    ONCHAIN = "onchain"
    RIVER = "river"
    ALL = "all"


# What a payment is when nobody says: 1,000 sat, and one cent.
DEFAULT_SAT = 1_000
DEFAULT_MICRO_USDC = 10_000
DEFAULT_ONCHAIN_SAT = 10_000
CONFIRMATIONS = 1
MEMO = "paid by ./railyard"


def pay(service: PaymentService, outputs: Outputs, rail: Rail, *, pay_to: str, amount: int | None) -> Iterator[Receipt]:
    """Pay on one rail or on all, one receipt after the other.

    Args:
        pay_to: the merchant's Solana wallet.
        amount: satoshi on Lightning, on the chain and by River, millionths of a USDC by x402; None for a small one.
    """
    if rail in (Rail.LIGHTNING, Rail.ALL):
        from operations.payment import lightning

        yield lightning.pay(service, outputs.counterparts.lightning, amount_sat=amount or DEFAULT_SAT, memo=MEMO)
    if rail in (Rail.X402, Rail.ALL):
        from operations.payment import x402

        yield x402.pay(service, outputs.counterparts.solana, pay_to=pay_to, amount=amount or DEFAULT_MICRO_USDC)
    if rail in (Rail.ONCHAIN, Rail.ALL):
        from operations.payment import onchain

        yield onchain.pay(
            service,
            outputs.counterparts.bitcoin,
            amount_sat=amount or DEFAULT_ONCHAIN_SAT,
            memo=MEMO,
            confirmations=CONFIRMATIONS,
        )
    if rail in (Rail.RIVER, Rail.ALL):
        from operations.payment import river

        yield river.pay(service, outputs.counterparts.river, amount_sat=amount or DEFAULT_SAT, memo=MEMO)
