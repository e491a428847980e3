"""The worker's part: weigh every paying rail's hot wallets, one an asset, against floor and ceiling."""

from __future__ import annotations

import structlog

from payments import metrics
from payments.core import Core
from payments.rails.protocol import PayingRail
from payments.wallets import repository
from payments.worker.work import Duty

_log = structlog.get_logger(__name__)


async def weigh(core: Core) -> None:
    """Open a request to top up or sweep where a bound is crossed. It closes itself when the money has moved."""
    for rail in core.rails.values():
        if isinstance(rail, PayingRail):
            for asset in sorted(rail.assets):
                await _weigh_asset(core, rail.name, asset)


async def _weigh_asset(core: Core, name: str, asset: str) -> None:
    limits = core.settings.limits_of(asset)
    if limits is None:
        return
    found = await repository.weigh(
        core.database,
        transfer_id=core.clock.new_id(),
        rail=name,
        asset=asset,
        floor=limits.hot_wallet_floor,
        ceiling=limits.hot_wallet_ceiling,
        environment=core.settings.key_environment,
        now=core.clock.now(),
    )
    metrics.HOT_WALLET.labels(name, asset).set(found["balance"])
    if found["opened"]:
        metrics.WALLET_TRANSFERS.labels(name, found["opened"]).inc()
        _log.warning(
            "a hot wallet is out of its bounds",
            tag="[HOT WALLET]",
            rail=name,
            asset=asset,
            wanted=found["opened"],
            amount=found["amount"],
            balance=found["balance"],
        )


DUTIES = (Duty("weigh hot wallets", 30.0, weigh),)
