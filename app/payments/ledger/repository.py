"""SQL of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from payments.database import Database, Row
from payments.ledger.schemas import Line


async def post_journal(
    connection: AsyncConnection[DictRow], *, kind: str, source: str, memo: str, lines: Sequence[Line]
) -> int | None:
    """Post a journal inside the caller's transaction, once per (kind, source); None when it was posted already.

    Raises:
        psycopg.errors.RaiseException: SQLSTATE RY001, it does not sum to zero per asset; RY004, an account would fall
            below its floor.
    """
    cursor = await connection.execute(
        "SELECT payments.post_journal(%s, %s, %s, %s, %s, %s::numeric[]) AS journal",
        (
            kind,
            source,
            memo,
            [line.account for line in lines],
            [line.asset for line in lines],
            [line.amount for line in lines],
        ),
    )
    row = await cursor.fetchone()
    return row["journal"] if row else None


async def balances(database: Database) -> list[Row]:
    """Every account with its balance and number of entries, as of one moment."""
    return await database.all(
        "SELECT code, asset, balance, entries FROM payments.balances ORDER BY code, asset", name="balances"
    )


async def take_snapshots(database: Database) -> int:
    """Snapshot the accounts that moved; returns how many."""
    return int(await database.value("SELECT payments.take_balance_snapshots()", name="take_balance_snapshots"))
