"""The worker's part: settlements that are due, many at a time; and nonces that have expired."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from payments.core import Core
from payments.rails.solana.rail import SolanaRail
from payments.signer.fee_payer import FeePayer
from payments.worker.work import Duty
from payments.x402 import repository
from payments.x402.settling import LEASE_SECONDS, Settler

CONCURRENT: Final = 64
LOOK_EVERY_SECONDS: Final = 0.05
NONCES_AT_ONCE: Final = 5000
_log = structlog.get_logger(__name__)


class SettlementLoop:
    """Takes settlements that are due and works on up to `concurrent` of them at once."""

    def __init__(self, core: Core, settler: Settler, *, concurrent: int = CONCURRENT) -> None:
        self._core = core
        self._settler = settler
        self._concurrent = concurrent
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; settlements under way are given back then, for another worker to go on with."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _look(self) -> None:
        free = self._concurrent - len(self._running)
        if free <= 0:
            return
        token = self._core.clock.new_token()
        due = await repository.take(self._core.database, token=token, lease_seconds=LEASE_SECONDS, limit=free)
        for settlement in due:
            task = asyncio.create_task(self._settler.work_on(settlement, token))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The database went away while giving it back: its lease runs out, then it is taken again.
            _log.warning("a settlement was left to its lease", error=repr(task.exception()))


async def settle_due(core: Core) -> None:
    """Work on settlements until cancelled. Does nothing where Solana or the fee payer's key is not configured."""
    rail = core.rails.get("solana")
    if not isinstance(rail, SolanaRail) or core.settings.solana_fee_payer is None:
        return
    signer = FeePayer(core.settings.solana_fee_payer)
    settler = Settler(database=core.database, rail=rail, signer=signer, clock=core.clock)
    await SettlementLoop(core, settler).run()


async def forget_nonces(core: Core) -> None:
    """Drop expired nonces."""
    await repository.forget_nonces(core.database, now=core.clock.now(), limit=NONCES_AT_ONCE)


DUTIES = (
    # Runs until it is cancelled; every_seconds is the pause after it was broken off by an error.
    Duty("x402.settle", 1.0, settle_due),
    Duty("x402.forget_nonces", 3600.0, forget_nonces),
)
