"""SQL of webhooks in, and of reversals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from payments.database import Database, Row, jsonb
from payments.inbound.sources import InboundEvent


async def take(database: Database, source: str, event: InboundEvent, release: str) -> bool:
    """Write an event and its job, once; False when it was taken before."""
    taken = await database.value(
        "SELECT payments.take_inbound(%s, %s, %s, %s, %s, %s)",
        (source, event.event_id, event.event_type, jsonb(dict(event.payload)), event.sent_at, release),
        name="take_inbound",
    )
    return bool(taken)


async def event(database: Database, source: str, event_id: str) -> Row | None:
    """An event that was taken."""
    return await database.one(
        "SELECT * FROM payments.inbound_events WHERE source = %s AND event_id = %s",
        (source, event_id),
        name="inbound_event",
    )


async def reverse(
    database: Database, rail: str, event_id: str, proof: Mapping[str, Any], *, now: datetime
) -> Row | None:
    """Take an arrival back; None when it was never credited, or is reversed already."""
    row = await database.one(
        "SELECT * FROM payments.reverse_arrival(%s, %s, %s, %s)",
        (rail, event_id, jsonb(dict(proof)), now),
        name="reverse_arrival",
    )
    return row if row is not None and row["id"] is not None else None


async def reversed_now(database: Database) -> list[Row]:
    """Per rail and asset: how many arrivals are reversed and have not come again, and what was lost by them."""
    return await database.all(
        "SELECT rail, asset, count(*) AS number, sum(lost) AS lost FROM payments.reversals WHERE state = 'reversed' "
        "GROUP BY rail, asset",
        name="reversed_now",
    )
