"""SQL of the outbox. Most rows are written by the SQL functions of the domains themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from payments.database import Database, Row, jsonb


async def enqueue_job(
    connection: AsyncConnection[DictRow],
    *,
    name: str,
    contract_version: int,
    subject_kind: str,
    subject_id: str,
    payload: Mapping[str, Any],
    release: str,
) -> None:
    """Enqueue a job inside the caller's transaction; the worker's handler of that name and version will get it."""
    await connection.execute(
        "SELECT payments.enqueue_job(%s, %s, %s, %s, %s, %s)",
        (name, contract_version, subject_kind, subject_id, jsonb(dict(payload)), release),
    )


async def publish_event(
    connection: AsyncConnection[DictRow],
    *,
    name: str,
    subject_kind: str,
    subject_id: str,
    user_id: str,
    environment: str,
    payload: Mapping[str, Any],
) -> None:
    """Publish an event inside the caller's transaction."""
    await connection.execute(
        "SELECT payments.publish_event(%s, %s, %s, %s, %s, %s)",
        (name, subject_kind, subject_id, user_id, environment, jsonb(dict(payload))),
    )


async def take(connection: AsyncConnection[DictRow], limit: int) -> list[Row]:
    """Take up to `limit` rows out; events are recorded by it, jobs are the caller's to defer in this transaction."""
    cursor = await connection.execute("SELECT * FROM payments.take_outbox(%s)", (limit,))
    return await cursor.fetchall()


async def lag_seconds(database: Database) -> float:
    """Age of the oldest row that waits."""
    lag = await database.value(
        "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM payments.outbox ORDER BY id LIMIT 1",
        name="outbox_lag",
    )
    return float(lag or 0.0)
