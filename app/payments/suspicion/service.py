"""The rule: ten failures of one user in an hour hold the user's payouts (tn-sec-suspicious-10; facts.md section 3).

A failure is a payout that finally failed on its rail, or one that was refused for the balance or a daily limit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from payments import metrics
from payments.api_keys.schemas import Caller
from payments.errors import Forbidden
from payments.suspicion import repository

if TYPE_CHECKING:
    from payments.core import Core

_log = structlog.get_logger(__name__)


async def failed(core: Core, *, user_id: str, environment: str, what: str) -> None:
    """Count a failure of a user."""
    now, settings = core.clock.now(), core.settings
    number = await repository.record(
        core.database,
        user_id=user_id,
        environment=environment,
        what=what,
        now=now,
        since=now - timedelta(seconds=settings.suspicious_window_seconds),
        limit=settings.suspicious_failures,
    )
    if number == settings.suspicious_failures:
        metrics.SUSPICIOUS.inc()
        _log.warning("suspicious activity", tag="[SUSPICIOUS]", user_id=user_id, failures=number, last=what)


async def refuse_if_held(core: Core, caller: Caller) -> None:
    """Refuse a payout of a user with too many failures.

    Raises:
        Forbidden: until the failures are older than the window, or an administrator has reviewed them.
    """
    since = core.clock.now() - timedelta(seconds=core.settings.suspicious_window_seconds)
    number = await repository.count(core.database, user_id=caller.user_id, environment=caller.environment, since=since)
    if number >= core.settings.suspicious_failures:
        raise Forbidden(
            f"Payouts of this user are held after {number} failures: wait, or ask an administrator to review them.",
            details={"failures": number, "windowSeconds": core.settings.suspicious_window_seconds},
        )


async def review(core: Core, caller: Caller, user_id: str, note: str) -> int:
    """Lift the hold of a user; returns how many failures were reviewed."""
    number = await repository.review(
        core.database, user_id=user_id, environment=caller.environment, note=note, actor=caller.actor
    )
    _log.info("failures reviewed", user_id=user_id, failures=number, by=caller.actor)
    return number
