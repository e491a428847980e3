"""The worker's part: old failures are forgotten."""

from __future__ import annotations

from datetime import timedelta

from payments.core import Core
from payments.suspicion import repository
from payments.worker.work import Duty

KEPT_DAYS = 30


async def forget(core: Core) -> None:
    """Delete failures older than 30 days."""
    await repository.forget(core.database, core.clock.now() - timedelta(days=KEPT_DAYS))


DUTIES = (Duty("forget failures", 3600.0, forget),)
