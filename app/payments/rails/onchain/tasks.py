"""The worker's duties on the chain: bump payouts that wait too long, and publish what can be spent."""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Gauge

from payments.core import Core
from payments.rails.protocol import RailError
from payments.worker.work import Duty

EVERY_SECONDS = 30.0
BATCH = 50
_log = structlog.get_logger(__name__)

SPENDABLE = Gauge(
    "onchain_spendable_sats", "Confirmed outputs that no payment holds, in satoshis.", multiprocess_mode="livemax"
)
BUMPS = Counter("onchain_bumped_payouts_total", "Payouts that were replaced by one with a higher fee.")


async def bump_stuck(core: Core) -> None:
    """Replace payouts that wait for too long; a provider that is down leaves them as they are."""
    rail = core.rails.get("onchain")
    if rail is None:
        return
    from payments.rails.onchain import repository
    from payments.rails.onchain.rail import OnchainRail

    if not isinstance(rail, OnchainRail) or not rail.can_pay:
        return
    SPENDABLE.set(await repository.free_sats(core.database))
    stuck = await repository.stuck(
        core.database, older_than_seconds=rail.config.bump_after_seconds, now=core.clock.now(), limit=BATCH
    )
    for payout in stuck:
        try:
            bumped = await rail.payouts.bump(
                payout.payment_id, payout.payment_request, payout.amount_msat, payout.max_fee_msat
            )
        except RailError as error:
            _log.warning("a stuck payout was not bumped", payment_id=str(payout.payment_id), error=error.sentence)
            continue
        BUMPS.inc(int(bumped))


DUTIES = (Duty("onchain.bump", EVERY_SECONDS, bump_stuck),)
