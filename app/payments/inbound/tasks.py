"""The worker's part: what a provider told is re-fetched by its rail and credited like any arrival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from payments import metrics
from payments.core import Core
from payments.inbound import repository
from payments.inbound.reversals import measure
from payments.inbound.sources import SOURCES
from payments.invoices import repository as invoices
from payments.rails.protocol import EventReceiver
from payments.worker.work import Duty, Job

_log = structlog.get_logger(__name__)


async def work_on(core: Core, payload: Mapping[str, Any]) -> None:
    """Credit what an event says has arrived; once, whatever else tells the same.

    Raises:
        RailUnavailableError: the provider does not answer; the job comes again.
    """
    source = str(payload["source"])
    event = await repository.event(core.database, source, str(payload["event_id"]))
    assert event is not None, "an event is written in the transaction of its job"
    rail = core.rails.get(source)
    if not isinstance(rail, EventReceiver):
        _log.error("an event of a provider whose rail is not configured is kept", source=source, id=event["event_id"])
        return
    arrivals = await rail.arrivals_of(event["event_type"], event["payload"])
    if arrivals:
        for disposition in await invoices.credit_without_cursor(core.database, rail.name, arrivals):
            metrics.ARRIVALS.labels(rail.name, disposition).inc()


JOBS = tuple(Job(f"inbound.{name}", work_on) for name in SOURCES)
DUTIES = (Duty("measure reversals", 15.0, measure),)
