"""The report of whole days in figures: what the guides' daily, weekly and monthly reviews look at, from the books."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from payments.clock import iso
from payments.database import Database, Row
from payments.maintenance import repository


async def report(database: Database, days: int, now: datetime) -> dict[str, Any]:
    """The `days` whole days, UTC, before the day of `now`."""
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=days)
    payments = await repository.payments(database, start, end)
    return {
        "report": "payments",
        "from": iso(start),
        "to": iso(end),
        "payments": payments,
        "success_percent": success_percent(payments),
        "arrivals": await repository.arrivals(database, start, end),
        "largest": [
            {**row, "created_at": iso(row["created_at"])} for row in await repository.largest(database, start, end)
        ],
        "failures": await repository.failures(database, start, end),
        "open": await repository.open_now(database),
        **await repository.sizes(database),
    }


def success_percent(payments: Iterable[Row]) -> dict[str, float | None]:
    """Payments that succeeded, of those that ended, in percent by rail; None where none ended."""
    rails: dict[str, list[int]] = {}
    for row in payments:
        ended = rails.setdefault(row["rail"], [0, 0])
        ended[0] += row["number"] if row["state"] == "succeeded" else 0
        ended[1] += row["number"] if row["state"] in ("succeeded", "failed") else 0
    return {rail: round(100 * good / ended, 2) if ended else None for rail, (good, ended) in rails.items()}
