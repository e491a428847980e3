"""SQL of suspense."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from payments.database import Database, Queries
from payments.suspense.schemas import Suspended, SuspenseState

_COLUMNS = (
    "id, rail, event_id, invoice_id, user_id, environment, asset, amount, disposition, late_seconds, state, "
    "decided_by, reason, created_at"
)


async def by_id(
    database: Queries, suspense_id: UUID, *, user_id: str | None, environment: str, lock: bool = False
) -> Suspended | None:
    """A user's amount in suspense (None: anybody's, and nobody's); locked, if asked, in the order of ROW_LOCKS."""
    if lock:
        await database.run(
            "SELECT 1 FROM payments.invoices WHERE id = (SELECT invoice_id FROM payments.suspense WHERE id = %s) "
            "FOR NO KEY UPDATE",
            (suspense_id,),
            name="lock_invoice_of_suspense",
        )
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.suspense WHERE id = %s AND (user_id = %s AND environment = %s "  # noqa: S608
        "OR %s::text IS NULL AND environment IN (%s, ''))" + (" FOR NO KEY UPDATE" if lock else ""),
        (suspense_id, user_id, environment, user_id, environment),
        name="suspense_by_id",
    )
    return Suspended.of(row) if row else None


async def page(
    database: Database,
    *,
    user_id: str | None,
    environment: str,
    state: SuspenseState | None,
    before: UUID | None,
    limit: int,
) -> list[Suspended]:
    """Amounts in suspense, newest first; of everybody and nobody when `user_id` is None."""
    rows = await database.all(
        f"SELECT {_COLUMNS} FROM payments.suspense WHERE (user_id = %s AND environment = %s "  # noqa: S608
        "OR %s::text IS NULL AND environment IN (%s, '')) AND (%s::text IS NULL OR state = %s) "
        "AND (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s",
        (user_id, environment, user_id, environment, state, state, before, before, limit),
        name="suspense_page",
    )
    return [Suspended.of(row) for row in rows]


async def accept(
    database: Queries,
    suspense_id: UUID,
    *,
    user_id: str,
    environment: str,
    reason: str,
    now: datetime,
    actor: str,
    cause: str,
) -> Suspended | None:
    """Credit an amount; None when it is no longer open."""
    row = await database.one(
        "SELECT * FROM payments.accept_suspense(%s, %s, %s, %s, %s, %s, %s)",
        (suspense_id, user_id, environment, reason, now, actor, cause),
        name="accept_suspense",
    )
    return Suspended.of(row) if row and row["id"] is not None else None


async def set_state(database: Queries, suspense_id: UUID, state: SuspenseState, *, now: datetime) -> None:
    """Move an amount on; PostgreSQL refuses what the machine does not allow."""
    await database.run(
        "UPDATE payments.suspense SET state = %s, updated_at = %s WHERE id = %s",
        (state.value, now, suspense_id),
        name="set_suspense_state",
    )


async def acceptable(database: Database, *, overpaid: int, late_seconds: float, limit: int) -> list[Suspended]:
    """Open amounts that the rule accepts: BTC paid above the amount up to `overpaid` msat, or late up to so long."""
    rows = await database.all(
        f"SELECT {_COLUMNS} FROM payments.suspense WHERE state = 'open' AND asset = 'BTC' AND user_id <> '' "  # noqa: S608
        "AND (disposition = 'overpaid' AND amount <= %s OR disposition = 'paid_late' AND late_seconds > 0 "
        "AND late_seconds <= %s) ORDER BY id LIMIT %s",
        (overpaid, late_seconds, limit),
        name="acceptable_suspense",
    )
    return [Suspended.of(row) for row in rows]


async def open_figures(database: Database) -> list[tuple[str, str, int, int]]:
    """Rail, asset, number and sum of what is open."""
    rows = await database.all(
        "SELECT rail, asset, count(*) AS number, sum(amount) AS amount FROM payments.suspense WHERE state = 'open' "
        "GROUP BY rail, asset",
        name="open_suspense",
    )
    return [(row["rail"], row["asset"], row["number"], row["amount"]) for row in rows]
