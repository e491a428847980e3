"""Which domains the worker works for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from payments.worker.work import Duty, Job, LookUp, queue_of

# Modules with JOBS, LOOK_UPS or DUTIES. A domain's work is done by being named here.
TASKS = (
    "payments.invoices.tasks",
    "payments.payouts.tasks",
    "payments.approvals.tasks",
    "payments.suspicion.tasks",
    "payments.wallets.tasks",
    "payments.suspense.tasks",
    "payments.reconciliation.tasks",
    "payments.human_queue.tasks",
    "payments.inbound.tasks",
    "payments.idempotency.tasks",
    "payments.ledger.tasks",
    "payments.webhooks.tasks",
    "payments.audit.tasks",
    "payments.x402.tasks",
    "payments.rails.lnd.tasks",
    "payments.rails.onchain.tasks",
)


def _all(attribute: str) -> Iterator[Any]:
    for name in TASKS:
        yield from getattr(importlib.import_module(name), attribute, ())


def jobs() -> dict[tuple[str, int], Job]:
    """Handlers by job name and contract version."""
    return {(job.name, job.contract_version): job for job in _all("JOBS")}


def look_ups() -> dict[str, LookUp]:
    """Look-ups by kind of attempt."""
    return {look_up.kind: look_up for look_up in _all("LOOK_UPS")}


def duties() -> list[Duty]:
    """Every duty."""
    return list(_all("DUTIES"))


def queues() -> list[str]:
    """Queues this release can work on."""
    return sorted({queue_of(version) for _, version in jobs()})
