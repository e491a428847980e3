"""SQL of the on-chain rail: addresses, coins, and every version of every payout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments.database import Database
from payments.rails.onchain.wallet import Branch, Coin


@dataclass(frozen=True, slots=True)
class Address:
    """An address of ours; `script` None until it was derived."""

    branch: Branch
    number: int
    rail_id: str
    address: str | None
    script: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a payout's transaction, unsigned."""

    number: int
    txid: str
    psbt: str
    fee_sats: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpenPayout:
    """A payout that is not final. Amounts in msat."""

    payment_id: UUID
    payment_request: str
    amount_msat: int
    max_fee_msat: int


_ADDRESS = "branch, number, rail_id, address, script, created_at"


def _address(row: dict[str, object]) -> Address:
    values = {name: row[name] for name in Address.__slots__}
    values["branch"] = Branch(int(str(row["branch"])))
    values["script"] = bytes(row["script"]) if row["script"] is not None else None  # type: ignore[call-overload]
    return Address(**values)  # type: ignore[arg-type]


async def allot(database: Database, branch: Branch, rail_id: str) -> Address:
    """The address number that belongs to `rail_id`, a new one the first time."""
    row = await database.one(
        f"SELECT {_ADDRESS} FROM payments.allot_address(%s, %s)",  # noqa: S608
        (int(branch), rail_id),
        name="allot_address",
    )
    assert row is not None
    return _address(row)


async def fill(database: Database, address: Address, text: str, script: bytes) -> None:
    """Note what was derived; the same every time, so the first one stays."""
    await database.run(
        "UPDATE payments.onchain_addresses SET address = %s, script = %s, filled_at = clock_timestamp() "
        "WHERE branch = %s AND number = %s AND script IS NULL",
        (text, script, int(address.branch), address.number),
        name="fill_address",
    )


async def find(database: Database, branch: Branch, rail_id: str) -> Address | None:
    """The address of `rail_id`, if it has one."""
    row = await database.one(
        f"SELECT {_ADDRESS} FROM payments.onchain_addresses WHERE branch = %s AND rail_id = %s",  # noqa: S608
        (int(branch), rail_id),
        name="find_address",
    )
    return _address(row) if row else None


async def filled_since(database: Database, since: datetime | None) -> list[Address]:
    """Addresses that were derived after `since` (None: all)."""
    rows = await database.all(
        f"SELECT {_ADDRESS} FROM payments.onchain_addresses WHERE script IS NOT NULL "  # noqa: S608
        "AND filled_at > coalesce(%s, '-infinity'::timestamptz)",
        (since,),
        name="watched_addresses",
    )
    return [_address(row) for row in rows]


async def earliest(database: Database) -> datetime | None:
    """When the first address was allotted."""
    found: datetime | None = await database.value(
        "SELECT min(created_at) FROM payments.onchain_addresses", name="earliest_address"
    )
    return found


async def save_coins(database: Database, coins: Sequence[Coin], height: int) -> None:
    """Note outputs of ours that a block made."""
    await database.run(
        "INSERT INTO payments.onchain_coins (txid, vout, branch, number, sats, height) "
        "SELECT *, %s FROM unnest(%s::text[], %s::int[], %s::smallint[], %s::bigint[], %s::bigint[]) "
        "ON CONFLICT (txid, vout) DO UPDATE SET height = excluded.height",
        (
            height,
            [coin.txid for coin in coins],
            [coin.vout for coin in coins],
            [int(coin.branch) for coin in coins],
            [coin.number for coin in coins],
            [coin.sats for coin in coins],
        ),
        name="save_coins",
    )


_FREE = (
    "FROM payments.onchain_coins c WHERE NOT EXISTS (SELECT 1 FROM payments.payments p "
    "WHERE p.id = c.payment_id AND p.state NOT IN ('failed', 'cancelled'))"
)


async def free_coins(database: Database, *, besides: UUID, limit: int) -> list[Coin]:
    """Coins that no payment holds, the largest first; those of `besides` are not free either."""
    rows = await database.all(
        f"SELECT c.txid, c.vout, c.branch, c.number, c.sats {_FREE} "  # noqa: S608
        "AND c.payment_id IS DISTINCT FROM %s ORDER BY c.sats DESC, c.txid LIMIT %s",
        (besides, limit),
        name="free_coins",
    )
    return [Coin(row["txid"], row["vout"], Branch(row["branch"]), row["number"], int(row["sats"])) for row in rows]


async def held_coins(database: Database, payment_id: UUID) -> list[Coin]:
    """Coins that a payment holds."""
    rows = await database.all(
        "SELECT txid, vout, branch, number, sats FROM payments.onchain_coins WHERE payment_id = %s ORDER BY txid, vout",
        (payment_id,),
        name="held_coins",
    )
    return [Coin(row["txid"], row["vout"], Branch(row["branch"]), row["number"], int(row["sats"])) for row in rows]


async def free_sats(database: Database) -> int:
    """Sum of the coins that no payment holds."""
    return int(await database.value(f"SELECT coalesce(sum(c.sats), 0) {_FREE}", name="free_sats"))


async def reserve(database: Database, payment_id: UUID, coins: Sequence[Coin]) -> bool:
    """Hold coins for a payment; False when another one has any of them."""
    return bool(
        await database.value(
            "SELECT payments.reserve_coins(%s, %s, %s)",
            (payment_id, [coin.txid for coin in coins], [coin.vout for coin in coins]),
            name="reserve_coins",
        )
    )


async def forget_coin(database: Database, coin: Coin) -> None:
    """A coin that turned out to be spent, or not there any more."""
    await database.run(
        "DELETE FROM payments.onchain_coins WHERE txid = %s AND vout = %s", (coin.txid, coin.vout), name="forget_coin"
    )


async def versions(database: Database, payment_id: UUID) -> list[Version]:
    """Every version of a payout, the first first."""
    rows = await database.all(
        "SELECT number, txid, psbt, fee_sats, created_at FROM payments.onchain_versions WHERE payment_id = %s "
        "ORDER BY number",
        (payment_id,),
        name="payout_versions",
    )
    return [Version(row["number"], row["txid"], row["psbt"], int(row["fee_sats"]), row["created_at"]) for row in rows]


async def add_version(database: Database, payment_id: UUID, number: int, txid: str, psbt: str, fee_sats: int) -> None:
    """Write a version before it is signed; whoever wrote this number first wins."""
    await database.run(
        "INSERT INTO payments.onchain_versions (payment_id, number, txid, psbt, fee_sats) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING",
        (payment_id, number, txid, psbt, fee_sats),
        name="add_version",
    )


async def stuck(database: Database, *, older_than_seconds: float, now: datetime, limit: int) -> list[OpenPayout]:
    """Open payouts whose newest version is older than so many seconds, the oldest first."""
    rows = await database.all(
        "SELECT p.id, p.payment_request, p.amount, coalesce(f.max_fee, p.max_fee) AS max_fee FROM payments.payments p "
        "LEFT JOIN payments.payment_fallbacks f ON f.payment_id = p.id "
        "JOIN LATERAL (SELECT max(created_at) AS newest FROM payments.onchain_versions WHERE payment_id = p.id) v "
        "ON v.newest < %s - make_interval(secs => %s) WHERE p.rail = 'onchain' AND p.state IN ('sending', 'unknown') "
        "ORDER BY v.newest LIMIT %s",
        (now, older_than_seconds, limit),
        name="stuck_payouts",
    )
    return [OpenPayout(row["id"], row["payment_request"], int(row["amount"]), int(row["max_fee"])) for row in rows]


async def credited_above(database: Database, height: int) -> dict[str, tuple[str, int]]:
    """Block and height of each deposit that is credited now and was last seen above `height`, by event."""
    rows = await database.all(
        "SELECT a.event_id, coalesce(r.restored_proof, a.proof)->>'block_hash' AS block, "
        "(coalesce(r.restored_proof, a.proof)->>'block_height')::int AS height FROM payments.arrivals a "
        "LEFT JOIN LATERAL (SELECT state, restored_proof FROM payments.reversals v WHERE v.rail = a.rail "
        "AND v.event_id = a.event_id ORDER BY number DESC LIMIT 1) r ON true WHERE a.rail = 'onchain' "
        "AND (coalesce(r.restored_proof, a.proof)->>'block_height')::int > %s AND r.state IS DISTINCT FROM 'reversed'",
        (height,),
        name="credited_above",
    )
    return {row["event_id"]: (row["block"], row["height"]) for row in rows}


async def held_sats(database: Database) -> int:
    """What blocks gave us and no payout that succeeded took: change, and deposits that are credited."""
    return int(
        await database.value(
            "SELECT coalesce(sum(c.sats), 0) FROM payments.onchain_coins c WHERE NOT EXISTS (SELECT 1 "
            "FROM payments.payments p WHERE p.id = c.payment_id AND p.state = 'succeeded') AND (c.branch = 1 "
            "OR EXISTS (SELECT 1 FROM payments.arrivals a WHERE a.rail = 'onchain' "
            "AND a.event_id = c.txid || ':' || c.vout "
            "AND NOT EXISTS (SELECT 1 FROM payments.reversals r WHERE r.rail = a.rail AND r.event_id = a.event_id "
            "AND r.state = 'reversed')))",
            name="held_sats",
        )
    )
