"""Fallback within Bitcoin: a payment goes on over another rail when the first provably did not pay it.

It is chosen when the payment is created, and happens once: from a provably dead attempt, or before anything was tried
(the first rail refuses the request, or is congested). An `unknown` never falls back, however long it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import UUID

import psycopg
import structlog

from payments import metrics
from payments.database import Queries, jsonb
from payments.errors import InvalidInput
from payments.payouts.amounts import fee_cap
from payments.payouts.schemas import NewPayment, Payment
from payments.rails.protocol import InvalidRequestError, Outcome, PayingRail, PaymentOrder, RailError

if TYPE_CHECKING:
    from payments.core import Core

# Money of one kind only: an asset is never exchanged, and retryable errors never cross to another kind of rail.
FALLS_BACK_TO = {"lnd": "onchain"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where a payment may go on; amounts in msat."""

    from_rail: str
    from_max_fee: int
    rail: str
    rail_id: str
    payment_request: str
    max_fee: int
    used_at: datetime | None = None


@runtime_checkable
class TellsCongestion(Protocol):
    """A rail that can say before submission that it cannot carry a payment now."""

    async def congestion(self, order: PaymentOrder) -> str:
        """Why not; "" when it can. Raises RailError."""


def drafted(core: Core, new: NewPayment, payment: Payment) -> Fallback | None:
    """The fallback that the caller chose, checked like a payment of its own.

    Args:
        core: whose rails may be used.
        new: what the caller wants.
        payment: as it was drafted for the first rail.

    Raises:
        InvalidInput: this rail cannot fall back there, or the request is not payable.
        NotFound: the rail is not offered here.
    """
    if new.fallback is None:
        return None
    if FALLS_BACK_TO.get(payment.rail) != new.fallback.rail:
        raise InvalidInput(f"A payment on {payment.rail!r} cannot fall back to {new.fallback.rail!r}.")
    rail = core.rail(new.fallback.rail, PayingRail)  # type: ignore[type-abstract]
    try:
        decoded = rail.decode(new.fallback.paymentRequest)
    except InvalidRequestError as error:
        raise InvalidInput(error.sentence, details={"field": "fallback.paymentRequest"}) from error
    if decoded.amount not in (None, payment.amount):
        raise InvalidInput(f"The fallback asks for {decoded.amount} msat, and the payment is {payment.amount} msat.")
    if payment.amount % 1000:
        raise InvalidInput("A payment that may fall back to the chain must be whole satoshis.")
    return Fallback(
        from_rail=payment.rail,
        from_max_fee=payment.max_fee,
        rail=rail.name,
        rail_id=decoded.rail_id,
        payment_request=new.fallback.paymentRequest.strip(),
        max_fee=fee_cap(core, new.fallback.maxFeeMsat, decoded.max_fee),
    )


async def find(database: Queries, payment_id: UUID) -> Fallback | None:
    """The fallback of a payment, used or not."""
    row = await database.one(
        "SELECT from_rail, from_max_fee, rail, rail_id, payment_request, max_fee, used_at "
        "FROM payments.payment_fallbacks WHERE payment_id = %s",
        (payment_id,),
        name="fallback_of_payment",
    )
    return Fallback(**row) if row else None


async def diverted(core: Core, payment: Payment, order: PaymentOrder) -> bool:
    """Whether the payment goes on with its fallback at once, because the first rail is congested. Before submission."""
    rail = core.rails.get(payment.rail)
    if not isinstance(rail, TellsCongestion):
        return False
    try:
        reason = await rail.congestion(order)
    except RailError:
        return False  # it is tried, and its outcome decides
    return bool(reason) and await begin(core, payment, reason, attempt_id=None, token=None, outcome=None)


async def begin(
    core: Core, payment: Payment, reason: str, *, attempt_id: UUID | None, token: UUID | None, outcome: Outcome | None
) -> bool:
    """Go on with the fallback; False when there is none, it was used, or it is switched off.

    Args:
        core: the process.
        payment: that the first rail did not make.
        reason: why.
        attempt_id, token: the dead attempt and its lease; None when nothing was tried.
        outcome: the attempt's, with its proof.
    """
    if "fallback" in await core.switches.stopping():
        return False
    try:
        began = await core.database.value(
            "SELECT payments.fall_back(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                payment.id,
                attempt_id,
                token,
                jsonb(dict(outcome.proof) if outcome else {}),
                reason,
                core.clock.now(),
                core.settings.release,
                "worker",
                "fallback",
            ),
            name="fall_back",
        )
    except psycopg.errors.UniqueViolation:
        _log.warning("a payment cannot fall back: its fallback is paid by another one", payment_id=str(payment.id))
        return False
    if began:
        metrics.FALLBACKS.labels(payment.rail).inc()
        _log.info("a payment falls back", payment_id=str(payment.id), reason=reason)
    return bool(began)
