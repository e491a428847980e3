"""SQL of attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from payments.attempts.schemas import Attempt
from payments.database import Database, jsonb


async def start(
    database: Database,
    *,
    attempt_id: UUID,
    kind: str,
    rail: str,
    rail_id: str,
    subject_kind: str,
    subject_id: UUID,
    token: UUID,
    lease_seconds: float,
    payload: Mapping[str, Any],
    release: str,
) -> None:
    """Write an attempt before its effect, in a transaction of its own.

    Raises:
        psycopg.errors.UniqueViolation: the subject has an attempt that is not dead, or the same effect is tried for
            another subject.
    """
    await database.run(
        "SELECT payments.start_attempt(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            attempt_id,
            kind,
            rail,
            rail_id,
            subject_kind,
            subject_id,
            token,
            lease_seconds,
            jsonb(dict(payload)),
            release,
        ),
        name="start_attempt",
    )


async def finish(
    database: Database,
    *,
    attempt_id: UUID,
    token: UUID,
    state: str,
    proof: Mapping[str, Any],
    reason: str,
    look_again_seconds: float,
) -> bool:
    """Write what is known; False when the lease was taken over or the attempt is final already."""
    written = await database.value(
        "SELECT payments.finish_attempt(%s, %s, %s, %s, %s, %s)",
        (attempt_id, token, state, jsonb(dict(proof)), reason, look_again_seconds),
        name="finish_attempt",
    )
    return bool(written)


async def take_over(
    database: Database, *, token: UUID, lease_seconds: float, limit: int, rails: Iterable[str]
) -> list[Attempt]:
    """Attempts of `rails` whose lease ran out and which are due, now held by `token`."""
    rows = await database.all(
        "SELECT * FROM payments.take_over_attempts(%s, %s, %s, %s)",
        (token, lease_seconds, limit, list(rails)),
        name="take_over_attempts",
    )
    return [Attempt.of(row) for row in rows]


async def alive_of(database: Database, kind: str, subject_id: UUID) -> Attempt | None:
    """The attempt of a subject that is not dead."""
    row = await database.one(
        "SELECT * FROM payments.attempts WHERE kind = %s AND subject_id = %s AND state <> 'dead'",
        (kind, subject_id),
        name="alive_attempt",
    )
    return Attempt.of(row) if row else None


async def open_figures(database: Database) -> dict[str, tuple[int, float]]:
    """How many attempts are in each state that is not final, and the age of the oldest in seconds."""
    rows = await database.all(
        "SELECT state, count(*) AS number, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest "
        "FROM payments.attempts WHERE state IN ('started', 'in_flight', 'unknown') GROUP BY state",
        name="open_attempts",
    )
    return {row["state"]: (row["number"], row["oldest"]) for row in rows}
