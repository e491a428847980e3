"""SQL of API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from payments.database import Database, Row

_SHOWN = "id, prefix, name, user_id, environment, permissions, unlimited, revoked, expires_at, last_used_at, created_at"


async def insert(
    connection: AsyncConnection[DictRow],
    *,
    key_id: UUID,
    digest: bytes,
    pepper_version: int,
    prefix: str,
    name: str,
    user_id: str,
    environment: str,
    permissions: Sequence[str],
    unlimited: bool,
    expires_at: datetime | None,
    created_at: datetime,
    actor: str,
) -> None:
    """Write a key and its line in the audit log, inside the caller's transaction."""
    await connection.execute(
        "INSERT INTO x402.api_keys (id, key, pepper_version, prefix, name, user_id, environment, permissions, "
        "unlimited, expires_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            key_id,
            digest,
            pepper_version,
            prefix,
            name,
            user_id,
            environment,
            list(permissions),
            unlimited,
            expires_at,
            created_at,
        ),
    )
    await connection.execute(
        "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, status) "
        "VALUES (%s, 'api', 'created', 'api_key', %s, %s, 'active')",
        (actor, str(key_id), user_id),
    )


async def find(database: Database, digests: Sequence[bytes]) -> Row | None:
    """The key with one of `digests` (one a pepper), whatever its state."""
    return await database.one(
        "SELECT id, user_id, environment, permissions, unlimited, revoked, expires_at FROM x402.api_keys "
        "WHERE key = ANY (%s)",
        (list(digests),),
        name="find_api_key",
    )


async def of_user(database: Database, user_id: str | None, environment: str, limit: int) -> list[Row]:
    """Keys of a user (None: of everybody), newest first."""
    return await database.all(
        f"SELECT {_SHOWN} FROM x402.api_keys WHERE (%s::text IS NULL OR user_id = %s) AND environment = %s "  # noqa: S608
        "ORDER BY id DESC LIMIT %s",
        (user_id, user_id, environment, limit),
        name="list_api_keys",
    )


async def revoke(database: Database, key_id: UUID, actor: str) -> Row | None:
    """Revoke a key; the row as it is afterwards, None when there is none."""
    async with database.transaction() as connection:
        cursor = await connection.execute(
            f"UPDATE x402.api_keys SET revoked = true WHERE id = %s RETURNING {_SHOWN}",  # noqa: S608
            (key_id,),
        )
        row = await cursor.fetchone()
        if row is not None:
            await connection.execute(
                "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, status) "
                "VALUES (%s, 'api', 'revoked', 'api_key', %s, %s, 'revoked')",
                (actor, str(key_id), row["user_id"]),
            )
        return row


async def mark_used(database: Database, key_ids: Sequence[UUID], now: datetime) -> None:
    """Write when keys were last used."""
    await database.run(
        "UPDATE x402.api_keys SET last_used_at = %s WHERE id = ANY (%s)", (now, list(key_ids)), name="mark_keys_used"
    )
