"""The worker's part of the ledger: snapshots of balances, and the sum that must be zero."""

from __future__ import annotations

from collections import defaultdict

from payments import metrics
from payments.core import Core
from payments.ledger import repository
from payments.worker.work import Duty


async def take_snapshots(core: Core) -> None:
    """Snapshot balances, so that reading one sums little."""
    await repository.take_snapshots(core.database)


async def measure(core: Core) -> None:
    """Publish the sum of all entries by asset."""
    sums: defaultdict[str, int] = defaultdict(int)
    for row in await repository.balances(core.database):
        sums[row["asset"]] += row["balance"]
    for asset, total in sums.items():
        metrics.LEDGER_IMBALANCE.labels(asset).set(total)


DUTIES = (Duty("take balance snapshots", 600.0, take_snapshots), Duty("measure ledger", 15.0, measure))
