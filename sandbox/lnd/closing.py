"""Channels that end: closed by force, or forgotten by a node that lost its disk, and closed by its peer at a restore.

There is no chain, so what a closing pays out is on the wallet at once: LND's own `pending_force_closing_channels` lasts
no time here.
"""

from __future__ import annotations

import sqlite3

_CLOSED, _LOST = "closed", "lost"
SCHEMA = """
CREATE TABLE IF NOT EXISTS endings (
    channel_id INTEGER PRIMARY KEY REFERENCES channels (id),
    how TEXT NOT NULL CHECK (how IN ('closed', 'lost')),
    node TEXT NOT NULL
) STRICT
"""
OPEN = "SELECT * FROM channels WHERE id NOT IN (SELECT channel_id FROM endings)"
"""Channels that money can go through."""


def known_to(connection: sqlite3.Connection, node: str) -> list[sqlite3.Row]:
    """Channels that a node lists: those that it has lost are its peer's alone."""
    return connection.execute(
        "SELECT * FROM channels c WHERE (opener = ?1 OR other = ?1) AND NOT EXISTS (SELECT 1 FROM endings e "
        "WHERE e.channel_id = c.id AND (e.how = 'closed' OR e.node = ?1)) ORDER BY id",
        (node,),
    ).fetchall()


def closed_of(connection: sqlite3.Connection, node: str) -> list[sqlite3.Row]:
    """Closed channels of a node, with `closer`."""
    return connection.execute(
        "SELECT c.*, e.node AS closer FROM channels c JOIN endings e ON e.channel_id = c.id "
        "WHERE e.how = 'closed' AND (c.opener = ?1 OR c.other = ?1) ORDER BY c.id",
        (node,),
    ).fetchall()


def close(connection: sqlite3.Connection, node: str, funding_txid: str) -> bool:
    """Close a node's channel by force; whether there is one without HTLCs on the way."""
    found = [row for row in known_to(connection, node) if row["funding_txid"][::-1].hex() == funding_txid]
    if not found or _is_busy(connection, found[0]["id"]):
        return False
    _end(connection, found[0]["id"], _CLOSED, node)
    return True


def forget(connection: sqlite3.Connection, node: str) -> None:
    """What a node knows is gone, but for its key, which comes from the seed."""
    for channel in known_to(connection, node):
        _end(connection, channel["id"], _LOST, node)
    for table in ("invoices", "payments"):
        connection.execute(f"DELETE FROM {table} WHERE node = ?", (node,))  # noqa: S608 - one of two words


def restore(connection: sqlite3.Connection, node: str, points: list[str]) -> list[str]:
    """Have the peers close the channels of a backup; which of them they closed now."""
    lost = connection.execute(
        "SELECT c.* FROM channels c JOIN endings e ON e.channel_id = c.id WHERE e.how = 'lost' AND e.node = ?", (node,)
    ).fetchall()
    closed = []
    for channel in lost:
        point = f"{channel['funding_txid'][::-1].hex()}:0"
        if point in points:
            peer = channel["other"] if channel["opener"] == node else channel["opener"]
            connection.execute(
                "UPDATE endings SET how = ?, node = ? WHERE channel_id = ?", (_CLOSED, peer, channel["id"])
            )
            closed.append(point)
    return closed


def _end(connection: sqlite3.Connection, channel_id: int, how: str, node: str) -> None:
    connection.execute("INSERT OR REPLACE INTO endings VALUES (?, ?, ?)", (channel_id, how, node))


def _is_busy(connection: sqlite3.Connection, channel_id: int) -> bool:
    query = "SELECT 1 FROM htlcs WHERE channel_id = ? AND state = 'LOCKED' LIMIT 1"
    return connection.execute(query, (channel_id,)).fetchone() is not None
