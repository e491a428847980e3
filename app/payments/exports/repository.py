"""SQL of statements and of exported ledger entries."""

from __future__ import annotations

from datetime import datetime

from payments.database import Database, Row


async def account_exists(database: Database, code: str, asset: str) -> bool:
    """Whether anything was ever posted to an account."""
    found = await database.value(
        "SELECT 1 FROM payments.accounts WHERE code = %s AND asset = %s", (code, asset), name="account_exists"
    )
    return found is not None


async def balance_at(database: Database, code: str, asset: str, moment: datetime) -> int:
    """Debits minus credits of everything posted before `moment`."""
    return int(
        await database.value(
            "SELECT coalesce(sum(e.amount), 0) FROM payments.entries e JOIN payments.accounts c ON c.id = e.account_id "
            "JOIN payments.journals j ON j.id = e.journal_id WHERE c.code = %s AND c.asset = %s AND j.posted_at < %s",
            (code, asset, moment),
            name="balance_at",
        )
        or 0
    )


async def entries(
    database: Database,
    *,
    codes: list[str],
    asset: str | None,
    start: datetime,
    end: datetime,
    after: int,
    limit: int,
) -> list[Row]:
    """Entries of accounts posted in [start, end), in order, after the entry `after`."""
    return await database.all(
        "SELECT e.id, c.code AS account, e.asset, e.amount, j.id AS journal, j.kind, j.source, j.memo, j.posted_at "
        "FROM payments.entries e JOIN payments.accounts c ON c.id = e.account_id "
        "JOIN payments.journals j ON j.id = e.journal_id "
        "WHERE c.code = ANY (%s) AND (%s::text IS NULL OR c.asset = %s) "
        "AND j.posted_at >= %s AND j.posted_at < %s AND e.id > %s ORDER BY e.id LIMIT %s",
        (codes, asset, asset, start, end, after, limit),
        name="entries_of_accounts",
    )
