"""The account's invoices, payments and undelivered webhooks, in SQLite: on the disk before anything is answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.durable import connect

_SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    external_id TEXT PRIMARY KEY, id TEXT NOT NULL, payment_hash TEXT NOT NULL UNIQUE, preimage TEXT NOT NULL,
    payment_request TEXT NOT NULL, amount_msat INTEGER, memo TEXT NOT NULL, expires_at INTEGER NOT NULL,
    settle_number INTEGER UNIQUE, settled_at INTEGER, received_msat INTEGER
);
CREATE TABLE IF NOT EXISTS payments (
    external_id TEXT PRIMARY KEY, id TEXT NOT NULL, payment_hash TEXT NOT NULL, amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL, status TEXT NOT NULL, failure TEXT NOT NULL, preimage TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS customers (payment_hash TEXT PRIMARY KEY, preimage TEXT NOT NULL, paid INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, next REAL NOT NULL
);
"""


class Store:
    """One account's state in a folder."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder / "river.sqlite")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk at its end."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def one(self, statement: str, *parameters: Any) -> dict[str, Any] | None:
        """The first row."""
        row = self._connection.execute(statement, parameters).fetchone()
        return dict(row) if row else None

    def all(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Every row."""
        return [dict(row) for row in self._connection.execute(statement, parameters).fetchall()]
