"""The sweeper: finishes attempts whose lease ran out, by looking them up. It never repeats an effect blindly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from payments import metrics
from payments.attempts import repository
from payments.attempts.schemas import Attempt
from payments.core import Core
from payments.worker.work import LookUp

PAUSE_SECONDS = 1.0
BATCH = 20
_log = structlog.get_logger(__name__)


async def _look_up(core: Core, look_ups: Mapping[str, LookUp], attempt: Attempt) -> None:
    look_up = look_ups.get(attempt.kind)
    if look_up is None:
        _log.error("an attempt of a kind that this release does not know waits", kind=attempt.kind, id=str(attempt.id))
        return
    try:
        found = await look_up.handle(core, attempt)
    except Exception as error:
        # Its lease runs out and it is looked at again.
        metrics.TAKEN_OVER.labels(attempt.rail, "error").inc()
        _log.warning("a look-up failed", kind=attempt.kind, id=str(attempt.id), error=repr(error))
        return
    metrics.TAKEN_OVER.labels(attempt.rail, found).inc()
    _log.info("looked up", kind=attempt.kind, id=str(attempt.id), found=found, look_ups=attempt.look_ups)


async def sweep_once(core: Core, look_ups: Mapping[str, LookUp]) -> int:
    """Take over and look up what is due now; returns how many attempts."""
    attempts = await repository.take_over(
        core.database,
        token=core.clock.new_token(),
        lease_seconds=core.settings.lease_seconds,
        limit=BATCH,
        rails=core.rails,
    )
    await asyncio.gather(*(_look_up(core, look_ups, attempt) for attempt in attempts))
    return len(attempts)


async def sweep(core: Core, look_ups: Mapping[str, LookUp]) -> None:
    """Sweep until cancelled."""
    while True:
        if await sweep_once(core, look_ups) < BATCH:
            await asyncio.sleep(PAUSE_SECONDS)
