"""Rules of switches.

The web role refuses by what it read at most a second ago. Where money leaves, the worker asks PostgreSQL in the very
transaction that begins the attempt (`payments.check_departure`): there is no memory in between.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from payments import metrics
from payments.api_keys.schemas import Caller
from payments.clock import Clock
from payments.errors import InvalidInput, NotFound, ServiceUnavailable
from payments.switches import repository
from payments.switches.schemas import MAINTENANCE, SERVICE_SWITCHES, NewSwitchState, SwitchView

if TYPE_CHECKING:
    from payments.core import Core
    from payments.database import Database

BELIEVED_SECONDS = 1.0
RETRY_AFTER_SECONDS = 30
_WHAT = {"payouts": "Payouts are paused", "invoices": "Invoices are paused", MAINTENANCE: "Maintenance is under way"}
_log = structlog.get_logger(__name__)


class Switches:
    """What is stopped, as this process read it last."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._stopping: dict[str, str] = {}
        self._stale_at = float("-inf")
        self._reading = asyncio.Lock()

    async def stopping(self) -> dict[str, str]:
        """Reasons by name of what is stopped; read again when it is older than a second."""
        if time.monotonic() >= self._stale_at:
            async with self._reading:
                if time.monotonic() >= self._stale_at:
                    self._stopping = await repository.stopping(self._database, self._clock.now())
                    self._stale_at = time.monotonic() + BELIEVED_SECONDS
        return self._stopping

    async def refuse_if_stopped(self, *names: str) -> None:
        """Refuse what one of the switches `names` stops.

        Raises:
            ServiceUnavailable: with the reason and Retry-After.
        """
        stopping = await self.stopping()
        for name in names:
            if name in stopping:
                metrics.STOPPED.labels(name.partition(":")[0]).inc()
                kind, _, rail = name.partition(":")
                said = _WHAT.get(name) or f"The rail {rail} does not {kind} now"
                raise ServiceUnavailable(
                    f"{said}: {stopping[name]}",
                    details={"switch": name},
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )

    def forget(self) -> None:
        """Read them again next time, after one was set in this process."""
        self._stale_at = float("-inf")


def _known(core: Core) -> list[str]:
    rails = [f"{direction}:{name}" for name in sorted(core.rails) for direction in ("send", "receive")]
    return [*SERVICE_SWITCHES, *rails]


async def listed(core: Core) -> list[SwitchView]:
    """Every switch there is here, and any other that was set."""
    rows, now = await repository.everyone(core.database), core.clock.now()
    names = _known(core)
    return [SwitchView.of(name, rows.get(name), now) for name in [*names, *sorted(set(rows) - set(names))]]


async def put(core: Core, caller: Caller, name: str, new: NewSwitchState) -> SwitchView:
    """Set a switch. It holds for payouts at once, and for requests everywhere within a second.

    Raises:
        NotFound: there is no such switch here.
        InvalidInput: `until` is not in the future.
    """
    if name not in _known(core):
        raise NotFound(f"There is no switch {name!r}: use one of {_known(core)}.")
    now = core.clock.now()
    if new.until is not None and (new.until.tzinfo is None or new.until <= now):
        raise InvalidInput("until must be in the future and name its time zone.")
    row = await repository.put(
        core.database, name, is_on=new.on, reason=new.reason, until=new.until, now=now, actor=caller.actor
    )
    core.switches.forget()
    _log.warning("a switch was set", switch=name, on=new.on, reason=new.reason, by=caller.actor)
    return SwitchView.of(name, row, now)
