"""SQL of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from payments.database import Database, Queries, Row, Transaction
from payments.outbox.repository import publish_event
from payments.webhooks.schemas import Due

_DELIVERY = (
    "SELECT d.*, e.name FROM payments.webhook_deliveries d JOIN payments.webhook_endpoints w ON w.id = d.endpoint_id "
    "JOIN payments.events e ON e.id = d.event_id WHERE w.user_id = %s AND w.environment = %s "
)


async def insert(
    database: Queries,
    *,
    endpoint_id: UUID,
    user_id: str,
    environment: str,
    url: str,
    description: str,
    event_types: Sequence[str],
    now: datetime,
) -> Row:
    """Register an endpoint."""
    row = await database.one(
        "INSERT INTO payments.webhook_endpoints (id, user_id, environment, url, description, event_types, created_at, "
        "updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING *",
        (endpoint_id, user_id, environment, url, description, list(event_types), now, now),
        name="insert_endpoint",
    )
    assert row is not None
    return row


async def endpoints(database: Queries, *, user_id: str, environment: str) -> list[Row]:
    """A user's endpoints, oldest first."""
    return await database.all(
        "SELECT * FROM payments.webhook_endpoints WHERE user_id = %s AND environment = %s ORDER BY id",
        (user_id, environment),
        name="endpoints",
    )


async def endpoint(database: Queries, endpoint_id: UUID, *, user_id: str, environment: str) -> Row | None:
    """A user's endpoint."""
    return await database.one(
        "SELECT * FROM payments.webhook_endpoints WHERE id = %s AND user_id = %s AND environment = %s",
        (endpoint_id, user_id, environment),
        name="endpoint",
    )


async def delete(database: Database, endpoint_id: UUID, *, user_id: str, environment: str) -> bool:
    """Forget an endpoint and its deliveries."""
    row = await database.one(
        "DELETE FROM payments.webhook_endpoints WHERE id = %s AND user_id = %s AND environment = %s RETURNING id",
        (endpoint_id, user_id, environment),
        name="delete_endpoint",
    )
    return row is not None


async def rotate(
    database: Queries,
    endpoint_id: UUID,
    *,
    user_id: str,
    environment: str,
    previous_until: datetime,
    now: datetime,
) -> Row | None:
    """Count the secret's version up; the one before signs as well until `previous_until`."""
    return await database.one(
        "UPDATE payments.webhook_endpoints SET secret_version = secret_version + 1, previous_secret_until = %s, "
        "updated_at = %s WHERE id = %s AND user_id = %s AND environment = %s RETURNING *",
        (previous_until, now, endpoint_id, user_id, environment),
        name="rotate_endpoint",
    )


async def set_enabled(
    database: Queries, endpoint_id: UUID, *, user_id: str, environment: str, enabled: bool, now: datetime
) -> Row | None:
    """Turn an endpoint on or off by its owner's wish."""
    return await database.one(
        "UPDATE payments.webhook_endpoints SET enabled = %s, disabled_reason = %s, updated_at = %s "
        "WHERE id = %s AND user_id = %s AND environment = %s RETURNING *",
        (enabled, "" if enabled else "turned off by its owner", now, endpoint_id, user_id, environment),
        name="enable_endpoint",
    )


async def disable(database: Database, endpoint_id: UUID, reason: str) -> None:
    """Turn an endpoint off because of what it answered."""
    await database.run(
        "UPDATE payments.webhook_endpoints SET enabled = false, disabled_reason = %s, updated_at = now() WHERE id = %s",
        (reason, endpoint_id),
        name="disable_endpoint",
    )


async def publish_test(transaction: Transaction, endpoint_id: UUID, *, user_id: str, environment: str) -> None:
    """Publish an event for the user's endpoints that want webhook.test, or everything."""
    await publish_event(
        transaction.connection,
        name="webhook.test",
        subject_kind="webhook_endpoint",
        subject_id=str(endpoint_id),
        user_id=user_id,
        environment=environment,
        payload={"endpointId": str(endpoint_id)},
    )


async def deliveries(
    database: Database, *, user_id: str, environment: str, endpoint_id: UUID | None, state: str | None, limit: int
) -> list[Row]:
    """A user's deliveries, newest first."""
    return await database.all(
        _DELIVERY + "AND (%s::uuid IS NULL OR d.endpoint_id = %s) AND (%s::text IS NULL OR d.state = %s) "
        "ORDER BY d.created_at DESC, d.event_id DESC LIMIT %s",
        (user_id, environment, endpoint_id, endpoint_id, state, state, limit),
        name="deliveries",
    )


async def replay(database: Queries, delivery_id: UUID, *, user_id: str, environment: str) -> Row | None:
    """Send a delivery again, from now, for another 72 hours."""
    await database.run(
        "UPDATE payments.webhook_deliveries d SET state = 'pending', next_attempt_at = clock_timestamp(), "
        "first_attempt_at = NULL, finished_at = NULL FROM payments.webhook_endpoints w "
        "WHERE w.id = d.endpoint_id AND d.id = %s AND w.user_id = %s AND w.environment = %s AND d.state <> 'pending'",
        (delivery_id, user_id, environment),
        name="replay_delivery",
    )
    return await database.one(_DELIVERY + "AND d.id = %s", (user_id, environment, delivery_id), name="delivery")


async def take(database: Database, *, token: UUID, lease_seconds: float, limit: int) -> list[Due]:
    """Deliveries that are due, held by `token`."""
    rows = await database.all(
        "SELECT * FROM payments.take_deliveries(%s, %s, %s)", (token, lease_seconds, limit), name="take_deliveries"
    )
    return [Due.of(row) for row in rows]


async def finish(
    database: Database,
    delivery_id: UUID,
    *,
    token: UUID,
    state: str,
    status: int | None,
    error: str,
    next_seconds: float | None,
) -> bool:
    """Write what came of an attempt; False when the lease was taken over."""
    written = await database.value(
        "SELECT payments.finish_delivery(%s, %s, %s, %s, %s, %s)",
        (delivery_id, token, state, status, error[:300], next_seconds),
        name="finish_delivery",
    )
    return bool(written)


async def figures(database: Database) -> tuple[int, float]:
    """How many deliveries are due, and for how many seconds the oldest has been."""
    row = await database.one(
        "SELECT count(*) AS number, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float8 AS lag "
        "FROM payments.webhook_deliveries WHERE state = 'pending' AND next_attempt_at <= now()",
        name="delivery_figures",
    )
    return (row["number"], row["lag"]) if row else (0, 0.0)
