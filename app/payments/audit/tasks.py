"""The worker's part: seal every second what can no longer change in number."""

from __future__ import annotations

import asyncio

import structlog

from payments import metrics
from payments.audit import archive, repository
from payments.core import Core
from payments.object_stores import StoreError
from payments.worker.work import Duty

PAUSE_SECONDS = 1.0
# A segment is an object that is kept for seven years: a few hundred a day, not one a second.
ARCHIVE_EVERY_SECONDS = 300.0
_log = structlog.get_logger(__name__)


async def seal(core: Core) -> None:
    """Seal until cancelled: a candidate is taken, and sealed one turn later, when its transactions have ended."""
    while True:
        through_id, next_transaction = await repository.candidate(core.database)
        await asyncio.sleep(PAUSE_SECONDS)
        # None: nothing is new, or a transaction of before is still open. The next candidate includes this one.
        await repository.seal(core.database, through_id, next_transaction)


async def measure(core: Core) -> None:
    """Publish how long the oldest unsealed row has waited."""
    metrics.AUDIT_UNSEALED.set((await repository.figures(core.database))["unsealed_seconds"])


async def verify(core: Core) -> None:
    """Recompute every root; a break is an alarm."""
    broken = await repository.breaks(core.database)
    metrics.AUDIT_BREAKS.set(len(broken))
    for row in broken:
        _log.error("the audit log was tampered with", **row)


async def archive_sealed(core: Core) -> None:
    """Put what is sealed into the archive, when there is one."""
    store = archive.archive_of(core.settings)
    if store is None:
        return
    try:
        await archive.export(core.database, store)
    except StoreError as error:
        metrics.AUDIT_ARCHIVE_FAILURES.inc()
        _log.error("the audit log was not archived", error=str(error))
    metrics.AUDIT_UNARCHIVED.set(await repository.unarchived_seconds(core.database))


DUTIES = (
    # Runs until it is cancelled; every_seconds is the pause after it was broken off by an error.
    Duty("seal audit log", 1.0, seal),
    Duty("measure audit log", 10.0, measure),
    Duty("verify audit log", 3600.0, verify),
    Duty("archive audit log", ARCHIVE_EVERY_SECONDS, archive_sealed),
)
