"""SQL of approvals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from payments.database import Queries, Row

_IS_ABOVE = (
    "EXISTS (SELECT 1 FROM unnest(%s::text[], %s::numeric[]) AS t (asset, threshold) "
    "WHERE t.asset = p.asset AND p.amount > t.threshold)"
)


async def approve(
    database: Queries,
    payment_id: UUID,
    *,
    environment: str,
    caller_id: str,
    user_id: str,
    note: str,
    now: datetime,
    actor: str,
    release: str,
) -> bool | None:
    """Approve a payment and enqueue its sending. False: it was approved before. None: there is none.

    Raises:
        psycopg.Error: SQLSTATE RY007, by the one who asked for it; RY003, it is not waiting.
    """
    approved: bool | None = await database.value(
        "SELECT payments.approve_payment(%s, %s, %s, %s, %s, %s, %s, %s)",
        (payment_id, environment, caller_id, user_id, note, now, actor, release),
        name="approve_payment",
    )
    return approved


async def of_payment(database: Queries, payment_id: UUID) -> Row | None:
    """The approval of a payment."""
    return await database.one(
        "SELECT * FROM payments.approvals WHERE payment_id = %s", (payment_id,), name="approval_of_payment"
    )


async def enqueue_stranded(database: Queries, *, thresholds: Mapping[str, int], before: datetime, release: str) -> int:
    """Enqueue the sending of payments older than `before` that wait for nobody and that no job is there for."""
    return len(
        await database.all(
            "SELECT payments.enqueue_job('payments.send', 1, 'payment', p.id::text, "  # noqa: S608
            "jsonb_build_object('payment_id', p.id), %s) FROM payments.payments p WHERE p.state = 'created' "
            f"AND p.created_at < %s AND (NOT {_IS_ABOVE} "
            "OR EXISTS (SELECT 1 FROM payments.approvals a WHERE a.payment_id = p.id)) "
            "AND NOT EXISTS (SELECT 1 FROM procrastinate.procrastinate_jobs j WHERE j.lock = 'payment:' || p.id "
            "AND j.status IN ('todo', 'doing')) AND NOT EXISTS (SELECT 1 FROM payments.outbox o "
            "WHERE o.name = 'payments.send' AND o.subject_id = p.id::text) LIMIT 100",
            (release, before, list(thresholds), list(thresholds.values())),
            name="enqueue_stranded",
        )
    )


async def waiting(
    database: Queries, *, environment: str | None, thresholds: Mapping[str, int], before: datetime | None, limit: int
) -> list[Row]:
    """Payments above their asset's threshold that nobody approved, oldest first; those made before `before` alone if
    it is set."""
    return await database.all(
        f"SELECT p.* FROM payments.payments p WHERE p.state = 'created' AND {_IS_ABOVE} "  # noqa: S608
        "AND (%s::text IS NULL OR p.environment = %s) AND (%s::timestamptz IS NULL OR p.created_at < %s) "
        "AND NOT EXISTS (SELECT 1 FROM payments.approvals a WHERE a.payment_id = p.id) ORDER BY p.created_at LIMIT %s",
        (list(thresholds), list(thresholds.values()), environment, environment, before, before, limit),
        name="waiting_for_approval",
    )
