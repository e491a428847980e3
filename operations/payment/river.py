"""Pays the service over Lightning by River: asks it for an invoice, which a customer of the counterpart pays.

River tells the service by a signed webhook; the service also asks by itself, seldom. Both ways end in one credit.
"""

from __future__ import annotations

import time
from typing import Any

import httpx

from operations.errors import OperationError
from operations.outputs import RiverCounterpart
from operations.payment.receipt import Receipt
from operations.payment.settlement import MSAT_PER_SAT, SETTLE_WITHIN_SECONDS, wait_until_paid
from operations.service import PaymentService


def pay(service: PaymentService, river: RiverCounterpart, *, amount_sat: int, memo: str) -> Receipt:
    """Make an invoice, have it paid, and wait until the service says it is settled.

    Raises:
        OperationError: the custodian would not take the payment, the service saw none, or took no webhook about it.
    """
    started = time.monotonic()
    order = {"rail": "river", "asset": "BTC", "amount": amount_sat * MSAT_PER_SAT, "memo": memo}
    invoice = service.post("/v1/invoices", order)
    paid = _ask(river, "/sandbox/receive", {"payment_request": str(invoice["paymentRequest"])})
    settled = wait_until_paid(service, str(invoice["id"]))
    service.wait_for(
        "River's webhook about the payment",
        lambda: {"status": "not taken"} | _ask(river, f"/sandbox/webhooks/{paid['external_id']}"),
        lambda found: found["waiting"] == 0,
        SETTLE_WITHIN_SECONDS,
    )
    return Receipt(
        rail="river",
        amount=int(settled["received"]),
        asset="msat",
        reference=str(paid["payment_hash"]),
        proof=str(invoice["paymentHash"]),
        fee=0,
        status=str(settled["status"]),
        seconds=time.monotonic() - started,
        note="told by a signed webhook",
    )


def _ask(river: RiverCounterpart, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        with httpx.Client(base_url=river.url, timeout=15, trust_env=False) as http:
            answer = http.get(path) if body is None else http.post(path, json=body)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
            return found
    except httpx.HTTPStatusError as refused:
        raise OperationError(f"the River counterpart refused {path}: {refused.response.text[:200]}.") from None
    except (httpx.TransportError, ValueError) as reason:
        raise OperationError(
            f"the River counterpart at {river.url} gives no answer ({reason}): run ./railyard up."
        ) from None
