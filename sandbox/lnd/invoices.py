"""Invoices of one node: add, accept, settle, cancel, expire. Refusals have LND's words (its invoices/errors.go)."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coincurve import PrivateKey

from sandbox.lnd import bolt11
from sandbox.lnd.channels import TIME_LOCK_DELTA, release
from sandbox.lnd.errors import Code, RpcError

MAX_MEMO_BYTES = 1024
MIN_CLTV_DELTA = 24
MAX_EXPIRY_SECONDS = 365 * 24 * 3600
DEFAULT_EXPIRY_SECONDS = 24 * 3600
MAX_VALUE_MSAT = 100_000 * 100_000_000 * 1000
HOLD_CANCEL_BLOCKS = 10
"""Blocks before the HTLC's expiry at which LND cancels an accepted hold invoice by itself."""

# tlv-onion required, payment-addr required, multi-path-payments optional, route-blinding optional: LND's default set.
FEATURES = frozenset({8, 14, 17, 25})


Record = sqlite3.Row | Mapping[str, Any]
"""A row of the table of invoices."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a caller asks an invoice to be. At most one of preimage and payment_hash is given; none means random."""

    memo: str = ""
    value_msat: int = 0
    description_hash: bytes = b""
    expiry_seconds: int = 0
    cltv_expiry: int = 0
    preimage: bytes | None = None
    payment_hash: bytes | None = None
    route_hints: tuple[tuple[bolt11.HopHint, ...], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """An invoice that is signed and waits to be stored."""

    payment_hash: bytes
    preimage: bytes | None
    payment_addr: bytes
    payment_request: str
    draft: Draft
    created_at: int
    expiry_seconds: int
    cltv_expiry: int


def check(draft: Draft) -> None:
    """Refuse what LND refuses.

    Raises:
        RpcError: with LND's words.
    """
    size = len(draft.memo.encode())
    if size > MAX_MEMO_BYTES:
        raise RpcError(f"memo too large: {size} bytes (maxsize={MAX_MEMO_BYTES})")
    if len(draft.description_hash) not in (0, 32):
        raise RpcError(f"description hash is {len(draft.description_hash)} bytes, must be 32")
    if draft.value_msat > MAX_VALUE_MSAT:
        raise RpcError(
            f"invoice amount {draft.value_msat // 1000 / 1e8:.8f} BTC is too large,"
            f" max is {MAX_VALUE_MSAT // 10**11} BTC"
        )
    if draft.expiry_seconds > MAX_EXPIRY_SECONDS:
        raise RpcError(
            f"expiry of {draft.expiry_seconds} seconds greater than max expiry of {MAX_EXPIRY_SECONDS} seconds"
        )
    if draft.cltv_expiry > 0xFFFF:
        raise RpcError(f"CLTV delta of {draft.cltv_expiry} is too large, max accepted is: {0xFFFF}")
    if draft.cltv_expiry and draft.cltv_expiry < MIN_CLTV_DELTA:
        raise RpcError(f"CLTV delta of {draft.cltv_expiry} must be greater than minimum of {MIN_CLTV_DELTA}")
    if draft.preimage is not None and not any(draft.preimage):
        raise RpcError("cannot use hash of all-zeroes preimage")


def sign(draft: Draft, key: PrivateKey, network: str, now: float, entropy: bytes) -> NewInvoice:
    """Make and sign the payment request.

    Args:
        draft: what the invoice says; checked here.
        key: the node's identity key.
        network: regtest, testnet, signet or simnet.
        now: unix time.
        entropy: 64 random bytes: the preimage, if none was given, and the payment address.
    """
    check(draft)
    preimage = draft.preimage
    if preimage is None and draft.payment_hash is None:
        preimage = entropy[:32]
    payment_hash = draft.payment_hash or hashlib.sha256(preimage or b"").digest()
    # LND takes any negative expiry for "not given".
    expiry = draft.expiry_seconds if draft.expiry_seconds > 0 else DEFAULT_EXPIRY_SECONDS
    cltv = draft.cltv_expiry or TIME_LOCK_DELTA
    request = bolt11.Bolt11(
        network=network,
        timestamp=int(now),
        payment_hash=payment_hash,
        payment_addr=entropy[32:64],
        amount_msat=draft.value_msat or None,
        description=None if draft.description_hash else draft.memo,
        description_hash=draft.description_hash or None,
        expiry_seconds=expiry,
        min_final_cltv_expiry=cltv,
        features=FEATURES,
        route_hints=draft.route_hints,
    )
    text = bolt11.encode(request, key)
    return NewInvoice(payment_hash, preimage, entropy[32:64], text, draft, int(now), expiry, cltv)


def add(connection: sqlite3.Connection, node: str, new: NewInvoice) -> int:
    """Store an invoice and return its add_index.

    Raises:
        RpcError: its payment hash is taken.
    """
    index: int = connection.execute(
        "SELECT coalesce(max(add_index), 0) + 1 FROM invoices WHERE node = ?", (node,)
    ).fetchone()[0]
    hints = [[(hop.node_id.hex(), *list(_numbers(hop))) for hop in route] for route in new.draft.route_hints]
    try:
        connection.execute(
            "INSERT INTO invoices (node, add_index, payment_hash, preimage, payment_addr, memo, value_msat,"
            " payment_request, description_hash, expiry_seconds, cltv_expiry, route_hints, hold, created_at, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'OPEN')",
            (
                node,
                index,
                new.payment_hash,
                new.preimage,
                new.payment_addr,
                new.draft.memo,
                new.draft.value_msat,
                new.payment_request,
                new.draft.description_hash or None,
                new.expiry_seconds,
                new.cltv_expiry,
                json.dumps(hints),
                int(new.preimage is None),
                new.created_at,
            ),
        )
    except sqlite3.IntegrityError as refusal:
        raise RpcError("invoice with payment hash already exists") from refusal
    return index


def _numbers(hop: bolt11.HopHint) -> tuple[int, ...]:
    return hop.chan_id, hop.fee_base_msat, hop.fee_proportional_millionths, hop.cltv_expiry_delta


def by_hash(connection: sqlite3.Connection, node: str, payment_hash: bytes) -> sqlite3.Row | None:
    """One invoice, or None."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM invoices WHERE node = ? AND payment_hash = ?", (node, payment_hash)
    ).fetchone()
    return row


def by_address(connection: sqlite3.Connection, node: str, payment_addr: bytes) -> sqlite3.Row | None:
    """One invoice by its payment address, or None."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM invoices WHERE node = ? AND payment_addr = ?", (node, payment_addr)
    ).fetchone()
    return row


def accepts(invoice: sqlite3.Row | None, payment_addr: bytes, amount_msat: int, now: float) -> bool:
    """Whether an HTLC for this amount may come in; all refusals look alike to the payer, against probing."""
    return (
        invoice is not None
        and invoice["state"] == "OPEN"
        and now <= invoice["created_at"] + invoice["expiry_seconds"]
        and invoice["payment_addr"] == payment_addr
        and amount_msat > 0
        and amount_msat >= invoice["value_msat"]
    )


def accept(connection: sqlite3.Connection, invoice: sqlite3.Row, amount_msat: int) -> None:
    """Hold the money of a hold invoice."""
    connection.execute(
        "UPDATE invoices SET state = 'ACCEPTED', amt_paid_msat = ? WHERE node = ? AND add_index = ?",
        (amount_msat, invoice["node"], invoice["add_index"]),
    )


def settle(connection: sqlite3.Connection, invoice: sqlite3.Row, preimage: bytes, amount_msat: int, now: float) -> None:
    """Mark an invoice paid and give it the next settle_index."""
    connection.execute(
        "UPDATE invoices SET state = 'SETTLED', preimage = ?, amt_paid_msat = ?, settled_at = ?, settle_index ="
        " (SELECT coalesce(max(settle_index), 0) + 1 FROM invoices WHERE node = ? AND settle_index IS NOT NULL)"
        " WHERE node = ? AND add_index = ?",
        (preimage, amount_msat, int(now), invoice["node"], invoice["node"], invoice["add_index"]),
    )


def attempt_on(connection: sqlite3.Connection, invoice: sqlite3.Row) -> int | None:
    """The attempt whose HTLC a hold invoice keeps, if any."""
    row = connection.execute(
        "SELECT attempt_id FROM htlcs WHERE receiver = ? AND payment_hash = ? AND state = 'LOCKED'",
        (invoice["node"], invoice["payment_hash"]),
    ).fetchone()
    return None if row is None else row["attempt_id"]


def settle_held(connection: sqlite3.Connection, node: str, preimage: bytes, now: float) -> int | None:
    """Settle an accepted hold invoice.

    Returns:
        The attempt that it settled, None when it was settled before (LND calls that a success).

    Raises:
        RpcError: unknown, still open, or canceled.
    """
    invoice = by_hash(connection, node, hashlib.sha256(preimage).digest())
    if invoice is None:
        raise RpcError("unable to locate invoice")
    if invoice["state"] == "OPEN":
        raise RpcError("invoice still open")
    if invoice["state"] == "CANCELED":
        raise RpcError("invoice already canceled")
    if invoice["state"] == "SETTLED":
        return None
    attempt = attempt_on(connection, invoice)
    assert attempt is not None
    release(connection, attempt, settle=True, now=now)
    settle(connection, invoice, preimage, invoice["amt_paid_msat"], now)
    return attempt


def cancel(connection: sqlite3.Connection, node: str, payment_hash: bytes) -> int | None:
    """Cancel an open or accepted invoice; canceling twice is a success.

    Returns:
        The attempt whose HTLC must now go back, or None.

    Raises:
        RpcError: unknown or settled.
    """
    invoice = by_hash(connection, node, payment_hash)
    if invoice is None:
        raise RpcError("unable to locate invoice")
    if invoice["state"] == "SETTLED":
        raise RpcError("invoice already settled")
    attempt = attempt_on(connection, invoice) if invoice["state"] == "ACCEPTED" else None
    connection.execute(
        "UPDATE invoices SET state = 'CANCELED', amt_paid_msat = 0 WHERE node = ? AND payment_hash = ?",
        (node, payment_hash),
    )
    return attempt


def due(connection: sqlite3.Connection, now: float, height: int) -> list[tuple[str, bytes]]:
    """Node and payment hash of invoices that ran out: past their expiry, or held until their HTLC nearly timed out."""
    rows = connection.execute(
        "SELECT node, payment_hash FROM invoices WHERE state = 'OPEN' AND created_at + expiry_seconds < ? LIMIT 1000",
        (int(now),),
    ).fetchall()
    held = connection.execute(
        "SELECT i.node, i.payment_hash FROM invoices i JOIN htlcs h ON h.receiver = i.node"
        " AND h.payment_hash = i.payment_hash AND h.state = 'LOCKED'"
        " WHERE i.state = 'ACCEPTED' AND h.expiry_height - ? <= ?",
        (HOLD_CANCEL_BLOCKS, height),
    ).fetchall()
    return [(row["node"], row["payment_hash"]) for row in (*rows, *held)]


def page(
    connection: sqlite3.Connection,
    node: str,
    *,
    offset: int,
    count: int,
    reverse: bool,
    pending_only: bool,
    created_from: int,
    created_to: int,
) -> list[sqlite3.Row]:
    """A page of invoices in add order; `offset` is the add_index to begin behind (or before, in reverse)."""
    if created_from and created_to and created_from >= created_to:
        raise RpcError(f"start date({created_from}) must be before end date({created_to})")
    bound = "add_index < ?" if reverse and offset else "add_index > ?"
    where = f"node = ? AND {bound} AND created_at >= ? AND created_at <= ?"
    if pending_only:
        where += " AND state IN ('OPEN', 'ACCEPTED')"
    rows = connection.execute(
        f"SELECT * FROM invoices WHERE {where} ORDER BY add_index {'DESC' if reverse else 'ASC'} LIMIT ?",  # noqa: S608
        (node, offset, created_from, created_to or 2**62, count),
    ).fetchall()
    return rows[::-1] if reverse else rows


def last_indices(connection: sqlite3.Connection, node: str) -> tuple[int, int]:
    """The highest add_index and settle_index so far."""
    row = connection.execute(
        "SELECT (SELECT coalesce(max(add_index), 0) FROM invoices WHERE node = ?1) AS added,"
        " (SELECT coalesce(max(settle_index), 0) FROM invoices WHERE node = ?1 AND settle_index IS NOT NULL)"
        " AS settled",
        (node,),
    ).fetchone()
    return row["added"], row["settled"]


def since(connection: sqlite3.Connection, node: str, added: int, settled: int) -> list[tuple[str, sqlite3.Row]]:
    """Events behind two cursors, adds first: ("add" or "settle", invoice), at most some hundred of each."""
    adds = connection.execute(
        "SELECT * FROM invoices WHERE node = ? AND add_index > ? ORDER BY add_index LIMIT 500", (node, added)
    ).fetchall()
    settles = connection.execute(
        "SELECT * FROM invoices WHERE node = ? AND settle_index > ? ORDER BY settle_index LIMIT 500", (node, settled)
    ).fetchall()
    return [("add", row) for row in adds] + [("settle", row) for row in settles]


def as_added(invoice: sqlite3.Row) -> Record:
    """An invoice as it was when it was added, whatever became of it since."""
    preimage = None if invoice["hold"] else invoice["preimage"]
    then = {"state": "OPEN", "settle_index": None, "settled_at": None, "amt_paid_msat": 0, "preimage": preimage}
    return {**dict(invoice), **then}


def not_found() -> RpcError:
    """LND's answer to a look-up of an unknown invoice."""
    return RpcError("unable to locate invoice", Code.NOT_FOUND)
