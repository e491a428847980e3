"""SQL of failures."""

from __future__ import annotations

from datetime import datetime

from payments.database import Queries


async def record(
    database: Queries, *, user_id: str, environment: str, what: str, now: datetime, since: datetime, limit: int
) -> int:
    """Record a failure; how many unreviewed ones there are since `since`."""
    return int(
        await database.value(
            "SELECT payments.record_failure(%s, %s, %s, %s, %s, %s)",
            (user_id, environment, what, now, since, limit),
            name="record_failure",
        )
    )


async def count(database: Queries, *, user_id: str, environment: str, since: datetime) -> int:
    """Unreviewed failures of a user since `since`."""
    return int(
        await database.value(
            "SELECT count(*) FROM payments.failures WHERE user_id = %s AND environment = %s AND NOT is_reviewed "
            "AND failed_at > %s",
            (user_id, environment, since),
            name="count_failures",
        )
    )


async def review(database: Queries, *, user_id: str, environment: str, note: str, actor: str) -> int:
    """Let the failures so far count no longer; how many there were."""
    return int(
        await database.value(
            "SELECT payments.review_failures(%s, %s, %s, %s)", (user_id, environment, note, actor), name="review"
        )
    )


async def forget(database: Queries, before: datetime) -> None:
    """Delete failures of before; the audit log keeps what they led to."""
    await database.run("DELETE FROM payments.failures WHERE failed_at < %s", (before,), name="forget_failures")
