"""Where the money is: channel balances, HTLCs on the way, and the route between two nodes.

Every function runs inside one transaction of the writer, so no balance is ever seen half moved.
"""

import sqlite3
from dataclasses import dataclass

from sandbox.lnd import closing
from sandbox.lnd.store import RESERVE_DIVISOR, ROUTER

BLOCK_PADDING = 3
"""Blocks a sender adds to the final expiry, for blocks that are mined meanwhile (LND's routing.BlockPadding)."""
TIME_LOCK_DELTA = 80
"""LND's default for Bitcoin: blocks a forwarding node asks for, and the default of invoices' cltv_expiry."""
BLOCK_SECONDS = 600
FIRST_HEIGHT = 500


@dataclass(frozen=True, slots=True)
class Fees:
    """What the routing node takes for a forward (LND's own defaults are 1000 msat + 1 ppm)."""

    base_msat: int = 0
    rate_ppm: int = 0

    def of(self, amount_msat: int) -> int:
        """The fee for forwarding an amount, in millisatoshi."""
        return self.base_msat + amount_msat * self.rate_ppm // 1_000_000


@dataclass(frozen=True, slots=True)
class Hop:
    """One channel of a route: what is locked in it, and what its receiving node keeps of it."""

    channel_id: int
    sender: str
    receiver: str
    amount_msat: int
    fee_msat: int
    expiry_height: int


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a payment; the first hop is the payer's channel."""

    hops: tuple[Hop, ...]

    @property
    def fee_msat(self) -> int:
        """What routing nodes keep."""
        return sum(hop.fee_msat for hop in self.hops)


class NoRouteError(Exception):
    """There is no way for the amount; the reason is LND's payment failure reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TemporaryChannelFailureError(Exception):
    """A node on the way has not enough on its side of the channel."""

    def __init__(self, hop: int) -> None:
        super().__init__(f"temporary channel failure at hop {hop}")
        self.hop = hop


def height_at(genesis_at: int, now: float) -> int:
    """The chain's height: a block each ten minutes since the network began."""
    return FIRST_HEIGHT + max(0, int(now) - genesis_at) // BLOCK_SECONDS


def spendable_msat(channel: sqlite3.Row, node: str) -> int:
    """What a node can send over a channel: its balance without the reserve."""
    balance: int = channel["opener_msat"] if channel["opener"] == node else channel["other_msat"]
    reserve: int = channel["capacity_sat"] * 1000 // RESERVE_DIVISOR
    return max(0, balance - reserve)


def between(connection: sqlite3.Connection, one: str, two: str) -> sqlite3.Row | None:
    """The channel of two nodes, if they have one."""
    row: sqlite3.Row | None = connection.execute(
        f"{closing.OPEN} AND ((opener = ? AND other = ?) OR (opener = ? AND other = ?))",
        (one, two, two, one),
    ).fetchone()
    return row


def find_route(
    connection: sqlite3.Connection,
    payer: str,
    payee: str | None,
    amount_msat: int,
    fees: Fees,
    fee_limit_msat: int,
    final_height: int,
) -> Route:
    """The only route there is, if it carries the amount within the fee limit.

    Raises:
        NoRouteError: the payer has too little, nobody knows the payee, or the fee is above the limit.
    """
    direct = between(connection, payer, payee) if payee else None
    first = direct or between(connection, payer, ROUTER)
    if first is None or payee is None:
        raise NoRouteError("FAILURE_REASON_NO_ROUTE", "unable to find a path to destination")
    spendable = spendable_msat(first, payer)
    if spendable < amount_msat:
        raise NoRouteError("FAILURE_REASON_INSUFFICIENT_BALANCE", "insufficient local balance")
    if direct is not None:
        return Route((Hop(direct["id"], payer, payee, amount_msat, 0, final_height),))
    second = between(connection, ROUTER, payee)
    fee_msat = fees.of(amount_msat)
    if second is None or fee_msat > fee_limit_msat or spendable < amount_msat + fee_msat:
        raise NoRouteError("FAILURE_REASON_NO_ROUTE", "unable to find a path to destination")
    return Route(
        (
            Hop(first["id"], payer, ROUTER, amount_msat + fee_msat, fee_msat, final_height + TIME_LOCK_DELTA),
            Hop(second["id"], ROUTER, payee, amount_msat, 0, final_height),
        )
    )


def plan(connection: sqlite3.Connection, attempt_id: int, payment_hash: bytes, route: Route) -> None:
    """Write down the HTLCs of an attempt; no money moves yet."""
    for index, hop in enumerate(route.hops):
        connection.execute(
            "INSERT INTO htlcs VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0, 0, 0, 'PLANNED')",
            (
                attempt_id,
                index,
                hop.channel_id,
                hop.sender,
                hop.receiver,
                hop.amount_msat,
                hop.fee_msat,
                payment_hash,
                hop.expiry_height,
            ),
        )


def lock(connection: sqlite3.Connection, htlc: sqlite3.Row, height: int, now: float) -> None:
    """Take the amount from the sender's side of the channel.

    Raises:
        TemporaryChannelFailureError: the side has not that much above its reserve.
    """
    channel = connection.execute("SELECT * FROM channels WHERE id = ?", (htlc["channel_id"],)).fetchone()
    if spendable_msat(channel, htlc["sender"]) < htlc["amount_msat"]:
        raise TemporaryChannelFailureError(htlc["hop"])
    _add(connection, channel, htlc["sender"], -htlc["amount_msat"])
    side = _side(channel, htlc["sender"])
    connection.execute(
        "UPDATE htlcs SET state = 'LOCKED', accept_height = ?, accepted_at = ?, htlc_index = ?"
        " WHERE attempt_id = ? AND hop = ?",
        (height, int(now), channel[f"{side}_htlcs"], htlc["attempt_id"], htlc["hop"]),
    )
    connection.execute(f"UPDATE channels SET {side}_htlcs = {side}_htlcs + 1 WHERE id = ?", (channel["id"],))  # noqa: S608


def release(connection: sqlite3.Connection, attempt_id: int, *, settle: bool, now: float) -> None:
    """End all HTLCs of an attempt: to the receivers when settled, back to the senders when failed."""
    for htlc in connection.execute("SELECT * FROM htlcs WHERE attempt_id = ? AND state = 'LOCKED'", (attempt_id,)):
        channel = connection.execute("SELECT * FROM channels WHERE id = ?", (htlc["channel_id"],)).fetchone()
        _add(connection, channel, htlc["receiver"] if settle else htlc["sender"], htlc["amount_msat"])
        if settle:
            side = _side(channel, htlc["sender"])
            connection.execute(
                f"UPDATE channels SET {side}_sent_msat = {side}_sent_msat + ? WHERE id = ?",  # noqa: S608
                (htlc["amount_msat"], channel["id"]),
            )
    connection.execute(
        "UPDATE htlcs SET state = ?, resolved_at = ? WHERE attempt_id = ? AND state IN ('LOCKED', 'PLANNED')",
        ("SETTLED" if settle else "FAILED", int(now), attempt_id),
    )


def _side(channel: sqlite3.Row, node: str) -> str:
    return "opener" if channel["opener"] == node else "other"


def _add(connection: sqlite3.Connection, channel: sqlite3.Row, node: str, amount_msat: int) -> None:
    side = _side(channel, node)
    connection.execute(
        f"UPDATE channels SET {side}_msat = {side}_msat + ?, updates = updates + 1 WHERE id = ?",  # noqa: S608
        (amount_msat, channel["id"]),
    )
