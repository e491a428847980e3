"""SQL of x402 settlements. Every write is one function call; leases are checked inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg.errors

from payments.database import Database, jsonb
from payments.x402.schemas import Settlement

FEE_LIMIT_REACHED = "RY005"


class FeeLimitReachedError(Exception):
    """The user's payments have cost the fee payer as much as they may in a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSettlement:
    """What T1 writes."""

    id: UUID
    message_hash: bytes
    binding: bytes
    retry_key: str | None
    user_id: str
    environment: str
    api_key_id: UUID | None
    x402_version: int
    network: str
    payer: str
    pay_to: str
    destination: str
    mint: str
    asset: str
    wanted: int
    fee_payer: str
    memo: str | None
    ours: bool
    transaction: str
    max_fee_lamports: int
    last_valid_height: int


async def accept(
    database: Database, new: NewSettlement, *, release: str, now: datetime, actor: str, cause: str
) -> tuple[bool, UUID]:
    """Write the settlement, or find the one this message has. Returns whether it is new, and its id."""
    row = await database.one(
        "SELECT * FROM x402.accept_settlement(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
        "%s, %s, %s, %s, %s, %s, %s)",
        (
            new.id,
            new.message_hash,
            new.binding,
            new.retry_key,
            new.user_id,
            new.environment,
            new.api_key_id,
            new.x402_version,
            new.network,
            new.payer,
            new.pay_to,
            new.destination,
            new.mint,
            new.asset,
            new.wanted,
            new.fee_payer,
            new.memo,
            new.ours,
            new.transaction,
            new.max_fee_lamports,
            new.last_valid_height,
            release,
            now,
            actor,
            cause,
        ),
        name="accept_settlement",
    )
    assert row is not None
    return row["created"], row["settlement_id"]


async def by_message(database: Database, message_hash: bytes) -> Settlement | None:
    """The settlement of a signed message."""
    row = await database.one(
        "SELECT * FROM x402.settlements WHERE message_hash = %s", (message_hash,), name="settlement_by_message"
    )
    return Settlement.of(row) if row else None


async def by_id(database: Database, settlement_id: UUID) -> Settlement | None:
    """One settlement."""
    row = await database.one("SELECT * FROM x402.settlements WHERE id = %s", (settlement_id,), name="settlement_by_id")
    return Settlement.of(row) if row else None


async def finished_among(database: Database, ids: Sequence[UUID]) -> list[Settlement]:
    """Those of `ids` that are final."""
    rows = await database.all(
        "SELECT * FROM x402.settlements WHERE id = ANY (%s) AND state IN ('settled', 'failed')",
        (list(ids),),
        name="settlements_finished",
    )
    return [Settlement.of(row) for row in rows]


async def tell(database: Database, settlement_id: UUID, *, now: datetime) -> bool:
    """Note that success is answered; True for the first time only."""
    return bool(
        await database.value("SELECT x402.tell_settlement(%s, %s)", (settlement_id, now), name="tell_settlement")
    )


# ---- the worker's


async def take(database: Database, *, token: UUID, lease_seconds: float, limit: int) -> list[Settlement]:
    """Settlements that are due and that nobody holds; `token` holds them now."""
    rows = await database.all(
        "SELECT * FROM x402.take_settlements(%s, %s, %s)", (token, lease_seconds, limit), name="take_settlements"
    )
    return [Settlement.of(row) for row in rows]


async def hold(database: Database, settlement_id: UUID, token: UUID, lease_seconds: float) -> bool:
    """Keep the lease; False when it was taken over."""
    return bool(
        await database.value(
            "SELECT x402.hold_settlement(%s, %s, %s)", (settlement_id, token, lease_seconds), name="hold_settlement"
        )
    )


async def submit(
    database: Database, settlement_id: UUID, token: UUID, *, signature: str, daily_fee_limit: int, now: datetime
) -> bool:
    """Write the signature before anything is sent; False when the lease was taken over.

    Raises:
        FeeLimitReachedError: nothing may be signed for this user today.
    """
    try:
        return bool(
            await database.value(
                "SELECT x402.submit_settlement(%s, %s, %s, %s, %s)",
                (settlement_id, token, signature, daily_fee_limit, now),
                name="submit_settlement",
            )
        )
    except psycopg.errors.Error as error:
        if error.sqlstate == FEE_LIMIT_REACHED:
            raise FeeLimitReachedError(error.diag.message_primary or "") from error
        raise


async def postpone(database: Database, settlement_id: UUID, token: UUID, *, seconds: float, message: str) -> bool:
    """Give it back, to be looked at again after `seconds`."""
    return bool(
        await database.value(
            "SELECT x402.postpone_settlement(%s, %s, %s, %s)",
            (settlement_id, token, seconds, message),
            name="postpone_settlement",
        )
    )


async def settle(
    database: Database,
    settlement_id: UUID,
    token: UUID,
    *,
    event_id: str,
    received: int,
    fee_lamports: int,
    proof: Mapping[str, Any],
    arrived_at: datetime,
    now: datetime,
) -> bool:
    """Write success with its journals; False when the lease was taken over or it is final."""
    return bool(
        await database.value(
            "SELECT x402.settle_settlement(%s, %s, %s, %s, %s, %s, %s, %s)",
            (settlement_id, token, event_id, received, fee_lamports, jsonb(dict(proof)), arrived_at, now),
            name="settle_settlement",
        )
    )


async def fail(
    database: Database,
    settlement_id: UUID,
    token: UUID,
    *,
    reason: str,
    message: str,
    fee_lamports: int,
    proof: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Write a proven failure; False when the lease was taken over or it is final."""
    return bool(
        await database.value(
            "SELECT x402.fail_settlement(%s, %s, %s, %s, %s, %s, %s)",
            (settlement_id, token, reason, message, fee_lamports, jsonb(dict(proof)), now),
            name="fail_settlement",
        )
    )


async def forget_nonces(database: Database, *, now: datetime, limit: int) -> int:
    """Drop expired nonces; returns how many went."""
    return int(await database.value("SELECT x402.forget_nonces(%s, %s)", (now, limit), name="forget_nonces"))
