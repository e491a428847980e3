"""What the provider does: invoices made once for an external id, payments settled or finally failed, webhooks due."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey

from sandbox.lnd.bolt11 import Bolt11, Bolt11Error, decode, encode
from sandbox.river.store import Store

_FEE_MSAT = 1000


class RefusedError(Exception):
    """Answered with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Network:
    """Whose invoices, and the clock in Unix seconds."""

    name: str
    clock: Callable[[], float]


class Account:
    """One customer of the provider.

    Args:
        store: its state.
        network: that its invoices are for.
        key: the provider's node, which signs them.
    """

    def __init__(self, store: Store, network: Network, key: PrivateKey) -> None:
        self._store = store
        self._network = network
        self._key = key

    def _bill(self, amount_msat: int | None, memo: str, expiry_seconds: int) -> tuple[str, str, str]:
        preimage = secrets.token_bytes(32)
        digest = hashlib.sha256(preimage)
        invoice = Bolt11(
            network=self._network.name,
            amount_msat=amount_msat,
            timestamp=int(self._network.clock()),
            payment_hash=digest.digest(),
            payment_addr=secrets.token_bytes(32),
            description=memo,
            expiry_seconds=expiry_seconds,
        )
        return encode(invoice, self._key), digest.hexdigest(), preimage.hex()

    def create_invoice(
        self, external_id: str, amount_msat: int | None, memo: str, expiry_seconds: int
    ) -> dict[str, Any]:
        """The invoice of an external id, made the first time. Raises RefusedError: it is another one's."""
        known = self._store.one("SELECT * FROM invoices WHERE external_id = ?", external_id)
        if known is not None:
            if (known["amount_msat"], known["memo"]) != (amount_msat, memo):
                raise RefusedError(409, "the external id belongs to another invoice")
            return _invoice(known)
        request, digest, preimage = self._bill(amount_msat, memo, expiry_seconds)
        expires_at = int(self._network.clock()) + expiry_seconds
        row = (external_id, f"inv_{secrets.token_hex(8)}", digest, preimage, request, amount_msat, memo, expires_at)
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)", row)
        return self.invoice(external_id)

    def invoice(self, name: str) -> dict[str, Any]:
        """By external id or id. Raises RefusedError 404."""
        found = self._store.one("SELECT * FROM invoices WHERE external_id = ? OR id = ?", name, name)
        if found is None:
            raise RefusedError(404, "there is no such invoice")
        return _invoice(found)

    def settled_after(self, number: int, limit: int) -> list[dict[str, Any]]:
        """Settled invoices in the order of their settlement."""
        rows = self._store.all(
            "SELECT * FROM invoices WHERE settle_number > ? ORDER BY settle_number LIMIT ?", number, limit
        )
        return [_invoice(row) for row in rows]

    def receive(self, name: str, amount_msat: int | None) -> dict[str, Any]:
        """Somebody pays an invoice, named by external id or BOLT 11 text: it settles once, and a webhook is due."""
        found = self._store.one("SELECT * FROM invoices WHERE external_id = ? OR payment_request = ?", name, name)
        if found is None or found["settle_number"] is not None or found["expires_at"] < self._network.clock():
            raise RefusedError(409, "the invoice cannot be paid")
        external_id = str(found["external_id"])
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE invoices SET settle_number = (SELECT coalesce(max(settle_number), 0) + 1 FROM invoices), "
                "settled_at = ?, received_msat = ? WHERE external_id = ?",
                (int(self._network.clock()), amount_msat or found["amount_msat"], external_id),
            )
            self._announce(connection, "deposit.settled", found["id"])
        return self.invoice(external_id)

    def balance_msat(self) -> int:
        """What came in less what went out. It has no capital: a payment before the first deposit is an overdraft."""
        came = self._store.one("SELECT coalesce(sum(received_msat), 0) AS total FROM invoices") or {}
        went = self._store.one(
            "SELECT coalesce(sum(amount_msat + fee_msat), 0) AS total FROM payments WHERE status = 'settled'"
        )
        return int(came["total"]) - int((went or {})["total"])

    def unsent(self, name: str) -> int:
        """How many webhooks about an invoice, by its external id, were not taken yet. Raises RefusedError 404."""
        body = json.dumps(self.invoice(name)["id"])
        return sum(body in str(row["body"]) for row in self._store.all("SELECT body FROM deliveries"))

    def _announce(self, connection: sqlite3.Connection, kind: str, name: str) -> None:
        identity = f"evt_{secrets.token_hex(8)}"
        body = json.dumps({"id": identity, "type": kind, "data": {"id": name}})
        connection.execute("INSERT INTO deliveries VALUES (?, ?, 0, 0)", (identity, body))

    def bill_of_customer(self, amount_msat: int | None, expiry_seconds: int) -> str:
        """An invoice that can be paid from the account: somebody else's, whose preimage this program knows."""
        request, digest, preimage = self._bill(amount_msat, "bread", expiry_seconds)
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO customers VALUES (?, ?, 0)", (digest, preimage))
        return request

    def pay(self, external_id: str, request: str, amount_msat: int, max_fee_msat: int) -> dict[str, Any]:
        """Pay an invoice once for an external id. Raises RefusedError: it is another payment's, or unreadable."""
        body = json.dumps([request, amount_msat, max_fee_msat])
        known = self._store.one("SELECT * FROM payments WHERE external_id = ?", external_id)
        if known is not None:
            if known["body"] != body:
                raise RefusedError(409, "the external id belongs to another payment")
            return _payment(known)
        try:
            invoice = decode(request, self._network.name)
        except Bolt11Error as error:
            raise RefusedError(422, f"the invoice cannot be read: {error}") from error
        digest = invoice.payment_hash.hex()
        customer = self._store.one("SELECT * FROM customers WHERE payment_hash = ?", digest)
        failure = ""
        if customer is None:
            failure = "no_route"
        elif customer["paid"]:
            failure = "already_paid"
        elif invoice.expires_at < self._network.clock():
            failure = "expired"
        elif max_fee_msat < _FEE_MSAT:
            failure = "fee_above_limit"
        status, preimage = ("failed", "") if failure else ("settled", str(customer and customer["preimage"]))
        identity = f"pay_{secrets.token_hex(8)}"
        fee = 0 if failure else _FEE_MSAT
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (external_id, identity, digest, amount_msat, fee, status, failure, preimage, body),
            )
            if not failure:
                connection.execute("UPDATE customers SET paid = paid + 1 WHERE payment_hash = ?", (digest,))
            self._announce(connection, f"withdrawal.{status}", identity)
        return self.payment(external_id)

    def payment(self, external_id: str) -> dict[str, Any]:
        """By external id. Raises RefusedError 404."""
        found = self._store.one("SELECT * FROM payments WHERE external_id = ?", external_id)
        if found is None:
            raise RefusedError(404, "there is no such payment")
        return _payment(found)


def _invoice(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in row if name != "preimage"}
    return {**shown, "status": "settled" if row["settle_number"] is not None else "open"}


def _payment(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name != "body"}
