"""The relay: takes rows out of the outbox every 50 ms, records events, and defers jobs, in one transaction."""

from __future__ import annotations

import asyncio

from payments import metrics
from payments.core import Core
from payments.outbox import repository
from payments.worker.queue import JobQueue

PAUSE_SECONDS = 0.05
BATCH = 500


async def relay_once(core: Core, queue: JobQueue) -> int:
    """Relay one batch; returns its size. After a crash in the middle nothing was taken."""
    async with core.database.transaction() as connection:
        rows = await repository.take(connection, BATCH)
        jobs = [row for row in rows if row["kind"] == "job"]
        await queue.defer(connection, jobs)
    if rows:
        metrics.OUTBOX_RELAYED.labels("job").inc(len(jobs))
        metrics.OUTBOX_RELAYED.labels("event").inc(len(rows) - len(jobs))
    return len(rows)


async def relay(core: Core, queue: JobQueue) -> None:
    """Relay until cancelled."""
    while True:
        if await relay_once(core, queue) < BATCH:
            await asyncio.sleep(PAUSE_SECONDS)


async def measure_lag(core: Core) -> None:
    """Publish how long the oldest row has waited."""
    metrics.OUTBOX_LAG.set(await repository.lag_seconds(core.database))
