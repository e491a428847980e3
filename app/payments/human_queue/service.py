"""Rules of the queue. A person's word about a payment counts only where the rail has none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from payments.api_keys.schemas import Caller
from payments.clock import iso
from payments.database import Transaction
from payments.errors import Conflict, NotFound
from payments.human_queue import repository
from payments.human_queue.schemas import (
    Explanation,
    HumanQueue,
    Verdict,
    VerdictView,
    WaitingAttempt,
    WaitingDiscrepancy,
)
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import in_one_transaction
from payments.reconciliation import repository as reconciliation

if TYPE_CHECKING:
    from payments.core import Core

SHOWN = 200


async def listed(core: Core) -> HumanQueue:
    """What waits, oldest first."""
    attempts = await repository.waiting(core.database, SHOWN)
    discrepancies = await reconciliation.open_(core.database, SHOWN)
    return HumanQueue(
        attempts=[
            WaitingAttempt(
                id=row["id"],
                kind=row["kind"],
                rail=row["rail"],
                railId=row["rail_id"],
                subjectKind=row["subject_kind"],
                subjectId=row["subject_id"],
                refundId=row["refund_id"],
                state=row["state"],
                reason=row["reason"],
                lookUps=row["look_ups"],
                createdAt=iso(row["created_at"]),
                waitsSince=iso(row["person_since"]),
            )
            for row in attempts
        ],
        discrepancies=[
            WaitingDiscrepancy(
                id=row["id"],
                rail=row["rail"],
                kind=row["kind"],
                subject=row["subject"],
                asset=row["asset"],
                difference=row["difference"],
                detail=row["detail"],
                foundAt=iso(row["found_at"]),
            )
            for row in discrepancies
        ],
        suspense=(await repository.figures(core.database))["suspense"],
    )


async def decide(core: Core, caller: Caller, attempt_id: UUID, verdict: Verdict, key: IdempotencyKey) -> Answer:
    """Take a verdict down; the worker asks the rail once more and then writes it.

    Raises:
        NotFound: no payment's attempt with this id waits for a person.
    """

    async def effect(transaction: Transaction) -> Answer:
        if await repository.waiting_payment(transaction, attempt_id) is None:
            raise NotFound("No payment's attempt with this id waits for a person.")
        payload = {
            "attempt_id": str(attempt_id),
            "outcome": verdict.outcome,
            "fee": verdict.fee,
            "evidence": verdict.evidence,
            "by": caller.actor,
        }
        await repository.enqueue_verdict(transaction, attempt_id, payload, core.settings.release)
        await repository.audit(
            transaction,
            actor=caller.actor,
            cause=key.route,
            action="verdict",
            kind="attempt",
            identity=str(attempt_id),
            detail={"outcome": verdict.outcome, "fee": verdict.fee, "evidence": verdict.evidence},
        )
        view = VerdictView(attemptId=attempt_id, outcome=verdict.outcome)
        return Answer.of(202, view.model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def explain(core: Core, caller: Caller, discrepancy_id: UUID, wish: Explanation, key: IdempotencyKey) -> Answer:
    """Close a discrepancy with its explanation.

    Raises:
        Conflict: it is closed already, or there is none.
    """

    async def effect(transaction: Transaction) -> Answer:
        row = await reconciliation.resolve(
            transaction, discrepancy_id, now=core.clock.now(), by=caller.actor, resolution=wish.resolution
        )
        if row is None:
            raise Conflict("There is no open discrepancy with this id.")
        await repository.audit(
            transaction,
            actor=caller.actor,
            cause=key.route,
            action="explained",
            kind="discrepancy",
            identity=str(discrepancy_id),
            detail={"resolution": wish.resolution, "difference": row["difference"], "rail": row["rail"]},
        )
        return Answer.of(200, {"id": str(discrepancy_id), "resolution": wish.resolution})

    return await in_one_transaction(core, key, effect)
