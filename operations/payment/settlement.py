"""Waits for the service's word that an invoice is paid."""

from __future__ import annotations

from typing import Any

from operations.payment.receipt import PAID
from operations.service import PaymentService

SETTLE_WITHIN_SECONDS = 30.0
MSAT_PER_SAT = 1_000


def wait_until_paid(service: PaymentService, invoice: str) -> dict[str, Any]:
    """The invoice of this id or payment hash, as the service has it once it needs no more money.

    Raises:
        OperationError: the service saw no payment within `SETTLE_WITHIN_SECONDS`.
    """
    return service.wait_for(
        f"the invoice {invoice}",
        lambda: service.get(f"/v1/invoices/{invoice}"),
        lambda found: str(found.get("status")) in PAID,
        SETTLE_WITHIN_SECONDS,
    )
