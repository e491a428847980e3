"""Pays the service on the Bitcoin chain: asks it for an address, has the faucet pay that, and mines until it counts.

Source: Esplora's HTTP API; `/sandbox/pay` and `/sandbox/mine` are the counterpart's own.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from operations.errors import OperationError
from operations.outputs import BitcoinCounterpart
from operations.payment.receipt import Receipt
from operations.payment.settlement import MSAT_PER_SAT, wait_until_paid
from operations.service import PaymentService


def pay(
    service: PaymentService, chain: BitcoinCounterpart, *, amount_sat: int, memo: str, confirmations: int
) -> Receipt:
    """Make an invoice, pay its address, mine, and wait until the service says it is settled.

    Args:
        confirmations: blocks to be mined, the first with the payment in it.

    Raises:
        OperationError: the chain would not pay, or the service saw no payment.
    """
    started = time.monotonic()
    order = {"rail": "onchain", "asset": "BTC", "amount": amount_sat * MSAT_PER_SAT, "memo": memo}
    invoice = service.post("/v1/invoices", order)
    address = urlsplit(str(invoice["paymentRequest"])).path or str(invoice["paymentRequest"])
    with httpx.Client(base_url=chain.url, timeout=15, trust_env=False) as http:
        txid = str(_ask(http, "/sandbox/pay", {"address": address, "sats": amount_sat})["txid"])
        fee_sat = int(_ask(http, f"/tx/{txid}")["fee"])
        _ask(http, "/sandbox/mine", {"blocks": confirmations})
    settled = wait_until_paid(service, str(invoice["id"]))
    return Receipt(
        rail="onchain",
        amount=int(settled["received"]),
        asset="msat",
        reference=txid,
        proof=address,
        fee=fee_sat * MSAT_PER_SAT,
        status=str(settled["status"]),
        seconds=time.monotonic() - started,
        note=f"regtest, {confirmations} confirmation{'s' if confirmations > 1 else ''}",
    )


def _ask(http: httpx.Client, path: str, body: dict[str, Any] | None = None) -> Any:
    try:
        answer = http.get(path) if body is None else http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as refused:
        said = refused.response.text[:200]
        raise OperationError(f"the Bitcoin counterpart refused {path}: {said}.") from None
    except (httpx.TransportError, ValueError) as reason:
        raise OperationError(
            f"the Bitcoin counterpart at {http.base_url} gives no answer ({reason}): run ./railyard up."
        ) from None
