"""SQL of switches."""

from __future__ import annotations

from datetime import datetime

from payments.database import Queries, Row


async def stopping(database: Queries, now: datetime) -> dict[str, str]:
    """Reasons of the switches that stop something now, by name."""
    rows = await database.all("SELECT name, reason FROM payments.stopping(%s)", (now,), name="stopping")
    return {row["name"]: row["reason"] for row in rows}


async def everyone(database: Queries) -> dict[str, Row]:
    """Every switch that somebody has set, by name."""
    return {row["name"]: row for row in await database.all("SELECT * FROM payments.switches", name="switches")}


async def put(
    database: Queries, name: str, *, is_on: bool, reason: str, until: datetime | None, now: datetime, actor: str
) -> Row:
    """Set a switch, with its line in the audit log."""
    row = await database.one(
        "SELECT * FROM payments.set_switch(%s, %s, %s, %s, %s, %s)",
        (name, is_on, reason, until, now, actor),
        name="set_switch",
    )
    assert row is not None
    return row
