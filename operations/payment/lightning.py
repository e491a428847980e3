"""Pays the service over Lightning: asks it for an invoice and pays that from the customer's LND node.

Source: LND's REST API, POST /v2/router/send (lnrpc/routerrpc, SendPaymentV2).
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from pathlib import Path
from typing import Any

import httpx

from operations.errors import OperationError
from operations.outputs import LightningCounterpart
from operations.payment.receipt import Receipt
from operations.payment.settlement import MSAT_PER_SAT, wait_until_paid
from operations.service import PaymentService

PAY_TIMEOUT_SECONDS = 20
# LND's own default for small payments: at most 5 % of the amount, and never nothing.
MAX_FEE_SHARE = 20


def pay(service: PaymentService, node: LightningCounterpart, *, amount_sat: int, memo: str) -> Receipt:
    """Create an invoice, pay it, and wait until the service says it is settled.

    Raises:
        OperationError: the node would not pay, or the service saw no payment.
    """
    started = time.monotonic()
    invoice = service.post("/api/lightning/create-invoice", {"amount": amount_sat, "memo": memo})
    paid = send(node, str(invoice["paymentRequest"]), max_fee_sat=max(1, amount_sat // MAX_FEE_SHARE))
    payment_hash = str(invoice["paymentHash"])
    settled = wait_until_paid(service, payment_hash)
    return Receipt(
        rail="lightning",
        amount=int(settled.get("amountMsat", amount_sat * MSAT_PER_SAT)),
        asset="msat",
        reference=payment_hash,
        proof=_hex(str(paid.get("payment_preimage", ""))),
        fee=int(paid.get("fee_msat", 0)),
        status=str(settled["status"]),
        seconds=time.monotonic() - started,
    )


def _hex(preimage: str) -> str:
    """LND's REST gives a preimage as hexadecimal digits in a payment and as base64 in an invoice."""
    if len(preimage) == 64:
        return preimage
    return base64.b64decode(preimage).hex() if preimage else ""


def send(node: LightningCounterpart, payment_request: str, *, max_fee_sat: int) -> dict[str, Any]:
    """Pay an invoice from the customer's node; returns LND's payment.

    Args:
        max_fee_sat: the most the routing may cost.

    Raises:
        OperationError: the node refused, could not, or does not answer.
    """
    # Only the node's own certificate is trusted, whatever authorities this machine knows.
    try:
        trust = ssl.create_default_context(cafile=node.tls_cert_path)
        macaroon = Path(node.macaroon_path).read_bytes().hex()
    except OSError as reason:
        raise OperationError(
            f"the customer's Lightning node has no {reason.filename or node.tls_cert_path}: run ./railyard up."
        ) from None
    body = {
        "payment_request": payment_request,
        "timeout_seconds": PAY_TIMEOUT_SECONDS,
        "fee_limit_sat": str(max_fee_sat),
        "no_inflight_updates": True,
    }
    try:
        with (
            httpx.Client(verify=trust, timeout=PAY_TIMEOUT_SECONDS + 10, trust_env=False) as http,
            http.stream(
                "POST", f"{node.url}/v2/router/send", json=body, headers={"Grpc-Metadata-macaroon": macaroon}
            ) as response,
        ):
            updates = [json.loads(line) for line in response.iter_lines() if line.strip()]
    except (httpx.TransportError, ValueError) as reason:
        raise OperationError(f"the customer's Lightning node at {node.url} does not answer: {reason}.") from None
    return _outcome(updates)


def _outcome(updates: list[dict[str, Any]]) -> dict[str, Any]:
    last = updates[-1] if updates else {}
    payment = last.get("result")
    if not isinstance(payment, dict):
        problem = last.get("error") if isinstance(last.get("error"), dict) else last
        said = (problem or {}).get("message", "it said nothing")
        raise OperationError(f"the customer's Lightning node would not pay: {said}.")
    if payment.get("status") != "SUCCEEDED":
        reason = payment.get("failure_reason", "no reason given")
        raise OperationError(f"the Lightning payment ended as {payment.get('status')}: {reason}.")
    return payment
