"""SQL of idempotency keys. A domain that claims inside its own SQL function reads the claim with `claim_of`."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from payments.database import Database, Queries, Row, jsonb
from payments.idempotency.schemas import Answer, Claim, ClaimOutcome, IdempotencyKey


def claim_of(row: Row | None) -> Claim:
    """The claim in a row of the SQL type payments.claim."""
    assert row is not None, "payments.claim functions return one row"
    answer = None
    if row["outcome"] == ClaimOutcome.REPLAY:
        answer = Answer(row["status"], bytes(row["body"]), row["headers"])
    return Claim(ClaimOutcome(row["outcome"]), row["subject_id"], row["retry_after_seconds"] or 0.0, answer)


async def claim(database: Queries, key: IdempotencyKey, subject_id: UUID, lease_seconds: float) -> Claim:
    """Claim `key` for `lease_seconds`; `subject_id` is what a later holder will look up."""
    row = await database.one(
        "SELECT * FROM payments.claim_key(%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            key.caller_id,
            key.environment,
            key.route,
            key.key,
            key.fingerprint,
            key.token,
            lease_seconds,
            subject_id,
        ),
        name="claim_key",
    )
    return claim_of(row)


async def complete_within(connection: AsyncConnection[DictRow], key: IdempotencyKey, answer: Answer) -> bool:
    """Store the answer inside the transaction of the effect; False when somebody else holds or finished the key."""
    cursor = await connection.execute(
        "SELECT payments.complete_key(%s, %s, %s, %s, %s, %s, %s, %s) AS stored",
        (
            key.caller_id,
            key.environment,
            key.route,
            key.key,
            key.token,
            answer.status,
            jsonb(dict(answer.headers)),
            answer.body,
        ),
    )
    row = await cursor.fetchone()
    return bool(row and row["stored"])


async def complete(database: Database, key: IdempotencyKey, answer: Answer) -> bool:
    """Store the answer in a transaction of its own."""
    async with database.connection() as connection:
        return await complete_within(connection, key, answer)


async def release(database: Database, key: IdempotencyKey) -> bool:
    """Give the key back after an error before any effect."""
    released = await database.value(
        "SELECT payments.release_key(%s, %s, %s, %s, %s)",
        (key.caller_id, key.environment, key.route, key.key, key.token),
        name="release_key",
    )
    return bool(released)


async def make_partitions(database: Database, days: int) -> int:
    """Partitions of stored answers for the coming `days`; returns how many were made."""
    return int(await database.value("SELECT payments.make_partitions(%s)", (days,), name="make_partitions"))


async def forget(database: Database, days: int, limit: int) -> int:
    """Forget keys older than `days` (at least 30), `limit` at a time; returns how many went."""
    return int(
        await database.value("SELECT payments.forget_idempotency(%s, %s)", (days, limit), name="forget_idempotency")
    )


async def stored(database: Queries, key: IdempotencyKey) -> Answer | None:
    """The answer that this very request got before; None also while it is still running."""
    row = await database.one(
        "SELECT r.status, r.headers, r.body FROM payments.idempotency_keys k "
        "JOIN payments.idempotency_responses r ON r.day = k.day AND r.key_id = k.id WHERE k.caller_id = %s "
        "AND k.environment = %s AND k.route = %s AND k.key = %s AND k.fingerprint = %s AND k.done",
        (key.caller_id, key.environment, key.route, key.key, key.fingerprint),
        name="stored_answer",
    )
    return Answer(row["status"], bytes(row["body"]), row["headers"]) if row else None
