"""Payments of one node: begin, deliver, settle, fail. One durable step at a time, each its own transaction.

1. `begin` writes the payment and its attempt and locks the payer's HTLC (or fails at once: no route, no balance).
2. `deliver` carries the HTLC to the payee: settled, held (hold invoice), or sent back.
3. A hold invoice's settle or cancel ends the attempt later.

A crash between the steps leaves an attempt in flight, which `deliver` finishes at the next start, as LND resumes them.
"""

import sqlite3
from dataclasses import dataclass

from sandbox.lnd import channels, invoices
from sandbox.lnd.errors import Code, RpcError


@dataclass(frozen=True, slots=True)
class Intent:
    """What a caller asks to pay. Amounts in millisatoshi."""

    payment_hash: bytes
    payment_addr: bytes
    payment_request: str
    destination: str | None
    """Name of the payee's node; None when nobody in this network has the key."""
    amount_msat: int
    fee_limit_msat: int
    min_final_cltv_expiry: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, as the chain and the clock say it."""

    now: float
    height: int

    @property
    def nanoseconds(self) -> int:
        """Unix time in nanoseconds."""
        return int(self.now * 1_000_000_000)


def begin(connection: sqlite3.Connection, node: str, intent: Intent, fees: channels.Fees, moment: Moment) -> int | None:
    """Start a payment.

    Returns:
        The attempt to deliver, or None when it failed without one.

    Raises:
        RpcError: ALREADY_EXISTS when the hash is paid or in flight (LND's natural idempotency).
    """
    known = by_hash(connection, node, intent.payment_hash)
    if known is not None and known["status"] == "IN_FLIGHT":
        raise RpcError("payment is in transition", Code.ALREADY_EXISTS)
    if known is not None and known["status"] == "SUCCEEDED":
        raise RpcError("invoice is already paid", Code.ALREADY_EXISTS)
    _insert(connection, node, intent, moment)
    try:
        route = channels.find_route(
            connection,
            node,
            intent.destination,
            intent.amount_msat,
            fees,
            intent.fee_limit_msat,
            moment.height + intent.min_final_cltv_expiry + channels.BLOCK_PADDING,
        )
    except channels.NoRouteError as refusal:
        _finish(connection, node, intent.payment_hash, "FAILED", refusal.reason)
        return None
    attempt = _insert_attempt(connection, node, intent, route, moment)
    channels.lock(connection, _htlcs(connection, attempt)[0], moment.height, moment.now)
    return attempt


def deliver(connection: sqlite3.Connection, attempt_id: int, moment: Moment) -> sqlite3.Row | None:
    """Carry an attempt to its payee; doing it again changes nothing.

    Returns:
        The invoice that it reached, None when it failed or had been delivered before.
    """
    attempt = connection.execute("SELECT * FROM attempts WHERE id = ?", (attempt_id,)).fetchone()
    if attempt is None or attempt["status"] != "IN_FLIGHT":
        return None
    hops = _htlcs(connection, attempt_id)
    invoice = invoices.by_hash(connection, attempt["destination"], attempt["payment_hash"])
    if (
        invoice is not None
        and invoice["state"] == "ACCEPTED"
        and invoices.attempt_on(connection, invoice) == attempt_id
    ):
        return None
    try:
        for hop in hops[1:]:
            channels.lock(connection, hop, moment.height, moment.now)
    except channels.TemporaryChannelFailureError as refusal:
        fail(connection, attempt_id, "TEMPORARY_CHANNEL_FAILURE", refusal.hop, "FAILURE_REASON_NO_ROUTE", moment)
        return None
    if not invoices.accepts(invoice, attempt["payment_addr"], attempt["amount_msat"], moment.now):
        reason = "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"
        fail(connection, attempt_id, "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS", len(hops), reason, moment)
        return None
    assert invoice is not None
    if invoice["hold"]:
        invoices.accept(connection, invoice, attempt["amount_msat"])
    else:
        channels.release(connection, attempt_id, settle=True, now=moment.now)
        invoices.settle(connection, invoice, invoice["preimage"], attempt["amount_msat"], moment.now)
        succeed(connection, attempt_id, invoice["preimage"], moment)
    return invoice


def succeed(connection: sqlite3.Connection, attempt_id: int, preimage: bytes, moment: Moment) -> None:
    """The payer learns the preimage; the money was released by the payee's settle."""
    connection.execute(
        "UPDATE attempts SET status = 'SUCCEEDED', preimage = ?, resolve_ns = ? WHERE id = ?",
        (preimage, moment.nanoseconds, attempt_id),
    )
    node, payment_hash = _owner(connection, attempt_id)
    _finish(connection, node, payment_hash, "SUCCEEDED", "FAILURE_REASON_NONE")


def fail(
    connection: sqlite3.Connection, attempt_id: int, failure_code: str, source: int, reason: str, moment: Moment
) -> None:
    """Send the HTLCs of an attempt back, and end the payment."""
    channels.release(connection, attempt_id, settle=False, now=moment.now)
    connection.execute(
        "UPDATE attempts SET status = 'FAILED', resolve_ns = ?, failure_code = ?, failure_source = ?,"
        " failure_height = ? WHERE id = ?",
        (moment.nanoseconds, failure_code, source, moment.height, attempt_id),
    )
    node, payment_hash = _owner(connection, attempt_id)
    _finish(connection, node, payment_hash, "FAILED", reason)


def by_hash(connection: sqlite3.Connection, node: str, payment_hash: bytes) -> sqlite3.Row | None:
    """One payment, or None."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM payments WHERE node = ? AND payment_hash = ?", (node, payment_hash)
    ).fetchone()
    return row


def in_flight(connection: sqlite3.Connection) -> list[int]:
    """Attempts that a crash may have left on the way."""
    return [row["id"] for row in connection.execute("SELECT id FROM attempts WHERE status = 'IN_FLIGHT' ORDER BY id")]


def attempts_of(connection: sqlite3.Connection, payment: sqlite3.Row) -> list[sqlite3.Row]:
    """The attempts of a payment, oldest first."""
    return connection.execute(
        "SELECT * FROM attempts WHERE node = ? AND payment_hash = ? ORDER BY id",
        (payment["node"], payment["payment_hash"]),
    ).fetchall()


def page(
    connection: sqlite3.Connection,
    node: str,
    *,
    offset: int,
    count: int,
    reverse: bool,
    include_incomplete: bool,
    created_from: int,
    created_to: int,
) -> list[sqlite3.Row]:
    """A page of payments in index order, bounds as in `invoices.page`."""
    if created_from and created_to and created_from >= created_to:
        raise RpcError(f"start date({created_from}) must be before end date({created_to})")
    bound = "payment_index < ?" if reverse and offset else "payment_index > ?"
    where = f"node = ? AND {bound} AND created_ns >= ? AND created_ns < ?"
    if not include_incomplete:
        where += " AND status = 'SUCCEEDED'"
    until = (created_to + 1) * 1_000_000_000 if created_to else 2**62
    rows = connection.execute(
        f"SELECT * FROM payments WHERE {where} ORDER BY payment_index {'DESC' if reverse else 'ASC'} LIMIT ?",  # noqa: S608
        (node, offset, created_from * 1_000_000_000, until, count),
    ).fetchall()
    return rows[::-1] if reverse else rows


def count(connection: sqlite3.Connection, node: str) -> int:
    """All payments of a node, in any state."""
    total: int = connection.execute("SELECT count(*) FROM payments WHERE node = ?", (node,)).fetchone()[0]
    return total


def _insert(connection: sqlite3.Connection, node: str, intent: Intent, moment: Moment) -> None:
    # A failed payment may be tried again: LND forgets its old attempts and numbers it anew.
    connection.execute("DELETE FROM attempts WHERE node = ? AND payment_hash = ?", (node, intent.payment_hash))
    connection.execute(
        "INSERT INTO payments (node, payment_index, payment_hash, payment_request, value_msat, created_ns, status)"
        " VALUES (?1, (SELECT coalesce(max(payment_index), 0) + 1 FROM payments WHERE node = ?1),"
        " ?2, ?3, ?4, ?5, 'IN_FLIGHT')"
        " ON CONFLICT (node, payment_hash) DO UPDATE SET payment_index = excluded.payment_index,"
        " payment_request = excluded.payment_request, value_msat = excluded.value_msat,"
        " created_ns = excluded.created_ns, status = 'IN_FLIGHT', failure_reason = 'FAILURE_REASON_NONE'",
        (node, intent.payment_hash, intent.payment_request, intent.amount_msat, moment.nanoseconds),
    )


def _insert_attempt(
    connection: sqlite3.Connection, node: str, intent: Intent, route: channels.Route, moment: Moment
) -> int:
    cursor = connection.execute(
        "INSERT INTO attempts (node, payment_hash, payment_addr, destination, amount_msat, fee_msat, total_time_lock,"
        " status, attempt_ns) VALUES (?, ?, ?, ?, ?, ?, ?, 'IN_FLIGHT', ?)",
        (
            node,
            intent.payment_hash,
            intent.payment_addr,
            intent.destination,
            intent.amount_msat,
            route.fee_msat,
            route.hops[0].expiry_height,
            moment.nanoseconds,
        ),
    )
    assert cursor.lastrowid is not None
    channels.plan(connection, cursor.lastrowid, intent.payment_hash, route)
    return cursor.lastrowid


def _htlcs(connection: sqlite3.Connection, attempt_id: int) -> list[sqlite3.Row]:
    return connection.execute("SELECT * FROM htlcs WHERE attempt_id = ? ORDER BY hop", (attempt_id,)).fetchall()


def _owner(connection: sqlite3.Connection, attempt_id: int) -> tuple[str, bytes]:
    row = connection.execute("SELECT node, payment_hash FROM attempts WHERE id = ?", (attempt_id,)).fetchone()
    return row["node"], row["payment_hash"]


def _finish(connection: sqlite3.Connection, node: str, payment_hash: bytes, status: str, reason: str) -> None:
    connection.execute(
        "UPDATE payments SET status = ?, failure_reason = ? WHERE node = ? AND payment_hash = ?",
        (status, reason, node, payment_hash),
    )
