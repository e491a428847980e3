"""The worker's part of idempotency keys: partitions ahead of time, and forgetting."""

from __future__ import annotations

from payments.core import Core
from payments.idempotency import repository
from payments.worker.work import Duty

DAYS_AHEAD = 7
DAYS_KEPT = 30
_BATCH = 5000


async def make_partitions(core: Core) -> None:
    """Partitions for the coming week."""
    await repository.make_partitions(core.database, DAYS_AHEAD)


async def forget(core: Core) -> None:
    """Forget keys and answers older than 30 days."""
    while await repository.forget(core.database, DAYS_KEPT, _BATCH) == _BATCH:
        pass


DUTIES = (Duty("make partitions", 3600.0, make_partitions), Duty("forget idempotency keys", 3600.0, forget))
