"""SQL of events."""

from __future__ import annotations

from collections.abc import Sequence

from payments.database import Database, Row


async def after(
    database: Database, *, user_id: str, environment: str, position: int, names: Sequence[str], limit: int
) -> list[Row]:
    """A user's events after `position`. Positions become visible in order: going on from the last misses none."""
    return await database.all(
        "SELECT * FROM payments.events WHERE user_id = %s AND environment = %s AND position > %s "
        "AND (cardinality(%s::text[]) = 0 OR name = ANY (%s)) ORDER BY position LIMIT %s",
        (user_id, environment, position, list(names), list(names), limit),
        name="events_after",
    )
