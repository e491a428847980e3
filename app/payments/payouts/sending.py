"""Sending payments, by the worker: T1 writes the attempt, the rail is called, T2 writes the outcome.

A payment fails only when its attempt is provably dead; whatever is not known is looked up, never repeated blindly.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import structlog

from payments import metrics
from payments.attempts.schemas import Attempt
from payments.payouts import falling_back, repository
from payments.payouts.departure import begin_or_hold, may_submit_again
from payments.payouts.schemas import Payment, PaymentState
from payments.rails.protocol import (
    InvalidRequestError,
    Outcome,
    OutcomeState,
    OutcomeUnknownError,
    PayingRail,
    PaymentOrder,
    PreparedPayment,
    RailRefusedError,
    RailUnavailableError,
)
from payments.suspicion import service as suspicion

if TYPE_CHECKING:
    from payments.core import Core

FIRST_LOOK_SECONDS = 2.0
LONGEST_LOOK_SECONDS = 600.0
_log = structlog.get_logger(__name__)


def look_again_after(attempt_look_ups: int, wish: float | None = None) -> float:
    """Seconds until an open attempt is looked up again: doubling from 2 s to 10 min, with jitter, not below `wish`."""
    grown = min(FIRST_LOOK_SECONDS * 2.0 ** min(attempt_look_ups, 20), LONGEST_LOOK_SECONDS)
    return max(grown, wish or 0.0) * random.uniform(0.8, 1.2)  # noqa: S311


async def send(core: Core, payment_id: UUID) -> None:
    """Send a payment that is still `created`. Harmless to call twice: the second finds the attempt.

    Raises:
        RailUnavailableError: the rail is down and nothing was tried; the job comes again.
        HeldError: a switch or the hot wallet's floor holds it; the job comes again.
    """
    payment = await repository.by_id(core.database, payment_id)
    if payment is None or payment.state is not PaymentState.CREATED:
        return
    rail = core.rail(payment.rail, PayingRail)  # type: ignore[type-abstract]
    fallback = await falling_back.find(core.database, payment.id)
    max_fee = payment.max_fee
    if fallback is not None:
        max_fee = fallback.from_max_fee if fallback.used_at is None else fallback.max_fee
    order = PaymentOrder(payment.id, payment.payment_request, payment.asset, payment.amount, max_fee)
    if fallback is not None and fallback.used_at is None and await falling_back.diverted(core, payment, order):
        return
    attempt_id, token = core.clock.new_id(), core.clock.new_token()
    try:
        prepared = await rail.prepare(order)
        begun = await begin_or_hold(core, prepared, attempt_id=attempt_id, token=token)
    except (InvalidRequestError, RailRefusedError) as error:
        if not await falling_back.begin(core, payment, error.sentence, attempt_id=None, token=None, outcome=None):
            await _close(core, payment, error.sentence)
        return
    except psycopg.DatabaseError as error:
        if error.sqlstate != "RY005":
            raise
        await _close(core, payment, error.diag.message_primary or "above a limit")
        return
    if begun is None:
        return
    outcome = await submit(core, rail, prepared)
    await record(core, payment, attempt_id, token, outcome, look_ups=0, actor="worker", cause="send")


async def _close(core: Core, payment: Payment, reason: str) -> None:
    closed = await repository.close_untried(
        core.database,
        payment.id,
        state=PaymentState.FAILED,
        reason=reason,
        now=core.clock.now(),
        actor="worker",
        cause="refused before it was sent",
    )
    if closed:
        metrics.PAYMENTS.labels(payment.rail, "failed").inc()
        metrics.FAILED_TRANSACTIONS.labels("refused").inc()
        await suspicion.failed(core, user_id=payment.user_id, environment=payment.environment, what=reason)


async def submit(core: Core, rail: PayingRail, prepared: PreparedPayment) -> Outcome:
    """Submit once; whatever goes wrong becomes an outcome, and a missing answer becomes `unknown`."""
    try:
        async with asyncio.timeout(core.settings.lease_seconds * 0.9):
            return await rail.submit(prepared)
    except RailRefusedError as error:
        return Outcome(OutcomeState.DEAD, proof={"refused": error.sentence}, reason=error.sentence)
    except RailUnavailableError as error:
        # Nothing was sent this time; the attempt stays alive and is looked up, then sent again under its identity.
        metrics.RAIL_NETWORK_ERRORS.labels(rail.name).inc()
        return Outcome(
            OutcomeState.UNKNOWN, reason=error.sentence, retry_after_seconds=error.retry_after_seconds or 2.0
        )
    except OutcomeUnknownError as error:
        metrics.RAIL_NETWORK_ERRORS.labels(rail.name).inc()
        return Outcome(OutcomeState.UNKNOWN, reason=error.sentence, retry_after_seconds=error.retry_after_seconds)
    except TimeoutError:
        metrics.RAIL_NETWORK_ERRORS.labels(rail.name).inc()
        return Outcome(OutcomeState.UNKNOWN, reason="the rail did not answer in time")


async def record(
    core: Core,
    payment: Payment,
    attempt_id: UUID,
    token: UUID,
    outcome: Outcome,
    *,
    look_ups: int,
    actor: str,
    cause: str,
) -> None:
    """T2: write the outcome, and count it if it is final. A dead attempt goes on with its fallback, if it has one."""
    if outcome.state is OutcomeState.DEAD and await falling_back.begin(
        core, payment, outcome.reason, attempt_id=attempt_id, token=token, outcome=outcome
    ):
        return
    now = core.clock.now()
    written = await repository.finish(
        core.database,
        attempt_id=attempt_id,
        token=token,
        outcome=outcome,
        look_again_seconds=look_again_after(look_ups, outcome.retry_after_seconds),
        now=now,
        actor=actor,
        cause=cause,
    )
    if not written:
        _log.warning("an outcome came after its lease was taken over", payment_id=str(payment.id), state=outcome.state)
        return
    if outcome.state is OutcomeState.SUCCEEDED:
        metrics.PAYMENTS.labels(payment.rail, "succeeded").inc()
        metrics.VOLUME.labels(payment.rail, payment.asset).inc(payment.amount)
        metrics.FEES_PAID.labels(payment.rail, payment.asset).inc(outcome.fee)
        metrics.PAYMENT_SECONDS.labels(payment.rail).observe((now - payment.created_at).total_seconds())
    elif outcome.state is OutcomeState.DEAD:
        metrics.PAYMENTS.labels(payment.rail, "failed").inc()
        metrics.FAILED_TRANSACTIONS.labels(outcome.reason[:40] or "failed").inc()
        await suspicion.failed(core, user_id=payment.user_id, environment=payment.environment, what=outcome.reason)
        metrics.PAYMENT_SECONDS.labels(payment.rail).observe((now - payment.created_at).total_seconds())
    elif outcome.state is OutcomeState.UNKNOWN:
        metrics.PAYMENTS.labels(payment.rail, "unknown").inc()


async def look_up(core: Core, attempt: Attempt) -> str:
    """Look up what became of an attempt and write it. Sent again, under the same identity, only when the rail says
    that it does not know it (`not_found` in the outcome's proof)."""
    payment = await repository.by_id(core.database, attempt.subject_id)
    assert payment is not None, "an attempt's payment is written before it"
    rail = core.rail(attempt.rail, PayingRail)  # type: ignore[type-abstract]
    order = PaymentOrder(payment.id, payment.payment_request, payment.asset, payment.amount, payment.max_fee)
    prepared = PreparedPayment(order, attempt.rail_id, attempt.payload)
    try:
        outcome = await rail.look_up(prepared)
        not_found = outcome.state is OutcomeState.UNKNOWN and outcome.proof.get("not_found")
        if not_found and await may_submit_again(core, payment):
            outcome = await submit(core, rail, prepared)
    except RailUnavailableError as error:
        metrics.RAIL_NETWORK_ERRORS.labels(rail.name).inc()
        outcome = Outcome(OutcomeState.UNKNOWN, reason=error.sentence, retry_after_seconds=error.retry_after_seconds)
    await record(
        core,
        payment,
        attempt.id,
        attempt.token,
        outcome,
        look_ups=attempt.look_ups,
        actor="worker",
        cause="look-up",
    )
    return outcome.state.value
