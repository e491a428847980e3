"""Waiting for settlements to end without holding a connection: one query a tenth of a second for all who wait."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import structlog

from payments.database import Database
from payments.x402 import repository
from payments.x402.schemas import Settlement

POLL_SECONDS: Final = 0.1
_log = structlog.get_logger(__name__)


class SettlementWaiter:
    """Tells those who wait when a settlement is final. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, set[asyncio.Future[Settlement]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def wait(self, settlement_id: UUID, *, seconds: float) -> Settlement | None:
        """The settlement once it is final, None when that takes longer than `seconds`."""
        future: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(settlement_id, set()).add(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            others = self._waiting.get(settlement_id)
            if others is not None:
                others.discard(future)
                if not others:
                    self._waiting.pop(settlement_id, None)

    async def _poll(self) -> None:
        while self._waiting:
            try:
                for settlement in await repository.finished_among(self._database, list(self._waiting)):
                    for future in self._waiting.pop(settlement.id, set()):
                        if not future.done():
                            future.set_result(settlement)
            except Exception as error:
                # Whoever waits is answered "pending" in the end; the next look may work.
                _log.warning("settlements cannot be watched", error=repr(error))
                await asyncio.sleep(1)
            await asyncio.sleep(POLL_SECONDS)
