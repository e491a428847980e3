"""SQL of webhooks in."""

from __future__ import annotations

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
