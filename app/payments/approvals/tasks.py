"""The worker's part: payments that nobody approved in time are closed and their reserve is given back."""

from __future__ import annotations

from datetime import timedelta

import structlog

from payments import metrics
from payments.approvals import repository
from payments.core import Core
from payments.payouts import repository as payouts
from payments.payouts.schemas import PaymentState
from payments.worker.work import Duty

_BATCH = 100
STRANDED_AFTER = timedelta(minutes=10)
_log = structlog.get_logger(__name__)


async def close_forgotten(core: Core) -> None:
    """Close what has waited for longer than APPROVAL_LIFETIME_SECONDS; publish how many wait."""
    thresholds = core.settings.approval_thresholds()
    now = core.clock.now()
    # The threshold was raised or taken away meanwhile, or an operator emptied the queue: nobody else would send them.
    await repository.enqueue_stranded(
        core.database, thresholds=thresholds, before=now - STRANDED_AFTER, release=core.settings.release
    )
    forgotten = await repository.waiting(
        core.database,
        environment=None,
        thresholds=thresholds,
        before=now - timedelta(seconds=core.settings.approval_lifetime_seconds),
        limit=_BATCH,
    )
    for row in forgotten:
        closed = await payouts.close_untried(
            core.database,
            row["id"],
            state=PaymentState.FAILED,
            reason="nobody approved it in time",
            now=now,
            actor="worker",
            cause="approval lifetime",
        )
        if closed:
            metrics.PAYMENTS.labels(row["rail"], "failed").inc()
            _log.warning("a payment was closed that nobody approved", payment_id=str(row["id"]))
    waiting = await repository.waiting(core.database, environment=None, thresholds=thresholds, before=None, limit=1000)
    metrics.APPROVALS_WAITING.set(len(waiting))


DUTIES = (Duty("close forgotten approvals", 30.0, close_forgotten),)
