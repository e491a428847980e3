"""The network's database: tables, and the first state of a new one."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from coincurve import PrivateKey

from sandbox.durable import connect
from sandbox.lnd import closing
from sandbox.lnd.errors import SandboxError

SCHEMA_VERSION = 1
MERCHANT, CUSTOMER, ROUTER = "merchant", "customer", "router"
SERVED = (MERCHANT, CUSTOMER)
"""The nodes that have a REST server; the router only forwards."""

_COMMIT_FEE_SAT = 2810
_ANCHORS_SAT = 660
RESERVE_DIVISOR = 100
"""A side may not spend the last hundredth of the capacity (LND's default channel reserve)."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE nodes (name TEXT PRIMARY KEY, private_key BLOB NOT NULL, public_key BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE root_keys (node TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (node, id)) STRICT;
CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    funding_txid BLOB NOT NULL,
    opener TEXT NOT NULL,
    other TEXT NOT NULL,
    capacity_sat INTEGER NOT NULL,
    opener_msat INTEGER NOT NULL CHECK (opener_msat >= 0),
    other_msat INTEGER NOT NULL CHECK (other_msat >= 0),
    pushed_msat INTEGER NOT NULL,
    opener_sent_msat INTEGER NOT NULL DEFAULT 0,
    other_sent_msat INTEGER NOT NULL DEFAULT 0,
    opener_htlcs INTEGER NOT NULL DEFAULT 0,
    other_htlcs INTEGER NOT NULL DEFAULT 0,
    updates INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE invoices (
    node TEXT NOT NULL,
    add_index INTEGER NOT NULL,
    payment_hash BLOB NOT NULL,
    preimage BLOB,
    payment_addr BLOB NOT NULL,
    memo TEXT NOT NULL,
    value_msat INTEGER NOT NULL,
    payment_request TEXT NOT NULL,
    description_hash BLOB,
    expiry_seconds INTEGER NOT NULL,
    cltv_expiry INTEGER NOT NULL,
    route_hints TEXT NOT NULL,
    hold INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('OPEN', 'SETTLED', 'CANCELED', 'ACCEPTED')),
    settle_index INTEGER,
    settled_at INTEGER,
    amt_paid_msat INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (node, add_index)
) STRICT;
CREATE UNIQUE INDEX invoices_hash ON invoices (node, payment_hash);
CREATE UNIQUE INDEX invoices_addr ON invoices (node, payment_addr);
CREATE UNIQUE INDEX invoices_settled ON invoices (node, settle_index) WHERE settle_index IS NOT NULL;
CREATE INDEX invoices_expiring ON invoices (created_at + expiry_seconds) WHERE state = 'OPEN';
CREATE INDEX invoices_held ON invoices (node) WHERE state = 'ACCEPTED';
CREATE TABLE payments (
    node TEXT NOT NULL,
    payment_index INTEGER NOT NULL,
    payment_hash BLOB NOT NULL,
    payment_request TEXT NOT NULL,
    value_msat INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('IN_FLIGHT', 'SUCCEEDED', 'FAILED')),
    failure_reason TEXT NOT NULL DEFAULT 'FAILURE_REASON_NONE',
    PRIMARY KEY (node, payment_index)
) STRICT;
CREATE UNIQUE INDEX payments_hash ON payments (node, payment_hash);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node TEXT NOT NULL,
    payment_hash BLOB NOT NULL,
    payment_addr BLOB NOT NULL,
    destination TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    total_time_lock INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('IN_FLIGHT', 'SUCCEEDED', 'FAILED')),
    attempt_ns INTEGER NOT NULL,
    resolve_ns INTEGER NOT NULL DEFAULT 0,
    preimage BLOB,
    failure_code TEXT,
    failure_source INTEGER,
    failure_height INTEGER
) STRICT;
CREATE INDEX attempts_hash ON attempts (node, payment_hash);
CREATE INDEX attempts_in_flight ON attempts (status) WHERE status = 'IN_FLIGHT';
CREATE TABLE htlcs (
    attempt_id INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    hop INTEGER NOT NULL,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    sender TEXT NOT NULL,
    receiver TEXT NOT NULL,
    htlc_index INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    payment_hash BLOB NOT NULL,
    expiry_height INTEGER NOT NULL,
    accept_height INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    resolved_at INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('PLANNED', 'LOCKED', 'SETTLED', 'FAILED')),
    PRIMARY KEY (attempt_id, hop)
) STRICT;
CREATE INDEX htlcs_locked ON htlcs (channel_id) WHERE state = 'LOCKED';
CREATE INDEX htlcs_hash ON htlcs (receiver, payment_hash);
"""


@dataclass(frozen=True, slots=True)
class Genesis:
    """How a new network begins."""

    network: str
    channel_sat: int
    routed: bool
    """With a routing node between the two, which takes fees; else one direct channel, which never costs a fee."""


def open_database(path: Path, genesis: Genesis, now: float, node_keys: dict[str, bytes]) -> sqlite3.Connection:
    """Open the network's database, or make a new one.

    Args:
        path: the sqlite file.
        genesis: what a new network looks like; an existing one must have been made alike.
        now: unix time.
        node_keys: node name -> 32 bytes of private key, for a new network.

    Raises:
        SandboxError: the file is damaged, of another version, or of another network.
    """
    try:
        connection = connect(path)
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create(connection, genesis, now, node_keys)
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
    except sqlite3.OperationalError as refusal:
        what = f"{path} cannot be opened or written ({refusal}); look at the disk's space and the folder's permissions"
        raise SandboxError(what) from refusal
    except sqlite3.DatabaseError as refusal:
        raise SandboxError(f"{path} cannot be used ({refusal}); remove the file to begin a new network") from refusal
    _check(connection, path, genesis)
    connection.execute(closing.SCHEMA)  # not in the first version's tables
    return connection


def _check(connection: sqlite3.Connection, path: Path, genesis: Genesis) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise SandboxError(
            f"{path} has version {version}, this program reads {SCHEMA_VERSION}; remove it to begin anew"
        )
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if meta["network"] != genesis.network:
        raise SandboxError(f"{path} is a {meta['network']} network, not {genesis.network}; use another --data folder")
    if (meta["routed"] == "1") != genesis.routed:
        has = "has a routing node" if meta["routed"] == "1" else "has no routing node"
        raise SandboxError(
            f"{path} {has}; start it with the routing fees it was made with, or use another --data folder"
        )


def _create(connection: sqlite3.Connection, genesis: Genesis, now: float, node_keys: dict[str, bytes]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    meta = {"network": genesis.network, "routed": str(int(genesis.routed)), "genesis_at": str(int(now))}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    names = (*SERVED, ROUTER) if genesis.routed else SERVED
    for name in names:
        public_key = PrivateKey(node_keys[name]).public_key.format()
        connection.execute("INSERT INTO nodes VALUES (?, ?, ?)", (name, node_keys[name], public_key))
    connection.executemany("INSERT INTO root_keys VALUES (?, '0')", [(name,) for name in SERVED])
    pairs = ((MERCHANT, ROUTER), (CUSTOMER, ROUTER)) if genesis.routed else ((CUSTOMER, MERCHANT),)
    for output, (opener, other) in enumerate(pairs):
        _open_channel(connection, opener, other, genesis.channel_sat, output, node_keys)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _open_channel(
    connection: sqlite3.Connection, opener: str, other: str, capacity_sat: int, output: int, node_keys: dict[str, bytes]
) -> None:
    pushed_msat = capacity_sat // 2 * 1000
    opener_msat = (capacity_sat - _COMMIT_FEE_SAT - _ANCHORS_SAT) * 1000 - pushed_msat
    # A short channel id is block height, transaction index and output index (BOLT 7).
    scid = (432 + output) << 40 | 1 << 16
    txid = PrivateKey(node_keys[opener]).public_key.format()[1:]
    connection.execute(
        "INSERT INTO channels (id, funding_txid, opener, other, capacity_sat, opener_msat, other_msat, pushed_msat)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (scid, txid, opener, other, capacity_sat, opener_msat, pushed_msat, pushed_msat),
    )


def commit_fee_sat() -> int:
    """What the opener's side pays for the commitment transaction, in satoshi."""
    return _COMMIT_FEE_SAT
