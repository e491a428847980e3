"""Taking back what was credited and is gone from its rail, by a journal of its own: the ledger keeps both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from payments import metrics
from payments.inbound import repository
from payments.rails.protocol import Reversal

if TYPE_CHECKING:
    from payments.core import Core

_log = structlog.get_logger(__name__)


async def reverse(core: Core, rail: str, reversals: Sequence[Reversal]) -> int:
    """Reverse arrivals; one that was never credited, or is reversed already, stays as it is. Returns how many were.

    What the owner was credited is taken from its balance as far as there is any, what waits in suspense from there; the
    rest is a loss (`expenses:reversed:<rail>`) that a person has to see to. Event, audit and webhook come with it.
    """
    number = 0
    for reversal in reversals:
        row = await repository.reverse(core.database, rail, reversal.event_id, reversal.proof, now=core.clock.now())
        if row is None:
            continue
        number += 1
        metrics.ARRIVALS.labels(rail, "reversed").inc()
        _log.error(
            "an arrival that was credited is gone from its rail",
            tag="[REVERSED]",
            rail=rail,
            arrival=reversal.event_id,
            invoice_id=str(row["invoice_id"] or ""),
            asset=row["asset"],
            amount=row["amount"],
            lost=row["lost"],
        )
    return number


async def measure(core: Core) -> None:
    """Publish what is reversed now; 0 where nothing is."""
    found = {(row["rail"], row["asset"]): row for row in await repository.reversed_now(core.database)}
    known = {(name, asset) for name, rail in core.rails.items() for asset in rail.assets}
    for rail, asset in known | found.keys():
        row = found.get((rail, asset))
        metrics.REVERSED.labels(rail, asset).set(row["number"] if row else 0)
        metrics.REVERSED_LOSS.labels(rail, asset).set(row["lost"] if row else 0)
