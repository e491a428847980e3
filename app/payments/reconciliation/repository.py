"""SQL of reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payments.database import Database, Queries, Row, jsonb


async def position(database: Database, rail: str, stream: str) -> str:
    """How far a stream was compared; "" at the beginning."""
    found = await database.value(
        "SELECT position FROM payments.reconciliations WHERE rail = %s AND stream = %s",
        (rail, stream),
        name="reconciliation_position",
    )
    return str(found or "")


async def move_on(database: Database, rail: str, stream: str, position: str, compared: int) -> None:
    """Write how far a stream was compared."""
    await database.run(
        "INSERT INTO payments.reconciliations (rail, stream, position, compared) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (rail, stream) DO UPDATE SET position = excluded.position, updated_at = clock_timestamp(), "
        "compared = payments.reconciliations.compared + excluded.compared",
        (rail, stream, position, compared),
        name="move_reconciliation_on",
    )


async def credited(database: Database, rail: str, event_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Asset and amount of arrivals that were credited and are not reversed, by event."""
    rows = await database.all(
        "SELECT event_id, asset, amount FROM payments.arrivals a WHERE rail = %s AND event_id = ANY (%s) "
        "AND NOT EXISTS (SELECT 1 FROM payments.reversals r WHERE r.rail = a.rail AND r.event_id = a.event_id "
        "AND r.state = 'reversed')",
        (rail, list(event_ids)),
        name="credited_arrivals",
    )
    return {row["event_id"]: (row["asset"], row["amount"]) for row in rows}


async def finished_payments(database: Database, rail: str, after: str, until: datetime, limit: int) -> list[Row]:
    """Payments of a rail that ended after the position `after`, in order, with the attempt that decided each."""
    moment, _, identity = after.partition(" ")
    return await database.all(
        "SELECT p.id, p.rail_id, p.payment_request, p.asset, p.amount, p.max_fee, p.fee, p.state, p.finished_at, "
        "a.payload FROM payments.payments p JOIN LATERAL (SELECT payload FROM payments.attempts "
        "WHERE kind = 'pay' AND subject_id = p.id ORDER BY created_at DESC LIMIT 1) a ON true "
        "WHERE p.rail = %s AND p.finished_at <= %s "
        "AND (%s = '' OR (p.finished_at, p.id) > (%s::timestamptz, %s::uuid)) "
        "ORDER BY p.finished_at, p.id LIMIT %s",
        (rail, until, after, moment or "epoch", identity or UUID(int=0), limit),
        name="finished_payments",
    )


async def tried_later(database: Database, rail: str, rail_id: str) -> bool:
    """Whether another payment of the same request succeeded or is on its way."""
    found = await database.value(
        "SELECT 1 FROM payments.payments WHERE rail = %s AND rail_id = %s "
        "AND state IN ('created', 'sending', 'unknown', 'succeeded')",
        (rail, rail_id),
        name="tried_later",
    )
    return found is not None


async def note(
    database: Database, *, rail: str, kind: str, subject: str, asset: str, difference: int, detail: Mapping[str, Any]
) -> bool:
    """Write a discrepancy down, once; False when it is known."""
    found = await database.value(
        "INSERT INTO payments.discrepancies (rail, kind, subject, asset, difference, detail) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
        (rail, kind, subject, asset, difference, jsonb(dict(detail))),
        name="note_discrepancy",
    )
    return found is not None


async def resolve(database: Queries, discrepancy_id: UUID, *, now: datetime, by: str, resolution: str) -> Row | None:
    """Close a discrepancy; None when it is closed already, or unknown."""
    return await database.one(
        "UPDATE payments.discrepancies SET resolved_at = %s, resolved_by = %s, resolution = %s "
        "WHERE id = %s AND resolved_at IS NULL RETURNING *",
        (now, by, resolution, discrepancy_id),
        name="resolve_discrepancy",
    )


async def resolve_credited(database: Database, rail: str, event_ids: Sequence[str], *, now: datetime) -> None:
    """Close what was missing and has been credited since."""
    await database.run(
        "UPDATE payments.discrepancies SET resolved_at = %s, resolved_by = 'worker', resolution = 'credited' "
        "WHERE rail = %s AND kind = 'arrival_missing' AND subject = ANY (%s) AND resolved_at IS NULL",
        (now, rail, list(event_ids)),
        name="resolve_credited",
    )


async def drifts(database: Database) -> list[Row]:
    """Per rail and asset: what is unexplained in sum and number."""
    return await database.all(
        "SELECT rail, asset, sum(difference) AS drift, count(*) AS number FROM payments.discrepancies "
        "WHERE resolved_at IS NULL GROUP BY rail, asset",
        name="drifts",
    )


async def compared(database: Database) -> list[Row]:
    """Per rail and stream: how much was compared and when last."""
    return await database.all("SELECT * FROM payments.reconciliations ORDER BY rail, stream", name="compared")


async def open_(database: Database, limit: int) -> list[Row]:
    """Discrepancies that nobody has explained, oldest first."""
    return await database.all(
        "SELECT * FROM payments.discrepancies WHERE resolved_at IS NULL ORDER BY id LIMIT %s",
        (limit,),
        name="open_discrepancies",
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says of a rail: balances by asset in minor units, and how many payments are on their way."""

    balances: Mapping[str, int]
    in_flight: int


async def books(database: Database, rail: str) -> Books:
    """The ledger's account of a rail, and whether money moves."""
    rows = await database.all(
        "SELECT asset, balance FROM payments.balances WHERE code = %s", (f"assets:{rail}",), name="books_of_rail"
    )
    in_flight = await database.value(
        "SELECT count(*) FROM payments.payments WHERE rail = %s AND state IN ('sending', 'unknown')",
        (rail,),
        name="in_flight_of_rail",
    )
    return Books({row["asset"]: int(row["balance"]) for row in rows}, int(in_flight))


async def compare_balance(
    database: Database, *, rail: str, asset: str, held: int, books: int, scope: str, now: datetime
) -> Row:
    """Compare; `drift`, and `noted`: what was written down as a discrepancy now. `scope`: what `held` counts."""
    row = await database.one(
        "SELECT * FROM payments.compare_balance(%s, %s, %s, %s, %s, %s)",
        (rail, asset, held, books, now, scope),
        name="compare_balance",
    )
    assert row is not None
    return row
