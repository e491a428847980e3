"""SQL of payments; every change of state is one SQL function call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from payments.attempts.schemas import Attempt
from payments.database import Database, Queries, jsonb
from payments.idempotency.repository import claim_of
from payments.idempotency.schemas import Answer, Claim, IdempotencyKey
from payments.payouts.falling_back import Fallback
from payments.payouts.schemas import Payment, PaymentState
from payments.rails.protocol import Outcome, PreparedPayment

_COLUMNS = (
    "id, user_id, environment, rail, rail_id, payment_request, asset, amount, max_fee, fee, memo, metadata, "
    "external_id, retry_of, refund_id, state, reason, proof, created_at, updated_at, finished_at"
)


_CREATE = (
    "payments.create_payment(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
    "%s, %s, %s, %s, %s, %s, %s, %s)"
)


async def create(
    database: Queries,
    payment: Payment,
    *,
    key: IdempotencyKey,
    api_key_id: UUID | None,
    daily_limit: int,
    release: str,
    answer: Answer,
    actor: str,
    fallback: Fallback | None = None,
) -> Claim:
    """Accept a payment: key, limits, reserve, job, fallback and stored answer in one transaction.

    Raises:
        psycopg.Error: SQLSTATE RY004, the balance is too low; RY005, over the daily limit; 23505, the request or the
            external id is in use.
    """
    parameters: tuple[object, ...] = (
        key.caller_id,
        key.environment,
        key.route,
        key.key,
        key.fingerprint,
        key.token,
        payment.id,
        payment.user_id,
        api_key_id,
        payment.rail,
        payment.rail_id,
        payment.payment_request,
        payment.asset,
        payment.amount,
        payment.max_fee,
        payment.memo,
        jsonb(payment.metadata),
        payment.external_id,
        payment.created_at,
        daily_limit,
        release,
        answer.status,
        jsonb(dict(answer.headers)),
        answer.body,
        actor,
        key.route,
    )
    if fallback is None:
        row = await database.one(f"SELECT * FROM {_CREATE}", parameters, name="create_payment")  # noqa: S608
    else:
        row = await database.one(
            f"WITH made AS (SELECT * FROM {_CREATE}), "  # noqa: S608
            "kept AS (INSERT INTO payments.payment_fallbacks "
            "(payment_id, from_rail, from_max_fee, rail, rail_id, payment_request, max_fee) "
            "SELECT subject_id, %s, %s, %s, %s, %s, %s FROM made WHERE outcome = 'claimed') SELECT * FROM made",
            (
                *parameters,
                fallback.from_rail,
                fallback.from_max_fee,
                fallback.rail,
                fallback.rail_id,
                fallback.payment_request,
                fallback.max_fee,
            ),
            name="create_payment_with_fallback",
        )
    return claim_of(row)


async def check_departure(
    database: Queries,
    payment_id: UUID,
    *,
    approval_threshold: int | None,
    wallet_floor: int | None,
    failed_since: datetime,
    failures: int,
    now: datetime,
) -> None:
    """Whether a payment may leave now; inside the transaction that begins its attempt.

    Args:
        database: the transaction.
        payment_id: of the payment.
        approval_threshold: of its asset, in minor units; None: nobody has to approve.
        wallet_floor: of its asset, in minor units; None: there is none.
        failed_since: failures of its user since then count.
        failures: so many hold it.
        now: the time.

    Raises:
        psycopg.Error: SQLSTATE RY006, a switch; RY007, no second person approved it; RY008, the hot wallet's floor;
            RY010, the user is held for its failures.
    """
    await database.run(
        "SELECT payments.check_departure(%s, %s, %s, %s, %s, %s)",
        (payment_id, approval_threshold, wallet_floor, failed_since, failures, now),
        name="check_departure",
    )


async def begin(
    database: Queries,
    prepared: PreparedPayment,
    *,
    attempt_id: UUID,
    token: UUID,
    lease_seconds: float,
    now: datetime,
    daily_limit: int,
    max_amount: int,
    release: str,
) -> Payment | None:
    """T1 of sending: write the one attempt that may be alive. None: there is one already, or the payment is over.

    Raises:
        psycopg.Error: SQLSTATE RY005, above a limit; 23505, another payment is sending the same request.
    """
    row = await database.one(
        "SELECT * FROM payments.begin_payment(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            prepared.order.payment_id,
            attempt_id,
            token,
            lease_seconds,
            prepared.rail_id,
            jsonb(dict(prepared.payload)),
            now,
            daily_limit,
            max_amount,
            release,
        ),
        name="begin_payment",
    )
    return Payment.of(row) if row and row["id"] is not None else None


async def finish(
    database: Database,
    *,
    attempt_id: UUID,
    token: UUID,
    outcome: Outcome,
    look_again_seconds: float,
    now: datetime,
    actor: str,
    cause: str,
) -> bool:
    """T2: write what the rail said; False when somebody else holds the lease or it is final already."""
    written = await database.value(
        "SELECT payments.finish_payment(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            attempt_id,
            token,
            outcome.state.value,
            outcome.fee,
            jsonb(dict(outcome.proof)),
            outcome.reason,
            look_again_seconds,
            now,
            actor,
            cause,
        ),
        name="finish_payment",
    )
    return bool(written)


async def close_untried(
    database: Queries, payment_id: UUID, *, state: PaymentState, reason: str, now: datetime, actor: str, cause: str
) -> bool:
    """End a payment that nothing was tried for; False when it is further than `created`."""
    closed = await database.value(
        "SELECT payments.close_untried_payment(%s, %s, %s, %s, %s, %s)",
        (payment_id, state.value, reason, now, actor, cause),
        name="close_untried_payment",
    )
    return bool(closed)


async def mark_retry(database: Queries, payment_id: UUID, failed_id: UUID) -> None:
    """Say in a payment which failed one it tries again.

    Raises:
        psycopg.errors.UniqueViolation: that one was tried again already.
    """
    await database.run(
        "UPDATE payments.payments SET retry_of = %s WHERE id = %s", (failed_id, payment_id), name="mark_retry"
    )


async def retries_before(database: Queries, payment_id: UUID) -> int:
    """How many retries led to a payment: 0 for the first try."""
    return int(
        await database.value(
            "WITH RECURSIVE tries (id, retry_of, number) AS (SELECT id, retry_of, 0 FROM payments.payments "
            "WHERE id = %s UNION ALL SELECT p.id, p.retry_of, t.number + 1 FROM payments.payments p "
            "JOIN tries t ON p.id = t.retry_of) SELECT max(number) FROM tries",
            (payment_id,),
            name="retries_before",
        )
    )


async def by_id(database: Database, payment_id: UUID) -> Payment | None:
    """A payment, whoever's it is."""
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.payments WHERE id = %s",  # noqa: S608
        (payment_id,),
        name="payment_by_id",
    )
    return Payment.of(row) if row else None


async def of_user(database: Queries, payment_id: UUID, *, user_id: str | None, environment: str) -> Payment | None:
    """A user's payment (None: anybody's)."""
    row = await database.one(
        f"SELECT {_COLUMNS} FROM payments.payments WHERE id = %s AND environment = %s "  # noqa: S608
        "AND (%s::text IS NULL OR user_id = %s)",
        (payment_id, environment, user_id, user_id),
        name="payment_of_user",
    )
    return Payment.of(row) if row else None


async def page(
    database: Database,
    *,
    user_id: str,
    environment: str,
    states: Sequence[PaymentState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Payment]:
    """Payments of a user, newest first, older than `before`."""
    rows = await database.all(
        f"SELECT {_COLUMNS} FROM payments.payments WHERE user_id = %s AND environment = %s "  # noqa: S608
        "AND (%s::uuid IS NULL OR id < %s) AND (cardinality(%s::text[]) = 0 OR state = ANY (%s)) "
        "AND (%s::text IS NULL OR external_id = %s) ORDER BY id DESC LIMIT %s",
        (user_id, environment, before, before, list(states), list(states), external_id, external_id, limit),
        name="payment_page",
    )
    return [Payment.of(row) for row in rows]


async def attempts_of(database: Database, payment_id: UUID) -> list[Attempt]:
    """Every attempt of a payment, oldest first."""
    rows = await database.all(
        "SELECT * FROM payments.attempts WHERE kind = 'pay' AND subject_id = %s ORDER BY created_at",
        (payment_id,),
        name="attempts_of_payment",
    )
    return [Attempt.of(row) for row in rows]


async def open_figures(database: Database) -> dict[str, Any]:
    """Payments by state that are not final, and the age of the oldest unknown in seconds."""
    rows = await database.all(
        "SELECT state, count(*) AS number, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest "
        "FROM payments.payments WHERE state IN ('created', 'sending', 'unknown') GROUP BY state",
        name="open_payments",
    )
    return {row["state"]: (row["number"], row["oldest"]) for row in rows}


async def most_failures(database: Database, since: datetime) -> int:
    """The most payments and settlements of one user that began since then and failed."""
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    # By id, whose first 48 bits are the time: the primary keys serve, no index is needed.
    found = await database.value(
        "SELECT coalesce(max(number), 0)::bigint FROM (SELECT count(*) AS number FROM ("
        "SELECT user_id FROM payments.payments WHERE id >= %s AND state = 'failed' UNION ALL "
        "SELECT user_id FROM x402.settlements WHERE id >= %s AND state = 'failed'"
        ") AS failed GROUP BY user_id) AS of_users",
        (first, first),
        name="most_failures",
    )
    return int(found)


async def health_figures(database: Database, rails: Sequence[str], now: datetime) -> tuple[datetime | None, float]:
    """When a payment over `rails` succeeded last, and the failed ones' part of those that ended in the last hour."""
    row = await database.one(
        "SELECT (SELECT max(l.finished_at) FROM unnest(%s::text[]) AS r (rail) CROSS JOIN LATERAL (SELECT finished_at "
        "FROM payments.payments WHERE rail = r.rail AND finished_at IS NOT NULL AND state = 'succeeded' "
        "ORDER BY finished_at DESC LIMIT 1) l) AS last_success, "
        "coalesce(avg((state = 'failed')::int), 0)::float8 AS error_rate FROM payments.payments "
        "WHERE rail = ANY (%s) AND finished_at > %s AND state IN ('succeeded', 'failed')",
        (list(rails), list(rails), now - timedelta(hours=1)),
        name="health_figures",
    )
    assert row is not None
    return row["last_success"], row["error_rate"]
