"""SQL of the queue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from payments.attempts.schemas import Attempt
from payments.database import Database, Queries, Row, jsonb

_OPEN = "state IN ('started', 'in_flight', 'unknown')"


async def waiting(database: Database, limit: int) -> list[Row]:
    """Attempts that wait for a person, oldest first."""
    return await database.all(
        "SELECT a.*, (SELECT p.refund_id FROM payments.payments p WHERE p.id = a.subject_id) AS refund_id "  # noqa: S608
        f"FROM payments.attempts a WHERE person_since IS NOT NULL AND {_OPEN} ORDER BY person_since LIMIT %s",
        (limit,),
        name="waiting_attempts",
    )


async def call(database: Database, *, after_seconds: float, limit: int) -> int:
    """Put attempts before a person that have been open for so long; returns how many."""
    return int(
        await database.value("SELECT payments.call_for_person(%s, %s)", (after_seconds, limit), name="call_for_person")
    )


async def waiting_payment(database: Queries, attempt_id: UUID) -> Row | None:
    """An attempt to pay that waits for a person."""
    return await database.one(
        f"SELECT * FROM payments.attempts WHERE id = %s AND kind = 'pay' AND person_since IS NOT NULL AND {_OPEN} "  # noqa: S608
        "FOR NO KEY UPDATE",
        (attempt_id,),
        name="waiting_payment",
    )


async def enqueue_verdict(database: Queries, attempt_id: UUID, payload: dict[str, Any], release: str) -> None:
    """Let the worker see to a verdict."""
    await database.run(
        "SELECT payments.enqueue_job('payments.verdict', 1, 'attempt', %s, %s, %s)",
        (str(attempt_id), jsonb(payload), release),
        name="enqueue_verdict",
    )


async def take(database: Database, attempt_id: UUID, *, token: UUID, lease_seconds: float) -> Attempt | None:
    """Take the lease of one open attempt; None when somebody holds it, or it is over."""
    row = await database.one(
        "UPDATE payments.attempts SET lease_token = %s, look_ups = look_ups + 1, updated_at = clock_timestamp(), "  # noqa: S608
        "lease_until = clock_timestamp() + make_interval(secs => %s), "
        "next_look_at = clock_timestamp() + make_interval(secs => %s) "
        f"WHERE id = %s AND {_OPEN} AND lease_until <= clock_timestamp() RETURNING *",
        (token, lease_seconds, lease_seconds, attempt_id),
        name="take_attempt",
    )
    return Attempt.of(row) if row else None


async def is_open(database: Database, attempt_id: UUID) -> bool:
    """Whether an attempt has no final state."""
    found = await database.value(
        f"SELECT 1 FROM payments.attempts WHERE id = %s AND {_OPEN}",  # noqa: S608
        (attempt_id,),
        name="is_attempt_open",
    )
    return found is not None


async def audit(
    database: Queries, *, actor: str, cause: str, action: str, kind: str, identity: str, detail: Any
) -> None:
    """Write down what a person decided."""
    await database.run(
        "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, detail) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (actor, cause, action, kind, identity, jsonb(detail)),
        name="audit_decision",
    )


async def figures(database: Database) -> dict[str, int]:
    """How much waits, by kind."""
    row = await database.one(
        "SELECT (SELECT count(*) FROM payments.attempts WHERE person_since IS NOT NULL "  # noqa: S608
        f"AND {_OPEN}) AS attempts, (SELECT count(*) FROM payments.suspense WHERE state = 'open') AS suspense, "
        "(SELECT count(*) FROM payments.discrepancies WHERE resolved_at IS NULL) AS discrepancies",
        name="human_queue_figures",
    )
    return dict(row or {})
