"""Pays the service over Lightning by River: asks it for an invoice, which a customer of the counterpart pays."""

from __future__ import annotations

import time

import httpx

from operations.errors import OperationError
from operations.outputs import RiverCounterpart
from operations.payment.receipt import PAID, Receipt
from operations.service import PaymentService

SETTLE_WITHIN_SECONDS = 30.0
MSAT_PER_SAT = 1_000


def pay(service: PaymentService, river: RiverCounterpart, *, amount_sat: int, memo: str) -> Receipt:
    """Make an invoice, have it paid, and wait until the service says it is settled.

    Raises:
        OperationError: the custodian would not take the payment, or the service saw none.
    """
    started = time.monotonic()
    order = {"rail": "river", "asset": "BTC", "amount": amount_sat * MSAT_PER_SAT, "memo": memo}
    invoice = service.post("/v1/invoices", order)
    payment_hash = _pay(river, str(invoice["paymentRequest"]))
    settled = service.wait_for(
        f"the invoice {invoice['id']}",
        lambda: service.get(f"/v1/invoices/{invoice['id']}"),
        lambda found: str(found.get("status")) in PAID,
        SETTLE_WITHIN_SECONDS,
    )
    return Receipt(
        rail="river",
        amount=int(settled["received"]),
        asset="msat",
        reference=payment_hash,
        proof=str(invoice["paymentHash"]),
        fee=0,
        status=str(settled["status"]),
        seconds=time.monotonic() - started,
    )


def _pay(river: RiverCounterpart, payment_request: str) -> str:
    try:
        with httpx.Client(base_url=river.url, timeout=15, trust_env=False) as http:
            answer = http.post("/sandbox/receive", json={"payment_request": payment_request})
            answer.raise_for_status()
            return str(answer.json()["payment_hash"])
    except httpx.HTTPStatusError as refused:
        raise OperationError(f"the River counterpart refused the payment: {refused.response.text[:200]}.") from None
    except (httpx.TransportError, ValueError, KeyError) as reason:
        raise OperationError(
            f"the River counterpart at {river.url} gives no answer ({reason}): run ./railyard up."
        ) from None
