"""SQL of refunds. What a refund's payment ends in is written by a trigger, in the payment's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from payments.database import Database, Queries, jsonb
from payments.refunds.schemas import Refund, RefundState

_COLUMNS = (
    "id, user_id, environment, rail, asset, amount, suspense_id, invoice_id, payment_id, tries, memo, metadata, "
    "external_id, state, reason, created_at, updated_at, finished_at"
)


async def act_as(database: Queries, actor: str, cause: str) -> None:
    """Name who changes something in this transaction, and why."""
    await database.run("SELECT payments.act_as(%s, %s)", (actor, cause), name="act_as")


async def insert(database: Queries, refund: Refund) -> None:
    """Write a new refund.

    Raises:
        psycopg.errors.UniqueViolation: the external id is taken, or the amount in suspense is being refunded.
    """
    await database.run(
        "INSERT INTO payments.refunds (id, user_id, environment, rail, asset, amount, suspense_id, invoice_id, memo, "
        "metadata, external_id, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            refund.id,
            refund.user_id,
            refund.environment,
            refund.rail,
            refund.asset,
            refund.amount,
            refund.suspense_id,
            refund.invoice_id,
            refund.memo,
            jsonb(dict(refund.metadata)),
            refund.external_id,
            refund.created_at,
            refund.updated_at,
        ),
        name="insert_refund",
    )


async def refundable(database: Queries, invoice_id: UUID) -> int:
    """What may still be refunded of an invoice; locks it."""
    return int(await database.value("SELECT payments.refundable(%s)", (invoice_id,), name="refundable") or 0)


async def fund(database: Queries, refund_id: UUID, payment_id: UUID) -> None:
    """Move what is in suspense to the refund's owner, to be paid with."""
    await database.run("SELECT payments.fund_refund(%s, %s)", (refund_id, payment_id), name="fund_refund")


async def set_sending(database: Queries, refund_id: UUID, payment_id: UUID, *, now: datetime) -> Refund:
    """The refund is sent by this payment."""
    row = await database.one(
        "UPDATE payments.refunds SET state = 'sending', payment_id = %s, tries = tries + 1, reason = '', "  # noqa: S608
        f"updated_at = %s WHERE id = %s RETURNING {_COLUMNS}",
        (payment_id, now, refund_id),
        name="send_refund",
    )
    assert row is not None
    return Refund.of(row)


async def set_cancelled(database: Queries, refund_id: UUID, *, now: datetime) -> Refund:
    """The refund will not be."""
    row = await database.one(
        "UPDATE payments.refunds SET state = 'cancelled', updated_at = %s, finished_at = %s "  # noqa: S608
        f"WHERE id = %s RETURNING {_COLUMNS}",
        (now, now, refund_id),
        name="cancel_refund",
    )
    assert row is not None
    return Refund.of(row)


async def by_id(
    database: Queries, refund_id: UUID, *, user_id: str | None, environment: str, lock: bool = False
) -> Refund | None:
    """A user's refund (None: anybody's)."""
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.refunds WHERE id = %s AND environment = %s "  # noqa: S608
        "AND (%s::text IS NULL OR user_id = %s)" + (" FOR NO KEY UPDATE" if lock else ""),
        (refund_id, environment, user_id, user_id),
        name="refund_by_id",
    )
    return Refund.of(row) if row else None


async def mark_payment(database: Queries, refund_id: UUID, payment_id: UUID) -> None:
    """Say in the payment which refund it sends."""
    await database.run(
        "UPDATE payments.payments SET refund_id = %s WHERE id = %s", (refund_id, payment_id), name="mark_refund_payment"
    )


async def page(
    database: Database,
    *,
    user_id: str,
    environment: str,
    states: Sequence[RefundState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Refund]:
    """Refunds of a user, newest first, older than `before`."""
    rows = await database.all(
        f"SELECT {_COLUMNS} FROM payments.refunds WHERE user_id = %s AND environment = %s "  # noqa: S608
        "AND (%s::uuid IS NULL OR id < %s) AND (cardinality(%s::text[]) = 0 OR state = ANY (%s)) "
        "AND (%s::text IS NULL OR external_id = %s) ORDER BY id DESC LIMIT %s",
        (user_id, environment, before, before, list(states), list(states), external_id, external_id, limit),
        name="refund_page",
    )
    return [Refund.of(row) for row in rows]
