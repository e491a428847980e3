"""Orders, invoices and answers that the tests of the Lightning rail share."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from payments.rails.lnd import bolt11
from payments.rails.protocol import (
    InvoiceOrder,
    PaymentOrder,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NODE_KEY = b"\x11" * 32
PAYEE_KEY = b"\x22" * 32
SEED = b"\x33" * 32
HASH = hashlib.sha256(SEED).hexdigest()
NODE_PUBKEY = "03" + "aa" * 32
INVOICE_MACAROON = "0201036c6e64"
PAY_MACAROON = "0201036c6e65"
INFO = {
    "identity_pubkey": NODE_PUBKEY,
    "version": "0.20.0-beta commit=v0.20.0-beta",
    "block_height": 120,
    "num_active_channels": 1,
    "synced_to_chain": True,
    "synced_to_graph": True,
    "chains": [{"chain": "bitcoin", "network": "regtest"}],
}


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


MakeRail = Callable[..., Any]


def an_order(**changes: Any) -> InvoiceOrder:
    plain = InvoiceOrder(
        invoice_id=UUID(int=1),
        seed=SEED,
        asset="BTC",
        amount=1_000_000,
        memo="tea",
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(plain, **changes)


def bill(
    amount_msat: int | None = 1_000_000, network: str = "regtest", preimage: bytes = SEED, key: bytes = PAYEE_KEY
) -> str:
    invoice = bolt11.Bolt11Invoice(
        network=network,
        timestamp=int(NOW.timestamp()),
        payment_hash=hashlib.sha256(preimage).hexdigest(),
        payment_secret="cd" * 32,
        amount_msat=amount_msat,
        description="tea",
    )
    return bolt11.encode(invoice, key)


def lnd_invoice(state: str = "OPEN", settle_index: int = 0, preimage: bytes = SEED, paid: int = 0) -> dict[str, Any]:
    return {
        "r_hash": base64.b64encode(hashlib.sha256(preimage).digest()).decode(),
        "r_preimage": base64.b64encode(preimage).decode(),
        "payment_request": bill(preimage=preimage, key=NODE_KEY),
        "state": state,
        "add_index": "7",
        "settle_index": str(settle_index),
        "value_msat": "1000000",
        "amt_paid_msat": str(paid),
        "settle_date": str(int(NOW.timestamp())),
    }


def payment(status: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "payment_hash": HASH,
        "status": status,
        "payment_preimage": SEED.hex() if status == "SUCCEEDED" else "00" * 32,
        "value_msat": "1000000",
        "fee_msat": "1500",
        "failure_reason": "FAILURE_REASON_NO_ROUTE" if status == "FAILED" else "FAILURE_REASON_NONE",
        "payment_index": "4",
    }
    return {**plain, **changes}


def an_order_to_pay(**changes: Any) -> PaymentOrder:
    plain = PaymentOrder(payment_id=UUID(int=2), payment_request=bill(), asset="BTC", amount=1_000_000, max_fee=20_000)
    return replace(plain, **changes)
