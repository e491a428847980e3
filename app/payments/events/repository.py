"""SQL of events."""

from __future__ import annotations

from collections.abc import Sequence

from payments.database import Database, Row


async def after(
    database: Database, *, user_id: str, environment: str, position: int, names: Sequence[str], limit: int
) -> list[Row]:
    """A user's events after `position`, in their order.

    Positions are given out by relays that may run side by side: what was recorded after a transaction that is still
    open began is left out for now, so that a reader who goes on from the last one misses nothing. (No transaction is
    open for ten minutes; and after a restore from a dump the transaction numbers of old rows mean nothing.)
    """
    return await database.all(
        "SELECT * FROM payments.events WHERE user_id = %s AND environment = %s AND position > %s "
        "AND (cardinality(%s::text[]) = 0 OR name = ANY (%s)) "
        "AND (recorded_by < pg_snapshot_xmin(pg_current_snapshot()) OR recorded_at < now() - interval '10 minutes') "
        "ORDER BY position LIMIT %s",
        (user_id, environment, position, list(names), list(names), limit),
        name="events_after",
    )
