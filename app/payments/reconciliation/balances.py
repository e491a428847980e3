"""What each rail's own side says that we hold, against the ledger's account of the rail, asset by asset.

Comparing events finds a payment that one side lacks; only balances find money that left without being a payment: a
transfer out of the node's wallet, a fee nobody counted, a sweep. Compared is in quiet moments alone: while a payment is
on its way, or when the books moved while the rail was asked, the comparison is left for the next time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from payments import metrics
from payments.rails.protocol import RailError, TellsBalance
from payments.reconciliation import repository

if TYPE_CHECKING:
    from payments.core import Core

_log = structlog.get_logger(__name__)


async def compare_balances(core: Core) -> None:
    """Compare every rail that tells its balance; publish the drift. The same drift twice in a row is a discrepancy."""
    for name, rail in core.rails.items():
        if not isinstance(rail, TellsBalance) or not getattr(rail, "can_pay", True):
            continue
        try:
            await _compare(core, rail)
        except RailError as error:
            _log.warning("a rail's balance could not be compared", rail=name, error=error.sentence)


async def _compare(core: Core, rail: TellsBalance) -> None:
    before = await repository.books(core.database, rail.name)
    held = await rail.held()
    after = await repository.books(core.database, rail.name)
    if before != after or after.in_flight:
        _log.info("a rail's balance is not compared while money moves", rail=rail.name, in_flight=after.in_flight)
        return
    for asset in sorted(held):
        found = await repository.compare_balance(
            core.database,
            rail=rail.name,
            asset=asset,
            held=held[asset],
            books=after.balances.get(asset, 0),
            scope=getattr(rail, "balance_scope", ""),
            now=core.clock.now(),
        )
        metrics.BALANCE_DRIFT.labels(rail.name, asset).set(found["drift"])
        metrics.BALANCE_COMPARED_AT.labels(rail.name, asset).set(core.clock.now().timestamp())
        if found["noted"]:
            metrics.DISCREPANCIES.labels(rail.name, "balance").inc()
            _log.error(
                "a rail holds another sum than the books say",
                rail=rail.name,
                asset=asset,
                difference=found["noted"],
                drift=found["drift"],
            )
