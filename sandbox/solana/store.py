"""The cluster's database: account versions, transactions, and the addresses they touched."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sandbox.durable import connect
from sandbox.solana.errors import SandboxError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE accounts (
    address BLOB NOT NULL,
    slot INTEGER NOT NULL,
    lamports BLOB NOT NULL,
    owner BLOB NOT NULL,
    data BLOB NOT NULL,
    executable INTEGER NOT NULL,
    PRIMARY KEY (address, slot)
) STRICT;
CREATE TABLE transactions (
    sequence INTEGER PRIMARY KEY,
    signature BLOB NOT NULL UNIQUE,
    message_hash BLOB NOT NULL UNIQUE,
    slot INTEGER NOT NULL,
    err TEXT,
    memo TEXT,
    wire BLOB NOT NULL,
    meta TEXT NOT NULL
) STRICT;
CREATE TABLE touched (
    address BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (address, sequence)
) WITHOUT ROWID, STRICT;
"""
MAX_U64 = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction that is in a block, successful or not."""

    signature: bytes
    message_hash: bytes
    slot: int
    err: Any
    memo: str | None
    wire: bytes
    meta: dict[str, Any]
    addresses: tuple[bytes, ...]
    sequence: int = 0


def open_database(path: Path, genesis_hash: bytes, first: Callable[[], dict[str, str]]) -> sqlite3.Connection:
    """Open the cluster's database, or make a new one with the meta values of `first`.

    Raises:
        SandboxError: damaged, of another version, or of another genesis.
    """
    try:
        connection = connect(path)
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            values = {**first(), "genesis_hash": genesis_hash.hex()}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
    except sqlite3.OperationalError as refusal:
        what = f"{path} cannot be opened or written ({refusal}); look at the disk's space and the folder's permissions"
        raise SandboxError(what) from refusal
    except sqlite3.DatabaseError as refusal:
        raise SandboxError(f"{path} cannot be used ({refusal}); remove the file to begin a new cluster") from refusal
    if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
        raise SandboxError(f"{path} was written by another version; remove the file to begin a new cluster")
    if meta(connection)["genesis_hash"] != genesis_hash.hex():
        raise SandboxError(f"{path} began from another genesis; remove the file, or use another --data folder")
    return connection


def meta(connection: sqlite3.Connection) -> dict[str, str]:
    """The values that a cluster was made with."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def save_accounts(connection: sqlite3.Connection, slot: int, changed: dict[Pubkey, Account], finalized: int) -> None:
    """Write new versions, and drop those that not even a finalized view can see any more."""
    for address, account in changed.items():
        key = bytes(address)
        connection.execute(
            "DELETE FROM accounts WHERE address = ?1 AND slot <"
            " (SELECT max(slot) FROM accounts WHERE address = ?1 AND slot <= ?2)",
            (key, finalized),
        )
        # SQLite's integers are signed: lamports above 2^63 would not fit.
        lamports = account.lamports.to_bytes(8, "big")
        connection.execute(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?)",
            (key, slot, lamports, bytes(account.owner), account.data, int(account.executable)),
        )


def load_accounts(connection: sqlite3.Connection) -> list[tuple[Pubkey, int, Account]]:
    """All versions, oldest first."""
    rows = connection.execute("SELECT * FROM accounts ORDER BY slot").fetchall()
    return [
        (
            Pubkey(row["address"]),
            row["slot"],
            Account(
                int.from_bytes(row["lamports"], "big"),
                row["data"],
                Pubkey(row["owner"]),
                bool(row["executable"]),
                MAX_U64,
            ),
        )
        for row in rows
    ]


def save_transaction(connection: sqlite3.Connection, landed: Landed) -> int:
    """Write a transaction and who it touched; returns its place in the cluster's order."""
    cursor = connection.execute(
        "INSERT INTO transactions (signature, message_hash, slot, err, memo, wire, meta) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            landed.signature,
            landed.message_hash,
            landed.slot,
            None if landed.err is None else json.dumps(landed.err),
            landed.memo,
            landed.wire,
            json.dumps(landed.meta),
        ),
    )
    assert cursor.lastrowid is not None
    connection.executemany(
        "INSERT OR IGNORE INTO touched VALUES (?, ?)", [(address, cursor.lastrowid) for address in landed.addresses]
    )
    return cursor.lastrowid


def find(connection: sqlite3.Connection, signature: bytes) -> sqlite3.Row | None:
    """A transaction by its first signature."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM transactions WHERE signature = ?", (signature,)
    ).fetchone()
    return row


def history(
    connection: sqlite3.Connection,
    address: bytes,
    *,
    newest_slot: int,
    before: bytes | None,
    until: bytes | None,
    limit: int,
) -> list[sqlite3.Row]:
    """Transactions that touched an address, newest first, between two signatures (both left out)."""
    upper = _sequence(connection, before) if before else 2**62
    lower = _sequence(connection, until) if until else 0
    return connection.execute(
        "SELECT t.signature, t.slot, t.err, t.memo FROM touched a JOIN transactions t ON t.sequence = a.sequence"
        " WHERE a.address = ? AND a.sequence < ? AND a.sequence > ? AND t.slot <= ?"
        " ORDER BY a.sequence DESC LIMIT ?",
        (address, upper, lower, newest_slot, limit),
    ).fetchall()


def count(connection: sqlite3.Connection) -> int:
    """All transactions that landed."""
    total: int = connection.execute("SELECT count(*) FROM transactions").fetchone()[0]
    return total


def _sequence(connection: sqlite3.Connection, signature: bytes) -> int:
    row = connection.execute("SELECT sequence FROM transactions WHERE signature = ?", (signature,)).fetchone()
    return 0 if row is None else row["sequence"]
