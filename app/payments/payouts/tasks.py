"""The worker's part of payments: sending, looking up, and the figures of what is open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from payments import metrics
from payments.core import Core
from payments.payouts import repository, sending
from payments.payouts.schemas import PaymentState
from payments.worker.work import Duty, Job, LookUp


async def send(core: Core, payload: Mapping[str, Any]) -> None:
    """Send the payment that the job names."""
    await sending.send(core, UUID(payload["payment_id"]))


async def measure(core: Core) -> None:
    """Publish how many payments are open and how old the oldest unknown is."""
    figures = await repository.open_figures(core.database)
    for state in (PaymentState.CREATED, PaymentState.SENDING, PaymentState.UNKNOWN):
        metrics.PENDING.labels(state.value).set(figures.get(state.value, (0, 0.0))[0])
    metrics.PENDING_AGE.set(max((oldest for _, oldest in figures.values()), default=0.0))
    metrics.UNKNOWN_AGE.set(figures.get(PaymentState.UNKNOWN.value, (0, 0.0))[1])


async def measure_failures(core: Core) -> None:
    """Publish how many payments of one user failed in the last hour: 10 are suspicious (tn-sec-suspicious-10)."""
    since = core.clock.now() - timedelta(hours=1)
    metrics.USER_FAILURES.set(await repository.most_failures(core.database, since))


JOBS = (Job("payments.send", send),)
LOOK_UPS = (LookUp("pay", sending.look_up),)
DUTIES = (Duty("measure payments", 5.0, measure), Duty("measure failures", 60.0, measure_failures))
