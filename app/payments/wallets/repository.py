"""SQL of hot wallets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from payments.database import Queries, Row


async def weigh(
    database: Queries,
    *,
    transfer_id: UUID,
    rail: str,
    asset: str,
    floor: int | None,
    ceiling: int | None,
    environment: str,
    now: datetime,
) -> Row:
    """Compare a wallet with its bounds: `balance`, and `opened` with `amount` when a request was opened."""
    row = await database.one(
        "SELECT * FROM payments.weigh_wallet(%s, %s, %s, %s, %s, %s, %s)",
        (transfer_id, rail, asset, floor, ceiling, environment, now),
        name="weigh_wallet",
    )
    assert row is not None
    return row


async def transfers(database: Queries, limit: int) -> list[Row]:
    """Requests, newest first."""
    return await database.all(
        "SELECT * FROM payments.wallet_transfers ORDER BY id DESC LIMIT %s", (limit,), name="wallet_transfers"
    )
