"""The worker's part: weigh every paying rail's hot wallet against its floor and ceiling."""

from __future__ import annotations

import structlog

from payments import metrics
from payments.core import Core
from payments.rails.protocol import PayingRail
from payments.wallets import repository
from payments.worker.work import Duty

ASSET = "BTC"
_log = structlog.get_logger(__name__)


async def weigh(core: Core) -> None:
    """Open a request to top up or sweep where a bound is crossed. It closes itself when the money has moved."""
    floor, ceiling = core.settings.hot_wallet_floor_msat, core.settings.hot_wallet_ceiling_msat
    for name, rail in core.rails.items():
        if ASSET not in rail.assets or not isinstance(rail, PayingRail):
            continue
        found = await repository.weigh(
            core.database,
            transfer_id=core.clock.new_id(),
            rail=name,
            asset=ASSET,
            floor=floor,
            ceiling=ceiling,
            environment=core.settings.key_environment,
            now=core.clock.now(),
        )
        metrics.HOT_WALLET.labels(name, ASSET).set(found["balance"])
        if found["opened"]:
            metrics.WALLET_TRANSFERS.labels(name, found["opened"]).inc()
            _log.warning(
                "a hot wallet is out of its bounds",
                tag="[HOT WALLET]",
                rail=name,
                wanted=found["opened"],
                amount_msat=found["amount"],
                balance_msat=found["balance"],
            )


DUTIES = (Duty("weigh hot wallets", 30.0, weigh),)
