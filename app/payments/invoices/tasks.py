"""The worker's part of invoices: finishing those whose making was interrupted, and expiry."""

from __future__ import annotations

from payments import metrics
from payments.attempts.schemas import Attempt
from payments.core import Core
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.invoices import repository
from payments.invoices.repository import Actor
from payments.invoices.service import order_of
from payments.rails.protocol import ReceivingRail
from payments.worker.work import Duty, LookUp

# An arrival may be reported a little after it happened.
EXPIRY_GRACE_SECONDS = 60.0
_BATCH = 500


async def look_up_invoice(core: Core, attempt: Attempt) -> str:
    """Find out whether the rail has the invoice; it was never shown to anybody unless its request comes again."""
    invoice = await repository.by_id(core.database, attempt.subject_id)
    assert invoice is not None, "an attempt's invoice is written in the same transaction"
    rail = core.rail(attempt.rail, ReceivingRail)  # type: ignore[type-abstract]
    on_rail = await rail.look_up_invoice(order_of(core, invoice))
    actor = Actor("worker", "lease ran out")
    lease = IdempotencyKey("", "", "", None, b"", attempt.token)
    if on_rail is None:
        await repository.fail(
            core.database,
            invoice.id,
            key=lease,
            proof={"look_up": "the rail has no such invoice"},
            reason="its making was interrupted before the rail had it",
            now=core.clock.now(),
            actor=actor,
        )
        return "dead"
    await repository.open_(
        core.database,
        invoice.with_rail(on_rail.payment_request, on_rail.expires_at),
        key=lease,
        proof={"rail_id": on_rail.rail_id, **on_rail.facts},
        now=core.clock.now(),
        answer=Answer(200, b""),
        actor=actor,
    )
    return "succeeded"


async def expire_invoices(core: Core) -> None:
    """Mark invoices whose time is over."""
    while True:
        expired = await repository.expire(
            core.database, core.clock.now(), grace_seconds=EXPIRY_GRACE_SECONDS, limit=_BATCH
        )
        metrics.INVOICES.labels("expired").inc(expired)
        if expired < _BATCH:
            return


LOOK_UPS = (LookUp("create_invoice", look_up_invoice),)
DUTIES = (Duty("expire invoices", 60.0, expire_invoices),)
