"""Rules of approvals. The signer checks them again in PostgreSQL before anything leaves
(`payments.check_departure`)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import structlog

from payments.api_keys.schemas import Caller
from payments.approvals import repository
from payments.approvals.schemas import ApprovalView, NewApproval, WaitingPayment
from payments.clock import iso
from payments.database import Transaction
from payments.errors import Conflict, Forbidden, NotFound
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import in_one_transaction

if TYPE_CHECKING:
    from payments.core import Core

SHOWN = 200
_log = structlog.get_logger(__name__)


async def approve(core: Core, caller: Caller, payment_id: UUID, new: NewApproval, key: IdempotencyKey) -> Answer:
    """Approve a payment of somebody else.

    Raises:
        Forbidden: by the user or the key that asked for it, or by the bootstrap credential, which is no person.
        NotFound: there is no such payment.
        Conflict: it waits for no approval.
    """
    if caller.id == "bootstrap":
        raise Forbidden("The bootstrap credential makes keys: approve with a person's admin key.")

    async def effect(transaction: Transaction) -> Answer:
        approved = await repository.approve(
            transaction,
            payment_id,
            environment=caller.environment,
            caller_id=caller.id,
            user_id=caller.user_id,
            note=new.note,
            now=core.clock.now(),
            actor=caller.actor,
            release=core.settings.release,
        )
        if approved is None:
            raise NotFound("There is no such payment.")
        row = await repository.of_payment(transaction, payment_id)
        assert row is not None
        return Answer.of(200, ApprovalView.of(row).model_dump(mode="json"))

    try:
        answer = await in_one_transaction(core, key, effect)
    except psycopg.DatabaseError as error:
        if error.sqlstate == "RY007":
            raise Forbidden(error.diag.message_primary or "Somebody else has to approve it.") from error
        if error.sqlstate == "RY003":
            raise Conflict(error.diag.message_primary or "It waits for no approval.") from error
        raise
    _log.info("payment approved", payment_id=str(payment_id), by=caller.actor)
    return answer


async def waiting(core: Core, caller: Caller) -> list[WaitingPayment]:
    """Payments that wait for a second person, oldest first."""
    thresholds = core.settings.approval_thresholds()
    rows = await repository.waiting(
        core.database, environment=caller.environment, thresholds=thresholds, before=None, limit=SHOWN
    )
    return [
        WaitingPayment(
            paymentId=row["id"],
            userId=row["user_id"],
            rail=row["rail"],
            asset=row["asset"],
            amount=row["amount"],
            memo=row["memo"],
            createdAt=iso(row["created_at"]),
        )
        for row in rows
    ]
