"""The worker's part: calling a person when an outcome stays unknown, and seeing to what the person says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog

from payments import metrics
from payments.core import Core
from payments.human_queue import repository
from payments.payouts import repository as payouts
from payments.payouts.sending import record
from payments.rails.protocol import (
    Outcome,
    OutcomeState,
    PayingRail,
    PaymentOrder,
    PreparedPayment,
    RailUnavailableError,
)
from payments.worker.work import Duty, Job

_BATCH = 200
_log = structlog.get_logger(__name__)


class LeaseHeldError(Exception):
    """Somebody looks the attempt up right now: the verdict comes again."""


async def call(core: Core) -> None:
    """Put before a person what has been unknown for PERSON_AFTER_SECONDS; it is looked up all the same."""
    called = await repository.call(core.database, after_seconds=core.settings.person_after_seconds, limit=_BATCH)
    if called:
        _log.error("outcomes stay unknown and wait for a person: GET /v1/human-queue", number=called)
    for kind, number in (await repository.figures(core.database)).items():
        metrics.HUMAN_QUEUE.labels(kind).set(number)


async def verdict(core: Core, payload: Mapping[str, Any]) -> None:
    """Ask the rail once more; where it has no answer, write what the person said.

    Raises:
        LeaseHeldError: the job comes again.
    """
    attempt_id = UUID(payload["attempt_id"])
    token = core.clock.new_token()
    attempt = await repository.take(core.database, attempt_id, token=token, lease_seconds=core.settings.lease_seconds)
    if attempt is None:
        if await repository.is_open(core.database, attempt_id):
            raise LeaseHeldError(f"The attempt {attempt_id} is being looked up.")
        return
    payment = await payouts.by_id(core.database, attempt.subject_id)
    assert payment is not None, "an attempt's payment is written before it"
    rail = core.rail(attempt.rail, PayingRail)  # type: ignore[type-abstract]
    order = PaymentOrder(payment.id, payment.payment_request, payment.asset, payment.amount, payment.max_fee)
    try:
        outcome = await rail.look_up(PreparedPayment(order, attempt.rail_id, attempt.payload))
    except RailUnavailableError as error:
        outcome = Outcome(OutcomeState.UNKNOWN, reason=error.sentence)
    by, cause = "worker", "look-up"
    if outcome.state is OutcomeState.UNKNOWN:
        by, cause = payload["by"], "verdict of a person"
        proof = {"person": payload["by"], "evidence": payload["evidence"], "rail": outcome.reason}
        state = OutcomeState(payload["outcome"])
        fee = payload["fee"] if state is OutcomeState.SUCCEEDED else 0
        outcome = Outcome(state, fee=fee, proof=proof, reason="decided by a person")
    elif outcome.state.value != payload["outcome"]:
        _log.warning("the rail knows better than the verdict", attempt=str(attempt_id), rail=outcome.state.value)
    await record(core, payment, attempt.id, attempt.token, outcome, look_ups=attempt.look_ups, actor=by, cause=cause)


JOBS = (Job("payments.verdict", verdict),)
DUTIES = (Duty("call a person", 30.0, call),)
