"""The signer's last look before money leaves (design section 4, rule 11): limits, switches, approvals, suspicion and
the hot wallet's floor, all read in PostgreSQL in the transaction that begins the attempt. What the web role believed
does not count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import structlog

from payments import metrics
from payments.payouts import repository
from payments.payouts.schemas import Payment
from payments.rails.protocol import PreparedPayment
from payments.suspicion import repository as suspicion
from payments.switches import repository as switches
from payments.switches.schemas import MAINTENANCE

if TYPE_CHECKING:
    from payments.core import Core

HELD_AGAIN_SECONDS = 15.0
_WHY = {"RY006": "switch", "RY007": "approval", "RY008": "floor", "RY010": "suspicion"}
_log = structlog.get_logger(__name__)


class HeldError(Exception):
    """Something holds the payment; nothing was tried. The job comes again after `retry_after_seconds`."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = HELD_AGAIN_SECONDS


async def begin_or_hold(core: Core, prepared: PreparedPayment, *, attempt_id: UUID, token: UUID) -> Payment | None:
    """T1 of sending. None: an attempt is alive already, the payment is over, or it waits for a second person (whose
    approval brings the job again).

    Raises:
        HeldError: a switch, the floor of the hot wallet, or a user who became suspicious meanwhile.
        psycopg.Error: SQLSTATE RY005, above a limit.
    """
    settings, now = core.settings, core.clock.now()
    payment_id, asset = prepared.order.payment_id, prepared.order.asset
    limits = settings.limits_of(asset)
    if limits is None:
        # Its limits were taken away after it was accepted.
        metrics.HELD.labels("limits").inc()
        raise HeldError(f"Payouts in {asset} are held: ASSET_LIMITS sets none for it.")
    try:
        async with core.database.statements() as transaction:
            await repository.check_departure(
                transaction,
                payment_id,
                approval_threshold=limits.approval_threshold,
                wallet_floor=limits.hot_wallet_floor,
                failed_since=now - timedelta(seconds=settings.suspicious_window_seconds),
                failures=settings.suspicious_failures,
                now=now,
            )
            return await repository.begin(
                transaction,
                prepared,
                attempt_id=attempt_id,
                token=token,
                lease_seconds=settings.lease_seconds,
                now=now,
                daily_limit=limits.daily_payout,
                max_amount=limits.max_payment,
                release=settings.release,
            )
    except psycopg.DatabaseError as error:
        why = _WHY.get(error.sqlstate or "")
        if why is None:
            raise
        metrics.HELD.labels(why).inc()
        sentence = error.diag.message_primary or f"held by {why}"
        _log.info("a payment is held", payment_id=str(payment_id), why=why, sentence=sentence)
        if why == "approval":
            return None
        raise HeldError(sentence) from error


async def may_submit_again(core: Core, payment: Payment) -> bool:
    """Whether an attempt that the rail does not know may be submitted once more: not while a switch stops sending, or
    its user is held."""
    now, settings = core.clock.now(), core.settings
    stopping = await switches.stopping(core.database, now)
    if stopping.keys() & {"payouts", MAINTENANCE, f"send:{payment.rail}"}:
        return False
    failures = await suspicion.count(
        core.database,
        user_id=payment.user_id,
        environment=payment.environment,
        since=now - timedelta(seconds=settings.suspicious_window_seconds),
    )
    return failures < settings.suspicious_failures
