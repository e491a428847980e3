"""The worker's part of suspense: what the rule accepts by itself, and how much waits."""

from __future__ import annotations

from payments import metrics
from payments.core import Core
from payments.suspense import repository
from payments.worker.work import Duty

_BATCH = 200


async def apply_rule(core: Core) -> None:
    """Accept what SUSPENSE_ACCEPT_OVERPAID_MSAT and SUSPENSE_ACCEPT_LATE_SECONDS allow; both are 0 unless set."""
    overpaid = core.settings.suspense_accept_overpaid_msat
    late_seconds = core.settings.suspense_accept_late_seconds
    if not overpaid and not late_seconds:
        return
    for found in await repository.acceptable(core.database, overpaid=overpaid, late_seconds=late_seconds, limit=_BATCH):
        await repository.accept(
            core.database,
            found.id,
            user_id="",
            environment="",
            reason=f"{found.disposition}, within the rule",
            now=core.clock.now(),
            actor="rule:suspense",
            cause="suspense rule",
        )


async def measure(core: Core) -> None:
    """Publish what waits for a decision."""
    metrics.SUSPENSE_OPEN.clear()
    metrics.SUSPENSE_AMOUNT.clear()
    for rail, asset, number, amount in await repository.open_figures(core.database):
        metrics.SUSPENSE_OPEN.labels(rail, asset).set(number)
        metrics.SUSPENSE_AMOUNT.labels(rail, asset).set(amount)


DUTIES = (Duty("apply suspense rule", 10.0, apply_rule), Duty("measure suspense", 15.0, measure))
