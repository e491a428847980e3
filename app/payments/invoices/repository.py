"""SQL of invoices and arrivals; the write paths are one SQL function call each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payments.database import Database, Queries, jsonb
from payments.idempotency.repository import claim_of
from payments.idempotency.schemas import Answer, Claim, IdempotencyKey
from payments.invoices.schemas import Invoice, InvoiceState
from payments.rails.protocol import Arrival

_COLUMNS = (
    "id, user_id, environment, rail, rail_id, asset, amount, received, memo, metadata, external_id, state, "
    "payment_request, reason, expires_at, settled_at, created_at"
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something and why, for the audit log."""

    name: str
    cause: str


async def begin(
    database: Database,
    invoice: Invoice,
    *,
    key: IdempotencyKey,
    attempt_id: UUID,
    api_key_id: UUID | None,
    lease_seconds: float,
    release: str,
) -> Claim:
    """T1: claim the key, write the invoice and its attempt.

    Raises:
        psycopg.errors.UniqueViolation: the external id is taken.
    """
    row = await database.one(
        "SELECT * FROM payments.begin_invoice"
        "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            key.caller_id,
            key.environment,
            key.route,
            key.key,
            key.fingerprint,
            key.token,
            lease_seconds,
            invoice.id,
            attempt_id,
            invoice.user_id,
            api_key_id,
            invoice.rail,
            invoice.rail_id,
            invoice.asset,
            invoice.amount,
            invoice.memo,
            jsonb(invoice.metadata),
            invoice.external_id,
            invoice.created_at,
            invoice.expires_at,
            release,
        ),
        name="begin_invoice",
    )
    return claim_of(row)


async def open_(
    database: Database,
    invoice: Invoice,
    *,
    key: IdempotencyKey,
    proof: Mapping[str, Any],
    now: datetime,
    answer: Answer,
    actor: Actor,
) -> bool:
    """T2: the rail has it. False: another holder of the lease is at it and has not written it yet."""
    written = await database.value(
        "SELECT payments.open_invoice(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            invoice.id,
            key.token,
            invoice.payment_request,
            jsonb(proof),
            invoice.expires_at,
            now,
            key.caller_id,
            key.environment,
            key.route,
            key.key,
            answer.status,
            jsonb(dict(answer.headers)),
            answer.body,
            actor.name,
            actor.cause,
        ),
        name="open_invoice",
    )
    return bool(written)


async def fail(
    database: Database,
    invoice_id: UUID,
    *,
    key: IdempotencyKey,
    proof: Mapping[str, Any],
    reason: str,
    now: datetime,
    actor: Actor,
) -> bool:
    """T2: nothing is on the rail and nothing will be; the key is free again."""
    written = await database.value(
        "SELECT payments.fail_invoice(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            invoice_id,
            key.token,
            jsonb(proof),
            reason,
            now,
            key.caller_id,
            key.environment,
            key.route,
            key.key,
            actor.name,
            actor.cause,
        ),
        name="fail_invoice",
    )
    return bool(written)


async def doubt(
    database: Database, invoice_id: UUID, *, key: IdempotencyKey, reason: str, look_again_seconds: float
) -> None:
    """T2: whether the rail has it is not known; whoever comes next looks it up."""
    await database.run(
        "SELECT payments.doubt_invoice(%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            invoice_id,
            key.token,
            reason,
            look_again_seconds,
            key.caller_id,
            key.environment,
            key.route,
            key.key,
        ),
        name="doubt_invoice",
    )


async def cancel(database: Queries, invoice_id: UUID, *, reason: str, now: datetime, actor: Actor) -> bool:
    """Nobody shall pay it any more; False when it is further than open."""
    cancelled = await database.value(
        "SELECT payments.cancel_invoice(%s, %s, %s, %s, %s)",
        (invoice_id, reason, now, actor.name, actor.cause),
        name="cancel_invoice",
    )
    return bool(cancelled)


async def by_id(database: Database, invoice_id: UUID) -> Invoice | None:
    """An invoice, whoever's it is."""
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.invoices WHERE id = %s",  # noqa: S608
        (invoice_id,),
        name="invoice_by_id",
    )
    return Invoice.of(row) if row else None


async def of_user(
    database: Queries, *, user_id: str | None, environment: str, invoice_id: UUID | None, rail_id: str | None
) -> Invoice | None:
    """A user's invoice (None: anybody's) by its id or its identity on the rail."""
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.invoices WHERE (id = %s OR rail_id = %s) AND environment = %s "  # noqa: S608
        "AND (%s::text IS NULL OR user_id = %s)",
        (invoice_id, rail_id, environment, user_id, user_id),
        name="invoice_of_user",
    )
    return Invoice.of(row) if row else None


async def page(
    database: Database,
    *,
    user_id: str,
    environment: str,
    states: Sequence[InvoiceState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Invoice]:
    """Invoices of a user, newest first, older than `before`."""
    rows = await database.all(
        f"SELECT {_COLUMNS} FROM payments.invoices WHERE user_id = %s AND environment = %s "  # noqa: S608
        "AND (%s::uuid IS NULL OR id < %s) AND (cardinality(%s::text[]) = 0 OR state = ANY (%s)) "
        "AND (%s::text IS NULL OR external_id = %s) ORDER BY id DESC LIMIT %s",
        (user_id, environment, before, before, list(states), list(states), external_id, external_id, limit),
        name="invoice_page",
    )
    return [Invoice.of(row) for row in rows]


async def credit(database: Database, rail: str, arrivals: Sequence[Arrival]) -> list[str]:
    """Credit arrivals in order, in one transaction with the last cursor; their dispositions ("known": a repeat)."""
    return await _credit(database, rail, arrivals, arrivals[-1].cursor)


async def credit_without_cursor(database: Database, rail: str, arrivals: Sequence[Arrival]) -> list[str]:
    """Credit what reconciliation found; where the stream is followed from stays as it is."""
    return await _credit(database, rail, arrivals, "")


async def _credit(database: Database, rail: str, arrivals: Sequence[Arrival], cursor: str) -> list[str]:
    dispositions = await database.value(
        "SELECT payments.credit_arrivals(%s, %s, %s, %s, %s::numeric[], %s, %s, %s)",
        (
            rail,
            [arrival.event_id for arrival in arrivals],
            [arrival.rail_id for arrival in arrivals],
            [arrival.asset for arrival in arrivals],
            [arrival.amount for arrival in arrivals],
            [arrival.arrived_at for arrival in arrivals],
            [jsonb(dict(arrival.proof)) for arrival in arrivals],
            cursor,
        ),
        name="credit_arrivals",
    )
    return list(dispositions)


async def save_cursor(database: Database, rail: str, cursor: str) -> None:
    """Note how far a rail was followed without an arrival."""
    await database.run(
        "INSERT INTO payments.rail_cursors (rail, cursor) VALUES (%s, %s) "
        "ON CONFLICT (rail) DO UPDATE SET cursor = excluded.cursor, updated_at = clock_timestamp()",
        (rail, cursor),
        name="save_cursor",
    )


async def cursor(database: Database, rail: str) -> str | None:
    """Where the rail's stream of arrivals was left."""
    value = await database.value(
        "SELECT cursor FROM payments.rail_cursors WHERE rail = %s", (rail,), name="rail_cursor"
    )
    return str(value) if value is not None else None


async def expire(database: Database, now: datetime, *, grace_seconds: float, limit: int) -> int:
    """Mark open invoices whose time is over; returns how many."""
    return int(
        await database.value(
            "SELECT payments.expire_invoices(%s, %s, %s)", (now, grace_seconds, limit), name="expire_invoices"
        )
    )


async def created_at(database: Database, rail: str, rail_ids: Sequence[str]) -> list[tuple[str, datetime]]:
    """When invoices were made, by their identity on the rail."""
    if not rail_ids:
        return []
    rows = await database.all(
        "SELECT rail_id, created_at FROM payments.invoices WHERE rail = %s AND rail_id = ANY (%s)",
        (rail, list(rail_ids)),
        name="invoices_created_at",
    )
    return [(row["rail_id"], row["created_at"]) for row in rows]
